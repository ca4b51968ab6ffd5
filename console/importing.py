"""Many applications from a file: chosen, looked at line by line, confirmed, taken in part by part.

The file holds personal data, and is kept nowhere: it stays in memory while it is read, and what is
to be taken in comes back with the page that confirms it, in parts small enough to be answered in
seconds. So it makes no difference which process answers, nothing has to be thrown away afterwards,
and whatever cuts it off, the file can be sent again: what was taken is told, and not taken twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from api import importing
from api.importing import Line, Taken
from api.services import Serving
from api.sheets import CSV_TYPE, XLSX_TYPE, csv_of, xlsx_of
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from domain.access import Act
from domain.application_rows import COLUMN_OF, COLUMNS, NEEDED
from domain.errors import FieldProblem, InputRefused

router = APIRouter()

PATHS = re.compile(rf"{PATH}/cases/import(/lines|/results\.csv)?")
LIMIT_BYTES = 6_000_000
"""Of a form: a thousand lines at once, from a browser without scripts."""
SECONDS_AT_ONCE = 15.0
"""After this, a browser without scripts is asked to send the rest."""

_CHOOSE_A_FILE = FieldProblem("file", "choose a file", "请选择文件")


@router.get("/cases/import", name=Act.SUBMIT_APPLICATION)
async def choose_file(request: Request, visitor: Guarded) -> Response:
    """Show what a file must look like, and take one."""
    return _choosing(request, visitor)


@router.get("/cases/import/template.csv", name=Act.SUBMIT_APPLICATION)
async def csv_template() -> Response:
    """Give the template as CSV."""
    return _file(csv_of(importing.template_rows()), CSV_TYPE, "template.csv")


@router.get("/cases/import/template.xlsx", name=Act.SUBMIT_APPLICATION)
async def xlsx_template() -> Response:
    """Give the template as XLSX, whose cells are texts."""
    return _file(xlsx_of(importing.template_rows()), XLSX_TYPE, "template.xlsx")


@router.post("/cases/import", name=Act.SUBMIT_APPLICATION)
async def look_at(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Say of every line whether it would be taken in, and if not, why; nothing is taken in."""
    form = await request.form()
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            return _choosing(request, visitor, [_CHOOSE_A_FILE])
        table = await importing.look_at(await file.read(), visitor.caller, services)
    except InputRefused as refused:
        return _choosing(request, visitor, refused.problems)
    finally:
        await form.close()
    ready = [line for line in table.lines if line.body is not None and line.taken_as is None]
    return page(
        request,
        visitor,
        "import_report.html",
        back=f"{PATH}/cases/import",
        file_name=file.filename,
        ignored=table.ignored,
        refused=[line for line in table.lines if line.body is None],
        taken=[line for line in table.lines if line.taken_as is not None],
        ready=ready,
        parts=_parts(ready),
        columns=COLUMN_OF,
        result_of=_result_of,
    )


