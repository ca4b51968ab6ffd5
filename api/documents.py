"""Documents of a task: put by the agency that owes it, named by its outcome, given back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.requests import ClientDisconnect

from activities.contract import civil_text
from api.auth import Caller, SignedIn
from api.problems import MALFORMED, Refused
from api.responses import spelled
from api.schemas import Shown, refusals
from api.services import Services, Serving
from api.tasks import check_own, task_id_of
from domain.access import Act
from domain.documents import MAGIC, TaskDocument, file_name
from storage.documents import DocumentRecord, Put
from storage.records import TaskRecord

router = APIRouter(prefix="/tasks", tags=["tasks"])

PATH = re.compile(r"/api/v1/tasks/[^/]+/documents/[^/]+")
"""Where a body may be as large as a document."""

Sha256 = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the document's bytes")
]
DocumentName = Annotated[
    str | None,
    Header(
        alias="X-Document-Name",
        max_length=1500,
        pattern=r"^[\x21-\x7e]+$",
        description="Name of the file, as percent-encoded UTF-8",
    ),
]
BINARY: dict[str, Any] = {
    kind: {"schema": {"type": "string", "format": "binary"}, "example": f"({kind})"}
    for kind in MAGIC
}


class DocumentBody(Shown):
    """A document as it stands on file, without its content."""

    task_id: str
    sha256: str
    media_type: str
    size: int
    name: str | None
    put_by: str
    put_at: str


DOCUMENT_EXAMPLES: dict[str, dict[str, Any]] = {
    "DocumentBody": {
        "task_id": "ZJ20260000011.permits-water.1",
        "sha256": "9f2feb0f1ef425b292f2f94bc8482494df430413c2e5c8a8c4b6e5a5c3a1c4de",
        "media_type": "application/pdf",
        "size": 48211,
        "name": "准予行政许可决定书.pdf",
        "put_by": "water",
        "put_at": "2026-09-18T09:12:00+08:00",
    }
}


@router.put(
    "/{task_id}/documents/{sha256}",
    name=Act.PUT_DOCUMENT,
    response_model=DocumentBody,
    summary="Put a document with a task (上传文件)",
    responses={
        201: {"model": DocumentBody, "description": "On file; again, it is 200"},
        **refusals(400, 401, 403, 404, 409, 413, 422),
    },
    openapi_extra={"requestBody": {"required": True, "content": BINARY}},
)
async def put_document(
    task_id: str,
    sha256: Sha256,
    request: Request,
    caller: SignedIn,
    services: Serving,
    name: DocumentName = None,
) -> Response:
    """Put a document on file, before an outcome names it by its digest; it is never changed.

    A PDF, PNG or JPEG file, as its first bytes show. Its size has a limit of its own.
    """

    # Whoever may not put it does not have it read.
    _check_putting(await services.reading.task(task_id_of(task_id)), caller)
    try:
        content = await request.body()
    except ClientDisconnect:
        raise Refused(MALFORMED, "the body ended too early", "请求正文不完整") from None
    document = TaskDocument.received(
        content, sha256=sha256, declared=request.headers.get("content-type"), name=name
    )
    put = await put_with(task_id, document, caller, services)
    return spelled(document_body(put.document), 201 if put.is_new else 200)


async def put_with(task_id: str, document: TaskDocument, caller: Caller, services: Services) -> Put:
    """Put a document on file that was received.

    Raises:
        OneWindowError: it is refused.
    """

    def check(task: TaskRecord) -> datetime:
        _check_putting(task, caller)
        return task.clock.civil(services.now())

    return await services.documents.put(
        task_id_of(task_id), document, by=caller.agency, check=check
    )


def _check_putting(task: TaskRecord, caller: Caller) -> None:
    # RB-12.2: what an administrator decides on an agency's behalf has a document, too.
    check_own(task, caller, Act.PUT_DOCUMENT)


@router.get(
    "/{task_id}/documents",
    name=Act.SEE_TASKS,
    response_model=list[DocumentBody],
    summary="Documents of a task",
    responses=refusals(401, 403, 404),
)
async def list_documents(
    task_id: str, caller: SignedIn, services: Serving
) -> list[Mapping[str, object]]:
    """Return what was put with a task, in the order in which it was."""
    task = await services.reading.task(task_id_of(task_id))
    check_own(task, caller, Act.SEE_TASKS)
    return [document_body(about) for about in await services.documents.about(task.id)]


@router.get(
    "/{task_id}/documents/{sha256}",
    name=Act.SEE_TASKS,
    response_class=Response,
    summary="A document of a task",
    responses={
        200: {"description": "As it was put", "content": BINARY},
        **refusals(401, 403, 404, 422),
    },
)
async def get_document(
    task_id: str, sha256: Sha256, caller: SignedIn, services: Serving
) -> Response:
    """Give a document back, to be saved: the agency that owes the task, the desk, supervisors."""
    task = await services.reading.task(task_id_of(task_id))
    check_own(task, caller, Act.SEE_TASKS)
    return await saved(task.id, sha256, services)


async def saved(task_id: str, sha256: str, services: Services) -> Response:
    """Give back a document of a task that whoever asks may see.

    Raises:
        UnknownDocument: none with this digest was put with this task.
    """
    about, content = await services.documents.content(task_id, sha256)
    name = quote(file_name(about.sha256, about.media_type, about.name), safe="")
    return Response(
        content,
        media_type=about.media_type,
        headers={
            # What came from outside is saved, never shown as if it were a page of ours.
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


def document_body(about: DocumentRecord) -> Mapping[str, object]:
    """Show a document, without its content."""
    return {
        "task_id": about.task_id,
        "sha256": about.sha256,
        "media_type": about.media_type,
        "size": about.size,
        "name": about.name,
        "put_by": about.put_by,
        "put_at": civil_text(about.put_at),
    }
