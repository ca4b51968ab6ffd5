"""How a process waits: it owes a task, and goes on when the task is answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import date, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.messages import (
        Answer,
        AskedItem,
        CaseRef,
        OwedTask,
        RouteRemark,
        task_name,
    )
    from activities.owe import Owing
    from domain.connection import TaskKind

T = TypeVar("T")

# Far beyond any case: without it the time-skipping test server may jump ten years, with it nothing
# ever ends by time-out. Silence is never an outcome (RB-4.5).
BEYOND_ANY_CASE = timedelta(days=3650)

# An attempt needs real seconds for real HTTP, however fast civil time runs in training.
SHORTEST_ATTEMPT = timedelta(seconds=3)

# A step is one short transaction. Tried within the workflow task it costs one event, but while it
# is retried there the task is kept open by three events every eight seconds: a day and a half of
# that, and the engine ends the process for its length. So there are 13 s of it, enough for a
# database that was just restarting. The number of attempts is what limits them: the SDK's core
# (1.35) does not heed `schedule_to_close_timeout` between attempts of a local activity.
CASE_FILE_TIMEOUT = timedelta(seconds=30)
AT_ONCE = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=7)

# There is no last attempt, because a database that is away comes back and a step that has a bug is
# mended, and nothing else could go on with the case meanwhile.
UNTIL_DONE = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=20)
)


async def owe(
    case: CaseRef,
    kind: TaskKind,
    *,
    round_no: int = 1,
    department: str | None = None,
    items: tuple[AskedItem, ...] = (),
    remarks: tuple[RouteRemark, ...] = (),
    passed_by: tuple[str, ...] = (),
    papers: tuple[str, ...] = (),
    due_on: date | None = None,
) -> Answer:
    """Owe a task and return its answer; however long it takes, nothing else is waited for."""
    patience = case.patience(kind)
    owed = OwedTask(
        no=case.no,
        voltage=case.voltage,
        policy=case.policy,
        clock=case.clock,
        kind=kind,
        round=round_no,
        opened_at=case.clock.civil(workflow.now()),
        department=department,
        items=items,
        remarks=remarks,
        passed_by=passed_by,
        papers=papers,
        due_on=due_on,
    )
    return await workflow.execute_activity_method(
        Owing.owe,
        owed,
        activity_id=str(task_name(owed)),
        start_to_close_timeout=_lasting(case, patience.answer_within),
        schedule_to_close_timeout=BEYOND_ANY_CASE,
        # Each attempt looks into the case file and pushes again. The first come soon, for a system
        # that was just restarting; later ones at the pace at which its owner can be expected to
        # answer. There is no last one.
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=2.0,
            maximum_interval=_lasting(case, patience.reconcile),
        ),
        # When the case ends, whoever still owes is told through the case file; asking the activity
        # to cancel would only delay the ending.
        cancellation_type=workflow.ActivityCancellationType.ABANDON,
    )


async def on_file(step: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
    """Run one step on the case file and return what it found; its result is in the history.

    A step that fails for long goes on as an activity of its own.
    """
    try:
        return await workflow.execute_local_activity_method(
            step, args=args, start_to_close_timeout=CASE_FILE_TIMEOUT, retry_policy=AT_ONCE
        )
    except FailureError as failed:
        if is_cancelled_exception(failed):
            raise
    return await on_file_in_sight(step, *args)


async def on_file_in_sight(step: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
    """Run one step on the case file as an activity of its own.

    The engine shows its attempts and the last error, which cost no history, and what led to it is
    in the history before it begins.
    """
    return await workflow.execute_activity_method(
        step,
        args=args,
        start_to_close_timeout=CASE_FILE_TIMEOUT,
        schedule_to_close_timeout=BEYOND_ANY_CASE,
        retry_policy=UNTIL_DONE,
    )


def _lasting(case: CaseRef, civil: timedelta) -> timedelta:
    return max(case.clock.engine_duration(civil), SHORTEST_ATTEMPT)
