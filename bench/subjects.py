"""What is measured: the whole system, and the engine alone in the same arrangement of processes."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, Self

import orjson
from temporalio.client import Client

from bench.application import APPLICATION
from bench.programs import BenchFailed, Programs, free_port
from domain.naming import bundle_id
from domain.working_time import CIVIL_ZONE
from policy.calendar import calendar
from policy.loader import policies
from sandbox.caller import CallFailed, Connection, Response
from settings import Settings
from storage.migrate import upgrade

STALLED_AFTER_S = 90.0
LOOK_EVERY_S = 0.025
CALL_SECONDS = 30.0
WITHDRAWAL_TRIES, WITHDRAWAL_PAUSE_S = 20, 0.5
COUNTED = "bench.counted"
SUPERVISOR = "government-services-data"


class Subject(Protocol):
    """A running system that takes cases through their whole story."""

    name: str
    programs: Programs

    async def __aenter__(self) -> Self:
        """Start everything and wait until it works."""

    async def __aexit__(self, *_error: object) -> None:
        """End everything."""

    async def submit(self) -> str:
        """Hand in one case; return the id of its process."""

    async def ended(self) -> int:
        """How many of the cases handed in have ended."""

    async def check(self) -> None:
        """Make sure that nothing went wrong on the way.

        Raises:
            BenchFailed: something did; says what.
        """

    async def engine_client(self) -> Client:
        """Connect to the engine."""

    def child_of(self, no: str) -> str:
        """Return the id of a case's child process."""


async def carry(
    subject: Subject,
    cases: int,
    at_once: int,
    arrived: Callable[[], Awaitable[int]] | None = None,
) -> list[str]:
    """Take `cases` to where they are going, `at_once` on their way at a time; return their ids.

    Args:
        arrived: counts the cases that are there; by default those that have ended.

    Raises:
        BenchFailed: none has arrived for a long time.
    """
    arrived = arrived or subject.ended
    clock = asyncio.get_running_loop().time
    before, last = await arrived(), 0
    moved_at = clock()
    submissions: list[asyncio.Task[str]] = []
    try:
        while (there := await arrived() - before) < cases:
            if there != last:
                last, moved_at = there, clock()
            if clock() - moved_at > STALLED_AFTER_S:
                raise BenchFailed(f"{subject.name}: {there} of {cases} cases arrived, then no more")
            while len(submissions) < min(cases, there + at_once):
                submissions.append(asyncio.create_task(subject.submit()))
            for each in submissions:
                if each.done():
                    each.result()
            subject.programs.check_running()
            await asyncio.sleep(LOOK_EVERY_S)
        return [await each for each in submissions]
    finally:
        for each in submissions:
            each.cancel()


