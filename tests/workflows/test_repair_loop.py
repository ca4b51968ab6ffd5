"""One case's trouble is no other's: what fails on our side is reported, and the rest goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.repairing import RepairLoop
from domain.connection import Voltage
from domain.repair_plan import Target
from domain.repairs import RepairKind
from operations import repairing
from storage.repairs import ItemState, RepairState
from tests.workflows.administrators import Administrators
from tests.workflows.harness import Town, eventually

pytestmark = pytest.mark.rule("RB-12.2")


async def _until_done(administrators: Administrators, number: int) -> None:
    async def look() -> bool | None:
        found = await administrators.book.repair(number)
        return True if found.state is RepairState.DONE else None

    loop = RepairLoop(administrators.book, administrators.repairing, administrators.town.engine_now)
    running = asyncio.create_task(loop.run())
    try:
        await eventually(look, f"repair {number}")
    finally:
        loop.stop()
        await running


@pytest.mark.parametrize("where", ["look", "report"])
async def test_an_error_of_ours_is_put_on_file_and_stops_no_other_case(
    settled_town: Town, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    town = settled_town
    administrators = Administrators(town)
    numbers = [await town.submit(Voltage.LOW) for _ in range(2)]
    for no in numbers:
        await administrators.settled(no)
    repair = await administrators.put(RepairKind.RESTART, *(Target(case_no=n) for n in numbers))
    await administrators.approved(repair)
    works = getattr(repairing, where)

    def broken(of: Any, *others: Any) -> Any:
        no = of if isinstance(of, str) else of.target.case_no
        if no == numbers[0]:
            raise KeyError("a bug, of which nobody is told more than this")
        return works(of, *others)

    monkeypatch.setattr(repairing, where, broken)
    await _until_done(administrators, repair.number)

    first, second = (await administrators.book.items(repair.number)).items
    assert (first.state, second.state) == (ItemState.FAILED, ItemState.DONE)
    assert first.problem is not None and "KeyError" not in first.problem.en
    # What was begun is on the case's record to its end.
    kinds = [event.kind for event in await town.reading.events(numbers[0])]
    assert ("repair_begun" in kinds) == ("repair_ended" in kinds) == (where == "report")
    assert (await town.reading.first_break())[1] is None
