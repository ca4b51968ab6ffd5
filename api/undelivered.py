"""What has not reached whom it is for, and how agencies' systems stand (RB-12.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from activities.agencies import Standing
from activities.contract import civil_text
from activities.gate import GateState
from api.applications import Cursor, Limit, Sought
from api.auth import SignedIn
from api.schemas import Shown, Texts, refusals
from api.services import Services, Serving
from domain.access import Act
from storage.undelivered import Undelivered, Waiting, undelivered

router = APIRouter(prefix="/admin", tags=["administration"])


class WaitingBody(Shown):
    """Something that waits to be delivered; `next_try_at` null: soon, as the engine has it."""

    kind: Literal["push", "outcome", "message"]
    id: str
    case_no: str
    task_id: str
    agency: str
    what: Texts
    since: str
    attempts: int | None
    problem: str | None
    is_refused: bool
    next_try_at: str | None


class StandingBody(Shown):
    """How calls to one agency's system stand in the process that answered."""

    agency: str
    state: Literal["closed", "open", "trial"]
    what: Texts
    in_flight: int
    failures: int
    tried_in_s: float


class UndeliveredPage(Shown):
    """A page of what waits; the agencies are on every page."""

    items: list[WaitingBody]
    agencies: list[StandingBody]
    next_cursor: str | None


UNDELIVERED_EXAMPLES: dict[str, dict[str, Any]] = {
    "UndeliveredPage": {
        "items": [
            {
                "kind": "message",
                "id": "withdrawn.ZJ20260000011.permits-water.1",
                "case_no": "ZJ20260000011",
                "task_id": "ZJ20260000011.permits-water.1",
                "agency": "water",
                "what": {
                    "zh": "变更事件尚未送达该单位系统，将自动重试",
                    "en": "Its system has not taken the change; it is sent again",
                },
                "since": "2026-09-16T12:00:00+08:00",
                "attempts": 7,
                "problem": "water answered 503",
                "is_refused": False,
                "next_try_at": "2026-09-16T12:02:07+08:00",
            }
        ],
        "agencies": [
            {
                "agency": "water",
                "state": "open",
                "what": {
                    "zh": "已熔断：该单位系统连续无应答，暂停呼叫",
                    "en": "Its system did not answer several times in a row; it is not called",
                },
                "in_flight": 0,
                "failures": 7,
                "tried_in_s": 31.5,
            }
        ],
        "next_cursor": None,
    }
}
_WAITING: Mapping[tuple[Undelivered, bool], Texts] = {
    (Undelivered.PUSH, True): Texts(
        zh="该单位系统拒收任务推送，须人工处理；之后仍会重推",
        en="Its system refuses the task: a person must see to it; it is pushed again later",
    ),
    (Undelivered.PUSH, False): Texts(
        zh="该单位系统未应答任务推送，将自动重推",
        en="Its system does not answer; the task is pushed again",
    ),
    (Undelivered.OUTCOME, False): Texts(
        zh="办理结果已存档，尚未送达流程，将自动补送",
        en="The outcome is on file and has not reached the process; it is brought again",
    ),
    (Undelivered.MESSAGE, True): Texts(
        zh="该单位系统拒收变更事件，须人工处理；每日重试",
        en="Its system refuses the change: a person must see to it; it is sent again daily",
    ),
    (Undelivered.MESSAGE, False): Texts(
        zh="变更事件尚未送达该单位系统，将自动重试",
        en="Its system has not taken the change; it is sent again",
    ),
}
_STANDING: Mapping[GateState, Texts] = {
    GateState.CLOSED: Texts(zh="正常呼叫", en="Its system is called as usual"),
    GateState.OPEN: Texts(
        zh="已熔断：该单位系统连续无应答，暂停呼叫",
        en="Its system did not answer several times in a row; it is not called",
    ),
    GateState.TRIAL: Texts(
        zh="试探呼叫中：应答后即恢复", en="One call is let through on trial; an answer ends it"
    ),
}


@router.get(
    "/undelivered",
    name=Act.SEE_UNDELIVERED,
    response_model=UndeliveredPage,
    summary="What has not reached whom it is for",
    responses=refusals(401, 403, 422),
)
async def list_undelivered(
    caller: SignedIn,
    services: Serving,
    kind: Annotated[Literal["push", "outcome", "message"] | None, Query()] = None,
    agency: Sought = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through pushes that fail, outcomes on their way to a process, and changes not taken.

    Nothing here is lost or given up: it says what is late, since when, and why.
    """
    caller.needs(Act.SEE_UNDELIVERED)
    page = await undelivered(
        services.reading.engine,
        kind=None if kind is None else Undelivered(kind),
        agency=agency,
        limit=limit,
        cursor=cursor,
    )
    return {
        "items": [_waiting(each, services) for each in page.items],
        "agencies": [_standing(each) for each in services.agencies.standings],
        "next_cursor": page.next_cursor,
    }


def _waiting(each: Waiting, services: Services) -> Mapping[str, Any]:
    return {
        "kind": each.kind.value,
        "id": each.id,
        "case_no": each.case_no,
        "task_id": each.task_id,
        "agency": each.agency,
        "what": _WAITING[each.kind, each.is_refused],
        "since": civil_text(each.since),
        "attempts": each.attempts,
        "problem": each.problem,
        "is_refused": each.is_refused,
        "next_try_at": each.next_try_at and _civil(each.next_try_at, services),
    }


def _civil(instant: datetime, services: Services) -> str:
    return civil_text(services.settings.clock.civil(instant))


def _standing(each: Standing) -> Mapping[str, Any]:
    return {
        "agency": each.agency,
        "state": each.state.value,
        "what": _STANDING[each.state],
        "in_flight": each.in_flight,
        "failures": each.failures,
        "tried_in_s": each.tried_in_s,
    }
