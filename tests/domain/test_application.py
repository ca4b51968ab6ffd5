"""The application: its shape, and what is checked before it gets a number."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from domain.application import Application, check_application
from policy import loader

POLICY = loader.policy_for("zhanjiang-2020-516.1")
ON = date(2026, 9, 16)

SHOP: dict[str, Any] = {
    "channel": "window",
    "voltage": "low",
    "supply": "single",
    "purpose": "permanent",
    "capacity_kva": 50,
    "applicant": {
        "kind": "enterprise",
        "name": "湛江示例商行",
        "id_type": "uscc",
        "id_number": "91440802MA4X2Q1R3H",
        "phone": "0759-3388888",
        "size": "micro",
    },
    "site": {"address": "赤坎区示例路1号", "district": "440802"},
    "consent_to_certificates": True,
    "documents": [{"kind": "identity", "reference": "demo-1", "is_agent_authorised": False}],
}
PERSON = {
    "applicant.kind": "person",
    "applicant.id_type": "resident_id",
    "applicant.id_number": "440802199003070012",
    "applicant.size": None,
}


def body(changes: dict[str, Any]) -> dict[str, Any]:
    """The shop's application with some fields, named by path, changed."""
    changed = copy.deepcopy(SHOP)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node: Any = changed
        for part in parents:
            node = node[int(part)] if part.isdigit() else node[part]
        node[last] = value
    return changed


def problems(changes: dict[str, Any]) -> list[str]:
    checked = check_application(Application.model_validate(body(changes)), POLICY, ON)
    assert all(found.zh and found.en for found in checked.problems + checked.warnings)
    return [problem.field for problem in checked.problems]


def warnings(changes: dict[str, Any]) -> list[str]:
    application = Application.model_validate(body(changes))
    return [found.field for found in check_application(application, POLICY, ON).warnings]


@pytest.mark.parametrize("read", ["python", "json"])
def test_a_good_application_passes_as_json_and_as_what_json_became(read: str) -> None:
    application = (
        Application.model_validate(SHOP)
        if read == "python"
        else Application.model_validate_json(json.dumps(SHOP))
    )
    checked = check_application(application, POLICY, ON)
    assert (checked.problems, checked.warnings) == ((), ())
    assert Application.model_validate_json(application.model_dump_json()) == application


@pytest.mark.rule("RB-3.2")
def test_documents_may_come_later() -> None:
    assert problems({"documents": []}) == []


@pytest.mark.rule("RB-3.6")
@pytest.mark.parametrize("channel", ["window", "online_hall", "yueshengshi", "utility_hall"])
def test_every_channel_enters_by_the_same_door(channel: str) -> None:
    assert problems({"channel": channel}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"site.district": "440101"}, ["site.district"]),
        ({"capacity_kva": 160}, []),
        ({"capacity_kva": 160.5}, ["capacity_kva"]),
        ({"voltage": "high", "capacity_kva": 20_000}, []),
        ({"voltage": "high", "capacity_kva": 20_001}, ["capacity_kva"]),
        ({"supply": "dual"}, ["supply"]),
        ({"supply": "dual", "voltage": "high", "capacity_kva": 630}, []),
        ({"applicant.id_number": "91440802MA4X2Q1R31"}, ["applicant.id_number"]),
        ({"applicant.id_number": "91440802ma4x2q1r3h"}, []),
        ({"applicant.phone": "12"}, ["applicant.phone"]),
        ({"applicant.size": None}, ["applicant.size"]),
        ({"applicant.kind": "person", "applicant.size": None}, ["applicant.id_type"]),
        (PERSON, []),
        (PERSON | {"applicant.size": "micro"}, ["applicant.size"]),
        (PERSON | {"applicant.kind": "enterprise"}, ["applicant.id_type", "applicant.size"]),
        (
            {"documents": [{"kind": "ownership", "reference": "a"}] * 2},
            ["documents.1.kind"],
        ),
        (
            {"documents": [{"kind": "ownership", "reference": "a", "is_agent_authorised": True}]},
            ["documents.0.is_agent_authorised"],
        ),
    ],
)
def test_a_problem_names_its_field(changes: dict[str, Any], expected: list[str]) -> None:
    assert problems(changes) == expected


def test_everything_wrong_is_named_at_once() -> None:
    wrong = {
        "capacity_kva": 500,
        "supply": "dual",
        "site.district": "000000",
        "applicant.phone": "1",
        "applicant.id_number": "X",
        "applicant.size": None,
    }
    assert problems(wrong) == [
        "applicant.size",
        "applicant.id_number",
        "applicant.phone",
        "site.district",
        "supply",
        "capacity_kva",
    ]


def test_a_small_high_voltage_supply_is_questioned_not_refused() -> None:
    changes = {"voltage": "high", "capacity_kva": 30}
    assert (problems(changes), warnings(changes)) == ([], ["capacity_kva"])


@pytest.mark.rule("RB-3.4")
def test_a_check_that_may_be_wrong_warns() -> None:
    changes = PERSON | {
        "applicant.id_type": "hmt_residence_permit",
        "applicant.id_number": "H12345678",
    }
    assert (problems(changes), warnings(changes)) == ([], ["applicant.id_number"])


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        ({"color": "red"}, ("color",)),
        ({"applicant.age": 3}, ("applicant", "age")),
        ({"capacity_kva": "50"}, ("capacity_kva",)),
        ({"capacity_kva": True}, ("capacity_kva",)),
        ({"capacity_kva": 0}, ("capacity_kva",)),
        ({"capacity_kva": -5}, ("capacity_kva",)),
        ({"capacity_kva": float("nan")}, ("capacity_kva",)),
        ({"capacity_kva": float("inf")}, ("capacity_kva",)),
        ({"capacity_kva": 10**400}, ("capacity_kva",)),
        ({"voltage": "medium"}, ("voltage",)),
        ({"consent_to_certificates": 1}, ("consent_to_certificates",)),
        ({"consent_to_certificates": "true"}, ("consent_to_certificates",)),
        ({"applicant.name": ""}, ("applicant", "name")),
        ({"applicant.name": "  "}, ("applicant", "name")),
        ({"applicant.name": "a" * 201}, ("applicant", "name")),
        ({"applicant.name": "a\x00b"}, ("applicant", "name")),
        ({"applicant.name": "a\nb"}, ("applicant", "name")),
        ({"applicant.name": "a\n"}, ("applicant", "name")),
        ({"applicant.name": "a\u202eb"}, ("applicant", "name")),
        ({"applicant.name": "\ud800"}, ("applicant", "name")),
        ({"applicant.id_number": "1" * 33}, ("applicant", "id_number")),
        ({"site.district": "44080"}, ("site", "district")),
        ({"site.district": 440802}, ("site", "district")),
        ({"documents": [{"kind": "permit", "reference": "a"}]}, ("documents", 0, "kind")),
        ({"documents": [{"kind": "identity", "reference": "a"}] * 11}, ("documents",)),
        ({"documents": {}}, ("documents",)),
    ],
)
def test_the_shape_is_strict(changes: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        Application.model_validate(body(changes))
    assert [problem["loc"] for problem in refused.value.errors()] == [loc]
