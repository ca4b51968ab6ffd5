"""Histories are fetched and replayed in processes of their own (RB-12.2)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.worker import UnsandboxedWorkflowRunner

from domain.connection import Voltage
from domain.errors import EngineAway
from domain.naming import bundle_id
from operations.divergence import Reason
from operations.replaying import (
    PROGRAM,
    CaseAsked,
    CaseReplayed,
    CaseResult,
    Limits,
    ReplayerLost,
    replayed,
)
from tests.operations.changed import CHANGES, program
from tests.operations.conftest import OpenTown
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import STORIES

SHORT = Limits(of_history=timedelta(seconds=3))
LOW, HIGH = STORIES["low.connected"], STORIES["high.connected"]
TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


@pytest.fixture
async def town(open_town: OpenTown) -> AsyncIterator[Town]:
    async with open_town() as town:
        yield town


async def _replayed(
    town: Town,
    cases: Sequence[CaseAsked],
    change: str | None = None,
    limits: Limits = SHORT,
    at_once: int = 2,
) -> dict[str, CaseReplayed]:
    with_change = PROGRAM if change is None else program(change)
    found = replayed(cases, town.settings, program=with_change, limits=limits, at_once=at_once)
    return {each.no: each async for each in found}


async def _filing(town: Town) -> str:
    """Bring a case of low voltage to where its filing is owed."""
    no = await town.submit(Voltage.LOW)
    for name in ("check_papers.1", "survey.1"):
        await town.answer_all(no, LOW, name)
    await town.owed(no, "filing.1")
    return no


async def _permits(town: Town) -> str:
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1"):
        await town.answer_all(no, HIGH, name)
    await town.answer_all(no, HIGH, "line_design.1", "customer_works.1")
    await town.waiting(no)
    return no


@pytest.mark.rule("RB-12.2")
async def test_todays_code_carries_a_case_and_its_bundle(town: Town) -> None:
    no, unknown = await _permits(town), "ZJ20260000995"
    found = await _replayed(town, [CaseAsked.of(no), CaseAsked.of(unknown)])
    assert found[no] == CaseReplayed(no, CaseResult.CARRIED, 2, ())
    assert found[unknown] == CaseReplayed(unknown, CaseResult.NOT_FOUND, 0, ())


@pytest.mark.rule("RB-12.2")
async def test_a_bundle_that_cannot_be_carried_is_found_by_its_parent(town: Town) -> None:
    no = await _permits(town)
    (found,) = (await _replayed(town, [CaseAsked.of(no)], "bundles_ask_nobody")).values()
    assert (found.result, found.processes) == (CaseResult.NOT_CARRIED, 2)
    (finding,) = found.findings
    assert finding.workflow_id == bundle_id(no, 1)
    assert (finding.kind, finding.status) == ("ApprovalBundle", "running")
    described = await town.client.get_workflow_handle(bundle_id(no, 1)).describe()
    assert finding.run_id == described.run_id
    assert finding.at.event.en.startswith(f"activity owe {no}.permits-")
    assert finding.at.wanted.en == "wanted the end of the process"
    gone = (await _replayed(town, [CaseAsked.of(no)], "no_bundles"))[no]
    assert [each.at.reason for each in gone.findings] == [Reason.UNKNOWN_KIND]


@pytest.mark.rule("RB-12.2")
@pytest.mark.parametrize(
    ("change", "reason", "wanted"),
    [
        ("Spins", Reason.HANGS, "did not come to an end within 3 s"),
        ("Exits", Reason.DIES, "ended the process that replayed it"),
        ("Eats", Reason.RAISES, "raises MemoryError"),
    ],
)
async def test_code_that_runs_wild_is_reported_and_the_rest_goes_on(
    town: Town, change: str, reason: Reason, wanted: str
) -> None:
    await _filing(town)
    bad, good = await _filing(town), await _filing(town)
    await town.answer_all(bad, LOW, "filing.1")
    await town.owed(bad, "build_line.1")
    found = await _replayed(town, [CaseAsked.of(bad), CaseAsked.of(good)], change, at_once=1)
    assert found[good] == CaseReplayed(good, CaseResult.CARRIED, 1, ())
    (finding,) = found[bad].findings
    assert (found[bad].processes, finding.at.reason) == (1, reason)
    assert finding.at.wanted.en.startswith(wanted)
    assert finding.at.event_id > 10


async def test_an_engine_that_is_away_is_said_so(town: Town) -> None:
    settings = town.settings.model_copy(update={"engine_address": "127.0.0.1:1"})
    with pytest.raises(EngineAway):
        await anext(replayed([CaseAsked.of("ZJ20260000011")], settings))


async def test_a_replayer_that_does_not_start_is_said_so(town: Town) -> None:
    empty = (sys.executable, "-c", "")
    with pytest.raises(ReplayerLost):
        await anext(replayed([CaseAsked.of("ZJ20260000011")], town.settings, program=empty))


async def test_whoever_stops_listening_ends_what_hangs(town: Town) -> None:
    bad = await _filing(town)
    await town.answer_all(bad, LOW, "filing.1")
    await town.owed(bad, "build_line.1")
    found = replayed([CaseAsked.of(bad)], town.settings, program=program("Spins"))
    listening = asyncio.create_task(anext(found))

    async def spinning() -> list[int] | None:
        return _children_of(os.getpid(), "tests.operations.changed") or None

    pids = await eventually(spinning, "a process that replays")
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await found.aclose()
    assert not _are_there(pids)


def _are_there(pids: Sequence[int]) -> bool:
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


def _children_of(parent: int, module: str) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            of, line = stat.read_text().rpartition(")")[2].split()[1], stat.parent / "cmdline"
            if int(of) == parent and module in line.read_text():
                found.append(int(stat.parent.name))
    return found


async def test_what_hangs_is_ended_with_whoever_started_it(town: Town) -> None:
    bad = await _filing(town)
    await town.answer_all(bad, LOW, "filing.1")
    await town.owed(bad, "build_line.1")
    asking = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _ASKING,
        bad,
        town.settings.engine_address,
    )

    async def spinning() -> list[int] | None:
        return _children_of(asking.pid, "tests.operations.changed") or None

    pids = await eventually(spinning, "a process that replays")
    asking.kill()
    await asking.wait()

    async def gone() -> bool | None:
        return None if _are_there(pids) else True

    await eventually(gone, "the end of what was started", within_s=10)


_ASKING = """
import asyncio, sys
from operations.replaying import CaseAsked, replayed
from settings import Settings
from tests.operations.changed import program

