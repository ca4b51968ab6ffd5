"""Cursors of lists: the last key seen, opaque to whoever asked."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime

from domain.errors import FieldProblem, InputRefused


def cursor_of(*parts: object) -> str:
    """Spell the keys of the last row shown."""
    return base64.urlsafe_b64encode("|".join(map(str, parts)).encode()).decode()


def cursor_parts(cursor: str, count: int) -> list[str]:
    """Read `count` keys.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    try:
        parts = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().split("|")
    except ValueError:
        raise bad_cursor() from None
    # PostgreSQL takes no NUL in a text, be it only compared.
    if len(parts) != count or any("\x00" in part for part in parts):
        raise bad_cursor()
    return parts


def instant_and_id(cursor: str) -> tuple[datetime, str]:
    """Read an instant and an id.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    at, last_id = cursor_parts(cursor, 2)
    try:
        instant = datetime.fromisoformat(at)
    except ValueError:
        raise bad_cursor() from None
    # Given out in UTC, which every instant of the calendar fits.
    if instant.tzinfo is not UTC:
        raise bad_cursor()
    return instant, last_id


def date_and_id(cursor: str) -> tuple[date | None, str]:
    """Read a date, or that there is none, and an id.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    on, last_id = cursor_parts(cursor, 2)
    if not on:
        return None, last_id
    try:
        # Python reads other spellings, too.
        if (day := date.fromisoformat(on)).isoformat() == on:
            return day, last_id
    except ValueError:
        pass
    raise bad_cursor()


def bad_cursor() -> InputRefused:
    """Return the refusal of a cursor that was not given out."""
    return InputRefused(
        FieldProblem(
            "cursor",
            "not a cursor of this list; leave it out to begin at the first page",
            "游标无效，请不带游标从第一页开始",
        )
    )
