"""The ladder (RB-5.2): who is told when a deadline comes near, and after it has passed.

An alarm informs; it decides nothing (RB-5.3). What it says of a task holds while the task is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, Protocol

from domain.working_time import (
    CIVIL_ZONE,
    BusinessHours,
    Calendar,
    WorkingDays,
    alarm_at,
    deadline,
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
) -> tuple[Alarm, ...]:
    """Return every alarm of a limit, in order of time (RB-1.4, RB-5.1).

    Yellow begins at midnight of the day on which no more than `yellow_at` working days are left.
    A limit that short is yellow from its beginning, of which the task itself tells: it has no
    alarm. Red begins at close of business of the last day; steps that are due some working days
    later come at close of business, too.
    """
    due_on = deadline(days, received_on, limit).due_on
    found = []
    for position, rung in enumerate(ladder):
        if rung.light == "red":
            at = alarm_at(_later(days, due_on, rung.after), hours)
        elif limit > yellow_at:
            yellow_on = deadline(days, received_on, WorkingDays(limit - yellow_at)).due_on
            at = (
                alarm_at(_later(days, yellow_on, rung.after), hours)
                if rung.after
                else datetime.combine(yellow_on, time.min, CIVIL_ZONE)
            )
        else:
            continue
        found.append(Alarm(position, f"{rung.light}.{rung.after}", at))
    return tuple(sorted(found, key=lambda alarm: alarm.at))


def earliest(limit: WorkingDays, hours: BusinessHours, *, yellow_at: int) -> float:
    """Return seconds from midnight of the day a task is opened before which no alarm can come.

    It needs no calendar: working days are never closer together than days.
    """
    day = 86_400.0
    if limit > yellow_at:
        return (limit - yellow_at) * day
    closes = hours.closes
    return limit * day + closes.hour * 3600 + closes.minute * 60 + closes.second


def _later(days: Calendar, on: date, working_days: int) -> date:
    return deadline(days, on, WorkingDays(working_days)).due_on if working_days else on
