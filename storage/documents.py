"""Documents put with tasks: kept as they came, under their digest, beside the record of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.documents import MOST_PER_TASK, TaskDocument, too_many
from domain.errors import UnknownDocument
from storage.appending import Head, append, check_open, locked_task
from storage.chain import canonical, digest
from storage.database import writing
from storage.records import AnyRow, TaskRecord
from storage.tables import documents


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document as it stands on file, without its content."""

    task_id: str
    sha256: str
    media_type: str
    size: int
    name: str | None
    put_by: str
    put_at: datetime

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `documents`."""
        return cls(**{f.name: row._mapping[f.name] for f in fields(cls)})

    @property
    def about_sha256(self) -> str:
        """The digest under which the record holds what is said of it."""
        return digest(canonical([self.media_type, self.size, self.name]))


@dataclass(frozen=True, slots=True)
class Put:
    """A document on file; `is_new` is false when it was put before."""

    document: DocumentRecord
    is_new: bool


ABOUT = tuple(documents.c[f.name] for f in fields(DocumentRecord))
"""The columns of a document but its content."""


class Documents:
    """Puts documents on file, and gives them back."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(
        self,
        task_id: str,
        document: TaskDocument,
        *,
        by: str,
        check: Callable[[TaskRecord], datetime],
    ) -> Put:
        """Put a document with a task that is open, once; a second time it changes nothing.

        Args:
            check: looks at the task as it stands and returns the civil instant of receipt; what it
                raises leaves the file as it was.

        Raises:
            UnknownTask: there is no such task.
            TaskClosed: it takes no more, being decided or closed.
            LimitReached: it has as many as it may have.
        """
        async with writing(self._engine) as db:
            row = await locked_task(db, task_id)
            at = check(TaskRecord.of(row))
            of_task = documents.c.task_id == task_id
            found = await db.execute(
                sa.select(*ABOUT).where(of_task, documents.c.sha256 == document.sha256)
            )
            if (earlier := found.first()) is not None:
                return Put(DocumentRecord.of(earlier), is_new=False)
            check_open(row)
            count = sa.select(sa.func.count()).select_from(documents).where(of_task)
            if (await db.scalar(count) or 0) >= MOST_PER_TASK:
                raise too_many()
            put = DocumentRecord(
                task_id=task_id,
                sha256=document.sha256,
                media_type=document.media_type,
                size=len(document.content),
                name=document.name,
                put_by=by,
                put_at=at,
            )
            await db.execute(
                documents.insert().values(case_no=row.no, content=document.content, **asdict(put))
            )
            await append(
                db,
                Head.of(row),
                at=at,
                kind="document_put",
                by=by,
                task_id=task_id,
                body={"sha256": put.sha256, "about_sha256": put.about_sha256},
            )
            return Put(put, is_new=True)

    async def on_file(self, task_id: str, wanted: Collection[str]) -> frozenset[str]:
        """Return which of these digests are those of documents that were put with a task."""
        if not wanted:
            return frozenset()
        statement = sa.select(documents.c.sha256).where(
            documents.c.task_id == task_id, documents.c.sha256.in_(wanted)
        )
        async with self._engine.connect() as db:
            return frozenset(await db.scalars(statement))

    async def of_task(self, task_id: str) -> tuple[str, ...]:
        """Return the digests of the documents that were put with a task."""
        statement = sa.select(documents.c.sha256).where(documents.c.task_id == task_id)
        async with self._engine.connect() as db:
            return tuple(await db.scalars(statement.order_by(documents.c.sha256)))

    async def about(self, task_id: str) -> tuple[DocumentRecord, ...]:
        """Return what was put with a task, without the contents, in the order in which it was."""
        statement = sa.select(*ABOUT).where(documents.c.task_id == task_id)
        in_order = statement.order_by(documents.c.put_at, documents.c.sha256)
        async with self._engine.connect() as db:
            return tuple(map(DocumentRecord.of, await db.execute(in_order)))

    async def of_case(self, no: str) -> tuple[DocumentRecord, ...]:
        """Return what was put with the tasks of a case, without the contents, in order."""
        statement = sa.select(*ABOUT).where(documents.c.case_no == no)
        in_order = statement.order_by(documents.c.put_at, documents.c.task_id, documents.c.sha256)
        async with self._engine.connect() as db:
            return tuple(map(DocumentRecord.of, await db.execute(in_order)))

    async def content(self, task_id: str, sha256: str) -> tuple[DocumentRecord, bytes]:
        """Return a document.

        Raises:
            UnknownDocument: none with this digest was put with this task.
        """
        statement = sa.select(*ABOUT, documents.c.content).where(
            documents.c.task_id == task_id, documents.c.sha256 == sha256
        )
        async with self._engine.connect() as db:
            row = (await db.execute(statement)).first()
        if row is None:
            raise UnknownDocument(task_id, sha256)
        return DocumentRecord.of(row), row.content
