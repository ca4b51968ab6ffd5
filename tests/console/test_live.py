"""Streams say that something has changed to those who may see it, cost little, and end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from socket import create_server
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from api.__main__ import Serving
from api.app import build_app
from console import live as live_module
from console.app import mount
from console.live import PER_SESSION, Live
from storage.accounts import Accounts
from storage.reading import Reading
from storage.watching import EVERYTHING, Topic, Watching
from tests.console.office import PASSWORD, Office
from tests.support.cases import HIGH, NOON
from tests.support.databases import rows
from tests.support.serving import PATIENCE_S, api_settings

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(live_module, "QUIET_S", 0.05)


class Served:
    """A console that listens on the office's case file, and can be told to stop."""

    def __init__(self, url: str) -> None:
        self.now = NOON
        app = build_app(api_settings(url), lambda: self.now)
        console: FastAPI = mount(app)
        self.live: Live = console.state.live
        self.live._look_every_s = 0.05
        self.accounts: Accounts = console.state.accounts
        self._socket = create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none")
        self._server = Serving(config, self.live.stop)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        until = time.monotonic() + PATIENCE_S
        while not self._server.started:
            assert self._thread.is_alive() and time.monotonic() < until
            time.sleep(0.01)

    def stop(self) -> float:
        """Stop as a signal would; return how long that took."""
        began = time.monotonic()
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the server does not stop"
        self._socket.close()
        return time.monotonic() - began


@contextmanager
def served(url: str) -> Iterator[Served]:
    server = Served(url)
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def signed_in(base: str, account: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=base, timeout=PATIENCE_S) as client:
        page = (await client.get("/console/sign-in")).text
        token = page.split('name="form_token" value="')[1].split('"')[0]
        form = {"account": account, "password": PASSWORD, "form_token": token}
        assert (await client.post("/console/sign-in", data=form)).status_code == 303
        yield client


