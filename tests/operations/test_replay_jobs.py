"""Replays that were asked for are carried out once, whoever comes and goes (RB-12.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from api.app import build_app
from domain.connection import Voltage
from operations.replay_jobs import ENGINE_AWAY, REPLAYER_LOST, ReplayJobs
from operations.replaying import PROGRAM
from storage.reading import CaseFilter
from storage.replays import ReplayRecord, Replays
from tests.operations.changed import program
from tests.operations.conftest import OpenTown
from tests.support.databases import rows
from tests.support.serving import ADMINISTRATORS, AGENCIES, Api, key_of
from tests.workflows.harness import Town, eventually

PATH = "/api/v1/admin/replays"
OPEN = CaseFilter(state="open")

pytestmark = pytest.mark.rule("RB-12.2")


@pytest.fixture
async def town(open_town: OpenTown) -> AsyncIterator[Town]:
    async with open_town() as town:
        yield town


def _now() -> datetime:
    return datetime.now(UTC)


def _jobs(town: Town, replays: Replays, *, uses: tuple[str, ...] = PROGRAM) -> ReplayJobs:
    return ReplayJobs(replays, town.settings, _now, program=uses, engine_may_be_away_s=1.0)


async def _asked(town: Town, key: str = "key-1") -> tuple[Replays, int]:
    replays = Replays(town.casefile.engine)
    asked = await replays.ask({"all_open": True}, OPEN, by="admin-1", key=key, at=_now())
    return replays, asked.replay.id


async def _ready(town: Town, cases: int, *, has_high: bool = False) -> list[str]:
    """Bring cases to where their papers are checked; the last one may be of high voltage."""
    numbers = [await town.submit(Voltage.LOW) for _ in range(cases)]
    if has_high:
        numbers.append(await town.submit(Voltage.HIGH))
    for no in numbers:
        await town.owed(no, "check_papers.1")
    return numbers


@asynccontextmanager
async def _serving(town: Town) -> AsyncIterator[Api]:
    settings = town.settings.model_copy(
        update={
            "agency_keys": {agency: SecretStr(key_of(agency)) for agency in AGENCIES},
            "administrator_keys": {each: SecretStr(key_of(each)) for each in ADMINISTRATORS},
        }
    )
    app = build_app(settings, _now)
    async with app.router.lifespan_context(app):
        yield Api(app, settings.database_url)


async def _until(
    replays: Replays, number: int, holds: Callable[[ReplayRecord], bool]
) -> ReplayRecord:
    async def look() -> ReplayRecord | None:
        found = await replays.one(number)
        return found if holds(found) else None

    return await eventually(look, f"replay {number}")


async def test_by_the_api_a_replay_runs_to_its_end_and_changes_nothing(town: Town) -> None:
    (no,) = await _ready(town, 1)
    await town.delivery.note()
    lengths = len((await town.history(no)).events)
    kept = {"applications", "tasks", "events", "notices", "messages", "actions", "results"}
    before = {name: rows(town.settings.database_url)[name] for name in kept}
    async with _serving(town) as api:
        asked = await api.call("POST", PATH, "admin-1", key="key-1", json={"all_open": True})
        number = asked.json()["number"]

        async def ended() -> dict[str, Any] | None:
            found = (await api.call("GET", f"{PATH}/{number}", "admin-1")).json()
            return found if found["state"] != "running" else None

        found = await eventually(ended, "the end of the replay")
    assert (found["state"], found["carried"], found["processes"]) == ("done", 1, 1)
    assert (found["findings"], found["problem"]) == ([], None)
    assert {name: rows(town.settings.database_url)[name] for name in kept} == before
    assert len((await town.history(no)).events) == lengths


async def test_what_is_found_is_kept_with_its_words(town: Town) -> None:
    no, other = await _ready(town, 2)
    replays, number = await _asked(town)
    assert await _jobs(town, replays, uses=program("EndsAtOnce")).some()
    found = await replays.one(number)
    assert (found.state, found.not_carried, found.carried) == ("done", 2, 0)
    page = await replays.findings(number, limit=50, cursor=None)
    assert {each["case_no"] for each in page.items} == {no, other}
    finding = dict(page.items[0])
    assert finding["event"]["en"] == "local activity notice_lapses_at"
    assert finding["wanted"] == {
        "zh": "要求 流程正常结束",
        "en": "wanted the end of the process",
    }
    assert finding["words"]["zh"] == "事件 5 为：本地活动 notice_lapses_at；代码：要求 流程正常结束"
    assert "TMPRL1100" in finding["message"]
    assert (finding["status"], finding["kind"], finding["event_id"]) == (
        "running",
        "Application",
        5,
    )


async def test_two_api_processes_do_not_run_the_same_replay(town: Town) -> None:
    await _ready(town, 2)
    replays, number = await _asked(town)
    took = await asyncio.gather(*(_jobs(town, replays).some() for _ in range(2)))
    assert sorted(took) == [False, True]
    found = await replays.one(number)
    assert (found.state, found.carried, found.processes) == ("done", 2, 2)


async def test_what_was_under_way_when_the_api_ended_is_taken_up_again(town: Town) -> None:
    numbers = await _ready(town, 3, has_high=True)
    replays, number = await _asked(town)
    first = _jobs(town, replays, uses=program("DozesOverHighVoltage"))
    running = asyncio.create_task(first.run())
    await _until(replays, number, lambda found: found.done == len(numbers) - 1)
    first.stop()
    await running
    left = await replays.left(number)
    assert [case.no for case in left] == [numbers[-1]]
    assert await _jobs(town, replays).some()
    found = await replays.one(number)
    assert (found.state, found.carried, found.done) == ("done", 4, 4)


async def test_a_replay_that_is_stopped_ends_at_once(town: Town) -> None:
    await _ready(town, 1, has_high=True)
    replays, number = await _asked(town)
    jobs = _jobs(town, replays, uses=program("DozesOverHighVoltage"))
    running = asyncio.create_task(jobs.some())
    await _until(replays, number, lambda found: found.done == 1)
    await replays.stop(number, by="admin-2", at=_now())
    assert await asyncio.wait_for(running, 10)
    found = await replays.one(number)
    assert (found.state, found.done, found.stopped_by) == ("stopped", 1, "admin-2")
    jobs.stop()


async def test_without_the_engine_a_replay_fails_in_words(town: Town) -> None:
    await _ready(town, 1)
    replays, number = await _asked(town)
    away = town.settings.model_copy(update={"engine_address": "127.0.0.1:1"})
    assert await ReplayJobs(replays, away, _now, engine_may_be_away_s=0.1).some()
    found = await replays.one(number)
    assert (found.state, found.problem, found.done) == ("failed", ENGINE_AWAY, 0)


async def test_without_a_replayer_a_replay_fails_in_words(town: Town) -> None:
    await _ready(town, 1)
    replays, number = await _asked(town)
    assert await _jobs(town, replays, uses=(PROGRAM[0], "-c", "")).some()
    found = await replays.one(number)
    assert (found.state, found.problem) == ("failed", REPLAYER_LOST)
