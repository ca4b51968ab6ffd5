"""Durability: what goes wrong once on the way changes nothing of where a case arrives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import pytest

from domain.connection import Ending
from storage.chain import canonical
from tests.workflows.conftest import OpenTown
from tests.workflows.faults import Fault, Faults
from tests.workflows.harness import Town
from tests.workflows.stories import STORIES, Story

STORY = STORIES["high.revised_route"]
LAPSED = STORIES["low.deemed_accepted"]
GUARDED = STORIES["low.guarded"]
ACTIVITIES = {
    "owe": STORY,
    "notice_lapses_at": STORY,
    "deem_accepted": LAPSED,
    "accept_case": STORY,
    "take_survey": GUARDED,
    "list_permits": STORY,
    "plan_permits": STORY,
    "file_with_departments": GUARDED,
    "conclude_bundle": STORY,
    "ring_ladder": LAPSED,
    "look_out": LAPSED,
    "end_case": STORY,
}
"""Every activity, with a story in which it runs."""
OLDER = frozenset({"ring_ladder", "list_permits"})
"""Those that only cases of the first edition run."""


async def _told(
    town: Town,
    story: Story = STORY,
    *,
    has_back_offs: bool = False,
    is_older: bool = False,
) -> Mapping[str, Any]:
    """Tell a story; return everything on file that does not say when, or under which number."""
    no = await town.submit(story.voltage, is_older=is_older)
    async with town.hurrying() if has_back_offs else nullcontext():
        case = await town.tell(no, story)
    tasks = await town.tasks(no)
    return {
        "case": (case.state, case.ending, case.stage, case.reached, case.investment),
        "tasks": {
            name: (task.state, task.outcome, task.asked, task.owed_by, task.due_on, task.link)
            for name, task in tasks.items()
        },
        "events": Counter(
            (event.kind, event.by, (event.task_id or "").removeprefix(no), canonical(event.body))
            for event in await town.reading.events(no)
            if event.kind != "submitted"
        ),
        "chain": (await town.reading.first_break())[1],
    }


_UNDISTURBED: dict[tuple[int, bool], Mapping[str, Any]] = {}


async def _undisturbed(
    open_town: OpenTown, story: Story, *, is_older: bool = False
) -> Mapping[str, Any]:
    """Tell a story to which nothing happens; once is enough for all tests."""
    key = id(story), is_older
    if key not in _UNDISTURBED:
        async with open_town() as town:
            _UNDISTURBED[key] = await _told(town, story, is_older=is_older)
    return _UNDISTURBED[key]


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", ACTIVITIES)
async def test_one_fault_changes_nothing(name: str, fault: Fault, open_town: OpenTown) -> None:
    story, faults = ACTIVITIES[name], Faults(name, fault)
    is_older = name in OLDER
    async with open_town(faults) as town:
        # A local activity's back-off is short, and kept by the worker.
        disturbed = await _told(town, story, has_back_offs=name == "owe", is_older=is_older)
    assert faults.struck > 0
    assert disturbed == await _undisturbed(open_town, story, is_older=is_older)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", ["low.withdrawn", "high.withdrawn"])
async def test_one_fault_of_a_withdrawal_changes_nothing(
    name: str, fault: Fault, open_town: OpenTown
) -> None:
    """Its last step is not like the others': it is an activity of its own."""
    story, faults = STORIES[name], Faults("end_case", fault)
    async with open_town(faults) as town:
        disturbed = await _told(town, story)
    assert faults.struck == 1
    assert disturbed == await _undisturbed(open_town, story)


async def test_every_activity_there_is_is_put_to_this_test(open_town: OpenTown) -> None:
    faults = Faults()
    async with open_town(faults, is_working=False) as town, town.working() as worker:
        for story in (STORY, LAPSED):
            assert (await _told(town, story))["case"][1] == Ending.CONNECTED
        assert faults.seen == set(ACTIVITIES) - OLDER
        assert len(worker.config()["activities"]) == len(ACTIVITIES)


async def test_a_worker_that_remembers_nothing_tells_the_same_story(open_town: OpenTown) -> None:
    async with open_town(max_cached_workflows=0) as town:
        told = await _told(town)
    assert told == await _undisturbed(open_town, STORY)


async def test_the_comparison_sees_a_difference(town: Town) -> None:
    told = await _told(town)
    other = await _told(town, STORIES["high.granted_with_conditions"])
    assert {what for what in told if told[what] != other[what]} == {"tasks", "events"}
