"""Before an application has a number: what it would come to. And of a case, what lies ahead of it.

Nothing is kept. What is said is what the rules would say today: who would invest and why (RB-7),
what each voltage supplies, the dates that would be promised and why these (RB-1.8), and the steps
to come with whoever owes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Response

from activities.contract import civil_text
from api.applications import seen_case
from api.auth import Caller, SignedIn
from api.opinions import UNKEPT
from api.responses import spelled
from api.schemas import (
    ANSWER_EXAMPLES,
    APPLICATION_EXAMPLE,
    FieldError,
    InvestmentBody,
    Receipt,
    Shown,
    Texts,
    WhyBody,
    refusals,
)
from api.services import Services, Serving
from api.views import why_body
from domain.access import Act
from domain.ahead import Step, steps_ahead
from domain.application import Application, check_application
from domain.clocks import ClockRule
from domain.connection import TaskKind, Voltage
from domain.draft import Assessed, Draft, assess
from domain.errors import FieldProblem
from domain.explaining import explain
from domain.investment import ConnectionFacts, decide_investment
from domain.policy import Policy
from domain.working_time import Calendar, WorkingDays, civil_date, deadline, receipt_date
from policy.loader import policy_for

SECRET_SHOWN_FOR = timedelta(hours=12)
"""A day at the desk; an applicant who comes back later gets a new one."""

router = APIRouter(prefix="/applications", tags=["applications"])


class VoltageBody(Shown):
    """Which voltage supplies a capacity; both limits are inclusive.

    Attributes:
        fits: the lowest that does; null: none of them.
    """

    low_max_kva: float
    high_max_kva: float
    clause: str
    fits: Literal["low", "high"] | None


class PromiseBody(Texts):
    """A promised time, and the day it would run out were the application accepted today.

    Attributes:
        due_on, is_provisional, why: null where no day can be named: nothing is promised, or it
            counts only part of the time.
    """

    clock: str
    limit_working_days: int | None
    nature: str
    clause: str
    due_on: str | None
    is_provisional: bool | None
    calendar_version: str
    why: WhyBody | None


class StepBody(Texts):
    """A task to come.

    Attributes:
        owner: an agency's id, or `department`: each that is competent, for itself.
        due_on: of the first step, whose day is known.
        is_conditional: owed only where the facts or the answers call for it.
        side_by_side: it goes on beside the step before it.
    """

    kind: str
    owner: str
    owner_name: Texts
    link: str
    limit_working_days: int | None
    due_on: str | None
    is_conditional: bool
    side_by_side: bool


class CaseLinkBody(Texts):
    """A link (环节), as the applicant counts them."""

    id: str


class PaperBody(Texts):
    """One of the two documents, and where it comes from (RB-3.2)."""

    kind: Literal["identity", "ownership"]
    comes_from: Literal["application", "registry", "nowhere"]


class ApplicationPreview(Shown):
    """What an application would come to, as far as it is filled in.

    Attributes:
        on: civil date of today; the dates are counted from it.
        missing: fields that are not filled in yet.
        problems: for each of these it would be refused.
        warnings: for each of these somebody should look; they refuse nothing (RB-3.4).
        investment, voltage: null until what they depend on is filled in.
        promises, links, steps: empty until the voltage, and the supply, are.
    """

    on: str
    policy: str
    missing: list[str]
    problems: list[FieldError]
    warnings: list[FieldError]
    investment: InvestmentBody | None
    voltage: VoltageBody | None
    promises: list[PromiseBody]
    links: list[CaseLinkBody]
    steps: list[StepBody]
    papers: list[PaperBody]


@router.post(
    "/preview",
    name=Act.SUBMIT_APPLICATION,
    response_model=ApplicationPreview,
    summary="What an application would come to (申请预览)",
    responses=refusals(400, 401, 403, 413, 422),
)
async def preview(
    draft: Annotated[Draft, Body(examples=[APPLICATION_EXAMPLE])],
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Check an application as far as it is filled in, and say what it would come to.

    The body is that of a submission, of which any field may be left out. Nothing is kept, and what
    breaks a rule is told in the answer instead of refused.
    """
    caller.needs(Act.SUBMIT_APPLICATION)
    policy, at = services.policy, services.settings.clock.civil(services.now())
    on, days = civil_date(at), (await services.calendars.current()).calendar
    assessed = assess(draft, policy, on)
    return {
        "on": on.isoformat(),
        "policy": policy.version_id,
        "missing": assessed.missing,
        "problems": field_errors(assessed.checked.problems),
        "warnings": field_errors(assessed.checked.warnings),
        "investment": _investment(assessed, policy, on),
        "voltage": _voltage(draft.capacity_kva, policy),
        "promises": list(_promises(assessed, policy, on, days)),
        "links": [
            {"id": link.id, "zh": link.zh, "en": link.en}
            for link in (policy.links[Voltage(draft.voltage)] if draft.voltage else ())
        ],
        "steps": _steps_to_come(draft, policy, at, days),
        "papers": list(_papers(draft, policy)),
    }


