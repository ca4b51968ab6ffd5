"""Making the plan of a repair from how a case stands; whatever is not possible is refused here.

What a plan predicts rests on three properties of the design: a task stays on file with its deadline
however often its process begins anew; the activity that owes it looks into the file before it asks
anybody; and a push is a PUT under the task's own id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from temporalio.api.enums.v1 import (
    EventType,
    PendingActivityState,
    TimeoutType,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent

from domain.connection import STORY, Action, Code, Ending, TaskKind, check_action
from domain.errors import CaseEnded, IllegalAction, IllegalRepair, UnknownTask
from domain.repair_plan import Plan, PlannedProcess, Target, Wording
from domain.repairs import RepairKind
from operations.processes import Processes
from operations.standing import NO_RUN, Seen

BACKING_OFF = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED

COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
ENDS_OF_TASKS = frozenset({COMPLETED, FAILED, TIMED_OUT})
NOT_TAKEN = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
HARMLESS = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        # Something came while the task was under way; the engine gives it out anew.
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    }
)
CHILD_ASKED_FOR = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
CHILD_ENDED = frozenset(
    {
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
    }
)

NO_WAY_BACK = Wording(
    zh="原运行记录保留在流程引擎中，但不能再继续",
    en="the run there was stays in the engine to be read, but cannot go on",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an administrator asks for.

    Attributes:
        outcome: what is to be put on file, of `decide`.
        first_failure: of `reset`: go on from before the first workflow task that failed.
    """

    kind: RepairKind
    target: Target
    outcome: Mapping[str, Any] | None = None
    first_failure: bool = False


async def plan(asked: Asked, seen: Seen, processes: Processes) -> Plan:
    """Say what a repair would do to a case as it stands.

    Raises:
        CaseEnded: the case is closed; there is nothing to repair.
        UnknownTask: the case has no such task.
        IllegalRepair: it is not possible as things stand.
        EngineAway: the engine does not answer.
    """
    standing = seen.standing
    if standing.state != "open":
        raise CaseEnded(standing.no, standing.ending or "")
    match asked.kind:
        case RepairKind.RETRY:
            return _retry(asked, seen)
        case RepairKind.PUSH:
            return _push(asked, seen)
        case RepairKind.RESET:
            return await _reset(asked, seen, processes)
        case RepairKind.RESTART:
            return _restart(asked, seen)
        case RepairKind.MOVE:
            return await _move(asked, seen, processes)
        case RepairKind.WITHDRAW:
            return _withdraw(asked, seen)
        case RepairKind.DECIDE:
            return _decide(asked, seen)
        case _:
            assert_never(asked.kind)


# ---------------------------------------------------------------- what discards nothing


def _retry(asked: Asked, seen: Seen) -> Plan:
    activity_id = asked.target.task_id
    if activity_id is None:
        raise IllegalRepair("name the task, or the step, to be retried", "请指明要重试的任务或步骤")
    for workflow_id in seen.processes:
        step = seen.step(workflow_id, activity_id)
        if step is None or asked.target.process not in (None, workflow_id):
            continue
        if step.state != BACKING_OFF or step.attempt < 2:
            raise IllegalRepair(
                f"{activity_id} does not back off: it waits for an answer; push it again instead",
                f"{activity_id} 未处于重试等待，正在等待答复；可改用“重新推送”",
            )
        task = seen.task(activity_id)
        is_open = task is not None and task.state == "open"
        has_system = activity_id in _systems(seen)
        return _plan(
            asked,
            seen,
            target=asked.target.model_copy(update={"process": workflow_id}),
            pushes_repeated=(activity_id,) if is_open and has_system else (),
            goes_on=task is None or not is_open,
        )
    if seen.task(activity_id) is None:
        raise UnknownTask(activity_id)
    raise IllegalRepair(
        f"no running process owes {activity_id}; restart the case from its file",
        f"没有运行中的流程承载 {activity_id}；可改用“依案卷重启”",
    )


