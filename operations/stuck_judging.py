"""Whether a case is stuck, judged by its file and the engine's words alone (RB-12.1).

Nothing here asks anybody. What is asked a moment apart may not fit together: whoever uses this
looks twice before believing it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo

from domain.repairs import RepairKind
from domain.words import Words
from operations.processes import Process
from operations.stuck_findings import Finding, StuckKind, without_personal
from storage.stuck import ChangeOnFile, FileView, OpenCase, OutcomeOnFile, OwedTask

BEGUN_WITHIN = timedelta(seconds=10)
"""For the start of a process, and for an outcome on its way to one; sweeping takes seconds."""
QUIET_AFTER = timedelta(seconds=30)
"""Between two steps of a story there are milliseconds, and 13 s if the case file is away."""
CHANGE_TAKEN_WITHIN = timedelta(seconds=30)
CALL_TAKES = timedelta(seconds=15)
"""More than a push may take. An attempt that lasts longer has pushed, and waits for the outcome."""
OWED_IN_VAIN = 3
STEP_IN_VAIN = 2
"""A step on the case file comes here only after seven attempts within its workflow task."""
TASK_IN_VAIN = 3

OWE = "owe"
REPORTED = "TemporalReportedProblems"
"""The engine's search attribute for processes whose workflow tasks fail one after the other."""

STATUS: Mapping[str, Words] = {
    "completed": Words("已结束", "has completed"),
    "failed": Words("已失败", "has failed"),
    "canceled": Words("已被取消", "was cancelled"),
    "terminated": Words("已被终止", "was terminated"),
    "timed_out": Words("已超时", "has timed out"),
    # By the engine's own means, of which the case file knows nothing.
    "paused": Words("已被暂停", "was paused"),
    "continued_as_new": Words("已转入新实例", "has continued as another"),
}
_GONE = Words("已不存在", "is gone")
RAISES = Words("流程代码抛出错误", "Its code raises an error")
_IN_VAIN = Words("无任何待办，也无进展", "Nothing is owed, and nothing happens")
_DECIDED = Words(
    "有步骤仍在等待已有结果的任务", "A step still waits for a task that has its outcome"
)
_BUSY = Words("工作进程未能完成一个流程任务", "A worker does not get done with a workflow task")
_STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
_TASK_STARTED = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
_START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE


@dataclass(frozen=True, slots=True)
class Moment:
    """What one look has seen.

    Attributes:
        now: engine's instant.
        processes: by workflow id; None where the engine has none.
        is_worked: whether workers are there and keep up. If not, that is why cases do not move.
    """

    now: datetime
    view: FileView
    processes: Mapping[str, Process | None]
    is_worked: bool

    def running(self, workflow_id: str) -> Process | None:
        """Return a process if it runs."""
        process = self.processes.get(workflow_id)
        return process if process is not None and process.is_running else None


def bundles_of(case: OpenCase, process: Process | None) -> set[str]:
    """Return the ids of the bundles that a case waits for, by its process and by its file."""
    waited_for = process.description.pending_children if process else ()
    return {each.workflow_id for each in waited_for} | {
        task.workflow_id for task in case.tasks if task.workflow_id != case.no
    }


def judged_case(case: OpenCase, seen: Moment) -> list[Finding]:
    """Return what is stuck in a case; one finding per cause."""
    process = seen.processes.get(case.no)
    if process is None:
        return list(_uncarried(case, seen.now))
    if not process.is_running:
        return [_closed(case, process)]
    found = [*_bundles_closed(case, process, seen)]
    bundles = (seen.running(each) for each in bundles_of(case, process))
    for carrying in (process, *(each for each in bundles if each)):
        found += _process_stuck(case, carrying, seen)
    found += judged_pushes(case)
    named = {(each.kind, each.about) for each in found}
    for carrying in (each for each in map(seen.running, _carriers(case)) if each):
        found += [
            each for each in _steps(case, carrying, seen) if (each.kind, each.about) not in named
        ]
    # What moves, or waits for a worker, may owe in a moment what it does not owe now.
    is_at_rest = seen.is_worked and not _is_moving(process)
    if is_at_rest and not any(each.workflow_id and each.task_id is None for each in found):
        found += _not_owed(case, seen)
    if is_at_rest and not found:
        found += _quiet(case, process, seen)
    return found


def judged_outcomes(outcomes: Sequence[OutcomeOnFile], now: datetime) -> Iterator[Finding]:
    """Yield outcomes that have not reached their process for longer than it takes."""
    for each in outcomes:
        since = each.clock.engine(each.done_at)
        if now - since >= BEGUN_WITHIN:
            yield Finding.of(
                StuckKind.OUTCOME_UNDELIVERED,
                each.task_id,
                since,
                each.clock,
                case_no=each.case_no,
                workflow_id=each.workflow_id,
                task_id=each.task_id,
                agency=each.agency,
            )


# ---------------------------------------------------------------- processes


