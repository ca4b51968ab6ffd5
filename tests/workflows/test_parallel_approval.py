"""What runs at the same time: departments among each other, and the line beside the works."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from domain.connection import Ending, Voltage
from domain.naming import bundle_id
from tests.workflows.harness import Town
from tests.workflows.stories import (
    FIVE_DEPARTMENTS,
    HIGHWAY,
    RIVER,
    ROUTE_OF_TWO,
    STORIES,
    Story,
    designed,
    every_item,
    route,
)

PERMITS = sorted(f"permits-{department}.1" for department in FIVE_DEPARTMENTS)
TWO = ("permits-transport.1", "permits-water.1")
GRANTED = STORIES["high.connected"]


async def _designed(town: Town, story: Story) -> str:
    """Bring a case to where its route is designed and the customer's works are owed."""
    no = await town.submit(Voltage.HIGH)
    await town.answer_all(no, story, "check_papers.1")
    await town.answer_all(no, story, "supply_plan.1")
    await town.answer_all(no, story, "confirm_plan.1")
    await town.answer_all(no, story, "line_design.1")
    await town.owed(no, "customer_works.1")
    return no


@pytest.mark.rule("RB-4.1")
@pytest.mark.parametrize("first", PERMITS)
async def test_every_department_is_asked_at_once_and_none_waits_for_another(
    first: str, town: Town
) -> None:
    no = await _designed(town, GRANTED)
    tasks = await town.owed(no, *PERMITS)
    # Asked in one step of the process: at the same instant, before anybody answered.
    assert len({task.opened_at for task in tasks}) == 1
    others = [name for name in PERMITS if name != first]
    for name in (first, *reversed(others)):
        assert "build_line.1" not in await town.tasks(no)
        await town.answer_all(no, GRANTED, name)
    await town.owed(no, "build_line.1")


@pytest.mark.rule("RB-4.5")
async def test_400_days_of_silence_are_no_approval(town: Town) -> None:
    no = await _designed(town, GRANTED)
    silent, *answering = PERMITS
    await town.owed(no, *PERMITS)
    await town.answer_all(no, GRANTED, *answering)
    await town.let_pass(timedelta(days=400), owed=2)
    assert await town.open_tasks(no) == {silent, "customer_works.1"}
    assert "build_line.1" not in await town.tasks(no)
    assert await town.events(no, "bundle_concluded") == []


@pytest.mark.rule("RB-4.5")
async def test_a_late_answer_is_taken_and_marked_late(town: Town) -> None:
    no = await _designed(town, GRANTED)
    late, *in_time = PERMITS
    await town.owed(no, *PERMITS)
    await town.answer_all(no, GRANTED, *in_time)
    await town.let_pass(timedelta(days=400), owed=2)
    await town.answer_all(no, GRANTED, late)
    await town.owed(no, "build_line.1")
    tasks = await town.tasks(no)
    assert {name for name, task in tasks.items() if task.is_late} == {late}


@pytest.mark.rule("RB-4.7")
@pytest.mark.parametrize("order", list(permutations(TWO)), ids="-then-".join)
async def test_one_refusal_cancels_no_other(order: tuple[str, str], town: Town) -> None:
    story = STORIES["high.revised_route"]
    no = await _designed(town, story)
    await town.owed(no, *TWO)
    await town.answer_all(no, story, order[0])
    assert await town.open_tasks(no) == {order[1], "customer_works.1"}
    await town.answer_all(no, story, order[1])
    await town.owed(no, "line_design.2")
    (concluded,) = await town.events(no, "bundle_concluded")
    assert (concluded.body["round"], concluded.body["verdict"]) == (1, "partial")


@pytest.mark.rule("RB-4.7")
async def test_a_revised_route_asks_only_for_what_is_not_held(town: Town) -> None:
    story = STORIES["high.revised_route"]
    no = await town.submit(Voltage.HIGH)
    await town.tell(no, story)
    tasks = await town.tasks(no)
    assert [name for name in sorted(tasks) if name.startswith("permits")] == [
        "permits-transport.1",
        "permits-water.1",
        "permits-water.2",
    ]
    first, second = await town.events(no, "permits_listed")
    assert second.body["required"] == first.body["required"]
    assert second.body["asked"] == [item for item in first.body["asked"] if "water" in item]


@pytest.mark.rule("RB-4.7")
async def test_a_permit_that_the_revision_touches_is_asked_for_again(town: Town) -> None:
    story = Story(
        Voltage.HIGH,
        Ending.CONNECTED,
        {
            "line_design.1": designed(ROUTE_OF_TWO),
            "permits-water.1": every_item("refused"),
            "line_design.2": designed(route({**HIGHWAY, "method": "trenchless"}, RIVER)),
        },
    )
    no = await town.submit(Voltage.HIGH)
    await town.tell(no, story)
    assert {"permits-transport.2", "permits-water.2"} <= set(await town.tasks(no))


@pytest.mark.rule("RB-4.2")
async def test_a_route_without_permits_is_stated_as_such(town: Town) -> None:
    story = STORIES["high.no_permit_needed"]
    no = await _designed(town, story)
    await town.owed(no, "build_line.1")
    (listed,) = await town.events(no, "permits_listed")
    assert (listed.body["required"], listed.body["asked"]) == ([], [])
    (concluded,) = await town.events(no, "bundle_concluded")
    assert concluded.body == {"round": 1, "verdict": "no_permit_needed"}


@pytest.mark.rule("RB-4.4")
async def test_a_road_opened_lately_is_flagged_and_asked_of_no_department(town: Town) -> None:
    street = {
        "road": "urban",
        "method": "open_cut",
        "road_opened_on": "2024-05-01",
    }
    story = Story(Voltage.HIGH, Ending.CONNECTED, {"line_design.1": designed(route(street))})
    no = await _designed(town, story)
    await town.owed(no, "permits-urban-management.1")
    (listed,) = await town.events(no, "permits_listed")
    assert [note["id"] for note in listed.body["exceptions"]] == ["road-opened-lately"]
    assert [name for name in await town.tasks(no) if name.startswith("permits")] == [
        "permits-urban-management.1"
    ]


@pytest.mark.rule("RB-6.2")
@pytest.mark.parametrize("last", ["build_line.1", "customer_works.1"])
async def test_line_and_customer_works_run_in_parallel_and_inspection_waits_for_both(
    last: str, town: Town
) -> None:
    story = STORIES["high.no_permit_needed"]
    no = await _designed(town, story)
    await town.owed(no, "build_line.1", "customer_works.1")
    (first,) = {"build_line.1", "customer_works.1"} - {last}
    await town.answer_all(no, story, first)
    await town.let_pass(timedelta(days=30), owed=1)
    assert await town.open_tasks(no) == {last}
    await town.answer_all(no, story, last)
    await town.owed(no, "inspection.1")


@pytest.mark.rule("RB-4.1")
async def test_a_department_is_waited_for_by_the_process_of_its_bundle(town: Town) -> None:
    no = await _designed(town, GRANTED)
    for task in await town.owed(no, *PERMITS):
        assert task.workflow_id == bundle_id(no, 1)
