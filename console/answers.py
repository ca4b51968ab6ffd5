"""What officers fill in, as the bodies that the API takes; it says what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError
from starlette.datastructures import FormData

from api.problems import field_problems
from api.reporting import Report
from console import route_editor
from domain.connection import Code
from domain.errors import FieldProblem, InputRefused
from domain.outcomes import Outcome

_OF_ITEM = ("outcome", "document_no", "document_on", "document", "note", "papers", "papers_by")
_ROUTE_CODES = (Code.DESIGNED, Code.SURVEYED)
ALL = "all"
"""Stands for the position of an item where all items are answered alike."""


def outcome_of(form: FormData, items: Sequence[str]) -> Outcome:
    """Read an outcome from its form.

    Args:
        items: names of the permit items that were asked, in the order of the form.

    Raises:
        InputRefused: it is none; names every field.
    """
    code = _text(form, "code")
    if not code:
        raise InputRefused(FieldProblem("code", "choose an outcome", "请选择办理结果"))
    body: dict[str, Any] = {"code": code}
    body |= filled(form, "note", "document_no", "document")
    if code in _ROUTE_CODES and (route := route_editor.read(form)) is not None:
        if problems := route_editor.problems_of(form):
            raise InputRefused(*problems)
        body["route"] = route
    if code == Code.CORRECTION_NEEDED:
        body |= _lines(form, "missing")
    if code == Code.NOT_COMPETENT:
        body |= filled(form, "competent")
    if (is_central := _text(form, "is_central_urban")) and code in (Code.ACCEPTED, Code.SURVEYED):
        body["is_central_urban"] = is_central == "yes"
    if code == Code.ANSWERED:
        unanswered = [
            FieldProblem(f"items.{i}.outcome", "choose a result", "请选择结果")
            for i in range(len(items))
            if not _text(form, f"items.{i}.outcome")
        ]
        if unanswered:
            raise InputRefused(*unanswered)
        body["items"] = [_item(form, i, item) for i, item in enumerate(items)]
    try:
        return Outcome.model_validate(body)
    except ValidationError as error:
        raise InputRefused(*field_problems(error.errors())) from None


def alike(form: FormData, items: int) -> FormData:
    """Return the form of one task of many that are answered alike, item for item.

    Args:
        items: how many the task has.
    """
    texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    for name in _OF_ITEM:
        value = texts.pop(f"items.{ALL}.{name}", "")
        texts |= {f"items.{position}.{name}": value for position in range(items)}
    return FormData(texts)


def _item(form: FormData, position: int, item: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {"item": item}
    for name in _OF_ITEM:
        field = f"items.{position}.{name}"
        if name == "papers":
            if lines := list(_split(_text(form, field))):
                found[name] = lines
        elif text := _text(form, field):
            found[name] = text
    if found["outcome"] != "papers_to_follow":
        # The form shows these for the one result that has them.
        found.pop("papers", None)
        found.pop("papers_by", None)
    return found


def report_of(form: FormData) -> Report:
    """Read a report that stops a clock, or lets it go on.

    Raises:
        InputRefused: it is none; names every field.
    """
    body: dict[str, Any] = {"type": _text(form, "type")}
    body |= filled(form, "ground")
    if body["type"] == "special-opened":
        body |= filled(form, "procedure")
    if body["type"] == "correction-opened":
        body |= _lines(form, "missing") | filled(form, "document_no")
    try:
        return Report.model_validate(body)
    except ValidationError as error:
        raise InputRefused(*field_problems(error.errors())) from None


@dataclass(frozen=True, slots=True)
class ReportForm:
    """What was filled in to stop a clock, and in which of the forms."""

    type: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, form: FormData | None) -> Self:
        """Read what was sent; nothing, if nothing was."""
        if form is None:
            return cls("", {})
        return cls(_text(form, "type"), {name: str(value) for name, value in form.items()})

    def value(self, type_: str, name: str) -> str:
        """Return what was filled in for a field of one of the forms."""
        return self.values.get(name, "") if type_ == self.type else ""


def _text(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def filled(form: FormData, *names: str) -> dict[str, Any]:
    # Browsers end the lines of a text in two characters.
    return {name: text.replace("\r\n", "\n") for name in names if (text := _text(form, name))}


def _lines(form: FormData, name: str) -> dict[str, Any]:
    """Return what was listed one a line; nothing if nothing was."""
    found = list(_split(_text(form, name)))
    return {name: found} if found else {}


def _split(text: str) -> Iterator[str]:
    yield from (line.strip() for line in text.splitlines() if line.strip())
