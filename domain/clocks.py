"""The clocks: ledgers of dated entries, folded into what is elapsed, left and due (RB-2, RB-5).

A `Ledger` says when one clock ran, stood still and was extended. A `ClockRule` says which of a
case's working days a clock counts, given the `Span`s during which its segments were open. Both end
in exclusions, and `working_time` does all the counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import assert_never

from domain.errors import OneWindowError
from domain.working_time import (
    BusinessHours,
    Calendar,
    Deadline,
    Interval,
    WorkingDays,
    alarm_at,
    civil_date,
    deadline,
    elapsed,
)

_NONE = WorkingDays(0)

# ---------------------------------------------------------------- ledger (RB-2.1)


class Act(StrEnum):
    """What an entry does to its clock."""

    START = "start"
    STOP = "stop"
    SUSPEND = "suspend"
    RESUME = "resume"
    EXTEND = "extend"


class Basis(StrEnum):
    """On what an exclusion rests (RB-2.4)."""

    STATUTORY = "statutory"  # 听证、招标、拍卖、检验、检测、检疫、鉴定、专家评审 [行政许可法 45]
    POLICY = "policy"  # 公示、踏勘、补正 by local practice


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a ledger.

    Attributes:
        on: civil date.
        ground: why, in words or by clause.
        by: the person or system that caused it.
        basis: of a suspension; nothing else has one.
        ref: which suspension is opened or closed, where several may be open at once.
        days: of an extension: working days added, >= 1; nothing else has any.
    """

    act: Act
    on: date
    ground: str
    by: str
    basis: Basis | None = None
    ref: str = ""
    days: WorkingDays = _NONE


class Fault(StrEnum):
    """Why a ledger does not take an entry."""

    NOT_STARTED = "not_started"
    ALREADY_STARTED = "already_started"
    STOPPED = "stopped"
    OUT_OF_ORDER = "out_of_order"
    ALREADY_SUSPENDED = "already_suspended"
    NOT_SUSPENDED = "not_suspended"
    NO_GROUND = "no_ground"
    BASIS = "basis"
    DAYS = "days"


_FAULTS: dict[Fault, tuple[str, str]] = {
    Fault.NOT_STARTED: ("the clock was not started", "计时尚未开始"),
    Fault.ALREADY_STARTED: ("the clock was started before", "计时已经开始"),
    Fault.STOPPED: ("the clock has stopped", "计时已经停止"),
    Fault.OUT_OF_ORDER: ("its date lies before the entry before it", "日期早于前一条记录"),
    Fault.ALREADY_SUSPENDED: ("this suspension is open already", "该中止尚未结束"),
    Fault.NOT_SUSPENDED: ("no such suspension is open", "没有对应的中止可以结束"),
    Fault.NO_GROUND: ("it needs a ground and who caused it", "须写明理由和经办人"),
    Fault.BASIS: (
        "a suspension, and nothing else, names its basis",
        "中止须写明依据，其他记录不得写",
    ),
    Fault.DAYS: (
        "an extension, and nothing else, adds days, at least 1",
        "延期须至少增加 1 个工作日，其他记录不得增加",
    ),
}


