"""What OneWindow calls at an agency's own system, so that the description has both directions."""

from __future__ import annotations

from fastapi import APIRouter

from api.schemas import Shown, TaskBody
from domain.outcomes import Outcome

router = APIRouter()


class PushAnswer(Shown):
    """What an agency's system may answer a push with: nothing yet, or the outcome at once."""

    outcome: Outcome | None = None


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
async def task_owed(task: TaskBody) -> None:
    """Take a task under its id, sent with the key the agency knows OneWindow by.

    The same task may come several times: nothing but its id says whether it is new. Answer within
    ten seconds, and put the outcome to `/api/v1/tasks/{task_id}/outcome` when it is decided.
    """
