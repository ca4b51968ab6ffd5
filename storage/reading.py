"""Reading the case file. Lists page by cursor: the last key seen, opaque to whoever asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any, Generic, Literal, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.civil_clock import CivilClock
from domain.connection import TaskKind
from domain.errors import UnknownCase, UnknownTask
from domain.identity import normal_phone
from domain.naming import is_case_no
from domain.task_events import NOBODY
from storage.chain import GENESIS, Break
from storage.checking import break_of_acts, break_of_calendars, break_of_case
from storage.cursors import bad_cursor, cursor_of, cursor_parts, date_and_id, instant_and_id
from storage.database import snapshot
from storage.records import AnyRow, TaskRecord, clock_of, parsed
from storage.tables import actions, applications, events, notices, register, tasks

T = TypeVar("T")

_SEQUENCE = re.compile("[0-9]{1,9}")
_KEYS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case as it stands on file. `content` holds personal data.

    Attributes:
        calendar: number of the calendar that its dates rest on.
    """

    no: str
    sequence: int
    policy: str
    clock: CivilClock
    channel: str
    voltage: str
    supply: str
    district: str
    applicant_name: str
    address: str
    content: Mapping[str, Any]
    submitted_by: str
    submitted_at: datetime
    stage: str
    reached: str | None
    state: str
    ending: str | None
    accepted_at: datetime | None
    ended_at: datetime | None
    investment: Mapping[str, Any] | None
    process_started: bool
    calendar: int

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `applications`."""
        values = {f.name: row._mapping[f.name] for f in fields(cls)}
        for name in ("content", "investment"):
            values[name] = parsed(values[name])
        values["clock"] = clock_of(values["clock"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases a list shows; None leaves a field open.

    Attributes:
        q: a case number, the applicant's telephone number however spelled, or part of the
            applicant's name or of the address.
    """

    stage: str | None = None
    state: str | None = None
    district: str | None = None
    channel: str | None = None
    q: str | None = None
    submitted_by: str | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield what holds for every case that is shown."""
        for name in ("stage", "state", "district", "channel", "submitted_by"):
            if (value := getattr(self, name)) is not None:
                column = applications.c[name]
                # With words to look for, only the index that holds those is of use.
                yield (column if self.q is None else sa.func.coalesce(column, "")) == value
        if self.q is not None:
            yield _is_sought(self.q.strip())


def _is_sought(q: str) -> sa.ColumnElement[bool]:
    # What can only be a number is asked for as such: an index knows it.
    if is_case_no(q.upper()):
        return applications.c.no == q.upper()
    if (phone := normal_phone(q)) is not None:
        return applications.c.phone == phone
    return sa.or_(
        applications.c.applicant_name.contains(q, autoescape=True),
        applications.c.address.contains(q, autoescape=True),
    )


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks a list shows; None leaves a field open.

    Attributes:
        held_by: who within the agency holds them; `NOBODY` for those that nobody does.
        due_from, due_before: civil dates, the first included; tasks without a deadline are due
            neither from nor before any.
        district: of the address, by its code.
        case_no: of a case, whole.
    """

    owed_by: str | None = None
    state: str | None = None
    kind: TaskKind | None = None
    held_by: str | None = None
    due_before: date | None = None
    due_from: date | None = None
    district: str | None = None
    case_no: str | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield what holds for every task that is shown."""
        if self.owed_by is not None:
            yield tasks.c.owed_by == self.owed_by
        if self.state is not None:
            # Written out, so that the database sees which index holds just these.
            yield tasks.c.state == sa.bindparam(None, self.state, literal_execute=True)
        if self.kind is not None:
            yield tasks.c.kind == self.kind.value
        if self.held_by == NOBODY:
            yield tasks.c.held_by.is_(None)
        elif self.held_by is not None:
            yield tasks.c.held_by == self.held_by
        if self.due_before is not None:
            yield tasks.c.due_on < self.due_before
        if self.due_from is not None:
            yield tasks.c.due_on >= self.due_from
        if self.district is not None:
            yield applications.c.district == self.district
        if self.case_no is not None:
            yield tasks.c.case_no == self.case_no


Order = Literal["opened", "due"]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next_cursor` is None on the last.

    Attributes:
        previous_cursor: of the page before, where a list has a way back; None on the first.
    """

    items: tuple[T, ...]
    next_cursor: str | None
    previous_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many open tasks of a list there are.

    Attributes:
        overdue, due_today: as their dates stand; a clock that stands still has none.
        unclaimed, mine: by who holds them.
    """

    open: int
    overdue: int
    due_today: int
    unclaimed: int
    mine: int


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """Something that somebody was told."""

    id: str
    case_no: str
    task_id: str | None
    kind: str
    recipient: str
    sent_at: datetime
    body: Mapping[str, Any]
    reply_by: date | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    reply: str | None
    replied_at: datetime | None

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `notices`."""
        return cls(**{**row._mapping, "body": parsed(row.body)})


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event of a case's record."""

    seq: int
    at: datetime
    kind: str
    by: str
    task_id: str | None
    body: Mapping[str, Any]
    hash: str


