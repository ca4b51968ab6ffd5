"""Who did what to the system, newest first, from wherever it is on record (RB-12.2, RB-13.1).

Accounts and keys are on the administrators' record; repairs, replays and calendar years say
themselves who did what; that somebody's numbers were shown stands on the record of the case.
Nothing is kept twice: here it is only put in one order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.civil_clock import CivilClock
from storage.chain import canonical
from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.database import snapshot
from storage.reading import Page
from storage.records import AnyRow, parsed
from storage.tables import admin_acts, calendars, events, repairs, replays

THINGS = ("account", "key", "calendar", "repair", "replay", "numbers")
"""What acts are done to: the first word of each, `account.reset`."""

NUMBERS_SHOWN = "numbers_shown"


@dataclass(frozen=True, slots=True)
class RecordedAct:
    """Something that somebody did.

    Attributes:
        at: civil instant.
        by: an account; an agency where its system did it; `command` or `onewindow` for the machine.
        act: `thing.verb`.
        subject: id of the thing.
        details: what an auditor asks next.
    """

    at: datetime
    by: str
    act: str
    subject: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which acts are wanted; None leaves a field open.

    Attributes:
        since, until: civil instants, `until` not included.
    """

    thing: str | None = None
    by: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """A table with acts.

    Attributes:
        act: None where `act` is a column.
        key: tells rows of one instant apart.
        is_real: whether its instants are the engine's, and not civil.
    """

    act: str | None
    at: sa.ColumnElement[datetime]
    by: sa.ColumnElement[str]
    key: sa.ColumnElement[Any]
    subject: sa.ColumnElement[Any]
    others: tuple[sa.ColumnElement[Any], ...] = ()
    holds: tuple[sa.ColumnElement[bool], ...] = ()
    is_real: bool = False

    def is_of(self, thing: str | None) -> bool:
        return thing is None or self.act is None or self.act.partition(".")[0] == thing


def _of_repair(verb: str, by: sa.Column[str], at: sa.Column[datetime]) -> _Source:
    of_repair = (repairs.c.kind, repairs.c.reason)
    number = repairs.c.number
    return _Source(f"repair.{verb}", at, by, number, number, of_repair, (at.is_not(None),))


_SOURCES: Sequence[_Source] = (
    _Source(
        None,
        admin_acts.c.at,
        admin_acts.c.by,
        admin_acts.c.number,
        admin_acts.c.subject,
        (admin_acts.c.act, admin_acts.c.details),
        is_real=True,
    ),
    _of_repair("planned", repairs.c.planned_by, repairs.c.planned_at),
    _of_repair("approved", repairs.c.approved_by, repairs.c.approved_at),
    _of_repair("executed", repairs.c.executed_by, repairs.c.executed_at),
    _Source("replay.asked", replays.c.asked_at, replays.c.asked_by, replays.c.id, replays.c.id),
    _Source(
        "replay.stopped",
        replays.c.ended_at,
        replays.c.stopped_by,
        replays.c.id,
        replays.c.id,
        (),
        (replays.c.stopped_by.is_not(None), replays.c.ended_at.is_not(None)),
    ),
    _Source(
        "calendar.published",
        calendars.c.published_at,
        calendars.c.published_by,
        calendars.c.number,
        calendars.c.version,
        (calendars.c.year, calendars.c.notice, calendars.c.retracts),
        is_real=True,
    ),
    _Source(
        "numbers.shown",
        events.c.at,
        events.c.by,
        events.c.case_no + "." + sa.cast(events.c.seq, sa.String),
        events.c.case_no,
        (events.c.body,),
        (events.c.kind == sa.literal_column(f"'{NUMBERS_SHOWN}'"),),
    ),
)


