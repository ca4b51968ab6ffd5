"""Reading the State Council's notice (RB-1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import FieldProblem, InputRefused
from domain.notice import EXPECTED_HOLIDAYS, Festival, ParsedNotice, parse_notice
from domain.working_time import Calendar, CalendarYear
from policy.calendar import calendar

CALENDAR = calendar()

HEAD = """\
国务院办公厅关于{year}年部分节假日安排的通知
国办发明电〔{before}〕{number}号

各省、自治区、直辖市人民政府，国务院各部委、各直属机构：
　　经国务院批准，现将{year}年元旦、春节、清明节、劳动节、端午节、中秋节和国庆节放假调休日期的具体安排通知如下。
"""

TAIL = """
　　节假日期间，各地区、各部门要妥善安排好值班和安全、保卫等工作，遇有重大突发事件，要按规定及时报告并妥善处置。

国务院办公厅
{before}年11月4日
（此件公开发布）
"""

NUMBERS = {2014: 28, 2017: 17, 2018: 12, 2023: 16, 2024: 7, 2025: 12, 2026: 7}

CLAUSES = {
    2017: """\
一、元旦：1月1日放假，1月2日（星期一）补休。
二、春节：1月27日至2月2日放假调休，共7天。1月22日（星期日）、2月4日（星期六）上班。
三、清明节：4月2日至4日放假调休，共3天。4月1日（星期六）上班。
四、劳动节：5月1日放假，与周末连休。
五、端午节：5月28日至30日放假调休，共3天。5月27日（星期六）上班。
六、中秋节、国庆节：10月1日至8日放假调休，共8天。9月30日（星期六）上班。
""",
    2018: """\
一、元旦：1月1日放假，与周末连休。
二、春节：2月15日至21日放假调休，共7天。2月11日（星期日）、2月24日（星期六）上班。
三、清明节：4月5日至7日放假调休，共3天。4月8日（星期日）上班。
四、劳动节：4月29日至5月1日放假调休，共3天。4月28日（星期六）上班。
五、端午节：6月18日放假，与周末连休。
六、中秋节：9月24日放假，与周末连休。
七、国庆节：10月1日至7日放假调休，共7天。9月29日（星期六）、9月30日（星期日）上班。
""",
    2023: """\
　　一、元旦：2022年12月31日至2023年1月2日放假调休，共3天。
　　二、春节：1月21日至27日放假调休，共7天。1月28日（星期六）、1月29日（星期日）上班。
　　三、清明节：4月5日放假，共1天。
　　四、劳动节：4月29日至5月3日放假调休，共5天。4月23日（星期日）、5月6日（星期六）上班。
　　五、端午节：6月22日至24日放假调休，共3天。6月25日（星期日）上班。
　　六、中秋节、国庆节：9月29日至10月6日放假调休，共8天。10月7日（星期六）、10月8日（星期日）上班。
""",
    2024: """\
　　一、元旦：2023年12月30日（周六）至2024年1月1日（周一）放假，共3天。
　　二、春节：2月10日至17日放假调休，共8天。2月4日（星期日）、2月18日（星期日）上班。
　　三、清明节：4月4日至6日放假调休，共3天。4月7日（星期日）上班。
　　四、劳动节：5月1日至5日放假调休，共5天。4月28日（星期日）、5月11日（星期六）上班。
　　五、端午节：6月10日放假，与周末连休。
　　六、中秋节：9月15日至17日放假调休，共3天。9月14日（星期六）上班。
　　七、国庆节：10月1日至7日放假调休，共7天。9月29日（星期日）、10月12日（星期六）上班。
""",
    2025: """\
　　一、元旦：1月1日（周三）放假1天，不调休。
　　二、春节：1月28日（农历除夕、周二）至2月4日（农历正月初七、周二）放假调休，共8天。1月26日（周日）、2月8日（周六）上班。
　　三、清明节：4月4日（周五）至6日（周日）放假，共3天。
　　四、劳动节：5月1日（周四）至5日（周一）放假调休，共5天。4月27日（周日）上班。
　　五、端午节：5月31日（周六）至6月2日（周一）放假，共3天。
　　六、国庆节、中秋节：10月1日（周三）至8日（周三）放假调休，共8天。9月28日（周日）、10月11日（周六）上班。
""",
    2026: """\
