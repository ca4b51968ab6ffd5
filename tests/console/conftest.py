"""An office on a case file of its own, whose engine is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from console import signing_in
from tests.console.office import Office, opened
from tests.support.databases import SqliteFiles


@pytest.fixture
def url(sqlite_databases: SqliteFiles) -> Iterator[str]:
    with sqlite_databases.migrated() as url:
        yield url


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have refusals of a sign-in not wait, but where that is what is tested."""
    monkeypatch.setattr(signing_in, "REFUSED_AFTER_S", 0.0)


@pytest.fixture
async def office(url: str) -> AsyncIterator[Office]:
    async with opened(url) as running:
        yield running
