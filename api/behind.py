"""What stands behind the figures of supervision: the cases, results, tasks and decisions counted.

Each list takes the parameters of one figure, and its `total` is the number that figure shows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.contract import civil_text
from api.ages import Age, Ages
from api.applications import Cursor, Limit, Sought
from api.auth import Caller, SignedIn
from api.kept import Kept
from api.open_cases import (
    SHADES,
    Lamps,
    LitCase,
    Shade,
    Shown,
    Standing,
    Stood,
    calendars_of,
    counted_cases,
    plain_standings,
)
from api.schemas import refusals
from api.services import Services, Serving
from api.supervision import District, From, To, names_of, period, shade_of
from api.supervision_schemas import (
    DecisionPage,
    OpenCasePage,
    OwedTaskPage,
    ResultPage,
)
from domain.access import Act
from domain.clocks import light_of_due
from domain.connection import TaskKind
from domain.policy import Policy
from domain.working_time import Calendar, civil_date
from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.database import snapshot
from storage.figures import (
    Accepted,
    OpenCases,
    Owed,
    OwedRow,
    OwedTogether,
    ResultFilter,
    ResultRow,
    count_owed,
    read_accepted,
    read_decisions,
    read_owed,
    read_results,
)

router = APIRouter(prefix="/supervision", tags=["supervision"])

LightNow = Annotated[
    Shade | None,
    Query(description="Light now; `suspended` stands still, `none` has no limit or did not begin"),
]
OfAge = Annotated[Age | None, Query(description="Age in working days, both ends included")]
_NO_DAYS_LEFT_SAID = 10**6
"""Sorts what has no days left to be said behind everything that has."""


class Moment:
    """One moment of the file, in which a page of a list is read, or all of them.

    Attributes:
        db: that sees this moment.
        days: the calendar in force.
        is_file: whether all pages are read. Then nothing is taken from memory that may be of the
            moment before.
    """

    def __init__(
        self, services: Services, db: AsyncConnection, days: Calendar, *, is_file: bool
    ) -> None:
        self.services, self.db, self.days, self.is_file = services, db, days, is_file
        self.civil_now: datetime = services.settings.clock.civil(services.now())
        self.ages = Ages(days, self.today)
        self.counted: dict[ResultsWanted | DecisionsWanted, tuple[int, int]] = {}
        self._ranked: dict[Any, Any] = {}

    @property
    def policy(self) -> Policy:
        """The policy in service."""
        return self.services.policy

    @property
    def today(self) -> date:
        """The civil date."""
        return civil_date(self.civil_now)

    async def cases(self, wanted: CasesWanted) -> _CaseList:
        """Return a list of open cases, ranked once."""
        if wanted not in self._ranked:
            self._ranked[wanted] = await _CaseList.of(self, wanted)
        found: _CaseList = self._ranked[wanted]
        return found

    async def tasks(self, wanted: TasksWanted) -> _TaskList:
        """Return a list of open tasks, ranked once."""
        if wanted not in self._ranked:
            self._ranked[wanted] = await _TaskList.of(self, wanted)
        found: _TaskList = self._ranked[wanted]
        return found


@asynccontextmanager
async def moment(services: Services, *, is_file: bool = False) -> AsyncIterator[Moment]:
    """Read lists as they stand now."""
    days = (await services.calendars.current()).calendar
    async with snapshot(services.reading.engine) as db:
        yield Moment(services, db, days, is_file=is_file)


_kept = Kept[tuple[str | None, str | None], Stood]()


async def _stood(at: Moment, wanted: CasesWanted) -> Stood:
    async def read(db: AsyncConnection) -> Stood:
        return await counted_cases(db, at.services, wanted.district, wanted.stage)

    if at.is_file:
        return await read(at.db)
    asked = (wanted.district, wanted.stage)
    return await _kept.answer(at.services.reading.engine, asked, read)


# ---------------------------------------------------------------- open cases


@router.get(
    "/cases",
    name=Act.SEE_SUPERVISION,
    response_model=OpenCasePage,
    summary="Open cases by light, most urgent first",
    responses=refusals(401, 403, 422),
)
async def list_open_cases(
    caller: SignedIn,
    services: Serving,
    stage: Sought = None,
    district: District = None,
    light: LightNow = None,
    clock: Annotated[
        Sought,
        Query(description="A clock that has not stopped; then `light` is that of this clock"),
    ] = None,
    age: OfAge = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through open cases; of a clock, through what it runs for, so that a case with two
    bundles may come twice."""
    wanted = CasesWanted(stage, district, light, clock, age)
    async with moment(services) as at:
        return await open_cases(at, caller, wanted, limit=limit, cursor=cursor)