　　一、元旦：1月1日（周四）至3日（周六）放假调休，共3天。1月4日（周日）上班。
　　二、春节：2月15日（农历腊月二十八、周日）至23日（农历正月初七、周一）放假调休，共9天。2月14日（周六）、2月28日（周六）上班。
　　三、清明节：4月4日（周六）至6日（周一）放假，共3天。
　　四、劳动节：5月1日（周五）至5日（周二）放假调休，共5天。5月9日（周六）上班。
　　五、端午节：6月19日（周五）至21日（周日）放假，共3天。
　　六、中秋节：9月25日（周五）至27日（周日）放假，共3天。
　　七、国庆节：10月1日（周四）至7日（周三）放假调休，共7天。9月20日（周日）、10月10日（周六）上班。
""",
}

# These name fewer weekend days than the calendar file lists; the working days agree.
CLAUSES_THAT_JOIN_WEEKENDS = {
    2014: """\
一、元旦：1月1日放假1天。
二、春节：1月31日至2月6日放假调休，共7天。1月26日（星期日）、2月8日（星期六）上班。
三、清明节：4月5日放假，4月7日（星期一）补休。
四、劳动节：5月1日至3日放假调休，共3天。5月4日（星期日）上班。
五、端午节：6月2日放假，与周末连休。
六、中秋节：9月8日放假，与周末连休。
七、国庆节：10月1日至7日放假调休，共7天。9月28日（星期日）、10月11日（星期六）上班。
""",
    2024: CLAUSES[2024].replace(
        "2023年12月30日（周六）至2024年1月1日（周一）放假，共3天", "1月1日放假，与周末连休"
    ),
}


def notice(year: int, clauses: str) -> str:
    before = year - 1
    head = HEAD.format(year=year, before=before, number=NUMBERS.get(year, 1))
    return head + clauses + TAIL.format(before=before)


NOTICE_2026 = notice(2026, CLAUSES[2026])


def changed(old: str, new: str) -> str:
    """The notice for 2026 with one passage changed."""
    assert NOTICE_2026.count(old) == 1
    return NOTICE_2026.replace(old, new)


def problems(text: str) -> tuple[FieldProblem, ...]:
    with pytest.raises(InputRefused) as refused:
        parse_notice(text)
    found = refused.value.problems
    assert found
    assert all(each.field == "text" and each.en and each.zh for each in found)
    return found


def only(text: str, clause: str = "元旦", year: int = 2026) -> Festival:
    """What a clause of one sentence or two is read as."""
    parsed = parse_notice(f"国务院办公厅关于{year}年部分节假日安排的通知。一、{clause}：{text}")
    (festival,) = parsed.by_holiday
    return festival


def days(*texts: str) -> tuple[date, ...]:
    return tuple(date.fromisoformat(text) for text in texts)


# ---------------------------------------------------------------- whole notices


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize("year", CLAUSES)
def test_notice_is_read_as_the_calendar_lists_its_year(year: int) -> None:
    assert parse_notice(notice(year, CLAUSES[year])).year == CALENDAR.years[year]


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize("year", CLAUSES_THAT_JOIN_WEEKENDS)
def test_joined_weekends_are_off_without_being_listed(year: int) -> None:
    parsed = parse_notice(notice(year, CLAUSES_THAT_JOIN_WEEKENDS[year]))
    read = Calendar("read", {**CALENDAR.years, year: parsed.year})
    around = [date(year - 1, 12, 1) + timedelta(days=n) for n in range(400)]
    assert [day for day in around if read.is_working(day) != CALENDAR.is_working(day)] == []
    assert parsed.year.holidays < CALENDAR.years[year].holidays
    assert parsed.year.make_up_days == CALENDAR.years[year].make_up_days


@pytest.mark.rule("RB-1.6")
def test_days_are_returned_clause_by_clause_for_confirmation() -> None:
    parsed = parse_notice(NOTICE_2026)
    assert tuple(each.name for each in parsed.by_holiday) == EXPECTED_HOLIDAYS
    assert parsed.by_holiday[0] == (
        "元旦",
        days("2026-01-01", "2026-01-02", "2026-01-03"),
        days("2026-01-04"),
    )
    assert parsed.by_holiday[2].make_up_days == ()
    assert parsed.warnings == ()


@pytest.mark.rule("RB-1.6")
def test_page_around_the_notice_does_not_matter() -> None:
    page = (
        "索 引 号：000014349/2025-00075　发文机关：国务院办公厅　成文日期：2025年11月04日\n"
        "标　　题：国务院办公厅关于2026年部分节假日安排的通知\n"
        f"发文字号：国办发明电〔2025〕7号　发布日期：2025年11月04日\n{NOTICE_2026}"
        "责任编辑：某某　2025-11-04 10:00 星期二"
    )
    assert parse_notice(page) == parse_notice(NOTICE_2026)


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("国办发明电〔2025〕7号", "", ""),
        ("国办发明电〔2025〕7号", "国办发明电[2025] 7 号", "（国办发明电〔2025〕7号）"),
        ("国办发明电〔2025〕7号", "（国办发明电【2025】17号）", "（国办发明电〔2025〕17号）"),
        ("2026年部分节假日", "２０２６ 年\n部分节假日", "（国办发明电〔2025〕7号）"),
    ],
)
def test_year_rests_on_title_and_number_of_its_notice(old: str, new: str, name: str) -> None:
    read = parse_notice(changed(old, new)).year
    assert read.notice == f"国务院办公厅关于2026年部分节假日安排的通知{name}"


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    "signature", ["国务院办公厅\n12月11日", "国务院办公厅\n二〇二五年十一月四日", ""]
)
def test_signature_lays_down_nothing(signature: str) -> None:
    signed = changed("国务院办公厅\n2025年11月4日\n（此件公开发布）", signature)
    assert parse_notice(signed) == parse_notice(NOTICE_2026)


# ---------------------------------------------------------------- ways of writing


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("text", "holidays", "make_up_days"),
    [
        ("1月1日放假1天。", ["01-01"], []),
        ("1月1日放假，共1天", ["01-01"], []),
        ("2026年1月1日（星期四）放假一天，不调休。", ["01-01"], []),
        ("1月1日（周四，新年）放假。", ["01-01"], []),
        ("1月1日周四至3日周六放假公休，共计三天。", ["01-01", "01-02", "01-03"], []),
        (
            "1月1日(周四)至1月3日(周六)放假、调休,共3天;1月4日(周日)上班",
            ["01-01", "01-02", "01-03"],
            ["01-04"],
        ),
        (
            "1月1日—3日放假调休3天，1月4日（礼拜天）照常上班。",
            ["01-01", "01-02", "01-03"],
            ["01-04"],
        ),
        (
            "1月1-3日放假（共3天）。1月4日、10日均上班。",
            ["01-01", "01-02", "01-03"],
            ["01-04", "01-10"],
        ),
        ("１月１日 ～ ３日放假，\n共 ３ 天。", ["01-01", "01-02", "01-03"], []),
        ("1月1日放假，1月5日（周一）补休，共2天。", ["01-01", "01-05"], []),
        ("1月1日和2日放假，共2天。1月1日、1月3日放假，共2天。", ["01-01", "01-02", "01-03"], []),
        ("1月2日（周五）放假，与周末连休，共3天。", ["01-02"], []),
        ("1月2日（周五）放假，共1天，与周末连休。", ["01-02"], []),
        ("1月3日放假，1月5日补休，共3天。", ["01-03", "01-05"], []),
        ("1月2日放假公休，共3天。", ["01-02"], []),
        ("1月1日放假。1月10日至11日上班。", ["01-01"], ["01-10", "01-11"]),
    ],
)
def test_ways_of_writing_a_clause(text: str, holidays: list[str], make_up_days: list[str]) -> None:
    _, off, worked = only(text)
    assert off == days(*(f"2026-{day}" for day in holidays))
    assert worked == days(*(f"2026-{day}" for day in make_up_days))


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    "text",
    [
        "2022年12月31日（周六）至2023年1月2日（周一）放假调休，共3天。",
        "2022年12月31日至1月2日放假，共3天。",
        "12月31日（周六）至1月2日（周一）放假，共3天。",
        "12月31日、1月1日、1月2日放假，共3天。",
    ],
)
def test_new_year_may_begin_in_the_december_before(text: str) -> None:
    assert only(text, year=2023).holidays == days("2022-12-31", "2023-01-01", "2023-01-02")


@pytest.mark.rule("RB-1.6")
def test_december_of_another_clause_is_that_of_the_year() -> None:
    assert only("12月31日放假。", "纪念日").holidays == days("2026-12-31")


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("一、元旦：", "元旦"),
        ("元旦:", "元旦"),
        ("（一）元旦：", "元旦"),
        ("1. 元旦：", "元旦"),
        ("一、2026年元旦：", "元旦"),
        ("国庆节、中秋节：", "国庆节、中秋节"),
        ("九、抗日战争胜利80周年纪念日：", "抗日战争胜利80周年纪念日"),
    ],
)
def test_ways_of_heading_a_clause(head: str, name: str) -> None:
    text = f"国务院办公厅关于2026年部分节假日安排的通知\n{head}1月1日放假"
    assert [each.name for each in parse_notice(text).by_holiday] == [name]


# ---------------------------------------------------------------- warnings


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize("left_out", EXPECTED_HOLIDAYS)
def test_missing_holiday_is_a_warning(left_out: str) -> None:
    lines = [line for line in CLAUSES[2026].splitlines() if f"{left_out}：" not in line]
    parsed = parse_notice(notice(2026, "\n".join(lines)))
    (warning,) = parsed.warnings
    assert left_out in warning.en
    assert left_out in warning.zh
    assert left_out not in [each.name for each in parsed.by_holiday]


@pytest.mark.rule("RB-1.6")
def test_recommended_day_off_stays_a_working_day_and_is_a_warning() -> None:
    advice = "鼓励各单位结合带薪年休假等制度落实，安排职工在除夕（2月16日）休息"
    parsed = parse_notice(changed("2月28日（周六）上班。", f"2月28日（周六）上班。{advice}。"))
    assert parsed.year == CALENDAR.years[2026]
    (warning,) = parsed.warnings
    assert advice in warning.en
    assert advice in warning.zh


# ---------------------------------------------------------------- refusals


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("old", "new", "where", "en", "zh"),
    [
        # a weekday that does not fit
        (
            "1月1日（周四）",
            "1月1日（周五）",
            "元旦",
            "2026-01-01 is a Thursday, not 周五",
            "是周四，不是周五",
        ),
        (
            "3日（周六）放假",
            "3日（星期天）放假",
            "元旦",
            "2026-01-03 is a Saturday",
            "2026-01-03 是周六",
        ),
        (
            "（农历正月初七、周一）",
            "（农历正月初七、周二）",
            "春节",
            "2026-02-23 is a Monday",
            "是周一，不是周二",
        ),
        (
            "5月9日（周六）",
            "5月9日（周日）",
            "劳动节",
            "2026-05-09 is a Saturday",
            "是周六，不是周日",
        ),
        # a count that does not fit
        ("共9天", "共8天", "春节", "共8天, but the dates are 9 days", "共8天，但所写日期为9天"),
        # a range that runs backwards
        (
            "至23日（农历正月初七、周一）",
            "至3日",
            "春节",
            "backwards, from 2026-02-15 to 2026-02-03",
            "颠倒",
        ),
        # a make-up day that is worked anyway
        (
            "5月9日（周六）",
            "5月8日（周五）",
            "劳动节",
            "2026-05-08 is a Friday, worked anyway",
            "是周五，本来就要上班",
        ),
        # no such date
        ("2月28日（周六）", "2月30日", "春节", "there is no 2月30日 in 2026", "没有2月30日"),
        ("1月4日（周日）", "13月4日", "元旦", "there is no 13月4日", "没有13月4日"),
        ("1月4日（周日）", "1月0日", "元旦", "there is no 1月0日", "没有1月0日"),
        # not of this year
        ("5月9日（周六）", "2025年5月10日", "劳动节", "2025-05-10 is not in 2026", "不在 2026 年"),
        ("5月9日（周六）", "9999年5月9日", "劳动节", "9999-05-09 is not in 2026", "不在 2026 年"),
        ("5月9日（周六）", "0000年5月9日", "劳动节", "there is no 5月9日 in 0", "没有5月9日"),
        # a day without a month
        ("5月9日（周六）", "9日（周六）", "劳动节", "9日 has no month", "缺少月份"),
        # no weekend near
        (
            "4月4日（周六）至6日（周一）放假，共3天",
            "4月8日放假，与周末连休",
            "清明节",
            "adjoin no weekend",
            "不相连",
        ),
        # a clause without a day
        (
            "6月19日（周五）至21日（周日）放假，共3天。",
            "",
            "端午节",
            "no day off is named",
            "未写明放假日期",
        ),
        (
            "6月19日（周五）至21日（周日）放假，共3天。",
            "6月27日上班。",
            "端午节",
            "no day off is named",
            "未写明",
        ),
        (
            "10日（周六）上班。",
            "10日（周六）上班。八、补班：11月7日上班。",
            "补班",
            "no day off is named",
            "未写明",
        ),
    ],
)
def test_what_does_not_agree_is_refused_with_its_place(
    old: str, new: str, where: str, en: str, zh: str
) -> None:
    (problem,) = problems(changed(old, new))
    assert problem.en.startswith(where)
    assert problem.zh.startswith(where)
    assert en in problem.en
    assert zh in problem.zh


NOT_UNDERSTOOD = [
    "10月8日（周四）至10日",
    "10月8日（周四）休整",
    "10月11日半天上班",
    "10月8日起放假",
    "10月8日10月9日放假",
    "十月八日放假",
    "2026-10-08放假",
    "2026-10-08休整",
    "10/8放假",
    "节后周六照常工作",
    "次日上班",
    "放假调休",
    "10月8日（2月3日）放假",
    "其中，10月1日（星期四，国庆）为法定节假日，10月3日（星期六）为公休日",
    "10月1日至8日至9日放假",
    "2026年10日放假",
    "110月8日放假",
    "10月8日放假七十天",
    "鼓励10月8日放假",
    "八、某某节10月8日（周四）放假",
    "某某节：10月8日放假",
    "八、某某节10月8日放假调休：见附件",
]


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize("sentence", NOT_UNDERSTOOD)
def test_sentence_about_days_is_never_dropped(sentence: str) -> None:
    (problem,) = problems(changed("10月10日（周六）上班。", f"10月10日（周六）上班。{sentence}。"))
    assert "not understood" in problem.en
    assert "无法理解" in problem.zh
    assert sentence.split("：")[0] in problem.en
    assert sentence.split("：")[0] in problem.zh


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize("statement", ["共3天", "与周末连休", "不调休"])
def test_statement_about_no_day_is_not_understood(statement: str) -> None:
    (problem,) = problems(changed("1月1日（周四）至3日（周六）放假调休，共3天", statement))
    assert problem.en.startswith(f"元旦, “{statement}”: not understood")


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("old", "new", "where", "where_zh"),
    [
        ("各省", "10月8日放假。各省", "before the first clause", "第一条之前"),
        (
            "一、元旦：1月1日（周四）至3日（周六）放假调休，共3天。",
            "一、元旦 ",
            "before the first clause",
            "第一条之前",
        ),
        ("国务院办公厅关于", "10月8日放假。国务院办公厅关于", "outside the notice", "通知正文之外"),
        ("（此件公开发布）", "。10月11日上班。", "outside the notice", "通知正文之外"),
        ("国务院办公厅\n2025年11月4日", "国务院办公厅10月8日放假。", "国庆节", "国庆节"),
        ("国务院办公厅\n2025年11月4日", "国务院办公厅（10月8日）放假。", "国庆节", "国庆节"),
        ("国务院办公厅\n2025年11月4日", "10月11日", "国庆节", "国庆节"),  # cut off before 上班
    ],
)
def test_day_outside_the_clauses_is_never_dropped(
    old: str, new: str, where: str, where_zh: str
) -> None:
    (problem,) = problems(changed(old, new))
    assert problem.en.startswith(f"{where}, ")
    assert problem.zh.startswith(where_zh)
    assert "not understood" in problem.en


@pytest.mark.rule("RB-1.6")
def test_long_sentence_is_quoted_in_part() -> None:
    (problem,) = problems(changed("共9天。", f"共9天。10月8日{'某' * 500}。"))
    assert f"{'某' * 75}…”" in problem.en


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize("worked", ["春节", "国庆节"])
def test_day_both_off_and_worked_is_refused(worked: str) -> None:
    clause = next(line for line in CLAUSES[2026].splitlines() if f"{worked}：" in line)
    (problem,) = problems(changed(clause, f"{clause}5月3日（周日）上班。"))
    assert problem.en.startswith(f"2026-05-03 is both off (劳动节) and worked ({worked})")
    assert problem.zh.startswith(f"2026-05-03 既放假（劳动节）又上班（{worked}）")


@pytest.mark.rule("RB-1.6")
def test_holiday_laid_down_twice_is_refused() -> None:
    (problem,) = problems(changed("六、中秋节：", "六、国庆节、中秋节："))
    assert problem.en.startswith("国庆节 stands in several clauses")
    assert problem.zh.startswith("国庆节出现在多条中")


NO_YEAR, NO_HOLIDAY = "no year was found", "no holiday was found"


@pytest.mark.rule("RB-1.6")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [NO_YEAR, NO_HOLIDAY]),
        ("国务院办公厅关于2026年部分节假日安排的通知", [NO_HOLIDAY]),
        ("国务院办公厅关于2026年部分节假日安排的通知。九、其他：另行通知。", [NO_HOLIDAY]),
        ("一、元旦：1月1日放假。", [NO_YEAR]),
        ("国务院办公厅关于调整2019年劳动节假期安排的通知", [NO_YEAR, NO_HOLIDAY]),
        (NOTICE_2026 + notice(2025, CLAUSES[2025]), ["titles of several years"]),
    ],
)
def test_text_without_one_year_or_any_holiday_is_refused(text: str, expected: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(expected)
    assert all(each.en.startswith(start) for each, start in zip(found, expected, strict=True))


@pytest.mark.rule("RB-1.6")
def test_all_problems_are_named_in_their_order() -> None:
    text = (
        NOTICE_2026.replace("1月1日（周四）", "1月1日（周三）")
        .replace("共9天", "共8天")
        .replace("6月19日（周五）", "6月31日")
        .replace("5月9日（周六）", "5月4日（周六）")
        .replace("至7日（周三）", "起")
    )
    found = problems(text)
    starts = ["元旦", "春节", "劳动节", "劳动节", "端午节", "国庆节", "2026-05-04 is both off"]
    assert [each.en[: len(start)] for each, start in zip(found, starts, strict=True)] == starts


@pytest.mark.rule("RB-1.6")
def test_wrong_date_spares_its_clause_the_count_but_not_the_next_one() -> None:
    text = changed("至23日（农历正月初七、周一）", "至2月29日").replace(
        "放假，共3天", "放假，共4天"
    )
    assert [each.en[:3].rstrip(",") for each in problems(text)] == [
        "春节",
        "清明节",
        "端午节",
        "中秋节",
    ]


# ---------------------------------------------------------------- any year, any text

WEEKDAYS = "一二三四五六日"


@st.composite
def listed_years(draw: st.DrawFn) -> tuple[CalendarYear, tuple[Festival, ...]]:
    """A year with seven holidays far enough apart, and weekend days to make up for them."""
    year = draw(st.integers(2001, 2099))
    begins = [date(year, 1, 1) - timedelta(days=draw(st.integers(0, 5)))]
    begins += [
        date(year, 2, 5) + timedelta(days=45 * n + draw(st.integers(0, 9))) for n in range(6)
    ]
    festivals: list[Festival] = []
    for name, begin in zip(EXPECTED_HOLIDAYS, begins, strict=True):
        length = draw(st.integers(1, 10))
        off = tuple(begin + timedelta(days=n) for n in range(length))
        near = [begin + timedelta(days=n) for n in (*range(-12, 0), *range(length, length + 12))]
        weekend = [day for day in near if day.weekday() >= 5 and day > date(year - 1, 12, 1)]
        worked = draw(st.sets(st.sampled_from(weekend), max_size=2))
        festivals.append(Festival(name, off, tuple(sorted(worked))))
    listed = CalendarYear(
        year,
        frozenset(day for each in festivals for day in each.holidays),
        frozenset(day for each in festivals for day in each.make_up_days),
        f"国务院办公厅关于{year}年部分节假日安排的通知（国办发明电〔{year - 1}〕7号）",
    )
    return listed, tuple(festivals)


@st.composite
def written(draw: st.DrawFn, year: int, festivals: Sequence[Festival]) -> str:
    """The notice in its typical form, with whatever the years have varied."""
    week = draw(st.sampled_from(["周", "星期"]))

    def on(day: date, month: int | None = None) -> str:
        text = f"{day.day}日" if month == day.month else f"{day.month}月{day.day}日"
        if day.year != year or (month is None and draw(st.booleans())):
            text = f"{day.year}年{day.month}月{day.day}日"
        lunar = draw(st.sampled_from(["", "农历除夕、"]))
        stated = f"（{lunar}{week}{WEEKDAYS[day.weekday()]}）"
        return text + draw(st.sampled_from(["", stated]))

    clauses = []
    for number, (name, off, worked) in zip("一二三四五六七", festivals, strict=True):
        to = draw(st.sampled_from(["至", "到", "—", "-", "～"]))
        text = on(off[0]) if len(off) == 1 else f"{on(off[0])}{to}{on(off[-1], off[0].month)}"
        deed = draw(st.sampled_from(["放假", "放假调休", "放假公休"]))
        count = draw(st.sampled_from(["", f"{len(off)}天", f"，共{len(off)}天"]))
        make_up = f"{'、'.join(on(day) for day in worked)}上班。" if worked else ""
        clauses.append(f"{number}、{name}：{text}{deed}{count}。{make_up}")
    text = HEAD.format(year=year, before=year - 1, number=7) + "\n".join(clauses)
    text += TAIL.format(before=year - 1)
    if draw(st.booleans()):
        text = text.translate(str.maketrans("（），：", "(),:"))
    if draw(st.booleans()):
        text = text.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    for _ in range(draw(st.integers(0, 20))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from([" ", "\n", "\u3000", "\u200b"])) + text[at:]
    return text


@pytest.mark.rule("RB-1.6")
@given(st.data(), listed_years())
def test_any_year_that_is_written_is_read_back(
    data: st.DataObject, year: tuple[CalendarYear, tuple[Festival, ...]]
) -> None:
    listed, festivals = year
    text = data.draw(written(listed.year, festivals))
    assert parse_notice(text) == ParsedNotice(listed, festivals, ())


@pytest.mark.rule("RB-1.6")
@given(st.sampled_from(sorted(CLAUSES)), st.data())
def test_any_wrong_weekday_is_refused(year: int, data: st.DataObject) -> None:
    text = notice(year, CLAUSES[year])
    places = [at for at, c in enumerate(text) if text[at - 1] in "周期" and c in WEEKDAYS]
    at = data.draw(st.sampled_from(places))
    wrong = data.draw(st.sampled_from(WEEKDAYS.replace(text[at], "")))
    (problem,) = problems(text[:at] + wrong + text[at + 1 :])
    assert f"not 周{wrong}" in problem.en


passages = st.sampled_from(
    [
        *(
            "国务院办公厅关于2026年部分节假日安排的通知",
            "国务院办公厅",
            "一、元旦：",
            "九、",
            "国庆节：",
        ),
        *(
            "2026年",
            "2025年",
            "12月",
            "2月",
            "30日",
            "4日",
            "1",
            "（周日）",
            "周",
            "（",
            "）",
            "至",
            "-",
        ),
        *(
            "、",
            "，",
            "。",
            "放假",
            "调休",
            "补休",
            "上班",
            "共3天",
            "与周末连休",
            "鼓励",
            "十",
            "天",
        ),
    ]
)


@pytest.mark.rule("RB-1.6")
@given(st.text() | st.lists(passages | st.text(max_size=2), max_size=40).map("".join))
@example("国务院办公厅关于2026年部分节假日安排的通知元旦：0000年1月1日放假")
@example("国务院办公厅关于2026年部分节假日安排的通知元旦：0001年1月1日至9999年12月31日放假")
@example("国务院办公厅关于2026年部分节假日安排的通知元旦：1月1日放假，共²天。٣月٣日放假")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = parse_notice(text)
    except InputRefused:
        return
    assert parsed.by_holiday
    assert parsed.year.notice.startswith("国务院办公厅关于2026年部分节假日安排的通知")
    assert not parsed.year.holidays & parsed.year.make_up_days


@pytest.mark.rule("RB-1.6")
@given(st.data())
def test_text_cut_off_is_refused_or_says_less_and_nothing_else(data: st.DataObject) -> None:
    begin, end = NOTICE_2026.index("一、元旦"), NOTICE_2026.index("节假日期间")
    at = data.draw(st.integers(begin, end))
    try:
        parsed = parse_notice(NOTICE_2026[:at])
    except InputRefused:
        return
    assert parsed.year.holidays <= CALENDAR.years[2026].holidays
    assert parsed.year.make_up_days <= CALENDAR.years[2026].make_up_days
    if at < NOTICE_2026.index("七、国庆节："):
        assert parsed.warnings
