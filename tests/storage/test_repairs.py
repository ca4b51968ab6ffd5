"""The administrators' book: each repair once, approved by another, its cases taken up in turn."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import (
    IdempotencyConflict,
    IllegalRepair,
    InputRefused,
    OwnPlan,
    StalePlan,
    UnknownRepair,
)
from domain.repair_plan import (
    CaseStanding,
    Plan,
    PlannedProcess,
    ProcessStanding,
    Report,
    Target,
    Wording,
)
from domain.repairs import RepairKind
from storage.admin_acts import record_act
from storage.casefile import CaseFile
from storage.database import writing
from storage.reading import Reading
from storage.repairs import (
    ItemRecord,
    ItemState,
    NewRepair,
    NotToBegin,
    RepairRecord,
    Repairs,
    RepairState,
)
from tests.support.cases import NOON, new_case
from tests.support.databases import connected

A_MINUTE = timedelta(minutes=1)
BY: dict[str, Any] = {"by": "admin-2", "now": NOON}
pytestmark = pytest.mark.rule("RB-12.2")


@pytest.fixture
def book(casefile: CaseFile) -> Repairs:
    return Repairs(casefile.engine)


@pytest.fixture
async def numbers(casefile: CaseFile) -> list[str]:
    return [(await casefile.submit(new_case(f"key-{n}"))).no for n in range(3)]


async def _put(
    book: Repairs, numbers: list[str], kind: RepairKind = RepairKind.RESTART, **others: Any
) -> RepairRecord:
    new = {
        "kind": kind,
        "reason": "示例理由",
        "asked": {"kind": kind.value, "cases": numbers},
        "idempotency_key": "key-1",
        "planned_by": "admin-1",
        "planned_at": NOON,
        "targets": [Target(case_no=no) for no in numbers],
        "per_second": 100.0,
    }
    return (await book.put(NewRepair(**{**new, **others})))[0]


def _standing(no: str, head: int = 1) -> CaseStanding:
    running = ProcessStanding(no, "run-1", "running")
    return CaseStanding(no, "open", None, head, (), (running,), frozenset(), is_at_rest=True)


def _plan(item: ItemRecord) -> Plan:
    process = PlannedProcess(
        workflow_id=item.case_no, run_id="run-1", status="running", change="anew"
    )
    return Plan(
        kind=RepairKind.RESTART,
        target=item.target,
        head=1,
        processes=(process,),
        decisions_kept=(),
    )


_REPORT = Report(
    processes=(),
    decisions_kept=(),
    decisions_lost=(),
    decisions_added=(),
    decisions_came=(),
    pushes_repeated=(),
    deadlines_moved=(),
    tasks_closed=(),
    tasks_opened=(),
    ended_as=None,
    is_settled=True,
    deviations=(),
)


async def _claimed(book: Repairs, repair: RepairRecord, now: Any = NOON) -> ItemRecord | None:
    return await book.claim(repair, now=now, until=now + A_MINUTE)


async def _planned(book: Repairs, numbers: list[str], **others: Any) -> RepairRecord:
    repair = await _put(book, numbers, **others)
    while (item := await _claimed(book, repair)) is not None:
        await book.planned(item, _plan(item))
    return await book.repair(repair.number)


async def _executing(book: Repairs, numbers: list[str], **others: Any) -> RepairRecord:
    repair = await _planned(book, numbers, **others)
    await book.approve(repair.number, by="admin-2", at=NOON)
    return await book.execute(repair.number, by="admin-1", at=NOON)


async def _done(book: Repairs, item: ItemRecord, repair: RepairRecord) -> None:
    begun = await book.begin(item, repair, _standing(item.case_no), at=NOON)
    await book.end(begun, repair, ItemState.DONE, at=NOON, report=_REPORT)


async def test_the_same_repair_under_the_same_key_is_put_once(
    book: Repairs, numbers: list[str]
) -> None:
    first = await _put(book, numbers)
    assert (await _put(book, numbers)).number == first.number
    with pytest.raises(IdempotencyConflict):
        await _put(book, numbers[:1])
    other = await _put(book, numbers, planned_by="admin-2")
    assert other.number != first.number


async def test_it_is_planned_once_every_case_has_its_plan_or_the_reason_why_not(
    book: Repairs, numbers: list[str]
) -> None:
    repair = await _put(book, numbers)
    assert repair.state is RepairState.PLANNING
    for _ in numbers[:2]:
        item = await _claimed(book, repair)
        assert item is not None
        await book.planned(item, _plan(item))
    assert (await book.repair(repair.number)).state is RepairState.PLANNING
    last = await _claimed(book, repair)
    assert last is not None
    await book.planned(last, Wording(zh="不可行", en="not possible"))
    found = await book.repair(repair.number)
    assert found.state is RepairState.PLANNED
    assert found.counts == {ItemState.PLANNED: 2, ItemState.REFUSED: 1}


async def test_whoever_planned_it_may_not_approve_it(book: Repairs, numbers: list[str]) -> None:
    repair = await _planned(book, numbers)
    with pytest.raises(OwnPlan):
        await book.approve(repair.number, by="admin-1", at=NOON)
    with pytest.raises(IllegalRepair, match="second administrator"):
        await book.execute(repair.number, by="admin-1", at=NOON)
    for _ in range(2):
        found = await book.approve(repair.number, by="admin-2", at=NOON)
        assert (found.approved_by, found.approved_at) == ("admin-2", NOON)


@pytest.mark.parametrize(
    ("given", "approver"),
    [
        (["admin-1 added admin-2"], "admin-2"),
        (["admin-2 added admin-1"], "admin-2"),
        (["command added admin-2", "admin-1 reset admin-2"], "admin-2"),
        (["admin-1 added admin-8", "admin-8 added admin-9"], "admin-9"),
        (["admin-9 added admin-1", "admin-9 added admin-2"], "admin-2"),
        (["admin-2 reset admin-1", "admin-1 reset admin-2"], "admin-2"),
    ],
)
async def test_whoever_may_know_the_password_of_whoever_planned_it_may_not_approve_it(
    book: Repairs, casefile: CaseFile, numbers: list[str], given: list[str], approver: str
) -> None:
    repair = await _planned(book, numbers)

    async def gives(said: str) -> None:
        by, verb, account = said.split()
        async with writing(casefile.engine) as db:
            await record_act(db, at=NOON, by=by, act=f"account.{verb}", subject=account)

    for each in given:
        await gives(each)
    with pytest.raises(OwnPlan, match=f"account reset {approver}"):
        await book.approve(repair.number, by=approver, at=NOON)
    await gives(f"command reset {approver}")
    await gives("command reset admin-1")
    assert (await book.approve(repair.number, by=approver, at=NOON)).approved_by == approver


async def test_what_discards_nothing_needs_no_approval(book: Repairs, numbers: list[str]) -> None:
    repair = await _planned(book, numbers, kind=RepairKind.MOVE)
    with pytest.raises(IllegalRepair, match="needs no approval"):
        await book.approve(repair.number, by="admin-2", at=NOON)
    found = await book.execute(repair.number, by="admin-1", at=NOON)
    assert found.state is RepairState.EXECUTING


async def test_no_case_is_taken_up_twice_at_a_time(book: Repairs, numbers: list[str]) -> None:
    repair = await _executing(book, numbers, per_second=1000.0)
    later = NOON + timedelta(seconds=1)
    taken = await asyncio.gather(*(_claimed(book, repair, later) for _ in range(3)))
    positions = [item.position for item in taken if item is not None]
    assert len(positions) == len(set(positions))
    found = positions + [
        item.position
        for _ in range(4)
        if (item := await _claimed(book, repair, later + timedelta(seconds=1))) is not None
    ]
    assert sorted(found) == [1, 2, 3]
    # A claim that has run out is taken up again.
    again = await _claimed(book, repair, NOON + timedelta(minutes=3))
    assert again is not None


async def test_cases_are_begun_no_quicker_than_the_rate(book: Repairs, numbers: list[str]) -> None:
    repair = await _executing(book, numbers, per_second=0.1)
    taken = []
    for second in range(31):
        now = NOON + timedelta(seconds=second)
        if await _claimed(book, repair, now) is not None:
            taken.append(second)
    assert taken == [0, 10, 20]


async def test_a_case_that_has_moved_on_is_not_begun(
    book: Repairs, casefile: CaseFile, numbers: list[str]
) -> None:
    repair = await _executing(book, numbers)
    item = await _claimed(book, repair)
    assert item is not None
    other_run = ProcessStanding(item.case_no, "run-2", "running")
    with pytest.raises(StalePlan):
        await book.begin(
            item, repair, replace(_standing(item.case_no), processes=(other_run,)), at=NOON
        )
    await casefile.note(item.case_no, "route_flagged", {"guards": []}, at=NOON, once="flagged")
    with pytest.raises(StalePlan):
        await book.begin(item, repair, _standing(item.case_no), at=NOON)
    await book.end(item, repair, ItemState.STALE, at=NOON, problem=Wording(zh="过时", en="stale"))
    kinds = [e.kind for e in await Reading(casefile.engine).events(item.case_no)]
    assert kinds == ["submitted", "route_flagged"]


async def test_it_is_done_when_every_case_is(book: Repairs, numbers: list[str]) -> None:
    repair = await _executing(book, numbers)
    for second in range(3):
        assert (await book.repair(repair.number)).state is RepairState.EXECUTING
        item = await _claimed(book, repair, NOON + timedelta(seconds=second))
        assert item is not None
        await _done(book, item, repair)
    found = await book.repair(repair.number)
    assert (found.state, found.left, found.ended_at) == (RepairState.DONE, 0, NOON)
    assert await book.under_way() == []
    with pytest.raises(IllegalRepair):
        await book.cancel(repair.number, at=NOON, **BY)


async def test_a_pause_begins_nothing_more_and_a_cancel_never_does(
    book: Repairs, numbers: list[str]
) -> None:
    repair = await _executing(book, numbers)
    first = await _claimed(book, repair)
    assert first is not None
    begun = await book.begin(first, repair, _standing(first.case_no), at=NOON)
    await book.pause(repair.number, **BY)
    assert await _claimed(book, repair, NOON + timedelta(seconds=9)) is None
    await book.resume(repair.number, **BY)
    with pytest.raises(IllegalRepair):
        await book.resume((await _planned(book, numbers, idempotency_key="key-2")).number, **BY)
    await book.cancel(repair.number, at=NOON, **BY)
    assert await _claimed(book, repair, NOON + timedelta(seconds=9)) is None
    # What was begun is still brought to its end.
    await book.end(begun, repair, ItemState.DONE, at=NOON, report=_REPORT)
    found = await book.repair(repair.number)
    assert found.state is RepairState.CANCELLED
    assert found.counts == {ItemState.DONE: 1, ItemState.CANCELLED: 2}


async def test_lists_page_by_cursor(book: Repairs, numbers: list[str]) -> None:
    made = [(await _put(book, numbers, idempotency_key=f"key-{n}")).number for n in range(3)]
    page = await book.repairs(limit=2, cursor=None)
    rest = await book.repairs(limit=2, cursor=page.next_cursor)
    assert [each.number for each in (*page.items, *rest.items)] == made[::-1]
    items = await book.items(made[0], limit=2)
    last = await book.items(made[0], limit=2, cursor=items.next_cursor)
    assert [each.case_no for each in (*items.items, *last.items)] == numbers
    for cursor in ("x", "MTIzNDU2Nzg5MDEy"):
        with pytest.raises(InputRefused):
            await book.repairs(limit=2, cursor=cursor)
    for call in (book.repair(99), book.approve(99, by="admin-2", at=NOON), book.pause(99, **BY)):
        with pytest.raises(UnknownRepair):
            await call


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE repairs SET reason = 'x'", "the reason of repair {number}.1"),
        ("UPDATE repairs SET approved_by = 'admin-1'", "who planned, approved or executed"),
        ("UPDATE repair_items SET plan = '{}'", "the plan of repair {number}.1"),
        ("UPDATE repair_items SET report = '{}'", "the report of repair {number}.1"),
        ("DELETE FROM repair_items", "repair {number}.1 was taken out"),
    ],
)
async def test_verify_finds_a_book_that_was_changed(
    book: Repairs, casefile: CaseFile, url: str, numbers: list[str], statement: str, why: str
) -> None:
    repair = await _executing(book, numbers[:1])
    item = await _claimed(book, repair)
    assert item is not None
    await _done(book, item, repair)
    reading = Reading(casefile.engine)
    assert (await reading.first_break())[1] is None
    with connected(url) as connection:
        connection.exec_driver_sql(statement)
    found = (await reading.first_break())[1]
    assert found is not None and why.format(number=repair.number) in str(found)


async def test_cases_that_are_seen_to_at_the_same_moment_end_the_repair(
    book: Repairs, casefile: CaseFile, other: CaseFile, numbers: list[str]
) -> None:
    books = [book, Repairs(other.engine)]
    for turn in range(5):
        repair = await _put(book, numbers[:2], idempotency_key=f"turn-{turn}")
        items = [await _claimed(book, repair), await _claimed(book, repair)]
        assert None not in items
        await asyncio.gather(
            *(each.planned(i, _plan(i)) for each, i in zip(books, items, strict=True) if i)
        )
        assert (await book.repair(repair.number)).state is RepairState.PLANNED
        await book.cancel(repair.number, at=NOON, **BY)

    repair = await _executing(book, numbers[:2], idempotency_key="last")
    begun = []
    for second in range(2):
        item = await _claimed(book, repair, NOON + timedelta(seconds=second))
        assert item is not None
        begun.append(await book.begin(item, repair, _standing(item.case_no), at=NOON))
    await asyncio.gather(
        *(
            each.end(item, repair, ItemState.DONE, at=NOON, report=_REPORT)
            for each, item in zip(books, begun, strict=True)
        )
    )
    assert (await book.repair(repair.number)).state is RepairState.DONE


@pytest.mark.parametrize("action", ["pause", "cancel"])
async def test_a_case_that_was_claimed_before_a_pause_or_a_cancel_is_not_begun(
    book: Repairs, casefile: CaseFile, numbers: list[str], action: str
) -> None:
    repair = await _executing(book, numbers)
    item = await _claimed(book, repair)
    assert item is not None
    await (
        book.pause(repair.number, **BY)
        if action == "pause"
        else book.cancel(repair.number, at=NOON, **BY)
    )
    with pytest.raises(NotToBegin):
        await book.begin(item, repair, _standing(item.case_no), at=NOON)
    # Nor does whoever had it in hand undo that.
    await book.end(item, repair, ItemState.STALE, at=NOON, problem=Wording(zh="过时", en="stale"))
    if action == "cancel":
        assert (await book.repair(repair.number)).counts == {ItemState.CANCELLED: 3}
    assert len(await Reading(casefile.engine).events(item.case_no)) == 1


async def test_what_was_begun_is_taken_up_again_during_a_pause(
    book: Repairs, numbers: list[str]
) -> None:
    repair = await _executing(book, numbers)
    item = await _claimed(book, repair)
    assert item is not None
    await book.begin(item, repair, _standing(item.case_no), at=NOON)
    paused = await book.pause(repair.number, **BY)
    assert [each.number for each in await book.under_way()] == [repair.number]
    taken = await _claimed(book, paused, NOON + timedelta(minutes=3))
    assert taken is not None and taken.position == item.position
    assert await _claimed(book, paused, NOON + timedelta(minutes=3)) is None


async def test_one_repair_of_a_case_at_a_time(book: Repairs, numbers: list[str]) -> None:
    first = await _executing(book, numbers[:1])
    second = await _executing(book, numbers[:1], idempotency_key="key-2")
    item, later = await _claimed(book, first), await _claimed(book, second)
    assert item is not None and later is not None
    await book.begin(item, first, _standing(item.case_no), at=NOON)
    with pytest.raises(IllegalRepair, match=f"repair {first.number} of this case"):
        await book.begin(later, second, _standing(item.case_no), at=NOON)


async def test_what_a_repair_did_to_one_task_does_not_make_its_other_plans_stale(
    book: Repairs, numbers: list[str]
) -> None:
    no = numbers[0]
    targets = [Target(case_no=no, task_id=f"{no}.permits-{d}.1") for d in ("police", "water")]
    repair = await _planned(book, [no], kind=RepairKind.PUSH, targets=targets)
    repair = await book.execute(repair.number, by="admin-1", at=NOON)
    for second in range(2):
        item = await _claimed(book, repair, NOON + timedelta(seconds=second))
        assert item is not None
        await _done(book, item, repair)
    assert (await book.repair(repair.number)).counts == {ItemState.DONE: 2}
