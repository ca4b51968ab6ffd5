"""Telling agencies' systems of changes to their tasks, in order, until each has taken them.

Every agency has a stream of its own: one that is away delays no other. Several API processes may
run; a message is claimed before it is sent, so that two rarely send the same one. If they do, or if
one is killed between sending and noting it, the receiver knows the event by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from activities.agencies import Agencies, PushHeld, PushRefused, PushUnanswered
from activities.changes import event_of
from domain.civil_clock import CivilClock
from storage.outbox import MessageRecord, Outbox, Tried

LOOKS_EVERY_S = 1.0
AT_A_TIME = 50
# Much longer than a call may take: a claim that runs out is sent again.
CLAIMED_FOR = timedelta(seconds=60)
FIRST_WAIT = timedelta(seconds=1)
# Of civil time; in training they are shorter, but not shorter than real HTTP needs.
LONGEST_WAIT = timedelta(hours=1)
REFUSED_WAIT = timedelta(days=1)
SHORTEST = timedelta(seconds=3)

log = structlog.get_logger()


class Sender:
    """Sends messages for as long as the API runs.

    Args:
        now: the engine's time.
        clock: how civil time follows from it.
    """

    def __init__(
        self, outbox: Outbox, agencies: Agencies, now: Callable[[], datetime], clock: CivilClock
    ) -> None:
        self._outbox, self._agencies, self._now = outbox, agencies, now
        self._longest = max(clock.engine_duration(LONGEST_WAIT), SHORTEST)
        self._refused_wait = max(clock.engine_duration(REFUSED_WAIT), SHORTEST)
        self._systems = frozenset(each.agency for each in agencies.standings)
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Look for messages until stopped; what is on its way then is sent again by the next."""
        while not self._stopping.is_set():
            try:
                await self.look()
            except Exception as problem:  # noqa: BLE001  looking must go on, whatever it was
                log.warning("outbox_not_read", problem=type(problem).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), LOOKS_EVERY_S)
        # Not cancelled: a transaction cut off in the middle would hold up other writers.
        await asyncio.gather(*self._streams.values())

    def stop(self) -> None:
        """Have `run` return soon."""
        self._stopping.set()

    async def look(self) -> None:
        """Begin to send to each agency for which something is due, unless that is under way."""
        # An agency whose address was taken out keeps its messages until it has one again.
        for agency in self._systems.intersection(await self._outbox.due(self._now())):
            if agency not in self._streams:
                self._streams[agency] = asyncio.create_task(self._stream(agency))

    async def _stream(self, agency: str) -> None:
        try:
            while not self._stopping.is_set() and await self.some(agency):
                pass
        except Exception as problem:  # noqa: BLE001  one agency's trouble is no other's
            log.warning("outbox_not_sent", agency=agency, problem=type(problem).__name__)
        finally:
            del self._streams[agency]

    async def some(self, agency: str) -> bool:
        """Send what is due to one agency, as far as it answers.

        Returns:
            Whether it answered, and there may be more.
        """
        now = self._now()
        until = now + CLAIMED_FOR
        batch = await self._outbox.claim(agency, now=now, until=until, limit=AT_A_TIME)
        tried: list[Tried] = []
        for message in batch:
            if self._now() > until - CLAIMED_FOR / 2:
                break
            result = await self._sent_unless_stopped(message)
            if result is not None:
                tried.append(result)
            if result is None or not result.is_answered:
                break
        # What was claimed and not sent keeps its place behind what was.
        again_at = self._now() if _is_answering(tried) else tried[-1].next_try_at
        rest = [Tried(each.number, again_at) for each in batch[len(tried) :]]
        if batch:
            await self._outbox.settle([*tried, *rest], at=self._now())
        return bool(batch) and _is_answering(tried)

    async def _sent_unless_stopped(self, message: MessageRecord) -> Tried | None:
        """Send a message; None if this was cut off, and whether it arrived is not known."""
        sending = asyncio.create_task(self._sent(message))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((sending, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if sending.done():
            return sending.result()
        sending.cancel()
        await asyncio.wait((sending,))
        return None

    async def _sent(self, message: MessageRecord) -> Tried:
        number = message.number
        try:
            await self._agencies.tell(message.agency, event_of(message))
        except PushHeld as held:
            again_at = self._now() + timedelta(seconds=held.seconds)
            return Tried(number, again_at, is_refused=message.is_refused, is_answered=False)
        except PushUnanswered as problem:
            wait = min(FIRST_WAIT * 2 ** min(message.attempts, 20), self._longest)
            again_at = self._now() + wait
            return Tried(number, again_at, str(problem), message.is_refused, is_answered=False)
        except PushRefused as problem:
            # It stands with its problem until a person has seen to it, and holds up nothing.
            again_at = self._now() + self._refused_wait
            return Tried(number, again_at, str(problem), is_refused=True)
        return Tried(number)


def _is_answering(tried: Sequence[Tried]) -> bool:
    """Whether an agency's system answered what it was sent last."""
    return not tried or tried[-1].is_answered
