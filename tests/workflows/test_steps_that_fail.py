"""A step on the case file that fails for long: seen in the engine, and no length of history."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowHistory

from domain.connection import Ending, Voltage
from domain.naming import bundle_id
from tests.workflows.conftest import OpenTown
from tests.workflows.faults import Broken
from tests.workflows.harness import Town
from tests.workflows.stories import FIVE_DEPARTMENTS, STORIES

LOCAL_ATTEMPTS_END = 60
"""More events than a short case has when its step becomes an activity of its own."""


async def _length(town: Town, workflow_id: str) -> int:
    history: WorkflowHistory = await town.history(workflow_id)
    return len(history.events)


@pytest.mark.rule("RB-12.1")
async def test_a_step_that_fails_for_long_is_seen_and_costs_no_history(
    open_settled_town: OpenTown,
) -> None:
    broken, story = Broken("accept_case"), STORIES["low.connected"]
    async with open_settled_town(broken) as town:
        no = await town.submit(Voltage.LOW)
        await town.answer_all(no, story, "check_papers.1")
        first = await town.fails_in_sight(no, "accept_case")
        assert first.last_failure.message == "broken on purpose"
        length = await _length(town, no)
        assert length < LOCAL_ATTEMPTS_END
        await town.fails_in_sight(no, "accept_case", attempt=4)
        assert await _length(town, no) == length

        broken.is_mended = True
        assert (await town.tell(no, story)).ending == Ending.CONNECTED
        assert len(await town.events(no, "accepted")) == 1


@pytest.mark.rule("RB-12.1")
async def test_a_case_can_be_withdrawn_while_a_step_fails(open_settled_town: OpenTown) -> None:
    broken = Broken("accept_case")
    async with open_settled_town(broken) as town:
        no = await town.submit(Voltage.LOW)
        await town.answer_all(no, STORIES["low.connected"], "check_papers.1")
        await town.fails_in_sight(no, "accept_case")
        await town.withdraw(no)
        assert (await town.closing(no)).ending is Ending.WITHDRAWN
        assert (await town.case(no)).ending == Ending.WITHDRAWN
        assert await town.events(no, "accepted") == []


@pytest.mark.rule("RB-12.1")
async def test_a_case_can_be_withdrawn_while_its_bundle_cannot_conclude(
    open_settled_town: OpenTown,
) -> None:
    broken, story = Broken("conclude_bundle"), STORIES["high.connected"]
    async with open_settled_town(broken) as town:
        no = await town.submit(Voltage.HIGH)
        await town.tell_until(no, STORIES["high.withdrawn"])
        permits = sorted(f"permits-{department}.1" for department in FIVE_DEPARTMENTS)
        await town.answer_all(no, story, *permits)
        await town.fails_in_sight(bundle_id(no, 1), "conclude_bundle")
        await town.withdraw(no)
        assert (await town.closing(no)).ending is Ending.WITHDRAWN
        assert await town.open_tasks(no) == set()
        assert await town.events(no, "bundle_concluded") == []