def _push(asked: Asked, seen: Seen) -> Plan:
    task_id = _open_task(asked, seen)
    if task_id not in _systems(seen):
        raise IllegalRepair(
            f"the agency that owes {task_id} has no system; it finds the task in its inbox",
            f"{task_id} 的承办单位没有对接系统，该任务在其收件箱中",
        )
    return _plan(asked, seen, pushes_repeated=(task_id,))


async def _move(asked: Asked, seen: Seen, processes: Processes) -> Plan:
    running = [each for each in seen.standing.processes if each.is_running]
    if not running:
        raise _not_carried(seen)
    if asked.target.version:
        await processes.check_version(asked.target.version)
    return _plan(asked, seen)


# ---------------------------------------------------------------- what discards something


def _withdraw(asked: Asked, seen: Seen) -> Plan:
    case = seen.case
    try:
        check_action(Action.WITHDRAW, None if case.reached is None else TaskKind(case.reached))
    except IllegalAction as illegal:
        raise IllegalRepair(
            f"it cannot be withdrawn any more: the case has reached {illegal.stage}",
            f"办件已进入 {illegal.stage}，不能再撤回",
        ) from None
    if _running(seen, case.no).description.pending_workflow_task.attempt > 1:
        raise IllegalRepair(
            f"the process of {case.no} fails and cannot take a withdrawal; have it mended first",
            f"{case.no} 的流程反复出错，无法办理撤回；请先修复",
        )
    return _plan(
        asked,
        seen,
        changes={each.workflow_id: "ends" for each in seen.standing.processes if each.is_running},
        tasks_closed=tuple(task.id for task in seen.standing.open_tasks()),
        ends_as=Ending.WITHDRAWN.value,
        discards=(
            Wording(
                zh="全部未办结任务不再办理，办件以“撤回”办结",
                en="what is still owed is owed no longer; the case ends as withdrawn",
            ),
        ),
        cannot_be_undone=(
            Wording(
                zh="撤回后不能恢复；申请人须重新申请",
                en="a case that was withdrawn is never taken up again; it must be applied for anew",
            ),
        ),
    )


def _decide(asked: Asked, seen: Seen) -> Plan:
    task_id = _open_task(asked, seen)
    task = seen.task(task_id)
    assert task is not None and asked.outcome is not None
    turn = STORY[task.facts.voltage][task.kind].get(Code(asked.outcome["code"]))
    ending = turn.then if turn is not None and isinstance(turn.then, Ending) else None
    running = [each.workflow_id for each in seen.standing.processes if each.is_running]
    others = tuple(t.id for t in seen.standing.open_tasks() if t.id != task_id)
    return _plan(
        asked,
        seen,
        decisions_added=(task_id,),
        goes_on=ending is None,
        ends_as=None if ending is None else ending.value,
        changes=None if ending is None else dict.fromkeys(running, "ends"),
        tasks_closed=() if ending is None else others,
        discards=(
            Wording(
                zh=f"{task.owed_by} 不能再就此任务作出其他结果",
                en=f"{task.owed_by} cannot give another outcome of this task any more",
            ),
        ),
        cannot_be_undone=(
            Wording(
                zh="结果一经登记不能更改；流程即按该结果继续",
                en="an outcome on file is never changed; the process goes on by it",
            ),
            *(
                ()
                if ending is None
                else (
                    Wording(
                        zh=f"办件随之办结：{ending.value}；其他未办结任务一并关闭",
                        en=f"the case ends by it as {ending.value}; what else is owed is closed",
                    ),
                )
            ),
        ),
    )


