"""Who invests in a connection."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from domain.connection import Voltage
from domain.investment import ConnectionFacts, asks_area, decide_investment
from domain.policy_file import load_policy
from policy import loader

POLICY = loader.policy_for("zhanjiang-2020-516.1")
FILE = Path(loader.__file__).parent / "zhanjiang-2020-516.toml"
ON = date(2026, 9, 16)
CENTRAL, OTHER, MIXED = "440802", "440823", "440804"

SHOP = ConnectionFacts(
    voltage=Voltage.LOW,
    purpose="permanent",
    capacity_kva=50,
    applicant_kind="enterprise",
    size="micro",
    district=CENTRAL,
)


@pytest.mark.rule("RB-7.1")
@pytest.mark.parametrize(
    ("district", "capacity_kva", "decision"),
    [
        (CENTRAL, 160, "utility_pays"),
        (CENTRAL, 160.01, "utility_standard"),
        (OTHER, 100, "utility_pays"),
        (OTHER, 100.01, "utility_standard"),
        (OTHER, 160, "utility_standard"),
    ],
)
def test_both_limits_are_inclusive(district: str, capacity_kva: float, decision: str) -> None:
    facts = replace(SHOP, district=district, capacity_kva=capacity_kva)
    assert decide_investment(facts, POLICY, ON).decision == decision


@pytest.mark.rule("RB-7.1")
@pytest.mark.parametrize(
    ("changed", "decision", "reason"),
    [
        ({"size": "small"}, "utility_pays", "不超过中心城区的160千伏安"),
        ({"size": "medium"}, "utility_standard", "不属于小微企业"),
        ({"size": "large"}, "utility_standard", "不属于小微企业"),
        ({"purpose": "temporary"}, "utility_standard", "不属于永久用电"),
        ({"applicant_kind": "person", "size": None}, "utility_standard", "申请人不是企业"),
    ],
)
def test_only_small_and_micro_enterprises_with_permanent_supply(
    changed: dict[str, Any], decision: str, reason: str
) -> None:
    investment = decide_investment(replace(SHOP, **changed), POLICY, ON)
    assert investment.decision == decision
    assert reason in investment.reasons[0].zh
    assert investment.clause.startswith("516 三(四)")


@pytest.mark.rule("RB-7.2")
@pytest.mark.parametrize(
    ("purpose", "decision"), [("permanent", "utility_pays"), ("temporary", "utility_standard")]
)
def test_at_high_voltage_up_to_the_red_line(purpose: Any, decision: str) -> None:
    facts = replace(SHOP, voltage=Voltage.HIGH, purpose=purpose, capacity_kva=630, size="large")
    investment = decide_investment(facts, POLICY, ON)
    assert investment.decision == decision
    assert ("红线" in investment.reasons[-1].zh) == (decision == "utility_pays")


@pytest.mark.rule("RB-7.3")
def test_not_zero_investment_means_the_utilitys_standard() -> None:
    reasons = decide_investment(replace(SHOP, size="large"), POLICY, ON).reasons
    assert reasons[-1].zh == "按供电企业制定的标准执行"
    assert reasons[-1].en == "The utility's own standard applies"


@pytest.mark.rule("RB-7.4")
@pytest.mark.parametrize(
    ("district", "on"), [(MIXED, ON), ("999999", ON), (CENTRAL, date(2019, 12, 31))]
)
@pytest.mark.parametrize(
    ("said", "decision"),
    [(None, "needs_person"), (True, "utility_pays"), (False, "utility_standard")],
)
def test_an_unknown_area_goes_to_a_person(
    district: str, on: date, said: bool | None, decision: str
) -> None:
    facts = replace(SHOP, district=district, capacity_kva=120, is_central_urban=said)
    assert decide_investment(facts, POLICY, on).decision == decision
    assert asks_area(facts, POLICY, on) is (said is None)


@pytest.mark.rule("RB-7.4")
@pytest.mark.parametrize(
    ("capacity_kva", "decision"), [(100, "utility_pays"), (161, "utility_standard")]
)
def test_nobody_is_asked_for_an_area_that_decides_nothing(
    capacity_kva: float, decision: str
) -> None:
    facts = replace(SHOP, district=MIXED, capacity_kva=capacity_kva)
    assert decide_investment(facts, POLICY, ON).decision == decision
    assert not asks_area(facts, POLICY, ON)


@pytest.mark.rule("RB-7.4")
def test_where_the_area_table_is_sure_nobody_overrules_it() -> None:
    facts = replace(SHOP, district=OTHER, capacity_kva=120, is_central_urban=True)
    assert decide_investment(facts, POLICY, ON).decision == "utility_standard"


@pytest.mark.rule("RB-7.3")
@pytest.mark.parametrize(
    ("on", "district", "purpose", "decision"),
    [
        (date(2026, 8, 31), OTHER, "permanent", "utility_standard"),
        (date(2026, 9, 1), OTHER, "permanent", "utility_pays"),
        (date(2026, 9, 30), OTHER, "permanent", "utility_pays"),
        (date(2026, 10, 1), OTHER, "permanent", "utility_standard"),
        (date(2026, 9, 1), "440825", "permanent", "utility_standard"),
        (date(2026, 9, 1), OTHER, "temporary", "utility_standard"),
    ],
)
def test_an_override_holds_for_its_days_and_cases(
    on: date, district: str, purpose: Any, decision: str
) -> None:
    override = (
        'overrides = [{ id = "trial", since = 2026-09-01, until = 2026-09-30, voltages = ["low"], '
        'purposes = ["permanent"], districts = ["440823"], decision = "utility_pays", '
        'zh = "试点", en = "Trial", clause = "CON trial" }]'
    )
    policy = load_policy(
        FILE.read_text(encoding="utf-8").replace("overrides = []", override), "trial.toml"
    )
    facts = replace(SHOP, district=district, purpose=purpose, size="large")
    investment = decide_investment(facts, policy, on)
    assert investment.decision == decision
    assert (investment.clause == "CON trial") == (decision == "utility_pays")


def test_every_reason_is_given_in_both_languages() -> None:
    facts = replace(SHOP, purpose="temporary", size="large")
    reasons = decide_investment(facts, POLICY, ON).reasons
    assert [reason.zh for reason in reasons] == [
        "不属于永久用电",
        "不属于小微企业",
        "按供电企业制定的标准执行",
    ]
    assert all(reason.en for reason in reasons)
