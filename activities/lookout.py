"""What the ladder says of a case at a moment: whom to tell now, and when to look again (RB-5.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from activities.clocks import clocks_of_case
from activities.deadlines import received_on
from activities.messages import Outlook
from domain.ladder import Alarm, alarms, alarms_before, earliest
from domain.policy import Policy
from domain.task_events import ledger_of
from domain.working_time import Calendar, Interval, WorkingDays, civil_date, deadline
from storage.reading import CaseRecord
from storage.records import Supervision, TaskRecord


@dataclass(frozen=True, slots=True)
class _Watched:
    """A limit that runs: of an open task, or of a clock of the case.

    Attributes:
        about: id of the task, or the case number with the clock's id.
        late: the agency that answers for it.
        paused_s: civil seconds from midnight of the day on which it goes on, before which no alarm
            can come then; None while it runs.
    """

    about: str
    task_id: str | None
    late: str
    due_on: date | None
    alarms: tuple[Alarm, ...]
    paused_s: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What looking out has found."""

    due: tuple[Supervision, ...]
    outlook: Outlook


def look_out(
    case: CaseRecord,
    tasks: Sequence[TaskRecord],
    policy: Policy,
    days: Calendar,
    at: datetime,
    *,
    watches_clocks: bool,
) -> View:
    """Look at every limit that runs in a case, at the civil instant `at`.

    Args:
        watches_clocks: whether the clocks of the case are looked at beside its tasks (RB-2.2).
    """
    watched = [*_tasks(tasks, policy, days)]
    if watches_clocks:
        watched += _clocks(case, tasks, policy, days, at)
    each_alarm = [(each, alarm) for each in watched for alarm in each.alarms]
    coming = [alarm.at for _, alarm in each_alarm if alarm.at > at]
    paused = [each.paused_s for each in watched if each.paused_s is not None]
    return View(
        due=tuple(
            _supervision(each, alarm, policy, days, at)
            for each, alarm in each_alarm
            if alarm.at <= at
        ),
        outlook=Outlook(min(coming, default=None), min(paused, default=None)),
    )


def _tasks(tasks: Sequence[TaskRecord], policy: Policy, days: Calendar) -> Iterator[_Watched]:
    for task in tasks:
        if task.state != "open":
            continue
        if task.limit_working_days is None:
            if task.due_on is not None:
                found = alarms_of_date(task.due_on, policy, days)
                yield _Watched(task.id, task.id, task.owed_by, task.due_on, found)
            continue
        started_on = received_on(task.opened_at, policy, days)
        suspensions = ledger_of(started_on, task.history).fold().suspensions
        found = _alarms(
            started_on,
            WorkingDays(task.limit_working_days),
            [each.interval for each in suspensions],
            policy,
            days,
        )
        # What a department pauses, the process is told of when it goes on.
        yield _Watched(task.id, task.id, task.owed_by, task.due_on, found)


def _clocks(
    case: CaseRecord, tasks: Sequence[TaskRecord], policy: Policy, days: Calendar, at: datetime
) -> Iterator[_Watched]:
    for clock in clocks_of_case(case, tasks, policy):
        in_charge, limit = policy.clocks[clock.rule.id].in_charge, clock.rule.limit
        if limit is None or in_charge is None or clock.state == "stopped":
            continue
        read = clock.read(policy, at, days)
        excluded = [each.interval for each in read.exclusions]
        paused_s = None
        if clock.state == "suspended":
            excluded.append(Interval(civil_date(at), None))
            assert read.left is not None
            paused_s = _earliest_after(read.left, policy)
        found = _alarms(clock.started_on, limit, excluded, policy, days)
        about = f"{case.no}.{clock.rule.id}"
        yield _Watched(about, None, in_charge, read.due_on, found, paused_s)


def alarms_of_date(due_on: date, policy: Policy, days: Calendar) -> tuple[Alarm, ...]:
    """Return the alarms of a date that somebody set."""
    return alarms_before(
        policy.ladder,
        due_on,
        days,
        policy.working_time.hours,
        yellow_at=policy.lights.yellow_at,
    )


def _alarms(
    started_on: date,
    limit: WorkingDays,
    excluded: Sequence[Interval],
    policy: Policy,
    days: Calendar,
) -> tuple[Alarm, ...]:
    return alarms(
        policy.ladder,
        started_on,
        limit,
        days,
        policy.working_time.hours,
        yellow_at=policy.lights.yellow_at,
        excluded=excluded,
    )


def _earliest_after(left: int, policy: Policy) -> float:
    if left < 1:
        return 0.0
    hours, yellow_at = policy.working_time.hours, policy.lights.yellow_at
    return earliest(WorkingDays(left), hours, yellow_at=yellow_at)


def _supervision(
    watched: _Watched, alarm: Alarm, policy: Policy, days: Calendar, at: datetime
) -> Supervision:
    rung = policy.ladder[alarm.rung]
    is_own = rung.to in ("handler", "head")
    return Supervision(
        about=watched.about,
        step=alarm.step,
        task_id=watched.task_id,
        recipient=watched.late if is_own else rung.to,
        due_on=watched.due_on,
        reply_by=deadline(days, civil_date(at), WorkingDays(rung.reply_within)).due_on,
        body={
            "about": watched.about,
            "step": alarm.step,
            "light": rung.light,
            "to": rung.to if is_own else "agency",
            "late_agency": watched.late,
            "due_on": watched.due_on and watched.due_on.isoformat(),
            "zh": rung.zh,
            "en": rung.en,
            "clause": rung.clause,
        },
    )
