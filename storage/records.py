"""What the case file takes and gives: tasks and cases as typed records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Self

import orjson
import sqlalchemy as sa
from pydantic import TypeAdapter

from domain.civil_clock import CivilClock
from domain.connection import TaskKind, Voltage
from domain.naming import TaskName
from domain.task_events import TaskEvent, open_pauses
from storage.chain import canonical

AnyRow = sa.Row[*tuple[Any, ...]]
"""A row whose columns are known to the statement, not to the type checker."""


def parsed(text: str | None) -> Any:
    """Read a JSON column; None stays None."""
    return None if text is None else orjson.loads(text)


def clock_text(clock: CivilClock) -> str:
    """Spell a civil clock as it is kept with a case."""
    return canonical(
        {
            "engine_origin": clock.engine_origin and clock.engine_origin.isoformat(),
            "civil_origin": clock.civil_origin and clock.civil_origin.isoformat(),
            "speed": clock.speed,
        }
    )


@lru_cache(maxsize=1024)
def clock_of(text: str) -> CivilClock:
    """Read a civil clock as it is kept with a case."""
    values = orjson.loads(text)
    origins = {
        name: values[name] and datetime.fromisoformat(values[name])
        for name in ("engine_origin", "civil_origin")
    }
    return CivilClock(**origins, speed=values["speed"])


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task about to be owed, with its deadline already computed (RB-1.7).

    Attributes:
        workflow_id: the process that waits for it.
        asked: what is asked beyond the kind: `items`, the permit items of a department.
        calendar_version, calendar: name and number of the calendar the deadline rests on.
    """

    name: TaskName
    workflow_id: str
    owed_by: str
    link: str
    segment: str
    opened_at: datetime
    due_on: date | None
    is_provisional: bool
    calendar_version: str
    limit_working_days: int | None
    clause: str
    asked: Mapping[str, Any]
    calendar: int = 1

    def columns(self) -> dict[str, Any]:
        """Return the row of `tasks` as it is first written."""
        return {
            "id": str(self.name),
            "case_no": self.name.case_no,
            "workflow_id": self.workflow_id,
            "kind": str(self.name.kind),
            "department": self.name.department,
            "owed_by": self.owed_by,
            "round": self.name.round,
            "link": self.link,
            "segment": self.segment,
            "opened_at": self.opened_at,
            "due_on": self.due_on,
            "is_provisional": self.is_provisional,
            "calendar_version": self.calendar_version,
            "limit_working_days": self.limit_working_days,
            "clause": self.clause,
            "asked": canonical(self.asked),
            "history": "[]",
            "changes": 0,
            "changes_told": 0,
            "state": "open",
            "is_late": False,
            "delivered": False,
        }


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What an agency may know of a case to do its task: no applicant, no papers (RB-13.1)."""

    voltage: Voltage
    supply: str
    purpose: str
    capacity_kva: float
    district: str
    address: str
    route: Mapping[str, Any] | None

    @classmethod
    def of(cls, content: Mapping[str, Any], route: Mapping[str, Any] | None) -> Self:
        """Take the facts out of an application's body."""
        return cls(
            voltage=Voltage(content["voltage"]),
            supply=content["supply"],
            purpose=content["purpose"],
            capacity_kva=content["capacity_kva"],
            district=content["site"]["district"],
            address=content["site"]["address"],
            route=route,
        )


def _asks_area(kind: TaskKind, is_unknown: bool, investment: Mapping[str, Any] | None) -> bool:
    # RB-7.4: whoever accepts the papers says it; if nobody did (RB-3.5), whoever goes there.
    is_open = investment is not None and investment["decision"] == "needs_person"
    return is_unknown and (kind is TaskKind.CHECK_PAPERS or (kind is TaskKind.SURVEY and is_open))


def history_text(history: Iterable[TaskEvent]) -> str:
    """Spell what was reported of a task as it is kept."""
    return canonical([asdict(event) for event in history])


def history_of(text: str) -> tuple[TaskEvent, ...]:
    """Read what was reported of a task."""
    return () if text == "[]" else _HISTORY.validate_json(text)


