"""Publishing the calendar under open cases: who may, what is refused, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from activities.deadlines import due_of
from api.calendar_years import NOTICE_EXAMPLE
from api.recalculating import Recalculation
from policy.calendar import calendar
from policy.loader import policy_for
from storage.calendars import Calendars
from storage.reading import Reading
from storage.records import TaskRecord
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, POLICY, new_task
from tests.support.databases import rows
from tests.support.serving import Api

SUPERVISOR = "government-services-data"
YEARS = "/api/v1/calendar/years"
Y2026 = calendar().years[2026]
Y2027: dict[str, Any] = {
    "notice": "示例：国务院办公厅关于2027年部分节假日安排的通知",
    "holidays": ["2027-01-01", "2027-01-02", "2027-01-03", "2027-01-04"],
    "make_up_days": [],
}


@pytest.fixture(autouse=True)
def recalculated_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave recalculation to `_recalculated`, so that a test sees before and after."""

    async def rest(_self: Recalculation) -> None:
        pass

    monkeypatch.setattr(Recalculation, "run", rest)


def _year_2026(*more_off: str) -> dict[str, Any]:
    return {
        "notice": "示例：更正通知",
        "holidays": sorted({*(day.isoformat() for day in Y2026.holidays), *more_off}),
        "make_up_days": sorted(day.isoformat() for day in Y2026.make_up_days),
    }


async def _put(api: Api, year: int, body: object, agency: str = SUPERVISOR) -> Any:
    return await api.call("PUT", f"{YEARS}/{year}", agency, json=body)


async def _recalculated(api: Api) -> int:
    """Bring every case to the calendar in force; return how many were behind."""
    services = api.app.state.services
    calendars = Calendars(services.casefile.engine, calendar)
    recalculation = Recalculation(services.casefile, calendars, services.engine, lambda: api.now)
    return await recalculation.some()


async def test_anyone_can_see_the_calendar(api: Api) -> None:
    body = (await api.call("GET", YEARS, None)).json()
    assert (body["number"], body["version"]) == (1, calendar().version)
    assert [each["year"] for each in body["years"]] == sorted(calendar().years)
    assert all(each["notice"] for each in body["years"])
    versions = (await api.call("GET", "/api/v1/calendar/versions", None)).json()
    assert [each["number"] for each in versions] == [1]


@pytest.mark.rule("RB-1.6")
async def test_a_year_is_published_once(api: Api) -> None:
    answer = await _put(api, 2027, {**Y2027, "based_on": 1})
    assert (answer.status_code, answer.json()["is_new"]) == (201, True)
    assert answer.json()["version"]["number"] == 2
    again = await _put(api, 2027, Y2027)
    assert (again.status_code, again.json()["is_new"]) == (200, False)
    assert again.json()["version"] == answer.json()["version"]
    shown = (await api.call("GET", YEARS, None)).json()["years"][-1]
    assert shown == {"year": 2027, **Y2027}


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", ["desk", "utility", "applicant", "water"])
async def test_only_supervisors_publish(api: Api, agency: str) -> None:
    problem(await _put(api, 2027, Y2027, agency), 403, "not-allowed")
    answer = await api.call(
        "POST", "/api/v1/calendar/notices", agency, json={"text": NOTICE_EXAMPLE}
    )
    problem(answer, 403, "not-allowed")
    answer = await api.call(
        "POST", "/api/v1/calendar/versions/1/retraction", agency, json={"reason": "示例"}
    )
    problem(answer, 403, "not-allowed")
    assert len(rows(api.url)["calendars"]) <= 1


@pytest.mark.parametrize(
    ("year", "body", "named"),
    [
        (2027, {}, ["notice", "holidays", "make_up_days"]),
        (2027, {**Y2027, "holidays": []}, ["holidays"]),
        (2027, {**Y2027, "holidays": ["2026-05-01"]}, ["holidays"]),
        (2027, {**Y2027, "holidays": ["2027-02-30"]}, ["holidays.0"]),
        (2027, {**Y2027, "make_up_days": ["2027-01-04"]}, ["make_up_days"]),
        (2027, {**Y2027, "make_up_days": ["2027-01-02"]}, ["holidays"]),
        (2027, {**Y2027, "notice": ""}, ["notice"]),
        (2027, {**Y2027, "days": []}, ["days"]),
        (1999, Y2027, ["year"]),
    ],
)
async def test_a_year_that_makes_no_sense_names_its_field(
    api: Api, year: int, body: object, named: list[str]
) -> None:
    answer = await _put(api, year, body)
    assert fields(problem(answer, 422, "invalid-input")) == named
    assert len(rows(api.url)["calendars"]) <= 1