async def recorded_acts(
    engine: AsyncEngine, wanted: Wanted, clock: CivilClock, *, limit: int, cursor: str | None
) -> Page[RecordedAct]:
    """Return acts, newest first.

    Args:
        clock: how civil time follows from the engine's.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    before = None if cursor is None else _Place.of(cursor)
    found: list[tuple[datetime, int, Any, _Source, AnyRow]] = []
    async with snapshot(engine) as db:
        for position, source in enumerate(_SOURCES):
            if not source.is_of(wanted.thing):
                continue
            statement = _statement(source, wanted, clock).limit(limit + 1)
            if before is not None:
                statement = statement.where(before.precedes(position, source, clock))
            for row in await db.execute(statement):
                at = clock.civil(row.at) if source.is_real else row.at
                found.append((at, position, row.key, source, row))
    found.sort(key=lambda each: each[:3], reverse=True)
    acts = tuple(_act(at, source, row) for at, _, _, source, row in found[:limit])
    if len(found) <= limit:
        return Page(acts, None)
    _, position, key, _, row = found[limit - 1]
    return Page(acts, cursor_of(row.at.isoformat(), position, key))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended: an instant as its source has it, which source, which row of it."""

    at: datetime
    position: int
    key: str

    @classmethod
    def of(cls, cursor: str) -> _Place:
        at, position, key = cursor_parts(cursor, 3)
        try:
            place = cls(datetime.fromisoformat(at), int(position), key)
        except ValueError:
            raise bad_cursor() from None
        if place.at.tzinfo is None or not 0 <= place.position < len(_SOURCES):
            raise bad_cursor()
        return place

    def precedes(self, position: int, source: _Source, clock: CivilClock) -> sa.ColumnElement[bool]:
        """Whether a row of a source comes after this place, in the order of the list."""
        if position == self.position:
            same = sa.literal(self._key_of(source), source.key.type)
            at = sa.literal(self.at, admin_acts.c.at.type)
            return sa.tuple_(source.at, source.key) < sa.tuple_(at, same)
        mine = _SOURCES[self.position]
        try:
            civil = clock.civil(self.at) if mine.is_real else self.at
            at_most = clock.engine(civil) if source.is_real else civil
        except (OverflowError, ValueError):
            raise bad_cursor() from None
        return source.at <= at_most if position < self.position else source.at < at_most

    def _key_of(self, source: _Source) -> int | str:
        if not isinstance(source.key.type, sa.Integer):
            return self.key
        if not (self.key.isascii() and self.key.isdigit() and len(self.key) <= 9):
            raise bad_cursor()
        return int(self.key)


def _statement(source: _Source, wanted: Wanted, clock: CivilClock) -> sa.Select[*tuple[Any, ...]]:
    statement = (
        sa.select(
            source.at.label("at"),
            source.by.label("by"),
            source.key.label("key"),
            source.subject.label("subject"),
            *source.others,
        )
        .where(*source.holds)
        .order_by(source.at.desc(), source.key.desc())
    )
    if wanted.thing is not None and source.act is None:
        statement = statement.where(
            admin_acts.c.act.startswith(f"{wanted.thing}.", autoescape=True)
        )
    if wanted.by is not None:
        is_by = source.by == wanted.by
        if source.act == "numbers.shown":
            is_by = sa.or_(is_by, events.c.body == canonical({"account": wanted.by}))
        statement = statement.where(is_by)
    for instant, is_since in ((wanted.since, True), (wanted.until, False)):
        if instant is not None:
            at = clock.engine(instant) if source.is_real else instant
            statement = statement.where(source.at >= at if is_since else source.at < at)
    return statement


def _act(at: datetime, source: _Source, row: AnyRow) -> RecordedAct:
    by, act, details = row.by, source.act, dict[str, Any]()
    if act is None:
        act, details = row.act, dict(parsed(row.details))
    elif act.startswith("repair."):
        details = {"kind": row.kind, "reason": row.reason}
    elif act == "calendar.published":
        act = "calendar.retracted" if row.retracts is not None else act
        details = {"year": row.year, "notice": row.notice}
    elif act == "numbers.shown":
        details, by = {"agency": row.by}, parsed(row.body).get("account", row.by)
    return RecordedAct(at, by, act, str(row.subject), details)
