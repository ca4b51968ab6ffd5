"""How a task is shown to whoever owes it: pushed to agencies' systems, and given by the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from domain.connection import TaskKind, outcomes_of
from domain.policy import Policy
from domain.task_events import TaskEvent
from domain.working_time import CIVIL_ZONE
from storage.records import CaseFacts, TaskRecord

_FACTS = tuple(field.name for field in fields(CaseFacts))


def civil_text(instant: datetime) -> str:
    """Spell an instant as RFC 3339 in Shanghai time."""
    return instant.astimezone(CIVIL_ZONE).isoformat(timespec="seconds")


def task_title(kind: TaskKind, department: str | None, policy: Policy) -> dict[str, str]:
    """Name a task in both languages; a permit task with its department."""
    rule = policy.tasks[kind]
    if department is None:
        return {"zh": rule.zh, "en": rule.en}
    agency = policy.agencies[department]
    return {"zh": f"{rule.zh}（{agency.zh}）", "en": f"{rule.en} ({agency.en})"}


def task_body(task: TaskRecord, policy: Policy) -> Mapping[str, Any]:
    """Return the JSON of a task by the contract (RB-13.1).

    It names no applicant, number or phone; the address stands in it, because the work is there.
    """
    return {
        "id": task.id,
        "case_no": task.case_no,
        "kind": task.kind,
        "owed_by": task.owed_by,
        "round": task.round,
        "state": task.state,
        "title": task_title(task.kind, task.department, policy),
        "link": task.link,
        "opened_at": civil_text(task.opened_at),
        "due_on": task.due_on and task.due_on.isoformat(),
        "is_provisional": task.is_provisional,
        "limit_working_days": task.limit_working_days,
        "clause": task.clause,
        "calendar_version": task.calendar_version,
        "outcomes": sorted(outcomes_of(task.kind, task.facts.voltage, task.round)),
        "items": [
            {name: item[name] for name in ("item", "basis", "segments")}
            for item in task.asked["items"]
        ],
        "remarks": task.asked.get("remarks", []),
        "asks_area": task.asks_area,
        "facts": {name: getattr(task.facts, name) for name in _FACTS},
        "outcome": task.outcome,
        "done_at": task.done_at and civil_text(task.done_at),
        "is_late": task.is_late,
        "closed_by": task.closed_by,
        "push_problem": task.push_problem,
        "is_suspended": task.is_suspended,
        "held_by": task.held_by,
        "history": [_event_body(event) for event in task.history],
    }


def _event_body(event: TaskEvent) -> Mapping[str, Any]:
    return {
        "type": event.kind,
        "at": civil_text(event.at),
        "by": event.by,
        "ground": event.ground,
        "procedure": event.procedure,
        "basis": event.basis,
        "missing": list(event.missing),
        "document_no": event.document_no,
        "holder": event.holder,
    }
