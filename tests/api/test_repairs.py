"""What is asked for as a repair is checked before anything is looked at (RB-12.2)."""

from __future__ import annotations

from typing import Any

import pytest

from domain.repairs import REPAIRS, RepairKind
from tests.api.answers import fields, problem
from tests.support.cases import HIGH
from tests.support.serving import AGENCIES, Api

PATH = "/api/v1/admin/repairs"
NO = "ZJ20260000011"
TASK = f"{NO}.permits-water.1"
OUTCOME = {"code": "agreed"}
ALL_QUERY: dict[str, Any] = {"query": {}}
BY_TASK: dict[str, Any] = {"task_id": TASK}
BY_CASE: dict[str, Any] = {"case_no": NO}

pytestmark = pytest.mark.rule("RB-12.2", "RB-13.1")


async def _asked(api: Api, kind: str, by: str = "admin-1", **body: Any) -> Any:
    asked = {"kind": kind, "reason": "示例理由", **body}
    return await api.call("POST", PATH, by, key="repair-1", json=asked)


@pytest.mark.parametrize("agency", AGENCIES)
async def test_only_administrators_repair(api: Api, agency: str) -> None:
    problem(await _asked(api, "restart", agency, **BY_CASE), 403, "not-allowed")
    for action in ("approve", "execute", "pause", "resume", "cancel"):
        problem(await api.call("POST", f"{PATH}/1/{action}", agency), 403, "not-allowed")


async def test_supervisors_may_read_what_was_repaired(api: Api) -> None:
    answer = await api.call("GET", PATH, "government-services-data")
    assert answer.json() == {"items": [], "next_cursor": None}
    for agency in ("desk", "water", "applicant"):
        problem(await api.call("GET", PATH, agency), 403, "not-allowed")


@pytest.mark.parametrize("action", ["", "/items", "/approve", "/execute", "/pause", "/cancel"])
async def test_a_repair_that_there_is_not(api: Api, action: str) -> None:
    method = "GET" if action in ("", "/items") else "POST"
    problem(await api.call(method, f"{PATH}/7{action}", "admin-1"), 404, "unknown-repair")


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        ("restart", {}, ["(body)"]),
        ("restart", {**BY_CASE, **ALL_QUERY}, ["(body)"]),
        ("restart", {"case_no": "ZJ20260000012"}, ["case_no"]),
        ("restart", {"cases": [NO, NO]}, ["cases"]),
        ("restart", {"cases": [NO, "ZJ20260000012"]}, ["cases.1"]),
        ("restart", {**BY_CASE, "event": 4}, ["event"]),
        ("restart", {**BY_CASE, "outcome": OUTCOME}, ["outcome"]),
        ("reset", BY_CASE, ["event"]),
        ("reset", {**BY_TASK, "event": 4}, ["task_id", "event"]),
        ("reset", {**ALL_QUERY, "event": 4}, ["event"]),
        ("reset", {**ALL_QUERY, "event": "first_failure", "process": NO}, ["process"]),
        ("withdraw", ALL_QUERY, ["query"]),
        ("decide", {"cases": [NO], "outcome": OUTCOME}, ["cases"]),
        ("decide", BY_TASK, ["outcome"]),
        ("decide", {**BY_CASE, "outcome": OUTCOME}, ["task_id"]),
        ("push", BY_CASE, ["task_id"]),
        ("push", {**BY_TASK, "version": "b"}, ["version"]),
        ("retry", BY_CASE, ["step"]),
        ("retry", {**ALL_QUERY, "step": "5"}, ["step"]),
        ("restart", {**BY_CASE, "agency": "water"}, ["agency"]),
        ("restart", {**BY_CASE, "per_second": 0}, ["per_second"]),
        ("mend", BY_CASE, ["kind"]),
        ("restart", {**BY_CASE, "case": NO}, ["case"]),
    ],
)
async def test_what_makes_no_repair_is_refused_by_its_field(
    api: Api, kind: str, body: dict[str, Any], named: list[str]
) -> None:
    refused = problem(await _asked(api, kind, **body), 422, "invalid-input")
    assert fields(refused) == named


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 501])
async def test_a_reason_is_required(api: Api, reason: str) -> None:
    refused = await _asked(api, "restart", **BY_CASE, reason=reason)
    assert fields(problem(refused, 422, "invalid-input")) == ["reason"]


async def test_nothing_fits(api: Api) -> None:
    refused = problem(await _asked(api, "restart", **ALL_QUERY), 422, "invalid-input")
    assert fields(refused) == ["query"]
    await api.submit(HIGH)
    # A case of which no push fails.
    refused = problem(await _asked(api, "push", **ALL_QUERY), 422, "invalid-input")
    assert fields(refused) == ["query"]


@pytest.mark.parametrize("kind", ["restart", "withdraw"])
async def test_while_the_engine_is_away_nothing_is_planned(api: Api, kind: str) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    problem(await _asked(api, kind, case_no=no), 503, "engine-away")
    assert (await api.call("GET", PATH, "admin-1")).json()["items"] == []


async def test_a_case_that_there_is_not(api: Api) -> None:
    problem(await _asked(api, "restart", **BY_CASE), 404, "unknown-case")


def test_what_discards_something_needs_a_second_administrator() -> None:
    needing = {kind for kind, rule in REPAIRS.items() if rule.discards}
    assert needing == {
        RepairKind.RESET,
        RepairKind.RESTART,
        RepairKind.WITHDRAW,
        RepairKind.DECIDE,
    }
    assert set(REPAIRS) == set(RepairKind)
