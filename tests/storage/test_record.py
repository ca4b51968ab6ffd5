"""The record shows where it was tampered with, even by the owner of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date

import pytest
import sqlalchemy as sa

from domain.connection import TaskKind
from storage.casefile import CaseFile
from storage.chain import Link, canonical
from storage.reading import Reading
from storage.tables import applications, events, register, tasks
from tests.support.cases import NOON, new_case, new_task
from tests.support.databases import attack, connected

CASES = 3
VICTIM = 2
"""Sequence of the case that is tampered with; its events are:
1 submitted, 2 task_opened, 3 task_decided, 4 accepted, 5 task_opened, 6 task_decided."""
LAST = 6
NUMBERS = {1: "ZJ20260000011", 2: "ZJ20260000029", 3: "ZJ20260000037"}


@pytest.fixture
async def healthy(casefile: CaseFile) -> None:
    for n in range(1, CASES + 1):
        no = (await casefile.submit(new_case(f"key-{n}"))).no
        assert no == NUMBERS[n]
        papers = await casefile.open_task(new_task(no))
        await casefile.decide(papers.id, {"code": "accepted"}, by="desk", at=NOON)
        await casefile.accept(no, at=NOON, is_deemed=False, investment={"decision": "utility_pays"})
        plan = await casefile.open_task(new_task(no, TaskKind.SUPPLY_PLAN))
        await casefile.decide(plan.id, {"code": "planned"}, by="utility", at=NOON)


Act = Callable[[sa.Connection], object]


def _event(seq: int, no: str = NUMBERS[VICTIM]) -> sa.ColumnElement[bool]:
    return sa.and_(events.c.case_no == no, events.c.seq == seq)


def _set_event(seq: int, **values: object) -> Act:
    return lambda db: db.execute(events.update().where(_event(seq)).values(values))


def _delete_event(seq: int) -> Act:
    return lambda db: db.execute(events.delete().where(_event(seq)))


def _set_case(**values: object) -> Act:
    mine = applications.c.no == NUMBERS[VICTIM]
    return lambda db: db.execute(applications.update().where(mine).values(values))


def _set_task(kind: TaskKind, **values: object) -> Act:
    mine = tasks.c.id == f"{NUMBERS[VICTIM]}.{kind}.1"
    return lambda db: db.execute(tasks.update().where(mine).values(values))


def _delete_case(no: str) -> Act:
    def delete(db: sa.Connection) -> None:
        for table, column in ((events, "case_no"), (tasks, "case_no"), (applications, "no")):
            db.execute(table.delete().where(table.c[column] == no))

    return delete


def _link(db: sa.Connection, seq: int) -> Link:
    row = db.execute(sa.select(events).where(_event(seq))).one()
    return Link(**{f.name: row._mapping[f.name] for f in fields(Link)})


def _rewrite_with_its_hash(seq: int) -> Act:
    def rewrite(db: sa.Connection) -> None:
        forged = replace(_link(db, seq), by="somebody")
        db.execute(events.update().where(_event(seq)).values(by=forged.by, hash=forged.hash))

    return rewrite


def _append_forged(db: sa.Connection) -> None:
    last = _link(db, LAST)
    forged = replace(last, seq=LAST + 1, kind="accepted", task_id=None, prev_hash=last.hash)
    db.execute(
        events.insert().values(
            **{f.name: getattr(forged, f.name) for f in fields(Link)}, hash=forged.hash
        )
    )


@dataclass(frozen=True, slots=True)
class Tampering:
    """What was done behind the system's back, and what `first_break` must say of it."""

    acts: tuple[Act, ...]
    case_no: str | None
    seq: int | None
    why: str