def _uncarried(case: OpenCase, now: datetime) -> Iterator[Finding]:
    kind, at = StuckKind.PROCESS_MISSING, case.moved_at
    if not case.process_started:
        kind, at = StuckKind.NOT_STARTED, case.submitted_at
        if now - case.clock.engine(at) < BEGUN_WITHIN:
            return
    since = case.clock.engine(at)
    yield Finding.of(kind, case.no, since, case.clock, case_no=case.no, workflow_id=case.no)


def _closed(case: OpenCase, process: Process) -> Finding:
    return Finding.of(
        StuckKind.PROCESS_CLOSED,
        case.no,
        _closed_at(case, process),
        case.clock,
        {"status": STATUS[process.status_name]},
        case_no=case.no,
        workflow_id=case.no,
        run_id=process.run_id,
    )


def _closed_at(case: OpenCase, process: Process | None) -> datetime:
    """Return when a process ended; if that is not known, when its case moved last."""
    if process and process.description.workflow_execution_info.HasField("close_time"):
        return instant_of(process.description.workflow_execution_info.close_time)
    return case.clock.engine(case.moved_at)


def _bundles_closed(case: OpenCase, process: Process, seen: Moment) -> Iterator[Finding]:
    for child in process.description.pending_children:
        if child.workflow_id not in seen.processes or seen.running(child.workflow_id):
            continue
        bundle = seen.processes[child.workflow_id]
        yield Finding.of(
            StuckKind.BUNDLE_CLOSED,
            child.workflow_id,
            _closed_at(case, bundle),
            case.clock,
            {"status": STATUS[bundle.status_name] if bundle else _GONE},
            case_no=case.no,
            workflow_id=child.workflow_id,
            run_id=child.run_id,
        )


def _process_stuck(case: OpenCase, process: Process, seen: Moment) -> Iterator[Finding]:
    """Yield that a running process fails, hangs, or waits for nothing that could come."""
    description = process.description
    task = description.pending_workflow_task
    concerns = {
        "case_no": case.no,
        "workflow_id": process.workflow_id,
        "run_id": process.run_id,
    }
    is_reported = REPORTED in description.workflow_execution_info.search_attributes.indexed_fields
    if is_reported or (task.attempt >= TASK_IN_VAIN and seen.is_worked):
        yield Finding.of(
            StuckKind.PROCESS_FAILING,
            process.workflow_id,
            instant_of(task.original_scheduled_time) if task.attempt else seen.now,
            case.clock,
            {"why": RAISES},
            **concerns,
        )
        return
    if not seen.is_worked:
        return
    begun_at = instant_of(task.original_scheduled_time)
    is_busy = task.state == _TASK_STARTED and seen.now - begun_at >= QUIET_AFTER
    is_idle = not (task.state or description.pending_activities or description.pending_children)
    if is_busy or is_idle:
        yield Finding.of(
            StuckKind.UNMOVED,
            process.workflow_id,
            begun_at if is_busy else case.clock.engine(case.moved_at),
            case.clock,
            {"why": _BUSY if is_busy else _IN_VAIN},
            **concerns,
        )


def _not_owed(case: OpenCase, seen: Moment) -> Iterator[Finding]:
    """Yield open tasks that no step of a process waits for."""
    for task in case.tasks:
        process = seen.running(task.workflow_id)
        if process is not None and _is_moving(process):
            continue
        steps = process.description.pending_activities if process else ()
        if task.id not in {step.activity_id for step in steps}:
            yield Finding.of(
                StuckKind.NOT_OWED,
                task.id,
                case.clock.engine(case.moved_at),
                case.clock,
                case_no=case.no,
                workflow_id=task.workflow_id,
                task_id=task.id,
                agency=task.owed_by,
            )


def _is_moving(process: Process) -> bool:
    """Whether a process has been given something to do, or does a step on the case file."""
    description = process.description
    return bool(description.pending_workflow_task.state) or any(
        step.activity_type.name != OWE for step in description.pending_activities
    )


def _quiet(case: OpenCase, process: Process, seen: Moment) -> Iterator[Finding]:
    """Yield a case in which nothing is owed, all is delivered and nothing happens."""
    since = case.clock.engine(case.moved_at)
    is_undelivered = any(each.case_no == case.no for each in seen.view.outcomes)
    if case.tasks or is_undelivered or seen.now - since < QUIET_AFTER:
        return
    waiting = [
        step.activity_id
        for carrying in (process, *map(seen.running, bundles_of(case, process)))
        if carrying
        for step in carrying.description.pending_activities
        if step.activity_type.name == OWE
    ]
    finding = Finding.of(
        StuckKind.UNMOVED,
        case.no,
        since,
        case.clock,
        {"why": _DECIDED if waiting else _IN_VAIN},
        case_no=case.no,
        workflow_id=case.no,
        run_id=process.run_id,
    )
    if waiting:
        finding = replace(finding, repair=RepairKind.RETRY, task_id=waiting[0])
    yield finding


