"""Calling agencies' systems: `PUT {base}/tasks/{id}`, idempotent by the task's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

PUSH_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 100
_MAX_ANSWER_BYTES = 256 * 1024
# 408 and 429 ask for another try; every other 4xx says that the request itself is wrong.
_TRY_AGAIN = frozenset({408, 429})


class PushRefused(Exception):
    """The agency's system says the task itself is wrong (4xx): a person must look at it."""


class PushUnanswered(Exception):
    """The agency's system did not take the task this time; the same push is tried again."""


class Agencies:
    """The agencies' systems, by their base addresses.

    Args:
        bases: per agency, the address its system is reached at; an agency without one works from
            its inbox, and nothing is pushed to it.
        keys: per agency, the key it knows us by.
    """

    def __init__(self, bases: Mapping[str, str], keys: Mapping[str, str]) -> None:
        self._bases = {agency: base.rstrip("/") for agency, base in bases.items()}
        self._keys = keys
        self._opened: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()

    async def push(self, agency: str, task: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Push a task; return the outcome if the answer holds one, else None.

        Raises:
            PushRefused: answered 4xx.
            PushUnanswered: not reachable, too slow, 5xx, or an answer that is not understood.
        """
        base = self._bases.get(agency)
        if base is None:
            return None
        try:
            status, content = await self._put(
                f"{base}/tasks/{task['id']}",
                orjson.dumps(task),
                {
                    "Content-Type": "application/json",
                    "Authorization": f"Bearer {self._keys[agency]}",
                },
            )
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise PushUnanswered(f"{agency}: {type(problem).__name__}") from None
        if 400 <= status < 500 and status not in _TRY_AGAIN:
            raise PushRefused(f"{agency} answered {status}")
        if not 200 <= status < 300:
            raise PushUnanswered(f"{agency} answered {status}")
        if not content:
            return None
        if len(content) > _MAX_ANSWER_BYTES:
            raise PushUnanswered(f"{agency} answered more than {_MAX_ANSWER_BYTES} bytes")
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise PushUnanswered(f"{agency} answered something that is not JSON") from None
        outcome = body.get("outcome") if isinstance(body, dict) else None
        return outcome if isinstance(outcome, dict) else None

    async def _put(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send one request; return the status and no more of the answer than is looked at."""
        async with self._session().put(
            url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            content = b""
            async for part in answer.content.iter_any():
                content += part
                if len(content) > _MAX_ANSWER_BYTES:
                    answer.close()
                    break
            return answer.status, content

    def _session(self) -> aiohttp.ClientSession:
        # It belongs to the loop it is made in.
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=PUSH_TIMEOUT_S),
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._opened
