"""What the exchange reads is what a plain look at all tasks finds, however it is paged."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from domain.connection import TaskKind
from domain.working_time import civil_date
from storage.casefile import CaseFile
from storage.exchange import permit_tasks
from storage.tables import tasks
from tests.support.cases import new_case, new_task
from tests.support.databases import connected

MIDNIGHT = datetime.fromisoformat("2026-09-30T00:00:00+08:00")
PERIODS = (
    (date(2026, 9, 30), date(2026, 9, 30)),
    (date(2026, 10, 1), date(2026, 10, 2)),
    (date(2026, 9, 1), date(2026, 12, 31)),
    (date(2030, 1, 1), date(2030, 1, 1)),
)


def _task(some: random.Random, no: str, round_no: int) -> Mapping[str, Any]:
    kind = some.choice((TaskKind.PERMITS, TaskKind.PERMITS, TaskKind.SURVEY))
    department = some.choice(("police", "water")) if kind is TaskKind.PERMITS else None
    new = new_task(no, kind, round_no=round_no, department=department, items=("示例事项",))
    # Around midnight in Shanghai, where the civil date is not that of UTC.
    opened_at = MIDNIGHT + timedelta(hours=24 * some.randrange(4), seconds=some.choice((-1, 0)))
    is_done = some.random() < 0.7
    return {
        **new.columns(),
        "opened_at": opened_at,
        "state": "done" if is_done else "open",
        "outcome": '{"code":"示例"}' if is_done else None,
        "decided_by": None,
        "done_at": opened_at + timedelta(days=some.randrange(3)) if is_done else None,
    }


def _may_tell(task: Mapping[str, Any], first: date, last: date) -> bool:
    has_ended_before = task["done_at"] is not None and civil_date(task["done_at"]) < first
    return (
        task["kind"] == TaskKind.PERMITS
        and civil_date(task["opened_at"]) <= last
        and not has_ended_before
    )


@pytest.mark.rule("RB-1.1", "RB-4.8")
async def test_every_task_of_which_something_can_have_happened_is_read_once(
    casefile: CaseFile, url: str
) -> None:
    some = random.Random(4)
    written: list[Mapping[str, Any]] = []
    for number in range(8):
        no = (await casefile.submit(new_case(f"key-{number}"))).no
        written += [_task(some, no, round_no) for round_no in range(1, some.randrange(2, 9))]
    with connected(url) as connection:
        connection.execute(tasks.insert(), [dict(task) for task in written])
    for first, last in PERIODS:
        expected = {task["id"] for task in written if _may_tell(task, first, last)}
        read = {}
        for per_page in (1, 7, 1000):
            pages = [
                page async for page in permit_tasks(casefile.engine, first, last, per_page=per_page)
            ]
            assert all(0 < len(page) <= per_page for page in pages)
            read[per_page] = [task.id for page in pages for task in page]
            assert len(read[per_page]) == len(expected)
            assert set(read[per_page]) == expected
        assert read[1] == read[7] == read[1000]
        assert last.year == 2030 or expected
