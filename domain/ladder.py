"""The ladder (RB-5.2): who is told when a deadline comes near, and after it has passed.

An alarm informs; it decides nothing (RB-5.3). What it says of a task holds while the task is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, Protocol

from domain.working_time import (
    CIVIL_ZONE,
    BusinessHours,
    Calendar,
    Interval,
    StillSuspended,
    WorkingDays,
    alarm_at,
    deadline,
    elapsed,
)


class Rung(Protocol):
    """A step of the ladder, as a policy has it."""

    @property
    def light(self) -> Literal["yellow", "red"]: ...
    @property
    def after(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Alarm:
    """When a step of the ladder is due.

    Attributes:
        rung: position of the step in the ladder.
        step: its stable name, e.g. `red.1`.
        at: civil instant.
    """

    rung: int
    step: str
    at: datetime


def alarms(
    ladder: Iterable[Rung],
    received_on: date,
    limit: WorkingDays,
    days: Calendar,
    hours: BusinessHours,
    *,
    yellow_at: int,
    excluded: Sequence[Interval] = (),
) -> tuple[Alarm, ...]:
    """Return every alarm of a limit, in order of time (RB-1.4, RB-5.1).

    Yellow begins at midnight of the day on which no more than `yellow_at` working days are left.
    A limit that short is yellow from its beginning, of which the task itself tells: it has no
    alarm. Red begins at close of business of the last day; steps that are due some working days
    later come at close of business, too.

    Args:
        excluded: time in which the clock stood still; an interval without end still does, and
            nothing that would come after its beginning is armed (RB-4.6).
    """
    found = []
    for position, rung in enumerate(ladder):
        left = 0 if rung.light == "red" else yellow_at
        if limit <= left:
            continue
        # A light comes on once, and working days after it are counted from there.
        with suppress(StillSuspended):
            on = deadline(days, received_on, WorkingDays(limit - left), excluded).due_on
            if rung.after:
                on = deadline(days, on, WorkingDays(rung.after), excluded).due_on
            at = (
                datetime.combine(on, time.min, CIVIL_ZONE)
                if rung.light == "yellow" and not rung.after
                else alarm_at(on, hours)
            )
            found.append(Alarm(position, f"{rung.light}.{rung.after}", at))
    return tuple(sorted(found, key=lambda alarm: alarm.at))


def alarms_before(
    ladder: Iterable[Rung],
    due_on: date,
    days: Calendar,
    hours: BusinessHours,
    *,
    yellow_at: int,
) -> tuple[Alarm, ...]:
    """Return every alarm of a date that somebody set, in order of time.

    Yellow begins at midnight of the first day after which no more than `yellow_at` working days
    are left; everything else is as of a limit.
    """
    found = []
    for position, rung in enumerate(ladder):
        on = due_on if rung.light == "red" else _days_before(days, due_on, yellow_at)
        if rung.after:
            on = deadline(days, on, WorkingDays(rung.after)).due_on
        is_at_midnight = rung.light == "yellow" and not rung.after
        at = datetime.combine(on, time.min, CIVIL_ZONE) if is_at_midnight else alarm_at(on, hours)
        found.append(Alarm(position, f"{rung.light}.{rung.after}", at))
    return tuple(sorted(found, key=lambda alarm: alarm.at))


def _days_before(days: Calendar, on: date, working_days: int) -> date:
    """The first date after which no more than so many working days come up to `on`."""
    day = on
    while elapsed(days, day - timedelta(days=1), on) <= working_days:
        day -= timedelta(days=1)
    return day


def earliest(limit: WorkingDays, hours: BusinessHours, *, yellow_at: int) -> float:
    """Return seconds from midnight of the day a task is opened before which no alarm can come.

    It needs no calendar: working days are never closer together than days.
    """
    day = 86_400.0
    if limit > yellow_at:
        return (limit - yellow_at) * day
    closes = hours.closes
    return limit * day + closes.hour * 3600 + closes.minute * 60 + closes.second
