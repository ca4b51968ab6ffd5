"""The engine as administrators need it: look at processes, reset, end and start them.

The API's own calls are in `api.engine`: they are part of every case's way. These are for whoever
looks from outside, and may wait longer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowHistory
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import CaseRef
from activities.payloads import MESSAGES
from domain.errors import EngineAway
from settings import Settings
from workflows.application import Application

IDENTITY = "onewindow-operations"
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
    def status_name(self) -> str:
        """Its status in one word: running, completed, failed, canceled, terminated, timed_out."""
        name = WorkflowExecutionStatus.Name(self.status)
        return name.removeprefix("WORKFLOW_EXECUTION_STATUS_").lower()


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
            async for found in client.list_workflows(query, page_size=1000):
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
    ) -> str:
        """Have a process go on from before an event, the end of a workflow task, in a new run.

        Args:
            request_id: the same one again does not reset twice.

        Returns:
            The new run's id.
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
            answer = await client.workflow_service.reset_workflow_execution(
                request, timeout=self._timeout
            )
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
    except (RPCError, RuntimeError, TimeoutError) as problem:
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