@dataclass(frozen=True, slots=True)
class CasesWanted:
    """Which open cases a list shows; None leaves a field open.

    Attributes:
        light: of the clock, if there is one, otherwise of the case.
    """

    stage: str | None = None
    district: str | None = None
    light: Shade | None = None
    clock: str | None = None
    age: Age | None = None


async def open_cases(
    at: Moment, caller: Caller, wanted: CasesWanted, *, limit: int, cursor: str | None = None
) -> Mapping[str, Any]:
    """Return a page of open cases; see `list_open_cases`."""
    caller.needs(Act.SEE_SUPERVISION)
    period(None, None, wanted.district, at.policy, at.today)
    found = await at.cases(wanted)
    rows = await found.page(at.db, limit + 1, _last_of(cursor))
    return {
        "total": found.total,
        "items": [_open_case(row, at.ages, at.policy) for row in rows[:limit]],
        "next_cursor": cursor_of(*rows[limit - 1].place) if len(rows) > limit else None,
    }


@dataclass(frozen=True, slots=True)
class _CaseRow:
    """A case in a list, or cases that are alike; in a list of a clock, with its light."""

    lit: LitCase
    shade: Shade
    left: int | None
    round: int = 0

    @property
    def place(self) -> _Place:
        """Where it stands in a list."""
        return (*_urgency(self.shade, self.left), f"{self.lit.case.no}.{self.round}")


class _CaseList:
    """Open cases by how urgent they are.

    Cases that are alike are ranked together, and only those on a page are read one by one.
    """

    def __init__(self, wanted: CasesWanted, lamps: Lamps, at: Moment) -> None:
        self._wanted, self._lamps = wanted, lamps
        self._alone = _Ranks[_CaseRow]()
        self._alike = _Ranks[_CaseRow]()
        self._submitted = _Days(at.ages, wanted.age)
        self._standings = plain_standings(lamps.calendars)

    @classmethod
    async def of(cls, at: Moment, wanted: CasesWanted) -> _CaseList:
        """Rank all of them."""
        stood = await _stood(at, wanted)
        lamps = Lamps(at.civil_now, await calendars_of((case for case, _ in stood), at.services))
        found = cls(wanted, lamps, at)
        for case, standings in stood:
            if found._submitted.has(case.submitted_on):
                ranks = found._alone if case.no else found._alike
                for row in found._rows_of(lamps.lit(case, standings)):
                    ranks.add(_urgency(row.shade, row.left), row, case.cases)
        return found

    @property
    def total(self) -> int:
        """How many rows there are."""
        return self._alone.total + self._alike.total

    def _rows_of(self, lit: LitCase) -> Sequence[_CaseRow]:
        clock, light = self._wanted.clock, self._wanted.light
        if clock is None:
            rows = [_CaseRow(lit, lit.shade, lit.left)]
        else:
            rows = [
                _CaseRow(lit, shown.shade, shown.left, standing.round)
                for standing, shown in lit.clocks
                if standing.clock == clock
            ]
        return [row for row in rows if light in (None, row.shade)]

    async def page(self, db: AsyncConnection, limit: int, last: _Place | None) -> list[_CaseRow]:
        """Return so many rows after the last that was shown."""
        ranks = _needed(limit, last, self._alone, self._alike)
        rows = [row for rank in ranks for row in self._alone.of(rank)]
        rows += await self._read(db, [rank for rank in ranks if self._alike.of(rank)], limit, last)
        in_order = sorted(rows, key=lambda row: row.place)
        return [row for row in in_order if last is None or row.place > last][:limit]

    async def _read(
        self, db: AsyncConnection, ranks: Sequence[_Rank], limit: int, last: _Place | None
    ) -> list[_CaseRow]:
        """Read cases one by one that were ranked together."""
        if not ranks:
            return []
        found = await read_accepted(
            db,
            [{_accepted(row.lit.case) for row in self._alike.of(rank)} for rank in ranks],
            district=self._wanted.district,
            stage=self._wanted.stage,
            submitted=self._submitted.ends,
            after=last[2].partition(".")[0] if last and last[:2] == ranks[0] else "",
            limit=limit,
        )
        return [
            row
            for place, case in found
            for row in self._rows_of(self._lamps.lit(case, self._standings(case)))
            if row.place[:2] == ranks[place]
        ]


