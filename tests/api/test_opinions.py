"""Opinions by a link: one secret, one answer, on record; nothing is decided by it (征求意见)."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any

import pytest

from domain.connection import TaskKind
from domain.opinions import MOST_OPEN
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, SEGMENT, new_task
from tests.support.databases import connected, rows
from tests.support.serving import Api

ITEM = "占用、挖掘城市道路审批"
ANSWERED: dict[str, Any] = {
    "code": "answered",
    "items": [{"item": ITEM, "outcome": "approved", "document_no": "示例〔2026〕1号"}],
}
QUESTION: dict[str, Any] = {
    "unit": "示例路灯管理所",
    "question": "开挖是否影响路灯线缆？",
    "answer_by": "2026-09-18",
}
SAID: dict[str, Any] = {"opinion": "remarks", "text": "请先交底。", "by_unit": "示例路灯所"}
AGREED: dict[str, Any] = {"opinion": "agree", "by_unit": "示例路灯所"}


@pytest.fixture
async def no(api: Api) -> str:
    number: str = (await api.submit(HIGH)).json()["no"]
    return number


@pytest.fixture
async def task(api: Api, no: str) -> str:
    design = await api.casefile.open_task(new_task(no, TaskKind.LINE_DESIGN))
    route = {"code": "designed", "route": {"segments": [dict(SEGMENT)]}}
    await api.casefile.decide(design.id, route, by="utility", at=NOON)
    new = new_task(no, TaskKind.PERMITS, department="water", items=(ITEM,))
    return (await api.casefile.open_task(new)).id


async def _ask(
    api: Api, task: str, body: object = QUESTION, key: str = "q-1", agency: str | None = "water"
) -> Any:
    return await api.call("POST", f"/api/v1/tasks/{task}/opinions", agency, key=key, json=body)


async def _give(api: Api, link: str, body: object = SAID) -> Any:
    return await api.call("PUT", link, None, json=body)


@pytest.fixture
async def link(api: Api, task: str) -> str:
    answer = await _ask(api, task)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["link"]
    return found


async def _listed(api: Api, task: str, agency: str = "water") -> Any:
    return (await api.call("GET", f"/api/v1/tasks/{task}/opinions", agency)).json()


def _on(api: Api, text: str) -> None:
    api.now = datetime.fromisoformat(text)


async def test_a_unit_sees_by_its_link_what_it_is_asked_and_where(api: Api, link: str) -> None:
    answer = await api.call("GET", link, None)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    route = answer.json().pop("route")
    assert answer.json() == {
        **QUESTION,
        "asked_by": {"zh": "市水务局", "en": "Water Affairs Bureau"},
        "task": {
            "zh": "外线工程并联审批（市水务局）",
            "en": "Permits for the external line (Water Affairs Bureau)",
        },
        "address": HIGH["site"]["address"],
        "district": "440802",
        "route": route,
        "opinion": None,
        "text": None,
        "by_unit": None,
        "answered_at": None,
    }
    assert route["segments"][0]["length_m"] == SEGMENT["length_m"]


@pytest.mark.rule("RB-13.1")
async def test_a_link_shows_nothing_of_the_applicant(api: Api, link: str) -> None:
    shown = (await api.call("GET", link, None)).text
    for name in ("name", "id_number", "phone"):
        assert HIGH["applicant"][name] not in shown
    assert "630" not in shown


async def test_an_opinion_is_given_once_and_the_agency_is_told(
    api: Api, no: str, task: str, link: str
) -> None:
    _on(api, "2026-09-17T10:00:00+08:00")
    given = await _give(api, link)
    assert given.status_code == 200
    assert {name: given.json()[name] for name in SAID} == SAID
    assert given.json()["answered_at"] == "2026-09-17T10:00:00+08:00"
    assert (await api.call("GET", link, None)).json() == given.json()
    (listed,) = await _listed(api, task)
    assert listed == {
        "number": 1,
        **QUESTION,
        "asked_by": "water",
        "asked_at": "2026-09-16T12:00:00+08:00",
        "state": "answered",
        **SAID,
        "answered_at": "2026-09-17T10:00:00+08:00",
    }
    (notice,) = (await api.call("GET", "/api/v1/notices", "water")).json()["items"]
    assert (notice["kind"], notice["task_id"]) == ("opinion_given", task)
    assert (notice["body"]["number"], notice["body"]["opinion"]) == (1, "remarks")
    events = (await api.call("GET", f"/api/v1/applications/{no}/events")).json()
    assert [event["kind"] for event in events[-2:]] == ["opinion_asked", "opinion_given"]
    assert [event["by"] for event in events[-2:]] == ["water", "outside-unit"]
    assert await api.first_break() is None


@pytest.mark.rule("RB-4.5", "RB-5.3")
@pytest.mark.parametrize("opinion", ["agree", "disagree"])
async def test_an_opinion_decides_nothing_and_stops_no_clock(
    api: Api, task: str, link: str, opinion: str
) -> None:
    before = (await api.call("GET", f"/api/v1/tasks/{task}")).json()
    await _give(api, link, {**SAID, "opinion": opinion})
    assert (await api.call("GET", f"/api/v1/tasks/{task}")).json() == before
    assert before["state"] == "open"
    assert (await api.answer(task, ANSWERED, "water")).status_code == 202


async def test_the_same_opinion_again_is_taken_again_and_another_is_refused(
    api: Api, task: str, link: str
) -> None:
    first = await _give(api, link, AGREED)
    before = rows(api.url)
    _on(api, "2026-09-30T10:00:00+08:00")
    again = await _give(api, link, {**AGREED, "text": None})
    assert (again.status_code, again.json()) == (200, first.json())
    problem(
        await _give(api, link, {**AGREED, "opinion": "disagree", "text": "否"}), 409, "other-reply"
    )
    problem(await _give(api, link, {**AGREED, "by_unit": "别的单位"}), 409, "other-reply")
    assert rows(api.url) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "opinion"),
        ({**SAID, "opinion": "perhaps"}, "opinion"),
        ({**SAID, "opinion": 1}, "opinion"),
        ({**SAID, "text": None}, "text"),
        ({**SAID, "text": " "}, "text"),
        ({**SAID, "text": "长" * 2001}, "text"),
        ({**SAID, "text": "\x00"}, "text"),
        ({**SAID, "text": "\ud800"}, "text"),
        ({"opinion": "disagree", "by_unit": "示例"}, "text"),
        ({"opinion": "agree"}, "by_unit"),
        ({**SAID, "by_unit": " "}, "by_unit"),
        ({**SAID, "phone": "13800000001"}, "phone"),
    ],
)
async def test_an_opinion_that_makes_no_sense_is_refused_and_changes_nothing(
    api: Api, link: str, body: object, field: str
) -> None:
    before = rows(api.url)
    assert field in fields(problem(await _give(api, link, body), 422, "invalid-input"))
    assert rows(api.url) == before


async def test_a_link_is_good_until_the_end_of_its_last_day(api: Api, task: str, link: str) -> None:
    _on(api, "2026-09-18T23:59:59+08:00")
    assert (await api.call("GET", link, None)).status_code == 200
    assert (await _listed(api, task))[0]["state"] == "open"
    _on(api, "2026-09-19T00:00:00+08:00")
    before = rows(api.url)
    for answer in (await api.call("GET", link, None), await _give(api, link)):
        closed = problem(answer, 410, "opinion-closed")
        assert closed["closed_by"] == "answer_by"
        assert "2026-09-18" in closed["detail"] and "2026-09-18" in closed["detail_zh"]
    assert (await _listed(api, task))[0]["state"] == "closed"
    assert rows(api.url) == before


async def test_a_link_ends_with_the_task(api: Api, no: str, task: str, link: str) -> None:
    await api.answer(task, ANSWERED, "water")
    before = rows(api.url)
    for answer in (await api.call("GET", link, None), await _give(api, link)):
        assert problem(answer, 410, "opinion-closed")["closed_by"] == "decided"
    assert (await _listed(api, task))[0]["state"] == "closed"
    assert rows(api.url) == before


async def test_a_link_ends_with_the_case(api: Api, no: str, task: str, link: str) -> None:
    await api.casefile.end(no, "withdrawn", at=NOON, action_id=None)
    assert problem(await _give(api, link), 410, "opinion-closed")["closed_by"] == "withdrawn"


@pytest.mark.parametrize("token", ["x", "0" * 43, "%00", "%ED%A0%80", "a%0Ab", "q-1", "1"])
async def test_an_unknown_link_is_not_found_and_not_repeated(
    api: Api, link: str, token: str
) -> None:
    before = rows(api.url)
    for answer in (
        await api.call("GET", f"/api/v1/opinions/{token}", None),
        await _give(api, f"/api/v1/opinions/{token}"),
    ):
        unknown = problem(answer, 404, "unknown-link")
        assert len(token) < 5 or token not in str(unknown)
    assert rows(api.url) == before


# ---------------------------------------------------------------- asking


async def test_a_link_is_shown_once(api: Api, task: str, link: str) -> None:
    assert re.fullmatch(r"/api/v1/opinions/[A-Za-z0-9_-]{43}", link)
    before = rows(api.url)
    _on(api, "2026-09-30T10:00:00+08:00")
    again = await _ask(api, task)
    assert (again.status_code, again.json()["link"], again.json()["number"]) == (200, None, 1)
    problem(await _ask(api, task, {**QUESTION, "unit": "示例街道办"}), 409, "key-reused")
    assert rows(api.url) == before
    assert "link" not in (await _listed(api, task))[0]


async def test_every_question_has_a_link_of_its_own(api: Api, task: str, link: str) -> None:
    other = (await _ask(api, task, key="q-2")).json()
    assert (other["number"], other["link"] == link) == (2, False)
    await _give(api, other["link"], AGREED)
    assert [each["state"] for each in await _listed(api, task)] == ["open", "answered"]
    assert (await api.call("GET", link, None)).json()["opinion"] is None


@pytest.mark.rule("RB-13.3")
async def test_the_secret_of_a_link_is_nowhere(
    api: Api, no: str, task: str, link: str, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    await _give(api, link)
    await _give(api, link, AGREED)
    token = link.rpartition("/")[2]
    assert token not in str(rows(api.url))
    assert hashlib.sha256(token.encode()).hexdigest() in str(rows(api.url)["opinions"])
    events = (await api.call("GET", f"/api/v1/applications/{no}/events")).text
    assert hashlib.sha256(token.encode()).hexdigest() not in events
    assert SAID["text"] not in events
    assert token not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer_by": "2026-09-15"}, "answer_by"),
        ({"answer_by": "2027-10-01"}, "answer_by"),
        ({"answer_by": "20260918"}, "answer_by"),
        ({"answer_by": None}, "answer_by"),
        ({"unit": " "}, "unit"),
        ({"unit": "长" * 201}, "unit"),
        ({"question": ""}, "question"),
        ({"question": "\n"}, "question"),
        ({"question": "\ud800"}, "question"),
        ({"secret": "x"}, "secret"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_and_changes_nothing(
    api: Api, task: str, changes: dict[str, Any], field: str
) -> None:
    before = rows(api.url)
    answer = await _ask(api, task, {**QUESTION, **changes})
    assert fields(problem(answer, 422, "invalid-input")) == [field]
    assert rows(api.url) == before


async def test_only_the_agency_that_owes_the_task_asks(api: Api, task: str) -> None:
    before = rows(api.url)
    problem(await _ask(api, task, agency="transport"), 403, "not-your-task")
    problem(await _ask(api, task, agency="desk"), 403, "not-your-task")
    problem(await _ask(api, task, agency=None), 401, "not-signed-in")
    problem(await _ask(api, "nothing"), 404, "unknown-task")
    problem(await _ask(api, "a%00b"), 404, "unknown-task")
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_opinions_are_seen_by_the_agency_and_overseers(
    api: Api, task: str, link: str
) -> None:
    for agency in ("water", "desk", "special-group"):
        assert len(await _listed(api, task, agency)) == 1
    path = f"/api/v1/tasks/{task}/opinions"
    for agency in ("transport", "utility", "applicant"):
        problem(await api.call("GET", path, agency), 403, "not-your-task")


async def test_what_is_decided_is_not_asked_about(api: Api, task: str) -> None:
    await api.answer(task, ANSWERED, "water")
    before = rows(api.url)
    problem(await _ask(api, task), 409, "task-closed")
    assert rows(api.url) == before


async def test_so_many_opinions_are_awaited_and_no_more(api: Api, task: str) -> None:
    links = [(await _ask(api, task, key=f"q-{n}")).json()["link"] for n in range(MOST_OPEN)]
    before = rows(api.url)
    refused = problem(await _ask(api, task, key="more"), 409, "limit-reached")
    assert refused["limit"] == MOST_OPEN
    assert rows(api.url) == before
    await _give(api, links[0])
    assert (await _ask(api, task, key="more")).status_code == 201
    problem(await _ask(api, task, key="yet-more"), 409, "limit-reached")
    # Those whose day has passed are awaited no longer.
    _on(api, "2026-09-19T10:00:00+08:00")
    later = {**QUESTION, "answer_by": "2026-09-30"}
    assert (await _ask(api, task, later, key="yet-more")).status_code == 201


# ---------------------------------------------------------------- the record


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE opinions SET opinion = 'agree'", "what was said"),
        ("UPDATE opinions SET text = '同意'", "what was said"),
        ("UPDATE opinions SET by_unit = '别的单位'", "what was said"),
        ("UPDATE opinions SET question = '别的问题'", "what was asked"),
        ("UPDATE opinions SET answer_by = '2027-01-01'", "what was asked"),
        ("UPDATE opinions SET token_sha256 = 'forged'", "what was asked"),
        ("UPDATE opinions SET asked_by = 'transport'", "what was asked"),
        ("UPDATE opinions SET answered_at = NULL", "what was said"),
        ("UPDATE opinions SET number = 2", "taken out"),
        ("DELETE FROM opinions", "taken out"),
        ("DELETE FROM notices", "taken out"),
    ],
)
async def test_a_changed_opinion_is_found(
    api: Api, task: str, link: str, statement: str, why: str
) -> None:
    await _give(api, link)
    with connected(api.url) as connection:
        connection.exec_driver_sql(statement)
    found = await api.first_break()
    assert found is not None
    assert why in found.why


@pytest.mark.rule("RB-13.2")
async def test_an_answer_that_no_event_tells_of_is_found(api: Api, task: str, link: str) -> None:
    with connected(api.url) as connection:
        connection.exec_driver_sql("UPDATE opinions SET opinion = 'agree', by_unit = '示例'")
    found = await api.first_break()
    assert found is not None
    assert "no event" in found.why
