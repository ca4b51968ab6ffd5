"""What has not reached whom it is for is listed, with since when and why (RB-12.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from domain.connection import TaskKind
from storage.outbox import Outbox, Tried, revised
from storage.records import TaskRecord
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, new_task
from tests.support.receiver import Receiver, receiving
from tests.support.serving import Api, api_settings, in_process

PATH = "/api/v1/admin/undelivered"
pytestmark = pytest.mark.rule("RB-12.1")


@pytest.fixture
async def water() -> AsyncIterator[Receiver]:
    async with receiving() as system:
        yield system


@pytest.fixture
async def api(url: str, water: Receiver) -> AsyncIterator[Api]:
    """An API that reaches the system of one department, and whose engine is away."""
    bases = {"water": water.base, "police": "http://127.0.0.1:1"}
    async with in_process(api_settings(url, agency_bases=bases)) as running:
        yield running


@pytest.fixture
async def no(api: Api) -> str:
    found: str = (await api.submit(HIGH)).json()["no"]
    return found


async def _asked(api: Api, no: str, department: str) -> TaskRecord:
    new = new_task(no, TaskKind.PERMITS, department=department)
    return await api.casefile.open_task(new)


async def _told(api: Api, task: TaskRecord, round_no: int = 2) -> None:
    """Write a message that nobody sends by itself: it is claimed already."""
    message = revised(task.id, task.owed_by, None, round_no=round_no, items={"示例": False})
    await api.casefile.note(
        task.case_no,
        "permits_listed",
        {"round": round_no},
        at=NOON,
        once=f"permits_listed.{round_no}",
        messages=[message],
    )


async def _shown(api: Api, *, by: str = "desk", **query: object) -> dict[str, Any]:
    query_text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await api.call("GET", f"{PATH}?{query_text}", by)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_where_nothing_waits_the_list_is_empty(api: Api) -> None:
    shown = await _shown(api)
    assert (shown["items"], shown["next_cursor"]) == ([], None)
    assert [(each["agency"], each["state"]) for each in shown["agencies"]] == [
        ("police", "closed"),
        ("water", "closed"),
    ]


async def test_a_push_that_is_refused_is_shown_until_it_is_taken(api: Api, no: str) -> None:
    task = await _asked(api, no, "water")
    await api.casefile.push_refused(task.id, "water answered 422", at=NOON)
    (item,) = (await _shown(api))["items"]
    assert (item["kind"], item["id"], item["agency"]) == ("push", task.id, "water")
    assert (item["problem"], item["is_refused"]) == ("water answered 422", True)
    assert item["since"] == "2026-09-16T12:00:00+08:00"
    assert "人工" in item["what"]["zh"] and "person" in item["what"]["en"]
    await api.casefile.push_taken(task.id)
    assert (await _shown(api))["items"] == []


async def test_a_push_that_is_not_answered_is_shown_with_since_when(api: Api, no: str) -> None:
    task = await _asked(api, no, "water")
    for hour, why in enumerate(("water answered 503", "water: TimeoutError")):
        at = NOON + timedelta(hours=hour)
        await api.casefile.push_unanswered(task.id, why, at=at)
    (item,) = (await _shown(api))["items"]
    assert (item["problem"], item["is_refused"]) == ("water: TimeoutError", False)
    assert item["since"] == "2026-09-16T12:00:00+08:00"


async def test_a_task_that_was_answered_otherwise_waits_for_nothing(api: Api, no: str) -> None:
    task = await _asked(api, no, "water")
    await api.casefile.push_unanswered(task.id, "water: TimeoutError", at=NOON)
    await api.casefile.decide(task.id, {"code": "answered", "items": []}, by="water", at=NOON)
    await api.casefile.outcomes_delivered([task.id])
    assert (await _shown(api))["items"] == []


async def test_an_outcome_that_has_not_reached_its_process_is_shown(api: Api, no: str) -> None:
    task = await api.casefile.open_task(new_task(no))
    assert (await api.answer(task.id, {"code": "accepted"})).status_code == 202
    (item,) = (await _shown(api))["items"]
    assert (item["kind"], item["id"], item["agency"]) == ("outcome", task.id, "desk")
    assert (item["problem"], item["attempts"]) == (None, None)


async def test_a_change_that_is_not_taken_is_shown_with_its_tries(
    api: Api, no: str, water: Receiver
) -> None:
    water.goes_on.clear()
    await _told(api, await _asked(api, no, "water"))
    outbox = Outbox(api.casefile.engine)
    (message,) = await outbox.claim("water", now=NOON, until=NOON, limit=1)
    for hours in (1, 2):
        again_at = NOON + timedelta(hours=hours)
        await outbox.settle([Tried(message.number, again_at, "water answered 503")], at=NOON)
    (item,) = (await _shown(api, kind="message"))["items"]
    assert item["id"] == f"revised.{no}.permits-water.1.2"
    assert item["task_id"] == f"{no}.permits-water.1"
    assert (item["attempts"], item["problem"]) == (2, "water answered 503")
    assert item["next_try_at"] == "2026-09-16T14:00:00+08:00"
    await outbox.settle([Tried(message.number)], at=NOON)
    assert (await _shown(api))["items"] == []


async def test_it_is_listed_page_by_page_kind_by_kind(api: Api, no: str) -> None:
    police = await _asked(api, no, "police")
    for department in ("water", "transport"):
        task = await _asked(api, no, department)
        await api.casefile.push_unanswered(task.id, "TimeoutError", at=NOON)
    desk = await api.casefile.open_task(new_task(no))
    await api.answer(desk.id, {"code": "accepted"})
    for round_no in (2, 3):
        await _told(api, police, round_no)
    everything = [item["id"] for item in (await _shown(api))["items"]]
    assert everything == [
        f"{no}.permits-transport.1",
        f"{no}.permits-water.1",
        desk.id,
        f"revised.{police.id}.2",
        f"revised.{police.id}.3",
    ]
    for limit in (1, 2, 3, 4):
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await _shown(api, limit=limit, **cursor)
            found += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            assert len(page["items"]) == limit
            cursor = {"cursor": page["next_cursor"]}
        assert found == everything
    assert [item["id"] for item in (await _shown(api, agency="police"))["items"]] == everything[3:]
    (item,) = (await _shown(api, kind="outcome"))["items"]
    assert item["id"] == desk.id


async def test_an_agency_that_does_not_answer_is_shown_with_how_it_stands(
    api: Api, no: str
) -> None:
    services = api.app.state.services
    for _ in range(5):
        with pytest.raises(Exception, match="police"):
            await services.agencies.tell("police", {"id": "示例"})
    (police, _) = (await _shown(api))["agencies"]
    assert (police["agency"], police["state"], police["failures"]) == ("police", "open", 5)
    assert 0 < police["tried_in_s"] <= 1
    assert "熔断" in police["what"]["zh"]


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", ["water", "utility", "applicant"])
async def test_only_the_desk_and_supervisors_see_it(api: Api, agency: str) -> None:
    problem(await api.call("GET", PATH, agency), 403, "not-allowed")
    assert (await _shown(api, by="special-group"))["items"] == []


@pytest.mark.parametrize(
    "cursor",
    ["x", "cHVzaA==", "bm90aGluZ3x4", "bWVzc2FnZXx4", "cHVzaHwA"],
    ids=["no base64", "one part", "another kind", "no number", "a NUL"],
)
async def test_a_cursor_that_was_not_given_out_is_refused(api: Api, cursor: str) -> None:
    answer = await api.call("GET", f"{PATH}?cursor={cursor}")
    assert fields(problem(answer, 422, "invalid-input")) == ["cursor"]


async def test_a_cursor_of_another_kind_is_refused(api: Api, no: str) -> None:
    answer = await api.call("GET", f"{PATH}?kind=outcome&cursor=cHVzaHx4")
    assert fields(problem(answer, 422, "invalid-input")) == ["cursor"]
