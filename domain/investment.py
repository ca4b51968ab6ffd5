"""Who invests in a connection (零投资): the decision, with its reasons and their clauses (RB-7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from domain.application import Application
from domain.connection import Voltage
from domain.policy import InvestmentOverride, Investor, Policy, Purpose, Size

Decision = Literal["utility_pays", "utility_standard", "needs_person"]


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What the decision depends on.

    Attributes:
        capacity_kva: kVA, > 0.
        size: of an enterprise; None for a person.
        district: code of a district of the policy.
        is_central_urban: what a person said of the address; None: nobody was asked.
    """

    voltage: Voltage
    purpose: Purpose
    capacity_kva: float
    applicant_kind: Literal["person", "enterprise"]
    size: Size | None
    district: str
    is_central_urban: bool | None = None

    @classmethod
    def of(cls, application: Application, is_central_urban: bool | None = None) -> ConnectionFacts:
        return cls(
            voltage=Voltage(application.voltage),
            purpose=application.purpose,
            capacity_kva=application.capacity_kva,
            applicant_kind=application.applicant.kind,
            size=application.applicant.size,
            district=application.site.district,
            is_central_urban=is_central_urban,
        )


@dataclass(frozen=True, slots=True)
class Reason:
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Investment:
    """The decision as it is shown.

    Attributes:
        decision: `utility_standard` is "by the utility's standard", not "the customer pays";
            `needs_person` until somebody says whether the address is central urban.
        reasons: in the order in which they were weighed; never empty.
        clause: what the decision rests on.
    """

    decision: Decision
    reasons: tuple[Reason, ...]
    clause: str


def decide_investment(facts: ConnectionFacts, policy: Policy, on: date) -> Investment:
    """Decide who invests, on the civil date `on` (RB-7.1 to RB-7.4)."""
    for override in policy.investment.overrides:
        if _applies(override, facts, on):
            reason = Reason(f"另有规定：{override.zh}", f"Provided otherwise: {override.en}")
            return Investment(override.decision, (reason,), override.clause)
    if facts.voltage is Voltage.HIGH:
        return _at_high_voltage(facts, policy)
    return _at_low_voltage(facts, policy, on)


def asks_area(facts: ConnectionFacts, policy: Policy, on: date) -> bool:
    """Whether a person must say if the address is central urban before it can be decided."""
    return decide_investment(facts, policy, on).decision == "needs_person"


def _applies(override: InvestmentOverride, facts: ConnectionFacts, on: date) -> bool:
    return (
        override.since <= on <= (override.until or date.max)
        and facts.voltage in override.voltages
        and facts.purpose in override.purposes
        and (not override.districts or facts.district in override.districts)
    )


def _at_high_voltage(facts: ConnectionFacts, policy: Policy) -> Investment:
    rule = policy.investment.high
    if facts.purpose in rule.purposes:
        return _decided("utility_pays", rule.clause, Reason(rule.zh, rule.en))
    return _by_standard(policy, _TEMPORARY)


def _at_low_voltage(facts: ConnectionFacts, policy: Policy, on: date) -> Investment:
    rule = policy.investment.low
    if reasons := tuple(_not_entitled(facts, policy)):
        return _by_standard(policy, *reasons)
    areas = _possible_areas(facts, policy, on)
    fits = {area: facts.capacity_kva <= rule.max_kva.of(area) for area in areas}
    if len(set(fits.values())) == 2:
        limits = {area: f"{rule.max_kva.of(area):g}" for area in areas}
        return Investment(
            "needs_person",
            (
                Reason(
                    f"区域表未能确定该地址是否属于中心城区（中心城区{limits['central']}千伏安、"
                    f"其他区域{limits['other']}千伏安），须人工确认",
                    "The area table does not say whether the address is in the central urban area "
                    f"({limits['central']} kVA there, {limits['other']} kVA elsewhere): a person "
                    "has to",
                ),
            ),
            rule.clause,
        )
    reason = _capacity_reason(facts, policy, areas, all(fits.values()))
    if all(fits.values()):
        return _decided("utility_pays", rule.clause, reason, Reason(rule.zh, rule.en))
    return _by_standard(policy, reason)


_TEMPORARY = Reason("不属于永久用电", "The supply is not permanent")


def _not_entitled(facts: ConnectionFacts, policy: Policy) -> Iterator[Reason]:
    rule = policy.investment.low
    if facts.purpose not in rule.purposes:
        yield _TEMPORARY
    if facts.applicant_kind not in rule.applicants:
        yield Reason("申请人不是企业", "The applicant is not an enterprise")
    elif facts.size not in rule.sizes:
        yield Reason("不属于小微企业", "The enterprise is neither small nor micro")


def _possible_areas(
    facts: ConnectionFacts, policy: Policy, on: date
) -> tuple[Literal["central", "other"], ...]:
    district = policy.districts.get(facts.district)
    match district and district.area_on(on):
        case "central":
            return ("central",)
        case "other":
            return ("other",)
    match facts.is_central_urban:
        case True:
            return ("central",)
        case False:
            return ("other",)
        case None:
            return ("central", "other")


def _capacity_reason(
    facts: ConnectionFacts,
    policy: Policy,
    areas: tuple[Literal["central", "other"], ...],
    is_within: bool,
) -> Reason:
    zh = {"central": "中心城区", "other": "其他区域"}
    en = {"central": "in the central urban area", "other": "outside the central urban area"}
    # Where both areas are possible and agree, the limit that decides is the nearer one.
    limits = policy.investment.low.max_kva
    area = (min if is_within else max)(areas, key=limits.of)
    limit = f"{limits.of(area):g}"
    if is_within:
        return Reason(
            f"用电容量{facts.capacity_kva:.12g}千伏安，不超过{zh[area]}的{limit}千伏安",
            f"{facts.capacity_kva:.12g} kVA is not above {limit} kVA, the limit {en[area]}",
        )
    return Reason(
        f"用电容量{facts.capacity_kva:.12g}千伏安，超过{zh[area]}的{limit}千伏安",
        f"{facts.capacity_kva:.12g} kVA is above {limit} kVA, the limit {en[area]}",
    )


def _decided(decision: Investor, clause: str, *reasons: Reason) -> Investment:
    return Investment(decision, reasons, clause)


def _by_standard(policy: Policy, *reasons: Reason) -> Investment:
    standard = policy.investment.standard
    return _decided("utility_standard", standard.clause, *reasons, Reason(standard.zh, standard.en))
