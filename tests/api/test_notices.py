"""Supervision notices: seen by whom they are for, acknowledged, replied to once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest

from storage.reading import CaseRecord
from storage.records import Supervision, TaskRecord
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, new_task, red
from tests.support.databases import rows
from tests.support.serving import Api

NOTICES = "/api/v1/notices"


def _red(_case: CaseRecord, tasks: Sequence[TaskRecord]) -> list[Supervision]:
    return [
        red(each, step="red.1", recipient="special-group", reply_by=date(2026, 9, 17))
        for each in tasks
    ]


@pytest.fixture
async def notice(api: Api) -> str:
    """A notice to the special group about a case of the desk."""
    no = (await api.submit(HIGH)).json()["no"]
    task = await api.casefile.open_task(new_task(no))
    for _ in range(2):
        await api.casefile.supervise(no, _red, at=NOON)
    return f"ladder.{task.id}.red.1"


@pytest.mark.rule("RB-5.2", "RB-5.4")
async def test_a_notice_is_seen_once_by_whom_it_is_for(api: Api, notice: str) -> None:
    for agency in ("special-group", "desk"):
        (shown,) = (await api.call("GET", NOTICES, agency)).json()["items"]
        assert (shown["id"], shown["kind"]) == (notice, "supervision")
        assert (shown["reply_by"], shown["acknowledged_at"]) == ("2026-09-17", None)
    assert (await api.call("GET", NOTICES, "water")).json()["items"] == []


@pytest.mark.rule("RB-5.2")
async def test_a_notice_is_acknowledged_and_replied_to(api: Api, notice: str) -> None:
    for _ in range(2):
        answer = await api.call("PUT", f"{NOTICES}/{notice}/acknowledgement", "special-group")
        assert answer.status_code == 200, answer.text
        assert answer.json()["acknowledged_at"] == "2026-09-16T12:00:00+08:00"
    path = f"{NOTICES}/{notice}/reply"
    for _ in range(2):
        answer = await api.call("PUT", path, "special-group", json={"reply": "已督促，明日办结。"})
        assert (answer.status_code, answer.json()["reply"]) == (200, "已督促，明日办结。")
    problem(
        await api.call("PUT", path, "special-group", json={"reply": "另一答复"}), 409, "other-reply"
    )
    no = answer.json()["case_no"]
    events = (await api.call("GET", f"/api/v1/applications/{no}/events")).json()
    assert [each["kind"] for each in events[2:]] == [
        "supervision_sent",
        "notice_acknowledged",
        "notice_replied",
    ]


async def test_a_reply_acknowledges(api: Api, notice: str) -> None:
    path = f"{NOTICES}/{notice}/reply"
    answer = await api.call("PUT", path, "special-group", json={"reply": "已督促"})
    assert answer.json()["acknowledged_by"] == "special-group"


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", ["desk", "water", "utility"])
async def test_only_the_recipient_answers(api: Api, notice: str, agency: str) -> None:
    before = rows(api.url)
    for part, body in (("acknowledgement", None), ("reply", {"reply": "示例"})):
        answer = await api.call("PUT", f"{NOTICES}/{notice}/{part}", agency, json=body)
        problem(answer, 404, "unknown-notice")
    assert rows(api.url) == before


@pytest.mark.parametrize("body", [{}, {"reply": ""}, {"reply": 1}, {"reply": "\x00"}])
async def test_a_reply_without_words_is_refused(api: Api, notice: str, body: object) -> None:
    answer = await api.call("PUT", f"{NOTICES}/{notice}/reply", "special-group", json=body)
    assert fields(problem(answer, 422, "invalid-input")) == ["reply"]
