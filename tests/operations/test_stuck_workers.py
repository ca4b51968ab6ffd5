"""A worker that died is found within a minute, and none that lives is taken for dead (RB-12.1)."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueueStats
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

from domain.connection import Voltage
from operations.stuck_findings import StuckKind
from operations.stuck_workers import LATE_AFTER, judged
from tests.operations.conftest import OpenTown
from tests.operations.test_stuck import finder
from tests.workflows.harness import eventually
from worker import HEARTBEAT

pytestmark = pytest.mark.rule("RB-12.1")
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 9, 16, 4, tzinfo=UTC)
AT_WORK = WorkerStatus.WORKER_STATUS_RUNNING
LEAVING = WorkerStatus.WORKER_STATUS_SHUTTING_DOWN
A_SECOND = timedelta(seconds=1)


def heartbeat(
    seconds_ago: float, status: WorkerStatus.ValueType = AT_WORK, identity: str = "1@here"
) -> WorkerHeartbeat:
    beat = WorkerHeartbeat(worker_identity=identity, status=status)
    beat.heartbeat_time.FromDatetime(NOW - timedelta(seconds=seconds_ago))
    return beat


def queue(*asked_s_ago: float, waited: timedelta = timedelta()) -> DescribeTaskQueueResponse:
    """Return a queue that one worker asked so many seconds ago, and others before."""
    found = DescribeTaskQueueResponse(stats=TaskQueueStats(approximate_backlog_count=7))
    found.stats.approximate_backlog_age.FromTimedelta(waited)
    for number, seconds in enumerate(asked_s_ago, 1):
        poller = PollerInfo(identity=f"{number}@here")
        poller.last_access_time.FromDatetime(NOW - timedelta(seconds=seconds))
        found.pollers.append(poller)
    return found


@pytest.mark.parametrize(
    ("heartbeats", "queues", "is_any"),
    [
        ([heartbeat(4)], [queue(59), queue(59)], True),
        ([heartbeat(14)], [queue(), queue()], True),
        ([heartbeat(16)], [queue(59), queue(59)], False),
        # It hangs, and the engine passes its asking on.
        ([heartbeat(16)], [queue(2), queue(2)], False),
        # One that has just begun.
        ([], [queue(2), queue(14)], True),
        ([heartbeat(16)], [queue(400, 2), queue(400, 14)], True),
        ([], [queue(2), queue(16)], False),
        ([], [queue(), queue()], False),
        ([heartbeat(3, LEAVING)], [queue(4), queue(4)], False),
        ([heartbeat(5, LEAVING), heartbeat(4, identity="2@here")], [queue(8), queue(8)], True),
        # The same process, with another worker than before.
        ([heartbeat(5, LEAVING)], [queue(1), queue(1)], True),
        ([heartbeat(400), heartbeat(2, identity="2@here")], [queue(400, 50)] * 2, True),
        # An engine that keeps no heartbeats.
        (None, [queue(61), queue(61)], True),
        (None, [queue(80), queue(80)], False),
    ],
)
def test_who_is_at_work_follows_from_heartbeats_and_from_who_asked(
    heartbeats: Sequence[WorkerHeartbeat] | None,
    queues: Sequence[DescribeTaskQueueResponse],
    is_any: bool,
) -> None:
    assert judged(heartbeats, queues, NOW).is_any is is_any


def test_the_last_sign_of_life_is_told() -> None:
    found = judged([heartbeat(90), heartbeat(70, LEAVING)], [queue(80), queue(99)], NOW)
    assert found.seen_at == NOW - timedelta(seconds=70)
    assert judged([], [queue(), queue()], NOW).seen_at is None


def test_work_that_waits_in_either_queue_is_late() -> None:
    late, in_time = queue(1, waited=LATE_AFTER), queue(1, waited=LATE_AFTER - A_SECOND)
    assert judged([heartbeat(1)], [in_time, late], NOW).is_late
    assert judged([heartbeat(1)], [late, in_time], NOW).waiting == 14
    assert not judged([heartbeat(1)], [in_time, in_time], NOW).is_late


def test_heartbeats_come_often_enough() -> None:
    """Two may be lost, and a worker that begins is not heard of before the first."""
    assert judged([heartbeat(2 * HEARTBEAT.total_seconds() + 2)], [queue(), queue()], NOW).is_any


async def test_a_worker_that_was_killed_is_found_within_a_minute(open_town: OpenTown) -> None:
    async with open_town(is_working=False) as town:
        ours = {
            "ONEWINDOW_ENGINE_ADDRESS": town.settings.engine_address,
            "ONEWINDOW_DATABASE_URL": town.settings.database_url,
            "PYTHONPATH": str(ROOT),
        }
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker", env={**os.environ, **ours}, cwd=ROOT
        )
        try:
            no = await town.submit(Voltage.LOW)
            await town.owed(no, "check_papers.1")
            await town.delivery.note()
            look = finder(town)
            # Until the engine has heard of it, and while it has nothing to do.
            until = time.monotonic() + 2 * HEARTBEAT.total_seconds()
            while time.monotonic() < until:
                assert (await look.scan()).findings == ()
                await asyncio.sleep(1)
        finally:
            worker.kill()
            await worker.wait()
        killed_at = time.monotonic()

        async def found() -> bool | None:
            findings = (await look.scan()).findings
            assert [each.kind for each in findings] in ([], [StuckKind.WORKER_MISSING])
            return True if findings else None

        await eventually(found, "the worker that was killed")
        assert time.monotonic() - killed_at < 60
