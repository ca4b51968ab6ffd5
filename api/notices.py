"""What people were told: moved deadlines, and supervision notices (督办) with their replies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, StringConstraints

from activities.contract import civil_text
from api.applications import Cursor, Limit, Sought
from api.auth import Caller, SignedIn
from api.problems import NOT_ALLOWED, Refused
from api.schemas import Shown, refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import UnknownNotice
from storage.reading import NoticeRecord

router = APIRouter(prefix="/notices", tags=["tasks"])


class NoticeToBody(Shown):
    """Something that an agency was told, once per cause."""

    id: str
    case_no: str
    task_id: str | None
    kind: str
    recipient: str
    sent_at: str
    body: dict[str, Any]
    reply_by: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    reply: str | None
    replied_at: str | None


class NoticePage(Shown):
    """A page of notices, newest first."""

    items: list[NoticeToBody]
    next_cursor: str | None


class Reply(BaseModel):
    """The body of a reply."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reply: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$"),
    ]


_NOTICE: dict[str, Any] = {
    "id": "ladder.ZJ20260000011.permits-water.1.red.0",
    "case_no": "ZJ20260000011",
    "task_id": "ZJ20260000011.permits-water.1",
    "kind": "supervision",
    "recipient": "water",
    "sent_at": "2026-09-23T17:30:00+08:00",
    "body": {
        "step": "red.0",
        "light": "red",
        "to": "head",
        "late_agency": "water",
        "due_on": "2026-09-23",
        "zh": "红灯：督办单位负责人",
        "en": "Red: the head of the agency is urged",
        "clause": "CON",
    },
    "reply_by": "2026-09-24",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "reply": None,
    "replied_at": None,
}
NOTICE_EXAMPLES: dict[str, dict[str, Any]] = {
    "NoticeToBody": _NOTICE,
    "NoticePage": {"items": [_NOTICE], "next_cursor": None},
}


@router.get(
    "",
    name=Act.SEE_NOTICES,
    response_model=NoticePage,
    summary="List notices",
    responses=refusals(401, 403, 422),
)
async def list_notices(
    caller: SignedIn,
    services: Serving,
    recipient: Sought = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what was told; an agency sees what it was told itself."""
    caller.needs(Act.SEE_NOTICES)
    if not caller.sees_all(Act.SEE_NOTICES):
        if recipient not in (None, caller.agency):
            raise Refused(
                NOT_ALLOWED, "an agency sees its own notices only", "各单位只能查看发给本单位的通知"
            )
        recipient = caller.agency
    page = await services.reading.notices(recipient=recipient, limit=limit, cursor=cursor)
    return {
        "items": [notice_body(notice) for notice in page.items],
        "next_cursor": page.next_cursor,
    }


@router.put(
    "/{notice_id}/acknowledgement",
    name=Act.ANSWER_NOTICE,
    response_model=NoticeToBody,
    summary="Acknowledge a notice (签收)",
    responses=refusals(401, 403, 404, 422),
)
async def acknowledge(notice_id: str, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Say that the recipient has seen it; repeating it changes nothing."""
    return await answer(notice_id, caller, services)


@router.put(
    "/{notice_id}/reply",
    name=Act.ANSWER_NOTICE,
    response_model=NoticeToBody,
    summary="Reply to a notice (回复督办)",
    responses=refusals(400, 401, 403, 404, 409, 413, 422),
)
async def reply(
    notice_id: str,
    body: Annotated[Reply, Body(examples=[{"reply": "已安排现场复核，明日答复。"}])],
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Reply once, which acknowledges it as well; another reply is 409."""
    return await answer(notice_id, caller, services, reply=body.reply)


async def answer(
    notice_id: str,
    caller: Caller,
    services: Services,
    *,
    reply: str | None = None,
    account: str | None = None,
) -> Mapping[str, Any]:
    """Acknowledge a notice, and reply to it if there is anything to say.

    Args:
        account: whose of the recipient's it was, if it came from a page.
    """
    caller.needs(Act.ANSWER_NOTICE)
    return notice_body(
        await services.casefile.acknowledge(
            _as_id(notice_id),
            by=caller.agency,
            at=_civil_now(services),
            reply=reply,
            account=account,
        )
    )


def notice_body(notice: NoticeRecord) -> Mapping[str, Any]:
    """Show a notice."""
    return {
        "id": notice.id,
        "case_no": notice.case_no,
        "task_id": notice.task_id,
        "kind": notice.kind,
        "recipient": notice.recipient,
        "sent_at": civil_text(notice.sent_at),
        "body": notice.body,
        "reply_by": notice.reply_by and notice.reply_by.isoformat(),
        "acknowledged_at": notice.acknowledged_at and civil_text(notice.acknowledged_at),
        "acknowledged_by": notice.acknowledged_by,
        "reply": notice.reply,
        "replied_at": notice.replied_at and civil_text(notice.replied_at),
    }


def _as_id(notice_id: str) -> str:
    if "\x00" in notice_id:
        raise UnknownNotice(repr(notice_id))
    return notice_id


def _civil_now(services: Services) -> datetime:
    return services.settings.clock.civil(services.now())
