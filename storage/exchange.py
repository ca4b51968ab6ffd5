"""Reading permit tasks for the exchange with 工建系统 (RB-4.8): page by page, and no more of each
than it tells. Nothing is held between two pages, so that a slow receiver keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.connection import TaskKind
from domain.task_events import TaskEvent
from domain.working_time import CIVIL_ZONE
from storage.records import AnyRow, history_of, parsed
from storage.tables import applications, tasks

TASKS_PER_PAGE = 100
"""Between two pages, others are served: a page takes some hundredths of a second."""


@dataclass(frozen=True, slots=True)
class PermitTask:
    """A permit task as far as the exchange tells of it.

    Attributes:
        asked: its `items`, and `passed_by`, the departments that named another one.
        closed_by: the ending of the case that closed it without an outcome.
    """

    id: str
    case_no: str
    policy: str
    owed_by: str
    opened_at: datetime
    asked: Mapping[str, Any]
    history: tuple[TaskEvent, ...]
    outcome: Mapping[str, Any] | None
    decided_by: str | None
    closed_by: str | None
    done_at: datetime | None

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `tasks` with its case's policy."""
        values = {**row._mapping, "history": history_of(row.history)}
        for name in ("asked", "outcome"):
            values[name] = parsed(values[name])
        return cls(**values)


async def permit_tasks(
    engine: AsyncEngine, first: date, last: date, *, per_page: int = TASKS_PER_PAGE
) -> AsyncIterator[Sequence[PermitTask]]:
    """Yield the permit tasks of which something can have happened in a period, in order of id.

    Args:
        first, last: civil dates, both included.
    """
    since, until = _begins(first), _begins(last + timedelta(days=1))
    statement = _COLUMNS.where(
        tasks.c.kind == TaskKind.PERMITS.value,
        tasks.c.opened_at < until,
        sa.or_(tasks.c.done_at.is_(None), tasks.c.done_at >= since),
    )
    # By the key, each page goes on where the one before it stopped: together they look at every
    # task once, and sort none.
    statement = statement.order_by(tasks.c.id).limit(per_page)
    last_id = ""
    while True:
        async with engine.connect() as db:
            rows = (await db.execute(statement.where(tasks.c.id > last_id))).all()
        if rows:
            yield [PermitTask.of(row) for row in rows]
        if len(rows) < per_page:
            return
        last_id = rows[-1].id


_COLUMNS = sa.select(
    tasks.c.id,
    tasks.c.case_no,
    applications.c.policy,
    tasks.c.owed_by,
    tasks.c.opened_at,
    tasks.c.asked,
    tasks.c.history,
    tasks.c.outcome,
    tasks.c.decided_by,
    tasks.c.closed_by,
    tasks.c.done_at,
).select_from(tasks.join(applications))


def _begins(day: date) -> datetime:
    """Return the instant at which a civil date begins (RB-1.1)."""
    return datetime.combine(day, time.min, CIVIL_ZONE)
