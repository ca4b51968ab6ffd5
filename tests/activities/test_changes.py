"""How a change is told: CloudEvents 1.0, dates and grounds in both languages, nobody's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from activities.changes import event_of
from api.webhooks import ChangeEvent
from domain.connection import Ending
from storage.outbox import MessageKind, MessageRecord
from tests.support.cases import NOON

TASK = "ZJ20260000011.permits-water.1"
DATES = {"old_due_on": "2026-09-23", "new_due_on": None}
MOVED = {**DATES, "new_due_on": "2026-09-24", "is_provisional": True, "calendar": "cn-2027.2"}


def message(kind: MessageKind, body: Mapping[str, Any]) -> MessageRecord:
    return MessageRecord(
        number=1,
        id=f"{kind.value}.{TASK}",
        case_no="ZJ20260000011",
        task_id=TASK,
        agency="water",
        kind=kind,
        at=NOON,
        body=body,
        attempts=0,
        next_try_at=None,
        is_refused=False,
        problem=None,
        delivered_at=None,
    )


EVERY_KIND = [
    *(message(MessageKind.WITHDRAWN, {**DATES, "ending": ending.value}) for ending in Ending),
    message(
        MessageKind.REVISED,
        {**DATES, "round": 2, "items": [{"item": "河道", "is_asked_anew": True}]},
    ),
    message(MessageKind.DEADLINE_MOVED, {**MOVED, "is_resumed": False}),
    message(MessageKind.DEADLINE_MOVED, {**MOVED, "is_resumed": True}),
]


@pytest.mark.parametrize("sent", EVERY_KIND, ids=lambda each: each.kind.value)
def test_an_event_is_as_described_with_its_ground_in_both_languages(sent: MessageRecord) -> None:
    event = ChangeEvent.model_validate(event_of(sent))
    assert event.id == f"{sent.kind.value}:ZJ20260000011:permits-water:1"
    assert (event.source, event.subject) == ("/api/v1/tasks", TASK)
    assert event.type == f"onewindow.task.{sent.kind.value}"
    assert event.time == "2026-09-16T12:00:00+08:00"
    assert event.data.reason.zh and event.data.reason.en
    assert event_of(sent) == event_of(sent)


def test_every_ground_is_another() -> None:
    grounds = [event_of(sent)["data"]["reason"] for sent in EVERY_KIND]
    for language in ("zh", "en"):
        assert len({ground[language] for ground in grounds}) == len(EVERY_KIND)


def test_a_moved_deadline_names_both_dates_and_its_calendar() -> None:
    (moved,) = [each for each in EVERY_KIND if each.body.get("is_resumed") is False]
    told = event_of(moved)["data"]
    assert (told["old_due_on"], told["new_due_on"]) == ("2026-09-23", "2026-09-24")
    assert told["is_provisional"]
    assert "cn-2027.2" in told["reason"]["zh"] and "cn-2027.2" in told["reason"]["en"]


def test_a_revision_names_the_items() -> None:
    (revised,) = [each for each in EVERY_KIND if each.kind is MessageKind.REVISED]
    assert event_of(revised)["data"]["items"] == [{"item": "河道", "is_asked_anew": True}]
