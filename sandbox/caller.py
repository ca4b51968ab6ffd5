"""Calls to OneWindow: HTTP/1.1 over one kept-alive connection, one request at a time.

Written out because a general client takes several times the processor time of everything else the
peer does, and the peer is what a bench loads OneWindow with.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

_LONGEST_BODY = 1_000_000


class CallFailed(Exception):
    """No answer: not connected, cut off, too slow, or not HTTP."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Connection:
    """One connection to `base` (http or https), opened when needed and kept.

    Attributes:
        timeout: real seconds for a whole call.
    """

    base: str
    timeout: float
    _url: SplitResult = field(init=False)
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def __post_init__(self) -> None:
        self._url = urlsplit(self.base.rstrip("/"))
        if self._url.scheme not in ("http", "https") or not self._url.hostname:
            raise ValueError(f"{self.base!r} is not an http address")

    async def call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Response:
        """Send one request and return its answer.

        Raises:
            CallFailed: whether the request took effect is not known.
        """
        lines = [f"{method} {self._url.path}{path} HTTP/1.1", f"Host: {self._url.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        try:
            async with asyncio.timeout(self.timeout):
                reader, writer = await self._open()
                writer.write("\r\n".join(lines).encode() + body)
                return await self._response(reader)
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as problem:
            self.close()
            raise CallFailed(repr(problem)) from problem
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            is_secure = self._url.scheme == "https"
            port = self._url.port or (443 if is_secure else 80)
            self._streams = await asyncio.open_connection(
                self._url.hostname, port, ssl=is_secure or None
            )
        return self._streams

    async def _response(self, reader: asyncio.StreamReader) -> Response:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip().split("\r\n")
        status = int(first.split(" ", 2)[1])
        headers = {}
        for line in rest:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await self._body(reader, status, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Response(status, headers, body)

    async def _body(
        self, reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]
    ) -> bytes:
        if status == 204:
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._chunks(reader)
        length = int(headers["content-length"]) if "content-length" in headers else -1
        if not 0 <= length <= _LONGEST_BODY:
            raise ValueError(f"an answer of {length} bytes")
        return await reader.readexactly(length)

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            if len(body) + size > _LONGEST_BODY:
                raise ValueError("the answer is too long")
            body += (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass  # trailers say nothing that is needed
        return body
