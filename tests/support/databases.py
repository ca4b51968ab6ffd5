"""Databases for tests: empty or migrated, SQLite or PostgreSQL, each test with its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from storage.database import async_url
from storage.migrate import upgrade
from storage.tables import metadata
from tests.support.postgres import Cluster, binaries

POSTGRES = binaries()
BACKENDS = ("sqlite", "postgresql") if POSTGRES else ("sqlite",)

WITHOUT_TRIGGERS = {
    "sqlite": tuple(
        f"DROP TRIGGER {table}_refuse_{act}"
        for table in ("events", "results", "documents", "admin_acts")
        for act in ("update", "delete")
    ),
    "postgresql": ("SET session_replication_role = replica",),
}
"""How the owner of a database gets round its triggers."""

Rows = Mapping[str, tuple[tuple[Any, ...], ...]]
"""All rows of all tables, by table."""


class SqliteFiles:
    """Makes database files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        self._template: Path | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Give the address of a database without tables."""
        with self._made() as path:
            yield f"sqlite:///{path}"

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Give the address of a database brought to the tables of today."""
        if self._template is None:
            template = self._folder / "template.db"
            upgrade(f"sqlite:///{template}")
            self._template = template
        with self._made() as path:
            shutil.copy(self._template, path)
            yield f"sqlite:///{path}"

    @contextmanager
    def _made(self) -> Iterator[Path]:
        path = self._folder / f"test_{next(self._numbers)}.db"
        try:
            yield path
        finally:
            for left in self._folder.glob(f"{path.name}*"):
                left.unlink()


class PostgresDatabases:
    """Makes databases in a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._migrated: str | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Give the address of a database without tables."""
        name = self._cluster.create()
        try:
            yield self._cluster.url(name)
        finally:
            self._cluster.drop(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Give the address of a database brought to the tables of today, without rows."""
        if self._migrated is None:
            name = self._cluster.create()
            upgrade(self._cluster.url(name))
            self._migrated = name
        url = self._cluster.url(self._migrated)
        try:
            yield url
        finally:
            # Much faster than a new database for each test.
            attack(url, [_delete_everything])


def _delete_everything(connection: sa.Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """Connect beside the system, as an administrator of the database does; commit at the end."""
    target = make_url(async_url(url))
    if target.get_backend_name() == "sqlite":
        target = target.set(drivername="sqlite")
    engine = sa.create_engine(target, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def attack(url: str, acts: Iterable[Callable[[sa.Connection], object]]) -> None:
    """Change the file behind the system's back, with the rights of the database's owner."""
    with connected(url) as connection:
        for statement in WITHOUT_TRIGGERS[connection.dialect.name]:
            connection.exec_driver_sql(statement)
        for act in acts:
            act(connection)


def rows(url: str) -> Rows:
    """Read everything."""
    with connected(url) as connection:
        return {
            table.name: tuple(
                tuple(row)
                for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            )
            for table in metadata.sorted_tables
        }


def counts(url: str) -> dict[str, int]:
    """Count the rows of every table but that of calendars, which has its first from the start."""
    return {name: len(found) for name, found in rows(url).items() if name != "calendars"}
