"""Every storage test runs on each database that is there, in one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from storage.casefile import CaseFile
from storage.database import open_engine
from storage.reading import Reading
from tests.support import postgres
from tests.support.databases import BACKENDS, POSTGRES, PostgresDatabases, SqliteFiles

Databases = SqliteFiles | PostgresDatabases

SYSTEMS = ("desk", "utility", "water")
"""The agencies that have a system, which is told of changes."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    assert POSTGRES is not None, "asked for only when PostgreSQL is installed"
    with postgres.cluster(POSTGRES) as running:
        yield running


@pytest.fixture(scope="session")
def postgresql_databases(cluster: postgres.Cluster) -> PostgresDatabases:
    return PostgresDatabases(cluster)


@pytest.fixture(params=BACKENDS)
def databases(request: pytest.FixtureRequest) -> Databases:
    # By name, so that no server is started where there is none.
    found: Databases = request.getfixturevalue(f"{request.param}_databases")
    return found


@pytest.fixture
def empty_url(databases: Databases) -> Iterator[str]:
    with databases.empty() as url:
        yield url


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as url:
        yield url


@pytest.fixture
async def casefile(url: str) -> AsyncIterator[CaseFile]:
    opened = CaseFile(open_engine(url), SYSTEMS)
    yield opened
    await opened.close()


@pytest.fixture
async def other(url: str) -> AsyncIterator[CaseFile]:
    """The same case file, opened by another process, as far as the database can tell."""
    opened = CaseFile(open_engine(url), SYSTEMS)
    yield opened
    await opened.close()


@pytest.fixture
def reading(casefile: CaseFile) -> Reading:
    return Reading(casefile.engine)
