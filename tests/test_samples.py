"""The sample applications: valid numbers, enough variety, every ending."""

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from stdnum.cn import ric, uscc

from domain.connection import STORY, Code, Ending, TaskKind, Voltage
from sandbox.decisions import CHANCES, DEPARTMENTS, MARKERS, Judgement, Story, story_of
from sandbox.tasks import read_task

SAMPLES = Path(__file__).parents[1] / "samples"
ENTRIES: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(SAMPLES.glob("*.json"))
}
APPLICATIONS = [entry["application"] for entry in ENTRIES.values()]
FORCED_ENDINGS = {
    Story.DECLINED: "declined",
    Story.NOT_FEASIBLE: "not_feasible",
    Story.PLAN_REFUSED: "plan_refused",
    Story.PERMITS_REFUSED: "permits_refused",
    Story.INSPECTION_FAILED: "inspection_failed",
}
ENDINGS = {*FORCED_ENDINGS.values(), "connected", "withdrawn"}


def test_the_files_are_what_the_generator_writes() -> None:
    command = [sys.executable, str(SAMPLES / "make_samples.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", ENTRIES)
def test_identity_numbers_have_valid_check_digits(name: str) -> None:
    applicant = ENTRIES[name]["application"]["applicant"]
    number = applicant["id_number"]
    match applicant["id_type"]:
        case "resident_id":
            assert ric.is_valid(number)
        case "hmt_residence_permit" | "foreign_permit":
            # The library knows no permits, but they share the resident ID's check digit.
            assert len(number) == 18
            assert ric.calc_check_digit(number) == number[-1]
        case "uscc":
            assert uscc.is_valid(number)
            assert _organisation_check(number[8:16]) == number[16]
        case other:
            pytest.fail(f"{other} is not a type of identity")


def _organisation_check(eight: str) -> str:
    """GB 11714, written a second time: the library does not check it (RB-3.4)."""
    total = 0
    for character, weight in zip(eight, (3, 7, 9, 10, 5, 8, 4, 2), strict=True):
        total += weight * "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(character)
    return {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))


def test_the_organisation_check_knows_a_published_code() -> None:
    # The code of 91110000600037341L, the library's own example.
    assert _organisation_check("60003734") == "1"
    assert _organisation_check("60003743") != "1"


@pytest.mark.parametrize("name", ENTRIES)
def test_phones_are_valid_and_nobody_is_real(name: str) -> None:
    application = ENTRIES[name]["application"]
    applicant = application["applicant"]
    assert phonenumbers.is_valid_number(phonenumbers.parse(applicant["phone"], "CN"))
    assert "示例路" in application["site"]["address"]
    assert "示例" in applicant["name"] or applicant["name"].startswith("SHILI ")
    if applicant["kind"] == "person":
        assert applicant["id_number"][14:17] == "000"
        assert applicant["size"] is None


def test_no_number_or_address_is_used_twice() -> None:
    for values in (
        [each["applicant"]["id_number"] for each in APPLICATIONS],
        [each["applicant"]["phone"] for each in APPLICATIONS],
        [each["site"]["address"] for each in APPLICATIONS],
    ):
        assert [value for value, times in Counter(values).items() if times > 1] == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("channel", {"window", "online_hall", "yueshengshi", "utility_hall"}),
        ("voltage", {"low", "high"}),
        ("supply", {"single", "dual"}),
        ("purpose", {"permanent", "temporary"}),
        ("consent_to_certificates", {True, False}),
        ("applicant.kind", {"person", "enterprise"}),
        ("applicant.size", {"micro", "small", "medium", "large", None}),
        (
            "applicant.id_type",
            {"resident_id", "hmt_residence_permit", "foreign_permit", "uscc"},
        ),
        (
            "site.district",
            {f"4408{end}" for end in ("02", "03", "04", "11", "23", "25", "81", "82", "83")},
        ),
    ],
)
def test_every_value_occurs(path: str, expected: set[object]) -> None:
    found = set()
    for value in APPLICATIONS:
        for key in path.split("."):
            value = value[key]
        found.add(value)
    assert found == expected


