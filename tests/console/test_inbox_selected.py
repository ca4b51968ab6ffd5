"""Many tasks at once: looked at before, each by itself, and told line by line."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from console.guard import FORM_TOKEN
from domain.connection import TaskKind
from tests.console.office import ITEM, Office, Visit
from tests.support.cases import LOW
from tests.support.databases import rows

SECOND = "河道管理范围内建设项目工程建设方案审批"
PDF = b"%PDF-1.7 \x00"


async def _task(office: Office, task_id: str) -> Any:
    return (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()


@pytest.fixture
async def tasks(office: Office) -> list[str]:
    found = []
    for position in range(3):
        no = await office.case(key=f"key-{position}")
        items = (ITEM, SECOND) if position == 1 else (ITEM,)
        found.append(await office.permits(no, "water", *items))
    return found


@pytest.fixture
async def visit(office: Office, tasks: list[str]) -> Visit:
    for account in ("water-2", "desk-1"):
        await office.hire(account)
    return await office.visit_of("water-1")


async def _post(
    visit: Visit, path: str, tasks: list[str], files: Any = None, **form: str
) -> httpx2.Response:
    sent: dict[str, Any] = {FORM_TOKEN: visit.form_token, "task": tasks, **form}
    return await visit.client.post(f"/console/tasks/selected{path}", data=sent, files=files)


def _results(page: str) -> list[tuple[str, str]]:
    """Return number of the case, and what became of it, line by line."""
    return re.findall(
        r'<span class="sub code">(ZJ\d+)</span>.*?<td[^>]*>.*?</td>\s*<td[^>]*>(.*?)</td>',
        page,
        re.DOTALL,
    )


async def test_nothing_is_done_before_it_is_confirmed(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    other = await office.visit_of("water-2")
    await other.post(f"/tasks/{tasks[1]}/holder", {"type": "claimed", "key": "k"})
    before = rows(office.api.url)["events"]
    page = (await _post(visit, "", tasks, do="claimed")).text
    assert page.count("认领到我名下") == 2
    assert "不办理：已由 water-2 认领" in page
    assert "其中 2 项将按下列说明办理" in page
    assert rows(office.api.url)["events"] == before


async def test_tasks_are_claimed_and_the_report_says_which_were_not(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    other = await office.visit_of("water-2")
    await other.post(f"/tasks/{tasks[1]}/holder", {"type": "claimed", "key": "k"})
    done = await _post(visit, "/holder", tasks, type="claimed", key="many")
    assert done.status_code == 200
    first, second, third = _results(done.text)
    assert "已办理" in first[1] and "已办理" in third[1]
    assert "未办理" in second[1] and "已由 water-2 认领" in second[1]
    assert "共 3 项，已办理 2 项" in done.text
    held = [(await _task(office, each))["held_by"] for each in tasks]
    assert held == ["water-1", "water-2", "water-1"]
    before = rows(office.api.url)["events"]
    await _post(visit, "/holder", tasks, type="claimed", key="many")
    assert rows(office.api.url)["events"] == before, "sent twice, it is done once"


async def test_tasks_are_handed_on_and_back(office: Office, visit: Visit, tasks: list[str]) -> None:
    await visit.post(f"/tasks/{tasks[0]}/holder", {"type": "claimed", "key": "k"})
    refused = await _post(visit, "/holder", tasks, type="reassigned")
    assert refused.status_code == 422
    assert "请选择本单位的承办人员" in refused.text
    refused = await _post(visit, "/holder", tasks, type="reassigned", colleague="desk-1")
    assert refused.status_code == 422
    await _post(visit, "/holder", tasks, type="reassigned", colleague="water-2", key="a")
    assert {(await _task(office, each))["held_by"] for each in tasks} == {"water-2"}
    await _post(visit, "/holder", tasks, type="handed-back", key="b")
    assert {(await _task(office, each))["held_by"] for each in tasks} == {None}
    assert await office.api.first_break() is None


async def test_tasks_of_a_kind_are_answered_alike_with_one_document(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    other = await office.visit_of("water-2")
    await other.post(f"/tasks/{tasks[2]}/holder", {"type": "claimed", "key": "k"})
    page = (await _post(visit, "", tasks, do="outcome")).text
    assert SECOND in page
    assert "不办理：由 water-2 承办" in page
    assert 'value="not_competent"' not in page, "that names a department of its own"
    form = {
        "code": "answered",
        "items.all.outcome": "approved_with_conditions",
        "items.all.note": "恢复路面",
        "items.all.document_no": "示例〔2026〕1号",
        "items.all.document_on": "2026-09-16",
        "key": "many",
    }
    files = {"file": ("批复.pdf", PDF, "application/pdf")}
    done = await _post(visit, "/outcome", tasks, files, **form)
    assert done.status_code == 200, done.text
    assert [("未办理" in words) for _, words in _results(done.text)] == [False, False, True]
    first, second, third = [await _task(office, each) for each in tasks]
    assert third["outcome"] is None
    assert [item["item"] for item in second["outcome"]["items"]] == [ITEM, SECOND]
    for task in (first, second):
        assert task["held_by"] == "water-1"
        assert {item["note"] for item in task["outcome"]["items"]} == {"恢复路面"}
        assert len(task["outcome"]["document"]) == 64
    assert await office.api.first_break() is None


async def test_a_slip_is_told_at_its_field_and_nothing_is_done(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    for form, field in (
        ({"code": "answered"}, "f-items-all-outcome"),
        ({"code": "answered", "items.all.outcome": "refused"}, "f-items-all-note"),
        ({}, "f-code"),
    ):
        typed = {**form, "note": "统一说明"}
        refused = await _post(visit, "/outcome", tasks, None, **typed)
        assert refused.status_code == 422
        assert f'href="#{field}"' in refused.text, field
        assert f'id="{field}"' in refused.text
        assert refused.text.count(f'href="#{field}"') == 1
        assert ">统一说明</textarea>" in refused.text
    assert {(await _task(office, each))["state"] for each in tasks} == {"open"}
    assert {(await _task(office, each))["held_by"] for each in tasks} == {None}


async def test_only_what_is_of_a_kind_is_decided_alike(office: Office) -> None:
    visit = await office.visit_of("utility-1")
    no = await office.case()
    plan = await office.task(no, TaskKind.SUPPLY_PLAN)
    design = await office.task(no, TaskKind.LINE_DESIGN)
    for path, chosen, words in (
        ("", [plan, design], "只能对同一种任务批量办理"),
        ("/outcome", [plan, design], "只能对同一种任务批量办理"),
        ("", [design], "线路设计须逐件填写"),
    ):
        refused = await _post(visit, path, chosen, do="outcome", code="planned")
        assert refused.status_code == 422
        assert words in refused.text
    assert (await _task(office, plan))["state"] == "open"


@pytest.mark.rule("RB-13.1")
async def test_nobody_does_anything_to_anothers_tasks(office: Office, visit: Visit) -> None:
    no = await office.case(LOW, key="low")
    papers, police = await office.task(no), await office.permits(no, "police")
    before = rows(office.api.url)["tasks"]
    for path in ("", "/holder", "/outcome"):
        for foreign in (papers, police, "ZJ20260000011.none.1", "x\x00"):
            form = {"do": "claimed", "type": "claimed", "code": "accepted"}
            answer = await _post(visit, path, [foreign], **form)
            assert answer.status_code == 422, (path, foreign)
            assert "非本单位的任务" in answer.text
    assert rows(office.api.url)["tasks"] == before


async def test_an_empty_or_endless_choice_is_told(visit: Visit, tasks: list[str]) -> None:
    for path in ("", "/holder", "/outcome"):
        empty = await _post(visit, path, [], do="claimed", type="claimed")
        assert empty.status_code == 422
        assert "请先在列表中选择任务" in empty.text
    many = await _post(visit, "", [f"{tasks[0]}{i}" for i in range(101)], do="claimed")
    assert "一次最多 100 项" in many.text
    unknown = await _post(visit, "", tasks, do="burn")
    assert unknown.status_code == 422


async def test_the_way_back_leads_nowhere_but_to_the_inbox(visit: Visit, tasks: list[str]) -> None:
    for back, is_kept in (
        ("/console/tasks?held=mine", True),
        ("https://example.com/", False),
        ("//example.com", False),
    ):
        page = (await _post(visit, "", tasks, do="claimed", back=back)).text
        assert (f'href="{back}"' in page) is is_kept
