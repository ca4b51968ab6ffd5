"""The replay gate also holds a process that was told of another calendar on its way (RB-1.7)."""

from __future__ import annotations

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from activities.payloads import MESSAGES
from tests.workflows.saved_histories import FOLDER, RECALCULATED, Saved, read, signals, text_of
from worker import guarded_runner
from workflows.registry import WORKFLOWS

PATH = FOLDER / f"application.high.connected.{RECALCULATED}.json"
NAME = "calendar_changed"


@pytest.fixture
def saved() -> Saved:
    return read(PATH)


def _looked(saved: Saved, after: int, before: int) -> list[str]:
    """Return which looks into the case file a history has between two of its events."""
    markers = [
        event
        for event in saved.history.events[after : before - 1]
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    ]
    text = text_of(WorkflowHistory(saved.history.workflow_id, markers))
    return [name for name in ("notice_lapses_at", "ring_ladder") if f'"{name}"' in text]


@pytest.mark.rule("RB-1.7")
def test_it_was_told_while_the_papers_were_checked_and_while_the_plan_was_owed(
    saved: Saved,
) -> None:
    told = signals(saved.history)
    names = [each.workflow_execution_signaled_event_attributes.signal_name for each in told]
    assert names == [NAME, NAME]
    first, second = (each.event_id for each in told)
    # The lapse of the notice is read anew only while there can be one (RB-3.5).
    assert _looked(saved, first, second) == ["notice_lapses_at", "ring_ladder"]
    assert _looked(saved, second, len(saved.history.events)) == ["ring_ladder"]
    assert saved.ending == "high.connected"


@pytest.mark.rule("RB-1.7")
async def test_the_gate_fails_if_a_process_no_longer_looks_when_told(saved: Saved) -> None:
    deaf = saved.history.to_json_dict()
    for event in deaf["events"]:
        if event["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED":
            event["workflowExecutionSignaledEventAttributes"]["signalName"] = "unheard_of"
    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=guarded_runner(), data_converter=MESSAGES
    )
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(WorkflowHistory.from_json("deaf", deaf))