@router.get(
    "/{no}/ahead",
    name=Act.SEE_CASES,
    response_model=list[StepBody],
    summary="What lies ahead of it",
    responses=refusals(401, 403, 404),
)
async def get_ahead(no: str, caller: SignedIn, services: Serving) -> list[Mapping[str, Any]]:
    """Return the steps that follow on what is owed now, in order, where all goes well."""
    case = await seen_case(no, caller, services)
    if case.ending is not None:
        return []
    owed = {task.kind for task in await services.reading.tasks_of(no) if task.state == "open"}
    last = TaskKind(case.reached) if case.reached else None
    policy = policy_for(case.policy)
    return _step_bodies(steps_ahead(policy, Voltage(case.voltage), owed, last), policy)


@router.get(
    "/{no}/receipt",
    name=Act.SUBMIT_APPLICATION,
    response_model=Receipt,
    summary="Its receipt again (回执)",
    responses=refusals(401, 403, 404),
)
async def get_receipt(no: str, caller: SignedIn, services: Serving) -> Response:
    """Return what a submission was answered with.

    The secret is in it for 12 hours after the submission, for whoever submitted it, to be handed
    over; later, give a new one.
    """
    return spelled(await receipt_again(no, caller, services), 200, UNKEPT)


async def receipt_again(no: str, caller: Caller, services: Services) -> Mapping[str, Any]:
    """Return the receipt of a case, with what whoever checks its papers should look at.

    Raises:
        Refused: the caller takes no applications in, or not this one.
        UnknownCase: there is no such case.
    """
    case = await seen_case(no, caller, services, Act.SUBMIT_APPLICATION)
    application = Application.model_validate(case.content)
    received_on = civil_date(case.submitted_at)
    checked = check_application(application, policy_for(case.policy), received_on)
    # Whoever could read it for as long as the case runs, or of a case that they did not take in,
    # could act as the applicant. Of the engine's time: in training mode a civil day may be over
    # before a slip is printed.
    is_recent = services.now() - case.clock.engine(case.submitted_at) < SECRET_SHOWN_FOR
    is_shown = is_recent and case.submitted_by == caller.agency
    return {
        "no": no,
        "follow_secret": await services.secrets.first_of(no) if is_shown else None,
        "state": case.state,
        "process": "started" if case.process_started else "pending",
        "submitted_at": civil_text(case.submitted_at),
        "warnings": field_errors(checked.warnings),
    }


def field_errors(found: Sequence[FieldProblem]) -> list[Mapping[str, str]]:
    """Spell problems or warnings."""
    return [{"field": each.field, "message": each.en, "message_zh": each.zh} for each in found]


# ---------------------------------------------------------------- what it would come to

_DECIDES_INVESTMENT = (
    *("voltage", "purpose", "capacity_kva", "applicant.kind", "applicant.size", "site.district"),
)


def _investment(assessed: Assessed, policy: Policy, on: date) -> Mapping[str, Any] | None:
    # What would be refused is decided by nobody.
    refused = {problem.field for problem in assessed.checked.problems}
    if not assessed.has(*_DECIDES_INVESTMENT) or refused & {*_DECIDES_INVESTMENT}:
        return None
    facts = ConnectionFacts.of(assessed.application)
    return asdict(decide_investment(facts, policy, on))


def _voltage(capacity_kva: float | None, policy: Policy) -> Mapping[str, Any] | None:
    if capacity_kva is None:
        return None
    limits = policy.capacity
    fits = "low" if capacity_kva <= limits.low_max_kva else "high"
    return {
        "low_max_kva": limits.low_max_kva,
        "high_max_kva": limits.high_max_kva,
        "clause": limits.clause,
        "fits": fits if capacity_kva <= limits.high_max_kva else None,
    }


def _promises(
    assessed: Assessed, policy: Policy, on: date, days: Calendar
) -> Iterator[Mapping[str, Any]]:
    if not assessed.has("voltage", "supply"):
        return
    application = assessed.application
    for rule in policy.clocks_of("case", application.voltage, application.supply):
        yield {
            "clock": rule.id,
            "zh": rule.zh,
            "en": rule.en,
            "limit_working_days": rule.limit,
            "nature": rule.nature,
            "clause": rule.clause,
            "calendar_version": days.version,
            **_due(rule, on, days),
        }


