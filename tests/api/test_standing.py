"""How engine, workers and policies stand; which repairs a case allows; what a year would move."""

from __future__ import annotations

from typing import Any

import pytest

from policy.calendar import calendar
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, POLICY, new_task
from tests.support.serving import Api

Y2027 = {"notice": "示例通知", "holidays": ["2027-01-01"], "make_up_days": []}
PREVIEW = "/api/v1/calendar/years/2027/preview"


async def _case(api: Api) -> str:
    no: str = (await api.submit(HIGH)).json()["no"]
    return no


@pytest.mark.rule("RB-12.1")
async def test_an_engine_that_is_away_is_told_as_that(api: Api) -> None:
    body = (await api.call("GET", "/api/v1/admin/engine", "admin-1")).json()
    assert body == {
        "is_reachable": False,
        "namespace": "default",
        "ui": None,
        "workers": None,
        "versions": [],
    }
    problem(await api.call("GET", "/api/v1/admin/engine", "special-group"), 403, "not-allowed")


async def test_policies_say_how_many_cases_rest_on_each(api: Api) -> None:
    await _case(api)
    (body,) = (await api.call("GET", "/api/v1/admin/policies", "desk")).json()
    assert (body["version_id"], body["is_current"]) == (POLICY, True)
    assert (body["open_cases"], body["cases"]) == (1, 1)


@pytest.mark.rule("RB-12.2")
async def test_options_need_the_engine_and_an_administrator(api: Api) -> None:
    no = await _case(api)
    path = f"/api/v1/admin/repair-options/{no}"
    problem(await api.call("GET", path, "desk"), 403, "not-allowed")
    assert (await api.call("GET", path, "admin-1")).status_code == 503
    unknown = await api.call("GET", "/api/v1/admin/repair-options/ZJ20269999999", "admin-1")
    problem(unknown, 404, "unknown-case")


@pytest.mark.rule("RB-1.7")
async def test_a_preview_changes_nothing_and_counts_what_would_move(api: Api) -> None:
    no = await _case(api)
    await api.casefile.open_task(new_task(no))
    year = calendar().years[2026]
    body: dict[str, Any] = {
        "notice": "示例：更正通知",
        "holidays": sorted({*(d.isoformat() for d in year.holidays), "2026-09-18", "2026-09-21"}),
        "make_up_days": sorted(d.isoformat() for d in year.make_up_days),
    }
    path = "/api/v1/calendar/years/2026/preview"
    found = (await api.call("POST", path, "admin-1", json=body)).json()
    assert (found["open"], found["looked_at"], found["cases"]) == (1, 1, 1)
    assert found["moves"] == len(found["sample"]) >= 1
    assert {each["case_no"] for each in found["sample"]} == {no}
    assert found["sample"][0]["was"] < found["sample"][0]["due_on"]
    versions = (await api.call("GET", "/api/v1/calendar/versions", None)).json()
    assert len(versions) == 1
    same = {**body, "notice": year.notice, "holidays": sorted(map(str, year.holidays))}
    found = (await api.call("POST", path, "admin-1", json=same)).json()
    assert (found["is_published"], found["looked_at"]) == (True, 0)


async def test_a_preview_is_for_those_who_may_publish_and_names_what_is_wrong(api: Api) -> None:
    problem(await api.call("POST", PREVIEW, "desk", json=Y2027), 403, "not-allowed")
    for agency in ("government-services-data", "admin-1"):
        assert (await api.call("POST", PREVIEW, agency, json=Y2027)).status_code == 200
    wrong = {**Y2027, "make_up_days": ["2027-01-04"]}
    refused = await api.call("POST", PREVIEW, "admin-1", json=wrong)
    assert fields(problem(refused, 422, "invalid-input")) == ["make_up_days"]


@pytest.mark.rule("RB-12.2")
async def test_repairs_are_listed_by_state_and_by_who_has_to_approve(api: Api) -> None:
    no = await _case(api)
    other = (await api.submit(HIGH, key="key-2")).json()["no"]
    body = {"kind": "restart", "cases": [no, other], "reason": "示例理由"}
    answer = await api.call("POST", "/api/v1/admin/repairs", "admin-1", key="k", json=body)
    assert answer.status_code == 202
    for query, count in (
        ("state=planning", 1),
        ("state=done", 0),
        ("awaits_approval=true", 0),
        ("", 1),
    ):
        found = (await api.call("GET", f"/api/v1/admin/repairs?{query}", "admin-1")).json()
        assert len(found["items"]) == count, query
    number = answer.json()["number"]
    await api.call("POST", f"/api/v1/admin/repairs/{number}/cancel", "admin-2")
    acts = (await api.call("GET", "/api/v1/admin/acts?thing=repair", "admin-1")).json()["items"]
    assert {(each["by"], each["act"]) for each in acts} == {
        ("admin-1", "repair.planned"),
        ("admin-2", "repair.cancelled"),
    }
