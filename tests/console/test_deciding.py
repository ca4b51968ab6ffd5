"""What officers do on a task's page goes the API's way, and the record says who did it."""

from __future__ import annotations

from typing import Any

import pytest

from domain.connection import TaskKind
from tests.console.office import ITEM, Office, Visit
from tests.support.cases import LOW
from tests.support.databases import rows

APPROVED = {
    "code": "answered",
    "items.0.outcome": "approved",
    "items.0.document_no": "示例〔2026〕1号",
    "items.0.document_on": "2026-09-16",
}


async def _task(office: Office, task_id: str) -> Any:
    return (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()


@pytest.fixture
async def task_id(office: Office) -> str:
    return await office.permits(await office.case())


@pytest.fixture
async def visit(office: Office, task_id: str) -> Visit:
    found = await office.visit_of("water-1")
    await found.get(f"/tasks/{task_id}")
    return found


async def test_a_department_answers_its_items_with_number_and_date(
    office: Office, visit: Visit, task_id: str
) -> None:
    answer = await visit.post(f"/tasks/{task_id}/outcome", APPROVED)
    # The engine of these tests is away, so the process takes it up later.
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/console/tasks/{task_id}?decided=later",
    )
    task = await _task(office, task_id)
    assert task["outcome"] == {
        "code": "answered",
        "items": [
            {
                "item": ITEM,
                "outcome": "approved",
                "document_no": "示例〔2026〕1号",
                "document_on": "2026-09-16",
            }
        ],
    }
    page = (await visit.get(f"/tasks/{task_id}?decided=later")).text
    assert "办理结果已存档" in page
    assert "示例〔2026〕1号" in page
    assert 'name="code"' not in page, "it is decided"
    assert await office.api.first_break() is None


async def test_whoever_decides_holds_the_task(office: Office, visit: Visit, task_id: str) -> None:
    await visit.post(f"/tasks/{task_id}/outcome", APPROVED)
    task = await _task(office, task_id)
    assert task["held_by"] == "water-1"
    assert [each["type"] for each in task["history"]] == ["claimed"]


async def test_what_a_colleague_holds_is_taken_over_before_it_is_decided(
    office: Office, visit: Visit, task_id: str
) -> None:
    colleague = await office.visit_of("water-2")
    await colleague.post(f"/tasks/{task_id}/holder", {"type": "claimed", "key": "k1"})
    refused = await visit.post(f"/tasks/{task_id}/outcome", APPROVED)
    assert refused.status_code == 422
    assert "此任务由 water-2 承办" in refused.text
    assert (await _task(office, task_id))["outcome"] is None
    await visit.post(f"/tasks/{task_id}/holder", {"type": "reassigned", "key": "k2"})
    assert (await _task(office, task_id))["held_by"] == "water-1"
    assert (await visit.post(f"/tasks/{task_id}/outcome", APPROVED)).status_code == 303


async def test_a_task_is_claimed_and_handed_back(
    office: Office, visit: Visit, task_id: str
) -> None:
    await visit.post(f"/tasks/{task_id}/holder", {"type": "claimed", "key": "k1"})
    assert "由您承办" in (await visit.get(f"/tasks/{task_id}")).text
    assert 'name="type" value="claimed"' not in (await visit.get("/tasks?held=mine")).text
    await visit.post(f"/tasks/{task_id}/holder", {"type": "handed-back", "key": "k2"})
    assert (await _task(office, task_id))["held_by"] is None


async def test_claiming_what_somebody_else_claimed_meanwhile_is_told(
    office: Office, visit: Visit, task_id: str
) -> None:
    colleague = await office.visit_of("water-2")
    await colleague.post(f"/tasks/{task_id}/holder", {"type": "claimed", "key": "k1"})
    refused = await visit.post(f"/tasks/{task_id}/holder", {"type": "claimed", "key": "k2"})
    assert refused.status_code == 422
    assert "此任务已由 water-2 认领" in refused.text


