"""Pages that say what code and data say: they are drawn from it, or checked against it."""

from __future__ import annotations

import re

import pytest

from domain.connection import STORY, Ending, TaskKind, Voltage, diagram
from tests.rule_gate import RULEBOOK, rules
from tests.story_page import PAGE, page


def test_the_page_of_the_story_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "draw it: python -m tests.story_page"


@pytest.mark.parametrize("voltage", Voltage)
def test_the_picture_shows_every_task_outcome_and_ending(voltage: Voltage) -> None:
    drawn = diagram(voltage)
    assert drawn in PAGE.read_text(encoding="utf-8")
    arrows = re.findall(r"^    (\w+) (?:-->|-\.->)\|(\w+)\| (\w+)", drawn, re.MULTILINE)
    assert {(kind, code) for kind, code, _ in arrows} == {
        (kind, code) for kind, turns in STORY[voltage].items() for code in turns
    }
    endings = set(re.findall(r"\(\[(\w+)\]\)", drawn))
    assert endings <= set(Ending)
    on_record = {f"{kind}_on_record" for kind in TaskKind}
    assert {to for _, _, to in arrows} - endings <= set(TaskKind) | on_record


def test_the_table_has_a_row_for_every_ending() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Endings")[2]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(Ending)


def test_the_rulebook_numbers_its_rules_without_gaps() -> None:
    numbered = [tuple(map(int, rule[3:].split("."))) for rule in rules(RULEBOOK.read_text("utf-8"))]
    chapters = sorted({chapter for chapter, _ in numbered})
    assert chapters == list(range(1, 14))
    for chapter in chapters:
        numbers = [number for each, number in numbered if each == chapter]
        assert numbers == list(range(1, len(numbers) + 1))
