"""Before anything is asked: what a route would need, why, and how it could do without (RB-4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body

from api.auth import SignedIn
from api.permit_schemas import PREVIEW_EXAMPLE, PreviewBody, PreviewRequest
from api.schemas import refusals
from api.services import Serving
from domain.access import Act
from domain.avoiding import Called, Need, Reason, Way, called_for
from domain.connection import TaskKind, Voltage
from domain.policy import Policy
from domain.working_time import civil_date

router = APIRouter(prefix="/permits", tags=["permits"])


@router.post(
    "/preview",
    name=Act.PREVIEW_PERMITS,
    response_model=PreviewBody,
    summary="What a route would need (审批事项预览)",
    responses=refusals(400, 401, 403, 413, 422),
)
def preview(
    asked: Annotated[PreviewRequest, Body(examples=[PREVIEW_EXAMPLE])],
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Say what is needed, of whom and why, and how the route could do without. Nothing is filed."""
    # No coroutine: a route of 500 segments takes a second, in which others are to be served.
    caller.needs(Act.PREVIEW_PERMITS)
    policy, voltage = services.policy, Voltage(asked.voltage)
    on = asked.on or civil_date(services.settings.clock.civil(services.now()))
    called = called_for(asked.route, policy, voltage, on)
    return {
        "voltage": voltage,
        "on": on,
        "policy": policy.version_id,
        "procedure": _procedure_body(policy, voltage),
        "is_empty": all(each.need.kind != "item" for each in called),
        "statement": _statement(called, policy, voltage),
        "departments": [
            {"agency": agency, "zh": named.zh, "en": named.en, "items": items}
            for agency, named in policy.agencies.items()
            if (items := [_needed_body(each) for each in called if each.agency == agency])
        ],
        "exceptions": [_needed_body(each) for each in called if each.need.kind == "exception"],
        "guards": [_needed_body(each) for each in called if each.need.kind == "guard"],
    }


def _procedure_body(policy: Policy, voltage: Voltage) -> Mapping[str, Any]:
    # RB-2.5: what the bundle may take is what each department in it may.
    is_high = voltage is Voltage.HIGH
    rule = policy.tasks[TaskKind.PERMITS if is_high else TaskKind.FILING]
    return {
        "kind": "approval" if is_high else "filing",
        "zh": rule.zh,
        "en": rule.en,
        "limit_working_days": rule.limit_working_days,
        "clause": rule.clause,
    }


def _statement(
    called: Sequence[Called], policy: Policy, voltage: Voltage
) -> Mapping[str, str] | None:
    """Say that no permit is needed (RB-4.2), and what is needed all the same."""
    kinds = {each.need.kind for each in called}
    if "item" in kinds:
        return None
    nothing = policy.results["no_permit_needed"]
    zh, en = nothing.zh, nothing.en
    if voltage is Voltage.LOW:
        filing = policy.tasks[TaskKind.FILING]
        zh, en = f"{zh}，办理{filing.zh}", f"{en}. {filing.en}"
    if "exception" in kinds:
        zh, en = f"{zh}；但下列例外事项须另行报批", f"{en}, but the exceptions below need approval"
    if "guard" in kinds:
        zh, en = f"{zh}；下列提示须人工核查", f"{en}; a person has to look at the guards below"
    return {"zh": f"{zh}。", "en": f"{en}."}


def _needed_body(called: Called) -> Mapping[str, Any]:
    return {
        **_need_body(called.need),
        "basis": called.basis,
        "segments": called.segments,
        "reasons": [_reason_body(reason) for reason in called.reasons],
        "avoid": [_way_body(way) for way in called.ways],
        "verdict": called.verdict and called.verdict._asdict(),
    }


def _need_body(need: Need) -> Mapping[str, Any]:
    return {"kind": need.kind, "id": need.id, "zh": need.zh, "en": need.en}


def _reason_body(reason: Reason) -> Mapping[str, Any]:
    return {"segments": reason.segments, "facts": reason.facts, **reason.words._asdict()}


def _way_body(way: Way) -> Mapping[str, Any]:
    return {
        "changes": [
            {
                "segments": change.segments,
                "fact": change.fact,
                "from": change.was,
                "to": change.to,
                **change.words._asdict(),
            }
            for change in way.changes
        ],
        "since": way.since,
        "removes": [_need_body(need) for need in way.removes],
        "adds": [_need_body(need) for need in way.adds],
        **way.words._asdict(),
    }