class Heard:
    """What one stream said, line by line."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def until(self, wanted: str) -> list[str]:
        """Return the lines until one begins like this."""
        heard: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                heard.append(line)
                if line.startswith(wanted):
                    return heard
        raise AssertionError(f"the stream ended before {wanted!r}: {heard}")

    async def end(self) -> list[str]:
        """Return what is said until it ends."""
        async with asyncio.timeout(PATIENCE_S):
            return [line async for line in self._lines]


@asynccontextmanager
async def heard(client: httpx2.AsyncClient, path: str) -> AsyncIterator[Heard]:
    async with client.stream("GET", f"/console{path}", headers=STREAM) as response:
        yield Heard(response)


async def test_a_stream_tells_of_what_the_own_agency_owes_and_of_nothing_else(
    office: Office, url: str
) -> None:
    await office.hire("water-1")
    no = await office.case()
    task_id = await office.permits(no)
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client, heard(client, "/tasks/events") as s:
            assert s.response.headers["content-type"].startswith("text/event-stream")
            assert s.response.headers["x-accel-buffering"] == "no"
            assert s.response.headers["cache-control"] == "no-store"
            assert await s.until(":") == ["retry: 5000", "", ":"], "a heartbeat, and no news"
            await office.permits(no, "police")
            later = await s.until(":")
            assert not [line for line in later if line.startswith("event")], later
            colleague = {"type": "claimed", "holder": "water-2"}
            path = f"/api/v1/tasks/{task_id}/events"
            await office.api.call("POST", path, "water", key="k1", json=colleague)
            assert await s.until("event: changed")


async def test_what_changed_between_the_page_and_the_stream_is_told_at_once(
    office: Office, url: str
) -> None:
    await office.hire("water-1")
    no = await office.case()
    watching = Watching(office.api.casefile.engine)
    before = await watching.mark(Topic(owed_by="water"))
    await office.permits(no)
    after = await watching.mark(Topic(owed_by="water"))
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client:
            async with heard(client, f"/tasks/events?since={before}") as s:
                said = await s.until("data:")
                assert said[:4] == ["retry: 5000", "", "event: changed", f"id: {after}"]
                assert "刷新本页" in said[4]
            # A browser that comes back says what it was told last.
            back = {**STREAM, "Last-Event-ID": after}
            path = f"/console/tasks/events?since={before}"
            async with client.stream("GET", path, headers=back) as response:
                assert not [e for e in await Heard(response).until(":") if e.startswith("event")]
            async with heard(client, f"/tasks/events?since={after}") as s:
                assert not [e for e in await s.until(":") if e.startswith("event")]


@pytest.mark.rule("RB-13.1")
async def test_an_agency_listens_to_its_own_whatever_it_asks_for(office: Office, url: str) -> None:
    await office.hire("water-1")
    no = await office.case()
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client:
            async with heard(client, "/tasks/events?owed_by=police") as s:
                await s.until(":")
                await office.permits(no, "police")
                assert not [e for e in await s.until(":") if e.startswith("event")]
            for path in (f"/cases/{no}/events", "/supervision/events"):
                assert (await client.get(f"/console{path}", headers=STREAM)).status_code == 403


async def test_a_case_and_everything_can_be_listened_to(office: Office, url: str) -> None:
    await office.hire("desk-1")
    no, other = await office.case(), await office.case(HIGH, key="key-2")
    with served(url) as server:
        async with (
            signed_in(server.base, "desk-1") as client,
            heard(client, f"/cases/{no}/events") as one,
            heard(client, "/supervision/events") as everything,
        ):
            await one.until(":")
            await everything.until(":")
            await office.permits(other)
            await everything.until("event: changed")
            assert not [e for e in await one.until(":") if e.startswith("event")]
            await office.permits(no)
            await one.until("event: changed")
            unknown = await client.get("/console/cases/nonsense/events", headers=STREAM)
            assert unknown.status_code == 404


async def test_the_server_stops_at_once_with_streams_open(office: Office, url: str) -> None:
    await office.hire("water-1")
    server = Served(url)
    async with signed_in(server.base, "water-1") as client, heard(client, "/tasks/events") as s:
        await s.until(":")
        took = await asyncio.to_thread(server.stop)
        await s.end()
    assert took < 3


@pytest.mark.parametrize("how", ["signed out", "disabled", "idle"])
async def test_a_stream_ends_with_its_session(office: Office, url: str, how: str) -> None:
    await office.hire("water-1")
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client, heard(client, "/tasks/events") as s:
            await s.until(":")
            match how:
                case "signed out":
                    await server.accounts.sign_out(client.cookies["onewindow_session"])
                case "disabled":
                    await office.accounts.disable("water-1", at=NOON)
                case _:
                    server.now = NOON + timedelta(minutes=61)
            assert "event: signed-out" in await s.end()
            again = await client.get("/console/tasks/events", headers=STREAM)
            assert again.status_code == 303, "to the sign-in"


async def test_listening_is_no_use_of_a_session(office: Office, url: str) -> None:
    await office.hire("water-1")
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client:
            before = rows(url)["sessions"]
            server.now = NOON + timedelta(minutes=30)
            async with heard(client, "/tasks/events") as s:
                await s.until(":")
            live = {"X-OneWindow-Live": "1"}
            assert (await client.get("/console/tasks", headers=live)).status_code == 200
            assert rows(url)["sessions"] == before
            await client.get("/console/tasks")
            assert rows(url)["sessions"] != before, "looking is one"


async def test_a_session_listens_to_a_few_pages_at_a_time(office: Office, url: str) -> None:
    await office.hire("water-1")
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client:
            async with _many(client, PER_SESSION):
                refused = await client.get("/console/tasks/events", headers=STREAM)
                assert refused.status_code == 429
                assert "请手动刷新" in refused.text
            await _eventually(lambda: _is_let_in(client))


@asynccontextmanager
async def _many(client: httpx2.AsyncClient, many: int) -> AsyncIterator[None]:
    if many == 0:
        yield
        return
    async with heard(client, "/tasks/events") as s:
        await s.until("retry")
        async with _many(client, many - 1):
            yield


async def _is_let_in(client: httpx2.AsyncClient) -> bool:
    async with heard(client, "/tasks/events") as s:
        return s.response.status_code == 200


async def _eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110  the server in its thread has no event for it
            await asyncio.sleep(0.02)


async def test_nobody_asks_the_case_file_while_nobody_listens(
    office: Office, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.hire("water-1")
    asked = 0
    original = Watching.mark

    async def counted(self: Watching, topic: Topic = EVERYTHING) -> str:
        nonlocal asked
        asked += 1
        return await original(self, topic)

    monkeypatch.setattr(Watching, "mark", counted)
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client:
            async with heard(client, "/tasks/events") as s:
                await s.until(":")
            assert asked > 1

            async def has_ended() -> bool:
                watcher = server.live._watcher
                return watcher is not None and watcher.done()

            await _eventually(has_ended)


async def test_a_case_file_that_is_away_for_a_while_ends_no_stream(
    office: Office, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.hire("water-1")
    no = await office.case()
    original, failures = Watching.mark, 3

    async def broken(self: Watching, topic: Topic = EVERYTHING) -> str:
        nonlocal failures
        if topic == EVERYTHING and failures:
            failures -= 1
            raise OSError
        return await original(self, topic)

    monkeypatch.setattr(Watching, "mark", broken)
    with served(url) as server:
        async with signed_in(server.base, "water-1") as client, heard(client, "/tasks/events") as s:
            await s.until(":")
            await office.permits(no)
            await s.until("event: changed")
    assert failures == 0


async def test_an_address_of_a_stream_opened_by_hand_leads_to_its_page(office: Office) -> None:
    visit = await office.visit_of("desk-1")
    no = await office.case()
    for path, page in (
        ("/tasks/events", "/console/tasks"),
        (f"/cases/{no}/events", f"/console/cases/{no}"),
        ("/supervision/events", "/console/supervision"),
    ):
        assert (await visit.get(path)).headers["location"] == page


async def test_every_change_that_a_list_shows_changes_its_mark(office: Office) -> None:
    watching, water = Watching(office.api.casefile.engine), Topic(owed_by="water")
    no = await office.case()
    marks = [await watching.mark(water)]
    task_id = await office.permits(no)
    marks.append(await watching.mark(water))
    for position, body in enumerate(
        (
            {"type": "claimed", "holder": "a"},
            {"type": "reassigned", "holder": "b"},
            {"type": "handed-back"},
            {"type": "correction-opened", "ground": "x", "missing": ["y"]},
        )
    ):
        path = f"/api/v1/tasks/{task_id}/events"
        await office.api.call("POST", path, "water", key=f"e{position}", json=body)
        marks.append(await watching.mark(water))
    items = [
        {"item": i["item"], "outcome": "approved"} for i in _items(await _task(office, task_id))
    ]
    await office.api.answer(task_id, {"code": "answered", "items": items}, "water")
    marks.append(await watching.mark(water))
    assert marks[-1] != marks[-2]
    assert len(set(marks[:-1])) == len(marks) - 1
    assert await watching.mark(water) == marks[-1], "and nothing else does"
    assert (await Reading(office.api.casefile.engine).task(task_id)).state == "done"


async def _task(office: Office, task_id: str) -> Any:
    return (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()


def _items(task: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = task["items"]
    return found
