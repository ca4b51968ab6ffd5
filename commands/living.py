"""The demonstration after its first round: slower, so that people can work along on the pages."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from commands.client import Api, Refusal
from commands.demo import Sample

SPEED = 4320.0
"""A civil day takes 20 seconds: time to open a task, read it, and decide it before it is red."""
LEFT_TO_PEOPLE = ("water",)
"""Whose tasks wait for whoever signs in; the other agencies' stand-ins go on deciding."""
PAUSE_S = 12.0
MOST_OPEN = 60
"""Left alone for a night, a demonstration does not grow for ever."""


async def go_on(api: Api, samples: Sequence[Sample], say: Callable[[str], None]) -> None:
    """Hand in one sample after the other, round after round, until cancelled."""
    told = [each for each in samples if each.withdraw_after is None]
    for turn in itertools.count():
        sample = told[turn * _STEP % len(told)]
        try:
            await _room(api)
            await api.submit(
                sample.application,
                by=sample.by,
                idempotency_key=f"demo-{sample.name}-{turn}",
            )
        except Refusal as refusal:
            say(f"{sample.name}: {refusal}")
        await asyncio.sleep(PAUSE_S)


_STEP = 13
"""Shares no factor with the number of samples: all have their turn, low and high mixed."""


async def _room(api: Api) -> None:
    # Other programs end cases: nothing here could set an event.
    while len({task.case_no for task in await api.open_tasks()}) >= MOST_OPEN:  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_S)
