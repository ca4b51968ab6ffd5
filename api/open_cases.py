"""The lights of open cases by their clocks (RB-5.1, RB-11.1), without reading each case each time.

Where a clock stands depends on the case's record alone, not on the day: it runs out on a date, or
stands still with days left. So it is computed once, and again only when the record has grown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.clocks import CaseClock, ClockedTask, clocks_of_bundle, clocks_of_case
from api.services import Services
from domain.clocks import Light, light, light_of_due, reading
from domain.connection import TaskKind
from domain.policy import Policy
from domain.working_time import CIVIL_ZONE, Calendar
from policy.loader import policy_for
from storage.figures import (
    OpenCases,
    OpenCaseTask,
    count_open_cases,
    read_clocked_tasks,
    read_open_cases,
)

Shade = Literal["red", "yellow", "green", "suspended", "none"]
SHADES: tuple[Shade, ...] = ("red", "yellow", "green", "suspended", "none")
"""What a clock, a task or a case shows: a light, that it stands still, or no limit; worst first."""

_TURN = 50
"""Cases that are computed before others have their turn."""


class Standing(NamedTuple):
    """Where a clock stands that has not stopped; it holds until the case's record grows.

    Attributes:
        round: of the bundle; 0 for a clock of the case itself.
        limit: None is tracked without a target (RB-2.6).
        due_on: when it runs out if it goes on; of a clock that stands still, only if nothing is
            left: the day on which the last was used up.
        left: working days left while it stands still.
    """

    clock: str
    round: int
    limit: int | None
    due_on: date | None
    left: int | None
    is_suspended: bool

    @classmethod
    def of(cls, clock: CaseClock, policy: Policy, days: Calendar) -> Standing:
        """Read a clock on the day of its last change, from which on it only runs, or stands."""
        edges = [edge for span in clock.spans for edge in (span.opened_on, span.done_on) if edge]
        changed_on = max(clock.started_on, *edges) if edges else clock.started_on
        read = reading(
            clock.rule,
            clock.started_on,
            changed_on,
            clock.spans,
            days,
            yellow_at=policy.lights.yellow_at,
            suspensions=clock.suspensions,
        )
        is_suspended = clock.state == "suspended"
        has_date = not is_suspended or (read.left is not None and read.left <= 0)
        return cls(
            clock.rule.id,
            clock.round or 0,
            clock.rule.limit,
            read.due_on if has_date else None,
            read.left if is_suspended else None,
            is_suspended,
        )


class Shown(NamedTuple):
    """What a clock shows now; `left` is None without a limit."""

    shade: Shade
    left: int | None


_Clocks = tuple[tuple[Standing, Shown], ...]


class LitCase(NamedTuple):
    """Open cases that are alike, or one of them, with their light.

    Attributes:
        shade: the worst of its clocks': a case is as late as its latest clock.
        clocks: those that have not stopped, with what each shows.
    """

    case: OpenCases
    shade: Shade
    clocks: _Clocks

    @property
    def left(self) -> int | None:
        """Working days left of the clock that shows the worst, the fewest of several."""
        found = [
            shown.left
            for _, shown in self.clocks
            if shown.shade == self.shade and shown.left is not None
        ]
        return min(found, default=None)


@dataclass(frozen=True, slots=True)
class _AsCase:
    """A case as its clocks see it."""

    voltage: str
    supply: str
    accepted_at: datetime | None
    ended_at: None = None


_Known = dict[str, tuple[tuple[int, int, str], tuple[Standing, ...]]]
_known: WeakKeyDictionary[AsyncEngine, _Known] = WeakKeyDictionary()


class Lamps:
    """Says which light is on, at one moment; what is asked twice is computed once.

    Args:
        calendars: by number, those that open cases rest on.
    """

    def __init__(self, civil_now: datetime, calendars: Mapping[int, Calendar]) -> None:
        self._now, self.calendars = civil_now, calendars
        self._seen: dict[tuple[tuple[Standing, ...], str, int], tuple[Shade, _Clocks]] = {}

    def lit(self, case: OpenCases, standings: tuple[Standing, ...]) -> LitCase:
        """Return a case with its light."""
        key = (standings, case.policy, case.calendar)
        if (seen := self._seen.get(key)) is None:
            policy, days = policy_for(case.policy), self.calendars[case.calendar]
            clocks = tuple((each, _shown(each, policy, days, self._now)) for each in standings)
            shades = {shown.shade for _, shown in clocks}
            worst: Shade = next((each for each in SHADES if each in shades), "none")
            seen = (worst, clocks)
            self._seen[key] = seen
        return LitCase(case, *seen)


def _shown(standing: Standing, policy: Policy, days: Calendar, civil_now: datetime) -> Shown:
    if standing.limit is None:
        return Shown("none", None)
    hours, yellow_at = policy.working_time.hours, policy.lights.yellow_at
    if not standing.is_suspended:
        assert standing.due_on is not None
        on, left = light_of_due(standing.due_on, civil_now, days, hours, yellow_at)
        return Shown(_shade(on), left)
    assert standing.left is not None
    has_passed = False
    if standing.due_on is not None:
        at_due, _ = light_of_due(standing.due_on, civil_now, days, hours, yellow_at)
        has_passed = at_due is Light.RED
    on = light(standing.left, has_passed, yellow_at)
    # What is used up is late, whether it goes on or not.
    return Shown("red" if on is Light.RED else "suspended", standing.left)


def _shade(on: Light) -> Shade:
    match on:
        case Light.RED:
            return "red"
        case Light.YELLOW:
            return "yellow"
        case Light.GREEN:
            return "green"


Stood = Sequence[tuple[OpenCases, tuple[Standing, ...]]]
"""Open cases, and where the clocks of each stand: what the file says, whatever the day."""


def lit(stood: Stood, calendars: Mapping[int, Calendar], civil_now: datetime) -> list[LitCase]:
    """Return open cases with their lights at a moment."""
    lamps = Lamps(civil_now, calendars)
    return [lamps.lit(case, standings) for case, standings in stood]


async def calendars_of(cases: Iterable[OpenCases], services: Services) -> Mapping[int, Calendar]:
    """Return the calendars that the dates of these cases rest on, by number."""
    return {
        number: (await services.calendars.version(number)).calendar
        for number in {each.calendar for each in cases}
    }


async def counted_cases(
    db: AsyncConnection,
    services: Services,
    district: str | None = None,
    stage: str | None = None,
) -> Stood:
    """Return open cases, those that are alike together and without their numbers.

    Args:
        db: that sees one moment.
    """
    found = await count_open_cases(db, district, stage)
    if apart := {(each.voltage, each.supply) for each in found if _is_apart(each)}:
        found = (
            *(
                each
                for each in found
                if each.accepted_on is None or (each.voltage, each.supply) not in apart
            ),
            *await read_open_cases(db, district=district, stage=stage, supplied=apart),
        )
    calendars = await calendars_of(found, services)
    return await _stood(db, services.reading.engine, found, calendars)


async def _stood(
    db: AsyncConnection,
    engine: AsyncEngine,
    cases: Sequence[OpenCases],
    calendars: Mapping[int, Calendar],
) -> Stood:
    apart = [each for each in cases if each.no and _is_apart(each)]
    of_one = await _standings_of(db, engine, apart, calendars)
    plain = plain_standings(calendars)
    return [(each, of_one[each.no] if each.no in of_one else plain(each)) for each in cases]


@lru_cache(maxsize=256)
def _depends_on_tasks(policy_id: str, voltage: str, supply: str) -> bool:
    """Whether a clock of such a case, or of its bundles, looks at what is open."""
    policy = policy_for(policy_id)
    rules = policy.clocks_of("case", voltage, supply)
    return any(rule.counts or rule.leaves_out for rule in rules) or bool(
        policy.clocks_of("bundle", voltage, supply)
    )


def _is_apart(case: OpenCases) -> bool:
    """Whether it must be looked at by itself."""
    return case.accepted_on is not None and _depends_on_tasks(
        case.policy, case.voltage, case.supply
    )


def plain_standings(
    calendars: Mapping[int, Calendar],
) -> Callable[[OpenCases], tuple[Standing, ...]]:
    """Return what finds where clocks stand that count every day, or have not begun."""
    seen: dict[tuple[str, int, str, str, date], tuple[Standing, ...]] = {}

    def standings(case: OpenCases) -> tuple[Standing, ...]:
        if case.accepted_on is None:
            return ()
        key = (case.policy, case.calendar, case.voltage, case.supply, case.accepted_on)
        if key not in seen:
            seen[key] = _computed(case, (), calendars[case.calendar])
        return seen[key]

    return standings


async def _standings_of(
    db: AsyncConnection,
    engine: AsyncEngine,
    cases: Sequence[OpenCases],
    calendars: Mapping[int, Calendar],
) -> Mapping[str, tuple[Standing, ...]]:
    """Return where the clocks of these cases stand, by number; computed only if not known."""
    known = _known.setdefault(engine, {})
    marks = {each.no: (each.head_seq, each.calendar, each.policy) for each in cases}
    new = [each for each in cases if each.no not in known or known[each.no][0] != marks[each.no]]
    tasks = await read_clocked_tasks(db, [each.no for each in new])
    for place, case in enumerate(new):
        if place % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        computed = _computed(case, tasks[case.no], calendars[case.calendar])
        known[case.no] = (marks[case.no], computed)
    found = {no: known[no][1] for no in marks}
    if len(known) > 2 * len(marks) + 10_000:
        # Of ended cases, mostly.
        for no in known.keys() - marks.keys():
            del known[no]
    return found


def _computed(
    case: OpenCases, tasks: Sequence[OpenCaseTask], days: Calendar
) -> tuple[Standing, ...]:
    policy = policy_for(case.policy)
    accepted_on = case.accepted_on
    accepted_at = None if accepted_on is None else _noon(accepted_on)
    as_case = _AsCase(case.voltage, case.supply, accepted_at)
    clocks: list[CaseClock] = [*clocks_of_case(as_case, tasks, policy)]
    permits: list[ClockedTask] = [task for task in tasks if task.kind is TaskKind.PERMITS]
    for round_no in sorted({task.round for task in permits}):
        bundle = [task for task in permits if task.round == round_no]
        clocks += clocks_of_bundle(as_case, bundle, policy)
    return tuple(Standing.of(clock, policy, days) for clock in clocks if clock.state != "stopped")


def _noon(on: date) -> datetime:
    # Only the civil date of an acceptance counts (RB-1.3).
    return datetime.combine(on, time(12), CIVIL_ZONE)
