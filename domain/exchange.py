"""What happened to permit items, in the codes of the approval system 工建系统 (RB-4.8).

`states` turns the history of one permit task into the states of each of its items. What the system
expects and no department reports is put in at the instant of what implies it, and says so: a
special procedure or a decision means that the department accepted (8); a decision or a withdrawal
ends what is still open (7, 10). `check_states` looks at codes alone, shares nothing with `states`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from itertools import pairwise
from types import MappingProxyType

from domain.cells import harmless
from domain.errors import OneWindowError
from domain.words import Words
from domain.working_time import CIVIL_ZONE


class State(IntEnum):
    """The codes of RB-4.8."""

    RECEIVED = 1
    WITHDRAWN = 2
    ACCEPTED_AT_WINDOW = 3
    DECLINED_AT_WINDOW = 4
    NOT_ACCEPTED = 5
    CORRECTION_BEGUN = 6
    CORRECTION_ENDED = 7
    ACCEPTED = 8
    SPECIAL_BEGUN = 9
    SPECIAL_ENDED = 10
    PASSED = 11
    PASSED_PAPERS_TO_FOLLOW = 12
    NOT_PASSED = 13
    RECALLED = 14
    REVOKED = 15


NAMES: Mapping[State, Words] = MappingProxyType(
    {
        State.RECEIVED: Words("接件", "received"),
        State.WITHDRAWN: Words("撤件", "withdrawn"),
        State.ACCEPTED_AT_WINDOW: Words("窗口受理", "accepted at the window"),
        State.DECLINED_AT_WINDOW: Words("不受理", "declined at the window"),
        State.NOT_ACCEPTED: Words("不予受理", "not accepted by the department"),
        State.CORRECTION_BEGUN: Words("补正开始", "correction begun"),
        State.CORRECTION_ENDED: Words("补正结束", "correction ended"),
        State.ACCEPTED: Words("部门受理", "accepted by the department"),
        State.SPECIAL_BEGUN: Words("特别程序开始", "special procedure begun"),
        State.SPECIAL_ENDED: Words("特别程序结束", "special procedure ended"),
        State.PASSED: Words("通过", "passed"),
        State.PASSED_PAPERS_TO_FOLLOW: Words("容缺通过", "passed, papers to follow"),
        State.NOT_PASSED: Words("不通过", "not passed"),
        State.RECALLED: Words("撤回", "recalled"),
        State.REVOKED: Words("撤销", "revoked"),
    }
)


class StepKind(StrEnum):
    """What can happen to an item. Reports and outcomes are called as in the contract."""

    OPENED = "opened"
    ACCEPTED = "accepted"
    CORRECTION_OPENED = "correction-opened"
    CORRECTION_CLOSED = "correction-closed"
    SPECIAL_OPENED = "special-opened"
    SPECIAL_CLOSED = "special-closed"
    APPROVED = "approved"
    APPROVED_WITH_CONDITIONS = "approved_with_conditions"
    PAPERS_TO_FOLLOW = "papers_to_follow"
    REFUSED = "refused"
    NOT_ACCEPTED = "not_accepted"
    NOT_COMPETENT = "not_competent"
    WITHDRAWN = "withdrawn"
    RECALLED = "recalled"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ItemStep:
    """One thing that happened.

    Attributes:
        at: with its zone.
        by: the agency, or the system.
        ground: in the words of whoever did it.
        item: the item it happened to; None: all items of the task that are not decided yet.
    """

    kind: StepKind
    at: datetime
    by: str
    ground: str | None = None
    item: str | None = None


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """What happened to one permit task.

    Attributes:
        task_id: tells apart what one department is asked twice, as of a revised route.
        department: as the receiver is to read it.
        items: names of the items asked, in order.
        steps: in order; the first is `opened`.
    """

    case_no: str
    task_id: str
    department: str
    items: tuple[str, ...]
    steps: tuple[ItemStep, ...]


@dataclass(frozen=True, slots=True)
class StateRecord:
    """One state of one item.

    Attributes:
        ground: of what was put in, why it was.
    """

    case_no: str
    task_id: str
    item: str
    department: str
    state: State
    at: datetime
    ground: str | None


class HistoryError(OneWindowError):
    """Such a history has no states.

    Attributes:
        position: of the step at fault, from 1.
    """

    def __init__(self, history: TaskHistory, position: int, problem: str) -> None:
        super().__init__(f"{history.task_id}: step {position}: {problem}")
        self.position, self.problem = position, problem


# ---------------------------------------------------------------- from a history to states

IMPLIED_ACCEPTANCE = "部门未单独反馈受理，随后续环节补记"
IMPLIED_END = "未单独反馈结束，随办结补记"
"""Grounds of what no department reported and the receiver expects."""

_BEGINS: Mapping[StepKind, State] = MappingProxyType(
    {
        StepKind.CORRECTION_OPENED: State.CORRECTION_BEGUN,
        StepKind.SPECIAL_OPENED: State.SPECIAL_BEGUN,
    }
)
_ENDS: Mapping[StepKind, State] = MappingProxyType(
    {
        StepKind.CORRECTION_CLOSED: State.CORRECTION_ENDED,
        StepKind.SPECIAL_CLOSED: State.SPECIAL_ENDED,
    }
)
_END_OF: Mapping[State, State] = MappingProxyType(
    {
        State.CORRECTION_BEGUN: State.CORRECTION_ENDED,
        State.SPECIAL_BEGUN: State.SPECIAL_ENDED,
    }
)
# Conditions do not make a permit less of one; they stand in the ground. A department that does not
# take an item up says 不予受理 (5), and is quoted so even where it had accepted; 不受理 (4) is the
# window's word, before anything is pushed. One that is not competent says the same [XK 32(1)2]: the
# department it names is asked by a task of its own, which begins anew.
_CLOSES: Mapping[StepKind, State] = MappingProxyType(
    {
        StepKind.APPROVED: State.PASSED,
        StepKind.APPROVED_WITH_CONDITIONS: State.PASSED,
        StepKind.PAPERS_TO_FOLLOW: State.PASSED_PAPERS_TO_FOLLOW,
        StepKind.REFUSED: State.NOT_PASSED,
        StepKind.NOT_ACCEPTED: State.NOT_ACCEPTED,
        StepKind.NOT_COMPETENT: State.NOT_ACCEPTED,
        StepKind.WITHDRAWN: State.WITHDRAWN,
    }
)
_UNDOES: Mapping[StepKind, State] = MappingProxyType(
    {StepKind.RECALLED: State.RECALLED, StepKind.REVOKED: State.REVOKED}
)
_BY_WHO_ACCEPTED = frozenset(
    {State.SPECIAL_BEGUN, State.PASSED, State.PASSED_PAPERS_TO_FOLLOW, State.NOT_PASSED}
)


def states(history: TaskHistory) -> tuple[StateRecord, ...]:
    """Return the states of every item: the items as asked, of each its states in order of time.

    Raises:
        HistoryError: a step is not possible where it stands.
    """
    items = {name: _Item(history, name) for name in history.items}
    before: datetime | None = None
    for position, step in enumerate(history.steps, start=1):
        try:
            if step.at.utcoffset() is None:
                raise _Impossible("its instant has no zone")
            if before is not None and step.at < before:
                raise _Impossible("it lies before the step before it")
            for item in _affected(items, step):
                item.take(step)
        except _Impossible as why:
            raise HistoryError(history, position, f"{step.kind}: {why}") from None
        before = step.at
    return tuple(record for item in items.values() for record in item.records)


class _Impossible(Exception):
    """Why a step cannot be."""


def _affected(items: Mapping[str, _Item], step: ItemStep) -> Sequence[_Item]:
    if step.item is not None:
        if step.item not in items:
            raise _Impossible(f"{step.item} was not asked")
        return [items[step.item]]
    if step.kind in _UNDOES:
        raise _Impossible("name the item whose decision is undone")
    undecided = [item for item in items.values() if not item.is_closed]
    if not undecided:
        raise _Impossible("every item is closed already")
    return undecided


class _Item:
    """An item on its way."""

    def __init__(self, history: TaskHistory, name: str) -> None:
        self._history, self._name = history, name
        self.records: list[StateRecord] = []
        self.is_closed = False
        self._is_undone = False
        self._is_accepted = False
        self._has_reported_acceptance = False
        self._open: list[State] = []

    def take(self, step: ItemStep) -> None:
        if (step.kind is StepKind.OPENED) == bool(self.records):
            raise _Impossible("the first step, and no other, opens")
        if (step.kind in _UNDOES) != self.is_closed or self._is_undone:
            raise _Impossible(f"{self._name} is {'closed' if self.is_closed else 'not closed'}")
        if step.kind is StepKind.OPENED:
            self._add(State.RECEIVED, step)
            self._add(State.ACCEPTED_AT_WINDOW, step)
        elif step.kind is StepKind.ACCEPTED:
            self._accept(step)
        elif step.kind in _BEGINS:
            self._begin(_BEGINS[step.kind], step)
        elif step.kind in _ENDS:
            self._end(_ENDS[step.kind], step)
        elif step.kind in _CLOSES:
            self._close(_CLOSES[step.kind], step)
        else:
            self._add(_UNDOES[step.kind], step)
            self._is_undone = True

    def _accept(self, step: ItemStep) -> None:
        if self._has_reported_acceptance:
            raise _Impossible(f"{self._name} was accepted before")
        # Who opened a special procedure has accepted, and may still say so.
        if not self._is_accepted:
            self._add(State.ACCEPTED, step)
        self._is_accepted = self._has_reported_acceptance = True

    def _begin(self, state: State, step: ItemStep) -> None:
        if state in self._open:
            raise _Impossible(f"one is open for {self._name}")
        self._imply_acceptance(state, step)
        self._add(state, step)
        self._open.append(state)

    def _end(self, state: State, step: ItemStep) -> None:
        begun = next((each for each in self._open if _END_OF[each] is state), None)
        if begun is None:
            raise _Impossible(f"none is open for {self._name}")
        self._open.remove(begun)
        self._add(state, step)

    def _close(self, state: State, step: ItemStep) -> None:
        for begun in reversed(self._open):
            self._add(_END_OF[begun], step, IMPLIED_END)
        self._open.clear()
        self._imply_acceptance(state, step)
        self._add(state, step)
        self.is_closed = True

    def _imply_acceptance(self, state: State, step: ItemStep) -> None:
        if state in _BY_WHO_ACCEPTED and not self._is_accepted:
            self._add(State.ACCEPTED, step, IMPLIED_ACCEPTANCE)
            self._is_accepted = True

    def _add(self, state: State, step: ItemStep, ground: str | None = None) -> None:
        self.records.append(
            StateRecord(
                case_no=self._history.case_no,
                task_id=self._history.task_id,
                item=self._name,
                department=self._history.department,
                state=state,
                at=step.at,
                ground=ground or step.ground,
            )
        )


# ---------------------------------------------------------------- what may follow what

# By code: where an item stands after it, and after which standings it may come. Corrections and
# special procedures leave it where it stands; they are watched apart.
_START, _IN, _WINDOW, _DEPARTMENT, _OVER, _UNDONE = range(6)
_MOVES: Mapping[int, tuple[frozenset[int], int]] = MappingProxyType(
    {
        1: (frozenset({_START}), _IN),
        2: (frozenset({_IN, _WINDOW, _DEPARTMENT}), _OVER),
        3: (frozenset({_IN}), _WINDOW),
        4: (frozenset({_IN}), _OVER),
        5: (frozenset({_WINDOW, _DEPARTMENT}), _OVER),
        8: (frozenset({_WINDOW}), _DEPARTMENT),
        11: (frozenset({_DEPARTMENT}), _OVER),
        12: (frozenset({_DEPARTMENT}), _OVER),
        13: (frozenset({_DEPARTMENT}), _OVER),
        14: (frozenset({_OVER}), _UNDONE),
        15: (frozenset({_OVER}), _UNDONE),
    }
)
_PAIRS: Mapping[int, tuple[int, frozenset[int]]] = MappingProxyType(
    {6: (7, frozenset({_WINDOW, _DEPARTMENT})), 9: (10, frozenset({_DEPARTMENT}))}
)


def check_states(codes: Sequence[int]) -> tuple[str, ...]:
    """Say what is wrong with the codes of one item, in order; nothing if they are in order.

    An item may still be on its way: what is open at the end is no problem.
    """
    return tuple(_problems(codes))


def _problems(codes: Sequence[int]) -> Iterator[str]:
    if not codes:
        yield "there is no code at all"
    standing = _START
    begun: dict[int, int] = {}
    for position, code in enumerate(codes, start=1):
        if code in _MOVES:
            after, then = _MOVES[code]
            if standing not in after:
                yield f"{position}: {code} cannot come here"
            if then == _OVER and begun:
                yield f"{position}: {code} while {min(begun.values())} is open"
            standing = then
        elif code in _PAIRS:
            end, during = _PAIRS[code]
            if standing not in during or end in begun:
                yield f"{position}: {code} cannot come here"
            begun[end] = code
        elif code not in {end for end, _ in _PAIRS.values()}:
            yield f"{position}: there is no code {code}"
        elif begun.pop(code, None) is None:
            yield f"{position}: {code} ends nothing"


def check_records(records: Iterable[StateRecord]) -> tuple[str, ...]:
    """Say what is wrong with the records of any items: their codes, or times that go back."""
    of_item: dict[tuple[str, str], list[StateRecord]] = {}
    for record in records:
        key = (record.task_id, record.item)
        of_item.setdefault(key, []).append(record)
    return tuple(
        f"{', '.join(key)}: {problem}"
        for key, found in of_item.items()
        for problem in (
            *check_states([record.state for record in found]),
            *(
                f"{position}: {late.at.isoformat()} lies before {early.at.isoformat()}"
                for position, (early, late) in enumerate(pairwise(found), start=2)
                if late.at < early.at
            ),
        )
    )


# ---------------------------------------------------------------- as files

COLUMNS = (
    *("case_no", "task_id", "item", "department"),
    *("code", "name_zh", "name_en", "at", "ground"),
)

# JSON lets these stand; readers that split at every kind of line end do not.
_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def json_lines(records: Iterable[StateRecord]) -> str:
    """Write a JSON object per line, every text as it was given."""
    return "".join(
        json.dumps(_row(record), ensure_ascii=False).translate(_LINE_ENDS) + "\n"
        for record in records
    )


def csv_file(records: Iterable[StateRecord]) -> bytes:
    """Write a table for people: RFC 4180, every cell quoted, UTF-8 after a byte order mark.

    Without the mark, Excel and WPS on a Chinese desktop read GBK. A cell that a spreadsheet would
    take for a formula gets an apostrophe before it; whoever needs the very text takes `json_lines`.
    """
    return csv_head() + csv_rows(records)


def csv_head() -> bytes:
    """Write how the table begins, for those who write it piece by piece."""
    return _csv([COLUMNS]).encode("utf-8-sig")


def csv_rows(records: Iterable[StateRecord]) -> bytes:
    """Write rows of the table, without its beginning."""
    return _csv(map(_harmless, _row(record).values()) for record in records).encode()


def _csv(rows: Iterable[Iterable[str | int]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _row(record: StateRecord) -> dict[str, str | int | None]:
    name = NAMES[record.state]
    at = record.at.astimezone(CIVIL_ZONE).isoformat(timespec="seconds")
    values = (
        *(record.case_no, record.task_id, record.item, record.department, int(record.state)),
        *(name.zh, name.en, at, record.ground),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _harmless(value: str | int | None) -> str | int:
    if not isinstance(value, str):
        return "" if value is None else value
    return harmless(value)
