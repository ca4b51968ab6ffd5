"""Whether documents, and opinions with their answers, are what a case's record says (RB-13.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.documents import ABOUT, DocumentRecord
from storage.opinions import OUTSIDE, asked_sha256, said_sha256
from storage.records import AnyRow, parsed
from storage.tables import documents, opinions

Found = Iterator[tuple[int | None, str]]
"""What does not hold, with the event's number where there is one."""


async def documents_of(db: AsyncConnection, no: str) -> Mapping[DocumentRecord, str]:
    """Return what is on file of a case's documents, each with the digest of its content."""
    rows = await db.execute(sa.select(*ABOUT).where(documents.c.case_no == no))
    return {about: await _content_sha256(db, about) for about in map(DocumentRecord.of, rows.all())}


async def _content_sha256(db: AsyncConnection, about: DocumentRecord) -> str:
    # One at a time: a case may have more of them than fit into memory.
    content = await db.scalar(
        sa.select(documents.c.content).where(
            documents.c.task_id == about.task_id, documents.c.sha256 == about.sha256
        )
    )
    return hashlib.sha256(content or b"").hexdigest()


def of_its_documents(on_file: Mapping[DocumentRecord, str], rows: Sequence[AnyRow]) -> Found:
    """Compare documents with the events that put them on file."""
    left = {(about.task_id, about.sha256): about for about in on_file}
    for row in rows:
        if row.kind != "document_put":
            continue
        body = parsed(row.body)
        about = left.pop((row.task_id, body["sha256"]), None)
        if about is None:
            yield row.seq, f"the document {body['sha256']} was taken out"
        elif on_file[about] != about.sha256:
            yield row.seq, f"the document {about.sha256} was changed"
        elif (about.about_sha256, about.put_by, about.put_at) != (
            body["about_sha256"],
            row.by,
            row.at,
        ):
            yield row.seq, f"what is said of the document {about.sha256} was changed"
    for _task_id, sha256 in sorted(left):
        yield None, f"the document {sha256} has no event"


async def opinions_of(db: AsyncConnection, no: str) -> Sequence[AnyRow]:
    """Return what was asked of units outside in a case, and what they said."""
    return (await db.execute(sa.select(opinions).where(opinions.c.case_no == no))).all()


def of_its_opinions(on_file: Sequence[AnyRow], rows: Sequence[AnyRow]) -> Found:
    """Compare questions and answers with the events that put them on file."""
    asked = {(row.task_id, row.number): row for row in on_file}
    on_record: set[tuple[str, int]] = set()
    answered: set[tuple[str, int]] = set()
    for row in rows:
        if row.kind not in ("opinion_asked", "opinion_given"):
            continue
        body = parsed(row.body)
        key = (row.task_id, body["opinion"])
        found, name = asked.get(key), f"the opinion {key[1]} of {row.task_id}"
        if found is None:
            yield row.seq, f"{name} was taken out"
        elif row.kind == "opinion_asked":
            on_record.add(key)
            if (asked_sha256(found), found.asked_by, found.asked_at) != (
                body["asked_sha256"],
                row.by,
                row.at,
            ):
                yield row.seq, f"what was asked as {name} was changed"
        else:
            answered.add(key)
            if (said_sha256(found), OUTSIDE, found.answered_at) != (
                body["said_sha256"],
                row.by,
                row.at,
            ):
                yield row.seq, f"what was said as {name} was changed"
    for key, found in sorted(asked.items()):
        name = f"the opinion {key[1]} of {key[0]}"
        if key not in on_record:
            yield None, f"{name} has no event"
        elif key not in answered and (found.answered_at, found.opinion) != (None, None):
            yield None, f"the answer to {name} has no event"
