"""Workers of several versions at once; a case is moved from one to another (RB-12.2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError, RPCStatusCode

from domain.connection import Ending, Voltage
from domain.errors import UnknownVersion, VersionStarting
from domain.naming import bundle_id
from operations import processes as operating
from operations.processes import Processes, WorkerVersion
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import FIVE_DEPARTMENTS, STORIES

pytestmark = pytest.mark.rule("RB-12.2")
LOW, HIGH = STORIES["low.connected"], STORIES["high.connected"]


async def _polled(processes: Processes, build_id: str) -> None:
    async def look() -> bool | None:
        found = await processes.versions()
        return True if any(v.build_id == build_id and v.is_polled for v in found) else None

    await eventually(look, f"a worker of version {build_id}")


async def _carried_by(town: Town, workflow_id: str) -> list[str]:
    """Return the version that carried each step of a process; empty: an unversioned one."""
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in (await town.history(workflow_id)).events
        if event.event_type == completed
    ]


async def _last_carried_by(town: Town, no: str) -> str:
    return (await _carried_by(town, no))[-1]


async def test_a_case_is_pinned_to_a_version_and_moved_while_others_follow_the_current(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town(is_working=False) as town:
        processes = Processes(town.settings, client=town.client)
        assert await processes.versions() == []
        async with town.working("A"):
            await _polled(processes, "A")
            await processes.use("A")
            pinned, other = await town.submit(Voltage.LOW), await town.submit(Voltage.LOW)
            for no in (pinned, other):
                await town.owed(no, "check_papers.1")
            assert await processes.move(pinned, "A")

            async with town.working("B"):
                await _polled(processes, "B")
                await processes.use("B")
                newest, older = await processes.versions()
                assert (newest.build_id, newest.is_current) == ("B", True)
                assert (older.build_id, older.is_current, older.is_polled) == ("A", False, True)

                for no in (pinned, other):
                    await town.answer_all(no, LOW, "check_papers.1")
                    await town.owed(no, "survey.1")
                assert set(await _carried_by(town, pinned)) == {"A"}
                assert await _last_carried_by(town, other) == "B"
                new = await town.submit(Voltage.LOW)
                await town.owed(new, "check_papers.1")
                assert set(await _carried_by(town, new)) == {"B"}

                assert await processes.move(pinned, "B")
                await town.answer_all(pinned, LOW, "survey.1")
                await town.owed(pinned, "filing.1")
                assert await _last_carried_by(town, pinned) == "B"
                assert await processes.move(pinned, "A")
                await town.answer_all(pinned, LOW, "filing.1")
                await town.owed(pinned, "build_line.1")
                assert await _last_carried_by(town, pinned) == "A"

                # Let go, it follows the current version again.
                assert await processes.move(pinned, None)
                for no in (pinned, other, new):
                    assert (await town.tell(no, LOW)).ending == Ending.CONNECTED
                    assert await _last_carried_by(town, no) == "B"
                assert not await processes.move(pinned, "B")


async def test_a_bundle_is_carried_by_the_version_its_case_is_pinned_to(
    open_settled_town: OpenTown,
) -> None:
    permits = sorted(f"permits-{department}.1" for department in FIVE_DEPARTMENTS)
    async with open_settled_town(is_working=False) as town:
        processes = Processes(town.settings, client=town.client)
        async with town.working("A"), town.working("B"):
            await _polled(processes, "A")
            await _polled(processes, "B")
            await processes.use("B")
            no = await town.submit(Voltage.HIGH)
            await town.owed(no, "check_papers.1")
            assert await processes.move(no, "A")
            await town.tell_until(no, STORIES["high.withdrawn"])
            bundle = bundle_id(no, 1)
            assert set(await _carried_by(town, bundle)) == {"A"}
            # One that runs is moved by itself.
            assert await processes.move(no, "B")
            assert await processes.move(bundle, "B")
            await town.answer_all(no, HIGH, *permits)
            await town.owed(no, "build_line.1")
            assert await _last_carried_by(town, bundle) == "B"


async def test_nothing_is_moved_to_a_version_that_no_worker_has(
    open_settled_town: OpenTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_settled_town(is_working=False) as town:
        processes = Processes(town.settings, client=town.client)
        async with town.working():
            no = await town.submit(Voltage.LOW)
            await town.owed(no, "check_papers.1")
            for refused in (processes.move(no, "Z"), processes.use("Z")):
                with pytest.raises(UnknownVersion, match="version Z"):
                    await refused
            # Without any version there is nothing to go back from.
            await processes.use(None)
            assert await processes.move("ZJ20269999999", None) is False

        async with town.working("A"):
            await _polled(processes, "A")
        # Its worker has gone, and time has passed without it asking for work.
        monkeypatch.setattr(operating, "POLLED_WITHIN", timedelta(0))
        (gone,) = await processes.versions()
        assert gone == WorkerVersion("A", is_current=False, polled_at=gone.polled_at)
        for refused in (processes.move(no, "A"), processes.use("A")):
            with pytest.raises(UnknownVersion, match="version A"):
                await refused
        async with town.working():
            await town.answer_all(no, LOW, "check_papers.1")
            await town.owed(no, "survey.1")


async def test_a_version_becomes_current_once_its_workers_take_every_kind_of_work(
    open_settled_town: OpenTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine refuses a version so for a moment; when, is not ours to arrange (seen in CI)."""
    monkeypatch.setattr(operating, "STARTING_POLL_S", 0.01)
    async with open_settled_town(is_working=False) as town:
        processes = Processes(town.settings, client=town.client)
        make_current = town.client.workflow_service.set_worker_deployment_current_version
        refusals = 3

        async def refuse_first(*request: Any, **others: Any) -> Any:
            nonlocal refusals
            if refusals > 0:
                refusals -= 1
                said = "proposed current version 'onewindow:A' is missing active task queues"
                raise RPCError(said, RPCStatusCode.FAILED_PRECONDITION, b"")
            return await make_current(*request, **others)

        monkeypatch.setattr(
            town.client.workflow_service, "set_worker_deployment_current_version", refuse_first
        )
        async with town.working("A"):
            await _polled(processes, "A")
            await processes.use("A")
            assert [v.is_current for v in await processes.versions()] == [True]
            refusals = 1_000_000
            monkeypatch.setattr(operating, "STARTING_S", 0.2)
            with pytest.raises(VersionStarting, match="version A do not take every kind"):
                await processes.use("A")


async def test_cases_begun_without_versions_go_on_with_them_and_back(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town(is_working=False) as town:
        processes = Processes(town.settings, client=town.client)
        async with town.working():
            no = await town.submit(Voltage.LOW)
            await town.owed(no, "check_papers.1")
        async with town.working("A"):
            await _polled(processes, "A")
            await processes.use("A")
            await town.answer_all(no, LOW, "check_papers.1")
            await town.owed(no, "survey.1")
            assert await _last_carried_by(town, no) == "A"
        await processes.use(None)
        async with town.working():
            assert (await town.tell(no, LOW)).ending == Ending.CONNECTED
            assert await _last_carried_by(town, no) == ""
