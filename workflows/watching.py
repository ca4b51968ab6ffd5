"""How a process watches its deadlines: one timer, for whatever comes first (RB-5)."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

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
        self._resumed_s: float | None = None

    def accepted(self, since: datetime | None) -> None:
        """Have the clocks of the case watched, which run since then (None: as before, not)."""
        if since is not None:
            self._look_after(self._case.clocks_alarm_after_s, since)

    def owed(self, kind: TaskKind) -> None:
        """Have a task of this kind, owed from now on, watched."""
        now = self._case.clock.civil(workflow.now())
        self._look_after(self._case.alarm_after_s.get(kind), now)
        # With it, a clock of the case that stood still may go on.
        self._look_after(self._resumed_s, now)

    def look_now(self) -> None:
        """Look into the file at once: deadlines have moved."""
        self.look_by(self._case.clock.civil(workflow.now()))

    def look_by(self, at: datetime | None) -> None:
        """Look at this civil instant, at the latest; None: not for this."""
        if at is None or not self._case.alarm_after_s:
            return
        if self._look_at is None or at < self._look_at:
            self._look_at = at

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            await self._watch()
        except FailureError as ended:
            # A step that is cancelled ends in an error of its own, whose cause is the cancel.
            if not is_cancelled_exception(ended):
                raise

    async def _watch(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._look_at is not None)
            if await self._comes_first(self._look_at):
                self._look_at = None
                now = self._case.clock.civil(workflow.now())
                following = await self._looked(now)
                self.look_by(following)

    async def _looked(self, now: datetime) -> datetime | None:
        """Send what is due; return when to look again."""
        policy, no = self._case.policy, self._case.no
        if self._case.clocks_alarm_after_s is None:
            return await on_file(CaseFileActivities.ring_ladder, policy, no, now)
        outlook = await on_file(CaseFileActivities.look_out, policy, no, now)
        self._resumed_s = outlook.resumed_s
        return outlook.next_at

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

    def _look_after(self, seconds: float | None, since: datetime) -> None:
        """Look so many civil seconds after the midnight before `since`; None: not for this."""
        if seconds is not None:
            midnight = datetime.combine(since.date(), time.min, since.tzinfo)
            self.look_by(midnight + timedelta(seconds=seconds))
