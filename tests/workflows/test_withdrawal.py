"""Withdrawal by the applicant: where it is possible, and what it leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from temporalio.api.enums.v1 import EventType

from activities.messages import BundleResult
from domain.connection import ACTIONS, STORY, Action, Ending, TaskKind, Voltage
from domain.errors import EngineAway, IllegalAction
from domain.naming import bundle_id
from tests.workflows.conftest import OpenTown
from tests.workflows.faults import Before
from tests.workflows.harness import Town
from tests.workflows.stories import (
    FIVE_DEPARTMENTS,
    NEW_ROAD,
    STORIES,
    Body,
    Story,
    designed,
    every_item,
    route,
)

ALLOWED = ACTIONS[Action.WITHDRAW]
PERMITS = sorted(f"permits-{department}.1" for department in FIVE_DEPARTMENTS)

# Answers that lead through every kind of task once, corrections and a failed inspection included.
THROUGH_EVERYTHING: Mapping[str, Body] = {
    "check_papers.1": {"code": "correction_needed", "missing": ["身份证明材料"]},
    "inspection.1": {"code": "failed", "note": "接地电阻不合格"},
    "line_design.1": designed(route({"river_zone": True}, NEW_ROAD)),
    "permits-water.1": every_item("papers_to_follow"),
}
# What the story does not wait for, and something that keeps it from ending meanwhile.
BESIDE = {TaskKind.LOOK_AT_ROUTE: "filing.1", TaskKind.PAPERS: "build_line.1"}
PLACES = [(voltage, kind) for voltage in Voltage for kind in STORY[voltage]]


def _name(kind: TaskKind) -> str:
    by_departments = (TaskKind.PERMITS, TaskKind.PAPERS)
    return f"{kind}-water.1" if kind in by_departments else f"{kind}.1"


async def _reached(town: Town, voltage: Voltage, kind: TaskKind) -> str:
    """Bring a case to where it waits for a task of this kind."""
    answers = {name: body for name, body in THROUGH_EVERYTHING.items() if voltage is Voltage.HIGH}
    if kind is TaskKind.CORRECT_PAPERS:
        answers = {"check_papers.1": THROUGH_EVERYTHING["check_papers.1"]}
    if kind is TaskKind.LOOK_AT_ROUTE:
        answers = {"survey.1": {"code": "surveyed", "route": route({"river_zone": True})}}
    no = await town.submit(voltage)
    left = {_name(kind), *([BESIDE[kind]] if kind in BESIDE else [])}
    story = Story(voltage, Ending.WITHDRAWN, answers, leaves_open=frozenset(left))
    await town.tell_until(no, story)
    return no


@pytest.mark.parametrize(
    ("voltage", "kind"),
    [place for place in PLACES if place[1] in ALLOWED],
    ids=lambda value: str(value),
)
async def test_a_case_can_be_withdrawn_wherever_the_table_allows(
    voltage: Voltage, kind: TaskKind, town: Town
) -> None:
    no = await _reached(town, voltage, kind)
    await town.withdraw(no)
    # The answer came once it was on file.
    case = await town.case(no)
    assert (case.state, case.ending) == ("ended", Ending.WITHDRAWN)
    task = (await town.tasks(no))[_name(kind)]
    assert (task.state, task.closed_by) == ("closed", Ending.WITHDRAWN)
    assert await town.open_tasks(no) == set()
    (ended,) = await town.events(no, "ended")
    assert (ended.by, ended.body["action"]) == ("applicant", "withdrawal-1")
    assert await town.reading.is_action_taken("withdrawal-1")
    assert (await town.closing(no)).ending is Ending.WITHDRAWN


@pytest.mark.parametrize(
    ("voltage", "kind"),
    [place for place in PLACES if place[1] not in ALLOWED],
    ids=lambda value: str(value),
)
async def test_a_case_cannot_be_withdrawn_where_the_table_does_not_allow(
    voltage: Voltage, kind: TaskKind, town: Town
) -> None:
    no = await _reached(town, voltage, kind)
    with pytest.raises(IllegalAction):
        await town.withdraw(no)
    assert (await town.case(no)).state == "open"
    assert not await town.reading.is_action_taken("withdrawal-1")
    await town.answer_all(no, Story(voltage, Ending.CONNECTED), _name(kind))
    assert (await town.closing(no)).ending is Ending.CONNECTED


def test_the_table_allows_and_refuses_somewhere() -> None:
    assert {kind in ALLOWED for _, kind in PLACES} == {True, False}


async def test_withdrawal_during_the_bundle_ends_the_bundle_and_keeps_what_was_decided(
    town: Town,
) -> None:
    story = STORIES["high.connected"]
    silent = set(PERMITS[:2])
    no = await town.submit(Voltage.HIGH)
    await town.tell_until(
        no, Story(Voltage.HIGH, Ending.WITHDRAWN, story.answers, leaves_open=frozenset(PERMITS))
    )
    await town.answer_all(no, story, *PERMITS[2:])
    await town.withdraw(no)
    tasks = await town.tasks(no)
    assert {name for name, task in tasks.items() if task.state == "closed"} == silent
    assert {tasks[name].state for name in PERMITS[2:]} == {"done"}
    assert await town.result(bundle_id(no, 1), BundleResult) == BundleResult("withdrawn", False)
    assert await town.events(no, "bundle_concluded") == []


async def test_the_same_withdrawal_twice_is_one(town: Town) -> None:
    no = await _reached(town, Voltage.LOW, TaskKind.SURVEY)
    await asyncio.gather(town.withdraw(no), town.withdraw(no))
    assert len(await town.events(no, "ended")) == 1
    assert (await town.case(no)).ending == Ending.WITHDRAWN


async def test_another_withdrawal_of_a_withdrawn_case_is_refused(town: Town) -> None:
    no = await _reached(town, Voltage.LOW, TaskKind.SURVEY)
    await town.withdraw(no)
    with pytest.raises(IllegalAction):
        await town.withdraw(no, "withdrawal-2")
    assert not await town.reading.is_action_taken("withdrawal-2")
    assert len(await town.events(no, "ended")) == 1


async def test_of_two_withdrawals_at_the_same_moment_one_is_taken(town: Town) -> None:
    no = await _reached(town, Voltage.LOW, TaskKind.SURVEY)
    ids = ("first", "second")
    ends = await asyncio.gather(*(town.withdraw(no, each) for each in ids), return_exceptions=True)
    (refused,) = [end for end in ends if end is not None]
    assert isinstance(refused, IllegalAction)
    taken = {each: await town.reading.is_action_taken(each) for each in ids}
    assert taken == {each: end is None for each, end in zip(ids, ends, strict=True)}
    assert len(await town.events(no, "ended")) == 1


async def _taken(town: Town, no: str, withdrawing: asyncio.Task[None]) -> None:
    """Wait for a withdrawal; ask again if the worker that took over was slow to answer."""
    try:
        await withdrawing
    except EngineAway:
        await town.withdraw(no)


async def test_a_withdrawal_that_meets_the_answer_that_ends_the_case_is_taken_and_the_answer_kept(
    open_settled_town: OpenTown,
) -> None:
    story = STORIES["low.declined"]
    async with open_settled_town(is_working=False) as town:
        no = await town.submit(Voltage.LOW)
        async with town.working():
            await town.owed(no, "check_papers.1")
        # Both reach the process in one step, once its worker is back.
        await town.answer_all(no, story, "check_papers.1")
        withdrawing = await town.withdrawing(no)
        async with town.working():
            await _taken(town, no, withdrawing)
            assert (await town.closing(no)).ending is Ending.WITHDRAWN
        assert (await town.case(no)).ending == Ending.WITHDRAWN
        assert (await town.tasks(no))["check_papers.1"].state == "done"


async def test_a_withdrawal_that_meets_the_last_permit_is_taken(
    open_settled_town: OpenTown,
) -> None:
    story = STORIES["high.connected"]
    async with open_settled_town(is_working=False) as town:
        no = await town.submit(Voltage.HIGH)
        async with town.working():
            await town.tell_until(no, STORIES["high.withdrawn"])
        await town.answer_all(no, story, *PERMITS)
        withdrawing = await town.withdrawing(no)
        async with town.working():
            await _taken(town, no, withdrawing)
            assert (await town.closing(no)).ending is Ending.WITHDRAWN
        assert await town.open_tasks(no) == set()
        assert "build_line.1" not in await town.tasks(no)


async def test_the_engine_holds_a_withdrawal_before_the_file_says_so(
    open_settled_town: OpenTown,
) -> None:
    """An engine that lost the withdrawal would refuse it while the file says withdrawn."""
    closing = Before("end_case")
    held: list[bool] = []
    async with open_settled_town(closing) as town:
        no = await _reached(town, Voltage.LOW, TaskKind.SURVEY)

        async def look() -> None:
            accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
            events = (await town.history(no)).events
            held.append(any(event.event_type == accepted for event in events))

        closing.look = look
        await town.withdraw(no)
        assert (await town.closing(no)).ending is Ending.WITHDRAWN
    assert held == [True]
