"""What the case file takes and gives: tasks and cases as typed records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Self

import orjson
import sqlalchemy as sa

from domain.civil_clock import CivilClock
from domain.connection import TaskKind, Voltage
from domain.naming import TaskName
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


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as it stands on file, with the facts of its case."""

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
    asks_area: bool
    policy: str
    clock: CivilClock
    facts: CaseFacts

    @classmethod
    def of(cls, row: AnyRow, changes: Mapping[str, Any] | None = None) -> Self:
        """Read a row of `tasks` joined with its case, with `changes` laid over it."""
        values = {**row._mapping, **(changes or {})}
        return cls._from(values, values)

    @classmethod
    def opened(cls, columns: Mapping[str, Any], case: AnyRow) -> Self:
        """Return a task just written, without reading it again."""
        absent = dict.fromkeys(("outcome", "done_at", "decided_by", "closed_by", "push_problem"))
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
class Moves:
    """What a newer calendar changes in a case.

    Attributes:
        version: name of that calendar.
        clocks: per clock (`HV40`, or `GOV5.1` of bundle 1), the old and the new date.
    """

    version: str
    tasks: tuple[Move, ...]
    clocks: Mapping[str, tuple[date, date]]


@dataclass(frozen=True, slots=True)
class Supervision:
    """A supervision notice (督办) about an open task (RB-5.2).

    Attributes:
        step: of the ladder, e.g. `red.1`; with the task it is the cause, told once.
        recipient: agency.
        reply_by: civil date by which a reply is due.
        body: what else it says.
    """

    task: TaskRecord
    step: str
    recipient: str
    reply_by: date
    body: Mapping[str, Any]
