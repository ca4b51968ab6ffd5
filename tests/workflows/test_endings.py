"""Both stories, told to each of their endings (RB-6)."""

from __future__ import annotations

import pytest

from tests.workflows.harness import Town
from tests.workflows.stories import STORIES, Story, endings


def test_every_ending_of_each_voltage_has_a_story() -> None:
    assert {(story.voltage, story.ending) for story in STORIES.values()} == set(endings())


@pytest.mark.rule("RB-6.1")
@pytest.mark.parametrize("name", STORIES)
async def test_a_story_reaches_its_ending(name: str, town: Town) -> None:
    story = STORIES[name]
    no = await town.submit(story.voltage)
    case = await town.tell(no, story)
    await _check_ended(town, no, story)
    assert (case.state, case.ending) == ("ended", story.ending)


@pytest.mark.parametrize("name", ["low.connected", "high.revised_route", "high.withdrawn"])
async def test_a_story_runs_the_same_on_the_engine_of_service(
    name: str, settled_town: Town
) -> None:
    story = STORIES[name]
    no = await settled_town.submit(story.voltage)
    await settled_town.tell(no, story)
    await _check_ended(settled_town, no, story)


async def _check_ended(town: Town, no: str, story: Story) -> None:
    tasks = await town.tasks(no)
    closed = {name for name, task in tasks.items() if task.state == "closed"}
    # What runs beside the bundle may or may not have been answered when the case is withdrawn.
    assert closed == story.leaves_open or (story.is_withdrawn and closed > story.leaves_open)
    assert {task.closed_by for task in tasks.values()} - {None} == (
        {story.ending} if closed else set()
    )
    (ended,) = await town.events(no, "ended")
    assert ended.body["ending"] == story.ending
    assert ended.body["closed_tasks"] == sorted(tasks[name].id for name in closed)
    results = [event.body["verdict"] for event in await town.events(no, "bundle_concluded")]
    assert [*results, *(["withdrawn"] if "withdrawn" in story.bundles else [])] == [*story.bundles]
    assert (await town.closing(no)).ending is story.ending
    assert (await town.reading.first_break()) == (1, None)
