"""Anyone can ask why this date (RB-1.8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import httpx2
import pytest

from api.calendar import LAST_DAY, MOST_INTERVALS, MOST_WORKING_DAYS
from api.calendar_schemas import CALENDAR_EXAMPLES, DeadlineBody
from api.services import Services
from domain.working_time import ReceiptRule
from tests.api.answers import fields, problem
from tests.support.serving import Api

DEADLINE = "/api/v1/calendar/deadline"


async def ask(api: Api, **query: object) -> httpx2.Response:
    """Ask without a key; `from_` stands for `from`."""
    params = {name.rstrip("_"): str(value) for name, value in query.items()}
    return await api.call("GET", DEADLINE, None, params=params)


async def answered(api: Api, **query: object) -> dict[str, Any]:
    answer = await ask(api, **query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    DeadlineBody.model_validate(body)
    return body


@pytest.mark.rule("RB-1.8")
async def test_anyone_gets_the_date_the_days_and_the_words(api: Api) -> None:
    body = await answered(api, from_="2026-09-24", working_days=8)
    assert (body["from"], body["received_on"]) == ("2026-09-24", "2026-09-24")
    assert body["received_weekday"] == {"zh": "周四", "en": "Thursday"}
    assert (body["due_on"], body["working_days"]) == ("2026-10-13", 8)
    assert body["due_weekday"] == {"zh": "周二", "en": "Tuesday"}
    assert (body["is_provisional"], body["calendar_version"]) == (False, "cn-2026.1")
    assert list(body["notices"]) == ["2026"]
    first = date(2026, 9, 25).toordinal()
    assert [day["date"] for day in body["days"]] == [
        date.fromordinal(first + n).isoformat() for n in range(19)
    ]
    assert body["days"][15] == {
        "date": "2026-10-10",
        "weekday": {"zh": "周六", "en": "Saturday"},
        "kind": "make_up",
        "verdict": "counted",
        "count": 6,
        "is_published": True,
    }
    assert "2026年10月13日（周二）" in "".join(body["words"]["zh"])
    assert "Tuesday 13 October 2026" in "".join(body["words"]["en"])


@pytest.mark.rule("RB-1.6")
@pytest.mark.rule("RB-1.8")
async def test_over_an_unpublished_year_the_answer_is_provisional(api: Api) -> None:
    body = await answered(api, from_="2026-12-24", working_days=6)
    assert (body["due_on"], body["is_provisional"]) == ("2027-01-01", True)
    assert (body["notices"]["2027"], body["days"][-1]["is_published"]) == (None, False)


@pytest.mark.rule("RB-1.8")
@pytest.mark.rule("RB-1.9")
@pytest.mark.parametrize(
    ("excluded", "due_on"),
    [
        ("", "2026-09-18"),
        ("2026-09-16..2026-09-16", "2026-09-18"),
        ("2026-09-15..2026-09-17", "2026-09-21"),
        ("2026-09-15..2026-09-16, 2026-09-16..2026-09-17", "2026-09-21"),
        (",".join(["2026-09-15..2026-09-17"] * MOST_INTERVALS), "2026-09-21"),
    ],
)
async def test_excluded_time_moves_the_date(api: Api, excluded: str, due_on: str) -> None:
    body = await answered(api, from_="2026-09-14", working_days=4, excluded=excluded)
    assert body["due_on"] == due_on


@pytest.mark.rule("RB-1.1")
@pytest.mark.parametrize(
    ("asked", "shown", "received_on"),
    [
        ("2020-09-30T17:00:00Z", "2020-10-01T01:00:00+08:00", "2020-10-01"),
        ("2020-09-30t15:59:59.999999999z", "2020-09-30T23:59:59+08:00", "2020-09-30"),
        ("2020-09-30T18:10:00+08:00", "2020-09-30T18:10:00+08:00", "2020-09-30"),
    ],
)
async def test_an_instant_counts_from_its_civil_date(
    api: Api, asked: str, shown: str, received_on: str
) -> None:
    body = await answered(api, from_=asked, working_days=5)
    assert (body["from"], body["received_on"]) == (shown, received_on)


@pytest.mark.rule("RB-1.5")
@pytest.mark.parametrize(
    ("asked", "received_on", "due_on"),
    [
        ("2020-09-30T18:10:00+08:00", "2020-10-09", "2020-10-15"),
        ("2020-09-30T17:30:00+08:00", "2020-09-30", "2020-10-14"),
        ("2020-09-30", "2020-09-30", "2020-10-14"),  # a date has no hour
    ],
)
async def test_the_policys_rule_of_receipt_is_applied_to_an_instant(
    api: Api, asked: str, received_on: str, due_on: str
) -> None:
    services: Services = api.app.state.services
    working_time = services.policy.working_time.model_copy(
        update={"receipt": ReceiptRule.NEXT_OPEN}
    )
    policy = services.policy.model_copy(update={"working_time": working_time})
    api.app.state.services = replace(services, policy=policy)
    body = await answered(api, from_=asked, working_days=5)
    assert (body["received_on"], body["due_on"]) == (received_on, due_on)
    assert ("18:10" in body["words"]["zh"][0]) is (received_on == "2020-10-09")


@pytest.mark.parametrize(
    ("from_", "working_days"),
    [("1950-01-01", 1), (LAST_DAY, MOST_WORKING_DAYS), ("2999-12-31T23:59:59-23:59", 400)],
)
async def test_the_widest_questions_are_answered(
    api: Api, from_: date | str, working_days: int
) -> None:
    body = await answered(api, from_=from_, working_days=working_days)
    assert body["days"][-1]["count"] == working_days


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no start": ({"from_": ""}, ["from"]),
    "words": ({"from_": "tomorrow"}, ["from"]),
    "no dashes": ({"from_": "20260914"}, ["from"]),
    "a week": ({"from_": "2026-W38-1"}, ["from"]),
    "other digits": ({"from_": "２０２６-09-14"}, ["from"]),
    "a line too many": ({"from_": "2026-09-14\n"}, ["from"]),
    "no such date": ({"from_": "2026-02-30"}, ["from"]),
    "no such time": ({"from_": "2026-09-14T25:00:00Z"}, ["from"]),
    "no such offset": ({"from_": "2026-09-14T10:00:00+24:00"}, ["from"]),
    "a naive instant": ({"from_": "2026-09-14T10:00:00"}, ["from"]),
    "an instant without seconds": ({"from_": "2026-09-14T10:00Z"}, ["from"]),
    "a plus lost in the address": ({"from_": "2026-09-14T10:00:00 08:00"}, ["from"]),
    "the first year": ({"from_": "0001-01-01"}, ["from"]),
    "the first instant": ({"from_": "0001-01-01T00:00:00+14:00"}, ["from"]),
    "the last year": ({"from_": "9999-12-31"}, ["from"]),
    "the last instant": ({"from_": "9999-12-31T23:59:59-12:00"}, ["from"]),
    "a long text": ({"from_": "2" * 41}, ["from"]),
    "no days": ({"working_days": 0}, ["working_days"]),
    "too many days": ({"working_days": MOST_WORKING_DAYS + 1}, ["working_days"]),
    "half a day": ({"working_days": "1.5"}, ["working_days"]),
    "one date": ({"excluded": "2026-09-15"}, ["excluded"]),
    "three dates": ({"excluded": "2026-09-15..2026-09-16..2026-09-17"}, ["excluded"]),
    "an open interval": ({"excluded": "2026-09-15.."}, ["excluded"]),
    "a comma too many": ({"excluded": "2026-09-15..2026-09-16,"}, ["excluded"]),
    "instants": ({"excluded": "2026-09-15T10:00:00Z..2026-09-16T10:00:00Z"}, ["excluded"]),
    "no such end": ({"excluded": "2026-09-15..2026-09-31"}, ["excluded"]),
    "backwards": ({"excluded": "2026-09-16..2026-09-15"}, ["excluded"]),
    "until the last year": ({"excluded": "2026-09-15..9999-12-31"}, ["excluded"]),
    "for centuries": ({"excluded": f"2026-09-15..{LAST_DAY}"}, ["excluded"]),
    "too many": (
        {"excluded": ",".join(["2026-09-15..2026-09-16"] * (MOST_INTERVALS + 1))},
        ["excluded"],
    ),
    "two at fault": (
        {"excluded": "x,2026-09-15..2026-09-16,2026-09-16..2026-09-15"},
        ["excluded", "excluded"],
    ),
    "a long list": ({"excluded": "," * 1001}, ["excluded"]),
    "all of it": ({"from_": "x", "excluded": "x"}, ["from", "excluded"]),
    "another name": ({"until": "2026-09-15"}, ["until"]),
}


@pytest.mark.rule("RB-1.8")
@pytest.mark.parametrize("name", BAD)
async def test_a_bad_question_is_refused_by_field(api: Api, name: str) -> None:
    changes, named = BAD[name]
    answer = await ask(api, **{"from_": "2026-09-14", "working_days": 5, **changes})
    assert fields(problem(answer, 422, "invalid-input")) == named


async def test_a_question_needs_a_start_and_a_limit(api: Api) -> None:
    refused = problem(await api.call("GET", DEADLINE, None), 422, "invalid-input")
    assert fields(refused) == ["from", "working_days"]


@pytest.mark.parametrize(
    ("changes", "en", "zh"),
    [
        ({"from_": "2026-09-14T10:00:00"}, "needs its offset", "须带时区"),
        ({"excluded": "2026-09-16..2026-09-15"}, "interval 1: it ends before", "第 1 段：结束日期"),
        ({"excluded": f"2026-09-15..{LAST_DAY}"}, "exclude less", "请缩短扣除时间"),
    ],
)
async def test_a_refusal_says_what_to_do(
    api: Api, changes: dict[str, Any], en: str, zh: str
) -> None:
    answer = await ask(api, **{"from_": "2026-09-14", "working_days": 5, **changes})
    refused = problem(answer, 422, "invalid-input")
    assert en in refused["detail"] and zh in refused["detail_zh"]


async def test_the_example_is_what_is_answered(api: Api) -> None:
    (example,) = CALENDAR_EXAMPLES.values()
    body = await answered(api, from_=example["from"], working_days=example["working_days"])
    assert body == example
