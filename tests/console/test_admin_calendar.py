"""The calendar on pages: a year as people read it, publishing one, and why a date (RB-1)."""

from __future__ import annotations

from datetime import date

import pytest

from api.recalculating import Recalculation
from console.calendar_years import months_of, ranges
from policy.calendar import calendar
from tests.console.office import Office, Visit
from tests.support.cases import new_task
from tests.support.databases import rows

NEW_YEAR = {
    "year": "2027",
    "notice": "示例：国务院办公厅关于2027年部分节假日安排的通知",
    "holidays": "2027-01-01..2027-01-03\n2027-02-06",
    "make_up_days": "2027-01-09",
}
NOTICE = (
    "国务院办公厅关于2027年部分节假日安排的通知\n"
    "一、元旦：1月1日（周五）至3日（周日）放假调休，共3天。1月9日（周六）上班。"
)


@pytest.fixture(autouse=True)
def recalculated_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave open cases behind, so that a page says so."""

    async def rest(_self: Recalculation) -> None:
        pass

    monkeypatch.setattr(Recalculation, "run", rest)


@pytest.fixture
async def admin(office: Office) -> Visit:
    visit = await office.visit_of("admin-1")
    await visit.get("/admin/calendar")
    return visit


def test_a_year_has_its_working_days_month_by_month() -> None:
    months = list(months_of(2026, calendar()))
    assert [month.number for month in months] == list(range(1, 13))
    by_day = {day.on: day for month in months for week in month.weeks for day in week}
    assert by_day[date(2026, 10, 1)].kind == "holiday"
    assert by_day[date(2026, 10, 10)].kind == "make_up"
    counted = sum(calendar().is_working(date.fromordinal(n)) for n in _days_of(2026))
    assert sum(month.working_days for month in months) == counted


def _days_of(year: int) -> range:
    return range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())


def test_days_are_spelled_one_range_a_line() -> None:
    days = [date(2027, 1, 3), date(2027, 1, 1), date(2027, 1, 2), date(2027, 2, 6)]
    assert ranges(days) == "2027-01-01..2027-01-03\n2027-02-06"
    assert ranges([]) == ""


async def test_every_role_sees_the_year_and_its_notice(office: Office) -> None:
    for account in ("desk-1", "water-1", "special-1", "admin-1"):
        visit = await office.visit_of(account)
        page = (await visit.get("/admin/calendar?year=2026")).text
        assert calendar().years[2026].notice in page
        assert '<td class="holiday">1<span class="mark">休</span></td>' in page
        assert ("/admin/calendar/draft" in page) is (account in ("special-1", "admin-1"))
        assert "未发布" in (await visit.get("/admin/calendar?year=2031")).text


@pytest.mark.rule("RB-1.6")
async def test_a_notice_is_read_into_the_form(admin: Visit) -> None:
    page = (await admin.post("/admin/calendar/draft", {"step": "read", "notice_text": NOTICE})).text
    assert "2027-01-01..2027-01-03" in page
    assert "元旦：放假 3 天，调休上班 2027-01-09" in page
    refused = await admin.post("/admin/calendar/draft", {"step": "read", "notice_text": "放假"})
    assert refused.status_code == 422


@pytest.mark.rule("RB-1.7")
async def test_a_year_is_previewed_confirmed_and_published_once(
    office: Office, admin: Visit
) -> None:
    no = await office.case()
    # The day before the end of the year: its limit runs into the one that is not published.
    task = new_task(no)
    await office.api.casefile.open_task(task)
    previewed = await admin.post("/admin/calendar/draft", {**NEW_YEAR, "step": "preview"})
    assert previewed.status_code == 200, previewed.text
    assert "在办 1 件，查看了最新 1 件" in previewed.text
    assert '<td class="holiday">1<span class="mark">休</span></td>' in previewed.text
    assert len(rows(office.api.url)["calendars"]) == 1, "nothing is published by looking"
    form = {**NEW_YEAR, "step": "publish", "based_on": "1"}
    unconfirmed = await admin.post("/admin/calendar/draft", form)
    assert unconfirmed.status_code == 422
    assert "请输入 2027" in unconfirmed.text
    assert len(rows(office.api.url)["calendars"]) == 1
    published = await admin.post("/admin/calendar/draft", {**form, "confirm": "2027"})
    assert published.headers["location"] == "/console/admin/calendar?year=2027"
    page = (await admin.get("/admin/calendar?year=2027")).text
    assert "尚余 1 / 1 件" in page
    assert 'hx-trigger="every 2s"' in page
    assert "cn-2027.2" in page and "admin-1" in page
    acts = (await admin.get("/admin/acts?thing=calendar")).text
    assert "发布工作日历" in acts and "2027" in acts


@pytest.mark.rule("RB-1.7")
async def test_a_preview_tells_the_dates_that_would_move(office: Office, admin: Visit) -> None:
    no = await office.case()
    await office.permits(no)
    year = calendar().years[2026]
    form = {
        "year": "2026",
        "notice": "示例：更正通知",
        "holidays": ranges(sorted({*year.holidays, date(2026, 9, 18), date(2026, 9, 21)})),
        "make_up_days": ranges(sorted(year.make_up_days)),
        "step": "preview",
    }
    page = (await admin.post("/admin/calendar/draft", form)).text
    assert "其中 1 件" in page
    assert no in page
    assert "2026-09-23 周三" in page and "<strong>2026-09-24 周四</strong>" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"year": ""}, "请填写 2004 至 2100 之间的年份"),
        ({"holidays": "2027-02-30"}, "2027-02-30 不是日期"),
        ({"holidays": "2027-01-05..2027-01-01"}, "起止日期颠倒"),
        ({"holidays": "2026-05-01"}, "不在 2027 年或上年 12 月内"),
        ({"make_up_days": "2027-01-04"}, "不是周六或周日"),
        ({"notice": ""}, "依据的通知"),
        ({"holidays": ""}, "放假日期"),
    ],
)
async def test_a_year_that_makes_no_sense_names_its_field(
    admin: Visit, office: Office, change: dict[str, str], words: str
) -> None:
    answer = await admin.post("/admin/calendar/draft", {**NEW_YEAR, **change, "step": "preview"})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'class="problems"' in answer.text
    assert len(rows(office.api.url)["calendars"]) <= 1


async def test_what_was_published_meanwhile_is_not_overwritten(
    office: Office, admin: Visit
) -> None:
    body = {"notice": "示例", "holidays": ["2028-01-01"], "make_up_days": []}
    await office.api.call(
        "PUT", "/api/v1/calendar/years/2028", "government-services-data", json=body
    )
    form = {**NEW_YEAR, "step": "publish", "based_on": "1", "confirm": "2027"}
    answer = await admin.post("/admin/calendar/draft", form)
    assert answer.status_code == 422
    assert "其间已发布另一版本" in answer.text


async def test_a_version_is_taken_back_with_a_reason_and_its_number(
    office: Office, admin: Visit
) -> None:
    form = {**NEW_YEAR, "step": "publish", "based_on": "1", "confirm": "2027"}
    assert (await admin.post("/admin/calendar/draft", form)).status_code == 303
    path = "/admin/calendar/versions/2/retraction"
    for sent in ({"reason": "通知已更正"}, {"reason": "", "confirm": "2"}):
        assert (await admin.post(path, sent)).status_code == 422
    taken = await admin.post(path, {"reason": "通知已更正", "confirm": "2"})
    assert taken.status_code == 303
    page = (await admin.get("/admin/calendar?year=2027")).text
    assert "撤回第 2 版：通知已更正" in page
    again = await admin.post(
        "/admin/calendar/versions/1/retraction", {"reason": "示例", "confirm": "1"}
    )
    assert again.status_code == 422
    assert "此版本不能撤回" in again.text


@pytest.mark.rule("RB-1.8")
async def test_anyone_signed_in_is_told_why_a_date(office: Office) -> None:
    for account in ("desk-1", "water-1"):
        visit = await office.visit_of(account)
        page = (await visit.get("/deadline?from=2026-09-25&working_days=6")).text
        assert "因此截止日为2026年10月10日（周六）" in page
        assert "调休上班" in page
        assert "放假，不计" in page
    english = await visit.client.get("/console/language/en")
    assert english.status_code == 303
    page = (await visit.get("/deadline?from=2026-09-25&working_days=2")).text
    assert "So the last day is" in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=2026-09-25&working_days=0", "期限须为 1 至 400 个工作日"),
        ("from=2026-09-25&working_days=x", "须为整数"),
        ("from=yesterday&working_days=5", "请填写日期"),
        ("from=&working_days=5", "请填写起算日期"),
        ("from=2026-09-25&working_days=5&excluded=2026-10-01", "请填写两个日期"),
        ("from=2026-09-25&time=25:00&working_days=5", "没有这个日期或时刻"),
    ],
)
async def test_a_question_that_makes_no_sense_names_its_field(
    admin: Visit, query: str, words: str
) -> None:
    answer = await admin.get(f"/deadline?{query}")
    assert answer.status_code == 422
    assert words in answer.text
