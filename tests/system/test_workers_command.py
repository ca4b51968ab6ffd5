"""`onewindow workers`, on an installation whose worker has a version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from commands.installation import Installation
from tests.system.test_cli import SAMPLES, onewindow, running
from tests.system.town import eventually

VERSION = "2026.11-rc1"


def _address(var: Path) -> str:
    return Installation(var).address_of("api") or ""


@pytest.mark.rule("RB-12.2")
@pytest.mark.timeout(150)
async def test_a_version_carries_cases_once_it_is_told_to(tmp_path: Path) -> None:
    var = tmp_path / "var"

    async def is_ready() -> bool:
        try:
            answer = httpx2.get(f"{_address(var)}/readyz", trust_env=False)
        except (httpx2.TransportError, httpx2.UnsupportedProtocol):
            return False
        return bool(answer.json()["engine"])

    async def says() -> list[str]:
        said = onewindow("workers", "--var", var)
        assert said.returncode == 0, said.stderr
        return str(said.stdout).splitlines()

    async def is_running() -> bool:
        return (await says())[0] == f"{VERSION}: running 运行中"

    async def is_owed() -> bool:
        with closing(sqlite3.connect(var / "onewindow.db")) as db:
            return bool(db.execute("SELECT count(*) FROM tasks").fetchone()[0])

    arguments = ("up", "--no-engine-ui", "--var", var)
    with running(tmp_path / "up.log", *arguments, ONEWINDOW_WORKER_VERSION=VERSION):
        await eventually(is_ready, 60)
        await eventually(is_running, 60)
        (_, others) = await says()
        assert others == "unversioned workers carry the cases 由未标版本的工作进程办理"
        handed_in = onewindow("submit", SAMPLES / "01-low-flat.json", "--var", var)
        assert handed_in.returncode == 0, handed_in.stderr
        assert not await is_owed()

        unknown = onewindow("workers", "--use", "2026.12", "--var", var)
        assert unknown.returncode == 1
        assert "no worker of version 2026.12 is running" in unknown.stderr
        used = onewindow("workers", "--use", VERSION, "--var", var)
        assert used.stdout == f"{VERSION}: current 当前, running 运行中\n"
        await eventually(is_owed, 60)
    away = onewindow("workers", "--var", var, ONEWINDOW_ENGINE_ADDRESS="127.0.0.1:9")
    assert (away.returncode, away.stdout) == (1, "")
    assert "the engine does not answer" in away.stderr
    assert len(away.stderr.splitlines()) == 1


def test_one_of_two_options(tmp_path: Path) -> None:
    both = onewindow("workers", "--use", "A", "--use-unversioned", "--var", tmp_path)
    assert both.returncode == 1 and "one of them" in both.stderr


def test_a_version_is_spelled_so_that_it_can_be_named() -> None:
    refused = onewindow("workers", ONEWINDOW_WORKER_VERSION="two words")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "ONEWINDOW_WORKER_VERSION" in refused.stderr
    assert "Traceback" not in refused.stderr
