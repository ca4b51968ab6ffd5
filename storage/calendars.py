"""The versions of the working-day calendar, as they were published (RB-1.6).

Each version is a whole calendar, with what made it: a year's notice, or the retraction of an
earlier version. Versions are numbered from 1 without gaps, chained by hash, and never changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import CalendarMoved, NothingToRetract
from domain.working_time import Calendar, CalendarYear
from storage.chain import GENESIS, canonical, fields_hash
from storage.database import writing
from storage.records import AnyRow
from storage.tables import calendars

LOOKS_EVERY_S = 1.0
"""How long a process may go on with the version it knows; what it computes meanwhile is caught up
with when its case is recalculated."""

_PROGRAM = "onewindow"


@dataclass(frozen=True, slots=True)
class CalendarVersion:
    """One published version.

    Attributes:
        year: the year that its publication changed; None for the first version.
        notice: on what that rests: the year's notice, or the reason of a retraction.
        retracts: number of the version that it takes back.
    """

    number: int
    calendar: Calendar
    year: int | None
    notice: str
    retracts: int | None
    published_by: str
    published_at: datetime
    hash: str


class Calendars:
    """The published versions.

    Args:
        first: what version 1 is made of in a new case file.
        now: the engine's time.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        first: Callable[[], Calendar],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine, self._first, self._now = engine, first, now
        self._known: CalendarVersion | None = None
        self._read: dict[int, CalendarVersion] = {}
        self._looked_at = float("-inf")

    async def current(self) -> CalendarVersion:
        """Return the version in force, at most `LOOKS_EVERY_S` old."""
        if self._known is None or time.monotonic() - self._looked_at > LOOKS_EVERY_S:
            return await self.refreshed()
        return self._known

    async def refreshed(self) -> CalendarVersion:
        """Return the version in force now."""
        known = self._known.number if self._known else 0
        async with self._engine.connect() as db:
            last = await db.scalar(sa.select(sa.func.max(calendars.c.number)))
            row = await _row(db, last) if last is not None and last != known else None
        if last is None:
            async with writing(self._engine) as db:
                await self._publish_first(db)
            return await self.refreshed()
        return self._keep(_version(row) if row else self._known)

    async def version(self, number: int) -> CalendarVersion:
        """Return a version by its number.

        Raises:
            KeyError: there is none.
        """
        if number in self._read:
            return self._read[number]
        await self.current()
        async with self._engine.connect() as db:
            row = await _row(db, number)
        if row is None:
            raise KeyError(number)
        self._read[number] = _version(row)
        return self._read[number]

    async def versions(self) -> tuple[CalendarVersion, ...]:
        """Return all versions, newest first."""
        await self.current()
        async with self._engine.connect() as db:
            rows = (
                await db.execute(sa.select(calendars).order_by(calendars.c.number.desc()))
            ).all()
        return tuple(_version(row) for row in rows)

    async def publish(
        self, year: CalendarYear, *, by: str, based_on: int | None = None
    ) -> tuple[CalendarVersion, bool]:
        """Publish a year; the same year again is the version there is, and false.

        Args:
            based_on: number of the version the publisher looked at; None: whatever there is.

        Raises:
            CalendarMoved: another version was published since.
            CalendarError: the year contradicts another one.
        """
        async with writing(self._engine) as db:
            last = await self._locked_last(db)
            if last.calendar.years.get(year.year) == year:
                return self._keep(last), False
            if based_on is not None and based_on != last.number:
                raise CalendarMoved(based_on, last.number)
            years = {**last.calendar.years, year.year: year}
            made = await self._append(db, last, years, year.year, year.notice, by=by)
        return self._keep(made), True

    async def retract(self, number: int, reason: str, *, by: str) -> tuple[CalendarVersion, bool]:
        """Take a version back: its year is again what it was before; the rest stays.

        Retracting it again changes nothing.

        Raises:
            NothingToRetract: it is the first, unknown, or its year was changed again since.
        """
        async with writing(self._engine) as db:
            last = await self._locked_last(db)
            row = await _row(db, number)
            if row is None or row.year is None:
                raise NothingToRetract(number)
            again = await db.execute(sa.select(calendars).where(calendars.c.retracts == number))
            if (done := again.first()) is not None:
                return _version(done), False
            later = await db.scalar(
                sa.select(sa.func.max(calendars.c.number)).where(calendars.c.year == row.year)
            )
            if later != number:
                raise NothingToRetract(number)
            before = _version(await _row(db, number - 1)).calendar.years
            years = dict(last.calendar.years)
            years.pop(row.year)
            if row.year in before:
                years[row.year] = before[row.year]
            made = await self._append(db, last, years, row.year, reason, by=by, retracts=number)
        return self._keep(made), True

    def _keep(self, version: CalendarVersion | None) -> CalendarVersion:
        assert version is not None
        self._known, self._looked_at = version, time.monotonic()
        self._read[version.number] = version
        return version

    async def _locked_last(self, db: AsyncConnection) -> CalendarVersion:
        if db.dialect.name == "postgresql":
            # Reading goes on; publishing waits its turn.
            await db.execute(sa.text("LOCK TABLE calendars IN SHARE ROW EXCLUSIVE MODE"))
        await self._publish_first(db)
        last = await db.execute(sa.select(calendars).order_by(calendars.c.number.desc()).limit(1))
        return _version(last.one())

    async def _publish_first(self, db: AsyncConnection) -> None:
        if await db.scalar(sa.select(sa.func.max(calendars.c.number))) is None:
            first = self._first()
            await self._insert(
                db, 1, first.version, first.years, None, first.version, by=_PROGRAM, prev=GENESIS
            )

    async def _append(
        self,
        db: AsyncConnection,
        last: CalendarVersion,
        years: Mapping[int, CalendarYear],
        year: int,
        notice: str,
        *,
        by: str,
        retracts: int | None = None,
    ) -> CalendarVersion:
        number = last.number + 1
        name = f"cn-{max(years, default=year)}.{number}"
        # A year that contradicts another is found here, before anything is written.
        Calendar(name, years)
        return await self._insert(
            db, number, name, years, year, notice, by=by, retracts=retracts, prev=last.hash
        )

    async def _insert(
        self,
        db: AsyncConnection,
        number: int,
        name: str,
        years: Mapping[int, CalendarYear],
        year: int | None,
        notice: str,
        *,
        by: str,
        prev: str,
        retracts: int | None = None,
    ) -> CalendarVersion:
        at = self._now()
        text = canonical({str(key): _as_json(value) for key, value in years.items()})
        values: dict[str, Any] = {
            "number": number,
            "version": name,
            "years": text,
            "year": year,
            "notice": notice,
            "retracts": retracts,
            "published_by": by,
            "published_at": at,
            "prev_hash": prev,
            "hash": fields_hash(number, name, text, year, notice, retracts, by, at, prev),
        }
        insert = (sqlite if db.dialect.name == "sqlite" else postgresql).insert
        await db.execute(insert(calendars).values(values).on_conflict_do_nothing())
        return _version(await _row(db, number))


async def _row(db: AsyncConnection, number: int) -> AnyRow | None:
    found = await db.execute(sa.select(calendars).where(calendars.c.number == number))
    return found.first()


def _version(row: AnyRow | None) -> CalendarVersion:
    assert row is not None
    return CalendarVersion(
        number=row.number,
        calendar=_calendar(row.version, row.years),
        year=row.year,
        notice=row.notice,
        retracts=row.retracts,
        published_by=row.published_by,
        published_at=row.published_at,
        hash=row.hash,
    )


@lru_cache(maxsize=16)
def _calendar(version: str, text: str) -> Calendar:
    years = {
        int(key): CalendarYear(
            int(key),
            frozenset(map(date.fromisoformat, year["holidays"])),
            frozenset(map(date.fromisoformat, year["make_up_days"])),
            year["notice"],
        )
        for key, year in orjson.loads(text).items()
    }
    return Calendar(version, years)


def _as_json(year: CalendarYear) -> dict[str, object]:
    return {
        "notice": year.notice,
        "holidays": sorted(day.isoformat() for day in year.holidays),
        "make_up_days": sorted(day.isoformat() for day in year.make_up_days),
    }