class Full:
    """Engine, worker, API and peer, as in service: SQLite, HTTP, keys."""

    name = "full"

    def __init__(self, folder: Path, *, is_counted: bool = False) -> None:
        self.programs, self._is_counted = Programs(folder), is_counted
        self._idle: list[Connection] = []
        self._reader: sqlite3.Connection | None = None
        self._case_file = folder / "onewindow.db"

    async def __aenter__(self) -> Self:
        """Start everything and wait until it works."""
        with ExitStack() as started:
            started.enter_context(self.programs)
            await self._up()
            started.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End everything."""
        for connection in self._idle:
            connection.close()
        if self._reader is not None:
            self._reader.close()
        self.programs.end()

    async def _up(self) -> None:
        engine_port, api_port, peer_port = free_port(), free_port(), free_port()
        self._engine = f"127.0.0.1:{engine_port}"
        self._api = f"http://127.0.0.1:{api_port}"
        self._peer = f"http://127.0.0.1:{peer_port}"
        keys, settings = self._settings(api_port)
        self._key, self._supervisors_key = keys["desk"], keys.pop(SUPERVISOR)
        keys_file = self.programs.folder / "keys.json"
        keys_file.write_bytes(orjson.dumps(keys))
        await self.programs.start_engine(engine_port)
        upgrade(settings["ONEWINDOW_DATABASE_URL"])
        self.programs.start_python("peer", "bench.peer", str(peer_port), self._api, str(keys_file))
        for name in ("api", "worker"):
            if self._is_counted:
                self.programs.start_python(
                    name, COUNTED, name, str(self.counts_file(name)), settings=settings
                )
            else:
                self.programs.start_python(name, name, settings=settings)
        await self.programs.until("the API is ready", self._is_ready)
        await self.programs.until_said("worker", "worker: ready")
        self._reader = sqlite3.connect(
            f"file:{self._case_file}?mode=ro", uri=True, isolation_level=None
        )

    def _settings(self, api_port: int) -> tuple[dict[str, str], dict[str, str]]:
        policy = policies()[Settings.model_fields["policy"].default]
        keys = {
            agency: secrets.token_urlsafe(24)
            for agency, rule in policy.agencies.items()
            if rule.role != "supervisor" or agency == SUPERVISOR
        }
        return keys, {
            "ONEWINDOW_DATABASE_URL": self.database_url,
            "ONEWINDOW_ENGINE_ADDRESS": self._engine,
            "ONEWINDOW_API_PORT": str(api_port),
            "ONEWINDOW_AGENCY_KEYS": json.dumps(keys),
            "ONEWINDOW_AGENCY_BASES": json.dumps(
                {agency: f"{self._peer}/{agency}" for agency in keys if agency != SUPERVISOR}
            ),
            "ONEWINDOW_LOG_LEVEL": "WARNING",
        }

    @property
    def engine_address(self) -> str:
        """Where its engine is reached."""
        return self._engine

    @property
    def database_url(self) -> str:
        """Its case file, as a setting."""
        return f"sqlite:///{self._case_file}"

    def counts_file(self, name: str) -> Path:
        """Where a counted program keeps its counts."""
        return self.programs.folder / f"{name}.counts"

    async def submit(self) -> str:
        """Hand in an application over HTTP."""
        path = "/api/v1/applications"
        answer = await self._called("POST", path, APPLICATION, secrets.token_hex(16))
        self._expect(answer, 201, path)
        return str(orjson.loads(answer.body)["no"])

    async def ended(self) -> int:
        """How many cases the case file says have ended, and as they should."""
        return self._count("select count(*) from applications where ending = 'connected'")

    def open_tasks(self) -> int:
        """How many tasks are owed."""
        return self._count("select count(*) from tasks where state = 'open'")

    def _count(self, question: str) -> int:
        if self._reader is None:
            raise BenchFailed("the system is not up")
        count: int = self._reader.execute(question).fetchone()[0]
        return count

    async def withdraw(self, no: str) -> None:
        """Withdraw an application over HTTP; asked again while the process does not answer."""
        path, key = f"/api/v1/applications/{no}/actions", secrets.token_hex(16)
        action = {"action": "withdraw", "reason": "the bench is over"}
        for _ in range(WITHDRAWAL_TRIES):
            answer = await self._called("POST", path, action, key)
            if answer.status != 503:
                break
            await asyncio.sleep(WITHDRAWAL_PAUSE_S)
        self._expect(answer, 200, path)

    async def recalculated(self) -> tuple[int, float]:
        """Publish a calendar in which the next working day is off, and wait until all follow.

        Returns:
            How many cases moved, and the seconds from the publication until each of them was on
            file with its new dates and its process told.
        """
        day = datetime.now(CIVIL_ZONE).date() + timedelta(days=1)
        while not calendar().is_working(day):
            day += timedelta(days=1)
        year = calendar().years.get(day.year)
        days = {
            "notice": "bench",
            "holidays": sorted({day, *(year.holidays if year else ())}),
            "make_up_days": sorted(year.make_up_days if year else ()),
        }
        path = f"/api/v1/calendar/years/{day.year}"
        began = time.perf_counter()
        answer = await self._called("PUT", path, days, "bench", self._supervisors_key)
        self._expect(answer, 201, path)
        behind = (
            "select count(*) from applications where state = 'open' "
            "and (calendar < 2 or calendar_told < 2)"
        )
        while self._count(behind):
            self.programs.check_running()
            await asyncio.sleep(LOOK_EVERY_S)
        seconds = time.perf_counter() - began
        moved = "select count(*) from events where kind = 'calendar_changed'"
        return self._count(moved), seconds

    async def _called(
        self, method: str, path: str, body: object, key: str, agency_key: str | None = None
    ) -> Response:
        connection = self._idle.pop() if self._idle else Connection(self._api, CALL_SECONDS)
        headers = {
            "Authorization": f"Bearer {agency_key or self._key}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        answer = await connection.call(method, path, headers, orjson.dumps(body))
        self._idle.append(connection)
        return answer

    def _expect(self, answer: Response, status: int, path: str) -> None:
        if answer.status != status:
            said = f"{answer.body.decode()}; the API said: {self.programs.said('api')[-4000:]}"
            raise BenchFailed(f"{path} was answered {answer.status}: {said}")

    async def plan(self, *, delay_s: float = 0.0, stops: tuple[str, ...] = ()) -> None:
        """Tell the peer how to answer from now on."""
        body = orjson.dumps({"delay_s": delay_s, "stops": stops})
        connection = Connection(self._peer, CALL_SECONDS)
        await connection.call("PUT", "/plan", {}, body)
        connection.close()

    async def peer_counts(self) -> Mapping[str, int]:
        """What the peer has taken and answered so far."""
        connection = Connection(self._peer, CALL_SECONDS)
        answer = await connection.call("GET", "/plan", {})
        connection.close()
        counts: Mapping[str, int] = orjson.loads(answer.body)
        return counts

    async def peer_pushes(self) -> Mapping[str, Sequence[float]]:
        """When each case's permit tasks came to the peer, in seconds since 1970."""
        connection = Connection(self._peer, CALL_SECONDS)
        answer = await connection.call("GET", "/pushes", {})
        connection.close()
        pushes: Mapping[str, Sequence[float]] = orjson.loads(answer.body)
        return pushes

    async def check(self) -> None:
        """Make sure that every answer of an agency was taken at once.

        Raises:
            BenchFailed: some were not.
        """
        counts = await self.peer_counts()
        refused = {
            name: count
            for name, count in counts.items()
            if name.startswith("answered_") and name not in ("answered_200", "answered_202")
        }
        if refused:
            said = self.programs.said("api")[-4000:]
            raise BenchFailed(f"answers of agencies by status: {refused}; the API said: {said}")

    async def engine_client(self) -> Client:
        """Connect to the engine."""
        return await Client.connect(self._engine)

    def child_of(self, no: str) -> str:
        """Return the id of a case's bundle."""
        return bundle_id(no, 1)

    async def _is_ready(self) -> bool:
        connection = Connection(self._api, CALL_SECONDS)
        try:
            answer = await connection.call("GET", "/readyz", {})
        except CallFailed:
            return False
        finally:
            connection.close()
        return answer.status == 200 and bool(orjson.loads(answer.body)["engine"])


