"""What travels between processes and activities, and so into histories.

Identifiers, codes, dates and names of permits only: no personal data (RB-13.3). Fields are added
with a default and never renamed, because running cases hold old messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self

from domain.civil_clock import CivilClock
from domain.connection import Code, Ending, TaskKind, Voltage
from domain.naming import TaskName


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one attempt to owe a task waits, and how often the task is pushed again.

    Attributes:
        answer_within: civil time until an attempt gives up waiting and looks into the case file.
        reconcile: civil time between later attempts, once back-off has grown.
    """

    answer_within: timedelta
    reconcile: timedelta


EDITION = 2
"""Of the stories, for cases that begin now.

1: as first told. 2: consent outside the window, papers that follow, a look at guarded routes, and
filings with each department are tasks and notices of their own.
"""

USUAL_PATIENCE_S = (600, 86_400)
"""For a kind of task that did not exist yet when a case was pinned."""


@dataclass(frozen=True, slots=True)
class CaseRef:
    """A case, as its process knows it.

    Attributes:
        no: case number; also the id of the process.
        policy: id of the policy version the case is pinned to.
        clock: the civil clock the case is pinned to.
        patience_s: per task kind, seconds of `answer_within` and `reconcile`.
        alarm_after_s: per task kind with a deadline, seconds from midnight of the day such a task
            is opened before which no alarm can come. Empty: the case began before there was a
            ladder, and goes on without.
        edition: of the stories, under which the case began; see `docs/adr/0009`. It keeps it.
        clocks_alarm_after_s: the same for the clocks of the case, from the day it is accepted.
            None: the case has none with a limit, or began before they were watched.
    """

    no: str
    voltage: Voltage
    policy: str
    clock: CivilClock
    patience_s: dict[str, tuple[int, int]]
    alarm_after_s: dict[str, float] = field(default_factory=dict)
    clocks_alarm_after_s: float | None = None
    edition: int = 1

    def patience(self, kind: TaskKind) -> Patience:
        """Return the patience pinned for tasks of this kind."""
        answer_within, reconcile = self.patience_s.get(kind, USUAL_PATIENCE_S)
        return Patience(timedelta(seconds=answer_within), timedelta(seconds=reconcile))


@dataclass(frozen=True, slots=True)
class AskedItem:
    """A permit item as it is asked of a department (RB-4.2)."""

    item: str
    basis: str
    segments: tuple[int, ...]
    facts_digest: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What one department is asked for."""

    department: str
    items: tuple[AskedItem, ...]


@dataclass(frozen=True, slots=True)
class RouteRemark:
    """Something about the route that whoever does the task should look at (RB-4.3)."""

    id: str
    zh: str
    en: str
    basis: str
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OwedTask:
    """A task to be owed: everything the activity needs, as of the moment it was first owed.

    Attributes:
        passed_by: departments that named another as competent, the first asked first (RB-4.5).
        papers, due_on: what is to follow, and by which civil date, of kind `papers`.
    """

    no: str
    voltage: Voltage
    policy: str
    clock: CivilClock
    kind: TaskKind
    round: int
    opened_at: datetime
    department: str | None = None
    items: tuple[AskedItem, ...] = ()
    remarks: tuple[RouteRemark, ...] = ()
    passed_by: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()
    due_on: date | None = None


def task_name(owed: OwedTask) -> TaskName:
    """Name a task; its activity has the same id."""
    in_place_of = owed.passed_by[0] if owed.passed_by else None
    return TaskName(owed.no, owed.kind, owed.round, owed.department, in_place_of)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a task came out, as far as the process needs to know.

    Attributes:
        decided_at: civil instant at which the outcome was received.
        items: outcome of each permit item, for tasks of kind `permits`.
        competent: the department that is, where the one asked is not.
        case_ending: how the case has ended, where the case file says so; then nothing was decided.
    """

    task_id: str
    code: Code | None
    decided_at: datetime
    items: dict[str, str] = field(default_factory=dict)
    case_ending: Ending | None = None
    competent: str | None = None

    @classmethod
    def of(cls, task_id: str, outcome: Mapping[str, Any], decided_at: datetime) -> Self:
        """Take from an outcome on file what the process may carry."""
        items = {answer["item"]: answer["outcome"] for answer in outcome.get("items") or ()}
        return cls(
            task_id, Code(outcome["code"]), decided_at, items, competent=outcome.get("competent")
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the deadlines of a case let expect (RB-5.2).

    Attributes:
        next_at: civil instant of the next alarm, as things stand; None: none is armed.
        resumed_s: a clock stands still: civil seconds from midnight of the day on which the next
            task is owed, before which no alarm of that clock can come.
    """

    next_at: datetime | None = None
    resumed_s: float | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """One route's permits, asked of every competent department at once (RB-4.1)."""

    case: CaseRef
    round: int
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class PapersToFollow:
    """What a department wants to have yet after it has approved (容缺, RB-4.5).

    Attributes:
        due_on: civil date by which they follow.
        alarm_at: civil instant of the first alarm about it; None: none before the case would end.
    """

    department: str
    papers: tuple[str, ...]
    due_on: date
    alarm_at: datetime | None


@dataclass(frozen=True, slots=True)
class PermitPlan:
    """What a designed route needs before the line may be built.

    Attributes:
        asks: of the departments (RB-4.2).
        exceptions: what needs somebody's consent outside the window (RB-4.4).
    """

    asks: tuple[Ask, ...]
    exceptions: tuple[RouteRemark, ...]


@dataclass(frozen=True, slots=True)
class BundleResult:
    """What the departments' answers come to, by the policy's table (RB-4.7)."""

    verdict: str
    may_build: bool
    papers: tuple[PapersToFollow, ...] = ()


@dataclass(frozen=True, slots=True)
class Closing:
    """How a case ended."""

    ending: Ending
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The applicant withdraws; the grounds are in the case file under `action_id`."""

    action_id: str
