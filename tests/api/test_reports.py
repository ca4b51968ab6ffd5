"""What departments report of their tasks: on file once, their own clock only (RB-4.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from domain.connection import TaskKind
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, new_task
from tests.support.databases import connected, rows
from tests.support.serving import Api

ITEM = "占用、挖掘城市道路审批"
OPENED: dict[str, Any] = {
    "type": "correction-opened",
    "ground": "图纸不全",
    "missing": ["河道断面图"],
    "document_no": "示例补〔2026〕1号",
}
CLOSED = {"type": "correction-closed", "ground": "已补正"}
SPECIAL = {"type": "special-opened", "ground": "须评审", "procedure": "expert_review"}
SPECIAL_CLOSED = {"type": "special-closed", "ground": "评审完成"}


@pytest.fixture
async def no(api: Api) -> str:
    number: str = (await api.submit(HIGH)).json()["no"]
    return number


@pytest.fixture
async def task(api: Api, no: str) -> str:
    return await _permits(api, no, "water")


async def _permits(api: Api, no: str, department: str) -> str:
    new = new_task(no, TaskKind.PERMITS, department=department, items=(ITEM,))
    five = replace(new, due_on=date(2026, 9, 22), limit_working_days=5)
    return (await api.casefile.open_task(five)).id


def _on(api: Api, day: int, hour: int = 12) -> None:
    api.now = datetime.fromisoformat(f"2026-09-{day:02d}T{hour:02d}:00:00+08:00")


async def _report(
    api: Api, task: str, body: object, key: str = "r-1", agency: str = "water"
) -> Any:
    return await api.call("POST", f"/api/v1/tasks/{task}/events", agency, key=key, json=body)


async def _paused(api: Api, task: str, *reports: tuple[int, object]) -> Any:
    for position, (day, body) in enumerate(reports):
        _on(api, day)
        answer = await _report(api, task, body, key=f"r-{position}")
        assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.rule("RB-4.6", "RB-2.1")
async def test_a_correction_stops_and_resumes_that_departments_clock(
    api: Api, no: str, task: str
) -> None:
    other = await _permits(api, no, "transport")
    shown = await _paused(api, task, (17, OPENED))
    assert (shown["is_suspended"], shown["due_on"]) == (True, None)
    assert shown["history"][0]["basis"] == "policy"
    untouched = (await api.call("GET", f"/api/v1/tasks/{other}")).json()
    assert (untouched["is_suspended"], untouched["due_on"]) == (False, "2026-09-22")
    _on(api, 21)
    shown = (await _report(api, task, CLOSED, key="r-2")).json()
    # Friday, Sunday (worked) and Monday were left out: due three working days after the 22nd;
    # the 25th is Mid-Autumn, and the weekend after it is free.
    assert (shown["is_suspended"], shown["due_on"]) == (False, "2026-09-28")
    assert await api.first_break() is None


@pytest.mark.rule("RB-2.1", "RB-2.4", "RB-4.6")
async def test_clocks_show_the_pause_its_ground_and_that_the_bundle_runs_on(
    api: Api, no: str, task: str
) -> None:
    await _permits(api, no, "transport")
    await _paused(api, task, (17, SPECIAL), (21, SPECIAL_CLOSED))
    clocks = (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
    by_department = {clock["department"]: clock for clock in clocks if clock["id"] == "GOV5"}
    water, bundle = by_department["water"], by_department[None]
    pause = {"basis": "statutory", "ground": "须评审"}
    assert water["entries"][1:] == [
        {"act": "suspend", "on": "2026-09-17", **pause},
        {"act": "resume", "on": "2026-09-21", **pause},
    ]
    # 17, 18, 20 (Sunday, worked), 21 since the 16th; the last three stood still.
    assert (water["gross"], water["net"], water["due_on"]) == (4, 1, "2026-09-28")
    assert (bundle["gross"], bundle["net"], bundle["due_on"]) == (4, 4, "2026-09-22")
    assert bundle["state"] == water["state"] == "running"


@pytest.mark.rule("RB-4.6")
async def test_the_bundle_stands_still_while_every_open_department_does(
    api: Api, no: str, task: str
) -> None:
    transport = await _permits(api, no, "transport")
    await _paused(api, task, (17, OPENED))
    _on(api, 18)
    answered = {
        "code": "answered",
        "items": [{"item": ITEM, "outcome": "approved", "document_no": "示例〔2026〕2号"}],
    }
    assert (await api.answer(transport, answered, "transport")).status_code == 202
    _on(api, 21)
    clocks = (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
    bundle = next(c for c in clocks if c["id"] == "GOV5" and c["department"] is None)
    assert (bundle["state"], bundle["gross"], bundle["net"]) == ("suspended", 4, 2)


@pytest.mark.rule("RB-4.6")
async def test_whoever_handed_in_the_case_is_told_of_a_correction_once(api: Api, task: str) -> None:
    for _ in range(2):
        await _paused(api, task, (17, OPENED))
    (notice,) = (await api.call("GET", "/api/v1/notices", "desk")).json()["items"]
    assert (notice["kind"], notice["recipient"], notice["task_id"]) == (
        "correction_asked",
        "desk",
        task,
    )
    assert notice["body"]["missing"] == ["河道断面图"]


@pytest.mark.rule("RB-4.6")
async def test_the_same_report_sent_twice_is_one(api: Api, task: str) -> None:
    first = (await _report(api, task, OPENED)).json()
    before = rows(api.url)
    _on(api, 18)
    again = await _report(api, task, OPENED)
    assert (again.status_code, again.json()) == (200, first)
    assert rows(api.url) == before
    problem(await _report(api, task, SPECIAL), 409, "key-reused")
    assert rows(api.url) == before


@pytest.mark.rule("RB-4.6")
@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (CLOSED, "illegal-report"),
        (SPECIAL_CLOSED, "illegal-report"),
        ({**SPECIAL, "ground": None}, "ground"),
        ({**OPENED, "ground": " "}, "ground"),
        ({**OPENED, "missing": []}, "missing"),
        ({**SPECIAL, "procedure": "coffee"}, "procedure"),
        ({**CLOSED, "since": "2026-09-01"}, "since"),
        ({"type": "cancelled"}, "type"),
    ],
)
async def test_a_report_that_makes_no_sense_is_refused_and_changes_nothing(
    api: Api, task: str, body: object, slug: str
) -> None:
    before = rows(api.url)
    answer = await _report(api, task, body)
    if slug == "illegal-report":
        problem(answer, 409, slug)
    else:
        assert slug in fields(problem(answer, 422, "invalid-input"))
    assert rows(api.url) == before


@pytest.mark.rule("RB-4.6")
async def test_special_procedures_do_not_overlap(api: Api, task: str) -> None:
    await _paused(api, task, (17, SPECIAL))
    before = rows(api.url)
    refused = problem(await _report(api, task, SPECIAL, key="another"), 409, "illegal-report")
    assert "2026-09-17" in refused["detail"]
    assert "2026-09-17" in refused["detail_zh"]
    assert rows(api.url) == before


async def test_only_the_agency_that_owes_a_task_reports_of_it(api: Api, task: str) -> None:
    problem(await _report(api, task, OPENED, agency="transport"), 403, "not-your-task")
    problem(await _report(api, "nothing", OPENED), 404, "unknown-task")
    problem(await _report(api, "a%00b", OPENED), 404, "unknown-task")


@pytest.mark.rule("RB-4.6")
async def test_what_is_decided_takes_no_more_reports(api: Api, task: str) -> None:
    answered = {
        "code": "answered",
        "items": [{"item": ITEM, "outcome": "approved", "document_no": "示例〔2026〕2号"}],
    }
    shown = await _paused(api, task, (17, OPENED))
    assert shown["due_on"] is None
    _on(api, 30)
    decided = (await api.answer(task, answered, "water")).json()
    # A decision ends what was still standing still; it was in time.
    assert (decided["is_late"], decided["is_suspended"]) == (False, False)
    assert problem(await _report(api, task, CLOSED, key="late"), 409, "task-closed")
    # What came before is answered as before.
    assert (await _report(api, task, OPENED, key="r-0")).status_code == 200


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE tasks SET history = '[]'", "what was reported"),
        ("UPDATE tasks SET due_on = '2026-12-31'", "until when"),
        ("DELETE FROM notices", "taken out"),
    ],
)
async def test_a_changed_report_is_found(api: Api, task: str, statement: str, why: str) -> None:
    await _paused(api, task, (17, OPENED))
    with connected(api.url) as connection:
        connection.exec_driver_sql(statement)
    found = await api.first_break()
    assert found is not None
    assert why in found.why


@pytest.mark.rule("RB-1.7")
async def test_a_report_waits_for_the_engine_to_be_back(api: Api, task: str) -> None:
    await _paused(api, task, (17, OPENED))
    (unheard,) = await api.unheard()
    assert (unheard.id, unheard.changes, unheard.changes_told) == (task, 1, 0)
