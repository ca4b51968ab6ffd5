"""The figures that the database sums up are those of a plain count over all rows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.connection import TaskKind
from domain.working_time import civil_date
from storage.casefile import CaseFile
from storage.database import snapshot
from storage.figures import (
    Accepted,
    Completed,
    Decided,
    DecisionRow,
    Figures,
    OpenCases,
    Owed,
    OwedRow,
    OwedTogether,
    ResultFilter,
    ResultRow,
    count_open_cases,
    count_unanswered,
    read_accepted,
    read_clocked_tasks,
    read_decisions,
    read_figures,
    read_open_cases,
    read_owed,
    read_results,
    read_weeks,
)
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
                "opened_at": at - timedelta(hours=12 * some.randrange(40)),
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
    done, late = Counter[tuple[str, date]](), Counter[tuple[str, date]]()
    waiting = Counter[tuple[str, str, date | None, bool, date]]()
    for row in owed:
        if district not in (None, row["district"]):
            continue
        if row["state"] == "open":
            has_limit = row["limit_working_days"] is not None
            opened_on = civil_date(row["opened_at"])
            waiting[row["owed_by"], row["kind"], row["due_on"], has_limit, opened_on] += 1
        is_permit_done = row["state"] == "done" and row["kind"] == "permits"
        if is_permit_done and first <= civil_date(row["done_at"]) <= last:
            month = civil_date(row["done_at"]).replace(day=1)
            done[row["owed_by"], month] += 1
            late[row["owed_by"], month] += row["is_late"]
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
        tuple(Decided(by, on, count, late[by, on]) for (by, on), count in done.items()),
        tuple(
            Owed(by, TaskKind(kind), due_on, has_limit, opened_on, count)
            for (by, kind, due_on, has_limit, opened_on), count in waiting.items()
        ),
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
            async with snapshot(casefile.engine) as db:
                found = await read_figures(db, first, last, district)
            expected = _counted(stopped, owed, first, last, district)
            assert _in_any_order(found) == _in_any_order(expected), (first, last, district)


async def test_an_empty_file_has_no_figures(casefile: CaseFile) -> None:
    async with snapshot(casefile.engine) as db:
        assert await read_figures(db, *PERIODS[0]) == Figures((), (), ())
        assert await read_weeks(db, *PERIODS[0]) == ()
        assert await count_open_cases(db) == ()


async def test_weeks_add_up_to_the_days_they_hold(casefile: CaseFile, url: str) -> None:
    stopped, _ = await _filled(casefile, url, 0)
    first, last = PERIODS[0]
    async with snapshot(casefile.engine) as db:
        found = await read_weeks(db, first, last)
    counted = Counter[tuple[Any, ...]]()
    net = Counter[tuple[Any, ...]]()
    for row in stopped:
        if first <= row["stopped_on"] <= last:
            monday = row["stopped_on"] - timedelta(days=row["stopped_on"].isocalendar().weekday - 1)
            key = (row["clock"], row["limit_working_days"], monday)
            counted[key] += 1
            net[key] += row["net"]
    assert {(w.clock, w.limit_working_days, w.first): (w.cases, w.net) for w in found} == {
        key: (count, net[key]) for key, count in counted.items()
    }
    assert [each.first for each in found] == sorted(each.first for each in found)


@pytest.mark.rule("RB-11.1")
@pytest.mark.parametrize("district", [None, "440802"])
async def test_lists_hold_what_was_counted_each_once(
    casefile: CaseFile, url: str, district: str | None
) -> None:
    await _filled(casefile, url, 1)
    first, last = PERIODS[0]
    async with snapshot(casefile.engine) as db:
        figures = await read_figures(db, first, last, district)
        cursor: str | None = None
        stopped: list[ResultRow] = []
        while True:
            wanted = ResultFilter(first, last, district=district)
            found = await read_results(db, wanted, limit=3, cursor=cursor)
            stopped += found.page.items
            assert found.cases == sum(each.cases for each in figures.completed)
            assert found.net == sum(each.net for each in figures.completed)
            if (cursor := found.page.next_cursor) is None:
                break
        for limit, is_met in ((5, None), (0, None), (8, False)):
            wanted = ResultFilter(first, last, None, limit, district, is_met)
            expected = [
                each
                for each in stopped
                if each.limit_working_days == (limit or None) and is_met in (None, each.is_met)
            ]
            found = await read_results(db, wanted, limit=200, cursor=None)
            assert found.page.items == tuple(expected)
        assert len(set(stopped)) == len(stopped) == sum(each.cases for each in figures.completed)
        assert [each.stopped_on for each in stopped] == sorted(
            (each.stopped_on for each in stopped), reverse=True
        )

        decided: list[DecisionRow] = []
        while True:
            page, total = await read_decisions(
                db, first, last, district=district, limit=2, cursor=cursor
            )
            decided += page.items
            assert total == sum(each.done for each in figures.decided)
            if (cursor := page.next_cursor) is None:
                break
        assert len(set(decided)) == total
        _, late = await read_decisions(
            db, first, last, district=district, is_late=True, limit=1, cursor=None
        )
        assert late == sum(each.late for each in figures.decided)

        owed = await _owed_one_by_one(db, figures.owed, district)
        assert len(owed) == sum(each.tasks for each in figures.owed)
        alike = await count_open_cases(db, district)
        alone = await read_open_cases(db, district=district)
        assert sum(each.cases for each in alike) == len({each.no for each in alone})
        assert await _accepted_one_by_one(db, alike, district) == {each.no for each in alone}
        tasks_of = await read_clocked_tasks(db, {each.no for each in alone})
        assert {task.case_no for task in owed} <= tasks_of.keys()


async def _owed_one_by_one(
    db: AsyncConnection, counted: Sequence[Owed], district: str | None
) -> list[OwedRow]:
    """Page through all open tasks by twos: by when they are due, then those without a date."""
    dates = sorted({each.due_on for each in counted if each.due_on})
    without = [OwedTogether(frozenset(), has_limit) for has_limit in (True, False)]
    together = [*(OwedTogether(frozenset({day}), None) for day in dates), *without]
    found: list[OwedRow] = []
    first, after = 0, ""
    while True:
        page = await read_owed(db, together[first:], district=district, after=after, limit=2)
        if not page:
            break
        first, after = first + page[-1][0], page[-1][1].id
        found += [row for _, row in page]
    days = [(each.due_on or date.max, each.limit_working_days is None) for each in found]
    assert [day for day, _ in days] == sorted(day for day, _ in days)
    undated = [is_without for day, is_without in days if day == date.max]
    assert undated == sorted(undated)
    assert len({each.id for each in found}) == len(found)
    return found


async def _accepted_one_by_one(
    db: AsyncConnection, counted: Sequence[OpenCases], district: str | None
) -> set[str]:
    """Page through all open cases by twos, by when they were accepted."""
    ranks: dict[str, set[Accepted]] = {}
    for each in counted:
        one = Accepted(each.policy, each.calendar, each.voltage, each.supply, each.accepted_on)
        ranks.setdefault(str(each.accepted_on), set()).add(one)
    together = [ranks[day] for day in sorted(ranks)]
    found: list[OpenCases] = []
    first, after = 0, ""
    while True:
        page = await read_accepted(db, together[first:], district=district, after=after, limit=2)
        if not page:
            break
        first, after = first + page[-1][0], page[-1][1].no
        found += [case for _, case in page]
    shown = [(str(each.accepted_on), each.no) for each in found]
    assert shown == sorted(set(shown))
    return {each.no for each in found}


PLANS = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
INDICES = (
    "ix_results_stopped_on",
    "ix_tasks_permits_done",
    "ix_tasks_permits_done",
    "ix_tasks_watched",
    "ix_applications_open",
    "ix_notices_supervision",
)


@pytest.mark.parametrize("district", [None, "440802"])
async def test_no_figure_reads_a_whole_table(
    casefile: CaseFile, url: str, district: str | None
) -> None:
    """Each has an index of just the rows it needs; without it a year would take seconds."""
    await _filled(casefile, url, 0)
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, values))

    engine = casefile.engine.sync_engine
    async with snapshot(casefile.engine) as db:
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            await read_figures(db, *PERIODS[0], district)
            await count_open_cases(db, district)
            await count_unanswered(db, PERIODS[0][1], district)
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
    assert "'permits'" in asked[1][0] and "'done'" in asked[1][0] and "'open'" in asked[3][0]
