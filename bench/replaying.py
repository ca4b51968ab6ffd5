"""How long it takes to try the code on all open cases, past the API, as `onewindow replay` does."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from bench.measures import STOPS
from bench.programs import BenchFailed
from bench.subjects import Full, carry
from operations.replaying import CaseAsked, CaseResult, replayed
from settings import Settings
from storage.database import open_engine
from storage.replays import to_replay


@dataclass(frozen=True, slots=True)
class Replays:
    """What replaying every open case took.

    Attributes:
        histories: of the cases and their bundles; fetched from the engine while it ran.
        seconds: from asking the case file until the last result, two processes replaying.
    """

    cases: int
    histories: int
    seconds: float


async def replays(folder: Path, cases: int, at_once: int) -> Replays:
    """Have cases wait, a quarter of them at each stop, and replay them all.

    Raises:
        BenchFailed: one of them is not carried by the code that carries it.
    """
    async with Full(folder) as full:
        await full.plan(stops=STOPS)

        async def stopped() -> int:
            return (await full.peer_counts()).get("stopped", 0)

        await carry(full, cases, at_once, stopped)
        settings = Settings(engine_address=full.engine_address)
        began = time.perf_counter()
        casefile = open_engine(full.database_url)
        asked = [CaseAsked.of(each.no, each.workflow_ids) for each in await to_replay(casefile)]
        await casefile.dispose()
        done = histories = 0
        async with aclosing(replayed(asked, settings)) as results:
            async for each in results:
                if each.result is not CaseResult.CARRIED:
                    raise BenchFailed(f"{each.no} came out as {each.result}")
                done, histories = done + 1, histories + each.processes
        return Replays(done, histories, time.perf_counter() - began)
