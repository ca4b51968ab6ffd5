"""What clocks came to is written once, with the event that stops them, and cannot be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from domain.errors import StaleCalendar
from storage.casefile import CaseFile
from storage.reading import Reading
from storage.records import Moves, Result, figures_text
from storage.tables import results
from tests.support.cases import NOON, new_case, result
from tests.support.databases import attack, connected, rows

OF_THE_CASE = (result("HV40", net=41), result("INT13"))
OF_THE_BUNDLE = result("GOV5", round_no=2, net=5)


@pytest.fixture
async def no(casefile: CaseFile) -> str:
    return (await casefile.submit(new_case())).no


@pytest.fixture
async def stopped(casefile: CaseFile, no: str) -> str:
    """A connected case with a bundle; its events are submitted, bundle_concluded, ended."""
    await _conclude(casefile, no, OF_THE_BUNDLE)
    await casefile.end(no, "connected", at=NOON, action_id=None, stopped=OF_THE_CASE)
    return no


async def _conclude(casefile: CaseFile, no: str, *stopped: Result) -> None:
    await casefile.note(
        no, "bundle_concluded", {"round": 2}, at=NOON, once="bundle_concluded.2", stopped=stopped
    )


@pytest.mark.rule("RB-1.7", "RB-2.4")
async def test_what_a_clock_came_to_is_a_row_and_on_the_record(
    reading: Reading, url: str, stopped: str
) -> None:
    with connected(url) as connection:
        found = connection.execute(sa.select(results)).all()
    assert {(row.clock, row.round): (row.net, row.is_met) for row in found} == {
        ("GOV5", 2): (5, True),
        ("HV40", 0): (41, False),
        ("INT13", 0): (9, True),
    }
    assert {(row.case_no, row.district) for row in found} == {(stopped, "440802")}
    _, concluded, ended = await reading.events(stopped)
    assert concluded.body["clocks"] == {"GOV5": figures_text(OF_THE_BUNDLE.figures())}
    assert ended.body["clocks"]["HV40"] == {
        "started_on": "2026-08-31",
        "stopped_on": "2026-09-16",
        "gross": 12,
        "net": 41,
        "limit_working_days": 40,
        "is_met": False,
        "calendar_version": "test",
    }
    assert await reading.first_break() == (1, None)


async def test_a_clock_without_a_target_has_a_result_that_meets_none(
    casefile: CaseFile, reading: Reading, url: str, no: str
) -> None:
    await casefile.end(no, "connected", at=NOON, action_id=None, stopped=[result("HV-DUAL")])
    with connected(url) as connection:
        row = connection.execute(sa.select(results)).one()
    assert (row.limit_working_days, row.is_met) == (None, None)
    assert await reading.first_break() == (1, None)


async def test_a_case_that_ended_before_results_were_kept_has_none(
    casefile: CaseFile, reading: Reading, url: str, no: str
) -> None:
    await casefile.end(no, "connected", at=NOON, action_id=None)
    assert rows(url)["results"] == ()
    assert "clocks" not in (await reading.events(no))[-1].body
    assert await reading.first_break() == (1, None)


@pytest.mark.rule("RB-1.7")
async def test_what_was_read_with_an_older_calendar_is_read_again(
    casefile: CaseFile, url: str, no: str
) -> None:
    await casefile.recalculate(no, 2, lambda _case, _tasks: Moves("cn-2027.2", (), {}), at=NOON)
    before = rows(url)
    with pytest.raises(StaleCalendar):
        await casefile.end(no, "connected", at=NOON, action_id=None, stopped=OF_THE_CASE)
    with pytest.raises(StaleCalendar):
        await _conclude(casefile, no, OF_THE_BUNDLE)
    assert rows(url) == before
    await _conclude(casefile, no, replace(OF_THE_BUNDLE, calendar=2))
    assert len(rows(url)["results"]) == 1


@pytest.mark.rule("RB-1.7")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE results SET net = 1",
        "DELETE FROM results",
        """
        INSERT INTO results SELECT * FROM results WHERE true
        ON CONFLICT (case_no, clock, round) DO UPDATE SET net = 1
        """,
    ],
)
async def test_the_database_refuses_to_change_a_result(
    url: str, stopped: str, statement: str
) -> None:
    _refuses(url, statement)


async def test_the_database_refuses_its_own_way_round(url: str, stopped: str) -> None:
    with connected(url) as connection:
        dialect = connection.dialect.name
    ways = {
        "sqlite": "REPLACE INTO results SELECT * FROM results",
        "postgresql": "TRUNCATE results",
    }
    _refuses(url, ways[dialect])


def _refuses(url: str, statement: str) -> None:
    before = rows(url)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), connected(url) as connection:
        connection.exec_driver_sql(statement)
    assert rows(url) == before


def _changed(clock: str, **values: Any) -> Callable[[sa.Connection], object]:
    statement = results.update().where(results.c.clock == clock).values(values)
    return lambda db: db.execute(statement)


TAMPERINGS: dict[str, tuple[Callable[[sa.Connection], object], int | None, str]] = {
    "net": (_changed("HV40", net=40, is_met=True), 3, "the result of HV40 was changed"),
    "whether it was met": (_changed("GOV5", is_met=False), 2, "the result of GOV5 was changed"),
    "when it stopped": (
        _changed("INT13", stopped_on=date(2025, 9, 16)),
        3,
        "the result of INT13 was changed",
    ),
    "its limit": (_changed("HV40", limit_working_days=None), 3, "the result of HV40 was changed"),
    "its district": (_changed("HV40", district="440803"), 3, "the result of HV40 was changed"),
    "its round": (_changed("GOV5", round=1), 2, "the result of GOV5 was taken out"),
    "taken out": (
        lambda db: db.execute(results.delete().where(results.c.clock == "INT13")),
        3,
        "the result of INT13 was taken out",
    ),
    "put in": (
        lambda db: db.execute(
            results.insert().from_select(
                [column.name for column in results.c],
                sa.select(
                    *(sa.literal(7) if column.name == "round" else column for column in results.c)
                ).where(results.c.clock == "GOV5"),
            )
        ),
        None,
        "the result of GOV5, round 7, has no event",
    ),
}


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize("name", TAMPERINGS)
async def test_a_result_that_is_not_what_the_record_says_is_found(
    reading: Reading, url: str, stopped: str, name: str
) -> None:
    act, seq, why = TAMPERINGS[name]
    attack(url, [act])
    _, found = await reading.first_break()
    assert found is not None
    assert (found.case_no, found.seq, found.why) == (stopped, seq, why)
