"""Why this date, in words that a clerk can read to an applicant (RB-1.8)."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.connection import TaskKind
from domain.explaining import Explanation, explain
from domain.working_time import (
    CIVIL_ZONE,
    Calendar,
    CalendarYear,
    DayKind,
    Interval,
    StillSuspended,
    Verdict,
    WorkingDays,
    civil_date,
    deadline,
    derivation,
)
from policy.calendar import calendar
from policy.loader import policy_for

TABLES = Path(__file__).parents[1] / "data"
CALENDAR = calendar()
NOTICE_2026 = "国务院办公厅关于2026年部分节假日安排的通知（国办发明电〔2025〕7号）"


def rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def gaps(text: str) -> list[Interval]:
    """`a>b | c>d`, instants of the civil zone, as intervals of civil dates."""
    ends = [gap.strip().split(">") for gap in text.split("|") if gap.strip()]
    return [Interval(*(date.fromisoformat(end[:10]) for end in pair)) for pair in ends]


def zh_date(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日（周{'一二三四五六日'[day.weekday()]}）"


def en_date(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B} {day.year}"


def clauses(told: Explanation) -> tuple[list[str], list[str]]:
    """The second paragraph, clause by clause."""
    return told.zh[1].removesuffix("。").split("；"), told.en[1].removesuffix(".").split("; ")


def check(told: Explanation, trigger: date, limit: int, excluded: Sequence[Interval] = ()) -> None:
    """What every explanation must hold to."""
    due = deadline(CALENDAR, trigger, WorkingDays(limit), excluded)
    assert (told.due_on, told.is_provisional) == (due.due_on, due.is_provisional)
    assert told.calendar_version == due.calendar_version
    assert told.days == derivation(CALENDAR, trigger, WorkingDays(limit), excluded)
    assert sum(day.verdict is Verdict.COUNTED for day in told.days) == limit
    assert len(told.zh) == len(told.en) == (5 if due.is_provisional else 4)
    assert zh_date(trigger) in told.zh[0] and en_date(trigger) in told.en[0]
    assert zh_date(due.due_on) in told.zh[2] and en_date(due.due_on) in told.en[2]
    assert ("暂定" in told.zh[2]) is ("provisionally" in told.en[2]) is due.is_provisional
    assert CALENDAR.version in told.zh[-1] and CALENDAR.version in told.en[-1]
    for notice in told.notices.values():
        assert notice is None or (notice in told.zh[-1] and notice in told.en[-1])


def told_counts(told: Explanation) -> list[tuple[int, int]]:
    """First and last of the working days that each clause names."""
    found = [re.findall(r"working days? (\d+)(?: (?:to|and) (\d+))?$", c) for c in clauses(told)[1]]
    return [(int(a), int(b or a)) for named in found for a, b in named]


@pytest.mark.rule("RB-1.8")
@pytest.mark.parametrize("row", rows("deadlines.csv"), ids=lambda row: row["start_iso"])
def test_each_worked_example_is_told(row: dict[str, str]) -> None:
    trigger = civil_date(datetime.fromisoformat(row["start_iso"]))
    limit = int(row["working_days"])
    told = explain(CALENDAR, trigger, WorkingDays(limit))
    check(told, trigger, limit)
    counts = told_counts(told)
    assert (counts[0][0], counts[-1][1]) == (1, limit)
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(counts))


@pytest.mark.rule("RB-1.8")
@pytest.mark.parametrize("row", rows("suspensions.csv"), ids=lambda row: row["gaps"] or "none")
def test_each_suspended_example_is_told(row: dict[str, str]) -> None:
    trigger = civil_date(datetime.fromisoformat(row["accept_iso"]))
    limit, excluded = int(row["working_days"]), gaps(row["gaps"])
    told = explain(CALENDAR, trigger, WorkingDays(limit), excluded)
    check(told, trigger, limit, excluded)
    assert told.due_on.isoformat() == row["deadline_date"]


@pytest.mark.rule("RB-1.8")
def test_the_words_over_national_day_2020() -> None:
    rule = policy_for("zhanjiang-2020-516.1").tasks[TaskKind.PERMITS]
    told = explain(CALENDAR, date(2020, 9, 25), WorkingDays(5), rule=rule)
    zh, en = clauses(told)
    assert told.zh[0] == (
        "2020年9月25日（周五）受理，当日不计，次日起算（民法典第201条）。"
        "期限为5个工作日（外线工程并联审批，依据：516 三(三)）。"
    )
    assert zh == [
        "9月26日（周六）为周末，不计",
        "9月27日（周日）为调休上班日，计为第1个工作日",
        "9月28日（周一）至30日（周三）为第2至第4个工作日",
        "10月1日（周四）至8日（周四）为法定节假日，不计",
        "10月9日（周五）为第5个工作日",
    ]
    assert told.zh[2] == "因此截止日为2020年10月9日（周五），当日办结即为按期。"
    assert told.en[0] == (
        "Received on Friday 25 September 2020; counting begins the day after "
        "(Civil Code, article 201). "
        "The limit is 5 working days (Permits for the external line; 516 三(三))."
    )
    assert en == [
        "Saturday 26 September falls on the weekend, not counted",
        "Sunday 27 September is a make-up working day and counts as working day 1",
        "Monday 28 to Wednesday 30 September are working days 2 to 4",
        "Thursday 1 to Thursday 8 October are public holidays, not counted",
        "Friday 9 October is working day 5",
    ]
    assert told.en[2] == (
        "So the last day is Friday 9 October 2020; what is done on that day is on time."
    )


@pytest.mark.rule("RB-1.8")
def test_national_day_2026_names_holidays_make_up_day_version_and_notice() -> None:
    told = explain(CALENDAR, date(2026, 9, 24), WorkingDays(8))
    check(told, date(2026, 9, 24), 8)
    zh, en = clauses(told)
    assert zh == [
        "9月25日（周五）至27日（周日）为法定节假日，不计",
        "9月28日（周一）至30日（周三）为第1至第3个工作日",
        "10月1日（周四）至7日（周三）为法定节假日，不计",
        "10月8日（周四）、9日（周五）为第4、第5个工作日",
        "10月10日（周六）为调休上班日，计为第6个工作日",
        "10月11日（周日）至13日（周二）除周末外为第7、第8个工作日",
    ]
    assert en[-3:] == [
        "Thursday 8 and Friday 9 October are working days 4 and 5",
        "Saturday 10 October is a make-up working day and counts as working day 6",
        "Sunday 11 to Tuesday 13 October, weekends apart, are working days 7 and 8",
    ]
    assert told.notices == {2026: NOTICE_2026}
    assert told.zh[-1] == f"工作日历版本：cn-2026.1。2026年的依据：{NOTICE_2026}。"
    assert (
        told.en[-1] == f"Working-day calendar: version cn-2026.1. Notice for 2026: {NOTICE_2026}."
    )


@pytest.mark.rule("RB-1.6")
@pytest.mark.rule("RB-1.8")
def test_days_of_an_unpublished_year_are_told_as_provisional() -> None:
    told = explain(CALENDAR, date(2026, 12, 24), WorkingDays(10))
    check(told, date(2026, 12, 24), 10)
    zh, en = clauses(told)
    assert zh == [
        "12月25日（周五）至31日（周四）除周末外为第1至第5个工作日",
        "2027年1月1日（周五）至7日（周四）除周末外为第6至第10个工作日（暂定）",
    ]
    assert en[1].startswith("Friday 1 to Thursday 7 January 2027")
    assert en[1].endswith("(provisional)") and not en[0].endswith("(provisional)")
    assert told.zh[2].startswith("因此截止日暂定为2027年1月7日")
    assert told.zh[3].startswith("2027年的节假日安排尚未公布")
    assert told.en[3].startswith("The holidays of 2027 are not published yet")
    assert told.notices == {2026: NOTICE_2026, 2027: None}


@pytest.mark.rule("RB-1.8")
def test_a_weekend_on_either_side_of_what_is_published_is_told_on_its_own() -> None:
    # 2022 ends on a Saturday, so the first weekend day rests on a notice and the second does not.
    only_2022 = Calendar("2022", {2022: CalendarYear(2022, frozenset(), frozenset(), "a notice")})
    told = explain(only_2022, date(2022, 12, 30), WorkingDays(1))
    assert clauses(told)[0] == [
        "12月31日（周六）为周末，不计",
        "2023年1月1日（周日）为周末，不计（暂定）",
        "1月2日（周一）为第1个工作日（暂定）",
    ]


@pytest.mark.rule("RB-1.8")
@pytest.mark.rule("RB-1.9")
def test_excluded_time_is_told_apart_from_holidays() -> None:
    excluded = [Interval(date(2020, 9, 23), date(2020, 10, 9))]
    told = explain(CALENDAR, date(2020, 9, 21), WorkingDays(5), excluded)
    zh, en = clauses(told)
    assert zh == [
        "9月22日（周二）、23日（周三）为第1、第2个工作日",
        "9月24日（周四）至30日（周三）除周末外为扣除时间，6个工作日（含调休上班日）不计",
        "10月1日（周四）至8日（周四）为法定节假日，不计",
        "10月9日（周五）为扣除时间，1个工作日不计",
        "10月10日（周六）为调休上班日，计为第3个工作日",
        "10月11日（周日）至13日（周二）除周末外为第4、第5个工作日",
    ]
    assert en[1] == (
        "Thursday 24 to Wednesday 30 September, weekends apart, are excluded time, "
        "6 working days (make-up working days included) not counted"
    )
    assert en[3] == "Friday 9 October is excluded time, 1 working day not counted"


@pytest.mark.rule("RB-1.8")
def test_a_weekend_between_single_days_is_told_on_its_own() -> None:
    told = explain(CALENDAR, date(2026, 11, 5), WorkingDays(2))
    assert clauses(told)[0] == [
        "11月6日（周五）为第1个工作日",
        "11月7日（周六）、8日（周日）为周末，不计",
        "11月9日（周一）为第2个工作日",
    ]
    assert (
        clauses(told)[1][1] == "Saturday 7 and Sunday 8 November fall on the weekend, not counted"
    )


@pytest.mark.rule("RB-1.8")
def test_a_weekend_beside_a_holiday_is_told_with_it() -> None:
    told = explain(CALENDAR, date(2016, 4, 28), WorkingDays(2))
    assert clauses(told)[0][1] == "4月30日（周六）至5月2日（周一）为周末和法定节假日，不计"
    assert clauses(told)[1][1] == (
        "Saturday 30 April to Monday 2 May are weekend and public holidays, not counted"
    )


@pytest.mark.rule("RB-1.8")
def test_a_december_day_rests_on_the_notice_that_lays_it_down() -> None:
    told = explain(CALENDAR, date(2018, 12, 27), WorkingDays(2))
    assert told.due_on == date(2018, 12, 29)
    assert list(told.notices) == [2018, 2019]
    assert str(CALENDAR.years[2019].notice) in told.zh[-1]


@pytest.mark.rule("RB-1.5")
@pytest.mark.rule("RB-1.8")
def test_a_receipt_that_was_moved_is_told_in_civil_time() -> None:
    arrived = datetime(2020, 9, 30, 18, 10, tzinfo=CIVIL_ZONE).astimezone(UTC)
    told = explain(CALENDAR, date(2020, 10, 9), WorkingDays(5), received_at=arrived)
    assert told.zh[0].startswith(
        "2020年9月30日（周三）18:10收到，不在办公时间内，顺延至下一办公日。2020年10月9日（周五）受理"
    )
    assert told.en[0].startswith("It arrived at 18:10 on Wednesday 30 September 2020, outside")


@pytest.mark.rule("RB-1.8")
def test_a_receipt_that_stayed_where_it_was_is_not_told() -> None:
    arrived = datetime(2020, 9, 30, 17, 0, tzinfo=UTC)  # already 1 October in civil time
    assert explain(CALENDAR, date(2020, 10, 1), WorkingDays(5), received_at=arrived) == explain(
        CALENDAR, date(2020, 10, 1), WorkingDays(5)
    )


@pytest.mark.rule("RB-1.8")
@pytest.mark.parametrize("year", sorted(CALENDAR.years))
def test_forty_working_days_are_told_in_few_clauses(year: int) -> None:
    for trigger in (date(year, 1, 1) + timedelta(days=n) for n in range(0, 365, 3)):
        zh, en = clauses(explain(CALENDAR, trigger, WorkingDays(40)))
        assert len(zh) == len(en) <= 12


@pytest.mark.rule("RB-1.8")
def test_what_has_no_date_is_not_explained() -> None:
    with pytest.raises(StillSuspended):
        explain(CALENDAR, date(2026, 9, 14), WorkingDays(5), [Interval(date(2026, 9, 15), None)])
    with pytest.raises(ValueError, match="at least 1"):
        explain(CALENDAR, date(2026, 9, 14), WorkingDays(0))


@st.composite
def around(draw: st.DrawFn, trigger: date) -> list[Interval]:
    """Closed intervals near `trigger`, so that they meet, touch and overlap."""
    pairs = draw(st.lists(st.tuples(st.integers(-30, 90), st.integers(0, 40)), max_size=6))
    begins = [(trigger + timedelta(days=offset), length) for offset, length in pairs]
    return [Interval(begin, begin + timedelta(days=length)) for begin, length in begins]


@pytest.mark.rule("RB-1.8")
@given(st.data(), st.dates(date(2003, 6, 1), date(2028, 6, 30)), st.integers(1, 120))
def test_the_words_agree_with_the_days(data: st.DataObject, trigger: date, limit: int) -> None:
    excluded = data.draw(around(trigger))
    told = explain(CALENDAR, trigger, WorkingDays(limit), excluded)
    check(told, trigger, limit, excluded)
    zh, en = clauses(told)
    assert len(zh) == len(en)
    make_up = sum(d.kind is DayKind.MAKE_UP and d.verdict is Verdict.COUNTED for d in told.days)
    named = [c for c in en if "make-up working day" in c and " count" in c and "excluded" not in c]
    assert bool(named) is bool(make_up)
    assert any("扣除时间" in c for c in zh) is any(d.verdict is Verdict.EXCLUDED for d in told.days)
    assert any("法定节假日" in c for c in zh) is any(
        d.verdict is Verdict.HOLIDAY for d in told.days
    )
    assert any("（暂定）" in c for c in zh) is told.is_provisional