def _accepted(case: OpenCases) -> Accepted:
    return Accepted(case.policy, case.calendar, case.voltage, case.supply, case.accepted_on)


def _open_case(row: _CaseRow, ages: Ages, policy: Policy) -> Mapping[str, Any]:
    case = row.lit.case
    links = {link.id: link for links in policy.links.values() for link in links}
    return {
        "no": case.no,
        "stage": {"id": case.stage, **names_of(links.get(case.stage), case.stage)},
        "district": {
            "id": case.district,
            **names_of(policy.districts.get(case.district), case.district),
        },
        "voltage": case.voltage,
        "supply": case.supply,
        "submitted_on": case.submitted_on.isoformat(),
        "accepted_on": case.accepted_on and case.accepted_on.isoformat(),
        "age": ages.working_days(case.submitted_on),
        "light": row.shade,
        "left": row.left,
        "clocks": [_standing(*each, policy) for each in row.lit.clocks],
    }


def _standing(standing: Standing, shown: Shown, policy: Policy) -> Mapping[str, Any]:
    limit, left = standing.limit, shown.left
    return {
        "id": standing.clock,
        **names_of(policy.clocks.get(standing.clock), standing.clock),
        "round": standing.round or None,
        "limit": limit,
        "net": None if limit is None or left is None else limit - left,
        "left": left,
        "due_on": standing.due_on and standing.due_on.isoformat(),
        "light": shown.shade,
        "is_suspended": standing.is_suspended,
    }


# ---------------------------------------------------------------- stopped clocks


