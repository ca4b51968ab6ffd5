"""Agencies that fail in every way, a fifth of the time each: bundles end as if they had not (RB-4).

`make soak` runs 200 bundles; the suite fewer of the same.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from domain.working_time import CIVIL_ZONE
from storage.reading import CaseFilter, Reading
from tests.system.town import Sample, Town, eventually, samples

BUNDLES = int(os.environ.get("ONEWINDOW_SOAK_BUNDLES", "6"))
PATIENCE_S = 60 + 2.0 * BUNDLES
DEPARTMENTS = ("natural-resources", "police", "transport", "urban-management", "water")
FAULTS = ("down", "slow", "double", "lost_callback", "4xx", "late", "out_of_order")
OFTEN = 0.2
FAULTY = ",".join(f"{department}:{fault}={OFTEN}" for department in DEPARTMENTS for fault in FAULTS)

SPEED = 172_800.0
"""Two civil days a second: whoever fails is asked again within a week."""

AT_WORK = ("--seed", "2", "--delay", "0.3", "--chance", "correction=0")
"""The stand-ins take a third of their time, so that a bundle is soon through at this speed. The
desk asks for no correction, because after five working days the law accepts in its place (RB-3.5):
they are three seconds here, and a machine that stops for a while would decide."""

BEGINS = datetime(2026, 3, 2, 8, 30, tzinfo=CIVIL_ZONE)
"""Early in the year, because what the stand-ins decide follows from the case's number, and that
from the year in which it was handed in; after the Spring Festival, when nobody works for days."""

SPACING_S = 0.5 if BUNDLES > 20 else 0.1
"""From one application to the next, so that no backlog of many takes days of civil time; 200 take
200 of them."""

Outcomes = Mapping[str, tuple[str, ...]]
"""What was decided, by task; how it ended, by case number."""


@pytest.mark.rule("RB-4.1", "RB-4.5", "RB-4.7")
@pytest.mark.timeout(int(4 * PATIENCE_S))
async def test_bundles_end_as_if_nothing_had_failed(tmp_path: Path) -> None:
    undisturbed, nothing_struck = await _told(tmp_path / "calm", AT_WORK)
    disturbed, struck = await _told(
        tmp_path / "faulty", (*AT_WORK, "--fault", FAULTY, "--slow-seconds", "0.3")
    )
    assert not nothing_struck.total()
    assert struck.total() >= BUNDLES, struck
    # Which attempt finds an agency up follows from time: of a few bundles a fault may strike none.
    assert BUNDLES < 100 or all(struck[fault] for fault in FAULTS), struck
    differences = list(_differences(undisturbed, disturbed))
    assert not differences, "\n".join(differences)


async def _told(var: Path, sandbox_arguments: tuple[str, ...]) -> tuple[Outcomes, Counter[str]]:
    """Have the bundles decided; return what came of each case, and how often each fault struck."""
    async with Town.open(
        var, speed=SPEED, sandbox_arguments=sandbox_arguments, begins=BEGINS
    ) as town:
        numbers = await _handed_in(town)
        assert {no[:6] for no in numbers} == {f"ZJ{BEGINS.year}"}, "the year ended too early"
        await eventually(lambda: _all_ended(town.reading), PATIENCE_S)
        assert await town.reading.first_break() == (BUNDLES, None)
        outcomes: dict[str, tuple[str, ...]] = {}
        for no in numbers:
            outcomes |= await _outcomes(town.reading, no)
        return outcomes, await town.faults_struck()


async def _handed_in(town: Town) -> list[str]:
    """Hand in the applications, `SPACING_S` apart; return the cases' numbers."""
    clock = asyncio.get_running_loop()
    began_at = clock.time()
    numbers = []
    for position, sample in enumerate(_with_bundles()):
        await asyncio.sleep(began_at + position * SPACING_S - clock.time())
        numbers.append((await town.hand_in(sample, f"key-{position}"))[0])
    assert len(set(numbers)) == BUNDLES
    return numbers


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
    """How a case ended and what was decided on each task; when and how often it was said aside."""
    case, tasks = await reading.case(no), await reading.tasks_of(no)
    decided = Counter(e.task_id for e in await reading.events(no) if e.kind == "task_decided")
    assert set(decided.values()) <= {1}, f"{no}: decided twice: {decided}"
    found: dict[str, tuple[str, ...]] = {no: (str(case.ending),)}
    for task in tasks:
        if task.kind == "papers":
            # The story does not wait for them (RB-4.5): they may still be open when the case ends.
            found[task.id] = ("asked for", *task.asked["papers"])
            continue
        outcome = task.outcome or {"code": f"closed by {task.closed_by}"}
        items = [f"{each['item']}: {each['outcome']}" for each in outcome.get("items", ())]
        found[task.id] = (outcome["code"], *items)
    return found


def _differences(undisturbed: Outcomes, disturbed: Outcomes) -> Iterator[str]:
    """One line for each case and task of which something else came, or that one run lacks."""
    for name in sorted({*undisturbed, *disturbed}):
        calm, faulty = undisturbed.get(name, ("absent",)), disturbed.get(name, ("absent",))
        if calm != faulty:
            yield f"{name}: {', '.join(calm)} → {', '.join(faulty)}"
