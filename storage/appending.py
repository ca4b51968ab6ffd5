"""Appending to a case's record: lock the case, change rows, append the event, tell who should know.

For all that writes to the case file; each write is one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import TaskClosed, UnknownCase, UnknownTask
from domain.working_time import CIVIL_ZONE
from storage.chain import Link, canonical
from storage.records import AnyRow, Notice
from storage.tables import applications, events, notices, tasks

DECIDED = "decided"
"""What closed a task that takes nothing more because it has its outcome."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a case's chain ends."""

    no: str
    seq: int
    hash: str

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read it from a row with the case's columns."""
        return cls(row.no, row.head_seq, row.head_hash)


async def append(
    db: AsyncConnection,
    head: Head,
    *,
    at: datetime,
    kind: str,
    by: str,
    body: Mapping[str, Any],
    task_id: str | None = None,
    once: str | None = None,
    **case_columns: object,
) -> Head:
    """Append an event to the case's chain and move its head, with other columns if given.

    Returns:
        The new head.
    """
    link = Link(
        case_no=head.no,
        seq=head.seq + 1,
        at=at,
        kind=kind,
        by=by,
        task_id=task_id,
        once=once,
        body=canonical(body),
        prev_hash=head.hash,
    )
    await insert_event(db, link)
    head_columns = {"head_seq": link.seq, "head_hash": link.hash}
    await db.execute(UPDATE_CASE, {"which": head.no, **head_columns, **case_columns})
    return Head(head.no, link.seq, link.hash)


async def insert_event(db: AsyncConnection, link: Link) -> None:
    """Write an event; moving the head is the caller's business."""
    columns = {f.name: getattr(link, f.name) for f in fields(link)}
    await db.execute(_INSERT_EVENT, {**columns, "hash": link.hash})


async def tell(
    db: AsyncConnection,
    notice_id: str,
    case: AnyRow,
    notice: Notice,
    *,
    at: datetime,
    task_id: str | None = None,
) -> None:
    """Put a notice on file; without a recipient it is for whoever handed in the case."""
    await db.execute(
        notices.insert().values(
            id=notice_id,
            case_no=case.no,
            task_id=task_id,
            kind=notice.kind,
            recipient=notice.recipient or case.submitted_by,
            sent_at=at,
            body=canonical(notice.body),
        )
    )


def civil_text(instant: datetime) -> str:
    """Spell an instant for people."""
    return instant.astimezone(CIVIL_ZONE).isoformat(timespec="seconds")


def check_open(task: AnyRow) -> None:
    """Refuse a task that is decided, or was closed.

    Raises:
        TaskClosed: names what closed it.
    """
    if task.state != "open":
        raise TaskClosed(task.id, task.closed_by or DECIDED, civil_text(task.done_at))


_CASE_COLUMNS = (
    applications.c.no,
    applications.c.head_seq,
    applications.c.head_hash,
    applications.c.state.label("case_state"),
    applications.c.ending.label("case_ending"),
    applications.c.calendar.label("case_calendar"),
    applications.c.accepted_at,
    applications.c.submitted_by,
    applications.c.voltage,
    applications.c.district,
    applications.c.policy,
    applications.c.clock,
    applications.c.content,
    applications.c.route,
    applications.c.investment,
    applications.c.asks_area.label("case_asks_area"),
)

# Statements that run for every task are built once: building costs more than running them.
_INSERT_EVENT = events.insert()
UPDATE_CASE = applications.update().where(applications.c.no == sa.bindparam("which"))
_SELECT_CASE = (
    sa.select(*_CASE_COLUMNS).where(applications.c.no == sa.bindparam("no")).with_for_update()
)
_SELECT_CASE_WITH_TASK = (
    sa.select(*_CASE_COLUMNS, *tasks.c)
    .select_from(
        applications.outerjoin(
            tasks,
            sa.and_(tasks.c.case_no == applications.c.no, tasks.c.id == sa.bindparam("task_id")),
        )
    )
    .where(applications.c.no == sa.bindparam("no"))
)
_SELECT_TASK_WITH_CASE = (
    sa.select(*_CASE_COLUMNS, *tasks.c)
    .select_from(tasks.join(applications))
    .where(tasks.c.id == sa.bindparam("task_id"))
)
_LOCK_CASE = (
    sa.select(applications.c.no).where(applications.c.no == sa.bindparam("no")).with_for_update()
)
_LOCK_CASE_OF_TASK = (
    sa.select(applications.c.no)
    .where(
        applications.c.no
        == sa.select(tasks.c.case_no).where(tasks.c.id == sa.bindparam("task_id")).scalar_subquery()
    )
    .with_for_update()
)


async def lock_case(db: AsyncConnection, no: str) -> None:
    """Have no other write to a case before this transaction ends."""
    await _lock(db, _LOCK_CASE, {"no": no})


async def _lock(
    db: AsyncConnection, statement: sa.Select[*tuple[Any, ...]], which: Mapping[str, str]
) -> None:
    # A statement that waits for a lock on PostgreSQL sees the locked row as it is afterwards, but
    # what is joined to it as it was before: so the lock is taken first. SQLite has one writer.
    if db.dialect.name == "postgresql":
        await db.execute(statement, which)


async def locked_case(db: AsyncConnection, no: str) -> AnyRow:
    """Select a case and lock it.

    Raises:
        UnknownCase: there is no such case.
    """
    row = (await db.execute(_SELECT_CASE, {"no": no})).first()
    if row is None:
        raise UnknownCase(no)
    return row


async def locked_case_with_task(db: AsyncConnection, no: str, task_id: str) -> AnyRow:
    """Select a case and lock it; the task's columns are null if there is no such task.

    Raises:
        UnknownCase: there is no such case.
    """
    await lock_case(db, no)
    found = await db.execute(_SELECT_CASE_WITH_TASK, {"no": no, "task_id": task_id})
    row = found.first()
    if row is None:
        raise UnknownCase(no)
    return row


async def locked_task(db: AsyncConnection, task_id: str) -> AnyRow:
    """Select a task with its case, and lock the case.

    Raises:
        UnknownTask: there is no such task.
    """
    await _lock(db, _LOCK_CASE_OF_TASK, {"task_id": task_id})
    row = (await db.execute(_SELECT_TASK_WITH_CASE, {"task_id": task_id})).first()
    if row is None:
        raise UnknownTask(task_id)
    return row
