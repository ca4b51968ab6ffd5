"""`onewindow key`: keys on the machine, without the API."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.admin_acts import AdminAct, read_acts
from storage.database import open_engine
from storage.migrate import upgrade
from tests.support.serving import api_settings, in_process

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"密钥，仅显示一次: (ow_([a-z0-9]{12})_\S{43})")


def _run(var: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "cli.py", "key", *arguments, "--var", var],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def _acts(url: str) -> tuple[AdminAct, ...]:
    async def read() -> tuple[AdminAct, ...]:
        engine = open_engine(url)
        try:
            return (await read_acts(engine, limit=10, cursor=None)).items
        finally:
            await engine.dispose()

    return asyncio.run(read())


def _is_let_in(url: str, var: Path, key: str) -> bool:
    """Ask an API on the same case file, with the secret that the command left in the folder."""
    secret = re.findall('"server_secret": "([^"]+)"', (var / "server.json").read_text())[0]

    async def asked() -> bool:
        async with in_process(api_settings(url, server_secret=secret)) as api:
            api.now = datetime.now(UTC)
            headers = {"Authorization": f"Bearer {key}"}
            return (await api.call("GET", "/api/v1/tasks", None, headers=headers)).is_success

    return asyncio.run(asked())


@pytest.mark.rule("RB-13.1")
def test_keys_are_made_listed_replaced_and_revoked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'onewindow.db'}"
    made = _run(tmp_path, "add", "--agency", "water", "--label", "水务审批系统")
    assert made.returncode == 0, made.stderr
    ((first, first_id),) = SHOWN.findall(made.stdout)
    assert _is_let_in(url, tmp_path, first)

    rotated = _run(tmp_path, "rotate", first_id, "--overlap-days", "1")
    ((second, second_id),) = SHOWN.findall(rotated.stdout)
    assert _is_let_in(url, tmp_path, first) and _is_let_in(url, tmp_path, second)
    listed = _run(tmp_path, "list").stdout.splitlines()
    assert [line.split()[:3] for line in listed] == [
        [first_id, "water", "replaced"],
        [second_id, "water", "active"],
    ]

    assert _run(tmp_path, "revoke", first_id, "--reason", "外泄").returncode == 0
    assert not _is_let_in(url, tmp_path, first)
    assert _run(tmp_path, "list", "--ended").stdout.split()[:3] == [first_id, "water", "revoked"]
    acts = [(each.act, each.by, each.subject) for each in _acts(url)]
    assert acts == [
        ("key.revoked", "command", first_id),
        ("key.rotated", "command", first_id),
        ("key.made", "command", first_id),
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "--agency", "nobody", "--label", "x"), "choose one of desk, utility"),
        (("add", "--agency", "water", "--label", " "), "--label: has 1 to 100 characters"),
        (("rotate", "abcdefghijkm"), "no key abcdefghijkm; `onewindow key list` shows all"),
        (("revoke", "ow_x", "--reason", "x"), "ow_x: is no id of a key"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = _run(tmp_path, *arguments)
    assert done.returncode == 1
    assert told in done.stderr and len(done.stderr.splitlines()) == 1


def test_for_another_case_file_the_servers_secret_must_be_named(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    upgrade(elsewhere)
    done = _run(
        tmp_path, "add", "--agency", "water", "--label", "x", ONEWINDOW_DATABASE_URL=elsewhere
    )
    assert done.returncode == 1
    assert "set ONEWINDOW_SERVER_SECRET" in done.stderr
    assert not (tmp_path / "server.json").exists()
