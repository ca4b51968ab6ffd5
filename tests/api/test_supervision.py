"""The figures of supervision, as the special group and the desk see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from activities.casefile import CaseFileActivities
from domain.connection import Ending, TaskKind
from storage.records import Result
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, LOW, NOON, POLICY, SEGMENT, changed, new_task, result
from tests.support.databases import rows
from tests.support.serving import Api

SUMMARY = "/api/v1/supervision/summary"
GROUP = "special-group"
NOBODY = {"cases": 0, "net": 0, "mean": None, "within_limit": 0, "is_met": None}


async def _summary(api: Api, agency: str = GROUP, **asked: str) -> dict[str, Any]:
    answer = await api.call("GET", SUMMARY, agency, params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _clock(api: Api, clock: str, **asked: str) -> dict[str, Any]:
    clocks: list[dict[str, Any]] = (await _summary(api, **asked))["clocks"]
    (found,) = [each for each in clocks if each["id"] == clock]
    return found


async def _connected(
    api: Api, key: str, stopped: Sequence[Result], content: Mapping[str, Any] = HIGH
) -> str:
    """Put a connected case on file whose clocks came to this."""
    no: str = (await api.submit(content, key=key)).json()["no"]
    await api.casefile.end(no, "connected", at=NOON, action_id=None, stopped=stopped)
    return no


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+08:00")


# ---------------------------------------------------------------- averages


@pytest.mark.rule("RB-2.2")
async def test_without_cases_there_is_no_average_and_no_error(api: Api) -> None:
    body = await _summary(api)
    assert (body["from"], body["to"], body["district"]) == ("2026-01-01", "2026-09-16", None)
    assert [each["id"] for each in body["clocks"]] == ["LV8", "HV40", "INT13", "HV-DUAL", "GOV5"]
    assert [each["limit"] for each in body["clocks"]] == [8, 40, 13, None, 5]
    for each in body["clocks"]:
        nobody = NOBODY if each["limit"] else {**NOBODY, "within_limit": None}
        assert {name: each[name] for name in NOBODY} == nobody
        assert (each["districts"], each["months"]) == ([], [])
    for each in body["departments"]:
        assert (each["done"], each["on_time_rate"], each["late_open"]) == (0, None, 0)
    assert body["lights"] == []


@pytest.mark.rule("RB-2.2", "RB-11.1")
@pytest.mark.parametrize(
    ("net", "mean", "is_met"),
    [
        ([6, 10], 8.0, True),
        ([*[8] * 99, 9], 8.01, False),
        ([*[8] * 249, 9], 8.0, False),  # 8.004: what is shown is rounded, what decides is not
        ([8], 8.0, True),
        ([9], 9.0, False),
    ],
)
async def test_the_exact_mean_decides(api: Api, net: list[int], mean: float, is_met: bool) -> None:
    """All are put on file as rounds of one case, which is quicker and adds up to the same."""
    stopped = [result("LV8", round_no=n, net=each) for n, each in enumerate(net)]
    await _connected(api, "key", stopped, LOW)
    shown = await _clock(api, "LV8")
    assert (shown["cases"], shown["net"]) == (len(net), sum(net))
    assert (shown["mean"], shown["is_met"]) == (mean, is_met)
    assert shown["within_limit"] == sum(each <= 8 for each in net)


@pytest.mark.rule("RB-2.2", "RB-2.5")
async def test_five_days_bind_every_bundle_whatever_the_average(api: Api) -> None:
    await _connected(api, "one", [result("GOV5", round_no=1, net=6)])
    await _connected(api, "two", [result("GOV5", round_no=n, net=2) for n in (1, 2)])
    shown = await _clock(api, "GOV5")
    assert (shown["nature"], shown["cases"], shown["mean"]) == ("every_case", 3, 3.33)
    assert (shown["within_limit"], shown["is_met"]) == (2, False)


@pytest.mark.rule("RB-2.6")
async def test_what_has_no_target_is_averaged_and_meets_none(api: Api) -> None:
    await _connected(api, "key", [result("HV-DUAL", net=50)], changed(HIGH, "supply", "dual"))
    shown = await _clock(api, "HV-DUAL")
    assert (shown["mean"], shown["within_limit"], shown["is_met"]) == (50.0, None, None)


@pytest.mark.rule("RB-11.1")
async def test_averages_are_parted_by_district_and_month(api: Api) -> None:
    elsewhere = changed(LOW, "site.district", "440803")
    for key, net, on, content in (
        ("a", 4, date(2026, 7, 31), LOW),
        ("b", 6, date(2026, 8, 1), LOW),
        ("c", 10, date(2026, 8, 31), elsewhere),
    ):
        await _connected(api, key, [replace(result("LV8", net=net), stopped_on=on)], content)
    shown = await _clock(api, "LV8")
    assert (shown["cases"], shown["mean"], shown["is_met"]) == (3, 6.67, True)
    assert [(d["district"], d["zh"], d["mean"], d["is_met"]) for d in shown["districts"]] == [
        ("440802", "赤坎区", 5.0, True),
        ("440803", "霞山区", 10.0, False),
    ]
    assert [(m["month"], m["cases"], m["mean"]) for m in shown["months"]] == [
        ("2026-07", 1, 4.0),
        ("2026-08", 2, 8.0),
    ]
    of_one = await _clock(api, "LV8", district="440803")
    assert (of_one["cases"], of_one["mean"]) == (1, 10.0)
    assert [each["district"] for each in of_one["districts"]] == ["440803"]


@pytest.mark.rule("RB-2.2")
@pytest.mark.parametrize(
    ("asked", "cases"),
    [
        ({}, 2),
        ({"from": "2026-08-01"}, 1),
        ({"from": "2026-07-31", "to": "2026-08-01"}, 2),
        ({"from": "2026-07-31", "to": "2026-07-31"}, 1),
        ({"to": "2026-07-30"}, 0),
        ({"to": "2025-12-31"}, 1),
        ({"from": "2025-01-01"}, 3),
    ],
)
async def test_both_ends_of_the_period_are_included(
    api: Api, asked: dict[str, str], cases: int
) -> None:
    for key, on in (("a", "2025-12-31"), ("b", "2026-07-31"), ("c", "2026-08-01")):
        stopped = replace(result("LV8"), stopped_on=date.fromisoformat(on))
        await _connected(api, key, [stopped], LOW)
    assert (await _clock(api, "LV8", **asked))["cases"] == cases


async def test_a_limit_of_another_policy_is_a_class_of_its_own(api: Api) -> None:
    other = [
        replace(result("LV8", net=7), limit_working_days=6),
        replace(result("LV20"), limit_working_days=20),
    ]
    await _connected(api, "key", other, LOW)
    assert (await _clock(api, "HV40"))["cases"] == 0
    shown = (await _summary(api))["clocks"][-2:]
    assert [(each["id"], each["limit"], each["is_met"], each["zh"]) for each in shown] == [
        ("LV20", 20, True, "LV20"),
        ("LV8", 6, False, "低压接电时长"),
    ]


# ---------------------------------------------------------------- from the steps of a process


def _steps(api: Api) -> CaseFileActivities:
    services = api.app.state.services
    return CaseFileActivities(services.casefile, services.calendars)


async def _done(
    api: Api, no: str, kind: TaskKind, at: str, done: str, department: str | None = None
) -> None:
    task = await api.casefile.open_task(new_task(no, kind, at=_at(at), department=department))
    outcome: dict[str, Any] = {"code": "done"}
    if kind is TaskKind.LINE_DESIGN:
        outcome["route"] = {"segments": [dict(SEGMENT)]}
    if kind is TaskKind.PERMITS:
        outcome["items"] = []
    await api.casefile.decide(task.id, outcome, by=task.owed_by, at=_at(done))


async def _built(api: Api) -> str:
    """Put a case on file that was accepted on Monday the 14th, with a bundle of two departments."""
    no: str = (await api.submit(HIGH)).json()["no"]
    await api.casefile.accept(
        no, at=_at("09-14T09:00"), is_deemed=False, investment={"decision": "utility_pays"}
    )
    await _done(api, no, TaskKind.SUPPLY_PLAN, "09-14T09:00", "09-16T09:00")
    await _done(api, no, TaskKind.LINE_DESIGN, "09-16T09:00", "09-16T10:00")
    await _done(api, no, TaskKind.PERMITS, "09-16T10:00", "09-18T10:00", "police")
    await _done(api, no, TaskKind.PERMITS, "09-16T10:00", "09-21T10:00", "water")
    await _done(api, no, TaskKind.CUSTOMER_WORKS, "09-21T10:00", "09-24T10:00")
    await _done(api, no, TaskKind.ENERGISE, "09-24T10:00", "09-28T10:00")
    return no


@pytest.mark.rule("RB-2.2", "RB-2.4", "RB-2.5")
async def test_what_the_clocks_showed_when_they_stopped_is_what_is_averaged(api: Api) -> None:
    no = await _built(api)
    for _ in range(2):
        await _steps(api).conclude_bundle(POLICY, no, 1, _at("09-21T10:00"))
    assert [row[1] for row in rows(api.url)["results"]] == ["GOV5"]
    for _ in range(2):
        await _steps(api).end_case(no, Ending.CONNECTED, _at("09-28T10:00"), None)
    assert await api.first_break() is None
    shown = {
        each["id"]: each
        for each in (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
        if each["department"] is None
    }
    # Sunday the 20th is worked; the 25th to the 27th are off.
    assert {name: (each["gross"], each["net"]) for name, each in shown.items()} == {
        "HV40": (10, 7),
        "INT13": (10, 3),
        "GOV5": (4, 4),
    }
    for name, each in shown.items():
        found = await _clock(api, name, to="2026-09-30")
        assert (found["cases"], found["mean"]) == (1, float(each["net"]))
    ended = (await api.call("GET", f"/api/v1/applications/{no}/events")).json()[-1]
    assert ended["body"]["clocks"]["HV40"]["net"] == 7


@pytest.mark.rule("RB-2.2")
@pytest.mark.parametrize("ending", [Ending.WITHDRAWN, Ending.DECLINED, Ending.NOT_FEASIBLE])
async def test_what_was_not_connected_stays_out(api: Api, ending: Ending) -> None:
    no = await _built(api)
    await _steps(api).end_case(no, ending, _at("09-28T10:00"), None)
    assert rows(api.url)["results"] == ()
    assert await api.first_break() is None


@pytest.mark.rule("RB-2.2")
async def test_a_bundle_that_was_withdrawn_undecided_stays_out(api: Api) -> None:
    no = await _built(api)
    await api.casefile.open_task(
        new_task(no, TaskKind.PERMITS, department="transport", at=_at("09-16T10:00"))
    )
    await _steps(api).end_case(no, Ending.WITHDRAWN, _at("09-28T10:00"), None)
    # The bundle's process may not have heard of the withdrawal yet.
    await _steps(api).conclude_bundle(POLICY, no, 1, _at("09-28T10:00"))
    assert rows(api.url)["results"] == ()


# ---------------------------------------------------------------- departments and lights


async def _owe(api: Api, no: str, department: str, due_on: str | None, *, round_no: int = 1) -> str:
    new = new_task(
        no,
        TaskKind.PERMITS,
        department=department,
        round_no=round_no,
        due_on=None if due_on is None else date.fromisoformat(f"2026-{due_on}"),
    )
    return (await api.casefile.open_task(new)).id


@pytest.mark.rule("RB-4.5", "RB-11.1")
async def test_punctuality_is_that_of_what_was_decided_in_the_period(api: Api) -> None:
    no: str = (await api.submit(HIGH)).json()["no"]
    for round_no, due_on, at in (
        (1, "09-14", "09-14T23:59"),
        (2, "09-14", "09-15T00:00"),
        (3, "09-14", "09-14T10:00"),
        (4, "09-01", "08-31T23:59"),
    ):
        task_id = await _owe(api, no, "water", due_on, round_no=round_no)
        await api.casefile.decide(task_id, {"code": "answered"}, by="water", at=_at(at))
    await _owe(api, no, "water", "09-15", round_no=5)
    await _owe(api, no, "police", "09-17")
    # Late as well, and shown by its light; but no permit.
    survey = new_task(no, TaskKind.SURVEY, due_on=date(2026, 9, 15))
    await api.casefile.open_task(replace(survey, owed_by="police"))
    asked = {"from": "2026-09-01", "to": "2026-09-30"}
    departments = {
        each["agency"]: (each["done"], each["late"], each["on_time_rate"], each["late_open"])
        for each in (await _summary(api, **asked))["departments"]
    }
    assert departments["water"] == (3, 1, 0.6667, 1)
    assert departments["police"] == (0, 0, None, 0)
    assert set(departments) >= {"natural-resources", "urban-management", "transport"}
    elsewhere = (await _summary(api, **asked, district="440803"))["departments"]
    assert {(each["done"], each["late_open"]) for each in elsewhere} == {(0, 0)}


@pytest.mark.rule("RB-1.4", "RB-5.1", "RB-11.1")
async def test_lights_are_counted_by_agency_and_said_in_words(api: Api) -> None:
    no: str = (await api.submit(HIGH)).json()["no"]
    for round_no, due_on in enumerate(("09-22", "09-18", "09-16", "09-15", None), start=1):
        await _owe(api, no, "water", due_on, round_no=round_no)
    await _owe(api, no, "police", None)
    water, police = sorted((await _summary(api))["lights"], key=lambda each: -each["green"])
    # Wednesday the 16th at noon: what is due today is not over yet.
    counted = {name: water[name] for name in ("green", "yellow", "red", "suspended")}
    assert counted == {"green": 1, "yellow": 2, "red": 1, "suspended": 1}
    assert water["most_urgent"] == {"due_on": "2026-09-15", "left": -1}
    assert water["words"] == {
        "zh": "绿灯1件，黄灯（剩余不超过2个工作日）2件，红灯（已逾期）1件，计时中止1件；"
        "最早一件2026-09-15到期，已超过1个工作日",
        "en": "1 green, 2 yellow (2 working days left at most), 1 red (overdue), 1 suspended; "
        "the earliest is due on 2026-09-15, 1 working day over",
    }
    assert (police["agency"], police["suspended"], police["most_urgent"]) == ("police", 1, None)
    api.now = _at("09-16T17:30:01")
    closed = (await _summary(api))["lights"]
    assert {each["agency"]: each["red"] for each in closed} == {"water": 2, "police": 0}


async def test_what_has_no_limit_or_is_not_owed_any_more_has_no_light(api: Api) -> None:
    no: str = (await api.submit(HIGH)).json()["no"]
    unlimited = replace(new_task(no, due_on=None), limit_working_days=None)
    await api.casefile.open_task(unlimited)
    done = await _owe(api, no, "water", "09-15")
    await api.casefile.decide(done, {"code": "answered"}, by="water", at=NOON)
    assert (await _summary(api))["lights"] == []


# ---------------------------------------------------------------- who asks, and for what


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", ["desk", GROUP, "government-services-data"])
async def test_the_desk_and_supervisors_see_it(api: Api, agency: str) -> None:
    assert (await _summary(api, agency))["civil_now"] == "2026-09-16T12:00:00+08:00"


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", ["utility", "applicant", "water"])
async def test_others_do_not(api: Api, agency: str) -> None:
    problem(await api.call("GET", SUMMARY, agency), 403, "not-allowed")


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"from": "2026-09-17"}, ["from"]),
        ({"from": "2026-09-02", "to": "2026-09-01"}, ["from"]),
        ({"from": "2026-02-30"}, ["from"]),
        ({"from": "1790000000"}, ["from"]),
        ({"to": "2026-09-16T00:00:00"}, ["to"]),
        ({"to": "16.9.2026"}, ["to"]),
        ({"to": ""}, ["to"]),
        ({"from": "1900-01-01"}, ["from"]),
        ({"to": "9999-12-31"}, ["from", "to"]),
        ({"district": "440999"}, ["district"]),
        ({"district": "4408020"}, ["district"]),
        ({"district": "\x00"}, ["district"]),
        ({"from": "2026-09-02", "to": "2026-09-01", "district": "x"}, ["from", "district"]),
        ({"until": "2026-09-01"}, ["until"]),
    ],
)
async def test_a_period_or_district_that_makes_no_sense_is_named(
    api: Api, asked: dict[str, str], named: list[str]
) -> None:
    answer = await api.call("GET", SUMMARY, GROUP, params=asked)
    assert fields(problem(answer, 422, "invalid-input")) == named
