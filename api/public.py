"""Published without signing in: the policy in force, and the guide made from it (RB-10.1, RB-10.2).

Each answer has a checksum over all else that it holds, so that a channel's copy that has become
stale is seen. Prices are not part of a policy file yet, so none are published here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from api.schemas import Shown, Texts, refusals
from api.services import Services, Serving
from api.supervision import Day
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from domain.guide import Chapter, guide, in_force
from domain.policy import Policy, Titled
from domain.working_time import civil_date
from policy.loader import policies
from storage.chain import canonical

router = APIRouter(prefix="/public", tags=["open to all"])

On = Annotated[
    Day | None,
    Query(description="What was in force on this day; without it, today", examples=["2026-09-16"]),
]


class Published(Shown):
    """What every publication says of itself.

    Attributes:
        version: of the policy that it was made from.
        sha256: of the canonical JSON of all else in this answer: keys sorted, no white space.
    """

    version: str
    in_force_on: str
    on: str
    title: Texts
    sha256: str


class ClausedBody(Texts):
    """A text with what it rests on."""

    clause: str


class NamedBody(ClausedBody):
    """The same, with its id in the policy."""

    id: str


class PublicTask(ClausedBody):
    """A step: who owes it, in which link at which voltage, and its own limit if it has one."""

    kind: str
    owner: str
    links: dict[Literal["low", "high"], str]
    limit_working_days: int | None


class PublicLimit(NamedBody):
    """A promised limit; null is tracked without one (RB-2.6)."""

    limit: int | None
    nature: str
    covers: Literal["case", "bundle"]
    voltage: str | None
    supply: str | None


class PublicInvestment(Shown):
    """Where the utility's investment ends (RB-7)."""

    low: ClausedBody
    applicants: list[str]
    sizes: list[str]
    purposes: list[str]
    central_max_kva: float
    other_max_kva: float
    high: ClausedBody
    high_purposes: list[str]
    otherwise: ClausedBody


class PublicPermit(Shown):
    """A permit that a route may need, and of whom."""

    item: str
    en: str
    department: str
    basis: str


class PublicAgency(NamedBody):
    """An agency, and its part."""

    role: str


class PublicDistrict(ClausedBody):
    """A district; the clause is that of its area."""

    code: str
    area: str | None


class PolicyBody(Published):
    """The policy in force, as far as the public is concerned."""

    city: Texts
    links: dict[Literal["low", "high"], list[NamedBody]]
    tasks: list[PublicTask]
    limits: list[PublicLimit]
    documents: list[NamedBody]
    correction_within_working_days: int
    investment: PublicInvestment
    agencies: list[PublicAgency]
    permits: list[PublicPermit]
    districts: list[PublicDistrict]
    sources: dict[str, Texts]


class TableBody(Shown):
    """Rows under a head."""

    head: list[Texts]
    rows: list[list[Texts]]


class ChapterBody(Shown):
    """A chapter; its id stays the same."""

    id: str
    title: Texts
    paragraphs: list[Texts]
    table: TableBody | None


class GuideBody(Published):
    """The public guide (办事指南)."""

    chapters: list[ChapterBody]


@router.get(
    "/policy",
    name=Act.SEE_GUIDE,
    response_model=PolicyBody,
    summary="The policy in force (政策公开)",
    responses=refusals(422),
)
async def public_policy(services: Serving, on: On = None) -> Mapping[str, Any]:
    """Return process, limits, documents, investment boundary and departments, with clauses."""
    policy, day = _asked(services, on)
    return _published(policy, day, dict(_of_policy(policy, day)))


@router.get(
    "/guide",
    name=Act.SEE_GUIDE,
    response_model=GuideBody,
    summary="The public guide (办事指南)",
    responses=refusals(422),
)
async def public_guide(services: Serving, on: On = None) -> Mapping[str, Any]:
    """Return the guide in both languages, made from the policy that was in force."""
    policy, day = _asked(services, on)
    return _published(policy, day, {"chapters": [_chapter(each) for each in guide(policy, day)]})


