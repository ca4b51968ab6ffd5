"""How a process watches its deadlines: one timer, for whatever comes first (RB-5)."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from temporalio import workflow

from workflows.owing import on_file

with workflow.unsafe.imports_passed_through():
    from activities.casefile import CaseFileActivities
    from activities.messages import CaseRef
    from domain.connection import TaskKind


class Watch:
    """Rings the ladder for every task of a case, its bundles' included.

    Deadlines are on file. The process knows only before when no alarm can come, looks into the
    file then, and is told when to look again: a task that is done in time costs it nothing.
    """

    def __init__(self, case: CaseRef) -> None:
        self._case = case
        self._look_at: datetime | None = None

    def owed(self, kind: TaskKind) -> None:
        """Have a task of this kind, owed from now on, watched."""
        earliest = self._case.alarm_after_s.get(kind)
        if earliest is not None:
            today = self._case.clock.civil(workflow.now())
            midnight = datetime.combine(today.date(), time.min, today.tzinfo)
            self._look_by(midnight + timedelta(seconds=earliest))

    def look_now(self) -> None:
        """Look into the file at once: deadlines have moved."""
        if self._case.alarm_after_s:
            self._look_by(self._case.clock.civil(workflow.now()))

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await workflow.wait_condition(lambda: self._look_at is not None)
            if await self._comes_first(self._look_at):
                self._look_at = None
                now = self._case.clock.civil(workflow.now())
                following = await on_file(
                    CaseFileActivities.ring_ladder, self._case.policy, self._case.no, now
                )
                if following is not None:
                    self._look_by(following)

    async def _comes_first(self, at: datetime | None) -> bool:
        """Wait until `at`; false if something is to be looked at before."""
        assert at is not None
        left = self._case.clock.engine(at) - workflow.now()
        if left <= timedelta(0):
            return True
        try:
            await workflow.wait_condition(lambda: self._look_at != at, timeout=left)
        except TimeoutError:
            return True
        return False

    def _look_by(self, at: datetime) -> None:
        if self._look_at is None or at < self._look_at:
            self._look_at = at
