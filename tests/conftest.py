"""What the layers' tests share; what was found on this machine is said in the header."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import POSTGRES, SqliteFiles
from tests.support.folders import thrown_away
from tests.turns import pytest_xdist_make_scheduler  # noqa: F401  a hook


def pytest_report_header() -> str:
    """Say which databases the storage tests run on."""
    if POSTGRES is None:
        return "case file: SQLite only; PostgreSQL's programs are not installed here"
    return f"case file: SQLite, and PostgreSQL from {POSTGRES}"


@pytest.fixture(scope="session")
def sqlite_databases() -> Iterator[SqliteFiles]:
    with thrown_away("onewindow-sqlite-") as folder:
        yield SqliteFiles(folder)
