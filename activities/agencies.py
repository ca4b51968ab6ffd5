"""Calling agencies' systems: `PUT {base}/tasks/{id}`, idempotent by the task's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import orjson

PUSH_TIMEOUT_S = 10.0
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
        self._http = httpx2.AsyncClient(
            timeout=PUSH_TIMEOUT_S,
            limits=httpx2.Limits(max_connections=100, max_keepalive_connections=50),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

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
            answer = await self._http.put(
                f"{base}/tasks/{task['id']}",
                content=orjson.dumps(task),
                headers={
                    "Content-Type": "application/json",
                    "Authorization": f"Bearer {self._keys[agency]}",
                },
            )
        except httpx2.HTTPError as problem:
            raise PushUnanswered(f"{agency}: {type(problem).__name__}") from None
        if 400 <= answer.status_code < 500 and answer.status_code not in _TRY_AGAIN:
            raise PushRefused(f"{agency} answered {answer.status_code}")
        if not answer.is_success:
            raise PushUnanswered(f"{agency} answered {answer.status_code}")
        if not answer.content:
            return None
        if len(answer.content) > _MAX_ANSWER_BYTES:
            raise PushUnanswered(f"{agency} answered more than {_MAX_ANSWER_BYTES} bytes")
        try:
            body = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            raise PushUnanswered(f"{agency} answered something that is not JSON") from None
        outcome = body.get("outcome") if isinstance(body, dict) else None
        return outcome if isinstance(outcome, dict) else None
