"""Applications as rows of a table: which column is which field, and how its cells are written.

A row is read as a draft (`domain.draft`), so it is checked by the rules for an application.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domain.application_words import (
    APPLICANT_KINDS,
    CHANNELS,
    ID_TYPES,
    PURPOSES,
    SIZES,
    SUPPLIES,
    VOLTAGES,
)
from domain.errors import FieldProblem
from domain.policy import Policy
from domain.words import Words

Cells = Literal["text", "code", "number", "choice", "district", "yes_no"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Attributes:
        field: of the application; of documents, by kind.
        cells: how they are written; a `code` has no blanks and must not have become a number.
        choices: of a choice, by code; each can be written in either language or as the code.
        default: what an empty cell means; None: it is missing, where the field is needed.
        example: of the template.
    """

    field: str
    words: Words
    cells: Cells = "text"
    choices: Mapping[str, Words] | None = None
    default: str | None = None
    example: str = ""


COLUMNS: tuple[Column, ...] = (
    Column("applicant.kind", Words("申请人类型", "Kind of applicant"), "choice", APPLICANT_KINDS,
           example="企业"),
    Column("applicant.name", Words("申请人名称", "Applicant"), example="示例水产加工有限公司"),
    Column("applicant.id_type", Words("证件类型", "Identity paper"), "choice", ID_TYPES,
           example="统一社会信用代码"),
    Column("applicant.id_number", Words("证件号码", "Identity number"), "code",
           example="91440802MA0000015Q"),
    Column("applicant.phone", Words("联系电话", "Phone"), "code", example="13800000001"),
    Column("applicant.size", Words("企业规模", "Size of the enterprise"), "choice", SIZES,
           example="小型"),
    Column("site.address", Words("用电地址", "Address"), example="湛江市赤坎区示例路1号"),
    Column("site.district", Words("区县", "District"), "district", example="赤坎区"),
    Column("voltage", Words("电压", "Voltage"), "choice", VOLTAGES, "low", example="高压"),
    Column("supply", Words("供电电源", "Supply"), "choice", SUPPLIES, "single", example="单电源"),
    Column("purpose", Words("用电性质", "Purpose"), "choice", PURPOSES, "permanent",
           example="永久用电"),
    Column("capacity_kva", Words("用电容量kVA", "Capacity kVA"), "number", example="630"),
    Column("channel", Words("渠道", "Channel"), "choice", CHANNELS, "window",
           example="综合服务窗口"),
    Column("consent_to_certificates", Words("同意调取电子证照", "Consent to e-certificates"),
           "yes_no", example="是"),
    Column("documents.identity", Words("身份证明材料编号", "Proof of identity")),
    Column("documents.agent", Words("含授权委托", "Agent authorised"), "yes_no"),
    Column("documents.ownership", Words("权属证明材料编号", "Proof of ownership")),
)  # fmt: skip
"""In the order of the template."""

COLUMN_OF: Mapping[str, Column] = {column.field: column for column in COLUMNS}
NEEDED = tuple(
    COLUMN_OF[field]
    for field in (
        *("applicant.kind", "applicant.name", "applicant.id_number", "applicant.phone"),
        *("site.address", "site.district", "capacity_kva", "consent_to_certificates"),
    )
)
"""Columns without which no row could be an application."""

_YES = frozenset({"是", "有", "同意", "yes", "y", "true", "1", "√"})
_NO = frozenset({"否", "无", "不同意", "no", "n", "false", "0", "×"})
_IN_HEADERS = re.compile(r"[\s*＊（）()·:：/_-]+")
# What a spreadsheet makes of a number it takes for one to reckon with.
_LOST = re.compile(r"[0-9.]+E\+?[0-9]+", re.IGNORECASE)