def _restart(asked: Asked, seen: Seen) -> Plan:
    known = [each for each in seen.standing.processes if each.status != NO_RUN]
    return _plan(
        asked,
        seen,
        changes=dict.fromkeys((each.workflow_id for each in seen.standing.processes), "anew"),
        discarded={each.workflow_id: seen.processes[each.workflow_id].length for each in known},
        pushes_repeated=_pushed_again(seen, None),
        goes_on=not _is_well(seen),
        discards=tuple(
            Wording(
                zh=f"{each.workflow_id} 的全部 {seen.processes[each.workflow_id].length} 个事件"
                "由新的运行依案卷重新经历",
                en=f"all {seen.processes[each.workflow_id].length} events of {each.workflow_id}: "
                "a new run goes through the case file instead",
            )
            for each in known
        ),
        cannot_be_undone=(NO_WAY_BACK,) if known else (),
    )


async def _reset(asked: Asked, seen: Seen, processes: Processes) -> Plan:
    no = seen.standing.no
    workflow_id = asked.target.process or no
    process = seen.processes.get(workflow_id)
    if process is None:
        raise IllegalRepair(
            f"the engine knows no process {workflow_id}; restart the case from its file",
            f"流程引擎中没有 {workflow_id}；可改用“依案卷重启”",
        )
    history = await processes.history(workflow_id, process.run_id)
    events = list(history.events) if history else []
    event_id = _resettable(asked, workflow_id, events)
    if workflow_id != no:
        parent = _running(seen, no)
        if not process.is_running and not any(
            child.workflow_id == workflow_id for child in parent.description.pending_children
        ):
            raise IllegalRepair(
                f"{workflow_id} has ended, and {no} has taken its result; reset {no} instead",
                f"{workflow_id} 已结束，其结果已由 {no} 采用；请回退 {no}",
            )
    after = [child for child, asked_at in _children(events) if asked_at >= event_id]
    _check_kept_children(seen, workflow_id, events, event_id)
    changes = dict.fromkeys([workflow_id, *after], "anew")
    discarded = {workflow_id: process.length - event_id + 1}
    return _plan(
        asked,
        seen,
        target=asked.target.model_copy(update={"process": workflow_id, "event_id": event_id}),
        changes={w: c for w, c in changes.items() if w == workflow_id or w in seen.processes},
        discarded=discarded,
        pushes_repeated=_pushed_again(seen, changes),
        goes_on=not _is_well(seen),
        discards=(
            Wording(
                zh=f"{workflow_id} 自第 {event_id} 个事件起的 {discarded[workflow_id]} 个事件"
                "由新的运行重新经历",
                en=f"{discarded[workflow_id]} events of {workflow_id}, from event {event_id} on: "
                "a new run goes through them again",
            ),
            *(
                Wording(
                    zh=f"{child} 在此之后开始，一并重新运行",
                    en=f"{child} began after that, and is begun anew as well",
                )
                for child in after
            ),
        ),
        cannot_be_undone=(NO_WAY_BACK,),
    )


def _resettable(asked: Asked, workflow_id: str, events: Sequence[HistoryEvent]) -> int:
    ends = [event.event_id for event in events if event.event_type in ENDS_OF_TASKS]
    if asked.first_failure:
        failed = [event.event_id for event in events if _is_failure(event)]
        if not failed:
            raise IllegalRepair(
                f"no workflow task of {workflow_id} has failed; name an event",
                f"{workflow_id} 没有失败的流程任务；请指明事件编号",
            )
        return failed[0]
    event_id = asked.target.event_id
    if event_id is None:
        raise IllegalRepair(
            f"name the event to go back to: one of {_listed(ends)}",
            f"请指明回退到哪个事件：{_listed(ends)}",
        )
    if event_id not in ends:
        raise IllegalRepair(
            f"{workflow_id} cannot be reset to event {event_id}: that is not the end of a "
            f"workflow task; possible are {_listed(ends)}",
            f"{workflow_id} 不能回退到第 {event_id} 个事件（不是流程任务的结束）；"
            f"可选：{_listed(ends)}",
        )
    return event_id


