"""What the API answers, and the examples its description shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.problems import MEDIA_TYPE
from domain.connection import Action
from domain.task_events import TaskEventKind
from domain.working_time import DayKind, Verdict

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


class Shown(BaseModel):
    """What the API answers: these fields, and no others."""

    model_config = ConfigDict(extra="forbid")


class Receipt(Shown):
    """What the desk gets for a submission: a number that is never lost (RB-3.7).

    Attributes:
        follow_secret: with the number, for the applicant to follow the case (RB-10.3), sixteen
            characters in groups of four; hand it over, keep it nowhere. The same submission gives
            the same one. Null where the desk has put another in its place, and where following is
            off (`ONEWINDOW_SERVER_SECRET`).
    """

    no: str
    follow_secret: str | None
    state: Literal["open", "ended"]
    process: Literal["started", "pending"]
    submitted_at: str
    warnings: list[FieldError]


class Texts(Shown):
    """A text in both languages."""

    zh: str
    en: str


class AskedItemBody(Shown):
    """A permit item asked of a department, with the segments of the route that need it (RB-4.2)."""

    item: str
    basis: str
    segments: list[int]


class RemarkBody(Texts):
    """Something about the route that whoever does the task should look at (RB-4.3)."""

    id: str
    basis: str
    segments: list[int]


class FactsBody(Shown):
    """What an agency may know of a case to do its task: no applicant, no papers (RB-13.1)."""

    voltage: Literal["low", "high"]
    supply: str
    purpose: str
    capacity_kva: float
    district: str
    address: str
    route: dict[str, Any] | None


class TaskEventBody(Shown):
    """Something an agency reported of a task before it was decided (RB-4.6)."""

    type: TaskEventKind
    at: str
    by: str
    ground: str | None
    procedure: str | None
    basis: Literal["statutory", "policy"] | None
    missing: list[str]
    document_no: str | None
    holder: str | None


class TaskBody(Shown):
    """A task, as its agency gets it: pushed, listed, and after its outcome."""

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
    calendar_version: str
    outcomes: list[str]
    items: list[AskedItemBody]
    remarks: list[RemarkBody]
    asks_area: bool
    facts: FactsBody
    outcome: dict[str, Any] | None
    done_at: str | None
    is_late: bool
    closed_by: str | None
    push_problem: str | None
    is_suspended: bool
    held_by: str | None
    history: list[TaskEventBody]


class TaskPage(Shown):
    """A page of tasks.

    Attributes:
        previous_cursor: of the page before, in the order of deadlines; null on the first page.
    """

    items: list[TaskBody]
    next_cursor: str | None
    previous_cursor: str | None


class TaskCountsBody(Shown):
    """How many open tasks there are, and how many of them press."""

    open: int
    overdue: int
    due_today: int
    unclaimed: int
    mine: int


class ApplicantBody(Shown):
    """An applicant; the middle of each number is hidden (RB-13.1)."""

    kind: Literal["person", "enterprise"]
    name: str
    id_type: str
    id_number: str
    phone: str
    size: str | None


class SiteBody(Shown):
    """Where the supply is wanted."""

    address: str
    district: str


class InvestmentBody(Shown):
    """Who pays for the connection, and why (RB-7.3)."""

    decision: Literal["utility_pays", "utility_standard", "needs_person"]
    reasons: list[Texts]
    clause: str


class CaseBody(Shown):
    """A case as it stands."""

    no: str
    state: Literal["open", "ended"]
    stage: str
    reached: str | None
    ending: str | None
    process: Literal["started", "pending"]
    policy: str
    submitted_at: str
    accepted_at: str | None
    ended_at: str | None
    investment: InvestmentBody | None
    channel: str
    voltage: Literal["low", "high"]
    supply: str
    purpose: str
    capacity_kva: float
    site: SiteBody
    consent_to_certificates: bool
    applicant: ApplicantBody


class CasePage(Shown):
    """A page of cases, newest first."""

    items: list[CaseBody]
    next_cursor: str | None


class EventBody(Shown):
    """One event of a case's record, with its hash (RB-13.2)."""

    seq: int
    at: str
    kind: str
    by: str
    task_id: str | None
    body: dict[str, Any]
    hash: str


