"""What happened to permit items, as 工建系统 is told of it through the API (RB-4.8)."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from sqlalchemy.pool import QueuePool

from activities.exchange import pieces
from domain.connection import TaskKind
from domain.exchange import COLUMNS, check_states
from domain.naming import TaskName
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, new_task
from tests.support.databases import connected
from tests.support.serving import Api

RIVER, DRAIN = "河道管理范围内建设项目工程建设方案审批", "拆除、改动排水设施审核"
PATH = "/api/v1/exchange/permits"
Row = Mapping[str, Any]

ACCEPTED = {"type": "accepted"}
ASKED = {
    "type": "correction-opened",
    "ground": "图纸不全",
    "missing": ["河道断面图", "位置图"],
    "document_no": "示例补〔2026〕1号",
}
CORRECTED = {"type": "correction-closed", "ground": "已补正"}
REVIEWED = {"type": "special-opened", "ground": "穿堤方案须评审", "procedure": "expert_review"}
CLAIMED = {"type": "claimed", "holder": "desk-2"}
HANDED_BACK = {"type": "handed-back"}
REVIEW_DONE = {"type": "special-closed", "ground": "评审完成"}
WITHDRAWN = "withdrawn"


def answered(*outcomes: str, **more: Any) -> dict[str, Any]:
    """Answer the items of a task; each further field stands with every item."""
    return {
        "code": "answered",
        "items": [
            {"item": item, "outcome": outcome, **_NEEDED.get(outcome, {}), **more}
            for item, outcome in zip((RIVER, DRAIN), outcomes, strict=False)
        ],
    }


_NEEDED: Mapping[str, Mapping[str, Any]] = {
    "approved": {"document_no": "示例〔2026〕2号", "document_on": "2026-09-16"},
    "approved_with_conditions": {"note": "汛期不得施工", "document_no": "示例〔2026〕3号"},
    "papers_to_follow": {"papers": ["洪评报告"], "papers_by": "2026-11-30"},
    "refused": {"note": "不符合防洪规划"},
    "not_accepted": {"note": "材料不属实"},
}


# ---------------------------------------------------------------- a model of our own

# A digit per code: a is 10, and so on to f. First without what is begun and ended, then just that.
_WAY = re.compile("1|12|14|13(2|5|8(2|5|[bcd][ef]?)?)?")
_ENDS = set("245bcd")


def is_in_order(codes: Sequence[int]) -> bool:
    """Whether one item's codes are what RB-4.8 asks for; knows nothing of `domain.exchange`."""
    told = "".join(f"{code:x}" for code in codes)
    has_ended = bool(_ENDS & set(told))
    closed, may_be_open = ("", "") if has_ended else ("6?", "9?")
    corrections, procedures = re.sub("[^67]", "", told), re.sub("[^9a]", "", told)
    return bool(
        _WAY.fullmatch(re.sub("[679a]", "", told))
        and re.fullmatch(f"(67)*{closed}", corrections)
        and re.fullmatch(f"(9a)*{may_be_open}", procedures)
        and "6" not in told.partition("3")[0]
        and "9" not in told.partition("8")[0]
        and not re.search("[245bcdef].*[679a]", told)
    )


@pytest.mark.parametrize(
    "wrong", [[], [3], [1, 8], [1, 3, 11], [1, 3, 6, 5], [1, 3, 9], [1, 3, 8, 11, 13], [1, 6, 3]]
)
def test_the_model_knows_what_is_wrong(wrong: list[int]) -> None:
    assert not is_in_order(wrong)


