"""The engine as administrators need it: look at processes, reset, end and start them.

The API's own calls are in `api.engine`: they are part of every case's way. These are for whoever
looks from outside, and may wait longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerDeploymentRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkersRequest,
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import (
    Client,
    WorkflowHistory,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import Answer, CaseRef, Withdrawal
from activities.payloads import MESSAGES
from domain.errors import EngineAway, IllegalAction, UnknownVersion, VersionStarting
from settings import DEPLOYMENT, Settings
from workflows.application import Application

IDENTITY = "onewindow-operations"

POLLED_WITHIN = timedelta(seconds=75)
"""A worker asks for work once a minute at least: so long may one have been killed unnoticed."""

STARTING_S, STARTING_POLL_S = 15.0, 0.3
"""A worker asks for workflow tasks and for activities, the one moments after the other."""

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


@dataclass(frozen=True, slots=True)
class Process:
    """One run of a process, as the engine describes it.

    Attributes:
        kind: name of its workflow.
        length: events in its history.
        description: everything else that the engine says of it.
    """

    workflow_id: str
    run_id: str
    kind: str
    status: WorkflowExecutionStatus.ValueType
    length: int
    description: DescribeWorkflowExecutionResponse

    @classmethod
    def of(cls, description: DescribeWorkflowExecutionResponse) -> Self:
        """Read the engine's description."""
        info = description.workflow_execution_info
        return cls(
            info.execution.workflow_id,
            info.execution.run_id,
            info.type.name,
            info.status,
            info.history_length,
            description,
        )

    @property
    def is_running(self) -> bool:
        """Whether it has not been closed."""
        return self.status == RUNNING

    @property
    def started_at(self) -> datetime:
        """When this run began, an instant of the engine."""
        return self.description.workflow_execution_info.start_time.ToDatetime(UTC)

    @property
    def root_id(self) -> str:
        """Id of the process that it belongs to: a bundle's is its case's."""
        root = self.description.workflow_execution_info.root_execution.workflow_id
        return root or self.workflow_id

    @property
    def status_name(self) -> str:
        """Its status in one word: running, completed, failed, canceled, terminated, timed_out."""
        name = WorkflowExecutionStatus.Name(self.status)
        return name.removeprefix("WORKFLOW_EXECUTION_STATUS_").lower()


@dataclass(frozen=True, slots=True)
class WorkerVersion:
    """A version of the worker.

    Attributes:
        is_current: whether processes that are not pinned to a version are carried by it.
        polled_at: when a worker of it last asked for work; None: not within five minutes.
    """

    build_id: str
    is_current: bool
    polled_at: datetime | None

    @property
    def is_polled(self) -> bool:
        """Whether a worker of it runs, as far as the engine can tell."""
        return self.polled_at is not None and datetime.now(UTC) - self.polled_at < POLLED_WITHIN


