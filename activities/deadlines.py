"""When a task is due, by its case's policy and a calendar (RB-1)."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime

from domain.clocks import due
from domain.policy import Policy
from domain.task_events import ledger_of
from domain.working_time import (
    Calendar,
    Deadline,
    StillSuspended,
    WorkingDays,
    deadline,
    receipt_date,
)
from storage.records import TaskRecord


def due_of(opened_at: datetime, limit: int, policy: Policy, days: Calendar) -> Deadline:
    """Return the deadline of a task owed since `opened_at`, `limit` working days long."""
    return deadline(days, received_on(opened_at, policy, days), WorkingDays(limit))


def due_of_task(task: TaskRecord, policy: Policy, days: Calendar) -> Deadline | None:
    """Return the deadline of a task with a limit, by all that was reported of it (RB-4.6).

    Returns:
        None if it would run out in a time that stands still and has no end yet.
    """
    limit = task.limit_working_days
    assert limit is not None
    started_on = received_on(task.opened_at, policy, days)
    with suppress(StillSuspended):
        return due(ledger_of(started_on, task.history), WorkingDays(limit), days)
    return None


def received_on(opened_at: datetime, policy: Policy, days: Calendar) -> date:
    """Return the civil date from which a task owed since `opened_at` counts (RB-1.5)."""
    working_time = policy.working_time
    return receipt_date(opened_at, working_time.receipt, working_time.hours, days)
