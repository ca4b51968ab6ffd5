"""Whoever carries out a repair may be killed after any of its steps; the next goes on (RB-12.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.connection import Ending, Voltage
from domain.errors import EngineAway
from domain.naming import bundle_id
from domain.repair_plan import Target
from domain.repairs import RepairKind
from storage.repairs import ItemState
from tests.workflows.administrators import Administrators, outcomes
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town
from tests.workflows.stories import STORIES

STORY = STORIES["high.connected"]
BEFORE = ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1", "permits-water.1")

pytestmark = pytest.mark.rule("RB-12.2", "RB-12.3")


async def in_the_middle(town: Town) -> str:
    no = await town.submit(Voltage.HIGH)
    for name in BEFORE:
        await town.answer_all(no, STORY, name)
    await Administrators(town).settled(no)
    return no


def _cut_after(
    monkeypatch: pytest.MonkeyPatch, administrators: Administrators, step: str, time: int
) -> None:
    """Have the engine do a step, and nobody hear of it: as if whoever asked were killed."""
    done: Callable[..., Awaitable[Any]] = getattr(administrators.processes, step)
    calls = 0

    async def cut(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        result = await done(*args, **kwargs)
        if calls == time:
            raise EngineAway("cut off")
        return result

    monkeypatch.setattr(administrators.processes, step, cut)


@pytest.mark.parametrize(
    ("kind", "target", "step", "time"),
    [
        (RepairKind.RESTART, {}, "terminate", 1),
        (RepairKind.RESTART, {}, "terminate", 2),
        (RepairKind.RESTART, {}, "start", 1),
        (RepairKind.RESET, {"event_id": 4}, "terminate", 1),
        (RepairKind.RESET, {"event_id": 4}, "terminate", 2),
        (RepairKind.RESET, {"event_id": 4}, "reset", 1),
    ],
)
async def test_a_repair_that_was_cut_off_is_done_by_the_next(
    open_settled_town: OpenTown,
    monkeypatch: pytest.MonkeyPatch,
    kind: RepairKind,
    target: dict[str, Any],
    step: str,
    time: int,
) -> None:
    async with open_settled_town() as town:
        administrators = Administrators(town)
        no = await in_the_middle(town)
        before = await administrators.settled(no)
        repair = await administrators.approved(
            await administrators.put(kind, Target(case_no=no, **target))
        )
        item = await administrators.claimed(repair)
        assert item is not None
        _cut_after(monkeypatch, administrators, step, time)
        await administrators.repairing.carry_out(item, repair)
        (left,) = (await administrators.book.items(repair.number)).items
        assert left.state is ItemState.EXECUTING
        # Nobody else takes it up while it is in hand; then its claim runs out.
        assert await administrators.claimed(repair) is None
        await administrators.book.give_back(left)

        monkeypatch.undo()
        (repaired,) = await administrators.carry_out(repair)

        assert repaired.item.state is ItemState.DONE
        assert repaired.report.deviations == ()
        assert outcomes(await administrators.settled(no)) == outcomes(before)
        kinds = [event.kind for event in await town.reading.events(no)]
        assert (kinds.count("repair_begun"), kinds.count("repair_ended")) == (1, 1)
        assert {bundle_id(no, 1), no} == {each.workflow_id for each in repaired.plan.processes}
        assert (await town.tell(no, STORY)).ending == Ending.CONNECTED


async def test_what_the_engine_does_not_do_is_reported(open_settled_town: OpenTown) -> None:
    async with open_settled_town(is_working=False) as town:
        async with town.working():
            no = await in_the_middle(town)
        # Nobody works any more: what is begun anew does not come to rest.
        administrators = Administrators(town, settles_within_s=1.0)

        repaired = await administrators.repair(RepairKind.RESTART, Target(case_no=no))

        assert repaired.item.state is ItemState.DONE
        assert not repaired.report.is_as_planned
        assert not repaired.report.is_settled
        assert "had not come to rest" in repaired.report.deviations[0].en
