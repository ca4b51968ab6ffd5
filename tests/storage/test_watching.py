"""Marks and counts, on each database: they change with what is looked at."""

from __future__ import annotations

from datetime import timedelta

from domain.connection import TaskKind
from storage.casefile import CaseFile
from storage.reading import Reading, TaskCounts, TaskFilter
from storage.watching import EVERYTHING, Topic, Watching
from tests.support.cases import NOON, new_case, new_task

TODAY = NOON.date()


async def test_a_mark_changes_with_what_it_is_of_and_not_with_anything_else(
    casefile: CaseFile,
) -> None:
    watching = Watching(casefile.engine)
    first = (await casefile.submit(new_case())).no
    second = (await casefile.submit(new_case("key-2"))).no
    topics = (Topic(owed_by="water"), Topic(owed_by="police"), Topic(case_no=first))
    before = [await watching.mark(topic) for topic in (*topics, EVERYTHING)]
    await casefile.open_task(new_task(second, TaskKind.PERMITS, department="water", items=("x",)))
    after = [await watching.mark(topic) for topic in (*topics, EVERYTHING)]
    assert [a != b for a, b in zip(before, after, strict=True)] == [True, False, False, True]
    await casefile.open_task(new_task(first))
    assert await watching.mark(Topic(case_no=first)) != after[2]
    assert await watching.mark(Topic(case_no="ZJ20269999999"))


async def test_open_tasks_are_counted_and_paged_back(casefile: CaseFile) -> None:
    reading = Reading(casefile.engine)
    ids = []
    for position, days in enumerate((-1, 0, 0, 3, None)):
        no = (await casefile.submit(new_case(f"key-{position}"))).no
        due_on = None if days is None else TODAY + timedelta(days=days)
        ids.append((await casefile.open_task(new_task(no, due_on=due_on))).id)
    for district, many in (("440802", 5), ("440803", 0), (None, 5)):
        wanted = TaskFilter("desk", district=district)
        counts = await reading.count_tasks(
            wanted, overdue_before=TODAY, today=TODAY, holder="desk-1"
        )
        assert counts == (TaskCounts(5, 1, 2, 5, 0) if many else TaskCounts(0, 0, 0, 0, 0))
    wanted = TaskFilter("desk", state="open")
    page = await reading.tasks(wanted, limit=2, cursor=None, order="due")
    seen = [page.items]
    while page.next_cursor is not None:
        page = await reading.tasks(wanted, limit=2, cursor=page.next_cursor, order="due")
        seen.append(page.items)
    assert [[t.id for t in items] for items in seen] == [ids[:2], ids[2:4], ids[4:]]
    while page.previous_cursor is not None:
        page = await reading.tasks_before(wanted, limit=2, cursor=page.previous_cursor)
        seen.append(page.items)
    assert [t.id for items in seen[3:] for t in items] == [*ids[2:4], *ids[:2]]
