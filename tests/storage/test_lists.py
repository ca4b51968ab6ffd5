"""Lists page by cursor: complete and without repetition, whatever is added meanwhile."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from domain.connection import TaskKind
from domain.errors import InputRefused
from storage.casefile import CaseFile
from storage.reading import CaseFilter, Reading, TaskFilter
from tests.support.cases import HIGH, LOW, NOON, changed, new_case, new_task

ALL = CaseFilter()
DESKS = TaskFilter("desk", "open")


async def _submitted(casefile: CaseFile, count: int, prefix: str = "key") -> list[str]:
    return [(await casefile.submit(new_case(f"{prefix}-{n}"))).no for n in range(count)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_cases_page_to_the_end_while_cases_are_added(
    casefile: CaseFile, reading: Reading, limit: int
) -> None:
    numbers = await _submitted(casefile, 7)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await reading.cases(ALL, limit=limit, cursor=cursor)
        seen += [case.no for case in page.items]
        await _submitted(casefile, 1, prefix=f"added-{len(seen)}")
        if (cursor := page.next_cursor) is None:
            break
    assert seen == numbers[::-1]


async def test_a_full_last_page_has_no_next(casefile: CaseFile, reading: Reading) -> None:
    await _submitted(casefile, 4)
    first = await reading.cases(ALL, limit=2, cursor=None)
    second = await reading.cases(ALL, limit=2, cursor=first.next_cursor)
    assert (len(second.items), second.next_cursor) == (2, None)


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_tasks_page_to_the_end_while_tasks_are_added(
    casefile: CaseFile, reading: Reading, limit: int
) -> None:
    numbers = await _submitted(casefile, 5)
    # Several at the same instant: the id decides.
    opened = [
        (await casefile.open_task(new_task(no, at=NOON + timedelta(minutes=n // 2)))).id
        for n, no in enumerate(numbers)
    ]
    seen: list[str] = []
    cursor: str | None = None
    added: list[str] = []
    while True:
        page = await reading.tasks(DESKS, limit=limit, cursor=cursor)
        seen += [task.id for task in page.items]
        if (cursor := page.next_cursor) is None:
            break
        later = NOON + timedelta(hours=1 + len(added))
        if len(added) < 3:
            new = new_task(numbers[0], round_no=2 + len(added), at=later)
            added.append((await casefile.open_task(new)).id)
    assert seen == [*opened, *added]


async def test_a_list_of_tasks_shows_what_was_asked_for(
    casefile: CaseFile, reading: Reading
) -> None:
    (no,) = await _submitted(casefile, 1)
    papers = await casefile.open_task(new_task(no))
    plan = await casefile.open_task(new_task(no, TaskKind.SUPPLY_PLAN))
    await casefile.decide(papers.id, {"code": "accepted"}, by="desk", at=NOON)

    async def ids(owed_by: str | None = None, state: str | None = None) -> list[str]:
        page = await reading.tasks(TaskFilter(owed_by, state), limit=9, cursor=None)
        return [task.id for task in page.items]

    assert await ids() == [papers.id, plan.id]
    assert await ids("utility") == [plan.id]
    assert await ids("desk", "open") == []
    assert await ids(state="done") == [papers.id]
    assert [task.id for task in await reading.tasks_of(no)] == [papers.id, plan.id]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CaseFilter(), {"high", "low", "percent"}),
        (CaseFilter(district="440811"), {"low"}),
        (CaseFilter(channel="online_hall"), {"low"}),
        (CaseFilter(state="ended"), {"high"}),
        (CaseFilter(stage="application"), {"high", "low", "percent"}),
        (CaseFilter(stage="supply_plan_reply"), set()),
        (CaseFilter(submitted_by="applicant"), {"low"}),
        (CaseFilter(q="示例甲"), {"low"}),
        (CaseFilter(q="示例路2号"), {"high", "percent"}),
        (CaseFilter(q=" ZJ20260000011 "), {"high"}),
        (CaseFilter(q="100%"), {"percent"}),
        (CaseFilter(q="100_"), set()),
        (CaseFilter(q="' OR 1=1 --"), set()),
        (CaseFilter(q="示例", district="440811"), {"low"}),
    ],
)
async def test_a_list_of_cases_shows_what_was_asked_for(
    casefile: CaseFile, reading: Reading, wanted: CaseFilter, found: set[str]
) -> None:
    elsewhere = changed(changed(LOW, "site.district", "440811"), "channel", "online_hall")
    submitted = {
        "high": await casefile.submit(new_case("1")),
        "low": await casefile.submit(
            new_case("2", changed(elsewhere, "site.address", "麻章区示例街9号"), by="applicant")
        ),
        "percent": await casefile.submit(
            new_case("3", changed(HIGH, "applicant.name", "100%示例公司"))
        ),
    }
    await casefile.end(submitted["high"].no, "declined", at=NOON, action_id=None)
    page = await reading.cases(wanted, limit=9, cursor=None)
    assert {case.no for case in page.items} == {submitted[name].no for name in found}


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


BAD_ANYWHERE = ["", "x", "not base64!", "\ud800", "é", "\x00", "====", "/w==", _encoded("1|2|3")]


@pytest.mark.parametrize(
    "cursor",
    [
        *BAD_ANYWHERE,
        *map(_encoded, ["", "-1", "1.5", "1e3", "٣", "²", " 1", "1\x00", "9" * 19, "9" * 300]),
    ],
)
async def test_a_cursor_that_is_none_of_the_cases_is_refused(
    casefile: CaseFile, reading: Reading, cursor: str
) -> None:
    await _submitted(casefile, 1)
    with pytest.raises(InputRefused, match="cursor"):
        await reading.cases(ALL, limit=5, cursor=cursor)


@pytest.mark.parametrize(
    "cursor",
    [
        *BAD_ANYWHERE,
        *map(
            _encoded,
            [
                "|",
                "yesterday|x",
                "2026-09-16|x",
                "2026-09-16T00:00:00|x",
                "0001-01-01T00:00:00+14:00|x",
                "9999-12-31T23:59:59-14:00|x",
                "2026-09-16T00:00:00+00:00|a\x00b",
                "2026-09-16T00:00:00+00:00",
            ],
        ),
    ],
)
async def test_a_cursor_that_is_none_of_the_tasks_is_refused(
    casefile: CaseFile, reading: Reading, cursor: str
) -> None:
    (no,) = await _submitted(casefile, 1)
    await casefile.open_task(new_task(no))
    with pytest.raises(InputRefused, match="cursor"):
        await reading.tasks(TaskFilter(), limit=5, cursor=cursor)
