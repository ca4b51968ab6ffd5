"""Policy versions: what each says, by which clause, and what tells two of them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import standing
from api.problems import NOT_FOUND, Refused
from api.services import Serving
from console.form_fields import text
from console.guard import Guarded
from console.rendering import page
from console.words import PURPOSES, SIZES, SUPPLIES, VOLTAGES
from domain.access import Act
from domain.policy import DEPARTMENT, HANDLER, HEAD, Policy
from domain.route import Above, Condition, Is, OneOf, WithinByHighwayClass, YoungerThanYears
from domain.route_words import FACTS, fact_words, value_words
from domain.words import Words
from policy.loader import UnknownPolicy, policies, policy_for

router = APIRouter()

AREAS = {
    "central": Words("中心城区", "central"),
    "other": Words("非中心城区", "not central"),
    "mixed": Words("兼有，由人判定", "both; a person says which"),
}
NATURES = {
    "average": Words("平均", "on average"),
    "every_case": Words("每件", "in every case"),
}
BASES = {"statutory": Words("法定", "statutory"), "policy": Words("本地做法", "local practice")}
ROLES = {
    "desk": Words("窗口", "Desk"),
    "utility": Words("供电企业", "Utility"),
    "department": Words("审批部门", "Department"),
    "applicant": Words("申请人", "Applicant"),
    "supervisor": Words("督导单位", "Supervisor"),
}
RECIPIENTS = {
    HANDLER: Words("承办人员", "the handler"),
    HEAD: Words("承办单位负责人", "the head of the agency"),
    DEPARTMENT: Words("各主管部门", "each competent department"),
}
RECEIPTS = {
    "as_received": Words("收到即起算", "counts from when it was received"),
    "next_open": Words("窗口开放时起算", "counts from when the window is next open"),
}
LIGHTS = {"yellow": Words("黄灯", "yellow"), "red": Words("红灯", "red")}


@router.get("/admin/policies", name=Act.SEE_POLICIES)
async def list_policies(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show the versions, and how many cases rest on each."""
    rows = await standing.get_policies(visitor.caller, services)
    return page(request, visitor, "admin_policies.html", rows=rows)


@router.get("/admin/policies/{version_id}", name=Act.SEE_POLICIES)
async def show_policy(
    request: Request, version_id: str, visitor: Guarded, services: Serving
) -> Response:
    """Show what a version says; with `against`, what tells it from another."""
    policy = _known(version_id)
    against = text(request.query_params, "against")
    return page(
        request,
        visitor,
        "admin_policy.html",
        policy=policy,
        is_current=policy.version_id == services.policy.version_id,
        others=[each for each in policies() if each != policy.version_id],
        against=against,
        differences=list(differences(_known(against), policy)) if against else None,
        named=_named(policy),
        condition_words=condition_words,
        AREAS=AREAS,
        NATURES=NATURES,
        BASES=BASES,
        ROLES=ROLES,
        RECEIPTS=RECEIPTS,
        LIGHTS=LIGHTS,
        VOLTAGES=VOLTAGES,
        SUPPLIES=SUPPLIES,
        PURPOSES=PURPOSES,
        SIZES=SIZES,
    )


def _known(version_id: str) -> Policy:
    try:
        return policy_for(version_id)
    except UnknownPolicy:
        raise Refused(NOT_FOUND, "there is no such policy version", "没有此政策版本") from None


def _named(policy: Policy) -> Mapping[str, Words]:
    """Name agencies and recipients."""
    agencies = {name: Words(each.zh, each.en) for name, each in policy.agencies.items()}
    return {**agencies, **RECIPIENTS}


def condition_words(condition: Condition) -> Words:
    """Say what a rule asks of a segment."""
    name = FACTS[condition.fact]
    match condition:
        case Is():
            return fact_words(condition.fact, condition.value)
        case OneOf():
            values = [value_words(condition.fact, each) for each in condition.value]
            return Words(
                f"{name.zh}为{'、'.join(each.zh for each in values)}",
                f"{name.en}: {' or '.join(each.en for each in values)}",
            )
        case Above():
            return Words(
                f"{name.zh}大于 {condition.value:g}", f"{name.en} above {condition.value:g}"
            )
        case WithinByHighwayClass():
            classes = [
                (value_words("highway_class", each), metres)
                for each, metres in condition.value.items()
            ]
            return Words(
                f"{name.zh}不超过：{'、'.join(f'{each.zh} {m:g} m' for each, m in classes)}",
                f"{name.en} within: {', '.join(f'{each.en} {m:g} m' for each, m in classes)}",
            )
        case YoungerThanYears():
            return Words(
                f"{name.zh}不满 {condition.value} 年",
                f"{name.en} less than {condition.value} years ago",
            )
        case _:
            assert_never(condition)


def differences(before: Policy, after: Policy) -> Iterator[tuple[str, str, str]]:
    """Yield what two versions say differently: where, and what each of them says."""
    old, new = dict(_flat(_spelled(before), "")), dict(_flat(_spelled(after), ""))
    for place in sorted(old.keys() | new.keys()):
        if old.get(place) != new.get(place):
            yield place, old.get(place, "–"), new.get(place, "–")


def _spelled(policy: Policy) -> Mapping[str, Any]:
    found: Mapping[str, Any] = policy.model_dump(mode="json")
    return found


def _flat(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for position, inner in enumerate(value, start=1):
            name = inner.get("id") or inner.get("item") or position
            yield from _flat(inner, f"{place}.{name}")
    elif isinstance(value, list):
        # Sets have no order of their own.
        yield place, ", ".join(sorted(map(str, value)))
    else:
        yield place, "–" if value is None else str(value)