def of_items(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return what is told of each item of each task."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["task_id"], row["item"]].append(row)
    return dict(found)


def of_task(rows: Iterable[Row], task: str) -> list[Row]:
    return [row for row in rows if row["task_id"] == task]


def check(rows: Iterable[Row]) -> None:
    """Check a file that begins before anything happened, twice over."""
    for told in of_items(rows).values():
        codes = [int(row["code"]) for row in told]
        assert check_states(codes) == (), codes
        assert is_in_order(codes), codes
        for early, late in pairwise(told):
            assert datetime.fromisoformat(early["at"]) <= datetime.fromisoformat(late["at"])


# ---------------------------------------------------------------- reading the files


async def export(api: Api, agency: str | None = "desk", **parameters: str) -> httpx2.Response:
    return await api.call("GET", PATH, agency, params=parameters)


async def lines(api: Api, first: str = "2026-09-01", last: str = "2027-01-31") -> list[Row]:
    """Return what the JSON lines of a period hold, after looking whether the table says the same.

    A year is far more than any test needs, and holds all that happens in it.
    """
    answer = await export(api, **{"from": first, "to": last})
    assert answer.status_code == 200, answer.text
    found = [json.loads(line) for line in answer.text.splitlines()]
    table = await export(api, **{"from": first, "to": last, "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"), newline="")))
    assert [{**row, "code": int(row["code"]), "ground": row["ground"] or None} for row in rows] == [
        dict(each) for each in found
    ]
    return found


def codes(rows: Iterable[Row], item: str = RIVER) -> list[int]:
    return [row["code"] for row in rows if row["item"] == item]


# ---------------------------------------------------------------- putting histories on file


@pytest.fixture
async def no(api: Api) -> str:
    number: str = (await api.submit(HIGH)).json()["no"]
    return number


async def owed(
    api: Api,
    no: str,
    department: str = "water",
    items: tuple[str, ...] = (RIVER,),
    round_no: int = 1,
    passed_by: tuple[str, ...] = (),
) -> str:
    """Have a department owe a permit task since now, due five working days later."""
    new = new_task(
        no,
        TaskKind.PERMITS,
        round_no=round_no,
        department=department,
        items=items,
        at=api.now,
        due_on=api.now.date() + timedelta(days=7),
    )
    if passed_by:
        name = TaskName(no, TaskKind.PERMITS, round_no, department, in_place_of=passed_by[0])
        new = replace(new, name=name, asked={**new.asked, "passed_by": list(passed_by)})
    return (await api.casefile.open_task(new)).id


async def act(api: Api, task: str, body: Any, agency: str = "water") -> httpx2.Response:
    """Report, answer or withdraw, whichever it is."""
    if body == WITHDRAWN:
        await api.casefile.end(task.partition(".")[0], WITHDRAWN, at=api.now, action_id=None)
        return httpx2.Response(202)
    if "code" in body:
        return await api.answer(task, body, agency)
    path, key = f"/api/v1/tasks/{task}/events", f"{body['type']}-{api.now.isoformat()}"
    return await api.call("POST", path, agency, key=key, json=body)


async def happens(api: Api, task: str, *bodies: Any, agency: str = "water") -> None:
    """Have one thing happen a day."""
    for body in bodies:
        api.now += timedelta(days=1)
        answer = await act(api, task, body, agency)
        assert answer.status_code in (200, 202), answer.text


# ---------------------------------------------------------------- every kind of history

HISTORIES: dict[str, tuple[list[Any], list[int]]] = {
    "pushed": ([], [1, 3]),
    "accepted": ([ACCEPTED], [1, 3, 8]),
    "claimed, which is the department's own affair": (
        [CLAIMED, ACCEPTED, HANDED_BACK],
        [1, 3, 8],
    ),
    "a correction under way": ([ASKED], [1, 3, 6]),
    "corrected": (
        [ASKED, CORRECTED, ACCEPTED, answered("approved")],
        [1, 3, 6, 7, 8, 11],
    ),
    "a special procedure under way": ([ACCEPTED, REVIEWED], [1, 3, 8, 9]),
    "a special procedure": (
        [ACCEPTED, REVIEWED, REVIEW_DONE, answered("approved")],
        [1, 3, 8, 9, 10, 11],
    ),
    "a procedure while a correction is open": (
        [ACCEPTED, ASKED, REVIEWED, REVIEW_DONE, CORRECTED, answered("refused")],
        [1, 3, 8, 6, 9, 10, 7, 13],
    ),
    "decided while both are open": (
        [ASKED, REVIEWED, answered("approved")],
        [1, 3, 6, 8, 9, 10, 7, 11],
    ),
    "approved": ([answered("approved")], [1, 3, 8, 11]),
    "approved with conditions": ([answered("approved_with_conditions")], [1, 3, 8, 11]),
    "papers to follow": ([answered("papers_to_follow")], [1, 3, 8, 12]),
    "refused": ([answered("refused")], [1, 3, 8, 13]),
    "not accepted": ([answered("not_accepted")], [1, 3, 5]),
    "not accepted after all": ([ACCEPTED, answered("not_accepted")], [1, 3, 8, 5]),
    "withdrawn": ([WITHDRAWN], [1, 3, 2]),
    "withdrawn from a procedure": ([REVIEWED, WITHDRAWN], [1, 3, 8, 9, 10, 2]),
    "withdrawn after the decision": ([answered("approved"), WITHDRAWN], [1, 3, 8, 11]),
}


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize("what", HISTORIES)
async def test_whatever_happens_is_told_in_the_codes(api: Api, no: str, what: str) -> None:
    bodies, expected = HISTORIES[what]
    task = await owed(api, no)
    await happens(api, task, *bodies)
    rows = await lines(api)
    check(rows)
    assert codes(rows) == expected
    assert {(row["case_no"], row["task_id"]) for row in rows} == {(no, task)}
    assert {row["department"] for row in rows} == {"市水务局"}


