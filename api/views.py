"""How cases, events and clocks are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from activities.contract import civil_text
from domain.clocks import ClockRule, Span, reading
from domain.connection import TaskKind, Voltage
from domain.policy import Policy
from domain.working_time import Calendar, civil_date
from storage.reading import CaseRecord, EventRecord
from storage.records import TaskRecord


def masked(text: str) -> str:
    """Hide the middle of a personal number (RB-13.1)."""
    first, last = (3, 4) if len(text) >= 11 else (1, 2) if len(text) >= 8 else (0, 0)
    hidden = len(text) - first - last
    return f"{text[:first]}{'*' * hidden}{text[first + hidden :]}"


def case_body(case: CaseRecord) -> Mapping[str, Any]:
    """Show a case."""
    applicant = case.content["applicant"]
    return {
        "no": case.no,
        "state": case.state,
        "stage": case.stage,
        "reached": case.reached,
        "ending": case.ending,
        "process": "started" if case.process_started else "pending",
        "policy": case.policy,
        "submitted_at": civil_text(case.submitted_at),
        "accepted_at": case.accepted_at and civil_text(case.accepted_at),
        "ended_at": case.ended_at and civil_text(case.ended_at),
        "investment": case.investment,
        **{
            name: case.content[name]
            for name in (
                "channel",
                "voltage",
                "supply",
                "purpose",
                "capacity_kva",
                "site",
                "consent_to_certificates",
            )
        },
        "applicant": {
            **applicant,
            "id_number": masked(applicant["id_number"]),
            "phone": masked(applicant["phone"]),
        },
    }


def event_body(event: EventRecord) -> Mapping[str, Any]:
    """Show an event of a case's record."""
    return {
        "seq": event.seq,
        "at": civil_text(event.at),
        "kind": event.kind,
        "by": event.by,
        "task_id": event.task_id,
        "body": event.body,
        "hash": event.hash,
    }


def clock_bodies(
    case: CaseRecord,
    tasks: Sequence[TaskRecord],
    policy: Policy,
    civil_now: datetime,
    days: Calendar,
) -> list[Mapping[str, Any]]:
    """Read every clock of a case: its own, and one per bundle of permits (RB-2).

    Args:
        days: the calendar that the case's dates rest on.
    """
    voltage, supply = Voltage(case.voltage), case.content["supply"]
    shown: list[Mapping[str, Any]] = []
    if case.accepted_at is not None:
        spans = [_span(task) for task in tasks]
        started_on, stopped_on = civil_date(case.accepted_at), _date_of(case.ended_at)
        shown.extend(
            _clock_body(rule, started_on, stopped_on, spans, policy, civil_now, days, None)
            for rule in policy.clocks_of("case", voltage, supply)
        )
    permits = [task for task in tasks if task.kind is TaskKind.PERMITS]
    for round_no in sorted({task.round for task in permits}):
        bundle = [task for task in permits if task.round == round_no]
        done = [task.done_at for task in bundle if task.done_at is not None]
        started_on = civil_date(min(task.opened_at for task in bundle))
        stopped_on = civil_date(max(done)) if len(done) == len(bundle) else None
        spans = [_span(task) for task in bundle]
        shown.extend(
            _clock_body(rule, started_on, stopped_on, spans, policy, civil_now, days, round_no)
            for rule in policy.clocks_of("bundle", voltage, supply)
        )
    return shown


def _span(task: TaskRecord) -> Span:
    return Span(task.segment, civil_date(task.opened_at), _date_of(task.done_at))


def _date_of(instant: datetime | None) -> date | None:
    return None if instant is None else civil_date(instant)


def _clock_body(
    rule: ClockRule,
    started_on: date,
    stopped_on: date | None,
    spans: Iterable[Span],
    policy: Policy,
    civil_now: datetime,
    days: Calendar,
    round_no: int | None,
) -> Mapping[str, Any]:
    shown = reading(
        rule,
        started_on,
        stopped_on or civil_date(civil_now),
        list(spans),
        days,
        yellow_at=policy.lights.yellow_at,
        # RB-1.4: on the last day itself the alarm goes off when business closes.
        has_closed=stopped_on is None and civil_now.time() > policy.working_time.closes,
    )
    return {
        "id": rule.id,
        "zh": rule.zh,
        "en": rule.en,
        "round": round_no,
        "limit": rule.limit,
        "gross": shown.gross,
        "net": shown.net,
        "left": shown.left,
        "due_on": shown.due_on and shown.due_on.isoformat(),
        "is_provisional": shown.is_provisional,
        "light": shown.light,
        "state": "running" if stopped_on is None else "stopped",
        "started_on": started_on.isoformat(),
        "stopped_on": stopped_on and stopped_on.isoformat(),
        "clause": rule.clause,
        "nature": rule.nature,
        "calendar_version": days.version,
    }
