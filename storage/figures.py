"""The figures of supervision (RB-11.1): counted and summed by the database, never case by case."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from domain.connection import TaskKind
from domain.task_events import TaskEvent
from domain.working_time import CIVIL_ZONE, civil_date
from storage.cursors import bad_cursor, cursor_of, cursor_parts, instant_and_id
from storage.reading import Page
from storage.records import history_of
from storage.tables import applications, notices, results, tasks

_BRANCHES = 100
"""Months that one statement counts; SQLite joins 500 parts at most."""
_AT_ONCE = 500
"""Cases whose tasks one statement reads."""


class civil_day(FunctionElement[date]):  # noqa: N801  it is written as a function of SQL
    """The civil date of an instant (RB-1.1)."""

    type = sa.Date()
    inherit_cache = True


@compiles(civil_day)
def _civil_day(element: civil_day, compiler: SQLCompiler, **kw: Any) -> str:
    inner = compiler.process(element.clauses, **kw)
    return f"CAST({inner} AT TIME ZONE '{CIVIL_ZONE.key}' AS DATE)"


@compiles(civil_day, "sqlite")
def _civil_day_of_sqlite(element: civil_day, compiler: SQLCompiler, **kw: Any) -> str:
    # It knows no zones; this one has had no other offset since 1991.
    return f"date({compiler.process(element.clauses, **kw)}, '+8 hours')"


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
class Week:
    """The same of one week, of all districts that were asked for; `first` is its Monday."""

    clock: str
    limit_working_days: int | None
    first: date
    cases: int
    net: int
    within_limit: int


@dataclass(frozen=True, slots=True)
class Decided:
    """The permit tasks that one department decided in one month, and how many of them late."""

    agency: str
    month: date
    done: int
    late: int


@dataclass(frozen=True, slots=True)
class Owed:
    """Open tasks of one agency and kind, opened on one day.

    Attributes:
        due_on: None if their clocks stand still (RB-4.6), or they have no date.
        has_limit: whether they have a limit of their own; without one, somebody set the date.
    """

    agency: str
    kind: TaskKind
    due_on: date | None
    has_limit: bool
    opened_on: date
    tasks: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Supervision notices (督办) that nobody has replied to (RB-5.2).

    Attributes:
        unseen: those of them that were not acknowledged either.
        overdue: those whose reply was due before today.
    """

    notices: int
    unseen: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one moment."""

    completed: tuple[Completed, ...]
    decided: tuple[Decided, ...]
    owed: tuple[Owed, ...]


async def read_figures(
    db: AsyncConnection, first: date, last: date, district: str | None = None
) -> Figures:
    """Return what was completed and decided from `first` to `last`, and what is owed now.

    Args:
        db: that sees one moment.
        first, last: civil dates, both included.
        district: None is the whole city.
    """
    return Figures(
        await _completed(db, first, last, district),
        await _decided(db, first, last, district),
        await count_owed(db, district=district),
    )


# ---------------------------------------------------------------- what was completed


_BY_DAY = (
    results.c.stopped_on,
    results.c.clock,
    results.c.limit_working_days,
    results.c.district,
)
_SUMS = (
    sa.func.count().label("cases"),
    sa.func.sum(results.c.net).label("net"),
    sa.func.count().filter(results.c.is_met).label("within_limit"),
)


async def _completed(
    db: AsyncConnection, first: date, last: date, district: str | None
) -> tuple[Completed, ...]:
    # In the order of the index: summing up by day needs no sorting, and days are few.
    days = (
        sa.select(*_BY_DAY, *_SUMS)
        .where(results.c.stopped_on.between(first, last))
        .group_by(*_BY_DAY)
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


async def read_weeks(
    db: AsyncConnection, first: date, last: date, district: str | None = None
) -> tuple[Week, ...]:
    """Return what was completed week by week, in order; the first and the last may be cut off."""
    group = _BY_DAY[:3]
    statement = (
        sa.select(*group, *_SUMS)
        .where(results.c.stopped_on.between(first, last))
        .group_by(*group)
        .order_by(*group)
    )
    if district is not None:
        statement = statement.where(results.c.district == district)
    found: dict[tuple[date, str, int | None], list[int]] = {}
    for row in await db.execute(statement):
        monday = row.stopped_on - timedelta(days=row.stopped_on.weekday())
        sums = found.setdefault((monday, row.clock, row.limit_working_days), [0, 0, 0])
        for place, value in enumerate((row.cases, row.net, row.within_limit)):
            sums[place] += int(value)
    return tuple(
        Week(clock, limit, monday, *sums) for (monday, clock, limit), sums in found.items()
    )


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Which stopped clocks a list shows; None leaves a field open.

    Attributes:
        first, last: civil dates on which they stopped, both included.
        limit_working_days: 0 for those without a target (RB-2.6).
        is_met: whether they kept their limit.
    """

    first: date
    last: date
    clock: str | None = None
    limit_working_days: int | None = None
    district: str | None = None
    is_met: bool | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield what holds for every result that is shown."""
        yield results.c.stopped_on.between(self.first, self.last)
        if self.clock is not None:
            yield results.c.clock == self.clock
        if self.limit_working_days == 0:
            yield results.c.limit_working_days.is_(None)
        elif self.limit_working_days is not None:
            yield results.c.limit_working_days == self.limit_working_days
        if self.district is not None:
            yield results.c.district == self.district
        if self.is_met is not None:
            yield results.c.is_met.is_(self.is_met)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A stopped clock."""

    case_no: str
    clock: str
    round: int
    district: str
    started_on: date
    stopped_on: date
    gross: int
    net: int
    limit_working_days: int | None
    is_met: bool | None


