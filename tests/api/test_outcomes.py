"""Answering tasks: on file at once, once, by whoever owes it."""

from __future__ import annotations

from typing import Any

import pytest

from domain.connection import TaskKind
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, LOW, NOON, SEGMENT, changed, new_task
from tests.support.databases import rows
from tests.support.serving import Api

ACCEPTED = {"code": "accepted"}
ITEM, SECOND = "占用、挖掘城市道路审批", "工程建设涉及城市绿地、树木审批"


@pytest.fixture
async def no(api: Api) -> str:
    number: str = (await api.submit(HIGH)).json()["no"]
    return number


@pytest.fixture
async def papers(api: Api, no: str) -> str:
    return (await api.casefile.open_task(new_task(no))).id


@pytest.fixture
async def permits(api: Api, no: str) -> str:
    task = new_task(no, TaskKind.PERMITS, department="water", items=(ITEM, SECOND))
    return (await api.casefile.open_task(task)).id


def _answered(**second: Any) -> dict[str, Any]:
    return {
        "code": "answered",
        "items": [
            {"item": ITEM, "outcome": "approved", "document_no": "示例〔2026〕1号"},
            {"item": SECOND, "outcome": "approved", **second},
        ],
    }


async def test_an_outcome_is_taken_while_the_engine_is_away(api: Api, papers: str) -> None:
    answer = await api.answer(papers, ACCEPTED)
    assert answer.status_code == 202
    task = answer.json()
    assert (task["state"], task["outcome"], task["done_at"]) == (
        "done",
        ACCEPTED,
        "2026-09-16T12:00:00+08:00",
    )
    assert (await api.call("GET", f"/api/v1/tasks/{papers}")).json() == task


async def test_the_same_outcome_again_is_taken_again(api: Api, papers: str) -> None:
    first = await api.answer(papers, ACCEPTED)
    before = rows(api.url)
    api.now = NOON.replace(hour=17)
    again = await api.answer(papers, {**ACCEPTED, "note": None})
    assert (again.status_code, again.json()) == (202, first.json())
    assert rows(api.url) == before


async def test_a_second_different_outcome_is_refused(api: Api, papers: str) -> None:
    await api.answer(papers, ACCEPTED)
    before = rows(api.url)
    refused = problem(
        await api.answer(papers, {"code": "declined", "note": "示例"}), 409, "other-outcome"
    )
    assert refused["decided_at"].startswith("2026-09-16T")
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize(
    ("agency", "slug"),
    [
        ("water", "not-your-task"),
        ("utility", "not-your-task"),
        ("applicant", "not-your-task"),
        ("special-group", "not-allowed"),
        ("admin-1", "not-allowed"),
    ],
)
async def test_an_outcome_for_somebody_elses_task_is_refused(
    api: Api, papers: str, agency: str, slug: str
) -> None:
    before = rows(api.url)
    problem(await api.answer(papers, ACCEPTED, agency), 403, slug)
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_the_desk_does_not_answer_for_a_department(api: Api, permits: str) -> None:
    problem(await api.answer(permits, _answered(), "desk"), 403, "not-your-task")
    assert (await api.answer(permits, _answered(), "water")).status_code == 202


@pytest.mark.parametrize("task_id", ["ZJ20260000011.check_papers.9", "nothing", "%00", "%ED%A0%80"])
async def test_an_unknown_task_is_not_found(api: Api, no: str, task_id: str) -> None:
    problem(await api.answer(task_id, ACCEPTED), 404, "unknown-task")
    problem(await api.call("GET", f"/api/v1/tasks/{task_id}"), 404, "unknown-task")


async def test_a_task_no_longer_open_says_what_closed_it(api: Api, no: str, papers: str) -> None:
    await api.casefile.end(no, "withdrawn", at=NOON, action_id=None)
    before = rows(api.url)
    refused = problem(await api.answer(papers, ACCEPTED), 409, "task-closed")
    assert refused["closed_by"] == "withdrawn"
    assert refused["closed_at"].startswith("2026-09-16T")
    assert rows(api.url) == before


@pytest.mark.rule("RB-4.5")
async def test_a_late_outcome_is_taken_and_marked(api: Api, papers: str) -> None:
    api.now = NOON.replace(month=12)
    task = (await api.answer(papers, ACCEPTED)).json()
    assert (task["state"], task["is_late"]) == ("done", True)


