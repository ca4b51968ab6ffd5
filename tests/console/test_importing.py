"""Many applications from a file: looked at line by line, confirmed, taken in part by part."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape

import openpyxl
import pytest

from api.importing import template_rows
from api.sheets import csv_of
from tests.console.office import Office, Visit

HEADER, EXAMPLE = template_rows()


def _row(**changes: str) -> list[str]:
    return [changes.get(name, cell) for name, cell in zip(HEADER, EXAMPLE, strict=True)]


def _file(*rows: list[str]) -> bytes:
    return csv_of([HEADER, *rows])


GOOD = _row()
OTHER = _row(申请人名称="示例二厂", 用电地址="湛江市赤坎区示例路2号")
WRONG = _row(申请人名称="=示例三厂", 证件号码="91440802MA0000015X", 区县="无此区", 用电容量kVA="")


@pytest.fixture
async def desk(office: Office) -> Visit:
    visit = await office.visit_of("desk-1")
    await visit.get("/cases/import")
    return visit


async def _sent(visit: Visit, content: bytes, name: str = "applications.csv") -> str:
    answer = await visit.client.post(
        "/console/cases/import",
        data={"form_token": visit.form_token},
        files={"file": (name, content, "application/octet-stream")},
    )
    visit._look(answer)
    return answer.text


def _lines(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'name="line" value="([^"]+)"', page)]


async def _numbers(office: Office) -> list[str]:
    found = (await office.api.call("GET", "/api/v1/applications?limit=200")).json()["items"]
    return sorted(each["no"] for each in found)


async def test_every_line_is_looked_at_and_nothing_is_taken_in(office: Office, desk: Visit) -> None:
    page = await _sent(desk, _file(GOOD, WRONG, OTHER))
    assert "确认提交 2 件" in page
    assert len(_lines(page)) == 2
    for words in (
        "<strong>证件号码</strong>：校验码错误",
        "<strong>区县</strong>：请填写：赤坎区",
        "<strong>用电容量kVA</strong>：必填",
    ):
        assert words in page
    assert await _numbers(office) == []


async def test_what_is_confirmed_is_taken_in_part_by_part(office: Office, desk: Visit) -> None:
    rows = [_row(用电地址=f"湛江市赤坎区示例路{n}号") for n in range(1, 13)]
    page = await _sent(desk, _file(*rows))
    parts = re.findall(r'<div id="part-\d+">(.*?)</div>', page, re.DOTALL)
    assert [len(_lines(part)) for part in parts] == [10, 2]
    headers = {"HX-Request": "true"}
    begun = await desk.post("/cases/import/lines", {"parts": "2", "all": "12"}, headers=headers)
    assert 'hx-include="#import [name=form_token], #part-0"' in begun.text
    sent = {"part": "0", "parts": "2", "all": "12", "line": _lines(parts[0])}
    first = await desk.post("/cases/import/lines", sent, headers=headers)  # type: ignore[arg-type]
    assert "#part-1" in first.text and "10 / 12" in first.text
    assert first.text.count("hx-swap-oob") == 10
    sent = {"part": "1", "parts": "2", "all": "12", "taken": "10", "line": _lines(parts[1])}
    last = await desk.post("/cases/import/lines", sent, headers=headers)  # type: ignore[arg-type]
    assert "提交完成：收件 12 件" in last.text
    assert len(await _numbers(office)) == 12


@pytest.mark.rule("RB-3.7")
async def test_the_same_file_again_tells_the_numbers_and_takes_nothing_twice(
    office: Office, desk: Visit
) -> None:
    page = await _sent(desk, _file(GOOD, WRONG, OTHER))
    lines = _lines(page)
    # Cut off after the first line.
    await desk.post("/cases/import/lines", {"line": lines[:1]})  # type: ignore[dict-item]
    (no,) = await _numbers(office)
    corrected = _row(申请人名称="示例三厂")
    page = await _sent(desk, _file(GOOD, corrected, OTHER))
    assert f"/console/cases/{no}" in page
    assert "确认提交 2 件" in page
    # The page of before is still open somewhere.
    await desk.post("/cases/import/lines", {"line": lines})  # type: ignore[dict-item]
    await desk.post("/cases/import/lines", {"line": _lines(page)})  # type: ignore[dict-item]
    assert len(await _numbers(office)) == 3
    assert "没有可提交的行" in await _sent(desk, _file(GOOD, corrected, OTHER))


async def test_two_lines_that_say_the_same_are_two_cases(office: Office, desk: Visit) -> None:
    page = await _sent(desk, _file(GOOD, GOOD))
    await desk.post("/cases/import/lines", {"line": _lines(page)})  # type: ignore[dict-item]
    assert len(await _numbers(office)) == 2
    assert "没有可提交的行" in await _sent(desk, _file(GOOD, GOOD))


async def test_without_scripts_all_lines_come_at_once_and_the_rest_is_asked_for(
    office: Office, desk: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [_row(用电地址=f"湛江市赤坎区示例路{n}号") for n in range(1, 13)]
    lines = _lines(await _sent(desk, _file(*rows)))
    times = iter([0.0, 1.0, 99.0])
    monkeypatch.setattr("console.importing.monotonic", lambda: next(times))
    page = (await desk.post("/cases/import/lines", {"line": lines})).text  # type: ignore[dict-item]
    assert "继续提交其余 2 件" in page
    assert _lines(page) == lines[10:]
    assert len(await _numbers(office)) == 10


async def test_a_line_is_checked_again_when_it_is_taken_in(office: Office, desk: Visit) -> None:
    (line,) = _lines(await _sent(desk, _file(GOOD)))
    changed = json.loads(line)
    changed["body"]["applicant"]["id_number"] = "91440802MA0000015X"
    page = (await desk.post("/cases/import/lines", {"line": json.dumps(changed)})).text
    assert "校验码错误" in page
    for bad in ("{", "[]", '{"n": 1}', '{"n": 1, "key": "other", "body": {}}'):
        answer = await desk.post("/cases/import/lines", {"line": bad})
        assert answer.status_code == 422, bad
    assert await _numbers(office) == []


async def test_results_are_a_file_in_which_no_formula_runs(office: Office, desk: Visit) -> None:
    page = await _sent(desk, _file(GOOD, WRONG))
    done = (await desk.post("/cases/import/lines", {"line": _lines(page)})).text  # type: ignore[dict-item]
    found = [unescape(e) for e in re.findall(r'name="result" value="([^"]+)"', page + done)]
    answer = await desk.post("/cases/import/results.csv", {"result": found})  # type: ignore[dict-item]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    (no,) = await _numbers(office)
    assert [row[0] for row in rows] == ["行号", "2", "3"]
    assert rows[1][3] == no
    assert rows[2][1] == "'=示例三厂"
    assert "校验码错误" in rows[2][4]
    assert (await desk.post("/cases/import/results.csv", {"result": "{}"})).status_code == 422


async def test_templates_can_be_filled_in_and_sent_back(desk: Visit) -> None:
    for name in ("template.csv", "template.xlsx"):
        answer = await desk.get(f"/cases/import/{name}")
        assert answer.status_code == 200
        assert "确认提交 1 件" in await _sent(desk, answer.content, name)
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book.worksheets[0]["D2"].number_format == "@"


async def test_a_file_that_is_none_is_refused_with_what_to_do(desk: Visit) -> None:
    for content, words in (
        (b"\xff\xfe\x00\x01", "请另存为其中一种"),
        (b"PK\x03\x04 no archive", "请另存为其中一种"),
        ("姓名,地址\n示例,示例\n".encode(), "缺少列"),
        (csv_of([HEADER]), "标题行以下没有内容"),
        (b"", "文件为空"),
        (b"x" * 1_000_001, "不得超过"),
    ):
        assert words in await _sent(desk, content), words
    answer = await desk.post("/cases/import", {})
    assert answer.status_code == 422
    assert "请选择文件" in answer.text


async def test_no_line_of_a_file_is_in_an_address(desk: Visit) -> None:
    page = await _sent(desk, _file(GOOD))
    for address in re.findall(r'(?:href|action|src)="([^"]+)"', page):
        assert "示例" not in address and "13800000001" not in address
