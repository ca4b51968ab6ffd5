"""Escalations: the supervision notices (督办) of the ladder and their replies (RB-5.2, RB-11.1).

They are acknowledged and replied to as every notice is: `api.notices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.applications import Cursor, Limit, Sought
from api.auth import Caller, SignedIn
from api.notices import NOTICE_EXAMPLES, NoticeToBody, notice_body
from api.problems import NOT_ALLOWED, Refused
from api.schemas import Shown, refusals
from api.services import Services, Serving
from api.supervision import District, period
from domain.access import Act
from domain.errors import UnknownNotice
from domain.naming import is_case_no
from domain.working_time import civil_date
from storage.database import snapshot
from storage.escalations import EscalationFilter, Waiting, read_escalations, read_notice
from storage.reading import NoticeRecord

router = APIRouter(prefix="/supervision/escalations", tags=["supervision"])


class EscalationBody(NoticeToBody):
    """A supervision notice; it is overdue if its reply was due before today, and did not come."""

    is_overdue: bool


class EscalationPage(Shown):
    """A page of supervision notices, those without a reply first; `total` is of all pages."""

    total: int
    items: list[EscalationBody]
    next_cursor: str | None


ESCALATION_EXAMPLES: dict[str, dict[str, Any]] = {
    "EscalationPage": {
        "total": 1,
        "items": [{**NOTICE_EXAMPLES["NoticeToBody"], "is_overdue": False}],
        "next_cursor": None,
    }
}


@router.get(
    "",
    name=Act.SEE_NOTICES,
    response_model=EscalationPage,
    summary="Supervision notices and their replies (督办)",
    responses=refusals(401, 403, 422),
)
async def list_escalations(
    caller: SignedIn,
    services: Serving,
    waiting: Annotated[
        Waiting | None,
        Query(description="Without a reply, not acknowledged, with a reply overdue, or replied to"),
    ] = None,
    recipient: Sought = None,
    district: District = None,
    case_no: Sought = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through supervision notices; an agency sees those it was sent itself."""
    caller.needs(Act.SEE_NOTICES)
    today = civil_date(services.settings.clock.civil(services.now()))
    period(None, None, district, services.policy, today)
    if not caller.sees_all(Act.SEE_NOTICES):
        if recipient not in (None, caller.agency):
            raise Refused(
                NOT_ALLOWED, "an agency sees its own notices only", "各单位只能查看发给本单位的通知"
            )
        recipient = caller.agency
    if case_no is not None and not is_case_no(case_no):
        return {"total": 0, "items": [], "next_cursor": None}
    wanted = EscalationFilter(today, waiting, recipient, district, case_no)
    async with snapshot(services.reading.engine) as db:
        page, total = await read_escalations(db, wanted, limit=limit, cursor=cursor)
    return {
        "total": total,
        "items": [_body(each, today) for each in page.items],
        "next_cursor": page.next_cursor,
    }


async def get_escalation(notice_id: str, caller: Caller, services: Services) -> Mapping[str, Any]:
    """Return one that the caller may see.

    Raises:
        UnknownNotice: there is none, or it was sent to somebody else.
    """
    caller.needs(Act.SEE_NOTICES)
    if "\x00" in notice_id:
        raise UnknownNotice(repr(notice_id))
    async with snapshot(services.reading.engine) as db:
        notice = await read_notice(db, notice_id)
    if not caller.may_for(Act.SEE_NOTICES, notice.recipient):
        raise UnknownNotice(notice_id)
    return _body(notice, civil_date(services.settings.clock.civil(services.now())))


def _body(notice: NoticeRecord, today: date) -> Mapping[str, Any]:
    is_late = notice.reply_by is not None and notice.reply_by < today
    return {**notice_body(notice), "is_overdue": is_late and notice.replied_at is None}
