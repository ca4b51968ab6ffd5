"""Owing a task: put it on file, push it to whoever owes it, and wait without holding anything.

Every attempt does the same three things, so a crash at any point, a lost callback, a department
that was down and a process that was reset all heal alike:

1. Is the outcome on file? Then that is the answer; what was decided is never asked again (RB-12.3).
2. Push the task by PUT under its own id; the answer to the push may hold the decision.
3. Leave the activity open, to be completed from outside by (workflow id, activity id).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, NoReturn

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.agencies import Agencies, PushRefused, PushUnanswered
from activities.contract import task_body
from activities.deadlines import due_of
from activities.messages import Answer, OwedTask
from domain.connection import Ending
from domain.errors import CaseEnded, InputRefused, StaleCalendar
from domain.naming import TaskName
from domain.outcomes import Outcome, check_outcome
from domain.policy import Policy
from policy.loader import policy_for
from storage.calendars import Calendars, CalendarVersion
from storage.casefile import CaseFile
from storage.records import NewTask, TaskRecord


class Owing:
    """The activity behind every wait.

    Args:
        now: the engine's time; civil time follows from it by the case's clock.
    """

    def __init__(
        self,
        casefile: CaseFile,
        calendars: Calendars,
        agencies: Agencies,
        now: Callable[[], datetime],
    ) -> None:
        self._casefile, self._calendars = casefile, calendars
        self._agencies, self._now = agencies, now

    @activity.defn(name="owe")
    async def owe(self, owed: OwedTask) -> Answer:
        """Owe a task until its outcome is known.

        Raises:
            ApplicationError: the agency did not take the push; retried with back-off.
        """
        policy = policy_for(owed.policy)
        new = self._as_new(owed, policy, await self._calendars.current())
        try:
            task = await self._opened(new, owed, policy)
        except CaseEnded as ended:
            return self._too_late(new, owed, ended.ending)
        if task.closed_by is not None:
            return self._too_late(new, owed, task.closed_by)
        if task.outcome is None and task.state == "open":
            task = await self._pushed(task, policy, owed)
        if task.outcome is None:
            self._leave_open()
        assert task.done_at is not None
        return Answer.of(task.id, task.outcome, task.done_at)

    async def _pushed(self, task: TaskRecord, policy: Policy, owed: OwedTask) -> TaskRecord:
        """Push the task; if the answer holds the decision, put it on file."""
        try:
            outcome = await self._agencies.push(task.owed_by, task_body(task, policy))
            if outcome is None:
                return task
            return await self._decided_in_answer(task, outcome, owed)
        except PushUnanswered as problem:
            raise ApplicationError(str(problem), type="PushUnanswered") from None
        except PushRefused as problem:
            # It stands on the task as `push_problem`: a person answers, or has the system mended,
            # and the next reconciliation pushes again. Failing would lose the place to answer at.
            await self._casefile.push_refused(
                task.id, str(problem), at=owed.clock.civil(self._now())
            )
            return task

    async def _decided_in_answer(
        self, task: TaskRecord, body: Mapping[str, Any], owed: OwedTask
    ) -> TaskRecord:
        try:
            outcome = Outcome.model_validate(body)
            check_task_outcome(task, outcome)
        except (ValidationError, InputRefused):
            raise PushRefused(f"{task.owed_by} answered an outcome that is not valid") from None
        decided = await self._casefile.decide(
            task.id,
            outcome.model_dump(mode="json", exclude_none=True),
            by=task.owed_by,
            at=owed.clock.civil(self._now()),
        )
        return decided.task

    async def _opened(self, new: NewTask, owed: OwedTask, policy: Policy) -> TaskRecord:
        try:
            return await self._casefile.open_task(new)
        except StaleCalendar:
            # A newer calendar was published a moment ago, and the case has been recalculated.
            newest = await self._calendars.refreshed()
            return await self._casefile.open_task(self._as_new(owed, policy, newest))

    def _as_new(self, owed: OwedTask, policy: Policy, days: CalendarVersion) -> NewTask:
        """Compute the deadline as of the moment the task was first owed (RB-1.3, RB-1.7)."""
        rule = policy.tasks[owed.kind]
        limit = rule.limit_working_days
        due = None if limit is None else due_of(owed.opened_at, limit, policy, days.calendar)
        return NewTask(
            name=TaskName(owed.no, owed.kind, owed.round, owed.department),
            workflow_id=activity.info().workflow_id or owed.no,
            owed_by=owed.department or rule.owner,
            link=rule.link[owed.voltage],
            segment=rule.segment,
            opened_at=owed.opened_at,
            due_on=None if due is None else due.due_on,
            is_provisional=due is not None and due.is_provisional,
            calendar_version=days.calendar.version,
            calendar=days.number,
            limit_working_days=limit,
            clause=rule.clause,
            asked={
                "items": [asdict(item) for item in owed.items],
                "remarks": [asdict(remark) for remark in owed.remarks],
            },
        )

    def _too_late(self, new: NewTask, owed: OwedTask, ending: str) -> Answer:
        # A process can learn so late: the step that closed the file was done, its result was lost.
        at = owed.clock.civil(self._now())
        return Answer(str(new.name), None, at, case_ending=Ending(ending))

    @staticmethod
    def _leave_open() -> NoReturn:
        activity.raise_complete_async()


def check_task_outcome(task: TaskRecord, outcome: Outcome) -> None:
    """Refuse an outcome that this task, as it stands on file, cannot have.

    Raises:
        InputRefused: names every field that is wrong.
    """
    check_outcome(
        outcome,
        kind=task.kind,
        voltage=task.facts.voltage,
        round_no=task.round,
        asked_items=[item["item"] for item in task.asked["items"]],
        asks_area=task.asks_area,
    )
