"""The programs a measurement runs: started on free loopback ports, watched, and always ended."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 5.0
POLL_S = 0.05
ENGINE_TRIES = 5
PORTS = range(20_000, 32_000)
"""Below those that the system hands out by itself, so that nobody is given ours meanwhile."""
_PR_SET_PDEATHSIG = 1
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BenchFailed(Exception):
    """A program of the measurement did not do its part."""


@dataclass
class Programs:
    """A folder of its own and the programs that run in it; leaving the block ends them.

    Attributes:
        folder: where databases and logs lie.
        pids: of every program running, by name, in the order they were started.
    """

    folder: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def pids(self) -> Mapping[str, int]:
        return {name: process.pid for name, process in self._running.items()}

    def start(self, name: str, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        """Start a program; what it says goes to `<name>.log`.

        Args:
            settings: variables on top of this process's, without its settings of OneWindow.
        """
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ONEWINDOW_")}
        environment = {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - only what this package names
                arguments,
                cwd=self.folder,
                env={**environment, **(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(_die_with_parent, os.getpid()),
            )

    def start_python(
        self, name: str, module: str, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> None:
        """Start `python -m module`."""
        self.start(name, sys.executable, "-m", module, *arguments, settings=settings)

    async def start_engine(self, port: int) -> None:
        """Start the engine on a database file, as `onewindow up` does; return once it listens.

        Raises:
            BenchFailed: it does not start.
        """

        async def listens() -> bool:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return True
            return False

        for tries_left in reversed(range(ENGINE_TRIES)):
            self.start(
                "engine",
                str(Path(sys.executable).with_name("temporal")),
                *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)),
                *("--db-filename", str(self.folder / "engine.db")),
                *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"),
                "--dynamic-config-value",
                "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2",
                *("--log-level", "warn"),
            )
            try:
                await self.until("the engine listens", listens)
            except BenchFailed:
                # It picks more ports for itself, and falls if one is taken at that moment.
                if not tries_left:
                    raise
            else:
                return

    async def until(self, what: str, check: Callable[[], Awaitable[bool]]) -> None:
        """Wait until `check` holds.

        Raises:
            BenchFailed: it did not within a minute, or a program ended meanwhile.
        """
        give_up_at = time.monotonic() + STARTS_WITHIN_S
        while not await check():
            self.check_running()
            if time.monotonic() > give_up_at:
                raise BenchFailed(f"waited {STARTS_WITHIN_S:g} s in vain until {what}")
            await asyncio.sleep(POLL_S)

    async def until_said(self, name: str, text: str) -> None:
        """Wait until a program has said `text`."""

        async def has_said() -> bool:
            return text in self.said(name)

        await self.until(f"{name} says {text!r}", has_said)

    def check_running(self) -> None:
        """Make sure that nothing has ended.

        Raises:
            BenchFailed: something has; its last words are told.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                raise BenchFailed(
                    f"{name} ended with {process.returncode}: {self.said(name)[-2000:]}"
                )

    def end(self) -> None:
        """End every program by its id: whoever was started last is asked first."""
        for process in reversed(self._running.values()):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def said(self, name: str) -> str:
        """Return what a program has written so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")


def _die_with_parent(parent: int) -> None:
    """In the child, before its program begins: have the kernel kill it when `parent` ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def free_port() -> int:
    """Return a loopback port that nobody listens on now.

    Raises:
        BenchFailed: a hundred are taken.
    """
    for _ in range(100):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise BenchFailed("no free port found")


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used so far, in seconds."""
    # The name in brackets may hold spaces; fields are counted from behind it.
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / _TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise BenchFailed(f"process {pid} has ended")
