"""Taking in applications: a number at once, and a refusal that names the field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from api import applications
from domain.errors import FieldProblem
from domain.following import case_secret
from domain.identity import Checked
from domain.naming import is_case_no
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, LOW, changed, without
from tests.support.databases import counts, rows
from tests.support.serving import SERVER_SECRET, Api

SUBMIT = "/api/v1/applications"


@pytest.mark.rule("RB-3.7")
async def test_a_submission_gets_its_number_while_the_engine_is_away(api: Api) -> None:
    answer = await api.submit(HIGH)
    assert answer.status_code == 202
    receipt = answer.json()
    assert is_case_no(receipt["no"])
    assert answer.headers["location"] == f"{SUBMIT}/{receipt['no']}"
    assert receipt == {
        "no": receipt["no"],
        "follow_secret": case_secret(SERVER_SECRET, receipt["no"], 1),
        "state": "open",
        "process": "pending",
        "submitted_at": "2026-09-16T12:00:00+08:00",
        "warnings": [],
    }
    assert counts(api.url)["events"] == 1


@pytest.mark.rule("RB-3.7")
async def test_the_same_submission_again_is_the_same_case(api: Api) -> None:
    first = await api.submit(HIGH)
    before = rows(api.url)
    # 630 and 630.0 are the same capacity, and order says nothing.
    again = await api.submit(changed(dict(reversed(dict(HIGH).items())), "capacity_kva", 630))
    assert (again.status_code, again.json()) == (202, first.json())
    assert rows(api.url) == before


@pytest.mark.rule("RB-3.7")
async def test_ten_at_once_under_one_key_are_one_case(api: Api) -> None:
    answers = await asyncio.gather(*(api.submit(HIGH) for _ in range(10)))
    assert len({answer.json()["no"] for answer in answers}) == 1
    assert counts(api.url)["applications"] == 1


@pytest.mark.rule("RB-3.7")
async def test_a_submission_taken_once_is_answered_though_it_would_be_refused_today(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await api.submit(HIGH)
    refused = FieldProblem("site.district", "not served any more", "不再服务")
    monkeypatch.setattr(
        applications, "check_application", lambda *_: Checked((refused,), warnings=())
    )
    assert (await api.submit(HIGH)).json()["no"] == first.json()["no"]
    problem(await api.submit(HIGH, key="another"), 422, "invalid-input")


async def test_a_key_reused_with_another_body_is_refused(api: Api) -> None:
    await api.submit(HIGH)
    before = rows(api.url)
    problem(await api.submit(changed(HIGH, "capacity_kva", 631.0)), 409, "key-reused")
    assert rows(api.url) == before


@pytest.mark.rule("RB-3.6")
@pytest.mark.parametrize("channel", ["window", "online_hall", "yueshengshi", "utility_hall"])
async def test_every_channel_enters_through_the_same_intake(api: Api, channel: str) -> None:
    no = (await api.submit(changed(HIGH, "channel", channel))).json()["no"]
    assert (await api.call("GET", f"{SUBMIT}/{no}")).json()["channel"] == channel


async def test_a_doubtful_application_is_taken_with_a_warning(api: Api) -> None:
    receipt = (await api.submit(changed(HIGH, "capacity_kva", 100.0))).json()
    assert [warning["field"] for warning in receipt["warnings"]] == ["capacity_kva"]
    assert receipt["warnings"][0]["message_zh"]


REFUSED: dict[str, tuple[Mapping[str, Any], list[str]]] = {
    "a wrong check digit of a credit code": (
        changed(HIGH, "applicant.id_number", "91440802MA0000023L"),
        ["applicant.id_number"],
    ),
    "a wrong check digit of a resident": (
        changed(LOW, "applicant.id_number", "440802199502020002"),
        ["applicant.id_number"],
    ),
    "a birth in the future": (
        changed(LOW, "applicant.id_number", "440802209502020004"),
        ["applicant.id_number"],
    ),
    "a negative capacity": (changed(HIGH, "capacity_kva", -1), ["capacity_kva"]),
    "no capacity at all": (changed(HIGH, "capacity_kva", 0), ["capacity_kva"]),
    "a capacity in words": (changed(HIGH, "capacity_kva", "630"), ["capacity_kva"]),
    "a capacity that is true": (changed(HIGH, "capacity_kva", True), ["capacity_kva"]),
    "an unknown district": (changed(HIGH, "site.district", "110101"), ["site.district"]),
    "a district in words": (changed(HIGH, "site.district", "赤坎区"), ["site.district"]),
    "low voltage above its capacity": (changed(LOW, "capacity_kva", 160.5), ["capacity_kva"]),
    "high voltage above its capacity": (changed(HIGH, "capacity_kva", 20001), ["capacity_kva"]),
    "dual supply at low voltage": (changed(LOW, "supply", "dual"), ["supply"]),
    "an unknown voltage": (changed(HIGH, "voltage", "medium"), ["voltage"]),
    "an unknown channel": (changed(HIGH, "channel", "letter"), ["channel"]),
    "an unknown field": (changed(HIGH, "priority", 1), ["priority"]),
    "an unknown field further in": (changed(HIGH, "site.floor", 3), ["site.floor"]),
    "a missing field": (without(HIGH, "supply"), ["supply"]),
    "a missing field further in": (without(HIGH, "applicant.phone"), ["applicant.phone"]),
    "no telephone number": (changed(HIGH, "applicant.phone", "12345"), ["applicant.phone"]),
    "an enterprise without a size": (changed(HIGH, "applicant.size", None), ["applicant.size"]),
    "a person with a size": (changed(LOW, "applicant.size", "micro"), ["applicant.size"]),
    "a person with a credit code": (
        changed(LOW, "applicant.id_type", "uscc"),
        ["applicant.id_type", "applicant.id_number"],
    ),
    "an empty name": (changed(HIGH, "applicant.name", ""), ["applicant.name"]),
    "a name of spaces": (changed(HIGH, "applicant.name", "   "), ["applicant.name"]),
    "a name that is too long": (changed(HIGH, "applicant.name", "名" * 201), ["applicant.name"]),
    "a name with a line break": (changed(HIGH, "applicant.name", "甲\n乙"), ["applicant.name"]),
    "a name that turns what follows": (
        changed(HIGH, "applicant.name", "甲\u202e乙"),
        ["applicant.name"],
    ),
    "the same document twice": (
        changed(LOW, "documents", [LOW["documents"][0]] * 2),
        ["documents.1.kind"],
    ),
    "a document that is never asked for": (
        changed(LOW, "documents", [{"kind": "planning_permit", "reference": "DEMO-1"}]),
        ["documents.0.kind"],
    ),
    "several things at once": (
        changed(changed(HIGH, "site.district", "110101"), "applicant.phone", "12345"),
        ["applicant.phone", "site.district"],
    ),
}
RULES = {
    "a wrong check digit of a credit code": "RB-3.4",
    "a wrong check digit of a resident": "RB-3.4",
    "an unknown district": "RB-3.4",
    "a document that is never asked for": "RB-3.1",
    "several things at once": "RB-3.5",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.rule(RULES[name])] if name in RULES else [])
        for name in REFUSED
    ],
)
async def test_a_refusal_names_the_field_and_writes_nothing(api: Api, name: str) -> None:
    body, named = REFUSED[name]
    refused = problem(await api.submit(body), 422, "invalid-input")
    assert fields(refused) == named
    for field in named:
        assert field in refused["detail"] and field in refused["detail_zh"]
    assert set(counts(api.url).values()) == {0}


@pytest.mark.parametrize("body", [[], "text", 1, None, [HIGH]])
async def test_a_body_that_is_no_object_is_refused(api: Api, body: object) -> None:
    answer = await api.call("POST", SUBMIT, key="key-1", json=body)
    assert fields(problem(answer, 422, "invalid-input"))
    assert set(counts(api.url).values()) == {0}


@pytest.mark.parametrize("key", [None, "", " ", "a b", "k" * 201])
async def test_a_submission_without_a_usable_key_is_refused(api: Api, key: str | None) -> None:
    answer = await api.call("POST", SUBMIT, key=key, json=HIGH)
    assert fields(problem(answer, 422, "invalid-input")) == ["Idempotency-Key"]
    assert set(counts(api.url).values()) == {0}
