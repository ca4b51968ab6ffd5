"""What the case file knows of cases that may be stuck (RB-12.1); the engine is asked elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.civil_clock import CivilClock
from storage.database import snapshot
from storage.records import AnyRow, clock_of
from storage.tables import applications, events, messages, tasks

NAMED_AT_MOST = 500
"""Cases that are asked for by number; of more, every case is read."""
_TURN = 200
"""Rows that are taken in before others of this process have their turn."""


@dataclass(frozen=True, slots=True)
class OwedTask:
    """An open task.

    Attributes:
        push_problem, push_failure: why its agency's system refuses it (4xx), or does not answer.
        push_failing_since: civil instant; None while there is nothing the matter with its push.
    """

    id: str
    workflow_id: str
    owed_by: str
    push_problem: str | None
    push_failure: str | None
    push_failing_since: datetime | None


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case that has not ended.

    Attributes:
        submitted_at, moved_at: civil instants; the latter of the last event of its record.
        tasks: those that are open.
    """

    no: str
    clock: CivilClock
    process_started: bool
    submitted_at: datetime
    moved_at: datetime
    tasks: tuple[OwedTask, ...]


@dataclass(frozen=True, slots=True)
class OutcomeOnFile:
    """An outcome that its process is not known to have; `done_at` is a civil instant."""

    task_id: str
    case_no: str
    workflow_id: str
    agency: str
    done_at: datetime
    clock: CivilClock


@dataclass(frozen=True, slots=True)
class ChangeOnFile:
    """A change that an agency's system has not taken; `at` is a civil instant."""

    number: int
    task_id: str
    case_no: str
    agency: str
    at: datetime
    problem: str | None
    is_refused: bool
    clock: CivilClock


@dataclass(frozen=True, slots=True)
class FileView:
    """One moment of the case file.

    Attributes:
        cases: the open ones, by number.
        changes: in the order in which they were written.
    """

    cases: Mapping[str, OpenCase]
    outcomes: tuple[OutcomeOnFile, ...]
    changes: tuple[ChangeOnFile, ...]


@dataclass(frozen=True, slots=True)
class CaseEnd:
    """When (civil) a case has ended; None while it is open."""

    ended_at: datetime | None
    clock: CivilClock


async def file_view(engine: AsyncEngine, only: Collection[str] | None = None) -> FileView:
    """Read one moment of the file.

    Args:
        only: numbers of the cases to read; None: all. Outcomes and changes are read of every case.
    """
    # Cases share a few clocks, and reading one costs as much as all else of a row.
    clock = cache(clock_of)
    is_named = only is not None and len(only) <= NAMED_AT_MOST
    async with snapshot(engine) as db:
        owed = await _tasks(db, only if is_named else None)
        found = {
            row.no: OpenCase(
                row.no,
                clock(row.clock),
                row.process_started,
                row.submitted_at,
                row.moved_at,
                tuple(owed.get(row.no, ())),
            )
            async for row in _in_turns(db, _cases(only if is_named else None))
            if only is None or row.no in only
        }
        outcomes = await _outcomes(db, clock)
        changes = await _changes(db, clock)
    return FileView(found, outcomes, changes)


async def _in_turns(db: AsyncConnection, statement: sa.Select[Any]) -> AsyncIterator[AnyRow]:
    """Yield rows, and let others have their turn between them."""
    async with db.stream(statement) as rows:
        async for some in rows.partitions(_TURN):
            for row in some:
                yield row
            await asyncio.sleep(0)


async def ends_of(engine: AsyncEngine, numbers: Collection[str]) -> Mapping[str, CaseEnd]:
    """Return how cases stand that may have ended, by number; without those not on file."""
    wanted = sorted(numbers)
    clock = cache(clock_of)
    found: dict[str, CaseEnd] = {}
    async with snapshot(engine) as db:
        for start in range(0, len(wanted), NAMED_AT_MOST):
            some = wanted[start : start + NAMED_AT_MOST]
            statement = sa.select(
                applications.c.no, applications.c.ended_at, applications.c.clock
            ).where(applications.c.no.in_(some))
            rows = await db.execute(statement)
            found |= {row.no: CaseEnd(row.ended_at, clock(row.clock)) for row in rows}
    return found


def _cases(only: Collection[str] | None) -> sa.Select[Any]:
    is_last = sa.and_(
        events.c.case_no == applications.c.no, events.c.seq == applications.c.head_seq
    )
    statement = (
        sa.select(
            applications.c.no,
            applications.c.clock,
            applications.c.process_started,
            applications.c.submitted_at,
            events.c.at.label("moved_at"),
        )
        .join(events, is_last)
        .where(applications.c.state == "open")
    )
    if only is not None:
        statement = statement.where(applications.c.no.in_(sorted(only)))
    return statement


async def _tasks(
    db: AsyncConnection, only: Collection[str] | None
) -> Mapping[str, Sequence[OwedTask]]:
    statement = sa.select(
        tasks.c.case_no,
        tasks.c.id,
        tasks.c.workflow_id,
        tasks.c.owed_by,
        tasks.c.push_problem,
        tasks.c.push_failure,
        tasks.c.push_failing_since,
        # Written out, so that the database sees which index holds just these.
    ).where(tasks.c.state == sa.bindparam(None, "open", literal_execute=True))
    if only is not None:
        statement = statement.where(tasks.c.case_no.in_(sorted(only)))
    found: dict[str, list[OwedTask]] = {}
    async for row in _in_turns(db, statement.order_by(tasks.c.id)):
        found.setdefault(row.case_no, []).append(OwedTask(*row[1:]))
    return found


async def _outcomes(
    db: AsyncConnection, clock: Callable[[str], CivilClock]
) -> tuple[OutcomeOnFile, ...]:
    statement = (
        sa.select(tasks, applications.c.clock)
        .join(applications, applications.c.no == tasks.c.case_no)
        .where(tasks.c.state == "done", tasks.c.delivered == sa.false())
        .order_by(tasks.c.id)
    )
    return tuple(
        OutcomeOnFile(
            row.id, row.case_no, row.workflow_id, row.owed_by, row.done_at, clock(row.clock)
        )
        for row in await db.execute(statement)
    )


async def _changes(
    db: AsyncConnection, clock: Callable[[str], CivilClock]
) -> tuple[ChangeOnFile, ...]:
    statement = (
        sa.select(messages, applications.c.clock)
        .join(applications, applications.c.no == messages.c.case_no)
        .where(messages.c.delivered_at.is_(None))
        .order_by(messages.c.number)
    )
    return tuple(
        ChangeOnFile(
            row.number,
            row.task_id,
            row.case_no,
            row.agency,
            row.at,
            row.problem,
            row.is_refused,
            clock(row.clock),
        )
        for row in await db.execute(statement)
    )
