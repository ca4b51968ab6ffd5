"""The rule gate lets this repository through, and can refuse one."""

from __future__ import annotations

from tests.rule_gate import MUST_HAVE_TESTS, RULEBOOK, check, check_repository, main, marks, rules

BOOK = "".join(f"- **{rule}** …\n" for rule in MUST_HAVE_TESTS)


def _test_of(*named: str) -> str:
    return "\n".join(
        f'@pytest.mark.rule("{rule}")\ndef test_{number}(): ...'
        for number, rule in enumerate(named)
    )


def test_every_rule_that_is_built_has_a_test() -> None:
    found = check_repository()
    assert (found.without, found.unknown) == ((), ())
    assert main() == 0


def test_what_must_have_tests_stands_in_the_rulebook() -> None:
    assert set(MUST_HAVE_TESTS) <= set(rules(RULEBOOK.read_text(encoding="utf-8")))


def test_a_rule_without_a_test_is_refused() -> None:
    *most, last = MUST_HAVE_TESTS
    assert check(BOOK, [_test_of(*most, last)]).is_passed
    found = check(BOOK, [_test_of(*most)])
    assert (found.without, found.is_passed) == ((last,), False)


def test_a_mark_that_names_no_rule_is_refused() -> None:
    found = check(BOOK, [_test_of(*MUST_HAVE_TESTS, "RB-99.1")])
    assert (found.unknown, found.is_passed) == (("RB-99.1",), False)


def test_marks_are_counted_wherever_they_stand() -> None:
    source = """
import pytest
pytestmark = pytest.mark.rule("RB-1.1")

@pytest.mark.rule("RB-1.2", "RB-1.3")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.rule("RB-1.4"))])
async def test_it(x):
    '''Not a mark: pytest.mark.rule("RB-1.5").'''
"""
    assert sorted(marks(source)) == ["RB-1.1", "RB-1.2", "RB-1.3", "RB-1.4"]
