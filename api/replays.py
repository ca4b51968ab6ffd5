"""Trying today's code on cases: which it could not carry, and where they part (RB-12.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from activities.contract import civil_text
from api.applications import Cursor, IdempotencyKey, Limit
from api.auth import SignedIn
from api.responses import spelled
from api.schemas import Shown, Texts, refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from domain.naming import is_case_no
from operations.divergence import Reason
from storage.reading import CaseFilter, Page
from storage.replays import ReplayRecord

router = APIRouter(prefix="/admin/replays", tags=["administration"])

MOST_CASES = 1000
Number = Annotated[int, Path(ge=1, le=10**9)]
CaseNo = Annotated[str, Field(pattern=r"^[A-Z]{2}\d{11}$")]
Line = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ReplayQuery(BaseModel):
    """Cases that fit all of it, ended ones included unless `state` says otherwise.

    Attributes:
        q: in the number, the applicant's name or the address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    stage: Line | None = None
    state: Literal["open", "ended"] | None = None
    district: Line | None = None
    channel: Line | None = None
    q: Line | None = None


class ReplayRequest(BaseModel):
    """What is to be replayed: exactly one of `case_no`, `cases`, `query`, `all_open`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    case_no: CaseNo | None = None
    cases: Annotated[list[CaseNo], Field(min_length=1, max_length=MOST_CASES)] | None = None
    query: ReplayQuery | None = None
    all_open: Literal[True] | None = None


class FindingBody(Shown):
    """A process that today's code cannot carry, and where they part.

    Attributes:
        kind: name of its workflow.
        status: as the engine has it; only what is `running` would have to be carried on.
        event_id: the first event of its history that the code does not lead to.
        event: what the history holds there.
        wanted: what the code asked for instead.
        words: both in one sentence.
        message: the engine's own words, or what the code raised.
    """

    case_no: str
    workflow_id: str
    run_id: str
    kind: str
    status: str
    reason: Reason
    event_id: int
    event: Texts
    wanted: Texts
    words: Texts
    message: str


class ListedReplayBody(Shown):
    """A replay, without what was found.

    Attributes:
        scope: as it was asked for.
        total, done: cases, and how many of them have their result.
        processes: how many histories were replayed: a case's own and its bundles'.
        problem: why it failed; null unless it did.
    """

    number: int
    state: Literal["running", "done", "failed", "stopped"]
    asked_by: str
    asked_at: str
    scope: dict[str, Any]
    total: int
    done: int
    carried: int
    not_carried: int
    not_found: int
    processes: int
    problem: Texts | None
    stopped_by: str | None
    ended_at: str | None


class ReplayBody(ListedReplayBody):
    """A replay with a page of what was found."""

    findings: list[FindingBody]
    next_cursor: str | None


class ReplayPage(Shown):
    """A page of replays, the newest first."""

    items: list[ListedReplayBody]
    next_cursor: str | None


_LISTED: dict[str, Any] = {
    "number": 12,
    "state": "done",
    "asked_by": "admin-1",
    "asked_at": "2026-09-16T15:20:00+08:00",
    "scope": {"all_open": True},
    "total": 412,
    "done": 412,
    "carried": 411,
    "not_carried": 1,
    "not_found": 0,
    "processes": 498,
    "problem": None,
    "stopped_by": None,
    "ended_at": "2026-09-16T15:20:21+08:00",
}
_FOUND: dict[str, Any] = {
    "case_no": "ZJ20260000011",
    "workflow_id": "ZJ20260000011",
    "run_id": "01a20837-4b0f-7e61-adab-4749d6b80897",
    "kind": "Application",
    "status": "running",
    "reason": "differs",
    "event_id": 14,
    "event": {
        "zh": "活动 owe ZJ20260000011.survey.1",
        "en": "activity owe ZJ20260000011.survey.1",
    },
    "wanted": {"zh": "要求 本地活动 look_up", "en": "wanted local activity look_up"},
    "words": {
        "zh": "事件 14 为：活动 owe ZJ20260000011.survey.1；代码：要求 本地活动 look_up",
        "en": "event 14 holds: activity owe ZJ20260000011.survey.1; "
        "the code: wanted local activity look_up",
    },
    "message": "[TMPRL1100] Nondeterminism error: …",
}
REPLAY_EXAMPLES: dict[str, dict[str, Any]] = {
    "ReplayBody": {**_LISTED, "findings": [_FOUND], "next_cursor": None},
    "ReplayPage": {"items": [_LISTED], "next_cursor": None},
}


@router.post(
    "",
    name=Act.REPLAY_CASES,
    status_code=202,
    response_model=ReplayBody,
    summary="Try today's code on cases (重放)",
    responses={
        200: {"model": ReplayBody, "description": "Asked for before, under the same key"},
        **refusals(400, 401, 403, 404, 409, 413, 422),
    },
)
async def post_replay(
    body: Annotated[
        ReplayRequest,
        Body(
            openapi_examples={
                "one": {"summary": "One case", "value": {"case_no": "ZJ20260000011"}},
                "some": {"summary": "Some", "value": {"cases": ["ZJ20260000011"]}},
                "query": {
                    "summary": "What fits a query",
                    "value": {"query": {"state": "open", "district": "440802"}},
                },
                "all": {"summary": "All open cases", "value": {"all_open": True}},
            }
        ),
    ],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Have the histories of cases replayed against today's code. Nothing is changed by it.

    The answer comes at once; `GET` its address for progress and findings. A number that fits no
    case is counted as not found, unless it is the only one.
    """
    caller.needs(Act.REPLAY_CASES)
    cases = await _cases(body, services)
    asked = await services.replays.ask(
        body.model_dump(mode="json", exclude_none=True),
        cases,
        by=caller.agency,
        key=key,
        at=services.settings.clock.civil(services.now()),
    )
    location = {"Location": f"/api/v1/admin/replays/{asked.replay.id}"}
    shown = await _body(asked.replay, services)
    return spelled(shown, 202 if asked.is_new else 200, location)


