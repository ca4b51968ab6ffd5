"""The route of an external line, and what a policy may ask of its segments (RB-4.2).

A policy states its rules as alternatives of conditions over the facts of one segment. A condition
names a fact, an operator and a value; one that could never hold, because no such fact or value
exists, is refused when the policy is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from types import NoneType
from typing import Annotated, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _iso_date(value: object) -> object:
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


IsoDate = Annotated[date, BeforeValidator(_iso_date)]
"""A civil date; as text only `YYYY-MM-DD`."""

RoadDate = Annotated[IsoDate, Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))]
"""Bounded, so that years can be added to it."""

HighwayClass = Literal["national", "provincial", "county", "township", "expressway"]

_Metres = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Segment(_Strict):
    """One stretch of a line over which all facts stay the same.

    No fact has a default but those that may be unknown: a fact left out is a permit missed.

    Attributes:
        length_m: metres, > 0.
        method: `duct` is drawn through ducts that exist already: nothing is dug.
        planning_area: the planning area it lies in: of a city or town, of a village, or none.
        road: the road whose land it lies in.
        highway_class: class of the highway it lies in, crosses or runs near.
        distance_to_highway_m: metres from the outer edge of the highway's land; None: none near.
        crosses_highway: above or below.
        uses_bridge: bridge, tunnel or culvert of a highway.
        road_opened_on, road_overhauled_on: when the road was handed over, last overhauled.
        green_m2: square metres of urban green land taken.
        trees: number of urban trees to be cut or moved.
        river_zone: crosses or adjoins a river or dyke.
    """

    length_m: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
    method: Literal["open_cut", "trenchless", "overhead", "duct"]
    planning_area: Literal["town", "village", "none"]
    road: Literal["urban", "highway", "none"]
    highway_class: HighwayClass | None = None
    distance_to_highway_m: _Metres | None = None
    crosses_highway: bool
    uses_bridge: bool
    road_opened_on: RoadDate | None = None
    road_overhauled_on: RoadDate | None = None
    traffic_affected: bool
    attached_to_road: bool
    green_m2: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]
    trees: Annotated[int, Field(ge=0, le=100_000)]
    ancient_tree: bool
    river_zone: bool
    waterworks_zone: bool
    drain_change: bool

    @model_validator(mode="after")
    def _has_class_for_distance(self) -> Segment:
        # Without its class the control zone is unknown, and the permit would be missed in silence.
        if self.distance_to_highway_m is not None and self.highway_class is None:
            raise PydanticCustomError(
                "highway_class_missing", "highway_class is required with distance_to_highway_m"
            )
        return self


class Route(_Strict):
    """An external line as designed, segment by segment."""

    segments: Annotated[tuple[Segment, ...], Field(strict=False, min_length=1, max_length=500)]


_FACTS_OF_A_SEGMENT: Mapping[str, object] = {
    "length_m": 1.0,
    "method": "open_cut",
    "planning_area": "none",
    "road": "none",
    "highway_class": "national",
    "crosses_highway": False,
    "uses_bridge": False,
    "traffic_affected": False,
    "attached_to_road": False,
    "green_m2": 0.0,
    "trees": 0,
    "ancient_tree": False,
    "river_zone": False,
    "waterworks_zone": False,
    "drain_change": False,
}


def _can_be(fact: str, value: object) -> bool:
    try:
        Segment.model_validate({**_FACTS_OF_A_SEGMENT, fact: value})
    except ValidationError:
        return False
    return True


def _check_value(fact: str, value: object) -> None:
    if fact not in Segment.model_fields:
        raise ValueError(f"{fact!r} is not a fact of a segment")
    if not _can_be(fact, value):
        raise ValueError(f"{fact} can never be compared with {value!r}")


DATES = frozenset(fact for fact in Segment.model_fields if _can_be(fact, date(2020, 1, 1)))
"""The facts that are civil dates."""


def values_of(fact: str) -> tuple[bool | str | None, ...]:
    """Return every value that a fact can have; empty if it is a number or a date."""
    hint = Segment.model_fields[fact].annotation
    if hint is bool:
        return (True, False)
    parts = (hint, *get_args(hint))
    known = [value for part in parts if get_origin(part) is Literal for value in get_args(part)]
    return (*known, None) if known and NoneType in parts else tuple(known)


# A condition says `until` when it holds: it holds on every civil date before that one. Time alone
# can end a condition (a road grows old), but never begin one.
NEVER, ALWAYS = date.min, date.max


def _standing(holds: bool) -> date:
    return ALWAYS if holds else NEVER


class Is(_Strict):
    """The fact has this value."""

    op: Literal["is"]
    fact: str
    value: bool | str

    def until(self, segment: Segment) -> date:
        return _standing(getattr(segment, self.fact) == self.value)

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        _check_value(self.fact, self.value)
        return self


class OneOf(_Strict):
    """The fact has one of these values."""

    op: Literal["one_of"]
    fact: str
    value: Annotated[tuple[str, ...], Field(min_length=1)]

    def until(self, segment: Segment) -> date:
        return _standing(getattr(segment, self.fact) in self.value)

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        for value in self.value:
            _check_value(self.fact, value)
        return self


class Above(_Strict):
    """The fact is a number greater than this one."""

    op: Literal["above"]
    fact: str
    value: int | float

    def until(self, segment: Segment) -> date:
        number = getattr(segment, self.fact)
        return _standing(number is not None and number > self.value)

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        _check_value(self.fact, self.value)
        return self


class WithinByHighwayClass(_Strict):
    """The fact is a number not greater than the one given for the segment's highway class."""

    op: Literal["within_by_highway_class"]
    fact: str
    value: dict[HighwayClass, Annotated[float, Field(ge=0)]]

    def until(self, segment: Segment) -> date:
        number = getattr(segment, self.fact)
        if number is None or segment.highway_class is None:
            return NEVER
        return _standing(number <= self.value[segment.highway_class])

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        for value in self.value.values():
            _check_value(self.fact, value)
        if missing := [name for name in get_args(HighwayClass) if name not in self.value]:
            raise ValueError(f"no value for the highway class {', '.join(missing)}")
        return self


