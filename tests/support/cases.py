"""Applications and tasks to be put on file. Names, numbers and addresses are made up."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from domain.civil_clock import CivilClock
from domain.connection import TaskKind
from domain.documents import TaskDocument
from domain.naming import TaskName
from domain.opinions import Opinion, Question, View
from policy.loader import policy_for
from storage.casefile import NewCase
from storage.records import NewTask, Result, Supervision, TaskRecord

POLICY = "zhanjiang-2020-516.1"
NOON = datetime.fromisoformat("2026-09-16T12:00:00+08:00")

HIGH: Mapping[str, Any] = {
    "channel": "window",
    "voltage": "high",
    "supply": "single",
    "purpose": "permanent",
    "capacity_kva": 630.0,
    "applicant": {
        "kind": "enterprise",
        "name": "湛江示例水产有限公司",
        "id_type": "uscc",
        "id_number": "91440802MA0000023K",
        "phone": "13800000002",
        "size": "small",
    },
    "site": {"address": "湛江市赤坎区示例路2号", "district": "440802"},
    "consent_to_certificates": True,
    "documents": [],
}
LOW: Mapping[str, Any] = {
    **HIGH,
    "voltage": "low",
    "capacity_kva": 8.0,
    "applicant": {
        "kind": "person",
        "name": "示例甲",
        "id_type": "resident_id",
        "id_number": "440802199502020001",
        "phone": "13800000001",
        "size": None,
    },
    "documents": [
        {"kind": "identity", "reference": "DEMO-ID-0001", "is_agent_authorised": None},
        {"kind": "ownership", "reference": "DEMO-OWN-0001", "is_agent_authorised": None},
    ],
}
SEGMENT: Mapping[str, Any] = {
    "length_m": 120.0,
    "method": "open_cut",
    "planning_area": "town",
    "road": "urban",
    "crosses_highway": False,
    "uses_bridge": False,
    "traffic_affected": False,
    "attached_to_road": False,
    "green_m2": 0.0,
    "trees": 0,
    "ancient_tree": False,
    "river_zone": False,
    "waterworks_zone": False,
    "drain_change": False,
}


def changed(body: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """Copy `body` with the field at a dotted path set."""
    result = copy.deepcopy(dict(body))
    *parents, last = path.split(".")
    inner = result
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return result


def without(body: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Copy `body` without the field at a dotted path."""
    result = changed(body, path, None)
    *parents, last = path.split(".")
    inner = result
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return result


def new_case(
    key: str = "key-1",
    content: Mapping[str, Any] = HIGH,
    *,
    by: str = "desk",
    at: datetime = NOON,
) -> NewCase:
    """Return a submission as the API makes it."""
    return NewCase(
        content=content,
        policy=POLICY,
        prefix="ZJ",
        clock=CivilClock(),
        stage="application",
        asks_area=False,
        submitted_by=by,
        submitted_at=at,
        idempotency_key=key,
    )


def new_task(
    no: str,
    kind: TaskKind = TaskKind.CHECK_PAPERS,
    *,
    round_no: int = 1,
    department: str | None = None,
    items: tuple[str, ...] = (),
    at: datetime = NOON,
    due_on: date | None = date(2026, 9, 23),
) -> NewTask:
    """Return a task as the activity `owe` makes it."""
    rule = policy_for(POLICY).tasks[kind]
    return NewTask(
        name=TaskName(no, kind, round_no, department),
        workflow_id=no,
        owed_by=department or rule.owner,
        link="application",
        segment=rule.segment,
        opened_at=at,
        due_on=due_on,
        is_provisional=False,
        calendar_version="test",
        limit_working_days=5,
        clause=rule.clause,
        asked={"items": [{"item": item, "basis": "示例", "segments": [1]} for item in items]},
    )


def result(clock: str = "HV40", *, round_no: int = 0, net: int = 9) -> Result:
    """Return what a clock came to that stopped at noon."""
    limits = {"LV8": 8, "HV40": 40, "INT13": 13, "GOV5": 5}
    return Result(
        clock=clock,
        round=round_no,
        started_on=date(2026, 8, 31),
        stopped_on=NOON.date(),
        gross=12,
        net=net,
        limit_working_days=limits.get(clock),
        calendar_version="test",
    )


def red(task: TaskRecord, *, step: str, recipient: str, reply_by: date) -> Supervision:
    """Return a supervision notice about a task."""
    return Supervision(
        about=task.id,
        step=step,
        task_id=task.id,
        recipient=recipient,
        due_on=task.due_on,
        reply_by=reply_by,
        body={"step": step, "light": "red"},
    )


QUESTION = Question(unit="示例街道办", question="管线走向有何意见？", answer_by=date(2026, 9, 18))
AGREED = Opinion(opinion=View.AGREE, by_unit="示例街道办")


def document(content: bytes = b"%PDF-1.7 \x00\xff") -> TaskDocument:
    """Return a document as the API receives it."""
    sha256 = hashlib.sha256(content).hexdigest()
    return TaskDocument.received(content, sha256=sha256, declared=None, name="a%20b.pdf")
