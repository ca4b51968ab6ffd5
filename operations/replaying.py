"""Trying today's code on histories, in processes of their own (RB-12.2). Nothing is changed by it.

Code that does not end, or that eats all memory, costs the process that replays it: it is ended,
what it was replaying is reported, and another one goes on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import orjson

from domain.errors import EngineAway, OneWindowError
from operations.divergence import Divergence, Reason, Words
from operations.replayer import MEMORY_VARIABLE
from settings import Settings

PROGRAM = (sys.executable, "-m", "operations.replayer")
AT_ONCE = 2
LINE_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one history may take.

    Attributes:
        of_history: time for replaying it.
        of_fetching: time for whatever comes before: starting, finding and fetching.
        memory_bytes: address space of the process that replays.
    """

    of_history: timedelta = timedelta(seconds=20)
    of_fetching: timedelta = timedelta(seconds=60)
    memory_bytes: int = 2 * 1024**3


LIMITS = Limits()


class CaseResult(StrEnum):
    """What came of a case."""

    CARRIED = "carried"
    """Today's code carries every process of it."""
    NOT_CARRIED = "not_carried"
    """It does not carry one of them."""
    NOT_FOUND = "not_found"
    """The engine has no process of it, or the file no such case."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A process that today's code cannot carry.

    Attributes:
        kind: name of its workflow.
        status: as the engine has it: only what is `running` will be told on.
    """

    case_no: str
    workflow_id: str
    run_id: str
    kind: str
    status: str
    at: Divergence

    @property
    def is_running(self) -> bool:
        """Whether today's code would have to carry it on."""
        return self.status == "running"

    @property
    def words(self) -> Words:
        """The place in one sentence."""
        return self.at.words

    def as_json(self) -> dict[str, Any]:
        """Spell it for the case file and for programs."""
        event, wanted, words = self.at.event, self.at.wanted, self.words
        return {
            "case_no": self.case_no,
            "workflow_id": self.workflow_id,
            "run_id": self.run_id,
            "kind": self.kind,
            "status": self.status,
            "reason": self.at.reason.value,
            "event_id": self.at.event_id,
            "event": {"zh": event.zh, "en": event.en},
            "wanted": {"zh": wanted.zh, "en": wanted.en},
            "words": {"zh": words.zh, "en": words.en},
            "message": self.at.message,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any], at: Divergence) -> Self:
        """Read what a replaying process says of a process."""
        return cls(
            case_no=told["case_no"],
            workflow_id=told["workflow_id"],
            run_id=told["run_id"],
            kind=told["kind"],
            status=told["status"],
            at=at,
        )


@dataclass(frozen=True, slots=True)
class CaseAsked:
    """A case to be replayed.

    Attributes:
        workflow_ids: of its processes, as far as known; others are found by their parents.
    """

    no: str
    workflow_ids: tuple[str, ...]

    @classmethod
    def of(cls, no: str, known: Iterable[str] = ()) -> Self:
        """Return a case with its own process, and others that the case file knows of."""
        return cls(no, (no, *(each for each in known if each != no)))


@dataclass(frozen=True, slots=True)
class CaseReplayed:
    """What came of a case.

    Attributes:
        processes: how many histories were replayed.
    """

    no: str
    result: CaseResult
    processes: int
    findings: tuple[Finding, ...]


class ReplayerLost(OneWindowError):
    """The process that replays ends before it has begun; nothing is known of any case."""