def columns_of(header: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Find the columns in the first row.

    Returns:
        Position of each by its field, and the headings that are none of ours.
    """
    known = {_heading(name): column for column in COLUMNS for name in column.words}
    known |= {_heading(column.field): column for column in COLUMNS}
    places: dict[str, int] = {}
    others = []
    for position, text in enumerate(header):
        column = known.get(_heading(text))
        if column is not None and column.field not in places:
            places[column.field] = position
        elif text.strip():
            others.append(text.strip()[:50])
    return places, others


def body_of(cells: Mapping[str, str], policy: Policy) -> tuple[dict[str, Any], list[FieldProblem]]:
    """Read a row as the body of an application, as far as it is filled in.

    Args:
        cells: by field.

    Returns:
        The body, and what is wrong with cells that cannot be read, by field.
    """
    problems: list[FieldProblem] = []
    read: dict[str, Any] = {}
    for column in COLUMNS:
        text = cells.get(column.field, "").strip()
        value = _value(column, text, policy, problems) if text else column.default
        if value is not None:
            read[column.field] = value
    if "applicant.id_type" not in read and "applicant.kind" in read:
        is_enterprise = read["applicant.kind"] == "enterprise"
        read["applicant.id_type"] = "uscc" if is_enterprise else "resident_id"
    return _nested(read), problems


def _nested(read: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"applicant": {}, "site": {}, "documents": list(_documents(read))}
    for field, value in read.items():
        outer, _, inner = field.partition(".")
        if not inner:
            body[outer] = value
        elif outer != "documents":
            body[outer][inner] = value
    return body


def _documents(read: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("identity", "ownership"):
        if reference := read.get(f"documents.{kind}"):
            # RB-3.1: an agent's authorisation is an attribute of the identity document.
            is_agents = kind == "identity" and read.get("documents.agent")
            yield {"kind": kind, "reference": reference} | (
                {"is_agent_authorised": True} if is_agents else {}
            )


def _value(column: Column, text: str, policy: Policy, problems: list[FieldProblem]) -> Any:
    plain = unicodedata.normalize("NFKC", text).strip()
    match column.cells:
        case "text":
            return " ".join(text.split())
        case "code":
            return _code(column, plain, problems)
        case "number":
            return _kva(column, plain, problems)
        case "choice":
            assert column.choices is not None
            found = _chosen(plain, column.choices)
        case "district":
            names = {code: Words(each.zh, each.en) for code, each in policy.districts.items()}
            # A code that is none of the city's is told so by the rules.
            found = _chosen(plain, names) or (plain if re.fullmatch(r"[0-9]{6}", plain) else None)
        case "yes_no":
            found = {**dict.fromkeys(_YES, "yes"), **dict.fromkeys(_NO, "no")}.get(plain.lower())
    if found is None:
        problems.append(_not_among(column, policy))
        return None
    return found == "yes" if column.cells == "yes_no" else found


def _code(column: Column, text: str, problems: list[FieldProblem]) -> str | None:
    if _LOST.fullmatch(text):
        problems.append(
            FieldProblem(
                column.field,
                "the spreadsheet has made a number of it and lost digits: format the column as "
                "text and type it again",
                "已被电子表格转为科学计数，数字已丢失：请将该列设为“文本”格式后重新填写",
            )
        )
        return None
    # A whole number from a spreadsheet; an apostrophe in front says that it is a text.
    return text.lstrip("'").removesuffix(".0").replace(" ", "")


def _kva(column: Column, text: str, problems: list[FieldProblem]) -> float | None:
    try:
        return float(text.lower().removesuffix("kva").strip().replace(",", ""))
    except ValueError:
        problems.append(
            FieldProblem(column.field, "write a number, e.g. 8 or 12.5", "请填写数字，如 8 或 12.5")
        )
        return None


def _chosen(text: str, choices: Mapping[str, Words]) -> str | None:
    wanted = text.lower()
    for code, words in choices.items():
        if wanted in (code, words.zh.lower(), words.en.lower()):
            return code
    return None


def _not_among(column: Column, policy: Policy) -> FieldProblem:
    if column.cells == "district":
        named = [Words(each.zh, each.en) for each in policy.districts.values()]
    elif column.choices is not None:
        named = list(column.choices.values())
    else:
        named = [Words("是", "yes"), Words("否", "no")]
    return FieldProblem(
        column.field,
        f"write one of: {', '.join(each.en for each in named)}",
        f"请填写：{'、'.join(each.zh for each in named)}",
    )


def _heading(text: str) -> str:
    return _IN_HEADERS.sub("", unicodedata.normalize("NFKC", text)).lower()
