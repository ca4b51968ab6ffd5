"""The demonstration after its first round: slower, so that people can work along on the pages."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence

from commands.client import Api, Refusal
from commands.demo import Sample

SPEED = 5760.0
"""A civil day takes 15 seconds: time to open a task, read it, and decide it before it is red."""
LEFT_TO_PEOPLE = ("water",)
"""Whose tasks wait for whoever signs in; the other agencies' stand-ins go on deciding."""
SANDBOX = ("--delay", "0.4", "--route", "five_departments")
"""The others are quick, and most lines concern the department that is left to people."""
AT_ONCE, PAUSE_S = 8, 12.0
MOST_OPEN = 60
"""Left alone for a night, a demonstration does not grow for ever."""


async def go_on(api: Api, samples: Sequence[Sample], say: Callable[[str], None]) -> None:
    """Hand in some samples at once, then one after the other, round after round."""
    for turn, sample in enumerate(_turns(samples)):
        if turn >= AT_ONCE:
            await asyncio.sleep(PAUSE_S)
            await _room(api)
        try:
            await api.submit(
                sample.application,
                by=sample.by,
                idempotency_key=f"demo-{sample.name}-{turn}",
            )
        except Refusal as refusal:
            say(f"{sample.name}: {refusal}")


def _turns(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yield samples for ever, those of high voltage and of low by turns: all have their turn."""
    told = [each for each in samples if each.withdraw_after is None]
    high = [each for each in told if each.application["voltage"] == "high"]
    low = [each for each in told if each.application["voltage"] == "low"]
    for pair in zip(itertools.cycle(high), itertools.cycle(low), strict=False):
        yield from pair


async def _room(api: Api) -> None:
    # Other programs end cases: nothing here could set an event.
    while len({task.case_no for task in await api.open_tasks()}) >= MOST_OPEN:  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_S)
