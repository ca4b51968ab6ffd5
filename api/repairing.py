"""Planning and carrying out repairs, case by case, for as long as the API runs.

The book says how far each is. Whoever is killed meanwhile leaves a case that is begun, and whoever
comes next does its steps again, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from traceback import extract_tb

import structlog
from sqlalchemy import exc as sa

from operations.repairing import Repairing
from storage.repairs import ItemRecord, ItemState, RepairRecord, Repairs

LOOKS_EVERY_S = 0.5
AT_ONCE = 8
# Longer than carrying out one case takes; a claim that runs out is taken up again.
CLAIMED_FOR = timedelta(seconds=90)

log = structlog.get_logger()


class RepairLoop:
    """Takes up what is to be planned and what is to be carried out.

    Args:
        now: the engine's time.
    """

    def __init__(self, repairs: Repairs, repairing: Repairing, now: Callable[[], datetime]) -> None:
        self._repairs, self._repairing, self._now = repairs, repairing, now
        self._in_hand: set[asyncio.Task[None]] = set()
        self._looking = asyncio.Event()
        self._is_stopping = False

    async def run(self) -> None:
        """Look until stopped; cases in hand come to rest, or are left for whoever comes next."""
        while not self._is_stopping:
            try:
                await self.look()
            except Exception as problem:  # noqa: BLE001  looking must go on, whatever it was
                log.warning("repairs_not_read", problem=type(problem).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._looking.wait(), LOOKS_EVERY_S)
            self._looking.clear()
        await asyncio.gather(*self._in_hand, return_exceptions=True)

    def stop(self) -> None:
        """Have `run` return soon."""
        self._is_stopping = True
        self._repairing.stop()
        self._looking.set()

    async def look(self) -> None:
        """Take up cases, as many as there is room and the rate of each repair allows."""
        for repair in await self._repairs.under_way():
            while len(self._in_hand) < AT_ONCE and not self._is_stopping:
                now = self._now()
                item = await self._repairs.claim(repair, now=now, until=now + CLAIMED_FOR)
                if item is None:
                    break
                taken = asyncio.create_task(self._one(item, repair))
                self._in_hand.add(taken)
                taken.add_done_callback(self._done)

    def _done(self, taken: asyncio.Task[None]) -> None:
        self._in_hand.discard(taken)
        self._looking.set()

    async def _one(self, item: ItemRecord, repair: RepairRecord) -> None:
        try:
            if item.state is ItemState.NEW:
                await self._repairing.plan_item(item, repair)
            else:
                await self._repairing.carry_out(item, repair)
        except (sa.OperationalError, sa.InterfaceError, sa.TimeoutError):
            # The case file is away: its claim runs out, and it is taken up again.
            log.warning("repair_interrupted", item=item.name)
        except Exception as problem:  # noqa: BLE001  one case's trouble is no other's
            # The message may quote what is on file: only its type and place are told (RB-13.3).
            found = extract_tb(problem.__traceback__)[-5:]
            where = [f"{Path(each.filename).name}:{each.lineno}" for each in found]
            log.error("repair_failed", item=item.name, error=type(problem).__name__, where=where)
            with suppress(Exception):  # Then its claim runs out, and it is taken up again.
                await self._repairing.give_up(item, repair)
