"""Entry of the process that serves API and console: a composition root of its own."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from socket import socket

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import build_app
from console.app import mount
from policy.loader import UnknownPolicy
from settings import settings_of_process


class Discreet:
    """Keeps failures from the server's log, where their messages may name a person (RB-13.3).

    By the time one comes here it was answered as a problem and logged by its type and place.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; let start-up and shut-down fail aloud."""
        try:
            await self._app(scope, receive, send)
        except Exception:
            if scope["type"] != "http":
                raise


STARTUP_FAILED = 3
"""As uvicorn's own command exits, where it cannot listen."""


class Serving(uvicorn.Server):
    """Ends streams when it is told to stop: it waits for its answers, and they have no end.

    Args:
        end_streams: called once, before it waits.
    """

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let go of everybody."""
        self._end_streams()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    settings = settings_of_process()
    try:
        app = build_app(settings)
        mount(app)
    except (UnknownPolicy, ValueError) as problem:
        sys.exit(f"api: {problem}")
    config = uvicorn.Config(
        Discreet(app),
        host=settings.api_host,
        port=settings.api_port,
        log_level=settings.log_level.lower(),
        access_log=False,
        # Only a proxy that is named says who asks, and whether by https.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        timeout_keep_alive=75,
    )
    server = Serving(config, app.state.end_streams)
    # What is there for good, 250,000 objects, is not looked through again each time that garbage
    # is: that stopped everything for a fifth of a second, every few pages of many rows.
    gc.collect()
    gc.freeze()
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILED)


if __name__ == "__main__":
    main()
