"""Working time (RB-1). The tables in `tests/data` are the worked examples of the rulebook."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.working_time import (
    CIVIL_ZONE,
    BusinessHours,
    Calendar,
    CalendarError,
    CalendarYear,
    DayKind,
    Interval,
    ReceiptRule,
    StillSuspended,
    Verdict,
    WorkingDays,
    alarm_at,
    civil_date,
    deadline,
    derivation,
    elapsed,
    is_on_time,
    receipt_date,
)
from policy.calendar import CALENDAR_FILE, calendar, load_calendar
from policy.make_calendar import render

TABLES = Path(__file__).parents[1] / "data"
HOURS = BusinessHours(time(8, 30), time(17, 30))
CALENDAR = calendar()


def rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def gaps(text: str) -> list[Interval]:
    """`a>b | c>d`, instants of the civil zone, as intervals of civil dates."""
    ends = [gap.strip().split(">") for gap in text.split("|") if gap.strip()]
    return [Interval(local_date(begin), local_date(end)) for begin, end in ends]


def local_date(text: str) -> date:
    return civil_date(datetime.fromisoformat(text).replace(tzinfo=CIVIL_ZONE))


# ---------------------------------------------------------------- the tables


@pytest.mark.rule("RB-1.2")
@pytest.mark.rule("RB-1.3")
@pytest.mark.rule("RB-1.5")
@pytest.mark.parametrize("row", rows("deadlines.csv"), ids=lambda row: row["start_iso"])
def test_deadline_of_each_worked_example(row: dict[str, str]) -> None:
    is_next_open = row["why"].startswith("NEXT-OPEN")
    rule = ReceiptRule.NEXT_OPEN if is_next_open else ReceiptRule.AS_RECEIVED
    received_at = datetime.fromisoformat(row["start_iso"])
    trigger = receipt_date(received_at, rule, HOURS, CALENDAR)
    due = deadline(CALENDAR, trigger, WorkingDays(int(row["working_days"])))
    assert (due.due_on.isoformat(), due.is_provisional) == (row["deadline_date"], False)


@pytest.mark.rule("RB-1.5")
@pytest.mark.parametrize(
    "row", [r for r in rows("deadlines.csv") if "AS-RECEIVED" in r["why"]], ids=lambda r: r["why"]
)
def test_as_received_counts_from_the_civil_date_of_receipt(row: dict[str, str]) -> None:
    received_at = datetime.fromisoformat(row["start_iso"])
    trigger = receipt_date(received_at, ReceiptRule.AS_RECEIVED, HOURS, CALENDAR)
    due = deadline(CALENDAR, trigger, WorkingDays(int(row["working_days"])))
    assert due.due_on.isoformat() == row["why"].rsplit(" ", 1)[1]


@pytest.mark.rule("RB-1.9")
@pytest.mark.parametrize("row", rows("suspensions.csv"), ids=lambda row: row["gaps"] or "none")
def test_deadline_of_each_suspended_example(row: dict[str, str]) -> None:
    trigger = civil_date(datetime.fromisoformat(row["accept_iso"]))
    limit = WorkingDays(int(row["working_days"]))
    due = deadline(CALENDAR, trigger, limit, gaps(row["gaps"]))
    assert due.due_on.isoformat() == row["deadline_date"]


def test_monday_to_friday_arithmetic_fails_most_examples() -> None:
    weekends_only = Calendar("weekends only", {})
    wrong = [
        row
        for row in rows("deadlines.csv")
        if deadline(
            weekends_only,
            local_date(row["start_iso"][:19]),
            WorkingDays(int(row["working_days"])),
        ).due_on.isoformat()
        != row["deadline_date"]
    ]
    assert len(wrong) > len(rows("deadlines.csv")) / 2


# ---------------------------------------------------------------- civil dates and receipt


@pytest.mark.rule("RB-1.1")
@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2020, 9, 30, 15, 59, 59, tzinfo=UTC), date(2020, 9, 30)),
        (datetime(2020, 9, 30, 16, 0, tzinfo=UTC), date(2020, 10, 1)),
        (datetime(2020, 9, 30, 17, 0, tzinfo=UTC), date(2020, 10, 1)),
        (datetime(2020, 10, 1, 0, 0, tzinfo=CIVIL_ZONE), date(2020, 10, 1)),
    ],
)
def test_instant_becomes_a_civil_date_through_the_zone(instant: datetime, day: date) -> None:
    assert civil_date(instant) == day


@pytest.mark.rule("RB-1.1")
def test_instant_without_a_zone_is_refused() -> None:
    naive = datetime(2020, 9, 30, 17, 0)
    with pytest.raises(ValueError, match="no zone"):
        civil_date(naive)
    with pytest.raises(ValueError, match="no zone"):
        receipt_date(naive, ReceiptRule.NEXT_OPEN, HOURS, CALENDAR)


@pytest.mark.rule("RB-1.5")
@pytest.mark.parametrize(
    ("received", "next_open"),
    [
        ("2026-09-14T08:29:59", "2026-09-14"),  # before opening: that same day
        ("2026-09-14T17:30:00", "2026-09-14"),  # closing time sharp
        ("2026-09-14T17:30:00.000001", "2026-09-15"),
        ("2026-09-20T10:00:00", "2026-09-20"),  # a Sunday worked
        ("2026-09-20T18:00:00", "2026-09-21"),
        ("2026-09-24T18:00:00", "2026-09-28"),  # over Mid-Autumn
        ("2026-10-07T09:00:00", "2026-10-08"),  # in the National Day holiday
    ],
)
def test_next_open_moves_receipt_to_the_next_opening(received: str, next_open: str) -> None:
    received_at = datetime.fromisoformat(received).replace(tzinfo=CIVIL_ZONE)
    as_received, moved = (
        receipt_date(received_at.astimezone(UTC), rule, HOURS, CALENDAR) for rule in ReceiptRule
    )
    assert (as_received.isoformat(), moved.isoformat()) == (received[:10], next_open)


# ---------------------------------------------------------------- on time


@pytest.mark.rule("RB-1.4")
@pytest.mark.parametrize(
    ("decided_at", "expected"),
    [
        ("2026-09-23T09:00:00+08:00", True),
        ("2026-09-23T23:59:59+08:00", True),
        ("2026-09-23T16:00:00+00:00", False),
        ("2026-09-24T00:00:00+08:00", False),
    ],
)
def test_decision_is_on_time_until_its_civil_date_is_over(decided_at: str, expected: bool) -> None:
    assert is_on_time(datetime.fromisoformat(decided_at), date(2026, 9, 23)) is expected


@pytest.mark.rule("RB-1.4")
def test_red_alarm_goes_off_at_close_of_business() -> None:
    alarm = alarm_at(date(2026, 9, 23), HOURS)
    assert alarm == datetime(2026, 9, 23, 9, 30, tzinfo=UTC)


# ---------------------------------------------------------------- the calendar


@pytest.mark.rule("RB-1.2")
@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 9, 24), DayKind.WORKDAY),
        (date(2026, 9, 25), DayKind.HOLIDAY),
        (date(2026, 9, 26), DayKind.HOLIDAY),
        (date(2026, 9, 19), DayKind.WEEKEND),
        (date(2026, 9, 20), DayKind.MAKE_UP),
        (date(2020, 2, 1), DayKind.HOLIDAY),  # first a day to be worked, then off
        (date(2018, 12, 29), DayKind.MAKE_UP),  # by the notice for 2019
        (date(2005, 12, 31), DayKind.MAKE_UP),  # by the notice for 2006; libraries differ
        (date(2027, 10, 1), DayKind.WORKDAY),  # unpublished: weekends only
    ],
)
def test_kind_of_a_day(day: date, kind: DayKind) -> None:
    assert CALENDAR.kind(day) is kind
    assert CALENDAR.is_working(day) is (kind in (DayKind.WORKDAY, DayKind.MAKE_UP))


def test_every_year_rests_on_a_notice() -> None:
    assert sorted(CALENDAR.years) == list(range(2004, 2027))
    for year, listed in CALENDAR.years.items():
        assert f"国务院办公厅关于{year}年部分节假日安排的通知" in listed.notice


def test_calendar_file_is_what_its_script_writes() -> None:
    assert CALENDAR_FILE.read_text(encoding="utf-8") == render()


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("trigger", "limit", "due_on", "is_provisional"),
    [
        (date(2026, 12, 24), 5, date(2026, 12, 31), False),  # the last published day
        (date(2026, 12, 24), 6, date(2027, 1, 1), True),  # never guessed to be a holiday
        (date(2026, 12, 31), 1, date(2027, 1, 1), True),
        (date(2030, 5, 6), 40, date(2030, 7, 1), True),
        (date(2003, 12, 31), 1, date(2004, 1, 2), False),  # the unpublished day is not crossed
        (date(2003, 12, 30), 1, date(2003, 12, 31), True),
    ],
)
def test_deadline_that_crosses_an_unpublished_day_is_provisional(
    trigger: date, limit: int, due_on: date, is_provisional: bool
) -> None:
    due = deadline(CALENDAR, trigger, WorkingDays(limit))
    assert (due.due_on, due.is_provisional) == (due_on, is_provisional)


@pytest.mark.rule("RB-1.6")
def test_publishing_the_year_firms_the_deadline_up() -> None:
    new_year = CalendarYear(2027, frozenset({date(2027, 1, 1)}), frozenset(), "a notice")
    published = Calendar("next", {**CALENDAR.years, 2027: new_year})
    before, after = (
        deadline(each, date(2026, 12, 24), WorkingDays(6)) for each in (CALENDAR, published)
    )
    assert (before.due_on, before.is_provisional) == (date(2027, 1, 1), True)
    assert (after.due_on, after.is_provisional) == (date(2027, 1, 4), False)
    assert (before.calendar_version, after.calendar_version) == (CALENDAR.version, "next")


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('version = "cn-2026.1"', "", "version"),
        ('version = "cn-2026.1"', 'version = ""', "version"),
        ("[years.2026]", "[years.2026]\nnotes = 1", "years.2026.notes"),
        ("[years.2026]", "[years.next]", "years.next"),
        ("  2026-10-01,", '  "2026-10-01",', "years.2026.holidays.26"),
        ("  2026-10-01,", "  2025-10-01,", "years.2026.holidays"),
        ("  2026-05-09,", "  2026-05-08,", "years.2026.make_up_days"),
        ("  2026-05-09,", "  2026-05-03,", "years.2026"),
        ("[years.2026]", "[years.2026", ""),
    ],
)
def test_contradictory_calendar_is_refused_by_key(old: str, new: str, key: str) -> None:
    text = CALENDAR_FILE.read_text(encoding="utf-8")
    assert text.count(old) == 1
    with pytest.raises(CalendarError) as refused:
        load_calendar(text.replace(old, new), "city.toml")
    assert refused.value.key.startswith("city.toml")
    assert key in refused.value.key
    assert refused.value.en and refused.value.zh


def test_year_under_the_key_of_another_is_refused() -> None:
    with pytest.raises(CalendarError, match=r"years\.2025"):
        Calendar("wrong", {2025: CALENDAR.years[2026]})


# ---------------------------------------------------------------- limits and intervals


@pytest.mark.rule("RB-1.3")
@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_day_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        deadline(CALENDAR, date(2026, 9, 14), WorkingDays(limit))


@pytest.mark.rule("RB-1.9")
@pytest.mark.parametrize(
    ("after", "until", "excluded", "expected"),
    [
        ("2026-09-14", "2026-09-14", [], 0),
        ("2026-09-14", "2026-09-15", [], 1),
        ("2026-09-15", "2026-09-14", [], 0),
        ("2026-09-18", "2026-09-21", [], 2),  # a Sunday worked
        ("2026-09-14", "2026-09-18", [("2026-09-15", "2026-09-15")], 4),  # one date: nothing
        ("2026-09-14", "2026-09-18", [("2026-09-15", "2026-09-16")], 3),
        ("2026-09-14", "2026-09-18", [("2026-09-01", "2026-09-15")], 3),  # begun before
        ("2026-09-14", "2026-09-18", [("2026-09-17", "2026-09-30")], 3),  # ends after
        ("2026-09-14", "2026-09-18", [("2026-09-16", None)], 2),  # still open
        ("2026-09-14", "2026-09-18", [("2026-09-18", None)], 4),
        ("2026-09-14", "2026-09-18", [("2026-09-15", "2026-09-17")] * 2, 2),  # a union
    ],
)
def test_elapsed_counts_what_is_after_and_not_excluded(
    after: str, until: str, excluded: list[tuple[str, str | None]], expected: int
) -> None:
    intervals = [
        Interval(date.fromisoformat(a), date.fromisoformat(b) if b else None) for a, b in excluded
    ]
    days = elapsed(CALENDAR, date.fromisoformat(after), date.fromisoformat(until), intervals)
    assert days == expected


@pytest.mark.rule("RB-1.9")
def test_open_suspension_leaves_the_deadline_unknown_only_if_it_comes_first() -> None:
    trigger, limit = date(2026, 9, 14), WorkingDays(3)
    on_the_last_day = Interval(date(2026, 9, 17), None)
    assert deadline(CALENDAR, trigger, limit, [on_the_last_day]).due_on == date(2026, 9, 17)
    with pytest.raises(StillSuspended) as unknown:
        deadline(CALENDAR, trigger, limit, [Interval(date(2026, 9, 16), None)])
    assert unknown.value.suspended_on == date(2026, 9, 16)


def test_interval_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="before"):
        Interval(date(2026, 9, 16), date(2026, 9, 15))


# ---------------------------------------------------------------- why this date


@pytest.mark.rule("RB-1.8")
def test_derivation_says_what_became_of_each_day() -> None:
    excluded = [Interval(date(2026, 9, 21), date(2026, 9, 23))]
    days = derivation(CALENDAR, date(2026, 9, 18), WorkingDays(4), excluded)
    assert [(d.day.day, d.kind, d.verdict, d.count) for d in days] == [
        (19, DayKind.WEEKEND, Verdict.WEEKEND, 0),
        (20, DayKind.MAKE_UP, Verdict.COUNTED, 1),
        (21, DayKind.WORKDAY, Verdict.COUNTED, 2),
        (22, DayKind.WORKDAY, Verdict.EXCLUDED, 2),
        (23, DayKind.WORKDAY, Verdict.EXCLUDED, 2),
        (24, DayKind.WORKDAY, Verdict.COUNTED, 3),
        (25, DayKind.HOLIDAY, Verdict.HOLIDAY, 3),
        (26, DayKind.HOLIDAY, Verdict.HOLIDAY, 3),
        (27, DayKind.HOLIDAY, Verdict.HOLIDAY, 3),
        (28, DayKind.WORKDAY, Verdict.COUNTED, 4),
    ]
    assert all(d.is_published for d in days)


@pytest.mark.rule("RB-1.8")
def test_derivation_marks_unpublished_days() -> None:
    days = derivation(CALENDAR, date(2026, 12, 30), WorkingDays(2))
    assert [(d.day, d.is_published) for d in days] == [
        (date(2026, 12, 31), True),
        (date(2027, 1, 1), False),
    ]


# ---------------------------------------------------------------- folding equals counting


def is_excluded(day: date, excluded: Sequence[Interval]) -> bool:
    return any(
        each.suspended_on < day and (each.resumed_on is None or day <= each.resumed_on)
        for each in excluded
    )


dates = st.dates(date(2003, 6, 1), date(2028, 6, 30))
limits = st.integers(1, 300).map(WorkingDays)


@st.composite
def around(draw: st.DrawFn, trigger: date) -> list[Interval]:
    """Closed intervals near `trigger`, so that they meet, touch and overlap."""
    pairs = draw(st.lists(st.tuples(st.integers(-30, 90), st.integers(0, 40)), max_size=6))
    begins = [(trigger + timedelta(days=offset), length) for offset, length in pairs]
    return [Interval(begin, begin + timedelta(days=length)) for begin, length in begins]


@pytest.mark.rule("RB-1.3")
@pytest.mark.rule("RB-1.9")
@given(st.data(), dates, limits)
def test_folding_equals_counting_days_one_by_one(
    data: st.DataObject, trigger: date, limit: WorkingDays
) -> None:
    excluded = data.draw(around(trigger))
    counted = [
        day
        for day in (trigger + timedelta(days=n) for n in range(1, 1200))
        if CALENDAR.is_working(day) and not is_excluded(day, excluded)
    ]
    due = deadline(CALENDAR, trigger, limit, excluded)
    assert due.due_on == counted[limit - 1]
    crossed = (due.due_on - trigger).days
    assert due.is_provisional is any(
        not CALENDAR.is_published(trigger + timedelta(days=n)) for n in range(1, crossed + 1)
    )
    assert elapsed(CALENDAR, trigger, due.due_on, excluded) == limit
    days = derivation(CALENDAR, trigger, limit, excluded)
    assert [day.day for day in days if day.verdict is Verdict.COUNTED] == counted[:limit]
    assert (days[-1].day, days[-1].count, len(days)) == (due.due_on, limit, crossed)


@pytest.mark.rule("RB-1.9")
@given(st.data(), dates, st.integers(-5, 400), st.none() | dates)
@example(None, date(2026, 9, 14), 4, date(2026, 9, 16))
def test_elapsed_equals_counting_days_one_by_one(
    data: st.DataObject | None, after: date, length: int, open_since: date | None
) -> None:
    excluded = data.draw(around(after)) if data else []
    if open_since is not None:
        excluded.append(Interval(open_since, None))
    until = after + timedelta(days=length)
    assert elapsed(CALENDAR, after, until, excluded) == sum(
        CALENDAR.is_working(day) and not is_excluded(day, excluded)
        for day in (after + timedelta(days=n) for n in range(1, length + 1))
    )
