"""Replays asked for by administrators, while the engine is away (RB-12.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.answers import problem
from tests.support.cases import HIGH, LOW
from tests.support.serving import Api

PATH = "/api/v1/admin/replays"
ADMIN = "admin-1"
UNKNOWN_NO = "ZJ20260000995"


async def _ask(api: Api, body: Any, key: str = "key-1", by: str = ADMIN) -> Any:
    return await api.call("POST", PATH, by, key=key, json=body)


async def _cases(api: Api) -> list[str]:
    return [
        (await api.submit(body, key=f"case-{n}")).json()["no"] for n, body in enumerate((HIGH, LOW))
    ]


@pytest.mark.rule("RB-12.2")
async def test_a_replay_is_asked_for_once_and_found_again(api: Api) -> None:
    numbers = await _cases(api)
    asked = await _ask(api, {"all_open": True})
    assert asked.status_code == 202, asked.text
    body = asked.json()
    assert (body["state"], body["asked_by"], body["total"], body["done"]) == (
        "running",
        ADMIN,
        2,
        0,
    )
    assert body["scope"] == {"all_open": True}
    assert asked.headers["Location"] == f"{PATH}/{body['number']}"
    again = await _ask(api, {"all_open": True})
    assert (again.status_code, again.json()["number"]) == (200, body["number"])
    found = await api.call("GET", asked.headers["Location"], "admin-2")
    assert found.json()["number"] == body["number"]
    problem(await _ask(api, {"case_no": numbers[0]}), 409, "key-reused")
    listed = (await api.call("GET", PATH, ADMIN)).json()
    assert [each["number"] for each in listed["items"]] == [body["number"]]
    assert "findings" not in listed["items"][0]


@pytest.mark.rule("RB-12.2")
async def test_each_scope_means_its_cases(api: Api) -> None:
    high, low = await _cases(api)
    scopes = [
        ({"case_no": high}, 1),
        ({"cases": [high, UNKNOWN_NO, high]}, 2),
        ({"query": {"q": low}}, 1),
        ({"query": {"state": "open", "district": "440802"}}, 2),
        ({"query": {"state": "ended"}}, 0),
    ]
    for n, (scope, total) in enumerate(scopes):
        answer = await _ask(api, scope, f"key-{n}")
        assert (answer.status_code, answer.json()["total"]) == (202, total), scope
        assert answer.json()["scope"] == scope


@pytest.mark.rule("RB-12.2")
async def test_a_replay_is_stopped_and_stays_so(api: Api) -> None:
    await _cases(api)
    number = (await _ask(api, {"all_open": True})).json()["number"]
    stopped = await api.call("POST", f"{PATH}/{number}/stop", "admin-2")
    assert stopped.status_code == 200
    assert (stopped.json()["state"], stopped.json()["stopped_by"]) == ("stopped", "admin-2")
    again = await api.call("POST", f"{PATH}/{number}/stop", ADMIN)
    assert again.json() == stopped.json()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all_open": False},
        {"all_open": True, "case_no": UNKNOWN_NO},
        {"cases": []},
        {"cases": ["ZJ20260000996"]},
        {"case_no": "示例"},
        {"query": {}},
        {"query": {"light": "red"}},
        {"cases": [UNKNOWN_NO] * 1001},
    ],
)
async def test_what_names_no_cases_is_refused(api: Api, body: Any) -> None:
    problem(await _ask(api, body), 422, "invalid-input")
    assert (await api.call("GET", PATH, ADMIN)).json()["items"] == []


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    problem(await _ask(api, {"case_no": UNKNOWN_NO}), 404, "unknown-case")
    problem(await api.call("GET", f"{PATH}/7", ADMIN), 404, "unknown-replay")
    problem(await api.call("POST", f"{PATH}/7/stop", ADMIN), 404, "unknown-replay")
    problem(await api.call("GET", f"{PATH}/0", ADMIN), 422, "invalid-input")
    problem(await api.call("GET", f"{PATH}?cursor=eHg=", ADMIN), 422, "invalid-input")


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("by", ["desk", "government-services-data", "water", None])
async def test_only_administrators_replay(api: Api, by: str | None) -> None:
    status, slug = (401, "not-signed-in") if by is None else (403, "not-allowed")
    asked = await api.call("POST", PATH, by, key="key-1", json={"all_open": True})
    problem(asked, status, slug)
    for method, path in (("GET", PATH), ("GET", f"{PATH}/1"), ("POST", f"{PATH}/1/stop")):
        problem(await api.call(method, path, by), status, slug)


async def test_a_replay_needs_a_key(api: Api) -> None:
    answer = await api.call("POST", PATH, ADMIN, json={"all_open": True})
    problem(answer, 422, "invalid-input")
