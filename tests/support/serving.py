"""A serving API: in this process without a socket, or on the loopback as callers meet it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from socket import create_server
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from api.__main__ import Serving
from api.app import build_app
from api.services import Services
from settings import Settings
from storage.casefile import CaseFile
from storage.chain import Break
from storage.reading import Reading
from storage.records import TaskRecord
from tests.support.cases import NOON, POLICY

AGENCIES = (
    "desk",
    "utility",
    "applicant",
    "natural-resources",
    "police",
    "urban-management",
    "transport",
    "water",
    "government-services-data",
    "special-group",
)
ADMINISTRATORS = ("admin-1", "admin-2")
SERVER_SECRET = "a server secret for tests, and for nothing else"
PATIENCE_S = 30.0


def key_of(agency: str) -> str:
    """Return an agency's key in the tests."""
    return f"test-key-of-{agency}"


def authorization(agency: str) -> dict[str, str]:
    """Return the header that shows an agency's key."""
    return {"Authorization": f"Bearer {key_of(agency)}"}


def api_settings(database_url: str, **others: Any) -> Settings:
    """Return settings of an API whose engine is away: nothing listens on its port."""
    return Settings(
        database_url=database_url,
        policy=POLICY,
        engine_address="127.0.0.1:1",
        engine_timeout_s=0.2,
        agency_keys={agency: SecretStr(key_of(agency)) for agency in AGENCIES},
        administrator_keys={each: SecretStr(key_of(each)) for each in ADMINISTRATORS},
        **{"server_secret": SecretStr(SERVER_SECRET), **others},
    )


@dataclass
class Api:
    """An API without a socket, and the file behind it.

    Attributes:
        now: what the API takes for the engine's time.
    """

    app: FastAPI
    url: str
    now: datetime = NOON

    @property
    def casefile(self) -> CaseFile:
        """The API's own case file, to put tasks on it as the activity `owe` does."""
        services: Services = self.app.state.services
        return services.casefile

    async def call(
        self,
        method: str,
        path: str,
        agency: str | None = "desk",
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx2.Response:
        """Call as an agency (None: without a key), with an Idempotency-Key if given."""
        sent = dict(authorization(agency)) if agency is not None else {}
        if "json" in request:
            # The client could not spell a lone surrogate.
            request["content"] = json.dumps(request.pop("json")).encode()
            sent["Content-Type"] = "application/json"
        if key is not None:
            sent["Idempotency-Key"] = key
        transport = httpx2.ASGITransport(self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://onewindow") as client:
            return await client.request(
                method, path, headers={**sent, **(headers or {})}, **request
            )

    async def first_break(self) -> Break | None:
        """Check the chains of its case file; return the first broken link."""
        return (await Reading(self.casefile.engine).first_break())[1]

    async def unheard(self) -> tuple[TaskRecord, ...]:
        """Return tasks whose process does not know of a change of their deadline."""
        return await Reading(self.casefile.engine).unheard()

    async def submit(
        self, body: Mapping[str, Any], agency: str = "desk", key: str = "key-1"
    ) -> httpx2.Response:
        """Submit an application."""
        return await self.call("POST", "/api/v1/applications", agency, key=key, json=body)

    async def answer(self, task_id: str, body: object, agency: str = "desk") -> httpx2.Response:
        """Answer a task."""
        return await self.call("PUT", f"/api/v1/tasks/{task_id}/outcome", agency, json=body)


@asynccontextmanager
async def in_process(settings: Settings) -> AsyncIterator[Api]:
    """Run an API with its start and its end, but no socket."""
    api: Api

    def now() -> datetime:
        return api.now

    app = build_app(settings, now)
    api = Api(app, settings.database_url)
    async with app.router.lifespan_context(app):
        yield api


def _no_streams() -> None:
    """Stand for the streams of a console where there is none."""


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve on a free port of the loopback, in a thread; give the address."""
    socket = create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="on")
    server = Serving(config, getattr(app.state, "end_streams", _no_streams))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE_S
    while not server.started:
        assert thread.is_alive() and time.monotonic() < until, "the API does not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        socket.close()
        assert not thread.is_alive(), "the API does not stop"
