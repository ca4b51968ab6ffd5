"""What looks for the few among the many is asked in the words of its index, or reads them all.

SQLite takes an index of some rows only if the question says the same as the index: `delivered IS 0`
is not `delivered = 0`, and read 359,000 tasks every few seconds in a file of 50,000 cases.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.database import open_engine
from storage.reading import Reading
from storage.stuck import file_view
from storage.undelivered import undelivered
from tests.support.databases import SqliteFiles

Plans = dict[str, list[str]]


@pytest.fixture
async def engine(sqlite_databases: SqliteFiles) -> AsyncIterator[AsyncEngine]:
    with sqlite_databases.migrated() as url:
        opened = open_engine(url)
        yield opened
        await opened.dispose()


def _plans(engine: AsyncEngine) -> Plans:
    """Collect how each statement finds its rows, from now on."""
    plans: Plans = {}

    @sa.event.listens_for(engine.sync_engine, "before_cursor_execute")
    def explained(
        _db: object, cursor: object, statement: str, values: object, *_others: object
    ) -> None:
        if statement.startswith("SELECT"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[attr-defined]
            plans[statement] = [row[3] for row in cursor.fetchall()]  # type: ignore[attr-defined]

    return plans


Ask = Callable[[AsyncEngine], Awaitable[object]]


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        pytest.param(lambda e: Reading(e).unstarted(), "ix_applications_unstarted", id="start"),
        pytest.param(lambda e: Reading(e).undelivered(), "ix_tasks_undelivered", id="deliver"),
        pytest.param(lambda e: Reading(e).unheard(), "ix_tasks_untold", id="tell"),
        pytest.param(
            lambda e: undelivered(e, kind=None, agency=None, limit=9, cursor=None),
            "ix_tasks_undelivered",
            id="list",
        ),
        pytest.param(file_view, "ix_tasks_undelivered", id="what is stuck"),
    ],
)
async def test_a_sweep_reads_only_what_it_is_for(engine: AsyncEngine, ask: Ask, index: str) -> None:
    plans = _plans(engine)
    await ask(engine)
    assert any(index in step for plan in plans.values() for step in plan), plans
