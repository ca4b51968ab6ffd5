"""How a case stands at one moment: on file, and in the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo

from domain.connection import TaskKind
from domain.naming import bundle_id
from domain.repair_plan import CaseStanding, ProcessStanding, TaskStanding
from operations.processes import Process, Processes
from storage.chain import canonical, digest
from storage.reading import CaseRecord, Reading
from storage.records import TaskRecord

NO_RUN = "none"
"""Status of a process that the engine does not know."""
WAITING = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


@dataclass(frozen=True, slots=True)
class Seen:
    """A case with everything that its standing was taken from.

    Attributes:
        processes: by workflow id, as far as the engine knows them.
    """

    standing: CaseStanding
    case: CaseRecord
    tasks: Sequence[TaskRecord]
    processes: dict[str, Process]

    def task(self, task_id: str) -> TaskRecord | None:
        """Return one of its tasks."""
        return next((task for task in self.tasks if task.id == task_id), None)

    def step(self, workflow_id: str, activity_id: str) -> PendingActivityInfo | None:
        """Return what the engine says of a step under way."""
        process = self.processes.get(workflow_id)
        pending = process.description.pending_activities if process else ()
        return next((each for each in pending if each.activity_id == activity_id), None)


async def look(no: str, reading: Reading, processes: Processes, systems: Collection[str]) -> Seen:
    """Look at a case.

    Args:
        systems: agencies that have a system, which tasks are pushed to.

    Raises:
        UnknownCase: there is no such case.
        EngineAway: the engine does not answer.
    """
    case, head, tasks = await reading.case_at_once(no)
    ids = [no, *_bundles(no, tasks)]
    found = await asyncio.gather(*(processes.describe(each) for each in ids))
    known = {each: process for each, process in zip(ids, found, strict=True) if process}
    # A bundle that was never begun is none of the case's processes.
    present = [each for each in ids if each in known or each == no]
    owed = {task.id for task in tasks if task.state == "open"}
    standing = CaseStanding(
        no=no,
        state=case.state,
        ending=case.ending,
        head=head,
        tasks=tuple(_task(task, systems) for task in tasks),
        processes=tuple(_process(each, known.get(each)) for each in present),
        waits=frozenset(_waits(known.values())),
        is_at_rest=all(_is_at_rest(process, owed, known) for process in known.values()),
    )
    return Seen(standing, case, tasks, known)


def _bundles(no: str, tasks: Sequence[TaskRecord]) -> list[str]:
    """Return the ids that its bundles have: one for each round in which a line was designed."""
    return [
        bundle_id(no, task.round)
        for task in tasks
        if task.kind is TaskKind.LINE_DESIGN and task.state == "done"
    ]


def _task(task: TaskRecord, systems: Collection[str]) -> TaskStanding:
    return TaskStanding(
        id=task.id,
        process=task.workflow_id,
        state=task.state,
        outcome=None if task.outcome is None else digest(canonical(task.outcome)),
        due_on=task.due_on,
        has_system=task.owed_by in systems,
    )


def _process(workflow_id: str, found: Process | None) -> ProcessStanding:
    if found is None:
        return ProcessStanding(workflow_id, None, NO_RUN)
    return ProcessStanding(workflow_id, found.run_id, found.status_name)


def _waits(found: Collection[Process]) -> list[str]:
    """Return the tasks whose activity has been tried in the run that carries it."""
    return [
        step.activity_id
        for process in found
        if process.is_running
        for step in process.description.pending_activities
        if step.state == WAITING or step.attempt > 1
    ]


def _is_at_rest(process: Process, owed: Collection[str], known: Mapping[str, Process]) -> bool:
    """Whether a process only waits: for what is owed, or for a bundle that it has begun."""
    if not process.is_running:
        return True
    description = process.description
    steps, bundles = description.pending_activities, description.pending_children
    return (
        not description.HasField("pending_workflow_task")
        # A step of another kind, or of a task that is decided by now, is about to come back.
        and all(step.activity_id in owed for step in steps)
        # A bundle that was asked for and has not begun will owe tasks in a moment.
        and all(
            each.workflow_id in known and known[each.workflow_id].is_running for each in bundles
        )
        and bool(steps or bundles)
    )
