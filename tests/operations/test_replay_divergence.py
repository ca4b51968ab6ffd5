"""Where a history and today's code part is said in words (RB-12.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from activities.payloads import MESSAGES
from operations.divergence import Divergence, Reason, Recorder, divergence
from operations.replayer import as_replayable
from tests.operations.changed import CHANGES
from tests.workflows.saved_histories import FOLDER, all_saved, read
from workflows.registry import WORKFLOWS

HIGH, LOW = "application.high.connected.edition2", "application.low.connected"


def _events(name: str) -> Sequence[HistoryEvent]:
    return list(read(FOLDER / f"{name}.json").history.events)


async def _apart(
    events: Sequence[HistoryEvent], workflows: Sequence[type] = WORKFLOWS
) -> Divergence | None:
    recorder = Recorder()
    recorder.expect(events)
    replayer = Replayer(
        workflows=workflows,
        workflow_runner=recorder,
        data_converter=MESSAGES,
        debug_mode=True,
    )
    result = await replayer.replay_workflow(
        WorkflowHistory("replayed", as_replayable(events)), raise_on_replay_failure=False
    )
    return divergence(events, recorder.activations, result.replay_failure)


# ---------------------------------------------------------------- what the code carries


def _stages(events: Sequence[HistoryEvent]) -> Iterator[Sequence[HistoryEvent]]:
    """Yield a history as it stood whenever the engine had written all that a task led to."""
    for place in range(2, len(events) + 1):
        following = events[place] if place < len(events) else None
        if following is None or not _is_led_to(following):
            yield events[:place]


def _is_led_to(event: HistoryEvent) -> bool:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    is_update = "_UPDATE_" in EventType.Name(event.event_type)
    return is_update or bool(getattr(attributes, "workflow_task_completed_event_id", 0))


@pytest.mark.rule("RB-12.2")
@pytest.mark.parametrize("name", sorted(all_saved()))
async def test_todays_code_carries_every_saved_history_at_every_stage(name: str) -> None:
    for events in _stages(_events(name)):
        assert await _apart(events) is None, f"after event {events[-1].event_id}"


async def test_an_attempt_at_a_task_that_failed_is_no_divergence() -> None:
    events = _events(LOW)
    started = next(
        place
        for place, event in enumerate(events)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED and place > 5
    )
    failed = HistoryEvent(
        event_id=events[started].event_id + 1, event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    )
    failed.workflow_task_failed_event_attributes.started_event_id = events[started].event_id
    assert await _apart([*events[: started + 1], failed]) is None


# ---------------------------------------------------------------- histories that were changed

Spoiling = Callable[[dict[str, Any]], None]


def _first(history: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        event for event in history["events"] if event["eventType"] == f"EVENT_TYPE_{kind}"
    )
    return found


def _other_activity_id(history: dict[str, Any]) -> None:
    event = _first(history, "ACTIVITY_TASK_SCHEDULED")
    event["activityTaskScheduledEventAttributes"]["activityId"] += "0"


def _other_activity(history: dict[str, Any]) -> None:
    event = _first(history, "ACTIVITY_TASK_SCHEDULED")
    event["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "pay"


def _other_child(history: dict[str, Any]) -> None:
    event = _first(history, "START_CHILD_WORKFLOW_EXECUTION_INITIATED")
    attributes = event["startChildWorkflowExecutionInitiatedEventAttributes"]
    attributes["workflowType"]["name"] = "Tender"


def _timer_for_activity(history: dict[str, Any]) -> None:
    activity = _first(history, "ACTIVITY_TASK_SCHEDULED")
    timer = _first(history, "TIMER_STARTED")
    for each in (activity, timer):
        del each["eventId"]
    kept = dict(activity)
    activity.clear()
    activity.update(timer, eventId="7")
    timer.clear()
    timer.update(kept, eventId="6")


@pytest.mark.rule("RB-12.2")
@pytest.mark.parametrize(
    ("spoil", "event_id", "held", "wanted"),
    [
        (
            _other_activity_id,
            7,
            "activity owe {no}.check_papers.10",
            "wanted activity owe {no}.check_papers.1",
        ),
        (
            _other_activity,
            7,
            "activity pay {no}.check_papers.1",
            "wanted activity owe {no}.check_papers.1",
        ),
        (
            _other_child,
            41,
            "child process Tender {no}.permits.1",
            "wanted child process ApprovalBundle {no}.permits.1",
        ),
        (_timer_for_activity, 6, "activity owe {no}.check_papers.1", "wanted timer ("),
    ],
)
async def test_a_changed_history_is_found_at_its_event(
    spoil: Spoiling, event_id: int, held: str, wanted: str
) -> None:
    good = read(FOLDER / f"{HIGH}.json").history
    bad = deepcopy(good.to_json_dict())
    spoil(bad)
    no = good.events[6].activity_task_scheduled_event_attributes.activity_id.split(".")[0]
    found = await _apart(WorkflowHistory.from_json("spoiled", bad).events)
    assert found is not None and found.reason is Reason.DIFFERS
    assert (found.event_id, found.event.en) == (event_id, held.format(no=no))
    assert found.wanted.en.startswith(wanted.format(no=no))
    assert found.event.zh and found.wanted.zh.startswith("要求 ")
    assert "TMPRL1100" in found.message


# ---------------------------------------------------------------- code that was changed


@pytest.mark.rule("RB-12.2")
@pytest.mark.parametrize(
    ("change", "name", "reason", "held", "wanted"),
    [
        (
            "BuildsTwice",
            HIGH,
            Reason.DIFFERS,
            "activity owe {no}.build_line.1",
            "wanted activity owe {no}.build_line.2",
        ),
        (
            "LooksFirst",
            LOW,
            Reason.DIFFERS,
            "activity owe {no}.sign_contract.1",
            "wanted local activity ring_ladder",
        ),
        (
            "SleepsFirst",
            LOW,
            Reason.DIFFERS,
            "activity owe {no}.build_line.1",
            "wanted timer (8:00:00)",
        ),
        (
            "SignsNothing",
            LOW,
            Reason.DIFFERS,
            "activity owe {no}.sign_contract.1",
            "wanted activity owe {no}.energise.1",
        ),
        (
            "EndsEarly",
            LOW,
            Reason.DIFFERS,
            "activity owe {no}.build_line.1",
            "wanted local activity end_case",
        ),
        (
            "EndsAtOnce",
            LOW,
            Reason.DIFFERS,
            "local activity notice_lapses_at",
            "wanted the end of the process",
        ),
        (
            "Tenders",
            HIGH,
            Reason.DIFFERS,
            "child process ApprovalBundle {no}.permits.1",
            "wanted child process Tender {no}.permits.1",
        ),
        (
            "AlsoSurveys",
            LOW,
            Reason.DIFFERS,
            "activity owe {no}.build_line.1",
            "wanted activity owe {no}.survey.2",
        ),
        (
            "Stumbles",
            LOW,
            Reason.RAISES,
            "activity owe {no}.sign_contract.1",
            "raises KeyError: 'contract' (changed.py:",
        ),
    ],
)
async def test_a_change_that_is_not_carried_is_told_in_words(
    change: str, name: str, reason: Reason, held: str, wanted: str
) -> None:
    events = _events(name)
    no = next(
        event.activity_task_scheduled_event_attributes.activity_id.split(".")[0]
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    )
    found = await _apart(events, CHANGES[change])
    assert found is not None and found.reason is reason
    assert found.event.en.startswith(held.format(no=no)), found.words.en
    assert found.wanted.en.startswith(wanted.format(no=no)), found.words.en
    assert found.words.en == f"event {found.event_id} holds: {found.event.en}; the code: " + (
        found.wanted.en
    )
    assert found.words.zh.startswith(f"事件 {found.event_id} 为：")
    assert "/" not in found.wanted.en


def _until(name: str, task: str) -> Sequence[HistoryEvent]:
    """Return a history until a task is owed, and nothing has happened since."""
    events = _events(name)
    place = next(
        place
        for place, event in enumerate(events)
        if event.activity_task_scheduled_event_attributes.activity_id.endswith(f".{task}")
    )
    return next(stage for stage in _stages(events) if len(stage) > place)


@pytest.mark.rule("RB-12.2")
async def test_an_end_beyond_the_last_task_is_found_though_the_engine_is_silent() -> None:
    events = [
        event
        for event in _until("approval_bundle.granted.edition2", "permits-water.1")
        if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    found = await _apart(events, CHANGES["bundles_ask_nobody"])
    assert found is not None
    assert found.message == ""
    assert found.event_id == events[-1].event_id
    assert found.event.en.endswith(", and nothing more of that task")
    assert found.wanted.en == "wanted the end of the process"


@pytest.mark.rule("RB-12.2")
async def test_what_a_process_has_not_come_to_is_no_divergence() -> None:
    events = _until(LOW, "filing.1")
    for change in (
        "BuildsTwice",
        "SleepsFirst",
        "SignsNothing",
        "EndsEarly",
        "Stumbles",
        "AlsoSurveys",
    ):
        assert await _apart(events, CHANGES[change]) is None, change


async def test_code_that_raises_on_what_just_came_diverges_at_the_end() -> None:
    events = _events(LOW)
    answered = next(
        place
        for place, event in enumerate(events)
        if event.event_id > _until(LOW, "build_line.1")[-1].event_id
        and event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    )
    found = await _apart(events[: answered + 2], CHANGES["Stumbles"])
    assert found is not None and found.reason is Reason.RAISES
    assert found.event_id == events[answered + 1].event_id
    assert found.event.en == "a workflow task is scheduled"


async def test_attempts_that_failed_do_not_hide_the_next() -> None:
    events = _events(LOW)
    place = len(_until(LOW, "build_line.1")) + 2
    tail = [HistoryEvent(event_id=place + n, event_type=kind) for n, kind in enumerate(_TAIL, 1)]
    found = await _apart([*events[:place], *tail], CHANGES["Stumbles"])
    assert found is not None and found.reason is Reason.RAISES
    assert found.event_id == place + len(_TAIL)
    assert await _apart([*events[:place], *tail]) is None
    first = [*events[:3], *tail]
    assert await _apart(first) is None
    assert await _apart(first, CHANGES["TellsSecrets"]) is not None


_TAIL = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
)
