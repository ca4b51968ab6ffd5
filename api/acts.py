"""The record of actions: who did what to the system, and looked at numbers (RB-12.2, RB-13.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from activities.contract import civil_text
from api.applications import Cursor, Limit
from api.auth import SignedIn
from api.schemas import Shown, Texts, refusals
from api.services import Serving
from domain.access import Act
from domain.words import Words
from domain.working_time import CIVIL_ZONE
from storage.recorded_acts import RecordedAct, Wanted, recorded_acts

router = APIRouter(prefix="/admin", tags=["administration"])

Thing = Literal["account", "key", "calendar", "repair", "replay", "numbers"]
By = Annotated[str | None, Query(min_length=2, max_length=40, pattern=r"^[a-z][a-z0-9-]*$")]
_EARLIEST, _LATEST = date(2000, 1, 1), date(2999, 12, 31)

THINGS: Mapping[Thing, Words] = {
    "account": Words("账号", "Accounts"),
    "key": Words("系统密钥", "Keys of systems"),
    "calendar": Words("工作日历", "Working-day calendar"),
    "repair": Words("修复", "Repairs"),
    "replay": Words("重放", "Replays"),
    "numbers": Words("查看完整号码", "Numbers shown"),
}

_TITLES: Mapping[str, Words] = {
    "account.added": Words("新增账号", "Account added"),
    "account.reset": Words("重置密码", "Password reset"),
    "account.disabled": Words("停用账号", "Account disabled"),
    "account.enabled": Words("启用账号", "Account enabled"),
    "account.unlocked": Words("解除锁定", "Account unlocked"),
    "account.linked": Words("关联统一身份", "Linked to an identity"),
    "account.unlinked": Words("解除统一身份", "Unlinked from its identity"),
    "account.signed_out": Words("结束会话", "Sessions ended"),
    "key.made": Words("签发密钥", "Key made"),
    "key.rotated": Words("轮换密钥", "Key rotated"),
    "key.revoked": Words("吊销密钥", "Key revoked"),
    "calendar.published": Words("发布工作日历", "Calendar published"),
    "calendar.retracted": Words("撤回工作日历版本", "Calendar version taken back"),
    "repair.planned": Words("制定修复计划", "Repair planned"),
    "repair.approved": Words("批准修复", "Repair approved"),
    "repair.executed": Words("执行修复", "Repair carried out"),
    "repair.paused": Words("暂停修复", "Repair paused"),
    "repair.resumed": Words("继续修复", "Repair resumed"),
    "repair.cancelled": Words("取消修复", "Repair cancelled"),
    "replay.asked": Words("发起重放", "Replay asked for"),
    "replay.stopped": Words("停止重放", "Replay stopped"),
    "numbers.shown": Words("查看完整号码", "Numbers shown"),
}


class ActBody(Shown):
    """Something that somebody did; `at` is civil time.

    Attributes:
        by: an account; an agency where its system did it; `command` for the machine's command line.
        act: `thing.verb`.
        subject: id of the thing: an account, a key, a case, a repair's number, a calendar version.
        details: what an auditor asks next; no personal data.
    """

    at: str
    by: str
    act: str
    title: Texts
    subject: str
    details: dict[str, Any]


From = Annotated[date | None, Query(alias="from", ge=_EARLIEST, le=_LATEST)]
To = Annotated[date | None, Query(ge=_EARLIEST, le=_LATEST)]


class ActPage(Shown):
    """A page of what was done, the newest first."""

    items: list[ActBody]
    next_cursor: str | None


ACT_EXAMPLES: dict[str, dict[str, Any]] = {
    "ActPage": {
        "items": [
            {
                "at": "2026-09-18T09:12:00+08:00",
                "by": "admin-1",
                "act": "repair.planned",
                "title": {"zh": "制定修复计划", "en": "Repair planned"},
                "subject": "3",
                "details": {"kind": "reset", "reason": "修正版本已部署，回退到出错之前"},
            }
        ],
        "next_cursor": None,
    }
}


@router.get(
    "/acts",
    name=Act.SEE_ACTS,
    response_model=ActPage,
    summary="The record of actions (操作记录)",
    responses=refusals(401, 403, 422),
)
async def list_acts(
    caller: SignedIn,
    services: Serving,
    thing: Annotated[Thing | None, Query()] = None,
    by: By = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through accounts, keys, calendar years, repairs, replays, and numbers that were shown.

    `from` and `to` are civil dates, both included. What was done to a case is on its own record.
    """
    caller.needs(Act.SEE_ACTS)
    wanted = Wanted(
        thing,
        by,
        None if from_ is None else _midnight(from_),
        None if to is None else _midnight(to + timedelta(days=1)),
    )
    page = await recorded_acts(
        services.reading.engine, wanted, services.settings.clock, limit=limit, cursor=cursor
    )
    return {"items": [_body(each) for each in page.items], "next_cursor": page.next_cursor}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, CIVIL_ZONE)


def _body(act: RecordedAct) -> Mapping[str, Any]:
    title = _TITLES.get(act.act) or Words(act.act, act.act)
    return {
        "at": civil_text(act.at),
        "by": act.by,
        "act": act.act,
        "title": title._asdict(),
        "subject": act.subject,
        "details": dict(act.details),
    }
