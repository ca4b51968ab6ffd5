"""Opinions on pages: a unit is asked, its link is shown once, and it answers without an account."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.console.office import Office, Visit
from tests.support.cases import NOON
from tests.support.databases import rows

QUESTION = {
    "unit": "示例街道办",
    "answer_by": "2026-09-18",
    "question": "管线走向有何意见？",
    "key": "k1",
}
SAID = {"opinion": "remarks", "text": "施工前请现场交底", "by_unit": "示例街道办"}


@pytest.fixture
async def task_id(office: Office) -> str:
    return await office.permits(await office.case())


@pytest.fixture
async def visit(office: Office, task_id: str) -> Visit:
    found = await office.visit_of("water-1")
    await found.get(f"/tasks/{task_id}")
    return found


async def _link(visit: Visit, task_id: str) -> str:
    page = (await visit.post(f"/tasks/{task_id}/opinions", QUESTION)).text
    found = re.search(r'value="http://onewindow(/console/opinions/[^"]+)"', page)
    assert found is not None, page
    return found[1].removeprefix("/console")


async def _opened(office: Office, link: str, address: str = "192.0.2.9") -> Visit:
    unit = office.visit(address=address)
    answer = await unit.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/opinions")
    return unit


async def _opinions(office: Office, task_id: str) -> Any:
    return (await office.api.call("GET", f"/api/v1/tasks/{task_id}/opinions", "water")).json()


async def test_a_unit_is_asked_and_answers_by_its_link(
    office: Office, visit: Visit, task_id: str
) -> None:
    unit = await _opened(office, await _link(visit, task_id))
    page = (await unit.get("/opinions")).text
    for shown in ("管线走向有何意见？", "市水务局", "湛江市赤坎区示例路2号", "2026-09-18"):
        assert shown in page
    form = {**SAID, "link": _secret(page)}
    answered = await unit.post("/opinions", form)
    assert answered.status_code == 200
    assert "您的意见已送达征求部门" in answered.text
    (opinion,) = await _opinions(office, task_id)
    assert (opinion["opinion"], opinion["text"]) == ("remarks", "施工前请现场交底")
    page = (await visit.get(f"/tasks/{task_id}")).text
    assert "有意见或建议" in page
    assert "施工前请现场交底" in page
    assert await office.api.first_break() is None
    assert (await unit.post("/opinions", form)).status_code == 200, "the same again"
    other = await unit.post("/opinions", {**form, "opinion": "agree"})
    assert other.status_code == 422
    assert "原答复不变" in other.text


def _secret(page: str) -> str:
    found = re.search(r'name="link" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_the_link_is_shown_this_once(office: Office, visit: Visit, task_id: str) -> None:
    link = await _link(visit, task_id)
    secret = link.removeprefix("/opinions/")
    again = await visit.post(f"/tasks/{task_id}/opinions", QUESTION)
    assert again.status_code == 303, "reloaded"
    assert secret not in (await visit.get(f"/tasks/{task_id}")).text
    assert len(await _opinions(office, task_id)) == 1
    assert secret not in str(rows(office.api.url))


@pytest.mark.rule("RB-13.3")
async def test_the_secret_stands_in_no_address_but_the_links_own(
    office: Office, visit: Visit, task_id: str
) -> None:
    link = await _link(visit, task_id)
    secret = link.removeprefix("/opinions/")
    unit = await _opened(office, link)
    page = (await unit.get("/opinions")).text
    for address in re.findall(r'(?:href|src|action)="([^"]+)"', page):
        assert secret not in address
    other = (await unit.get("/sign-in")).request
    assert secret not in other.headers.get("cookie", "")


@pytest.mark.rule("RB-13.1")
async def test_a_unit_sees_nothing_of_the_applicant(
    office: Office, visit: Visit, task_id: str
) -> None:
    unit = await _opened(office, await _link(visit, task_id))
    page = (await unit.get("/opinions")).text
    assert "湛江示例水产有限公司" not in page
    assert "13800000002" not in page
    assert "/console/tasks" not in page


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"opinion": "", "by_unit": "示例街道办"}, "f-opinion"),
        ({"opinion": "disagree", "by_unit": "示例街道办"}, "f-text"),
        ({"opinion": "agree", "by_unit": ""}, "f-by-unit"),
    ],
)
async def test_a_slip_of_the_unit_is_told_at_its_field(
    office: Office, visit: Visit, task_id: str, form: dict[str, str], field: str
) -> None:
    unit = await _opened(office, await _link(visit, task_id))
    page = (await unit.get("/opinions")).text
    refused = await unit.post("/opinions", {**form, "link": _secret(page)})
    assert refused.status_code == 422
    assert f'href="#{field}"' in refused.text
    assert f'id="{field}"' in refused.text
    assert (await _opinions(office, task_id))[0]["opinion"] is None


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({**QUESTION, "unit": ""}, "f-unit"),
        ({**QUESTION, "question": ""}, "f-question"),
        ({**QUESTION, "answer_by": "2026-09-01"}, "f-answer-by"),
        ({**QUESTION, "answer_by": ""}, "f-answer-by"),
    ],
)
async def test_a_slip_of_the_department_is_told_at_its_field(
    office: Office, visit: Visit, task_id: str, form: dict[str, str], field: str
) -> None:
    refused = await visit.post(f"/tasks/{task_id}/opinions", form)
    assert refused.status_code == 422
    assert f'href="#{field}"' in refused.text
    assert f'id="{field}"' in refused.text
    assert await _opinions(office, task_id) == []


async def test_a_link_ends_with_its_day_and_with_the_task(
    office: Office, visit: Visit, task_id: str
) -> None:
    link = await _link(visit, task_id)
    unit = await _opened(office, link)
    secret = _secret((await unit.get("/opinions")).text)
    office.api.now = NOON + timedelta(days=3)
    page = await unit.get("/opinions")
    assert "征求意见已于 2026-09-18 截止" in page.text
    assert (await unit.client.get("/console/opinions")).status_code == 200
    answer = await unit.post("/opinions", {**SAID, "link": secret})
    assert "截止" in answer.text
    assert (await _opinions(office, task_id))[0]["opinion"] is None


async def test_an_unknown_link_is_told_and_links_cannot_be_tried_out(
    office: Office, visit: Visit, task_id: str
) -> None:
    unit = office.visit(address="192.0.2.7")
    assert (await unit.get("/opinions")).status_code == 404
    await unit.get("/opinions/guess")
    assert (await unit.get("/opinions")).status_code == 404
    for _ in range(40):
        answer = await unit.client.get("/console/opinions/guess")
    assert answer.status_code == 429
    link = await _link(visit, task_id)
    await _opened(office, link, "192.0.2.8")


async def test_supervisors_read_opinions_and_ask_none(
    office: Office, visit: Visit, task_id: str
) -> None:
    await _link(visit, task_id)
    supervisor = await office.visit_of("special-1")
    page = (await supervisor.get(f"/tasks/{task_id}")).text
    assert "管线走向有何意见？" in page
    assert 'name="question"' not in page
