"""The ladder in a running process: each step once per cause, whatever happens meanwhile (RB-5)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from api.recalculating import Recalculation
from domain.connection import Voltage
from domain.working_time import CalendarYear
from policy.calendar import calendar
from storage.calendars import Calendars
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town
from tests.workflows.stories import STORIES

STORY = STORIES["high.connected"]
A_MOMENT = timedelta(seconds=1)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


# The supply plan is owed from Monday 2026-09-14 on, five working days; Sunday the 20th is worked.
YELLOW, RED = _at("2026-09-17T00:00:00"), _at("2026-09-20T17:30:00")
# Mid-Autumn is Friday the 25th, and the weekend follows.
RED_1, RED_3 = _at("2026-09-21T17:30:00"), _at("2026-09-23T17:30:00")
LADDER = [
    ("yellow.0", "utility"),
    ("red.0", "utility"),
    ("red.1", "government-services-data"),
    ("red.3", "special-group"),
]


async def _plan_owed(town: Town, *, is_watched: bool = True) -> str:
    no = await town.submit(Voltage.HIGH, is_watched=is_watched)
    await town.answer_all(no, STORY, "check_papers.1")
    await town.owed(no, "supply_plan.1")
    return no


async def _told(town: Town, no: str) -> list[tuple[str, str]]:
    page = await town.reading.notices(recipient=None, limit=100, cursor=None)
    return [
        (each.body["step"], each.recipient)
        for each in reversed(page.items)
        if each.case_no == no and each.kind == "supervision"
    ]


async def _until(town: Town, instant: datetime) -> None:
    await town.let_pass(instant - town.now(), owed=1)


@pytest.mark.rule("RB-5.2", "RB-5.4")
@pytest.mark.parametrize("cached", [100, 0])
async def test_each_step_comes_at_its_instant_and_once(open_town: OpenTown, cached: int) -> None:
    async with open_town(max_cached_workflows=cached) as town:
        no = await _plan_owed(town)
        for position, instant in enumerate((YELLOW, RED, RED_1, RED_3)):
            await _until(town, instant - timedelta(minutes=1))
            assert await _told(town, no) == LADDER[:position]
            await _until(town, instant + A_MOMENT)
            await town.told(no, position + 1)
            assert await _told(town, no) == LADDER[: position + 1]
        sent = await town.events(no, "supervision_sent")
        assert [event.body["step"] for event in sent] == [step for step, _ in LADDER]
        assert (await town.reading.first_break())[1] is None


@pytest.mark.rule("RB-5.2", "RB-4.5")
async def test_a_late_outcome_stops_the_ladder(town: Town) -> None:
    no = await _plan_owed(town)
    await _until(town, RED + A_MOMENT)
    await town.told(no, 2)
    await town.answer_all(no, STORY, "supply_plan.1")
    await town.owed(no, "confirm_plan.1")
    await _until(town, RED_3 + A_MOMENT)
    assert await _told(town, no) == LADDER[:2]


@pytest.mark.rule("RB-5.2")
async def test_what_is_done_in_time_is_not_told(town: Town) -> None:
    no = await _plan_owed(town)
    await _until(town, YELLOW - timedelta(minutes=1))
    await town.answer_all(no, STORY, "supply_plan.1")
    await town.owed(no, "confirm_plan.1")
    await _until(town, RED_3)
    assert await _told(town, no) == []


@pytest.mark.rule("RB-5.4", "RB-1.7")
async def test_a_calendar_published_meanwhile_moves_the_ladder(town: Town) -> None:
    no = await _plan_owed(town)
    await _until(town, YELLOW + A_MOMENT)
    await town.told(no, 1)
    calendars = Calendars(town.casefile.engine, calendar)
    year = calendar().years[2026]
    off = year.holidays | {date(2026, 9, 18)}
    await calendars.publish(
        CalendarYear(2026, off, year.make_up_days, "示例更正通知"), by="supervisor"
    )
    recalculation = Recalculation(town.casefile, calendars, town.engine, town.engine_now)
    assert await recalculation.some() == 1
    assert await recalculation.tell() == 1
    assert await recalculation.tell() == 0
    # Friday the 18th is off now: the plan is due a working day later, and yellow came already.
    await _until(town, RED + A_MOMENT)
    assert await _told(town, no) == LADDER[:1]
    await _until(town, RED_1 + A_MOMENT)
    await town.told(no, 2)
    assert await _told(town, no) == LADDER[:2]


async def test_a_case_from_before_the_ladder_goes_on_without(town: Town) -> None:
    no = await _plan_owed(town, is_watched=False)
    await _until(town, RED_3 + A_MOMENT)
    assert await _told(town, no) == []


@pytest.mark.rule("RB-5.2")
async def test_a_department_that_is_late_is_watched_though_a_bundle_owes_it(town: Town) -> None:
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1"):
        await town.answer_all(no, STORY, name)
    await town.answer_all(no, STORY, "line_design.1", "customer_works.1")
    late = await town.waiting(no)
    assert len(late) == 5
    await town.let_pass(RED + A_MOMENT - town.now(), owed=len(late))
    await town.told(no, 2 * len(late))
    told = await _told(town, no)
    assert sorted(told) == sorted(
        (step, task.owed_by) for step in ("yellow.0", "red.0") for task in late
    )
