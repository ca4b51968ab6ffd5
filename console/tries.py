"""How often one address may try to sign in; an account's own lock stands beside it."""

from __future__ import annotations

from datetime import timedelta

from api import tries

MOST = 30
WITHIN = timedelta(minutes=5)
"""An office behind one address signs in at half past eight; a machine is done after a second."""


class Tries(tries.Tries):
    """Counts who signs in, by address."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__(most, WITHIN)
