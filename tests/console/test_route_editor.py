"""A route is filled in segment by segment: nothing taken for granted, nothing typed lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.datastructures import FormData

from console.route_editor import (
    AMOUNTS,
    CHOICES,
    FIELDS,
    MOST,
    QUESTIONS,
    RouteForm,
    matters,
    problems_of,
    totals,
)
from domain.connection import TaskKind
from domain.route import Segment
from tests.console.office import Office, Visit
from tests.support.cases import LOW, SEGMENT

TYPED = {
    "length_m": "120",
    "method": "open_cut",
    "planning_area": "town",
    "road": "urban",
    "green_m2": "0",
    "trees": "0",
    **dict.fromkeys(QUESTIONS, "no"),
}


def sent(*segments: dict[str, str], **others: str) -> dict[str, str]:
    """Return a form with a route."""
    form = {"code": "designed", "route.count": str(len(segments)), **others}
    for position, typed in enumerate(segments):
        form |= {f"route.segments.{position}.{fact}": text for fact, text in typed.items()}
    return form


def route_form(*segments: dict[str, str]) -> RouteForm:
    return RouteForm.of(FormData(sent(*segments)))


@pytest.fixture
async def task_id(office: Office) -> str:
    return await office.task(await office.case(), TaskKind.LINE_DESIGN)


@pytest.fixture
async def visit(office: Office, task_id: str) -> Visit:
    found = await office.visit_of("utility-1")
    await found.get(f"/tasks/{task_id}")
    return found


async def _task(office: Office, task_id: str) -> Any:
    return (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()


def _fields(page: str, position: int) -> set[str]:
    return set(re.findall(rf'name="route\.segments\.{position}\.(\w+)"', page))


def test_every_fact_of_a_segment_is_asked_for() -> None:
    assert {field.fact for field in FIELDS} == set(Segment.model_fields)
    assert set(CHOICES) == {"method", "planning_area", "road", "highway_class"}


async def test_a_route_becomes_the_outcome(office: Office, visit: Visit, task_id: str) -> None:
    near = {**TYPED, "road": "none", "distance_to_highway_m": "8.5", "highway_class": "county"}
    answer = await visit.post(f"/tasks/{task_id}/outcome", sent(TYPED, near, note="一次设计"))
    assert answer.status_code == 303, answer.text
    outcome = (await _task(office, task_id))["outcome"]
    first, second = outcome["route"]["segments"]
    assert first == dict(SEGMENT)
    assert second == dict(SEGMENT) | {
        "road": "none",
        "distance_to_highway_m": 8.5,
        "highway_class": "county",
    }
    assert await office.api.first_break() is None


@pytest.mark.rule("RB-4.2")
async def test_no_fact_is_taken_for_granted(office: Office, visit: Visit, task_id: str) -> None:
    typed = {**TYPED, "river_zone": "", "trees": ""}
    answer = await visit.post(f"/tasks/{task_id}/outcome", sent(TYPED, typed))
    assert answer.status_code == 422
    for fact in ("river-zone", "trees"):
        assert f'id="f-route-segments-1-{fact}-problem1"' in answer.text
    assert answer.text.count('<li><a href="#f-route-segments-1') == 1, "said once on top"
    assert "第 2 段" in answer.text
    assert (await _task(office, task_id))["outcome"] is None
    assert (await _task(office, task_id))["held_by"] is None


async def test_a_designed_line_needs_a_route(visit: Visit, task_id: str) -> None:
    answer = await visit.post(f"/tasks/{task_id}/outcome", {"code": "designed"})
    assert answer.status_code == 422
    assert 'href="#f-route"' in answer.text
    assert 'id="f-route"' in answer.text


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ("length_m", "0"),
        ("length_m", "far"),
        ("length_m", "nan"),
        ("trees", "1.5"),
        ("green_m2", "-1"),
        ("road", "river"),
        ("river_zone", "perhaps"),
    ],
)
async def test_a_slip_is_told_at_its_field(
    visit: Visit, task_id: str, fact: str, text: str
) -> None:
    answer = await visit.post(f"/tasks/{task_id}/outcome", sent({**TYPED, fact: text}))
    assert answer.status_code == 422
    assert f'id="f-route-segments-0-{fact.replace("_", "-")}-problem1"' in answer.text
    if "=" not in text and fact not in ("road", "river_zone"):
        assert f'value="{text}"' in answer.text


async def test_a_distance_needs_the_class_of_the_highway() -> None:
    (problem,) = problems_of(FormData(sent({**TYPED, "distance_to_highway_m": "5"})))
    assert problem.field == "route.segments.0.highway_class"


@pytest.mark.parametrize(
    ("typed", "fact", "is_asked"),
    [
        ({"road": "highway"}, "highway_class", True),
        ({"road": "urban"}, "highway_class", False),
        ({"road": "none", "crosses_highway": "yes"}, "highway_class", True),
        ({"road": "none", "uses_bridge": "yes"}, "highway_class", True),
        ({"distance_to_highway_m": "3"}, "highway_class", True),
        ({"road": "urban"}, "attached_to_road", True),
        ({"road": "highway"}, "attached_to_road", False),
        ({"road": "none"}, "road_opened_on", False),
        ({"road": "highway"}, "road_overhauled_on", True),
        ({}, "trees", True),
    ],
)
def test_only_what_can_matter_is_asked(typed: dict[str, str], fact: str, is_asked: bool) -> None:
    assert matters(fact, typed) is is_asked


def test_what_was_hidden_is_not_sent() -> None:
    typed = {
        **TYPED,
        "road": "none",
        "attached_to_road": "yes",
        "highway_class": "national",
        "road_opened_on": "2025-01-01",
    }
    (body,) = route_form(typed).body()["segments"]
    assert body["attached_to_road"] is False
    assert not body.keys() & {"highway_class", "road_opened_on"}


def test_buttons_add_copy_remove_and_say_no() -> None:
    first, second = {**TYPED, "length_m": "1"}, {"length_m": "2"}
    typed = route_form(first, second)
    assert typed.after("add").segments == (first, second, {})
    assert typed.after("copy.0").segments == (first, first, second)
    assert typed.after("remove.0").segments == (second,)
    said = typed.after("no.1").segments[1]
    nothing_there = {**dict.fromkeys(QUESTIONS, "no"), **dict.fromkeys(AMOUNTS, "0")}
    assert said == {"length_m": "2", **nothing_there}
    open_cut = route_form({**TYPED, "river_zone": "yes", "trees": ""}).after("no.0").segments[0]
    assert open_cut["river_zone"] == "yes", "what was said stays"
    for nothing in ("", "copy.9", "remove.9", "add.x", "explode"):
        assert typed.after(nothing) == typed


def test_a_page_holds_no_more_segments_than_it_can() -> None:
    full = RouteForm.empty(MOST)
    assert full.after("add") == full.after("copy.0") == full
    assert len(RouteForm.of(FormData({"route.count": "99999"})).segments) == 0
    assert len(RouteForm.of(FormData({"route.count": "9999"})).segments) == MOST


def test_totals_add_up_what_is_filled_in() -> None:
    typed = route_form(
        TYPED, {**TYPED, "method": "duct", "length_m": "30.5", "trees": "2"}, {"length_m": "x"}
    )
    found = totals(typed)
    assert (found.length_m, found.trees, found.green_m2) == (150.5, 2, 0)
    assert [(words.zh, metres) for words, metres in found.by_method] == [
        ("明挖", 120),
        ("利用已有管道", 30.5),
    ]


@pytest.mark.rule("RB-4.2")
async def test_what_a_route_would_need_is_shown_with_why_and_nothing_is_filed(
    office: Office, visit: Visit, task_id: str
) -> None:
    half = {"length_m": "5"}
    form = sent({**TYPED, "river_zone": "yes"}, half, TYPED, do="look")
    page = (await visit.post(f"/tasks/{task_id}/route", form)).text
    assert "占用、挖掘城市道路审批" in page
    assert "第1段：涉及河道管理范围：是" in page
    # Where it stands in the form, not among those that could be judged.
    assert "第1、3段：所在道路：城市道路；施工方式：明挖" in page
    assert "第 2 段尚未填完" in page
    task = await _task(office, task_id)
    assert (task["outcome"], task["held_by"]) == (None, None)


async def test_segments_are_added_and_copied_without_a_script_and_nothing_is_lost(
    visit: Visit, task_id: str
) -> None:
    page = (await visit.get(f"/tasks/{task_id}")).text
    assert _fields(page, 0) == set(Segment.model_fields)
    assert not _fields(page, 1)
    form = sent({**TYPED, "length_m": "77"}, do="copy.0", note="草稿", document_no="示例1号")
    page = (await visit.post(f"/tasks/{task_id}/route", form)).text
    assert _fields(page, 1) == set(Segment.model_fields)
    assert page.count('value="77"') == 2
    assert ">草稿</textarea>" in page
    assert 'value="示例1号"' in page
    form = sent(TYPED, TYPED, do="remove.0")
    assert not _fields((await visit.post(f"/tasks/{task_id}/route", form)).text, 1)


async def test_a_survey_may_have_a_route_or_none(office: Office) -> None:
    visit = await office.visit_of("utility-1")
    surveyed = {"code": "surveyed"}
    for key, form, has_route in (
        ("k1", surveyed | {"route.count": "0"}, False),
        ("k2", sent(TYPED) | surveyed, True),
    ):
        task_id = await office.task(await office.case(LOW, key=key), TaskKind.SURVEY)
        page = (await visit.get(f"/tasks/{task_id}")).text
        assert "无外线工程" in page
        answer = await visit.post(f"/tasks/{task_id}/outcome", form)
        assert answer.status_code == 303, answer.text
        outcome = (await _task(office, task_id))["outcome"]
        assert ("route" in outcome) is has_route


async def test_another_outcome_carries_no_route(office: Office, visit: Visit, task_id: str) -> None:
    form = sent({"length_m": "x"}) | {"code": "no_route", "note": "河道无法穿越"}
    assert (await visit.post(f"/tasks/{task_id}/outcome", form)).status_code == 303
    assert "route" not in (await _task(office, task_id))["outcome"]
