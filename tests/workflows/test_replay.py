"""The replay gate: today's processes must be able to take over what yesterday's began.

A failure says that a running case would stop. Recording again makes the test pass and helps no
running case: keep the old path with `workflow.patched`, and record the new one beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from activities.payloads import MESSAGES
from domain.working_time import Calendar
from storage.calendars import Calendars
from tests.workflows.saved_histories import (
    ENDINGS,
    FOLDER,
    KEPT_FIRST,
    RECORD,
    STEP_FAILED,
    Saved,
    all_saved,
    missing,
    read,
    text_of,
)
from worker import guarded_runner
from workflows.application import WITHDRAWAL_KEPT_FIRST
from workflows.registry import WORKFLOWS

SAVED = all_saved()


async def _replay(history: WorkflowHistory) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=guarded_runner(), data_converter=MESSAGES
    )
    await replayer.replay_workflow(history)


@pytest.mark.rule("RB-1.7")
@pytest.mark.parametrize("name", SAVED)
async def test_what_was_told_can_be_told_again(name: str) -> None:
    await _replay(SAVED[name].history)


@pytest.mark.rule("RB-1.7")
async def test_a_newer_calendar_changes_nothing_of_the_past(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("a replay asked the calendar")

    # Whatever today's calendar says, a process that is told again does not hear of it.
    for name in ("current", "refreshed", "version"):
        monkeypatch.setattr(Calendars, name, asked)
    for name in ("kind", "is_working", "is_published", "covers"):
        monkeypatch.setattr(Calendar, name, asked)
    for each in SAVED.values():
        await _replay(each.history)


def test_cases_from_before_the_ladder_and_after_are_both_kept() -> None:
    texts = [text_of(each.history) for each in SAVED.values() if each.workflow == "Application"]
    watched = ["alarm_after_s" in text for text in texts]
    assert any(watched) and not all(watched)
    assert any("ring_ladder" in text for text in texts)


def test_withdrawals_from_before_their_patch_and_since_are_both_kept() -> None:
    """A withdrawal is kept by the engine before the file says so: see `docs/adr/0012`."""
    for voltage in ("low", "high"):
        before, since = SAVED[f"application.{voltage}.withdrawn"], _since_patch(voltage)
        assert WITHDRAWAL_KEPT_FIRST not in text_of(before.history)
        assert WITHDRAWAL_KEPT_FIRST in text_of(since.history)


@pytest.mark.parametrize("voltage", ["low", "high"])
async def test_the_gate_fails_without_the_patch(
    voltage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the call taken out, old cases would go the new way, or new ones the old."""
    before, since = SAVED[f"application.{voltage}.withdrawn"], _since_patch(voltage)
    for is_patched, history in ((True, before.history), (False, since.history)):
        monkeypatch.setattr(workflow, "patched", lambda _id, says=is_patched: says)
        with pytest.raises(workflow.NondeterminismError):
            await _replay(history)


def _since_patch(voltage: str) -> Saved:
    return SAVED[f"application.{voltage}.withdrawn.{KEPT_FIRST}"]


def test_a_step_that_was_given_up_locally_is_kept() -> None:
    history = SAVED[f"application.low.connected.{STEP_FAILED}"].history
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    assert "accept_case" in {attributes.activity_type.name for attributes in scheduled}


def test_every_workflow_and_every_ending_has_a_saved_history() -> None:
    assert missing(WORKFLOWS, SAVED.values()) == [], f"to record: {RECORD}"


def test_files_are_named_after_what_they_hold() -> None:
    prefixes = {"Application": "application", "ApprovalBundle": "approval_bundle"}
    assert prefixes.keys() == ENDINGS.keys()
    for name, saved in SAVED.items():
        assert name.startswith(f"{prefixes[saved.workflow]}."), name
    for workflow_name, prefix in prefixes.items():
        for ending in ENDINGS[workflow_name]():
            assert SAVED[f"{prefix}.{ending}"].ending == ending


def test_no_history_says_where_it_was_recorded() -> None:
    for path in FOLDER.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r'"identity":"([^"]*)"', text)) <= {"recorder", "history-service"}
        assert re.findall(r"/(?:work|home|root|tmp|usr)/", text) == []


# ---------------------------------------------------------------- the gate can fail


@pytest.mark.parametrize("name", SAVED)
def test_the_gate_fails_without_the_only_history_of_an_ending(name: str) -> None:
    gone = SAVED[name]
    same = (gone.workflow, gone.ending)
    left = [saved for saved in SAVED.values() if (saved.workflow, saved.ending) != same]
    assert missing(WORKFLOWS, left) == [f"{gone.workflow}: {gone.ending}"]


@workflow.defn
class NewProcess:
    """A workflow that somebody registered without recording anything."""

    @workflow.run
    async def run(self) -> None:
        """Do nothing."""


def test_the_gate_fails_for_a_workflow_of_which_nothing_is_known() -> None:
    (problem,) = missing([*WORKFLOWS, NewProcess], SAVED.values())
    assert problem.startswith("NewProcess: ")


def _with_another_activity_id(history: dict[str, Any]) -> None:
    event = _first(history, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    event["activityTaskScheduledEventAttributes"]["activityId"] += "0"


def _with_another_activity(history: dict[str, Any]) -> None:
    event = _first(history, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    event["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "pay"


def _with_another_child(history: dict[str, Any]) -> None:
    event = _first(history, EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED)
    attributes = event["startChildWorkflowExecutionInitiatedEventAttributes"]
    attributes["workflowType"]["name"] = "Tender"


def _first(history: dict[str, Any], kind: EventType.ValueType) -> dict[str, Any]:
    found: dict[str, Any] = next(
        event for event in history["events"] if event["eventType"] == EventType.Name(kind)
    )
    return found


@pytest.mark.parametrize(
    "spoil", [_with_another_activity_id, _with_another_activity, _with_another_child]
)
async def test_the_gate_fails_on_a_history_that_today_would_be_told_otherwise(
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    bad = read(FOLDER / "application.high.connected.json").history.to_json_dict()
    spoil(bad)
    with pytest.raises(workflow.NondeterminismError):
        await _replay(WorkflowHistory.from_json("spoiled", bad))
