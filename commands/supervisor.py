"""Keeping programs running: started together, restarted when they die, ended in reverse order.

Each program leads a session of its own, so that a Ctrl-C at the terminal reaches only the
supervisor, and dies with the supervisor even when that is killed outright.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from commands.failure import CommandFailed

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
SETTLED_AFTER_S = 10.0
"""Whoever lived so long has started well: its next end is an accident, and the pause is short."""
MOST_FAILED_STARTS = 3
GRACE_S = 5.0
"""Between asking a program to end and making it."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Program:
    """Something to keep running; `environment` is all it gets."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """How a program stands; `pid` is None while it pauses before the next start."""

    pid: int | None
    started_at: datetime
    restarts: int


class Supervisor:
    """Keeps programs running while something else is done.

    Args:
        programs: in the order of starting.
        logs: folder for `<name>.log`, which is appended to.
        say: takes one line for people.
        note: takes the whole state, after each change.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        logs: Path,
        say: Callable[[str], None],
        note: Callable[[Mapping[str, Running]], None],
    ) -> None:
        self._programs, self._logs, self._say, self._note = tuple(programs), logs, say, note
        self._running: dict[str, Running] = {}

    async def run(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do `work` with the programs up; end them when it is over or a signal comes.

        Returns:
            What `work` returned; None if SIGINT, SIGTERM or SIGHUP ended it. A second signal ends
            the programs without grace.

        Raises:
            CommandFailed: a program cannot be started.
        """
        working = asyncio.create_task(work)
        keeping = [asyncio.create_task(self._keep(program)) for program in self._programs]
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._end_work, working)
        try:
            await asyncio.wait([working, *keeping], return_when=asyncio.FIRST_COMPLETED)
            for keeper in keeping:
                if keeper.done():
                    keeper.result()
            return None if working.cancelled() else working.result()
        finally:
            working.cancel()
            await asyncio.wait([working])
            for keeper in reversed(keeping):
                keeper.cancel()
                await asyncio.wait([keeper])
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _end_work(self, working: asyncio.Task[Any]) -> None:
        if working.cancelling() or working.done():
            for running in self._running.values():
                _signal_group(running.pid, signal.SIGKILL)
        working.cancel()

    async def _keep(self, program: Program) -> None:
        pause, failed_starts, has_settled = FIRST_PAUSE_S, 0, False
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            process = await self._start(program)
            try:
                code = await process.wait()
            finally:
                await _end(process)
            if clock() - started >= SETTLED_AFTER_S:
                pause, has_settled = FIRST_PAUSE_S, True
            # Killed from outside says nothing about whether it can start; ending by itself does.
            failed_starts += code >= 0 and not has_settled
            log = self._log_of(program)
            if failed_starts == MOST_FAILED_STARTS:
                raise CommandFailed(f"{program.name} does not start: {_last_line(log)} ({log})")
            self._set(program, replace(self._running[program.name], pid=None))
            how = f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
            self._say(f"{program.name} ended {how}; starting it again in {pause:g} s ({log})")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _start(self, program: Program) -> asyncio.subprocess.Process:
        with _opened(self._log_of(program)) as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    *program.arguments,
                    env=dict(program.environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=partial(_die_with_parent, os.getpid()),
                )
            except OSError as problem:
                raise CommandFailed(f"{program.name} cannot be started: {problem}") from problem
        before = self._running.get(program.name)
        restarts = before.restarts + 1 if before else 0
        self._set(program, Running(process.pid, datetime.now(UTC), restarts))
        return process

    def _set(self, program: Program, running: Running) -> None:
        self._running[program.name] = running
        self._note(self._running)

    def _log_of(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _die_with_parent(parent: int) -> None:
    """In the child, before its program begins: have the kernel kill it when `parent` ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a program to end, insist after a while, and clear away what it may have started."""
    for number, grace in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
        if process.returncode is None:
            _signal_group(process.pid, number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace)
    _signal_group(process.pid, signal.SIGKILL)


def _signal_group(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(pid, number)


def _opened(log: Path) -> BinaryIO:
    return log.open("ab")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
