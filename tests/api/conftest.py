"""An API with a case file of its own and its engine away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.databases import SqliteFiles
from tests.support.serving import Api, api_settings, in_process


@pytest.fixture
def url(sqlite_databases: SqliteFiles) -> Iterator[str]:
    with sqlite_databases.migrated() as url:
        yield url


@pytest.fixture
async def api(url: str) -> AsyncIterator[Api]:
    async with in_process(api_settings(url)) as running:
        yield running
