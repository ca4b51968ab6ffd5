"""`docs/integration.md`: whatever it shows is run, and whatever it says of the contract is so."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest

from activities.signing import signed, webhook_id
from api.app import build_app
from api.problems import PROBLEMS
from api.webhooks import EVENT_EXAMPLES, ChangeEvent
from domain.connection import TaskKind
from domain.permits import ItemOutcome
from policy.loader import policy_for
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.outbox import MessageKind
from tests.support.cases import NOON, POLICY, new_case, new_task
from tests.support.databases import SqliteFiles
from tests.support.department import CLIENT, SECRET, department, secret_bytes
from tests.support.serving import api_settings, key_of, listening
from tests.support.shown_commands import blocks, commands, differences, lacking

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)
ITEMS = ("河道管理范围内建设项目工程建设方案审批", "拆除、改动排水设施审核")
PATIENCE_S = 60.0

needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "openssl"))),
    reason="bash, curl or openssl is not installed here",
)


async def _put_on_file(url: str) -> list[str]:
    casefile = CaseFile(open_engine(url))
    tasks = []
    for number in range(2):
        no = (await casefile.submit(new_case(f"key-{number}"))).no
        new = new_task(no, TaskKind.PERMITS, department="water", items=ITEMS)
        task = await casefile.open_task(replace(new, due_on=date(2026, 9, 22)))
        tasks.append(task.id)
    await casefile.close()
    return tasks


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _environment(**variables: str) -> dict[str, str]:
    """What the page's reader has set, with this Python first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "NO_PROXY": "127.0.0.1", "LANG": "C.UTF-8", **variables}


def _system_key(base: str) -> str:
    """Have an administrator make a key for the department's system."""
    made = httpx2.post(
        f"{base}/api/v1/admin/keys",
        headers={"Authorization": f"Bearer {key_of('admin-1')}", "Idempotency-Key": "key-1"},
        json={"agency": "water", "label": "示例系统"},
        trust_env=False,
    )
    return str(made.json()["secret"])


@needs_tools
def test_every_command_does_what_the_page_says(
    sqlite_databases: SqliteFiles, tmp_path: Path
) -> None:
    file = tmp_path / "decision.pdf"
    file.write_bytes(b"%PDF-1.7 fictitious")
    # The API's clock stands still here; what the page signs for it (`date -u`) goes by that.
    clock = f'[ "$1" = -u ] && echo {NOON.timestamp():.0f} || exec {shutil.which("date")} "$@"'
    (tmp_path / "date").write_text(f"#!/bin/sh\n{clock}\n")
    (tmp_path / "date").chmod(0o755)
    with sqlite_databases.migrated() as url:
        first, second = asyncio.run(_put_on_file(url))
        with listening(build_app(api_settings(url), lambda: NOON)) as base:
            port = str(_free_port())
            environment = _environment(
                ONEWINDOW=f"{base}/api/v1",
                KEY=key_of("water"),
                SECRET=SECRET,
                MINE=f"http://127.0.0.1:{port}",
                TASK=first,
                NEXT=second,
                FILE=str(file),
                PORT=port,
                KEPT=str(tmp_path / "department.db"),
                SYSTEM_KEY=_system_key(base),
            )
            environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"
            assert differences(PAGE, environment, ROOT) == []


def test_no_block_stands_there_that_is_not_tried() -> None:
    tried = {"sh", "console", "sh training", "python", "json"}
    assert {block.info for block in BLOCKS} == tried
    assert len([block for block in BLOCKS if block.info == "python"]) == 2
    assert len([block for block in BLOCKS if block.info == "json"]) == 1
    assert len([block for block in BLOCKS if block.info == "sh training"]) == 2
    assert not re.search(
        r"^( {4}|\t|~~~)", re.sub("```.*?```", "", PAGE, flags=re.DOTALL), re.MULTILINE
    )


@needs_tools
@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("```sh\nfalse\n```\n```sh\necho\n```", ["line 4: is not reached: ", "the page ends"]),
        ('```console\n$ echo \'{"a": 1}\'; echo 200\n{"a": 2}\n200\n```', ["line 2: .a is 1"]),
        ('```console\n$ echo \'{"a": 1}\'; echo 200\n{"b": 1}\n200\n```', ["line 2: .b is not"]),
        ("```console\n$ echo '{}'; echo 404\n{}\n200\n```", ["line 2: answers 404"]),
        ("```console\n$ echo one\ntwo\n```", ["line 2: prints 'one"]),
        ("```console\n$ true\n$ echo \\\n> one\n```", ["line 3: prints 'one"]),
        ("```console\n$ exit 3\n```", ["the page ends with 3"]),
        ('```console\n$ echo "[1, 2]"; echo 200\n[1]\n200\n```', ["line 2:  is [1, 2]"]),
    ],
)
def test_a_page_that_is_wrong_is_found_out(page: str, told: list[str], tmp_path: Path) -> None:
    found = differences(page, _environment(), tmp_path)
    assert len(found) == len(told)
    for problem, expected in zip(found, told, strict=True):
        assert problem.startswith(expected)


# ---------------------------------------------------------------- what it says of the contract


def _python() -> tuple[str, str]:
    by_hand, client = (block.text for block in BLOCKS if block.info == "python")
    return by_hand, client


