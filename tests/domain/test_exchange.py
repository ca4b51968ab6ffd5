"""The states of permit items in the codes of 工建系统, and the files they travel in (RB-4.8)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exchange import (
    COLUMNS,
    IMPLIED_ACCEPTANCE,
    IMPLIED_END,
    NAMES,
    HistoryError,
    ItemStep,
    State,
    StateRecord,
    StepKind,
    TaskHistory,
    check_records,
    check_states,
    csv_file,
    json_lines,
    states,
)
from domain.permits import ItemOutcome
from domain.task_events import HOLDING, TaskEventKind

TASK = "ZJ20260000011.permits-water.1"
NOON = datetime.fromisoformat("2026-09-16T12:00:00+08:00")
RIVER, DRAIN = "河道管理范围内建设项目工程建设方案审批", "拆除、改动排水设施审核"


def step(kind: str, hours: float = 0, **more: str) -> ItemStep:
    return ItemStep(StepKind(kind), NOON + timedelta(hours=hours), "water", **more)


def history(*steps: ItemStep, items: tuple[str, ...] = (RIVER,)) -> TaskHistory:
    return TaskHistory("ZJ20260000011", TASK, "市水务局", items, steps)


def told(*kinds: str) -> TaskHistory:
    """A history of one item, an hour from step to step."""
    return history(*(step(kind, hours) for hours, kind in enumerate(kinds)))


def codes(records: Sequence[StateRecord], item: str = RIVER) -> list[int]:
    return [int(record.state) for record in records if record.item == item]


# ---------------------------------------------------------------- codes and names


@pytest.mark.rule("RB-4.8")
def test_the_codes_are_those_of_the_rulebook() -> None:
    names = (
        "接件 撤件 窗口受理 不受理 不予受理 补正开始 补正结束 部门受理 特别程序开始 特别程序结束 "
    )
    names += "通过 容缺通过 不通过 撤回 撤销"
    assert [(int(state), NAMES[state].zh) for state in State] == list(
        enumerate(names.split(), start=1)
    )
    assert len({NAMES[state].en for state in State}) == 15


@pytest.mark.rule("RB-4.8")
def test_steps_are_called_as_reports_and_outcomes_are() -> None:
    assert set(TaskEventKind) - HOLDING | set(get_args(ItemOutcome)) <= set(StepKind)


# ---------------------------------------------------------------- histories

HISTORIES: dict[str, tuple[tuple[str, ...], list[int]]] = {
    "just pushed": (("opened",), [1, 3]),
    "accepted": (("opened", "accepted"), [1, 3, 8]),
    "approved": (("opened", "accepted", "approved"), [1, 3, 8, 11]),
    "with conditions": (("opened", "accepted", "approved_with_conditions"), [1, 3, 8, 11]),
    "papers to follow": (("opened", "accepted", "papers_to_follow"), [1, 3, 8, 12]),
    "refused": (("opened", "accepted", "refused"), [1, 3, 8, 13]),
    "not accepted": (("opened", "not_accepted"), [1, 3, 5]),
    "accepted, then not": (("opened", "accepted", "not_accepted"), [1, 3, 8, 5]),
    "not competent": (("opened", "not_competent"), [1, 3, 5]),
    "approved without a word before": (("opened", "approved"), [1, 3, 8, 11]),
    "withdrawn": (("opened", "withdrawn"), [1, 3, 2]),
    "withdrawn later": (("opened", "accepted", "withdrawn"), [1, 3, 8, 2]),
    "corrected before acceptance": (
        ("opened", "correction-opened", "correction-closed", "accepted", "approved"),
        [1, 3, 6, 7, 8, 11],
    ),
    "corrected twice": (
        ("opened", "accepted", *("correction-opened", "correction-closed") * 2),
        [1, 3, 8, 6, 7, 6, 7],
    ),
    "not accepted while a correction is open": (
        ("opened", "correction-opened", "not_accepted"),
        [1, 3, 6, 7, 5],
    ),
    "a special procedure": (
        ("opened", "accepted", "special-opened", "special-closed", "refused"),
        [1, 3, 8, 9, 10, 13],
    ),
    "a special procedure means acceptance": (
        ("opened", "special-opened", "accepted", "special-closed"),
        [1, 3, 8, 9, 10],
    ),
    "decided while all is open": (
        ("opened", "correction-opened", "special-opened", "approved"),
        [1, 3, 6, 8, 9, 10, 7, 11],
    ),
    "one within the other": (
        (
            *("opened", "accepted", "correction-opened", "special-opened"),
            *("correction-closed", "special-closed", "papers_to_follow"),
        ),
        [1, 3, 8, 6, 9, 7, 10, 12],
    ),
    "withdrawn while a special procedure is open": (
        ("opened", "accepted", "special-opened", "withdrawn"),
        [1, 3, 8, 9, 10, 2],
    ),
    "nothing yet": ((), []),
}


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize("what", HISTORIES)
def test_a_history_becomes_states(what: str) -> None:
    kinds, expected = HISTORIES[what]
    records = states(told(*kinds))
    assert codes(records) == expected
    assert check_records(records) == ()
    assert not expected or check_states(expected) == ()


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize(("kind", "code"), [("recalled", 14), ("revoked", 15)])
def test_a_decision_can_be_undone_of_one_item(kind: str, code: int) -> None:
    records = states(
        history(
            step("opened"),
            step("approved", 1),
            step(kind, 2, item=DRAIN, ground="许可机关决定"),
            items=(RIVER, DRAIN),
        )
    )
    assert codes(records, RIVER) == [1, 3, 8, 11]
    assert codes(records, DRAIN) == [1, 3, 8, 11, code]
    assert records[-1].ground == "许可机关决定"


@pytest.mark.rule("RB-4.5")
@pytest.mark.rule("RB-4.8")
def test_items_are_decided_one_by_one() -> None:
    records = states(
        history(
            step("opened"),
            step("accepted", 1),
            step("special-opened", 2, item=RIVER, ground="专家评审"),
            step("refused", 3, item=DRAIN, ground="排水方案不可行"),
            step("special-closed", 4),
            step("papers_to_follow", 5, item=RIVER, ground="洪评报告后补"),
            items=(RIVER, DRAIN),
        )
    )
    assert codes(records, RIVER) == [1, 3, 8, 9, 10, 12]
    assert codes(records, DRAIN) == [1, 3, 8, 13]
    assert [record.item for record in records] == [RIVER] * 6 + [DRAIN] * 4
    assert records[3].ground == "专家评审"


@pytest.mark.rule("RB-4.8")
def test_what_nobody_reported_comes_at_the_instant_that_implies_it_and_says_so() -> None:
    records = states(
        history(
            step("opened"),
            step("correction-opened", 1, ground="缺平面图"),
            step("refused", 9.5, ground="不符合规划"),
        )
    )
    assert [(int(r.state), r.at, r.ground) for r in records[2:]] == [
        (6, NOON + timedelta(hours=1), "缺平面图"),
        (7, NOON + timedelta(hours=9.5), IMPLIED_END),
        (8, NOON + timedelta(hours=9.5), IMPLIED_ACCEPTANCE),
        (13, NOON + timedelta(hours=9.5), "不符合规划"),
    ]


IMPOSSIBLE: dict[str, tuple[TaskHistory, int, str]] = {
    "not opened": (told("accepted"), 1, "opens"),
    "opened twice": (told("opened", "opened"), 2, "opens"),
    "accepted twice": (told("opened", "accepted", "accepted"), 3, "accepted before"),
    "two corrections at once": (
        told("opened", "correction-opened", "correction-opened"),
        3,
        "one is open",
    ),
    "a correction that never began": (told("opened", "correction-closed"), 2, "none is open"),
    "the other one closed": (told("opened", "special-opened", "correction-closed"), 3, "none"),
    "two special procedures": (told("opened", "special-opened", "special-opened"), 3, "one is"),
    "decided twice": (told("opened", "approved", "refused"), 3, "every item is closed"),
    "a report after the decision": (told("opened", "approved", "special-opened"), 3, "closed"),
    "withdrawn after the decision": (told("opened", "approved", "withdrawn"), 3, "closed"),
    "the other item of two": (
        history(
            step("opened"),
            step("approved", item=RIVER),
            step("refused", item=RIVER),
            items=(RIVER, DRAIN),
        ),
        3,
        f"{RIVER} is closed",
    ),
    "revoked before it was decided": (
        history(step("opened"), step("revoked", item=RIVER)),
        2,
        "is not closed",
    ),
    "revoked twice": (
        history(step("opened"), step("approved"), *[step("revoked", item=RIVER)] * 2),
        4,
        "is closed",
    ),
    "revoked without saying what": (told("opened", "approved", "revoked"), 3, "name the item"),
    "an item nobody asked": (history(step("opened"), step("approved", item=DRAIN)), 2, "not asked"),
    "back in time": (history(step("opened", 1), step("approved", 0)), 2, "lies before"),
    "no zone": (
        history(replace(step("opened"), at=datetime(2026, 9, 16, 12))),
        1,
        "has no zone",
    ),
}


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_an_impossible_history_is_refused_at_its_step(what: str) -> None:
    told, position, reason = IMPOSSIBLE[what]
    with pytest.raises(HistoryError) as refused:
        states(told)
    assert refused.value.position == position
    assert reason in str(refused.value)
    assert TASK in str(refused.value)


# ---------------------------------------------------------------- the checker

WRONG_ORDERS: dict[str, list[int]] = {
    "nothing": [],
    "no receipt": [3, 8, 11],
    "no acceptance at the window": [1, 8, 11],
    "received twice": [1, 1, 3],
    "accepted twice at the window": [1, 3, 3],
    "declined after the window accepted": [1, 3, 4],
    "decided without acceptance": [1, 3, 11],
    "a special procedure without acceptance": [1, 3, 9],
    "accepted twice": [1, 3, 8, 8],
    "a correction at the window": [1, 6],
    "a correction ended that never began": [1, 3, 7],
    "two corrections": [1, 3, 6, 6],
    "a correction ended twice": [1, 3, 6, 7, 7],
    "a special procedure ended that never began": [1, 3, 8, 10],
    "the other one ended": [1, 3, 8, 9, 7],
    "decided while a correction is open": [1, 3, 8, 6, 11],
    "withdrawn while a special procedure is open": [1, 3, 8, 9, 2],
    "passed and not passed": [1, 3, 8, 11, 13],
    "a report after the end": [1, 3, 8, 11, 6],
    "accepted after the end": [1, 3, 5, 8],
    "something after withdrawal": [1, 3, 2, 8],
    "something after it was declined": [1, 4, 3],
    "undone before it was decided": [1, 3, 8, 15],
    "undone twice": [1, 3, 8, 11, 14, 15],
    "something after it was undone": [1, 3, 8, 11, 15, 6],
    "no such code": [1, 3, 16],
    "nought": [1, 3, 0],
}


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize("what", WRONG_ORDERS)
def test_a_wrong_order_is_found(what: str) -> None:
    assert check_states(WRONG_ORDERS[what])


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize(
    "order", [[1, 2], [1, 4], [1, 3, 5], [1, 3, 8, 13, 15], [1, 3, 6, 8, 9, 7, 10, 11, 14]]
)
def test_an_order_that_our_own_histories_need_not_have_is_right(order: list[int]) -> None:
    assert check_states(order) == ()


@pytest.mark.rule("RB-4.8")
def test_what_one_department_is_asked_twice_is_told_apart() -> None:
    first = told("opened", "refused")
    again = replace(first, task_id="ZJ20260000011.permits-water.2")
    assert check_records([*states(first), *states(again)]) == ()
    assert check_records([*states(first), *states(first)])


@pytest.mark.rule("RB-4.8")
def test_times_that_go_back_are_found() -> None:
    first, second, *rest = states(told("opened", "accepted", "approved"))
    early = replace(rest[-1], at=NOON - timedelta(seconds=1))
    (problem,) = check_records([first, second, rest[0], early])
    assert "lies before" in problem and RIVER in problem
    assert check_records([first, second, *rest]) == ()


# ---------------------------------------------------------------- random histories


@st.composite
def legal_histories(draw: st.DrawFn) -> TaskHistory:
    """A history that departments can make: each step is one of those possible then."""
    items = tuple(
        draw(st.lists(st.sampled_from([RIVER, DRAIN, "甲", "乙"]), min_size=1, unique=True))
    )
    at = draw(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
    open_: dict[str, set[str]] = {item: set() for item in items}
    accepted: set[str] = set()
    ended: set[str] = set()
    undone: set[str] = set()
    steps = [ItemStep(StepKind.OPENED, at, "desk", draw(grounds))]
    for _ in range(draw(st.integers(0, 15))):
        at += timedelta(seconds=draw(st.integers(0, 400_000)))
        going = [item for item in items if item not in ended]
        possible: list[tuple[str, str | None]] = [
            (kind, item) for item in sorted(ended - undone) for kind in ("recalled", "revoked")
        ]
        for whom in [*going, *([None] if going else [])]:
            each = [whom] if whom is not None else going
            possible += [(kind, whom) for kind in (*get_args(ItemOutcome), "withdrawn")]
            if not accepted & set(each):
                possible.append(("accepted", whom))
            for pause in ("correction", "special"):
                if all(pause not in open_[item] for item in each):
                    possible.append((f"{pause}-opened", whom))
                if all(pause in open_[item] for item in each):
                    possible.append((f"{pause}-closed", whom))
        if not possible:
            break
        kind, whom = draw(st.sampled_from(possible))
        steps.append(ItemStep(StepKind(kind), at, "water", draw(grounds), whom))
        for item in [whom] if whom is not None else going:
            if kind == "accepted":
                accepted.add(item)
            elif kind in ("recalled", "revoked"):
                undone.add(item)
            elif kind.endswith("-opened"):
                open_[item].add(kind.removesuffix("-opened"))
            elif kind.endswith("-closed"):
                open_[item].discard(kind.removesuffix("-closed"))
            else:
                ended.add(item)
    return TaskHistory("ZJ20260000011", TASK, "市水务局", items, tuple(steps))


grounds = st.none() | st.text(max_size=20)


@pytest.mark.rule("RB-4.8")
@given(legal_histories())
def test_every_legal_history_has_states_in_order(history: TaskHistory) -> None:
    records = states(history)
    assert check_records(records) == ()
    assert list(dict.fromkeys(record.item for record in records)) == list(history.items)
    assert {record.at for record in records} <= {step.at for step in history.steps}
    for item in history.items:
        assert codes(records, item)[:2] == [1, 3]


@pytest.mark.rule("RB-4.8")
@given(legal_histories(), st.data())
def test_what_was_sent_stays_as_more_happens(history: TaskHistory, data: st.DataObject) -> None:
    until = data.draw(st.integers(0, len(history.steps)))
    before = states(replace(history, steps=history.steps[:until]))
    after = states(history)
    for item in history.items:
        sent = [record for record in before if record.item == item]
        assert [record for record in after if record.item == item][: len(sent)] == sent


@pytest.mark.rule("RB-4.8")
@given(legal_histories(), st.data())
def test_a_planted_wrong_order_is_found(history: TaskHistory, data: st.DataObject) -> None:
    right = codes(states(history), history.items[0])
    position = data.draw(st.integers(0, len(right)))
    # After what stands there, none of these can come: 1 opens, 16 is none, and the last repeats.
    planted = data.draw(st.sampled_from([1, 3, 4, 16] if position > 1 else [6, 8, 11, 14]))
    assert check_states([*right[:position], planted, *right[position:]])


@pytest.mark.rule("RB-4.8")
@given(legal_histories(), st.data())
def test_what_is_left_out_or_exchanged_is_found(history: TaskHistory, data: st.DataObject) -> None:
    right = codes(states(history), history.items[0])
    position = data.draw(st.integers(0, len(right) - 2))
    pair = right[position : position + 2]
    # Only what goes on beside each other may stand in either order.
    side_by_side = [{6, 8}, {7, 8}, {6, 9}, {6, 10}, {7, 9}, {7, 10}]
    if set(pair) not in side_by_side and len(set(pair)) > 1:
        assert check_states([*right[:position], *reversed(pair), *right[position + 2 :]])
    assert check_states(right[1:])
    if len(right) > 2 and right[2] != State.WITHDRAWN:
        assert check_states([right[0], *right[2:]])


# ---------------------------------------------------------------- files


def read(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline="")))


@pytest.mark.rule("RB-4.8")
def test_the_table_and_the_lines_say_the_same() -> None:
    records = states(
        history(replace(step("opened"), at=datetime(2026, 9, 30, 17, 0, 0, 999_999, UTC)))
    )
    first = {
        "case_no": "ZJ20260000011",
        "task_id": TASK,
        "item": RIVER,
        "department": "市水务局",
        "code": 1,
        "name_zh": "接件",
        "name_en": "received",
        "at": "2026-10-01T01:00:00+08:00",
        "ground": None,
    }
    lines = json_lines(records).split("\n")
    assert json.loads(lines[0]) == first and "接件" in lines[0]
    assert (len(lines), lines[-1]) == (3, "")
    row, _ = read(csv_file(records))
    assert tuple(row) == COLUMNS
    assert row == {**{name: str(value) for name, value in first.items()}, "ground": ""}


@pytest.mark.rule("RB-4.8")
def test_the_table_begins_with_a_byte_order_mark_and_ends_lines_as_rfc_4180_has_it() -> None:
    table = csv_file(states(told("opened")))
    assert table.startswith(b"\xef\xbb\xbf" + b'"case_no","task_id"')
    assert table.count(b"\r\n") == 3 and table.endswith(b"\r\n")
    assert csv_file([]).count(b"\r\n") == 1
    assert json_lines([]) == ""


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize(
    "ground",
    [
        '=HYPERLINK("http://example.invalid","查看")',
        "+1",
        "-1+1",
        "@SUM(A1)",
        "＝1+1",
        "＠SUM",
        "\t=1",
        "\r\n=1",
        "  =1",
        "\ufeff=1",
        "\u200b\u00a0-1",
    ],
)
def test_no_cell_is_taken_for_a_formula(ground: str) -> None:
    told = history(step("opened", ground=ground))
    assert {row["ground"] for row in read(csv_file(states(told)))} == {f"'{ground}"}
    line = json_lines(states(told)).split("\n")[0]
    assert json.loads(line)["ground"] == ground


@pytest.mark.rule("RB-4.8")
@pytest.mark.parametrize("ground", ["缺图纸", "1-2", "“=”", "a=b", '引"号', "甲,乙;丙", "两\n行"])
def test_harmless_grounds_stay_as_they_are(ground: str) -> None:
    told = history(step("opened", ground=ground))
    assert {row["ground"] for row in read(csv_file(states(told)))} == {ground}


@pytest.mark.rule("RB-4.8")
@given(st.text(), st.text())
def test_whatever_is_said_a_line_is_a_line_and_a_row_a_row(item: str, ground: str) -> None:
    told = history(step("opened", ground=ground), items=(item,))
    lines = json_lines(states(told)).splitlines()
    assert [json.loads(line)["ground"] for line in lines] == [ground] * 2
    rows = read(csv_file(states(told)))
    assert [row["code"] for row in rows] == ["1", "3"]
    assert all(row["item"] in (item, f"'{item}") for row in rows)
    assert not any(row[name].startswith(("=", "+", "-", "@")) for row in rows for name in row)
