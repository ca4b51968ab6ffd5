"""The case file as the commands use it: brought up to date, checked, and told of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO, TypeVar

from alembic.util import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.exchange import Spelling, pieces
from commands.failure import CommandFailed
from storage.chain import Break
from storage.database import open_engine
from storage.migrate import upgrade as bring_up_to_date
from storage.reading import Reading

T = TypeVar("T")


def upgrade(url: str) -> str:
    """Bring a database to the tables of today; return its address without password.

    Raises:
        CommandFailed: it cannot be reached or changed.
    """
    with _told(url) as shown:
        bring_up_to_date(url)
        return shown


def first_break(url: str) -> tuple[int, Break | None]:
    """Check every chain; return how many cases were checked and the first broken link.

    Raises:
        CommandFailed: there is no such case file, or it cannot be read.
    """
    with _told(url) as shown:
        _check_is_there(url, shown)
        return asyncio.run(_first_break(url))


async def _first_break(url: str) -> tuple[int, Break | None]:
    engine = open_engine(url)
    try:
        return await Reading(engine).first_break()
    finally:
        await engine.dispose()


def broken(found: Break) -> CommandFailed:
    """Say in one line where the record does not hold."""
    where = found.case_no or "the register"
    where += "" if found.seq is None else f", event {found.seq}"
    return CommandFailed(f"the record is broken 记录被改动: {where}: {found.why}")


def asked(url: str, question: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Put a question to a case file; return the answer.

    Raises:
        CommandFailed: there is no such case file, or it cannot be read.
    """
    with _told(url) as shown:
        _check_is_there(url, shown)
        return asyncio.run(_asked(url, question))


async def _asked(url: str, question: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    engine = open_engine(url)
    try:
        return await question(engine)
    finally:
        await engine.dispose()


def export(url: str, first: date, last: date, spelling: Spelling, file: Path | None) -> None:
    """Write what happened to permit items from `first` to `last` (RB-4.8); None: to the output.

    A file is there whole, or as it was before.

    Raises:
        CommandFailed: there is no such case file, or it cannot be read.
    """
    if file is None:
        _export_to(sys.stdout.buffer, url, first, last, spelling)
        sys.stdout.buffer.flush()
        return
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as written:
            _export_to(written, url, first, last, spelling)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _export_to(to: BinaryIO, url: str, first: date, last: date, spelling: Spelling) -> None:
    with _told(url) as shown:
        _check_is_there(url, shown)
        asyncio.run(_export(to, url, first, last, spelling))


async def _export(to: BinaryIO, url: str, first: date, last: date, spelling: Spelling) -> None:
    engine = open_engine(url)
    try:
        async for piece in pieces(engine, first, last, spelling):
            to.write(piece)
    finally:
        await engine.dispose()


def _check_is_there(url: str, shown: str) -> None:
    # Opening would make an empty one, in which everything holds.
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise CommandFailed(f"there is no case file {shown}; name its folder with --var")


@contextmanager
def _told(url: str) -> Iterator[str]:
    try:
        shown = make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError as problem:
        raise CommandFailed(f"ONEWINDOW_DATABASE_URL: {_first_line(problem)}") from problem
    try:
        yield shown
    except (SQLAlchemyError, OSError, ValueError, CommandError) as problem:
        raise CommandFailed(f"{shown}: {_first_line(problem)}") from problem


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]