@dataclass(frozen=True, slots=True)
class Counted:
    """A page of a list of results, and what all of its pages come to.

    Attributes:
        cases: how many there are.
        net: working days that counted, of all of them together.
    """

    page: Page[ResultRow]
    cases: int
    net: int


async def read_results(
    db: AsyncConnection,
    wanted: ResultFilter,
    *,
    limit: int,
    cursor: str | None,
    counted: tuple[int, int] | None = None,
) -> Counted:
    """Return stopped clocks, the latest first.

    Args:
        counted: cases and working days of all pages, if they are known.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    conditions = [*wanted.conditions()]
    of_all = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(results.c.net), 0))
    cases, net = counted or (await db.execute(of_all.where(*conditions))).one()
    key = (results.c.stopped_on, results.c.case_no, results.c.clock, results.c.round)
    names = ResultRow.__slots__
    statement = sa.select(*(results.c[name] for name in names)).order_by(
        *(column.desc() for column in key)
    )
    if cursor is not None:
        stopped_on, *text, last_round = cursor_parts(cursor, 4)
        if not last_round.isdecimal() or len(last_round) > 9:
            raise bad_cursor()
        last_day, last_no = _day(stopped_on), [sa.literal(each) for each in text]
        # The comparison alone would have later days read as well, and left out one by one.
        conditions = [*replace(wanted, last=min(wanted.last, last_day)).conditions()]
        last = sa.tuple_(
            sa.literal(last_day, results.c.stopped_on.type), *last_no, sa.literal(int(last_round))
        )
        statement = statement.where(sa.tuple_(*key) < last)
    rows = (await db.execute(statement.where(*conditions).limit(limit + 1))).all()
    shown = tuple(ResultRow(*row) for row in rows[:limit])
    following = None
    if len(rows) > limit:
        end = shown[-1]
        following = cursor_of(end.stopped_on, end.case_no, end.clock, end.round)
    return Counted(Page(shown, following), cases, int(net))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise bad_cursor() from None


# ---------------------------------------------------------------- what was decided


async def _decided(
    db: AsyncConnection, first: date, last: date, district: str | None
) -> tuple[Decided, ...]:
    found: list[Decided] = []
    # Month by month, each a stretch of the index: the civil month of every row would cost more.
    months = [*_months(*await _decided_between(db, first, last))]
    for begin in range(0, len(months), _BRANCHES):
        parts = [_decided_in(*month, district) for month in months[begin : begin + _BRANCHES]]
        rows = await db.execute(sa.union_all(*parts))
        found += [
            Decided(row.owed_by, months[row.month][0].replace(day=1), row.done, row.late)
            for row in rows
        ]
    return tuple(found)


async def _decided_between(db: AsyncConnection, first: date, last: date) -> tuple[date, date]:
    """Cut a period down to the days on which anything was decided."""
    done_at = tasks.c.done_at
    earliest, latest = (
        await db.execute(
            sa.select(
                sa.select(sa.func.min(done_at)).where(*_decided_in_all()).scalar_subquery(),
                sa.select(sa.func.max(done_at)).where(*_decided_in_all()).scalar_subquery(),
            )
        )
    ).one()
    if earliest is None:
        return date.max, date.min
    first = max(first, earliest.astimezone(CIVIL_ZONE).date())
    return first, min(last, latest.astimezone(CIVIL_ZONE).date())


def _months(first: date, last: date) -> Iterator[tuple[date, date, int]]:
    """Yield the first and the last day of each month of a period, and its place."""
    place = 0
    while first <= last:
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first, min(last, following - timedelta(days=1)), place
        first, place = following, place + 1


def _decided_in_all() -> tuple[sa.ColumnElement[bool], ...]:
    return (tasks.c.kind == _spelled(TaskKind.PERMITS), tasks.c.state == _spelled("done"))


def _decided_from(first: date, last: date) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        *_decided_in_all(),
        tasks.c.done_at >= _begins(first),
        tasks.c.done_at < _begins(last + timedelta(days=1)),
    )


def _decided_in(
    first: date, last: date, place: int, district: str | None
) -> sa.Select[tuple[str, int, int, int]]:
    return (
        sa.select(
            tasks.c.owed_by,
            sa.literal(place).label("month"),
            sa.func.count().label("done"),
            sa.func.count().filter(tasks.c.is_late).label("late"),
        )
        .select_from(_of_district(district))
        .where(*_decided_from(first, last), *_within(district))
        .group_by(tasks.c.owed_by)
    )


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A permit task that was decided."""

    id: str
    case_no: str
    owed_by: str
    opened_at: datetime
    due_on: date | None
    done_at: datetime
    is_late: bool


