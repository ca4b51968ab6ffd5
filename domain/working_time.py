"""Working time: which days count, and when a limit runs out (RB-1).

An instant becomes a civil date only through `CIVIL_ZONE` (RB-1.1). From there on everything is
dates: `(a, b]` is the set of days after `a` up to and including `b`, so a limit never counts the
day it starts on [民法典 201], and neighbouring intervals neither overlap nor leave a gap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import NewType, assert_never
from zoneinfo import ZoneInfo

from domain.errors import OneWindowError

CIVIL_ZONE = ZoneInfo("Asia/Shanghai")

WorkingDays = NewType("WorkingDays", int)
"""A number of whole working days (工作日)."""


class CalendarError(OneWindowError):
    """The calendar contradicts itself or is incomplete.

    Attributes:
        key: where in the calendar, e.g. `years.2026.make_up_days`.
        en, zh: what is wrong and what to do.
    """

    def __init__(self, key: str, en: str, zh: str) -> None:
        super().__init__(f"{key}: {en}")
        self.key, self.en, self.zh = key, en, zh


class StillSuspended(OneWindowError):
    """The limit would run out inside a suspension that has no end yet, so no date can be named.

    Attributes:
        suspended_on: the civil date since which time stands still.
    """

    def __init__(self, suspended_on: date) -> None:
        super().__init__(f"suspended since {suspended_on}; the deadline is known once resumed")
        self.suspended_on = suspended_on


class DayKind(StrEnum):
    """What the calendar says of a day."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    MAKE_UP = "make_up"  # 调休: a Saturday or Sunday worked [行政许可法 82]


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """What the notice for one year lays down.

    Attributes:
        holidays: days off; a holiday that falls on a weekend may be listed or not.
        make_up_days: Saturdays and Sundays that are worked.
        notice: title and number of the notice, with what amended it.

    A notice may reach back into the December before (元旦 2019 began on 2018-12-30). Those days are
    listed here, with the notice that they rest on.

    Raises:
        CalendarError: a day that this year's notice cannot mean.
    """

    year: int
    holidays: frozenset[date]
    make_up_days: frozenset[date]
    notice: str

    def __post_init__(self) -> None:
        for key, days in (("holidays", self.holidays), ("make_up_days", self.make_up_days)):
            for day in sorted(days):
                if (day.year, day.month) != (self.year - 1, 12) and day.year != self.year:
                    raise CalendarError(
                        f"years.{self.year}.{key}",
                        f"{day} is not in {self.year} or the December before",
                        f"{day} 不在 {self.year} 年或上年 12 月内",
                    )
        for day in sorted(self.make_up_days):
            if day.weekday() < 5:
                raise CalendarError(
                    f"years.{self.year}.make_up_days",
                    f"{day} is no Saturday or Sunday; it is worked anyway",
                    f"{day} 不是周六或周日，本来就是工作日",
                )


@dataclass(frozen=True)
class Calendar:
    """One version of the working-day calendar (RB-1.2, RB-1.6).

    Attributes:
        version: name of this version; a deadline records it.
        years: the published years. Any other year has weekends only, and makes what crosses it
            provisional.

    Raises:
        CalendarError: a day is both a holiday and worked, or a year stands under another's key.
    """

    version: str
    years: Mapping[int, CalendarYear]

    def __post_init__(self) -> None:
        for year, listed in self.years.items():
            if listed.year != year:
                raise CalendarError(
                    f"years.{year}", f"holds the year {listed.year}", f"内容属于 {listed.year} 年"
                )
        for day in sorted(self._holidays & self._make_up_days):
            raise CalendarError(
                f"years.{day.year}", f"{day} is both off and worked", f"{day} 既放假又上班"
            )

    def kind(self, day: date) -> DayKind:
        if day in self._holidays:
            return DayKind.HOLIDAY
        if day in self._make_up_days:
            return DayKind.MAKE_UP
        return DayKind.WEEKEND if day.weekday() >= 5 else DayKind.WORKDAY

    def is_working(self, day: date) -> bool:
        return self.kind(day) in (DayKind.WORKDAY, DayKind.MAKE_UP)

    def is_published(self, day: date) -> bool:
        return day.year in self.years

    def covers(self, after: date, until: date) -> bool:
        """Whether every day of `(after, until]` is published (RB-1.6)."""
        first = date.fromordinal(after.toordinal() + 1)
        return all(year in self.years for year in range(first.year, until.year + 1))

    @cached_property
    def _holidays(self) -> frozenset[date]:
        return frozenset[date]().union(*(year.holidays for year in self.years.values()))

    @cached_property
    def _make_up_days(self) -> frozenset[date]:
        return frozenset[date]().union(*(year.make_up_days for year in self.years.values()))

    @cached_property
    def _count(self) -> _Count:
        return _Count.of(self)


