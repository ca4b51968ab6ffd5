"""Calling agencies' systems: tasks by `PUT {base}/tasks/{id}`, changes by `POST {base}/events`.

Both are idempotent by their id and signed. What one agency does, or fails to do, costs no other
anything: each has connections, threads for its name, a bulkhead and a circuit breaker of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import structlog

from activities.gate import Gate, GateState, Held, Paused
from activities.resolving import OwnThreads
from activities.signing import signed, webhook_id

PUSH_TIMEOUT_S = 10.0
AT_ONCE = 16
_MAX_ANSWER_BYTES = 256 * 1024
# 408 and 429 ask for another try; every other 4xx says that the request itself is wrong.
_TRY_AGAIN = frozenset({408, 429})

log = structlog.get_logger()


class PushRefused(Exception):
    """The agency's system says the message itself is wrong (4xx): a person must look at it."""


class PushUnanswered(Exception):
    """The agency's system did not take the message this time; the same one is sent again."""


class PushHeld(PushUnanswered):
    """Nothing was sent: the agency's system did not answer lately, or has its hands full.

    Attributes:
        is_paused: whether it did not answer lately.
        seconds: until it is worth a try.
    """

    def __init__(self, message: str, *, is_paused: bool, seconds: float) -> None:
        super().__init__(message)
        self.is_paused, self.seconds = is_paused, seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """How calls to one agency's system stand in this process.

    Attributes:
        failures: in a row.
        tried_in_s: seconds until one call is let through; 0 if calls pass, or one is on its way.
    """

    agency: str
    state: GateState
    in_flight: int
    failures: int
    tried_in_s: float


@dataclass(slots=True)
class _Line:
    """What there is to reach one agency."""

    agency: str
    base: str
    key: str
    secrets: Sequence[bytes]
    gate: Gate
    names: OwnThreads = field(default_factory=OwnThreads)
    opened: aiohttp.ClientSession | None = None
    is_away: bool = False

    def note(self) -> None:
        """Log when the agency's system goes away, and when it is back."""
        if self.is_away != (self.gate.state is not GateState.CLOSED):
            self.is_away = not self.is_away
            log.warning("agency_away" if self.is_away else "agency_back", agency=self.agency)


class Agencies:
    """The agencies' systems, by their base addresses.

    Args:
        bases: per agency, the address its system is reached at; an agency without one works from
            its inbox, and nothing is sent to it.
        keys: per agency, the key it knows us by.
        secrets: per agency, what its messages are signed with, the newest first; those of an agency
            without are not signed.
        at_once: how many calls to one agency may be under way.
        timeout_s: how long a call may take.
    """

    def __init__(
        self,
        bases: Mapping[str, str],
        keys: Mapping[str, str],
        secrets: Mapping[str, Sequence[bytes]] | None = None,
        *,
        at_once: int = AT_ONCE,
        timeout_s: float = PUSH_TIMEOUT_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._at_once = at_once
        self._lines = {
            agency: _Line(
                agency,
                base.rstrip("/"),
                keys[agency],
                (secrets or {}).get(agency, ()),
                Gate(at_once, now),
            )
            for agency, base in bases.items()
        }

    async def close(self) -> None:
        """Close the connections."""
        for line in self._lines.values():
            if line.opened is not None:
                await line.opened.close()
            await line.names.close()

    @property
    def standings(self) -> Sequence[Standing]:
        """How calls stand, of every agency that has a system, by name."""
        return [
            Standing(
                agency,
                line.gate.state,
                line.gate.in_flight,
                line.gate.failures,
                line.gate.opens_in_s,
            )
            for agency, line in sorted(self._lines.items())
        ]

    async def push(self, agency: str, task: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Push a task; return the outcome if the answer holds one, else None.

        Raises:
            PushRefused: answered 4xx.
            PushUnanswered: not reachable, too slow, 5xx, or an answer that is not understood.
            PushHeld: not sent, since the agency does not answer or has enough to do.
        """
        line = self._lines.get(agency)
        if line is None:
            return None
        content = await self._sent(line, "PUT", f"tasks/{task['id']}", task, "application/json")
        if not content:
            return None
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise PushUnanswered(f"{agency} answered something that is not JSON") from None
        outcome = answer.get("outcome") if isinstance(answer, dict) else None
        return outcome if isinstance(outcome, dict) else None

    async def tell(self, agency: str, event: Mapping[str, Any]) -> None:
        """Tell an agency's system of a change (CloudEvents 1.0, structured), if it has one.

        Raises:
            PushRefused, PushUnanswered, PushHeld: as `push`.
        """
        line = self._lines.get(agency)
        if line is not None:
            await self._sent(line, "POST", "events", event, "application/cloudevents+json")

    async def _sent(
        self, line: _Line, method: str, path: str, message: Mapping[str, Any], media_type: str
    ) -> bytes:
        """Send one message through the agency's gate; return what a 2xx came with."""
        body = orjson.dumps(message)
        headers = {"Content-Type": media_type, "Authorization": f"Bearer {line.key}"}
        try:
            with line.gate.passing(PushUnanswered):
                if line.secrets:
                    # By the clock on the wall, which the receiver compares with its own.
                    sent_at = int(time.time())
                    headers |= signed(line.secrets, webhook_id(message["id"]), sent_at, body)
                return await self._taken(line, method, f"{line.base}/{path}", body, headers)
        except Held as held:
            is_paused = isinstance(held, Paused)
            raise PushHeld(
                f"{line.agency}: {held}", is_paused=is_paused, seconds=line.gate.opens_in_s
            ) from None
        finally:
            line.note()

    async def _taken(
        self, line: _Line, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> bytes:
        try:
            status, content = await self._called(line, method, url, body, headers)
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise PushUnanswered(f"{line.agency}: {type(problem).__name__}") from None
        if 400 <= status < 500 and status not in _TRY_AGAIN:
            raise PushRefused(f"{line.agency} answered {status}")
        if not 200 <= status < 300:
            raise PushUnanswered(f"{line.agency} answered {status}")
        if len(content) > _MAX_ANSWER_BYTES:
            raise PushUnanswered(f"{line.agency} answered more than {_MAX_ANSWER_BYTES} bytes")
        return content

    async def _called(
        self, line: _Line, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Send one request; return the status and no more of the answer than is looked at."""
        async with self._session(line).request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            content = b""
            async for part in answer.content.iter_any():
                content += part
                if len(content) > _MAX_ANSWER_BYTES:
                    answer.close()
                    break
            return answer.status, content

    def _session(self, line: _Line) -> aiohttp.ClientSession:
        # It belongs to the loop it is made in.
        if line.opened is None:
            line.opened = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(limit=self._at_once, resolver=line.names),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return line.opened
