"""What is sent and answered where repairs are planned, approved and carried out (RB-12.2)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Reason, Shown, Texts
from domain.outcomes import Outcome
from domain.repair_plan import Plan, Report, Target
from domain.repairs import RepairKind
from storage.repairs import ItemState, RepairState

MOST_CASES = 1000
CaseNo = Annotated[str, Field(pattern=r"^[A-Z]{2}\d{11}$")]
Id = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]
Line = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class CaseQuery(BaseModel):
    """Open cases that fit all of it; fields left out fit every case.

    Attributes:
        q: in the number, the applicant's name or the address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Line | None = None
    district: Line | None = None
    channel: Line | None = None
    q: Line | None = None


class RepairRequest(BaseModel):
    """The body of `POST /admin/repairs`; exactly one of `case_no`, `task_id`, `cases`, `query`.

    Attributes:
        task_id: of `retry`, `push` and `decide`.
        step: of `retry`, with `case_no`: a step of the process that is no task.
        agency: of `retry` and `push` with `cases` or `query`: only tasks that it owes.
        process: of `reset`, and of `retry` with `step`: the workflow id.
        event: of `reset`: the end of the workflow task to go back to.
        version: of `move`: the worker's version; null: whichever is current.
        outcome: of `decide`: what is put on file, as the agency would send it.
        per_second: how many cases are begun in a second, at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: RepairKind
    reason: Reason
    case_no: CaseNo | None = None
    task_id: Id | None = None
    cases: Annotated[list[CaseNo], Field(min_length=1, max_length=MOST_CASES)] | None = None
    query: CaseQuery | None = None
    step: Id | None = None
    agency: Id | None = None
    process: Id | None = None
    event: Annotated[int, Field(ge=1, le=10**9)] | Literal["first_failure"] | None = None
    version: Id | None = None
    outcome: Outcome | None = None
    per_second: Annotated[float, Field(gt=0, le=50)] = 2.0


class ItemBody(Shown):
    """One case of a repair: its plan, and what came of it.

    Attributes:
        problem: why it is not possible, or was not carried out to its end.
        is_as_planned: whether it came as planned; null before.
    """

    position: int
    case_no: str
    target: Target
    state: ItemState
    plan: Plan | None
    problem: Texts | None
    report: Report | None
    is_as_planned: bool | None
    begun_at: str | None
    ended_at: str | None


class RepairBody(Shown):
    """A repair as it stands.

    Attributes:
        counts: how many of its cases are in each state.
        left: how many are still to be seen to.
        items: the first of its cases; `GET /admin/repairs/{number}/items` has them all.
    """

    number: int
    kind: RepairKind
    title: Texts
    reason: str
    asked: dict[str, Any]
    planned_by: str
    planned_at: str
    needs_approval: bool
    approved_by: str | None
    approved_at: str | None
    executed_by: str | None
    executed_at: str | None
    ended_at: str | None
    state: RepairState
    per_second: float
    total: int
    left: int
    counts: dict[ItemState, int]
    items: list[ItemBody]


class ListedRepairBody(Shown):
    """A repair in a list, without its cases."""

    number: int
    kind: RepairKind
    title: Texts
    reason: str
    planned_by: str
    planned_at: str
    needs_approval: bool
    approved_by: str | None
    executed_by: str | None
    ended_at: str | None
    state: RepairState
    total: int
    left: int
    counts: dict[ItemState, int]


class RepairPage(Shown):
    """A page of repairs, the newest first."""

    items: list[ListedRepairBody]
    next_cursor: str | None


class ItemPage(Shown):
    """A page of a repair's cases, in order."""

    items: list[ItemBody]
    next_cursor: str | None


RESTART_EXAMPLE: dict[str, Any] = {
    "kind": "restart",
    "case_no": "ZJ20260000011",
    "reason": "流程任务反复失败，重放通过，依案卷重启",
}
RESET_EXAMPLE: dict[str, Any] = {
    "kind": "reset",
    "case_no": "ZJ20260000011",
    "process": "ZJ20260000011.permits.1",
    "event": 4,
    "reason": "修正版本已部署，回退到出错之前",
}
PUSH_EXAMPLE: dict[str, Any] = {
    "kind": "push",
    "query": {"district": "440802"},
    "agency": "water",
    "per_second": 5,
    "reason": "水务系统恢复，重新推送",
}
_BUNDLE = "ZJ20260000011.permits.1"
_PLAN: dict[str, Any] = {
    "kind": "reset",
    "target": {
        "case_no": "ZJ20260000011",
        "process": _BUNDLE,
        "event_id": 4,
        "task_id": None,
        "version": None,
    },
    "head": 17,
    "processes": [
        {
            "workflow_id": "ZJ20260000011",
            "run_id": "019a0c6e-7d5c-7c3e-8b3e-2f6a1d0b9c11",
            "status": "running",
            "change": "kept",
            "discarded": 0,
        },
        {
            "workflow_id": _BUNDLE,
            "run_id": "019a0c6e-9a10-7f42-a0a3-5f1f0c7d2e22",
            "status": "running",
            "change": "anew",
            "discarded": 11,
        },
    ],
    "decisions_kept": ["ZJ20260000011.line_design.1", "ZJ20260000011.permits-police.1"],
    "decisions_added": [],
    "pushes_repeated": ["ZJ20260000011.permits-water.1"],
    "deadlines_moved": [],
    "tasks_closed": [],
    "ends_as": None,
    "goes_on": False,
    "documents": [],
    "discards": [
        {
            "zh": f"{_BUNDLE} 自第 4 个事件起的 11 个事件由新的运行重新经历",
            "en": f"11 events of {_BUNDLE}, from event 4 on: a new run goes through them again",
        }
    ],
    "cannot_be_undone": [
        {
            "zh": "原运行记录保留在流程引擎中，但不能再继续",
            "en": "the run there was stays in the engine to be read, but cannot go on",
        }
    ],
}
_ITEM: dict[str, Any] = {
    "position": 1,
    "case_no": "ZJ20260000011",
    "target": _PLAN["target"],
    "state": "planned",
    "plan": _PLAN,
    "problem": None,
    "report": None,
    "is_as_planned": None,
    "begun_at": None,
    "ended_at": None,
}
_REPAIR: dict[str, Any] = {
    "number": 3,
    "kind": "reset",
    "title": {"zh": "回退重跑", "en": "reset to an event"},
    "reason": RESET_EXAMPLE["reason"],
    "planned_by": "admin-1",
    "planned_at": "2026-09-18T09:12:00+08:00",
    "needs_approval": True,
    "approved_by": None,
    "executed_by": None,
    "ended_at": None,
    "state": "planned",
    "total": 1,
    "left": 1,
    "counts": {"planned": 1},
}
REPAIR_EXAMPLES: dict[str, dict[str, Any]] = {
    "RepairBody": {
        **_REPAIR,
        "asked": RESET_EXAMPLE,
        "approved_at": None,
        "executed_at": None,
        "per_second": 2.0,
        "items": [_ITEM],
    },
    "RepairPage": {"items": [_REPAIR], "next_cursor": None},
    "ItemPage": {"items": [_ITEM], "next_cursor": None},
}