class Reading:
    """Questions to the case file; changes nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def is_reachable(self) -> bool:
        """Whether the database answers and has its tables."""
        try:
            await self._rows(sa.select(register.c.id).limit(1))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    async def case(self, no: str) -> CaseRecord:
        """Return a case.

        Raises:
            UnknownCase: there is no such case.
        """
        rows = await self._rows(sa.select(applications).where(applications.c.no == no))
        if not rows:
            raise UnknownCase(no)
        return CaseRecord.of(rows[0])

    async def cases(
        self, wanted: CaseFilter, *, limit: int, cursor: str | None
    ) -> Page[CaseRecord]:
        """Return cases, newest first.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        # Found first and read afterwards: what is looked at stands in an index, rows are long.
        found = sa.select(applications.c.sequence).where(*wanted.conditions())
        if cursor is not None:
            (last,) = cursor_parts(cursor, 1)
            if _SEQUENCE.fullmatch(last) is None:
                raise bad_cursor()
            found = found.where(applications.c.sequence < int(last))
        found = found.order_by(applications.c.sequence.desc()).limit(limit + 1)
        rows = await self._rows(
            sa.select(applications)
            .where(applications.c.sequence.in_(found.scalar_subquery()))
            .order_by(applications.c.sequence.desc())
        )
        shown = tuple(CaseRecord.of(row) for row in rows[:limit])
        return Page(shown, cursor_of(shown[-1].sequence) if len(rows) > limit else None)

    async def events(self, no: str) -> tuple[EventRecord, ...]:
        """Return everything that happened to a case, in order; empty if there is no such case."""
        rows = await self._rows(
            sa.select(events).where(events.c.case_no == no).order_by(events.c.seq)
        )
        return tuple(
            EventRecord(r.seq, r.at, r.kind, r.by, r.task_id, parsed(r.body), r.hash) for r in rows
        )

    async def task(self, task_id: str) -> TaskRecord:
        """Return a task.

        Raises:
            UnknownTask: there is no such task.
        """
        rows = await self._rows(TASKS.where(tasks.c.id == task_id))
        if not rows:
            raise UnknownTask(task_id)
        return TaskRecord.of(rows[0])

    async def case_at_once(self, no: str) -> tuple[CaseRecord, int, tuple[TaskRecord, ...]]:
        """Return a case, the number of the last event of its record, and its tasks, of one moment.

        Raises:
            UnknownCase: there is no such case.
        """
        async with snapshot(self.engine) as db:
            found = await db.execute(sa.select(applications).where(applications.c.no == no))
            if (row := found.first()) is None:
                raise UnknownCase(no)
            rows = await db.execute(
                TASKS.where(tasks.c.case_no == no).order_by(tasks.c.opened_at, tasks.c.id)
            )
            return CaseRecord.of(row), row.head_seq, tuple(map(TaskRecord.of, rows.all()))

    async def tasks_of(self, no: str) -> tuple[TaskRecord, ...]:
        """Return the tasks of a case in the order they were opened."""
        rows = await self._rows(
            TASKS.where(tasks.c.case_no == no).order_by(tasks.c.opened_at, tasks.c.id)
        )
        return tuple(TaskRecord.of(row) for row in rows)

    async def tasks_by_id(self, task_ids: Collection[str]) -> tuple[TaskRecord, ...]:
        """Return those of the tasks that there are, in no order."""
        known = [each for each in task_ids if "\x00" not in each]
        rows = await self._rows(TASKS.where(tasks.c.id.in_(known)))
        return tuple(TaskRecord.of(row) for row in rows)

    async def tasks(
        self, wanted: TaskFilter, *, limit: int, cursor: str | None, order: Order = "opened"
    ) -> Page[TaskRecord]:
        """Return tasks in the order they were opened, or by deadline, those without one last.

        Raises:
            InputRefused: the cursor is not one that was given out for this order.
        """
        statement = TASKS.where(*wanted.conditions())
        if order == "due":
            return await self._tasks_by_deadline(statement, limit, cursor)
        statement = statement.order_by(tasks.c.opened_at, tasks.c.id)
        if cursor is not None:
            opened_at, last_id = instant_and_id(cursor)
            statement = statement.where(
                sa.tuple_(tasks.c.opened_at, tasks.c.id)
                > sa.tuple_(sa.literal(opened_at, tasks.c.opened_at.type), sa.literal(last_id))
            )
        rows = await self._rows(statement.limit(limit + 1))
        shown = tuple(TaskRecord.of(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(shown, None)
        return Page(shown, cursor_of(shown[-1].opened_at.isoformat(), shown[-1].id))

    async def tasks_before(
        self, wanted: TaskFilter, *, limit: int, cursor: str
    ) -> Page[TaskRecord]:
        """Return the page before one that began after the tasks of a cursor, by deadline.

        Args:
            cursor: `previous_cursor` of that page: its own first task.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        first_due, first_id = date_and_id(cursor)
        due_on, id_ = tasks.c.due_on, tasks.c.id
        statement = TASKS.where(*wanted.conditions())
        dated = statement.where(due_on.is_not(None)).order_by(due_on.desc(), id_.desc())
        if first_due is None:
            undated = statement.where(due_on.is_(None), id_ < first_id).order_by(id_.desc())
            parts = [undated, dated]
        else:
            first = sa.tuple_(sa.literal(first_due, due_on.type), sa.literal(first_id))
            parts = [dated.where(sa.tuple_(due_on, id_) < first)]
        rows = await self._first_of(parts, limit + 1)
        if len(rows) <= limit:
            # Nothing is left before it, so it is the first page, and as long as one.
            return await self.tasks(wanted, limit=limit, cursor=None, order="due")
        shown = tuple(TaskRecord.of(row) for row in reversed(rows[:limit]))
        return Page(shown, _by_deadline(shown[-1]), _by_deadline(shown[0]))

    async def count_tasks(
        self, wanted: TaskFilter, *, overdue_before: date, today: date, holder: str
    ) -> TaskCounts:
        """Count open tasks.

        Args:
            overdue_before: civil date; what is due before it is overdue.
            holder: whose tasks are counted as their own.
        """
        due_on, count = tasks.c.due_on, sa.func.count
        is_today = sa.and_(due_on == today, due_on >= overdue_before)
        (row,) = await self._rows(
            sa.select(
                count().label("open"),
                count().filter(due_on < overdue_before).label("overdue"),
                count().filter(is_today).label("due_today"),
                count().filter(tasks.c.held_by.is_(None)).label("unclaimed"),
                count().filter(tasks.c.held_by == holder).label("mine"),
            )
            .select_from(tasks.join(applications) if wanted.district else tasks)
            .where(*replace(wanted, state="open").conditions())
        )
        return TaskCounts(*row)

    async def _tasks_by_deadline(
        self, statement: sa.Select[*tuple[Any, ...]], limit: int, cursor: str | None
    ) -> Page[TaskRecord]:
        # Databases disagree on where nulls stand in an index, so those are asked for by themselves.
        due_on = tasks.c.due_on
        dated = statement.where(due_on.is_not(None)).order_by(due_on, tasks.c.id)
        undated = statement.where(due_on.is_(None)).order_by(tasks.c.id)
        parts = [dated, undated]
        if cursor is not None:
            last_due, last_id = date_and_id(cursor)
            if last_due is None:
                parts = [undated.where(tasks.c.id > last_id)]
            else:
                last = sa.tuple_(sa.literal(last_due, due_on.type), sa.literal(last_id))
                parts = [dated.where(sa.tuple_(due_on, tasks.c.id) > last), undated]
        rows = await self._first_of(parts, limit + 1)
        shown = tuple(TaskRecord.of(row) for row in rows[:limit])
        previous = _by_deadline(shown[0]) if shown and cursor is not None else None
        if len(rows) <= limit:
            return Page(shown, None, previous)
        return Page(shown, _by_deadline(shown[-1]), previous)

    async def _first_of(
        self, parts: Iterable[sa.Select[*tuple[Any, ...]]], most: int
    ) -> list[AnyRow]:
        """Return the first rows of several statements, one after the other, of one moment."""
        rows: list[AnyRow] = []
        async with snapshot(self.engine) as db:
            for part in parts:
                if len(rows) < most:
                    rows += (await db.execute(part.limit(most - len(rows)))).all()
        return rows

    async def unstarted(self, limit: int = 200) -> tuple[CaseRecord, ...]:
        """Return cases whose process is not known to have been started, oldest first."""
        statement = (
            sa.select(applications)
            .where(applications.c.process_started == sa.false())
            .order_by(applications.c.no)
        )
        return tuple(CaseRecord.of(row) for row in await self._rows(statement.limit(limit)))

    async def undelivered(self, limit: int = 200) -> tuple[TaskRecord, ...]:
        """Return decided tasks not known to have reached their process, longest waiting first."""
        statement = TASKS.where(tasks.c.state == "done", tasks.c.delivered == sa.false()).order_by(
            tasks.c.done_at, tasks.c.id
        )
        return tuple(TaskRecord.of(row) for row in await self._rows(statement.limit(limit)))

    async def unheard(self, limit: int = 200) -> tuple[TaskRecord, ...]:
        """Return tasks whose deadline has changed without their process knowing, in id's order."""
        statement = TASKS.where(tasks.c.changes_told < tasks.c.changes).order_by(tasks.c.id)
        return tuple(TaskRecord.of(row) for row in await self._rows(statement.limit(limit)))

    async def submitted_content(self, by: str, key: str) -> Mapping[str, Any] | None:
        """Return the body that came from `by` under an idempotency key; None if none did."""
        rows = await self._rows(
            sa.select(applications.c.content).where(
                applications.c.submitted_by == by, applications.c.idempotency_key == key
            )
        )
        found: Mapping[str, Any] | None = parsed(rows[0].content) if rows else None
        return found

    async def numbers_of(self, by: str, keys: Sequence[str]) -> Mapping[str, str]:
        """Return the numbers of those of these submissions that came from `by` before, by key."""
        found: dict[str, str] = {}
        columns = sa.select(applications.c.idempotency_key, applications.c.no)
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            asked = keys[start : start + _KEYS_AT_ONCE]
            is_one = applications.c.idempotency_key.in_(asked)
            rows = await self._rows(columns.where(applications.c.submitted_by == by, is_one))
            found |= {row.idempotency_key: row.no for row in rows}
        return found

    async def behind(self, calendar: int, limit: int) -> tuple[str, ...]:
        """Return numbers of open cases whose dates rest on an older calendar, in a steady order."""
        statement = (
            sa.select(applications.c.no)
            .where(applications.c.state == "open", applications.c.calendar < calendar)
            .order_by(applications.c.calendar, applications.c.no)
        )
        return tuple(row.no for row in await self._rows(statement.limit(limit)))

    async def untold(self, limit: int) -> tuple[tuple[str, int], ...]:
        """Return open cases whose process was not told of their calendar: number, calendar."""
        statement = (
            sa.select(applications.c.no, applications.c.calendar)
            .where(
                applications.c.state == "open",
                applications.c.calendar_told < applications.c.calendar,
            )
            .order_by(applications.c.no)
        )
        return tuple((row.no, row.calendar) for row in await self._rows(statement.limit(limit)))

    async def count_behind(self, calendar: int) -> tuple[int, int]:
        """Return how many open cases rest on an older calendar, and how many are open."""
        is_open = applications.c.state == "open"
        (row,) = await self._rows(
            sa.select(
                sa.func.count().filter(applications.c.calendar < calendar).label("behind"),
                sa.func.count().label("open"),
            ).where(is_open)
        )
        return row.behind, row.open

    async def notices(
        self, *, recipient: str | None, limit: int, cursor: str | None
    ) -> Page[NoticeRecord]:
        """Return what was told, newest first.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        statement = sa.select(notices).order_by(notices.c.sent_at.desc(), notices.c.id.desc())
        if recipient is not None:
            statement = statement.where(notices.c.recipient == recipient)
        if cursor is not None:
            sent_at, last_id = instant_and_id(cursor)
            statement = statement.where(
                sa.tuple_(notices.c.sent_at, notices.c.id)
                < sa.tuple_(sa.literal(sent_at, notices.c.sent_at.type), sa.literal(last_id))
            )
        rows = await self._rows(statement.limit(limit + 1))
        shown = tuple(NoticeRecord.of(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(shown, None)
        return Page(shown, cursor_of(shown[-1].sent_at.isoformat(), shown[-1].id))

    async def is_action_taken(self, action_id: str) -> bool:
        """Whether an action that was asked for has taken effect."""
        rows = await self._rows(sa.select(actions.c.taken_at).where(actions.c.id == action_id))
        return bool(rows and rows[0].taken_at is not None)

    async def first_break(self) -> tuple[int, Break | None]:
        """Check every chain; return how many cases were checked and the first broken link.

        The whole file is read in one transaction, case by case in the order of the register.
        """
        async with snapshot(self.engine) as db:
            for check in (break_of_calendars, break_of_acts):
                if (found := await check(db)) is not None:
                    return 0, found
            last = (await db.execute(sa.select(register))).first()
            previous_hash, count = GENESIS, 0
            in_order = sa.select(applications.c.no).order_by(applications.c.sequence)
            async with db.stream_scalars(in_order) as numbers:
                async for no in numbers:
                    count += 1
                    found, previous_hash = await break_of_case(db, no, count, previous_hash)
                    if found is not None:
                        return count, found
        expected = (last.last_sequence, last.last_hash) if last else (0, GENESIS)
        if (count, previous_hash) != expected:
            return count, Break(None, None, "the register knows of cases that are missing")
        return count, None

    async def _rows(self, statement: sa.Select[*tuple[Any, ...]]) -> Sequence[AnyRow]:
        async with self.engine.connect() as db:
            return (await db.execute(statement)).all()


def _by_deadline(task: TaskRecord) -> str:
    return cursor_of(task.due_on or "", task.id)


TASKS = sa.select(
    *tasks.c,
    applications.c.policy,
    applications.c.clock,
    applications.c.content,
    applications.c.route,
    applications.c.investment,
    applications.c.asks_area.label("case_asks_area"),
).select_from(tasks.join(applications))
