"""Whether something has changed, asked cheaply enough to be asked every second."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.tables import applications, tasks

_LAST_WRITTEN = {
    # Whatever changes leaves an event in the same transaction, and events are only added (RB-13.2).
    "sqlite": sa.text("select max(rowid) from events"),
    # Moves with every write, which is at times one that nobody asked about.
    "postgresql": sa.text("select pg_current_wal_insert_lsn()::text"),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """What somebody looks at: the tasks that an agency owes, a case, or everything.

    Attributes:
        owed_by, case_no: one of them at most.
    """

    owed_by: str | None = None
    case_no: str | None = None


EVERYTHING = Topic()


class Watching:
    """Asks for marks: as long as one is the same, nothing that is looked at has changed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def mark(self, topic: Topic = EVERYTHING) -> str:
        """Return the mark of how things stand; everything's is the cheapest."""
        async with self._engine.connect() as db:
            row = (await db.execute(self._statement(topic))).one()
        return hashlib.sha256(repr(tuple(row)).encode()).hexdigest()[:16]

    def _statement(self, topic: Topic) -> sa.Executable:
        if topic.case_no is not None:
            # An aggregate, so that a case that is none has a mark as well.
            of_case = applications.c.no == topic.case_no
            return sa.select(sa.func.max(applications.c.head_seq)).where(of_case)
        if topic.owed_by is not None:
            # A history only grows, and changes of a deadline are counted.
            return sa.select(
                sa.func.count(),
                sa.func.max(tasks.c.opened_at),
                sa.func.sum(sa.func.length(tasks.c.history)),
                sa.func.sum(tasks.c.changes),
            ).where(
                tasks.c.owed_by == topic.owed_by,
                tasks.c.state == sa.bindparam(None, "open", literal_execute=True),
            )
        return _LAST_WRITTEN[self._engine.dialect.name]
