"""Where a process's history and today's code part, in words (RB-12.2).

The engine's own replay says that they do, and little of where. So what the code asks for is noted
while it is replayed, task by task, and laid beside what the history holds of the same task.

What the code asks for beyond the last task that the history holds is no divergence: the engine
takes it when the process next moves. Only an end there is one, of which the engine says nothing:
it would end, at its next move, a process that waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import PurePath
from typing import Any

import orjson
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowRunner
from temporalio.worker._workflow_instance import WorkflowInstanceDetails
from temporalio.workflow import _Definition

MESSAGE_LIMIT = 600
WANTED_SHOWN = 4


class Reason(StrEnum):
    """Why today's code cannot carry a process."""

    DIFFERS = "differs"
    """It asks for something else than the history holds 与历史不符."""
    RAISES = "raises"
    """It raises 代码报错."""
    HANGS = "hangs"
    """It does not come to an end 代码未能结束."""
    DIES = "dies"
    """The process that replayed it ended, as for want of memory 重放进程中断."""
    UNKNOWN_KIND = "unknown_kind"
    """There is no such workflow in it 无此流程."""
    NEWER_EDITION = "newer_edition"
    """The case began under a later edition of the stories 办件版本较新."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """The place at which code and history part.

    Attributes:
        event_id: the first event of the history that the code does not lead to; where it only
            wants more, the last event of the task in question.
        event: what the history holds there.
        wanted: what the code asked for instead.
        message: the engine's own, or what the code raised; empty if neither said anything.
    """

    reason: Reason
    event_id: int
    event: Words
    wanted: Words
    message: str

    @property
    def words(self) -> Words:
        """The whole in one sentence."""
        return Words(
            f"事件 {self.event_id} 为：{self.event.zh}；代码：{self.wanted.zh}",
            f"event {self.event_id} holds: {self.event.en}; the code: {self.wanted.en}",
        )


class StepKind(StrEnum):
    """What code can ask the engine for."""

    ACTIVITY = "activity"
    LOCAL_ACTIVITY = "local_activity"
    TIMER = "timer"
    CHILD = "child"
    CANCEL_TIMER = "cancel_timer"
    CANCEL_ACTIVITY = "cancel_activity"
    CANCEL_CHILD = "cancel_child"
    PATCH = "patch"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    CONTINUE = "continue"
    OTHER = "other"


_STEP_WORDS: Mapping[StepKind, Words] = {
    StepKind.ACTIVITY: Words("活动", "activity"),
    StepKind.LOCAL_ACTIVITY: Words("本地活动", "local activity"),
    StepKind.TIMER: Words("计时器", "timer"),
    StepKind.CHILD: Words("子流程", "child process"),
    StepKind.CANCEL_TIMER: Words("取消计时器", "cancelling a timer"),
    StepKind.CANCEL_ACTIVITY: Words("取消活动", "cancelling an activity"),
    StepKind.CANCEL_CHILD: Words("取消子流程", "cancelling a child process"),
    StepKind.PATCH: Words("补丁标记", "patch marker"),
    StepKind.COMPLETE: Words("流程正常结束", "the end of the process"),
    StepKind.FAIL: Words("流程以失败结束", "the failure of the process"),
    StepKind.CANCEL: Words("流程以取消结束", "the process's end by cancelling"),
    StepKind.CONTINUE: Words("流程以新运行继续", "going on in a new run"),
}
_ENDS = frozenset({StepKind.COMPLETE, StepKind.FAIL, StepKind.CANCEL, StepKind.CONTINUE})
_PASSED_OVER = frozenset(
    # Cancelling what has not begun, or is abandoned, leaves no event; the engine knows patches.
    {StepKind.CANCEL_ACTIVITY, StepKind.CANCEL_CHILD, StepKind.PATCH, StepKind.OTHER}
)
"""Not compared: what code asks for and what a history holds of it need not be the same."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that code asked for, or that a history holds of it.

    Attributes:
        name: of an activity's or a child's type; of a patch, its id.
        id: of an activity or a child.
        lasting: of a timer; not compared, because the engine does not either.
    """

    kind: StepKind
    name: str = ""
    id: str = ""
    lasting: timedelta | None = field(default=None, compare=False)

    @property
    def words(self) -> Words:
        """The step, e.g. `activity owe ZJ20260000011.survey.1`."""
        words = _STEP_WORDS.get(self.kind, Words(self.name, self.name))
        if self.kind is StepKind.OTHER:
            return words
        what = " ".join(filter(None, (self.name, self.id, _spelled(self.lasting))))
        return Words(f"{words.zh} {what}".strip(), f"{words.en} {what}".strip())


def _spelled(lasting: timedelta | None) -> str:
    return "" if lasting is None else f"({lasting})"


# ---------------------------------------------------------------- what the code asked for


@dataclass(slots=True)
class Activation:
    """One call of a process's code, and what it led to.

    Attributes:
        started_id: the event with which the workflow task began.
        raised: what the code raised; empty if nothing.
    """

    started_id: int
    commands: list[WorkflowCommand]
    raised: str


class Recorder(WorkflowRunner):
    """Runs the code of processes as in service, and notes what it asks for.

    Args:
        at: told of the event with which a task begins, before its code is called.

    Attributes:
        activations: of the process replayed last, in order.
    """

    def __init__(self, at: Callable[[int], None] = lambda _: None) -> None:
        self.at = at
        self.activations: list[Activation] = []
        self.last_completed_id = 0
        self._runner = UnsandboxedWorkflowRunner()

    def expect(self, events: Sequence[HistoryEvent]) -> None:
        """Begin anew, with a history."""
        self.activations = []
        self.last_completed_id = max((started for started, _ in _tasks(events)), default=0)

    def prepare_workflow(self, defn: _Definition) -> None:
        """Pass it on."""
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(
        self, types: Sequence[type[BaseException]]
    ) -> None:
        """Pass it on."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Wrap the instance that runs a process's code."""
        return _Recorded(self._runner.create_instance(det), self)


