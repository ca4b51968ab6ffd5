"""The peer's HTTP face: `PUT /{agency}/tasks/{id}`, `POST /{agency}/events`, control of faults."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import FaultUnknown
from sandbox.peer import Peer
from sandbox.signature import is_signed
from sandbox.tasks import TaskUnreadable, read_event, read_task


def create_app(peer: Peer) -> Starlette:
    """Build the application that serves `peer` and runs it while it is up."""

    async def refused(request: Request) -> Response | None:
        """Refuse what does not come from OneWindow: the agency's key, and its signature."""
        agency = request.path_params["agency"]
        key = peer.keys.get(agency)
        if key is None:
            return _problem(404, f"no agency {agency}")
        given = request.headers.get("Authorization", "")
        if not compare_digest(given.encode(), f"Bearer {key}".encode()):
            peer.counts[agency]["unauthorised"] += 1
            return _problem(401, f"the key is not that of {agency}")
        secrets = peer.secrets.get(agency)
        if secrets and not is_signed(secrets, request.headers, await request.body(), time.time()):
            peer.counts[agency]["unsigned"] += 1
            return _problem(401, f"not signed with the secret of {agency}, or too long ago")
        return None

    async def pushed(request: Request) -> Response:
        if (refusal := await refused(request)) is not None:
            return refusal
        agency = request.path_params["agency"]
        try:
            task = read_task(json.loads(await request.body()))
        except (TaskUnreadable, ValueError) as problem:
            return _problem(422, str(problem))
        if task.id != request.path_params["task_id"] or task.owed_by != agency:
            return _problem(422, "id and owed_by must be those of the address")
        reply = peer.receive(agency, task)
        if reply.hold:
            await asyncio.sleep(reply.hold)
        if reply.status >= 400:
            return _problem(reply.status, f"fault on demand at {agency}")
        return Response(reply.body, reply.status, media_type="application/json")

    async def changed(request: Request) -> Response:
        if (refusal := await refused(request)) is not None:
            return refusal
        try:
            event = read_event(json.loads(await request.body()))
        except (TaskUnreadable, ValueError) as problem:
            return _problem(422, str(problem))
        reply = peer.receive_event(request.path_params["agency"], event)
        if reply.status >= 400:
            return _problem(reply.status, "fault on demand")
        return Response(status_code=reply.status)

    async def replace_faults(request: Request) -> Response:
        try:
            peer.set_faults(json.loads(await request.body()))
        except (FaultUnknown, ValueError) as problem:
            return _problem(422, str(problem))
        return JSONResponse(peer.faults.settings)

    async def state(_: Request) -> Response:
        return JSONResponse(peer.state())

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "has_clock": peer.clock is not None})

    @asynccontextmanager
    async def carried(_: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(peer.run())
        work.add_done_callback(_report_failure)
        yield
        work.cancel()
        await asyncio.wait([work])

    return Starlette(
        routes=[
            Route("/{agency}/tasks/{task_id}", pushed, methods=["PUT"]),
            Route("/{agency}/events", changed, methods=["POST"]),
            Route("/control/faults", replace_faults, methods=["PUT"]),
            Route("/control/state", state),
            Route("/healthz", health),
        ],
        lifespan=carried,
    )


def _report_failure(work: asyncio.Task[None]) -> None:
    if not work.cancelled() and work.exception() is not None:
        logging.getLogger("sandbox").critical("the peer stopped", exc_info=work.exception())


def _problem(status: int, detail: str) -> Response:
    body = {"type": "about:blank", "title": "sandbox", "status": status, "detail": detail}
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse(body, status, headers, media_type="application/problem+json")
