"""Finding what is stuck, without anybody having looked for it (RB-12.1).

The case file says what should go on, the engine what does. The two are read one after the other, so
what looks stuck is looked at once more, a moment later, in the file as it stands then: what has
only just moved on is not reported.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from domain.civil_clock import CivilClock
from domain.errors import EngineAway
from domain.words import Words
from operations.processes import Process, Processes
from operations.stuck_findings import Finding, StuckKind, without_personal
from operations.stuck_judging import (
    QUIET_AFTER,
    RAISES,
    Moment,
    bundles_of,
    error_of,
    instant_of,
    judged_case,
    judged_changes,
    judged_outcomes,
    judged_pushes,
)
from operations.stuck_workers import Workers, look_for_workers
from storage.stuck import CaseEnd, FileView, ends_of, file_view

AT_ONCE = 16
AGAIN_AFTER_S = 1.0
WORKER_APPEARS_WITHIN_S = 10.0
"""Two heartbeats: an engine that has just begun, or come back, has not heard of anybody yet."""
WORKER_POLL_S = 1.0
COUNTED_AGAIN_AFTER_S = 6.0
"""The engine counts what waits once in five seconds, and says the same until then."""
EXPLAINED_AT_MOST = 200
"""Findings whose history is read for the error; more of them have the same cause, as a rule."""
LATEST_EVENTS = 30
_TURN = 200
"""Cases that are judged before others have their turn."""

_DOES_NOT_FIT = Words("流程代码与其历史不符", "Its code no longer fits its history")
_TIMED_OUT = Words("流程任务超时", "Its workflow tasks run out of time")
_UNKNOWN = Words("案卷中没有此办件", "the file has no such case")
_ENDED = Words("办件已办结", "its case has ended")

_CLOSED, _FAILING = StuckKind.PROCESS_CLOSED, StuckKind.PROCESS_FAILING
_TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
_TASK_TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
_NONDETERMINISTIC = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
_BY_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found by looking once.

    Attributes:
        looked_at: engine's instant.
        findings: the worst first, of these the oldest.
        cases: how many open cases there were.
        is_complete: whether the engine was asked; if not, only what the file shows was found.
        took_s: how long it took.
    """

    looked_at: datetime
    findings: tuple[Finding, ...]
    cases: int
    is_complete: bool
    took_s: float


