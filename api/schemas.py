"""What the API answers, and the examples its description shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.problems import MEDIA_TYPE
from domain.connection import Action

Reason = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=500, pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
    ),
]


ACTION_EXAMPLE: dict[str, Any] = {"action": "withdraw", "reason": "项目取消"}


class ActionRequest(BaseModel):
    """The body of `POST /applications/{no}/actions`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    action: Action = Field(strict=False)
    reason: Reason


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str
    message: str
    message_zh: str


class ProblemBody(BaseModel):
    """An RFC 9457 problem, with every text in English and Chinese."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    title_zh: str
    status: int
    detail: str
    detail_zh: str
    errors: list[FieldError] | None = None


class Receipt(BaseModel):
    """What the desk gets for a submission: a number that is never lost (RB-3.7)."""

    no: str
    state: Literal["open", "ended"]
    process: Literal["started", "pending"]
    submitted_at: str
    warnings: list[FieldError]


class Texts(BaseModel):
    """A text in both languages."""

    zh: str
    en: str


class TaskBody(BaseModel):
    """A task, as in `docs/integration.md`."""

    model_config = ConfigDict(extra="allow")

    id: str
    case_no: str
    kind: str
    owed_by: str
    round: int
    state: Literal["open", "done", "closed"]
    title: Texts
    link: str
    opened_at: str
    due_on: str | None
    is_provisional: bool
    limit_working_days: int | None
    clause: str
    outcomes: list[str]
    items: list[dict[str, Any]]
    facts: dict[str, Any]
    asks_area: bool
    outcome: dict[str, Any] | None
    done_at: str | None
    is_late: bool
    closed_by: str | None


class TaskPage(BaseModel):
    """A page of tasks."""

    items: list[TaskBody]
    next_cursor: str | None


class CaseBody(BaseModel):
    """A case; the applicant's numbers are masked (RB-13.1)."""

    model_config = ConfigDict(extra="allow")

    no: str
    state: Literal["open", "ended"]
    stage: str
    ending: str | None


class CasePage(BaseModel):
    """A page of cases, newest first."""

    items: list[CaseBody]
    next_cursor: str | None


class EventBody(BaseModel):
    """One event of a case's record, with its hash (RB-13.2)."""

    seq: int
    at: str
    kind: str
    by: str
    task_id: str | None
    body: dict[str, Any]
    hash: str


class ClockBody(BaseModel):
    """What a clock shows (RB-2, RB-5.1)."""

    id: str
    zh: str
    en: str
    round: int | None
    limit: int | None
    gross: int
    net: int
    left: int | None
    due_on: str | None
    is_provisional: bool
    light: Literal["green", "yellow", "red"] | None
    state: Literal["running", "stopped"]
    started_on: str
    stopped_on: str | None
    clause: str
    nature: str


class CivilNow(BaseModel):
    """Civil time; `speed` is 1 in service."""

    civil_now: str
    speed: float


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Readiness(BaseModel):
    """What the API needs, and whether it answers; without the engine it still takes things in."""

    case_file: bool
    engine: bool


class ProblemType(BaseModel):
    """What a problem type means."""

    slug: str
    status: int
    title: str
    title_zh: str


APPLICATION_EXAMPLE: dict[str, Any] = {
    "channel": "window",
    "voltage": "high",
    "supply": "single",
    "purpose": "permanent",
    "capacity_kva": 630.0,
    "applicant": {
        "kind": "enterprise",
        "name": "示例水产加工有限公司",
        "id_type": "uscc",
        "id_number": "91440802MA0000015Q",
        "phone": "13800000001",
        "size": "small",
    },
    "site": {"address": "湛江市赤坎区示例路1号", "district": "440802"},
    "consent_to_certificates": True,
    "documents": [],
}
OUTCOME_EXAMPLES: dict[str, Any] = {
    "papers accepted": {"value": {"code": "accepted"}},
    "correction needed": {
        "value": {"code": "correction_needed", "missing": ["用电地址物业权属证明材料"]}
    },
    "permits answered": {
        "value": {
            "code": "answered",
            "items": [
                {
                    "item": "河道管理范围内建设项目工程建设方案审批",
                    "outcome": "approved",
                    "document_no": "湛水许〔2026〕示例1号",
                }
            ],
        }
    },
}
PROBLEM_EXAMPLE: dict[str, Any] = {
    "type": "/problems/invalid-input",
    "title": "The input breaks a rule",
    "title_zh": "输入不符合规定",
    "status": 422,
    "detail": "applicant.id_number: wrong check digit",
    "detail_zh": "applicant.id_number：校验位错误",
    "errors": [
        {
            "field": "applicant.id_number",
            "message": "wrong check digit",
            "message_zh": "校验位错误",
        }
    ],
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems a call can answer with."""
    return {
        status: {
            "model": ProblemBody,
            "description": "Refused",
            "content": {MEDIA_TYPE: {"example": PROBLEM_EXAMPLE} if status == 422 else {}},
        }
        for status in statuses
    }
