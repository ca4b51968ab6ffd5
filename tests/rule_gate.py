"""The rule gate: which rules of `docs/rules.md` have tests, and which have none.

`python -m tests.rule_gate` prints the number of tests of every rule and ends with 1 if one of
`MUST_HAVE_TESTS` has none, or if a test names a rule that does not exist. Tests say which rule they
show by `@pytest.mark.rule("RB-1.3")`; they are read, not run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULEBOOK = ROOT / "docs" / "rules.md"
TESTS = ROOT / "tests"

_RULE = re.compile(r"\*\*(RB-\d+\.\d+)\*\*")

# What is built. Whoever builds what another rule asks for adds the rule here.
MUST_HAVE_TESTS = (
    *("RB-1.1", "RB-1.2", "RB-1.3", "RB-1.4", "RB-1.5", "RB-1.6", "RB-1.8", "RB-1.9"),
    *("RB-2.1", "RB-2.2", "RB-2.3", "RB-2.5", "RB-2.6"),
    *("RB-3.1", "RB-3.4", "RB-3.5", "RB-3.6", "RB-3.7"),
    *("RB-4.1", "RB-4.2", "RB-4.3", "RB-4.4", "RB-4.5", "RB-4.6", "RB-4.7", "RB-4.8"),
    *("RB-5.1", "RB-6.1", "RB-6.2"),
    *("RB-7.1", "RB-7.2", "RB-7.3", "RB-7.4"),
    *("RB-12.1", "RB-12.2", "RB-12.3", "RB-13.1", "RB-13.2", "RB-13.3"),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the gate found.

    Attributes:
        tests: number of tests that are marked with each rule of the rulebook, 0 included.
        without: rules of `MUST_HAVE_TESTS` that have none.
        unknown: rules that tests name and the rulebook does not.
    """

    tests: dict[str, int]
    without: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        """Whether the gate lets this state of the repository through."""
        return not self.without and not self.unknown


def rules(rulebook: str) -> tuple[str, ...]:
    """Return the numbers of all rules, in the order of the rulebook."""
    return tuple(_RULE.findall(rulebook))


def marks(source: str) -> Iterator[str]:
    """Return the rules that a test module names, once for each `mark.rule`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="rule", value=ast.Attribute(attr="mark"))):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def check(rulebook: str, sources: list[str]) -> Findings:
    """Hold the tests' marks against the rulebook."""
    known = rules(rulebook)
    counted = Counter(mark for source in sources for mark in marks(source))
    return Findings(
        tests={rule: counted[rule] for rule in known},
        without=tuple(rule for rule in MUST_HAVE_TESTS if not counted[rule]),
        unknown=tuple(sorted(counted.keys() - set(known))),
    )


def check_repository() -> Findings:
    """Check the repository this file lies in."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("*.py"))]
    return check(RULEBOOK.read_text(encoding="utf-8"), sources)


def main() -> int:
    """Print what was found; return the exit code."""
    found = check_repository()
    for rule, number in found.tests.items():
        must = "" if number or rule in found.without else "  (not built yet)"
        print(f"{rule:8} {number:3}{must}")
    for rule in found.without:
        print(f"rule gate: {rule} has no test", file=sys.stderr)
    for rule in found.unknown:
        print(f"rule gate: a test names {rule}, which is not in {RULEBOOK.name}", file=sys.stderr)
    return 0 if found.is_passed else 1


if __name__ == "__main__":
    sys.exit(main())
