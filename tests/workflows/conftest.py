"""Towns for the tests of this folder, each with an engine and a database of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Interceptor

from tests.support.databases import SqliteFiles
from tests.workflows.harness import Town, development_server, opened, skipping_server

OpenTown = Callable[..., AbstractAsyncContextManager[Town]]


@pytest.fixture(autouse=True)
def processes_raise_nothing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which the code of a process raised what nobody awaited."""
    yield
    for when in ("setup", "call"):
        assert not [
            record.getMessage()
            for record in caplog.get_records(when)
            if record.name.startswith("temporalio.worker._workflow")
            and record.levelno >= logging.ERROR
        ]


@pytest.fixture
def open_town(sqlite_databases: SqliteFiles) -> OpenTown:
    """Open a town on the test server with interceptors, and otherwise as `opened` says."""

    @asynccontextmanager
    async def open_town(*interceptors: Interceptor, **how: Any) -> AsyncIterator[Town]:
        with sqlite_databases.migrated() as url:
            async with skipping_server(*interceptors) as env, opened(env, url, **how) as town:
                yield town

    return open_town


@pytest.fixture
async def town(open_town: OpenTown) -> AsyncIterator[Town]:
    """A town on the time-skipping test server."""
    async with open_town() as town:
        yield town


@pytest.fixture
def open_settled_town(sqlite_databases: SqliteFiles, tmp_path: Path) -> OpenTown:
    """Open a town on the engine of service: the development server with its database file."""

    @asynccontextmanager
    async def open_town(*interceptors: Interceptor, **how: Any) -> AsyncIterator[Town]:
        with sqlite_databases.migrated() as url:
            async with (
                development_server(tmp_path, *interceptors) as env,
                opened(env, url, **how) as town,
            ):
                yield town

    return open_town


@pytest.fixture
async def settled_town(open_settled_town: OpenTown) -> AsyncIterator[Town]:
    """A town on the engine of service."""
    async with open_settled_town() as town:
        yield town
