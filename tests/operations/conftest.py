"""Towns whose engine says what is wrong with its processes, as that of `onewindow up` does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Interceptor
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment

from activities.payloads import MESSAGES
from tests.support.databases import SqliteFiles
from tests.workflows.harness import Town, opened, program
from worker import HEARTBEAT

OpenTown = Callable[..., AbstractAsyncContextManager[Town]]
STARTS_WITHIN = timedelta(seconds=30)
TELLS_OF_FAILURES = (
    "--dynamic-config-value",
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2",
)


@asynccontextmanager
async def opened_town(
    databases: SqliteFiles, folder: Path, *interceptors: Interceptor, **how: Any
) -> AsyncIterator[Town]:
    """Open a town on the engine of service, with workers that send heartbeats as in service.

    Args:
        how: as `tests.workflows.harness.opened` takes it.
    """
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    env = await WorkflowEnvironment.start_local(
        dev_server_existing_path=program("temporal"),
        dev_server_database_filename=str(folder / "engine.db"),
        dev_server_log_level="error",
        dev_server_extra_args=TELLS_OF_FAILURES,
        dev_server_startup_timeout=STARTS_WITHIN,
        interceptors=interceptors,
        data_converter=MESSAGES,
        runtime=Runtime(
            telemetry=TelemetryConfig(logging=quiet), worker_heartbeat_interval=HEARTBEAT
        ),
    )
    with databases.migrated() as url:
        async with env, opened(env, url, **how) as town:
            yield town


@pytest.fixture
def open_town(sqlite_databases: SqliteFiles, tmp_path: Path) -> OpenTown:
    """Open a town of this test."""
    return partial(opened_town, sqlite_databases, tmp_path)
