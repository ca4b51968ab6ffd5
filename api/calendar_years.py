"""The calendar's years: what is published, publishing more, and how far open cases are with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from activities.contract import civil_text
from api.auth import SignedIn
from api.responses import spelled
from api.schemas import Reason, Shown, refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from domain.notice import ParsedNotice, parse_notice
from domain.working_time import CalendarError, CalendarYear
from storage.calendars import CalendarVersion

router = APIRouter(prefix="/calendar")

_OPEN: list[str | Enum] = ["open to all"]
_PUBLISHING: list[str | Enum] = ["supervision"]


class YearBody(Shown):
    """What a year's notice lays down."""

    year: int
    notice: str
    holidays: list[date]
    make_up_days: list[date]


class VersionBody(Shown):
    """A version of the calendar, and what made it."""

    number: int
    version: str
    year: int | None
    notice: str
    retracts: int | None
    published_by: str
    published_at: str
    hash: str


class CalendarBody(Shown):
    """The calendar in force."""

    number: int
    version: str
    years: list[YearBody]


class ProgressBody(Shown):
    """How many open cases do not yet rest on the calendar in force."""

    number: int
    version: str
    open: int
    behind: int


class PublishedBody(Shown):
    """A publication, and what it set off."""

    version: VersionBody
    is_new: bool
    recalculation: ProgressBody


class NewYear(BaseModel):
    """The body of `PUT /calendar/years/{year}`.

    Attributes:
        based_on: number of the version one looked at; another since then is refused (409).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    notice: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
    holidays: Annotated[frozenset[date], Field(min_length=1, max_length=120)]
    make_up_days: Annotated[frozenset[date], Field(max_length=60)]
    based_on: Annotated[int, Field(ge=1)] | None = None


class NoticeText(BaseModel):
    """The text of the State Council's notice, as published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=1, max_length=20_000)]


class HolidayBody(Shown):
    """One holiday of a notice, as it was understood."""

    name: str
    holidays: list[date]
    make_up_days: list[date]


class NoticeBody(Shown):
    """A notice as it was understood: to be confirmed by publishing `year`."""

    year: YearBody
    by_holiday: list[HolidayBody]
    warnings: list[dict[str, str]]
    is_published: bool
    based_on: int


class Retraction(BaseModel):
    """The body of a retraction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason


Year = Annotated[int, Path(ge=2004, le=2100)]

NOTICE_EXAMPLE = (
    "国务院办公厅关于2026年部分节假日安排的通知\n"
    "一、元旦：1月1日（周四）至3日（周六）放假调休，共3天。1月4日（周日）上班。\n"
    "二、春节：2月15日（周日）至23日（周一）放假调休，共9天。2月14日（周六）、2月28日（周六）上班。"
)
_YEAR_EXAMPLE = {
    "year": 2027,
    "notice": "示例：国务院办公厅关于2027年部分节假日安排的通知",
    "holidays": ["2027-01-01"],
    "make_up_days": [],
}
NEW_YEAR_EXAMPLE = {k: v for k, v in _YEAR_EXAMPLE.items() if k != "year"} | {"based_on": 1}
_VERSION_EXAMPLE = {
    "number": 2,
    "version": "cn-2027.2",
    "year": 2027,
    "notice": _YEAR_EXAMPLE["notice"],
    "retracts": None,
    "published_by": "government-services-data",
    "published_at": "2026-11-23T09:00:00+08:00",
    "hash": "5d4fd7fe54ff54701c07fa3077168bff795c37967a0a60dc1e4c6eb0c8d6eb54",
}
_PROGRESS_EXAMPLE = {"number": 2, "version": "cn-2027.2", "open": 2000, "behind": 120}

CALENDAR_YEAR_EXAMPLES: dict[str, dict[str, Any]] = {
    "CalendarBody": {"number": 1, "version": "cn-2026.1", "years": [_YEAR_EXAMPLE]},
    "VersionBody": _VERSION_EXAMPLE,
    "ProgressBody": _PROGRESS_EXAMPLE,
    "PublishedBody": {
        "version": _VERSION_EXAMPLE,
        "is_new": True,
        "recalculation": _PROGRESS_EXAMPLE,
    },
    "NoticeBody": {
        "year": _YEAR_EXAMPLE,
        "by_holiday": [{"name": "元旦", "holidays": ["2027-01-01"], "make_up_days": []}],
        "warnings": [],
        "is_published": False,
        "based_on": 1,
    },
}


@router.get(
    "/years",
    name=Act.READ_CALENDAR,
    response_model=CalendarBody,
    tags=_OPEN,
    summary="The calendar in force",
)
async def get_years(services: Serving) -> Mapping[str, Any]:
    """Return every published year with the notice it rests on (RB-1.6)."""
    version = await services.calendars.refreshed()
    return {
        "number": version.number,
        "version": version.calendar.version,
        "years": [_year_body(year) for _, year in sorted(version.calendar.years.items())],
    }


@router.get(
    "/versions",
    name=Act.READ_CALENDAR,
    response_model=list[VersionBody],
    tags=_OPEN,
    summary="Its versions, newest first",
)
async def get_versions(services: Serving) -> list[Mapping[str, Any]]:
    """Return what was published and retracted, when and by whom."""
    return [_version_body(each, services) for each in await services.calendars.versions()]


@router.post(
    "/notices",
    name=Act.PUBLISH_CALENDAR,
    response_model=NoticeBody,
    tags=_PUBLISHING,
    summary="Read a notice",
    responses=refusals(400, 401, 403, 413, 422),
)
async def read_notice(
    body: Annotated[NoticeText, Body(examples=[{"text": NOTICE_EXAMPLE}])],
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Show how the text of a notice is understood; nothing is published by it."""
    caller.needs(Act.PUBLISH_CALENDAR)
    parsed: ParsedNotice = parse_notice(body.text)
    version = await services.calendars.refreshed()
    return {
        "year": _year_body(parsed.year),
        "by_holiday": [
            {"name": name, "holidays": sorted(off), "make_up_days": sorted(worked)}
            for name, off, worked in parsed.by_holiday
        ],
        "warnings": [
            {"field": w.field, "message": w.en, "message_zh": w.zh} for w in parsed.warnings
        ],
        "is_published": version.calendar.years.get(parsed.year.year) == parsed.year,
        "based_on": version.number,
    }


