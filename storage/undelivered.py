"""What has not reached whom it is for (RB-12.1): pushes, outcomes, messages of changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, assert_never

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.database import snapshot
from storage.reading import Page
from storage.records import AnyRow
from storage.tables import messages, tasks

_NUMBER = re.compile("[0-9]{1,9}")


class Undelivered(StrEnum):
    """What can be under way, in the order in which it is listed."""

    PUSH = "push"
    """An open task that its agency's system refuses, or does not answer."""
    OUTCOME = "outcome"
    """An outcome on file that its process is not known to have."""
    MESSAGE = "message"
    """A change that an agency's system has not taken."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits to be delivered.

    Attributes:
        key: of the task, or the message's number, in the order of the list.
        since: civil instant.
        attempts, next_try_at: of messages; the engine decides on the others. Engine's instant.
        is_refused: whether the agency's system says it is wrong (4xx).
    """

    kind: Undelivered
    key: str
    id: str
    case_no: str
    task_id: str
    agency: str
    since: datetime
    problem: str | None
    is_refused: bool
    attempts: int | None = None
    next_try_at: datetime | None = None

    @classmethod
    def _of(cls, kind: Undelivered, row: AnyRow) -> Self:
        match kind:
            case Undelivered.PUSH:
                problem = row.push_failure or row.push_problem
                is_refused = row.push_failure is None
                task = (row.id, row.id, row.case_no, row.id, row.owed_by)
                return cls(kind, *task, row.push_failing_since, problem, is_refused)
            case Undelivered.OUTCOME:
                task = (row.id, row.id, row.case_no, row.id, row.owed_by)
                return cls(kind, *task, row.done_at, None, is_refused=False)
            case Undelivered.MESSAGE:
                return cls(
                    kind,
                    str(row.number),
                    row.id,
                    row.case_no,
                    row.task_id,
                    row.agency,
                    row.at,
                    row.problem,
                    row.is_refused,
                    row.attempts,
                    row.next_try_at,
                )
            case _:
                assert_never(kind)


async def undelivered(
    engine: AsyncEngine,
    *,
    kind: Undelivered | None,
    agency: str | None,
    limit: int,
    cursor: str | None,
) -> Page[Waiting]:
    """Return what waits: by kind, then by task or in the order the messages were written.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    kinds = list(Undelivered) if kind is None else [kind]
    after: str | None = None
    if cursor is not None:
        first, after = cursor_parts(cursor, 2)
        if first not in kinds or (first == Undelivered.MESSAGE and not _NUMBER.fullmatch(after)):
            raise bad_cursor()
        kinds = kinds[kinds.index(Undelivered(first)) :]
    found: list[Waiting] = []
    async with snapshot(engine) as db:
        for each in kinds:
            rows = await _rows(db, each, agency, after, limit + 1 - len(found))
            found += [Waiting._of(each, row) for row in rows]
            after = None
            if len(found) > limit:
                last = found[limit - 1]
                return Page(tuple(found[:limit]), cursor_of(last.kind.value, last.key))
    return Page(tuple(found), None)


async def _rows(
    db: AsyncConnection, kind: Undelivered, agency: str | None, after: str | None, limit: int
) -> Sequence[AnyRow]:
    match kind:
        case Undelivered.PUSH:
            is_waiting = sa.and_(tasks.c.state == "open", tasks.c.push_failing_since.is_not(None))
        case Undelivered.OUTCOME:
            is_waiting = sa.and_(tasks.c.state == "done", tasks.c.delivered == sa.false())
        case Undelivered.MESSAGE:
            is_waiting = messages.c.delivered_at.is_(None)
        case _:
            assert_never(kind)
    is_message = kind is Undelivered.MESSAGE
    key: sa.Column[Any] = messages.c.number if is_message else tasks.c.id
    whose = messages.c.agency if is_message else tasks.c.owed_by
    statement = sa.select(messages if is_message else tasks).where(is_waiting)
    if agency is not None:
        statement = statement.where(whose == agency)
    if after is not None:
        statement = statement.where(key > (int(after) if is_message else after))
    return (await db.execute(statement.order_by(key).limit(limit))).all()


async def failing_pushes(
    engine: AsyncEngine, numbers: Sequence[str], agency: str | None
) -> list[tuple[str, str]]:
    """Return case and id of the open tasks of these cases that are refused, or not answered."""
    statement = (
        sa.select(tasks.c.case_no, tasks.c.id)
        .where(
            tasks.c.state == "open",
            tasks.c.push_failing_since.is_not(None),
            tasks.c.case_no.in_(numbers),
        )
        .order_by(tasks.c.id)
    )
    if agency is not None:
        statement = statement.where(tasks.c.owed_by == agency)
    async with engine.connect() as db:
        return [(row.case_no, row.id) for row in await db.execute(statement)]
