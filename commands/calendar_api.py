"""The calendar's part of the API as the commands use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import Field

from commands.client import Api, Shown
from domain.explaining import Explanation
from domain.working_time import DayKind, DerivedDay, Interval, Verdict, WorkingDays


class Year(Shown):
    """What a year's notice lays down."""

    year: int
    notice: str
    holidays: frozenset[date]
    make_up_days: frozenset[date]


class InForce(Shown):
    """The calendar in force: its number and name, and every published year."""

    number: int
    version: str
    years: tuple[Year, ...]

    def year(self, number: int) -> Year | None:
        """Return a year; None while it is not published."""
        return next((each for each in self.years if each.year == number), None)


class Version(Shown):
    """A version, and what made it: a year's notice, or the reason of a retraction."""

    number: int
    version: str
    year: int | None
    notice: str
    retracts: int | None
    published_by: str
    published_at: datetime


class Festival(Shown):
    """One holiday of a notice, as it was understood."""

    name: str
    holidays: tuple[date, ...]
    make_up_days: tuple[date, ...]


class Warned(Shown):
    """What is unusual about a notice."""

    message: str
    message_zh: str


class ReadNotice(Shown):
    """A notice as it was understood.

    Attributes:
        is_published: whether its year stands in the calendar exactly so.
        based_on: number of the calendar it was held against.
    """

    year: Year
    by_holiday: tuple[Festival, ...]
    warnings: tuple[Warned, ...]
    is_published: bool
    based_on: int


class Standing(Shown):
    """How many of the open cases do not rest on the calendar in force yet."""

    number: int
    version: str
    open: int
    behind: int


class Publication(Shown):
    """What was published, and what that set off; not `is_new` if it had been before."""

    version: Version
    is_new: bool
    recalculation: Standing


class Notice(Shown):
    """Something that an agency was told."""

    id: str
    case_no: str
    sent_at: datetime


class _Versions(Shown):
    items: tuple[Version, ...]


class _Notices(Shown):
    items: tuple[Notice, ...]
    next_cursor: str | None


class _Day(Shown):
    day: date = Field(alias="date")
    kind: DayKind
    verdict: Verdict
    count: int
    is_published: bool


class _Words(Shown):
    zh: tuple[str, ...]
    en: tuple[str, ...]


class _Deadline(Shown):
    due_on: date
    is_provisional: bool
    calendar_version: str
    notices: dict[int, str | None]
    days: tuple[_Day, ...]
    words: _Words


class CalendarApi(Api):
    """The API with its calendar. What fails in passing is tried again; no call does harm twice."""

    async def in_force(self) -> InForce:
        """Return the calendar in force."""
        return await self._read(InForce, "/calendar/years")

    async def versions(self) -> tuple[Version, ...]:
        """Return every version, newest first."""
        answer = await self._call("GET", "/calendar/versions")
        return _Versions.model_validate({"items": answer.json()}).items

    async def read_notice(self, text: str, *, by: str) -> ReadNotice:
        """Have the text of a notice read; nothing is published by it."""
        answer = await self._call("POST", "/calendar/notices", by=by, body={"text": text})
        return ReadNotice.model_validate_json(answer.content)

    async def publish(self, year: Year, *, based_on: int, by: str) -> Publication:
        """Publish a year, unless another version came after `based_on`."""
        body: dict[str, Any] = {
            "notice": year.notice,
            "holidays": [day.isoformat() for day in sorted(year.holidays)],
            "make_up_days": [day.isoformat() for day in sorted(year.make_up_days)],
            "based_on": based_on,
        }
        answer = await self._call("PUT", f"/calendar/years/{year.year}", by=by, body=body)
        return Publication.model_validate_json(answer.content)

    async def retract(self, number: int, reason: str, *, by: str) -> Publication:
        """Take a version back."""
        answer = await self._call(
            "POST", f"/calendar/versions/{number}/retraction", by=by, body={"reason": reason}
        )
        return Publication.model_validate_json(answer.content)

    async def standing(self) -> Standing:
        """Return how far open cases are with the calendar in force."""
        return await self._read(Standing, "/calendar/recalculation")

    async def notices(self, *, by: str) -> AsyncIterator[Notice]:
        """Give what agencies were told, newest first."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self._read(_Notices, "/notices", by=by, limit=200, cursor=cursor)
            for notice in page.items:
                yield notice
            cursor = page.next_cursor

    async def why(
        self, trigger: date, limit: WorkingDays, excluded: Sequence[Interval]
    ) -> Explanation:
        """Return when a limit runs out by the calendar in force, and why."""
        query: dict[str, str | int] = {"from": trigger.isoformat(), "working_days": limit}
        if excluded:
            left_out = (f"{each.suspended_on}..{each.resumed_on}" for each in excluded)
            query["excluded"] = ",".join(left_out)
        answer = await self._call("GET", "/calendar/deadline", query=query)
        found = _Deadline.model_validate_json(answer.content)
        return Explanation(
            due_on=found.due_on,
            is_provisional=found.is_provisional,
            calendar_version=found.calendar_version,
            notices=found.notices,
            days=tuple(
                DerivedDay(each.day, each.kind, each.verdict, each.count, each.is_published)
                for each in found.days
            ),
            zh=found.words.zh,
            en=found.words.en,
        )
