"""What stands behind the figures: as many as they say, with the lights that each case shows."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from domain.connection import TaskKind
from storage.reading import CaseRecord
from storage.records import Supervision, TaskRecord
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, LOW, changed, new_task, red, result
from tests.support.serving import Api

SUPERVISION = "/api/v1/supervision"
GROUP = "special-group"
LIGHTS = ("red", "yellow", "green", "suspended", "none")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+08:00")


async def _get(api: Api, path: str, agency: str = GROUP, **asked: str) -> dict[str, Any]:
    answer = await api.call("GET", f"{SUPERVISION}/{path}", agency, params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _accepted(api: Api, key: str, at: datetime, content: Mapping[str, Any] = HIGH) -> str:
    api.now = at
    no: str = (await api.submit(content, key=key)).json()["no"]
    await api.casefile.accept(no, at=at, is_deemed=False, investment={"decision": "utility_pays"})
    return no


async def _paused(api: Api, task_id: str, at: datetime) -> None:
    """Have a department stop the clock of its task."""
    body = {"type": "correction-opened", "ground": "示例", "missing": ["示例"]}
    api.now = at
    path = f"/api/v1/tasks/{task_id}/events"
    answer = await api.call("POST", path, "water", key="pause", json=body)
    assert answer.status_code == 200, answer.text


async def _random_case(api: Api, some: random.Random, key: str) -> str:
    """Put a high-voltage case on file, with tasks that opened and ended as chance has it."""
    at = _at("08-03T09:00") + timedelta(days=some.randrange(20))
    no = await _accepted(api, key, at)
    kinds = (
        TaskKind.SUPPLY_PLAN,
        TaskKind.CONFIRM_PLAN,
        TaskKind.LINE_DESIGN,
        TaskKind.PERMITS,
        TaskKind.BUILD_LINE,
        TaskKind.CUSTOMER_WORKS,
        TaskKind.RECTIFICATION,
    )
    for round_no in range(1, some.randrange(2, 8)):
        kind = some.choice(kinds)
        opened = at + timedelta(days=some.randrange(20), hours=some.randrange(8))
        department = "water" if kind is TaskKind.PERMITS else None
        new = new_task(no, kind, round_no=round_no, department=department, at=opened)
        task = await api.casefile.open_task(new)
        if kind is TaskKind.PERMITS and some.random() < 0.4:
            await _paused(api, task.id, opened + timedelta(days=some.randrange(3)))
        if some.random() < 0.7:
            done = opened + timedelta(days=some.randrange(1, 9))
            await api.casefile.decide(task.id, {"code": "done"}, by=task.owed_by, at=done)
    return no


def _light_of(clock: Mapping[str, Any]) -> str:
    """Say what the page of a case shows of a clock, as supervision counts it."""
    if clock["light"] is None:
        return "none"
    if clock["light"] != "red" and clock["state"] == "suspended":
        return "suspended"
    return str(clock["light"])


@pytest.mark.rule("RB-5.1", "RB-11.1")
@pytest.mark.parametrize("seed", range(4))
async def test_lights_counted_are_those_that_each_case_shows(api: Api, seed: int) -> None:
    some = random.Random(seed)
    numbers = [await _random_case(api, some, f"key-{n}") for n in range(5)]
    numbers.append(await _accepted(api, "low", _at("09-01T09:00"), LOW))
    dual = changed(HIGH, "supply", "dual")
    numbers.append(await _accepted(api, "dual", _at("09-01T09:00"), dual))
    # After all of it, now and then, so that what is kept meanwhile is looked at, too.
    for day in range(0, 50, 7):
        api.now = _at("09-23T18:00") + timedelta(days=day)
        shown: Counter[tuple[str, str]] = Counter()
        by_case: Counter[str] = Counter()
        for no in numbers:
            clocks = [
                each
                for each in (await api.call("GET", f"/api/v1/applications/{no}/clocks")).json()
                if each["department"] is None and each["state"] != "stopped"
            ]
            lights = {_light_of(each) for each in clocks}
            shown.update((each["id"], _light_of(each)) for each in clocks)
            by_case[next((light for light in LIGHTS if light in lights), "none")] += 1
            (listed,) = [each for each in (await _get(api, "cases"))["items"] if each["no"] == no]
            assert [(each["id"], each["left"], each["light"]) for each in listed["clocks"]] == [
                (each["id"], each["left"], _light_of(each)) for each in clocks
            ]
        counted = (await _get(api, "summary"))["open_cases"]
        assert {light: counted[light] for light in LIGHTS if counted[light]} == by_case
        assert {
            (each["id"], light): each[light]
            for each in counted["clocks"]
            for light in LIGHTS
            if each[light]
        } == shown


@pytest.mark.rule("RB-2.2", "RB-11.2")
async def test_an_outsider_recomputes_the_means_of_months_from_the_events(api: Api) -> None:
    for key, clock, net, on, content in (
        ("a", "LV8", 4, "2026-07-31", LOW),
        ("b", "LV8", 6, "2026-08-01", LOW),
        ("c", "LV8", 11, "2026-08-31", LOW),
        ("d", "HV40", 40, "2026-08-31", HIGH),
        ("e", "HV40", 41, "2026-08-30", HIGH),
    ):
        no = (await api.submit(content, key=key)).json()["no"]
        stopped = replace(result(clock, net=net), stopped_on=date.fromisoformat(on))
        await api.casefile.end(no, "connected", at=api.now, action_id=None, stopped=[stopped])
    told: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for case in (await api.call("GET", "/api/v1/applications", GROUP)).json()["items"]:
        path = f"/api/v1/applications/{case['no']}/events"
        for event in (await api.call("GET", path, GROUP)).json():
            for clock, came_to in event["body"].get("clocks", {}).items():
                told[clock, came_to["stopped_on"][:7]].append(came_to["net"])
    summary = await _get(api, "summary", by_week="true")
    shown = {
        (clock["id"], month["month"]): (month["cases"], month["net"], month["mean"])
        for clock in summary["clocks"]
        for month in clock["months"]
    }
    assert shown == {
        key: (len(net), sum(net), float(round(Fraction(sum(net), len(net)), 2)))
        for key, net in told.items()
    }
    assert len(shown) == 3
    (low,) = [each for each in summary["clocks"] if each["id"] == "LV8"]
    assert [(each["week"], each["net"]) for each in low["weeks"]] == [
        ("2026-07-27", 10),
        ("2026-08-31", 11),
    ]


@pytest.mark.rule("RB-11.1")
async def test_ages_are_counted_in_working_days(api: Api) -> None:
    for key, submitted in (
        ("today", "09-16T08:00"),
        ("two", "09-14T23:00"),
        ("three", "09-11T09:00"),  # Friday; Monday, Tuesday, Wednesday
        ("over-forty", "07-01T09:00"),
    ):
        api.now = _at(submitted)
        no = (await api.submit(HIGH, key=key)).json()["no"]
        await api.casefile.open_task(new_task(no, at=_at(submitted)))
    api.now = _at("09-16T12:00")
    summary = await _get(api, "summary")
    for part in ("open_cases", "open_tasks"):
        ages = {each["age"]: each["total"] for each in summary[part]["ages"] if each["total"]}
        assert ages == {"0-2": 2, "3-5": 1, "over-40": 1}, part
    for path in ("cases", "tasks"):
        for age, count in (("0-2", 2), ("3-5", 1), ("6-10", 0), ("over-40", 1)):
            assert (await _get(api, path, age=age))["total"] == count


@pytest.mark.rule("RB-11.1")
async def test_an_event_is_seen_at_once(api: Api) -> None:
    no = (await api.submit(LOW)).json()["no"]
    assert (await _get(api, "summary"))["open_cases"]["total"] == 1
    assert (await _get(api, "summary"))["open_tasks"]["total"] == 0
    task = await api.casefile.open_task(new_task(no))
    assert (await _get(api, "summary"))["open_tasks"]["total"] == 1
    await api.casefile.decide(task.id, {"code": "accepted"}, by="desk", at=api.now)
    assert (await _get(api, "summary"))["open_tasks"]["total"] == 0
    await api.casefile.end(no, "withdrawn", at=api.now, action_id=None)
    assert (await _get(api, "summary"))["open_cases"]["total"] == 0


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("path", ["cases", "results", "tasks", "decisions"])
async def test_a_list_is_for_those_who_see_the_figures(api: Api, path: str) -> None:
    for agency in ("desk", GROUP):
        assert (await _get(api, path, agency))["items"] == []
    for agency in ("utility", "water", "applicant"):
        problem(await api.call("GET", f"{SUPERVISION}/{path}", agency), 403, "not-allowed")


@pytest.mark.parametrize(
    ("path", "asked", "named"),
    [
        ("cases", {"light": "blue"}, ["light"]),
        ("cases", {"age": "1-2"}, ["age"]),
        ("cases", {"district": "999999"}, ["district"]),
        ("cases", {"cursor": "x"}, ["cursor"]),
        ("tasks", {"kind": "x"}, ["kind"]),
        ("tasks", {"cursor": "fHx8"}, ["cursor"]),
        ("results", {"from": "2026-09-02", "to": "2026-09-01"}, ["from"]),
        ("results", {"limit_working_days": "-1"}, ["limit_working_days"]),
        ("results", {"cursor": "YXxifGN8ZA=="}, ["cursor"]),
        ("decisions", {"from": "x"}, ["from"]),
        ("decisions", {"cursor": "x"}, ["cursor"]),
        ("escalations", {"waiting": "x"}, ["waiting"]),
        ("escalations", {"cursor": "b3BlbnxtfHg="}, ["cursor"]),
    ],
)
async def test_what_makes_no_sense_is_named(
    api: Api, path: str, asked: dict[str, str], named: list[str]
) -> None:
    answer = await api.call("GET", f"{SUPERVISION}/{path}", GROUP, params=asked)
    assert fields(problem(answer, 422, "invalid-input")) == named


# ---------------------------------------------------------------- supervision notices


@pytest.fixture
async def notices(api: Api) -> list[str]:
    """Three notices of one case: overdue tomorrow, overdue now, and to another agency."""
    no = (await api.submit(HIGH)).json()["no"]
    task = await api.casefile.open_task(new_task(no))

    def due(_case: CaseRecord, tasks: Sequence[TaskRecord]) -> list[Supervision]:
        return [
            red(tasks[0], step=step, recipient=recipient, reply_by=on)
            for step, recipient, on in (
                ("red.0", "desk", date(2026, 9, 17)),
                ("red.1", "water", date(2026, 9, 15)),
                ("red.3", GROUP, date(2026, 9, 16)),
            )
        ]

    await api.casefile.supervise(no, due, at=_at("09-14T18:00"))
    return [f"ladder.{task.id}.{step}" for step in ("red.0", "red.1", "red.3")]


@pytest.mark.rule("RB-5.2", "RB-11.1")
async def test_notices_without_a_reply_come_first_by_the_day_it_is_due(
    api: Api, notices: list[str]
) -> None:
    tomorrow, overdue, today = notices
    found = await _get(api, "escalations")
    assert [each["id"] for each in found["items"]] == [overdue, today, tomorrow]
    assert [each["is_overdue"] for each in found["items"]] == [True, False, False]
    path = f"/api/v1/notices/{overdue}/reply"
    await api.call("PUT", path, "water", json={"reply": "示例"})
    found = await _get(api, "escalations")
    assert [each["id"] for each in found["items"]] == [today, tomorrow, overdue]
    assert found["items"][2]["reply"] == "示例"
    for waiting, count in (("open", 2), ("unacknowledged", 2), ("overdue", 0), ("answered", 1)):
        assert (await _get(api, "escalations", waiting=waiting))["total"] == count
    unanswered = (await _get(api, "summary"))["escalations"]
    assert unanswered == {"open": 2, "unacknowledged": 2, "overdue": 0}
    elsewhere = (await _get(api, "summary", district="440803"))["escalations"]
    assert elsewhere == {"open": 0, "unacknowledged": 0, "overdue": 0}


async def test_notices_page_through_everything_once(api: Api, notices: list[str]) -> None:
    await api.call("PUT", f"/api/v1/notices/{notices[0]}/reply", "desk", json={"reply": "示例"})
    seen: list[str] = []
    asked: dict[str, str] = {"limit": "1"}
    for _ in notices:
        found = await _get(api, "escalations", **asked)
        assert found["total"] == 3
        seen += [each["id"] for each in found["items"]]
        asked["cursor"] = found["next_cursor"] or ""
    assert found["next_cursor"] is None
    assert sorted(seen) == sorted(notices)


@pytest.mark.rule("RB-13.1")
async def test_an_agency_sees_its_own_notices_only(api: Api, notices: list[str]) -> None:
    found = await _get(api, "escalations", "water")
    assert [each["id"] for each in found["items"]] == [notices[1]]
    answer = await api.call(
        "GET", f"{SUPERVISION}/escalations", "water", params={"recipient": "desk"}
    )
    problem(answer, 403, "not-allowed")
    assert (await _get(api, "escalations", recipient="desk"))["total"] == 1
    assert (await _get(api, "escalations", case_no="ZJ1"))["total"] == 0