@pytest.mark.rule("RB-4.5", "RB-4.8")
async def test_a_late_outcome_is_told_like_any_other(api: Api, no: str) -> None:
    task = await owed(api, no)
    api.now += timedelta(days=30)
    await happens(api, task, answered("approved"))
    assert (await api.call("GET", f"/api/v1/tasks/{task}")).json()["is_late"]
    rows = await lines(api)
    check(rows)
    assert codes(rows) == [1, 3, 8, 11]
    assert rows[-1]["at"] == "2026-10-17T12:00:00+08:00"


@pytest.mark.rule("RB-4.5", "RB-4.8")
async def test_items_of_one_task_are_told_one_by_one(api: Api, no: str) -> None:
    task = await owed(api, no, items=(RIVER, DRAIN))
    await happens(api, task, ACCEPTED, ASKED, CORRECTED, answered("refused", "papers_to_follow"))
    rows = await lines(api)
    check(rows)
    assert (codes(rows), codes(rows, DRAIN)) == ([1, 3, 8, 6, 7, 13], [1, 3, 8, 6, 7, 12])
    assert [row["item"] for row in rows] == [RIVER] * 6 + [DRAIN] * 6


@pytest.mark.rule("RB-4.8")
async def test_the_ground_says_what_there_is_to_say(api: Api, no: str) -> None:
    task = await owed(api, no, items=(RIVER, DRAIN))
    await happens(api, task, ASKED, CORRECTED, REVIEWED)
    await happens(api, task, answered("approved_with_conditions", "papers_to_follow"))
    other = await owed(api, no, "police")
    await happens(api, other, answered("approved"), agency="police")
    rows = await lines(api)
    grounds = {(row["item"], row["code"]): row["ground"] for row in of_task(rows, task)}
    assert grounds[RIVER, 1] is None
    assert grounds[RIVER, 6] == "图纸不全；须补正：河道断面图、位置图；文号：示例补〔2026〕1号"
    assert grounds[RIVER, 7] == "已补正"
    assert grounds[RIVER, 9] == "穿堤方案须评审；特别程序：专家评审"
    assert grounds[RIVER, 11] == "汛期不得施工；文号：示例〔2026〕3号"
    assert grounds[DRAIN, 12] == "后补材料：洪评报告（2026-11-30前补齐）"
    assert of_task(rows, other)[-1]["ground"] == "文号：示例〔2026〕2号（2026-09-16）"


@pytest.mark.rule("RB-4.8")
async def test_who_is_not_competent_does_not_accept_and_the_other_begins_anew(
    api: Api, no: str
) -> None:
    first = await owed(api, no, "police")
    passed = {"code": "not_competent", "competent": "water", "note": "不涉及道路"}
    await happens(api, first, ACCEPTED, passed, agency="police")
    other = await owed(api, no, "water", passed_by=("police",))
    await happens(api, other, answered("approved"))
    rows = await lines(api)
    check(rows)
    told = of_items(rows)
    assert codes(told[first, RIVER]) == [1, 3, 8, 5]
    assert codes(told[other, RIVER]) == [1, 3, 8, 11]
    assert told[first, RIVER][-1]["ground"] == "不涉及道路；主管部门：市水务局"
    assert told[other, RIVER][0]["ground"] == "此前征询：市公安局"
    assert {row["department"] for row in told[first, RIVER]} == {"市公安局"}
    assert {row["department"] for row in told[other, RIVER]} == {"市水务局"}


