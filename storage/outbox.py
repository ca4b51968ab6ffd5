"""What agencies' systems are still to be told: changes of their tasks, each once per cause.

A message is written in the transaction of the change itself, so neither is without the other, and
is sent afterwards by whoever claims it. It is bookkeeping of delivery: the record is the event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.chain import canonical
from storage.database import writing
from storage.records import AnyRow, parsed
from storage.tables import messages


class MessageKind(StrEnum):
    """What can happen to a task that its agency's system is told of."""

    WITHDRAWN = "withdrawn"
    REVISED = "revised"
    DEADLINE_MOVED = "deadline_moved"


@dataclass(frozen=True, slots=True)
class Message:
    """A change of a task, to be told to the system of the agency that owes it, or owed it.

    Attributes:
        cause: what it is told for; also its id, so that it is told once.
        body: identifiers and dates; no personal data (RB-13.3).
    """

    cause: str
    kind: MessageKind
    agency: str
    task_id: str
    body: Mapping[str, Any]


def withdrawn(task_id: str, agency: str, due_on: date | None, ending: str) -> Message:
    """Return the message that a task was closed without an outcome, because its case ended."""
    body = {**_dates(due_on, None), "ending": ending}
    return Message(f"withdrawn.{task_id}", MessageKind.WITHDRAWN, agency, task_id, body)


def deadline_moved(
    cause: str,
    task_id: str,
    agency: str,
    dates: tuple[date | None, date],
    *,
    is_provisional: bool,
    calendar: str,
    is_resumed: bool,
) -> Message:
    """Return the message that a task is due on another date.

    Args:
        cause: the event's own `once`, with the task's id if that is not in it.
        dates: old and new; the old one is None if the clock stood still.
        calendar: version that the new date rests on.
        is_resumed: whether the clock goes on; otherwise another calendar was published.
    """
    body = {
        **_dates(*dates),
        "is_provisional": is_provisional,
        "calendar": calendar,
        "is_resumed": is_resumed,
    }
    return Message(cause, MessageKind.DEADLINE_MOVED, agency, task_id, body)


def revised(
    task_id: str,
    agency: str,
    due_on: date | None,
    *,
    round_no: int,
    items: Mapping[str, bool],
) -> Message:
    """Return the message that a revised route no longer needs what a task asked for, or anew.

    Args:
        round_no: of the revised route.
        items: per item, whether it is asked anew.
    """
    body = {
        **_dates(due_on, None),
        "round": round_no,
        "items": [{"item": item, "is_asked_anew": anew} for item, anew in items.items()],
    }
    return Message(f"revised.{task_id}.{round_no}", MessageKind.REVISED, agency, task_id, body)


def _dates(old: date | None, new: date | None) -> dict[str, str | None]:
    return {
        "old_due_on": None if old is None else old.isoformat(),
        "new_due_on": None if new is None else new.isoformat(),
    }


async def post(db: AsyncConnection, no: str, told: Iterable[Message], *, at: datetime) -> None:
    """Write messages about tasks of a case, in the transaction of what they tell.

    Args:
        at: civil instant of the change.
    """
    values = [
        {
            "id": each.cause,
            "case_no": no,
            "task_id": each.task_id,
            "agency": each.agency,
            "kind": each.kind.value,
            "at": at,
            "body": canonical(each.body),
            "attempts": 0,
            "is_refused": False,
        }
        for each in told
    ]
    if values:
        insert = (sqlite if db.dialect.name == "sqlite" else postgresql).insert
        await db.execute(insert(messages).on_conflict_do_nothing(), values)


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message as it stands on file.

    Attributes:
        number: in the order in which they were written.
        at: civil instant of the change.
        attempts: how often it was sent in vain.
        next_try_at: engine's instant; None: at once.
        is_refused: whether the agency's system answered that it is wrong (4xx).
        delivered_at: engine's instant.
    """

    number: int
    id: str
    case_no: str
    task_id: str
    agency: str
    kind: MessageKind
    at: datetime
    body: Mapping[str, Any]
    attempts: int
    next_try_at: datetime | None
    is_refused: bool
    problem: str | None
    delivered_at: datetime | None

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `messages`."""
        values = {f.name: row._mapping[f.name] for f in fields(cls)}
        return cls(**{**values, "body": parsed(row.body), "kind": MessageKind(row.kind)})


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a message that was claimed.

    Attributes:
        next_try_at: engine's instant; None: it was delivered.
        problem: why it was not; None with `next_try_at`: it was not sent after all.
        is_answered: whether the agency's system answered at all.
    """

    number: int
    next_try_at: datetime | None = None
    problem: str | None = None
    is_refused: bool = False
    is_answered: bool = True


class Outbox:
    """Claiming messages and noting what became of them; instants are the engine's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(self, now: datetime) -> Sequence[str]:
        """Return the agencies for which there is something to send, by name.

        Messages to one agency keep their order, so the first one says when; those refused do not
        hold up the others.
        """
        first = (
            sa.select(sa.func.min(messages.c.number))
            .where(_UNDELIVERED, messages.c.is_refused.is_(False))
            .group_by(messages.c.agency)
        )
        can_go = sa.or_(messages.c.number.in_(first), messages.c.is_refused)
        statement = sa.select(messages.c.agency).distinct().order_by(messages.c.agency)
        async with self._engine.connect() as db:
            return (await db.scalars(statement.where(_UNDELIVERED, can_go, _is_due(now)))).all()

    async def claim(
        self, agency: str, *, now: datetime, until: datetime, limit: int
    ) -> Sequence[MessageRecord]:
        """Take what is to be sent to an agency, in order; nobody else does before `until`.

        If nothing is said of it by then, others take it: a message may come twice, never not.
        """
        async with writing(self._engine) as db:
            to_agency = (
                sa.select(messages)
                .where(_UNDELIVERED, messages.c.agency == agency)
                .order_by(messages.c.number)
                .limit(limit)
                .with_for_update()
            )
            refused = to_agency.where(messages.c.is_refused, _is_due(now))
            in_order = to_agency.where(messages.c.is_refused.is_(False))
            first = (await db.execute(in_order)).all()
            if first and (first[0].next_try_at or now) > now:
                first = []
            taken = [*first, *(await db.execute(refused)).all()][:limit]
            if taken:
                await db.execute(
                    messages.update()
                    .where(messages.c.number.in_([row.number for row in taken]))
                    .values(next_try_at=until)
                )
        return [MessageRecord.of(row) for row in taken]

    async def settle(self, tried: Sequence[Tried], *, at: datetime) -> None:
        """Note what became of messages.

        Args:
            at: when those were delivered that were.
        """
        async with writing(self._engine) as db:
            delivered = [each.number for each in tried if each.next_try_at is None]
            if delivered:
                await db.execute(
                    messages.update()
                    .where(messages.c.number.in_(delivered))
                    .values(delivered_at=at, next_try_at=None, problem=None, is_refused=False)
                )
            for each in tried:
                if each.next_try_at is None:
                    continue
                changes: dict[str, Any] = {"next_try_at": each.next_try_at}
                if each.problem is not None:
                    changes |= {
                        "problem": each.problem,
                        "is_refused": each.is_refused,
                        "attempts": messages.c.attempts + 1,
                    }
                await db.execute(
                    messages.update().where(messages.c.number == each.number).values(**changes)
                )


_UNDELIVERED = messages.c.delivered_at.is_(None)


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(messages.c.next_try_at.is_(None), messages.c.next_try_at <= now)