@dataclass(frozen=True, slots=True)
class _Count:
    """Working days since 0001-01-01, both ways, by bisection.

    From one departure from Monday-to-Friday to the next, the count differs from the plain count of
    weekdays by a constant, so a few dozen departures a year are all that need be kept, and years
    without a notice need nothing.

    Attributes:
        departures: ordinals of weekdays off and weekend days worked, ascending.
        shifts: `shifts[i]` corrects the count of weekdays between departures `i - 1` and `i`.
        worked: working days through each departure; never decreases.
    """

    departures: tuple[int, ...]
    shifts: tuple[int, ...]
    worked: tuple[int, ...]

    @classmethod
    def of(cls, calendar: Calendar) -> _Count:
        change = {day.toordinal(): -1 for day in calendar._holidays if day.weekday() < 5}
        change |= {day.toordinal(): +1 for day in calendar._make_up_days}
        departures = tuple(sorted(change))
        shifts = tuple(accumulate((change[day] for day in departures), initial=0))
        worked = tuple(
            _weekdays_through(day) + shift
            for day, shift in zip(departures, shifts[1:], strict=True)
        )
        return cls(departures, shifts, worked)

    def through(self, day: int) -> int:
        """Working days up to and including the ordinal `day`."""
        return _weekdays_through(day) + self.shifts[bisect_right(self.departures, day)]

    def day_of(self, nth: int) -> int:
        """Ordinal of the `nth` working day; the inverse of `through`."""
        i = bisect_left(self.worked, nth)
        day = _nth_weekday(nth - self.shifts[i])
        return min(day, self.departures[i]) if i < len(self.departures) else day


def _weekdays_through(day: int) -> int:
    weeks, rest = divmod(day, 7)  # ordinal 1, 0001-01-01, is a Monday
    return 5 * weeks + min(rest, 5)


def _nth_weekday(nth: int) -> int:
    weeks, rest = divmod(nth - 1, 5)
    return 7 * weeks + rest + 1


