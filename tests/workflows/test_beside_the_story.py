"""What is owed beside the story: consent, guards, papers that follow, filings (RB-4)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from domain.connection import Ending, Voltage
from storage.reading import NoticeRecord
from tests.workflows.harness import Town
from tests.workflows.stories import (
    HIGHWAY,
    NEW_ROAD,
    RIVER,
    STORIES,
    Story,
    designed,
    every_item,
    route,
)

A_MOMENT = timedelta(seconds=1)


async def _notices(town: Town, no: str, kind: str) -> list[NoticeRecord]:
    page = await town.reading.notices(recipient=None, limit=200, cursor=None)
    return [each for each in reversed(page.items) if (each.case_no, each.kind) == (no, kind)]


@pytest.mark.rule("RB-4.3")
async def test_a_low_voltage_line_is_filed_with_each_department_it_concerns(town: Town) -> None:
    no = await town.submit(Voltage.LOW)
    await town.tell(no, STORIES["low.guarded"])
    filed = await _notices(town, no, "filing")
    departments = sorted(each.recipient for each in filed)
    assert departments == ["natural-resources", "police", "urban-management", "water"]
    assert {each.body["receipt_no"] for each in filed} == {f"{no}-BA-{d}" for d in departments}
    (event,) = await town.events(no, "filed")
    assert event.body["departments"] == departments
    # RB-4.3: recorded, and acknowledged.
    water = next(each for each in filed if each.recipient == "water")
    seen = await town.casefile.acknowledge(water.id, by="water", at=town.now())
    assert seen.acknowledged_by == "water"
    assert (await town.reading.first_break())[1] is None


@pytest.mark.rule("RB-4.3")
async def test_a_guard_stops_nothing_and_is_closed_with_the_case(town: Town) -> None:
    guarded = STORIES["low.guarded"]
    left = frozenset({"look_at_route.1"})
    no = await town.submit(Voltage.LOW)
    case = await town.tell(no, Story(guarded.voltage, guarded.ending, guarded.answers, left))
    assert case.ending == Ending.CONNECTED
    guard = (await town.tasks(no))["look_at_route.1"]
    assert (guard.state, guard.closed_by) == ("closed", Ending.CONNECTED)
    assert {remark["id"] for remark in guard.asked["remarks"]}


@pytest.mark.rule("RB-4.4")
async def test_the_line_waits_for_consent_and_consent_for_nobody(town: Town) -> None:
    story = Story(
        Voltage.HIGH, Ending.CONNECTED, {"line_design.1": designed(route(NEW_ROAD, RIVER))}
    )
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1"):
        await town.answer_all(no, story, name)
    (consent,) = await town.owed(no, "consent.1")
    assert (consent.owed_by, consent.due_on) == ("desk", None)
    permits = [name for name in await town.open_tasks(no) if name.startswith("permits-")]
    await town.answer_all(no, story, *(await _all_permits(town, no, permits)))
    await town.owed(no, "consent.1")
    assert "build_line.1" not in await town.tasks(no)
    await town.answer(consent, story.outcome(consent))
    await town.owed(no, "build_line.1")


async def _all_permits(town: Town, no: str, seen: list[str]) -> list[str]:
    expected = ["natural-resources", "police", "urban-management", "water"]
    assert set(seen) <= {f"permits-{each}.1" for each in expected}
    names = [f"permits-{each}.1" for each in expected]
    await town.owed(no, *names)
    return names


@pytest.mark.rule("RB-4.4", "RB-4.7")
async def test_consent_once_given_is_not_asked_for_on_another_route(town: Town) -> None:
    story = Story(
        Voltage.HIGH,
        Ending.CONNECTED,
        {
            "line_design.1": designed(route(NEW_ROAD, RIVER)),
            "permits-water.1": every_item("refused"),
            "line_design.2": designed(route(NEW_ROAD, HIGHWAY)),
        },
    )
    no = await town.submit(Voltage.HIGH)
    case = await town.tell(no, story)
    assert case.ending == Ending.CONNECTED
    tasks = await town.tasks(no)
    assert [name for name in tasks if name.startswith("consent")] == ["consent.1"]
    assert {name for name in tasks if name.endswith(".2") and "permits" in name} == {
        "permits-transport.2"
    }


@pytest.mark.rule("RB-4.5", "RB-5.2")
async def test_papers_that_follow_are_watched_until_they_have_come(town: Town) -> None:
    story = STORIES["high.granted_with_conditions"]
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1"):
        await town.answer_all(no, story, name)
    await town.answer_all(no, story, "customer_works.1", "permits-water.1", "permits-transport.1")
    (papers, _) = await town.owed(no, "papers-transport.1", "build_line.1")
    assert str(papers.due_on) == "2026-10-30"
    assert papers.asked["papers"][0].endswith("示例图纸")
    # Friday the 30th: two working days are left from Wednesday on.
    yellow = datetime.fromisoformat("2026-10-28T00:00:00+08:00")
    await town.let_pass(yellow - timedelta(minutes=1) - town.now(), owed=2)
    assert await town.events(no, "supervision_sent") == []
    await town.let_pass(yellow + A_MOMENT - town.now(), owed=2)
    await town.has_told(no, "papers-transport.1", ["yellow.0"])
    await town.answer(papers, {"code": "lapsed", "note": "示例：逾期未补"})
    red = datetime.fromisoformat("2026-10-30T17:30:00+08:00")
    await town.let_pass(red + A_MOMENT - town.now(), owed=1)
    await town.has_told(no, "papers-transport.1", ["yellow.0"])
