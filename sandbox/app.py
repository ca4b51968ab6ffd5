"""The peer's HTTP face: `PUT /{agency}/tasks/{id}` and the control of faults."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import FaultUnknown
from sandbox.peer import Peer
from sandbox.tasks import TaskUnreadable, read_task


def create_app(peer: Peer) -> Starlette:
    """Build the application that serves `peer` and runs it while it is up."""

    async def pushed(request: Request) -> Response:
        agency = request.path_params["agency"]
        key = peer.keys.get(agency)
        if key is None:
            return _problem(404, f"no agency {agency}")
        given = request.headers.get("Authorization", "")
        if not compare_digest(given.encode(), f"Bearer {key}".encode()):
            peer.counts[agency]["unauthorised"] += 1
            return _problem(401, f"the key is not that of {agency}")
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
