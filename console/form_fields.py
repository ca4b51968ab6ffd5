"""Reading fields of forms and of addresses; what is wrong with one is noted, with what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from uuid import uuid4

from starlette.datastructures import FormData, QueryParams

from domain.errors import FieldProblem

_BETWEEN = re.compile(r"[\s,，;；、]+")

Sent = FormData | QueryParams | Mapping[str, str]


def text(sent: Sent, name: str, at_most: int = 500) -> str:
    """Return a field without what surrounds it; empty if it was not sent."""
    return str(sent.get(name, "")).strip()[:at_most]


def many(sent: Sent, name: str) -> list[str]:
    """Return what is listed in a field, with blanks, commas or lines between; each once."""
    found = _BETWEEN.split(str(sent.get(name, "")).strip())
    return list(dict.fromkeys(each for each in found if each))


def day(sent: Sent, name: str, problems: list[FieldProblem]) -> date | None:
    """Return a date; None if there is none, or with a problem noted if it is none."""
    if not (written := text(sent, name)):
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        problems.append(FieldProblem(name, "is not a date", "不是日期"))
        return None


def whole(sent: Sent, name: str, problems: list[FieldProblem]) -> int | None:
    """Return a whole number; None if there is none, or with a problem noted if it is none."""
    if not (written := text(sent, name)):
        return None
    if not (written.isascii() and written.isdigit() and len(written) <= 9):
        problems.append(FieldProblem(name, "is not a whole number", "须为整数"))
        return None
    return int(written)


def new_key() -> str:
    """Make the idempotency key of a form: sent twice, it is taken once."""
    return uuid4().hex
