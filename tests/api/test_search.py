"""Applications are found by number, name, address and telephone number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.answers import problem
from tests.support.cases import HIGH, LOW, changed
from tests.support.serving import Api

SEARCH = "/api/v1/applications/search"


async def _found(api: Api, agency: str = "desk", **body: Any) -> list[str]:
    answer = await api.call("POST", SEARCH, agency, json=body)
    assert answer.status_code == 200, answer.text
    return [each["no"] for each in answer.json()["items"]]


@pytest.mark.parametrize(
    "q", ["13800000002", "138 0000 0002", "138-0000-0002", "+8613800000002", "+86 138 0000 0002"]
)
async def test_a_phone_is_found_however_it_is_spelled(api: Api, q: str) -> None:
    no = (await api.submit(changed(HIGH, "applicant.phone", "+86 138-00000002"))).json()["no"]
    await api.submit(LOW, key="key-2")
    assert await _found(api, q=q) == [no]
    assert await _found(api, q=q, state="ended") == []


async def test_number_name_and_address_are_found_as_ever(api: Api) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    other = (await api.submit(LOW, key="key-2")).json()["no"]
    for q in (no, no.lower(), f" {no} ", "水产", "示例路2号"):
        found = await _found(api, q=q)
        assert no in found
    assert await _found(api, q="水产") == [no]
    assert await _found(api, q="示例甲") == [other]
    assert await _found(api, q="0000") == [], "part of a number is none"
    assert await _found(api) == [other, no]


@pytest.mark.rule("RB-13.3")
async def test_a_phone_stands_in_no_address(api: Api) -> None:
    answer = await api.call("GET", "/api/v1/applications?q=138%200000%200002")
    assert "POST" in problem(answer, 422, "invalid-input")["detail"]
    assert (await api.call("GET", "/api/v1/applications?q=水产")).status_code == 200


@pytest.mark.rule("RB-13.1")
async def test_a_channel_finds_its_own_and_a_department_nothing(api: Api) -> None:
    await api.submit(HIGH)
    assert await _found(api, "applicant", q="13800000002") == []
    problem(await api.call("POST", SEARCH, "water", json={"q": "x"}), 403, "not-allowed")


async def test_a_search_pages_through_everything_once(api: Api) -> None:
    numbers = [(await api.submit(HIGH, key=f"key-{n}")).json()["no"] for n in range(5)]
    seen, cursor = [], None
    while True:
        body = {"q": "13800000002", "limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await api.call("POST", SEARCH, json=body)).json()
        seen += [each["no"] for each in answer["items"]]
        if (cursor := answer["next_cursor"]) is None:
            break
    assert seen == numbers[::-1]
