"""Agencies that fail in every way, a fifth of the time each: bundles end as if they had not (RB-4).

`make soak` runs 200 bundles; the suite fewer of the same.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from storage.reading import CaseFilter, Reading
from tests.system.town import Sample, Town, eventually, samples

BUNDLES = int(os.environ.get("ONEWINDOW_SOAK_BUNDLES", "6"))
PATIENCE_S = 60 + 2.0 * BUNDLES
DEPARTMENTS = ("natural-resources", "police", "transport", "urban-management", "water")
FAULTS = ("down", "slow", "double", "lost_callback", "4xx", "late", "out_of_order")
OFTEN = 0.2
FAULTY = ",".join(f"{department}:{fault}={OFTEN}" for department in DEPARTMENTS for fault in FAULTS)
SPACING_S = 0.35
"""Between two applications, so that no backlog takes days of civil time."""

SPEED = 345_600.0
"""Four civil days a second: whoever fails is asked again after one."""

Outcomes = Mapping[str, tuple[str, ...]]


@pytest.mark.rule("RB-4.1", "RB-4.5", "RB-4.7")
@pytest.mark.timeout(int(4 * PATIENCE_S))
async def test_bundles_end_as_if_nothing_had_failed(tmp_path: Path) -> None:
    undisturbed = await _told(tmp_path / "calm", ())
    disturbed = await _told(tmp_path / "faulty", ("--fault", FAULTY, "--slow-seconds", "0.3"))
    assert len(undisturbed) == BUNDLES
    assert disturbed == undisturbed


async def _told(var: Path, sandbox_arguments: tuple[str, ...]) -> Mapping[str, Outcomes]:
    """Have the bundles decided; return what came of each case, by its number."""
    async with Town.open(var, speed=SPEED, sandbox_arguments=sandbox_arguments) as town:
        numbers = []
        for position, sample in enumerate(_with_bundles()):
            numbers.append((await town.hand_in(sample, f"key-{position}"))[0])
            await asyncio.sleep(SPACING_S)
        await eventually(lambda: _all_ended(town.reading), PATIENCE_S)
        assert await town.reading.first_break() == (BUNDLES, None)
        return {no: await _outcomes(town.reading, no) for no in numbers}


def _with_bundles() -> list[Sample]:
    """High-voltage samples whose line is designed, in turn, so that case numbers are the same."""
    high = [
        each
        for each in samples()
        if each.application["voltage"] == "high" and each.ending in ("connected", "permits_refused")
    ]
    return (high * (BUNDLES // len(high) + 1))[:BUNDLES]


async def _all_ended(reading: Reading) -> bool:
    page = await reading.cases(CaseFilter(state="open"), limit=1, cursor=None)
    return not page.items


async def _outcomes(reading: Reading, no: str) -> Outcomes:
    """What was decided on each task, when and how often it was said left aside."""
    case, tasks = await reading.case(no), await reading.tasks_of(no)
    decided = Counter(e.task_id for e in await reading.events(no) if e.kind == "task_decided")
    assert set(decided.values()) <= {1}, f"{no}: decided twice: {decided}"
    found: dict[str, tuple[str, ...]] = {"": (str(case.ending),)}
    for task in tasks:
        # What the story does not wait for may still be open when the case ends.
        if task.kind in ("papers", "look_at_route"):
            continue
        outcome = task.outcome or {"code": f"closed by {task.closed_by}"}
        items = [f"{each['item']}: {each['outcome']}" for each in outcome.get("items", ())]
        found[task.id] = (outcome["code"], *items)
    return found
