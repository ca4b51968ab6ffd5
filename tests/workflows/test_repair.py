"""A repair does what its plan said, and no decision is asked for again (RB-12.2, RB-12.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.connection import Ending, Voltage
from domain.naming import bundle_id
from domain.repair_plan import Target
from domain.repairs import RepairKind
from operations.planning import BACKING_OFF, ENDS_OF_TASKS
from storage.repairs import ItemState, RepairState
from tests.workflows.administrators import Administrators, outcomes, pushed
from tests.workflows.agency_system import AgencySystem, listening
from tests.workflows.conftest import OpenTown
from tests.workflows.faults import Broken
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import FIVE_DEPARTMENTS, STORIES

STORY = STORIES["high.connected"]
DECIDED = ("permits-police.1", "permits-transport.1", "permits-water.1")
OWED = ("permits-natural-resources.1", "permits-urban-management.1")

pytestmark = pytest.mark.rule("RB-12.2", "RB-12.3")


@pytest.fixture
def departments() -> Iterator[AgencySystem]:
    with listening() as system:
        yield system


async def in_the_middle(town: Town) -> str:
    """Bring a case to where three of five departments have decided."""
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1"):
        await town.answer_all(no, STORY, name)
    await town.answer_all(no, STORY, *DECIDED)
    return no


async def test_a_restart_keeps_what_was_decided_and_pushes_only_what_is_owed(
    departments: AgencySystem, open_settled_town: OpenTown
) -> None:
    bases = dict.fromkeys(FIVE_DEPARTMENTS, departments.base)
    async with open_settled_town(bases=bases) as town:
        administrators = Administrators(town)
        no = await in_the_middle(town)
        before, arrived = await administrators.settled(no), pushed(departments)

        repaired = await administrators.repair(RepairKind.RESTART, Target(case_no=no))

        plan, report = repaired.plan, repaired.report
        assert report.deviations == ()
        assert repaired.repair.state is RepairState.DONE
        assert {f"{no}.{name}" for name in DECIDED} < set(plan.decisions_kept)
        assert plan.pushes_repeated == tuple(f"{no}.{name}" for name in OWED)
        assert [each.change for each in plan.processes] == ["anew", "anew"]
        # What the agencies' systems saw, not what the report says.
        assert pushed(departments) - arrived == dict.fromkeys(plan.pushes_repeated, 1)
        after = await administrators.settled(no)
        assert outcomes(after) == outcomes(before)
        kinds = [event.kind for event in await town.reading.events(no)]
        assert kinds[-2:] == ["repair_begun", "repair_ended"]
        assert (await town.reading.first_break())[1] is None
        case = await town.tell(no, STORY)
        assert case.ending == Ending.CONNECTED


@pytest.mark.parametrize("of_bundle", [True, False])
async def test_a_reset_begins_anew_what_came_after_and_keeps_what_came_before(
    departments: AgencySystem, open_settled_town: OpenTown, of_bundle: bool
) -> None:
    bases = dict.fromkeys(FIVE_DEPARTMENTS, departments.base)
    async with open_settled_town(bases=bases) as town:
        administrators = Administrators(town)
        no = await in_the_middle(town)
        await administrators.settled(no)
        arrived = pushed(departments)
        process = bundle_id(no, 1) if of_bundle else no

        repaired = await administrators.repair(
            RepairKind.RESET, Target(case_no=no, process=process, event_id=4)
        )

        assert repaired.report.deviations == ()
        changes = {each.workflow_id: each.change for each in repaired.plan.processes}
        assert changes == {no: "kept" if of_bundle else "anew", bundle_id(no, 1): "anew"}
        again = pushed(departments) - arrived
        assert again == dict.fromkeys((f"{no}.{name}" for name in OWED), 1)
        case = await town.tell(no, STORY)
        assert case.ending == Ending.CONNECTED
        assert (await town.reading.first_break())[1] is None


async def test_a_case_whose_process_is_lost_is_carried_again(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town() as town:
        administrators = Administrators(town)
        no = await in_the_middle(town)
        seen = await administrators.settled(no)
        for process in seen.processes.values():
            await administrators.processes.terminate(process.workflow_id, process.run_id, "示例")

        repaired = await administrators.repair(RepairKind.RESTART, Target(case_no=no))

        assert repaired.report.deviations == ()
        assert await town.open_tasks(no) == {*OWED, "customer_works.1"}
        assert (await town.tell(no, STORY)).ending == Ending.CONNECTED


async def test_a_withdrawal_on_behalf_closes_what_was_owed(open_settled_town: OpenTown) -> None:
    async with open_settled_town() as town:
        administrators = Administrators(town)
        no = await in_the_middle(town)
        await administrators.settled(no)

        repaired = await administrators.repair(RepairKind.WITHDRAW, Target(case_no=no))

        assert repaired.report.deviations == ()
        assert repaired.report.ended_as == Ending.WITHDRAWN
        assert set(repaired.report.tasks_closed) == {
            f"{no}.{name}" for name in (*OWED, "customer_works.1")
        }


async def test_a_push_again_reaches_the_agency_once(
    departments: AgencySystem, open_settled_town: OpenTown
) -> None:
    bases = dict.fromkeys(FIVE_DEPARTMENTS, departments.base)
    async with open_settled_town(bases=bases) as town:
        administrators = Administrators(town)
        no = await in_the_middle(town)
        await administrators.settled(no)
        arrived, task_id = pushed(departments), f"{no}.{OWED[0]}"

        repaired = await administrators.repair(RepairKind.PUSH, Target(case_no=no, task_id=task_id))

        assert repaired.report.deviations == ()
        assert pushed(departments) - arrived == {task_id: 1}


async def test_a_step_that_backs_off_is_tried_at_once(
    departments: AgencySystem, open_settled_town: OpenTown
) -> None:
    departments.answers = [(503, None)] * 6
    async with open_settled_town(bases={"utility": departments.base}) as town:
        administrators = Administrators(town)
        no = await town.submit(Voltage.HIGH)
        await town.answer_all(no, STORY, "check_papers.1")
        # From the third failure on it backs off for four seconds and more: time to plan.
        step = await town.fails_in_sight(no, "owe", attempt=4)
        assert (step.activity_id, step.state) == (f"{no}.supply_plan.1", BACKING_OFF)
        departments.answers.clear()

        repaired = await administrators.repair(
            RepairKind.RETRY, Target(case_no=no, task_id=f"{no}.supply_plan.1")
        )

        assert repaired.item.state is ItemState.DONE
        assert repaired.report.deviations == ()


async def test_a_case_is_moved_to_a_worker_version_that_is_there(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town(is_working=False) as town:
        administrators = Administrators(town)
        processes = administrators.processes
        async with town.working("A"), town.working("B"):

            async def are_there() -> bool | None:
                found = {each.build_id for each in await processes.versions() if each.is_polled}
                return True if found == {"A", "B"} else None

            await eventually(are_there, "both versions")
            await processes.use("A")
            no = await town.submit(Voltage.LOW)
            await administrators.settled(no)
            refused = await administrators.put(
                RepairKind.MOVE, Target(case_no=no, version="of nobody")
            )
            assert refused.counts == {ItemState.REFUSED: 1}

            repaired = await administrators.repair(RepairKind.MOVE, Target(case_no=no, version="B"))

            assert repaired.report.deviations == ()
            assert [each.change for each in repaired.plan.processes] == ["kept"]
            assert not repaired.repair.needs_approval
            await town.answer_all(no, STORIES["low.connected"], "check_papers.1")
            await town.owed(no, "survey.1")
            last = (await town.history(no)).events
            completed = [e for e in last if e.event_type in ENDS_OF_TASKS][-1]
            of = completed.workflow_task_completed_event_attributes
            assert of.deployment_version.build_id == "B"


async def test_a_step_that_failed_for_long_goes_on_at_once_when_it_is_mended(
    open_settled_town: OpenTown,
) -> None:
    broken, story = Broken("accept_case"), STORIES["low.connected"]
    async with open_settled_town(broken) as town:
        administrators = Administrators(town)
        no = await town.submit(Voltage.LOW)
        await town.answer_all(no, story, "check_papers.1")
        step = await town.fails_in_sight(no, "accept_case", attempt=3)
        broken.is_mended = True

        repaired = await administrators.repair(
            RepairKind.RETRY, Target(case_no=no, task_id=step.activity_id)
        )

        assert repaired.report.deviations == ()
        assert repaired.plan.goes_on
        assert repaired.report.tasks_opened == (f"{no}.survey.1",)
