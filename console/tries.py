"""How often one address may try to sign in; an account's own lock stands beside it.

Counted per process, in memory: it keeps a machine from trying many accounts, and a restart that
forgets it does no harm.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta

MOST = 30
WITHIN = timedelta(minutes=5)
"""An office behind one address signs in at half past eight; a machine is done after a second."""
ADDRESSES = 10_000
"""As many are remembered; those that tried longest ago are forgotten first."""


class Tries:
    """Counts tries by address."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._by_address: OrderedDict[str, deque[datetime]] = OrderedDict()

    def take(self, address: str, at: datetime) -> bool:
        """Whether one more try is allowed; if so, it counts."""
        tries = self._by_address.setdefault(address, deque(maxlen=self._most))
        self._by_address.move_to_end(address)
        while len(self._by_address) > ADDRESSES:
            self._by_address.popitem(last=False)
        while tries and at - tries[0] >= WITHIN:
            tries.popleft()
        if len(tries) == self._most:
            return False
        tries.append(at)
        return True
