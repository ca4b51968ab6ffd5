"""How cases, events and clocks are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from activities.contract import civil_text
from domain.clocks import ClockRule, Exclusion, Span, reading
from domain.connection import TaskKind, Voltage
from domain.explaining import explain
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
    *,
    is_explained: bool = True,
) -> list[Mapping[str, Any]]:
    """Read every clock of a case (RB-2): its own, each bundle's, and each department's in it.

    Args:
        days: the calendar that the case's dates rest on.
        is_explained: whether each says why its date is what it is (RB-1.8).
    """
    voltage, supply = Voltage(case.voltage), case.content["supply"]
    shown = _Shown(policy, civil_now, days, is_explained=is_explained)
    if case.accepted_at is not None:
        spans = [_span(task) for task in tasks]
        started_on, stopped_on = civil_date(case.accepted_at), _date_of(case.ended_at)
        for rule in policy.clocks_of("case", voltage, supply):
            shown.add(rule, started_on, stopped_on, spans)
    permits = [task for task in tasks if task.kind is TaskKind.PERMITS]
    for round_no in sorted({task.round for task in permits}):
        bundle = [task for task in permits if task.round == round_no]
        done = [task.done_at for task in bundle if task.done_at is not None]
        started_on = civil_date(min(task.opened_at for task in bundle))
        stopped_on = civil_date(max(done)) if len(done) == len(bundle) else None
        for rule in policy.clocks_of("bundle", voltage, supply):
            spans = [_span(task) for task in bundle]
            shown.add(rule, started_on, stopped_on, spans, round_no)
            # RB-2.5: what binds the bundle binds each department in it.
            for task in bundle:
                opened_on, done_on = civil_date(task.opened_at), _date_of(task.done_at)
                shown.add(rule, opened_on, done_on, [_span(task)], round_no, task.department)
    return shown.clocks


def _span(task: TaskRecord) -> Span:
    return Span(task.segment, civil_date(task.opened_at), _date_of(task.done_at))


def _date_of(instant: datetime | None) -> date | None:
    return None if instant is None else civil_date(instant)


class _Shown:
    """Clocks of one case, as they are shown at one moment with one calendar."""

    def __init__(
        self, policy: Policy, civil_now: datetime, days: Calendar, *, is_explained: bool
    ) -> None:
        self.clocks: list[Mapping[str, Any]] = []
        self._policy, self._now, self._days = policy, civil_now, days
        self._is_explained = is_explained

    def add(
        self,
        rule: ClockRule,
        started_on: date,
        stopped_on: date | None,
        spans: Sequence[Span],
        round_no: int | None = None,
        department: str | None = None,
    ) -> None:
        read = reading(
            rule,
            started_on,
            stopped_on or civil_date(self._now),
            spans,
            self._days,
            yellow_at=self._policy.lights.yellow_at,
            # RB-1.4: on the last day itself the alarm goes off when business closes.
            has_closed=stopped_on is None and self._now.time() > self._policy.working_time.closes,
        )
        self.clocks.append(
            {
                "id": rule.id,
                "zh": rule.zh,
                "en": rule.en,
                "round": round_no,
                "department": department,
                "limit": rule.limit,
                "gross": read.gross,
                "net": read.net,
                "left": read.left,
                "due_on": read.due_on and read.due_on.isoformat(),
                "is_provisional": read.is_provisional,
                "light": read.light,
                "state": "running" if stopped_on is None else "stopped",
                "started_on": started_on.isoformat(),
                "stopped_on": stopped_on and stopped_on.isoformat(),
                "clause": rule.clause,
                "nature": rule.nature,
                "calendar_version": self._days.version,
                "entries": list(_entries(started_on, stopped_on, read.exclusions)),
                "why": self._why(rule, started_on, read.exclusions),
            }
        )

    def _why(
        self, rule: ClockRule, started_on: date, left_out: Sequence[Exclusion]
    ) -> Mapping[str, Any] | None:
        if rule.limit is None or not self._is_explained:
            return None
        intervals = [each.interval for each in left_out]
        why = explain(self._days, started_on, rule.limit, intervals, rule=rule)
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