class YoungerThanYears(_Strict):
    """The fact is a date less than this many years ago; the anniversary itself is not less."""

    op: Literal["younger_than_years"]
    fact: str
    value: Annotated[int, Field(gt=0, le=100)]

    def until(self, segment: Segment) -> date:
        since = getattr(segment, self.fact)
        return NEVER if since is None else _anniversary(since, self.value)

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        _check_value(self.fact, date(2020, 1, 1))
        return self


def _anniversary(since: date, years: int) -> date:
    try:
        return since.replace(year=since.year + years)
    except ValueError:
        # MF 202: where the month has no such day, the period ends on the month's last day.
        return since.replace(year=since.year + years, day=28)


Condition = Annotated[
    Is | OneOf | Above | WithinByHighwayClass | YoungerThanYears, Field(discriminator="op")
]
Alternatives = Annotated[
    tuple[Annotated[tuple[Condition, ...], Field(min_length=1)], ...], Field(min_length=1)
]
"""A rule's trigger: one alternative holds when all of its conditions hold for the same segment."""


def until(when: Alternatives, segment: Segment) -> date:
    """Return the first civil date on which no alternative of `when` holds for `segment`.

    Returns:
        `NEVER` if none holds on any day, `ALWAYS` if one holds on all.
    """
    return max(_until_all(every, segment) for every in when)


def holds(when: Alternatives, segment: Segment, on: date) -> bool:
    """Whether any alternative of `when` holds for `segment` on the civil date `on`."""
    return on < until(when, segment)


def holding(when: Alternatives, segment: Segment, on: date) -> Iterator[tuple[Condition, ...]]:
    """Return the alternatives of `when` that hold for `segment` on the civil date `on`."""
    return (every for every in when if on < _until_all(every, segment))


def _until_all(every: Iterable[Condition], segment: Segment) -> date:
    return min(condition.until(segment) for condition in every)


def facts_of(when: Alternatives) -> frozenset[str]:
    """Return the facts that decide whether `when` holds."""
    facts = {condition.fact for every in when for condition in every}
    by_class = any(isinstance(c, WithinByHighwayClass) for every in when for c in every)
    return frozenset(facts | {"highway_class"} if by_class else facts)
