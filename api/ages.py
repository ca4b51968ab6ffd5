"""How old open cases and tasks are, in bands of working days (RB-1.9, RB-11.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Literal, get_args

from domain.working_time import Calendar, elapsed

Age = Literal["0-2", "3-5", "6-10", "11-20", "21-40", "over-40"]
AGES: Mapping[Age, tuple[int, int | None]] = MappingProxyType(
    dict(
        zip(
            get_args(Age),
            ((0, 2), (3, 5), (6, 10), (11, 20), (21, 40), (41, None)),
            strict=True,
        )
    )
)
"""First and last working day of each band, both included; None is without an end."""


class Ages:
    """Says how old something is today; each date is counted once."""

    def __init__(self, days: Calendar, today: date) -> None:
        self._days, self._today = days, today
        self._seen: dict[date, int] = {}
        self._bands: dict[date, Age] = {}

    def working_days(self, since: date) -> int:
        """Return the working days since a civil date, which is not counted itself."""
        if since not in self._seen:
            self._seen[since] = elapsed(self._days, since, self._today)
        return self._seen[since]

    def of(self, since: date) -> Age:
        """Return the band of what began on a civil date."""
        if since not in self._bands:
            count = self.working_days(since)
            self._bands[since] = next(
                age for age, (_, last) in AGES.items() if last is None or count <= last
            )
        return self._bands[since]
