"""Tables of figures: built once, shown on a page, drawn as a chart, and sent as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.responses import Response, StreamingResponse

from domain.cells import harmless
from domain.words import Words


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        is_number: shown to the right.
        series: name by which a chart draws it; empty for one that no chart draws.
        limit: what its values are held against, in a chart.
        light: the light that a chart colours it by.
        named: what a chart calls it; None is what its head says.
    """

    words: Words
    is_number: bool = False
    series: str = ""
    limit: int | None = None
    light: str = ""
    named: Words | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: a number, words, or nothing.

    Attributes:
        value: None shows a dash.
        digits: after the point.
        unit: that follows the number, e.g. `%`.
        href: of the cases behind it.
        light: its colour, always beside `remark` or the column's own words.
        level: 0 to 3, how strongly it is shaded.
        remark: words beside the value.
        is_figure: whether `href` leads to as many as `value` says.
    """

    value: int | float | str | Words | None = None
    digits: int = 0
    unit: str = ""
    href: str = ""
    light: str = ""
    level: int = 0
    remark: Words | None = None
    is_figure: bool = False

    @property
    def number(self) -> float | int | None:
        """The value, if it is a number."""
        return self.value if isinstance(self.value, int | float) else None

    @property
    def words(self) -> Words | None:
        """The value, if it is words."""
        return self.value if isinstance(self.value, Words) else None

    @property
    def shown(self) -> str:
        """The value as it is read, but words."""
        if self.value is None or isinstance(self.value, Words):
            return "–"
        if isinstance(self.value, str):
            return self.value
        return f"{self.value:.{self.digits}f}{self.unit}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row names it.

    Attributes:
        name: of its file, and of its place on the page.
    """

    name: str
    title: Words
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def number(value: int, href: str = "", *, light: str = "", level: int = 0) -> Cell:
    """Return a number of cases, with the way to them if there are any."""
    return Cell(
        value, href=href if value else "", light=light, level=level, is_figure=bool(value and href)
    )


def level_of(value: int, most: int) -> int:
    """Return how strongly a number is shaded, from 0 for none to 3."""
    return 0 if not value else min(3, 1 + 3 * (value - 1) // max(most, 1))


def as_csv(table: Table, *, named: str) -> Response:
    """Send a table as CSV, with headers in both languages, as spreadsheets of China read it.

    Args:
        named: of the file, without its ending.
    """
    return Response(csv_part(table), media_type=_CSV, headers=_kept_as(named))


async def sent_as_csv(parts: AsyncIterator[bytes], *, named: str) -> Response:
    """Send a file that is made part by part, as soon as all of it is made.

    It is put by meanwhile, in memory or, if it is long, on disk: whoever fetches it slowly keeps
    neither the case file's moment open nor the whole of it in memory.

    Args:
        named: of the file, without its ending.
    """
    made = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  closed once it is sent
    try:
        async for part in parts:
            made.write(part)
        headers = {**_kept_as(named), "Content-Length": str(made.tell())}
        made.seek(0)
    except BaseException:
        made.close()
        raise
    return StreamingResponse(_chunks(made), media_type=_CSV, headers=headers)


_CSV = "text/csv; charset=utf-8"
_IN_MEMORY = 1_000_000
_CHUNK = 64_000


def _chunks(made: IO[bytes]) -> Iterator[bytes]:
    with made:
        while chunk := made.read(_CHUNK):
            yield chunk


def _kept_as(named: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{named}.csv"'}


def csv_part(table: Table, *, has_header: bool = True) -> bytes:
    """Write a table, or a further part of one, whose header was written before."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if has_header:
        # The mark is what a spreadsheet knows UTF-8 by.
        out.write("\ufeff")
        writer.writerow([_both(column.words) for column in table.columns])
    writer.writerows(_values(row) for row in table.rows)
    return out.getvalue().encode()


def _values(row: Sequence[Cell]) -> list[str | int | float]:
    found: list[str | int | float] = []
    for cell in row:
        match cell.value:
            case None:
                found.append("")
            case int() | float():
                found.append(cell.value)
            case str():
                found.append(harmless(cell.value))
            case Words():
                found.append(harmless(_both(cell.value)))
    return found


def _both(words: Words) -> str:
    return words.zh if words.zh == words.en else f"{words.zh} {words.en}"