async def test_who_looked_at_an_older_version_is_told_to_look_again(api: Api) -> None:
    await _put(api, 2027, Y2027)
    other = {**Y2027, "notice": "示例：另一通知", "based_on": 1}
    problem(await _put(api, 2027, other), 409, "calendar-moved")


async def test_a_notice_is_read_and_nothing_published(api: Api) -> None:
    answer = await api.call(
        "POST", "/api/v1/calendar/notices", SUPERVISOR, json={"text": NOTICE_EXAMPLE}
    )
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["year"]["year"] == 2026
    assert "2026-02-28" in body["year"]["make_up_days"]
    assert [each["name"] for each in body["by_holiday"]] == ["元旦", "春节"]
    assert body["warnings"]
    assert (body["is_published"], body["based_on"]) == (False, 1)
    assert len(rows(api.url)["calendars"]) == 1


async def test_a_notice_that_contradicts_itself_is_refused(api: Api) -> None:
    wrong = NOTICE_EXAMPLE.replace("1月4日（周日）", "1月4日（周六）")
    answer = await api.call("POST", "/api/v1/calendar/notices", SUPERVISOR, json={"text": wrong})
    assert fields(problem(answer, 422, "invalid-input")) == ["text"]


# ---------------------------------------------------------------- open cases


async def _open_task(api: Api, key: str, limit: int, at: datetime = NOON) -> TaskRecord:
    """Hand in a case and have the desk owe a task of `limit` working days in it."""
    no = (await api.submit(HIGH, key=key)).json()["no"]
    due = due_of(at, limit, policy_for(POLICY), calendar())
    new = replace(
        new_task(no, at=at, due_on=due.due_on),
        limit_working_days=limit,
        is_provisional=due.is_provisional,
    )
    return await api.casefile.open_task(new)


async def _record(api: Api, no: str) -> list[str]:
    events = (await api.call("GET", f"/api/v1/applications/{no}/events")).json()
    return [each["kind"] for each in events]


async def _told(api: Api) -> list[tuple[str, str, str]]:
    page = (await api.call("GET", "/api/v1/notices")).json()
    return sorted((each["case_no"], each["kind"], each["recipient"]) for each in page["items"])


@pytest.mark.rule("RB-1.7")
async def test_exactly_the_affected_cases_change_and_are_told_once(api: Api) -> None:
    affected = await _open_task(api, "affected", 5)
    untouched = await _open_task(api, "untouched", 2)
    assert (affected.due_on, untouched.due_on) == (date(2026, 9, 22), date(2026, 9, 18))
    published = (await _put(api, 2026, _year_2026("2026-09-21"))).json()
    progress = {"number": 2, "version": "cn-2026.2", "open": 2}
    assert published["recalculation"] == {**progress, "behind": 2}
    assert await _recalculated(api) == 2
    assert await _recalculated(api) == 0
    answer = await api.call("GET", "/api/v1/calendar/recalculation", None)
    assert answer.json() == {**progress, "behind": 0}

    moved = (await api.call("GET", f"/api/v1/tasks/{affected.id}")).json()
    assert (moved["due_on"], moved["calendar_version"]) == ("2026-09-23", "cn-2026.2")
    assert await _record(api, affected.case_no) == ["submitted", "task_opened", "calendar_changed"]
    stays = (await api.call("GET", f"/api/v1/tasks/{untouched.id}")).json()
    assert (stays["due_on"], stays["calendar_version"]) == ("2026-09-18", "test")
    assert await _record(api, untouched.case_no) == ["submitted", "task_opened"]
    assert await _told(api) == [(affected.case_no, "deadline_moved", "desk")]
    assert (await Reading(api.casefile.engine).first_break())[1] is None


