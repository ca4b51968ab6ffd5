"""The documents that agencies put with the tasks of a case, listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from api.applications import seen_case
from api.auth import SignedIn
from api.documents import DocumentBody, document_body
from api.schemas import refusals
from api.services import Serving
from domain.access import Act

router = APIRouter(prefix="/applications", tags=["applications"])


@router.get(
    "/{no}/task-documents",
    name=Act.SEE_CASES,
    response_model=list[DocumentBody],
    summary="The documents of its tasks",
    responses=refusals(401, 403, 404),
)
async def get_task_documents(
    no: str, caller: SignedIn, services: Serving
) -> list[Mapping[str, Any]]:
    """Return what was put with those tasks of a case that the caller may see, in order."""
    await seen_case(no, caller, services)
    owner_of = {task.id: task.owed_by for task in await services.reading.tasks_of(no)}
    return [
        document_body(each)
        for each in await services.documents.of_case(no)
        # RB-13.1: what others decided is theirs.
        if caller.may_for(Act.SEE_TASKS, owner_of[each.task_id])
    ]
