"""What an agency reports of a task before deciding it, and what that does to its clock (RB-4.6).

Corrections (补正) and special procedures (特别程序) stop the clock of the task they are reported
of, and of no other. Each kind opens and closes strictly in turn; one of either kind may overlap
with one of the other, and their union is left out (RB-1.9). They are dated by their receipt: who
reports late has lost the days in between, so that nobody can stop a clock backwards.

An agency also says who within it holds a task: claimed, reassigned to another, handed back. That
moves no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, Protocol

from domain.clocks import Act, Basis, Entry, Ledger
from domain.connection import TaskKind
from domain.errors import FieldProblem, IllegalTaskEvent, InputRefused
from domain.working_time import civil_date


class TaskEventKind(StrEnum):
    """What can be reported. The words are those of the contract."""

    ACCEPTED = "accepted"  # 部门受理
    CORRECTION_OPENED = "correction-opened"
    CORRECTION_CLOSED = "correction-closed"
    SPECIAL_OPENED = "special-opened"
    SPECIAL_CLOSED = "special-closed"
    CLAIMED = "claimed"  # 认领
    REASSIGNED = "reassigned"  # 转办
    HANDED_BACK = "handed-back"  # 退回


_K = TaskEventKind
Pause = Literal["correction", "special"]
"""The two kinds of time that stands still."""

OPENS: Mapping[TaskEventKind, Pause] = MappingProxyType(
    {_K.CORRECTION_OPENED: "correction", _K.SPECIAL_OPENED: "special"}
)
CLOSES: Mapping[TaskEventKind, Pause] = MappingProxyType(
    {_K.CORRECTION_CLOSED: "correction", _K.SPECIAL_CLOSED: "special"}
)

NOBODY = "nobody"
"""Asks for tasks that nobody holds, so it is nobody's id."""
HOLDING = frozenset({_K.CLAIMED, _K.REASSIGNED, _K.HANDED_BACK})
"""What an agency says of who within it holds a task: its own affair."""

# Only departments have grounds on which time is left out (RB-4.6); the others answer, or are late.
REPORTABLE: Mapping[TaskKind, frozenset[TaskEventKind]] = MappingProxyType(
    {
        **dict.fromkeys(TaskKind, frozenset({_K.ACCEPTED, *HOLDING})),
        TaskKind.PERMITS: frozenset(TaskEventKind),
    }
)