def test_the_signature_is_verified_in_three_lines() -> None:
    lines, _ = _python()
    assert len(lines.splitlines()) == 3
    body = json.dumps({"id": "ZJ20260000011.permits-water.1", "zh": "示例"}).encode()
    keys = [b"the newer secret, not yet known", secret_bytes()]
    headers = signed(keys, webhook_id("ZJ20260000011.permits-water.1"), 1_790_000_000, body)

    def is_ours(headers: dict[str, str], body: bytes) -> Any:
        names: dict[str, Any] = {
            "hmac": hmac,
            "b64decode": b64decode,
            "headers": headers,
            "body": body,
            "secret": SECRET,
        }
        exec("from base64 import b64encode\n" + lines, names)
        return names["is_ours"]

    assert is_ours(headers, body) is True
    assert is_ours(headers, body + b" ") is False
    assert is_ours({**headers, "webhook-timestamp": "1790000001"}, body) is False
    assert is_ours({**headers, "webhook-id": "another"}, body) is False
    assert is_ours({**headers, "webhook-signature": "v1,AAAA"}, body) is False


def test_the_client_shown_is_the_client() -> None:
    _, client = _python()
    assert client + "\n" == CLIENT.read_text(encoding="utf-8")


def test_the_event_shown_is_an_event() -> None:
    (shown,) = (json.loads(block.text) for block in BLOCKS if block.info == "json")
    assert shown == EVENT_EXAMPLES["ChangeEvent"]
    ChangeEvent.model_validate(shown)


def _column(heading: str, number: int = 0) -> list[str]:
    """Return what stands in backquotes in a column of a section's tables."""
    section = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    return [re.findall("`([^`]+)`", row[number])[0] for row in rows]


def test_every_special_procedure_of_the_policy_is_named() -> None:
    procedures = policy_for(POLICY).procedures
    special = [name for name, rule in procedures.items() if rule.pause == "special"]
    assert _column("A special procedure") == special
    for each in special:
        assert f"| `{each}` | {procedures[each].zh} " in PAGE


def test_every_outcome_of_an_item_and_every_change_is_named() -> None:
    assert _column("Answer") == list(get_args(ItemOutcome))
    changes = [f"onewindow.task.{kind}" for kind in MessageKind]
    assert sorted(_column("Changes you are told of")) == sorted(changes)


def test_every_problem_it_names_is_one() -> None:
    statuses = {each.slug: each.status for each in PROBLEMS}
    section = PAGE.partition("## What refusals mean")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([0-9, ]+) \| (.*?) \|", section, re.MULTILINE)
    named = [
        (status, slug)
        for shown, slugs in rows
        for status in shown.split(", ")
        for slug in re.findall("`([a-z-]+)`", slugs)
        if len(shown) == 3
    ]
    assert len(named) > 7
    for status, slug in named:
        assert statuses[slug] == int(status), slug


def test_every_link_to_a_section_leads_somewhere() -> None:
    def anchors(page: str) -> set[str]:
        headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}

    for page, anchor in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", PAGE):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8") if page else PAGE
        assert anchor in anchors(text), (page, anchor)
    for page in re.findall(r"\]\(([\w./-]+)[)#]", PAGE):
        assert (ROOT / "docs" / page).exists(), page


# ---------------------------------------------------------------- the test plan, in training mode


@contextmanager
def _running(script: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


@needs_tools
def test_in_training_mode_the_client_decides_among_the_stand_ins(tmp_path: Path) -> None:
    up, hand_in = (block.text for block in BLOCKS if block.info == "sh training")
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    port = _free_port()
    api = f"http://127.0.0.1:{port}"
    with department(tmp_path, api) as water:
        environment = _environment(
            MINE=water.base,
            KEY=key_of("water"),
            SECRET=SECRET,
            ONEWINDOW_API_PORT=str(port),
            ONEWINDOW_ENGINE_ADDRESS="127.0.0.1:17433",
        )
        typed = f'onewindow() {{ {sys.executable} {ROOT / "cli.py"} "$@"; }}\n'
        with _running(typed.replace("{ ", "{ exec ", 1) + up, environment, tmp_path):
            _wait_until_ready(api, tmp_path)
            watched = subprocess.run(
                ["bash", "-ec", typed + hand_in],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            assert watched.returncode == 0, watched.stderr
            assert watched.stdout.splitlines()[-1] == "已接电 connected"
            ((task, outcome, status),) = water.rows()
            shown = httpx2.get(
                f"{api}/api/v1/tasks/{task}",
                headers={"Authorization": f"Bearer {key_of('water')}"},
                trust_env=False,
            ).json()
    assert status in (200, 202)
    assert list(lacking(json.loads(outcome or ""), shown["outcome"])) == []


def _wait_until_ready(api: str, folder: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < until, (folder / "up.log").read_text(encoding="utf-8")
        try:
            answer = httpx2.get(f"{api}/readyz", trust_env=False)
        except httpx2.TransportError:
            answer = None
        if answer is not None and answer.is_success and answer.json()["engine"]:
            return
        time.sleep(0.1)


def test_the_page_has_commands_to_run() -> None:
    assert len(list(commands(BLOCKS))) > 20
