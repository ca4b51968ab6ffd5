"""The API's side of the process engine: start a case, hand over an outcome, withdraw.

Nothing here is needed for a submission or an outcome to be safe: both are on file before. When the
engine is away callers hear so at once, instead of each waiting for the same silence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import Answer, CaseRef, Withdrawal
from activities.payloads import MESSAGES
from domain.errors import EngineAway, IllegalAction
from settings import Settings
from storage.records import TaskRecord
from workflows.application import Application

T = TypeVar("T")

PAUSE_AFTER_SILENCE_S = 1.0


class Engine:
    """Calls to the engine, each with a time-out, and none while it was silent a moment ago."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = timedelta(seconds=settings.engine_timeout_s)
        self._client: Client | None = None
        self._silent_until = 0.0

    async def start(self, case: CaseRef) -> None:
        """Start a case's process, unless it has been started already (RB-3.7).

        Raises:
            EngineAway: no answer; the sweeper tries again.
        """

        async def call(client: Client) -> None:
            try:
                await client.start_workflow(
                    Application.run,
                    case,
                    id=case.no,
                    task_queue=self._settings.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    rpc_timeout=self._timeout,
                )
            except WorkflowAlreadyStartedError:
                return

        await self._called(call, self._timeout.total_seconds())

    async def deliver(self, task: TaskRecord) -> None:
        """Complete the activity that owes `task`, unless somebody did before.

        Raises:
            EngineAway: no answer; the sweeper, or the activity's next attempt, brings it.
        """
        assert task.outcome is not None and task.done_at is not None
        answer = Answer.of(task.id, task.outcome, task.done_at)

        async def call(client: Client) -> None:
            handle = client.get_async_activity_handle(
                workflow_id=task.workflow_id, run_id=None, activity_id=task.id
            )
            try:
                await handle.complete(answer, rpc_timeout=self._timeout)
            except RPCError as problem:
                if problem.status is not RPCStatusCode.NOT_FOUND or _is_of_namespace(problem):
                    raise
                # Nobody waits for it: it was completed before, or its process will read the file.

        await self._called(call, self._timeout.total_seconds())

    async def calendar_changed(self, no: str) -> None:
        """Tell a case's process that another calendar holds, if it runs.

        Raises:
            EngineAway: no answer; the case is told later.
        """
        await self._signalled(no, Application.calendar_changed)

    async def deadlines_moved(self, no: str) -> None:
        """Tell a case's process that a clock was stopped or goes on, if it runs.

        Raises:
            EngineAway: no answer; the case is told later.
        """
        await self._signalled(no, Application.deadlines_moved)

    async def _signalled(self, no: str, signal: Callable[[Application], None]) -> None:
        async def call(client: Client) -> None:
            try:
                await client.get_workflow_handle(no).signal(signal, rpc_timeout=self._timeout)
            except RPCError as problem:
                if problem.status is not RPCStatusCode.NOT_FOUND or _is_of_namespace(problem):
                    raise
                # It has ended, or not begun: then it reads the file when it does.

        await self._called(call, self._timeout.total_seconds())

    async def withdraw(self, no: str, withdrawal: Withdrawal) -> None:
        """Have the process withdraw a case; returns once the case file says so.

        Raises:
            IllegalAction: the process refuses: it is not possible where the case stands.
            EngineAway: engine or worker do not answer; asking again under the same id is safe.
        """

        async def call(client: Client) -> None:
            try:
                await client.get_workflow_handle(no).execute_update(
                    Application.withdraw,
                    withdrawal,
                    id=withdrawal.action_id,
                    rpc_timeout=timedelta(seconds=self._settings.action_timeout_s),
                )
            except WorkflowUpdateFailedError as refused:
                raise IllegalAction("withdraw", _where(refused)) from None
            except RPCError as problem:
                if problem.status is RPCStatusCode.NOT_FOUND and not _is_of_namespace(problem):
                    raise IllegalAction("withdraw", "ended") from None
                raise

        await self._called(call, self._settings.action_timeout_s, heeds_silence=False)

    async def is_reachable(self) -> bool:
        """Whether the engine answers now."""

        async def call(client: Client) -> None:
            await client.service_client.check_health(timeout=self._timeout)

        try:
            await self._called(call, self._timeout.total_seconds())
        except EngineAway:
            return False
        return True

    async def _called(
        self,
        call: Callable[[Client], Awaitable[T]],
        timeout_s: float,
        *,
        heeds_silence: bool = True,
    ) -> T:
        if heeds_silence and time.monotonic() < self._silent_until:
            raise EngineAway("the engine did not answer a moment ago")
        try:
            # The client repeats calls by itself; the outer limit holds for all of its tries.
            async with asyncio.timeout(timeout_s + 0.5):
                return await call(await self._connected())
        except (
            RPCError,
            RuntimeError,
            TimeoutError,
            WorkflowUpdateRPCTimeoutOrCancelledError,
        ) as problem:
            # An update also goes unanswered while only the worker is away.
            if heeds_silence:
                self._silent_until = time.monotonic() + PAUSE_AFTER_SILENCE_S
            raise EngineAway(f"{type(problem).__name__}: {problem}") from None

    async def _connected(self) -> Client:
        if self._client is None:
            self._client = await Client.connect(
                self._settings.engine_address,
                namespace=self._settings.engine_namespace,
                data_converter=MESSAGES,
                lazy=True,
            )
        return self._client


def _where(refused: WorkflowUpdateFailedError) -> str:
    """Say where the case stands, as the process put it."""
    cause = refused.cause
    return cause.message if isinstance(cause, ApplicationError) else type(cause).__name__


def _is_of_namespace(problem: RPCError) -> bool:
    # A starting engine may not know its namespace yet; that says nothing about the activity.
    return "namespace" in problem.message.lower()
