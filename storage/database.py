"""Opening the database: SQLite by default, PostgreSQL by setting; nothing else differs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.sqlite import BEGIN_WRITING, BUSY_TIMEOUT_S, IN_MEMORY, connecting_to

# SQLite has one writer. Those of one process take turns here, before they take a connection:
# waiting for the file's lock is polling, and who polls longest is refused.
_turns: WeakKeyDictionary[AsyncEngine, asyncio.Lock] = WeakKeyDictionary()


def async_url(url: str) -> str:
    """Return `url` with the driver used here: aiosqlite or psycopg 3.

    Raises:
        ValueError: neither SQLite nor PostgreSQL.
    """
    parsed = make_url(url)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
    name = parsed.get_backend_name()
    if name not in drivers:
        raise ValueError(f"database_url: {name} is not supported; use sqlite:/// or postgresql://")
    return parsed.set(drivername=drivers[name]).render_as_string(hide_password=False)


def open_engine(url: str, *, pool_size: int = 5) -> AsyncEngine:
    """Open the database at `url`, e.g. `sqlite:///var/onewindow.db`.

    Its errors hide what was written: they end up in logs (RB-13.3).
    """
    parsed = make_url(async_url(url))
    if parsed.get_backend_name() == "postgresql":
        return create_async_engine(
            parsed, pool_size=pool_size, pool_pre_ping=True, hide_parameters=True
        )
    if parsed.database and parsed.database != IN_MEMORY:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        parsed,
        pool_size=pool_size,
        hide_parameters=True,
        async_creator=connecting_to(parsed.database or IN_MEMORY),
    )
    prepare_sqlite(engine.sync_engine)
    return engine


def prepare_sqlite(engine: Engine) -> None:
    """Have every connection of `engine` be safe, and its transactions begin as they are meant."""
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _prepare_sqlite(dbapi_connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself: `_begin_sqlite` says which kind.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    # FULL: a number handed to a citizen survives a power cut, not only a killed process.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    # A writer takes the lock at once: upgrading a read lock later would fail as "busy" unretried.
    if options.get("writes", False):
        connection.exec_driver_sql(BEGIN_WRITING)
    elif options.get("sees_one_moment", False):
        connection.exec_driver_sql("BEGIN")


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction that writes: committed at the end of the block, or nothing of it happened."""
    async with _turn(engine), engine.connect() as connection:
        await connection.execution_options(writes=True)
        async with connection.begin():
            yield connection


def _turn(engine: AsyncEngine) -> AbstractAsyncContextManager[None]:
    if engine.dialect.name == "postgresql":
        return nullcontext()
    return _turns.setdefault(engine, asyncio.Lock())


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Read one moment of the file, however many statements it takes and whatever is written."""
    async with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        else:
            await connection.execution_options(sees_one_moment=True)
        yield connection
