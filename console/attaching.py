"""Documents that come with a form: put on file before it is judged, and kept if it is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from starlette.datastructures import FormData, UploadFile

from api.documents import put_with
from api.services import Services
from console.guard import PATH, Visitor
from domain.documents import LONGEST_NAME, NOT_IN_NAMES, TaskDocument
from domain.errors import FieldProblem, InputRefused, LimitReached
from settings import Settings

PATHS = re.compile(rf"{PATH}/(tasks/[^/]+/(outcome|route)|admin/decisions/[^/]+)")
"""Addresses of forms that documents come with."""
AT_ONCE = 4
"""Documents of the largest size that one form may bring."""


def limit_of(settings: Settings) -> int:
    """Return how large the body of such a form may be, in bytes."""
    return AT_ONCE * settings.document_limit_bytes + settings.body_limit_bytes


def chosen(form: FormData) -> dict[str, UploadFile]:
    """Return the files that were chosen, by the field that is to name each document."""
    return {
        name.removesuffix("file") + "document": value
        for name, value in form.multi_items()
        if isinstance(value, UploadFile) and value.filename and name.split(".")[-1] == "file"
    }


async def attached(
    form: FormData, task_ids: Iterable[str], visitor: Visitor, services: Services
) -> tuple[FormData, list[FieldProblem]]:
    """Put the chosen files on file with tasks; return the form with their digests in it.

    Args:
        task_ids: each gets all of them.
    """
    texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    problems: list[FieldProblem] = []
    for field, file in chosen(form).items():
        try:
            document = await _received(file, services.settings.document_limit_bytes)
            for task_id in task_ids:
                await put_with(task_id, document, visitor.caller, services)
        except (InputRefused, LimitReached) as refused:
            problems += [
                _at(field.removesuffix("document") + "file", each) for each in _of(refused)
            ]
        else:
            texts[field] = document.sha256
    return FormData(texts), problems


async def _received(file: UploadFile, limit: int) -> TaskDocument:
    """Read a file as the API reads a document.

    Raises:
        InputRefused: it is too large, or of a kind that is not taken.
    """
    if (file.size or 0) > limit:
        has = size_words(file.size or 0)
        raise InputRefused(
            FieldProblem(
                "(body)",
                f"has {has}; {size_words(limit)} at most",
                f"文件大小为 {has}，不得超过 {size_words(limit)}",
            )
        )
    content = await file.read()
    name = NOT_IN_NAMES.sub("_", (file.filename or "").strip())[-LONGEST_NAME:].strip()
    return TaskDocument.received(
        content,
        sha256=hashlib.sha256(content).hexdigest(),
        declared=None,
        name=quote(name, safe="") if name.strip(".") else None,
    )


def size_words(size: int) -> str:
    """Say how large something is."""
    return f"{size / 1_048_576:.1f} MB" if size >= 1_048_576 else f"{max(size / 1024, 0.1):.1f} KB"


def _of(refused: InputRefused | LimitReached) -> Iterable[FieldProblem]:
    if isinstance(refused, InputRefused):
        return refused.problems
    return (FieldProblem("(body)", refused.en, refused.zh),)


def _at(field: str, problem: FieldProblem) -> FieldProblem:
    return FieldProblem(field, problem.en, problem.zh)


def choices(documents: Iterable[Mapping[str, object]]) -> list[tuple[str, str]]:
    """Return the documents of a task, to choose from: digest, and how it is called."""
    return [
        (str(each["sha256"]), f"{each['name'] or str(each['sha256'])[:12]}") for each in documents
    ]
