"""A real PostgreSQL for the tests: a throw-away cluster, reached by a socket in its own folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg

from tests.support.folders import thrown_away

DEBIAN = Path("/usr/lib/postgresql")
OWNER = "onewindow"
NEEDED = ("initdb", "pg_ctl", "postgres")

# A test's database need not survive a power cut.
_CONFIGURATION = """
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 80
"""


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest one; None if it is not installed."""
    versions = sorted(
        (path for path in DEBIAN.glob("*/bin")),
        key=lambda path: [int(part) for part in path.parent.name.split(".")],
        reverse=True,
    )
    on_path = shutil.which("initdb")
    for folder in (*versions, *([Path(on_path).resolve().parent] if on_path else [])):
        if all((folder / program).exists() for program in NEEDED):
            return folder
    return None


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who runs the server: it refuses root."""

    uid: int
    gid: int


def _owner() -> _Owner | None:
    """Return the account to run the server under; None if it can be the caller's own."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return _Owner(entry.pw_uid, entry.pw_gid)


class Cluster:
    """A running server.

    Attributes:
        folder: holds data and socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count(1)

    def url(self, database: str) -> str:
        """Return the address of a database, as `Settings.database_url` takes it."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}"

    def create(self) -> str:
        """Create an empty database; return its name."""
        name = f"test_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        return name

    def drop(self, database: str) -> None:
        """Drop a database, whoever is still connected."""
        self._run(f"DROP DATABASE {database} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def cluster(programs: Path) -> Iterator[Cluster]:
    """Start a server in a folder of its own; stop it and remove the folder at the end."""
    owner = _owner()
    with thrown_away("onewindow-pg-") as folder:
        if owner is not None:
            os.chown(folder, owner.uid, owner.gid)
        data = str(folder / "data")

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, *arguments],
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                user=None if owner is None else owner.uid,
                group=None if owner is None else owner.gid,
                extra_groups=None if owner is None else [],
            )

        run(
            "initdb", f"--pgdata={data}", f"--username={OWNER}", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(f"{_CONFIGURATION}unix_socket_directories = '{folder}'\n")
        run("pg_ctl", "start", "--wait", f"--pgdata={data}", f"--log={folder / 'log'}")
        try:
            yield Cluster(folder)
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={data}")
