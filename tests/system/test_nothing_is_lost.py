"""Issue: whatever is killed, every number is one case and every outcome takes effect once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from temporalio.service import RPCError

from domain.connection import Voltage
from storage.reading import CaseFilter
from tests.system.story_model import check_story
from tests.system.town import Sample, Town, eventually, samples

CASES = 42
KILLS = 15
PROGRAMS = ("worker", "api", "engine")
ALL_END_WITHIN_S = 150


@pytest.mark.rule("RB-3.7", "RB-4.5", "RB-12.3", "RB-13.2")
@pytest.mark.timeout(300)
async def test_killing_any_program_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(20260914)
    handed_in = _applications(CASES)
    async with Town.open(tmp_path / "var") as town:
        killing = asyncio.create_task(_kill_now_and_then(town, chance))
        numbers = await asyncio.gather(
            *(
                _after(chance.uniform(0, 20), town, sample, f"key-{position}")
                for position, sample in enumerate(handed_in)
            )
        )
        killed = await killing
        await eventually(lambda: _all_ended(town), ALL_END_WITHIN_S)

        assert all(killed[program] >= KILLS // len(PROGRAMS) for program in PROGRAMS)
        assert len(set(numbers)) == CASES
        again = await asyncio.gather(
            *(town.hand_in(sample, f"key-{i}") for i, sample in enumerate(handed_in))
        )
        assert [no for no, _ in again] == numbers
        await _check_everything_on_file(town, dict(zip(numbers, handed_in, strict=True)))
        await _check_every_process_ended_once(town, numbers)


@pytest.mark.rule("RB-3.7", "RB-4.5")
@pytest.mark.parametrize("away", ["engine", "worker"])
@pytest.mark.timeout(150)
async def test_desk_and_departments_work_on_while_it_is_away(tmp_path: Path, away: str) -> None:
    """Numbers are given and outcomes taken; both take effect when it is back."""
    sample = next(each for each in samples() if each.name.startswith("17-"))
    async with Town.open(tmp_path / "var", speed=2.0) as town:
        # At this speed nobody in the sandbox answers within the test; the test does.
        before, _ = await town.hand_in(sample, "before")
        await eventually(lambda: _owes(town, before, "check_papers"), 20)

        town.kill(away)
        during, status = await town.hand_in(sample, "during")
        outcome = await town.call(
            "desk", "PUT", f"/tasks/{before}.check_papers.1/outcome", {"code": "accepted"}
        )
        assert (status, outcome.status_code) == ((202, 202) if away == "engine" else (201, 200))
        assert outcome.json()["state"] == "done"

        town.start(away)
        await eventually(lambda: _owes(town, before, "supply_plan"), 40)
        await eventually(lambda: _owes(town, during, "check_papers"), 40)
        tasks = await town.reading.tasks_of(before)
        assert Counter(task.kind for task in tasks) == {"check_papers": 1, "supply_plan": 1}


@pytest.mark.rule("RB-12.3")
@pytest.mark.timeout(150)
async def test_an_engine_that_lost_everything_gets_its_processes_back(tmp_path: Path) -> None:
    """The case file is the record: what was decided there is not asked for again."""
    sample = next(each for each in samples() if each.name.startswith("17-"))
    async with Town.open(tmp_path / "var", speed=2.0) as town:
        no, _ = await town.hand_in(sample, "key")
        await eventually(lambda: _owes(town, no, "check_papers"), 20)
        answered = await town.call(
            "desk", "PUT", f"/tasks/{no}.check_papers.1/outcome", {"code": "accepted"}
        )
        assert answered.status_code == 200
        await eventually(lambda: _owes(town, no, "supply_plan"), 20)

        for program in ("api", "worker", "engine"):
            town.kill(program)
        town.forget_engine()
        for program in ("engine", "worker", "api"):
            town.start(program)
        await eventually(lambda: _runs(town, no), 40)
        answered = await town.call(
            "utility", "PUT", f"/tasks/{no}.supply_plan.1/outcome", {"code": "planned"}
        )
        assert answered.json()["state"] == "done"
        await eventually(lambda: _owes(town, no, "confirm_plan"), 40)
        events = Counter((e.kind, e.task_id) for e in await town.reading.events(no))
        assert set(events.values()) == {1}


@pytest.mark.timeout(150)
async def test_a_withdrawal_nobody_answers_is_503_and_takes_effect_when_repeated(
    tmp_path: Path,
) -> None:
    sample = next(each for each in samples() if each.name.startswith("17-"))
    withdrawal = {"action": "withdraw", "reason": "示例：项目取消"}
    async with Town.open(tmp_path / "var", speed=2.0) as town:
        no, _ = await town.hand_in(sample, "key")
        await eventually(lambda: _owes(town, no, "check_papers"), 20)
        town.kill("worker")
        path = f"/applications/{no}/actions"
        unanswered = await town.call("desk", "POST", path, withdrawal, key="w")
        assert unanswered.status_code == 503
        assert unanswered.headers["Retry-After"]
        assert (await town.reading.case(no)).state == "open"

        town.start("worker")

        async def is_taken() -> bool:
            again = await town.call("desk", "POST", path, withdrawal, key="w")
            return again.status_code == 200 and again.json()["ending"] == "withdrawn"

        await eventually(is_taken, 40)
        ended = [e for e in await town.reading.events(no) if e.kind == "ended"]
        assert [e.by for e in ended] == ["desk"]


async def _runs(town: Town, no: str) -> bool:
    try:
        return ("Application", no, "RUNNING") in await town.processes()
    except (RuntimeError, RPCError):
        return False


def _applications(count: int) -> list[Sample]:
    """Samples in turn; those to be withdrawn are another test's."""
    kept = [each for each in samples() if each.withdraw_after_civil_days is None]
    return (kept * 2)[:count]


