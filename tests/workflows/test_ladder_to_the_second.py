"""Alarms of a running process at their very second, over a make-up Saturday and New Year (RB-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from domain.connection import Voltage
from storage.reading import EventRecord
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import STORIES

STORY = STORIES["high.connected"]
A_SECOND = timedelta(seconds=1)
# An alarm is never early; a busy machine may take a moment to wake the process.
SOON = timedelta(seconds=5)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


@dataclass(frozen=True)
class Weeks:
    """A case whose supply plan is owed from `begins` on, for five working days.

    Attributes:
        alarms: when yellow, red, red and one day, red and three days come.
    """

    begins: datetime
    alarms: Sequence[datetime]


WEEKS = {
    # Off from Thursday 1 to Wednesday 7 October; Saturday the 10th is worked, and the last day.
    "a make-up Saturday": Weeks(
        _at("2026-09-28T10:00:00"),
        (
            _at("2026-10-08T00:00:00"),
            _at("2026-10-10T17:30:00"),
            _at("2026-10-12T17:30:00"),
            _at("2026-10-14T17:30:00"),
        ),
    ),
    # 2027 is not published: Friday 1 January counts, provisionally.
    "New Year": Weeks(
        _at("2026-12-28T10:00:00"),
        (
            _at("2026-12-31T00:00:00"),
            _at("2027-01-04T17:30:00"),
            _at("2027-01-05T17:30:00"),
            _at("2027-01-07T17:30:00"),
        ),
    ),
}
STEPS = ("yellow.0", "red.0", "red.1", "red.3")


async def _plan_owed(town: Town, begins: datetime) -> str:
    town.clock = replace(town.clock, civil_origin=begins)
    no = await town.submit(Voltage.HIGH)
    await town.answer_all(no, STORY, "check_papers.1")
    await town.owed(no, "supply_plan.1")
    return no


async def _sent(town: Town, no: str) -> list[EventRecord]:
    """Return what the ladder sent of the supply plan."""
    sent = await town.events(no, "supervision_sent")
    return [event for event in sent if event.task_id == f"{no}.supply_plan.1"]


async def _until_sent(town: Town, no: str, count: int) -> None:
    async def look() -> bool | None:
        return True if len(await _sent(town, no)) == count else None

    await eventually(look, f"{count} steps of {no}")


@pytest.mark.rule("RB-5.2", "RB-1.1", "RB-1.4")
@pytest.mark.parametrize("weeks", WEEKS.values(), ids=WEEKS)
async def test_an_alarm_comes_at_its_second_and_not_the_second_before(
    town: Town, weeks: Weeks
) -> None:
    no = await _plan_owed(town, weeks.begins)
    (task,) = await town.owed(no, "supply_plan.1")
    assert task.due_on == weeks.alarms[STEPS.index("red.0")].date()
    for position, instant in enumerate(weeks.alarms):
        await town.let_pass(instant - A_SECOND - town.now(), owed=1)
        assert len(await _sent(town, no)) == position
        assert instant - A_SECOND <= town.now() < instant
        await town.comes(instant)
        await _until_sent(town, no, position + 1)
    sent = await _sent(town, no)
    assert [event.body["step"] for event in sent] == list(STEPS)
    for event, instant in zip(sent, weeks.alarms, strict=True):
        assert instant <= event.at < instant + SOON
