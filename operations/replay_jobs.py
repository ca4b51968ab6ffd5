"""Carrying out the replays that administrators asked for, for as long as the API runs (RB-12.2).

What came of each case is on file soon after. Whoever is killed meanwhile leaves the rest to whoever
comes next, and one that is asked to stop leaves it at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta

import structlog

from domain.errors import EngineAway
from operations.replaying import (
    LIMITS,
    PROGRAM,
    CaseAsked,
    CaseReplayed,
    Limits,
    ReplayerLost,
    replayed,
)
from settings import Settings
from storage.replays import CaseSettled, Claimed, Replays

LOOKS_EVERY_S = 1.0
NOTES_EVERY_S = 0.5
CLAIMED_FOR = timedelta(seconds=30)
"""Much longer than it takes to note something; a claim that runs out is taken up by others."""
ENGINE_MAY_BE_AWAY_S = 30.0

ENGINE_AWAY: Mapping[str, str] = {
    "zh": "流程引擎暂无响应，未能取得全部历史；恢复后请重新发起",
    "en": "the engine does not answer, so not every history could be fetched; ask again",
}
REPLAYER_LOST: Mapping[str, str] = {
    "zh": "重放进程无法启动或反复中断，请查看程序安装",
    "en": "the process that replays does not start, or ends at once; look at the installation",
}
INTERRUPTED: Mapping[str, str] = {
    "zh": "执行此重放的程序多次中断，已放弃；请缩小范围后重新发起",
    "en": "whoever worked on it ended several times, so it was given up; ask for fewer cases",
}

log = structlog.get_logger()


class ReplayJobs:
    """Takes up replays, one at a time.

    Args:
        now: the engine's time.
        program: what replays, in processes of its own.
        engine_may_be_away_s: how long a replay waits for the engine before it fails.
    """

    def __init__(
        self,
        replays: Replays,
        settings: Settings,
        now: Callable[[], datetime],
        *,
        program: Sequence[str] = PROGRAM,
        limits: Limits = LIMITS,
        engine_may_be_away_s: float = ENGINE_MAY_BE_AWAY_S,
    ) -> None:
        self._replays, self._settings, self._now = replays, settings, now
        self._program, self._limits = program, limits
        self._engine_may_be_away_s = engine_may_be_away_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Look for replays until stopped; one in hand is left to whoever comes next."""
        while not self._stopping.is_set():
            is_done = False
            try:
                is_done = await self.some()
            except Exception as problem:  # noqa: BLE001  looking must go on, whatever it was
                log.warning("replay_interrupted", problem=type(problem).__name__)
            if not is_done:
                await self._pause(LOOKS_EVERY_S)

    def stop(self) -> None:
        """Have `run` return soon."""
        self._stopping.set()

    async def some(self) -> bool:
        """Take up one replay, if one is waiting; return whether one was."""
        now = self._now()
        if not await self._replays.is_any_free(now):
            return False
        await self._replays.give_up(INTERRUPTED, now=now, at=self._civil_now())
        claimed = await self._replays.claim(secrets.token_hex(16), now=now, until=now + CLAIMED_FOR)
        if claimed is None:
            return False
        log.info("replay_taken_up", replay=claimed.id)
        await self._carried_out(claimed)
        return True

    async def _carried_out(self, claimed: Claimed) -> None:
        loop = asyncio.get_running_loop()
        away_since, done = loop.time(), -1
        while True:
            try:
                if await self._went_through(claimed):
                    await self._replays.end(claimed, at=self._civil_now())
                return
            except ReplayerLost:
                await self._replays.end(claimed, at=self._civil_now(), problem=REPLAYER_LOST)
                return
            except EngineAway:
                # Each time it comes back meanwhile, it may be away as long again.
                before, done = done, (await self._replays.one(claimed.id)).done
                if done > before:
                    away_since = loop.time()
                if loop.time() - away_since > self._engine_may_be_away_s:
                    await self._replays.end(claimed, at=self._civil_now(), problem=ENGINE_AWAY)
                    return
            await self._pause(LOOKS_EVERY_S)
            if not await self._is_still_ours(claimed, []):
                return

    async def _went_through(self, claimed: Claimed) -> bool:
        """Replay what is left; false if it was stopped, or is to be left.

        Raises:
            EngineAway: histories cannot be fetched.
            ReplayerLost: they cannot be replayed at all.
        """
        left = await self._replays.left(claimed.id)
        places = {case.no: case.position for case in left}
        noted: list[CaseSettled] = []

        async def replay() -> None:
            cases = [CaseAsked.of(case.no, case.workflow_ids) for case in left]
            found = replayed(cases, self._settings, program=self._program, limits=self._limits)
            async with aclosing(found):
                async for each in found:
                    noted.append(_settled(places[each.no], each))  # noqa: PERF401  as it comes

        replaying = asyncio.create_task(replay())
        try:
            while not replaying.done():
                await asyncio.wait((replaying,), timeout=NOTES_EVERY_S)
                batch, noted[:] = list(noted), []
                if not await self._is_still_ours(claimed, batch):
                    return False
            batch, noted[:] = list(noted), []
            is_ours = await self._is_still_ours(claimed, batch)
            replaying.result()
            return is_ours
        finally:
            replaying.cancel()
            await asyncio.gather(replaying, return_exceptions=True)

    async def _is_still_ours(self, claimed: Claimed, noted: Sequence[CaseSettled]) -> bool:
        """Note what came of cases; false if nothing more is to be done."""
        if self._stopping.is_set():
            await self._replays.settle(claimed, noted, until=self._now())
            await self._replays.release(claimed)
            return False
        return await self._replays.settle(claimed, noted, until=self._now() + CLAIMED_FOR)

    def _civil_now(self) -> datetime:
        return self._settings.clock.civil(self._now())

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _settled(position: int, each: CaseReplayed) -> CaseSettled:
    findings = [finding.as_json() for finding in each.findings]
    return CaseSettled(position, each.result.value, each.processes, findings)
