"""Opinions asked of units without an account: each by a link, whose secret is not kept.

Nothing here decides a task; what was asked and said is on the record by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import IdempotencyConflict, ReplyConflict, UnknownOpinion
from domain.opinions import MOST_OPEN, Opinion, Question, check_question, is_over, too_many
from domain.working_time import civil_date
from storage.appending import Head, append, check_open, locked_task, tell
from storage.chain import canonical, digest
from storage.database import writing
from storage.records import AnyRow, Notice, TaskRecord
from storage.tables import opinions

OUTSIDE = "outside-unit"
"""Who caused an event that came by a link."""


@dataclass(frozen=True, slots=True)
class OpinionRecord:
    """A question as it stands on file, with the answer if there is one.

    Attributes:
        number: within its task, from 1.
        answer_by: last civil date for an answer.
        by_unit: who answered, as it called itself.
    """

    task_id: str
    number: int
    unit: str
    question: str
    answer_by: date
    asked_by: str
    asked_at: datetime
    opinion: str | None = None
    text: str | None = None
    by_unit: str | None = None
    answered_at: datetime | None = None

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `opinions`."""
        return cls(**{f.name: row._mapping[f.name] for f in fields(cls)})


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on file; `is_new` is false when it was asked before under the same key."""

    opinion: OpinionRecord
    is_new: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer on file; `is_new` is false when the same one was given before."""

    opinion: OpinionRecord
    task: TaskRecord
    is_new: bool


def token_sha256(token: str) -> str:
    """Return what is kept of a link's secret."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def asked_sha256(row: AnyRow | Mapping[str, Any]) -> str:
    """Return the digest under which the record holds a question, with who may answer it."""
    values = row if isinstance(row, Mapping) else row._mapping
    return digest(
        canonical(
            {
                "unit": values["unit"],
                "question": values["question"],
                "answer_by": values["answer_by"].isoformat(),
                "token_sha256": values["token_sha256"],
            }
        )
    )


def said_sha256(row: AnyRow | Mapping[str, Any]) -> str:
    """Return the digest under which the record holds an answer."""
    values = row if isinstance(row, Mapping) else row._mapping
    return digest(canonical({name: values[name] for name in ("opinion", "text", "by_unit")}))


class Opinions:
    """Asks for opinions, and takes them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def ask(
        self,
        task_id: str,
        question: Question,
        token: str,
        *,
        key: str,
        by: str,
        check: Callable[[TaskRecord], datetime],
    ) -> Asked:
        """Put a question about an open task on file, once per key.

        Args:
            token: secret of the link; of it, only the digest is kept.
            check: looks at the task as it stands and returns the civil instant of receipt; what it
                raises leaves the file as it was.

        Raises:
            UnknownTask: there is no such task.
            IdempotencyConflict: the key was used for another question about this task.
            TaskClosed: the task is decided, or was closed.
            InputRefused: nobody could answer it.
            LimitReached: as many are awaited as may be.
        """
        async with writing(self._engine) as db:
            row = await locked_task(db, task_id)
            at = check(TaskRecord.of(row))
            found = await db.execute(
                sa.select(opinions).where(opinions.c.task_id == task_id).order_by(opinions.c.number)
            )
            before = found.all()
            for earlier in before:
                if earlier.idempotency_key == key:
                    asked = (earlier.unit, earlier.question, earlier.answer_by)
                    if asked != (question.unit, question.question, question.answer_by):
                        raise IdempotencyConflict(key)
                    return Asked(OpinionRecord.of(earlier), is_new=False)
            check_open(row)
            today = civil_date(at)
            check_question(question, today)
            awaited = [
                e for e in before if e.answered_at is None and not is_over(e.answer_by, today)
            ]
            if len(awaited) >= MOST_OPEN:
                raise too_many()
            values: dict[str, Any] = {
                "task_id": task_id,
                "number": len(before) + 1,
                **question.model_dump(),
                "asked_by": by,
                "asked_at": at,
            }
            kept = {"case_no": row.no, "idempotency_key": key, "token_sha256": token_sha256(token)}
            await db.execute(opinions.insert().values(**values, **kept))
            await append(
                db,
                Head.of(row),
                at=at,
                kind="opinion_asked",
                by=by,
                task_id=task_id,
                body={
                    "opinion": values["number"],
                    "answer_by": question.answer_by.isoformat(),
                    "asked_sha256": asked_sha256({**values, **kept}),
                },
            )
            return Asked(OpinionRecord(**values), is_new=True)

    async def answer(
        self,
        token: str,
        opinion: Opinion,
        *,
        check: Callable[[TaskRecord, OpinionRecord], datetime],
        told: Callable[[OpinionRecord], Notice],
    ) -> Answered:
        """Put on file what came by a link, once, and tell whoever asked, in one transaction.

        Args:
            check: looks at the task and the question as they stand and returns the civil instant
                of receipt; what it raises leaves the file as it was.
            told: makes the notice.

        Raises:
            UnknownOpinion: there is no such link.
            ReplyConflict: another answer came before.
        """
        async with writing(self._engine) as db:
            known = await _by_token(db, token)
            row = await locked_task(db, known.task_id)
            # Another answer may have come while this one waited for the case.
            asked = await _by_token(db, token)
            task = TaskRecord.of(row)
            said = opinion.model_dump(mode="json")
            if asked.answered_at is not None:
                if said_sha256(asked) != said_sha256(said):
                    raise ReplyConflict("what was asked under this link")
                return Answered(OpinionRecord.of(asked), task, is_new=False)
            at = check(task, OpinionRecord.of(asked))
            await db.execute(
                opinions.update()
                .where(opinions.c.task_id == asked.task_id, opinions.c.number == asked.number)
                .values(**said, answered_at=at)
            )
            notice_id = f"opinion.{task.id}.{asked.number}"
            await append(
                db,
                Head.of(row),
                at=at,
                kind="opinion_given",
                by=OUTSIDE,
                task_id=task.id,
                body={
                    "opinion": asked.number,
                    "said_sha256": said_sha256(said),
                    "told": [notice_id],
                },
            )
            answered = replace(OpinionRecord.of(asked), **said, answered_at=at)
            await tell(db, notice_id, row, told(answered), at=at, task_id=task.id)
            return Answered(answered, task, is_new=True)

    async def under(self, token: str) -> OpinionRecord:
        """Return what is asked under a link.

        Raises:
            UnknownOpinion: there is no such link.
        """
        async with self._engine.connect() as db:
            return OpinionRecord.of(await _by_token(db, token))

    async def of_task(self, task_id: str) -> tuple[OpinionRecord, ...]:
        """Return what was asked about a task, in order."""
        statement = (
            sa.select(opinions).where(opinions.c.task_id == task_id).order_by(opinions.c.number)
        )
        async with self._engine.connect() as db:
            return tuple(map(OpinionRecord.of, await db.execute(statement)))


async def _by_token(db: AsyncConnection, token: str) -> AnyRow:
    # Looked up by digest, so that how long it takes says nothing about the secret.
    statement = sa.select(opinions).where(opinions.c.token_sha256 == token_sha256(token))
    row = (await db.execute(statement)).first()
    if row is None:
        raise UnknownOpinion
    return row
