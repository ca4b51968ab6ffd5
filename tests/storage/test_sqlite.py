"""Writers to one SQLite file, in one process and in several: each gets its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiosqlite
import pytest
import sqlalchemy as sa

from storage import sqlite
from storage.casefile import CaseFile
from storage.database import snapshot, writing
from storage.tables import register
from tests.support.cases import new_case
from tests.support.databases import SqliteFiles

WRITERS = 40


@pytest.fixture
def url(sqlite_databases: SqliteFiles) -> Iterator[str]:
    with sqlite_databases.migrated() as url:
        yield url


async def test_many_writers_of_two_programs_all_get_their_turn(
    casefile: CaseFile, other: CaseFile
) -> None:
    submitted = await asyncio.gather(
        *((casefile, other)[i % 2].submit(new_case(f"key-{i}")) for i in range(WRITERS))
    )
    assert len({each.no for each in submitted}) == WRITERS


async def test_a_writer_that_gave_up_waiting_keeps_nobody_out(
    casefile: CaseFile, other: CaseFile
) -> None:
    await casefile.submit(new_case("first"))
    async with writing(other.engine):
        waiting = asyncio.create_task(casefile.submit(new_case("given-up")))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.2)
    async with asyncio.timeout(10):
        await other.submit(new_case("second"))
        await casefile.submit(new_case("third"))
    async with casefile.engine.connect() as db:
        assert (await db.scalar(sa.select(register.c.last_sequence))) == 3


async def test_who_waits_too_long_is_told(
    casefile: CaseFile, other: CaseFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    async with writing(other.engine):
        with pytest.raises(sa.exc.OperationalError, match="locked"):
            await casefile.submit(new_case("first"))
    assert (await casefile.submit(new_case("first"))).is_new


async def test_only_what_may_wait_crosses_to_the_thread(
    casefile: CaseFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossed: list[str] = []
    real = aiosqlite.Connection._execute

    async def noting(self: aiosqlite.Connection, step: object) -> object:
        assert isinstance(self, sqlite.Connection)
        crossed.append(self._in_thread[0].__name__)
        return await real(self, step)  # type: ignore[no-untyped-call]

    await casefile.submit(new_case("connects"))
    monkeypatch.setattr(aiosqlite.Connection, "_execute", noting)
    async with writing(casefile.engine) as db:
        await db.execute(sa.select(register))
    assert crossed == ["execute", "commit"]


async def test_a_snapshot_sees_one_moment(casefile: CaseFile, other: CaseFile) -> None:
    await casefile.submit(new_case("first"))
    async with snapshot(casefile.engine) as db:
        before = await db.scalar(sa.select(register.c.last_sequence))
        await other.submit(new_case("second"))
        assert await db.scalar(sa.select(register.c.last_sequence)) == before == 1