class ClockEntryBody(Shown):
    """An entry of a clock's ledger (RB-2.1); what left out time names its basis (RB-2.4)."""

    act: Literal["start", "suspend", "resume", "stop"]
    on: str
    basis: Literal["statutory", "policy"] | None
    ground: str | None


class CountedDayBody(Shown):
    """What became of a day on the way; `count` is the working days so far, this one included."""

    date: str
    kind: DayKind
    verdict: Verdict
    count: int
    is_published: bool


class WordsBody(Shown):
    """An explanation in words, a paragraph each."""

    zh: list[str]
    en: list[str]


class WhyBody(Shown):
    """Why a date is what it is (RB-1.8).

    Attributes:
        notices: what each year on the way rests on; null where no notice is out yet (RB-1.6).
    """

    days: list[CountedDayBody]
    notices: dict[str, str | None]
    words: WordsBody


class ClockBody(Shown):
    """What a clock shows (RB-2, RB-5.1)."""

    id: str
    zh: str
    en: str
    round: int | None
    department: str | None
    limit: int | None
    gross: int
    net: int
    left: int | None
    due_on: str | None
    is_provisional: bool
    light: Literal["green", "yellow", "red"] | None
    state: Literal["running", "suspended", "stopped"]
    started_on: str
    stopped_on: str | None
    clause: str
    nature: str
    calendar_version: str
    entries: list[ClockEntryBody]
    why: WhyBody | None


class CivilNow(Shown):
    """Civil time; `speed` is 1 in service."""

    civil_now: str
    speed: float


class Liveness(Shown):
    """The process answers."""

    status: Literal["alive"]


class Readiness(Shown):
    """What the API needs, and whether it answers; without the engine it still takes things in."""

    case_file: bool
    engine: bool


class ProblemType(Shown):
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


# ---------------------------------------------------------------- examples of answers

_TASK: dict[str, Any] = {
    "id": "ZJ20260000011.permits-water.1",
    "case_no": "ZJ20260000011",
    "kind": "permits",
    "owed_by": "water",
    "round": 1,
    "state": "open",
    "title": {
        "zh": "外线工程并联审批（市水务局）",
        "en": "Permits for the external line (Water Affairs Bureau)",
    },
    "link": "supply_plan_reply",
    "opened_at": "2026-09-16T12:00:00+08:00",
    "due_on": "2026-09-22",
    "is_provisional": False,
    "limit_working_days": 5,
    "clause": "516 三(三)",
    "calendar_version": "cn-2026.1",
    "outcomes": ["answered", "not_competent"],
    "items": [
        {"item": "河道管理范围内建设项目工程建设方案审批", "basis": "防洪法27", "segments": [1]}
    ],
    "remarks": [],
    "asks_area": False,
    "facts": {
        "voltage": "high",
        "supply": "single",
        "purpose": "permanent",
        "capacity_kva": 630.0,
        "district": "440802",
        "address": "湛江市赤坎区示例路1号",
        "route": None,
    },
    "outcome": None,
    "done_at": None,
    "is_late": False,
    "closed_by": None,
    "push_problem": None,
    "is_suspended": False,
    "held_by": "desk-2",
    "history": [
        {
            "type": kind,
            "at": "2026-09-16T15:20:00+08:00",
            "by": "water",
            "ground": None,
            "procedure": None,
            "basis": None,
            "missing": [],
            "document_no": None,
            "holder": holder,
        }
        for kind, holder in (("accepted", None), ("claimed", "desk-2"))
    ],
}
_CASE: dict[str, Any] = {
    "no": "ZJ20260000011",
    "state": "open",
    "stage": "supply_plan_reply",
    "reached": "permits",
    "ending": None,
    "process": "started",
    "policy": "zhanjiang-2020-516.1",
    "submitted_at": "2026-09-14T09:30:00+08:00",
    "accepted_at": "2026-09-14T10:05:00+08:00",
    "ended_at": None,
    "investment": {
        "decision": "utility_pays",
        "reasons": [
            {
                "zh": "供电企业的外线工程投资界面延伸至客户规划用电红线",
                "en": "The utility invests up to the customer's planning red line",
            }
        ],
        "clause": "516 三(四)",
    },
    "channel": "window",
    "voltage": "high",
    "supply": "single",
    "purpose": "permanent",
    "capacity_kva": 630.0,
    "site": APPLICATION_EXAMPLE["site"],
    "consent_to_certificates": True,
    "applicant": {
        **APPLICATION_EXAMPLE["applicant"],
        "id_number": "914***********015Q",
        "phone": "138****0001",
    },
}

