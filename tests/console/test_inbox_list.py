"""What is owed, as a list to work through: counted, narrowed, paged, one after the other."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from domain.connection import TaskKind
from tests.console.office import ITEM, Office, Visit
from tests.support.cases import HIGH, NOON, changed, new_task

TODAY = NOON.date()


async def _permits(office: Office, key: str, days: int | None, district: str = "440802") -> str:
    no = await office.case(changed(HIGH, "site.district", district), key=key)
    due_on = None if days is None else TODAY + timedelta(days=days)
    new = new_task(no, TaskKind.PERMITS, department="water", items=(ITEM,))
    return (await office.api.casefile.open_task(replace(new, due_on=due_on))).id


@pytest.fixture
async def tasks(office: Office) -> list[str]:
    days = (-2, 0, 0, 5, None)
    return [await _permits(office, f"key-{i}", each) for i, each in enumerate(days)]


@pytest.fixture
async def visit(office: Office, tasks: list[str]) -> Visit:
    return await office.visit_of("water-1")


def _listed(page: str) -> list[str]:
    return re.findall(r'<a id="t-[^"]+" href="/console/tasks/([^"]+)"', page)


def _counts(page: str) -> dict[str, tuple[str, int]]:
    """Return address and number of each count, by its words."""
    found = re.findall(
        r'<li><a href="([^"]*)"[^>]*>([^<]+) <strong>(\d+)</strong>', page.replace("&amp;", "&")
    )
    return {words: (address, int(number)) for address, words, number in found}


async def test_counts_stand_on_top_and_lead_to_what_they_count(
    visit: Visit, tasks: list[str]
) -> None:
    await visit.post(f"/tasks/{tasks[3]}/holder", {"type": "claimed", "key": "k"})
    counts = _counts((await visit.get("/tasks")).text)
    assert {words: number for words, (_, number) in counts.items()} == {
        "全部": 5,
        "已逾期": 1,
        "今日到期": 2,
        "待认领": 4,
        "我的": 1,
    }
    for address, number in counts.values():
        page = (await visit.client.get(address)).text
        assert len(_listed(page)) == number, address
        assert page.count('aria-current="true"') == 1, address


async def test_counts_follow_the_other_filters(office: Office, visit: Visit) -> None:
    elsewhere = await _permits(office, "other", 1, "440803")
    page = (await visit.get("/tasks?district=440803")).text
    assert _listed(page) == [elsewhere]
    assert _counts(page)["全部"] == ("/console/tasks?owed_by=water&district=440803", 1)


async def test_a_task_is_found_by_the_number_of_its_case(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    without = await office.case(key="without")
    no = tasks[4].split(".")[0]
    assert _listed((await visit.get(f"/tasks?case={no}")).text) == [tasks[4]]
    assert "没有符合条件" in (await visit.get(f"/tasks?case={without}")).text
    wrong = await visit.get("/tasks?case=12")
    assert wrong.status_code == 422
    assert "不是办件编号" in wrong.text
    assert 'id="f-case"' in wrong.text


async def test_pages_lead_on_and_back(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.tasks.ON_A_PAGE", 2)
    ids = [await _permits(office, f"key-{i}", i) for i in range(5)]
    visit = await office.visit_of("water-1")
    page, seen = (await visit.get("/tasks?kind=permits")).text, []
    assert 'rel="prev"' not in page
    while True:
        seen.append(_listed(page))
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if following is None:
            break
        assert "kind=permits" in following[1]
        page = (await visit.client.get(following[1].replace("&amp;", "&"))).text
    assert seen == [ids[:2], ids[2:4], ids[4:]]
    for expected in (ids[2:4], ids[:2]):
        before = re.search(r'rel="prev" href="([^"]+)"', page)
        assert before is not None
        page = (await visit.client.get(before[1].replace("&amp;", "&"))).text
        assert _listed(page) == expected
    assert 'rel="prev"' not in page


async def test_after_a_decision_the_next_task_is_at_hand(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    form = {"code": "answered", "items.0.outcome": "approved"}
    later = tasks[3]
    await visit.post(f"/tasks/{later}/holder", {"type": "claimed", "key": "k"})
    answer = await visit.post(f"/tasks/{tasks[0]}/outcome", form)
    page = (await visit.client.get(answer.headers["location"])).text
    assert f'id="next-task" href="/console/tasks/{later}"' in page, "one's own comes first"
    answer = await visit.post(f"/tasks/{later}/outcome", form)
    page = (await visit.client.get(answer.headers["location"])).text
    assert f'id="next-task" href="/console/tasks/{tasks[1]}"' in page, "then what is due first"
    for task_id in (tasks[1], tasks[2], tasks[4]):
        answer = await visit.post(f"/tasks/{task_id}/outcome", form)
    page = (await visit.client.get(answer.headers["location"])).text
    assert "next-task" not in page
    assert "没有其他待办任务" in page


async def test_a_task_is_handed_on_to_a_colleague_and_to_nobody_else(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    for account in ("water-2", "desk-1"):
        await office.hire(account)
    page = (await visit.get(f"/tasks/{tasks[0]}")).text
    assert '<option value="water-2">' in page
    assert '<option value="desk-1">' not in page
    path = f"/tasks/{tasks[0]}/holder"
    for stranger in ("desk-1", "nobody", "water-3"):
        refused = await visit.post(path, {"type": "claimed", "colleague": stranger, "key": "k0"})
        assert refused.status_code == 422
        assert "请选择本单位的承办人员" in refused.text
    form = {"type": "claimed", "colleague": "water-2", "ground": "属其片区", "key": "k1"}
    assert (await visit.post(path, form)).status_code == 303
    task = (await office.api.call("GET", f"/api/v1/tasks/{tasks[0]}")).json()
    assert task["held_by"] == "water-2"
    assert task["history"][-1]["ground"] == "属其片区"


@pytest.mark.rule("RB-4.6")
async def test_what_a_pause_does_to_the_deadline_is_said_beforehand(
    office: Office, visit: Visit, tasks: list[str]
) -> None:
    task_id = tasks[3]
    page = (await visit.get(f"/tasks/{task_id}")).text
    said = re.search(r"例如中止至 (\S+) \S+，到期日将由 (\S+) \S+ 变为 (\S+) ", page)
    assert said is not None
    until, _, then = (date.fromisoformat(each) for each in said.groups())
    opened = {"type": "correction-opened", "ground": "缺图", "missing": "断面图", "key": "k1"}
    await visit.post(f"/tasks/{task_id}/reports", opened)
    page = (await visit.get(f"/tasks/{task_id}")).text
    today = re.search(r"如今日结束，到期日为 <strong>(\S+) ", page)
    assert today is not None
    office.api.now = NOON + (until - TODAY)
    # The hour of the session has passed meanwhile.
    again = await office.visit_of("water-1")
    await again.get(f"/tasks/{task_id}")
    closed = {"type": "correction-closed", "ground": "已补齐", "key": "k2"}
    await again.post(f"/tasks/{task_id}/reports", closed)
    task = (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()
    assert task["due_on"] == str(then), "as it was said"
    assert date.fromisoformat(today[1]) < then


async def test_procedures_name_what_they_rest_on(visit: Visit, tasks: list[str]) -> None:
    page = (await visit.get(f"/tasks/{tasks[0]}")).text
    assert ">听证（法定，XK 45）</option>" in page