class Finder:
    """Finds what is stuck, on the case file and in the engine. It changes nothing.

    Args:
        file: the case file.
        now: the engine's time.
        clock: how civil time follows from it, where no case's own clock says so.
    """

    def __init__(
        self,
        file: AsyncEngine,
        processes: Processes,
        now: Callable[[], datetime],
        clock: CivilClock,
    ) -> None:
        self._file, self._processes = file, processes
        self._now, self._clock = now, clock

    async def scan(self) -> Scan:
        """Look at everything, and once more at what seems stuck.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the case file is away; then nothing can be said.
        """
        began, looked_at = time.monotonic(), self._now()
        view = await file_view(self._file)
        try:
            found = await self._found(view)
            is_complete = True
        except EngineAway:
            found, is_complete = list(self._without_engine(view, looked_at)), False
        return Scan(
            looked_at,
            tuple(sorted(found, key=lambda each: each.rank)),
            len(view.cases),
            is_complete,
            time.monotonic() - began,
        )

    async def _found(self, view: FileView) -> list[Finding]:
        workers = await self._workers()
        found = await self._looked(view, workers)
        if found:
            await asyncio.sleep(AGAIN_AFTER_S)
            again = await file_view(self._file, {each.case_no for each in found if each.case_no})
            seen_before = {each.id for each in found}
            second = await self._looked(again, workers, seen_before)
            found = await self._explained([each for each in second if each.id in seen_before])
        return [*self._of_workers(workers), *found]

    async def _looked(
        self, view: FileView, workers: Workers, suspects: Collection[str] | None = None
    ) -> list[Finding]:
        """Judge the cases of a view, and what it shows beside.

        Args:
            suspects: ids of findings; orphans are looked for only among them. None: everywhere.
        """
        processes = await self._described(view.cases)
        further = set[str]().union(
            *(bundles_of(case, processes[no]) for no, case in view.cases.items())
        )
        processes |= await self._described(further)
        seen = Moment(self._now(), view, processes, workers.is_any and not workers.is_late)
        return [
            *(await _judged(view, seen)),
            *judged_outcomes(view.outcomes, seen.now),
            *judged_changes(view.changes, seen.now),
            *(await self._orphans(processes, suspects)),
        ]

    async def _described(self, workflow_ids: Iterable[str]) -> dict[str, Process | None]:
        # Each as soon as a place is free; as many tasks as cases would cost more than they bring.
        waiting, found = iter(list(workflow_ids)), dict[str, Process | None]()

        async def some() -> None:
            for workflow_id in waiting:
                found[workflow_id] = await self._processes.describe(workflow_id)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(some())
        except ExceptionGroup as failed:
            # Whoever asked knows of one engine that is away, not of sixteen.
            raise failed.exceptions[0] from None
        return found

    # ------------------------------------------------------------ workers

    async def _workers(self) -> Workers:
        """Look for workers, for as long as one may need to be heard of, or to catch up."""
        until = time.monotonic() + WORKER_APPEARS_WITHIN_S
        workers = await look_for_workers(self._processes, self._now())
        while not workers.is_any and time.monotonic() < until:
            await asyncio.sleep(WORKER_POLL_S)
            workers = await look_for_workers(self._processes, self._now())
        if workers.is_any and workers.is_late:
            await asyncio.sleep(COUNTED_AGAIN_AFTER_S)
            workers = await look_for_workers(self._processes, self._now())
        return workers

    def _of_workers(self, workers: Workers) -> Iterator[Finding]:
        queue, now = self._processes.settings.task_queue, self._now()
        if not workers.is_any:
            since = workers.seen_at or now
            yield Finding.of(StuckKind.WORKER_MISSING, queue, since, self._clock, {"queue": queue})
        elif workers.is_late:
            yield Finding.of(
                StuckKind.WORKER_LAGGING,
                queue,
                now - workers.waited,
                self._clock,
                {
                    "queue": queue,
                    "count": workers.waiting,
                    "waited": int(workers.waited.total_seconds()),
                },
            )

    def _without_engine(self, view: FileView, at: datetime) -> Iterator[Finding]:
        says = {
            "starts": sum(not case.process_started for case in view.cases.values()),
            "outcomes": len(view.outcomes),
        }
        yield Finding.of(StuckKind.ENGINE_AWAY, "engine", at, self._clock, says)
        for case in view.cases.values():
            yield from judged_pushes(case)
        yield from judged_changes(view.changes, at)

    # ------------------------------------------------------------ orphans

    async def _orphans(
        self, known: Collection[str], suspects: Collection[str] | None
    ) -> Sequence[Finding]:
        """Return processes that run although their case does not."""
        queue = self._processes.settings.task_queue
        query = f"TaskQueue = '{queue}' AND ExecutionStatus = 'Running'"
        listed = {workflow_id async for workflow_id, _ in self._processes.listed(query)}
        if suspects is not None:
            listed = {each for each in listed if _orphan_id(each) in suspects}
        described = await self._described(listed.difference(known))
        running = [each for each in described.values() if each is not None and each.is_running]
        ends = await ends_of(self._file, {each.root_id for each in running})
        found = (self._orphan(each, ends.get(each.root_id)) for each in running)
        return [each for each in found if each]

    def _orphan(self, process: Process, end: CaseEnd | None) -> Finding | None:
        concerns = {"workflow_id": process.workflow_id, "run_id": process.run_id}
        if end is None:
            since, clock, why = process.started_at, self._clock, _UNKNOWN
        elif end.ended_at is not None:
            since, clock, why = end.clock.engine(end.ended_at), end.clock, _ENDED
            concerns["case_no"] = process.root_id
        else:
            return None
        if end is not None and self._now() - since < QUIET_AFTER:
            # The file ends a case before its process does.
            return None
        return Finding.of(
            StuckKind.ORPHAN, process.workflow_id, since, clock, {"why": why}, **concerns
        )

    # ------------------------------------------------------------ errors

    async def _explained(self, found: list[Finding]) -> list[Finding]:
        """Add the errors that only histories hold."""
        unexplained = [each for each in found if each.kind in (_CLOSED, _FAILING)]
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(finding: Finding) -> Finding:
            assert finding.workflow_id and finding.run_id
            async with limit:
                events = await self._processes.latest_events(
                    finding.workflow_id, finding.run_id, LATEST_EVENTS
                )
            return (
                _failing(finding, events) if finding.kind is _FAILING else _closed(finding, events)
            )

        explained = await asyncio.gather(*map(one, unexplained[:EXPLAINED_AT_MOST]))
        by_id = {each.id: each for each in explained}
        return [by_id.get(each.id, each) for each in found]


async def _judged(view: FileView, seen: Moment) -> list[Finding]:
    """Judge every case; whoever asks this process for something meanwhile has a turn."""
    found: list[Finding] = []
    for place, case in enumerate(view.cases.values()):
        if place % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        found += judged_case(case, seen)
    return found


def _failing(finding: Finding, events: Sequence[HistoryEvent]) -> Finding:
    """Say since when workflow tasks fail, and with what, by the end of a history, last first."""
    streak = list(takewhile(lambda event: event.event_type != _TASK_COMPLETED, events))
    failed = [event for event in streak if event.event_type in (_TASK_FAILED, _TASK_TIMED_OUT)]
    failed = [event for event in failed if _cause(event) != _BY_RESET]
    if not failed:
        return finding
    last, since = failed[0], instant_of(failed[-1].event_time)
    if last.event_type == _TASK_TIMED_OUT:
        return finding.because(_TIMED_OUT, since, None)
    kind, message = error_of(last.workflow_task_failed_event_attributes.failure)
    why = _DOES_NOT_FIT if _cause(last) == _NONDETERMINISTIC else RAISES
    return finding.because(why, since, without_personal(kind, message))


def _cause(event: HistoryEvent) -> WorkflowTaskFailedCause.ValueType:
    return event.workflow_task_failed_event_attributes.cause


def _closed(finding: Finding, events: Sequence[HistoryEvent]) -> Finding:
    """Say with what a process failed; why somebody ended one is not told, for it is their text."""
    if not events or not events[0].HasField("workflow_execution_failed_event_attributes"):
        return finding
    kind, message = error_of(events[0].workflow_execution_failed_event_attributes.failure)
    return replace(finding, error=without_personal(kind, message))


def _orphan_id(workflow_id: str) -> str:
    return f"{StuckKind.ORPHAN}:{workflow_id}"
