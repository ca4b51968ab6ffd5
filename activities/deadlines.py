"""When a task is due and who is told about it, by its case's policy and a calendar (RB-1, RB-5)."""

from __future__ import annotations

from datetime import date, datetime

from domain.ladder import Alarm, alarms
from domain.policy import Policy
from domain.working_time import (
    Calendar,
    Deadline,
    WorkingDays,
    civil_date,
    deadline,
    receipt_date,
)
from storage.records import Supervision, TaskRecord


def due_of(opened_at: datetime, limit: int, policy: Policy, days: Calendar) -> Deadline:
    """Return the deadline of a task owed since `opened_at`, `limit` working days long."""
    return deadline(days, _received_on(opened_at, policy, days), WorkingDays(limit))


def ladder_of(task: TaskRecord, policy: Policy, days: Calendar) -> tuple[Alarm, ...]:
    """Return the alarms of a task with a limit, in order of time."""
    assert task.limit_working_days is not None
    return alarms(
        policy.ladder,
        _received_on(task.opened_at, policy, days),
        WorkingDays(task.limit_working_days),
        days,
        policy.working_time.hours,
        yellow_at=policy.lights.yellow_at,
    )


def supervision_of(
    alarm: Alarm, task: TaskRecord, policy: Policy, days: Calendar, at: datetime
) -> Supervision:
    """Return the notice that an alarm sends at the civil instant `at`."""
    rung = policy.ladder[alarm.rung]
    is_own = rung.to in ("handler", "head")
    return Supervision(
        task=task,
        step=alarm.step,
        recipient=task.owed_by if is_own else rung.to,
        reply_by=deadline(days, civil_date(at), WorkingDays(rung.reply_within)).due_on,
        body={
            "step": alarm.step,
            "light": rung.light,
            "to": rung.to if is_own else "agency",
            "late_agency": task.owed_by,
            "due_on": task.due_on and task.due_on.isoformat(),
            "zh": rung.zh,
            "en": rung.en,
            "clause": rung.clause,
        },
    )


def _received_on(opened_at: datetime, policy: Policy, days: Calendar) -> date:
    working_time = policy.working_time
    return receipt_date(opened_at, working_time.receipt, working_time.hours, days)