class Procedure(Protocol):
    """A procedure for which time is left out, as a policy has it."""

    @property
    def pause(self) -> Pause: ...
    @property
    def basis(self) -> Basis: ...
    @property
    def zh(self) -> str: ...
    @property
    def en(self) -> str: ...


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One report.

    Attributes:
        at: civil instant of receipt.
        by: the agency that reported it.
        key: under which it was sent, so that the same report sent twice is one.
        ground: why, in words; required to open or close a pause.
        procedure: id of the policy's procedure, where one is opened.
        basis: on what leaving out the time rests, where a pause is opened (RB-2.4).
        missing: what is to be corrected, where a correction is opened.
        document_no: the agency's own number of the paper that says so.
        holder: who holds the task from then on, where it is claimed or reassigned: an id of the
            agency's own choosing, not a person's name.
    """

    kind: TaskEventKind
    at: datetime
    by: str
    key: str
    ground: str | None = None
    procedure: str | None = None
    basis: Basis | None = None
    missing: tuple[str, ...] = ()
    document_no: str | None = None
    holder: str | None = None

    def is_same_report(self, other: TaskEvent) -> bool:
        """Whether both say the same, whenever they came."""
        return _said(self) == _said(other)


def _said(event: TaskEvent) -> tuple[object, ...]:
    return (
        event.kind,
        event.by,
        event.ground,
        event.procedure,
        event.missing,
        event.document_no,
        event.holder,
    )


def open_pauses(history: Sequence[TaskEvent]) -> dict[Pause, TaskEvent]:
    """Return the pauses that are open after these events, each with what opened it."""
    found: dict[Pause, TaskEvent] = {}
    for event in history:
        if event.kind in OPENS:
            found[OPENS[event.kind]] = event
        elif event.kind in CLOSES:
            found.pop(CLOSES[event.kind], None)
    return found


def holder_of(history: Sequence[TaskEvent]) -> str | None:
    """Return who within its agency holds a task after these events; None if nobody does."""
    said = [event.holder for event in history if event.kind in HOLDING]
    return said[-1] if said else None


def is_known(event: TaskEvent, history: Sequence[TaskEvent]) -> bool:
    """Whether a report says nothing new: that somebody holds what they hold already."""
    return event.holder is not None and event.holder == holder_of(history)


def check_report(
    event: TaskEvent,
    history: Sequence[TaskEvent],
    *,
    task_id: str,
    task_kind: TaskKind,
    procedures: Mapping[str, Procedure],
) -> None:
    """Refuse a report that this task cannot have now, or that is not complete.

    Args:
        history: what was reported before, in order.
        procedures: of the policy, by id.

    Raises:
        InputRefused: names every field that is missing or wrong.
        IllegalTaskEvent: it opens what is open, closes what is not, or is not for such a task.
    """
    if event.kind not in REPORTABLE[task_kind]:
        raise IllegalTaskEvent(
            task_id,
            event.kind,
            f"no {event.kind} can be reported of a {task_kind} task: only a department's clock "
            "can stand still",
            f"{task_kind} 任务不能上报 {event.kind}：只有部门审批的计时可以中止",
        )
    if problems := _incomplete(event, procedures):
        raise InputRefused(*problems)
    if event.kind is _K.ACCEPTED and any(past.kind is _K.ACCEPTED for past in history):
        raise IllegalTaskEvent(task_id, event.kind, "it was accepted before", "此前已经受理")
    standing = open_pauses(history)
    opening, closing = OPENS.get(event.kind), CLOSES.get(event.kind)
    if opening in standing:
        since = civil_date(standing[opening].at)
        raise IllegalTaskEvent(
            task_id,
            event.kind,
            f"one is open since {since}; close it before opening the next (RB-4.6)",
            f"上一项自 {since} 起尚未结束，须先结束再开始下一项",
        )
    if closing is not None and closing not in standing:
        raise IllegalTaskEvent(
            task_id, event.kind, f"no {closing} is open", "没有对应的开始记录，不能结束"
        )
    if event.kind in HOLDING:
        _check_holding(event, holder_of(history), task_id)


def _check_holding(event: TaskEvent, holder: str | None, task_id: str) -> None:
    if event.kind is _K.CLAIMED and holder not in (None, event.holder):
        raise IllegalTaskEvent(
            task_id,
            event.kind,
            f"{holder} holds it; have it reassigned, or handed back first",
            f"此任务已由 {holder} 认领，可转办，或先退回再认领",
        )
    if event.kind is not _K.CLAIMED and holder is None:
        raise IllegalTaskEvent(
            task_id, event.kind, "nobody holds it; claim it first", "此任务尚无人认领，请先认领"
        )


def _incomplete(event: TaskEvent, procedures: Mapping[str, Procedure]) -> list[FieldProblem]:
    problems = []
    opening = OPENS.get(event.kind)
    moves_clock = opening is not None or event.kind in CLOSES
    if moves_clock and not (event.ground or "").strip():
        problems.append(
            FieldProblem(
                "ground",
                "required: time is left out on a written ground only (RB-4.6)",
                "必填：计时中止或恢复须有书面理由",
            )
        )
    if opening == "special":
        problems += _wrong_procedure(event, procedures)
    elif event.procedure is not None:
        problems.append(_misplaced("procedure", event.kind))
    if opening == "correction" and not event.missing:
        problems.append(
            FieldProblem(
                "missing",
                "required: name everything that is to be corrected, at once",
                "必填：须一次性列明需要补正的内容",
            )
        )
    elif opening != "correction" and event.missing:
        problems.append(_misplaced("missing", event.kind))
    return problems + _wrong_holder(event)


def _wrong_holder(event: TaskEvent) -> list[FieldProblem]:
    if event.kind not in (_K.CLAIMED, _K.REASSIGNED):
        return [] if event.holder is None else [_misplaced("holder", event.kind)]
    if event.holder is None:
        return [FieldProblem("holder", "required: who holds the task now", "必填：由谁承办")]
    if event.holder == NOBODY:
        return [
            FieldProblem(
                "holder",
                f"{NOBODY} stands for no holder; choose another id",
                f"{NOBODY} 表示无人认领，请换用其他标识",
            )
        ]
    return []


def _wrong_procedure(event: TaskEvent, procedures: Mapping[str, Procedure]) -> list[FieldProblem]:
    special = {i: each for i, each in procedures.items() if each.pause == "special"}
    if event.procedure in special:
        return []
    names = ", ".join(special)
    shown = "、".join(f"{i}（{each.zh}）" for i, each in special.items())
    return [
        FieldProblem(
            "procedure",
            f"name the special procedure, one of: {names}",
            f"须写明特别程序的种类，可选：{shown}",
        )
    ]


def _misplaced(field: str, kind: TaskEventKind) -> FieldProblem:
    return FieldProblem(field, f"does not belong to {kind}", f"{kind} 不应填写此项")


def ledger_of(
    started_on: date, history: Sequence[TaskEvent], *, stopped_on: date | None = None
) -> Ledger:
    """Return the ledger of a task's clock (RB-2.1).

    Args:
        started_on: civil date of receipt; under `next_open` it may follow the first report.
        stopped_on: civil date of the decision.
    """
    entries = [Entry(Act.START, started_on, "task owed", "onewindow")]
    for event in history:
        on = max(civil_date(event.at), started_on)
        ground = event.ground or ""
        if event.kind in OPENS:
            ref = OPENS[event.kind]
            entries.append(Entry(Act.SUSPEND, on, ground, event.by, event.basis, ref))
        elif event.kind in CLOSES:
            entries.append(Entry(Act.RESUME, on, ground, event.by, ref=CLOSES[event.kind]))
    if stopped_on is not None:
        on = max(stopped_on, entries[-1].on)
        entries.append(Entry(Act.STOP, on, "decided", "onewindow"))
    return Ledger(tuple(entries))