class Floor:
    """Engine, worker and completer: the same story with nothing in it."""

    name = "floor"

    def __init__(self, folder: Path) -> None:
        self.programs = Programs(folder)
        self._submitted = self._ended = 0
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start everything and wait until it works."""
        with ExitStack() as started:
            started.enter_context(self.programs)
            await self._up()
            started.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End everything."""
        if self._listening is not None:
            self._listening.cancel()
            self._line.close()
        self.programs.end()

    async def _up(self) -> None:
        engine_port, completer_port = free_port(), free_port()
        self._engine = f"127.0.0.1:{engine_port}"
        await self.programs.start_engine(engine_port)
        await self.programs.until("the engine answers", self._is_ready)
        self.programs.start_python(
            "completer", "bench.floor_completer", self._engine, str(completer_port)
        )
        await self.programs.until_said("completer", "ready")
        self.programs.start_python(
            "worker", "bench.floor_worker", self._engine, str(completer_port)
        )
        await self.programs.until_said("worker", "ready")
        reader, self._line = await asyncio.open_connection("127.0.0.1", completer_port)
        self._listening = asyncio.create_task(self._listen(reader))

    async def submit(self) -> str:
        """Have the completer start a case."""
        return self._started("start")

    def approve(self) -> str:
        """Have the completer start what lies around one bundle."""
        return self._started("approve")

    def _started(self, story: str) -> str:
        self._submitted += 1
        case = f"floor-{self._submitted:06d}"
        self._line.write(f"{story} {case}\n".encode())
        return case

    async def ended(self) -> int:
        """How many cases the completer says have had their last task done."""
        return self._ended

    async def check(self) -> None:
        """Nothing can go wrong but that cases do not end, and that was seen."""

    async def engine_client(self) -> Client:
        """Connect to the engine."""
        return await Client.connect(self._engine)

    def child_of(self, no: str) -> str:
        """Return the id of a case's bundle."""
        return f"{no}.permits.1"

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while await reader.readline():
            self._ended += 1

    async def _is_ready(self) -> bool:
        with suppress(RuntimeError):
            await (await Client.connect(self._engine)).count_workflows()
            return True
        return False
