"""Bringing what is on file to its process: at once if it can be, by sweeping if not.

What was brought is noted in the case file in small batches. A note lost in a crash only means that
it is brought again, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog

from activities.beginning import ref_of
from activities.messages import CaseRef
from api.engine import Engine
from domain.errors import EngineAway
from policy.loader import UnknownPolicy
from storage.casefile import CaseFile
from storage.reading import CaseFilter, CaseRecord, Reading
from storage.records import TaskRecord

NOTE_EVERY_S = 0.25
SWEEP_EVERY_S = 2.0
AT_ONCE = 16

T = TypeVar("T")

log = structlog.get_logger()


class Delivery:
    """Starts processes and hands over outcomes, for as long as the API runs."""

    def __init__(self, casefile: CaseFile, engine: Engine) -> None:
        self._casefile, self._engine = casefile, engine
        self._reading = Reading(casefile.engine)
        # What this process is bringing, or has brought and not noted yet: not to be swept.
        self._in_hand: set[str] = set()
        self._started: list[str] = []
        self._delivered: list[str] = []
        # An engine that was away may have come back without what it knew: see `_restarted`.
        self._may_have_lost = True
        self._stopping = asyncio.Event()

    async def start(self, case: CaseRef) -> bool:
        """Start a case's process; false if the engine is away (the sweeper will)."""
        self._in_hand.add(case.no)
        try:
            await self._engine.start(case)
        except EngineAway:
            self._in_hand.discard(case.no)
            self._may_have_lost = True
            return False
        self._started.append(case.no)
        return True

    async def deliver(self, task: TaskRecord) -> bool:
        """Hand an outcome to its process; false if the engine is away (the sweeper will)."""
        self._in_hand.add(task.id)
        try:
            await self._engine.deliver(task)
        except EngineAway:
            self._in_hand.discard(task.id)
            self._may_have_lost = True
            return False
        self._delivered.append(task.id)
        return True

    async def tell(self, task: TaskRecord) -> bool:
        """Have a task's process look at its deadlines; false if the engine is away."""
        try:
            await self._engine.deadlines_moved(task.case_no)
        except EngineAway:
            return False
        await self._casefile.changes_told({task.id: task.changes})
        return True

    def stop(self) -> None:
        """Have `run` return soon."""
        self._stopping.set()

    async def run(self) -> None:
        """Note and sweep until stopped; what was brought by then is noted."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._noting())
                group.create_task(self._sweeping())
        finally:
            await self.note()

    async def note(self) -> None:
        """Note what was brought since the last time."""
        started, self._started = self._started, []
        delivered, self._delivered = self._delivered, []
        try:
            if started:
                await self._casefile.processes_started(started)
            if delivered:
                await self._casefile.outcomes_delivered(delivered)
        except Exception as problem:  # noqa: BLE001  noting must go on, whatever it was
            log.warning("delivery_not_noted", problem=type(problem).__name__)
        # Noted or not: if not, the sweeper brings it once more, and it is noted then.
        self._in_hand.difference_update(started, delivered)

    async def _noting(self) -> None:
        while not await self._is_stopped_within(NOTE_EVERY_S):
            await self.note()

    async def _sweeping(self) -> None:
        while not await self._is_stopped_within(SWEEP_EVERY_S):
            try:
                await self.sweep()
            except Exception as problem:  # noqa: BLE001  sweeping must go on, whatever it was
                log.warning("sweep_failed", problem=type(problem).__name__)

    async def _is_stopped_within(self, seconds: float) -> bool:
        # Not cancelled: a connection cut off while it is opened is never closed.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def sweep(self) -> None:
        """Bring everything that is on file and not known to have been brought."""
        cases = [case for case in await self._reading.unstarted() if case.no not in self._in_hand]
        tasks = [t for t in await self._reading.undelivered() if t.id not in self._in_hand]
        if cases or tasks:
            log.info("sweeping", cases=len(cases), outcomes=len(tasks))
        for some_cases in _batches(cases):
            await asyncio.gather(*(self._start_again(case) for case in some_cases))
        for some_tasks in _batches(tasks):
            await asyncio.gather(*(self.deliver(task) for task in some_tasks))
        # Looking twice changes nothing, so what another tells at this moment may be told again.
        for some_tasks in _batches(await self._reading.unheard()):
            await asyncio.gather(*(self.tell(task) for task in some_tasks))
        if not await self._engine.is_reachable():
            self._may_have_lost = True
        elif self._may_have_lost:
            self._may_have_lost = not await self._restarted()

    async def _restarted(self) -> bool:
        """Start the process of every open case; those that run are not touched.

        The engine may have lost some, or everything: the case file is the record. A process that is
        started anew reads there what was decided, and asks for none of it again (RB-12.3).
        """
        cursor = None
        while True:
            page = await self._reading.cases(CaseFilter(state="open"), limit=200, cursor=cursor)
            for some_cases in _batches(page.items):
                if self._stopping.is_set() or not all(
                    await asyncio.gather(*(map(self._start_again, some_cases)))
                ):
                    return False
            if (cursor := page.next_cursor) is None:
                return True

    async def _start_again(self, case: CaseRecord) -> bool:
        try:
            ref = ref_of(case)
        except UnknownPolicy as problem:
            # One case that cannot go on must not keep the others.
            log.error("policy_missing", no=case.no, problem=str(problem))
            return True
        return await self.start(ref)


def _batches(found: Sequence[T]) -> Iterable[Sequence[T]]:
    return (found[start : start + AT_ONCE] for start in range(0, len(found), AT_ONCE))