class _Recorded(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, recorder: Recorder) -> None:
        self._instance, self._recorder = instance, recorder

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        self._recorder.at(act.history_length)
        done = self._instance.activate(act)
        if any(job.HasField("remove_from_cache") for job in act.jobs):
            return done
        raised = _raised(done) if done.HasField("failed") else ""
        commands = [] if raised else list(done.successful.commands)
        self._recorder.activations.append(Activation(act.history_length, commands, raised))
        if not raised and act.history_length > self._recorder.last_completed_id:
            # Beyond what is told: nobody is there to run what it asks for, so nothing is awaited.
            del done.successful.commands[:]
        return done

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def _raised(done: WorkflowActivationCompletion) -> str:
    """Say what the code raised, and in which line; never where the code is kept."""
    failure = done.failed.failure
    kind = failure.application_failure_info.type
    frames = _FRAME.findall(failure.stack_trace)
    where = f" ({PurePath(frames[-1][0]).name}:{frames[-1][1]})" if frames else ""
    return f"{kind}: {failure.message}"[:MESSAGE_LIMIT].removeprefix(": ") + where


_OF_COMMAND: Mapping[str, StepKind] = {
    "request_cancel_activity": StepKind.CANCEL_ACTIVITY,
    "request_cancel_local_activity": StepKind.CANCEL_ACTIVITY,
    "cancel_child_workflow_execution": StepKind.CANCEL_CHILD,
    "complete_workflow_execution": StepKind.COMPLETE,
    "fail_workflow_execution": StepKind.FAIL,
    "cancel_workflow_execution": StepKind.CANCEL,
    "continue_as_new_workflow_execution": StepKind.CONTINUE,
}
_ANSWERS = frozenset({"respond_to_query", "update_response"})


def _asked(activations: Iterable[Activation]) -> Iterator[Step]:
    """Yield what one task's code asked for, without what it took back within the same task."""
    commands = [command for each in activations for command in each.commands]
    started = {each.start_timer.seq for each in commands if each.HasField("start_timer")}
    cancelled = {each.cancel_timer.seq for each in commands if each.HasField("cancel_timer")}
    taken_back = started & cancelled
    for each in commands:
        match variant := str(each.WhichOneof("variant")):
            case "schedule_activity":
                activity = each.schedule_activity
                yield Step(StepKind.ACTIVITY, activity.activity_type, activity.activity_id)
            case "schedule_local_activity":
                yield Step(StepKind.LOCAL_ACTIVITY, each.schedule_local_activity.activity_type)
            case "start_timer":
                if each.start_timer.seq not in taken_back:
                    lasting = each.start_timer.start_to_fire_timeout.ToTimedelta()
                    yield Step(StepKind.TIMER, lasting=lasting)
            case "cancel_timer":
                if each.cancel_timer.seq not in taken_back:
                    yield Step(StepKind.CANCEL_TIMER)
            case "start_child_workflow_execution":
                child = each.start_child_workflow_execution
                yield Step(StepKind.CHILD, child.workflow_type, child.workflow_id)
            case "set_patch_marker":
                yield Step(StepKind.PATCH, each.set_patch_marker.patch_id)
            case _ if variant not in _ANSWERS:
                kind = _OF_COMMAND.get(variant)
                yield Step(kind) if kind else Step(StepKind.OTHER, variant.replace("_", " "))


# ---------------------------------------------------------------- what the history holds