def _asked(services: Services, on: date | None) -> tuple[Policy, date]:
    """Return the version that was in force on a day, and the day.

    Raises:
        InputRefused: none was yet.
    """
    day = on or civil_date(services.settings.clock.civil(services.now()))
    found = in_force(list(policies().values()), services.policy, day)
    if found is None:
        raise InputRefused(
            FieldProblem("on", "no policy was in force on that day", "该日尚无生效的政策")
        )
    return found, day


def _published(policy: Policy, day: date, content: Mapping[str, Any]) -> Mapping[str, Any]:
    body = {
        "version": policy.version_id,
        "in_force_on": policy.in_force_on.isoformat(),
        "on": day.isoformat(),
        "title": {"zh": policy.title.zh, "en": policy.title.en},
        **content,
    }
    return {**body, "sha256": checksum(body)}


def checksum(body: Mapping[str, Any]) -> str:
    """Return the checksum of a publication, over all of it but the checksum (RB-10.2).

    The day it was asked for is not in it: the same text has the same checksum on every day.
    """
    said = {name: value for name, value in body.items() if name not in ("on", "sha256")}
    return hashlib.sha256(canonical(said).encode()).hexdigest()


def _of_policy(policy: Policy, day: date) -> Iterator[tuple[str, Any]]:
    yield "city", {"zh": policy.city.zh, "en": policy.city.en}
    yield (
        "links",
        {
            str(voltage): [_named(each.id, each) for each in links]
            for voltage, links in policy.links.items()
        },
    )
    yield (
        "tasks",
        [
            {
                **_claused(rule),
                "kind": str(kind),
                "owner": rule.owner,
                "links": {str(voltage): link for voltage, link in rule.link.items()},
                "limit_working_days": rule.limit_working_days,
            }
            for kind, rule in policy.tasks.items()
        ],
    )
    yield (
        "limits",
        [
            {
                **_named(name, clock),
                "limit": clock.limit,
                "nature": clock.nature,
                "covers": clock.covers,
                "voltage": clock.applies_to.voltage,
                "supply": clock.applies_to.supply,
            }
            for name, clock in policy.clocks.items()
        ],
    )
    yield "documents", [_named(each.kind, each) for each in policy.intake.documents]
    yield "correction_within_working_days", policy.intake.correction.within_working_days
    yield "investment", _investment(policy)
    yield (
        "agencies",
        [{**_named(name, each), "role": each.role} for name, each in policy.agencies.items()],
    )
    yield (
        "permits",
        [
            {"item": rule.item, "en": rule.en, "department": rule.agency, "basis": rule.basis}
            for rule in policy.permits
        ],
    )
    yield (
        "districts",
        [
            {**_claused(district), "code": code, "area": district.area_on(day)}
            for code, district in policy.districts.items()
        ],
    )
    yield "sources", {k: {"zh": each.zh, "en": each.en} for k, each in policy.sources.items()}


def _investment(policy: Policy) -> Mapping[str, Any]:
    low, high = policy.investment.low, policy.investment.high
    return {
        "low": _claused(low),
        # Sets have no order, and a checksum needs one.
        "applicants": sorted(low.applicants),
        "sizes": sorted(low.sizes),
        "purposes": sorted(low.purposes),
        "central_max_kva": low.max_kva.central,
        "other_max_kva": low.max_kva.other,
        "high": _claused(high),
        "high_purposes": sorted(high.purposes),
        "otherwise": _claused(policy.investment.standard),
    }


def _claused(titled: Titled) -> dict[str, Any]:
    return {"zh": titled.zh, "en": titled.en, "clause": titled.clause}


def _named(name: str, titled: Titled) -> dict[str, Any]:
    return {"id": name, **_claused(titled)}