@pytest.mark.rule("RB-4.7", "RB-4.8")
async def test_a_revised_route_is_asked_anew(api: Api, no: str) -> None:
    first = await owed(api, no)
    await happens(api, first, answered("refused"))
    second = await owed(api, no, round_no=2)
    await happens(api, second, answered("approved"))
    told = of_items(await lines(api))
    assert codes(told[first, RIVER]) == [1, 3, 8, 13]
    assert codes(told[second, RIVER]) == [1, 3, 8, 11]


@pytest.mark.rule("RB-4.8")
async def test_whatever_departments_manage_to_do_the_files_are_in_order(api: Api) -> None:
    some = random.Random(8)
    possible = [ACCEPTED, ASKED, CORRECTED, REVIEWED, REVIEW_DONE]
    taken = 0
    for number in range(12):
        no = (await api.submit(HIGH, key=f"key-{number}")).json()["no"]
        task = await owed(api, no, items=(RIVER, DRAIN))
        for _ in range(some.randrange(12)):
            api.now += timedelta(minutes=some.randrange(1, 3000))
            # What does not fit is refused, and must leave no trace in the files.
            taken += (await act(api, task, some.choice(possible))).is_success
        outcomes = [some.choice(sorted(_NEEDED)) for _ in range(2)]
        last = some.choice([answered(*outcomes, note="理由"), WITHDRAWN, None])
        if last is not None:
            assert (await act(api, task, last)).is_success
    rows = await lines(api)
    check(rows)
    assert len(of_items(rows)) == 24
    assert taken > 20


async def test_clocks_that_differ_a_little_are_no_reason_to_tell_nothing(api: Api, no: str) -> None:
    task = await owed(api, no)
    api.now -= timedelta(seconds=2)
    assert (await act(api, task, ACCEPTED)).status_code == 200
    rows = await lines(api)
    check(rows)
    assert [row["at"] for row in rows] == ["2026-09-16T12:00:00+08:00"] * 3


# ---------------------------------------------------------------- periods


@pytest.mark.rule("RB-1.1", "RB-4.8")
async def test_a_day_is_a_day_in_shanghai_and_both_ends_count(api: Api, no: str) -> None:
    api.now = datetime.fromisoformat("2026-09-30T16:30:00+00:00")
    task = await owed(api, no)
    api.now = datetime.fromisoformat("2026-10-02T23:59:59.999999+08:00")
    await act(api, task, ACCEPTED)
    assert codes(await lines(api, "2026-09-30", "2026-09-30")) == []
    assert codes(await lines(api, "2026-10-01", "2026-10-01")) == [1, 3]
    assert codes(await lines(api, "2026-10-01", "2026-10-02")) == [1, 3, 8]
    assert codes(await lines(api, "2026-10-02", "2026-10-02")) == [8]
    assert codes(await lines(api, "2026-10-03", "2026-10-31")) == []


@pytest.mark.rule("RB-4.8")
async def test_the_files_of_the_days_together_are_the_file_of_the_period(api: Api, no: str) -> None:
    first, other = await owed(api, no), await owed(api, no, "transport")
    await happens(api, first, ASKED, CORRECTED, ACCEPTED, answered("approved"))
    await happens(api, other, answered("refused"), agency="transport")
    whole = of_items(await lines(api))
    days = [str(date(2026, 9, 10) + timedelta(days=day)) for day in range(20)]
    together = of_items([row for day in days for row in await lines(api, day, day)])
    assert together == whole
    check(row for told in together.values() for row in told)


