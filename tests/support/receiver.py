"""Agencies' systems on this test's own loop: they take what is sent, as they are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(slots=True)
class Receiver:
    """One agency's system.

    Attributes:
        base: address it is reached at.
        answers: status and body of the next answers, in order; after them `usual` without a body.
        arrivals: what arrived.
        goes_on: while it is cleared, nothing is answered.
    """

    base: str = ""
    usual: int = 204
    answers: list[tuple[int, object]] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def told(self) -> list[dict[str, Any]]:
        """The bodies that arrived."""
        return [each.json for each in self.arrivals]

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.arrivals.append(Arrival(request.method, request.path, request.headers, body))
        await self.goes_on.wait()
        status, answer = self.answers.pop(0) if self.answers else (self.usual, None)
        if isinstance(answer, bytes):
            return web.Response(status=status, body=answer)
        if answer is None:
            return web.Response(status=status)
        return web.json_response(answer, status=status)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A system on a free port of this machine."""
    receiver = Receiver()
    receiver.goes_on.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver._answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.base = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        receiver.goes_on.set()
        await runner.cleanup()
