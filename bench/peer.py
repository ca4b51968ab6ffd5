"""All agencies at once, as lean as can be: what it costs is not what is measured.

    python -m bench.peer <port> <api> <keys file>

Every push is answered 202, and its outcome called back, at once or later. `PUT /plan` says how:

- `delay_s`: mean seconds until an answer; drawn from half of it to one and a half.
- `stops`: kinds of task at which cases stop, dealt out to the cases by their number in turn.

What was held back under the old plan is answered under the new one. `GET /plan` counts pushes,
answers by status, tasks `held` at a stop now, and the cases `stopped` by that. `GET /pushes` says
when each case's permit tasks came first.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import uvloop

from sandbox.caller import CallFailed, Connection
from sandbox.routes import HIGH_VOLTAGE

CALLERS = 16
CALL_SECONDS = 30.0
AGAIN_AFTER_S = 0.5

OUTCOMES: dict[str, dict[str, Any]] = {
    "check_papers": {"code": "accepted"},
    "supply_plan": {"code": "planned", "document_no": "示例供电方案1号"},
    "confirm_plan": {"code": "agreed"},
    "line_design": {"code": "designed", "route": HIGH_VOLTAGE["five_departments"]},
    "build_line": {"code": "built"},
    "customer_works": {"code": "finished"},
    "inspection": {"code": "passed"},
    "sign_contract": {"code": "signed"},
    "energise": {"code": "energised"},
}


class Peer:
    """Takes tasks, answers them by the plan."""

    def __init__(self, api: str, keys: dict[str, str]) -> None:
        self._api, self._keys = api, keys
        self._delay_s = 0.0
        self._stops: Sequence[str] = ()
        self._held: dict[str, dict[str, Any]] = {}
        self._calls: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()
        self._pushes: dict[str, dict[str, float]] = {}
        self.counts: Counter[str] = Counter()

    def take(self, task: dict[str, Any]) -> None:
        """Take a push; the same again changes nothing, since outcomes are idempotent."""
        self.counts["pushes"] += 1
        if task["kind"] == "permits":
            self._pushes.setdefault(task["case_no"], {}).setdefault(task["id"], time.time())
        if task["state"] != "open":
            return
        if task["kind"] == stop_of(task["case_no"], self._stops):
            self._held[task["id"]] = task
            return
        self._answer(task)

    def plan(self, delay_s: float, stops: Sequence[str]) -> None:
        """Change the plan."""
        self._delay_s, self._stops = delay_s, stops
        held, self._held = self._held, {}
        for task in held.values():
            self.take(task)

    def _answer(self, task: dict[str, Any]) -> None:
        call = (task["id"], task["owed_by"], orjson.dumps(_outcome(task)))
        if self._delay_s == 0:
            self._calls.put_nowait(call)
            return
        delay_s = self._delay_s * random.uniform(0.5, 1.5)  # noqa: S311 - a delay
        asyncio.get_running_loop().call_later(delay_s, self._calls.put_nowait, call)

    async def call_back_for_ever(self) -> None:
        """Deliver outcomes over one connection."""
        connection = Connection(self._api, CALL_SECONDS)
        while True:
            call = task_id, agency, body = await self._calls.get()
            headers = {
                "Authorization": f"Bearer {self._keys[agency]}",
                "Content-Type": "application/json",
            }
            try:
                path = f"/api/v1/tasks/{task_id}/outcome"
                status = (await connection.call("PUT", path, headers, body)).status
            except CallFailed:
                status = 0
            self.counts[f"answered_{status}"] += 1
            if status not in (200, 202):
                print(f"{task_id}: {status}", flush=True)
                asyncio.get_running_loop().call_later(AGAIN_AFTER_S, self._calls.put_nowait, call)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = head.partition("\r\ncontent-length:")[2].partition("\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                status, answer = self._requested(head, body)
                writer.write(
                    b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(answer), answer)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _requested(self, head: str, body: bytes) -> tuple[bytes, bytes]:
        if head.startswith("put /plan "):
            self.plan(**orjson.loads(body))
            return b"200 OK", b""
        if head.startswith("get /plan "):
            stopped = {task["case_no"] for task in self._held.values()}
            waiting = {"held": len(self._held), "stopped": len(stopped)}
            return b"200 OK", orjson.dumps({**self.counts, **waiting})
        if head.startswith("get /pushes "):
            return b"200 OK", orjson.dumps({no: [*by.values()] for no, by in self._pushes.items()})
        self.take(orjson.loads(body))
        return b"202 Accepted", b""


def stop_of(case_no: str, stops: Sequence[str]) -> str | None:
    """Return the kind of task at which a case stops; None if it does not."""
    return stops[int(case_no[6:-1]) % len(stops)] if stops else None


def _outcome(task: dict[str, Any]) -> dict[str, Any]:
    if task["kind"] == "permits":
        items = [
            {"item": asked["item"], "outcome": "approved", "document_no": "示例许可1号"}
            for asked in task["items"]
        ]
        return {"code": "answered", "items": items}
    area = {"is_central_urban": True} if task["asks_area"] else {}
    return {**OUTCOMES[task["kind"]], **area}


async def run(port: int, api: str, keys: dict[str, str]) -> None:
    """Serve until a signal ends the process."""
    peer = Peer(api, keys)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", port, backlog=1024)
    print("ready", flush=True)
    async with server, asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(peer.call_back_for_ever())


if __name__ == "__main__":
    _, given_port, given_api, keys_file = sys.argv
    uvloop.run(run(int(given_port), given_api, orjson.loads(Path(keys_file).read_bytes())))
