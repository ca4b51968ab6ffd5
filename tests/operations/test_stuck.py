"""What is stuck is found without being looked for, and nothing else is (RB-12.1)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.beginning import case_ref
from domain.connection import Ending, TaskKind, Voltage
from domain.naming import bundle_id
from domain.repairs import RepairKind
from operations.processes import Processes
from operations.stuck import Finder, Scan
from operations.stuck_findings import KINDS, Finding, Severity, StuckKind, without_personal
from policy.loader import policy_for
from storage.outbox import Outbox, Tried, revised
from tests.operations.conftest import OpenTown
from tests.support import cases
from tests.workflows.agency_system import listening
from tests.workflows.faults import Broken
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import STORIES

pytestmark = pytest.mark.rule("RB-12.1")
ROOT = Path(__file__).parents[2]
TO_THE_BUNDLE = ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1")
CONNECTED = STORIES["high.connected"]
LONG_AGO = timedelta(minutes=2)
OPERATIONS_PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def finder(town: Town) -> Finder:
    return Finder(town.casefile.engine, Processes(town.settings), town.engine_now, town.clock)


async def scan(town: Town) -> Scan:
    found = await finder(town).scan()
    assert found.is_complete
    assert [each.rank for each in found.findings] == sorted(each.rank for each in found.findings)
    return found


async def the_one(town: Town) -> Finding:
    (finding,) = (await scan(town)).findings
    return finding


async def found(town: Town, kind: StuckKind, within_s: float = 60.0) -> Finding:
    """Wait until one thing of a kind is found, and nothing else; return it."""

    async def look() -> Finding | None:
        findings = (await scan(town)).findings
        if [each.kind for each in findings] == [kind]:
            return findings[0]
        assert not findings, findings
        return None

    return await eventually(look, kind, within_s)


async def at_the_bundle(town: Town) -> str:
    no = await town.submit(Voltage.HIGH)
    await town.answer_all(no, CONNECTED, *TO_THE_BUNDLE[:1])
    for name in TO_THE_BUNDLE[1:]:
        await town.answer_all(no, CONNECTED, name)
    await town.waiting(no, 6)
    return no


async def last_task(processes: Processes, workflow_id: str) -> int:
    history = await processes.history(workflow_id)
    assert history is not None
    completed = [
        event.event_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return completed[-1]


async def terminated(town: Town, workflow_id: str) -> str:
    processes = Processes(town.settings)
    process = await processes.describe(workflow_id)
    assert process is not None and process.is_running
    assert await processes.terminate(workflow_id, process.run_id, "a test's")
    return process.run_id


async def test_a_healthy_town_shows_nothing(open_town: OpenTown) -> None:
    async with open_town() as town:
        await at_the_bundle(town)
        low = await town.submit(Voltage.LOW)
        await town.tell(low, STORIES["low.connected"])
        await town.submit(Voltage.LOW)
        assert (await scan(town)).findings == ()


async def test_a_process_that_was_terminated_is_found(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await at_the_bundle(town)
        await terminated(town, no)
        finding = await the_one(town)
        assert (finding.kind, finding.severity) == (StuckKind.PROCESS_CLOSED, Severity.CRITICAL)
        assert (finding.case_no, finding.workflow_id) == (no, no)
        assert "terminated" in finding.cause.en and "终止" in finding.cause.zh
        assert finding.repair is RepairKind.RESTART


async def test_a_process_whose_bundle_was_terminated_has_failed(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await at_the_bundle(town)
        await terminated(town, bundle_id(no, 1))
        finding = await found(town, StuckKind.PROCESS_CLOSED)
        assert finding.case_no == no
        assert "failed" in finding.cause.en


async def test_a_bundle_that_ended_while_its_parent_was_closed_is_found(
    open_town: OpenTown,
) -> None:
    async with open_town() as town:
        no = await at_the_bundle(town)
        processes = Processes(town.settings)
        last = await last_task(processes, no)
        run_id = await terminated(town, no)

        async def look() -> bool | None:
            bundle = await processes.describe(bundle_id(no, 1))
            assert bundle is not None
            return None if bundle.is_running else True

        await eventually(look, "the end of the bundle")
        await processes.reset(no, run_id, last, reason="a test's", request_id="reset-1")
        finding = await found(town, StuckKind.BUNDLE_CLOSED)
        assert (finding.case_no, finding.workflow_id) == (no, bundle_id(no, 1))
        assert finding.repair is RepairKind.RESTART


# ---------------------------------------------------------------- processes that the engine lost


async def test_a_case_that_no_process_carries_is_found(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await town.submit(Voltage.LOW)
        await town.owed(no, "check_papers.1")
        await town.delivery.note()
        client = await Processes(town.settings).client()
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=no)
            )
        )
        finding = await found(town, StuckKind.PROCESS_MISSING)
        assert (finding.case_no, finding.repair) == (no, RepairKind.RESTART)


async def test_a_case_that_was_never_started_is_found_after_some_seconds(
    open_town: OpenTown,
) -> None:
    async with open_town() as town:
        late, at = town.now() - timedelta(seconds=11), town.now()
        new = replace(cases.new_case("late", at=late), clock=town.clock)
        no = (await town.casefile.submit(new)).no
        await town.casefile.submit(replace(new, idempotency_key="new", submitted_at=at))
        finding = await the_one(town)
        assert (finding.kind, finding.case_no) == (StuckKind.NOT_STARTED, no)


async def test_processes_that_carry_no_open_case_are_found(open_town: OpenTown) -> None:
    async with open_town() as town:
        ended, unknown = await at_the_bundle(town), "ZJ20260099999"
        await town.casefile.end(ended, Ending.WITHDRAWN, at=town.now() - LONG_AGO, action_id=None)
        policy = policy_for(cases.POLICY)
        case = case_ref(unknown, Voltage.LOW, "single", policy, town.clock)
        assert await Processes(town.settings).start(case)

        async def look() -> Sequence[Finding] | None:
            findings = (await scan(town)).findings
            return findings if len(findings) == 3 else None

        findings = await eventually(look, "three orphans")
        assert {each.kind for each in findings} == {StuckKind.ORPHAN}
        assert {each.severity for each in findings} == {Severity.LOW}
        assert {(each.workflow_id, each.case_no) for each in findings} == {
            (ended, ended),
            (bundle_id(ended, 1), ended),
            (unknown, None),
        }


# ---------------------------------------------------------------- processes that do not go on


@workflow.defn(name="Application")
class Raising:
    """What a bug makes of the process of a case."""

    @workflow.run
    async def run(self, case: dict[str, Any]) -> None:
        raise ValueError("no route for 示例甲, 13800000001, 'Example Ltd', of 'check_papers'")


@workflow.defn(name="Application")
class Otherwise:
    """A story that does not fit the histories that there are."""

    @workflow.run
    async def run(self, case: dict[str, Any]) -> None:
        await workflow.sleep(3600)

    @workflow.signal
    def calendar_changed(self) -> None:
        """Go on."""


@workflow.defn(name="Application")
class Idle:
    """A process that waits for what nobody can give."""

    @workflow.run
    async def run(self, case: dict[str, Any]) -> None:
        await workflow.wait_condition(lambda: False)


@asynccontextmanager
async def working(town: Town, code: type) -> AsyncIterator[None]:
    """Run a worker with other code for the process of a case."""
    async with Worker(
        town.client,
        task_queue=town.settings.task_queue,
        workflows=[code],
        activities=[nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield


@activity.defn
async def nothing() -> None:
    """Nobody calls this; without it a worker asks for no activities."""


async def test_a_process_whose_code_raises_is_found_with_the_error(open_town: OpenTown) -> None:
    async with open_town(is_working=False) as town, working(town, Raising):
        began = town.engine_now()
        no = await town.submit(Voltage.LOW)
        finding = await found(town, StuckKind.PROCESS_FAILING)
        assert (finding.case_no, finding.workflow_id) == (no, no)
        assert finding.error == "ValueError: no route for …, …, '…', of 'check_papers'"
        assert began <= finding.since <= began + timedelta(seconds=5)
        assert finding.repair is RepairKind.RESET
        assert "raises" in finding.cause.en


async def test_a_process_that_no_longer_fits_its_history_is_found(open_town: OpenTown) -> None:
    async with open_town(is_working=False) as town:
        async with town.working():
            no = await town.submit(Voltage.LOW)
            await town.owed(no, "check_papers.1")
        async with working(town, Otherwise):
            await town.engine.calendar_changed(no)
            finding = await found(town, StuckKind.PROCESS_FAILING)
            assert finding.case_no == no
            assert "no longer fits" in finding.cause.en and "不符" in finding.cause.zh
            assert finding.error is not None and "ondeterminism" in finding.error
        async with town.working():
            await town.engine.calendar_changed(no)

            async def look() -> bool | None:
                return None if (await scan(town)).findings else True

            await eventually(look, "the end of the finding")


async def test_a_process_that_waits_for_nothing_is_found(open_town: OpenTown) -> None:
    async with open_town(is_working=False) as town, working(town, Idle):
        no = await town.submit(Voltage.LOW)
        await town.delivery.note()
        finding = await found(town, StuckKind.UNMOVED)
        assert (finding.case_no, finding.repair) == (no, RepairKind.RESTART)


async def test_a_step_that_waits_for_what_is_on_file_is_found(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await town.submit(Voltage.LOW)
        (task,) = await town.owed(no, "check_papers.1")
        at = town.now() - LONG_AGO
        await town.casefile.decide(task.id, {"code": "accepted"}, by="desk", at=at)
        finding = await the_one(town)
        assert (finding.kind, finding.task_id) == (StuckKind.OUTCOME_UNDELIVERED, task.id)
        assert (finding.agency, finding.repair) == ("desk", RepairKind.RETRY)
        # Noted as delivered, as by an engine that lost what it was told last.
        await town.casefile.outcomes_delivered([task.id])
        finding = await the_one(town)
        assert (finding.kind, finding.case_no) == (StuckKind.UNMOVED, no)
        assert (finding.task_id, finding.repair) == (task.id, RepairKind.RETRY)


async def test_an_outcome_on_its_way_is_no_finding(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await town.submit(Voltage.LOW)
        (task,) = await town.owed(no, "check_papers.1")
        await town.put_on_file(task, {"code": "accepted"})
        assert (await scan(town)).findings == ()


async def test_an_open_task_that_no_step_waits_for_is_found(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await town.submit(Voltage.LOW)
        await town.owed(no, "check_papers.1")
        task = await town.casefile.open_task(cases.new_task(no, TaskKind.SURVEY, at=town.now()))
        finding = await the_one(town)
        assert (finding.kind, finding.task_id) == (StuckKind.NOT_OWED, task.id)
        assert (finding.case_no, finding.agency) == (no, "utility")


# ---------------------------------------------------------------- steps tried in vain


async def test_a_step_that_fails_is_found_with_its_error(open_town: OpenTown) -> None:
    async with open_town(Broken("owe")) as town:
        began = town.engine_now()
        no = await town.submit(Voltage.LOW)
        finding = await found(town, StuckKind.STEP_FAILING)
        assert (finding.case_no, finding.repair) == (no, RepairKind.RETRY)
        assert finding.about == f"{no}.owe"
        assert finding.error == "broken on purpose"
        assert began <= finding.since <= began + timedelta(seconds=5)


async def test_a_step_on_the_case_file_that_fails_is_found(open_town: OpenTown) -> None:
    async with open_town(Broken("accept_case")) as town:
        no = await town.submit(Voltage.LOW)
        await town.answer_all(no, STORIES["low.connected"], "check_papers.1")
        await town.delivery.note()
        finding = await found(town, StuckKind.STEP_FAILING)
        assert (finding.about, finding.case_no) == (f"{no}.accept_case", no)


async def test_tasks_that_agencies_systems_do_not_take_are_found(open_town: OpenTown) -> None:
    with listening() as system:
        system.answers = [(422, None)] * 3
        bases = {"water": system.base, "police": "http://127.0.0.1:1"}
        async with open_town(bases=bases) as town:
            no = await at_the_bundle(town)

            async def look() -> Sequence[Finding] | None:
                findings = (await scan(town)).findings
                return findings if len(findings) == 2 else None

            refused, unanswered = await eventually(look, "both agencies")
            assert (refused.kind, refused.severity) == (StuckKind.PUSH_REFUSED, Severity.HIGH)
            assert (refused.task_id, refused.agency) == (f"{no}.permits-water.1", "water")
            assert refused.error == "water answered 422"
            assert (unanswered.kind, unanswered.severity) == (
                StuckKind.PUSH_UNANSWERED,
                Severity.LOW,
            )
            assert (unanswered.task_id, unanswered.agency) == (f"{no}.permits-police.1", "police")
            assert unanswered.error is not None and "police" in unanswered.error
            assert {refused.repair, unanswered.repair} == {RepairKind.PUSH}
            assert {refused.workflow_id, unanswered.workflow_id} == {bundle_id(no, 1)}
            # Answered from the inbox: nobody is waited for any more.
            for task in await town.owed(no, "permits-water.1", "permits-police.1"):
                await town.answer(task, CONNECTED.outcome(task))
            assert (await scan(town)).findings == ()


async def test_an_attempt_that_ends_by_its_time_is_no_finding(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await town.submit(Voltage.LOW, first_attempt=timedelta(seconds=1))
        await town.owed(no, "check_papers.1")

        async def look() -> bool | None:
            process = await Processes(town.settings).describe(no)
            assert process is not None
            (step,) = process.description.pending_activities
            return True if step.attempt >= 3 else None

        await eventually(look, "the third attempt")
        assert (await scan(town)).findings == ()


async def test_changes_that_agencies_do_not_take_are_found(open_town: OpenTown) -> None:
    with listening() as system:
        bases = dict.fromkeys(("water", "police"), system.base)
        async with open_town(bases=bases) as town:
            await _changes_not_taken(town)


async def _changes_not_taken(town: Town) -> None:
    no = await at_the_bundle(town)
    water, police = await town.owed(no, "permits-water.1", "permits-police.1")
    changes = [revised(t.id, t.owed_by, None, round_no=2, items={}) for t in (water, police)]
    changes.append(revised(police.id, "police", None, round_no=3, items={}))
    at = town.now() - LONG_AGO
    await town.casefile.note(no, "noted", {}, at=at, once="noted", messages=changes)
    outbox, later = Outbox(town.casefile.engine), town.engine_now() + LONG_AGO
    (first,) = await outbox.claim("water", now=later, until=later, limit=1)
    await outbox.settle(
        [Tried(first.number, later, "water answered 400", is_refused=True)], at=later
    )
    refused, unanswered = (await scan(town)).findings
    assert (refused.kind, refused.agency) == (StuckKind.CHANGE_REFUSED, "water")
    assert (refused.error, refused.task_id) == ("water answered 400", water.id)
    # One finding per cause: what waits behind it waits for the same agency.
    assert (unanswered.kind, unanswered.agency) == (StuckKind.CHANGE_UNANSWERED, "police")
    assert "1 more" in unanswered.cause.en


# ---------------------------------------------------------------- workers, and the engine


async def test_a_worker_that_has_stopped_is_found_and_no_case_beside_it(
    open_town: OpenTown,
) -> None:
    async with open_town(is_working=False) as town:
        async with town.working():
            no = await town.submit(Voltage.LOW)
            await town.owed(no, "check_papers.1")
            await town.delivery.note()
            assert (await scan(town)).findings == ()
        await town.answer((await town.tasks(no))["check_papers.1"], {"code": "accepted"})
        await town.delivery.note()
        finding = await the_one(town)
        assert (finding.kind, finding.severity) == (StuckKind.WORKER_MISSING, Severity.CRITICAL)
        assert (finding.case_no, finding.about) == (None, town.settings.task_queue)
        async with town.working():
            assert (await scan(town)).findings == ()


@activity.defn
async def holding() -> None:
    """Hold a place for as long as the worker runs."""
    await asyncio.Event().wait()


@workflow.defn(name="Application")
class Queueing:
    """A process that needs a place for a step of its own."""

    @workflow.run
    async def run(self, case: dict[str, Any]) -> None:
        await workflow.execute_activity(holding, start_to_close_timeout=timedelta(hours=1))


async def test_work_that_nobody_takes_is_found(open_town: OpenTown) -> None:
    async with (
        open_town(is_working=False) as town,
        Worker(
            town.client,
            task_queue=town.settings.task_queue,
            workflows=[Queueing],
            activities=[holding],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_activities=1,
        ),
    ):
        for _ in range(4):
            await town.submit(Voltage.LOW)
        await town.delivery.note()
        finding = await found(town, StuckKind.WORKER_LAGGING)
        assert (finding.severity, finding.case_no) == (Severity.HIGH, None)


async def test_without_the_engine_the_file_says_what_it_can(open_town: OpenTown) -> None:
    async with open_town() as town:
        no = await town.submit(Voltage.LOW)
        (task,) = await town.owed(no, "check_papers.1")
        await town.delivery.note()
        await town.casefile.push_refused(task.id, "desk answered 422", at=town.now())
        await town.casefile.submit(replace(cases.new_case("late"), clock=town.clock))
        away = town.settings.model_copy(update={"engine_address": "127.0.0.1:1"})
        engine = town.casefile.engine
        found = await Finder(engine, Processes(away), town.engine_now, town.clock).scan()
        assert not found.is_complete and found.cases == 2
        first, second = found.findings
        assert (first.kind, first.severity) == (StuckKind.ENGINE_AWAY, Severity.CRITICAL)
        assert "1 cases" in first.cause.en
        assert (second.kind, second.task_id) == (StuckKind.PUSH_REFUSED, task.id)


# ---------------------------------------------------------------- what is told of errors


@pytest.mark.rule("RB-13.3")
@pytest.mark.parametrize(
    ("kind", "message", "told"),
    [
        ("KeyError", "KeyError at activities/owe.py:99", "KeyError at activities/owe.py:99"),
        ("ValueError", "for 示例甲（法人）, born 19950202", "ValueError: for …, born …"),
        ("", "id 440802199502020001, H1234567890", "id …, …"),
        ("", "mail a.b@example.com of 'Ann Example'", "mail … of '…'"),
        ("", "the name \"Zhang\" of 'check_papers'", "the name '…' of 'check_papers'"),
        ("", "task 'ZJ20260000011.survey.1' of ZJ20260000011", None),
        ("", "water answered 503", None),
        ("A", "first line\n{'phone': '13800000001'}", "A: first line"),
        ("B", "x" * 300, f"B: {'x' * 196}…"),
    ],
)
def test_an_error_is_told_without_what_may_be_personal(
    kind: str, message: str, told: str | None
) -> None:
    shown = without_personal(kind, message)
    assert shown == (told or message)
    assert len(shown) <= 200


def test_every_kind_is_described_in_both_languages() -> None:
    assert set(KINDS) == set(StuckKind)
    for rule in KINDS.values():
        for words in (rule.title, rule.cause, rule.advice):
            assert words.zh and words.en and words.zh != words.en
            assert set(re.findall("{(.*?)}", words.zh)) == set(re.findall("{(.*?)}", words.en))


def test_every_kind_is_documented_with_its_severity_and_repair() -> None:
    rows = (
        line.split("|")[1:-1] for line in OPERATIONS_PAGE.splitlines() if line.startswith("| `")
    )
    documented = {cells[0].split("`")[1]: cells for cells in rows if len(cells) == 4}
    for kind, rule in KINDS.items():
        title, severity, _, advice = documented[kind]
        assert rule.title.zh.partition("而")[0] in title
        assert severity.strip() == rule.severity
        assert rule.repair is None or f"`{rule.repair}`" in advice
