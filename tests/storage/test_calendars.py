"""Versions of the calendar: published, retracted, chained; open cases are brought to them once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date

import pytest
import sqlalchemy as sa

from domain.errors import CalendarMoved, NothingToRetract, StaleCalendar
from domain.working_time import CalendarError, CalendarYear
from policy.calendar import calendar
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.reading import CaseRecord, Reading
from storage.records import ClockDate, ClockMove, Move, Moves, Supervision, TaskRecord
from tests.support.cases import NOON, new_case, new_task, red
from tests.support.databases import connected, counts, rows

WITHOUT_TRIGGERS_OF_CALENDARS = {
    "sqlite": ("DROP TRIGGER calendars_refuse_update", "DROP TRIGGER calendars_refuse_delete"),
    "postgresql": ("SET session_replication_role = replica",),
}
Y2027 = CalendarYear(2027, frozenset({date(2027, 1, 1)}), frozenset({date(2027, 1, 9)}), "示例通知")
OTHER_2027 = CalendarYear(2027, frozenset({date(2027, 1, 1)}), frozenset(), "示例更正通知")


@pytest.fixture
def calendars(casefile: CaseFile) -> Calendars:
    return Calendars(casefile.engine, calendar)


async def test_the_first_version_is_what_comes_with_the_program(calendars: Calendars) -> None:
    first = await calendars.current()
    assert (first.number, first.calendar) == (1, calendar())
    assert first.year is None


async def test_programs_that_look_first_at_once_publish_it_once(
    casefile: CaseFile, other: CaseFile, url: str
) -> None:
    both = [Calendars(each.engine, calendar) for each in (casefile, other)]
    versions = await asyncio.gather(*(each.current() for each in both * 3))
    assert {each.number for each in versions} == {1}
    assert len(rows(url)["calendars"]) == 1


@pytest.mark.rule("RB-1.6")
async def test_a_published_year_makes_a_version(calendars: Calendars) -> None:
    version, is_new = await calendars.publish(Y2027, by="supervisor", based_on=1)
    assert (version.number, version.year, is_new) == (2, 2027, True)
    assert version.calendar.years == {**calendar().years, 2027: Y2027}
    assert (await calendars.version(1)).calendar == calendar()
    again, is_new = await calendars.publish(Y2027, by="supervisor", based_on=1)
    assert (again, is_new) == (version, False)
    assert [each.number for each in await calendars.versions()] == [2, 1]


async def test_who_looked_at_an_older_version_is_refused(calendars: Calendars) -> None:
    await calendars.publish(Y2027, by="supervisor")
    with pytest.raises(CalendarMoved):
        await calendars.publish(OTHER_2027, by="supervisor", based_on=1)
    assert (await calendars.refreshed()).number == 2


async def test_a_year_that_contradicts_another_changes_nothing(
    calendars: Calendars, url: str
) -> None:
    await calendars.current()
    # 2026 has the last days of its December off; 2025's notice cannot have worked them.
    wrong = CalendarYear(
        2027, frozenset({date(2027, 1, 2)}), frozenset({date(2027, 1, 2)}), "示例通知"
    )
    with pytest.raises(CalendarError):
        await calendars.publish(wrong, by="supervisor")
    assert len(rows(url)["calendars"]) == 1


async def test_a_retracted_year_is_what_it_was(calendars: Calendars) -> None:
    await calendars.publish(Y2027, by="supervisor")
    await calendars.publish(OTHER_2027, by="supervisor")
    third, _ = await calendars.retract(3, "通知有误", by="supervisor")
    assert (third.number, third.retracts, third.calendar.years[2027]) == (4, 3, Y2027)
    again, is_new = await calendars.retract(3, "通知有误", by="supervisor")
    assert (again, is_new) == (third, False)
    with pytest.raises(NothingToRetract):
        await calendars.retract(2, "其后已更改", by="supervisor")


async def test_a_year_first_published_by_a_version_goes_with_it(calendars: Calendars) -> None:
    await calendars.publish(Y2027, by="supervisor")
    version, _ = await calendars.retract(2, "通知有误", by="supervisor")
    assert version.calendar.years == calendar().years


@pytest.mark.parametrize("number", [1, 7])
async def test_the_first_version_and_an_unknown_one_stay(calendars: Calendars, number: int) -> None:
    with pytest.raises(NothingToRetract):
        await calendars.retract(number, "示例", by="supervisor")


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    "statement", ["UPDATE calendars SET notice = 'x'", "DELETE FROM calendars"]
)
async def test_a_version_cannot_be_changed(calendars: Calendars, url: str, statement: str) -> None:
    await calendars.current()
    with connected(url) as connection, pytest.raises(sa.exc.DBAPIError, match="append-only"):
        connection.exec_driver_sql(statement)


# ---------------------------------------------------------------- cases


def _one_day_later(case: CaseRecord, tasks: Sequence[TaskRecord]) -> Moves:
    return Moves(
        "cn-2027.2",
        tuple(Move(task, date(2026, 9, 24), is_provisional=False) for task in tasks),
        {
            "HV40": ClockMove(
                ClockDate(date(2026, 11, 17), is_provisional=False),
                ClockDate(date(2026, 11, 18), is_provisional=False),
            )
        },
    )


def _nothing(case: CaseRecord, tasks: Sequence[TaskRecord]) -> Moves:
    return Moves("cn-2027.2", (), {})


@pytest.mark.rule("RB-1.7")
async def test_a_case_is_recalculated_once_on_record_and_people_are_told_once(
    casefile: CaseFile, other: CaseFile, reading: Reading, url: str
) -> None:
    no = (await casefile.submit(new_case())).no
    task = await casefile.open_task(new_task(no))
    results = await asyncio.gather(
        *(each.recalculate(no, 2, _one_day_later, at=NOON) for each in (casefile, other) * 3)
    )
    assert sum(each is not None for each in results) == 1
    moved = await reading.task(task.id)
    assert (moved.due_on, moved.calendar_version) == (date(2026, 9, 24), "cn-2027.2")
    (event,) = [each for each in await reading.events(no) if each.kind == "calendar_changed"]
    assert event.body["tasks"][task.id]["old"] == "2026-09-23"
    assert event.body["tasks"][task.id]["new"] == "2026-09-24"
    told = await reading.notices(recipient=None, limit=10, cursor=None)
    assert {(each.recipient, each.kind) for each in told.items} == {
        ("desk", "deadline_moved"),
        ("desk", "promise_moved"),
    }
    assert counts(url)["notices"] == 2
    assert (await reading.first_break())[1] is None


@pytest.mark.rule("RB-1.7")
async def test_a_case_that_is_not_affected_has_nothing_on_record(
    casefile: CaseFile, reading: Reading, url: str
) -> None:
    no = (await casefile.submit(new_case())).no
    before = counts(url)["events"]
    assert await reading.behind(2, 10) == (no,)
    await casefile.recalculate(no, 2, _nothing, at=NOON)
    assert counts(url)["events"] == before
    assert await reading.behind(2, 10) == ()
    assert await reading.count_behind(2) == (0, 1)


@pytest.mark.rule("RB-1.7")
async def test_an_ended_case_stays_with_its_calendar(casefile: CaseFile, reading: Reading) -> None:
    no = (await casefile.submit(new_case())).no
    await casefile.end(no, "declined", at=NOON, action_id=None)
    assert await reading.behind(2, 10) == ()
    assert await casefile.recalculate(no, 2, _one_day_later, at=NOON) is None
    assert (await reading.case(no)).calendar == 1


async def test_a_deadline_of_an_older_calendar_is_not_put_on_file(casefile: CaseFile) -> None:
    no = (await casefile.submit(new_case())).no
    await casefile.recalculate(no, 2, _nothing, at=NOON)
    with pytest.raises(StaleCalendar):
        await casefile.open_task(new_task(no))


async def test_a_moved_deadline_that_was_tampered_with_is_found(
    casefile: CaseFile, reading: Reading, url: str
) -> None:
    no = (await casefile.submit(new_case())).no
    await casefile.open_task(new_task(no))
    await casefile.recalculate(no, 2, _one_day_later, at=NOON)
    with connected(url) as connection:
        connection.exec_driver_sql("UPDATE tasks SET due_on = '2026-12-31'")
    found = (await reading.first_break())[1]
    assert found is not None
    assert "until when" in found.why


def _red(_case: CaseRecord, tasks: Sequence[TaskRecord]) -> list[Supervision]:
    return [
        red(each, step="red.0", recipient=each.owed_by, reply_by=date(2026, 9, 24))
        for each in tasks
    ]


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM notices WHERE kind = 'supervision'", "taken out"),
        ("DELETE FROM notices WHERE kind = 'deadline_moved'", "taken out"),
        ("UPDATE notices SET recipient = 'water' WHERE kind = 'supervision'", "changed"),
        ("UPDATE notices SET reply = '另一答复'", "the reply"),
        ("UPDATE notices SET id = 'made-up' WHERE kind = 'promise_moved'", "taken out"),
    ],
)
async def test_a_notice_that_was_tampered_with_is_found(
    casefile: CaseFile, reading: Reading, url: str, statement: str, why: str
) -> None:
    no = (await casefile.submit(new_case())).no
    task = await casefile.open_task(new_task(no))
    await casefile.recalculate(no, 2, _one_day_later, at=NOON)
    await casefile.supervise(no, _red, at=NOON)
    await casefile.acknowledge(f"ladder.{task.id}.red.0", by="desk", at=NOON, reply="已安排")
    assert (await reading.first_break())[1] is None
    with connected(url) as connection:
        connection.exec_driver_sql(statement)
    found = (await reading.first_break())[1]
    assert found is not None
    assert why in found.why


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE calendars SET notice = '另一通知' WHERE number = 2", "was changed"),
        ("DELETE FROM calendars WHERE number = 2", "is missing"),
    ],
)
async def test_a_calendar_that_was_tampered_with_is_found(
    casefile: CaseFile, calendars: Calendars, reading: Reading, url: str, statement: str, why: str
) -> None:
    await calendars.publish(Y2027, by="supervisor")
    await calendars.publish(OTHER_2027, by="supervisor")
    assert (await reading.first_break())[1] is None
    with connected(url) as connection:
        for dropped in WITHOUT_TRIGGERS_OF_CALENDARS[connection.dialect.name]:
            connection.exec_driver_sql(dropped)
        connection.exec_driver_sql(statement)
    found = (await reading.first_break())[1]
    assert found is not None
    assert why in found.why