class LedgerError(OneWindowError):
    """A ledger does not take an entry.

    Attributes:
        position: of the entry in the ledger, from 0.
        entry: the entry; None if the ledger is empty.
        fault: why.
        en, zh: why, in words.
    """

    def __init__(self, position: int, entry: Entry | None, fault: Fault) -> None:
        self.position, self.entry, self.fault = position, entry, fault
        self.en, self.zh = _FAULTS[fault]
        what = f"{entry.act} on {entry.on}" if entry else "empty"
        super().__init__(f"entry {position} ({what}): {self.en}")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Time that a clock leaves out, and on what that rests (RB-2.4)."""

    interval: Interval
    basis: Basis
    ground: str

    def known_by(self, day: date) -> Exclusion | None:
        """The part of it that lies behind on `day`; None if nothing does."""
        interval = self.interval.known_by(day)
        return Exclusion(interval, self.basis, self.ground) if interval else None


@dataclass(frozen=True, slots=True)
class Folded:
    """What a ledger comes to.

    Attributes:
        suspensions: in the order in which they were opened; what was open when the clock stopped
            ends there.
        extended_by: working days added to the limit.
    """

    started_on: date
    stopped_on: date | None
    suspensions: tuple[Exclusion, ...]
    extended_by: WorkingDays

    @property
    def is_suspended(self) -> bool:
        return any(each.interval.resumed_on is None for each in self.suspensions)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The entries of one clock, in order of time; the first is its start. It only grows (RB-2.1).

    A clock starts once and stops once. What begins anew is another clock with its own ledger.

    Raises:
        LedgerError: the entries make no sense, so such a ledger never exists.
    """

    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        self.fold()

    @classmethod
    def started(cls, on: date, ground: str, by: str) -> Ledger:
        return cls((Entry(Act.START, on, ground, by),))

    def with_entry(self, entry: Entry) -> Ledger:
        """This ledger and one entry more.

        Raises:
            LedgerError: the entry does not fit.
        """
        return Ledger((*self.entries, entry))

    def fold(self) -> Folded:
        fold = _Fold()
        for position, entry in enumerate(self.entries):
            if fault := fold.fault(entry):
                raise LedgerError(position, entry, fault)
            fold.take(entry)
        if fold.started_on is None:
            raise LedgerError(0, None, Fault.NOT_STARTED)
        return Folded(
            fold.started_on,
            fold.stopped_on,
            tuple(fold.suspensions),
            WorkingDays(fold.extended_by),
        )

    def spans(self) -> tuple[Span, ...]:
        """When this clock ran and when it stood still, as segments of a clock above it (RB-2.5).

        The parts of a bundle run in parallel: under a rule that leaves out `SUSPENDED` unless
        `RUNNING`, the bundle stands still only while every part still open does.
        """
        folded = self.fold()
        spans: list[Span] = []
        ran_from: date | None = folded.started_on
        for each in sorted(folded.suspensions, key=lambda each: each.interval.suspended_on):
            suspended_on, resumed_on = each.interval.suspended_on, each.interval.resumed_on
            spans.append(Span(SUSPENDED, suspended_on, resumed_on))
            if ran_from is None:
                continue
            if suspended_on > ran_from:
                spans.append(Span(RUNNING, ran_from, suspended_on))
            ran_from = resumed_on and max(ran_from, resumed_on)
        if ran_from is not None:
            spans.append(Span(RUNNING, ran_from, folded.stopped_on))
        return tuple(spans)


class _Fold:
    """The state between two entries."""

    def __init__(self) -> None:
        self.started_on: date | None = None
        self.stopped_on: date | None = None
        self.last_on = date.min
        self.suspensions: list[Exclusion] = []
        self.open: dict[str, int] = {}  # ref -> place in `suspensions`
        self.extended_by = 0

    def fault(self, entry: Entry) -> Fault | None:
        """Why `entry` does not fit here; None if it does."""
        is_start = entry.act is Act.START
        reasons = {
            Fault.ALREADY_STARTED: is_start and self.started_on is not None,
            Fault.NOT_STARTED: not is_start and self.started_on is None,
            Fault.STOPPED: self.stopped_on is not None,
            Fault.OUT_OF_ORDER: entry.on < self.last_on,
            # RB-4.6: special procedures open and close strictly in turn.
            Fault.ALREADY_SUSPENDED: entry.act is Act.SUSPEND and entry.ref in self.open,
            Fault.NOT_SUSPENDED: entry.act is Act.RESUME and entry.ref not in self.open,
            Fault.NO_GROUND: not (entry.ground.strip() and entry.by.strip()),
            Fault.BASIS: (entry.act is Act.SUSPEND) != (entry.basis is not None),
            Fault.DAYS: entry.days < 1 if entry.act is Act.EXTEND else entry.days != 0,
        }
        return next((fault for fault, is_so in reasons.items() if is_so), None)

    def take(self, entry: Entry) -> None:
        """Go on with `entry`, which has no fault."""
        self.last_on = entry.on
        match entry.act:
            case Act.START:
                self.started_on = entry.on
            case Act.SUSPEND:
                assert entry.basis is not None
                self.open[entry.ref] = len(self.suspensions)
                self.suspensions.append(
                    Exclusion(Interval(entry.on, None), entry.basis, entry.ground)
                )
            case Act.RESUME:
                self._close(entry.ref, entry.on)
            case Act.EXTEND:
                self.extended_by += entry.days
            case Act.STOP:
                self.stopped_on = entry.on
                for ref in tuple(self.open):
                    self._close(ref, entry.on)
            case _:
                assert_never(entry.act)

    def _close(self, ref: str, on: date) -> None:
        place = self.open.pop(ref)
        opened = self.suspensions[place]
        interval = Interval(opened.interval.suspended_on, on)
        self.suspensions[place] = Exclusion(interval, opened.basis, opened.ground)


def due(ledger: Ledger, limit: WorkingDays, calendar: Calendar) -> Deadline:
    """When `limit` runs out on `ledger` (RB-1.3, RB-1.9, RB-2.1).

    Args:
        limit: whole working days, >= 1; the ledger's extensions are added.

    Raises:
        StillSuspended: it would run out inside a suspension that is still open.
    """
    folded = ledger.fold()
    return deadline(
        calendar,
        folded.started_on,
        WorkingDays(limit + folded.extended_by),
        [each.interval for each in folded.suspensions],
    )


# ---------------------------------------------------------------- rules and spans (RB-2.3)

