"""What people were told: moved deadlines, and later supervision notices (督办)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from activities.contract import civil_text
from api.applications import OVERSEERS, Cursor, Limit, Sought
from api.auth import SignedIn
from api.problems import NOT_ALLOWED, Refused
from api.schemas import Shown, refusals
from api.services import Serving

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


class NoticePage(Shown):
    """A page of notices, newest first."""

    items: list[NoticeToBody]
    next_cursor: str | None


NOTICE_EXAMPLES: dict[str, dict[str, Any]] = {
    "NoticePage": {
        "items": [
            {
                "id": "calendar.2.ZJ20260000011.inspection.1",
                "case_no": "ZJ20260000011",
                "task_id": "ZJ20260000011.inspection.1",
                "kind": "deadline_moved",
                "recipient": "utility",
                "sent_at": "2026-11-23T09:00:05+08:00",
                "body": {
                    "calendar": "cn-2027.2",
                    "old": "2027-01-04",
                    "new": "2027-01-05",
                    "was_provisional": True,
                    "is_provisional": False,
                },
            }
        ],
        "next_cursor": None,
    }
}


@router.get(
    "", response_model=NoticePage, summary="List notices", responses=refusals(401, 403, 422)
)
async def list_notices(
    caller: SignedIn,
    services: Serving,
    recipient: Sought = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what was told; an agency sees what it was told itself."""
    if caller.role not in OVERSEERS:
        if recipient not in (None, caller.agency):
            raise Refused(
                NOT_ALLOWED, "an agency sees its own notices only", "各单位只能查看发给本单位的通知"
            )
        recipient = caller.agency
    page = await services.reading.notices(recipient=recipient, limit=limit, cursor=cursor)
    return {
        "items": [
            {
                "id": notice.id,
                "case_no": notice.case_no,
                "task_id": notice.task_id,
                "kind": notice.kind,
                "recipient": notice.recipient,
                "sent_at": civil_text(notice.sent_at),
                "body": notice.body,
            }
            for notice in page.items
        ],
        "next_cursor": page.next_cursor,
    }
