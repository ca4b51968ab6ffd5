"""What an application would come to, before it has a number; and what lies ahead of a case."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from domain.connection import TaskKind
from tests.api.answers import problem
from tests.support.cases import HIGH, LOW, changed, new_task, without
from tests.support.databases import rows
from tests.support.serving import Api

PREVIEW = "/api/v1/applications/preview"


async def _preview(api: Api, body: object, agency: str = "desk") -> dict[str, Any]:
    answer = await api.call("POST", PREVIEW, agency, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_preview_says_what_is_promised_and_why_and_keeps_nothing(api: Api) -> None:
    found = await _preview(api, HIGH)
    before = rows(api.url)
    await _preview(api, HIGH)
    assert (found["problems"], found["missing"]) == ([], [])
    assert found["investment"]["decision"] == "utility_pays"
    assert found["voltage"]["fits"] == "high"
    promise = found["promises"][0]
    assert (promise["clock"], promise["limit_working_days"]) == ("HV40", 40)
    assert promise["due_on"] == "2026-11-17"
    assert any("2026年11月17日" in line for line in promise["why"]["words"]["zh"])
    # What counts the utility's own steps only has a limit, but no day yet.
    assert [(p["clock"], p["due_on"]) for p in found["promises"][1:]] == [("INT13", None)]
    assert found["links"][0]["id"] == "application"
    assert rows(api.url) == before


async def test_the_dates_of_a_preview_are_those_that_the_case_gets(api: Api) -> None:
    promised = (await _preview(api, LOW))["promises"][0]
    no = (await api.submit(LOW)).json()["no"]
    await api.casefile.accept(no, at=api.now, is_deemed=False, investment={"decision": "x"})
    (clock,) = (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
    assert (clock["id"], clock["due_on"]) == (promised["clock"], promised["due_on"])
    assert clock["why"]["days"] == promised["why"]["days"]


@pytest.mark.rule("RB-1.6")
async def test_a_date_in_an_unpublished_year_is_provisional(api: Api) -> None:
    api.now = datetime.fromisoformat("2026-12-20T10:00:00+08:00")
    assert (await _preview(api, HIGH))["promises"][0]["is_provisional"] is True


@pytest.mark.rule("RB-7.1")
async def test_who_invests_is_decided_at_the_limit_of_the_area(api: Api) -> None:
    body = changed(changed(HIGH, "voltage", "low"), "capacity_kva", 160.0)
    assert (await _preview(api, body))["investment"]["decision"] == "utility_pays"
    beyond = changed(body, "site.district", "440823")
    assert (await _preview(api, beyond))["investment"]["decision"] == "utility_standard"
    mixed = changed(body, "site.district", "440804")
    assert (await _preview(api, mixed))["investment"]["decision"] == "needs_person"


@pytest.mark.rule("RB-3.4")
async def test_a_draft_is_checked_as_far_as_it_is_filled_in(api: Api) -> None:
    found = await _preview(api, {})
    assert (found["problems"], found["warnings"], found["investment"]) == ([], [], None)
    assert "applicant.name" in found["missing"]
    applicant = {"kind": "person", "id_type": "resident_id", "id_number": "440802199502020002"}
    found = await _preview(api, {"applicant": applicant})
    assert [each["field"] for each in found["problems"]] == ["applicant.id_number"]
    found = await _preview(api, {"applicant": {"id_number": "440802199502020002"}})
    assert found["problems"] == [], "of what paper it is, nobody has said"
    enterprise = without(HIGH, "applicant.size")
    found = await _preview(api, enterprise)
    assert (found["problems"], found["missing"]) == ([], ["applicant.size"])
    assert found["investment"] is None


async def test_a_preview_finds_what_a_submission_is_refused_for(api: Api) -> None:
    body = changed(changed(LOW, "capacity_kva", 161.0), "applicant.phone", "12")
    refused = (await api.submit(body)).json()
    found = await _preview(api, body)
    assert found["problems"] == refused["errors"]
    assert found["investment"] is None
    assert found["voltage"] == {
        "low_max_kva": 160.0,
        "high_max_kva": 20000.0,
        "clause": "516 三(二); 516 三(四); CON",
        "fits": "high",
    }


async def test_a_district_other_than_the_address_names_is_a_warning(api: Api) -> None:
    body = changed(HIGH, "site.address", "湛江市霞山区示例路9号")
    found = await _preview(api, body)
    assert found["problems"] == []
    assert [each["field"] for each in found["warnings"]] == ["site.district"]
    assert "霞山区" in found["warnings"][0]["message_zh"]
    assert (await _preview(api, changed(body, "site.district", "440803")))["warnings"] == []


@pytest.mark.rule("RB-3.2")
async def test_papers_come_from_the_registry_with_consent_and_from_nowhere_without(
    api: Api,
) -> None:
    given = [each["comes_from"] for each in (await _preview(api, LOW))["papers"]]
    assert given == ["application", "application"]
    papers = (await _preview(api, HIGH))["papers"]
    assert [each["comes_from"] for each in papers] == ["registry", "registry"]
    papers = (await _preview(api, changed(HIGH, "consent_to_certificates", False)))["papers"]
    assert [each["comes_from"] for each in papers] == ["nowhere", "nowhere"]


@pytest.mark.rule("RB-10.3")
async def test_a_receipt_has_the_secret_for_whoever_took_the_application_in(api: Api) -> None:
    submitted = (await api.submit(HIGH, "applicant")).json()
    path = f"/api/v1/applications/{submitted['no']}/receipt"
    assert submitted["follow_secret"]
    own = (await api.call("GET", path, "applicant")).json()
    assert own["follow_secret"] == submitted["follow_secret"]
    assert (await api.call("GET", path, "desk")).json()["follow_secret"] is None


@pytest.mark.rule("RB-6.1")
async def test_the_steps_to_come_are_the_story_and_say_who_owes_first(api: Api) -> None:
    steps = (await _preview(api, LOW))["steps"]
    assert [each["kind"] for each in steps] == [
        *("check_papers", "survey", "filing", "look_at_route"),
        *("build_line", "sign_contract", "energise"),
    ]
    assert (steps[0]["owner"], steps[0]["due_on"]) == ("desk", "2026-09-17")
    assert {each["due_on"] for each in steps[1:]} == {None}
    high = {each["kind"]: each for each in (await _preview(api, HIGH))["steps"]}
    assert high["customer_works"]["side_by_side"] is True
    assert high["permits"]["owner"] == "department"
    assert high["permits"]["is_conditional"] is True


async def test_what_lies_ahead_of_a_case_follows_on_what_is_owed(api: Api) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    path = f"/api/v1/applications/{no}/ahead"

    async def ahead() -> list[str]:
        return [each["kind"] for each in (await api.call("GET", path)).json()]

    assert (await ahead())[:2] == ["check_papers", "supply_plan"]
    for kind in (TaskKind.CUSTOMER_WORKS, TaskKind.PERMITS):
        department = "water" if kind is TaskKind.PERMITS else None
        await api.casefile.open_task(new_task(no, kind, department=department))
    assert await ahead() == ["build_line", "papers", "inspection", "sign_contract", "energise"]
    await api.casefile.open_task(new_task(no, TaskKind.RECTIFICATION))
    assert "inspection" in await ahead()


@pytest.mark.rule("RB-13.1")
async def test_only_who_takes_applications_in_previews_one(api: Api) -> None:
    assert (await _preview(api, HIGH, "applicant"))["problems"] == []
    for agency in ("water", "utility"):
        problem(await api.call("POST", PREVIEW, agency, json=HIGH), 403, "not-allowed")
    no = (await api.submit(HIGH)).json()["no"]
    path = f"/api/v1/applications/{no}/ahead"
    problem(await api.call("GET", path, "water"), 403, "not-allowed")
    problem(await api.call("GET", path, "applicant"), 403, "not-allowed")
    problem(await api.call("GET", "/api/v1/applications/nonsense/ahead"), 404, "unknown-case")


async def test_a_body_of_another_shape_is_refused(api: Api) -> None:
    body = {**HIGH, "capacity": 5}
    problem(await api.call("POST", PREVIEW, json=body), 422, "invalid-input")
