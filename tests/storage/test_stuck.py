"""What the case file knows of cases that may be stuck: one moment, on each database (RB-12.1)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.civil_clock import CivilClock
from domain.connection import Ending, TaskKind
from storage import stuck
from storage.casefile import CaseFile
from storage.outbox import Outbox, Tried, revised
from storage.stuck import CaseEnd, OutcomeOnFile, OwedTask, ends_of, file_view
from tests.support.cases import NOON, new_case, new_task

pytestmark = pytest.mark.rule("RB-12.1")
LATER = NOON + timedelta(hours=1)


async def test_an_open_case_is_shown_with_what_it_owes_and_when_it_moved(
    casefile: CaseFile,
) -> None:
    no = (await casefile.submit(new_case())).no
    (case,) = (await file_view(casefile.engine)).cases.values()
    assert (case.no, case.process_started, case.tasks) == (no, False, ())
    assert case.submitted_at == case.moved_at == NOON
    assert case.clock == CivilClock()
    await casefile.processes_started([no])
    task = await casefile.open_task(new_task(no, at=LATER))
    (case,) = (await file_view(casefile.engine)).cases.values()
    assert (case.process_started, case.submitted_at, case.moved_at) == (True, NOON, LATER)
    assert case.tasks == (OwedTask(task.id, no, "desk", None, None, None),)
    await casefile.push_unanswered(task.id, "desk: TimeoutError", at=LATER)
    (case,) = (await file_view(casefile.engine)).cases.values()
    assert case.tasks == (OwedTask(task.id, no, "desk", None, "desk: TimeoutError", LATER),)


async def test_an_ended_case_is_not_shown_and_can_be_asked_for(casefile: CaseFile) -> None:
    no = (await casefile.submit(new_case())).no
    other = (await casefile.submit(new_case("key-2"))).no
    await casefile.open_task(new_task(no))
    await casefile.end(no, Ending.WITHDRAWN, at=LATER, action_id=None)
    assert set((await file_view(casefile.engine)).cases) == {other}
    assert await ends_of(casefile.engine, [no, other, "ZJ20260099999"]) == {
        no: CaseEnd(LATER, CivilClock()),
        other: CaseEnd(None, CivilClock()),
    }


async def test_outcomes_are_shown_until_they_are_delivered(casefile: CaseFile) -> None:
    no = (await casefile.submit(new_case())).no
    task = await casefile.open_task(new_task(no))
    await casefile.decide(task.id, {"code": "accepted"}, by="desk", at=LATER)
    view = await file_view(casefile.engine)
    assert view.outcomes == (OutcomeOnFile(task.id, no, no, "desk", LATER, CivilClock()),)
    assert view.cases[no].tasks == ()
    await casefile.outcomes_delivered([task.id])
    assert (await file_view(casefile.engine)).outcomes == ()


async def test_changes_are_shown_until_they_are_taken(casefile: CaseFile) -> None:
    no = (await casefile.submit(new_case())).no
    task = await casefile.open_task(new_task(no, TaskKind.PERMITS, department="water"))
    for round_no in (2, 3):
        await casefile.note(
            no,
            "permits_listed",
            {},
            at=NOON,
            once=f"permits_listed.{round_no}",
            messages=[revised(task.id, "water", None, round_no=round_no, items={})],
        )
    outbox = Outbox(casefile.engine)
    first, second = await outbox.claim("water", now=NOON, until=NOON, limit=9)
    await outbox.settle(
        [Tried(first.number, LATER, "water answered 422", is_refused=True)], at=NOON
    )
    shown = (await file_view(casefile.engine)).changes
    assert [(each.number, each.agency, each.is_refused) for each in shown] == [
        (first.number, "water", True),
        (second.number, "water", False),
    ]
    assert (shown[0].problem, shown[0].at, shown[0].task_id) == (
        "water answered 422",
        NOON,
        task.id,
    )
    await outbox.settle([Tried(first.number), Tried(second.number)], at=LATER)
    assert (await file_view(casefile.engine)).changes == ()


@pytest.mark.parametrize("named_at_most", [1, 500])
async def test_some_cases_can_be_asked_for(
    casefile: CaseFile, named_at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "NAMED_AT_MOST", named_at_most)
    numbers = [(await casefile.submit(new_case(f"key-{n}"))).no for n in range(3)]
    for no in numbers:
        await casefile.open_task(new_task(no))
    view = await file_view(casefile.engine, numbers[1:])
    assert sorted(view.cases) == numbers[1:]
    assert [len(case.tasks) for case in view.cases.values()] == [1, 1]
    assert (await file_view(casefile.engine, ())).cases == {}
    assert sorted(await ends_of(casefile.engine, numbers)) == numbers