# ---------------------------------------------------------------- tasks


def _carriers(case: OpenCase) -> list[str]:
    return sorted({case.no} | {task.workflow_id for task in case.tasks})


def judged_pushes(case: OpenCase) -> Iterator[Finding]:
    """Yield open tasks whose agency's system does not take them, as the worker noted it."""
    for task in case.tasks:
        if task.push_failing_since is None:
            continue
        is_refused = task.push_failure is None
        yield Finding.of(
            StuckKind.PUSH_REFUSED if is_refused else StuckKind.PUSH_UNANSWERED,
            task.id,
            case.clock.engine(task.push_failing_since),
            case.clock,
            {"agency": task.owed_by},
            case_no=case.no,
            workflow_id=task.workflow_id,
            task_id=task.id,
            agency=task.owed_by,
            error=without_personal("", task.push_failure or task.push_problem or ""),
        )


def _steps(case: OpenCase, process: Process, seen: Moment) -> Iterator[Finding]:
    """Yield steps that are tried in vain.

    That an attempt to owe a task ends by its time is how a wait goes on, and says nothing. The
    engine keeps the last failure while the attempt after it waits for the outcome.
    """
    open_tasks = {task.id: task for task in case.tasks}
    for step in process.description.pending_activities:
        is_owe = step.activity_type.name == OWE
        if not step.HasField("last_failure"):
            continue
        if step.attempt < (OWED_IN_VAIN if is_owe else STEP_IN_VAIN):
            continue
        if is_owe and (_is_ordinary(step.last_failure) or _is_waiting(step, seen.now)):
            continue
        yield _step_failing(case, process, step, open_tasks.get(step.activity_id))


def _is_ordinary(failure: Failure) -> bool:
    return (
        failure.HasField("timeout_failure_info")
        and failure.timeout_failure_info.timeout_type == _START_TO_CLOSE
    )


def _is_waiting(step: PendingActivityInfo, now: datetime) -> bool:
    return step.state == _STARTED and now - instant_of(step.last_started_time) >= CALL_TAKES


def _step_failing(
    case: OpenCase, process: Process, step: PendingActivityInfo, task: OwedTask | None
) -> Finding:
    type_name, error = error_of(step.last_failure)
    is_push = type_name == "PushUnanswered" and task is not None
    return Finding.of(
        StuckKind.PUSH_UNANSWERED if is_push else StuckKind.STEP_FAILING,
        # A step on the case file has a number for an id, which is another's in the next process.
        step.activity_id if task else f"{process.workflow_id}.{step.activity_type.name}",
        _failing_since(step),
        case.clock,
        {"agency": task.owed_by}
        if is_push and task
        else {"step": step.activity_type.name, "times": step.attempt - 1},
        case_no=case.no,
        workflow_id=process.workflow_id,
        run_id=process.run_id,
        task_id=task.id if task else None,
        agency=task.owed_by if task else None,
        error=without_personal("" if is_push else type_name, error),
    )


def _failing_since(step: PendingActivityInfo) -> datetime:
    """Return since when a step fails: the engine tells of its first and of its last attempt.

    If back-off alone explains the time between them, every attempt failed.
    """
    options = step.activity_options
    first = instant_of(step.expiration_time) - options.schedule_to_close_timeout.ToTimedelta()
    last = instant_of(step.last_attempt_complete_time)
    backed_off = timedelta(seconds=2 ** min(step.attempt, 20))
    return first if last - first <= 2 * backed_off else last


def error_of(failure: Failure) -> tuple[str, str]:
    """Return type and text of what a failure comes from in the end."""
    while failure.HasField("cause"):
        failure = failure.cause
    return failure.application_failure_info.type, failure.message


# ---------------------------------------------------------------- messages


def judged_changes(changes: Sequence[ChangeOnFile], now: datetime) -> Iterator[Finding]:
    """Yield each change that is refused, and for each agency the first that is not taken."""
    waiting: dict[str, list[ChangeOnFile]] = {}
    for each in changes:
        if each.is_refused:
            yield _change(StuckKind.CHANGE_REFUSED, str(each.number), each)
        elif now - each.clock.engine(each.at) >= CHANGE_TAKEN_WITHIN:
            waiting.setdefault(each.agency, []).append(each)
    for agency, of_agency in waiting.items():
        behind = len(of_agency) - 1
        yield _change(StuckKind.CHANGE_UNANSWERED, agency, of_agency[0], behind)


def _change(kind: StuckKind, about: str, change: ChangeOnFile, behind: int = 0) -> Finding:
    return Finding.of(
        kind,
        about,
        change.clock.engine(change.at),
        change.clock,
        {"agency": change.agency, "behind": behind},
        case_no=change.case_no,
        task_id=change.task_id,
        agency=change.agency,
        error=change.problem and without_personal("", change.problem),
    )


def instant_of(stamp: Timestamp) -> datetime:
    """Read an instant of the engine."""
    return stamp.ToDatetime(UTC)
