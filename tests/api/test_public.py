"""What is published without signing in: from the policy that cases are decided by (RB-10)."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from api.public import GuideBody, PolicyBody, checksum
from domain.guide import guide, in_force
from policy.loader import policy_for
from tests.api.answers import problem
from tests.support.cases import NOON, POLICY
from tests.support.serving import Api

ROOT = Path(__file__).parents[2]
PUBLICATIONS = ("policy", "guide")
RULES = policy_for(POLICY)


async def published(api: Api, what: str, query: str = "") -> dict[str, Any]:
    """Ask for a publication, without a key."""
    answer = await api.call("GET", f"/api/v1/public/{what}{query}", None)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.rule("RB-10.1")
async def test_the_policy_is_published_as_the_processes_run_on_it(api: Api) -> None:
    found = await published(api, "policy")
    PolicyBody.model_validate(found)
    assert (found["version"], found["in_force_on"]) == (POLICY, "2020-01-01")
    limits = {each["id"]: each["limit"] for each in found["limits"]}
    assert limits == {"LV8": 8, "HV40": 40, "INT13": 13, "HV-DUAL": None, "GOV5": 5}
    assert (len(found["links"]["low"]), len(found["links"]["high"])) == (2, 3)
    assert [each["id"] for each in found["documents"]] == ["identity", "ownership"]
    assert (found["investment"]["central_max_kva"], found["investment"]["other_max_kva"]) == (
        *(160.0, 100.0),
    )
    assert len(found["permits"]) == len(RULES.permits)
    for listed in ("tasks", "limits", "documents", "agencies", "districts"):
        for each in found[listed]:
            assert each["zh"] and each["en"] and each["clause"], (listed, each)


@pytest.mark.rule("RB-10.1")
async def test_the_guide_says_what_the_policy_holds(api: Api) -> None:
    found = await published(api, "guide")
    GuideBody.model_validate(found)
    text = json.dumps(found, ensure_ascii=False)
    for clock in RULES.clocks.values():
        assert clock.zh in text
    for rule in RULES.permits:
        assert rule.item in text and rule.en in text and rule.basis in text
    for named in (*RULES.intake.documents, *RULES.districts.values(), *RULES.procedures.values()):
        assert named.zh in text and named.en in text
    steps = {each["id"]: each["table"]["rows"] for each in found["chapters"] if each["table"]}
    low, high = ({row[1]["zh"] for row in steps[f"steps-{v}"]} for v in ("low", "high"))
    assert (len(low), len(high)) == (2, 3), "links, and no further ones (RB-6.1)"


@pytest.mark.rule("RB-10.1")
def test_another_policy_makes_another_guide() -> None:
    on = NOON.date()
    clocks = {
        name: clock.model_copy(update={"limit": 6} if name == "LV8" else {})
        for name, clock in RULES.clocks.items()
    }
    other = guide(RULES.model_copy(update={"clocks": clocks}), on)
    changed = {a.id for a, b in zip(guide(RULES, on), other, strict=True) if a != b}
    assert changed == {"questions", "limits"}


@pytest.mark.rule("RB-10.1")
def test_what_was_in_force_on_a_day_can_be_asked() -> None:
    older = RULES
    newer = RULES.model_copy(update={"version": 2, "in_force_on": date(2026, 7, 1)})
    coming = RULES.model_copy(update={"version": 3, "in_force_on": date(2027, 1, 1)})
    elsewhere = RULES.model_copy(
        update={
            "version": 9,
            "in_force_on": date(2026, 1, 1),
            "city": RULES.city.model_copy(update={"code": "440900"}),
        }
    )
    known = [coming, elsewhere, newer, older]
    for on, expected in (
        (date(2019, 12, 31), None),
        (date(2020, 1, 1), older),
        (date(2026, 6, 30), older),
        (date(2026, 7, 1), newer),
        (date(2027, 6, 1), newer),
    ):
        assert in_force(known, newer, on) is expected, on
    assert in_force(known, older, date(2026, 7, 1)) is older, "as long as cases are pinned to it"


async def test_a_day_before_the_first_policy_and_what_is_no_day_are_refused(api: Api) -> None:
    for what in PUBLICATIONS:
        for on in ("2019-12-31", "yesterday"):
            answer = await api.call("GET", f"/api/v1/public/{what}?on={on}", None)
            problem(answer, 422, "invalid-input")
        assert (await published(api, what, "?on=2020-01-01"))["on"] == "2020-01-01"


@pytest.mark.rule("RB-10.2")
@pytest.mark.parametrize("what", PUBLICATIONS)
async def test_a_copy_that_was_changed_is_seen_by_its_checksum(api: Api, what: str) -> None:
    found = await published(api, what)
    assert checksum(found) == found["sha256"]
    other_day = await published(api, what, "?on=2026-01-05")
    assert other_day["sha256"] == found["sha256"], "the same text, whenever it was asked for"
    found["in_force_on"] = "2020-01-02"
    assert checksum(found) != found["sha256"]


@pytest.mark.rule("RB-10.2")
def test_a_checksum_is_the_same_in_every_process() -> None:
    # Python orders sets differently in each.
    program = (
        "import sys; from datetime import date; from api.public import _of_policy, checksum; "
        "from policy.loader import policy_for; from domain.guide import guide; "
        f"p = policy_for({POLICY!r}); d = date(2026, 9, 16); "
        "print(checksum(dict(_of_policy(p, d))), guide(p, d))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
