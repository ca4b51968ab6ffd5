"""The inbox of a department without a system: who holds what, what is due first, many at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.connection import TaskKind
from domain.outcomes import Outcome
from storage.casefile import CaseFile
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, new_task
from tests.support.databases import connected, rows
from tests.support.serving import Api

ITEM = "占用、挖掘城市道路审批"
ACCEPTED = {"code": "accepted"}
ANSWERED: dict[str, Any] = {
    "code": "answered",
    "items": [{"item": ITEM, "outcome": "approved", "document_no": "示例〔2026〕1号"}],
}
CLAIMED = {"type": "claimed", "holder": "desk-2"}
REASSIGNED = {"type": "reassigned", "holder": "Chikan_office"}
HANDED_BACK = {"type": "handed-back"}


@pytest.fixture
async def no(api: Api) -> str:
    number: str = (await api.submit(HIGH)).json()["no"]
    return number


@pytest.fixture
async def papers(api: Api, no: str) -> str:
    return (await api.casefile.open_task(new_task(no))).id


async def _permits(
    api: Api, no: str, round_no: int = 1, due_on: date | None = date(2026, 9, 23)
) -> str:
    new = new_task(no, TaskKind.PERMITS, department="water", items=(ITEM,), round_no=round_no)
    return (await api.casefile.open_task(replace(new, due_on=due_on))).id


@pytest.fixture
async def task(api: Api, no: str) -> str:
    return await _permits(api, no)


async def _report(api: Api, task: str, body: object, key: str, agency: str = "water") -> Any:
    return await api.call("POST", f"/api/v1/tasks/{task}/events", agency, key=key, json=body)


async def _reported(api: Api, task: str, *bodies: object) -> Mapping[str, Any]:
    for position, body in enumerate(bodies):
        answer = await _report(api, task, body, f"r-{position}")
        assert answer.status_code == 200, answer.text
    shown: Mapping[str, Any] = answer.json()
    return shown


# ---------------------------------------------------------------- who holds it


async def test_a_task_is_claimed_passed_on_and_handed_back(api: Api, task: str) -> None:
    before = (await api.call("GET", f"/api/v1/tasks/{task}")).json()
    assert before["held_by"] is None
    for position, (body, holder) in enumerate(
        [(CLAIMED, "desk-2"), (REASSIGNED, "Chikan_office"), (HANDED_BACK, None)]
    ):
        shown = (await _report(api, task, body, f"r-{position}")).json()
        assert (shown["held_by"], shown["due_on"]) == (holder, before["due_on"])
        assert shown["calendar_version"] == before["calendar_version"]
    assert [(event["type"], event["holder"]) for event in shown["history"]] == [
        ("claimed", "desk-2"),
        ("reassigned", "Chikan_office"),
        ("handed-back", None),
    ]
    assert await api.unheard() == ()
    assert await api.first_break() is None


async def test_every_kind_of_task_can_be_claimed(api: Api, papers: str) -> None:
    shown = (await _report(api, papers, CLAIMED, "r-1", "desk")).json()
    assert shown["held_by"] == "desk-2"


async def test_the_same_holder_again_is_the_same_claim(api: Api, task: str) -> None:
    first = await _reported(api, task, CLAIMED)
    before = rows(api.url)
    for key in ("r-0", "another"):
        again = await _report(api, task, CLAIMED, key)
        assert (again.status_code, again.json()) == (200, first)
    assert rows(api.url) == before


@pytest.mark.parametrize(
    ("history", "body", "named"),
    [
        ([CLAIMED], {**CLAIMED, "holder": "desk-3"}, "desk-2"),
        ([CLAIMED, REASSIGNED], CLAIMED, "Chikan_office"),
        ([], REASSIGNED, "nobody"),
        ([CLAIMED, HANDED_BACK], HANDED_BACK, "nobody"),
    ],
)
async def test_what_somebody_holds_cannot_be_claimed_nor_nobodys_be_passed_on(
    api: Api, task: str, history: list[object], body: object, named: str
) -> None:
    if history:
        await _reported(api, task, *history)
    before = rows(api.url)
    refused = problem(await _report(api, task, body, "another"), 409, "illegal-report")
    assert named in refused["detail"]
    assert named in refused["detail_zh"] or named == "nobody"
    assert rows(api.url) == before


@pytest.mark.parametrize(
    "body",
    [
        {"type": "claimed"},
        {"type": "reassigned"},
        {**CLAIMED, "holder": "nobody"},
        {**CLAIMED, "holder": "李明"},
        {**CLAIMED, "holder": ""},
        {**CLAIMED, "holder": "-desk"},
        {**CLAIMED, "holder": "desk 2"},
        {**CLAIMED, "holder": "d" * 41},
        {**CLAIMED, "holder": "desk-2\n"},
        {**CLAIMED, "holder": 2},
        {**HANDED_BACK, "holder": "desk-2"},
        {"type": "accepted", "holder": "desk-2"},
    ],
)
async def test_a_holder_is_an_id_and_belongs_to_a_claim(
    api: Api, task: str, body: dict[str, Any]
) -> None:
    before = rows(api.url)
    assert fields(problem(await _report(api, task, body, "r-1"), 422, "invalid-input")) == [
        "holder"
    ]
    assert rows(api.url) == before


async def test_only_the_agency_that_owes_a_task_says_who_holds_it(api: Api, task: str) -> None:
    before = rows(api.url)
    problem(await _report(api, task, CLAIMED, "r-1", "transport"), 403, "not-your-task")
    problem(await _report(api, task, CLAIMED, "r-1", "desk"), 403, "not-your-task")
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_who_holds_a_task_is_the_agencys_own_affair(api: Api, no: str, task: str) -> None:
    await _reported(api, task, {"type": "accepted"}, CLAIMED)
    for agency, holder, events in (
        ("desk", "desk-2", ["accepted", "claimed"]),
        ("utility", None, ["accepted"]),
    ):
        (shown,) = (await api.call("GET", f"/api/v1/applications/{no}/tasks", agency)).json()
        assert shown["held_by"] == holder
        assert [event["type"] for event in shown["history"]] == events


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize("holder", ["'desk-9'", "NULL"])
async def test_a_changed_holder_is_found(api: Api, task: str, holder: str) -> None:
    await _reported(api, task, CLAIMED)
    with connected(api.url) as connection:
        connection.exec_driver_sql(f"UPDATE tasks SET held_by = {holder}")
    found = await api.first_break()
    assert found is not None
    assert "who holds" in found.why


# ---------------------------------------------------------------- what is in it


async def _listed(api: Api, query: str, agency: str = "water") -> list[str]:
    """Return ids of tasks, page by page of two."""
    found: list[str] = []
    cursor = ""
    while True:
        answer = await api.call("GET", f"/api/v1/tasks?limit=2{query}{cursor}", agency)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [task["id"] for task in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.fixture
async def inbox(api: Api, no: str) -> list[str]:
    """Five tasks of the water, by deadline; the last two have none."""
    due = [date(2026, 9, 22), None, date(2026, 9, 18), date(2026, 9, 22), None]
    ids = [await _permits(api, no, n, each) for n, each in enumerate(due, start=1)]
    return [ids[2], ids[0], ids[3], ids[1], ids[4]]


async def test_an_inbox_shows_what_is_due_first(api: Api, inbox: list[str]) -> None:
    assert await _listed(api, "&order=due") == inbox
    assert await _listed(api, "&order=due&state=open") == inbox
    assert await _listed(api, "&order=opened") == sorted(inbox)


async def test_an_inbox_is_asked_for_what_one_holds_and_what_nobody_does(
    api: Api, inbox: list[str]
) -> None:
    for task in (inbox[1], inbox[4]):
        await _reported(api, task, CLAIMED)
    assert await _listed(api, "&held_by=desk-2&order=due") == [inbox[1], inbox[4]]
    assert await _listed(api, "&held_by=nobody&order=due") == [inbox[0], inbox[2], inbox[3]]
    assert await _listed(api, "&held_by=desk-9") == []
    assert await _listed(api, "&held_by=desk-2", "transport") == []


async def test_an_inbox_is_asked_for_what_is_due_soon_and_of_one_kind(
    api: Api, inbox: list[str], papers: str
) -> None:
    assert await _listed(api, "&due_before=2026-09-22") == [inbox[0]]
    assert await _listed(api, "&due_before=2026-09-23&order=due") == inbox[:3]
    assert await _listed(api, "&kind=check_papers") == []
    assert await _listed(api, "&kind=check_papers&held_by=nobody", "desk") == [papers]
    assert set(await _listed(api, "&kind=permits", "desk")) == set(inbox)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("held_by=", "held_by"),
        ("held_by=%E6%9D%8E", "held_by"),
        ("held_by=a%00b", "held_by"),
        (f"held_by={'d' * 41}", "held_by"),
        ("due_before=tomorrow", "due_before"),
        ("due_before=1789000000", "due_before"),
        ("due_before=2026-09-31", "due_before"),
        ("kind=coffee", "kind"),
        ("order=late", "order"),
        ("order=due&cursor=MjAyNi0wOS0zMXx4", "cursor"),
        ("order=due&cursor=MjAyNjA5MTh8eA==", "cursor"),
        ("order=due&cursor=x", "cursor"),
        ("holder=desk-2", "holder"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    api: Api, inbox: list[str], query: str, field: str
) -> None:
    answer = await api.call("GET", f"/api/v1/tasks?{query}", "water")
    assert fields(problem(answer, 422, "invalid-input")) == [field]


async def test_a_cursor_of_one_order_is_none_of_the_other(api: Api, inbox: list[str]) -> None:
    for order, other in (("due", "opened"), ("opened", "due")):
        page = (await api.call("GET", f"/api/v1/tasks?limit=1&order={order}", "water")).json()
        path = f"/api/v1/tasks?order={other}&cursor={page['next_cursor']}"
        assert fields(problem(await api.call("GET", path, "water"), 422, "invalid-input")) == [
            "cursor"
        ]


# ---------------------------------------------------------------- many at once


async def _many(api: Api, sent: object, agency: str = "water") -> Any:
    return await api.call("POST", "/api/v1/tasks/outcomes", agency, json=sent)


def _sent(*answers: tuple[str, object]) -> dict[str, Any]:
    return {"outcomes": [{"task_id": task, "outcome": outcome} for task, outcome in answers]}


async def test_many_tasks_are_answered_each_for_itself(api: Api, no: str, papers: str) -> None:
    first, second, third = [await _permits(api, no, n) for n in (1, 2, 3)]
    other = {**ANSWERED, "items": [{**ANSWERED["items"][0], "document_no": "示例〔2026〕9号"}]}
    assert (await api.answer(second, other, "water")).status_code == 202
    await api.casefile.decide(third, ANSWERED, by="water", at=NOON)
    fourth, fifth = await _permits(api, no, 4), await _permits(api, no, 5)
    answer = await _many(
        api,
        _sent(
            (first, ANSWERED),
            (second, ANSWERED),
            (third, ANSWERED),
            (papers, ACCEPTED),
            ("nothing", ANSWERED),
            ("a\x00b", ANSWERED),
            (fourth, {"code": "perhaps"}),
            (fifth, ANSWERED),
        ),
    )
    assert answer.status_code == 200
    shown = answer.json()["outcomes"]
    assert [(each["status"], each["problem"] and each["problem"]["type"]) for each in shown] == [
        (202, None),
        (409, "/problems/other-outcome"),
        (202, None),
        (403, "/problems/not-your-task"),
        (404, "/problems/unknown-task"),
        (404, "/problems/unknown-task"),
        (422, "/problems/invalid-input"),
        (202, None),
    ]
    assert [each["task_id"] for each in shown][:3] == [first, second, third]
    for each in shown:
        assert (each["task"] is None) is (each["problem"] is not None)
    assert shown[0]["task"] == (await api.call("GET", f"/api/v1/tasks/{first}")).json()
    assert (await api.call("GET", f"/api/v1/tasks/{fourth}")).json()["state"] == "open"
    assert await api.first_break() is None


async def test_the_same_answers_again_change_nothing(api: Api, no: str) -> None:
    ids = [await _permits(api, no, n) for n in (1, 2)]
    body = _sent(*((each, ANSWERED) for each in ids), ("nothing", ANSWERED))
    first = await _many(api, body)
    before = rows(api.url)
    api.now = NOON + timedelta(hours=3)
    again = await _many(api, body)
    assert again.json() == first.json()
    assert rows(api.url) == before


async def test_a_refused_answer_says_what_it_would_have_said_alone(api: Api, task: str) -> None:
    wrong: list[object] = [
        {},
        [],
        None,
        "answered",
        {"code": "answered"},
        {"code": 1},
        {**ANSWERED, "stamp": "red"},
        {**ANSWERED, "items": [{"item": ITEM, "outcome": "refused"}]},
        {"code": "\ud800"},
    ]
    before = rows(api.url)
    for outcome in wrong:
        alone = await api.answer(task, outcome, "water")
        (shown,) = (await _many(api, _sent((task, outcome)))).json()["outcomes"]
        assert (shown["status"], shown["task"]) == (422, None)
        assert {**shown["problem"], "errors": None} == {**alone.json(), "errors": None}
        assert fields(shown["problem"]) == fields(alone.json())
    assert rows(api.url) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "outcomes"),
        ([], "(body)"),
        ({"outcomes": {}}, "outcomes"),
        ({"outcomes": []}, "outcomes"),
        ({"outcomes": [{"outcome": ANSWERED}]}, "outcomes.0.task_id"),
        ({"outcomes": [{"task_id": "x"}]}, "outcomes.0.outcome"),
        ({"outcomes": [{"task_id": 1, "outcome": ANSWERED}]}, "outcomes.0.task_id"),
        ({"outcomes": [{"task_id": "", "outcome": ANSWERED}]}, "outcomes.0.task_id"),
        ({"outcomes": [{"task_id": "\ud800", "outcome": ANSWERED}]}, "outcomes.0.task_id"),
        ({"outcomes": [{"task_id": "x", "outcome": {}, "at": "now"}]}, "outcomes.0.at"),
        ({"outcomes": ["x"]}, "outcomes.0"),
        ({**_sent(("x", ANSWERED)), "by": "water"}, "by"),
        (_sent(*((f"t-{n}", ANSWERED) for n in range(101))), "outcomes"),
        (_sent(("x", ANSWERED), ("y", ANSWERED), ("x", ANSWERED)), "outcomes.2.task_id"),
    ],
)
async def test_what_is_no_list_of_answers_is_refused_whole(
    api: Api, task: str, body: object, field: str
) -> None:
    before = rows(api.url)
    assert fields(problem(await _many(api, body), 422, "invalid-input")) == [field]
    assert rows(api.url) == before


async def test_a_hundred_answers_are_taken(api: Api, no: str) -> None:
    ids = [await _permits(api, no, n) for n in range(1, 101)]
    shown = (await _many(api, _sent(*((each, ANSWERED) for each in ids)))).json()["outcomes"]
    assert {each["status"] for each in shown} == {202}
    assert await _listed(api, "&state=open") == []


@pytest.mark.parametrize(
    ("failure", "status", "slug"),
    [
        (sa.exc.OperationalError("", {}, Exception()), 503, "case-file-away"),
        (ZeroDivisionError("张三"), 500, "internal"),
    ],
)
async def test_a_failure_stops_no_other_answer(
    api: Api,
    no: str,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    status: int,
    slug: str,
) -> None:
    first, second = await _permits(api, no, 1), await _permits(api, no, 2)
    judge = CaseFile.judge

    async def failing(file: CaseFile, task_id: str, *args: Any, **named: Any) -> Any:
        if task_id == first:
            raise failure
        return await judge(file, task_id, *args, **named)

    monkeypatch.setattr(CaseFile, "judge", failing)
    body = _sent((first, ANSWERED), (second, ANSWERED))
    shown = (await _many(api, body)).json()["outcomes"]
    assert [each["status"] for each in shown] == [status, 202]
    assert shown[0]["problem"]["type"] == f"/problems/{slug}"
    assert "张三" not in str(shown)
    monkeypatch.undo()
    again = (await _many(api, body)).json()["outcomes"]
    assert [each["status"] for each in again] == [202, 202]


async def test_without_a_key_nothing_is_answered(api: Api, task: str) -> None:
    body = _sent((task, ANSWERED))
    problem(await api.call("POST", "/api/v1/tasks/outcomes", None, json=body), 401, "not-signed-in")


def test_the_outcome_of_these_tests_is_one() -> None:
    Outcome.model_validate(ANSWERED)