async def test_today_is_what_is_meant_without_dates(api: Api, no: str) -> None:
    task = await owed(api, no)
    await happens(api, task, ACCEPTED)
    name = 'attachment; filename="permits_2026-09-17.jsonl"'
    answer = await export(api)
    assert answer.headers["content-disposition"] == name
    assert [json.loads(line)["code"] for line in answer.text.splitlines()] == [8]
    until_then = await export(api, **{"from": "2026-09-16"})
    assert len(until_then.text.splitlines()) == 3
    assert "permits_2026-09-16_2026-09-17" in until_then.headers["content-disposition"]
    assert (await export(api, to="2026-09-16")).text.count("\n") == 2


# ---------------------------------------------------------------- the files


async def test_the_table_opens_in_a_spreadsheet_and_the_lines_in_a_program(
    api: Api, no: str
) -> None:
    await owed(api, no)
    table = await export(api, format="csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.content.startswith(b'\xef\xbb\xbf"case_no",')
    head, *rest = table.content.decode("utf-8-sig").split("\r\n")
    assert head == ",".join(f'"{name}"' for name in COLUMNS)
    assert len(rest) == 3
    assert (await export(api)).headers["content-type"] == "application/x-ndjson"
    nothing = await export(api, to="2026-01-01", format="csv")
    assert nothing.content.count(b"\r\n") == 1
    assert (await export(api, to="2026-01-01")).content == b""


@pytest.mark.rule("RB-13.1")
async def test_no_applicant_is_told(api: Api, no: str) -> None:
    task = await owed(api, no)
    await happens(api, task, answered("approved"))
    text = (await export(api, **{"from": "2026-09-01", "to": "2026-12-31"})).text
    assert no in text
    for personal in (*HIGH["applicant"].values(), HIGH["site"]["address"]):
        assert personal not in text.replace("enterprise", "")


async def test_however_it_is_read_the_file_is_the_same(api: Api) -> None:
    for number in range(7):
        no = (await api.submit(HIGH, key=f"key-{number}")).json()["no"]
        for department in ("water", "police"):
            await owed(api, no, department, (RIVER, DRAIN))
    engine, day = api.casefile.engine, NOON.date()
    whole = b"".join([piece async for piece in pieces(engine, day, day, "csv")])
    for per_page in (1, 5, 14):
        parts = [piece async for piece in pieces(engine, day, day, "csv", per_page=per_page)]
        assert len(parts) > 14 // per_page
        assert b"".join(parts) == whole
    tasks = list(
        dict.fromkeys(row["task_id"] for row in csv.DictReader(io.StringIO(whole.decode())))
    )
    assert tasks == sorted(tasks) and len(tasks) == 14


async def test_a_slow_receiver_keeps_no_connection(api: Api) -> None:
    for number in range(3):
        no = (await api.submit(HIGH, key=f"key-{number}")).json()["no"]
        await owed(api, no)
    file = pieces(api.casefile.engine, NOON.date(), NOON.date(), "jsonl", per_page=1)
    async for _ in file:
        pool = api.casefile.engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.checkedout() == 0


# ---------------------------------------------------------------- who may, and what is refused


@pytest.mark.rule("RB-13.1")
async def test_the_desk_and_supervisors_may_and_nobody_else(api: Api) -> None:
    for agency in ("desk", "special-group", "government-services-data"):
        assert (await export(api, agency)).status_code == 200
    for agency in ("water", "utility", "applicant"):
        problem(await export(api, agency), 403, "not-allowed")
    problem(await export(api, None), 401, "not-signed-in")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"from": "2026-09-17", "to": "2026-09-16"}, ["from"]),
        ({"from": "2026-09-17"}, ["from"]),
        ({"from": "1949-12-31"}, ["from"]),
        ({"to": "20260916"}, ["to"]),
        ({"to": "1790000000"}, ["to"]),
        ({"format": "xlsx"}, ["format"]),
        ({"form": "csv"}, ["form"]),
    ],
)
async def test_what_makes_no_sense_is_named(
    api: Api, parameters: dict[str, str], named: list[str]
) -> None:
    assert fields(problem(await export(api, **parameters), 422, "invalid-input")) == named


async def test_a_case_file_that_is_away_is_told_by_the_status(api: Api) -> None:
    with connected(api.url) as connection:
        connection.exec_driver_sql("ALTER TABLE tasks RENAME TO elsewhere")
    problem(await export(api), 503, "case-file-away")
