"""Supervision notices (督办): those that wait for a reply, due first, then the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import UnknownNotice
from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.reading import NoticeRecord, Page
from storage.tables import applications, notices

Waiting = Literal["open", "unacknowledged", "overdue", "answered"]
"""Without a reply; and not acknowledged either; and its reply due before today; with a reply."""


@dataclass(frozen=True, slots=True)
class EscalationFilter:
    """Which supervision notices a list shows; None leaves a field open.

    Attributes:
        today: civil date; a reply that was due before is overdue.
        late_agency: whom they are about.
    """

    today: date
    waiting: Waiting | None = None
    recipient: str | None = None
    district: str | None = None
    case_no: str | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield what holds for every notice that is shown."""
        yield notices.c.kind == sa.bindparam(None, "supervision", literal_execute=True)
        match self.waiting:
            case "unacknowledged":
                yield notices.c.acknowledged_at.is_(None)
            case "overdue":
                yield notices.c.reply_by < self.today
        if self.recipient is not None:
            yield notices.c.recipient == self.recipient
        if self.district is not None:
            yield applications.c.district == self.district
        if self.case_no is not None:
            yield notices.c.case_no == self.case_no


async def read_escalations(
    db: AsyncConnection, wanted: EscalationFilter, *, limit: int, cursor: str | None
) -> tuple[Page[NoticeRecord], int]:
    """Return supervision notices and how many there are: open ones by the day their reply is due,
    then answered ones, the latest reply first.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    source: sa.FromClause = notices
    if wanted.district is not None:
        source = notices.join(applications)
    conditions = [*wanted.conditions()]
    is_open = notices.c.replied_at.is_(None)
    parts = {
        "open": sa.select(*notices.c)
        .select_from(source)
        .where(is_open, *conditions)
        .order_by(notices.c.reply_by, notices.c.id),
        "answered": sa.select(*notices.c)
        .select_from(source)
        .where(notices.c.replied_at.is_not(None), *conditions)
        .order_by(notices.c.replied_at.desc(), notices.c.id.desc()),
    }
    if wanted.waiting == "answered":
        parts.pop("open")
        counted = [*conditions, notices.c.replied_at.is_not(None)]
    elif wanted.waiting is not None:
        parts.pop("answered")
        counted = [*conditions, is_open]
    else:
        counted = conditions
    total = await db.scalar(sa.select(sa.func.count()).select_from(source).where(*counted))
    if cursor is not None:
        parts = _after(parts, cursor)
    rows: list[NoticeRecord] = []
    for statement in parts.values():
        if len(rows) <= limit:
            found = await db.execute(statement.limit(limit + 1 - len(rows)))
            rows += [NoticeRecord.of(row) for row in found]
    shown = tuple(rows[:limit])
    return Page(shown, _cursor(shown[-1]) if len(rows) > limit else None), int(total or 0)


_Statements = dict[str, sa.Select[*tuple[object, ...]]]


def _after(parts: _Statements, cursor: str) -> _Statements:
    part, at, last_id = cursor_parts(cursor, 3)
    if part not in parts:
        raise bad_cursor()
    try:
        if part == "answered":
            instant = datetime.fromisoformat(at)
            if instant.tzinfo is None:
                raise bad_cursor()
            key = sa.tuple_(notices.c.replied_at, notices.c.id)
            last = sa.tuple_(sa.literal(instant, notices.c.replied_at.type), sa.literal(last_id))
            return {part: parts[part].where(key < last)}
        day = date.fromisoformat(at)
    except ValueError:
        raise bad_cursor() from None
    key = sa.tuple_(notices.c.reply_by, notices.c.id)
    seen = sa.tuple_(sa.literal(day, notices.c.reply_by.type), sa.literal(last_id))
    return {**parts, part: parts[part].where(key > seen)}


def _cursor(last: NoticeRecord) -> str:
    if last.replied_at is None:
        return cursor_of("open", last.reply_by, last.id)
    return cursor_of("answered", last.replied_at.isoformat(), last.id)


async def read_notice(db: AsyncConnection, notice_id: str) -> NoticeRecord:
    """Return a supervision notice.

    Raises:
        UnknownNotice: there is none with this id.
    """
    statement = sa.select(*notices.c).where(
        notices.c.id == notice_id, notices.c.kind == "supervision"
    )
    row = (await db.execute(statement)).first()
    if row is None:
        raise UnknownNotice(notice_id)
    return NoticeRecord.of(row)
