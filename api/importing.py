"""Many applications from one table: looked at line by line, then taken in one by one (RB-3.6).

Nothing of a table is kept here. What was looked at goes back to whoever sent it, and comes again
line by line when it is to be taken in. A line's idempotency key is made of its contents, so that a
table sent twice, or sent once more after some of its lines were corrected, makes no second cases,
wherever it was cut off before.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from api import applications
from api.auth import Caller
from api.problems import body_of as problem_of
from api.problems import field_problems
from api.services import Services
from api.sheets import rows_of
from domain.access import Act
from domain.application import Application
from domain.application_rows import COLUMN_OF, COLUMNS, NEEDED, body_of, columns_of
from domain.draft import Draft, assess
from domain.errors import FieldProblem, InputRefused
from domain.policy import Policy
from domain.working_time import civil_date
from storage.chain import canonical, digest

AT_ONCE = 10
"""Lines that are taken in together: while the engine is away, each waits for it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table, looked at.

    Attributes:
        number: of the row in the file.
        name, address: as written, to know it by.
        body: of the application; None where it would be refused.
        problems: for which it would be refused; fields are those of `domain.application_rows`.
        warnings: what somebody should look at (RB-3.4).
        key: of its submission; empty where it would be refused.
        taken_as: the number it was given before; None: it was not.
    """

    number: int
    name: str
    address: str
    body: Mapping[str, Any] | None
    problems: tuple[FieldProblem, ...]
    warnings: tuple[FieldProblem, ...]
    key: str = ""
    taken_as: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table, looked at.

    Attributes:
        ignored: headings that are none of ours.
    """

    lines: tuple[Line, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a line: its number, or why it was not taken."""

    number: int
    no: str | None
    en: str = ""
    zh: str = ""


def template_rows() -> list[list[str]]:
    """Return the rows of an empty table: the headings, and one example."""
    return [
        [column.words.zh for column in COLUMNS],
        [column.example for column in COLUMNS],
    ]


async def look_at(content: bytes, caller: Caller, services: Services) -> Table:
    """Look at every line of a table; nothing is taken in, and nothing kept.

    Raises:
        InputRefused: it is no table, or has not the columns of one; says what to do.
    """
    caller.needs(Act.SUBMIT_APPLICATION)
    on = civil_date(services.settings.clock.civil(services.now()))
    # A thousand lines take a while, in which others are to be served.
    table = await asyncio.to_thread(_looked_at, content, services.policy, on)
    keys = [line.key for line in table.lines if line.key]
    numbers = await services.reading.numbers_of(caller.agency, keys)
    return Table(tuple(_with_number(line, numbers) for line in table.lines), table.ignored)


async def take(
    lines: Sequence[tuple[int, str, Mapping[str, Any]]],
    request: Request,
    caller: Caller,
    services: Services,
) -> list[Taken]:
    """Take lines in, each by itself, as if it had been submitted alone.

    Args:
        lines: number, key and body of each, as `look_at` gave them.
    """
    caller.needs(Act.SUBMIT_APPLICATION)
    found: list[Taken] = []
    for start in range(0, len(lines), AT_ONCE):
        part = lines[start : start + AT_ONCE]
        found += await asyncio.gather(*[_one(*line, request, caller, services) for line in part])
    return found


async def _one(
    number: int,
    key: str,
    body: Mapping[str, Any],
    request: Request,
    caller: Caller,
    services: Services,
) -> Taken:
    try:
        application = Application.model_validate(body)
        receipt = await applications.submit(application, key, caller, services)
    except ValidationError as error:
        return _refusal(number, InputRefused(*field_problems(error.errors())), request)
    except Exception as error:  # noqa: BLE001  one line's trouble is no other's
        return _refusal(number, error, request)
    return Taken(number, receipt.headers["Location"].rsplit("/", 1)[1])


def _refusal(number: int, error: Exception, request: Request) -> Taken:
    problem = problem_of(error, request)
    return Taken(number, None, problem["detail"], problem["detail_zh"])


# ---------------------------------------------------------------- looking at it


def _looked_at(content: bytes, policy: Policy, on: date) -> Table:
    (_, header), *rows = rows_of(content)
    places, ignored = columns_of(header)
    _check_columns(places)
    if not rows:
        raise InputRefused(
            FieldProblem("file", "there is no line below the headings", "标题行以下没有内容")
        )
    seen: Counter[str] = Counter()
    lines = []
    for number, row in rows:
        cells = {field: row[place] for field, place in places.items() if place < len(row)}
        lines.append(_line(number, cells, policy, on, seen))
    return Table(tuple(lines), tuple(ignored))


def _check_columns(places: Mapping[str, int]) -> None:
    if lacking := [column.words for column in NEEDED if column.field not in places]:
        named = ", ".join(words.en for words in lacking)
        raise InputRefused(
            FieldProblem(
                "file",
                f"columns are missing: {named}; use the template",
                f"缺少列：{'、'.join(words.zh for words in lacking)}，请使用模板",
            )
        )


def _line(
    number: int, cells: Mapping[str, str], policy: Policy, on: date, seen: Counter[str]
) -> Line:
    body, problems = body_of(cells, policy)
    draft, of_shape = _in_shape(body)
    assessed = assess(draft, policy, on)
    problems += [_by_column(each) for each in (*of_shape, *assessed.checked.problems)]
    known = {problem.field for problem in problems}
    problems += [
        FieldProblem(field, "fill this in", "必填")
        for field in assessed.missing
        if field not in known
    ]
    name, address = cells.get("applicant.name", ""), cells.get("site.address", "")
    if problems:
        return Line(number, name, address, None, tuple(problems), assessed.checked.warnings)
    content = Application.model_validate(body).model_dump(mode="json")
    fingerprint = digest(canonical(content))[:40]
    seen[fingerprint] += 1
    # Two lines of one table that say the same are meant as two.
    key = f"import-{fingerprint}-{seen[fingerprint]}"
    return Line(number, name, address, content, (), assessed.checked.warnings, key)


def _in_shape(body: Mapping[str, Any]) -> tuple[Draft, list[FieldProblem]]:
    try:
        return Draft.model_validate(body), []
    except ValidationError as error:
        found = error.errors()
    return Draft.model_validate(_without(body, [each["loc"] for each in found])), field_problems(
        found
    )


def _without(body: Mapping[str, Any], places: Iterable[Sequence[int | str]]) -> dict[str, Any]:
    """Copy a body without the fields at these places; of a list, the whole."""
    kept = {name: dict(v) if isinstance(v, dict) else v for name, v in body.items()}
    for outer, *inner in places:
        within = kept.get(str(outer))
        if inner and isinstance(within, dict):
            within.pop(inner[0], None)
        else:
            kept.pop(str(outer), None)
    return kept


def _by_column(problem: FieldProblem) -> FieldProblem:
    field = problem.field if problem.field in COLUMN_OF else "documents.identity"
    return FieldProblem(field, problem.en, problem.zh)


def _with_number(line: Line, numbers: Mapping[str, str]) -> Line:
    if line.key not in numbers:
        return line
    return Line(
        line.number,
        line.name,
        line.address,
        line.body,
        line.problems,
        line.warnings,
        line.key,
        numbers[line.key],
    )