async def ask():
    settings = Settings(engine_address=sys.argv[2])
    async for _ in replayed([CaseAsked.of(sys.argv[1])], settings, program=program("Spins")):
        pass

asyncio.run(ask())
"""


async def test_what_replays_is_given_no_key(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEWINDOW_AGENCY_KEYS", '{"desk": "a key that nobody should see"}')
    monkeypatch.setenv("ONEWINDOW_DATABASE_URL", "sqlite:///nobody.db")
    no = await _filing(town)
    (finding,) = (await _replayed(town, [CaseAsked.of(no)], "TellsSecrets"))[no].findings
    told = finding.at.message.removeprefix("RuntimeError: ").split(" (")[0].split()
    ours = {name for name in told if name.startswith("ONEWINDOW_")}
    assert ours == {
        "ONEWINDOW_ENGINE_ADDRESS",
        "ONEWINDOW_ENGINE_NAMESPACE",
        "ONEWINDOW_REPLAYER_BYTES",
    }


@pytest.mark.rule("RB-12.2")
async def test_a_task_that_fails_right_now_is_told_of_where_it_fails(
    open_town: OpenTown, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with open_town(is_working=False) as town:
        async with town.working():
            no = await _filing(town)
            await town.answer_all(no, LOW, "filing.1")
            await town.owed(no, "build_line.1")
        with _changed(monkeypatch, "Stumbles"):
            async with town.working():
                await town.answer_all(no, LOW, "build_line.1")
                await town.recorded(no, TASK_FAILED)
        changed = (await _replayed(town, [CaseAsked.of(no)], "Stumbles"))[no]
        assert [each.at.reason for each in changed.findings] == [Reason.RAISES]
        assert (await _replayed(town, [CaseAsked.of(no)]))[no].result is CaseResult.CARRIED


async def test_what_is_wanted_beyond_the_last_task_is_taken_when_the_process_moves(
    open_town: OpenTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_town(is_working=False) as town:
        async with town.working():
            no = await _filing(town)
        found = (await _replayed(town, [CaseAsked.of(no)], "AlsoSurveys"))[no]
        assert found.result is CaseResult.CARRIED
        with _changed(monkeypatch, "AlsoSurveys"):
            async with town.working():
                await town.answer_all(no, LOW, "filing.1")
                await town.owed(no, "survey.2", "build_line.1")
        again = (await _replayed(town, [CaseAsked.of(no)], "AlsoSurveys"))[no]
        assert again.result is CaseResult.CARRIED


@contextmanager
def _changed(monkeypatch: pytest.MonkeyPatch, change: str) -> Iterator[None]:
    """Have workers that are built meanwhile run changed workflows, without guard as in service."""
    with monkeypatch.context() as patched:
        patched.setattr("worker.WORKFLOWS", CHANGES[change])
        patched.setattr("tests.workflows.harness.guarded_runner", UnsandboxedWorkflowRunner)
        yield
