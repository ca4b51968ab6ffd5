"""Tables of applications as people send them: read within bounds, and line by line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date

import openpyxl
import pytest
from openpyxl.xml.constants import REL_NS

from api import sheets
from api.importing import Table, _looked_at, template_rows
from domain.errors import InputRefused
from policy.loader import policy_for
from tests.support.cases import POLICY

HEADER, EXAMPLE = template_rows()
TODAY = date(2026, 9, 16)


def _table(content: bytes) -> Table:
    return _looked_at(content, policy_for(POLICY), TODAY)


def _csv(*rows: list[str], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    return "\r\n".join(delimiter.join(row) for row in rows).encode(encoding)


def _xlsx(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _changed(**changes: object) -> list[object]:
    return [changes.get(name, cell) for name, cell in zip(HEADER, EXAMPLE, strict=True)]


@pytest.mark.parametrize(
    "content",
    [
        _csv(HEADER, EXAMPLE),
        _csv(HEADER, EXAMPLE, encoding="utf-8-sig"),
        _csv(HEADER, EXAMPLE, encoding="gb18030"),
        _csv(HEADER, EXAMPLE, delimiter=";"),
        _csv(HEADER, EXAMPLE, delimiter="\t"),
        sheets.csv_of([HEADER, EXAMPLE]),
        sheets.xlsx_of([HEADER, EXAMPLE]),
        _xlsx([*HEADER], [*EXAMPLE]),
    ],
    ids=["UTF-8", "with a mark", "GB 18030", "semicolons", "tabs", "ours", "our XLSX", "XLSX"],
)
def test_the_same_table_is_the_same_however_it_was_saved(content: bytes) -> None:
    (line,) = _table(content).lines
    assert line.problems == ()
    assert line.number == 2
    assert line.key == _table(_csv(HEADER, EXAMPLE)).lines[0].key


def test_words_of_both_languages_and_codes_are_understood() -> None:
    header = ["Kind of applicant", "Applicant*", "证件号码", "联系电话", "企业规模", "用电地址"]
    header += ["District", "capacity (kVA)", "同意调取电子证照", "备注"]
    row = ["enterprise", "示例厂", "91440802MA0000015Q", "13800000001", "Small", "示例路1号"]
    table = _table(_csv(header, [*row, "440802", "8", "yes", "急"]))
    assert table.ignored == ("备注",)
    (line,) = table.lines
    assert line.problems == ()
    assert line.body is not None
    assert line.body["applicant"]["id_type"] == "uscc"
    assert (line.body["voltage"], line.body["supply"]) == ("low", "single")


def test_a_number_that_a_spreadsheet_has_shortened_is_not_guessed() -> None:
    person: dict[str, object] = {"申请人类型": "个人", "证件类型": "", "企业规模": ""}
    for row in (
        _changed(**person, 证件号码=440802199502020001),
        _changed(**person, 证件号码="4.40802E+17"),
    ):
        (line,) = _table(_xlsx([*HEADER], row)).lines
        (problem,) = line.problems
        assert problem.field == "applicant.id_number"
        assert "文本" in problem.zh
    (line,) = _table(_xlsx([*HEADER], _changed(联系电话=13800000001, 用电容量kVA=630.5))).lines
    assert line.problems == ()
    assert line.body is not None
    assert line.body["applicant"]["phone"] == "13800000001"
    assert line.body["capacity_kva"] == 630.5


def test_every_problem_of_a_line_is_told_at_once_by_its_column() -> None:
    row = _changed(
        申请人类型="单位", 区县="广州", 用电容量kVA="大", 同意调取电子证照="", 联系电话="12"
    )
    (line,) = _table(_xlsx([*HEADER], row)).lines
    assert {each.field for each in line.problems} == {
        *("applicant.kind", "site.district", "capacity_kva", "consent_to_certificates"),
        "applicant.phone",
    }
    assert line.body is None


@pytest.mark.rule("RB-3.4")
def test_a_warning_refuses_no_line() -> None:
    (line,) = _table(_xlsx([*HEADER], _changed(用电容量kVA=100))).lines
    assert line.problems == ()
    assert [each.field for each in line.warnings] == ["capacity_kva"]


def test_lines_keep_their_numbers_across_empty_lines_and_line_breaks() -> None:
    broken = [
        cell if cell != "湛江市赤坎区示例路1号" else '"湛江市\n示例路1号"' for cell in EXAMPLE
    ]
    table = _table(_csv(HEADER, [""] * len(HEADER), broken, EXAMPLE))
    assert [line.number for line in table.lines] == [3, 5]
    assert table.lines[0].body is not None
    assert table.lines[0].body["site"]["address"] == "湛江市 示例路1号"


def test_a_table_over_a_bound_is_refused_whole() -> None:
    with pytest.raises(InputRefused, match="1000 rows"):
        _table(_csv(HEADER, *[["个人", str(n)] for n in range(1001)]))
    assert len(_table(_csv(HEADER, *[["个人", str(n)] for n in range(1000)])).lines) == 1000


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (sheets.MOST_UNPACKED + 1))
    assert len(packed.getvalue()) < sheets.MOST_BYTES
    with pytest.raises(InputRefused, match="unpacks"):
        _table(packed.getvalue())


def _with_part(part: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return the example as XLSX with one of its parts changed."""
    plain = zipfile.ZipFile(io.BytesIO(_xlsx([*HEADER], [*EXAMPLE])))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in plain.namelist():
            content = plain.read(name)
            archive.writestr(name, change(content) if name == part else content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("part", "before", "more", "times"),
    [
        ("xl/styles.xml", b"</cellXfs>", b"<xf/>", sheets.MOST_MARKS_ELSEWHERE),
        ("xl/worksheets/sheet1.xml", b"</sheetData>", b"<row/>", sheets.MOST_MARKS),
        (
            "xl/workbook.xml",
            b"</sheets>",
            b'<sheet xmlns:r="%s" name="a" sheetId="1" r:id="rId1"/>' % REL_NS.encode(),
            sheets.MOST_SHEETS,
        ),
    ],
)
def test_a_small_file_that_would_be_made_into_countless_objects_is_refused(
    part: str, before: bytes, more: bytes, times: int
) -> None:
    content = _with_part(part, lambda was: was.replace(before, more * times + before))
    assert len(content) < sheets.MOST_BYTES
    with pytest.raises(InputRefused, match="unpacks"):
        _table(content)
    fewer = _with_part(part, lambda was: was.replace(before, more * 9 + before))
    assert len(_table(fewer).lines) == 1


def test_an_entity_in_a_table_is_refused() -> None:
    entity = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>'
    content = _with_part("xl/worksheets/sheet1.xml", lambda was: entity + was.split(b"?>", 1)[-1])
    with pytest.raises(InputRefused, match="neither"):
        _table(content)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_text_of_ours_begins_a_formula(text: str) -> None:
    written = sheets.csv_of([["a", "b"], [text, "b"]]).decode("utf-8-sig")
    assert written.split("\r\n", 1)[1].lstrip('"').startswith("'")
    sheet = openpyxl.load_workbook(io.BytesIO(sheets.xlsx_of([[f"x{text}"], ["=1+1"]])))
    assert sheet.worksheets[0]["A2"].data_type == "s"
