"""Sending messages to agencies' systems: each in its order, until taken, and none for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from activities.agencies import Agencies
from api.outbox import CLAIMED_FOR, Sender
from domain.civil_clock import CivilClock
from domain.connection import TaskKind
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.outbox import Outbox, revised
from tests.support.cases import NOON, new_case, new_task
from tests.support.databases import connected
from tests.support.receiver import Receiver, receiving

PATIENCE_S = 30.0


@dataclass
class Post:
    """An outbox, its sender, and the systems of two departments.

    Attributes:
        now: the engine's time.
    """

    url: str
    casefile: CaseFile
    systems: dict[str, Receiver]
    agencies: Agencies
    now: datetime = NOON
    no: str = ""
    rounds: int = 1

    def sender(self, clock: CivilClock | None = None) -> Sender:
        outbox = Outbox(self.casefile.engine)
        return Sender(outbox, self.agencies, lambda: self.now, clock or CivilClock())

    async def write(self, agency: str, count: int = 1) -> list[str]:
        """Write messages to an agency; return their ids as they are sent."""
        tasks = {task.owed_by: task for task in await self._tasks()}
        written = []
        for _ in range(count):
            self.rounds += 1
            task = tasks[agency]
            message = revised(
                task.id, agency, task.due_on, round_no=self.rounds, items={"示例": False}
            )
            await self.casefile.note(
                self.no,
                "permits_listed",
                {"round": self.rounds},
                at=NOON,
                once=f"permits_listed.{self.rounds}",
                messages=[message],
            )
            written.append(message.cause.replace(".", ":"))
        return written

    async def _tasks(self) -> list[Any]:
        return [
            await self.casefile.open_task(
                new_task(self.no, TaskKind.PERMITS, department=department)
            )
            for department in self.systems
        ]

    def arrived(self, agency: str) -> list[str]:
        """The ids that arrived at an agency, in order."""
        return [each["id"] for each in self.systems[agency].told]

    def rows(self) -> list[Any]:
        with connected(self.url) as connection:
            return list(
                connection.exec_driver_sql(
                    "SELECT attempts, problem, is_refused, delivered_at FROM messages "
                    "ORDER BY number"
                )
            )


@asynccontextmanager
async def opened(url: str, **how: Any) -> AsyncIterator[Post]:
    async with receiving() as water, receiving() as police:
        systems = {"water": water, "police": police}
        bases = {agency: system.base for agency, system in systems.items()}
        agencies = Agencies(bases, dict.fromkeys(bases, "a key of this test"), **how)
        casefile = CaseFile(open_engine(url), systems)
        post = Post(url, casefile, systems, agencies)
        post.no = (await casefile.submit(new_case())).no
        yield post
        await agencies.close()
        await casefile.close()


@pytest.fixture
async def post(url: str) -> AsyncIterator[Post]:
    async with opened(url) as post:
        yield post


async def test_messages_arrive_in_order_once_each(post: Post) -> None:
    written = await post.write("water", 120)
    sender = post.sender()
    while await sender.some("water"):
        pass
    assert post.arrived("water") == written
    assert {row.delivered_at is not None for row in post.rows()} == {True}
    assert not await sender.some("water")


async def test_a_flaky_system_gets_every_message_in_order(post: Post) -> None:
    written, sender = await post.write("water", 6), post.sender()
    post.systems["water"].answers = [
        (status, None) for status in (503, 204, 500, 500, 429, 204, 302, 204, 503, 503)
    ]
    for _ in range(20):
        while await sender.some("water"):
            pass
        post.now += timedelta(minutes=1)
    taken = list(dict.fromkeys(post.arrived("water")))
    assert taken == written
    # A message that was not taken is sent again before any later one.
    arrived = post.arrived("water")
    assert arrived == sorted(arrived, key=written.index)
    assert [row.attempts for row in post.rows()] == [1, 3, 1, 2, 0, 0]
    assert {row.problem for row in post.rows()} == {None}


async def test_what_was_sent_and_not_noted_is_sent_again_under_the_same_id(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    async def killed(*_: object, **__: object) -> None:
        raise Killed

    (written,) = await post.write("water")
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "settle", killed)
        with pytest.raises(Killed):
            await post.sender().some("water")
    other = post.sender()
    assert not await other.some("water")
    post.now += CLAIMED_FOR
    await other.some("water")
    assert post.arrived("water") == [written, written]
    assert not await other.some("water")


async def test_senders_of_several_processes_send_each_message_once(post: Post) -> None:
    written = await post.write("water", 120)
    senders = [post.sender() for _ in range(3)]

    async def send(sender: Sender) -> None:
        while len(post.arrived("water")) < len(written):
            await sender.some("water")
            await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*map(send, senders))
    assert post.arrived("water") == written


async def test_what_is_refused_stands_and_is_tried_daily_and_holds_nothing_up(
    post: Post,
) -> None:
    first, second = await post.write("water", 2)
    post.systems["water"].answers = [(422, None)]
    sender = post.sender()
    await sender.some("water")
    assert post.arrived("water") == [first, second]
    refused, taken = post.rows()
    assert (refused.problem, bool(refused.is_refused)) == ("water answered 422", True)
    assert taken.delivered_at is not None
    post.now += timedelta(hours=23)
    await sender.some("water")
    assert len(post.arrived("water")) == 2
    post.now += timedelta(hours=1)
    await sender.some("water")
    assert post.arrived("water") == [first, second, first]
    assert post.rows()[0].delivered_at is not None


async def test_an_agency_whose_address_was_taken_out_keeps_its_messages(post: Post) -> None:
    (written,) = await post.write("water")
    nobody = Agencies({}, {})
    without = Sender(Outbox(post.casefile.engine), nobody, lambda: post.now, CivilClock())
    await without.look()
    await asyncio.sleep(0)
    assert post.rows()[0].attempts == 0
    await post.sender().some("water")
    assert post.arrived("water") == [written]


async def test_a_week_without_an_answer_costs_only_the_department_itself(url: str) -> None:
    minutes = [0.0]
    async with opened(url, now=lambda: minutes[0] * 60) as post:
        waiting = await post.write("water", 3)
        post.systems["water"].usual = 503
        sender = post.sender()
        tries: list[float] = []
        for minute in range(0, 7 * 24 * 60, 10):
            minutes[0], post.now = float(minute), NOON + timedelta(minutes=minute)
            before = len(post.arrived("water"))
            await sender.some("water")
            tries += [minute] * (len(post.arrived("water")) - before)
            if minute % (12 * 60) == 0:
                # Whatever else happens is told at once to whom it concerns.
                (written,) = await post.write("police")
                await sender.some("police")
                assert post.arrived("police")[-1] == written
        # Back-off grows to an hour and no further; it is never given up.
        gaps = [later - earlier for earlier, later in pairwise(tries)]
        assert gaps[-100:] == [60] * 100
        assert set(post.arrived("water")) == {waiting[0]}
        post.systems["water"].usual = 204
        later = await post.write("water")
        post.now += timedelta(hours=1)
        minutes[0] += 60
        while await sender.some("water"):
            pass
        assert post.arrived("water")[len(tries) :] == [*waiting, *later]


async def test_in_training_the_waits_are_those_of_civil_time(post: Post) -> None:
    a_day_a_minute = CivilClock(NOON, NOON, 1440.0)
    await post.write("water")
    post.systems["water"].usual = 422
    sender = post.sender(a_day_a_minute)
    for _ in range(3):
        await sender.some("water")
        post.now += timedelta(minutes=1)
    assert len(post.arrived("water")) == 3


async def test_a_department_that_hangs_delays_no_message_to_another(post: Post) -> None:
    post.systems["water"].goes_on.clear()
    waiting = await post.write("water", 2)
    sender = post.sender()
    running = asyncio.create_task(sender.run())
    async with asyncio.timeout(PATIENCE_S):
        await _until(lambda: post.arrived("water") == waiting[:1])
        written = await post.write("police", 5)
        await _until(lambda: post.arrived("police") == written)
    # The first message to the other is still on its way, and none after it.
    assert post.arrived("water") == waiting[:1]
    sender.stop()
    async with asyncio.timeout(PATIENCE_S):
        await running


async def test_what_is_stopped_midway_is_sent_by_the_next(post: Post) -> None:
    post.systems["water"].goes_on.clear()
    (written,) = await post.write("water")
    sender = post.sender()
    running = asyncio.create_task(sender.run())
    async with asyncio.timeout(PATIENCE_S):
        await _until(lambda: post.arrived("water") == [written])
        sender.stop()
        await running
    post.systems["water"].goes_on.set()
    await post.sender().some("water")
    assert post.arrived("water") == [written, written]


async def _until(holds: Any) -> None:
    # What arrives is the tests' record, not an event to wait for.
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
