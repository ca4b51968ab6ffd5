"""The route of an external line, filled in segment by segment, and what it would need (RB-4.2).

Everything works by sending the form: a button adds, copies or removes a segment, and the page comes
back with what was typed. No fact is taken for granted: one left out is a permit missed, so "no" has
to be said, once for all that were left open if need be. Facts that cannot matter are not asked.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError
from starlette.datastructures import FormData

from api.permit_schemas import PreviewRequest
from api.permits import preview
from api.problems import field_problems
from api.services import Services
from console.guard import Visitor
from console.rendering import Problems
from domain.errors import FieldProblem
from domain.route import DATES, Route, Segment, values_of
from domain.route_words import FACTS, UNITS, fact_words, segments_words, value_words
from domain.words import Words

MOST = 100
"""Segments on one page; a longer route comes through the API."""
ACTION = "do"
"""The button that was pressed."""
NUMBERS = ("length_m", "distance_to_highway_m", "green_m2", "trees")
QUESTIONS = tuple(fact for fact in Segment.model_fields if set(values_of(fact)) == {True, False})
"""The facts that are answered by yes or no."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    fact: tuple(value for value in values_of(fact) if isinstance(value, str))
    for fact in Segment.model_fields
    if fact not in (*QUESTIONS, *NUMBERS, *DATES)
}
AMOUNTS = ("green_m2", "trees")
"""How much of what may not be there at all: "no" is 0."""
_BUTTON = re.compile(r"(add|remove|copy|no|look)(?:\.(\d{1,3}))?")
_YES_NO: Mapping[str, bool] = {"yes": True, "no": False}


def matters(fact: str, typed: Mapping[str, str]) -> bool:
    """Whether a fact of a segment can matter beside the others that were typed.

    The page hides by the same rule (console.css), and this drops what was hidden.
    """
    road = typed.get("road", "")
    match fact:
        case "highway_class":
            near = typed.get("distance_to_highway_m", "")
            touches = "yes" in (typed.get("crosses_highway"), typed.get("uses_bridge"))
            return road == "highway" or bool(near) or touches
        case "road_opened_on" | "road_overhauled_on":
            return road in ("urban", "highway")
        case "attached_to_road":
            return road == "urban"
        case _:
            return True


@dataclass(frozen=True, slots=True)
class RouteForm:
    """A route as it was typed, be it right or not: the facts of each segment, as texts."""

    segments: tuple[Mapping[str, str], ...]

    @classmethod
    def of(cls, form: FormData) -> Self:
        """Read what was sent."""
        count = str(form.get("route.count", ""))
        many = min(int(count), MOST) if count.isdecimal() and len(count) < 5 else 0
        return cls(tuple(_typed(form, position) for position in range(many)))

    @classmethod
    def empty(cls, segments: int) -> Self:
        """Return a form with as many segments, nothing typed."""
        return cls(({},) * segments)

    def after(self, button: str) -> Self:
        """Return the route after a button; an unknown one changes nothing."""
        found = _BUTTON.fullmatch(button)
        if found is None:
            return self
        segments, at = list(self.segments), int(found[2] or 0)
        match found[1]:
            case "add" if len(segments) < MOST:
                segments.append({})
            case "copy" if at < len(segments) < MOST:
                segments.insert(at + 1, segments[at])
            case "remove" if at < len(segments):
                del segments[at]
            case "no" if at < len(segments):
                typed = segments[at]
                unsaid = {fact: "no" for fact in QUESTIONS if not typed.get(fact)}
                unsaid |= {fact: "0" for fact in AMOUNTS if not typed.get(fact)}
                segments[at] = {**typed, **unsaid}
        return type(self)(tuple(segments))

    def body(self) -> Mapping[str, Any]:
        """Return the route as the API takes it, without what cannot matter."""
        return {"segments": [_body(typed) for typed in self.segments]}

    def complete(self) -> tuple[tuple[int, ...], Route | None]:
        """Return which segments can be judged, from 1, and the route of these."""
        read: dict[int, Segment] = {}
        for position, typed in enumerate(self.segments, start=1):
            try:
                read[position] = Segment.model_validate(_body(typed))
            except ValidationError:
                continue
        return tuple(read), Route(segments=tuple(read.values())) if read else None


def _typed(form: FormData, position: int) -> Mapping[str, str]:
    found = {fact: form.get(f"route.segments.{position}.{fact}") for fact in Segment.model_fields}
    return {
        fact: text
        for fact, value in found.items()
        if isinstance(value, str) and (text := value.strip()[:40])
    }


def _body(typed: Mapping[str, str]) -> Mapping[str, Any]:
    body: dict[str, Any] = {}
    for fact in Segment.model_fields:
        if not matters(fact, typed):
            if fact in QUESTIONS:
                # Said by what makes it not matter: nothing is attached to a road that is not there.
                body[fact] = False
        elif text := typed.get(fact, ""):
            body[fact] = _value(fact, text)
    return body


def _value(fact: str, text: str) -> object:
    """Return what a text means; what it cannot mean stays a text, which is then refused."""
    if fact in QUESTIONS:
        return _YES_NO.get(text, text)
    if fact in NUMBERS:
        try:
            return int(text) if fact == "trees" else float(text)
        except ValueError:
            return text
    return text


def read(form: FormData) -> Mapping[str, Any] | None:
    """Return the route that came with an outcome, as its body; None if no segment did."""
    typed = RouteForm.of(form)
    return typed.body() if typed.segments else None