async def replayed(
    cases: Iterable[CaseAsked],
    settings: Settings,
    *,
    program: Sequence[str] = PROGRAM,
    limits: Limits = LIMITS,
    at_once: int = AT_ONCE,
) -> AsyncGenerator[CaseReplayed, None]:
    """Replay cases and yield what came of each, as it comes; end all processes at the end.

    Raises:
        EngineAway: histories cannot be fetched; what was yielded stands.
        ReplayerLost: they cannot be replayed at all; the same.
    """
    left = iter(cases)
    found: asyncio.Queue[CaseReplayed] = asyncio.Queue()

    async def work() -> None:
        async with aclosing(_by_one(left, settings, program, limits)) as results:
            async for each in results:
                found.put_nowait(each)

    working = [asyncio.create_task(work()) for _ in range(at_once)]
    ending = asyncio.gather(*working)
    try:
        while not ending.done() or not found.empty():
            getting = asyncio.create_task(found.get())
            await asyncio.wait((getting, ending), return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                yield getting.result()
            else:
                getting.cancel()
        await ending
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        if ending.done() and not ending.cancelled():
            ending.exception()  # Seen, or not wanted any more.


async def _by_one(
    left: Iterator[CaseAsked], settings: Settings, program: Sequence[str], limits: Limits
) -> AsyncGenerator[CaseReplayed, None]:
    """Replay cases in one process after the other, each as long as it lasts."""
    running: _Running | None = None
    try:
        for case in left:
            lost: dict[str, Finding] = {}
            while True:
                if running is None:
                    starting = asyncio.create_task(_started(settings, program, limits))
                    try:
                        running = await asyncio.shield(starting)
                    except asyncio.CancelledError:
                        # Cut off while it starts, it would be left to itself.
                        running = await starting
                        raise
                try:
                    done = await running.replay(case, lost, limits)
                    break
                except _Lost as found:
                    await running.end()
                    running = None
                    if found.finding is None:
                        raise ReplayerLost("the process that replays ends, or is stuck") from None
                    lost[found.finding.workflow_id] = found.finding
            yield _result(case.no, done, lost.values())
    finally:
        if running is not None:
            await running.end()


def _result(no: str, done: Mapping[str, Any], lost: Iterable[Finding]) -> CaseReplayed:
    findings = [
        Finding.of(each, _read(each["apart"])) for each in done["processes"] if each["apart"]
    ]
    findings += lost
    count = len(done["processes"]) + len(findings) - sum(1 for e in done["processes"] if e["apart"])
    if findings:
        result = CaseResult.NOT_CARRIED
    else:
        result = CaseResult.CARRIED if done["has_parent"] else CaseResult.NOT_FOUND
    return CaseReplayed(no, result, count, tuple(findings))


def _read(apart: Mapping[str, Any]) -> Divergence:
    return Divergence(
        Reason(apart["reason"]),
        apart["event_id"],
        Words(**apart["event"]),
        Words(**apart["wanted"]),
        apart["message"],
    )


class _Lost(Exception):
    """The process that replays has ended, or must be.

    Attributes:
        finding: of the history it was replaying; None: of none.
    """

    def __init__(self, finding: Finding | None) -> None:
        super().__init__()
        self.finding = finding


async def _started(settings: Settings, program: Sequence[str], limits: Limits) -> _Running:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *program,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=LINE_LIMIT,
        cwd=Path(__file__).parents[1],
        # It runs what may do anything: it gets no key, and no address but the engine's.
        env=kept
        | {
            "ONEWINDOW_ENGINE_ADDRESS": settings.engine_address,
            "ONEWINDOW_ENGINE_NAMESPACE": settings.engine_namespace,
            MEMORY_VARIABLE: str(limits.memory_bytes),
            # Else what each thread sets aside grows with the processors, and counts as asked for.
            "MALLOC_ARENA_MAX": "2",
        },
        start_new_session=True,
    )
    return _Running(process)


_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


ENDS_WITHIN_S = 5.0


class _Running:
    """A process that replays."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def replay(
        self, case: CaseAsked, passed_over: Iterable[str], limits: Limits
    ) -> Mapping[str, Any]:
        """Have a case replayed.

        Raises:
            EngineAway: its histories cannot be fetched.
            _Lost: the process has ended, or took longer than it may.
        """
        told: Mapping[str, Any] | None = None
        at, reason = 1, Reason.DIES
        asked = {
            "case_no": case.no,
            "workflow_ids": case.workflow_ids,
            "passed_over": list(passed_over),
        }
        now = asyncio.get_running_loop().time
        until = now() + limits.of_fetching.total_seconds()
        try:
            self._write(asked)
            while True:
                async with asyncio.timeout_at(until):
                    line = await self._line()
                match line:
                    case {"done": _}:
                        return line
                    case {"away": str(why)}:
                        raise EngineAway(why)
                    case {"replaying": of_process}:
                        told, at = of_process, 1
                        until = now() + limits.of_history.total_seconds()
                    case {"replayed": _}:
                        told = None
                        until = now() + limits.of_fetching.total_seconds()
                    case {"at": int(at)}:
                        pass
        except TimeoutError:
            reason = Reason.HANGS
        except (EOFError, ConnectionError):
            pass
        wanted = _took(limits) if reason is Reason.HANGS else _ENDED
        apart = Divergence(reason, at, _A_TASK if at > 1 else _THE_START, wanted, "")
        raise _Lost(None if told is None else Finding.of(told, apart))

    def _write(self, asked: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(asked) + b"\n")

    async def _line(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        said: Mapping[str, Any] = orjson.loads(line)
        return said

    async def end(self) -> None:
        """End it, whatever it is doing."""
        with suppress(ProcessLookupError):
            self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        # Reads to the end of its output: a pipe that is open yet would outlive the loop.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.communicate(), ENDS_WITHIN_S)


_THE_START = Words("流程开始", "the process starts")
_A_TASK = Words("流程任务开始", "a workflow task begins")
_ENDED = Words(
    "使重放进程中断，例如内存超限", "ended the process that replayed it, as for want of memory"
)


def _took(limits: Limits) -> Words:
    seconds = f"{limits.of_history.total_seconds():g}"
    return Words(
        f"{seconds} 秒内未能结束，已中止",
        f"did not come to an end within {seconds} s and was ended",
    )