REFUSED: dict[str, tuple[object, list[str]]] = {
    "no code": ({}, ["code"]),
    "an unknown code": ({"code": "perhaps"}, ["code"]),
    "a code of another task": ({"code": "energised"}, ["code"]),
    "a code that is a number": ({"code": 1}, ["code"]),
    "an unknown field": ({**ACCEPTED, "stamp": "red"}, ["stamp"]),
    "a refusal without grounds": ({"code": "declined"}, ["note"]),
    "a correction that names nothing": ({"code": "correction_needed"}, ["missing"]),
    "an empty list of what is missing": (
        {"code": "correction_needed", "missing": []},
        ["missing"],
    ),
    "a route where none belongs": (
        {**ACCEPTED, "route": {"segments": [dict(SEGMENT)]}},
        ["route"],
    ),
    "permit items where none belong": ({**ACCEPTED, **_answered(), "code": "accepted"}, ["items"]),
    "a note with control characters": ({"code": "declined", "note": "\x00"}, ["note"]),
    "an endless note": ({"code": "declined", "note": "长" * 2001}, ["note"]),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_an_incomplete_outcome_names_the_field(api: Api, papers: str, name: str) -> None:
    body, named = REFUSED[name]
    before = rows(api.url)
    refused = problem(await api.answer(papers, body), 422, "invalid-input")
    assert fields(refused) == named
    assert rows(api.url) == before


ROUTE: dict[str, Any] = {"code": "designed", "route": {"segments": [dict(SEGMENT)]}}
SEGMENT_FIELD = "route.segments.0"
ROUTES_REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no route": ({"code": "designed"}, ["route"]),
    "no segment": (changed(ROUTE, "route", {"segments": []}), ["route.segments"]),
    "a fact left out": (
        {
            "code": "designed",
            "route": {"segments": [{k: v for k, v in SEGMENT.items() if k != "ancient_tree"}]},
        },
        [f"{SEGMENT_FIELD}.ancient_tree"],
    ),
    "a length below nothing": (
        changed(ROUTE, "route.segments", [{**SEGMENT, "length_m": -3}]),
        [f"{SEGMENT_FIELD}.length_m"],
    ),
    "a day that does not exist": (
        changed(ROUTE, "route.segments", [{**SEGMENT, "road_opened_on": "2025-02-29"}]),
        [f"{SEGMENT_FIELD}.road_opened_on"],
    ),
    "a distance to an unnamed highway": (
        changed(ROUTE, "route.segments", [{**SEGMENT, "distance_to_highway_m": 5}]),
        [SEGMENT_FIELD],
    ),
}


@pytest.mark.parametrize("name", ROUTES_REFUSED)
async def test_an_incomplete_route_names_the_field(api: Api, no: str, name: str) -> None:
    design = (await api.casefile.open_task(new_task(no, TaskKind.LINE_DESIGN))).id
    body, named = ROUTES_REFUSED[name]
    before = rows(api.url)
    refused = problem(await api.answer(design, body, "utility"), 422, "invalid-input")
    assert fields(refused) == named
    assert rows(api.url) == before
    taken = await api.answer(design, ROUTE, "utility")
    assert taken.status_code == 202
    assert taken.json()["outcome"]["route"]["segments"][0]["length_m"] == SEGMENT["length_m"]


ITEMS_REFUSED: dict[str, tuple[object, list[str]]] = {
    "one item only": (
        {"code": "answered", "items": [{"item": ITEM, "outcome": "approved"}]},
        ["items"],
    ),
    "an item that was not asked": (
        {
            "code": "answered",
            "items": [*_answered()["items"], {"item": "另", "outcome": "approved"}],
        },
        ["items.2.item"],
    ),
    "a refusal without grounds": (_answered(outcome="refused"), ["items.1.note"]),
    "an unknown outcome": (_answered(outcome="silence"), ["items.1.outcome"]),
    "no items": ({"code": "answered"}, ["items"]),
}


@pytest.mark.rule("RB-4.5")
@pytest.mark.parametrize("name", ITEMS_REFUSED)
async def test_permits_are_answered_item_by_item(api: Api, permits: str, name: str) -> None:
    body, named = ITEMS_REFUSED[name]
    before = rows(api.url)
    refused = problem(await api.answer(permits, body, "water"), 422, "invalid-input")
    assert fields(refused) == named
    assert rows(api.url) == before


@pytest.mark.rule("RB-7.4")
async def test_who_accepts_says_whether_the_area_is_central(api: Api) -> None:
    mixed = changed(
        changed(
            changed(LOW, "applicant", {**HIGH["applicant"], "size": "micro"}),
            "site.district",
            "440804",
        ),
        "capacity_kva",
        120.0,
    )
    no = (await api.submit(mixed)).json()["no"]
    task = (await api.casefile.open_task(new_task(no))).id
    assert (await api.call("GET", f"/api/v1/tasks/{task}")).json()["asks_area"] is True
    refused = problem(await api.answer(task, ACCEPTED), 422, "invalid-input")
    assert fields(refused) == ["is_central_urban"]
    assert (await api.answer(task, {**ACCEPTED, "is_central_urban": True})).status_code == 202