# ---------------------------------------------------------------- beside the form


@dataclass(frozen=True, slots=True)
class Totals:
    """What a route comes to, as far as it is filled in.

    Attributes:
        by_method: metres, by the method's words.
    """

    length_m: float
    green_m2: float
    trees: float
    by_method: tuple[tuple[Words, float], ...]


def totals(typed: RouteForm) -> Totals:
    """Add up what can be added up."""
    by_method: dict[str, float] = {}
    for each in typed.segments:
        if (method := each.get("method", "")) in CHOICES["method"]:
            by_method[method] = by_method.get(method, 0) + _number(each, "length_m")
    length, green, trees = (
        sum(_number(each, fact) for each in typed.segments)
        for fact in ("length_m", "green_m2", "trees")
    )
    named = tuple((value_words("method", name), m) for name, m in by_method.items() if m)
    return Totals(length, green, trees, named)


def _number(typed: Mapping[str, str], fact: str) -> float:
    value = _value(fact, typed.get(fact, ""))
    is_fit = isinstance(value, int | float) and 0 <= value <= _LARGEST
    return float(value) if is_fit and isinstance(value, int | float) else 0.0


_LARGEST = 10_000_000


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a route would need, as far as it can be judged.

    Attributes:
        judged: the segments that could be, from 1.
        left_out: those that could not.
        shown: as `POST /permits/preview` answers; None if no segment could be judged.
    """

    judged: tuple[int, ...]
    left_out: tuple[int, ...]
    shown: Mapping[str, Any] | None

    def why(self, reason: Mapping[str, Any]) -> Words:
        """Say a reason, with its segments as they stand in the form."""
        where = segments_words([self.judged[each - 1] for each in reason["segments"]])
        said = [fact_words(fact, value) for fact, value in reason["facts"].items()]
        return Words(
            f"{where.zh}：{'；'.join(each.zh for each in said)}",
            f"{where.en.capitalize()}: {'; '.join(each.en for each in said)}",
        )


async def ahead(typed: RouteForm, voltage: str, visitor: Visitor, services: Services) -> Ahead:
    """Ask what the segments that are filled in would need."""
    judged, route = typed.complete()
    left_out = tuple(i for i in range(1, len(typed.segments) + 1) if i not in judged)
    if route is None:
        return Ahead(judged, left_out, None)
    asked = PreviewRequest.model_validate({"voltage": voltage, "route": route})
    # A long route takes a second, in which others are to be served.
    shown = await asyncio.to_thread(preview, asked, visitor.caller, services)
    return Ahead(judged, left_out, shown)


@dataclass(frozen=True, slots=True)
class Field:
    """A fact as it is asked for.

    Attributes:
        kind: "choice", "question", "number" or "date".
        options: value and words, of a choice.
    """

    fact: str
    kind: str
    words: Words
    unit: Words | None
    options: tuple[tuple[str, Words], ...]


def _field(fact: str) -> Field:
    if fact in QUESTIONS:
        kind, options = "question", tuple((k, value_words(fact, v)) for k, v in _YES_NO.items())
    elif fact in CHOICES:
        kind, options = "choice", tuple((v, value_words(fact, v)) for v in CHOICES[fact])
    else:
        kind, options = "date" if fact in DATES else "number", ()
    return Field(fact, kind, FACTS[fact], UNITS.get(fact), options)


FIELDS = tuple(map(_field, Segment.model_fields))
"""Every fact of a segment, in the order of the domain."""


def problems_of(form: FormData) -> list[FieldProblem]:
    """Return what is wrong with the segments that were sent."""
    body = read(form)
    if body is None:
        return []
    try:
        Route.model_validate(body)
    except ValidationError as error:
        return [_at_fact(each) for each in field_problems(error.errors())]
    return []


def _at_fact(problem: FieldProblem) -> FieldProblem:
    field = f"route.{problem.field}"
    if _WHOLE_SEGMENT.fullmatch(field):
        # The one thing that is wrong with facts that are right each by itself.
        zh = "填写了距公路距离的，须填写公路等级"
        return FieldProblem(f"{field}.highway_class", "required with a distance", zh)
    return FieldProblem(field, problem.en, problem.zh)


class RouteProblems(Problems):
    """What is wrong with a form that has a route; a segment is told of once, its facts in place."""

    def named(self) -> list[tuple[str, Words, FieldProblem]]:
        """Return what stands on top of the page."""
        found: list[tuple[str, Words, FieldProblem]] = []
        by_segment = Counter(_segment_of(each.field) for each in self.found)
        for each in super().named():
            segment = _segment_of(each[2].field)
            if segment is None:
                found.append(each)
            elif many := by_segment.pop(segment, 0):
                found.append((each[0], each[1], _many(each[2], many)))
        return found


def _segment_of(field: str) -> int | None:
    within = _OF_SEGMENT.match(field)
    return int(within[1]) if within else None


def _many(first: FieldProblem, many: int) -> FieldProblem:
    if many == 1:
        return first
    others = many - 1
    en = f"{first.en}; and {others} more in this segment"
    return FieldProblem(first.field, en, f"{first.zh}；本段另有 {others} 项未填写或有误")


_WHOLE_SEGMENT = re.compile(r"route\.segments\.\d+")
_OF_SEGMENT = re.compile(r"route\.segments\.(\d+)\.")
