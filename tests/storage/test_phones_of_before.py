"""Cases put on file before there was a search by phone are found by it."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from storage.migrate import SCRIPTS, upgrade
from tests.support.cases import NOON
from tests.support.databases import connected


def test_cases_of_before_have_their_phone_after_an_upgrade(empty_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with connected(empty_url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0012")
        table = sa.Table("applications", sa.MetaData(), autoload_with=connection)
        for sequence, phone in enumerate(("138 0000 0002", "+852 5123 4567", "none"), start=1):
            connection.execute(table.insert().values(_row(table, sequence, phone)))
    upgrade(empty_url)
    with connected(empty_url) as connection:
        found = connection.execute(sa.text("select phone from applications order by sequence"))
        assert found.scalars().all() == ["+8613800000002", "+85251234567", None]


def _row(table: sa.Table, sequence: int, phone: str) -> dict[str, object]:
    content = json.dumps({"applicant": {"phone": phone}})
    given: dict[str, object] = {
        "no": f"ZJ{sequence}",
        "sequence": sequence,
        "content": content,
        "idempotency_key": f"key-{sequence}",
        "submitted_at": NOON,
    }
    values: dict[str, object] = {}
    for column in table.columns:
        if column.name in given:
            values[column.name] = given[column.name]
        elif not column.nullable and column.server_default is None:
            values[column.name] = column.type.python_type()
    return values