RUNNING = "running"
SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Span:
    """Time during which a segment was open: `(opened_on, done_on]`, or still is (None)."""

    segment: str
    opened_on: date
    done_on: date | None = None

    def is_open_during(self, after: date, through: date) -> bool:
        """Whether it covers all of `(after, through]`."""
        return self.opened_on <= after and (self.done_on is None or through <= self.done_on)


class Nature(StrEnum):
    """What a limit binds (RB-2.2)."""

    AVERAGE = "average"
    EVERY_CASE = "every_case"


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """Which cases a clock is for; None is any."""

    voltage: str | None = None
    supply: str | None = None

    def covers(self, voltage: str, supply: str) -> bool:
        return self.voltage in (None, voltage) and self.supply in (None, supply)


@dataclass(frozen=True, slots=True)
class ClockRule:
    """How one kind of clock counts. The values are the policy's.

    Attributes:
        limit: working days, >= 1; None is tracked without a target (RB-2.6).
        counts: a working day counts only if one of these segments is open; empty counts every day.
        leaves_out, unless: a working day is left out if a segment of `leaves_out` is open and none
            of `unless` is: parallel work is not excused (RB-2.3).
        nature: whether the limit binds the average or every case.
        clause: where the limit stands.
        zh, en: the clock's name.
    """

    id: str
    limit: WorkingDays | None
    counts: frozenset[str]
    leaves_out: frozenset[str]
    unless: frozenset[str]
    nature: Nature
    clause: str
    zh: str
    en: str
    applies_to: AppliesTo = AppliesTo()

    def counts_day(self, open_segments: frozenset[str]) -> bool:
        """Whether a working day counts on which these segments are open."""
        if self.counts and not self.counts & open_segments:
            return False
        return not self.leaves_out & open_segments or bool(self.unless & open_segments)


def applicable(rules: Iterable[ClockRule], voltage: str, supply: str) -> tuple[ClockRule, ...]:
    """The rules for a case of this voltage and supply, in their order."""
    return tuple(rule for rule in rules if rule.applies_to.covers(voltage, supply))


def left_out(
    rule: ClockRule, started_on: date, until: date, spans: Sequence[Span]
) -> tuple[Interval, ...]:
    """The days of `(started_on, until]` that `rule` does not count: disjoint, ascending."""
    edges = {edge for span in spans for edge in (span.opened_on, span.done_on) if edge}
    inside = sorted(edge for edge in edges if started_on < edge < until)
    intervals: list[Interval] = []
    for after, through in pairwise((started_on, *inside, until)):
        # No span begins or ends inside (after, through), so one look serves all its days.
        segments = frozenset(s.segment for s in spans if s.is_open_during(after, through))
        if after >= through or rule.counts_day(segments):
            continue
        if intervals and intervals[-1].resumed_on == after:
            after = intervals.pop().suspended_on
        intervals.append(Interval(after, through))
    return tuple(intervals)


# ---------------------------------------------------------------- readings, lights (RB-2.4, RB-5.1)


class Light(StrEnum):
    """How urgent a clock is. Never shown by colour alone: `left` stands with it."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


def light(left: int, has_passed: bool, yellow_at: int) -> Light:
    """The light of a clock (RB-5.1).

    Args:
        left: working days left.
        has_passed: whether the deadline has passed.
        yellow_at: working days left from which on it is yellow.
    """
    if has_passed:
        return Light.RED
    return Light.YELLOW if left <= yellow_at else Light.GREEN


def overdue_before(civil_now: datetime, hours: BusinessHours) -> date:
    """Return the date so that what is due before it is red now (RB-1.4).

    Args:
        civil_now: aware.
    """
    today = civil_date(civil_now)
    return today + timedelta(days=1) if civil_now > alarm_at(today, hours) else today


def light_of_due(
    due_on: date, civil_now: datetime, calendar: Calendar, hours: BusinessHours, yellow_at: int
) -> tuple[Light, int]:
    """The light of what is due on a date, and the working days left (RB-1.4, RB-5.1).

    Args:
        civil_now: aware.
        yellow_at: working days left from which on it is yellow.

    Returns:
        Days are negative once they are over.
    """
    today = civil_date(civil_now)
    left = elapsed(calendar, today, due_on) - elapsed(calendar, due_on, today)
    return light(left, civil_now > alarm_at(due_on, hours), yellow_at), left


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What a clock shows on one day.

    Attributes:
        gross: working days since the start.
        net: those of them that count (RB-2.4).
        exclusions: what was left out so far, each with its basis and ground; may overlap.
        due_on: when net reaches the limit if every working day from now on counts.
        left: working days until then; negative once more than the limit was used.
        light: None, as are `due_on` and `left`, if the clock has no target (RB-2.6).
        is_provisional: a day that matters here lies in a year that no notice covers (RB-1.6).
        calendar_version: the calendar it was read with.
    """

    gross: int
    net: int
    exclusions: tuple[Exclusion, ...]
    due_on: date | None
    left: int | None
    light: Light | None
    is_provisional: bool
    calendar_version: str