async def _after(seconds: float, town: Town, sample: Sample, key: str) -> str:
    await asyncio.sleep(seconds)
    number, _status = await town.hand_in(sample, key)
    return number


async def _kill_now_and_then(town: Town, chance: random.Random) -> Counter[str]:
    """Kill each program equally often, in random order, and start it again after a while."""
    killed: Counter[str] = Counter()
    plan = list(PROGRAMS) * (KILLS // len(PROGRAMS))
    chance.shuffle(plan)
    for program in plan:
        await asyncio.sleep(chance.uniform(0.3, 2.5))
        town.kill(program)
        killed[program] += 1
        await asyncio.sleep(chance.uniform(0.0, 1.2))
        town.start(program)
    return killed


async def _all_ended(town: Town) -> bool:
    page = await town.reading.cases(CaseFilter(state="ended"), limit=200, cursor=None)
    return len(page.items) == CASES


async def _owes(town: Town, no: str, kind: str) -> bool:
    tasks = await town.reading.tasks_of(no)
    return any(task.kind == kind and task.state == "open" for task in tasks)


async def _check_everything_on_file(town: Town, expected: dict[str, Sample]) -> None:
    count, broken = await town.reading.first_break()
    assert (count, broken) == (CASES, None)
    for no, sample in expected.items():
        case = await town.reading.case(no)
        tasks = await town.reading.tasks_of(no)
        events = await town.reading.events(no)
        # RB-3.5: while programs are down the desk's days may run out, and the law answers for it.
        is_deemed = any(e.kind == "accepted" and e.body["is_deemed"] for e in events)
        if not is_deemed:
            assert case.ending == sample.ending, f"{no} ({sample.name})"
        assert case.ending is not None
        check_story(Voltage(case.voltage), case.ending, tasks, is_deemed=is_deemed)
        # RB-5.4: a step of the ladder as well comes once.
        once = Counter(
            (e.kind, e.task_id, *(e.body.get(name) for name in ("round", "about", "step")))
            for e in events
        )
        assert set(once.values()) == {1}, f"{no}: something took effect twice: {once}"
        decided = {event.task_id for event in events if event.kind == "task_decided"}
        assert decided == {task.id for task in tasks if task.outcome is not None}


async def _check_every_process_ended_once(town: Town, numbers: list[str]) -> None:
    runs = await town.processes()
    applications = Counter(no for kind, no, _ in runs if kind == "Application")
    assert applications == Counter(numbers)
    assert {status for _, _, status in runs} == {"COMPLETED"}
