"""`onewindow stuck` needs no API: it asks the case file and the engine themselves (RB-12.1)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.connection import Voltage
from operations.processes import Processes
from storage.migrate import upgrade
from tests.operations.conftest import opened_town
from tests.support.cases import LOW
from tests.support.databases import SqliteFiles
from tests.workflows.harness import Town

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.rule("RB-12.1")


@pytest.fixture
async def town(sqlite_databases: SqliteFiles, tmp_path: Path) -> AsyncIterator[Town]:
    async with opened_town(sqlite_databases, tmp_path) as town:
        yield town


def stuck(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, ROOT / "cli.py", "stuck", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
        env={**os.environ, **environment},
    )


async def asked(town: Town, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "ONEWINDOW_DATABASE_URL": town.settings.database_url,
        "ONEWINDOW_ENGINE_ADDRESS": town.settings.engine_address,
    }
    return await asyncio.to_thread(stuck, *arguments, **environment)


async def test_it_says_that_nothing_is_and_then_what_is(town: Town) -> None:
    no = await town.submit(Voltage.LOW)
    await town.owed(no, "check_papers.1")
    await town.delivery.note()
    well = await asked(town)
    assert (well.returncode, well.stderr) == (0, "")
    assert "没有卡滞；在办 1 件" in well.stdout and "nothing is stuck: 1 open cases" in well.stdout

    processes = Processes(town.settings)
    process = await processes.describe(no)
    assert process is not None
    await processes.terminate(no, process.run_id, "a test's")
    found = await asked(town)
    assert (found.returncode, found.stderr) == (3, "")
    for said in (
        no,
        "紧急",
        "critical",
        "流程实例已被终止，而办件尚未办结",
        "Its process was terminated while the case is still open",
        "依案卷重启 restart from the case file",
        "卡滞 1 项，在办 1 件 1 stuck, 1 open cases",
    ):
        assert said in found.stdout, found.stdout

    as_json = await asked(town, "--json")
    assert as_json.returncode == 3
    body: dict[str, Any] = json.loads(as_json.stdout)
    (item,) = body["items"]
    assert (item["kind"], item["case_no"]) == ("process_closed", no)
    assert (body["complete"], body["open_cases"]) == (True, 1)
    # Nobody is named (RB-13.3).
    for value in (LOW["applicant"]["name"], LOW["applicant"]["phone"], LOW["site"]["address"]):
        assert value not in found.stdout + as_json.stdout


def test_of_a_folder_on_which_nothing_runs_it_says_what_the_file_shows(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'onewindow.db'}")
    found = stuck("--var", tmp_path)
    assert (found.returncode, found.stderr) == (3, "")
    assert "引擎失联" in found.stdout and "engine away" in found.stdout
    assert "this is only what the case file shows" in found.stdout


def test_without_a_case_file_it_fails_in_one_line(tmp_path: Path) -> None:
    found = stuck("--var", tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert "there is no case file" in found.stderr and len(found.stderr.splitlines()) == 1
