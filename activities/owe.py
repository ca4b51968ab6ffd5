"""Owing a task: put it on file, push it to whoever owes it, and wait without holding anything.

Every attempt does the same three things, so a crash at any point, a lost callback, a department
that was down and a process that was reset all heal alike:

1. Is the outcome on file? Then that is the answer; what was decided is never asked again (RB-12.3).
2. Push the task by PUT under its own id; the answer to the push may hold the decision.
3. Leave the activity open, to be completed from outside by (workflow id, activity id).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, NoReturn

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.agencies import Agencies, PushHeld, PushRefused, PushUnanswered
from activities.contract import task_body
from activities.deadlines import due_of
from activities.messages import Answer, OwedTask, task_name
from domain.connection import Ending
from domain.errors import CaseEnded, InputRefused, StaleCalendar
from domain.outcomes import Outcome, check_outcome
from domain.policy import Policy
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.calendars import Calendars, CalendarVersion
from storage.casefile import CaseFile
from storage.documents import Documents
from storage.records import NewTask, TaskRecord

NOTED_FROM_ATTEMPT = 3


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
            if outcome is not None:
                return await self._decided_in_answer(task, outcome, owed)
            if task.push_failing_since is not None:
                await self._casefile.push_taken(task.id)
            return task
        except PushUnanswered as problem:
            await self._note_failure(task, problem, owed)
            raise ApplicationError(str(problem), type="PushUnanswered") from None
        except PushRefused as problem:
            # It stands on the task as `push_problem`: a person answers, or has the system mended,
            # and the next reconciliation pushes again. Failing would lose the place to answer at.
            await self._casefile.push_refused(
                task.id, str(problem), at=owed.clock.civil(self._now())
            )
            return task

    async def _note_failure(
        self, task: TaskRecord, problem: PushUnanswered, owed: OwedTask
    ) -> None:
        """Note on the task that its push fails, so that it is seen without being looked for."""
        if isinstance(problem, PushHeld) and (not problem.is_paused or task.push_failure):
            # Nothing was tried, so nothing is known that is not on file.
            return
        # First tries fail whenever a system restarts; noting each would double the writes.
        if activity.info().attempt >= NOTED_FROM_ATTEMPT and task.push_failure != str(problem):
            await self._casefile.push_unanswered(
                task.id, str(problem), at=owed.clock.civil(self._now())
            )

    async def _decided_in_answer(
        self, task: TaskRecord, body: Mapping[str, Any], owed: OwedTask
    ) -> TaskRecord:
        try:
            outcome = Outcome.model_validate(body)
            named = await Documents(self._casefile.engine).on_file(task.id, outcome.documents)
            check_task_outcome(task, outcome, civil_date(owed.clock.civil(self._now())), named)
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
            name=task_name(owed),
            workflow_id=activity.info().workflow_id or owed.no,
            owed_by=owed.department or rule.owner,
            link=rule.link[owed.voltage],
            segment=rule.segment,
            opened_at=owed.opened_at,
            # RB-4.5: papers follow by the date that the department set.
            due_on=owed.due_on if due is None else due.due_on,
            is_provisional=due is not None and due.is_provisional,
            calendar_version=days.calendar.version,
            calendar=days.number,
            limit_working_days=limit,
            clause=rule.clause,
            asked={
                "items": [asdict(item) for item in owed.items],
                "remarks": [asdict(remark) for remark in owed.remarks],
                **({"passed_by": list(owed.passed_by)} if owed.passed_by else {}),
                **({"papers": list(owed.papers)} if owed.papers else {}),
            },
        )

    def _too_late(self, new: NewTask, owed: OwedTask, ending: str) -> Answer:
        # A process can learn so late: the step that closed the file was done, its result was lost.
        at = owed.clock.civil(self._now())
        return Answer(str(new.name), None, at, case_ending=Ending(ending))

    @staticmethod
    def _leave_open() -> NoReturn:
        activity.raise_complete_async()


def check_task_outcome(
    task: TaskRecord, outcome: Outcome, on: date, documents: Collection[str] = ()
) -> None:
    """Refuse an outcome that this task, as it stands on file, cannot have.

    Args:
        on: civil date of receipt.
        documents: digests of those documents it names that were put with the task.

    Raises:
        InputRefused: names every field that is wrong.
    """
    asked_before = {task.owed_by, *task.asked.get("passed_by", ())}
    check_outcome(
        outcome,
        kind=task.kind,
        voltage=task.facts.voltage,
        round_no=task.round,
        asked_items=[item["item"] for item in task.asked["items"]],
        asks_area=task.asks_area,
        on=on,
        others=set(policy_for(task.policy).departments) - asked_before,
        documents=documents,
    )
