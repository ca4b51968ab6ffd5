"""Lists of an inbox: narrowed, counted, paged both ways, and many reported of at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from domain.connection import TaskKind
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, LOW, NOON, changed, new_task
from tests.support.databases import rows
from tests.support.serving import Api

ITEM = "占用、挖掘城市道路审批"
TODAY = NOON.date()
CLAIMED = {"type": "claimed", "holder": "desk-2"}


async def _permits(
    api: Api,
    key: str,
    due_on: date | None,
    body: Mapping[str, Any] = HIGH,
    department: str = "water",
) -> str:
    no = (await api.submit(body, key=key)).json()["no"]
    new = new_task(no, TaskKind.PERMITS, department=department, items=(ITEM,))
    return (await api.casefile.open_task(replace(new, due_on=due_on))).id


@pytest.fixture
async def tasks(api: Api) -> list[str]:
    """Nine tasks of one department, in the order of their deadlines."""
    days = (-2, -1, 0, 0, 1, 5, 5, None, None)
    return [
        await _permits(api, f"key-{i}", None if d is None else TODAY + timedelta(days=d))
        for i, d in enumerate(days)
    ]


async def _list(api: Api, agency: str = "water", **asked: Any) -> Any:
    return await api.call("GET", "/api/v1/tasks", agency, params={"order": "due", **asked})


async def _counts(api: Api, agency: str = "water", **asked: Any) -> Any:
    return (await api.call("GET", "/api/v1/tasks/counts", agency, params=asked)).json()


async def test_pages_lead_forward_and_back_over_the_same_tasks(api: Api, tasks: list[str]) -> None:
    pages, cursor = [], None
    while True:
        found = (await _list(api, limit=2, **({"cursor": cursor} if cursor else {}))).json()
        pages.append(found)
        if (cursor := found["next_cursor"]) is None:
            break
    ids = [[task["id"] for task in found["items"]] for found in pages]
    assert [task_id for found in ids for task_id in found] == tasks
    assert pages[0]["previous_cursor"] is None
    before = pages[-1]["previous_cursor"]
    back = []
    while before is not None:
        found = (await _list(api, limit=2, before=before)).json()
        back.append([task["id"] for task in found["items"]])
        before = found["previous_cursor"]
    assert back == ids[-2::-1]


async def test_the_page_before_an_odd_one_is_the_first_and_a_whole_one(
    api: Api, tasks: list[str]
) -> None:
    first = (await _list(api, limit=1)).json()
    third = (await _list(api, limit=4, cursor=first["next_cursor"])).json()
    found = (await _list(api, limit=4, before=third["previous_cursor"])).json()
    assert [task["id"] for task in found["items"]] == tasks[:4]
    assert found["previous_cursor"] is None
    assert found["next_cursor"] is not None


@pytest.mark.parametrize(
    "asked",
    [
        {"before": "nonsense"},
        {"before": "fDE=", "order": "opened"},
        {"before": "fDE=", "cursor": "fDE="},
    ],
)
async def test_a_way_back_is_one_that_was_given_out(api: Api, asked: dict[str, str]) -> None:
    answer = await _list(api, **asked)
    body = problem(answer, 422, "invalid-input")
    assert fields(body) in (["before"], ["cursor"])


async def test_a_list_is_narrowed_by_deadline_district_and_case(api: Api, tasks: list[str]) -> None:
    other = changed(HIGH, "site.district", "440803")
    elsewhere = await _permits(api, "other", TODAY, other)
    for asked, expected in (
        ({"due_from": str(TODAY), "due_before": str(TODAY + timedelta(days=1))}, tasks[2:4]),
        ({"district": "440803"}, [elsewhere]),
        ({"case_no": tasks[4].split(".")[0]}, [tasks[4]]),
        ({"case_no": "ZJ2026"}, []),
    ):
        found = (await _list(api, **asked)).json()["items"]
        assert {t["id"] for t in found} - {elsewhere} == set(expected) - {elsewhere}, asked
    assert [t["id"] for t in (await _list(api, district="440803")).json()["items"]] == [elsewhere]


@pytest.mark.rule("RB-1.4")
async def test_what_presses_is_counted_by_its_light(api: Api, tasks: list[str]) -> None:
    await api.call("POST", f"/api/v1/tasks/{tasks[0]}/events", "water", key="k", json=CLAIMED)
    assert await _counts(api, holder="desk-2") == {
        "open": 9,
        "overdue": 2,
        "due_today": 2,
        "unclaimed": 8,
        "mine": 1,
    }
    api.now = datetime.fromisoformat("2026-09-16T17:31:00+08:00")
    counts = await _counts(api)
    assert (counts["overdue"], counts["due_today"], counts["mine"]) == (4, 0, 0)


@pytest.mark.rule("RB-13.1")
async def test_an_agency_counts_its_own(api: Api, tasks: list[str]) -> None:
    await _permits(api, "police", TODAY, department="police")
    assert (await _counts(api))["open"] == 9
    assert (await _counts(api, "police"))["open"] == 1
    assert (await _counts(api, "desk"))["open"] == 10
    assert (await _counts(api, "desk", owed_by="police"))["open"] == 1
    assert (await _counts(api, "desk", district="440803"))["open"] == 0
    assert (await _counts(api, "desk", kind="check_papers"))["open"] == 0
    answer = await api.call("GET", "/api/v1/tasks/counts", "water", params={"owed_by": "police"})
    problem(answer, 403, "not-allowed")


# ---------------------------------------------------------------- many reports


async def _report_many(api: Api, body: Any, key: str | None = "many-1") -> Any:
    return await api.call("POST", "/api/v1/tasks/events", "water", key=key, json=body)


def _many(*task_ids: str, report: Any = CLAIMED) -> dict[str, Any]:
    return {"reports": [{"task_id": task_id, "report": report} for task_id in task_ids]}


async def test_many_tasks_are_claimed_and_what_is_refused_stops_no_other(
    api: Api, tasks: list[str]
) -> None:
    no = (await api.submit(LOW, key="low")).json()["no"]
    papers = (await api.casefile.open_task(new_task(no))).id
    held = {"type": "claimed", "holder": "desk-3"}
    await api.call("POST", f"/api/v1/tasks/{tasks[1]}/events", "water", key="k", json=held)
    answer = await _report_many(api, _many(tasks[0], tasks[1], papers, "none.such.1", tasks[2]))
    assert answer.status_code == 200
    found = answer.json()["reports"]
    assert [each["status"] for each in found] == [200, 409, 403, 404, 200]
    assert [each["task"]["held_by"] for each in found if each["task"]] == ["desk-2", "desk-2"]
    assert await api.first_break() is None


async def test_the_same_reports_again_change_nothing(api: Api, tasks: list[str]) -> None:
    first = await _report_many(api, _many(*tasks[:2]))
    before = rows(api.url)
    again = await _report_many(api, _many(*tasks[:2]))
    assert again.json() == first.json()
    assert rows(api.url) == before


async def test_many_reports_are_checked_one_by_one_and_as_a_whole(
    api: Api, tasks: list[str]
) -> None:
    (only,) = (await _report_many(api, _many(tasks[0], report={"type": "nap"}))).json()["reports"]
    assert (only["status"], only["task"]) == (422, None)
    twice = problem(await _report_many(api, _many(tasks[0], tasks[0])), 422, "invalid-input")
    assert fields(twice) == ["reports.1.task_id"]
    problem(await _report_many(api, {"reports": []}), 422, "invalid-input")
    problem(await _report_many(api, _many(tasks[0]), key=None), 422, "invalid-input")
