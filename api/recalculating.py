"""After a calendar was published: every open case is recalculated with it, once (RB-1.7).

The case file says how far that is: a case names the calendar its dates rest on, and is brought
forward in one transaction with its record and its notices. Whoever is killed meanwhile leaves
nothing half done, and whoever comes next goes on where the file says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime

import structlog

from activities.deadlines import due_of_task
from api.engine import Engine
from api.views import clock_bodies
from domain.errors import EngineAway
from domain.policy import Policy
from domain.working_time import Calendar
from policy.loader import UnknownPolicy, policy_for
from storage.calendars import Calendars, CalendarVersion
from storage.casefile import CaseFile
from storage.reading import CaseRecord, Reading
from storage.records import ClockDate, ClockMove, Move, Moves, TaskRecord

LOOKS_EVERY_S = 2.0
AT_A_TIME = 100

log = structlog.get_logger()


class Recalculation:
    """Brings open cases to the calendar in force, for as long as the API runs.

    Args:
        now: the engine's time.
    """

    def __init__(
        self,
        casefile: CaseFile,
        calendars: Calendars,
        engine: Engine,
        now: Callable[[], datetime],
    ) -> None:
        self._casefile, self._calendars = casefile, calendars
        self._engine, self._now = engine, now
        self._reading = Reading(casefile.engine)
        self._passed_over: set[str] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Look for cases that are behind until stopped; the case in hand is finished."""
        while not self._stopping.is_set():
            try:
                is_done = await self.some() == 0
                await self.tell()
            except Exception as problem:  # noqa: BLE001  looking must go on, whatever it was
                log.warning("recalculation_failed", problem=type(problem).__name__)
                is_done = True
            if is_done:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOKS_EVERY_S)

    def stop(self) -> None:
        """Have `run` return soon."""
        self._stopping.set()

    async def some(self, at_most: int = AT_A_TIME) -> int:
        """Recalculate some of the cases that are behind; return how many were."""
        version = await self._calendars.current()
        behind = await self._reading.behind(version.number, at_most + len(self._passed_over))
        numbers = [no for no in behind if no not in self._passed_over][:at_most]
        for no in numbers:
            if self._stopping.is_set():
                break
            await self._one(no, version)
        if numbers:
            log.info("recalculated", calendar=version.calendar.version, cases=len(numbers))
        return len(numbers)

    async def tell(self) -> int:
        """Tell processes of cases whose dates have moved, so that they arm their timers anew.

        Returns:
            How many were told. What was told and not noted in a crash is told again, which changes
            nothing.
        """
        waiting = await self._reading.untold(AT_A_TIME)
        told: dict[str, int] = {}
        with suppress(EngineAway):
            for no, number in waiting:
                await self._engine.calendar_changed(no)
                told[no] = number
        if told:
            await self._casefile.processes_told(told)
        return len(told)

    async def _one(self, no: str, version: CalendarVersion) -> None:
        case = await self._reading.case(no)
        try:
            policy = policy_for(case.policy)
        except UnknownPolicy as problem:
            # One case that cannot be read must not keep the others.
            log.error("policy_missing", no=no, problem=str(problem))
            self._passed_over.add(no)
            return
        before = (await self._calendars.version(case.calendar)).calendar
        at = case.clock.civil(self._now())

        def moves(case: CaseRecord, tasks: Sequence[TaskRecord]) -> Moves:
            return moved(case, tasks, policy, before, version.calendar, at)

        await self._casefile.recalculate(no, version.number, moves, at=at)


def moved(
    case: CaseRecord,
    tasks: Sequence[TaskRecord],
    policy: Policy,
    before: Calendar,
    after: Calendar,
    civil_now: datetime,
) -> Moves:
    """Say what another calendar changes in an open case: deadlines of open tasks, and clocks."""
    found = []
    for task in tasks:
        if task.state != "open" or task.limit_working_days is None:
            continue
        due = due_of_task(task, policy, after)
        # RB-4.6: what stands still has no date to move; its end computes one.
        if due is not None and (due.due_on, due.is_provisional) != (
            task.due_on,
            task.is_provisional,
        ):
            found.append(Move(task, due.due_on, due.is_provisional))
    old, new = (_dates(case, tasks, policy, days, civil_now) for days in (before, after))
    clocks = {
        clock: ClockMove(old[clock], new[clock])
        for clock in new
        if clock in old and old[clock] != new[clock]
    }
    return Moves(after.version, tuple(found), clocks)


def _dates(
    case: CaseRecord,
    tasks: Sequence[TaskRecord],
    policy: Policy,
    days: Calendar,
    civil_now: datetime,
) -> dict[str, ClockDate]:
    shown = clock_bodies(case, tasks, policy, civil_now, days, is_explained=False)
    return {
        f"{clock['id']}.{clock['round']}" if clock["round"] else clock["id"]: ClockDate(
            date.fromisoformat(clock["due_on"]), clock["is_provisional"]
        )
        for clock in shown
        # A department's date is that of its task.
        if clock["state"] != "stopped" and clock["due_on"] and clock["department"] is None
    }
