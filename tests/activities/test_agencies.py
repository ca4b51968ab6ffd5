"""Calling agencies' systems over real HTTP: signed, apart from each other, and not for ever."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from standardwebhooks import Webhook

from activities.agencies import Agencies, PushHeld, PushRefused, PushUnanswered
from activities.gate import FAILURES, GateState
from tests.activities.test_gate import Clock
from tests.support.receiver import Receiver, receiving

SECRET = b"a secret of twenty-four bytes"
WHSEC = "whsec_" + base64.b64encode(SECRET).decode()
TASK = {"id": "ZJ20260000011.permits-water.1", "title": {"zh": "示例"}}
EVENT = {"id": "withdrawn:ZJ20260000011:permits-water:1"}
PATIENCE_S = 30.0


@pytest.fixture
async def water() -> AsyncIterator[Receiver]:
    async with receiving() as system:
        yield system


@pytest.fixture
async def police() -> AsyncIterator[Receiver]:
    async with receiving() as system:
        yield system


@asynccontextmanager
async def calling(systems: dict[str, str], **how: Any) -> AsyncIterator[Agencies]:
    agencies = Agencies(systems, {agency: f"key of {agency}" for agency in systems}, **how)
    try:
        yield agencies
    finally:
        await agencies.close()


async def arrived(system: Receiver, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        # What arrives is the tests' record, not an event to wait for.
        while len(system.arrivals) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_push_is_signed_under_the_tasks_id(water: Receiver) -> None:
    water.answers = [(200, {"outcome": {"code": "answered"}})]
    async with calling({"water": water.base}, secrets={"water": [SECRET]}) as agencies:
        assert await agencies.push("water", TASK) == {"code": "answered"}
    (push,) = water.arrivals
    assert (push.method, push.path) == ("PUT", "/tasks/ZJ20260000011.permits-water.1")
    assert push.headers["Authorization"] == "Bearer key of water"
    assert push.headers["webhook-id"] == "ZJ20260000011:permits-water:1"
    assert Webhook(WHSEC).verify(push.body, dict(push.headers)) == TASK


async def test_an_event_is_signed_under_its_own_id(water: Receiver) -> None:
    async with calling({"water": water.base}, secrets={"water": [SECRET]}) as agencies:
        await agencies.tell("water", EVENT)
    (event,) = water.arrivals
    assert (event.method, event.path) == ("POST", "/events")
    assert event.headers["Content-Type"] == "application/cloudevents+json"
    assert event.headers["webhook-id"] == EVENT["id"]
    assert Webhook(WHSEC).verify(event.body, dict(event.headers)) == EVENT


async def test_without_a_secret_only_the_key_is_sent(water: Receiver) -> None:
    async with calling({"water": water.base}) as agencies:
        await agencies.push("water", TASK)
    (push,) = water.arrivals
    assert push.headers["Authorization"] == "Bearer key of water"
    assert not [name for name in push.headers if name.lower().startswith("webhook")]


async def test_to_an_agency_without_a_system_nothing_is_sent(water: Receiver) -> None:
    async with calling({"water": water.base}) as agencies:
        assert await agencies.push("police", TASK) is None
        await agencies.tell("police", EVENT)
    assert water.arrivals == []


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"outcome":null}', b'{"outcome":[]}'])
async def test_an_answer_without_an_outcome_is_none(water: Receiver, answer: bytes) -> None:
    water.answers = [(200, answer)]
    async with calling({"water": water.base}) as agencies:
        assert await agencies.push("water", TASK) is None


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_what_is_wrong_is_refused_and_the_agency_is_called_on(
    water: Receiver, status: int
) -> None:
    water.usual = status
    async with calling({"water": water.base}) as agencies:
        for _ in range(FAILURES + 1):
            with pytest.raises(PushRefused, match=f"water answered {status}"):
                await agencies.tell("water", EVENT)
        assert agencies.standings[0].state is GateState.CLOSED


@pytest.mark.parametrize("status", [302, 408, 429, 500, 503])
async def test_what_is_not_taken_this_time_is_unanswered(water: Receiver, status: int) -> None:
    water.answers = [(status, None)] * 2
    async with calling({"water": water.base}) as agencies:
        with pytest.raises(PushUnanswered, match=f"water answered {status}"):
            await agencies.tell("water", EVENT)
        with pytest.raises(PushUnanswered, match=f"water answered {status}"):
            await agencies.push("water", TASK)


@pytest.mark.parametrize("answer", [b"{", b"x" * 300_000])
async def test_an_answer_that_is_not_understood_is_none(water: Receiver, answer: bytes) -> None:
    water.answers = [(200, answer)]
    async with calling({"water": water.base}) as agencies:
        with pytest.raises(PushUnanswered, match="water answered"):
            await agencies.push("water", TASK)


async def test_an_agency_that_does_not_answer_is_not_called_for_a_while(water: Receiver) -> None:
    water.usual, clock = 503, Clock()
    async with calling({"water": water.base}, now=clock) as agencies:
        for _ in range(FAILURES):
            with pytest.raises(PushUnanswered):
                await agencies.push("water", TASK)
        with pytest.raises(PushHeld) as held:
            await agencies.push("water", TASK)
        assert (held.value.is_paused, held.value.seconds) == (True, 1.0)
        assert len(water.arrivals) == FAILURES
        (standing,) = agencies.standings
        assert (standing.state, standing.failures) == (GateState.OPEN, FAILURES)
        clock.now, water.usual = clock.now + 1.0, 204
        await agencies.push("water", TASK)
        assert agencies.standings[0].state is GateState.CLOSED


async def test_an_agency_that_hangs_holds_no_other_up(water: Receiver, police: Receiver) -> None:
    water.goes_on.clear()
    async with calling({"water": water.base, "police": police.base}, at_once=4) as agencies:
        hanging = [asyncio.create_task(agencies.push("water", TASK)) for _ in range(4)]
        await arrived(water, 4)
        # Its own next push is not sent, and not waited with.
        with pytest.raises(PushHeld, match="4 calls are under way") as held:
            await agencies.push("water", TASK)
        assert not held.value.is_paused
        # The other agency's leave and are answered, as many as come, while the first hangs.
        for _ in range(50):
            await agencies.push("police", TASK)
        assert not any(each.done() for each in hanging)
        assert len(police.arrivals) == 50
        water.goes_on.set()
        await asyncio.gather(*hanging)


async def test_what_takes_too_long_is_unanswered(water: Receiver, police: Receiver) -> None:
    water.goes_on.clear()
    systems = {"water": water.base, "police": police.base}
    async with calling(systems, timeout_s=0.05) as agencies:
        with pytest.raises(PushUnanswered, match="water: TimeoutError"):
            await agencies.push("water", TASK)


async def test_an_agency_that_is_not_there_is_unanswered(water: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with calling({"water": f"http://127.0.0.1:{port}"}) as agencies:
        with pytest.raises(PushUnanswered, match="water: ClientConnectorError"):
            await agencies.push("water", TASK)


async def test_a_name_that_is_not_answered_for_holds_no_other_name_up(
    police: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, asked = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).endswith(".invalid"):
            asked.set()
            assert answered.wait(PATIENCE_S)
            raise socket.gaierror
        return look_up("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    # More of them than the loop has threads to look up names with.
    nameless = {f"department-{n}": f"http://department-{n}.invalid:1" for n in range(40)}
    port = police.base.rpartition(":")[2]
    systems = {**nameless, "police": f"http://police.example:{port}"}
    async with calling(systems) as agencies:
        waiting = [asyncio.create_task(agencies.push(agency, TASK)) for agency in nameless]
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.to_thread(asked.wait)
            await agencies.push("police", TASK)
        assert not any(each.done() for each in waiting)
        answered.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each) for each in found} == {PushUnanswered}


async def test_a_call_that_is_cancelled_gives_its_place_back(water: Receiver) -> None:
    water.goes_on.clear()
    async with calling({"water": water.base}, at_once=1) as agencies:
        hanging = asyncio.create_task(agencies.push("water", TASK))
        await arrived(water, 1)
        hanging.cancel()
        await asyncio.wait([hanging])
        water.goes_on.set()
        await agencies.push("water", TASK)
    assert len(water.arrivals) == 2