def _is_failure(event: HistoryEvent) -> bool:
    if event.event_type == TIMED_OUT:
        # That no worker took it in time is no failure of the code.
        return event.workflow_task_timed_out_event_attributes.timeout_type != NOT_TAKEN
    cause = event.workflow_task_failed_event_attributes.cause
    return event.event_type == FAILED and cause not in HARMLESS


def _listed(ends: Sequence[int]) -> str:
    return ", ".join(map(str, ends)) or "none"


def _children(events: Iterable[HistoryEvent]) -> Iterator[tuple[str, int]]:
    """Yield the bundles that a process asked for, and with which event."""
    for event in events:
        if event.event_type == CHILD_ASKED_FOR:
            attributes = event.start_child_workflow_execution_initiated_event_attributes
            yield attributes.workflow_id, event.event_id


def _check_kept_children(
    seen: Seen, workflow_id: str, events: Sequence[HistoryEvent], event_id: int
) -> None:
    """Refuse a reset after which a process would wait for a bundle that nobody carries.

    While its process runs, a bundle that was begun before the event goes on and reports to the new
    run. When the process was closed, its bundles were told to end, and nobody heard what of.
    """
    if seen.processes[workflow_id].is_running:
        return
    begun = [child for child, asked_at in _children(events) if asked_at < event_id]
    ended = sum(event.event_type in CHILD_ENDED for event in events)
    if len(begun) > ended:
        raise IllegalRepair(
            f"{workflow_id} is closed and nobody took up what {begun[-1]} came to; go back to "
            "before it began, or restart the case from its file",
            f"{workflow_id} 已关闭，{begun[-1]} 的结果无人接收；"
            "请回退到其开始之前，或改用“依案卷重启”",
        )


# ---------------------------------------------------------------- parts


def _plan(
    asked: Asked,
    seen: Seen,
    *,
    target: Target | None = None,
    changes: Mapping[str, str] | None = None,
    discarded: Mapping[str, int] | None = None,
    **says: Any,
) -> Plan:
    standing = seen.standing
    return Plan(
        kind=asked.kind,
        target=target or asked.target,
        head=standing.head,
        processes=tuple(
            PlannedProcess.model_validate(
                {
                    "workflow_id": each.workflow_id,
                    "run_id": each.run_id,
                    "status": each.status,
                    "change": (changes or {}).get(each.workflow_id, "kept"),
                    "discarded": (discarded or {}).get(each.workflow_id, 0),
                }
            )
            for each in standing.processes
        ),
        decisions_kept=tuple(task.id for task in standing.tasks if task.outcome is not None),
        **says,
    )


def _open_task(asked: Asked, seen: Seen) -> str:
    task_id = asked.target.task_id
    if task_id is None:
        raise IllegalRepair("name the task", "请指明任务")
    task = seen.task(task_id)
    if task is None:
        raise UnknownTask(task_id)
    if task.state != "open":
        raise IllegalRepair(f"{task_id} is not open any more", f"{task_id} 已办结或已关闭")
    return task_id


def _systems(seen: Seen) -> set[str]:
    return {task.id for task in seen.standing.tasks if task.has_system}


def _pushed_again(seen: Seen, processes: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(task.id for task in seen.standing.open_tasks(processes) if task.has_system)


def _is_well(seen: Seen) -> bool:
    """Whether the case only waits for what is owed: then a repair leads to just where it is."""
    standing = seen.standing
    owed = {task.id for task in standing.open_tasks()}
    return (
        standing.is_at_rest
        and bool(owed)
        and owed <= standing.waits
        and standing.processes[0].is_running
    )


def _running(seen: Seen, workflow_id: str) -> Any:
    process = seen.processes.get(workflow_id)
    if process is None or not process.is_running:
        raise _not_carried(seen)
    return process


def _not_carried(seen: Seen) -> IllegalRepair:
    no = seen.standing.no
    return IllegalRepair(
        f"no process of {no} runs; restart the case from its file",
        f"{no} 没有运行中的流程；可改用“依案卷重启”",
    )
