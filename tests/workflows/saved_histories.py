"""Histories of real processes, kept beside the tests: what is running today must still replay.

Each file is named after what it holds, `<workflow>.<ending>.json`, but believed only by content.
Several of one ending differ in a word before `.json`: `watched`, or one of those named below.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from activities.messages import Bundle, BundleResult, CaseRef, Closing
from activities.payloads import MESSAGES
from domain import policy
from tests.workflows.stories import endings
from workflows.application import Application
from workflows.approval_bundle import WITHDRAWN, ApprovalBundle

FOLDER = Path(__file__).parents[1] / "histories"
RECORD = "python -m tests.workflows.record_histories"
RECALCULATED = "recalculated"
"""Marks the history of a case under which a calendar was published."""
STEP_FAILED = "step_failed"
"""Marks the history of a case of which a step failed until it was an activity of its own."""
KEPT_FIRST = "kept_first"
"""Marks the histories of cases withdrawn since the patch `WITHDRAWAL_KEPT_FIRST`."""

_CONVERTER = MESSAGES.payload_converter


def _endings_of_application() -> Iterator[str]:
    return (f"{voltage}.{ending}" for voltage, ending in endings())


def _endings_of_bundle() -> Iterator[str]:
    yield from get_args(policy.BundleResult)
    yield WITHDRAWN


# A workflow that is registered and does not stand here has no saved history: the gate fails.
ENDINGS: Mapping[str, Callable[[], Iterator[str]]] = {
    Application.__name__: _endings_of_application,
    ApprovalBundle.__name__: _endings_of_bundle,
}


@dataclass(frozen=True, slots=True)
class Saved:
    """One history.

    Attributes:
        workflow: name of the workflow it is of.
        ending: which of `ENDINGS` it reached.
    """

    workflow: str
    ending: str
    history: WorkflowHistory


def read(path: Path) -> Saved:
    """Read a saved history; what it is of and how it ended is taken from its events."""
    text = path.read_text(encoding="utf-8")
    history = WorkflowHistory.from_json("saved", text)
    started = history.events[0].workflow_execution_started_event_attributes
    ended = history.events[-1].workflow_execution_completed_event_attributes
    workflow = started.workflow_type.name
    taken, given = _MESSAGES[workflow]
    (argument,) = _CONVERTER.from_payloads(started.input.payloads, [taken])
    (result,) = _CONVERTER.from_payloads(ended.result.payloads, [given])
    return Saved(workflow, _ending(argument, result), history)


_MESSAGES = {
    Application.__name__: (CaseRef, Closing),
    ApprovalBundle.__name__: (Bundle, BundleResult),
}


def _ending(argument: object, result: object) -> str:
    match argument, result:
        case CaseRef(voltage=voltage), Closing(ending=ending):
            return f"{voltage}.{ending}"
        case Bundle(), BundleResult(verdict=verdict):
            return verdict
    raise AssertionError(f"{argument} led to {result}")


def all_saved() -> dict[str, Saved]:
    """Return every saved history, by its file's name."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.json"))}


def missing(workflows: Iterable[type], saved: Iterable[Saved]) -> list[str]:
    """Say which registered workflow has no saved history, or which of its endings."""
    kept = {(each.workflow, each.ending) for each in saved}
    found: list[str] = []
    for name in (workflow.__name__ for workflow in workflows):
        if name not in ENDINGS:
            found.append(f"{name}: its endings are not known to {__name__}")
            continue
        found += [f"{name}: {end}" for end in ENDINGS[name]() if (name, end) not in kept]
    return found


def signals(history: WorkflowHistory) -> list[HistoryEvent]:
    """Return the signals that a process was sent, in their order."""
    signaled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return [event for event in history.events if event.event_type == signaled]


def text_of(history: WorkflowHistory) -> str:
    """Return everything a history says as one text, its payloads decoded."""
    return json.dumps(_decoded(history.to_json_dict()), ensure_ascii=False)


def _decoded(value: Any) -> Any:
    match value:
        case {"metadata": _, "data": str(data)}:
            content = base64.b64decode(data)
            try:
                return json.loads(content)
            except ValueError:
                return content.decode("utf-8", "replace")
        case dict():
            return {key: _decoded(each) for key, each in value.items()}
        case list():
            return [_decoded(each) for each in value]
    return value
