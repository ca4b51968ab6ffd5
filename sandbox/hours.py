"""Civil time of the peer: its clock, the hours people keep, and how long each task takes them."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from sandbox.chance import between
from sandbox.tasks import Task


@dataclass(frozen=True, slots=True)
class CivilClock:
    """OneWindow's civil time, read once and carried on by the event loop's own clock.

    Attributes:
        civil_origin: civil instant at which the clock was read, with its offset.
        real_origin: the loop's time then, in seconds.
        speed: civil seconds per real second.
    """

    civil_origin: datetime
    real_origin: float
    speed: float

    def civil(self, real: float) -> datetime:
        """Return the civil instant at the loop's time `real`, in seconds."""
        return self.civil_origin + timedelta(seconds=(real - self.real_origin) * self.speed)

    def real(self, civil: datetime) -> float:
        """Return the loop's time, in seconds, at the instant `civil`."""
        return self.real_origin + (civil - self.civil_origin).total_seconds() / self.speed


@dataclass(frozen=True, slots=True)
class WorkedDays:
    """Which days offices work: Monday to Friday but for holidays, and make-up days (调休)."""

    holidays: frozenset[date] = frozenset()
    make_up_days: frozenset[date] = frozenset()

    @classmethod
    def read(cls, path: Path) -> "WorkedDays":
        """Read a calendar: a TOML file of `[years.N]` with `holidays` and `make_up_days`.

        Raises:
            ValueError: it is none; names the file.
        """
        try:
            years = tomllib.loads(path.read_text(encoding="utf-8"))["years"].values()
            return cls(
                _dates(day for year in years for day in year["holidays"]),
                _dates(day for year in years for day in year["make_up_days"]),
            )
        except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"--calendar {path}: no calendar ({problem!r})") from problem

    def __contains__(self, day: date) -> bool:
        if day.weekday() >= 5:
            return day in self.make_up_days
        return day not in self.holidays


def _dates(values: Iterable[object]) -> frozenset[date]:
    return frozenset(value for value in values if isinstance(value, date))


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody answers; `days` is None for people who do so on any day."""

    opens: time
    closes: time
    days: WorkedDays | None

    def is_open(self, instant: datetime) -> bool:
        """Tell whether somebody is there at the civil `instant`."""
        return self._is_open_on(instant.date()) and self.opens <= instant.time() < self.closes

    def next_open(self, instant: datetime, settling: timedelta) -> datetime:
        """Return `instant` itself inside the hours, else `settling` after the next opening."""
        if self.is_open(instant):
            return instant
        day = instant.date()
        if instant.time() >= self.closes or not self._is_open_on(day):
            day += timedelta(days=1)
        while not self._is_open_on(day):
            day += timedelta(days=1)
        return datetime.combine(day, self.opens, instant.tzinfo) + settling

    def _is_open_on(self, day: date) -> bool:
        return self.days is None or day in self.days


HOME = Hours(time(8), time(21), days=None)


def office(days: WorkedDays) -> Hours:
    """Return when officials answer."""
    return Hours(time(8, 30), time(17, 30), days)


# Civil days from the push to the answer, before the hours above are kept.
DAYS: dict[str, tuple[float, float]] = {
    "check_papers": (0.2, 0.8),
    "correct_papers": (0.3, 1.5),
    "survey": (0.5, 1.5),
    "look_at_route": (0.1, 0.5),
    "filing": (0.1, 0.5),
    "consent": (3.0, 8.0),
    "papers": (2.0, 10.0),
    "supply_plan": (1.0, 5.0),
    "confirm_plan": (0.3, 2.0),
    "line_design": (1.0, 4.0),
    "permits": (0.5, 4.5),
    "build_line": (4.0, 12.0),
    "customer_works": (5.0, 18.0),
    "inspection": (0.5, 2.0),
    "rectification": (1.0, 4.0),
    "sign_contract": (0.5, 2.0),
    "energise": (0.5, 2.0),
}
LOW_VOLTAGE_DAYS: dict[str, tuple[float, float]] = {"build_line": (1.0, 3.0)}


def answered_at(
    task: Task, received_at: datetime, seed: int, delay: float, days_worked: WorkedDays
) -> datetime:
    """Return the civil instant at which `task`, received then, is answered.

    Args:
        delay: factor on the days of the table; 1 is the table, 0.5 twice as fast.
    """
    low, high = (LOW_VOLTAGE_DAYS if task.voltage == "low" else {}).get(task.kind, DAYS[task.kind])
    days = between(low, high, seed, "days", task.id) * delay
    return _in_hours(task, received_at + timedelta(days=days), seed, days_worked)


def answered_late(
    task: Task, due_on: date, answer_at: datetime, seed: int, days_worked: WorkedDays
) -> datetime:
    """Return `answer_at`, or an instant up to two days after the day `due_on` has passed."""
    days = 1 + between(0.0, 2.0, seed, "late days", task.id)
    opens = office(days_worked).opens
    overdue = datetime.combine(due_on, opens, answer_at.tzinfo) + timedelta(days=days)
    return _in_hours(task, max(answer_at, overdue), seed, days_worked)


def _in_hours(task: Task, instant: datetime, seed: int, days_worked: WorkedDays) -> datetime:
    hours = HOME if task.owed_by == "applicant" else office(days_worked)
    settling = timedelta(minutes=between(2, 90, seed, "settling", task.id))
    return hours.next_open(instant, settling)