@dataclass(frozen=True, slots=True)
class Interval:
    """Excluded time `(suspended_on, resumed_on]`; open while `resumed_on` is None (RB-1.9).

    Raises:
        ValueError: it ends before it begins.
    """

    suspended_on: date
    resumed_on: date | None

    def __post_init__(self) -> None:
        if self.resumed_on is not None and self.resumed_on < self.suspended_on:
            raise ValueError(f"resumed on {self.resumed_on}, before {self.suspended_on}")

    def known_by(self, day: date) -> Interval | None:
        """The part of it that lies behind on `day`, closed there; None if nothing does."""
        if self.suspended_on >= day:
            return None
        return Interval(self.suspended_on, min(self.resumed_on or day, day))


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a limit runs out.

    Attributes:
        due_on: the last civil date that is on time.
        is_provisional: 暂定: a day on the way lies in a year that no notice covers (RB-1.6).
        calendar_version: the calendar it was computed with.
    """

    due_on: date
    is_provisional: bool
    calendar_version: str


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """When the window is open on a working day; an arrival at `closes` sharp is still in time."""

    opens: time
    closes: time


class ReceiptRule(StrEnum):
    """Which date a receipt outside business hours has (RB-1.5)."""

    AS_RECEIVED = "as_received"
    NEXT_OPEN = "next_open"


class Verdict(StrEnum):
    """What became of a day on the way to a deadline (RB-1.8)."""

    COUNTED = "counted"
    HOLIDAY = "holiday"
    WEEKEND = "weekend"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class DerivedDay:
    """One line of the answer to *why this date* (RB-1.8).

    Attributes:
        verdict: `excluded` only for days that would have counted.
        count: working days counted so far, this day included.
    """

    day: date
    kind: DayKind
    verdict: Verdict
    count: int
    is_published: bool


def civil_date(instant: datetime) -> date:
    """The civil date on which `instant` falls (RB-1.1).

    Raises:
        ValueError: `instant` has no zone.
    """
    return _civil(instant).date()


def _civil(instant: datetime) -> datetime:
    if instant.utcoffset() is None:
        raise ValueError(f"{instant.isoformat()} has no zone, so it is no instant")
    return instant.astimezone(CIVIL_ZONE)


def receipt_date(
    received_at: datetime, rule: ReceiptRule, hours: BusinessHours, calendar: Calendar
) -> date:
    """The civil date from which a limit runs for what arrived at `received_at` (RB-1.5).

    Under `next_open`, what arrives on a day off or after closing is received on the next working
    day; what arrives before opening is received that same day.

    Raises:
        ValueError: `received_at` has no zone.
    """
    received = _civil(received_at)
    day = received.date()
    match rule:
        case ReceiptRule.AS_RECEIVED:
            return day
        case ReceiptRule.NEXT_OPEN:
            if calendar.is_working(day) and received.time() <= hours.closes:
                return day
            return deadline(calendar, day, WorkingDays(1)).due_on
        case _:
            assert_never(rule)


def deadline(
    calendar: Calendar, trigger: date, limit: WorkingDays, excluded: Sequence[Interval] = ()
) -> Deadline:
    """The `limit`-th working day after `trigger` that is not excluded (RB-1.3, RB-1.9).

    Args:
        trigger: not counted itself [民法典 201].
        limit: whole working days, >= 1.
        excluded: in any order, overlapping or not; their union counts.

    Raises:
        ValueError: `limit` < 1.
        StillSuspended: the limit would run out inside an interval that is still open.
    """
    if limit < 1:
        raise ValueError(f"a limit of {limit} working days; it must be at least 1")
    start, count = trigger.toordinal(), calendar._count
    nth = count.through(start) + limit
    for suspended, resumed in _union(excluded, start):
        if count.day_of(nth) <= suspended:
            break
        if resumed is None:
            raise StillSuspended(date.fromordinal(suspended))
        nth += count.through(resumed) - count.through(suspended)
    due_on = date.fromordinal(count.day_of(nth))
    return Deadline(due_on, not calendar.covers(trigger, due_on), calendar.version)


def elapsed(calendar: Calendar, after: date, until: date, excluded: Sequence[Interval] = ()) -> int:
    """Working days in `(after, until]` that are not excluded (RB-1.9); 0 if that is empty.

    An open interval excludes everything up to `until`.
    """
    start, end, count = after.toordinal(), until.toordinal(), calendar._count
    if end <= start:
        return 0
    days = count.through(end) - count.through(start)
    for suspended, resumed in _union(excluded, start):
        if suspended >= end:
            break
        last = end if resumed is None else min(resumed, end)
        days -= count.through(last) - count.through(suspended)
    return days


def _union(excluded: Sequence[Interval], start: int) -> Iterator[tuple[int, int | None]]:
    """The union of `excluded` after the ordinal `start`: disjoint, ascending, as ordinals."""
    suspended: int | None = None
    resumed = start
    for interval in sorted(excluded, key=lambda each: each.suspended_on):
        begin = max(interval.suspended_on.toordinal(), start)
        if suspended is None or begin > resumed:
            if suspended is not None and suspended < resumed:
                yield suspended, resumed
            suspended = resumed = begin
        if interval.resumed_on is None:
            yield suspended, None
            return
        resumed = max(resumed, interval.resumed_on.toordinal())
    if suspended is not None and suspended < resumed:
        yield suspended, resumed


def derivation(
    calendar: Calendar, trigger: date, limit: WorkingDays, excluded: Sequence[Interval] = ()
) -> tuple[DerivedDay, ...]:
    """Every day after `trigger` up to the deadline, and whether it counted (RB-1.8).

    Raises:
        ValueError, StillSuspended: as `deadline` does.
    """
    end = deadline(calendar, trigger, limit, excluded).due_on.toordinal()
    union = tuple(_union(excluded, trigger.toordinal()))
    days: list[DerivedDay] = []
    count = 0
    for ordinal in range(trigger.toordinal() + 1, end + 1):
        day = date.fromordinal(ordinal)
        is_excluded = any(a < ordinal and (b is None or ordinal <= b) for a, b in union)
        verdict = _verdict(calendar.kind(day), is_excluded)
        count += verdict is Verdict.COUNTED
        days.append(DerivedDay(day, calendar.kind(day), verdict, count, calendar.is_published(day)))
    return tuple(days)


def _verdict(kind: DayKind, is_excluded: bool) -> Verdict:
    match kind:
        case DayKind.HOLIDAY:
            return Verdict.HOLIDAY
        case DayKind.WEEKEND:
            return Verdict.WEEKEND
        case DayKind.WORKDAY | DayKind.MAKE_UP:
            return Verdict.EXCLUDED if is_excluded else Verdict.COUNTED
        case _:
            assert_never(kind)


def is_on_time(decided_at: datetime, due_on: date) -> bool:
    """Whether a decision at `decided_at` keeps the deadline: its civil date decides (RB-1.4).

    Raises:
        ValueError: `decided_at` has no zone.
    """
    return civil_date(decided_at) <= due_on


def alarm_at(due_on: date, hours: BusinessHours) -> datetime:
    """The instant at which the red alarm goes off: close of business of `due_on` (RB-1.4)."""
    return datetime.combine(due_on, hours.closes, CIVIL_ZONE)