ANSWER_EXAMPLES: dict[str, dict[str, Any]] = {
    "Receipt": {
        "no": "ZJ20260000011",
        "follow_secret": "7KQF-2MRT-XH9C-AWG4",
        "state": "open",
        "process": "started",
        "submitted_at": "2026-09-14T09:30:00+08:00",
        "warnings": [],
    },
    "TaskBody": _TASK,
    "TaskPage": {"items": [_TASK], "next_cursor": None, "previous_cursor": None},
    "TaskCountsBody": {"open": 12, "overdue": 1, "due_today": 2, "unclaimed": 5, "mine": 4},
    "CaseBody": _CASE,
    "CasePage": {"items": [_CASE], "next_cursor": None},
    "EventBody": {
        "seq": 3,
        "at": "2026-09-16T12:00:00+08:00",
        "kind": "task_opened",
        "by": "onewindow",
        "task_id": "ZJ20260000011.permits-water.1",
        "body": {
            "calendar": "cn-2026.1",
            "due_on": "2026-09-22",
            "is_provisional": False,
            "owed_by": "water",
        },
        "hash": "b3e53e38a7e02c0cd3cea92938d6b245fd1d552c6ffda955b1fcda223789974e",
    },
    "ClockBody": {
        "id": "GOV5",
        "zh": "并联审批时长",
        "en": "Parallel approval time",
        "round": 1,
        "department": None,
        "limit": 5,
        "gross": 0,
        "net": 0,
        "left": 5,
        "due_on": "2026-09-22",
        "is_provisional": False,
        "light": "green",
        "state": "running",
        "started_on": "2026-09-16",
        "stopped_on": None,
        "clause": "516 二; 516 三(三)",
        "nature": "every_case",
        "calendar_version": "cn-2026.1",
        "entries": [{"act": "start", "on": "2026-09-16", "basis": None, "ground": None}],
        "why": {
            "days": [
                {
                    "date": "2026-09-17",
                    "kind": "workday",
                    "verdict": "counted",
                    "count": 1,
                    "is_published": True,
                }
            ],
            "notices": {
                "2026": "国务院办公厅关于2026年部分节假日安排的通知（国办发明电〔2025〕7号）"
            },
            "words": {
                "zh": ["2026年9月16日（周三）受理，当日不计，次日起算（民法典第201条）。"],
                "en": ["Received on Wednesday 16 September 2026; counting begins the day after."],
            },
        },
    },
    "Document": {"kind": "identity", "reference": "EC****0001", "is_agent_authorised": None},
    "CivilNow": {"civil_now": "2026-09-14T09:30:00+08:00", "speed": 1.0},
    "Liveness": {"status": "alive"},
    "Readiness": {"case_file": True, "engine": True},
    "ProblemType": {
        "slug": "invalid-input",
        "status": 422,
        "title": "The input breaks a rule",
        "title_zh": "输入不符合规定",
    },
}
"""An answer of each shape, by the name of its model; names and numbers are fictitious."""
