"""Owing a task: pushed to whoever owes it, answered once, healed by the next attempt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain.connection import Ending, Voltage
from tests.workflows.agency_system import AgencySystem, listening
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import STORIES

PUSHED = timedelta(minutes=10)
"""The first attempt waits so long by the policy (`answer_within_minutes`)."""


@pytest.fixture
def desk() -> Iterator[AgencySystem]:
    """The system of the desk; its first task is to check the papers."""
    with listening() as system:
        yield system


@pytest.mark.rule("RB-12.3")
async def test_an_outcome_on_file_whose_delivery_was_lost_is_found_by_the_next_attempt(
    desk: AgencySystem, open_town: OpenTown
) -> None:
    async with open_town(bases={"desk": desk.base}) as town:
        no = await town.submit(Voltage.LOW, first_attempt=None)
        (task,) = await town.owed(no, "check_papers.1")
        await town.put_on_file(task, {"code": "accepted"})
        await town.let_pass(PUSHED, owed=1)
        await town.owed(no, "survey.1")
        # What was decided is not asked again.
        assert len(desk.pushes) == 1


async def test_what_is_not_answered_is_pushed_again_under_the_same_id(
    desk: AgencySystem, open_town: OpenTown
) -> None:
    async with open_town(bases={"desk": desk.base}) as town:
        no = await town.submit(Voltage.LOW, first_attempt=None)
        (task,) = await town.owed(no, "check_papers.1")
        await town.let_pass(PUSHED, owed=1)
        await _pushes(desk, 2)
        first, second = desk.pushes
        assert first == second
        assert first.path == f"/tasks/{task.id}"
        assert first.key == "Bearer a key of this test"
        assert len(await town.events(no, "task_opened")) == 1
        await town.answer(task, {"code": "accepted"})
        await town.owed(no, "survey.1")


@pytest.mark.rule("RB-1.7")
async def test_pushing_again_moves_no_date(desk: AgencySystem, open_town: OpenTown) -> None:
    async with open_town(bases={"desk": desk.base}) as town:
        no = await town.submit(Voltage.LOW, first_attempt=None)
        (before,) = await town.owed(no, "check_papers.1")
        await town.let_pass(PUSHED, owed=1)
        await _pushes(desk, 2)
        (after,) = await town.owed(no, "check_papers.1")
        assert (after.opened_at, after.due_on) == (before.opened_at, before.due_on)


async def test_the_answer_to_a_push_may_hold_the_decision(
    desk: AgencySystem, open_town: OpenTown
) -> None:
    desk.answers.append((200, {"outcome": {"code": "accepted", "document_no": "示例〔2026〕1号"}}))
    async with open_town(bases={"desk": desk.base}) as town:
        no = await town.submit(Voltage.LOW)
        await town.owed(no, "survey.1")
        task = (await town.tasks(no))["check_papers.1"]
        assert (task.state, task.decided_by) == ("done", "desk")
        assert task.outcome == {"code": "accepted", "document_no": "示例〔2026〕1号"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((422, None), id="refused"),
        pytest.param((200, {"outcome": {"code": "energised"}}), id="not an outcome of this task"),
        pytest.param((200, {"outcome": {"codes": 1}}), id="not an outcome"),
    ],
)
async def test_a_push_that_is_refused_leaves_the_task_answerable_and_is_noted(
    answer: tuple[int, object], desk: AgencySystem, open_town: OpenTown
) -> None:
    desk.answers.append(answer)
    async with open_town(bases={"desk": desk.base}) as town:
        no = await town.submit(Voltage.LOW)

        async def noted() -> str | None:
            task = (await town.tasks(no)).get("check_papers.1")
            return task.push_problem if task else None

        assert "desk answered" in await eventually(noted, "the problem to be noted")
        assert len(await town.events(no, "push_refused")) == 1
        await town.answer_all(no, STORIES["low.connected"], "check_papers.1")
        await town.owed(no, "survey.1")
        assert (await town.tasks(no))["check_papers.1"].push_problem is None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((503, None), id="unavailable"),
        pytest.param((500, None), id="broken"),
        pytest.param((429, None), id="busy"),
        pytest.param((302, None), id="elsewhere"),
    ],
)
async def test_a_push_that_is_not_taken_is_tried_again_soon(
    answer: tuple[int, object], desk: AgencySystem, open_town: OpenTown
) -> None:
    desk.answers.append(answer)
    async with open_town(bases={"desk": desk.base}) as town:
        no = await town.submit(Voltage.LOW)
        # Only the back-off of one second stands between the two.
        await _pushes(desk, 2)
        (task,) = await town.owed(no, "check_papers.1")
        assert task.push_problem is None
        assert await town.events(no, "push_refused") == []


async def test_while_an_agency_is_down_its_task_can_be_answered_otherwise(
    open_town: OpenTown,
) -> None:
    with listening() as gone:
        base = gone.base
    async with open_town(bases={"desk": base}) as town:
        no = await town.submit(Voltage.LOW)
        case = await town.tell(no, STORIES["low.connected"])
        assert case.ending == Ending.CONNECTED


@pytest.mark.rule("RB-13.1")
async def test_a_push_tells_the_agency_nothing_of_the_applicant(
    desk: AgencySystem, open_town: OpenTown
) -> None:
    async with open_town(bases={"desk": desk.base}) as town:
        no = await town.submit(Voltage.LOW)
        await _pushes(desk, 1)
        applicant = (await town.case(no)).content["applicant"]
        text = str(desk.pushes[0].task)
        for value in (applicant["name"], applicant["id_number"], applicant["phone"]):
            assert value not in text


async def test_the_same_outcome_delivered_twice_takes_effect_once(town: Town) -> None:
    no = await town.submit(Voltage.LOW)
    (task,) = await town.owed(no, "check_papers.1")
    for _ in range(2):
        await town.answer(task, {"code": "accepted"})
    await town.owed(no, "survey.1")
    assert len(await town.events(no, "task_decided")) == 1
    assert len(await town.events(no, "accepted")) == 1


async def test_what_was_decided_while_no_worker_ran_takes_effect_when_it_is_back(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town(is_working=False, max_cached_workflows=0) as town:
        no = await town.submit(Voltage.LOW)
        async with town.working():
            await town.owed(no, "check_papers.1")
        await town.answer_all(no, STORIES["low.connected"], "check_papers.1")
        assert set(await town.tasks(no)) == {"check_papers.1"}
        async with town.working():
            await town.owed(no, "survey.1")


async def _pushes(system: AgencySystem, count: int) -> None:
    async def look() -> bool | None:
        return True if len(system.pushes) >= count else None

    await eventually(look, f"{count} pushes")
