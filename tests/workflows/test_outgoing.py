"""What leaves for departments' systems: all at once; one that is away costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from activities.agencies import Agencies
from api.outbox import Sender
from domain.connection import Ending, Voltage
from storage.outbox import Outbox
from tests.support.receiver import Receiver, receiving
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import EVENTUALLY_S, Town, eventually
from tests.workflows.stories import APPLICATIONS, FIVE_DEPARTMENTS, STORIES, Story
from tests.workflows.test_privacy import personal

DEPARTMENTS = sorted(FIVE_DEPARTMENTS)
PERMITS = [f"permits-{department}.1" for department in DEPARTMENTS]
GRANTED = STORIES["high.connected"]
WEEK = timedelta(days=7)
A_WEEK_TAKES_S = 10

Systems = dict[str, Receiver]


@pytest.fixture
async def systems() -> AsyncIterator[Systems]:
    """The systems of the five departments; they take what comes, and answer later."""
    async with AsyncExitStack() as stack:
        found = {each: await stack.enter_async_context(receiving()) for each in DEPARTMENTS}
        for system in found.values():
            system.usual = 202
        yield found


def _bases(systems: Systems) -> Mapping[str, str]:
    return {agency: system.base for agency, system in systems.items()}


async def _designed(town: Town, story: Story = GRANTED) -> str:
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1"):
        await town.answer_all(no, story, name)
    return no


async def _arrived(*systems: Receiver) -> None:
    async def look() -> bool | None:
        return True if all(system.arrivals for system in systems) else None

    await eventually(look, "a push to each department")


@pytest.mark.rule("RB-4.1")
async def test_five_pushes_are_on_their_way_at_the_same_time(
    systems: Systems, open_town: OpenTown
) -> None:
    # None is answered before all have arrived: one after the other, the second never would.
    for system in systems.values():
        system.goes_on.clear()
    async with open_town(bases=_bases(systems)) as town:
        no = await _designed(town)
        await _arrived(*systems.values())
        for system in systems.values():
            system.goes_on.set()
        await town.owed(no, *PERMITS)
        assert [len(system.arrivals) for system in systems.values()] == [1] * 5


@pytest.mark.rule("RB-4.1", "RB-4.6")
async def test_a_department_that_is_down_for_a_week_costs_only_its_own_clock(
    systems: Systems, open_town: OpenTown
) -> None:
    down, others = systems["water"], [name for name in PERMITS if "water" not in name]
    down.usual = 503
    speed = WEEK.total_seconds() / A_WEEK_TAKES_S
    async with open_town(bases=_bases(systems), speed=speed) as town:
        no = await _designed(town)
        began = town.now()
        await _arrived(*(system for system in systems.values() if system is not down))
        await town.answer_all(no, GRANTED, *others)

        async def failing() -> bool | None:
            task = (await town.tasks(no))["permits-water.1"]
            return True if task.push_failing_since else None

        await eventually(failing, "the failing push to be noted")
        await town.comes(began + WEEK)
        assert await town.open_tasks(no) >= {"permits-water.1"}
        down.usual = 202
        await _taken(town, no)
        await town.answer_all(no, GRANTED, "permits-water.1")
        await town.owed(no, "build_line.1")
        tasks = await town.tasks(no)
        late = {name for name in PERMITS if tasks[name].is_late}
        assert late == {"permits-water.1"}
        urged = {event.task_id for event in await town.events(no, "supervision_sent")}
        assert urged & {tasks[name].id for name in PERMITS} == {tasks["permits-water.1"].id}
        for department in FIVE_DEPARTMENTS - {"water"}:
            assert len(systems[department].arrivals) == 1


async def _taken(town: Town, no: str) -> None:
    async def look() -> bool | None:
        task = (await town.tasks(no))["permits-water.1"]
        return True if task.push_failing_since is None else None

    await eventually(look, "the push to be taken")


@pytest.mark.rule("RB-13.1")
async def test_departments_are_told_that_a_case_was_withdrawn_and_not_by_whom(
    systems: Systems, open_town: OpenTown
) -> None:
    async with open_town(bases=_bases(systems)) as town:
        no = await _designed(town)
        await town.answer_all(no, GRANTED, "permits-police.1")
        await town.owed(no, *[name for name in PERMITS if "police" not in name])
        await town.withdraw(no)
        assert (await town.case(no)).ending == Ending.WITHDRAWN
        told = await _told(town, systems)
    # The police had decided, and has nothing to take back.
    assert told == {
        department: [f"withdrawn:{no}:permits-{department}:1"]
        for department in DEPARTMENTS
        if department != "police"
    }
    for value in personal(APPLICATIONS[Voltage.HIGH]):
        for system in systems.values():
            events = [each.body for each in system.arrivals if each.method == "POST"]
            assert value.encode() not in b"".join(events)


@pytest.mark.rule("RB-4.7")
async def test_a_department_is_told_that_a_revised_route_asks_it_anew(
    systems: Systems, open_town: OpenTown
) -> None:
    async with open_town(bases=_bases(systems)) as town:
        no = await town.submit(Voltage.HIGH)
        await town.tell(no, STORIES["high.revised_route"])
        told = await _told(town, systems)
    # The other department's permit is still good, so it is told nothing.
    assert told == {"water": [f"revised:{no}:permits-water:1:2"]}


async def _told(town: Town, systems: Systems) -> dict[str, list[str]]:
    """Send what the outbox holds; return the ids of the events that arrived, by department."""
    agencies = Agencies(_bases(systems), dict.fromkeys(systems, "a key of this test"))
    sender = Sender(Outbox(town.casefile.engine), agencies, town.engine_now, town.clock)
    for department in systems:
        async with asyncio.timeout(EVENTUALLY_S):
            await sender.some(department)
    await agencies.close()
    told = {
        department: [each.json["id"] for each in system.arrivals if each.method == "POST"]
        for department, system in systems.items()
    }
    return {department: ids for department, ids in told.items() if ids}
