"""What an inbox is made of, on each database: order by deadline, holders, documents, opinions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from domain.connection import TaskKind
from domain.errors import IllegalTaskEvent, ReplyConflict
from domain.opinions import Opinion, View
from domain.task_events import TaskEvent, TaskEventKind, check_report, is_known
from storage.casefile import CaseFile
from storage.documents import Documents
from storage.opinions import Opinions
from storage.reading import Reading, TaskFilter
from storage.records import Notice, Reported, TaskRecord
from storage.tables import documents, opinions, tasks
from tests.support.cases import AGREED, NOON, QUESTION, document, new_case, new_task
from tests.support.databases import attack, connected, rows

INBOX = TaskFilter("desk", "open")


@pytest.fixture
async def no(casefile: CaseFile) -> str:
    return (await casefile.submit(new_case())).no


@pytest.fixture
async def task_id(casefile: CaseFile, no: str) -> str:
    return (await casefile.open_task(new_task(no))).id


def at_noon(*_: object) -> datetime:
    return NOON


def _told(_: object) -> Notice:
    return Notice("opinion_given", "desk", {})


# ---------------------------------------------------------------- by deadline


async def _opened(casefile: CaseFile, no: str, round_no: int, due_on: date | None) -> str:
    return (await casefile.open_task(new_task(no, round_no=round_no, due_on=due_on))).id


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
async def test_what_is_due_first_comes_first_and_what_has_no_deadline_last(
    casefile: CaseFile, reading: Reading, no: str, limit: int
) -> None:
    due: list[int | None] = [22, None, 18, 22, None, 17, 22]
    ids = [
        await _opened(casefile, no, n, None if day is None else date(2026, 9, day))
        for n, day in enumerate(due, start=1)
    ]
    expected = [ids[5], ids[2], ids[0], ids[3], ids[6], ids[1], ids[4]]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await reading.tasks(INBOX, order="due", limit=limit, cursor=cursor)
        seen += [task.id for task in page.items]
        assert len(page.items) <= limit
        if (cursor := page.next_cursor) is None:
            break
    assert seen == expected


async def test_tasks_added_while_one_pages_are_shown_if_they_come_after(
    casefile: CaseFile, reading: Reading, no: str
) -> None:
    first = await _opened(casefile, no, 1, date(2026, 9, 18))
    last = await _opened(casefile, no, 2, None)
    page = await reading.tasks(INBOX, order="due", limit=1, cursor=None)
    assert [task.id for task in page.items] == [first]
    await _opened(casefile, no, 3, date(2026, 9, 17))
    between = await _opened(casefile, no, 4, date(2026, 9, 21))
    rest = await reading.tasks(INBOX, order="due", limit=9, cursor=page.next_cursor)
    assert [task.id for task in rest.items] == [between, last]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (INBOX, "ix_tasks_inbox"),
        (TaskFilter(None, "open", held_by="desk-2"), "ix_tasks_held_by"),
    ],
)
async def test_no_inbox_reads_or_sorts_a_whole_table(
    casefile: CaseFile, reading: Reading, url: str, wanted: TaskFilter, index: str
) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT tasks"):
            asked.append((statement, values))

    engine = casefile.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        await reading.tasks(wanted, order="due", limit=50, cursor=None)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    with connected(url) as connection:
        for statement, values in asked:
            if connection.dialect.name == "postgresql":
                # It chooses by what is in the table, which is nothing here.
                continue
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all())
            assert index in plan, (statement, plan)
            assert "TEMP B-TREE" not in plan
    assert len(asked) == 2


# ---------------------------------------------------------------- holders


def _claim(holder: str) -> Callable[[TaskRecord], TaskEvent]:
    return lambda _task: TaskEvent(
        TaskEventKind.CLAIMED, NOON, "desk", f"key-of-{holder}", holder=holder
    )


def _judged(task: TaskRecord, event: TaskEvent) -> Reported | None:
    check_report(event, task.history, task_id=task.id, task_kind=task.kind, procedures={})
    if is_known(event, task.history):
        return None
    return Reported(task.due_on, task.is_provisional, task.calendar_version, moves_clock=False)


async def test_of_two_who_claim_a_task_at_once_one_holds_it(
    casefile: CaseFile, other: CaseFile, reading: Reading, task_id: str
) -> None:
    claims = [
        (casefile, other)[n % 2].report(task_id, _claim(f"desk-{n}"), _judged, calendar=1)
        for n in range(6)
    ]
    found = await asyncio.gather(*claims, return_exceptions=True)
    (held,) = [each for each in found if isinstance(each, TaskRecord)]
    assert all(isinstance(each, TaskRecord | IllegalTaskEvent) for each in found)
    task = await reading.task(task_id)
    assert (task.held_by, len(task.history)) == (held.held_by, 1)
    assert await reading.first_break() == (1, None)


async def test_what_says_nothing_new_is_not_written(
    casefile: CaseFile, url: str, task_id: str
) -> None:
    await casefile.report(task_id, _claim("desk-2"), _judged, calendar=1)
    before = rows(url)
    again = await casefile.report(
        task_id,
        lambda _: TaskEvent(TaskEventKind.CLAIMED, NOON, "desk", "another", holder="desk-2"),
        _judged,
        calendar=1,
    )
    assert (again.held_by, len(again.history)) == ("desk-2", 1)
    assert rows(url) == before


# ---------------------------------------------------------------- documents


async def test_a_document_is_every_byte_it_was(casefile: CaseFile, task_id: str) -> None:
    content = b"%PDF-" + bytes(range(256)) * 4096
    store = Documents(casefile.engine)
    put = await store.put(task_id, document(content), by="desk", check=at_noon)
    assert put.is_new
    found, back = await store.content(task_id, put.document.sha256)
    assert (found, back) == (put.document, content)
    wanted = {put.document.sha256, "0" * 64}
    assert await store.on_file(task_id, wanted) == {put.document.sha256}
    assert await store.on_file("another", wanted) == frozenset()


async def test_a_document_put_twice_at_once_is_one(
    casefile: CaseFile, other: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    puts = [
        Documents((casefile, other)[n % 2].engine).put(
            task_id, document(), by="desk", check=at_noon
        )
        for n in range(6)
    ]
    found = await asyncio.gather(*puts)
    assert sum(each.is_new for each in found) == 1
    kinds = [event.kind for event in await reading.events(no)]
    assert kinds.count("document_put") == 1
    assert await reading.first_break() == (1, None)


REPLACED = {
    "sqlite": "REPLACE INTO documents SELECT * FROM documents",
    "postgresql": "TRUNCATE documents",
}
"""Each database's own way round."""


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    "statement", ["UPDATE documents SET name = 'x'", "DELETE FROM documents", None]
)
async def test_the_database_refuses_to_change_a_document(
    casefile: CaseFile, url: str, task_id: str, statement: str | None
) -> None:
    await Documents(casefile.engine).put(task_id, document(), by="desk", check=at_noon)
    before = rows(url)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), connected(url) as connection:
        connection.exec_driver_sql(statement or REPLACED[connection.dialect.name])
    assert rows(url) == before