@pytest.mark.parametrize("kind", ["accepted", "correction-opened", "nonsense", ""])
async def test_the_form_of_a_holder_says_only_who_holds_it(
    office: Office, visit: Visit, task_id: str, kind: str
) -> None:
    before = rows(office.api.url)["tasks"]
    answer = await visit.post(f"/tasks/{task_id}/holder", {"type": kind, "key": "k1"})
    assert answer.status_code == 422
    assert rows(office.api.url)["tasks"] == before


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({}, ["f-code"]),
        ({"code": "answered"}, ["f-items-0-outcome"]),
        ({"code": "nonsense"}, ["f-code"]),
        ({"code": "answered", "items.0.outcome": "refused"}, ["f-items-0-note"]),
        ({"code": "answered", "items.0.outcome": "nonsense"}, ["f-items-0-outcome"]),
        (
            {"code": "answered", "items.0.outcome": "papers_to_follow"},
            ["f-items-0-papers", "f-items-0-papers-by"],
        ),
        (APPROVED | {"items.0.document_on": "2026-09-17"}, ["f-items-0-document-on"]),
        (APPROVED | {"items.0.document_on": "someday"}, ["f-items-0-document-on"]),
        (APPROVED | {"items.0.document_no": "x" * 201}, ["f-items-0-document-no"]),
        ({"code": "not_competent", "note": "属交通部门"}, ["f-competent"]),
        ({"code": "not_competent", "competent": "transport"}, ["f-note"]),
    ],
)
async def test_a_slip_is_told_at_its_field_and_nothing_typed_is_lost(
    office: Office, visit: Visit, task_id: str, form: dict[str, str], fields: list[str]
) -> None:
    typed = {"items.0.note": "路面恢复须报备", **form}
    if "f-items-0-note" in fields:
        del typed["items.0.note"]
    before = rows(office.api.url)["tasks"]
    answer = await visit.post(f"/tasks/{task_id}/outcome", typed)
    assert answer.status_code == 422
    for field in fields:
        assert f'<a href="#{field}">' in answer.text
        assert f'id="{field}"' in answer.text, "the link leads somewhere"
        assert f'id="{field}-problem1"' in answer.text
    if "items.0.note" in typed:
        assert ">路面恢复须报备</textarea>" in answer.text
    assert rows(office.api.url)["tasks"] == before


async def test_papers_that_follow_are_listed_one_a_line(
    office: Office, visit: Visit, task_id: str
) -> None:
    form = APPROVED | {
        "items.0.outcome": "papers_to_follow",
        "items.0.papers": "交通组织方案\r\n\r\n  保险单 \r\n",
        "items.0.papers_by": "2026-10-30",
    }
    assert (await visit.post(f"/tasks/{task_id}/outcome", form)).status_code == 303
    (item,) = (await _task(office, task_id))["outcome"]["items"]
    assert (item["papers"], item["papers_by"]) == (["交通组织方案", "保险单"], "2026-10-30")


async def test_what_belongs_to_another_result_is_not_sent_with_this_one(
    office: Office, visit: Visit, task_id: str
) -> None:
    form = APPROVED | {"items.0.papers": "交通组织方案", "competent": "transport", "missing": "x"}
    assert (await visit.post(f"/tasks/{task_id}/outcome", form)).status_code == 303
    outcome = (await _task(office, task_id))["outcome"]
    assert "competent" not in outcome
    assert "papers" not in outcome["items"][0]


async def test_a_decision_stays_as_it_was_given(office: Office, visit: Visit, task_id: str) -> None:
    await visit.post(f"/tasks/{task_id}/outcome", APPROVED)
    again = await visit.post(f"/tasks/{task_id}/outcome", APPROVED)
    assert again.status_code == 303, "the same once more changes nothing"
    other = APPROVED | {"items.0.outcome": "refused", "items.0.note": "不符合规划"}
    refused = await visit.post(f"/tasks/{task_id}/outcome", other)
    assert refused.status_code == 422
    assert "原结果不变" in refused.text
    outcome = (await _task(office, task_id))["outcome"]
    assert outcome["items"][0]["outcome"] == "approved"


