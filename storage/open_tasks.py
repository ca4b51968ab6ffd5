"""What is owed to some cases now: for lists of cases, in one question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.reading import TASKS
from storage.records import TaskRecord
from storage.tables import tasks


async def open_tasks_of(
    engine: AsyncEngine, numbers: Collection[str]
) -> Mapping[str, tuple[TaskRecord, ...]]:
    """Return the open tasks of each of these cases that has any, as they were opened."""
    if not numbers:
        return {}
    statement = TASKS.where(tasks.c.case_no.in_(numbers), tasks.c.state == "open")
    found: defaultdict[str, list[TaskRecord]] = defaultdict(list)
    async with engine.connect() as db:
        for row in await db.execute(statement.order_by(tasks.c.opened_at, tasks.c.id)):
            task = TaskRecord.of(row)
            found[task.case_no].append(task)
    return {no: tuple(of_case) for no, of_case in found.items()}