async def read_decisions(
    db: AsyncConnection,
    first: date,
    last: date,
    *,
    agency: str | None = None,
    district: str | None = None,
    is_late: bool | None = None,
    limit: int,
    cursor: str | None,
    counted: int | None = None,
) -> tuple[Page[DecisionRow], int]:
    """Return the permit tasks that were decided in a period, latest first, and how many.

    Args:
        counted: how many, if it is known.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    conditions = _within(district)
    if agency is not None:
        conditions.append(tasks.c.owed_by == agency)
    if is_late is not None:
        conditions.append(tasks.c.is_late.is_(is_late))
    source = _of_district(district)
    if counted is None:
        within = _decided_from(first, last)
        of_all = sa.select(sa.func.count()).select_from(source).where(*within, *conditions)
        counted = await db.scalar(of_all)
    key = (tasks.c.done_at, tasks.c.id)
    names = DecisionRow.__slots__
    statement = (
        sa.select(*(tasks.c[name] for name in names))
        .select_from(source)
        .where(*conditions)
        .order_by(*(column.desc() for column in key))
    )
    if cursor is not None:
        done_at, last_id = instant_and_id(cursor)
        # The comparison alone would have later days read as well, and left out one by one.
        last = min(last, civil_date(done_at))
        seen = sa.tuple_(sa.literal(done_at, tasks.c.done_at.type), sa.literal(last_id))
        statement = statement.where(sa.tuple_(*key) < seen)
    statement = statement.where(*_decided_from(first, last)).limit(limit + 1)
    rows = (await db.execute(statement)).all()
    shown = tuple(DecisionRow(*row) for row in rows[:limit])
    following = cursor_of(shown[-1].done_at.isoformat(), shown[-1].id) if rows[limit:] else None
    return Page(shown, following), int(counted or 0)


# ---------------------------------------------------------------- what is owed now


async def count_owed(
    db: AsyncConnection,
    *,
    agency: str | None = None,
    kind: TaskKind | None = None,
    district: str | None = None,
) -> tuple[Owed, ...]:
    """Return open tasks, those that are alike together."""
    group: tuple[sa.ColumnElement[Any], ...] = (
        tasks.c.owed_by,
        tasks.c.kind,
        tasks.c.due_on,
        tasks.c.limit_working_days.is_not(None).label("has_limit"),
        civil_day(tasks.c.opened_at).label("opened_on"),
    )
    statement = (
        sa.select(*group, sa.func.count().label("tasks"))
        .select_from(_of_district(district))
        .where(*_owed_by(agency, kind, district))
        .group_by(*group)
    )
    return tuple(
        Owed(
            row.owed_by,
            TaskKind(row.kind),
            row.due_on,
            bool(row.has_limit),
            row.opened_on,
            row.tasks,
        )
        for row in await db.execute(statement)
    )


@dataclass(frozen=True, slots=True)
class OwedRow:
    """An open task, as far as its light and age go."""

    id: str
    case_no: str
    owed_by: str
    kind: str
    due_on: date | None
    limit_working_days: int | None
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class OwedTogether:
    """Open tasks that are as urgent as each other.

    Attributes:
        due_on: on which they may be due; empty are those without a date.
        has_limit: whether they have a limit of their own; None leaves it open.
    """

    due_on: frozenset[date]
    has_limit: bool | None

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """What holds for each of them."""
        is_due = tasks.c.due_on.in_(sorted(self.due_on)) if self.due_on else _NO_DATE
        return is_due if self.has_limit is None else sa.and_(is_due, _limited(self.has_limit))


_NO_DATE = tasks.c.due_on.is_(None)


def _limited(has_limit: bool) -> sa.ColumnElement[bool]:
    limit = tasks.c.limit_working_days
    return limit.is_not(None) if has_limit else limit.is_(None)


async def read_owed(
    db: AsyncConnection,
    together: Sequence[OwedTogether],
    *,
    agency: str | None = None,
    kind: TaskKind | None = None,
    district: str | None = None,
    opened: tuple[date, date] | None = None,
    after: str = "",
    limit: int,
) -> tuple[tuple[int, OwedRow], ...]:
    """Return open tasks in the order of `together` and of their ids, each with its place there.

    Args:
        opened: first and last civil date on which they were opened.
        after: id; of the first of `together` only what comes after it.
    """
    conditions = [*_owed_by(agency, kind, district), sa.or_(*(each.condition for each in together))]
    if opened is not None:
        conditions += _on_days(tasks.c.opened_at, *opened)
    place = _place([each.condition for each in together])
    if after:
        conditions.append(sa.or_(tasks.c.id > after, place > 0))
    statement = (
        sa.select(place.label("place"), *(tasks.c[name] for name in OwedRow.__slots__))
        .select_from(_of_district(district))
        .where(*conditions)
        .order_by("place", tasks.c.id)
        .limit(limit)
    )
    return tuple((row[0], OwedRow(*row[1:])) for row in await db.execute(statement))


def _owed_by(
    agency: str | None, kind: TaskKind | None, district: str | None
) -> list[sa.ColumnElement[bool]]:
    conditions = [tasks.c.state == _spelled("open"), *_within(district)]
    if agency is not None:
        conditions.append(tasks.c.owed_by == agency)
    if kind is not None:
        conditions.append(tasks.c.kind == kind.value)
    return conditions


async def count_unanswered(
    db: AsyncConnection, today: date, district: str | None = None
) -> Unanswered:
    """Count the supervision notices that nobody has replied to."""
    source: sa.FromClause = notices
    if district is not None:
        source = notices.join(applications, applications.c.no == notices.c.case_no)
    row = (
        await db.execute(
            sa.select(
                sa.func.count(),
                sa.func.count().filter(notices.c.acknowledged_at.is_(None)),
                sa.func.count().filter(notices.c.reply_by < today),
            )
            .select_from(source)
            .where(
                notices.c.kind == _spelled("supervision"),
                notices.c.replied_at.is_(None),
                *_within(district),
            )
        )
    ).one()
    return Unanswered(*row)


# ---------------------------------------------------------------- open cases


@dataclass(frozen=True, slots=True)
class OpenCases:
    """Open cases that are alike, as far as clocks without segments go; or just one.

    Attributes:
        calendar: number of the calendar that their dates rest on.
        submitted_on, accepted_on: civil dates; `accepted_on` is None before they are accepted.
        cases: how many.
        no, head_seq: of one case: its number, and that of the last event of its record.
    """

    district: str
    stage: str
    voltage: str
    supply: str
    policy: str
    calendar: int
    submitted_on: date
    accepted_on: date | None
    cases: int = 1
    no: str = ""
    head_seq: int = 0


@dataclass(frozen=True, slots=True)
class OpenCaseTask:
    """What of a task the clocks of its case depend on."""

    kind: TaskKind
    department: str | None
    round: int
    segment: str
    opened_at: datetime
    done_at: datetime | None
    history: tuple[TaskEvent, ...]


_ALIKE: tuple[sa.ColumnElement[Any], ...] = (
    *(
        applications.c[name]
        for name in ("district", "stage", "voltage", "supply", "policy", "calendar")
    ),
    civil_day(applications.c.submitted_at).label("submitted_on"),
    civil_day(applications.c.accepted_at).label("accepted_on"),
)
_IS_OPEN = applications.c.state == sa.bindparam(None, "open", literal_execute=True)


async def count_open_cases(
    db: AsyncConnection, district: str | None = None, stage: str | None = None
) -> tuple[OpenCases, ...]:
    """Return open cases, those that are alike together."""
    statement = (
        sa.select(*_ALIKE, sa.func.count())
        .where(_IS_OPEN, *_within(district), *_at_stage(stage))
        .group_by(*_ALIKE)
    )
    return tuple(OpenCases(*row) for row in await db.execute(statement))


async def read_open_cases(
    db: AsyncConnection,
    *,
    district: str | None = None,
    stage: str | None = None,
    supplied: Collection[tuple[str, str]] | None = None,
) -> tuple[OpenCases, ...]:
    """Return open cases one by one, in no order.

    Args:
        supplied: voltages with supplies; only such cases, and only accepted ones.
    """
    conditions = [_IS_OPEN, *_within(district), *_at_stage(stage)]
    if supplied is not None:
        alike = [
            sa.and_(applications.c.voltage == voltage, applications.c.supply == supply)
            for voltage, supply in sorted(supplied)
        ]
        conditions += [applications.c.accepted_at.is_not(None), sa.or_(sa.false(), *alike)]
    statement = sa.select(*_ALIKE, sa.literal(1), applications.c.no, applications.c.head_seq).where(
        *conditions
    )
    return tuple(OpenCases(*row) for row in await db.execute(statement))


class Accepted(NamedTuple):
    """What clocks that look at nothing else follow from; `on` is None before it is accepted."""

    policy: str
    calendar: int
    voltage: str
    supply: str
    on: date | None

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """What holds for every case of which this is so."""
        accepted_at = applications.c.accepted_at
        is_on = [accepted_at.is_(None)] if self.on is None else _on_days(accepted_at, self.on)
        return sa.and_(
            applications.c.policy == self.policy,
            applications.c.calendar == self.calendar,
            applications.c.voltage == self.voltage,
            applications.c.supply == self.supply,
            *is_on,
        )


async def read_accepted(
    db: AsyncConnection,
    together: Sequence[Collection[Accepted]],
    *,
    district: str | None = None,
    stage: str | None = None,
    submitted: tuple[date, date] | None = None,
    after: str = "",
    limit: int,
) -> tuple[tuple[int, OpenCases], ...]:
    """Return open cases in the order of `together` and of their numbers, each with its place there.

    Args:
        together: cases that are as urgent as each other.
        submitted: first and last civil date on which they were submitted.
        after: number; of the first of `together` only what comes after it.
    """
    alike = [
        sa.or_(sa.false(), *(each.condition for each in sorted(one, key=str))) for one in together
    ]
    place = _place(alike)
    conditions = [_IS_OPEN, *_within(district), *_at_stage(stage), sa.or_(*alike)]
    if submitted is not None:
        conditions += _on_days(applications.c.submitted_at, *submitted)
    if after:
        conditions.append(sa.or_(applications.c.no > after, place > 0))
    statement = (
        sa.select(place.label("place"), *_ALIKE, sa.literal(1), applications.c.no)
        .where(*conditions)
        .order_by("place", applications.c.no)
        .limit(limit)
    )
    return tuple((row[0], OpenCases(*row[1:])) for row in await db.execute(statement))


async def read_clocked_tasks(
    db: AsyncConnection, numbers: Collection[str]
) -> Mapping[str, list[OpenCaseTask]]:
    """Return what the clocks of these cases depend on, as it was opened."""
    found: dict[str, list[OpenCaseTask]] = {no: [] for no in numbers}
    names = ("case_no", *OpenCaseTask.__slots__)
    wanted = sorted(numbers)
    for begin in range(0, len(wanted), _AT_ONCE):
        statement = (
            sa.select(*(tasks.c[name] for name in names))
            .where(tasks.c.case_no.in_(wanted[begin : begin + _AT_ONCE]))
            .order_by(tasks.c.opened_at, tasks.c.id)
        )
        for row in await db.execute(statement):
            task = OpenCaseTask(
                TaskKind(row.kind),
                row.department,
                row.round,
                row.segment,
                row.opened_at,
                row.done_at,
                history_of(row.history),
            )
            found[row.case_no].append(task)
    return found


# ---------------------------------------------------------------- conditions


def _of_district(district: str | None) -> sa.FromClause:
    return tasks if district is None else tasks.join(applications)


def _within(district: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if district is None else [applications.c.district == district]


def _at_stage(stage: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if stage is None else [applications.c.stage == stage]


def _on_days(
    at: sa.ColumnElement[Any], first: date, last: date | None = None
) -> list[sa.ColumnElement[bool]]:
    return [at >= _begins(first), at < _begins((last or first) + timedelta(days=1))]


def _place(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.ColumnElement[int]:
    """Return which of these holds."""
    return sa.case(*((each, place) for place, each in enumerate(conditions)))


def _spelled(word: str) -> sa.BindParameter[str]:
    """Spell a word out in the statement.

    An index of just the rows with these words then answers alone; were they bound, SQLite would
    look each row up to compare them.
    """
    return sa.bindparam(None, str(word), literal_execute=True)


def _begins(day: date) -> datetime:
    """Return the instant at which a civil date begins (RB-1.1)."""
    return datetime.combine(day, time.min, CIVIL_ZONE)