class Processes:
    """Calls to the engine on behalf of administrators.

    Every method raises `EngineAway` if the engine does not answer.

    Args:
        client: a connected one; otherwise the first call connects.
        timeout: of each call.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        client: Client | None = None,
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self.settings = settings
        self._client, self._timeout = client, timeout

    async def client(self) -> Client:
        """Return a connected client."""
        if self._client is None:
            with _told():
                self._client = await Client.connect(
                    self.settings.engine_address,
                    namespace=self.settings.engine_namespace,
                    data_converter=MESSAGES,
                    identity=IDENTITY,
                )
        return self._client

    async def describe(self, workflow_id: str, run_id: str | None = None) -> Process | None:
        """Return the latest run of a process, or the one named; None if the engine has none."""
        client = await self.client()
        request = DescribeWorkflowExecutionRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id or ""),
        )
        with _told():
            try:
                found = await client.workflow_service.describe_workflow_execution(
                    request, timeout=self._timeout
                )
            except RPCError as problem:
                if is_unknown(problem):
                    return None
                raise
        return Process.of(found)

    async def listed(self, query: str) -> AsyncIterator[tuple[str, str]]:
        """Yield workflow id and run id of what fits a visibility query, in no order.

        Visibility lags a little behind: what it says is a hint, what `describe` says is so.
        """
        client = await self.client()
        with _told():
            async for found in client.list_workflows(
                query, page_size=1000, rpc_timeout=self._timeout
            ):
                yield found.id, found.run_id

    async def history(self, workflow_id: str, run_id: str | None = None) -> WorkflowHistory | None:
        """Return a run's history, the latest run's unless named; None if the engine has none."""
        client = await self.client()
        with _told():
            try:
                handle = client.get_workflow_handle(workflow_id, run_id=run_id)
                return await handle.fetch_history(rpc_timeout=self._timeout)
            except RPCError as problem:
                if is_unknown(problem):
                    return None
                raise

    async def latest_events(
        self, workflow_id: str, run_id: str, at_most: int
    ) -> Sequence[HistoryEvent]:
        """Return the last events of a run's history, the last first; none if there is no run."""
        client = await self.client()
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            maximum_page_size=at_most,
        )
        with _told():
            try:
                found = await client.workflow_service.get_workflow_execution_history_reverse(
                    request, timeout=self._timeout
                )
            except RPCError as problem:
                if is_unknown(problem):
                    return ()
                raise
        return found.history.events[:at_most]

    async def queue(self, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
        """Return who takes work of one kind from the queue, and how much of it waits."""
        client = await self.client()
        request = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=self.settings.task_queue),
            task_queue_type=kind,
            report_stats=True,
        )
        with _told():
            return await client.workflow_service.describe_task_queue(request, timeout=self._timeout)

    async def heartbeats(self) -> Sequence[WorkerHeartbeat] | None:
        """Return the last word of each worker of the queue; None if the engine keeps none."""
        client = await self.client()
        found: list[WorkerHeartbeat] = []
        request = ListWorkersRequest(namespace=client.namespace, page_size=1000)
        with _told():
            while True:
                try:
                    page = await client.workflow_service.list_workers(
                        request, timeout=self._timeout
                    )
                except RPCError as problem:
                    if problem.status is RPCStatusCode.UNIMPLEMENTED:
                        return None
                    raise
                found += [each.worker_heartbeat for each in page.workers_info]
                if not page.next_page_token:
                    return [h for h in found if h.task_queue == self.settings.task_queue]
                request.next_page_token = page.next_page_token

    async def terminate(self, workflow_id: str, run_id: str, reason: str) -> bool:
        """End a run at once, without a word to its code; false if it has ended already."""
        client = await self.client()
        with _told():
            try:
                handle = client.get_workflow_handle(workflow_id, run_id=run_id)
                await handle.terminate(reason=reason, rpc_timeout=self._timeout)
            except RPCError as problem:
                if is_unknown(problem):
                    return False
                raise
        return True

    async def reset(
        self, workflow_id: str, run_id: str, event_id: int, *, reason: str, request_id: str
    ) -> str | None:
        """Have a process go on from before an event, the end of a workflow task, in a new run.

        Args:
            request_id: the same one again does not reset twice.

        Returns:
            The new run's id; None if the engine has no such run.
        """
        client = await self.client()
        request = ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            reason=reason,
            workflow_task_finish_event_id=event_id,
            request_id=request_id,
            identity=IDENTITY,
        )
        with _told():
            try:
                answer = await client.workflow_service.reset_workflow_execution(
                    request, timeout=self._timeout
                )
            except RPCError as problem:
                if is_unknown(problem):
                    return None
                raise
        return answer.run_id

    async def start(self, case: CaseRef) -> bool:
        """Start a case's process where an earlier one has ended; false if one runs."""
        client = await self.client()
        with _told():
            try:
                await client.start_workflow(
                    Application.run,
                    case,
                    id=case.no,
                    task_queue=self.settings.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    rpc_timeout=self._timeout,
                )
            except WorkflowAlreadyStartedError:
                return False
        return True

    async def complete(self, workflow_id: str, activity_id: str, answer: Answer) -> bool:
        """Hand an outcome to its process; false if the engine is away (the sweeper brings it)."""
        client = await self.client()
        handle = client.get_async_activity_handle(
            workflow_id=workflow_id, run_id=None, activity_id=activity_id
        )
        try:
            with _told():
                try:
                    await handle.complete(answer, rpc_timeout=self._timeout)
                except RPCError as problem:
                    if not is_unknown(problem):
                        raise
                    # Nobody waits for it: its process reads the file.
        except EngineAway:
            return False
        return True

    async def withdraw(self, no: str, withdrawal: Withdrawal) -> None:
        """Have a process withdraw its case; returns once the case file says so.

        Raises:
            IllegalAction: it refuses: it is not possible where the case stands.
        """
        client = await self.client()
        with _told():
            try:
                await client.get_workflow_handle(no).execute_update(
                    Application.withdraw,
                    withdrawal,
                    id=withdrawal.action_id,
                    rpc_timeout=self._timeout,
                )
            except WorkflowUpdateFailedError as refused:
                where = refused.cause.message if isinstance(refused.cause, ApplicationError) else ""
                raise IllegalAction("withdraw", where) from None
            except RPCError as problem:
                if is_unknown(problem):
                    raise IllegalAction("withdraw", "ended") from None
                raise

    async def retry_activity(self, workflow_id: str, activity_id: str) -> bool:
        """Have an activity that backs off tried now, as if for the first time.

        Returns:
            False if the process has no such activity.
        """
        client = await self.client()
        request = ResetActivityRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id),
            id=activity_id,
            identity=IDENTITY,
        )
        with _told():
            try:
                await client.workflow_service.reset_activity(request, timeout=self._timeout)
            except RPCError as problem:
                if is_unknown(problem):
                    return False
                raise
        return True

    # ------------------------------------------------------------------ versions of the worker

    async def versions(self) -> list[WorkerVersion]:
        """Return every version of the worker that the engine knows, the newest first."""
        client = await self.client()
        asked = DescribeWorkerDeploymentRequest(
            namespace=client.namespace, deployment_name=DEPLOYMENT
        )
        with _told():
            service = client.workflow_service
            try:
                found = await service.describe_worker_deployment(asked, timeout=self._timeout)
            except RPCError as problem:
                if is_unknown(problem):
                    return []
                raise
        polled = await self.queue(TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
        polled_at: dict[str, datetime] = {}
        for poller in polled.pollers:
            build, at = poller.deployment_options.build_id, poller.last_access_time
            last = at.ToDatetime(UTC)
            polled_at[build] = max(last, polled_at.get(build, last))
        current = found.worker_deployment_info.routing_config.current_deployment_version.build_id
        summaries = sorted(
            found.worker_deployment_info.version_summaries,
            key=lambda each: each.create_time.ToNanoseconds(),
            reverse=True,
        )
        builds = [each.deployment_version.build_id for each in summaries]
        return [
            WorkerVersion(build, is_current=build == current, polled_at=polled_at.get(build))
            for build in builds
        ]

    async def check_version(self, build_id: str) -> None:
        """Pass if a worker of this version is running.

        Raises:
            UnknownVersion: none is; what is moved to it would stand still.
        """
        if not any(v.build_id == build_id and v.is_polled for v in await self.versions()):
            raise UnknownVersion(build_id)

    async def move(self, workflow_id: str, build_id: str | None) -> bool:
        """Have a process carried by one version of the worker from its next step on.

        Bundles that it starts later are carried by the same; those that run are moved by
        themselves.

        Args:
            build_id: None: by whichever version is current, as before it was moved.

        Returns:
            False if no such process runs.

        Raises:
            UnknownVersion: no worker of this version is running.
        """
        if build_id is not None:
            await self.check_version(build_id)
        process = await self.describe(workflow_id)
        if process is None or not process.is_running:
            return False
        client = await self.client()
        request = UpdateWorkflowExecutionOptionsRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=process.run_id),
            workflow_execution_options=_pinned(build_id),
            update_mask=FieldMask(paths=["versioning_override"]),
            identity=IDENTITY,
        )
        with _told():
            try:
                await client.workflow_service.update_workflow_execution_options(
                    request, timeout=self._timeout
                )
            except RPCError as problem:
                if is_unknown(problem):
                    return False
                raise
        return True

    async def use(self, build_id: str | None) -> None:
        """Have every process that is not pinned carried by one version of the worker.

        Args:
            build_id: None: by unversioned workers.

        A worker that has just started takes one kind of work before the other; that is waited for.

        Raises:
            UnknownVersion: no worker of this version is running.
            VersionStarting: none of them took every kind of work within `STARTING_S`.
        """
        if build_id is not None:
            await self.check_version(build_id)
        client = await self.client()
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace,
            deployment_name=DEPLOYMENT,
            build_id=build_id or "",
            identity=IDENTITY,
        )
        give_up_at = time.monotonic() + STARTING_S
        with _told():
            while True:
                try:
                    await client.workflow_service.set_worker_deployment_current_version(
                        request, timeout=self._timeout
                    )
                except RPCError as problem:
                    if build_id is None and is_unknown(problem):
                        return  # Without any version unversioned workers carry everything already.
                    if build_id is None or not _is_starting(problem):
                        raise
                    if time.monotonic() >= give_up_at:
                        raise VersionStarting(build_id) from None
                else:
                    return
                await asyncio.sleep(STARTING_POLL_S)


