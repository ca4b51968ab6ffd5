"""The process in which histories are replayed: `python -m operations.replayer`.

It knows the engine's address and nothing else of ours. Cases come as JSON, a line each, and what
became of them leaves the same way; before each history it says which, so that whoever waits knows
which one hangs or ends it. It ends with whoever started it.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO, NoReturn

import orjson
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import Replayer, WorkflowReplayResult

from activities.messages import EDITION
from activities.payloads import MESSAGES
from domain.errors import EngineAway
from operations.divergence import Divergence, Reason, Recorder, Words, divergence, words_of
from operations.processes import Process, Processes
from settings import Settings
from workflows.registry import WORKFLOWS

MEMORY_VARIABLE = "ONEWINDOW_REPLAYER_BYTES"
"""Names how much memory the process may ask for."""

Line = Mapping[str, Any]
_PR_SET_PDEATHSIG = 1
_INITIATED = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED


class Replaying:
    """Replays the processes of cases, one after the other.

    Args:
        workflows: today's.
        at: told of the event with which a task begins, before its code is called.
    """

    def __init__(
        self, processes: Processes, workflows: Sequence[type], at: Callable[[int], None]
    ) -> None:
        self._processes = processes
        self._kinds = {getattr(each, "__temporal_workflow_definition").name for each in workflows}
        self._recorder = Recorder(at)
        self._replayer = Replayer(
            workflows=workflows,
            workflow_runner=self._recorder,
            data_converter=MESSAGES,
            # What does not end is ended by whoever waits, with this process: a thread that is given
            # up after two seconds would go on, and on a busy machine two seconds say nothing.
            debug_mode=True,
        )
        self._histories: asyncio.Queue[WorkflowHistory] = asyncio.Queue()

    async def answers(self, asked: AsyncIterator[Line]) -> AsyncIterator[Line]:
        """Yield what is to be said of each case, in order.

        Args:
            asked: `case_no`; `workflow_ids` known of it; and `passed_over`, those of them that are
                not replayed but lead to others.

        Raises:
            EngineAway: histories cannot be fetched.
        """
        async with self._replayer.workflow_replay_iterator(self._pushed()) as results:
            async for each in asked:
                async for answer in self._case(each, results):
                    yield answer

    async def _pushed(self) -> AsyncIterator[WorkflowHistory]:
        while True:
            yield await self._histories.get()

    async def _case(
        self, asked: Line, results: AsyncIterator[WorkflowReplayResult]
    ) -> AsyncIterator[Line]:
        left, seen, found = list(asked["workflow_ids"]), set[str](), []
        has_parent = False
        while left:
            workflow_id = left.pop(0)
            if workflow_id in seen:
                continue
            seen.add(workflow_id)
            process = await self._processes.describe(workflow_id)
            if process is None:
                continue
            history = await self._processes.history(workflow_id, process.run_id)
            if history is None:
                continue
            has_parent = has_parent or workflow_id == asked["case_no"]
            left += sorted(_children(history.events) - seen)
            if workflow_id in asked["passed_over"]:
                continue
            of_process = {
                "case_no": asked["case_no"],
                "workflow_id": workflow_id,
                "run_id": process.run_id,
                "kind": process.kind,
                "status": process.status_name,
            }
            yield {"replaying": of_process, "length": len(history.events)}
            apart = await self._apart(process, history, results)
            yield {"replayed": workflow_id}
            found.append({**of_process, "apart": apart and asdict(apart)})
        yield {"done": asked["case_no"], "has_parent": has_parent, "processes": found}

    async def _apart(
        self,
        process: Process,
        history: WorkflowHistory,
        results: AsyncIterator[WorkflowReplayResult],
    ) -> Divergence | None:
        events = history.events
        if process.kind not in self._kinds:
            return _at_the_start(
                events,
                Reason.UNKNOWN_KIND,
                Words(f"没有流程 {process.kind}", f"has no process {process.kind}"),
            )
        if (edition := _edition(events)) > EDITION:
            return _at_the_start(
                events,
                Reason.NEWER_EDITION,
                Words(
                    f"只认识第 {EDITION} 版及以前的流程，该办件为第 {edition} 版",
                    f"knows editions up to {EDITION}, this case began under {edition}",
                ),
            )
        if len(events) == 1:
            # The code was never called, and the engine's replay would wait for it for ever.
            return None
        self._recorder.expect(events)
        self._histories.put_nowait(WorkflowHistory(history.workflow_id, as_replayable(events)))
        result = await anext(results)
        return divergence(events, self._recorder.activations, result.replay_failure)


def as_replayable(events: Sequence[HistoryEvent]) -> Sequence[HistoryEvent]:
    """Return a history without the attempts at its last task, which is not completed.

    What came since the task before is left, and so is told to the code once more.
    """
    completed = [
        place
        for place, event in enumerate(events)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    # Of a first task that was never completed, the engine's replay wants to see that there is one.
    kept = completed[-1] if completed else 1
    return [
        event
        for place, event in enumerate(events)
        if place <= kept or event.event_type not in _OF_ATTEMPTS
    ]


_OF_ATTEMPTS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    }
)


def _children(events: Sequence[HistoryEvent]) -> set[str]:
    return {
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        for event in events
        if event.event_type == _INITIATED
    }


def _edition(events: Sequence[HistoryEvent]) -> int:
    """Return the edition of the stories that a process began under."""
    for payload in events[0].workflow_execution_started_event_attributes.input.payloads:
        match orjson.loads(payload.data):
            case {"edition": int(edition)} | {"case": {"edition": int(edition)}}:
                return edition
    return 1


def _at_the_start(events: Sequence[HistoryEvent], reason: Reason, wanted: Words) -> Divergence:
    return Divergence(reason, events[0].event_id, words_of(events[0]), wanted, "")


# ---------------------------------------------------------------- the process itself


def main(workflows: Sequence[type] = WORKFLOWS) -> NoReturn:
    """Entry of the process."""
    _limit()
    logging.disable(logging.CRITICAL)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=_NO_LOG)))
    # Whatever a process's code prints must not look like an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    asyncio.run(_serve(answers, workflows))
    raise AssertionError("it is ended by whoever reads its answers")


_NO_LOG = LoggingConfig(filter=TelemetryFilter(core_level="OFF", other_level="OFF"))


def _limit() -> None:
    # A killed parent cannot tell, and code that holds on to the interpreter would not hear it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if MEMORY_VARIABLE in os.environ:
        most = int(os.environ[MEMORY_VARIABLE])
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


async def _serve(to: BinaryIO, workflows: Sequence[type]) -> None:
    def say(answer: Line) -> None:
        to.write(orjson.dumps(answer) + b"\n")

    replaying = Replaying(Processes(Settings()), workflows, lambda at: say({"at": at}))
    try:
        async for answer in replaying.answers(_asked()):
            say(answer)
    except EngineAway as away:
        say({"away": str(away)})
        # What the engine's client still does must not keep it.
        os._exit(0)


async def _asked() -> AsyncIterator[Line]:
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in _lines():
            loop.call_soon_threadsafe(lines.put_nowait, line)
        # Nobody waits any more; what is under way may never end.
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield orjson.loads(await lines.get())


def _lines() -> Iterator[bytes]:
    yield from iter(sys.stdin.buffer.readline, b"")


if __name__ == "__main__":
    main()