@router.get(
    "/results",
    name=Act.SEE_SUPERVISION,
    response_model=ResultPage,
    summary="Stopped clocks behind the averages, latest first",
    responses=refusals(401, 403, 422),
)
async def list_results(
    caller: SignedIn,
    services: Serving,
    from_: From = None,
    to: To = None,
    district: District = None,
    clock: Sought = None,
    limit_working_days: Annotated[
        int | None, Query(ge=0, le=1000, description="Of this limit; 0 is without a target")
    ] = None,
    is_met: Annotated[bool | None, Query(description="Whether they kept their limit")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what stopped clocks came to, with the exact mean of all pages (RB-2.2)."""
    wanted = ResultsWanted(from_, to, district, clock, limit_working_days, is_met)
    async with moment(services) as at:
        return await stopped(at, caller, wanted, limit=limit, cursor=cursor)


@dataclass(frozen=True, slots=True)
class ResultsWanted:
    """Which stopped clocks a list shows; None leaves a field open, or what a period begins with."""

    from_: date | None = None
    to: date | None = None
    district: str | None = None
    clock: str | None = None
    limit_working_days: int | None = None
    is_met: bool | None = None


async def stopped(
    at: Moment, caller: Caller, wanted: ResultsWanted, *, limit: int, cursor: str | None = None
) -> Mapping[str, Any]:
    """Return a page of stopped clocks; see `list_results`."""
    caller.needs(Act.SEE_SUPERVISION)
    policy = at.policy
    first, last = period(wanted.from_, wanted.to, wanted.district, policy, at.today)
    found = await read_results(
        at.db,
        ResultFilter(
            first, last, wanted.clock, wanted.limit_working_days, wanted.district, wanted.is_met
        ),
        limit=limit,
        cursor=cursor,
        counted=at.counted.get(wanted),
    )
    at.counted[wanted] = (found.cases, found.net)
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "total": found.cases,
        "net": found.net,
        "items": [_result(row, policy) for row in found.page.items],
        "next_cursor": found.page.next_cursor,
    }


def _result(row: ResultRow, policy: Policy) -> Mapping[str, Any]:
    return {
        "no": row.case_no,
        "clock": {"id": row.clock, **names_of(policy.clocks.get(row.clock), row.clock)},
        "round": row.round or None,
        "district": {
            "id": row.district,
            **names_of(policy.districts.get(row.district), row.district),
        },
        "started_on": row.started_on.isoformat(),
        "stopped_on": row.stopped_on.isoformat(),
        "gross": row.gross,
        "net": row.net,
        "limit": row.limit_working_days,
        "is_met": row.is_met,
    }


# ---------------------------------------------------------------- open tasks


@router.get(
    "/tasks",
    name=Act.SEE_SUPERVISION,
    response_model=OwedTaskPage,
    summary="Open tasks by light and age, most urgent first",
    responses=refusals(401, 403, 422),
)
async def list_owed(
    caller: SignedIn,
    services: Serving,
    owed_by: Sought = None,
    kind: Annotated[TaskKind | None, Query()] = None,
    district: District = None,
    light: LightNow = None,
    age: OfAge = None,
    has_limit: Annotated[bool | None, Query(description="Only those with a limit, or without")] = (
        None
    ),
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what is owed."""
    wanted = TasksWanted(owed_by, kind, district, light, age, has_limit)
    async with moment(services) as at:
        return await open_tasks(at, caller, wanted, limit=limit, cursor=cursor)


@dataclass(frozen=True, slots=True)
class TasksWanted:
    """Which open tasks a list shows; None leaves a field open."""

    owed_by: str | None = None
    kind: TaskKind | None = None
    district: str | None = None
    light: Shade | None = None
    age: Age | None = None
    has_limit: bool | None = None


async def open_tasks(
    at: Moment, caller: Caller, wanted: TasksWanted, *, limit: int, cursor: str | None = None
) -> Mapping[str, Any]:
    """Return a page of open tasks; see `list_owed`."""
    caller.needs(Act.SEE_SUPERVISION)
    period(None, None, wanted.district, at.policy, at.today)
    found = await at.tasks(wanted)
    rows = await found.page(at.db, limit + 1, _last_of(cursor))
    return {
        "total": found.total,
        "items": [_owed(*row, at.ages, at.policy) for row in rows[:limit]],
        "next_cursor": _cursor_of_task(rows[limit - 1]) if len(rows) > limit else None,
    }


_TaskRow = tuple[OwedRow, Shade, int | None]


def _cursor_of_task(row: _TaskRow) -> str:
    task, shade, left = row
    return cursor_of(*_urgency(shade, left), task.id)


class _TaskList:
    """Open tasks by how urgent they are: that follows from when they are due."""

    def __init__(self, wanted: TasksWanted, at: Moment) -> None:
        self._wanted, self._lamp = wanted, _TaskLamp(at)
        self._ranks = _Ranks[Owed]()
        self._opened = _Days(at.ages, wanted.age)

    @classmethod
    async def of(cls, at: Moment, wanted: TasksWanted) -> _TaskList:
        """Rank all of them."""
        found = cls(wanted, at)
        for owed in await count_owed(
            at.db, agency=wanted.owed_by, kind=wanted.kind, district=wanted.district
        ):
            shade, left = found._lamp.shown(owed.due_on, has_limit=owed.has_limit)
            if (
                found._opened.has(owed.opened_on)
                and wanted.has_limit in (None, owed.has_limit)
                and wanted.light in (None, shade)
            ):
                found._ranks.add(_urgency(shade, left), owed, owed.tasks)
        return found

    @property
    def total(self) -> int:
        """How many there are."""
        return self._ranks.total

    async def page(self, db: AsyncConnection, limit: int, last: _Place | None) -> list[_TaskRow]:
        """Return so many tasks after the last that was shown."""
        ranks = _needed(limit, last, self._ranks)
        if not ranks:
            return []
        rows = await read_owed(
            db,
            [self._together(rank) for rank in ranks],
            agency=self._wanted.owed_by,
            kind=self._wanted.kind,
            district=self._wanted.district,
            opened=self._opened.ends,
            after=last[2] if last and last[:2] == ranks[0] else "",
            limit=limit,
        )
        return [
            (row, *self._lamp.shown(row.due_on, has_limit=row.limit_working_days is not None))
            for _, row in rows
        ]

    def _together(self, rank: _Rank) -> OwedTogether:
        owed = self._ranks.of(rank)
        due_on = frozenset(each.due_on for each in owed if each.due_on is not None)
        # Without a date it is the limit that says whether a clock stands still.
        return OwedTogether(due_on, self._wanted.has_limit if due_on else owed[0].has_limit)


class _TaskLamp:
    """Says which light a task shows; each date is looked at once."""

    def __init__(self, at: Moment) -> None:
        self._policy, self._days, self._now = at.policy, at.days, at.civil_now
        self._seen: dict[date, tuple[Shade, int]] = {}

    def shown(self, due_on: date | None, *, has_limit: bool) -> tuple[Shade, int | None]:
        """Return the light, and the working days left."""
        if due_on is None:
            return shade_of(None, has_limit=has_limit), None
        if due_on not in self._seen:
            hours, yellow_at = self._policy.working_time.hours, self._policy.lights.yellow_at
            light, left = light_of_due(due_on, self._now, self._days, hours, yellow_at)
            self._seen[due_on] = (shade_of(light, has_limit=True), left)
        return self._seen[due_on]


def _owed(
    row: OwedRow, shade: Shade, left: int | None, ages: Ages, policy: Policy
) -> Mapping[str, Any]:
    return {
        "task_id": row.id,
        "no": row.case_no,
        "kind": {"id": row.kind, **names_of(policy.tasks.get(TaskKind(row.kind)), row.kind)},
        "owed_by": {"id": row.owed_by, **names_of(policy.agencies.get(row.owed_by), row.owed_by)},
        "opened_at": civil_text(row.opened_at),
        "age": ages.working_days(civil_date(row.opened_at)),
        "due_on": row.due_on and row.due_on.isoformat(),
        "light": shade,
        "left": left,
    }


# ---------------------------------------------------------------- decisions of departments


@router.get(
    "/decisions",
    name=Act.SEE_SUPERVISION,
    response_model=DecisionPage,
    summary="Permit tasks that departments decided, latest first",
    responses=refusals(401, 403, 422),
)
async def list_decisions(
    caller: SignedIn,
    services: Serving,
    from_: From = None,
    to: To = None,
    district: District = None,
    owed_by: Sought = None,
    is_late: Annotated[bool | None, Query(description="Whether they were late")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what departments decided in a period (RB-4.5)."""
    wanted = DecisionsWanted(from_, to, district, owed_by, is_late)
    async with moment(services) as at:
        return await decided(at, caller, wanted, limit=limit, cursor=cursor)


@dataclass(frozen=True, slots=True)
class DecisionsWanted:
    """Which decisions a list shows; None leaves a field open, or what a period begins with."""

    from_: date | None = None
    to: date | None = None
    district: str | None = None
    owed_by: str | None = None
    is_late: bool | None = None


async def decided(
    at: Moment, caller: Caller, wanted: DecisionsWanted, *, limit: int, cursor: str | None = None
) -> Mapping[str, Any]:
    """Return a page of what departments decided; see `list_decisions`."""
    caller.needs(Act.SEE_SUPERVISION)
    policy = at.policy
    first, last = period(wanted.from_, wanted.to, wanted.district, policy, at.today)
    page, total = await read_decisions(
        at.db,
        first,
        last,
        agency=wanted.owed_by,
        district=wanted.district,
        is_late=wanted.is_late,
        limit=limit,
        cursor=cursor,
        counted=at.counted.get(wanted, (None,))[0],
    )
    at.counted[wanted] = (total, 0)
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "total": total,
        "items": [
            {
                "task_id": row.id,
                "no": row.case_no,
                "owed_by": {
                    "id": row.owed_by,
                    **names_of(policy.agencies.get(row.owed_by), row.owed_by),
                },
                "opened_at": civil_text(row.opened_at),
                "due_on": row.due_on and row.due_on.isoformat(),
                "done_at": civil_text(row.done_at),
                "is_late": row.is_late,
            }
            for row in page.items
        ],
        "next_cursor": page.next_cursor,
    }


# ---------------------------------------------------------------- ranks

_Rank = tuple[int, int]
_Place = tuple[int, int, str]
"""A rank, and a name within it."""
T = TypeVar("T")


def _urgency(shade: Shade, left: int | None) -> _Rank:
    return SHADES.index(shade), _NO_DAYS_LEFT_SAID if left is None else left


class _Ranks(Generic[T]):
    """What is ranked, and how many each rank holds."""

    def __init__(self) -> None:
        self._held: dict[_Rank, list[T]] = {}
        self._counts: dict[_Rank, int] = {}
        self.total = 0

    def add(self, rank: _Rank, one: T, count: int) -> None:
        """Rank something that stands for so many."""
        self._held.setdefault(rank, []).append(one)
        self._counts[rank] = self.count(rank) + count
        self.total += count

    def of(self, rank: _Rank) -> Sequence[T]:
        """Return what a rank holds."""
        return self._held.get(rank, ())

    def count(self, rank: _Rank) -> int:
        """Return how many a rank holds."""
        return self._counts.get(rank, 0)

    def __iter__(self) -> Iterator[_Rank]:
        return iter(self._held)


def _needed(limit: int, last: _Place | None, *of: _Ranks[Any]) -> list[_Rank]:
    """Return the ranks, most urgent first, that surely hold so many after the last shown."""
    found: list[_Rank] = []
    held = 0
    for rank in sorted({rank for each in of for rank in each}):
        if last is not None and rank < last[:2]:
            continue
        if held >= limit:
            break
        found.append(rank)
        if last is None or rank > last[:2]:
            held += sum(each.count(rank) for each in of)
    return found


class _Days:
    """The civil dates of a band of ages that were met; the band is one stretch of days."""

    def __init__(self, ages: Ages, age: Age | None) -> None:
        self._ages, self._age = ages, age
        self.ends: tuple[date, date] | None = None

    def has(self, day: date) -> bool:
        """Say whether a date belongs to the band, and note that it was met."""
        if self._age is None:
            return True
        if self._ages.of(day) != self._age:
            return False
        first, last = self.ends or (day, day)
        self.ends = (min(first, day), max(last, day))
        return True


def _last_of(cursor: str | None) -> _Place | None:
    """Read a cursor.

    Raises:
        InputRefused: it is not one that was given out.
    """
    if cursor is None:
        return None
    rank, left, name = cursor_parts(cursor, 3)
    try:
        return int(rank), int(left), name
    except ValueError:
        raise bad_cursor() from None