_HISTORY = TypeAdapter(tuple[TaskEvent, ...])


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as it stands on file, with the facts of its case.

    Attributes:
        push_problem, push_failure: why its agency's system refuses it (4xx), or does not answer.
        push_failing_since: civil instant since which the push is refused, or not answered.
        held_by: who within its agency holds it; None if nobody does.
        history: what was reported of it before it was decided, in order (RB-4.6).
        changes, changes_told: how often its clock was stopped or went on, and of how many of these
            times its process was told.
    """

    id: str
    case_no: str
    workflow_id: str
    kind: TaskKind
    department: str | None
    owed_by: str
    round: int
    link: str
    segment: str
    opened_at: datetime
    due_on: date | None
    is_provisional: bool
    calendar_version: str
    limit_working_days: int | None
    clause: str
    asked: Mapping[str, Any]
    state: str
    outcome: Mapping[str, Any] | None
    done_at: datetime | None
    is_late: bool
    decided_by: str | None
    closed_by: str | None
    delivered: bool
    push_problem: str | None
    push_failure: str | None
    push_failing_since: datetime | None
    held_by: str | None
    history: tuple[TaskEvent, ...]
    changes: int
    changes_told: int
    asks_area: bool
    policy: str
    clock: CivilClock
    facts: CaseFacts

    @property
    def is_suspended(self) -> bool:
        """Whether its clock stands still (RB-4.6)."""
        return self.state == "open" and bool(open_pauses(self.history))

    @classmethod
    def of(cls, row: AnyRow, changes: Mapping[str, Any] | None = None) -> Self:
        """Read a row of `tasks` joined with its case, with `changes` laid over it."""
        values = {**row._mapping, **(changes or {})}
        return cls._from(values, values)

    @classmethod
    def opened(cls, columns: Mapping[str, Any], case: AnyRow) -> Self:
        """Return a task just written, without reading it again."""
        absent = dict.fromkeys(
            (
                "outcome",
                "done_at",
                "decided_by",
                "closed_by",
                "held_by",
                "push_problem",
                "push_failure",
                "push_failing_since",
            )
        )
        return cls._from({**absent, **columns}, case._mapping)

    @classmethod
    def _from(cls, task: Mapping[Any, Any], case: Mapping[Any, Any]) -> Self:
        kind = TaskKind(task["kind"])
        made = {
            "kind": kind,
            "policy": case["policy"],
            "asks_area": _asks_area(kind, case["case_asks_area"], parsed(case["investment"])),
            "asked": parsed(task["asked"]),
            "outcome": parsed(task["outcome"]),
            "history": history_of(task["history"]),
            "clock": clock_of(case["clock"]),
            "facts": CaseFacts.of(parsed(case["content"]), parsed(case["route"])),
        }
        plain = {f.name: task[f.name] for f in fields(cls) if f.name not in made}
        return cls(**plain, **made)


@dataclass(frozen=True, slots=True)
class Move:
    """A task's deadline, as a newer calendar has it."""

    task: TaskRecord
    due_on: date
    is_provisional: bool


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report makes of a task.

    Attributes:
        due_on: its deadline afterwards; None while its clock stands still or without a limit.
        moves_clock: whether the process is to look at its deadlines anew.
        notice: whom to tell what, beside the record; None if nobody is.
    """

    due_on: date | None
    is_provisional: bool
    calendar_version: str
    moves_clock: bool
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that somebody is to be told, once.

    Attributes:
        recipient: agency; None is whoever handed in the case.
    """

    kind: str
    recipient: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClockDate:
    """When a clock runs out, as things stand."""

    due_on: date
    is_provisional: bool


@dataclass(frozen=True, slots=True)
class ClockMove:
    """A clock's date, as the older and the newer calendar have it."""

    old: ClockDate
    new: ClockDate


@dataclass(frozen=True, slots=True)
class Moves:
    """What a newer calendar changes in a case.

    Attributes:
        version: name of that calendar.
        clocks: those whose date moves or firms up, by name (`HV40`, or `GOV5.1` of bundle 1).
    """

    version: str
    tasks: tuple[Move, ...]
    clocks: Mapping[str, ClockMove]


@dataclass(frozen=True, slots=True)
class Supervision:
    """A supervision notice (督办) about an open task, or about a clock of the case (RB-5.2).

    Attributes:
        about: id of the task, or the case number with the clock's id.
        step: of the ladder, e.g. `red.1`; with `about` it is the cause, told once (RB-5.4).
        task_id: None for a clock of the case.
        recipient: agency.
        due_on: civil date.
        reply_by: civil date by which a reply is due.
        body: what else it says.
    """

    about: str
    step: str
    task_id: str | None
    recipient: str
    due_on: date | None
    reply_by: date
    body: Mapping[str, Any]

    @property
    def cause(self) -> str:
        """What it is sent for; also its id."""
        return f"ladder.{self.about}.{self.step}"


@dataclass(frozen=True, slots=True)
class Result:
    """What a stopped clock came to: a fact from then on (RB-1.7, RB-2.4).

    Attributes:
        clock: id of its rule.
        round: of the bundle; 0 for a clock of the case itself.
        gross, net: working days since the start, and those of them that count.
        limit_working_days: None is tracked without a target (RB-2.6).
        calendar_version, calendar: name and number of the calendar it was read with.
    """

    clock: str
    round: int
    started_on: date
    stopped_on: date
    gross: int
    net: int
    limit_working_days: int | None
    calendar_version: str
    calendar: int = 1

    @property
    def is_met(self) -> bool | None:
        """Whether this one kept the limit; None without one."""
        return None if self.limit_working_days is None else self.net <= self.limit_working_days

    def figures(self) -> dict[str, Any]:
        """Return the columns of `results` that say what it came to."""
        return {
            "started_on": self.started_on,
            "stopped_on": self.stopped_on,
            "gross": self.gross,
            "net": self.net,
            "limit_working_days": self.limit_working_days,
            "is_met": self.is_met,
            "calendar_version": self.calendar_version,
        }


def figures_text(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the figures of a result as a case's record holds them."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in figures.items()
    }
