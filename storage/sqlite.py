"""SQLite without a thread for every step, and with short waits for the right to write.

The driver carries each step of a statement to a thread of its own and back, about twenty times in
a transaction of five statements; that costs more than the statements. Steps that work in memory
are done where they are asked for instead. What waits still goes to the thread: for the right to
write, for the disk, and whatever follows a step that the thread has not finished.

While another program writes, SQLite looks again after pauses that grow to a tenth of a second, so
who came last often goes first. Here the pauses stay short.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import aiosqlite

BEGIN_WRITING = "BEGIN IMMEDIATE"
IN_MEMORY = ":memory:"
BUSY_TIMEOUT_S = 15.0
_PAUSE_S = 0.001


class Connection(aiosqlite.Connection):
    """A connection whose steps cross to its thread only where they may wait.

    A statement that takes long holds up everything else in the process: this is for short ones.
    """

    def __init__(self, path: str) -> None:
        super().__init__(lambda: sqlite3.connect(path, check_same_thread=False), iter_chunk_size=64)
        self._in_thread: deque[Callable[..., Any]] = deque()
        # A process that ends does not wait for connections left open.
        self._thread.daemon = True

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._is_short(fn, args):
            return fn(*args, **kwargs)
        self._in_thread.append(fn)

        def step() -> Any:
            try:
                if _begins_writing(args):
                    self._wait_for_turn()
                    return fn("SELECT 1")
                return fn(*args, **kwargs)
            finally:
                self._in_thread.popleft()

        return await super()._execute(step)  # type: ignore[no-untyped-call]

    def _is_short(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        if not self._running or self._connection is None:
            return False
        if self._in_thread:
            # Whoever waited was cancelled; its step goes on, and this one must come after it.
            return False
        if fn == self._connection.commit:
            return not self._connection.in_transaction
        return fn != self._connection.close and not _begins_writing(args)

    def _wait_for_turn(self) -> None:
        """Begin a transaction that writes.

        Raises:
            sqlite3.OperationalError: others wrote for `BUSY_TIMEOUT_S`, or nobody waits any more.
        """
        give_up_at = time.monotonic() + BUSY_TIMEOUT_S
        self._conn.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    self._conn.execute(BEGIN_WRITING)
                    return
                except sqlite3.OperationalError as problem:
                    is_busy = problem.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                    is_given_up = len(self._in_thread) > 1
                    if not is_busy or is_given_up or time.monotonic() > give_up_at:
                        raise
                time.sleep(_PAUSE_S)
        finally:
            self._conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")


def _begins_writing(args: tuple[Any, ...]) -> bool:
    return args[:1] == (BEGIN_WRITING,)


def connecting_to(path: str) -> Callable[[], Awaitable[aiosqlite.Connection]]:
    """Return what opens another connection to the database file at `path`."""

    async def connect() -> aiosqlite.Connection:
        return await Connection(path)

    return connect
