"""A clock that stands still arms nothing, and is watched again once it runs (RB-5.4)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from domain.clocks import Basis
from domain.connection import Voltage
from domain.task_events import TaskEventKind
from storage.records import TaskRecord
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town
from tests.workflows.stories import STORIES

STORY = STORIES["high.connected"]
A_MOMENT = timedelta(seconds=1)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


# All five are owed from Monday 2026-09-14 on; Sunday the 20th is worked, and the last day.
YELLOW, RED = _at("2026-09-17T00:00:00"), _at("2026-09-20T17:30:00")


async def _bundle(town: Town) -> tuple[str, TaskRecord]:
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1"):
        await town.answer_all(no, STORY, name)
    await town.answer_all(no, STORY, "line_design.1", "customer_works.1")
    await town.waiting(no)
    return no, (await town.tasks(no))["permits-water.1"]


async def _steps(town: Town, no: str, agency: str) -> list[str]:
    page = await town.reading.notices(recipient=agency, limit=100, cursor=None)
    return [n.body["step"] for n in reversed(page.items) if n.case_no == no and n.task_id]


async def _until(town: Town, instant: datetime) -> None:
    await town.let_pass(instant - town.now(), owed=5)


@pytest.mark.rule("RB-4.6", "RB-5.4", "RB-2.5")
@pytest.mark.parametrize("cached", [100, 0])
async def test_a_suspended_clock_arms_nothing_and_the_others_run_on(
    open_town: OpenTown, cached: int
) -> None:
    async with open_town(max_cached_workflows=cached) as town:
        no, water = await _bundle(town)
        await _until(town, _at("2026-09-16T10:00:00"))
        await town.report(
            water, TaskEventKind.SPECIAL_OPENED, procedure="hearing", basis=Basis.STATUTORY
        )
        await _until(town, RED + A_MOMENT)
        await town.told(no, 8)
        assert await _steps(town, no, "water") == []
        assert await _steps(town, no, "transport") == ["yellow.0", "red.0"]
        # Resumed on the 21st, with three working days left: until the 24th.
        await _until(town, _at("2026-09-21T10:00:00"))
        resumed = await town.report(
            (await town.tasks(no))["permits-water.1"], TaskEventKind.SPECIAL_CLOSED
        )
        assert str(resumed.due_on) == "2026-09-24"
        await _until(town, _at("2026-09-22T00:00:00") - timedelta(minutes=1))
        assert await _steps(town, no, "water") == []
        await _until(town, _at("2026-09-22T00:00:00") + A_MOMENT)
        await town.has_told(no, "permits-water.1", ["yellow.0"])
        await _until(town, _at("2026-09-24T17:30:00") + A_MOMENT)
        await town.has_told(no, "permits-water.1", ["yellow.0", "red.0"])
        assert (await town.reading.first_break())[1] is None


@pytest.mark.rule("RB-5.4")
async def test_a_step_that_came_before_a_pause_does_not_come_again(town: Town) -> None:
    no, water = await _bundle(town)
    await _until(town, YELLOW + A_MOMENT)
    await town.has_told(no, "permits-water.1", ["yellow.0"])
    await town.report(water, TaskEventKind.CORRECTION_OPENED, missing=("图",), basis=Basis.POLICY)
    await _until(town, _at("2026-09-21T10:00:00"))
    await town.report((await town.tasks(no))["permits-water.1"], TaskEventKind.CORRECTION_CLOSED)
    # Yellow on the 17th, with two working days left: 22 and 23.
    await _until(town, _at("2026-09-23T17:30:00") - timedelta(minutes=1))
    assert await _steps(town, no, "water") == ["yellow.0"]
    await _until(town, _at("2026-09-23T17:30:00") + A_MOMENT)
    await town.has_told(no, "permits-water.1", ["yellow.0", "red.0"])


@pytest.mark.rule("RB-2.2", "RB-5.2")
async def test_the_clocks_of_a_case_are_watched_and_stand_still_with_it(town: Town) -> None:
    """INT13 counts the utility's steps only: while the customer builds, it arms nothing."""
    no, _ = await _bundle(town)
    for task in await town.waiting(no):
        await town.answer(task, STORY.outcome(task))
    await town.owed(no, "build_line.1")
    await town.let_pass(timedelta(days=30), owed=1)
    page = await town.reading.notices(recipient=None, limit=100, cursor=None)
    assert [n.id for n in page.items if ".INT13." in n.id] == []
    # HV40 runs on while the line is built: 40 working days from the 14th of September end on
    # the 13th of November; yellow comes two working days before.
    await town.let_pass(_at("2026-11-11T00:00:00") + A_MOMENT - town.now(), owed=1)
    await town.has_told(no, None, ["yellow.0"])
    await town.let_pass(_at("2026-11-13T17:30:00") + A_MOMENT - town.now(), owed=1)
    await town.has_told(no, None, ["yellow.0", "red.0"])
    page = await town.reading.notices(recipient="utility", limit=100, cursor=None)
    assert sorted(n.id for n in page.items if n.task_id is None) == [
        f"ladder.{no}.HV40.red.0",
        f"ladder.{no}.HV40.yellow.0",
    ]
