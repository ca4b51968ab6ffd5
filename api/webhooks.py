"""What OneWindow calls at an agency's own system, so that the description has both directions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header
from pydantic import Field

from activities.changes import SOURCE
from api.schemas import Shown, TaskBody, Texts
from domain.outcomes import Outcome

router = APIRouter()

Signature = Annotated[
    str | None,
    Header(
        description="Signatures by the Standard Webhooks scheme, separated by spaces: "
        "`v1,` and the base64 HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`, "
        "one per secret of the agency in use; none without a secret"
    ),
]
MessageId = Annotated[
    str | None, Header(description="The same whenever the same message is sent, colons for stops")
]
SentAt = Annotated[int | None, Header(description="Unix seconds; refuse what is minutes old")]


class PushAnswer(Shown):
    """What an agency's system may answer a push with: nothing yet, or the outcome at once."""

    outcome: Outcome | None = None


class RevisedItem(Shown):
    """A permit item that a revised route no longer needs, or asks for anew in another task."""

    item: str
    is_asked_anew: bool


class ChangeBody(Shown):
    """What changed about a task.

    Attributes:
        old_due_on, new_due_on: null where no date could be named.
        items: those of a revision.
    """

    task_id: str
    case_no: str
    old_due_on: str | None
    new_due_on: str | None
    is_provisional: bool
    items: list[RevisedItem]
    reason: Texts


class ChangeEvent(Shown):
    """A change of a task, as CloudEvents 1.0 in structured mode; `id` names its cause."""

    specversion: Literal["1.0"]
    id: str
    source: Annotated[str, Field(examples=[SOURCE])]
    type: Literal[
        "onewindow.task.withdrawn", "onewindow.task.revised", "onewindow.task.deadline_moved"
    ]
    subject: str
    time: str
    datacontenttype: Literal["application/json"]
    data: ChangeBody


EVENT_EXAMPLES: dict[str, dict[str, Any]] = {
    "ChangeEvent": {
        "specversion": "1.0",
        "id": "withdrawn:ZJ20260000011:permits-water:1",
        "source": SOURCE,
        "type": "onewindow.task.withdrawn",
        "subject": "ZJ20260000011.permits-water.1",
        "time": "2026-09-16T12:00:00+08:00",
        "datacontenttype": "application/json",
        "data": {
            "task_id": "ZJ20260000011.permits-water.1",
            "case_no": "ZJ20260000011",
            "old_due_on": "2026-09-23",
            "new_due_on": None,
            "is_provisional": False,
            "items": [],
            "reason": {
                "zh": "办件已办结（申请人撤件），本任务撤回，无需办理",
                "en": "The case has ended (the application was withdrawn); the task is withdrawn",
            },
        },
    }
}


@router.put(
    "tasks/{id}",
    summary="A task is owed (PUT to the agency's own base address)",
    response_model=PushAnswer,
    response_description="Taken; with the outcome, if it is decided already",
    responses={
        202: {"description": "Taken; the outcome will be put later"},
        "4XX": {"description": "The task itself is wrong: shown to a person, pushed again later"},
        "5XX": {"description": "Not taken this time; the same push comes again"},
    },
)
async def task_owed(
    task: TaskBody,
    webhook_id: MessageId = None,
    webhook_timestamp: SentAt = None,
    webhook_signature: Signature = None,
) -> None:
    """Take a task under its id, sent with the key the agency knows OneWindow by, and signed.

    The same task may come several times: nothing but its id says whether it is new. Answer within
    ten seconds, and put the outcome to `/api/v1/tasks/{task_id}/outcome` when it is decided.
    """


@router.post(
    "events",
    summary="A task has changed (POST to the agency's own base address)",
    status_code=204,
    response_description="Taken, or known before",
    responses={
        "4XX": {"description": "The event itself is wrong: shown to a person, sent again daily"},
        "5XX": {"description": "Not taken this time; it comes again, before any later one"},
    },
)
async def task_changed(
    event: Annotated[ChangeEvent, Body(media_type="application/cloudevents+json")],
    webhook_id: MessageId = None,
    webhook_timestamp: SentAt = None,
    webhook_signature: Signature = None,
) -> None:
    """Take a change: withdrawn, route revised, or deadline moved; sent and signed like a task.

    Events come in order, each under the id of its cause; what came before under it is a duplicate.
    The task itself can be read at `source` and `subject` at any time.
    """