def _chapter(chapter: Chapter) -> Mapping[str, Any]:
    table = chapter.table
    return {
        "id": chapter.id,
        "title": chapter.title._asdict(),
        "paragraphs": [each._asdict() for each in chapter.paragraphs],
        "table": table
        and {
            "head": [each._asdict() for each in table.head],
            "rows": [[cell._asdict() for cell in row] for row in table.rows],
        },
    }


_SAID = {
    "version": "zhanjiang-2020-516.1",
    "in_force_on": "2020-01-01",
    "on": "2026-09-16",
    "title": {
        "zh": "湛江市进一步优化电力营商环境实施方案",
        "en": "Plan of Zhanjiang for a better business environment in electricity",
    },
    "sha256": "b3e53e38a7e02c0cd3cea92938d6b245fd1d552c6ffda955b1fcda223789974e",
}
_LIMIT = {"zh": "低压接电时长", "en": "Low-voltage connection time", "clause": "516 三(二)"}
_DOCUMENT = {"zh": "身份证明材料", "en": "Proof of identity", "clause": "516 三(一)"}
_LINK = {"zh": "用电申请", "en": "Application", "clause": "516 三(一)"}
_WINDOW = {
    "zh": "工程建设项目审批综合服务窗口",
    "en": "One window for construction project approvals",
    "clause": "516 三(三)",
}
PUBLIC_EXAMPLES: dict[str, dict[str, Any]] = {
    "PolicyBody": {
        **_SAID,
        "city": {"zh": "湛江市", "en": "Zhanjiang"},
        "links": {
            "low": [{**_LINK, "id": "application"}],
            "high": [{**_LINK, "id": "application"}],
        },
        "tasks": [
            {
                "zh": "审核用电申请",
                "en": "Check the application",
                "clause": "XK 32; CON",
                "kind": "check_papers",
                "owner": "desk",
                "links": {"low": "application", "high": "application"},
                "limit_working_days": 1,
            }
        ],
        "limits": [
            {
                **_LIMIT,
                "id": "LV8",
                "limit": 8,
                "nature": "average",
                "covers": "case",
                "voltage": "low",
                "supply": "single",
            }
        ],
        "documents": [{**_DOCUMENT, "id": "identity"}],
        "correction_within_working_days": 5,
        "investment": {
            "low": {
                "zh": "计量表计、表箱及电源侧供电线路由供电企业投资",
                "en": "The utility pays for meter, box and source-side line",
                "clause": "516 三(四); MF 1259",
            },
            "applicants": ["enterprise"],
            "sizes": ["micro", "small"],
            "purposes": ["permanent"],
            "central_max_kva": 160.0,
            "other_max_kva": 100.0,
            "high": {
                "zh": "供电企业的外线工程投资界面延伸至客户规划用电红线",
                "en": "The utility invests up to the customer's planning red line",
                "clause": "516 三(四)",
            },
            "high_purposes": ["permanent"],
            "otherwise": {
                "zh": "按供电企业制定的标准执行",
                "en": "The utility's own standard applies",
                "clause": "516 三(四)",
            },
        },
        "agencies": [{**_WINDOW, "id": "desk", "role": "desk"}],
        "permits": [
            {
                "item": "河道管理范围内建设项目工程建设方案审批",
                "en": "Approval of works within the bounds of a river",
                "department": "water",
                "basis": "水法38; 防洪法27",
            }
        ],
        "districts": [
            {
                "zh": "赤坎区",
                "en": "Chikan District",
                "clause": "GB/T 2260",
                "code": "440802",
                "area": "central",
            }
        ],
        "sources": {
            "516": {
                "zh": "湛发改能〔2020〕516号",
                "en": "Zhanjiang Development and Reform Commission, document 516 of 2020",
            }
        },
    },
    "GuideBody": {
        **_SAID,
        "chapters": [
            {
                "id": "documents",
                "title": {"zh": "申请材料", "en": "Documents"},
                "paragraphs": [],
                "table": {
                    "head": [{"zh": "材料", "en": "Document"}],
                    "rows": [[{"zh": "身份证明材料", "en": "Proof of identity"}]],
                },
            }
        ],
    },
}