def test_capacities_lie_on_both_sides_of_the_limits() -> None:
    low = {each["capacity_kva"] for each in APPLICATIONS if each["voltage"] == "low"}
    high = {each["capacity_kva"] for each in APPLICATIONS if each["voltage"] == "high"}
    assert {100, 100.5, 160} <= low
    assert max(low) == 160
    assert min(high) == 161


def test_without_consent_both_papers_are_uploaded() -> None:
    for application in APPLICATIONS:
        if not application["consent_to_certificates"]:
            assert {each["kind"] for each in application["documents"]} == {"identity", "ownership"}
    assert any(
        document.get("is_agent_authorised")
        for application in APPLICATIONS
        for document in application["documents"]
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_each_ending_is_what_its_marker_forces(name: str) -> None:
    entry = ENTRIES[name]
    address = entry["application"]["site"]["address"]
    story = story_of(address)
    assert (story is None) == (not address.endswith("）"))
    if entry["withdraw_after_civil_days"] is not None:
        assert entry["ending"] == "withdrawn"
    else:
        forced = None if story is None else FORCED_ENDINGS.get(story)
        assert entry["ending"] == (forced or "connected")


def test_every_marker_and_ending_occurs_and_most_are_connected() -> None:
    endings = Counter(entry["ending"] for entry in ENTRIES.values())
    assert set(endings) == ENDINGS
    assert endings["withdrawn"] == 1
    assert len(ENTRIES) >= 24
    assert endings["connected"] / len(ENTRIES) >= 0.6
    markers = {story_of(each["site"]["address"]) for each in APPLICATIONS}
    assert markers >= set(MARKERS.values())


@pytest.mark.parametrize("name", [name for name in ENTRIES if "withdrawn" not in name])
def test_the_sandbox_takes_every_sample_to_its_ending(name: str) -> None:
    entry = ENTRIES[name]
    for seed in range(12):
        judge = Judgement(seed, CHANCES, None, lambda *_: False)
        assert _ending(judge, entry["application"], f"ZJ2026{seed:07d}") == entry["ending"]


def _ending(judge: Judgement, application: dict[str, Any], case_no: str) -> Ending:
    """Walk the story's own table with the sandbox's decisions, every department being asked."""
    story = STORY[Voltage(application["voltage"])]
    rounds: Counter[TaskKind] = Counter()
    open_tasks = [TaskKind.CHECK_PAPERS]
    while True:
        kind = open_tasks.pop(0)
        rounds[kind] += 1
        assert rounds[kind] < 6
        owners = DEPARTMENTS if kind is TaskKind.PERMITS else ("utility",)
        outcomes = [_decided(judge, application, case_no, kind, who, rounds) for who in owners]
        if any("'refused'" in str(outcome.get("items")) for outcome in outcomes):
            open_tasks.append(TaskKind.LINE_DESIGN)
            continue
        then = story[kind][Code(str(outcomes[0]["code"]))].then
        if isinstance(then, Ending):
            return then
        # Inspection waits for both the line and the customer's works: the later one opens it.
        open_tasks += [task for task in then if task is not TaskKind.INSPECTION or not open_tasks]


def _decided(
    judge: Judgement,
    application: dict[str, Any],
    case_no: str,
    kind: TaskKind,
    owner: str,
    rounds: Counter[TaskKind],
) -> dict[str, object]:
    what = f"permits-{owner}" if kind is TaskKind.PERMITS else kind
    pushed = {
        "id": f"{case_no}.{what}.{rounds[kind]}",
        "case_no": case_no,
        "kind": str(kind),
        "owed_by": owner,
        "round": rounds[kind],
        "items": [{"item": "占用、挖掘城市道路审批"}] if kind is TaskKind.PERMITS else [],
        "facts": {
            "voltage": application["voltage"],
            "address": application["site"]["address"],
        },
    }
    return judge.decide(read_task(pushed))


def test_a_wrong_digit_would_be_seen() -> None:
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    samples = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = samples
    spec.loader.exec_module(samples)
    number = samples.credit_code("91", "440802", "MA9X0001")
    assert uscc.is_valid(number)
    assert not uscc.is_valid(number[:-1] + ("0" if number[-1] != "0" else "1"))
