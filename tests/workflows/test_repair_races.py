"""No decision is asked for twice: reset and restart anywhere while outcomes race in (RB-12.3).

Every state of a bundle between its first and its last answer, every event of its history at that
moment, and the restart from the file: each in a case of its own, with the remaining departments
answering while it is carried out.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from domain.connection import Ending, Voltage
from domain.errors import IllegalRepair
from domain.naming import bundle_id
from domain.repair_plan import Target
from domain.repairs import RepairKind
from operations.planning import ENDS_OF_TASKS, Asked
from storage.repairs import ItemState
from tests.workflows.administrators import Administrators, pushed
from tests.workflows.agency_system import AgencySystem, listening
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import FIVE_DEPARTMENTS, STORIES

STORY = STORIES["high.connected"]
DEPARTMENTS = [f"permits-{department}.1" for department in sorted(FIVE_DEPARTMENTS)]
BEFORE = ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1", "customer_works.1")
AT_ONCE = 4
IN_THE_MIDDLE = 2
"""Answers after which the case's own process is reset as well, at each of its events."""

pytestmark = pytest.mark.rule("RB-12.3", "RB-5.4")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repair that is to be tried: a restart, or a reset of the bundle or of the case.

    Attributes:
        task: to which of its workflow tasks, counted from 0.
    """

    kind: RepairKind
    task: int | None = None
    of_bundle: bool = False


@pytest.fixture
def departments() -> Iterator[AgencySystem]:
    with listening() as system:
        yield system


async def _bundle(town: Town, answered: int) -> str:
    """Bring a case to where so many departments have answered, one after another."""
    no = await town.submit(Voltage.HIGH)
    for name in BEFORE:
        await town.answer_all(no, STORY, name)
    administrators = Administrators(town)
    for name in DEPARTMENTS[:answered]:
        await administrators.settled(no)
        await town.answer_all(no, STORY, name)
    await administrators.settled(no)
    return no


async def _raced(
    town: Town, system: AgencySystem, kind: RepairKind, target: Target, answered: int
) -> None:
    """Repair a case while the other departments answer; check that each effect came once."""
    no, administrators = target.case_no, Administrators(town)
    seen = await administrators.settled(no)
    decided = {task.id for task in seen.standing.tasks if task.outcome}
    before = pushed(system)
    chance = random.Random(f"{kind} {answered} {target.event_id}")

    async def has_begun() -> bool | None:
        return True if await town.events(no, "repair_begun") else None

    async def answer(name: str) -> None:
        # Before it has begun an answer would only make the plan stale.
        await eventually(has_begun, f"the repair of {no}")
        await asyncio.sleep(chance.uniform(0, 0.4))
        await town.answer_all(no, STORY, name)

    planned = await administrators.put(kind, target)
    approved = await administrators.approved(planned)
    answers = [asyncio.create_task(answer(name)) for name in DEPARTMENTS[answered:]]
    (repaired,) = await administrators.carry_out(approved)
    await asyncio.gather(*answers)
    assert repaired.item.state is ItemState.DONE, repaired.item.problem
    assert repaired.report.deviations == (), repaired.report
    case = await town.tell(no, STORY)
    assert case.ending == Ending.CONNECTED

    again = pushed(system) - before
    assert not decided & set(again), "what was decided was asked for again"
    assert all(times == 1 for task, times in again.items() if task.startswith(no)), again
    events = Counter(
        (e.kind, e.task_id, e.body.get("round"), e.body.get("step"))
        for e in await town.reading.events(no)
    )
    assert {each for each, times in events.items() if times > 1} == set()


@pytest.mark.timeout(400)
async def test_each_effect_comes_once_wherever_a_bundle_is_reset_or_restarted(
    departments: AgencySystem, open_settled_town: OpenTown
) -> None:
    bases = dict.fromkeys(FIVE_DEPARTMENTS, departments.base)
    async with open_settled_town(bases=bases) as town:
        resets = 0
        for answered in range(len(DEPARTMENTS)):
            probe = await _bundle(town, answered)
            events = (await town.history(bundle_id(probe, 1))).events
            ends = [each.event_id for each in events if each.event_type in ENDS_OF_TASKS]
            for event in events:
                if event.event_id not in ends:
                    await _is_refused(town, probe, event.event_id)
            bundle = [Wanted(RepairKind.RESET, n, of_bundle=True) for n in range(len(ends))]
            resets += len(ends)
            wanted = [*bundle, Wanted(RepairKind.RESTART)]
            if answered == IN_THE_MIDDLE:
                own = (await town.history(probe)).events
                own_ends = [each for each in own if each.event_type in ENDS_OF_TASKS]
                wanted += [Wanted(RepairKind.RESET, n) for n in range(len(own_ends))]
            await _in_turns(town, departments, wanted, answered)
        # One workflow task at the start, and one more for each answer.
        assert resets >= 1 + 2 + 3 + 4 + 5
        assert (await town.reading.first_break())[1] is None


async def _in_turns(
    town: Town,
    departments: AgencySystem,
    wanted: list[Wanted],
    answered: int,
) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(each: Wanted) -> None:
        async with turns:
            no = await _bundle(town, answered)
            process = bundle_id(no, 1) if each.of_bundle else None
            event_id = None
            if each.task is not None:
                # Where two answers come at once, a case has a workflow task less than another.
                history = (await town.history(process or no)).events
                ends = [e.event_id for e in history if e.event_type in ENDS_OF_TASKS]
                event_id = ends[min(each.task, len(ends) - 1)]
            target = Target(case_no=no, process=process, event_id=event_id)
            await _raced(town, departments, each.kind, target, answered)

    await asyncio.gather(*map(one, wanted))


async def _is_refused(town: Town, no: str, event_id: int) -> None:
    target = Target(case_no=no, process=bundle_id(no, 1), event_id=event_id)
    with pytest.raises(IllegalRepair, match="cannot be reset to event"):
        await Administrators(town).repairing.planned(Asked(RepairKind.RESET, target))