NO = NUMBERS[VICTIM]
TAMPERINGS: dict[str, Tampering] = {
    "an event's body": Tampering((_set_event(4, body="{}"),), NO, 4, "was changed"),
    "an event's instant": Tampering(
        (_set_event(3, at=NOON.replace(hour=9)),), NO, 3, "was changed"
    ),
    "who caused an event": Tampering((_set_event(6, by="water"),), NO, 6, "was changed"),
    "an event's task": Tampering((_set_event(6, task_id=None),), NO, 6, "was changed"),
    "an event's hash": Tampering((_set_event(2, hash="0" * 64),), NO, 2, "was changed"),
    "an event and its hash": Tampering((_rewrite_with_its_hash(3),), NO, 4, "does not follow"),
    "the last event and its hash": Tampering((_rewrite_with_its_hash(6),), NO, 6, "was changed"),
    "the first event taken out": Tampering((_delete_event(1),), NO, 1, "is missing"),
    "a middle event taken out": Tampering((_delete_event(3),), NO, 3, "is missing"),
    "the last event taken out": Tampering((_delete_event(6),), NO, 6, "missing"),
    "the last events taken out": Tampering((_delete_event(5), _delete_event(6)), NO, 5, "missing"),
    "all events taken out": Tampering(
        tuple(_delete_event(seq) for seq in range(1, LAST + 1)), NO, 1, "missing"
    ),
    "an event put in at the end": Tampering((_append_forged,), NO, 7, "put in"),
    "the application": Tampering(
        (_set_case(content=canonical({"capacity_kva": 6300.0})),), NO, 1, "content was changed"
    ),
    "an outcome": Tampering(
        (_set_task(TaskKind.SUPPLY_PLAN, outcome=canonical({"code": "not_feasible"})),),
        NO,
        6,
        "outcome of ZJ20260000029.supply_plan.1 was changed",
    ),
    "an outcome taken out": Tampering(
        (_set_task(TaskKind.CHECK_PAPERS, outcome=None, state="open"),),
        NO,
        3,
        "outcome of ZJ20260000029.check_papers.1 was changed",
    ),
    "a deadline": Tampering(
        (_set_task(TaskKind.SUPPLY_PLAN, due_on=date(2027, 1, 1)),), NO, 5, "until when"
    ),
    "who decided": Tampering(
        (_set_task(TaskKind.CHECK_PAPERS, decided_by="water"),), NO, 3, "who decided"
    ),
    "whether it was late": Tampering(
        (_set_task(TaskKind.CHECK_PAPERS, is_late=True),), NO, 3, "whether late"
    ),
    "the case's ending": Tampering((_set_case(ending="connected"),), NO, None, "state"),
    "the applicant's name": Tampering(
        (_set_case(applicant_name="别人"),), NO, 1, "applicant_name is not"
    ),
    "who invests": Tampering(
        (_set_case(investment=canonical({"decision": "utility_standard"})),), NO, 4, "investment"
    ),
    "a whole case": Tampering((_delete_case(NO),), None, None, "sequence 2 is missing"),
    "the first case": Tampering((_delete_case(NUMBERS[1]),), None, None, "sequence 1 is missing"),
    "the last case": Tampering((_delete_case(NUMBERS[3]),), None, None, "register"),
    "a whole case, the others renumbered": Tampering(
        (
            _delete_case(NO),
            lambda db: db.execute(
                applications.update().where(applications.c.no == NUMBERS[3]).values(sequence=2)
            ),
        ),
        NUMBERS[3],
        1,
        "does not follow",
    ),
    "the register": Tampering(
        (lambda db: db.execute(register.update().values(last_sequence=2)),),
        None,
        None,
        "register",
    ),
    "the register taken out": Tampering(
        (lambda db: db.execute(register.delete()),), None, None, "register"
    ),
}


@pytest.mark.rule("RB-13.2")
async def test_a_healthy_file_has_no_break(reading: Reading, healthy: None) -> None:
    assert await reading.first_break() == (CASES, None)


async def test_an_empty_file_has_no_break(reading: Reading) -> None:
    assert await reading.first_break() == (0, None)


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize("name", TAMPERINGS)
async def test_the_first_broken_link_is_named(
    reading: Reading, url: str, healthy: None, name: str
) -> None:
    tampering = TAMPERINGS[name]
    attack(url, tampering.acts)
    _, found = await reading.first_break()
    assert found is not None
    assert (found.case_no, found.seq) == (tampering.case_no, tampering.seq)
    assert tampering.why in found.why


@pytest.mark.rule("RB-13.2")
async def test_an_outcome_that_no_event_tells_of_is_named(
    casefile: CaseFile, reading: Reading, url: str, healthy: None
) -> None:
    open_task = await casefile.open_task(new_task(NO, TaskKind.CONFIRM_PLAN))
    forged = _set_task(TaskKind.CONFIRM_PLAN, outcome=canonical({"code": "agreed"}), state="done")
    with connected(url) as connection:
        forged(connection)
    _, found = await reading.first_break()
    assert found is not None
    assert (found.case_no, found.seq) == (NO, None)
    assert found.why == f"the outcome of {open_task.id} has no event"


@pytest.mark.rule("RB-13.2")
async def test_a_file_that_is_being_written_has_no_break(
    casefile: CaseFile, other: CaseFile, reading: Reading, healthy: None
) -> None:
    """Checking reads one moment of the file, whatever is added while it reads."""

    async def write() -> None:
        for n in range(8):
            no = (await other.submit(new_case(f"more-{n}"))).no
            await other.note(NUMBERS[1], "noted", {}, at=NOON, once=f"cause-{n}")
            await other.note(no, "noted", {}, at=NOON, once=f"cause-{n}")

    writing = asyncio.create_task(write())
    checks = []
    while not writing.done():
        checks.append(await reading.first_break())
    await writing
    assert [found for _, found in checks if found is not None] == []
    assert await reading.first_break() == (CASES + 8, None)


async def test_a_case_added_while_checking_is_no_break(
    other: CaseFile, reading: Reading, healthy: None
) -> None:
    added = False

    def add(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal added
        if not added and "FROM events" in statement:
            added = True
            task = asyncio.get_running_loop().create_task(_add_to(other))
            sa.util.await_only(task)

    engine = reading.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", add)
    try:
        assert await reading.first_break() == (CASES, None)
    finally:
        sa.event.remove(engine, "before_cursor_execute", add)
    assert added
    assert await reading.first_break() == (CASES + 1, None)


async def _add_to(casefile: CaseFile) -> None:
    await casefile.submit(new_case("added"))
    await casefile.note(NUMBERS[1], "noted", {}, at=NOON, once="added")
    await casefile.note(NUMBERS[3], "noted", {}, at=NOON, once="added")
