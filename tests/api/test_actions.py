"""Withdrawing: done by the process, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from activities.messages import CaseRef, Withdrawal
from api.delivery import Delivery
from api.engine import Engine
from domain.errors import EngineAway
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, LOW, NOON
from tests.support.databases import counts, rows
from tests.support.serving import Api, api_settings

WITHDRAW = {"action": "withdraw", "reason": "项目取消"}


@pytest.fixture
async def no(api: Api) -> str:
    number: str = (await api.submit(HIGH)).json()["no"]
    return number


async def test_a_withdrawal_without_the_engine_changes_nothing(api: Api, no: str) -> None:
    path = f"/api/v1/applications/{no}"
    before = [(await api.call("GET", path + part)).json() for part in ("", "/events")]
    for _ in range(2):
        answer = await api.call("POST", f"{path}/actions", key="key-2", json=WITHDRAW)
        problem(answer, 503, "engine-away")
        assert int(answer.headers["retry-after"]) > 0
    assert [(await api.call("GET", path + part)).json() for part in ("", "/events")] == before
    # What was asked is kept once, beside the record, so that asking again is the same action.
    assert (counts(api.url)["events"], counts(api.url)["actions"]) == (1, 1)


async def test_a_withdrawal_that_took_effect_is_answered_again(api: Api, no: str) -> None:
    path = f"/api/v1/applications/{no}/actions"
    await api.call("POST", path, key="key-2", json=WITHDRAW)
    (action,) = rows(api.url)["actions"]
    await api.casefile.end(no, "withdrawn", at=NOON, action_id=action[0])
    answer = await api.call("POST", path, key="key-2", json=WITHDRAW)
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["ending"]) == ("ended", "withdrawn")


async def test_a_key_reused_with_another_reason_is_refused(api: Api, no: str) -> None:
    path = f"/api/v1/applications/{no}/actions"
    await api.call("POST", path, key="key-2", json=WITHDRAW)
    before = rows(api.url)
    answer = await api.call("POST", path, key="key-2", json={**WITHDRAW, "reason": "其他原因"})
    problem(answer, 409, "key-reused")
    assert rows(api.url) == before


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["action", "reason"]),
        ({"action": "withdraw"}, ["reason"]),
        ({"action": "approve", "reason": "示例"}, ["action"]),
        ({**WITHDRAW, "reason": ""}, ["reason"]),
        ({**WITHDRAW, "reason": " "}, ["reason"]),
        ({**WITHDRAW, "reason": "长" * 501}, ["reason"]),
        ({**WITHDRAW, "reason": "\x00"}, ["reason"]),
        ({**WITHDRAW, "reason": "\ud800"}, ["reason"]),
        ({**WITHDRAW, "force": True}, ["force"]),
    ],
)
async def test_an_action_that_makes_no_sense_names_its_field(
    api: Api, no: str, body: object, named: list[str]
) -> None:
    before = rows(api.url)
    answer = await api.call("POST", f"/api/v1/applications/{no}/actions", key="k", json=body)
    assert fields(problem(answer, 422, "invalid-input")) == named
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_a_case_is_withdrawn_only_by_who_may(api: Api, no: str) -> None:
    path = f"/api/v1/applications/{no}/actions"
    before = rows(api.url)
    for agency in ("water", "utility", "special-group", "applicant"):
        answer = await api.call("POST", path, agency, key="key-2", json=WITHDRAW)
        problem(answer, 403, "not-allowed")
    assert rows(api.url) == before


async def test_an_ended_case_cannot_be_withdrawn(api: Api, no: str) -> None:
    await api.casefile.end(no, "connected", at=NOON, action_id=None)
    before = rows(api.url)
    path = f"/api/v1/applications/{no}/actions"
    refused = problem(await api.call("POST", path, key="key-2", json=WITHDRAW), 409, "case-ended")
    assert "connected" in refused["detail"]
    assert rows(api.url) == before


class _Process(Engine):
    """An engine that is back, with a process that withdraws at once."""

    def __init__(self, api: Api) -> None:
        super().__init__(api_settings(api.url))
        self._casefile = api.casefile
        self.heard: list[str] = []

    async def start(self, case: CaseRef) -> None:
        self.heard.append("start")

    async def withdraw(self, no: str, withdrawal: Withdrawal) -> None:
        self.heard.append("withdraw")
        await self._casefile.end(no, "withdrawn", at=NOON, action_id=withdrawal.action_id)


async def test_a_case_whose_process_waits_for_its_start_is_started_and_withdrawn(
    api: Api, no: str
) -> None:
    process = _Process(api)
    api.app.state.services = replace(
        api.app.state.services, engine=process, delivery=Delivery(api.casefile, process)
    )
    path = f"/api/v1/applications/{no}/actions"
    for _ in range(2):
        answer = await api.call("POST", path, key="key-2", json=WITHDRAW)
        assert (answer.status_code, answer.json()["ending"]) == (200, "withdrawn")
    assert process.heard == ["start", "withdraw"]


class _LosesTheAnswer(_Process):
    """An engine that loses the answer of a step that was done."""

    async def withdraw(self, no: str, withdrawal: Withdrawal) -> None:
        await super().withdraw(no, withdrawal)
        raise EngineAway("unexpected workflow task failure")


async def test_a_withdrawal_on_file_is_answered_though_the_engine_lost_it(
    api: Api, no: str
) -> None:
    process = _LosesTheAnswer(api)
    api.app.state.services = replace(
        api.app.state.services, engine=process, delivery=Delivery(api.casefile, process)
    )
    answer = await api.call(
        "POST", f"/api/v1/applications/{no}/actions", key="key-2", json=WITHDRAW
    )
    assert (answer.status_code, answer.json()["ending"]) == (200, "withdrawn")


async def test_an_unknown_case_cannot_be_withdrawn(api: Api) -> None:
    await api.submit(LOW)
    path = "/api/v1/applications/ZJ20260000029/actions"
    problem(await api.call("POST", path, key="k", json=WITHDRAW), 404, "unknown-case")
    assert counts(api.url)["actions"] == 0