def _is_starting(problem: RPCError) -> bool:
    """Whether the engine says that a version does not take all the work that others take."""
    return (
        problem.status is RPCStatusCode.FAILED_PRECONDITION
        and "missing active task queues" in problem.message
    )


def _pinned(build_id: str | None) -> WorkflowExecutionOptions:
    if build_id is None:
        return WorkflowExecutionOptions()
    pinned = VersioningOverride.PinnedOverride(
        behavior=VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED,
        version=WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id),
    )
    return WorkflowExecutionOptions(versioning_override=VersioningOverride(pinned=pinned))


def is_unknown(problem: RPCError) -> bool:
    """Whether the engine says that there is no such process, run or activity."""
    # A starting engine may not know its namespace yet; that says nothing about the process.
    is_of_namespace = "namespace" in problem.message.lower()
    return problem.status is RPCStatusCode.NOT_FOUND and not is_of_namespace


@contextmanager
def _told() -> Iterator[None]:
    """Say of every failure to reach the engine that it is away."""
    try:
        yield
    except (
        RPCError,
        RuntimeError,
        TimeoutError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
    ) as problem:
        if isinstance(problem, RPCError) and problem.status not in _AWAY:
            raise
        raise EngineAway(f"{type(problem).__name__}: {problem}") from None


_AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
"""NOT_FOUND: by here only of the namespace, which a starting engine does not know yet."""
