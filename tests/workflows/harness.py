"""A town with one case: a real engine, the real worker and case file, and whoever answers tasks.

Outcomes take the way they take through the API: checked, put on file, and then brought to the
process by completing the activity that owes the task.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from temporalio.client import Client, Interceptor, WorkflowHandle, WorkflowHistory
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.agencies import Agencies
from activities.beginning import case_ref
from activities.messages import CaseRef, Closing, Withdrawal
from activities.owe import check_task_outcome
from activities.payloads import MESSAGES
from api.delivery import Delivery
from api.engine import Engine
from api.reporting import reported
from domain.application import Application as ApplicationBody
from domain.civil_clock import CivilClock
from domain.connection import Voltage
from domain.investment import ConnectionFacts, asks_area
from domain.outcomes import Outcome
from domain.task_events import TaskEvent, TaskEventKind
from domain.working_time import civil_date
from policy.calendar import calendar
from policy.loader import policy_for
from settings import Settings
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.reading import CaseRecord, EventRecord, Reading
from storage.records import TaskRecord
from tests.support import cases
from tests.workflows.stories import APPLICATIONS, Body, Story, what
from worker import build_worker, guarded_runner

T = TypeVar("T")

# A Monday in a week without holidays, during business hours.
CIVIL_ORIGIN = datetime.fromisoformat("2026-09-14T10:00:00+08:00")
# Five working days later; the fifth is a Sunday, made up for Mid-Autumn.
NOTICE_LAPSES = datetime.fromisoformat("2026-09-21T00:00:00+08:00")
EVENTUALLY_S = 90.0
STARTS = 4
JUST_BEFORE = timedelta(milliseconds=300)
POLL = timedelta(milliseconds=200)

# The test server cannot skip past the end of several attempts at once. Where attempts are not what
# a test is about, the first one lasts longer than any test.
ONE_LONG_ATTEMPT = timedelta(days=3000)


async def eventually(
    look: Callable[[], Awaitable[T | None]], wanted: str, within_s: float = EVENTUALLY_S
) -> T:
    """Look until there is something to be seen; fail when it takes too long."""
    give_up_at = time.monotonic() + within_s
    while (seen := await look()) is None:
        assert time.monotonic() < give_up_at, f"waited {within_s:g} s in vain for {wanted}"
        await asyncio.sleep(0.005)
    return seen


class Town:
    """Everything one test needs to tell a story.

    Attributes:
        clock: the civil clock its cases are pinned to.
        agencies: their systems, as the worker calls them.
        bases: at which addresses.
    """

    def __init__(
        self,
        env: WorkflowEnvironment,
        started_at: datetime,
        casefile: CaseFile,
        settings: Settings,
        agencies: Agencies,
        speed: float,
    ) -> None:
        self.clock = CivilClock(started_at, CIVIL_ORIGIN, speed)
        self.casefile, self.reading, self.settings = casefile, Reading(casefile.engine), settings
        self.engine = Engine(settings)
        self.delivery = Delivery(casefile, self.engine)
        self.agencies = agencies
        self.bases: Mapping[str, str] = {}
        self._env = env
        self._skipped = timedelta(0)
        self._keys = count(1)

    @asynccontextmanager
    async def working(self, version: str = "", *, is_guarded: bool = True) -> AsyncIterator[Worker]:
        """Run the worker of service, with the guard, on this town's engine, case file and time.

        Args:
            version: its build; empty: unversioned.
            is_guarded: whether code that is not deterministic is refused, which takes time for
                each process; without it, as in service.
        """
        worker = build_worker(
            self._env.client,
            self.settings.model_copy(update={"worker_version": version}),
            self.casefile,
            self.agencies,
            now=self.engine_now,
            runner=guarded_runner() if is_guarded else None,
        )
        async with worker:
            yield worker

    @property
    def client(self) -> Client:
        """A client of this town's engine."""
        return self._env.client

    # ------------------------------------------------------------------ time

    def engine_now(self) -> datetime:
        """Return the engine's time, skipped time included."""
        return datetime.now(UTC) + self._skipped

    def now(self) -> datetime:
        """Return civil time."""
        return self.clock.civil(self.engine_now())

    async def let_pass(self, duration: timedelta, *, owed: int) -> None:
        """Skip time on the test server.

        Args:
            owed: how many tasks are being waited for; each holds time still.
        """
        service = self._env.client.test_service
        for _ in range(owed):
            await service.unlock_time_skipping(UnlockTimeSkippingRequest())
        await self._env.sleep(duration)
        for _ in range(owed):
            await service.lock_time_skipping(LockTimeSkippingRequest())
        self._skipped = await self._env.get_current_time() - datetime.now(UTC)

    async def let_come(self, instant: datetime, *, owed: int) -> None:
        """Skip time on the test server to just before a civil instant, which then comes by itself.

        What happens then may owe new tasks, beyond which time could not be skipped.
        """
        await self.let_pass(instant - self.now() - JUST_BEFORE, owed=owed)

    async def comes(self, instant: datetime) -> None:
        """Wait until a civil instant has come."""

        async def look() -> bool | None:
            return True if self.now() >= instant else None

        await eventually(look, str(instant))

    async def let_notice_lapse(self, no: str) -> None:
        """Let the days pass in which the desk may say that papers are missing (RB-3.5)."""
        await self.owed(no, "check_papers.1")
        if self._env.supports_time_skipping:
            await self.let_come(NOTICE_LAPSES, owed=1)

        async def look() -> bool | None:
            return True if (await self.tasks(no))["check_papers.1"].state == "done" else None

        await eventually(look, f"the acceptance of {no}")

    @asynccontextmanager
    async def hurrying(self) -> AsyncIterator[None]:
        """Skip the test server's time whenever nothing is waited for, e.g. during back-offs.

        A case must be under way: the timers of ended ones are still there, years ahead.
        """
        service = self._env.client.test_service
        await service.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            yield
        finally:
            await service.lock_time_skipping(LockTimeSkippingRequest())

    # ------------------------------------------------------------------ a case

    async def submit(
        self,
        voltage: Voltage,
        *,
        content: Mapping[str, Any] | None = None,
        first_attempt: timedelta | None = ONE_LONG_ATTEMPT,
        is_watched: bool = True,
        is_older: bool = False,
    ) -> str:
        """Put an application on file and start its process; return the case number.

        Args:
            first_attempt: how long the first attempt to owe a task lasts; None: as the policy says.
            is_older: whether it began under the first edition of the stories.
            is_watched: whether its deadlines are watched, as those of cases before the ladder are
                not. The test server cannot skip past an alarm while no worker runs.
        """
        policy, body = policy_for(cases.POLICY), content or APPLICATIONS[voltage]
        facts = ConnectionFacts.of(ApplicationBody.model_validate(body))
        new = replace(
            cases.new_case(f"key-{next(self._keys)}", body, at=self.now()),
            clock=self.clock,
            stage=policy.links[voltage][0].id,
            asks_area=asks_area(facts, policy, civil_date(self.now())),
        )
        no = (await self.casefile.submit(new)).no
        case = case_ref(no, voltage, body["supply"], policy, self.clock)
        if first_attempt is not None:
            case = _with_first_attempt(case, first_attempt)
        if is_older or not is_watched:
            case = replace(case, clocks_alarm_after_s=None, edition=1)
        if not is_watched:
            case = replace(case, alarm_after_s={})
        assert await self.delivery.start(case)
        return no

    async def case(self, no: str) -> CaseRecord:
        """Return the case as it stands on file."""
        return await self.reading.case(no)

    async def events(self, no: str, kind: str) -> list[EventRecord]:
        """Return the events of one kind in a case's record."""
        return [event for event in await self.reading.events(no) if event.kind == kind]

    async def tasks(self, no: str) -> dict[str, TaskRecord]:
        """Return a case's tasks by what is owed, e.g. `permits-water.1`."""
        return {what(task): task for task in await self.reading.tasks_of(no)}

    async def open_tasks(self, no: str) -> set[str]:
        """Return what is owed at the moment."""
        return {name for name, task in (await self.tasks(no)).items() if task.state == "open"}

    async def owed(self, no: str, *names: str) -> list[TaskRecord]:
        """Wait until all of `names`, e.g. `inspection.1`, are open; return them in that order."""

        async def look() -> list[TaskRecord] | None:
            tasks = await self.tasks(no)
            found = [tasks[name] for name in names if name in tasks]
            return found if len(found) == len(names) else None

        found = await eventually(look, f"{', '.join(names)} of {no}")
        assert [task.state for task in found] == ["open"] * len(names)
        return found

    async def waiting(self, no: str, count: int = 5) -> list[TaskRecord]:
        """Wait until `count` tasks are open; return them."""

        async def look() -> list[TaskRecord] | None:
            found = [task for task in await self.reading.tasks_of(no) if task.state == "open"]
            return found if len(found) == count else None

        return await eventually(look, f"{count} open tasks of {no}")

    async def told(self, no: str, count: int) -> None:
        """Wait until `count` supervision notices, or more, were sent in a case."""

        async def look() -> bool | None:
            # At a fast clock the next one may have come before one looks.
            return True if len(await self.events(no, "supervision_sent")) >= count else None

        await eventually(look, f"{count} supervision notices in {no}")

    async def has_told(self, no: str, name: str | None, steps: list[str]) -> None:
        """Wait until these steps of the ladder have come of a task, or (None) of a clock."""

        async def look() -> bool | None:
            found = [
                event.body["step"]
                for event in await self.events(no, "supervision_sent")
                if (event.task_id and event.task_id.removeprefix(f"{no}.")) == name
            ]
            return True if found == steps else None

        await eventually(look, f"{steps} of {name}")

    async def closing(self, no: str) -> Closing:
        """Wait until the process of a case has ended; return how."""
        return await self.result(no, Closing)

    async def result(self, workflow_id: str, of: type[T]) -> T:
        """Wait until a process has ended; return its result."""
        with self._env.auto_time_skipping_disabled():
            handle: WorkflowHandle[Any, T] = self._env.client.get_workflow_handle(
                workflow_id, result_type=of
            )
            return await asyncio.wait_for(handle.result(), EVENTUALLY_S)

    async def history(self, workflow_id: str) -> WorkflowHistory:
        """Return the history of a process, from the engine."""
        return await self._env.client.get_workflow_handle(workflow_id).fetch_history()

    async def recorded(self, workflow_id: str, kind: EventType.ValueType) -> None:
        """Wait until the engine has recorded an event of this kind.

        The test server loses a process for good whose workflow task cancels a timer that fired
        while the task was under way (sdk-java issue 2606; the server of service does not). Where
        no worker runs, waiting here for the timer keeps a test clear of that.
        """

        async def look() -> bool | None:
            history = await self.history(workflow_id)
            return True if any(event.event_type == kind for event in history.events) else None

        await eventually(look, f"{EventType.Name(kind)} in {workflow_id}")

    async def fails_in_sight(
        self, workflow_id: str, step: str, *, attempt: int = 2
    ) -> PendingActivityInfo:
        """Wait until the engine shows a step on the case file that fails, at its n-th attempt."""

        async def look() -> PendingActivityInfo | None:
            described = await self.client.get_workflow_handle(workflow_id).describe()
            pending = described.raw_description.pending_activities
            found = (p for p in pending if p.activity_type.name == step and p.attempt >= attempt)
            return next(found, None)

        return await eventually(look, f"{step} among the activities of {workflow_id}")

    # ------------------------------------------------------------------ answering

    async def put_on_file(self, task: TaskRecord, outcome: Body) -> TaskRecord:
        """Check an outcome and put it on file; the process is not told."""
        checked = Outcome.model_validate(dict(outcome))
        check_task_outcome(task, checked, civil_date(self.now()))
        body = checked.model_dump(mode="json", exclude_none=True)
        decided = await self.casefile.decide(task.id, body, by=task.owed_by, at=self.now())
        return decided.task

    async def answer(self, task: TaskRecord, outcome: Body) -> None:
        """Answer a task as its agency does through the API."""
        assert await self.delivery.deliver(await self.put_on_file(task, outcome))

    async def report(
        self,
        task: TaskRecord,
        kind: TaskEventKind,
        *,
        ground: str | None = "示例理由",
        **says: Any,
    ) -> TaskRecord:
        """Report something of a task as its department does through the API."""
        days = await Calendars(self.casefile.engine, calendar).current()
        event = TaskEvent(
            kind, self.now(), task.owed_by, f"report-{next(self._keys)}", ground, **says
        )
        reported_of = partial(reported, days=days.calendar)
        found = await self.casefile.report(
            task.id, lambda _task: event, reported_of, calendar=days.number
        )
        assert await self.delivery.tell(found)
        return found

    async def answer_all(self, no: str, story: Story, *names: str) -> None:
        """Wait for the tasks `names` and answer them, in that order, as the story says."""
        for task in await self.owed(no, *names):
            await self.answer(task, story.outcome(task))

    async def withdraw(self, no: str, action_id: str = "withdrawal-1") -> None:
        """Withdraw a case as the applicant does through the API.

        Raises:
            IllegalAction: the process refuses.
        """
        await self.casefile.ask_action(
            action_id, no, "withdraw", "示例理由", by="applicant", at=self.now()
        )
        await self.engine.withdraw(no, Withdrawal(action_id))

    async def withdrawing(self, no: str, action_id: str = "withdrawal-1") -> asyncio.Task[None]:
        """Begin to withdraw a case while no worker runs; return once the engine knows of it."""
        service = self._env.client.workflow_service
        known = PollWorkflowExecutionUpdateRequest(
            namespace=self._env.client.namespace,
            update_ref=UpdateRef(
                workflow_execution=WorkflowExecution(workflow_id=no), update_id=action_id
            ),
        )

        async def look() -> bool | None:
            try:
                await service.poll_workflow_execution_update(known, timeout=POLL)
            except RPCError as problem:
                # The engine holds the call for an update it knows, until that moves on.
                return None if problem.status is RPCStatusCode.NOT_FOUND else True
            return True

        withdrawing = asyncio.create_task(self.withdraw(no, action_id))
        await eventually(look, f"the update {action_id}")
        return withdrawing

    async def tell(self, no: str, story: Story) -> CaseRecord:
        """Answer every task as the story says until nothing but `story.leaves_open` is owed.

        A story that ends by itself is waited for; one that ends as withdrawn is withdrawn.
        """
        if story.lets_notice_lapse:
            await self.let_notice_lapse(no)
        await self.tell_until(no, story)
        if story.is_withdrawn:
            await self.withdraw(no)
        await self.closing(no)
        await self.delivery.note()
        return await self.case(no)

    async def tell_until(self, no: str, story: Story) -> None:
        """Answer tasks until the case has ended, or all of `story.leaves_open` are open."""

        async def look() -> bool | None:
            if (await self.case(no)).state == "ended":
                return True
            waiting = set()
            for name, task in (await self.tasks(no)).items():
                if task.state != "open":
                    continue
                if name in story.leaves_open:
                    waiting.add(name)
                else:
                    await self.answer(task, story.outcome(task))
            return True if story.is_withdrawn and waiting == story.leaves_open else None

        await eventually(look, f"the story of {no}")


