"""A promise over New Year: provisional while the coming year is not published, then firm (RB-1.6).

A whole case on the real engine, seen and moved through the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from domain.connection import Voltage
from storage.reading import NoticeRecord
from tests.support.serving import Api
from tests.workflows.harness import Town, eventually
from tests.workflows.serving import serving
from tests.workflows.stories import STORIES

SUPERVISOR = "government-services-data"
STORY = STORIES["high.connected"]
ACCEPTED_AT = datetime.fromisoformat("2026-11-23T10:00:00+08:00")
# Forty working days by weekends alone: eight weeks, from a Monday to a Monday.
BY_WEEKENDS = "2027-01-18"
YEAR_2027: Mapping[str, Any] = {
    "notice": "虚构示例，仅供测试：2027年部分节假日安排",
    "holidays": ["2027-01-01", "2027-01-02", "2027-01-03", "2027-01-04"],
    "make_up_days": ["2027-01-09"],
}
# Friday the 1st and Monday the 4th are off, Saturday the 9th is worked: one day later.
BY_NOTICE = "2027-01-19"
YEAR_2028: Mapping[str, Any] = {
    "notice": "虚构示例，仅供测试：2028年部分节假日安排",
    "holidays": ["2028-01-01"],
    "make_up_days": [],
}


async def _accepted(town: Town) -> str:
    """Have a case accepted on 23 November 2026, and its supply plan owed."""
    assert town.clock.civil_origin is not None
    town.clock = replace(town.clock, civil_origin=ACCEPTED_AT)
    no = await town.submit(Voltage.HIGH)
    await town.answer_all(no, STORY, "check_papers.1")
    await town.owed(no, "supply_plan.1")
    return no


async def _clock(api: Api, no: str, which: str = "HV40") -> Mapping[str, Any]:
    shown = (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
    clock: Mapping[str, Any] = next(each for each in shown if each["id"] == which)
    return clock


async def _publish(api: Api, year: int, body: Mapping[str, Any]) -> None:
    """Publish a year and wait until every open case rests on it."""
    answer = await api.call("PUT", f"/api/v1/calendar/years/{year}", SUPERVISOR, json=body)
    assert answer.status_code == 201, answer.text

    async def look() -> bool | None:
        standing = (await api.call("GET", "/api/v1/calendar/recalculation", None)).json()
        return True if standing["behind"] == 0 else None

    await eventually(look, f"the recalculation with {year}")


async def _promises_moved(town: Town) -> list[NoticeRecord]:
    page = await town.reading.notices(recipient=None, limit=100, cursor=None)
    return [each for each in page.items if each.kind == "promise_moved"]


async def _signals(town: Town, no: str) -> int:
    history = await town.history(no)
    signaled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return sum(event.event_type == signaled for event in history.events)


@pytest.mark.rule("RB-1.6", "RB-1.7", "RB-2.2")
async def test_a_provisional_promise_firms_up_and_is_told_once(town: Town) -> None:
    no = await _accepted(town)
    async with serving(town) as api:
        clock = await _clock(api, no)
        assert (clock["started_on"], clock["due_on"]) == ("2026-11-23", BY_WEEKENDS)
        assert (clock["is_provisional"], clock["calendar_version"]) == (True, "cn-2026.1")
        assert clock["why"]["notices"]["2027"] is None
        assert any("暂定" in paragraph for paragraph in clock["why"]["words"]["zh"])
        assert (clock["state"], clock["light"], clock["left"]) == ("running", "green", 40)
        assert (await _clock(api, no, "INT13"))["is_provisional"] is False

        await _publish(api, 2027, YEAR_2027)
        firm = await _clock(api, no)
        assert (firm["due_on"], firm["is_provisional"]) == (BY_NOTICE, False)
        assert firm["calendar_version"] == "cn-2027.2"
        assert firm["why"]["notices"]["2027"] == YEAR_2027["notice"]
        (event,) = await town.events(no, "calendar_changed")
        moved = event.body["clocks"]
        assert moved.keys() == {"HV40"}
        assert (moved["HV40"]["old"], moved["HV40"]["new"]) == (BY_WEEKENDS, BY_NOTICE)
        (told,) = await _promises_moved(town)
        assert (told.case_no, told.recipient) == (no, (await town.case(no)).submitted_by)
        assert told.body["clocks"] == moved
        # The plan is due in November: no task moved, and nobody is told of one.
        assert event.body["tasks"] == {}
        await town.recorded(no, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)

        await _publish(api, 2028, YEAR_2028)
    async with serving(town) as api:  # another API, which knows of nothing but the case file
        again = await api.call("PUT", "/api/v1/calendar/years/2027", SUPERVISOR, json=YEAR_2027)
        assert (again.status_code, again.json()["is_new"]) == (200, False)
        assert (await _clock(api, no))["due_on"] == BY_NOTICE
    assert await town.events(no, "calendar_changed") == [event]
    assert await _promises_moved(town) == [told]
    assert await _signals(town, no) == 1
    assert (await town.reading.first_break())[1] is None


@pytest.mark.rule("RB-1.6", "RB-5.1")
async def test_lights_follow_the_firm_date_and_not_the_provisional_one(town: Town) -> None:
    no = await _accepted(town)
    async with serving(town) as api:
        await _publish(api, 2027, YEAR_2027)
        lights = {}
        # 3 and 2 working days before the firm date, the provisional one, the firm one, and after.
        for day in ("2027-01-14", "2027-01-15", "2027-01-18", "2027-01-19", "2027-01-20"):
            noon = datetime.fromisoformat(f"{day}T12:00:00+08:00")
            await town.let_pass(noon - town.now(), owed=1)
            clock = await _clock(api, no)
            lights[day] = (clock["light"], clock["left"])
        assert lights == {
            "2027-01-14": ("green", 3),
            "2027-01-15": ("yellow", 2),
            "2027-01-18": ("yellow", 1),
            "2027-01-19": ("yellow", 0),
            "2027-01-20": ("red", -1),
        }


@pytest.mark.rule("RB-2.2", "RB-5.2")
async def test_the_promise_is_watched_and_its_ladder_follows_the_firm_date(town: Town) -> None:
    no = await _accepted(town)
    async with serving(town) as api:
        await _publish(api, 2027, YEAR_2027)
        await town.recorded(no, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
        # Monday the 18th would have been the last day: it passes, and nothing turns red.
        for instant, steps in (
            ("2027-01-14T23:59:00", []),
            ("2027-01-15T00:00:01", ["yellow.0"]),
            ("2027-01-19T17:29:00", ["yellow.0"]),
            ("2027-01-19T17:30:01", ["yellow.0", "red.0"]),
        ):
            await town.let_pass(datetime.fromisoformat(f"{instant}+08:00") - town.now(), owed=1)
            await _until_urged(town, f"ladder.{no}.HV40.", steps)
    red = (await town.reading.notices(recipient=None, limit=1, cursor=None)).items[0]
    assert (red.kind, red.body["due_on"]) == ("supervision", BY_NOTICE)


async def _until_urged(town: Town, prefix: str, steps: list[str]) -> None:
    """Wait until exactly these steps of the ladder have come of a clock."""

    async def look() -> bool | None:
        page = await town.reading.notices(recipient=None, limit=100, cursor=None)
        sent = [each.id for each in reversed(page.items) if each.id.startswith(prefix)]
        return True if sent == [f"{prefix}{step}" for step in steps] else None

    await eventually(look, f"{steps} of {prefix}")
