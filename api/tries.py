"""How often something may be tried: by address, by account, by case.

Counted per process, in memory: it keeps a machine from trying many, and a restart that forgets it
does no harm.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from datetime import datetime, timedelta

REMEMBERED = 10_000
"""As many are remembered; those that tried longest ago are forgotten first."""


class Tries:
    """Counts tries by whoever or whatever they are about.

    Args:
        most: how many are allowed within a window.
        within: how long that is; it moves.
    """

    def __init__(self, most: int, within: timedelta) -> None:
        self._most, self._within = most, within
        self._by_key: OrderedDict[str, deque[datetime]] = OrderedDict()

    def take(self, key: str, at: datetime) -> bool:
        """Whether one more try is allowed; if so, it counts."""
        if self.wait(key, at):
            return False
        self.note(key, at)
        return True

    def note(self, key: str, at: datetime) -> None:
        """Count a try."""
        self._by_key.setdefault(key, deque(maxlen=self._most)).append(at)
        self._by_key.move_to_end(key)
        while len(self._by_key) > REMEMBERED:
            self._by_key.popitem(last=False)

    def give_back(self, key: str) -> None:
        """Take the last try out of the count: it was whom it should be."""
        if tries := self._by_key.get(key):
            tries.pop()

    def wait(self, key: str, at: datetime) -> int:
        """Return after how many seconds another try is allowed; 0 is now."""
        tries = self._by_key.get(key, deque())
        while tries and at - tries[0] >= self._within:
            tries.popleft()
        if len(tries) < self._most:
            return 0
        return max(1, math.ceil((tries[0] + self._within - at).total_seconds()))
