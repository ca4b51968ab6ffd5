"""The clocks of a case, from the case and its tasks as they stand on file (RB-2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from domain.clocks import RUNNING, ClockReading, ClockRule, Exclusion, Ledger, Span, reading
from domain.connection import TaskKind, Voltage
from domain.policy import Policy
from domain.task_events import TaskEvent, ledger_of
from domain.working_time import Calendar, civil_date
from storage.calendars import CalendarVersion
from storage.records import Result


class ClockedCase(Protocol):
    """What of a case its clocks depend on."""

    @property
    def voltage(self) -> str: ...
    @property
    def supply(self) -> str: ...
    @property
    def accepted_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...


class ClockedTask(Protocol):
    """What of a task the clocks of its case depend on."""

    @property
    def kind(self) -> TaskKind: ...
    @property
    def department(self) -> str | None: ...
    @property
    def round(self) -> int: ...
    @property
    def segment(self) -> str: ...
    @property
    def opened_at(self) -> datetime: ...
    @property
    def done_at(self) -> datetime | None: ...
    @property
    def history(self) -> Sequence[TaskEvent]: ...


@dataclass(frozen=True, slots=True)
class CaseClock:
    """A clock of a case, of one of its bundles, or of a department in one.

    Attributes:
        stopped_on: civil date; None while it runs.
        spans: of the segments that the rule looks at.
        suspensions: of its own ledger (RB-4.6).
        round: of the bundle; None for a clock of the case.
        department: None for a clock of the case or of a whole bundle.
    """

    rule: ClockRule
    started_on: date
    stopped_on: date | None
    spans: tuple[Span, ...]
    round: int | None = None
    department: str | None = None
    suspensions: tuple[Exclusion, ...] = ()

    @property
    def state(self) -> Literal["running", "suspended", "stopped"]:
        """Whether it runs, stands still, or has stopped."""
        if self.stopped_on is not None:
            return "stopped"
        return "running" if self._counts_now() else "suspended"

    def _counts_now(self) -> bool:
        if any(each.interval.resumed_on is None for each in self.suspensions):
            return False
        return self.rule.counts_day(frozenset(s.segment for s in self.spans if s.done_on is None))

    def read(self, policy: Policy, civil_now: datetime, days: Calendar) -> ClockReading:
        """Return what it shows now, or on the day it stopped.

        Args:
            days: the calendar that the case's dates rest on.
        """
        return reading(
            self.rule,
            self.started_on,
            self.stopped_on or civil_date(civil_now),
            self.spans,
            days,
            yellow_at=policy.lights.yellow_at,
            suspensions=self.suspensions,
            # RB-1.4: on the last day itself the alarm goes off when business closes.
            has_closed=self.stopped_on is None and civil_now.time() >= policy.working_time.closes,
        )

    def result(self, policy: Policy, at: datetime, version: CalendarVersion) -> Result:
        """Return what it came to, having stopped by the civil instant `at` (RB-2.4).

        Args:
            version: of the calendar that the case's dates rest on.
        """
        assert self.stopped_on is not None
        read = self.read(policy, at, version.calendar)
        return Result(
            clock=self.rule.id,
            round=self.round or 0,
            started_on=self.started_on,
            stopped_on=self.stopped_on,
            gross=read.gross,
            net=read.net,
            limit_working_days=self.rule.limit,
            calendar_version=read.calendar_version,
            calendar=version.number,
        )


def clocks_of(
    case: ClockedCase, tasks: Sequence[ClockedTask], policy: Policy
) -> Iterator[CaseClock]:
    """Yield every clock of a case: its own, each bundle's, and each department's in it.

    Args:
        tasks: all of the case's.
    """
    yield from clocks_of_case(case, tasks, policy)
    permits = [task for task in tasks if task.kind is TaskKind.PERMITS]
    for round_no in sorted({task.round for task in permits}):
        bundle = [task for task in permits if task.round == round_no]
        for clock in clocks_of_bundle(case, bundle, policy):
            yield clock
            # RB-2.5: what binds the bundle binds each department in it.
            for task in bundle:
                folded = _ledger(task).fold()
                yield CaseClock(
                    clock.rule,
                    folded.started_on,
                    folded.stopped_on,
                    # Its own ledger says when it stood still, and on what ground.
                    (Span(RUNNING, folded.started_on, folded.stopped_on),),
                    round_no,
                    task.department,
                    folded.suspensions,
                )


def clocks_of_case(
    case: ClockedCase, tasks: Sequence[ClockedTask], policy: Policy
) -> Iterator[CaseClock]:
    """Yield the clocks of the case itself; none before it is accepted."""
    if case.accepted_at is None:
        return
    started_on, stopped_on = civil_date(case.accepted_at), _date_of(case.ended_at)
    spans = tuple(_span(task) for task in tasks)
    for rule in policy.clocks_of("case", Voltage(case.voltage), case.supply):
        yield CaseClock(rule, started_on, stopped_on, spans)


def clocks_of_bundle(
    case: ClockedCase, bundle: Sequence[ClockedTask], policy: Policy
) -> Iterator[CaseClock]:
    """Yield the clocks of one bundle as a whole; none of an empty one.

    Args:
        bundle: the tasks of kind `permits` of one round.
    """
    if not bundle:
        return
    done = [task.done_at for task in bundle if task.done_at is not None]
    started_on = civil_date(min(task.opened_at for task in bundle))
    stopped_on = civil_date(max(done)) if len(done) == len(bundle) else None
    # RB-4.6: a pause is that department's; all still open stand still, or the bundle does not.
    spans = tuple(span for task in bundle for span in _ledger(task).spans())
    for rule in policy.clocks_of("bundle", Voltage(case.voltage), case.supply):
        yield CaseClock(rule, started_on, stopped_on, spans, bundle[0].round)


def _span(task: ClockedTask) -> Span:
    return Span(task.segment, civil_date(task.opened_at), _date_of(task.done_at))


def _ledger(task: ClockedTask) -> Ledger:
    started_on, stopped_on = civil_date(task.opened_at), _date_of(task.done_at)
    return ledger_of(started_on, task.history, stopped_on=stopped_on)


def _date_of(instant: datetime | None) -> date | None:
    return None if instant is None else civil_date(instant)
