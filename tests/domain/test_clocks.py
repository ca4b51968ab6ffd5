"""The clocks (RB-2) and their lights (RB-5.1).

Dates are of September 2026 unless said otherwise: the 14th is a Monday, Sunday the 20th is worked,
the 25th to the 27th are off, the 28th is a Monday.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clocks import (
    RUNNING,
    SUSPENDED,
    Act,
    AppliesTo,
    Average,
    Basis,
    ClockReading,
    ClockRule,
    CompletedCase,
    Entry,
    Exclusion,
    Fault,
    Ledger,
    LedgerError,
    Light,
    Nature,
    Span,
    applicable,
    average,
    due,
    is_promise_kept,
    ledger_reading,
    left_out,
    light,
    light_of_due,
    reading,
)
from domain.working_time import (
    BusinessHours,
    Interval,
    StillSuspended,
    WorkingDays,
    elapsed,
)
from policy.calendar import calendar

CALENDAR = calendar()
YELLOW_AT = 2
ANY_CASE = AppliesTo()


def sep(day: int) -> date:
    return date(2026, 8, 31) + timedelta(days=day)


def rule(
    name: str,
    limit: int | None,
    counts: str = "",
    leaves_out: str = "",
    unless: str = "",
    nature: Nature = Nature.AVERAGE,
    applies_to: AppliesTo = ANY_CASE,
) -> ClockRule:
    return ClockRule(
        id=name,
        limit=None if limit is None else WorkingDays(limit),
        counts=frozenset(counts.split()),
        leaves_out=frozenset(leaves_out.split()),
        unless=frozenset(unless.split()),
        nature=nature,
        clause="516 三(二)",
        zh=name,
        en=name,
        applies_to=applies_to,
    )


LV8 = rule("LV8", 8, counts="utility", applies_to=AppliesTo("low"))
HV40 = rule(
    "HV40",
    40,
    leaves_out="customer",
    unless="utility external approvals",
    applies_to=AppliesTo("high", "single"),
)
INT13 = rule("INT13", 13, counts="utility", applies_to=AppliesTo("high", "single"))
GOV5 = rule("GOV5", 5, leaves_out=SUSPENDED, unless=RUNNING, nature=Nature.EVERY_CASE)
NO_TARGET = rule("HV", None, leaves_out="customer", applies_to=AppliesTo("high", "dual"))


def read(
    which: ClockRule, until: int, *spans: tuple[str, int, int | None], has_closed: bool = False
) -> ClockReading:
    """Read `which`, started on the 14th, on September `until`."""
    opened = [Span(name, sep(a), None if b is None else sep(b)) for name, a, b in spans]
    return reading(
        which, sep(14), sep(until), opened, CALENDAR, yellow_at=YELLOW_AT, has_closed=has_closed
    )


# ---------------------------------------------------------------- ledger


def start(on: int) -> Entry:
    return Entry(Act.START, sep(on), "accepted", "desk")


def stop(on: int) -> Entry:
    return Entry(Act.STOP, sep(on), "decided", "water")


def suspend(on: int, ref: str = "", basis: Basis = Basis.STATUTORY) -> Entry:
    return Entry(Act.SUSPEND, sep(on), "expert review", "water", basis, ref)


def resume(on: int, ref: str = "") -> Entry:
    return Entry(Act.RESUME, sep(on), "report received", "water", ref=ref)


def extend(on: int, days: int) -> Entry:
    return Entry(Act.EXTEND, sep(on), "XK 42", "head of agency", days=WorkingDays(days))


@pytest.mark.rule("RB-2.1")
@pytest.mark.parametrize(
    ("entries", "due_on"),
    [
        ([start(14)], 20),
        ([start(14), suspend(15), resume(17)], 22),
        ([start(14), suspend(15), resume(15)], 20),
        ([start(14), suspend(15), resume(17), suspend(21), resume(24)], 28),
        ([start(14), suspend(15, "a"), suspend(16, "b"), resume(17, "a"), resume(18, "b")], 23),
        ([start(14), extend(16, 3)], 23),
        ([start(14), extend(16, 1), extend(17, 2)], 23),
        ([start(14), suspend(15), stop(17)], 22),  # a stop ends what was open
    ],
)
def test_deadline_follows_from_folding_the_ledger(entries: list[Entry], due_on: int) -> None:
    # Six working days from the 14th: 15, 16, 17, 18, the worked Sunday, 21; five end on the 20th.
    assert due(Ledger(tuple(entries)), WorkingDays(5), CALENDAR).due_on == sep(due_on)


@pytest.mark.rule("RB-2.1")
@pytest.mark.parametrize(
    ("entries", "position", "fault"),
    [
        ([], 0, Fault.NOT_STARTED),
        ([stop(14)], 0, Fault.NOT_STARTED),
        ([suspend(14)], 0, Fault.NOT_STARTED),
        ([start(14), start(15)], 1, Fault.ALREADY_STARTED),
        ([start(14), stop(15), stop(16)], 2, Fault.STOPPED),
        ([start(14), stop(15), start(16)], 2, Fault.ALREADY_STARTED),
        ([start(14), stop(15), extend(16, 1)], 2, Fault.STOPPED),
        ([start(14), suspend(15), stop(16), resume(17)], 3, Fault.STOPPED),
        ([start(14), stop(13)], 1, Fault.OUT_OF_ORDER),
        ([start(14), resume(15)], 1, Fault.NOT_SUSPENDED),
        ([start(14), suspend(15), resume(16), resume(17)], 3, Fault.NOT_SUSPENDED),
        ([start(14), suspend(15, "a"), resume(16, "b")], 2, Fault.NOT_SUSPENDED),
        ([start(14), suspend(15), suspend(16)], 2, Fault.ALREADY_SUSPENDED),
        ([start(14), extend(15, 0)], 1, Fault.DAYS),
        ([start(14), extend(15, -1)], 1, Fault.DAYS),
        ([Entry(Act.START, sep(14), "g", "b", days=WorkingDays(1))], 0, Fault.DAYS),
        ([Entry(Act.START, sep(14), "g", "b", basis=Basis.POLICY)], 0, Fault.BASIS),
        ([start(14), Entry(Act.SUSPEND, sep(15), "g", "b")], 1, Fault.BASIS),
        ([Entry(Act.START, sep(14), " ", "desk")], 0, Fault.NO_GROUND),
        ([Entry(Act.START, sep(14), "accepted", "")], 0, Fault.NO_GROUND),
    ],
)
def test_ledger_refuses_what_makes_no_sense(
    entries: list[Entry], position: int, fault: Fault
) -> None:
    with pytest.raises(LedgerError) as refused:
        Ledger(tuple(entries))
    assert (refused.value.position, refused.value.fault) == (position, fault)
    assert refused.value.en and refused.value.zh


@pytest.mark.rule("RB-2.1")
def test_ledger_only_grows() -> None:
    before = Ledger.started(sep(14), "accepted", "desk")
    after = before.with_entry(suspend(15))
    assert (len(before.entries), len(after.entries)) == (1, 2)
    assert not before.fold().is_suspended
    assert after.fold().is_suspended
    with pytest.raises(LedgerError):
        after.with_entry(suspend(16))


@pytest.mark.rule("RB-2.1")
def test_deadline_of_a_suspended_clock_is_known_once_it_resumes() -> None:
    ledger = Ledger((start(14), suspend(15)))
    with pytest.raises(StillSuspended):
        due(ledger, WorkingDays(5), CALENDAR)
    assert due(ledger.with_entry(resume(17)), WorkingDays(5), CALENDAR).due_on == sep(22)


@pytest.mark.rule("RB-2.4")
def test_reading_shows_gross_and_net_and_the_basis_of_each_exclusion() -> None:
    ledger = Ledger((start(14), suspend(15), resume(17), suspend(18, basis=Basis.POLICY)))
    shown = ledger_reading(GOV5, ledger, sep(21), [], CALENDAR, yellow_at=YELLOW_AT)
    assert (shown.gross, shown.net, shown.left) == (6, 2, 3)
    assert shown.exclusions == (
        Exclusion(Interval(sep(15), sep(17)), Basis.STATUTORY, "expert review"),
        Exclusion(Interval(sep(18), sep(21)), Basis.POLICY, "expert review"),
    )


@pytest.mark.rule("RB-2.1")
def test_reading_of_a_past_day_knows_nothing_of_what_came_later() -> None:
    growing = Ledger.started(sep(14), "accepted", "desk")
    shown_then = ledger_reading(GOV5, growing, sep(15), [], CALENDAR, yellow_at=YELLOW_AT)
    for entry in (suspend(16), resume(18), stop(21)):
        growing = growing.with_entry(entry)
    shown_now = ledger_reading(GOV5, growing, sep(15), [], CALENDAR, yellow_at=YELLOW_AT)
    assert shown_now == shown_then


@pytest.mark.rule("RB-2.1")
def test_stopped_clock_shows_the_day_it_stopped() -> None:
    ledger = Ledger((start(14), stop(16)))
    shown = [
        ledger_reading(GOV5, ledger, sep(day), [], CALENDAR, yellow_at=YELLOW_AT)
        for day in (16, 17, 30)
    ]
    assert shown[0].net == 2
    assert shown[0] == shown[1] == shown[2]


@pytest.mark.rule("RB-1.4")
def test_clock_that_stops_late_on_its_last_day_was_on_time() -> None:
    running = Ledger((start(14),))
    stopped = running.with_entry(stop(20))
    lights = [
        ledger_reading(
            GOV5, each, sep(20), [], CALENDAR, yellow_at=YELLOW_AT, has_closed=True
        ).light
        for each in (running, stopped)
    ]
    assert lights == [Light.RED, Light.YELLOW]


# ---------------------------------------------------------------- HV40: parallel work


@pytest.mark.rule("RB-2.3")
@pytest.mark.parametrize(
    ("spans", "net"),
    [
        # Seven working days from the 14th to the 22nd: 15 16 17 18 20 21 22.
        ([], 7),  # nothing open: counts
        ([("utility", 14, None)], 7),
        ([("customer", 14, None)], 0),
        ([("customer", 14, 17)], 4),
        ([("customer", 17, None)], 3),
        ([("customer", 14, None), ("utility", 14, None)], 7),  # parallel: not excused
        ([("customer", 14, None), ("external", 14, 17)], 3),
        ([("customer", 14, None), ("approvals", 14, 17)], 3),
        ([("customer", 14, None), ("external", 14, 16), ("approvals", 16, 18)], 4),
        ([("customer", 14, 18), ("utility", 16, 21)], 5),
        ([("customer", 14, 16), ("customer", 17, 18)], 4),  # two works, one day between
        ([("customer", 14, 17), ("customer", 15, 18)], 3),  # overlapping works: a union
        ([("customer", 16, 16)], 7),  # opened and done on one date
        ([("customer", 18, 19)], 7),  # open on a Saturday off only
        ([("customer", 18, 20)], 6),  # open on the Sunday worked
        ([("customer", 14, None), ("utility", 18, 19)], 0),  # the utility worked on a day off
        ([("customer", 1, 16), ("utility", 1, 15)], 6),  # open since before the start
        ([("customer", 20, 40)], 5),  # done after the day of reading
        ([("customer", 30, None)], 7),  # not yet open
        ([("survey", 14, None)], 7),  # a segment the rule does not name
    ],
)
def test_hv40_leaves_a_day_out_only_when_customer_works_alone(
    spans: list[tuple[str, int, int | None]], net: int
) -> None:
    shown = read(HV40, 22, *spans)
    assert (shown.gross, shown.net) == (7, net)
    assert shown.left == 40 - net
    assert all(e.basis is Basis.POLICY and e.ground == HV40.clause for e in shown.exclusions)


@pytest.mark.rule("RB-2.3")
def test_open_customer_works_move_the_deadline_day_by_day() -> None:
    spans = (("utility", 14, 16), ("customer", 16, None))
    shown = [read(HV40, day, *spans) for day in (16, 17, 18, 19, 20)]
    assert [each.net for each in shown] == [2, 2, 2, 2, 2]
    beyond_the_20th = [elapsed(CALENDAR, sep(20), each.due_on) for each in shown if each.due_on]
    assert beyond_the_20th == [35, 36, 37, 37, 38]


@pytest.mark.rule("RB-2.3")
def test_int13_counts_utility_steps_only() -> None:
    shown = read(INT13, 22, ("utility", 14, 16), ("external", 16, None), ("utility", 20, 21))
    assert (shown.gross, shown.net) == (7, 3)


SEGMENTS = ("utility", "external", "approvals", "customer")


@pytest.mark.rule("RB-2.3")
@given(
    st.lists(
        st.tuples(st.sampled_from(SEGMENTS), st.integers(1, 60), st.none() | st.integers(0, 30)),
        max_size=8,
    ),
    st.integers(14, 80),
    st.sampled_from([LV8, HV40, INT13]),
)
def test_spans_folded_equal_days_judged_one_by_one(
    drawn: list[tuple[str, int, int | None]], until: int, which: ClockRule
) -> None:
    spans = [
        Span(name, sep(begin), None if length is None else sep(begin + length))
        for name, begin, length in drawn
    ]
    net = 0
    for day in (sep(n) for n in range(15, until + 1)):
        names = {
            s.segment
            for s in spans
            if s.opened_on < day and (s.done_on is None or day <= s.done_on)
        }
        counts = not which.counts or bool(which.counts & names)
        excused = bool(which.leaves_out & names) and not which.unless & names
        net += CALENDAR.is_working(day) and counts and not excused
    shown = reading(which, sep(14), sep(until), spans, CALENDAR, yellow_at=YELLOW_AT)
    assert shown.net == net
    intervals = left_out(which, sep(14), sep(until), spans)
    ends = [end for each in intervals for end in (each.suspended_on, each.resumed_on) if end]
    assert ends == sorted(set(ends))  # disjoint, ascending, joined where they touch


# ---------------------------------------------------------------- GOV5: the bundle


def department(*entries: Entry) -> Ledger:
    return Ledger((start(14), *entries))


@pytest.mark.rule("RB-2.5")
@pytest.mark.parametrize(
    ("departments", "net"),
    [
        # Six working days from the 14th to the 21st: 15 16 17 18 20 21.
        ([department(), department()], 6),
        ([department(suspend(15), resume(17)), department()], 6),  # only its own clock pauses
        ([department(suspend(15), resume(17))], 4),
        ([department(suspend(15)), department(stop(16))], 2),  # the last one open stands still
        ([department(suspend(15), resume(18)), department(suspend(17), resume(20))], 5),
        ([department(suspend(15, "a"), suspend(16, "b"), resume(17, "a"), resume(18, "b"))], 3),
        ([department(suspend(15, "a"), suspend(16, "b"), resume(17, "b"), resume(20, "a"))], 2),
        ([department(stop(15)), department(stop(16))], 6),  # nothing open: counts
    ],
)
def test_bundle_stands_still_only_while_every_open_department_does(
    departments: list[Ledger], net: int
) -> None:
    spans = [span for each in departments for span in each.spans()]
    shown = reading(GOV5, sep(14), sep(21), spans, CALENDAR, yellow_at=YELLOW_AT)
    assert (shown.gross, shown.net) == (6, net)


@pytest.mark.rule("RB-2.5")
@pytest.mark.parametrize("until", range(14, 25))
def test_department_alone_reads_as_its_bundle_does(until: int) -> None:
    ledger = department(suspend(15, "a"), suspend(16, "b"), resume(17, "a"), resume(20, "b"))
    alone = ledger_reading(GOV5, ledger, sep(until), [], CALENDAR, yellow_at=YELLOW_AT)
    bundle = reading(GOV5, sep(14), sep(until), ledger.spans(), CALENDAR, yellow_at=YELLOW_AT)
    assert (alone.net, alone.due_on, alone.light) == (bundle.net, bundle.due_on, bundle.light)


# ---------------------------------------------------------------- which clocks, without a target


@pytest.mark.rule("RB-2.6")
@pytest.mark.parametrize(
    ("voltage", "supply", "expected"),
    [
        ("low", "single", ["LV8", "GOV5"]),
        ("low", "dual", ["LV8", "GOV5"]),
        ("high", "single", ["HV40", "INT13", "GOV5"]),
        ("high", "dual", ["GOV5", "HV"]),
    ],
)
def test_clock_applies_to_its_cases_only(voltage: str, supply: str, expected: list[str]) -> None:
    rules = [LV8, HV40, INT13, GOV5, NO_TARGET]
    assert [each.id for each in applicable(rules, voltage, supply)] == expected


@pytest.mark.rule("RB-2.6")
def test_clock_without_a_target_is_read_but_has_no_light() -> None:
    shown = read(NO_TARGET, 22, ("customer", 14, 17))
    assert (shown.gross, shown.net) == (7, 4)
    assert (shown.due_on, shown.left, shown.light) == (None, None, None)
    assert not shown.is_provisional
    assert read(NO_TARGET, 150).is_provisional


# ---------------------------------------------------------------- lights


@pytest.mark.rule("RB-5.1")
@pytest.mark.parametrize(
    ("left", "has_passed", "expected"),
    [
        (40, False, Light.GREEN),
        (3, False, Light.GREEN),
        (2, False, Light.YELLOW),
        (1, False, Light.YELLOW),
        (0, False, Light.YELLOW),  # the last day itself
        (0, True, Light.RED),
        (-1, True, Light.RED),
    ],
)
def test_light_by_days_left(left: int, has_passed: bool, expected: Light) -> None:
    assert light(left, has_passed, YELLOW_AT) is expected


@pytest.mark.rule("RB-5.1")
@pytest.mark.parametrize(
    ("until", "has_closed", "left", "expected"),
    [
        (14, False, 5, Light.GREEN),
        (16, False, 3, Light.GREEN),
        (17, False, 2, Light.YELLOW),
        (19, True, 1, Light.YELLOW),
        (20, False, 0, Light.YELLOW),
        (20, True, 0, Light.RED),  # RB-1.4: the alarm at close of business
        (21, False, -1, Light.RED),
    ],
)
def test_light_of_a_running_clock(until: int, has_closed: bool, left: int, expected: Light) -> None:
    shown = read(GOV5, until, has_closed=has_closed)
    assert (shown.due_on, shown.left, shown.light) == (sep(20), left, expected)


@pytest.mark.rule("RB-1.4", "RB-5.1")
@pytest.mark.parametrize(
    ("at", "left", "expected"),
    [
        ("2026-09-15T09:00+08:00", 3, Light.GREEN),
        ("2026-09-16T00:00+08:00", 2, Light.YELLOW),
        ("2026-09-18T17:30+08:00", 0, Light.YELLOW),
        ("2026-09-18T17:30:01+08:00", 0, Light.RED),
        ("2026-09-18T16:30+00:00", 0, Light.RED),  # the 19th in Shanghai, a Saturday
        ("2026-09-20T09:00+08:00", -1, Light.RED),  # a Sunday, worked
        ("2026-09-22T09:00+08:00", -3, Light.RED),
    ],
)
def test_light_of_what_is_due_on_friday_the_18th(at: str, left: int, expected: Light) -> None:
    civil_now, hours = datetime.fromisoformat(at), BusinessHours(time(8, 30), time(17, 30))
    shown = light_of_due(sep(18), civil_now, CALENDAR, hours, YELLOW_AT)
    assert shown == (expected, left)


@pytest.mark.rule("RB-1.6")
def test_reading_that_crosses_an_unpublished_day_is_provisional() -> None:
    due_next_year = read(HV40, 14, ("customer", 14, None))
    assert not due_next_year.is_provisional
    waiting = read(HV40, 80, ("customer", 14, None))
    assert waiting.due_on is not None and waiting.due_on.year == 2027
    assert waiting.is_provisional
    overdue = read(GOV5, 150)
    assert overdue.due_on == sep(20)
    assert overdue.is_provisional  # how far overdue is counted in 2027


# ---------------------------------------------------------------- averages


def completed(*net: int) -> list[CompletedCase]:
    return [CompletedCase(each, sep(15)) for each in net]


@pytest.mark.rule("RB-2.2")
@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (completed(8), Average(1, Fraction(8), True)),
        (completed(6, 10), Average(2, Fraction(8), True)),  # 8.00 passes
        (completed(*[8] * 99, 9), Average(100, Fraction(801, 100), False)),  # 8.01 fails
        (completed(*[8] * 999, 9), Average(1000, Fraction(8001, 1000), False)),  # unrounded
        ([], Average(0, None, None)),
        (
            [*completed(8), CompletedCase(30, sep(15), is_withdrawn=True)],
            Average(1, Fraction(8), True),
        ),
        (
            [CompletedCase(n, sep(day)) for n, day in [(20, 0), (7, 1), (9, 30), (20, 31)]],
            Average(2, Fraction(8), True),  # both ends of the period included
        ),
    ],
)
def test_average_over_the_cases_completed_in_a_period(
    cases: list[CompletedCase], expected: Average
) -> None:
    assert average(WorkingDays(8), cases, sep(1), sep(30)) == expected


@pytest.mark.rule("RB-2.2")
@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 40))
def test_an_average_of_sums_is_that_of_the_cases(net: list[int], limit: int) -> None:
    days = WorkingDays(limit)
    summed = Average.of(days, len(net), sum(net))
    assert summed == average(days, completed(*net), sep(1), sep(30))


@pytest.mark.rule("RB-2.2")
@pytest.mark.parametrize(
    ("cases", "net", "is_met"),
    [(1, 8, True), (250, 2000, True), (250, 2001, False), (100, 801, False), (3, 24, True)],
)
def test_the_exact_mean_decides(cases: int, net: int, is_met: bool) -> None:
    """2001 / 250 is 8.004: shown as 8.00, and over all the same."""
    assert Average.of(WorkingDays(8), cases, net).is_met is is_met


@pytest.mark.rule("RB-2.2", "RB-2.6")
@pytest.mark.parametrize(
    ("nature", "limit", "cases", "net", "within_limit", "expected"),
    [
        (Nature.AVERAGE, 8, 2, 16, 1, True),  # one took 10, the other 6
        (Nature.AVERAGE, 8, 2, 17, 1, False),
        (Nature.EVERY_CASE, 5, 2, 8, 2, True),
        (Nature.EVERY_CASE, 5, 2, 8, 1, False),  # 6 and 2: the mean does not excuse the 6
        (Nature.AVERAGE, 8, 0, 0, 0, None),
        (Nature.EVERY_CASE, 5, 0, 0, 0, None),
        (Nature.AVERAGE, None, 2, 90, 0, None),
    ],
)
def test_what_a_limit_binds_decides_whether_it_is_kept(
    nature: Nature,
    limit: int | None,
    cases: int,
    net: int,
    within_limit: int,
    expected: bool | None,
) -> None:
    days = None if limit is None else WorkingDays(limit)
    assert is_promise_kept(nature, Average.of(days, cases, net), within_limit) is expected