def step_of(event: HistoryEvent) -> Step | None:
    """Return what an event says that the code asked for; None if it is no answer to code."""
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    match name:
        case "ACTIVITY_TASK_SCHEDULED":
            activity = event.activity_task_scheduled_event_attributes
            return Step(StepKind.ACTIVITY, activity.activity_type.name, activity.activity_id)
        case "TIMER_STARTED":
            lasting = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            return Step(StepKind.TIMER, lasting=lasting)
        case "START_CHILD_WORKFLOW_EXECUTION_INITIATED":
            child = event.start_child_workflow_execution_initiated_event_attributes
            return Step(StepKind.CHILD, child.workflow_type.name, child.workflow_id)
        case "MARKER_RECORDED":
            return _marked(event)
        case "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" | "WORKFLOW_PROPERTIES_MODIFIED":
            # The engine writes the first with a patch's marker, by itself.
            return None
        case _ if name in _OF_EVENT:
            return Step(_OF_EVENT[name])
        case _ if _completed_id(event):
            return Step(StepKind.OTHER, name.lower().replace("_", " "))
    return None


_OF_EVENT: Mapping[str, StepKind] = {
    "TIMER_CANCELED": StepKind.CANCEL_TIMER,
    "ACTIVITY_TASK_CANCEL_REQUESTED": StepKind.CANCEL_ACTIVITY,
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": StepKind.CANCEL_CHILD,
    "WORKFLOW_EXECUTION_COMPLETED": StepKind.COMPLETE,
    "WORKFLOW_EXECUTION_FAILED": StepKind.FAIL,
    "WORKFLOW_EXECUTION_CANCELED": StepKind.CANCEL,
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": StepKind.CONTINUE,
}


def _marked(event: HistoryEvent) -> Step:
    marker = event.marker_recorded_event_attributes
    kinds = {
        "core_local_activity": (StepKind.LOCAL_ACTIVITY, "data", "activity_type"),
        "core_patch": (StepKind.PATCH, "patch-data", "id"),
    }
    if marker.marker_name in kinds:
        kind, where, name = kinds[marker.marker_name]
        for payload in marker.details[where].payloads:
            return Step(kind, str(orjson.loads(payload.data).get(name, "")))
    return Step(StepKind.OTHER, f"marker {marker.marker_name}")


def _completed_id(event: HistoryEvent) -> int:
    """Return the event that ended the task which led to this one; 0 if none did."""
    attributes = getattr(event, event.WhichOneof("attributes") or "", None)
    return getattr(attributes, "workflow_task_completed_event_id", 0)


