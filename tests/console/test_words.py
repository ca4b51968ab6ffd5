"""Nothing is shown by its code: every table of words has what it names, in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest

from api.open_cases import SHADES
from console import rendering, words
from console.tasks import CHOOSE_A_COLLEAGUE
from console.words import EVENTS
from domain.access import Act
from domain.accounts import StaffRole
from domain.application import Channel
from domain.clocks import Light
from domain.connection import Code, Ending, Voltage
from domain.errors import FieldProblem
from domain.identity import IdType
from domain.investment import Decision
from domain.opinions import View
from domain.policy import ApplicantKind, ItemOutcome, Purpose, Size, Supply
from domain.task_events import TaskEventKind
from domain.words import Words

ROOT = Path(__file__).parents[2]
CHINESE = re.compile("[\u4e00-\u9fff]")
TABLES = {
    name: table
    for name, table in vars(words).items()
    if name.isupper() and isinstance(table, Mapping)
}


def _members(kind: type[StrEnum]) -> set[str]:
    return {str(each) for each in kind}


@pytest.mark.parametrize(
    ("table", "named"),
    [
        (words.ROLES, _members(StaffRole)),
        (words.ACTS, _members(Act)),
        (words.ENDINGS, _members(Ending)),
        (words.CODES, _members(Code)),
        (words.LIGHTS, _members(Light)),
        (words.SHADES, set(SHADES)),
        (words.OPINIONS, _members(View)),
        (words.REPORTS, _members(TaskEventKind)),
        (words.VOLTAGES, _members(Voltage)),
        (words.ITEM_OUTCOMES, set(get_args(ItemOutcome))),
        (words.CHANNELS, set(get_args(Channel))),
        (words.SUPPLIES, set(get_args(Supply))),
        (words.PURPOSES, set(get_args(Purpose))),
        (words.APPLICANT_KINDS, set(get_args(ApplicantKind))),
        (words.SIZES, set(get_args(Size))),
        (words.ID_TYPES, set(get_args(IdType))),
        (words.INVESTMENTS, set(get_args(Decision))),
        (words.STATES, {"open", "ended"}),
        (words.CLOCK_STATES, {"running", "suspended", "stopped"}),
    ],
)
def test_a_table_has_all_that_it_names(table: Mapping[str, Words], named: Collection[str]) -> None:
    assert {str(key) for key in table} == named


def test_every_table_speaks_both_languages() -> None:
    assert len(TABLES) > 15
    for name, table in TABLES.items():
        for key, said in table.items():
            assert CHINESE.search(said.zh), (name, key)
            assert said.en and not CHINESE.search(said.en), (name, key)


def test_a_field_of_days_is_not_called_a_person() -> None:
    (_, named, _), (_, colleague, _) = rendering.Problems(
        [FieldProblem("to", "", ""), CHOOSE_A_COLLEAGUE]
    ).named()
    assert named == Words("截止日期", "To")
    assert colleague == Words("承办人员", "Holder")


def _event_kinds(source: str) -> Iterator[str]:
    """Yield the kinds of the events that a module appends to records, where it spells them."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="append" | "Link"), keywords=keywords):
                found = [each.value for each in keywords if each.arg == "kind"]
            case ast.Call(func=ast.Attribute(attr="note"), args=[_, kind, *_]):
                found = [kind]
            case _:
                continue
        for value in found:
            if isinstance(value, ast.Constant):
                yield str(value.value)


def test_every_event_that_is_written_has_a_name() -> None:
    written = {
        kind
        for folder in ("storage", "activities", "operations")
        for path in (ROOT / folder).glob("*.py")
        for kind in _event_kinds(path.read_text(encoding="utf-8"))
    }
    assert {"submitted", "task_opened", "bundle_concluded", "filed", "numbers_shown"} <= written
    assert written - EVENTS.keys() == set()