@router.post("/cases/import/lines", name=Act.SUBMIT_APPLICATION)
async def take_lines(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Take lines in; a script sends them part by part, without one all come at once."""
    form = await request.form()
    lines = [_unpacked(str(text)) for text in form.getlist("line")]
    if not request.headers.get("HX-Request"):
        return await _take_for_a_while(request, visitor, services, lines)
    found = await importing.take(
        [_asked(line) for line in lines], request, visitor.caller, services
    )
    parts, part = _count(form, "parts"), _count(form, "part")
    refused = _count(form, "refused") + sum(each.no is None for each in found)
    return page(
        request,
        visitor,
        "import_part.html",
        found=found,
        results={each.number: _result(line, each) for line, each in zip(lines, found, strict=True)},
        part=part + 1 if lines else 0,
        parts=parts,
        taken=_count(form, "taken") + sum(each.no is not None for each in found),
        refused=refused,
        all=_count(form, "all"),
    )


@router.post("/cases/import/results.csv", name=Act.SUBMIT_APPLICATION)
async def results(request: Request, visitor: Guarded) -> Response:
    """Give the results as a file."""
    form = await request.form()
    rows = [_listed(str(text)) for text in form.getlist("result")]
    in_order = sorted(rows, key=lambda row: (int(row[0]) if row[0].isdigit() else 0, row))
    heading = ["行号", "申请人", "用电地址", "办件编号", "说明"]
    if visitor.language == "en":
        heading = ["Line", "Applicant", "Address", "Case number", "Remark"]
    return _file(csv_of([heading, *in_order]), CSV_TYPE, "results.csv")


# ---------------------------------------------------------------- a browser without scripts


async def _take_for_a_while(
    request: Request, visitor: Visitor, services: Serving, lines: Sequence[Mapping[str, Any]]
) -> Response:
    until = monotonic() + SECONDS_AT_ONCE
    found: list[Taken] = []
    while len(found) < len(lines) and monotonic() < until:
        part = lines[len(found) : len(found) + importing.AT_ONCE]
        asked = [_asked(line) for line in part]
        found += await importing.take(asked, request, visitor.caller, services)
    return page(
        request,
        visitor,
        "import_result.html",
        back=f"{PATH}/cases/import",
        rows=[
            {"line": line, "taken": each, "result": _result(line, each)}
            for line, each in zip(lines, found, strict=False)
        ],
        left=[json.dumps(line, ensure_ascii=False) for line in lines[len(found) :]],
    )


# ---------------------------------------------------------------- lines on their way


def _parts(lines: Sequence[Line]) -> list[list[str]]:
    most = importing.AT_ONCE
    return [
        [_packed(line) for line in lines[start : start + most]]
        for start in range(0, len(lines), most)
    ]


def _packed(line: Line) -> str:
    return json.dumps({"n": line.number, "key": line.key, "body": line.body}, ensure_ascii=False)


def _unpacked(text: str) -> Mapping[str, Any]:
    """Read a line as it was packed. What is in it is checked once more when it is taken in.

    Raises:
        InputRefused: it is none of ours.
    """
    try:
        line = json.loads(text)
        is_line = (
            isinstance(line, dict)
            and isinstance(line["n"], int)
            and re.fullmatch(r"import-[0-9a-f]{40}-[0-9]{1,4}", line["key"]) is not None
            and isinstance(line["body"], dict)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        is_line = False
    if not is_line:
        raise InputRefused(
            FieldProblem("file", "send the file again", "内容不完整，请重新选择文件导入")
        )
    checked: Mapping[str, Any] = line
    return checked


def _asked(line: Mapping[str, Any]) -> tuple[int, str, Mapping[str, Any]]:
    return line["n"], line["key"], line["body"]


def _result(line: Mapping[str, Any], taken: Taken) -> str:
    body = line["body"]
    return _as_result(
        taken.number, body["applicant"]["name"], body["site"]["address"], taken.no or "", taken.zh
    )


def _result_of(line: Line) -> str:
    remark = "；".join(
        f"{COLUMN_OF[each.field].words.zh}：{each.zh}" for each in line.problems
    ) or ("此前已收件" if line.taken_as else "")
    return _as_result(line.number, line.name, line.address, line.taken_as or "", remark)


def _as_result(*cells: object) -> str:
    return json.dumps([str(cell) for cell in cells], ensure_ascii=False)


def _listed(text: str) -> list[str]:
    try:
        cells = json.loads(text)
    except (ValueError, RecursionError):
        cells = None
    if not isinstance(cells, list) or len(cells) != 5:
        raise InputRefused(FieldProblem("file", "send the file again", "请重新选择文件导入"))
    return [str(cell)[:2_000] for cell in cells]


def _count(form: FormData, name: str) -> int:
    text = str(form.get(name, ""))
    return int(text) if re.fullmatch("[0-9]{1,5}", text) else 0


def _choosing(
    request: Request, visitor: Visitor, problems: Sequence[FieldProblem] = ()
) -> Response:
    return page(
        request,
        visitor,
        "import.html",
        status=422 if problems else 200,
        back=f"{PATH}/cases/import",
        problems=Problems(problems),
        columns=COLUMNS,
        needed=NEEDED,
    )


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
