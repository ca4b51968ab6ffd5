"""Outcomes take effect once though the process that waits for them is reset (RB-12.3, RB-5.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from domain.connection import Ending, Voltage
from domain.naming import bundle_id
from tests.workflows.agency_system import AgencySystem, listening
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import FIVE_DEPARTMENTS, STORIES

STORY = STORIES["high.connected"]
DECIDED = ("permits-police.1", "permits-transport.1", "permits-water.1")
LAST = ("permits-natural-resources.1", "permits-urban-management.1")
COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


@pytest.fixture
def departments() -> Iterator[AgencySystem]:
    with listening() as system:
        yield system


@pytest.mark.rule("RB-12.3", "RB-4.5")
@pytest.mark.parametrize("workflow_task", [0, 1, 2])
async def test_a_bundle_that_is_reset_asks_for_nothing_that_was_decided(
    departments: AgencySystem, open_settled_town: OpenTown, workflow_task: int
) -> None:
    bases = dict.fromkeys(FIVE_DEPARTMENTS, departments.base)
    async with open_settled_town(bases=bases) as town:
        no = await _bundle(town)
        for name in DECIDED:
            await town.answer_all(no, STORY, name)
            await _taken(town, bundle_id(no, 1))
        before = _pushed(departments)
        await _reset(town, bundle_id(no, 1), workflow_task)
        # One answers while the reset process finds out what it has already.
        await town.answer_all(
            no, STORY, "permits-urban-management.1", "permits-natural-resources.1"
        )
        case = await town.tell(no, STORY)
        assert case.ending is not None and Ending(case.ending) is Ending.CONNECTED
        pushed = _pushed(departments) - before
        assert not {task for task in pushed if task.removeprefix(f"{no}.") in DECIDED}
        events = await town.reading.events(no)
        once = Counter((e.kind, e.task_id, e.body.get("step")) for e in events)
        assert set(once.values()) == {1}
        assert (await town.reading.first_break())[1] is None


async def _bundle(town: Town) -> str:
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1"):
        await town.answer_all(no, STORY, name)
    await town.answer_all(no, STORY, "line_design.1", "customer_works.1")
    await town.waiting(no)
    return no


async def _reset(town: Town, workflow_id: str, workflow_task: int) -> None:
    """Reset a process to one of its workflow tasks, as an administrator does."""
    history = await town.history(workflow_id)
    ends = [event.event_id for event in history.events if event.event_type == COMPLETED]
    await town.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=town.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            reason="示例",
            workflow_task_finish_event_id=ends[workflow_task],
            request_id=f"reset-{workflow_id}-{workflow_task}",
        )
    )


async def _taken(town: Town, workflow_id: str) -> None:
    """Wait until the process has taken up all its answers so far."""

    async def look() -> bool | None:
        kinds = [event.event_type for event in (await town.history(workflow_id)).events]
        return True if kinds[-1] == COMPLETED else None

    await eventually(look, f"{workflow_id} at rest")


def _pushed(system: AgencySystem) -> Counter[str]:
    return Counter(push.path.removeprefix("/tasks/") for push in system.pushes)


@pytest.mark.rule("RB-5.4")
async def test_a_case_that_is_reset_rings_no_step_of_the_ladder_again(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town(speed=172_800.0) as town:
        no = await town.submit(Voltage.HIGH)
        await town.answer_all(no, STORY, "check_papers.1")
        await town.owed(no, "supply_plan.1")
        await town.told(no, 2)
        await _reset(town, no, 1)
        await town.told(no, 4)
        await town.answer_all(no, STORY, "supply_plan.1")
        await town.owed(no, "confirm_plan.1")
        steps = [event.body["step"] for event in await town.events(no, "supervision_sent")]
        assert steps == ["yellow.0", "red.0", "red.1", "red.3"]
        assert len(await town.events(no, "task_opened")) == 3