def reading(
    rule: ClockRule,
    started_on: date,
    until: date,
    spans: Sequence[Span],
    calendar: Calendar,
    *,
    yellow_at: int,
    suspensions: Sequence[Exclusion] = (),
    extended_by: WorkingDays = _NONE,
    has_closed: bool = False,
) -> ClockReading:
    """What the clock shows on `until`: today, or the day it stopped.

    What opened or ended after `until` is not known yet; what is still open is left out up to
    `until`.

    Args:
        started_on: not counted itself.
        spans: of the case's segments.
        yellow_at: working days left from which on it is yellow.
        suspensions, extended_by: of the clock's own ledger.
        has_closed: whether business has closed on `until`, when the red alarm goes off (RB-1.4).
    """
    known = (each.known_by(until) for each in suspensions)
    exclusions = (
        *(
            Exclusion(interval, Basis.POLICY, rule.clause)
            for interval in left_out(rule, started_on, until, spans)
        ),
        *(each for each in known if each),
    )
    intervals = [each.interval for each in exclusions]
    gross = elapsed(calendar, started_on, until)
    net = elapsed(calendar, started_on, until, intervals)
    if rule.limit is None:
        is_provisional = not calendar.covers(started_on, until)
        return ClockReading(
            gross, net, exclusions, None, None, None, is_provisional, calendar.version
        )
    limit = WorkingDays(rule.limit + extended_by)
    end = deadline(calendar, started_on, limit, intervals)
    left = limit - net
    has_passed = until > end.due_on or (has_closed and until == end.due_on)
    return ClockReading(
        gross=gross,
        net=net,
        exclusions=exclusions,
        due_on=end.due_on,
        left=left,
        light=light(left, has_passed, yellow_at),
        is_provisional=not calendar.covers(started_on, max(until, end.due_on)),
        calendar_version=calendar.version,
    )


def ledger_reading(
    rule: ClockRule,
    ledger: Ledger,
    until: date,
    spans: Sequence[Span],
    calendar: Calendar,
    *,
    yellow_at: int,
    has_closed: bool = False,
) -> ClockReading:
    """What the clock of `ledger` shows on `until`, or on the day it stopped if that was earlier."""
    folded = ledger.fold()
    has_stopped = folded.stopped_on is not None and folded.stopped_on <= until
    return reading(
        rule,
        folded.started_on,
        min(until, folded.stopped_on or until),
        spans,
        calendar,
        yellow_at=yellow_at,
        suspensions=folded.suspensions,
        extended_by=folded.extended_by,
        # RB-1.4: what stopped on its last day was on time, however late that day.
        has_closed=has_closed and not has_stopped,
    )


# ---------------------------------------------------------------- averages (RB-2.2)


@dataclass(frozen=True, slots=True)
class CompletedCase:
    """A case that ended, as its clock saw it.

    Attributes:
        net: working days that counted.
        is_withdrawn: withdrawn cases stay out of the average.
    """

    net: int
    completed_on: date
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Average:
    """The mean over a population.

    Attributes:
        cases: how many were averaged.
        mean: net working days, exact; None without cases.
        is_met: mean <= limit, on the exact mean, not on a rounded one; None without cases, or
            without a limit (RB-2.6).
    """

    cases: int
    mean: Fraction | None
    is_met: bool | None

    @classmethod
    def of(cls, limit: WorkingDays | None, cases: int, net: int) -> Average:
        """The mean of `net` working days in all over `cases`; without a limit nothing is met."""
        if cases == 0:
            return cls(0, None, None)
        mean = Fraction(net, cases)
        return cls(cases, mean, None if limit is None else mean <= limit)


def average(limit: WorkingDays, cases: Iterable[CompletedCase], first: date, last: date) -> Average:
    """Whether the cases completed from `first` to `last`, both included, keep `limit` (RB-2.2).

    Args:
        cases: of one class, i.e. of one `ClockRule`.
    """
    net = [
        each.net for each in cases if first <= each.completed_on <= last and not each.is_withdrawn
    ]
    return Average.of(limit, len(net), sum(net))


def is_promise_kept(nature: Nature, average: Average, within_limit: int) -> bool | None:
    """Whether a population keeps what its limit binds (RB-2.2).

    Args:
        within_limit: how many of the cases kept the limit themselves.

    Returns:
        None without cases, or without a limit.
    """
    match nature:
        case Nature.AVERAGE:
            return average.is_met
        case Nature.EVERY_CASE:
            return None if average.is_met is None else within_limit == average.cases
        case _:
            assert_never(nature)