@pytest.mark.rule("RB-4.6")
async def test_a_correction_stops_the_clock_and_its_end_lets_it_go_on(
    office: Office, visit: Visit, task_id: str
) -> None:
    opened = {
        "type": "correction-opened",
        "ground": "图纸缺少河道断面",
        "missing": "河道断面图\r\n施工方案",
        "document_no": "示例补〔2026〕1号",
        "key": "k1",
    }
    assert (await visit.post(f"/tasks/{task_id}/reports", opened)).status_code == 303
    assert (await visit.post(f"/tasks/{task_id}/reports", opened)).status_code == 303
    task = await _task(office, task_id)
    assert (task["is_suspended"], task["due_on"]) == (True, None)
    (event,) = task["history"]
    assert event["missing"] == ["河道断面图", "施工方案"]
    page = (await visit.get(f"/tasks/{task_id}")).text
    assert "计时中止" in page
    assert "补正进行中" in page
    closed = {"type": "correction-closed", "ground": "材料已补齐", "key": "k2"}
    assert (await visit.post(f"/tasks/{task_id}/reports", closed)).status_code == 303
    # Sunday the 20th is worked, which the made-up deadline of the task did not know.
    assert (await _task(office, task_id))["due_on"] == "2026-09-22"


@pytest.mark.rule("RB-4.6")
@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"type": "correction-opened", "missing": "断面图"}, "f-ground"),
        ({"type": "correction-opened", "ground": "缺图"}, "f-missing"),
        ({"type": "special-opened", "ground": "须评审"}, "f-procedure"),
        ({"type": "special-opened", "ground": "x", "procedure": "none"}, "f-procedure"),
        ({"type": "correction-closed", "ground": "已补齐"}, "f-ground"),
    ],
)
async def test_a_clock_is_not_stopped_without_what_that_needs(
    office: Office, visit: Visit, task_id: str, form: dict[str, str], field: str
) -> None:
    answer = await visit.post(f"/tasks/{task_id}/reports", form)
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert not (await _task(office, task_id))["is_suspended"]


async def test_a_special_procedure_of_the_policy_is_opened(
    office: Office, visit: Visit, task_id: str
) -> None:
    form = {"type": "special-opened", "ground": "穿堤方案须评审", "procedure": "expert_review"}
    assert (await visit.post(f"/tasks/{task_id}/reports", form)).status_code == 303
    assert (await _task(office, task_id))["is_suspended"]


@pytest.mark.parametrize(
    ("form", "outcome"),
    [
        ({"code": "accepted"}, {"code": "accepted"}),
        (
            {"code": "correction_needed", "missing": "权属证明\r\n授权书"},
            {"code": "correction_needed", "missing": ["权属证明", "授权书"]},
        ),
        (
            {"code": "declined", "note": "不在供电范围"},
            {"code": "declined", "note": "不在供电范围"},
        ),
    ],
)
async def test_the_desk_checks_papers(
    office: Office, form: dict[str, str], outcome: dict[str, Any]
) -> None:
    task_id = await office.task(await office.case(LOW))
    visit = await office.visit_of("desk-1")
    await visit.get(f"/tasks/{task_id}")
    assert (await visit.post(f"/tasks/{task_id}/outcome", form)).status_code == 303
    assert (await _task(office, task_id))["outcome"] == outcome


async def test_the_utility_answers_its_steps(office: Office) -> None:
    task_id = await office.task(await office.case(), TaskKind.SUPPLY_PLAN)
    visit = await office.visit_of("utility-1")
    page = (await visit.get(f"/tasks/{task_id}")).text
    assert "方案已编制" in page
    form = {"code": "planned", "document_no": "示例供〔2026〕1号"}
    assert (await visit.post(f"/tasks/{task_id}/outcome", form)).status_code == 303
    assert (await _task(office, task_id))["outcome"] == form


async def test_supervisors_look_on(office: Office, task_id: str) -> None:
    visit = await office.visit_of("special-1")
    page = (await visit.get(f"/tasks/{task_id}")).text
    assert 'method="post"' not in page.split("</nav>")[1]
