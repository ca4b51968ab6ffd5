"""What the engine says of a process, and whether it is stuck: the edges of each rule (RB-12.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import (
    PendingActivityState,
    PendingWorkflowTaskState,
    TimeoutType,
    WorkflowExecutionStatus,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from domain.civil_clock import CivilClock
from operations.processes import Process
from operations.stuck_judging import REPORTED, STATUS, Moment, judged_case
from storage.stuck import FileView, OpenCase, OwedTask

pytestmark = pytest.mark.rule("RB-12.1")
NOW = datetime(2026, 9, 16, 4, tzinfo=UTC)
NO = "ZJ20260000011"
TASK = f"{NO}.check_papers.1"
BACKS_OFF = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


def ago(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(NOW - timedelta(seconds=seconds))
    return stamp


def raised(kind: str) -> Failure:
    failure = Failure(message="示例")
    failure.application_failure_info.type = kind
    return failure


def ran_out(of: TimeoutType.ValueType) -> Failure:
    failure = Failure(message="activity timeout")
    failure.timeout_failure_info.timeout_type = of
    return failure


def step(
    attempt: int = 1,
    failure: Failure | None = None,
    *,
    name: str = "owe",
    state: PendingActivityState.ValueType = BACKS_OFF,
    started_s_ago: float = 1,
) -> PendingActivityInfo:
    found = PendingActivityInfo(
        activity_id=TASK if name == "owe" else "1",
        attempt=attempt,
        state=state,
        last_failure=failure,
        last_started_time=ago(started_s_ago),
        expiration_time=ago(100),
        last_attempt_complete_time=ago(1),
    )
    found.activity_type.name = name
    return found


def described(
    *steps: PendingActivityInfo,
    status: WorkflowExecutionStatus.ValueType = RUNNING,
    task: tuple[PendingWorkflowTaskState.ValueType, int, float] | None = None,
    is_reported: bool = False,
) -> Process:
    """Return a process.

    Args:
        task: the pending workflow task: state, attempt, seconds since it was wanted.
        is_reported: whether the engine reports problems.
    """
    found = DescribeWorkflowExecutionResponse(pending_activities=steps)
    info = found.workflow_execution_info
    info.execution.CopyFrom(WorkflowExecution(workflow_id=NO, run_id="run"))
    info.status = status
    info.close_time.CopyFrom(ago(5))
    if task is not None:
        found.pending_workflow_task.state, found.pending_workflow_task.attempt = task[:2]
        found.pending_workflow_task.original_scheduled_time.CopyFrom(ago(task[2]))
    if is_reported:
        info.search_attributes.indexed_fields[REPORTED].CopyFrom(Payload(data=b"[]"))
    return Process.of(found)


def judged(
    process: Process | None,
    *,
    owes: bool = True,
    moved_s_ago: float = 3600,
    is_worked: bool = True,
) -> Sequence[str]:
    """Return the kinds of what is stuck in a case of this process."""
    tasks = (OwedTask(TASK, NO, "desk", None, None, None),) if owes else ()
    at = NOW - timedelta(seconds=moved_s_ago)
    of_file = OpenCase(NO, CivilClock(), True, at, at, tasks)
    view = FileView({NO: of_file}, (), ())
    return [each.kind for each in judged_case(of_file, Moment(NOW, view, {NO: process}, is_worked))]


WANTED = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
UNDER_WAY = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
START_TO_CLOSE = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE


@pytest.mark.parametrize(
    ("waiting", "found"),
    [
        (step(), []),
        # An attempt that ends by its time, however often.
        (step(9, ran_out(START_TO_CLOSE)), []),
        (step(2, raised("KeyError")), []),
        (step(3, raised("KeyError")), ["step_failing"]),
        (step(3, raised("PushUnanswered")), ["push_unanswered"]),
        # The attempt after a failure may be pushing, or waiting for the outcome.
        (step(4, raised("KeyError"), state=STARTED, started_s_ago=14), ["step_failing"]),
        (step(4, raised("KeyError"), state=STARTED, started_s_ago=16), []),
    ],
)
def test_an_attempt_to_owe_is_in_vain_when_it_fails(
    waiting: PendingActivityInfo, found: list[str]
) -> None:
    assert judged(described(waiting)) == found


@pytest.mark.parametrize(
    ("attempt", "failure", "found"),
    [
        (1, None, []),
        (2, raised("OperationalError"), ["step_failing"]),
        (2, ran_out(START_TO_CLOSE), ["step_failing"]),
    ],
)
def test_a_step_on_the_case_file_may_not_run_out_of_time(
    attempt: int, failure: Failure | None, found: list[str]
) -> None:
    assert judged(described(step(attempt, failure, name="accept_case")), owes=False) == found


@pytest.mark.parametrize(
    ("process", "found"),
    [
        (described(step(), task=(WANTED, 1, 100)), []),
        (described(step(), task=(WANTED, 2, 5)), []),
        (described(step(), task=(WANTED, 3, 5)), ["process_failing"]),
        (described(step(), task=(WANTED, 2, 5), is_reported=True), ["process_failing"]),
        (described(step(), task=(UNDER_WAY, 1, 29)), []),
        (described(step(), task=(UNDER_WAY, 1, 30)), ["unmoved"]),
    ],
)
def test_a_process_fails_or_hangs_by_its_workflow_task(process: Process, found: list[str]) -> None:
    assert judged(process) == found


def test_without_workers_a_process_is_only_stuck_if_its_code_failed() -> None:
    lost = described(step(), task=(UNDER_WAY, 3, 100))
    assert judged(lost, is_worked=False) == []
    assert judged(described(), is_worked=False) == []
    reported = described(step(), task=(WANTED, 2, 5), is_reported=True)
    assert judged(reported, is_worked=False) == ["process_failing"]


def test_what_moves_is_not_asked_what_it_owes() -> None:
    elsewhere = step(name="accept_case")
    assert judged(described(elsewhere)) == []
    assert judged(described(elsewhere, task=(WANTED, 1, 1))) == []
    other = step()
    other.activity_id = f"{NO}.survey.1"
    assert judged(described(other)) == ["not_owed"]
    assert judged(described(other, task=(WANTED, 1, 1))) == []


def test_a_case_that_owes_nothing_is_stuck_once_it_is_quiet() -> None:
    assert judged(described(step()), owes=False, moved_s_ago=29) == []
    assert judged(described(step()), owes=False, moved_s_ago=30) == ["unmoved"]
    assert judged(described(), owes=False, moved_s_ago=1) == ["unmoved"]


def test_every_way_of_closing_is_found() -> None:
    statuses = {
        status
        for name, status in WorkflowExecutionStatus.items()
        if not name.endswith(("UNSPECIFIED", "RUNNING"))
    }
    names = {described(status=status).status_name for status in statuses}
    assert names == set(STATUS)
    for status in statuses:
        assert judged(described(step(9, raised("KeyError")), status=status)) == ["process_closed"]
    assert judged(None) == ["process_missing"]
