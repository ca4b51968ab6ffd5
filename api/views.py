"""How cases, events and clocks are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from activities.clocks import CaseClock, clocks_of
from activities.contract import civil_text
from domain.clocks import Exclusion
from domain.explaining import Explanation, explain
from domain.policy import Policy
from domain.working_time import Calendar
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
    *,
    is_explained: bool = True,
) -> list[Mapping[str, Any]]:
    """Read every clock of a case (RB-2): its own, each bundle's, and each department's in it.

    Args:
        days: the calendar that the case's dates rest on.
        is_explained: whether each says why its date is what it is (RB-1.8).
    """
    return [
        _clock_body(clock, policy, civil_now, days, is_explained=is_explained)
        for clock in clocks_of(case, tasks, policy)
    ]


def _clock_body(
    clock: CaseClock, policy: Policy, civil_now: datetime, days: Calendar, *, is_explained: bool
) -> Mapping[str, Any]:
    rule, read = clock.rule, clock.read(policy, civil_now, days)
    return {
        "id": rule.id,
        "zh": rule.zh,
        "en": rule.en,
        "round": clock.round,
        "department": clock.department,
        "limit": rule.limit,
        "gross": read.gross,
        "net": read.net,
        "left": read.left,
        "due_on": read.due_on and read.due_on.isoformat(),
        "is_provisional": read.is_provisional,
        "light": read.light,
        "state": clock.state,
        "started_on": clock.started_on.isoformat(),
        "stopped_on": clock.stopped_on and clock.stopped_on.isoformat(),
        "clause": rule.clause,
        "nature": rule.nature,
        "calendar_version": days.version,
        "entries": list(_entries(clock.started_on, clock.stopped_on, read.exclusions)),
        "why": _why(clock, read.exclusions, days) if is_explained else None,
    }


def _why(
    clock: CaseClock, left_out: Sequence[Exclusion], days: Calendar
) -> Mapping[str, Any] | None:
    if clock.rule.limit is None:
        return None
    intervals = [each.interval for each in left_out]
    return why_body(explain(days, clock.started_on, clock.rule.limit, intervals, rule=clock.rule))


def why_body(why: Explanation) -> Mapping[str, Any]:
    """Say why a date is what it is (RB-1.8)."""
    return {
        "days": [
            {
                "date": day.day.isoformat(),
                "kind": day.kind,
                "verdict": day.verdict,
                "count": day.count,
                "is_published": day.is_published,
            }
            for day in why.days
        ],
        "notices": {str(year): notice for year, notice in why.notices.items()},
        "words": {"zh": list(why.zh), "en": list(why.en)},
    }


def _entries(
    started_on: date, stopped_on: date | None, left_out: Sequence[Exclusion]
) -> Iterator[Mapping[str, Any]]:
    """Write a clock down as a ledger: what began, stopped and left out time, and why (RB-2.1)."""
    yield {"act": "start", "on": started_on.isoformat(), "basis": None, "ground": None}
    for each in left_out:
        interval, basis = each.interval, {"basis": each.basis, "ground": each.ground}
        yield {"act": "suspend", "on": interval.suspended_on.isoformat(), **basis}
        if interval.resumed_on is not None:
            yield {"act": "resume", "on": interval.resumed_on.isoformat(), **basis}
    if stopped_on is not None:
        yield {"act": "stop", "on": stopped_on.isoformat(), "basis": None, "ground": None}
