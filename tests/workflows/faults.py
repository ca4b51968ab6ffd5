"""Faults on purpose: activities that fail, lose their result, or run twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any

from temporalio import activity, client, worker
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput


class Fault(StrEnum):
    """What happens to the first attempt of an activity."""

    FAILS_BEFORE = "fails before it did anything"
    FAILS_AFTER = "did everything and loses its result"
    RUNS_TWICE = "runs twice"


class Faults(client.Interceptor, worker.Interceptor):
    """Lets the first attempts of the activities of one name go wrong; None: of no activity.

    Attributes:
        struck: how often it struck.
        seen: names of all activities that ran.
    """

    def __init__(self, name: str | None = None, fault: Fault | None = None) -> None:
        self.name, self.fault = name, fault
        self.struck = 0
        self.seen: set[str] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the base's name
        """Stand before every activity."""
        return _Struck(next, self)


class _Struck(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, faults: Faults) -> None:
        super().__init__(inner)
        self._faults = faults

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the base's name
        info, faults = activity.info(), self._faults
        faults.seen.add(info.activity_type)
        if info.activity_type != faults.name or info.attempt > 1:
            return await super().execute_activity(input)
        faults.struck += 1
        if faults.fault is Fault.FAILS_BEFORE:
            raise ApplicationError("failed on purpose")
        # A wait for an outcome from outside leaves by an exception that is no `Exception`.
        with suppress(BaseException):
            await super().execute_activity(input)
        if faults.fault is Fault.FAILS_AFTER:
            raise ApplicationError("failed on purpose")
        return await super().execute_activity(input)


class Broken(client.Interceptor, worker.Interceptor):
    """Lets every attempt of the activities of one name fail, until it is mended."""

    def __init__(self, name: str) -> None:
        self.name, self.is_mended = name, False

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the base's name
        """Stand before every activity."""
        return _Broken(next, self)


class _Broken(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, broken: Broken) -> None:
        super().__init__(inner)
        self._broken = broken

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the base's name
        if activity.info().activity_type == self._broken.name and not self._broken.is_mended:
            raise ApplicationError("broken on purpose")
        return await super().execute_activity(input)


class Before(client.Interceptor, worker.Interceptor):
    """Does something each time before the activities of one name run.

    Attributes:
        look: what it does; nothing until it is set.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.look: Callable[[], Awaitable[None]] | None = None

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the base's name
        """Stand before every activity."""
        return _Before(next, self)


class _Before(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, before: Before) -> None:
        super().__init__(inner)
        self._before = before

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the base's name
        if activity.info().activity_type == self._before.name and self._before.look is not None:
            await self._before.look()
        return await super().execute_activity(input)