@router.put(
    "/years/{year}",
    name=Act.PUBLISH_CALENDAR,
    response_model=PublishedBody,
    status_code=201,
    tags=_PUBLISHING,
    summary="Publish a year",
    responses={
        200: {"model": PublishedBody, "description": "Published before; nothing changed"},
        **refusals(400, 401, 403, 409, 413, 422),
    },
)
async def publish_year(
    year: Year,
    body: Annotated[NewYear, Body(examples=[NEW_YEAR_EXAMPLE])],
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Publish a year's days as a new version; every open case is recalculated with it (RB-1.7)."""
    caller.needs(Act.PUBLISH_CALENDAR)
    try:
        new = CalendarYear(year, body.holidays, body.make_up_days, body.notice)
        version, is_new = await services.calendars.publish(
            new, by=caller.agency, based_on=body.based_on
        )
    except CalendarError as error:
        raise refused_year(error) from None
    return await _published(version, services, is_new=is_new)


def refused_year(error: CalendarError) -> InputRefused:
    """Name the field of a year that contradicts itself, or another."""
    field = error.key.split(".")[-1]
    known = field if field in NewYear.model_fields else "holidays"
    return InputRefused(FieldProblem(known, error.en, error.zh))


@router.post(
    "/versions/{number}/retraction",
    name=Act.PUBLISH_CALENDAR,
    response_model=PublishedBody,
    status_code=201,
    tags=_PUBLISHING,
    summary="Take a version back",
    responses={
        200: {"model": PublishedBody, "description": "Taken back before; nothing changed"},
        **refusals(400, 401, 403, 409, 413, 422),
    },
)
async def retract_version(
    number: Annotated[int, Path(ge=1, le=1_000_000)],
    body: Annotated[Retraction, Body(examples=[{"reason": "通知已更正"}])],
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Publish a version in which a year is again what it was; open cases are recalculated."""
    caller.needs(Act.PUBLISH_CALENDAR)
    version, is_new = await services.calendars.retract(number, body.reason, by=caller.agency)
    return await _published(version, services, is_new=is_new)


@router.get(
    "/recalculation",
    name=Act.READ_CALENDAR,
    response_model=ProgressBody,
    tags=_OPEN,
    summary="How far open cases are with it",
)
async def get_recalculation(services: Serving) -> Mapping[str, Any]:
    """Return how many open cases are still to be recalculated with the calendar in force."""
    return await _progress(await services.calendars.refreshed(), services)


async def _published(version: CalendarVersion, services: Services, *, is_new: bool) -> Response:
    body = {
        "version": _version_body(version, services),
        "is_new": is_new,
        "recalculation": await _progress(version, services),
    }
    return spelled(body, 201 if is_new else 200)


async def _progress(version: CalendarVersion, services: Services) -> Mapping[str, Any]:
    behind, are_open = await services.reading.count_behind(version.number)
    return {
        "number": version.number,
        "version": version.calendar.version,
        "open": are_open,
        "behind": behind,
    }


def _year_body(year: CalendarYear) -> Mapping[str, Any]:
    return {
        "year": year.year,
        "notice": year.notice,
        "holidays": sorted(year.holidays),
        "make_up_days": sorted(year.make_up_days),
    }


def _version_body(version: CalendarVersion, services: Services) -> Mapping[str, Any]:
    clock = services.settings.clock
    return {
        "number": version.number,
        "version": version.calendar.version,
        "year": version.year,
        "notice": version.notice,
        "retracts": version.retracts,
        "published_by": version.published_by,
        "published_at": civil_text(clock.civil(version.published_at)),
        "hash": version.hash,
    }
