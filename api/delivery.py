"""Bringing what is on file to its process: at once if it can be, by sweeping if not.

What was brought is noted in the case file in small batches. A note lost in a crash only means that
it is brought again, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from activities.messages import CaseRef
from api.engine import Engine
from domain.civil_clock import CivilClock
from domain.connection import STORY, Voltage
from domain.errors import EngineAway
from domain.policy import Policy
from policy.loader import policy_for
from storage.casefile import CaseFile
from storage.reading import CaseRecord, Reading
from storage.records import TaskRecord

NOTE_EVERY_S = 0.25
SWEEP_EVERY_S = 2.0
AT_ONCE = 16

T = TypeVar("T")

log = structlog.get_logger()


def case_ref(no: str, voltage: Voltage, policy: Policy, clock: CivilClock) -> CaseRef:
    """Return what a case's process is started with."""
    return CaseRef(
        no=no,
        voltage=voltage,
        policy=policy.version_id,
        clock=clock,
        patience_s={
            kind.value: (
                policy.tasks[kind].answer_within_minutes * 60,
                policy.tasks[kind].reconcile_hours * 3600,
            )
            for kind in STORY[voltage]
        },
    )


class Delivery:
    """Starts processes and hands over outcomes, for as long as the API runs."""

    def __init__(self, casefile: CaseFile, engine: Engine) -> None:
        self._casefile, self._engine = casefile, engine
        self._reading = Reading(casefile.engine)
        # What this process is bringing, or has brought and not noted yet: not to be swept.
        self._in_hand: set[str] = set()
        self._started: list[str] = []
        self._delivered: list[str] = []

    async def start(self, case: CaseRef) -> bool:
        """Start a case's process; false if the engine is away (the sweeper will)."""
        self._in_hand.add(case.no)
        try:
            await self._engine.start(case)
        except EngineAway:
            self._in_hand.discard(case.no)
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
            return False
        self._delivered.append(task.id)
        return True

    async def run(self) -> None:
        """Note and sweep until cancelled; what was brought by then is noted."""
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
        except SQLAlchemyError as problem:
            log.warning("delivery_not_noted", problem=type(problem).__name__)
        # Noted or not: if not, the sweeper brings it once more, and it is noted then.
        self._in_hand.difference_update(started, delivered)

    async def _noting(self) -> None:
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            await self.note()

    async def _sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self.sweep()
            except SQLAlchemyError as problem:
                log.warning("sweep_failed", problem=type(problem).__name__)

    async def sweep(self) -> None:
        """Bring everything that is on file and not known to have been brought."""
        cases = [case for case in await self._reading.unstarted() if case.no not in self._in_hand]
        tasks = [t for t in await self._reading.undelivered() if t.id not in self._in_hand]
        if cases or tasks:
            log.info("sweeping", cases=len(cases), outcomes=len(tasks))
        for some_cases in _batches(cases):
            await asyncio.gather(*(self.start(self._ref(case)) for case in some_cases))
        for some_tasks in _batches(tasks):
            await asyncio.gather(*(self.deliver(task) for task in some_tasks))

    @staticmethod
    def _ref(case: CaseRecord) -> CaseRef:
        return case_ref(case.no, Voltage(case.voltage), policy_for(case.policy), case.clock)


def _batches(found: Sequence[T]) -> Iterable[Sequence[T]]:
    return (found[start : start + AT_ONCE] for start in range(0, len(found), AT_ONCE))