def _tasks(events: Sequence[HistoryEvent]) -> Iterator[tuple[int, int]]:
    """Yield the ids of the events that began and ended each workflow task."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            done = event.workflow_task_completed_event_attributes
            yield done.started_event_id, event.event_id


_EVENT_WORDS: Mapping[str, Words] = {
    "WORKFLOW_EXECUTION_STARTED": Words("流程开始", "the process starts"),
    "WORKFLOW_TASK_SCHEDULED": Words("流程任务已排队", "a workflow task is scheduled"),
    "WORKFLOW_TASK_STARTED": Words("流程任务开始", "a workflow task begins"),
    "WORKFLOW_TASK_COMPLETED": Words("流程任务完成", "a workflow task ends"),
    "WORKFLOW_TASK_FAILED": Words("流程任务失败", "a workflow task fails"),
    "WORKFLOW_TASK_TIMED_OUT": Words("流程任务超时", "a workflow task times out"),
    "ACTIVITY_TASK_STARTED": Words("活动开始", "an activity begins"),
    "ACTIVITY_TASK_COMPLETED": Words("活动完成", "an activity is answered"),
    "ACTIVITY_TASK_FAILED": Words("活动失败", "an activity fails"),
    "TIMER_FIRED": Words("计时器到时", "a timer fires"),
    "WORKFLOW_EXECUTION_SIGNALED": Words("收到信号", "a signal comes"),
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": Words("接受更新", "an update is accepted"),
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED": Words("更新完成", "an update is done"),
    "CHILD_WORKFLOW_EXECUTION_STARTED": Words("子流程开始", "a child process starts"),
    "CHILD_WORKFLOW_EXECUTION_COMPLETED": Words("子流程结束", "a child process ends"),
    "WORKFLOW_EXECUTION_CANCEL_REQUESTED": Words("请求取消流程", "cancelling is asked for"),
}


def words_of(event: HistoryEvent) -> Words:
    """Say what an event is."""
    step = step_of(event)
    if step is not None:
        return step.words
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    plain = name.lower().replace("_", " ")
    return _EVENT_WORDS.get(name, Words(plain, plain))


# ---------------------------------------------------------------- one laid beside the other

_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_EVENT_ID = re.compile(r"\bid: (\d+)")


def divergence(
    events: Sequence[HistoryEvent], activations: Sequence[Activation], failure: Exception | None
) -> Divergence | None:
    """Say where a replay went another way than the history; None if it did not.

    Args:
        events: the whole history.
        activations: what the code was asked, and asked for, in order.
        failure: what the engine said of it; None: nothing.
    """
    last = activations[-1] if activations else None
    if last is not None and last.raised:
        return _raised_at(events, last)
    if failure is not None:
        return _differs_at(events, activations, _message(failure))
    _, left = _apart(events, activations)
    ended = max(_tasks(events), default=None)
    if ended is None or not any(step.kind in _ENDS for step in left):
        return None
    return _only_wanted(events, ended[1], left, "")


def _message(failure: Exception) -> str:
    """Return what the engine says, without the structure that it says it in."""
    found = [said.replace('\\"', '"') for said in _MESSAGE.findall(str(failure)) if said]
    return (found[0] if found else str(failure))[:MESSAGE_LIMIT]


def _raised_at(events: Sequence[HistoryEvent], last: Activation) -> Divergence:
    event = _first_of_task(events, last.started_id)
    return Divergence(
        Reason.RAISES,
        event.event_id,
        words_of(event),
        Words(f"报错 {last.raised}", f"raises {last.raised}"),
        last.raised,
    )


def _first_of_task(events: Sequence[HistoryEvent], started_id: int) -> HistoryEvent:
    """Return the first thing that a task led to; its own end if nothing, the last event if none."""
    completed_id = dict(_tasks(events)).get(started_id)
    if completed_id is None:
        return events[-1]
    led_to = (event for event in events if _completed_id(event) == completed_id)
    return next(led_to, events[completed_id - events[0].event_id])


def _differs_at(
    events: Sequence[HistoryEvent], activations: Sequence[Activation], message: str
) -> Divergence:
    event, wanted = _apart(events, activations)
    started_id = activations[-1].started_id if activations else 0
    if event is None and wanted and (completed_id := dict(_tasks(events)).get(started_id)):
        return _only_wanted(events, completed_id, wanted, message)
    if event is None:
        # Only the engine knows: it mostly names the event.
        named = next((int(each) for each in _EVENT_ID.findall(message)), 0)
        by_id = {each.event_id: each for each in events}
        event = by_id.get(named) or _first_of_task(events, started_id)
    return Divergence(Reason.DIFFERS, event.event_id, words_of(event), _wanted(wanted), message)


def _only_wanted(
    events: Sequence[HistoryEvent], completed_id: int, wanted: Sequence[Step], message: str
) -> Divergence:
    led_to = [event for event in events if _completed_id(event) == completed_id]
    last = led_to[-1] if led_to else events[completed_id - events[0].event_id]
    words = words_of(last)
    return Divergence(
        Reason.DIFFERS,
        last.event_id,
        Words(f"{words.zh}，此后该任务再无其他", f"{words.en}, and nothing more of that task"),
        _wanted(wanted),
        message,
    )


def _wanted(steps: Sequence[Step]) -> Words:
    if not steps:
        return Words("此处不要求任何步骤", "wanted nothing there")
    shown = [step.words for step in steps[:WANTED_SHOWN]]
    more = " …" if len(steps) > WANTED_SHOWN else ""
    return Words(
        f"要求 {'；'.join(each.zh for each in shown)}{more}",
        f"wanted {'; '.join(each.en for each in shown)}{more}",
    )


def _apart(
    events: Sequence[HistoryEvent], activations: Sequence[Activation]
) -> tuple[HistoryEvent | None, list[Step]]:
    """Return the first event that the code does not lead to, and what it wanted before it.

    Like the engine, this expects things in the order in which they were asked for, except for local
    activities: each is on record when it has ended. What has no event yet is expected later.
    """
    of_task: dict[int, list[Activation]] = {}
    for each in activations:
        of_task.setdefault(each.started_id, []).append(each)
    pending: list[Step] = []
    for started_id, completed_id in _tasks(events):
        asked = _asked(of_task.get(started_id, ()))
        pending += [step for step in asked if step.kind not in _PASSED_OVER]
        if started_id not in of_task:
            break
        for event in events:
            step = step_of(event) if _completed_id(event) == completed_id else None
            if step is None or step.kind in _PASSED_OVER:
                continue
            if not _is_expected(step, pending):
                return event, pending[: pending.index(step)] if step in pending else pending
            pending.remove(step)
    return None, pending


def _is_expected(step: Step, pending: Sequence[Step]) -> bool:
    if step.kind is StepKind.LOCAL_ACTIVITY:
        return step in pending
    in_order = (each for each in pending if each.kind is not StepKind.LOCAL_ACTIVITY)
    return next(in_order, None) == step
