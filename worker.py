"""Composition root of the worker: connects, registers, runs until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import uvloop
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.agencies import Agencies
from activities.casefile import CaseFileActivities
from activities.failures import KindAndPlace
from activities.owe import Owing
from activities.payloads import MESSAGES
from policy.calendar import calendar
from settings import DEPLOYMENT, Settings, settings_of_process
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.database import open_engine
from workflows.registry import WORKFLOWS

# The domain is pure and messages are data: sharing them between cases is safe and keeps a cached
# process small. The workflow modules themselves are loaded anew for each case by the sandbox.
PASSED_THROUGH = ("domain", "activities", "policy", "storage", "pydantic", "sqlalchemy", "orjson")


PLACES = 200
"""For activities, beside those that calls to agencies can hold."""

GRACE = timedelta(seconds=4)
"""For pushes under way when the worker is told to stop; the supervisor waits a little longer."""

HEARTBEAT = timedelta(seconds=5)
"""An idle worker asks for work once a minute; one that died is found before that (RB-12.1)."""


def guarded_runner() -> SandboxedWorkflowRunner:
    """Return what refuses code in a process that is not deterministic.

    Tests run and replay processes with it. In service they run without: see ADR 6.
    """
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )


def engine_now() -> datetime:
    """Return the engine's time, in service."""
    return datetime.now(UTC)


def build_worker(
    client: Client,
    settings: Settings,
    casefile: CaseFile,
    agencies: Agencies,
    *,
    now: Callable[[], datetime] = engine_now,
    runner: WorkflowRunner | None = None,
) -> Worker:
    """Put a worker together; it takes tasks once it is run.

    Args:
        now: the engine's time.
        runner: what runs the processes' code; without guard unless said otherwise.
    """
    calendars = Calendars(casefile.engine, calendar, now)
    owing = Owing(casefile, calendars, agencies, now=now)
    steps = CaseFileActivities(casefile, calendars)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=[
            owing.owe,
            steps.notice_lapses_at,
            steps.deem_accepted,
            steps.accept_case,
            steps.take_survey,
            steps.list_permits,
            steps.plan_permits,
            steps.file_with_departments,
            steps.conclude_bundle,
            steps.ring_ladder,
            steps.look_out,
            steps.end_case,
        ],
        interceptors=[KindAndPlace()],
        workflow_runner=runner or UnsandboxedWorkflowRunner(),
        max_cached_workflows=settings.max_cached_workflows,
        deployment_config=_versioned(settings.worker_version),
        # Agencies that hang cannot take every place, be it all of them at once.
        max_concurrent_activities=PLACES
        + settings.agency_calls_at_once * len(settings.agency_bases),
        graceful_shutdown_timeout=GRACE,
    )


def _versioned(build_id: str | None) -> WorkerDeploymentConfig | None:
    """Return what tells the engine which version this worker is; None for an unversioned one.

    A case is carried by whichever version is current, old cases too: what an open case cannot
    replay is refused before (ADR 12). An administrator can pin one case to a version.
    """
    if not build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def connected(settings: Settings) -> Client:
    """Connect to the engine, waiting for it as long as it takes: it may start after us."""
    runtime = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=HEARTBEAT)
    while True:
        try:
            return await Client.connect(
                settings.engine_address,
                namespace=settings.engine_namespace,
                data_converter=MESSAGES,
                runtime=runtime,
            )
        except RuntimeError as problem:
            print(f"worker: engine not reachable yet: {problem}", file=sys.stderr, flush=True)
            await asyncio.sleep(0.5)


async def run(settings: Settings) -> None:
    """Run the worker until SIGINT or SIGTERM; tasks under way are finished first."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    casefile = CaseFile(open_engine(settings.database_url), settings.agency_bases)
    agencies = Agencies(
        settings.agency_bases,
        {agency: settings.key_of(agency) for agency in settings.agency_keys},
        {agency: settings.secrets_of(agency) for agency in settings.signing_secrets},
        at_once=settings.agency_calls_at_once,
    )
    connecting = asyncio.create_task(connected(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([connecting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if connecting.done():
        worker = build_worker(connecting.result(), settings, casefile, agencies)
        async with worker:
            print("worker: ready", flush=True)
            await stopping
    connecting.cancel()
    await agencies.close()
    await casefile.close()


def main() -> None:
    """Entry of the process."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run(settings_of_process()))
    # The engine's client can crash an interpreter that exits after using it; nothing is left to do.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
