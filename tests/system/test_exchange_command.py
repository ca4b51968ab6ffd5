"""`onewindow exchange`: the same file as the API sends, from the case file itself (RB-4.8)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import cli
from api.app import build_app
from domain.connection import TaskKind
from storage.casefile import CaseFile
from storage.database import open_engine
from tests.support.cases import NOON, new_case, new_task
from tests.support.databases import SqliteFiles
from tests.support.serving import api_settings, authorization, listening

ROOT = Path(__file__).parents[2]
DAY = NOON.date().isoformat()


@pytest.fixture
def url(sqlite_databases: SqliteFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with sqlite_databases.migrated() as url:
        asyncio.run(_put_on_file(url))
        monkeypatch.setenv("ONEWINDOW_DATABASE_URL", url)
        yield url


async def _put_on_file(url: str) -> None:
    casefile = CaseFile(open_engine(url))
    no = (await casefile.submit(new_case())).no
    for department in ("water", "police"):
        items = ("示例事项甲", "示例事项乙")
        await casefile.open_task(new_task(no, TaskKind.PERMITS, department=department, items=items))
    await casefile.close()


def exchange(*arguments: object) -> Any:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, ROOT / "cli.py", "exchange", *map(str, arguments)],
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize("spelling", ["jsonl", "csv"])
def test_it_writes_what_the_api_sends(url: str, tmp_path: Path, spelling: str) -> None:
    with listening(build_app(api_settings(url))) as base:
        sent = httpx2.get(
            f"{base}/api/v1/exchange/permits",
            params={"from": DAY, "to": DAY, "format": spelling},
            headers=authorization("desk"),
            trust_env=False,
        )
    assert sent.status_code == 200 and len(sent.content) > 500
    printed = exchange("--from", DAY, "--format", spelling)
    assert (printed.returncode, printed.stdout) == (0, sent.content), printed.stderr
    file = tmp_path / "file"
    written = exchange("--from", DAY, "--to", DAY, "--format", spelling, "-o", file)
    assert (written.returncode, written.stdout) == (0, b""), written.stderr
    assert file.read_bytes() == sent.content
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_there_whole_or_as_it_was(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("before")

    async def cut(*_: object) -> Any:
        yield b"half"
        raise OSError("the disk is full")

    monkeypatch.setattr("commands.casefile.pieces", cut)
    monkeypatch.setattr(sys, "argv", ["onewindow", "exchange", "--from", DAY, "-o", str(file)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "2026-09-17", "--to", DAY), "--from 2026-09-17: lies after --to 2026-09-16"),
        (("--from", DAY, "-o", "/nowhere/file"), "/nowhere/file.part"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    url: str,
    arguments: tuple[str, ...],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["onewindow", "exchange", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    stderr = capsys.readouterr().err
    assert told in stderr and len(stderr.splitlines()) == 1
