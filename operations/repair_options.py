"""What could be repaired of a case as it stands: each repair tried as a plan, nothing done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from domain.errors import CaseEnded, EngineAway, IllegalRepair, OneWindowError
from domain.repair_plan import Plan, Target, Wording
from domain.repairs import RepairKind
from operations.planning import BACKING_OFF, ENDS_OF_TASKS, Asked, plan
from operations.processes import Processes
from operations.standing import Seen

NO_TASK = {
    RepairKind.RETRY: Wording(
        zh="没有处于重试等待的任务或步骤", en="no task or step backs off to be tried again"
    ),
    RepairKind.PUSH: Wording(
        zh="没有可推送的任务：承办单位均无对接系统",
        en="no task is owed by an agency with a system of its own",
    ),
    RepairKind.DECIDE: Wording(zh="没有未办结的任务", en="no task is open"),
}


@dataclass(frozen=True, slots=True)
class Option:
    """A repair that one could ask for.

    Attributes:
        target: its task, step, process or version, as it is asked for.
        is_step: whether `target.task_id` is a step of the process that is no task.
        problem: why it is not possible; None if it is.
        first_failure: whether it goes back to before the first failure.
        events: of a process that can be reset: the events one may go back to.
    """

    kind: RepairKind
    target: Target
    problem: Wording | None = None
    is_step: bool = False
    first_failure: bool = False
    events: tuple[int, ...] = ()


async def options(seen: Seen, processes: Processes) -> tuple[Option, ...]:
    """Return the repairs of every kind, each that there is something for, else why there is not.

    Raises:
        CaseEnded: the case is closed; there is nothing to repair.
        EngineAway: the engine does not answer.
    """
    if seen.standing.state != "open":
        raise CaseEnded(seen.standing.no, seen.standing.ending or "")
    found = [await _tried(each, seen, processes) for each in _candidates(seen)]
    found = [await _with_events(each, seen, processes) for each in found]
    missing = [kind for kind in NO_TASK if kind not in {each.kind for each in found}]
    found += [Option(kind, Target(case_no=seen.standing.no), NO_TASK[kind]) for kind in missing]
    order = list(RepairKind)
    return tuple(sorted(found, key=lambda each: order.index(each.kind)))


def _candidates(seen: Seen) -> Iterator[Option]:
    no = seen.standing.no
    owed = {task.id for task in seen.standing.open_tasks()}
    for workflow_id, process in seen.processes.items():
        for step in process.description.pending_activities:
            if step.state == BACKING_OFF and step.attempt > 1:
                target = Target(case_no=no, process=workflow_id, task_id=step.activity_id)
                yield Option(RepairKind.RETRY, target, is_step=step.activity_id not in owed)
    for task in seen.standing.open_tasks():
        if task.has_system:
            yield Option(RepairKind.PUSH, Target(case_no=no, task_id=task.id))
    for process_ in seen.standing.processes:
        target = Target(case_no=no, process=process_.workflow_id)
        yield Option(RepairKind.RESET, target, first_failure=True)
    yield Option(RepairKind.RESTART, Target(case_no=no))
    yield Option(RepairKind.MOVE, Target(case_no=no))
    yield Option(RepairKind.WITHDRAW, Target(case_no=no))
    for task in seen.standing.open_tasks():
        yield Option(RepairKind.DECIDE, Target(case_no=no, task_id=task.id))


async def _tried(option: Option, seen: Seen, processes: Processes) -> Option:
    if option.kind is RepairKind.DECIDE:
        return option  # What the outcome is must be known first.
    asked = Asked(option.kind, option.target, first_failure=option.first_failure)
    try:
        _: Plan = await plan(asked, seen, processes)
    except EngineAway:
        raise
    except IllegalRepair as refused:
        return replace(option, problem=Wording(zh=refused.zh, en=refused.en))
    except OneWindowError as refused:
        return replace(option, problem=Wording(zh=str(refused), en=str(refused)))
    return option


async def _with_events(option: Option, seen: Seen, processes: Processes) -> Option:
    process = seen.processes.get(option.target.process or "")
    if option.kind is not RepairKind.RESET or process is None:
        return option
    history = await processes.history(process.workflow_id, process.run_id)
    ends = [e.event_id for e in history.events if e.event_type in ENDS_OF_TASKS] if history else []
    return replace(option, events=tuple(ends))
