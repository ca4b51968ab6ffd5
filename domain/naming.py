"""How numbers and ids are spelled. No other module builds or takes apart one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from domain.connection import TaskKind

CASE_NO = re.compile(r"[A-Z]{2}\d{11}")
"""Two letters of the city, four digits of the year, six of the sequence, one check digit."""


def case_no(prefix: str, year: int, sequence: int) -> str:
    """Spell a case number; the last digit is a Luhn digit, so that a mistyped number is noticed.

    Raises:
        ValueError: the sequence no longer fits six digits.
    """
    if not 0 < sequence < 1_000_000:
        raise ValueError(f"sequence {sequence} does not fit a case number")
    digits = f"{year:04d}{sequence:06d}"
    return f"{prefix}{digits}{_luhn(digits)}"


def is_case_no(text: str) -> bool:
    """Whether `text` has the form and the check digit of a case number."""
    return CASE_NO.fullmatch(text) is not None and _luhn(text[2:-1]) == text[-1]


def _luhn(digits: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


@dataclass(frozen=True, slots=True)
class TaskName:
    """The parts of a task's id. The activity that owes the task has the same id.

    Attributes:
        in_place_of: the department first asked, where it named another as competent.
    """

    case_no: str
    kind: TaskKind
    round: int
    department: str | None = None
    in_place_of: str | None = None

    def __str__(self) -> str:
        what = f"{self.kind}-{self.department}" if self.department else str(self.kind)
        if self.in_place_of is not None:
            what = f"{what}-for-{self.in_place_of}"
        return f"{self.case_no}.{what}.{self.round}"


def bundle_id(no: str, round_no: int) -> str:
    """Workflow id of the parallel approval of one route; an application's is its case number."""
    return f"{no}.{TaskKind.PERMITS}.{round_no}"
