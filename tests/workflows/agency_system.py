"""An agency's system: takes pushed tasks over HTTP and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Push:
    """A push as it arrived."""

    path: str
    key: str | None
    task: dict[str, Any]


@dataclass(slots=True)
class AgencySystem:
    """Attributes:
    base: address it is reached at.
    answers: status and body of the next answers, in order; after them 202 without a body.
    pushes: what arrived.
    """

    base: str = ""
    answers: list[tuple[int, object]] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[AgencySystem]:
    """An agency's system on a free port of this machine."""
    system = AgencySystem()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            system.pushes.append(Push(self.path, self.headers["Authorization"], json.loads(body)))
            status, answer = system.answers.pop(0) if system.answers else (202, None)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Keep the tests' output clean."""

    class Server(ThreadingHTTPServer):
        # A fleet of cases calls at once; whoever does not get through is turned away.
        request_queue_size = 256

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    system.base = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield system
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
