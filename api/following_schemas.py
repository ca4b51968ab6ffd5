"""What an applicant who follows a case is shown (RB-10.3), and the examples of it."""

from __future__ import annotations

from typing import Any, Literal

from api.schemas import Shown, Texts

Through = Literal["follow_page", "follow_api"]
"""Which way an applicant's answer came: by the pages, or by a channel's program."""


class FollowedLink(Texts):
    """A link (环节) of the case, and where the case stands with it."""

    id: str
    standing: Literal["past", "now", "ahead"]


class FollowedClock(Texts):
    """A clock of the case, its light and the days left also in words (RB-5.1).

    Attributes:
        covers: the whole case, or one round of permits.
        left: working days; negative is over, null without a limit.
        why: why the date is what it is (RB-1.8); null without a limit.
    """

    id: str
    covers: Literal["case", "bundle"]
    limit: int | None
    left: int | None
    due_on: str | None
    is_provisional: bool
    light: Literal["green", "yellow", "red"] | None
    state: Literal["running", "suspended", "stopped"]
    started_on: str
    stopped_on: str | None
    words: Texts
    clause: str
    why: dict[Literal["zh", "en"], list[str]] | None


class FollowedOwed(Shown):
    """Something that is owed now, and by which agency; never by which person."""

    what: Texts
    by: Texts
    is_yours: bool
    since: str
    due_on: str | None
    is_provisional: bool
    light: Literal["green", "yellow", "red"] | None
    left: int | None
    words: Texts


class FollowedDocument(Shown):
    """A document for the applicant to read."""

    sha256: str
    name: str
    media_type: str
    size: int


class FollowedGround(Shown):
    """What an open task of the applicant answers to: a plan, a correction asked for, a failure."""

    by: Texts
    at: str
    code: str
    note: str | None
    document_no: str | None
    missing: list[str]
    documents: list[FollowedDocument]


class FollowedTask(Shown):
    """Something that the applicant owes.

    Attributes:
        outcomes: what it can be answered with.
        needs_note: those of them for which grounds are required.
        ground: what it answers to; null if to nothing.
    """

    id: str
    kind: str
    what: Texts
    opened_at: str
    outcomes: list[str]
    needs_note: list[str]
    ground: FollowedGround | None


class FollowedStep(Shown):
    """An entry of the case's story.

    Attributes:
        until: when it was done; null while it is owed, and for what takes no time.
        answer, note, through: of what the applicant did; of others, that it was done is the story
            (RB-13.1).
    """

    what: Texts
    by: Texts | None
    at: str
    until: str | None
    state: Literal["open", "done", "closed"]
    is_late: bool
    is_yours: bool
    answer: str | None
    note: str | None
    through: Through | None


class FollowedBody(Shown):
    """A case as its applicant may see it: no number of a person, and no name in full."""

    no: str
    state: Literal["open", "ended"]
    ending: str | None
    voltage: Literal["low", "high"]
    capacity_kva: float
    applicant: str
    site: str
    district: Texts | None
    investment: str | None
    submitted_at: str
    accepted_at: str | None
    ended_at: str | None
    may_withdraw: bool
    links: list[FollowedLink]
    clocks: list[FollowedClock]
    owed: list[FollowedOwed]
    yours: list[FollowedTask]
    story: list[FollowedStep]


class RenewedSecret(Shown):
    """A new secret of a case; the one before no longer counts.

    Attributes:
        follow_secret: null if another has taken its place since.
    """

    no: str
    follow_secret: str | None
    generation: int


_APPLICANT = {"zh": "申请人", "en": "Applicant"}
_UTILITY = {"zh": "湛江供电局", "en": "Zhanjiang Power Supply Bureau"}
_CONFIRM = {"zh": "确认供电方案", "en": "Confirm the supply plan"}
FOLLOWING_EXAMPLES: dict[str, dict[str, Any]] = {
    "FollowedBody": {
        "no": "ZJ20260000011",
        "state": "open",
        "ending": None,
        "voltage": "high",
        "capacity_kva": 630.0,
        "applicant": "示例******公司",
        "site": "湛江市赤坎区示例路*号",
        "district": {"zh": "赤坎区", "en": "Chikan District"},
        "investment": "utility_pays",
        "submitted_at": "2026-09-14T09:30:00+08:00",
        "accepted_at": "2026-09-14T10:05:00+08:00",
        "ended_at": None,
        "may_withdraw": True,
        "links": [
            {"id": "application", "zh": "用电申请", "en": "Application", "standing": "past"},
            {
                "id": "supply_plan_reply",
                "zh": "供电方案答复",
                "en": "Reply with the supply plan",
                "standing": "now",
            },
            {
                "id": "inspection_and_meter",
                "zh": "竣工检验和装表接电",
                "en": "Final inspection, metering and connection",
                "standing": "ahead",
            },
        ],
        "clocks": [
            {
                "id": "HV40",
                "covers": "case",
                "zh": "高压单电源接电时长",
                "en": "High-voltage single-source connection time",
                "limit": 40,
                "left": 38,
                "due_on": "2026-11-17",
                "is_provisional": False,
                "light": "green",
                "state": "running",
                "started_on": "2026-09-14",
                "stopped_on": None,
                "words": {
                    "zh": "绿灯：剩余 38 个工作日",
                    "en": "Green: 38 working days left",
                },
                "clause": "516 三(二)",
                "why": {
                    "zh": ["2026年9月14日（周一）受理，当日不计，次日起算（民法典第201条）。"],
                    "en": ["Received on Monday 14 September 2026; counting begins the day after."],
                },
            }
        ],
        "owed": [
            {
                "what": _CONFIRM,
                "by": _APPLICANT,
                "is_yours": True,
                "since": "2026-09-16T12:00:00+08:00",
                "due_on": None,
                "is_provisional": False,
                "light": None,
                "left": None,
                "words": {"zh": "无期限", "en": "No limit"},
            }
        ],
        "yours": [
            {
                "id": "ZJ20260000011.confirm_plan.1",
                "kind": "confirm_plan",
                "what": _CONFIRM,
                "opened_at": "2026-09-16T12:00:00+08:00",
                "outcomes": ["agreed", "revise", "refused"],
                "needs_note": ["revise"],
                "ground": {
                    "by": _UTILITY,
                    "at": "2026-09-16T11:58:00+08:00",
                    "code": "planned",
                    "note": "以10 kV单电源供电，电源点为示例变电站。",
                    "document_no": "示例供方〔2026〕1号",
                    "missing": [],
                    "documents": [
                        {
                            "sha256": "0" * 64,
                            "name": "供电方案.pdf",
                            "media_type": "application/pdf",
                            "size": 48211,
                        }
                    ],
                },
            }
        ],
        "story": [
            {
                "what": _CONFIRM,
                "by": _APPLICANT,
                "at": "2026-09-16T12:00:00+08:00",
                "until": None,
                "state": "open",
                "is_late": False,
                "is_yours": True,
                "answer": None,
                "note": None,
                "through": None,
            }
        ],
    },
    "RenewedSecret": {
        "no": "ZJ20260000011",
        "follow_secret": "4ASV-QNDW-WYQF-W5DH",
        "generation": 2,
    },
}