# ---------------------------------------------------------------- opinions


async def test_of_two_answers_by_one_link_at_once_one_counts(
    casefile: CaseFile, other: CaseFile, reading: Reading, no: str, task_id: str
) -> None:
    store = Opinions(casefile.engine)
    await store.ask(task_id, QUESTION, "secret", key="q-1", by="desk", check=at_noon)
    against = Opinion(opinion=View.DISAGREE, text="管线冲突", by_unit="示例街道办")
    answers = [
        Opinions((casefile, other)[n % 2].engine).answer(
            "secret", (AGREED, against)[n % 2], check=at_noon, told=_told
        )
        for n in range(6)
    ]
    found = await asyncio.gather(*answers, return_exceptions=True)
    given = [each for each in found if not isinstance(each, BaseException)]
    assert sum(each.is_new for each in given) == 1
    assert all(isinstance(each, ReplyConflict) for each in found if each not in given)
    (asked,) = await store.of_task(task_id)
    assert {each.opinion.opinion for each in given} == {asked.opinion}
    kinds = [event.kind for event in await reading.events(no)]
    assert kinds.count("opinion_given") == 1
    assert await reading.first_break() == (1, None)


async def test_a_question_asked_twice_at_once_has_one_link(
    casefile: CaseFile, other: CaseFile, task_id: str
) -> None:
    asked = [
        Opinions((casefile, other)[n % 2].engine).ask(
            task_id, QUESTION, f"secret-{n}", key="q-1", by="desk", check=at_noon
        )
        for n in range(6)
    ]
    found = await asyncio.gather(*asked)
    assert sum(each.is_new for each in found) == 1
    assert len(await Opinions(casefile.engine).of_task(task_id)) == 1


# ---------------------------------------------------------------- the record

Act = Callable[[sa.Connection], object]
TAMPERINGS: dict[str, tuple[Act, str]] = {
    "who holds the task": (lambda db: db.execute(tasks.update().values(held_by="x")), "who holds"),
    "a document's content": (
        lambda db: db.execute(documents.update().values(content=b"%PDF-")),
        "was changed",
    ),
    "a document taken out": (lambda db: db.execute(documents.delete()), "taken out"),
    "what was said": (lambda db: db.execute(opinions.update().values(text="x")), "what was said"),
    "when it was said": (
        lambda db: db.execute(opinions.update().values(answered_at=NOON.replace(hour=9))),
        "what was said",
    ),
    "what was asked": (
        lambda db: db.execute(opinions.update().values(question="x")),
        "what was asked",
    ),
    "an opinion taken out": (lambda db: db.execute(opinions.delete()), "taken out"),
}


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize("name", TAMPERINGS)
async def test_what_was_changed_in_an_inbox_is_named(
    casefile: CaseFile, reading: Reading, url: str, no: str, task_id: str, name: str
) -> None:
    permits = new_task(no, TaskKind.PERMITS, department="water", items=("示例",))
    await casefile.open_task(permits)
    await Documents(casefile.engine).put(task_id, document(), by="desk", check=at_noon)
    store = Opinions(casefile.engine)
    await store.ask(task_id, QUESTION, "secret", key="q-1", by="desk", check=at_noon)
    await store.answer("secret", AGREED, check=at_noon, told=_told)
    assert await reading.first_break() == (1, None)
    act, why = TAMPERINGS[name]
    attack(url, [act])
    _, found = await reading.first_break()
    assert found is not None
    assert (found.case_no, why in found.why) == (no, True), found.why
