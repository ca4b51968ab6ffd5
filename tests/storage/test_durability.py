"""A write that fails anywhere leaves nothing; one that is repeated changes nothing more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from domain.task_events import TaskEvent, TaskEventKind
from storage.casefile import CaseFile
from storage.documents import Documents
from storage.opinions import Opinions
from storage.outbox import revised
from storage.reading import CaseRecord, Reading
from storage.records import (
    ClockDate,
    ClockMove,
    Move,
    Moves,
    Notice,
    Reported,
    Supervision,
    TaskRecord,
)
from tests.support.cases import AGREED, NOON, QUESTION, document, new_case, new_task, red, result
from tests.support.databases import connected, rows

TOKEN = "token-of-tests"


class Cut(Exception):
    """The connection was cut here."""


@dataclass
class Steps:
    """Counts what a transaction does; cuts it off at step `cut_at`, the commit being the last."""

    cut_at: int | None = None
    taken: int = 0

    def take(self, *_: object) -> None:
        self.taken += 1
        if self.taken == self.cut_at:
            raise Cut


@contextmanager
def _steps(casefile: CaseFile, cut_at: int | None = None) -> Iterator[Steps]:
    steps, engine = Steps(cut_at), casefile.engine.sync_engine
    for name in ("before_cursor_execute", "commit"):
        sa.event.listen(engine, name, steps.take)
    try:
        yield steps
    finally:
        for name in ("before_cursor_execute", "commit"):
            sa.event.remove(engine, name, steps.take)


ACCEPTED = "ZJ20260000029"
"""Another case, accepted with the investment left open."""


def _later(_case: CaseRecord, found: Sequence[TaskRecord]) -> Moves:
    moved = tuple(Move(task, date(2026, 9, 24), is_provisional=False) for task in found)
    hv40 = ClockMove(ClockDate(date(2026, 11, 17), False), ClockDate(date(2026, 11, 18), False))
    return Moves("cn-2027.2", moved, {"HV40": hv40})


def _rungs(found: Sequence[TaskRecord], *steps: str) -> list[Supervision]:
    return [
        red(task, step=step, recipient=task.owed_by, reply_by=date(2026, 9, 24))
        for task in found
        for step in steps
    ]


def _one_rung(_case: CaseRecord, found: Sequence[TaskRecord]) -> list[Supervision]:
    return _rungs(found, "yellow.0")


def _two_rungs(_case: CaseRecord, found: Sequence[TaskRecord]) -> list[Supervision]:
    return _rungs(found, "yellow.0", "red.0")


def _said(_task: TaskRecord) -> TaskEvent:
    return TaskEvent(TaskEventKind.ACCEPTED, NOON, "desk", "key")


def _moved(_task: TaskRecord, _event: TaskEvent) -> Reported:
    notice = Notice("correction_asked", None, {"missing": ["示例"]})
    return Reported(date(2026, 9, 24), False, "cn-2026.1", moves_clock=True, notice=notice)


def at_noon(*_: object) -> datetime:
    return NOON


Write = Callable[[CaseFile, str, str], Awaitable[Any]]

WRITES: dict[str, Write] = {
    "submit": lambda file, _no, _task: file.submit(new_case("key-2")),
    "processes_started": lambda file, no, _task: file.processes_started([no]),
    "open_task": lambda file, no, _task: file.open_task(new_task(no, round_no=2)),
    "decide": lambda file, _no, task: file.decide(
        task, {"code": "designed", "route": {"segments": []}}, by="utility", at=NOON
    ),
    "outcomes_delivered": lambda file, _no, task: file.outcomes_delivered([task]),
    "push_refused": lambda file, _no, task: file.push_refused(task, "answered 400", at=NOON),
    "push_unanswered": lambda file, _no, task: file.push_unanswered(task, "late", at=NOON),
    "push_taken": lambda file, _no, task: file.push_taken(task),
    "report": lambda file, _no, task: file.report(task, _said, _moved, calendar=1),
    "changes_told": lambda file, _no, task: file.changes_told({task: 7}),
    "accept": lambda file, no, _task: file.accept(
        no, at=NOON, is_deemed=False, investment={"decision": "utility_pays"}
    ),
    "settle_investment": lambda file, _no, _task: file.settle_investment(
        ACCEPTED, at=NOON, investment={"decision": "utility_pays"}
    ),
    "note": lambda file, no, _task: file.note(
        no,
        "bundle_concluded",
        {"round": 1},
        at=NOON,
        once="cause",
        stopped=[result("GOV5", round_no=1)],
    ),
    "note, telling systems": lambda file, no, task: file.note(
        no,
        "permits_listed",
        {"round": 2},
        at=NOON,
        once="permits_listed.2",
        messages=[revised(task, "desk", None, round_no=2, items={"示例": True})],
    ),
    "ask_action": lambda file, no, _task: file.ask_action(
        "id-2", no, "withdraw", "示例", by="desk", at=NOON
    ),
    "processes_told": lambda file, no, _task: file.processes_told({no: 2}),
    "supervise": lambda file, no, _task: file.supervise(no, _two_rungs, at=NOON),
    "acknowledge": lambda file, _no, task: file.acknowledge(
        f"ladder.{task}.yellow.0", by="desk", at=NOON, reply="示例回复"
    ),
    "recalculate": lambda file, no, _task: file.recalculate(no, 2, _later, at=NOON),
    "end": lambda file, no, _task: file.end(
        no, "connected", at=NOON, action_id="id-1", stopped=[result("HV40"), result("INT13")]
    ),
    "put": lambda file, _no, task: Documents(file.engine).put(
        task, document(), by="desk", check=at_noon
    ),
    "ask": lambda file, _no, task: Opinions(file.engine).ask(
        task, QUESTION, "another-token", key="q-2", by="desk", check=at_noon
    ),
    "answer": lambda file, _no, _task: Opinions(file.engine).answer(
        TOKEN, AGREED, check=at_noon, told=lambda _: Notice("opinion_given", "desk", {})
    ),
}


@pytest.fixture
async def prepared(casefile: CaseFile) -> tuple[str, str]:
    no = (await casefile.submit(new_case())).no
    task = await casefile.open_task(new_task(no))
    assert await casefile.supervise(no, _one_rung, at=NOON) == 1
    await casefile.push_unanswered(task.id, "TimeoutError", at=NOON)
    await casefile.ask_action("id-1", no, "withdraw", "示例", by="desk", at=NOON)
    await Opinions(casefile.engine).ask(
        task.id, QUESTION, TOKEN, key="q-1", by="desk", check=at_noon
    )
    assert (await casefile.submit(new_case("key-accepted"))).no == ACCEPTED
    await casefile.accept(
        ACCEPTED, at=NOON, is_deemed=True, investment={"decision": "needs_person"}
    )
    return no, task.id


def test_every_write_of_the_case_file_is_tried() -> None:
    public = {
        name
        for writer in (CaseFile, Documents, Opinions)
        for name in vars(writer)
        if not name.startswith("_")
    }
    # `decide` is `judge`, checked before; the others only read.
    others = {"close", "judge", "on_file", "content", "under", "about", "of_task", "of_case"}
    assert {name.split(",")[0] for name in WRITES} == public - others


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_cut_off_at_any_step_leaves_nothing(
    casefile: CaseFile, reading: Reading, url: str, prepared: tuple[str, str], name: str
) -> None:
    before = rows(url)
    cut_at = 0
    while True:
        cut_at += 1
        with _steps(casefile, cut_at) as steps:
            try:
                await WRITES[name](casefile, *prepared)
            except Cut:
                assert rows(url) == before
            else:
                break
    assert steps.taken == cut_at - 1 >= 2
    assert rows(url) != before
    cases, found = await reading.first_break()
    assert (cases, found) == (len(rows(url)["applications"]), None)


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_repeated_changes_nothing_more(
    casefile: CaseFile, url: str, prepared: tuple[str, str], name: str
) -> None:
    await WRITES[name](casefile, *prepared)
    after = rows(url)
    await WRITES[name](casefile, *prepared)
    assert rows(url) == after


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET body = '{}'",
        "UPDATE events SET seq = seq + 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 2",
        """
        INSERT INTO events SELECT * FROM events WHERE true
        ON CONFLICT (case_no, seq) DO UPDATE SET by = 'water'
        """,
    ],
)
async def test_the_database_refuses_to_change_an_event(
    url: str, prepared: tuple[str, str], statement: str
) -> None:
    before = rows(url)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), connected(url) as connection:
        connection.exec_driver_sql(statement)
    assert rows(url) == before


OWN_WAYS_ROUND = {
    "sqlite": "REPLACE INTO events SELECT * FROM events",
    "postgresql": "TRUNCATE events",
}


@pytest.mark.rule("RB-13.2")
async def test_the_database_refuses_its_own_way_round(url: str, prepared: tuple[str, str]) -> None:
    before = rows(url)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), connected(url) as connection:
        connection.exec_driver_sql(OWN_WAYS_ROUND[connection.dialect.name])
    assert rows(url) == before
