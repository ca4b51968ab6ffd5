"""Tables as people send them: CSV in UTF-8 or GB 18030, or XLSX; read as text, within bounds.

What comes from outside is bounded before it is unpacked, and nothing in it is carried out: no
formula, no link, no entity of XML (defusedxml stands behind openpyxl).
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import openpyxl
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from domain.cells import harmless, is_formula
from domain.errors import FieldProblem, InputRefused

MOST_BYTES = 1_000_000
"""Of a file. Below what the framework keeps in memory, so that it never lies on a disk."""
MOST_ROWS = 1_000
MOST_COLUMNS = 60
MOST_UNPACKED = 30_000_000
MOST_PARTS = 200
MOST_MARKS = 1_000_000
"""Beginnings of XML's marks in the cells: a thousand rows of sixty texts have half as many."""
MOST_MARKS_ELSEWHERE = 50_000
"""In formats, names and the rest, each of which the library makes into objects of its own."""
MOST_SHEETS = 50
LONGEST_CELL = 2_000


CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

assert openpyxl.DEFUSEDXML, "XML from outside is read with defusedxml only"


def rows_of(content: bytes) -> list[tuple[int, list[str]]]:
    """Read the rows of a table, each with its number in the file, without those that are empty.

    Raises:
        InputRefused: it is no table, or over a bound; nothing of it was taken.
    """
    if len(content) > MOST_BYTES:
        raise _refused(
            f"the file may have {MOST_BYTES // 1000} kB at most; split it",
            f"文件不得超过 {MOST_BYTES // 1000} KB，请拆分后分次导入",
        )
    rows = _of_xlsx(content) if content.startswith(b"PK\x03\x04") else _of_csv(content)
    # The first is the header.
    if len(rows) > MOST_ROWS + 1:
        raise _refused(
            f"there may be {MOST_ROWS} rows at most; split the file",
            f"一次最多导入 {MOST_ROWS} 行，请拆分后分次导入",
        )
    if not rows:
        raise _refused("the file is empty", "文件为空")
    return rows


def csv_of(rows: Iterable[Sequence[object]]) -> bytes:
    """Write a table that spreadsheets open as it is: with a mark for UTF-8, and no formula."""
    text = io.StringIO()
    csv.writer(text).writerows([[_safe(cell) for cell in row] for row in rows])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def xlsx_of(rows: Iterable[Sequence[object]]) -> bytes:
    """Write a table whose cells are all texts, so that no number loses digits."""
    book = openpyxl.Workbook()
    sheet: Worksheet = book.worksheets[0]
    for number, row in enumerate(rows, start=1):
        for position, value in enumerate(row, start=1):
            cell = sheet.cell(number, position, str(value))
            # Not what the library would take it for.
            cell.data_type = "s"
            cell.number_format = "@"
            if number == 1:
                cell.font = Font(bold=True)
    for position, column in enumerate(sheet.iter_cols(values_only=True), start=1):
        width = max(sum(2 if ord(c) > 255 else 1 for c in str(cell or "")) for cell in column) + 4
        dimensions = sheet.column_dimensions[get_column_letter(position)]
        dimensions.width = width
        # What is typed below the example stays a text as well.
        dimensions.number_format = "@"
    sheet.freeze_panes = "A2"
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _safe(cell: object) -> str:
    return harmless(str(cell))


# ---------------------------------------------------------------- CSV


def _of_csv(content: bytes) -> list[tuple[int, list[str]]]:
    text = _decoded(content)
    if "\x00" in text:
        raise _not_a_table()
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num - sum(cell.count("\n") for cell in row), _cells(row)))
            if len(rows) > MOST_ROWS + 1:
                break
    except csv.Error:
        line = reader.line_num
        raise _refused(
            f"line {line} cannot be read: look at its quotation marks",
            f"第 {line} 行无法读取，请检查引号是否成对",
        ) from None
    return rows


def _decoded(content: bytes) -> str:
    # UTF-8 first: its rules are so narrow that text in GB 18030 hardly ever passes for it.
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            pass
    raise _not_a_table()


# ---------------------------------------------------------------- XLSX


def _of_xlsx(content: bytes) -> list[tuple[int, list[str]]]:
    try:
        _check_archive(content)
        reader = _Reader(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        reader.read()
        try:
            return _of_sheet(reader.wb.worksheets[0])
        finally:
            reader.wb.close()
    except InputRefused:
        raise
    except Exception:  # noqa: BLE001  whatever a broken file leads the library to
        raise _not_a_table() from None


def _check_archive(content: bytes) -> None:
    """Refuse what would unpack to more than a table of this size can be."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        # A part that says less than it holds is cut off there when it is read.
        if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED:
            raise _too_large()
        marks = {True: 0, False: 0}
        for part in parts:
            marks[_is_of_cells(part.filename)] += archive.read(part).count(b"<")
    if marks[True] > MOST_MARKS or marks[False] > MOST_MARKS_ELSEWHERE:
        raise _too_large()


def _is_of_cells(part: str) -> bool:
    return part.startswith("xl/worksheets/") or part == "xl/sharedStrings.xml"


class _Reader(ExcelReader):
    """Reads a workbook, unless it names more sheets than anybody's has.

    Each name has the sheet's beginning read, and all may be of one that is long.
    """

    def read_worksheets(self) -> None:
        if len(self.parser.sheets) > MOST_SHEETS:
            raise _too_large()
        super().read_worksheets()


def _of_sheet(sheet: Any) -> list[tuple[int, list[str]]]:
    # What a file says of its own size is not to be relied on.
    sheet.reset_dimensions()
    bounded = sheet.iter_rows(max_row=MOST_UNPACKED // 1000, max_col=MOST_COLUMNS, values_only=True)
    rows: list[tuple[int, list[str]]] = []
    for number, row in enumerate(bounded, start=1):
        if any(cell is not None and str(cell).strip() for cell in row):
            rows.append((number, _cells([_text(cell) for cell in row])))
        if len(rows) > MOST_ROWS + 1:
            break
    return rows


def _text(cell: object) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "是" if cell else "否"
        case int():
            # Fifteen digits are all that a spreadsheet keeps of a number.
            return str(cell) if abs(cell) < 10**15 else f"{cell:.2E}"
        case float():
            return f"{cell:.12g}" if abs(cell) < 10**15 else f"{cell:.2E}"
        case datetime() | date():
            return cell.isoformat()
        case _:
            return str(cell)


def _cells(row: Iterable[str]) -> list[str]:
    return [_unquoted(cell.strip())[:LONGEST_CELL] for cell in list(row)[:MOST_COLUMNS]]


def _unquoted(cell: str) -> str:
    # How some write a number as a text into CSV; and what `_safe` puts before a text.
    if cell.startswith('="') and cell.endswith('"') and len(cell) > 2:
        return cell[2:-1]
    return cell[1:] if cell[:1] == "'" and is_formula(cell[1:]) else cell


def _too_large() -> InputRefused:
    return _refused(
        "the file unpacks to far more than a table of applications",
        "文件解压后过大，不是申请表",
    )


def _not_a_table() -> InputRefused:
    return _refused(
        "this is neither CSV (UTF-8 or GB 18030) nor XLSX; save it as one of these",
        "文件不是 CSV（UTF-8 或 GB18030 编码）或 XLSX，请另存为其中一种后重试",
    )


def _refused(en: str, zh: str) -> InputRefused:
    return InputRefused(FieldProblem("file", en, zh))
