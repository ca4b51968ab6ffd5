"""Migrations lead from nothing to the tables of today."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from storage.database import async_url
from storage.migrate import upgrade
from storage.tables import metadata
from tests.support.databases import connected, rows


def _differences(url: str) -> list[object]:
    with connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))


def test_migrations_from_nothing_equal_the_models(empty_url: str) -> None:
    upgrade(empty_url)
    assert _differences(empty_url) == []


def test_a_table_that_no_migration_makes_is_a_difference(empty_url: str) -> None:
    upgrade(empty_url)
    with connected(empty_url) as connection:
        connection.exec_driver_sql("ALTER TABLE tasks ADD COLUMN forgotten TEXT")
    assert _differences(empty_url) != []


def test_upgrading_again_changes_nothing(url: str) -> None:
    with connected(url) as connection:
        connection.exec_driver_sql("INSERT INTO register VALUES (1, 7, 'h')")
    before = rows(url)
    upgrade(url)
    assert rows(url) == before
    assert _differences(url) == []


def test_an_upgrade_cut_off_midway_is_done_by_the_next(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def killed(connection: sa.Connection, *_: object) -> None:
        # After the tables, before the triggers and the note of the version.
        if sa.inspect(connection).has_table("tasks"):
            raise Killed

    monkeypatch.setattr("storage.migrate.create_engine", _with_hook(killed))
    with pytest.raises(Killed):
        upgrade(empty_url)
    monkeypatch.undo()
    upgrade(empty_url)
    assert _differences(empty_url) == []


def _with_hook(hook: object) -> object:
    def create(url: sa.URL) -> sa.Engine:
        engine = sa.create_engine(url)

        @sa.event.listens_for(engine, "before_cursor_execute")
        def before(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
            if "TRIGGER" in statement or "FUNCTION" in statement:
                assert callable(hook)
                hook(connection)

        return engine

    return create


def test_another_kind_of_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="database_url: mysql is not supported"):
        async_url("mysql://somewhere/onewindow")


def test_programs_that_upgrade_at_once_do_not_meet(empty_url: str) -> None:
    code = "import sys; from storage.migrate import upgrade; upgrade(sys.argv[1])"
    running = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [program.communicate(timeout=60)[1].decode() for program in running]
    assert [program.returncode for program in running] == [0, 0, 0], said
    assert _differences(empty_url) == []