@pytest.mark.rule("RB-1.7")
async def test_a_promised_date_that_moves_is_told_to_who_handed_the_case_in(api: Api) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    investment = {"decision": "utility_pays", "reasons": [], "clause": "示例"}
    await api.casefile.accept(no, at=NOON, is_deemed=False, investment=investment)
    before = (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
    await _put(api, 2026, _year_2026("2026-09-21"))
    # Until the case is recalculated its dates are those of the calendar they rest on.
    assert (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json() == before
    await _recalculated(api)
    after = (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
    assert [clock["calendar_version"] for clock in after] == ["cn-2026.2"] * len(before)
    assert all(new["due_on"] > old["due_on"] for new, old in zip(after, before, strict=True))
    assert await _told(api) == [(no, "promise_moved", "desk")]


@pytest.mark.rule("RB-1.7")
async def test_a_retracted_version_moves_dates_back_and_is_told(api: Api) -> None:
    task = await _open_task(api, "affected", 5)
    await _put(api, 2026, _year_2026("2026-09-21"))
    await _recalculated(api)
    path = "/api/v1/calendar/versions/2/retraction"
    for status in (201, 200):
        answer = await api.call("POST", path, SUPERVISOR, json={"reason": "通知已更正"})
        assert answer.status_code == status
        await _recalculated(api)
    back = (await api.call("GET", f"/api/v1/tasks/{task.id}")).json()
    assert (back["due_on"], back["calendar_version"]) == ("2026-09-22", "cn-2026.3")
    assert (await _record(api, task.case_no)).count("calendar_changed") == 2
    assert len(await _told(api)) == 2


@pytest.mark.rule("RB-1.6")
async def test_a_provisional_date_firms_up_when_its_year_is_published(api: Api) -> None:
    task = await _open_task(api, "new-year", 5, at=datetime.fromisoformat("2026-12-30T10:00+08:00"))
    assert (task.due_on, task.is_provisional) == (date(2027, 1, 6), True)
    await _put(api, 2027, Y2027)
    await _recalculated(api)
    firm = (await api.call("GET", f"/api/v1/tasks/{task.id}")).json()
    # 1 January is a Friday; the 4th, a Monday, is off as well.
    assert (firm["due_on"], firm["is_provisional"]) == ("2027-01-08", False)


async def test_a_date_that_only_firms_up_is_on_record_and_told(api: Api) -> None:
    task = await _open_task(api, "new-year", 2, at=datetime.fromisoformat("2026-12-30T10:00+08:00"))
    assert (task.due_on, task.is_provisional) == (date(2027, 1, 1), True)
    await _put(api, 2027, {**Y2027, "holidays": ["2027-01-02"]})
    await _recalculated(api)
    ((_, _, body),) = [
        (each["kind"], each["recipient"], each["body"])
        for each in (await api.call("GET", "/api/v1/notices")).json()["items"]
    ]
    assert (body["old"], body["new"]) == ("2027-01-01", "2027-01-01")
    assert (body["was_provisional"], body["is_provisional"]) == (True, False)


async def test_a_new_case_rests_on_the_calendar_in_force(api: Api) -> None:
    await _put(api, 2027, Y2027)
    no = (await api.submit(HIGH)).json()["no"]
    assert (await Reading(api.casefile.engine).case(no)).calendar == 2
    assert await _recalculated(api) == 0


@pytest.mark.rule("RB-13.1")
async def test_an_agency_sees_what_it_was_told_itself(api: Api) -> None:
    await _open_task(api, "affected", 5)
    await _put(api, 2026, _year_2026("2026-09-21"))
    await _recalculated(api)
    assert (await api.call("GET", "/api/v1/notices", "water")).json()["items"] == []
    answer = await api.call("GET", "/api/v1/notices?recipient=desk", "water")
    problem(answer, 403, "not-allowed")
    page = (await api.call("GET", "/api/v1/notices?limit=1", "desk")).json()
    assert (len(page["items"]), page["next_cursor"]) == (1, None)
