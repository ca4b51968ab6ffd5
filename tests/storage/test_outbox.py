"""Messages to agencies' systems: written with the change, once per cause; claimed in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest

from domain.connection import TaskKind
from domain.task_events import TaskEvent, TaskEventKind
from storage.casefile import CaseFile
from storage.outbox import Message, MessageKind, MessageRecord, Outbox, Tried, revised
from storage.reading import CaseRecord, Reading
from storage.records import Move, Moves, Reported, TaskRecord
from tests.support.cases import NOON, new_case, new_task
from tests.support.databases import connected, rows

T = TypeVar("T")

DUE = date(2026, 9, 23)
LATER = date(2026, 9, 24)
LATE = NOON + timedelta(days=1)
CLAIMED = timedelta(seconds=60)


@pytest.fixture
def outbox(casefile: CaseFile) -> Outbox:
    return Outbox(casefile.engine)


@pytest.fixture
async def no(casefile: CaseFile) -> str:
    return (await casefile.submit(new_case())).no


async def _claimed(outbox: Outbox, agency: str, now: datetime = NOON) -> Sequence[MessageRecord]:
    return await outbox.claim(agency, now=now, until=now + CLAIMED, limit=50)


async def _told(casefile: CaseFile, no: str, *messages: Message, round_no: int = 2) -> None:
    once = f"permits_listed.{round_no}"
    body = {"round": round_no}
    await casefile.note(no, "permits_listed", body, at=NOON, once=once, messages=messages)


def _message(task: TaskRecord, round_no: int = 2) -> Message:
    return revised(task.id, task.owed_by, task.due_on, round_no=round_no, items={"示例": False})


def _same(found: T, *_: object) -> T:
    return found


def _moved(_case: CaseRecord, tasks: Sequence[TaskRecord]) -> Moves:
    return Moves("cn-2027.2", tuple(Move(task, LATER, is_provisional=True) for task in tasks), {})


async def test_whoever_owes_a_task_that_ends_with_its_case_is_told(
    casefile: CaseFile, outbox: Outbox, no: str, reading: Reading
) -> None:
    done = await casefile.open_task(new_task(no))
    await casefile.decide(done.id, {"code": "accepted"}, by="desk", at=NOON)
    for department in ("water", "police"):
        await casefile.open_task(new_task(no, TaskKind.PERMITS, department=department))
    for _ in range(2):
        await casefile.end(no, "withdrawn", at=LATE, action_id=None)
    # The desk had decided, the police has no system: its inbox shows the task as closed.
    assert await outbox.due(NOON) == ["water"]
    (message,) = await _claimed(outbox, "water")
    assert message.id == f"withdrawn.{no}.permits-water.1"
    assert (message.kind, message.at) == (MessageKind.WITHDRAWN, LATE)
    assert message.body == {
        "old_due_on": "2026-09-23",
        "new_due_on": None,
        "ending": "withdrawn",
    }
    assert await reading.first_break() == (1, None)


@pytest.mark.rule("RB-1.7")
async def test_whoever_owes_a_task_is_told_that_a_calendar_moved_its_date(
    casefile: CaseFile, outbox: Outbox, no: str, reading: Reading
) -> None:
    task = await casefile.open_task(new_task(no))
    for _ in range(2):
        await casefile.recalculate(no, 2, _moved, at=NOON)
    (message,) = await _claimed(outbox, "desk")
    assert message.id == f"calendar.2.{task.id}"
    assert message.body == {
        "old_due_on": "2026-09-23",
        "new_due_on": "2026-09-24",
        "is_provisional": True,
        "calendar": "cn-2027.2",
        "is_resumed": False,
    }
    assert await reading.first_break() == (1, None)


@pytest.mark.rule("RB-4.6")
async def test_whoever_owes_a_task_is_told_of_its_date_when_its_clock_goes_on(
    casefile: CaseFile, outbox: Outbox, no: str, reading: Reading
) -> None:
    task = await casefile.open_task(new_task(no, TaskKind.PERMITS, department="water"))
    for kind, due_on in (
        (TaskEventKind.ACCEPTED, DUE),
        (TaskEventKind.SPECIAL_OPENED, None),
        (TaskEventKind.SPECIAL_CLOSED, LATER),
    ):
        event = TaskEvent(kind, NOON, "water", kind.value)
        found = Reported(due_on, False, "cn-2026.1", moves_clock=True)
        for _ in range(2):
            await casefile.report(
                task.id,
                partial(_same, event),
                partial(_same, found),
                calendar=1,
            )
    # That the clock stands still the department said itself, and no date can be named.
    (message,) = await _claimed(outbox, "water")
    assert message.id == f"report.{task.id}.3"
    assert (message.body["old_due_on"], message.body["new_due_on"]) == (None, "2026-09-24")
    assert message.body["is_resumed"]
    assert await reading.first_break() == (1, None)


async def test_messages_come_in_the_order_in_which_they_were_written(
    casefile: CaseFile, outbox: Outbox, no: str
) -> None:
    task = await casefile.open_task(new_task(no))
    for round_no in (3, 2, 4):
        await _told(casefile, no, _message(task, round_no), round_no=round_no)
    found = await _claimed(outbox, "desk")
    assert [each.body["round"] for each in found] == [3, 2, 4]


async def test_what_is_claimed_is_nobody_elses_until_the_claim_runs_out(
    casefile: CaseFile, other: CaseFile, outbox: Outbox, no: str
) -> None:
    task = await casefile.open_task(new_task(no))
    await _told(casefile, no, _message(task))
    both = (outbox, Outbox(other.engine))
    found = await asyncio.gather(*(_claimed(each, "desk") for each in both))
    assert sorted(len(each) for each in found) == [0, 1]
    # Written meanwhile: it waits behind the one that is on its way.
    await _told(casefile, no, _message(task, 3), round_no=3)
    assert await outbox.due(NOON) == []
    assert await _claimed(outbox, "desk") == []
    # Whoever had claimed it was killed.
    assert await outbox.due(NOON + CLAIMED) == ["desk"]
    assert len(await _claimed(outbox, "desk", NOON + CLAIMED)) == 2


async def test_what_was_delivered_is_not_sent_again(
    casefile: CaseFile, outbox: Outbox, no: str
) -> None:
    task = await casefile.open_task(new_task(no))
    await _told(casefile, no, _message(task))
    (message,) = await _claimed(outbox, "desk")
    await outbox.settle([Tried(message.number)], at=LATE)
    assert await outbox.due(LATE) == []
    assert await _claimed(outbox, "desk", LATE) == []


async def test_what_was_not_answered_keeps_its_place_and_what_was_refused_does_not(
    casefile: CaseFile, outbox: Outbox, no: str
) -> None:
    task = await casefile.open_task(new_task(no))
    for round_no in (2, 3, 4):
        await _told(casefile, no, _message(task, round_no), round_no=round_no)
    first, second, third = await _claimed(outbox, "desk")
    await outbox.settle(
        [
            Tried(first.number, LATE, "desk answered 422", is_refused=True),
            Tried(second.number, NOON + timedelta(seconds=4), "desk answered 503"),
            Tried(third.number, NOON),
        ],
        at=NOON,
    )
    assert await _claimed(outbox, "desk", NOON + timedelta(seconds=3)) == []
    found = await _claimed(outbox, "desk", NOON + timedelta(seconds=4))
    assert [(each.number, each.attempts) for each in found] == [
        (second.number, 1),
        (third.number, 0),
    ]
    await outbox.settle([Tried(each.number) for each in found], at=NOON)
    assert await outbox.due(LATE) == ["desk"]
    (refused,) = await _claimed(outbox, "desk", LATE)
    assert (refused.number, refused.is_refused, refused.attempts) == (first.number, True, 1)
    assert refused.problem == "desk answered 422"


async def test_what_one_agency_does_not_take_is_no_matter_to_another(
    casefile: CaseFile, outbox: Outbox, no: str
) -> None:
    tasks = [
        await casefile.open_task(new_task(no)),
        await casefile.open_task(new_task(no, TaskKind.PERMITS, department="water")),
    ]
    await _told(casefile, no, *(_message(task) for task in tasks))
    (message,) = await _claimed(outbox, "desk")
    await outbox.settle([Tried(message.number, LATE, "desk: TimeoutError")], at=NOON)
    assert await outbox.due(NOON) == ["water"]


async def test_a_message_of_what_did_not_happen_is_found(
    casefile: CaseFile, reading: Reading, url: str, no: str
) -> None:
    task = await casefile.open_task(new_task(no))
    await casefile.recalculate(no, 2, _moved, at=NOON)
    assert await reading.first_break() == (1, None)
    for change, why in (
        (
            "UPDATE messages SET body = replace(body, '09-24', '09-25')",
            f"the message calendar.2.{task.id} is not what the record says",
        ),
        (
            "UPDATE messages SET id = 'withdrawn.1'",
            "the message withdrawn.1 has no event",
        ),
    ):
        with connected(url) as connection:
            connection.exec_driver_sql(change)
        _, found = await reading.first_break()
        assert found is not None and found.why == why


async def test_where_no_agency_has_a_system_no_message_is_written(
    url: str, casefile: CaseFile, no: str
) -> None:
    plain = CaseFile(casefile.engine)
    await plain.open_task(new_task(no))
    await plain.recalculate(no, 2, _moved, at=NOON)
    await plain.end(no, "withdrawn", at=LATE, action_id=None)
    assert rows(url)["messages"] == ()
