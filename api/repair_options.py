"""Which repairs a case allows as it stands, before one is planned (RB-12.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path

from api.auth import SignedIn
from api.repair_schemas import RESTART_EXAMPLE
from api.schemas import Shown, Texts, refusals
from api.services import Serving
from domain.access import Act
from domain.repairs import REPAIRS, RepairKind
from operations.repair_options import Option

router = APIRouter(prefix="/admin", tags=["administration"])


class OptionBody(Shown):
    """A repair that one could ask for.

    Attributes:
        discards: whether a second administrator must approve it.
        request: what `POST /admin/repairs` takes for it, but for the reason; null where it is not
            possible, and of `decide` without the outcome.
        problem: why it is not possible.
        events: of `reset`: the events one may go back to, instead of `first_failure`.
    """

    kind: RepairKind
    title: Texts
    discards: bool
    request: dict[str, Any] | None
    problem: Texts | None
    events: list[int]


class OptionsBody(Shown):
    """Every kind of repair, with what it could be applied to."""

    case_no: str
    items: list[OptionBody]


REPAIR_OPTION_EXAMPLES: dict[str, dict[str, Any]] = {
    "OptionsBody": {
        "case_no": "ZJ20260000011",
        "items": [
            {
                "kind": "restart",
                "title": {"zh": "依案卷重启", "en": "restart from the case file"},
                "discards": True,
                "request": {k: v for k, v in RESTART_EXAMPLE.items() if k != "reason"},
                "problem": None,
                "events": [],
            }
        ],
    }
}


@router.get(
    "/repair-options/{no}",
    name=Act.REPAIR_CASES,
    response_model=OptionsBody,
    summary="Which repairs a case allows (可用的修复)",
    responses=refusals(401, 403, 404, 409, 422),
)
async def get_options(
    no: Annotated[str, Path()], caller: SignedIn, services: Serving
) -> Mapping[str, Any]:
    """Try every repair as a plan; nothing is done, and nothing put on file."""
    caller.needs(Act.REPAIR_CASES)
    found = await services.repairing.options(no)
    return {"case_no": no, "items": [_body(each) for each in found]}


def _body(option: Option) -> Mapping[str, Any]:
    rule = REPAIRS[option.kind]
    # What cannot go back to its first failure may still go back to an event.
    is_possible = option.problem is None or bool(option.events)
    return {
        "kind": option.kind.value,
        "title": {"zh": rule.zh, "en": rule.en},
        "discards": rule.discards,
        "request": _request(option) if is_possible else None,
        "problem": option.problem and option.problem.model_dump(),
        "events": list(option.events),
    }


def _request(option: Option) -> dict[str, Any]:
    target = option.target
    asked: dict[str, Any] = {"kind": option.kind.value}
    if option.is_step:
        return asked | {
            "case_no": target.case_no,
            "process": target.process,
            "step": target.task_id,
        }
    if target.task_id is not None:
        return asked | {"task_id": target.task_id}
    asked["case_no"] = target.case_no
    if option.kind is RepairKind.RESET:
        asked["process"] = target.process
        if option.problem is None:
            asked["event"] = "first_failure"
    return asked
