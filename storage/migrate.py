"""Bringing a database to the tables of today, from nothing or from any earlier version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, func, select
from sqlalchemy.engine import make_url

from storage.database import async_url, prepare_sqlite

SCRIPTS = Path(__file__).parent / "migrations"
UPGRADING = 20_200_516
"""Name of the lock that whoever upgrades a PostgreSQL database holds."""


def upgrade(url: str) -> None:
    """Bring the database at `url` up to date; an up-to-date one is left as it is.

    It is one transaction: an upgrade that was cut off has not begun.
    """
    # Migrations run in one thread, one connection: the async driver would add nothing.
    parsed = make_url(async_url(url))
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(drivername="sqlite")
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    engine = create_engine(parsed)
    if parsed.get_backend_name() == "sqlite":
        prepare_sqlite(engine)
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                # Two programs may start at once; on SQLite the transaction itself is the turn.
                connection.execute(select(func.pg_advisory_xact_lock(UPGRADING)))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
