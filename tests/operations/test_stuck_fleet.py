"""Of a healthy fleet nothing is listed, however the cases stand (RB-12.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import pytest

from domain.connection import Voltage
from tests.operations.conftest import OpenTown
from tests.operations.test_stuck import TO_THE_BUNDLE, finder
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import STORIES, Story
from worker import build_worker

OPEN, AT_ONCE = 500, 16
AT_THE_BUNDLE, BEYOND_THE_PAPERS = 12, 100
LOW, HIGH = STORIES["low.connected"], STORIES["high.connected"]

T = TypeVar("T")


async def _some_at_once(each: Callable[[T], Awaitable[None]], of: Iterable[T]) -> None:
    waiting = iter(of)

    async def some() -> None:
        for one in waiting:
            await each(one)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def _answered_to(town: Town, no: str, story: Story, *names: str) -> None:
    for name in names:
        await town.answer_all(no, story, name)


@pytest.mark.rule("RB-12.1")
async def test_a_healthy_fleet_of_500_cases_gives_an_empty_list(open_town: OpenTown) -> None:
    async with (
        open_town(is_working=False, max_cached_workflows=OPEN + 100) as town,
        # As in service: guarding the processes' code would take most of the time.
        build_worker(town.client, town.settings, town.casefile, town.agencies, now=town.engine_now),
    ):
        lows, highs = [], []

        async def low(_: int) -> None:
            lows.append(await town.submit(Voltage.LOW))

        async def high(_: int) -> None:
            highs.append(await town.submit(Voltage.HIGH))

        await _some_at_once(high, range(AT_THE_BUNDLE + 40))
        await _some_at_once(low, range(OPEN - AT_THE_BUNDLE - 40))
        bundles = highs[:AT_THE_BUNDLE]
        await _some_at_once(lambda no: _answered_to(town, no, HIGH, *TO_THE_BUNDLE), bundles)
        beyond = lows[:BEYOND_THE_PAPERS]
        await _some_at_once(lambda no: _answered_to(town, no, LOW, "check_papers.1"), beyond)
        # Some of a bundle's departments have answered.
        for no in bundles[: AT_THE_BUNDLE // 2]:
            await town.answer_all(no, HIGH, "permits-water.1", "permits-police.1")
        for no in (*lows, *highs):
            await _settled(town, no)
        await town.delivery.note()

        for _ in range(2):
            found = await finder(town).scan()
            assert found.findings == ()
            assert (found.is_complete, found.cases) == (True, OPEN)
            assert found.took_s < 15


async def _settled(town: Town, no: str) -> None:
    """Wait until a case owes something again."""

    async def look() -> bool | None:
        return True if await town.open_tasks(no) else None

    await eventually(look, f"a task of {no}")
