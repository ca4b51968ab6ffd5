"""A task is opened once, decided once, and closed with its case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime

import pytest
import sqlalchemy as sa

from domain.connection import TaskKind
from domain.errors import CaseEnded, OutcomeConflict, TaskClosed, UnknownCase, UnknownTask
from storage.casefile import CaseFile
from storage.reading import Reading
from storage.tables import applications
from tests.support.cases import NOON, SEGMENT, new_case, new_task
from tests.support.databases import rows

ACCEPTED = {"code": "accepted"}
DECLINED = {"code": "declined", "note": "示例"}


@pytest.fixture
async def no(casefile: CaseFile) -> str:
    return (await casefile.submit(new_case())).no


@pytest.fixture
async def task_id(casefile: CaseFile, no: str) -> str:
    return (await casefile.open_task(new_task(no))).id


async def _kinds(reading: Reading, no: str) -> list[str]:
    return [event.kind for event in await reading.events(no)]


async def test_an_opened_task_is_owed_and_in_the_record(
    casefile: CaseFile, reading: Reading, no: str
) -> None:
    opened = await casefile.open_task(new_task(no))
    assert opened == await reading.task(f"{no}.check_papers.1")
    assert (opened.state, opened.owed_by, opened.due_on) == ("open", "desk", date(2026, 9, 23))
    assert (await reading.case(no)).reached == "check_papers"
    last = (await reading.events(no))[-1]
    assert (last.kind, last.task_id) == ("task_opened", opened.id)
    assert last.body == {
        "owed_by": "desk",
        "due_on": "2026-09-23",
        "is_provisional": False,
        "calendar": "test",
    }


@pytest.mark.rule("RB-1.7")
async def test_opening_a_task_again_leaves_it_as_it_stands(
    casefile: CaseFile, url: str, no: str
) -> None:
    opened = await casefile.open_task(new_task(no))
    before = rows(url)
    # A later attempt, under a newer calendar: the deadline once computed is a recorded fact.
    again = await casefile.open_task(new_task(no, due_on=date(2026, 9, 25)))
    assert again == opened
    assert rows(url) == before


async def test_opening_a_decided_task_again_returns_its_outcome(
    casefile: CaseFile, no: str, task_id: str
) -> None:
    decided = await casefile.decide(task_id, ACCEPTED, by="desk", at=NOON)
    assert await casefile.open_task(new_task(no)) == decided.task


async def test_a_task_of_an_unknown_case_is_refused(casefile: CaseFile) -> None:
    with pytest.raises(UnknownCase):
        await casefile.open_task(new_task("ZJ20260000011"))


async def test_a_task_of_an_ended_case_is_refused(casefile: CaseFile, url: str, no: str) -> None:
    await casefile.end(no, "declined", at=NOON, action_id=None)
    before = rows(url)
    with pytest.raises(CaseEnded) as refused:
        await casefile.open_task(new_task(no))
    assert refused.value.ending == "declined"
    assert rows(url) == before


async def test_a_decision_is_put_on_file(
    casefile: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    decided = await casefile.decide(task_id, ACCEPTED, by="desk", at=NOON)
    assert decided.is_new
    assert decided.task == await reading.task(task_id)
    task = decided.task
    assert (task.state, task.outcome, task.decided_by) == ("done", ACCEPTED, "desk")
    assert (task.is_late, task.delivered) == (False, False)
    assert await _kinds(reading, no) == ["submitted", "task_opened", "task_decided"]


async def test_the_same_decision_again_is_not_new(
    casefile: CaseFile, url: str, task_id: str
) -> None:
    first = await casefile.decide(task_id, DECLINED, by="desk", at=NOON)
    before = rows(url)
    reordered = dict(reversed(DECLINED.items()))
    later = NOON.replace(hour=17)
    again = await casefile.decide(task_id, reordered, by="desk", at=later)
    assert (again.task, again.is_new) == (first.task, False)
    assert rows(url) == before


async def test_another_decision_is_refused(casefile: CaseFile, url: str, task_id: str) -> None:
    await casefile.decide(task_id, ACCEPTED, by="desk", at=NOON)
    before = rows(url)
    with pytest.raises(OutcomeConflict) as refused:
        await casefile.decide(task_id, DECLINED, by="desk", at=NOON)
    assert datetime.fromisoformat(refused.value.decided_at) == NOON
    assert rows(url) == before


async def test_a_decision_on_an_unknown_task_is_refused(casefile: CaseFile) -> None:
    with pytest.raises(UnknownTask):
        await casefile.decide("ZJ20260000011.check_papers.1", ACCEPTED, by="desk", at=NOON)


async def test_a_decision_on_a_closed_task_is_refused(
    casefile: CaseFile, url: str, no: str, task_id: str
) -> None:
    await casefile.end(no, "withdrawn", at=NOON, action_id=None)
    before = rows(url)
    with pytest.raises(TaskClosed) as refused:
        await casefile.decide(task_id, ACCEPTED, by="desk", at=NOON)
    assert refused.value.closed_by == "withdrawn"
    assert rows(url) == before


@pytest.mark.rule("RB-1.4")
@pytest.mark.rule("RB-4.5")
@pytest.mark.parametrize(
    ("at", "is_late"),
    [
        ("2026-09-23T00:00:00+08:00", False),
        ("2026-09-23T23:59:59.999999+08:00", False),
        ("2026-09-23T15:59:59+00:00", False),
        ("2026-09-24T00:00:00+08:00", True),
        ("2026-09-23T16:00:00+00:00", True),
    ],
)
async def test_a_decision_is_late_by_its_civil_date(
    casefile: CaseFile, reading: Reading, no: str, task_id: str, at: str, is_late: bool
) -> None:
    instant = datetime.fromisoformat(at)
    decided = await casefile.decide(task_id, ACCEPTED, by="desk", at=instant)
    assert (decided.task.is_late, decided.task.done_at) == (is_late, instant)
    assert (await reading.task(task_id)).is_late is is_late
    assert (await reading.events(no))[-1].body["is_late"] is is_late


@pytest.mark.rule("RB-4.5")
async def test_a_task_without_a_limit_is_never_late(casefile: CaseFile, no: str) -> None:
    task = await casefile.open_task(new_task(no, TaskKind.CONFIRM_PLAN, due_on=None))
    at = datetime.fromisoformat("2031-01-01T00:00:00+08:00")
    decided = await casefile.decide(task.id, {"code": "agreed"}, by="applicant", at=at)
    assert not decided.task.is_late


async def test_a_designed_route_becomes_a_fact_of_the_case(
    casefile: CaseFile, reading: Reading, no: str
) -> None:
    route = {"segments": [dict(SEGMENT)]}
    design = await casefile.open_task(new_task(no, TaskKind.LINE_DESIGN))
    decided = await casefile.decide(
        design.id, {"code": "designed", "route": route}, by="utility", at=NOON
    )
    permits = await casefile.open_task(new_task(no, TaskKind.PERMITS, department="water"))
    assert permits.facts.route == route
    assert decided.task.facts == replace(permits.facts, route=None)
    assert (await reading.task(permits.id)).facts.route == route


async def test_delivery_is_noted_beside_the_record(
    casefile: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    await casefile.decide(task_id, ACCEPTED, by="desk", at=NOON)
    assert [task.id for task in await reading.undelivered()] == [task_id]
    events = await reading.events(no)
    await casefile.outcomes_delivered([task_id])
    assert await reading.undelivered() == ()
    assert await reading.events(no) == events


@pytest.mark.rule("RB-12.1")
async def test_a_refused_push_is_noted_once_per_problem(
    casefile: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    for problem in ("answered 400", "answered 400", "answered 404"):
        await casefile.push_refused(task_id, problem, at=NOON)
    assert (await _kinds(reading, no)).count("push_refused") == 2
    assert (await reading.task(task_id)).push_problem == "answered 404"
    decided = await casefile.decide(task_id, ACCEPTED, by="desk", at=NOON)
    assert decided.task.push_problem is None
    await casefile.push_refused(task_id, "answered 410", at=NOON)
    assert (await _kinds(reading, no)).count("push_refused") == 2


@asynccontextmanager
async def _held(casefile: CaseFile, no: str, waiting: int) -> AsyncIterator[None]:
    """Hold the case; on PostgreSQL let go only when `waiting` others have come to wait for it.

    SQLite has one writer, so there the others wait for the file, unseen.
    """
    async with casefile.engine.connect() as db:
        await db.execution_options(writes=True)
        await db.execute(
            sa.select(applications.c.no).where(applications.c.no == no).with_for_update()
        )
        yield
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while db.dialect.name == "postgresql":
            async with casefile.engine.connect() as observer:
                if await observer.scalar(sa.text(blocked)) == waiting:
                    break
            await asyncio.sleep(0.01)
        await db.rollback()


async def test_two_decisions_at_the_same_moment_leave_one(
    casefile: CaseFile, other: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    async with _held(casefile, no, waiting=2):
        racing = [
            asyncio.create_task(casefile.decide(task_id, ACCEPTED, by="desk", at=NOON)),
            asyncio.create_task(other.decide(task_id, DECLINED, by="desk", at=NOON)),
        ]
    won, lost = sorted(
        await asyncio.gather(*racing, return_exceptions=True),
        key=lambda result: isinstance(result, BaseException),
    )
    assert isinstance(lost, OutcomeConflict)
    assert not isinstance(won, BaseException)
    assert (await reading.task(task_id)).outcome == won.task.outcome
    assert (await _kinds(reading, no)).count("task_decided") == 1
    assert await reading.first_break() == (1, None)


async def test_one_decision_sent_ten_times_at_once_is_one_event(
    casefile: CaseFile, other: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    async with _held(casefile, no, waiting=10):
        sent = [
            asyncio.create_task(
                (casefile, other)[n % 2].decide(task_id, ACCEPTED, by="desk", at=NOON)
            )
            for n in range(10)
        ]
    decided = await asyncio.gather(*sent)
    assert sum(each.is_new for each in decided) == 1
    assert (await _kinds(reading, no)).count("task_decided") == 1
    assert await reading.first_break() == (1, None)


async def test_a_task_opened_twice_at_once_is_one_task(
    casefile: CaseFile, other: CaseFile, reading: Reading, no: str
) -> None:
    async with _held(casefile, no, waiting=2):
        opening = [asyncio.create_task(each.open_task(new_task(no))) for each in (casefile, other)]
    first, second = await asyncio.gather(*opening)
    assert first == second
    assert await _kinds(reading, no) == ["submitted", "task_opened"]


async def test_a_decision_and_the_end_at_once_agree(
    casefile: CaseFile, other: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    async with _held(casefile, no, waiting=2):
        ending = asyncio.create_task(other.end(no, "withdrawn", at=NOON, action_id=None))
        deciding = asyncio.create_task(casefile.decide(task_id, ACCEPTED, by="desk", at=NOON))
    (ended, decided) = await asyncio.gather(ending, deciding, return_exceptions=True)
    assert ended is None
    task = await reading.task(task_id)
    if isinstance(decided, TaskClosed):
        assert (task.state, task.outcome) == ("closed", None)
    else:
        assert (task.state, task.outcome) == ("done", ACCEPTED)
    assert await reading.first_break() == (1, None)