def _with_first_attempt(case: CaseRef, duration: timedelta) -> CaseRef:
    patience = {
        kind: (int(duration.total_seconds()), reconcile)
        for kind, (_, reconcile) in case.patience_s.items()
    }
    return replace(case, patience_s=patience)


def program(name: str) -> str:
    """Return the path of an engine's program, which its package put beside the interpreter."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found, f"{name} is not installed"
    return found


def _quiet() -> Runtime:
    """A runtime that ends with its town, and does not warn of what the test server lacks."""
    only_errors = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(logging=only_errors))


async def _started(start: Callable[[], Awaitable[WorkflowEnvironment]]) -> WorkflowEnvironment:
    """Start an engine; the SDK gives each of its programs five seconds, and one may need more."""
    for _ in range(STARTS - 1):
        with suppress(RuntimeError):
            return await start()
    return await start()


@asynccontextmanager
async def skipping_server(*interceptors: Interceptor) -> AsyncIterator[WorkflowEnvironment]:
    """An engine whose time can be skipped."""
    env = await _started(
        lambda: WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=program("temporal-test-server"),
            interceptors=interceptors,
            data_converter=MESSAGES,
            runtime=_quiet(),
        )
    )
    async with env:
        yield env


@asynccontextmanager
async def development_server(
    folder: Path, *interceptors: Interceptor
) -> AsyncIterator[WorkflowEnvironment]:
    """The engine of `onewindow up`: the development server with its database file."""
    attempts = itertools.count()
    env = await _started(
        lambda: WorkflowEnvironment.start_local(
            dev_server_existing_path=program("temporal"),
            # One that was ended while it started leaves half a database, which no other reads.
            dev_server_database_filename=str(folder / f"engine{next(attempts)}.db"),
            dev_server_log_level="error",
            interceptors=interceptors,
            data_converter=MESSAGES,
            runtime=_quiet(),
        )
    )
    async with env:
        yield env


@asynccontextmanager
async def opened(
    env: WorkflowEnvironment,
    database_url: str,
    *,
    bases: Mapping[str, str] | None = None,
    max_cached_workflows: int = 100,
    is_working: bool = True,
    speed: float = 1.0,
) -> AsyncIterator[Town]:
    """A town.

    Args:
        is_working: whether its worker runs; if not, `Town.working` runs it.
        speed: of civil time.
        bases: addresses of agencies' systems; an agency without one works from its inbox.
        max_cached_workflows: 0 makes the worker replay a process each time it moves.
    """
    settings = Settings(
        database_url=database_url, engine_address=env.client.service_client.config.target_host
    ).model_copy(
        # Nothing here must fail because the machine is busy with other tests.
        update={
            "max_cached_workflows": max_cached_workflows,
            "action_timeout_s": 60.0,
            "engine_timeout_s": 30.0,
        }
    )
    casefile = CaseFile(open_engine(database_url), bases or {})
    agencies = Agencies(bases or {}, dict.fromkeys(bases or {}, "a key of this test"))
    town = Town(env, await env.get_current_time(), casefile, settings, agencies, speed)
    town.bases = bases or {}
    try:
        async with town.working() if is_working else nullcontext():
            yield town
    finally:
        await agencies.close()
        await casefile.close()
