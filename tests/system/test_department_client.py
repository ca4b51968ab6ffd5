"""The client that departments begin with: a real process, a real API, pushes as the worker's."""

from __future__ import annotations

import ast
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from activities.agencies import Agencies, PushRefused
from activities.changes import event_of
from activities.contract import task_body
from api.app import build_app
from domain.connection import TaskKind
from policy.loader import policy_for
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.outbox import Outbox
from storage.records import TaskRecord
from tests.support.cases import POLICY, new_case, new_task
from tests.support.databases import SqliteFiles, connected
from tests.support.department import CLIENT, Department, agencies, department, secret_bytes
from tests.support.serving import PATIENCE_S, api_settings, authorization, listening

NOW = datetime.now(UTC).replace(microsecond=0)
ITEMS = ("河道管理范围内建设项目工程建设方案审批", "拆除、改动排水设施审核")
NOBODY = "http://127.0.0.1:1"
OURS = secret_bytes()


@dataclass(frozen=True, slots=True)
class OneWindow:
    """An API on the loopback, its file, and a task that the department owes.

    Attributes:
        outcomes: what each outcome that was put was answered with.
    """

    base: str
    url: str
    casefile: CaseFile
    task: TaskRecord
    outcomes: list[int]

    def shown(self, path: str = "") -> Any:
        """Return the task as the API shows it to the department."""
        answer = httpx2.get(
            f"{self.base}/api/v1/tasks/{self.task.id}{path}",
            headers=authorization("water"),
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def has_answered(self, times: int) -> bool:
        """Whether outcomes were put so often, and each was taken."""
        return self.outcomes == [202] * times

    async def push(self, to: Department, *secrets: bytes) -> None:
        """Push the task as the worker does."""
        body = task_body(self.task, policy_for(POLICY))
        async with _closing(agencies(to.base, secrets or (OURS,))) as reached:
            assert await reached.push("water", body) is None


@asynccontextmanager
async def _closing(reached: Agencies) -> AsyncIterator[Agencies]:
    try:
        yield reached
    finally:
        await reached.close()


@pytest.fixture
async def onewindow(sqlite_databases: SqliteFiles) -> AsyncIterator[OneWindow]:
    with sqlite_databases.migrated() as url:
        casefile = CaseFile(open_engine(url), systems=["water"])
        no = (await casefile.submit(new_case(at=NOW))).no
        task = await casefile.open_task(
            new_task(no, TaskKind.PERMITS, department="water", items=ITEMS, at=NOW, due_on=None)
        )
        app, outcomes = build_app(api_settings(url)), list[int]()

        @app.middleware("http")
        async def noted(request: Request, answered: RequestResponseEndpoint) -> Response:
            answer = await answered(request)
            if request.method == "PUT":
                outcomes.append(answer.status_code)
            return answer

        with listening(app) as base:
            yield OneWindow(base, url, casefile, task, outcomes)
        await casefile.close()


async def until(holds: Callable[[], Any]) -> Any:
    """Wait for what another process does; return what it then is."""
    ends = time.monotonic() + PATIENCE_S
    while not (found := await asyncio.to_thread(holds)):
        assert time.monotonic() < ends, "did not come about in time"
        await asyncio.sleep(0.05)
    return found


async def test_a_task_that_is_pushed_is_decided_once_however_often_it_comes(
    onewindow: OneWindow, tmp_path: Path
) -> None:
    with department(tmp_path, onewindow.base) as water:
        await onewindow.push(water)
        await until(lambda: onewindow.shown()["state"] == "done")
        outcome = onewindow.shown()["outcome"]
        assert outcome["code"] == "answered"
        assert [(each["item"], each["outcome"]) for each in outcome["items"]] == [
            (item, "approved") for item in ITEMS
        ]
        for times in (2, 3):
            await onewindow.push(water)
            # Told once more, and once more it is the same: 200 or 202, never 409.
            await until(partial(onewindow.has_answered, times))
        await until(lambda: [row[2] for row in water.rows()] == [202])
        assert onewindow.shown()["outcome"] == outcome


async def test_what_was_not_signed_with_the_secret_is_not_taken(
    onewindow: OneWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with department(tmp_path, NOBODY) as water:
        with pytest.raises(PushRefused, match="401"):
            await onewindow.push(water, b"another secret, 24 bytes")
        unsigned = await asyncio.to_thread(
            lambda: httpx2.put(f"{water.base}/tasks/x", json={"id": "x"}, trust_env=False)
        )
        assert unsigned.status_code == 401
        stale = time.time() - 301
        with monkeypatch.context() as patched:
            patched.setattr("activities.agencies.time.time", lambda: stale)
            with pytest.raises(PushRefused, match="401"):
                await onewindow.push(water)
        assert water.rows() == []


async def test_while_secrets_change_it_is_enough_to_know_one(
    onewindow: OneWindow, tmp_path: Path
) -> None:
    with department(tmp_path, onewindow.base) as water:
        await onewindow.push(water, b"the newer secret, not yet known", OURS)
        await until(lambda: onewindow.shown()["state"] == "done")


async def test_what_it_took_it_still_has_after_it_was_killed(
    onewindow: OneWindow, tmp_path: Path
) -> None:
    # Of this one no decision is like another.
    source = CLIENT.read_text(encoding="utf-8")
    client = tmp_path / "client.py"
    client.write_text(source.replace('"示例许〔2026〕1号"', "str(time.time_ns())"), "utf-8")
    assert client.read_text("utf-8") != source
    with department(tmp_path, NOBODY, client=client) as water:
        await onewindow.push(water)
        await until(lambda: water.rows()[0][1])
        decided = water.rows()
        assert [status for *_, status in decided] == [599]
    with department(tmp_path, onewindow.base, client=client) as water:
        await until(lambda: onewindow.shown()["state"] == "done")
        await until(lambda: [row[2] for row in water.rows()] == [202])
        assert [row[:2] for row in water.rows()] == [row[:2] for row in decided]


async def test_while_onewindow_fails_it_repeats(onewindow: OneWindow, tmp_path: Path) -> None:
    with department(tmp_path, onewindow.base) as water:
        _rename(onewindow, "tasks", "elsewhere")
        await onewindow.push(water)
        await until(lambda: onewindow.outcomes[:2] == [503, 503])
        _rename(onewindow, "elsewhere", "tasks")
        await until(lambda: onewindow.shown()["state"] == "done")


def _rename(onewindow: OneWindow, table: str, to: str) -> None:
    """Take a table of the case file away, or bring it back."""
    with connected(onewindow.url) as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {to}")


async def test_a_task_that_is_withdrawn_is_forgotten(onewindow: OneWindow, tmp_path: Path) -> None:
    with department(tmp_path, NOBODY) as water:
        await onewindow.push(water)
        await until(water.rows)
        await onewindow.casefile.end(
            onewindow.task.case_no, "withdrawn", at=NOW + timedelta(hours=1), action_id=None
        )
        (message,) = await Outbox(onewindow.casefile.engine).claim(
            "water", now=NOW, until=NOW + timedelta(minutes=1), limit=10
        )
        async with _closing(agencies(water.base, (OURS,))) as reached:
            for _ in range(2):
                await reached.tell("water", event_of(message))
        assert water.rows() == []


async def test_a_decision_that_is_refused_is_not_put_for_ever(
    onewindow: OneWindow, tmp_path: Path
) -> None:
    by_hand = {
        "code": "answered",
        "items": [{"item": i, "outcome": "refused", "note": "示例：不同意"} for i in ITEMS],
    }
    await onewindow.casefile.decide(onewindow.task.id, by_hand, by="water", at=NOW)
    with department(tmp_path, onewindow.base) as water:
        await onewindow.push(water)
        await until(lambda: [row[2] for row in water.rows()] == [409])
    assert onewindow.shown()["outcome"] == by_hand


def test_it_is_short_and_needs_nothing_but_python() -> None:
    source = CLIENT.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module))
    assert modules
    assert {name.partition(".")[0] for name in modules} <= set(sys.stdlib_module_names)
