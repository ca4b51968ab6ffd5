"""The civil clock: from the engine's time to the time that people live in, and back.

In service the two are the same. In training mode (演练) civil time starts elsewhere and runs
faster. No other module knows of speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf

from domain.working_time import CIVIL_ZONE

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CivilClock:
    """A straight line through the two origins. It never asks for the time itself.

    A workflow may use it: the same instant gives the same answer on every replay. It imports this
    module passed through, for what the sandbox puts in place of `ZoneInfo` is not a `tzinfo`.

    Attributes:
        engine_origin, civil_origin: one moment, as each side sees it; both or neither.
        speed: civil seconds per second of the engine.

    Raises:
        ValueError: one origin without the other, an origin without zone, a speed that is not a
            positive number, or another speed than 1 without origins.
    """

    engine_origin: datetime | None = None
    civil_origin: datetime | None = None
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.speed < inf:
            raise ValueError(f"speed {self.speed} is not a positive number")
        if (self.engine_origin is None) != (self.civil_origin is None):
            raise ValueError("engine_origin and civil_origin go together")
        if self.speed != 1 and self.engine_origin is None:
            raise ValueError(f"speed {self.speed} needs engine_origin and civil_origin")
        for origin in (self.engine_origin, self.civil_origin):
            if origin is not None:
                _utc(origin)

    def civil(self, engine_now: datetime) -> datetime:
        """Civil time at `engine_now`, in `CIVIL_ZONE`.

        Raises:
            ValueError: `engine_now` has no zone.
            OverflowError: a training clock left running has passed the year 9999.
        """
        now = _utc(engine_now)
        if self.engine_origin is not None and self.civil_origin is not None:
            passed = (now - _utc(self.engine_origin)) // _TICK
            num, den = self.speed.as_integer_ratio()
            now = _utc(self.civil_origin) + passed * num // den * _TICK
        return now.astimezone(CIVIL_ZONE)

    def engine(self, civil: datetime) -> datetime:
        """The first instant of the engine, in UTC, at which civil time has reached `civil`.

        A timer armed for it never fires early: `clock.civil(clock.engine(t)) >= t`.

        Raises:
            ValueError: `civil` has no zone.
        """
        instant = _utc(civil)
        if self.engine_origin is None or self.civil_origin is None:
            return instant
        return _utc(self.engine_origin) + self.engine_duration(instant - _utc(self.civil_origin))

    def engine_duration(self, civil: timedelta) -> timedelta:
        """How long the engine takes for `civil`, rounded up to the microsecond."""
        num, den = self.speed.as_integer_ratio()
        return -(-(civil // _TICK) * den // num) * _TICK


def _utc(instant: datetime) -> datetime:
    if instant.utcoffset() is None:
        raise ValueError(f"{instant.isoformat()} has no zone, so it is no instant")
    return instant.astimezone(UTC)
