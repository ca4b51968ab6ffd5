"""What was read of the file, kept in memory until anything happens to any case."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.database import snapshot
from storage.watching import Watching

MOST = 16
"""Answers of the file that are kept at a time."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Kept(Generic[K, T]):
    """Answers to one kind of question; each is read once, however many ask at a time."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[AsyncEngine, _OfOne[K, T]] = WeakKeyDictionary()

    async def answer(
        self, engine: AsyncEngine, asked: K, read: Callable[[AsyncConnection], Awaitable[T]]
    ) -> T:
        """Return what `read` finds, or found while nothing has happened since.

        Args:
            read: is given a connection that sees one moment.
        """
        kept = self._of.setdefault(engine, _OfOne())
        async with kept.turn:
            # Asked before reading, so that what is kept is never older than its mark.
            mark = await Watching(engine).mark()
            if kept.mark != mark or len(kept.answers) >= MOST:
                kept.mark, kept.answers = mark, {}
            if asked not in kept.answers:
                async with snapshot(engine) as db:
                    kept.answers[asked] = await read(db)
            return kept.answers[asked]


class _OfOne(Generic[K, T]):
    """Answers of one file."""

    def __init__(self) -> None:
        self.mark = ""
        self.answers: dict[K, T] = {}
        self.turn = asyncio.Lock()