@router.get(
    "",
    name=Act.REPLAY_CASES,
    response_model=ReplayPage,
    summary="Replays, the newest first",
    responses=refusals(401, 403, 422),
)
async def list_replays(
    caller: SignedIn, services: Serving, limit: Limit = 50, cursor: Cursor = None
) -> Mapping[str, Any]:
    """Return who had what replayed, and how far it is."""
    caller.needs(Act.REPLAY_CASES)
    page = await services.replays.all(limit=limit, cursor=cursor)
    return {"items": [_listed(each) for each in page.items], "next_cursor": page.next_cursor}


@router.get(
    "/{number}",
    name=Act.REPLAY_CASES,
    response_model=ReplayBody,
    summary="A replay: progress and findings",
    responses=refusals(401, 403, 404, 422),
)
async def get_replay(
    number: Number,
    caller: SignedIn,
    services: Serving,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Return how far a replay is, and page through what it found; a page is of whole cases."""
    caller.needs(Act.REPLAY_CASES)
    return await _body(await services.replays.one(number), services, limit, cursor)


@router.post(
    "/{number}/stop",
    name=Act.REPLAY_CASES,
    response_model=ReplayBody,
    summary="Stop a replay (停止)",
    responses=refusals(401, 403, 404, 422),
)
async def stop_replay(number: Number, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Stop a replay; what was found stands. One that has ended stays as it is."""
    caller.needs(Act.REPLAY_CASES)
    at = services.settings.clock.civil(services.now())
    return await _body(await services.replays.stop(number, by=caller.agency, at=at), services)


async def _cases(body: ReplayRequest, services: Services) -> list[str] | CaseFilter:
    """Return which cases are meant.

    Raises:
        InputRefused: none, or in more than one way.
        UnknownCase: the only one named does not exist.
    """
    given = [name for name, value in body if value is not None]
    if len(given) != 1:
        raise InputRefused(
            FieldProblem(
                "(body)",
                "give exactly one of case_no, cases, query, all_open",
                "case_no、cases、query、all_open 须且只能填写一项",
            )
        )
    numbers = [("case_no", body.case_no)] if body.case_no else []
    numbers += [(f"cases.{place}", no) for place, no in enumerate(body.cases or ())]
    if wrong := [
        FieldProblem(field, f"{no} is no case number", f"{no} 不是有效的办件编号")
        for field, no in numbers
        if not is_case_no(no)
    ]:
        raise InputRefused(*wrong)
    if body.case_no is not None:
        return [(await services.reading.case(body.case_no)).no]
    if body.cases is not None:
        return list(dict.fromkeys(body.cases))
    if body.query is None:
        return CaseFilter(state="open")
    wanted = body.query.model_dump(exclude_none=True)
    if not wanted:
        raise InputRefused(
            FieldProblem(
                "query",
                "is empty; say all_open if that is meant",
                "为空；如需全部在办件请填 all_open",
            )
        )
    return CaseFilter(**wanted)


async def _body(
    replay: ReplayRecord, services: Services, limit: int = 50, cursor: str | None = None
) -> dict[str, Any]:
    found: Page[Mapping[str, Any]] = await services.replays.findings(
        replay.id, limit=limit, cursor=cursor
    )
    return {**_listed(replay), "findings": list(found.items), "next_cursor": found.next_cursor}


def _listed(replay: ReplayRecord) -> dict[str, Any]:
    return {
        "number": replay.id,
        "state": replay.state,
        "asked_by": replay.asked_by,
        "asked_at": civil_text(replay.asked_at),
        "scope": replay.scope,
        "total": replay.total,
        "done": replay.done,
        "carried": replay.carried,
        "not_carried": replay.not_carried,
        "not_found": replay.not_found,
        "processes": replay.processes,
        "problem": replay.problem,
        "stopped_by": replay.stopped_by,
        "ended_at": replay.ended_at and civil_text(replay.ended_at),
    }
