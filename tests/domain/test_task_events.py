"""What an agency may report of a task, and what it does to the clock (RB-4.6, RB-2.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clocks import Basis, due
from domain.connection import TaskKind
from domain.errors import IllegalTaskEvent, InputRefused
from domain.task_events import (
    NOBODY,
    TaskEvent,
    TaskEventKind,
    check_report,
    holder_of,
    is_known,
    ledger_of,
    open_pauses,
)
from domain.working_time import StillSuspended, WorkingDays
from policy.calendar import calendar
from policy.loader import policy_for
from tests.support.cases import POLICY

K = TaskEventKind
PROCEDURES = policy_for(POLICY).procedures
MONDAY = date(2026, 9, 7)


def _at(day: int, hour: int = 10) -> datetime:
    return datetime.fromisoformat(f"2026-09-{day:02d}T{hour:02d}:00:00+08:00")


def _event(kind: TaskEventKind, day: int, **says: object) -> TaskEvent:
    usual: dict[TaskEventKind, dict[str, object]] = {
        K.ACCEPTED: {},
        K.CORRECTION_OPENED: {"ground": "缺图", "missing": ("河道断面图",), "basis": Basis.POLICY},
        K.CORRECTION_CLOSED: {"ground": "已补正"},
        K.SPECIAL_OPENED: {
            "ground": "须评审",
            "procedure": "expert_review",
            "basis": Basis.STATUTORY,
        },
        K.SPECIAL_CLOSED: {"ground": "评审完成"},
        K.CLAIMED: {"holder": "desk-2"},
        K.REASSIGNED: {"holder": "desk-3"},
        K.HANDED_BACK: {},
    }
    return TaskEvent(kind, _at(day), "water", f"{kind}-{day}", **{**usual[kind], **says})  # type: ignore[arg-type]


def _check(event: TaskEvent, *history: TaskEvent, kind: TaskKind = TaskKind.PERMITS) -> None:
    check_report(event, history, task_id="t", task_kind=kind, procedures=PROCEDURES)


OPEN_C, CLOSE_C = _event(K.CORRECTION_OPENED, 8), _event(K.CORRECTION_CLOSED, 10)
OPEN_S, CLOSE_S = _event(K.SPECIAL_OPENED, 9), _event(K.SPECIAL_CLOSED, 14)
CLAIM, REASSIGN = _event(K.CLAIMED, 8), _event(K.REASSIGNED, 9)
BACK = _event(K.HANDED_BACK, 10)


@pytest.mark.rule("RB-4.6")
@pytest.mark.parametrize(
    ("event", "history"),
    [
        (_event(K.CORRECTION_CLOSED, 9), ()),
        (_event(K.SPECIAL_CLOSED, 9), ()),
        (_event(K.SPECIAL_CLOSED, 9), (OPEN_C,)),
        (_event(K.CORRECTION_OPENED, 9), (OPEN_C,)),
        (_event(K.SPECIAL_OPENED, 10), (OPEN_S,)),
        (_event(K.SPECIAL_CLOSED, 15), (OPEN_S, CLOSE_S)),
        (_event(K.ACCEPTED, 9), (_event(K.ACCEPTED, 8),)),
    ],
)
def test_pauses_open_and_close_strictly_in_turn(
    event: TaskEvent, history: tuple[TaskEvent, ...]
) -> None:
    with pytest.raises(IllegalTaskEvent) as refused:
        _check(event, *history)
    assert refused.value.en
    assert refused.value.zh


@pytest.mark.rule("RB-4.6")
@pytest.mark.parametrize("kind", [K.CORRECTION_OPENED, K.SPECIAL_OPENED, K.SPECIAL_CLOSED])
@pytest.mark.parametrize("ground", [None, " \n"])
def test_time_is_left_out_on_a_written_ground_only(kind: K, ground: str | None) -> None:
    history = (OPEN_S,) if kind is K.SPECIAL_CLOSED else ()
    with pytest.raises(InputRefused) as refused:
        _check(_event(kind, 10, ground=ground), *history)
    assert [each.field for each in refused.value.problems] == ["ground"]


@pytest.mark.rule("RB-2.4")
@pytest.mark.parametrize(
    ("event", "field"),
    [
        (_event(K.SPECIAL_OPENED, 9, procedure=None), "procedure"),
        (_event(K.SPECIAL_OPENED, 9, procedure="coffee"), "procedure"),
        (_event(K.SPECIAL_OPENED, 9, procedure="correction"), "procedure"),
        (_event(K.CORRECTION_OPENED, 9, procedure="hearing"), "procedure"),
        (_event(K.CORRECTION_OPENED, 9, missing=()), "missing"),
        (_event(K.SPECIAL_OPENED, 9, missing=("x",)), "missing"),
        (_event(K.ACCEPTED, 9, missing=("x",)), "missing"),
    ],
)
def test_a_report_says_what_belongs_to_it(event: TaskEvent, field: str) -> None:
    with pytest.raises(InputRefused) as refused:
        _check(event)
    assert [each.field for each in refused.value.problems] == [field]


@pytest.mark.rule("RB-4.6")
@pytest.mark.parametrize("kind", [each for each in TaskKind if each is not TaskKind.PERMITS])
def test_only_a_departments_clock_can_stand_still(kind: TaskKind) -> None:
    _check(_event(K.ACCEPTED, 8), kind=kind)
    with pytest.raises(IllegalTaskEvent):
        _check(OPEN_C, kind=kind)


@pytest.mark.parametrize(
    ("history", "holder"),
    [
        ((), None),
        ((OPEN_C,), None),
        ((CLAIM,), "desk-2"),
        ((CLAIM, OPEN_C, CLOSE_C), "desk-2"),
        ((CLAIM, REASSIGN), "desk-3"),
        ((CLAIM, REASSIGN, BACK), None),
        ((CLAIM, BACK, _event(K.CLAIMED, 11, holder="desk-9")), "desk-9"),
    ],
)
def test_who_holds_a_task_follows_from_what_was_reported(
    history: tuple[TaskEvent, ...], holder: str | None
) -> None:
    assert holder_of(history) == holder


@pytest.mark.parametrize(
    ("event", "history", "named"),
    [
        (_event(K.CLAIMED, 9, holder="desk-9"), (CLAIM,), "desk-2"),
        (_event(K.CLAIMED, 9, holder="desk-2"), (CLAIM, REASSIGN), "desk-3"),
        (REASSIGN, (), "nobody"),
        (REASSIGN, (CLAIM, BACK), "nobody"),
        (BACK, (), "nobody"),
        (BACK, (CLAIM, BACK), "nobody"),
    ],
)
def test_what_somebody_holds_is_not_claimed_and_what_nobody_holds_not_passed_on(
    event: TaskEvent, history: tuple[TaskEvent, ...], named: str
) -> None:
    with pytest.raises(IllegalTaskEvent) as refused:
        _check(event, *history)
    assert named in refused.value.en
    assert named in refused.value.zh or named == "nobody"
    assert not is_known(event, history)


@pytest.mark.parametrize(
    ("event", "history", "known"),
    [
        (_event(K.CLAIMED, 9), (CLAIM,), True),
        (_event(K.REASSIGNED, 9, holder="desk-2"), (CLAIM,), True),
        (_event(K.CLAIMED, 9, holder="desk-3"), (CLAIM, REASSIGN), True),
        (CLAIM, (), False),
        (REASSIGN, (CLAIM,), False),
        (BACK, (CLAIM,), False),
        (_event(K.ACCEPTED, 9), (), False),
    ],
)
def test_that_somebody_holds_what_they_hold_already_is_nothing_new(
    event: TaskEvent, history: tuple[TaskEvent, ...], known: bool
) -> None:
    _check(event, *history)
    assert is_known(event, history) is known


@pytest.mark.parametrize("kind", list(TaskKind))
def test_every_task_can_be_claimed_and_that_moves_no_clock(kind: TaskKind) -> None:
    _check(CLAIM, kind=kind)
    _check(REASSIGN, CLAIM, kind=kind)
    _check(BACK, CLAIM, kind=kind)
    assert ledger_of(MONDAY, (CLAIM, REASSIGN, BACK)) == ledger_of(MONDAY, ())


@pytest.mark.parametrize(
    "event",
    [
        _event(K.CLAIMED, 9, holder=None),
        _event(K.CLAIMED, 9, holder=NOBODY),
        _event(K.REASSIGNED, 9, holder=None),
        _event(K.HANDED_BACK, 9, holder="desk-2"),
        _event(K.ACCEPTED, 9, holder="desk-2"),
    ],
)
def test_a_holder_is_named_where_there_is_one(event: TaskEvent) -> None:
    with pytest.raises(InputRefused) as refused:
        _check(event, CLAIM)
    assert [each.field for each in refused.value.problems] == ["holder"]


# Five working days from Monday 2026-09-07 on end on Monday the 14th.
@pytest.mark.rule("RB-4.6", "RB-1.9")
@pytest.mark.parametrize(
    ("history", "due_on"),
    [
        ((), date(2026, 9, 14)),
        ((_event(K.ACCEPTED, 8),), date(2026, 9, 14)),
        ((OPEN_C, CLOSE_C), date(2026, 9, 16)),
        ((OPEN_C, _event(K.CORRECTION_CLOSED, 8)), date(2026, 9, 14)),
        # (8, 10] and (9, 14] overlap: four days are left out, not five.
        ((OPEN_C, OPEN_S, CLOSE_C, CLOSE_S), date(2026, 9, 18)),
        ((OPEN_C,), None),
        ((OPEN_C, CLOSE_C, _event(K.SPECIAL_OPENED, 11)), None),
        # What had run out before time stood still, has run out.
        ((_event(K.SPECIAL_OPENED, 15),), date(2026, 9, 14)),
    ],
)
def test_the_deadline_follows_from_what_was_reported(
    history: tuple[TaskEvent, ...], due_on: date | None
) -> None:
    ledger = ledger_of(MONDAY, history)
    if due_on is None:
        with pytest.raises(StillSuspended):
            due(ledger, WorkingDays(5), calendar())
    else:
        assert due(ledger, WorkingDays(5), calendar()).due_on == due_on


@pytest.mark.rule("RB-1.5")
def test_what_is_reported_before_the_clock_starts_counts_from_its_start() -> None:
    # Under `next_open` a task of Saturday starts on Monday.
    saturday = replace(OPEN_C, at=_at(5))
    folded = ledger_of(MONDAY, (saturday, CLOSE_C), stopped_on=date(2026, 9, 11)).fold()
    (pause,) = folded.suspensions
    assert (pause.interval.suspended_on, pause.interval.resumed_on) == (MONDAY, date(2026, 9, 10))


@given(kinds=st.lists(st.sampled_from(list(K)), max_size=12))
def test_whatever_is_let_through_makes_a_ledger(kinds: list[K]) -> None:
    history: list[TaskEvent] = []
    for position, kind in enumerate(kinds):
        event = _event(kind, 7 + position)
        try:
            _check(event, *history)
        except IllegalTaskEvent:
            continue
        history.append(event)
    folded = ledger_of(MONDAY, history).fold()
    assert folded.is_suspended == bool(open_pauses(history))
    opened = sum(each.kind in (K.CORRECTION_OPENED, K.SPECIAL_OPENED) for each in history)
    assert len(folded.suspensions) == opened