def _due(rule: ClockRule, on: date, days: Calendar) -> Mapping[str, Any]:
    # A clock that counts some segments only has no day until it is known when they are open.
    if rule.limit is None or rule.counts:
        return {"due_on": None, "is_provisional": None, "why": None}
    why = explain(days, on, rule.limit, rule=rule)
    return {
        "due_on": why.due_on.isoformat(),
        "is_provisional": why.is_provisional,
        "why": why_body(why),
    }


def _steps_to_come(
    draft: Draft, policy: Policy, at: datetime, days: Calendar
) -> list[Mapping[str, Any]]:
    if draft.voltage is None:
        return []
    first, *later = steps_ahead(policy, Voltage(draft.voltage), (), None)
    due_on = None
    if first.limit_working_days is not None:
        working_time = policy.working_time
        received_on = receipt_date(at, working_time.receipt, working_time.hours, days)
        due_on = deadline(days, received_on, WorkingDays(first.limit_working_days)).due_on
    return _step_bodies((first, *later), policy, due_on)


def _step_bodies(
    steps: Sequence[Step], policy: Policy, first_due_on: date | None = None
) -> list[Mapping[str, Any]]:
    before = (None, *steps)
    return [
        {
            "kind": step.kind,
            "zh": policy.tasks[step.kind].zh,
            "en": policy.tasks[step.kind].en,
            "owner": step.owner,
            "owner_name": _owner_name(step, policy),
            "link": step.link,
            "limit_working_days": step.limit_working_days,
            "due_on": (first_due_on and not earlier and first_due_on.isoformat()) or None,
            "is_conditional": step.is_conditional,
            "side_by_side": earlier is not None and earlier.depth == step.depth,
        }
        for earlier, step in zip(before, steps, strict=False)
    ]


def _owner_name(step: Step, policy: Policy) -> Mapping[str, str]:
    if step.is_of_departments:
        return {"zh": "有关审批部门", "en": "The competent departments"}
    agency = policy.agencies[step.owner]
    return {"zh": agency.zh, "en": agency.en}


def _papers(draft: Draft, policy: Policy) -> Iterator[Mapping[str, str]]:
    given = {document.kind for document in draft.documents}
    otherwise = "registry" if draft.consent_to_certificates else "nowhere"
    for rule in policy.intake.documents:
        comes_from = "application" if rule.kind in given else otherwise
        yield {"kind": rule.kind, "zh": rule.zh, "en": rule.en, "comes_from": comes_from}


# ---------------------------------------------------------------- examples

_STEPS: list[dict[str, Any]] = [
    {
        "kind": "check_papers",
        "zh": "审核用电申请",
        "en": "Check the application",
        "owner": "desk",
        "owner_name": {
            "zh": "工程建设项目审批综合服务窗口",
            "en": "One window for construction project approvals",
        },
        "link": "application",
        "limit_working_days": 1,
        "due_on": "2026-09-15",
        "is_conditional": False,
        "side_by_side": False,
    }
]
APPLICATION_PREVIEW_EXAMPLES: dict[str, dict[str, Any]] = {
    "StepBody": _STEPS[0],
    "ApplicationPreview": {
        "on": "2026-09-14",
        "policy": "zhanjiang-2020-516.1",
        "missing": [],
        "problems": [],
        "warnings": [],
        "investment": ANSWER_EXAMPLES["CaseBody"]["investment"],
        "voltage": {
            "low_max_kva": 160.0,
            "high_max_kva": 20000.0,
            "clause": "516 三(二); 516 三(四); CON",
            "fits": "high",
        },
        "promises": [
            {
                "clock": "HV40",
                "zh": "高压单电源接电时长",
                "en": "High-voltage single-source connection time",
                "limit_working_days": 40,
                "nature": "average",
                "clause": "516 三(二)",
                "due_on": "2026-11-17",
                "is_provisional": False,
                "calendar_version": "cn-2026.1",
                "why": ANSWER_EXAMPLES["ClockBody"]["why"],
            }
        ],
        "links": [
            {"id": "application", "zh": "用电申请", "en": "Application"},
            {"id": "supply_plan_reply", "zh": "供电方案答复", "en": "Reply with the supply plan"},
            {
                "id": "inspection_and_meter",
                "zh": "竣工检验和装表接电",
                "en": "Final inspection, metering and connection",
            },
        ],
        "steps": _STEPS,
        "papers": [
            {
                "kind": kind,
                "zh": zh,
                "en": en,
                "comes_from": "registry",
            }
            for kind, zh, en in (
                ("identity", "身份证明材料", "Proof of identity"),
                ("ownership", "用电地址物业权属证明材料", "Proof of ownership of the address"),
            )
        ],
    },
}
"""An answer of each shape; names and numbers are fictitious."""
