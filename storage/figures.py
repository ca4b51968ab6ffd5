"""The figures of supervision (RB-11.1): counted and summed by the database, never case by case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.connection import TaskKind
from domain.working_time import CIVIL_ZONE
from storage.database import snapshot
from storage.tables import applications, results, tasks


@dataclass(frozen=True, slots=True)
class Completed:
    """The clocks of one kind and limit that stopped in one month and district.

    Attributes:
        limit_working_days: None is tracked without a target (RB-2.6).
        month: its first day.
        cases: how many there are; of a clock of bundles, how many bundles.
        net: working days that counted, of all of them together.
        within_limit: how many kept the limit themselves; 0 without one.
    """

    clock: str
    limit_working_days: int | None
    district: str
    month: date
    cases: int
    net: int
    within_limit: int


@dataclass(frozen=True, slots=True)
class Decided:
    """The permit tasks that one department decided in a period, and how many of them late."""

    agency: str
    done: int
    late: int


@dataclass(frozen=True, slots=True)
class Owed:
    """Open tasks with a limit, of one agency and kind.

    Attributes:
        due_on: None if their clocks stand still (RB-4.6).
    """

    agency: str
    kind: TaskKind
    due_on: date | None
    tasks: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one moment."""

    completed: tuple[Completed, ...]
    decided: tuple[Decided, ...]
    owed: tuple[Owed, ...]


async def read_figures(
    engine: AsyncEngine, first: date, last: date, district: str | None = None
) -> Figures:
    """Return what was completed and decided from `first` to `last`, and what is owed now.

    Args:
        first, last: civil dates, both included.
        district: None is the whole city.
    """
    async with snapshot(engine) as db:
        return Figures(
            await _completed(db, first, last, district),
            await _decided(db, first, last, district),
            await _owed(db, district),
        )


async def _completed(
    db: AsyncConnection, first: date, last: date, district: str | None
) -> tuple[Completed, ...]:
    by_day = (
        results.c.stopped_on,
        results.c.clock,
        results.c.limit_working_days,
        results.c.district,
    )
    # In the order of the index: summing up by day needs no sorting, and days are few.
    days = (
        sa.select(
            *by_day,
            sa.func.count().label("cases"),
            sa.func.sum(results.c.net).label("net"),
            sa.func.count().filter(results.c.is_met).label("within_limit"),
        )
        .where(results.c.stopped_on.between(first, last))
        .group_by(*by_day)
    )
    if district is not None:
        days = days.where(results.c.district == district)
    per_day = days.subquery()
    group = (
        per_day.c.clock,
        per_day.c.limit_working_days,
        per_day.c.district,
        sa.extract("year", per_day.c.stopped_on).label("year"),
        sa.extract("month", per_day.c.stopped_on).label("month"),
    )
    sums = [
        sa.cast(sa.func.sum(per_day.c[name]), sa.Integer).label(name)
        for name in ("cases", "net", "within_limit")
    ]
    rows = await db.execute(sa.select(*group, *sums).group_by(*group))
    return tuple(
        Completed(
            row.clock,
            row.limit_working_days,
            row.district,
            date(int(row.year), int(row.month), 1),
            row.cases,
            row.net,
            row.within_limit,
        )
        for row in rows
    )


async def _decided(
    db: AsyncConnection, first: date, last: date, district: str | None
) -> tuple[Decided, ...]:
    statement = (
        sa.select(
            tasks.c.owed_by,
            sa.func.count().label("done"),
            sa.func.count().filter(tasks.c.is_late).label("late"),
        )
        .where(
            tasks.c.kind == _spelled(TaskKind.PERMITS),
            tasks.c.state == _spelled("done"),
            tasks.c.done_at >= _begins(first),
            tasks.c.done_at < _begins(last + timedelta(days=1)),
            *_within(district),
        )
        .group_by(tasks.c.owed_by)
    )
    rows = await db.execute(statement)
    return tuple(Decided(row.owed_by, row.done, row.late) for row in rows)


async def _owed(db: AsyncConnection, district: str | None) -> tuple[Owed, ...]:
    group = (tasks.c.owed_by, tasks.c.kind, tasks.c.due_on)
    statement = (
        sa.select(*group, sa.func.count().label("count"))
        .where(
            tasks.c.state == _spelled("open"),
            tasks.c.limit_working_days.is_not(None),
            *_within(district),
        )
        .group_by(*group)
    )
    rows = await db.execute(statement)
    return tuple(Owed(owed_by, TaskKind(kind), due_on, n) for owed_by, kind, due_on, n in rows)


def _within(district: str | None) -> list[sa.ColumnElement[bool]]:
    if district is None:
        return []
    # A join would be walked from the tasks: many times slower.
    numbers = sa.select(applications.c.no).where(applications.c.district == district)
    return [tasks.c.case_no.in_(numbers)]


def _spelled(word: str) -> sa.BindParameter[str]:
    """Spell a word out in the statement.

    An index of just the rows with these words then answers alone; were they bound, SQLite would
    look each row up to compare them.
    """
    return sa.bindparam(None, str(word), literal_execute=True)


def _begins(day: date) -> datetime:
    """Return the instant at which a civil date begins (RB-1.1)."""
    return datetime.combine(day, time.min, CIVIL_ZONE)
