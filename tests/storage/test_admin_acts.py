"""What administrators did stays as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import InputRefused
from storage.admin_acts import read_acts, record_act
from storage.casefile import CaseFile
from storage.database import writing
from storage.reading import Reading
from storage.tables import admin_acts
from tests.support.cases import NOON
from tests.support.databases import attack

pytestmark = pytest.mark.rule("RB-13.2")


async def _record(engine: AsyncEngine, *acts: tuple[str, str]) -> None:
    for act, subject in acts:
        async with writing(engine) as db:
            await record_act(
                db, at=NOON, by="admin-1", act=act, subject=subject, details={"agency": "water"}
            )


async def test_acts_are_listed_newest_first_in_pages(casefile: CaseFile) -> None:
    await _record(casefile.engine, *((("key.made", f"k-{n}")) for n in range(5)))
    seen, cursor = [], None
    for _ in range(3):
        page = await read_acts(casefile.engine, limit=2, cursor=cursor)
        seen += [(each.number, each.subject) for each in page.items]
        cursor = page.next_cursor
    assert seen == [(5, "k-4"), (4, "k-3"), (3, "k-2"), (2, "k-1"), (1, "k-0")]
    assert cursor is None
    with pytest.raises(InputRefused):
        await read_acts(casefile.engine, limit=2, cursor="bm9uZQ==")


async def test_acts_are_found_by_thing_by_verb_and_by_whom(casefile: CaseFile) -> None:
    await _record(
        casefile.engine, ("key.made", "k-1"), ("key.revoked", "k-1"), ("account.made", "water-2")
    )

    async def found(**wanted: str) -> list[str]:
        page = await read_acts(casefile.engine, limit=10, cursor=None, **wanted)
        return [each.act for each in page.items]

    assert await found(act="key") == ["key.revoked", "key.made"]
    assert await found(act="key.made") == ["key.made"]
    assert await found(act="ke") == await found(by="admin-2") == []
    assert await found(subject="water-2") == ["account.made"]


async def test_an_act_and_its_entry_happen_together_or_not_at_all(casefile: CaseFile) -> None:
    class Failed(Exception):
        pass

    async def fail_midway() -> None:
        async with writing(casefile.engine) as db:
            await record_act(db, at=NOON, by="admin-1", act="key.made", subject="k-1")
            raise Failed

    with pytest.raises(Failed):
        await fail_midway()
    assert (await read_acts(casefile.engine, limit=10, cursor=None)).items == ()


async def test_an_act_is_spelled_as_thing_and_verb(casefile: CaseFile) -> None:
    with pytest.raises(ValueError, match="is not spelled"):
        await _record(casefile.engine, ("made a key", "k-1"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE admin_acts SET subject = 'k-2'",
        "DELETE FROM admin_acts",
        "INSERT OR REPLACE INTO admin_acts SELECT * FROM admin_acts",
    ],
)
async def test_the_record_refuses_to_be_changed(casefile: CaseFile, change: str) -> None:
    await _record(casefile.engine, ("key.made", "k-1"))
    if casefile.engine.dialect.name == "postgresql" and "REPLACE" in change:
        change = "TRUNCATE admin_acts"
    with pytest.raises(DBAPIError, match="append-only"):
        async with writing(casefile.engine) as db:
            await db.exec_driver_sql(change)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"subject": "k-9"}, "administrators' act 2 was changed"),
        ({"at": NOON + timedelta(seconds=1)}, "administrators' act 2 was changed"),
        (None, "administrators' act 2 is missing"),
    ],
)
async def test_the_chain_shows_what_was_changed_behind_its_back(
    url: str, casefile: CaseFile, change: Mapping[str, object] | None, why: str
) -> None:
    await _record(casefile.engine, ("key.made", "k-1"), ("key.made", "k-2"), ("key.made", "k-3"))
    assert (await Reading(casefile.engine).first_break())[1] is None
    of_second = admin_acts.c.number == 2
    forged = admin_acts.update().where(of_second).values(**change or {})
    removed = admin_acts.delete().where(of_second)
    attack(url, [lambda db: db.execute(removed if change is None else forged)])
    found = (await Reading(casefile.engine).first_break())[1]
    assert found is not None and found.why == why
