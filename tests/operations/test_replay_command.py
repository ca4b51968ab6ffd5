"""`onewindow replay` and `onewindow release-check`, with the real engine (RB-12.2)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from activities.messages import EDITION
from commands.failure import CommandFailed
from commands.installation import Installation
from commands.replay import release_check, replay
from domain.connection import Voltage
from operations.replaying import replayed
from storage.tables import applications
from tests.operations.changed import program
from tests.operations.conftest import OpenTown
from tests.support.databases import connected
from tests.workflows.harness import Town, eventually

pytestmark = pytest.mark.rule("RB-12.2")


@pytest.fixture
async def town(open_town: OpenTown, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with open_town() as town:
        monkeypatch.setenv("ONEWINDOW_DATABASE_URL", town.settings.database_url)
        monkeypatch.setenv("ONEWINDOW_ENGINE_ADDRESS", town.settings.engine_address)
        yield town


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


async def _open(town: Town) -> str:
    no = await town.submit(Voltage.LOW)
    await town.owed(no, "check_papers.1")
    return no


async def _onewindow(*arguments: str) -> tuple[int | None, str, str]:
    """Run the command as one does at a terminal; return its status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *arguments,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    return process.returncode, said.decode(), complained.decode()


async def test_at_a_terminal_what_is_carried_is_said_and_the_status_is_0(town: Town) -> None:
    no = await _open(town)
    status, said, _ = await _onewindow("replay", no)
    assert (status, said.strip().count("\n")) == (0, 0)
    assert said.startswith("1 cases 办件, 1 histories 历史: 1 carried 可承接")
    status, said, _ = await _onewindow("replay", "--all-open", "--json")
    found = json.loads(said)
    assert (status, found["carried"], found["findings"]) == (0, 1, [])
    status, said, _ = await _onewindow("release-check")
    assert (status, "deploy: this code carries every open case" in said) == (0, True)


async def test_what_cannot_be_tried_ends_with_status_1(town: Town) -> None:
    await _open(town)
    status, said, _ = await _onewindow("replay", "ZJ20260000995")
    assert (status, "no process in the engine 引擎中没有流程: ZJ20260000995" in said) == (1, True)
    for arguments in (("replay",), ("replay", "--all-open", "ZJ20260000995"), ("replay", "ZJ1")):
        status, _, complained = await _onewindow(*arguments)
        assert (status, complained.count("\n")) == (1, 1), complained


@pytest.mark.parametrize("has_cases", [True, False])
async def test_without_the_engine_a_release_check_refuses(
    town: Town,
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    has_cases: bool,
) -> None:
    if has_cases:
        await _open(town)
    monkeypatch.setenv("ONEWINDOW_ENGINE_ADDRESS", "127.0.0.1:1")
    for check in (
        partial(release_check, installation, print),
        partial(replay, installation, [], print),
    ):
        with pytest.raises(CommandFailed, match="engine does not answer"):
            await asyncio.to_thread(check)


async def test_code_that_could_not_carry_a_case_is_not_to_be_deployed(
    town: Town, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = await _open(town)
    monkeypatch.setattr(
        "commands.replay.replayed", partial(replayed, program=program("EndsAtOnce"))
    )
    said: list[str] = []
    assert await asyncio.to_thread(release_check, installation, said.append) == 3
    text = "\n".join(said)
    assert f"{no} Application\n" in text
    assert "event 5 holds: local activity notice_lapses_at" in text
    assert "do not deploy 不可发布" in text
    assert "docs/adr/0012-how-a-story-changes.md" in text
    said.clear()
    assert await asyncio.to_thread(replay, installation, [no], said.append) == 3


async def test_a_closed_process_does_not_hold_up_a_release(
    town: Town, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = await _open(town)
    await town.client.get_workflow_handle(no).terminate()
    monkeypatch.setattr(
        "commands.replay.replayed", partial(replayed, program=program("EndsAtOnce"))
    )
    said: list[str] = []
    assert await asyncio.to_thread(release_check, installation, said.append) == 0
    assert f"{no} Application (terminated)" in said
    assert await asyncio.to_thread(replay, installation, [no], said.append) == 3


async def test_what_open_cases_rest_on_must_be_shipped(
    town: Town, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = await _open(town)
    with connected(town.settings.database_url) as connection:
        connection.execute(
            sa.update(applications).where(applications.c.no == no).values(policy="elsewhere-2019.1")
        )
    said: list[str] = []
    assert await asyncio.to_thread(release_check, installation, said.append) == 3
    assert any("1 open cases are pinned to the policy elsewhere-2019.1" in line for line in said)
    monkeypatch.setattr("operations.releasing.policy_for", lambda _policy: None)
    said.clear()

    async def listed() -> bool | None:
        # Visibility lags a little behind.
        found = [each async for each in town.client.list_workflows(f'WorkflowId = "{no}"')]
        return True if found else None

    await eventually(listed, f"{no} in visibility")
    monkeypatch.setattr("operations.releasing.WORKFLOWS", (_Unknown,))
    assert await asyncio.to_thread(release_check, installation, said.append) == 3
    assert any(f"the process {no} is running" in line for line in said)


class _Unknown:
    """A workflow that nobody runs."""


async def test_a_case_of_a_later_edition_is_not_carried(
    town: Town, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.beginning.EDITION", EDITION + 1)
    no = await _open(town)
    said: list[str] = []
    assert await asyncio.to_thread(replay, installation, [no], said.append) == 3
    assert any(
        f"knows editions up to {EDITION}, this case began under {EDITION + 1}" in line
        for line in said
    )
