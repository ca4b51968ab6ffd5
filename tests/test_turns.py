"""Whole systems take turns: tests that start them lie where one worker runs them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.turns import IN_TURNS, group_of

TESTS = Path(__file__).parent
# What starts programs on ports that are the same in every test.
STARTING = ("from tests.system.town import", "from tests.system.test_cli import", "upping.plan(")


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/system/test_cli.py::test_up[x]", "tests/system/"),
        ("tests/system/test_backup.py::test_restore", "tests/system/"),
        ("tests/console/test_browser.py::test_list", "tests/console/test_browser.py"),
        ("tests/domain/test_clocks.py::test_net[1]", "tests/domain/test_clocks.py::test_net[1]"),
    ],
)
def test_only_what_takes_turns_shares_a_group(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group


def test_whatever_starts_a_whole_system_takes_turns() -> None:
    found = {
        f"tests/{path.relative_to(TESTS).as_posix()}"
        for path in TESTS.rglob("test_*.py")
        if path != Path(__file__)
        and any(each in path.read_text(encoding="utf-8") for each in STARTING)
    }
    assert found, "the words to look for are out of date"
    assert [each for each in found if not each.startswith(IN_TURNS)] == []
