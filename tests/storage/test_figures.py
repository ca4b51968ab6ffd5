"""The figures that the database sums up are those of a plain count over all rows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.connection import TaskKind
from domain.working_time import civil_date
from storage.casefile import CaseFile
from storage.figures import Completed, Decided, Figures, Owed, read_figures
from storage.tables import results, tasks
from tests.support.cases import HIGH, changed, new_case, new_task
from tests.support.databases import connected

DISTRICTS = ("440802", "440803", "440811")
CLOCKS: tuple[tuple[str, int | None], ...] = (
    ("LV8", 8),
    ("LV8", 7),  # of another policy
    ("HV40", 40),
    ("GOV5", 5),
    ("HV-DUAL", None),
)
DEPARTMENTS = ("police", "water")
FIRST, DAYS = date(2025, 11, 1), 120
PERIODS = (
    (date(2025, 11, 1), date(2026, 3, 31)),
    (date(2025, 12, 31), date(2026, 1, 1)),
    (date(2026, 1, 15), date(2026, 1, 15)),
    (date(2030, 1, 1), date(2030, 12, 31)),
)
Row = dict[str, Any]


def _results(some: random.Random, no: str, district: str) -> list[Row]:
    found = []
    for round_no in range(some.randrange(5)):
        clock, limit = some.choice(CLOCKS)
        net = some.randrange(2 * (limit or 20))
        found.append(
            {
                "case_no": no,
                "clock": clock,
                "round": round_no,
                "district": district,
                "started_on": FIRST,
                "stopped_on": FIRST + timedelta(days=some.randrange(DAYS)),
                "gross": net + some.randrange(3),
                "net": net,
                "limit_working_days": limit,
                "is_met": None if limit is None else net <= limit,
                "calendar_version": "test",
            }
        )
    return found


def _tasks(some: random.Random, no: str) -> list[Row]:
    found = []
    for round_no in range(1, some.randrange(2, 9)):
        kind = some.choice((TaskKind.PERMITS, TaskKind.PERMITS, TaskKind.SURVEY))
        department = some.choice(DEPARTMENTS) if kind is TaskKind.PERMITS else None
        due_on = some.choice((None, *(FIRST + timedelta(days=day) for day in range(3))))
        new = new_task(no, kind, round_no=round_no, department=department, due_on=due_on)
        state = some.choice(("open", "open", "done", "done", "closed"))
        # Around midnight in Shanghai, where the civil date is not that of UTC.
        at = datetime.fromisoformat("2025-11-01T00:00:00+08:00") + timedelta(
            hours=12 * some.randrange(2 * DAYS), minutes=some.choice((-1, 0, 1))
        )
        found.append(
            {
                **new.columns(),
                "limit_working_days": some.choice((None, 3, 5)),
                "state": state,
                "done_at": None if state == "open" else at,
                "is_late": state == "done" and some.random() < 0.3,
            }
        )
    return found


async def _filled(casefile: CaseFile, url: str, seed: int) -> tuple[list[Row], list[Row]]:
    """Put random rows on file; return those of results, and those of tasks with their district."""
    some = random.Random(seed)
    stopped: list[Row] = []
    owed: list[Row] = []
    districts: dict[str, str] = {}
    for n in range(12):
        district = some.choice(DISTRICTS)
        content = changed(HIGH, "site.district", district)
        no = (await casefile.submit(new_case(f"key-{n}", content))).no
        districts[no] = district
        stopped += _results(some, no, district)
        owed += _tasks(some, no)
    with connected(url) as connection:
        connection.execute(sa.insert(results), stopped)
        connection.execute(sa.insert(tasks), owed)
    return stopped, [{**row, "district": districts[row["case_no"]]} for row in owed]


def _counted(
    stopped: Iterable[Row], owed: Iterable[Row], first: date, last: date, district: str | None
) -> Figures:
    """Count one row after the other."""
    groups: dict[tuple[str, int | None, str, date], list[Row]] = {}
    for row in stopped:
        if first <= row["stopped_on"] <= last and district in (None, row["district"]):
            month = row["stopped_on"].replace(day=1)
            key = (row["clock"], row["limit_working_days"], row["district"], month)
            groups.setdefault(key, []).append(row)
    done, late, waiting = Counter[str](), Counter[str](), Counter[tuple[Any, ...]]()
    for row in owed:
        if district not in (None, row["district"]):
            continue
        if row["state"] == "open" and row["limit_working_days"] is not None:
            waiting[row["owed_by"], row["kind"], row["due_on"]] += 1
        is_permit_done = row["state"] == "done" and row["kind"] == "permits"
        if is_permit_done and first <= civil_date(row["done_at"]) <= last:
            done[row["owed_by"]] += 1
            late[row["owed_by"]] += row["is_late"]
    return Figures(
        tuple(
            Completed(
                *key,
                cases=len(found),
                net=sum(row["net"] for row in found),
                within_limit=sum(row["is_met"] is True for row in found),
            )
            for key, found in groups.items()
        ),
        tuple(Decided(agency, count, late[agency]) for agency, count in done.items()),
        tuple(Owed(by, TaskKind(kind), on, count) for (by, kind, on), count in waiting.items()),
    )


def _in_any_order(figures: Figures) -> tuple[set[object], ...]:
    parts = (figures.completed, figures.decided, figures.owed)
    for part in parts:
        assert len(set(part)) == len(part)
    return tuple(set(part) for part in parts)


@pytest.mark.rule("RB-2.2", "RB-11.1")
@pytest.mark.parametrize("seed", range(6))
async def test_the_databases_sums_are_those_of_a_plain_count(
    casefile: CaseFile, url: str, seed: int
) -> None:
    stopped, owed = await _filled(casefile, url, seed)
    for first, last in PERIODS:
        for district in (None, *DISTRICTS, "440999"):
            found = await read_figures(casefile.engine, first, last, district)
            expected = _counted(stopped, owed, first, last, district)
            assert _in_any_order(found) == _in_any_order(expected), (first, last, district)


async def test_an_empty_file_has_no_figures(casefile: CaseFile) -> None:
    assert await read_figures(casefile.engine, *PERIODS[0]) == Figures((), (), ())


PLANS = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
INDICES = ("ix_results_stopped_on", "ix_tasks_permits_done", "ix_tasks_watched")


async def test_no_figure_reads_a_whole_table(casefile: CaseFile, url: str) -> None:
    """Each has an index of just the rows it needs; without it a year would take seconds."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, values))

    engine = casefile.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        await read_figures(casefile.engine, *PERIODS[0])
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    with connected(url) as connection:
        if connection.dialect.name == "postgresql":
            # A small table is read whole, unless that is forbidden.
            connection.exec_driver_sql("SET enable_seqscan = off")
        for index, (statement, values) in zip(INDICES, asked, strict=True):
            plan = connection.exec_driver_sql(
                f"{PLANS[connection.dialect.name]} {statement}", values
            )
            assert index in str(plan.all()), (index, statement)
    # Were the words of an index bound, each row would be read to compare them.
    assert "'permits'" in asked[1][0] and "'done'" in asked[1][0] and "'open'" in asked[2][0]
