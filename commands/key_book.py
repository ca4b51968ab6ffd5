"""The keys of systems in a case file, as the commands use them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from commands.casefile import upgrade
from commands.failure import CommandFailed
from domain.errors import LimitReached
from domain.system_keys import KeyEnded, UnknownKey, key_of
from storage.database import open_engine
from storage.system_keys import KeyRecord, NewKey, Standing, SystemKeys

BY = "command"
"""Who did it, on the record of actions."""

T = TypeVar("T")


def add(url: str, server_secret: str, agency: str, label: str, days: int) -> tuple[KeyRecord, str]:
    """Make a key; return it, and the whole of it.

    Raises:
        CommandFailed: its agency has too many, or the case file cannot be used.
    """
    new = _drawn(server_secret, agency, label, days)
    made, _ = _run(url, lambda keys: keys.add(new))
    return made, key_of(server_secret, made.id, made.agency)


def rotate(
    url: str, server_secret: str, key_id: str, days: int, overlap_days: int
) -> tuple[KeyRecord, KeyRecord, str]:
    """Put a new key in the place of one; return the new one, the old one, the whole new one.

    Raises:
        CommandFailed: there is no such key, it has ended, or the case file cannot be used.
    """
    new = _drawn(server_secret, "", "", days)
    ends_at = new.at + timedelta(days=overlap_days)
    made, old, _ = _run(url, lambda keys: keys.rotate(key_id, new, ends_at=ends_at))
    return made, old, key_of(server_secret, made.id, made.agency)


def revoke(url: str, key_id: str, reason: str) -> None:
    """End a key at once.

    Raises:
        CommandFailed: there is no such key, or the case file cannot be used.
    """
    at = datetime.now(UTC)
    _run(url, lambda keys: keys.revoke(key_id, by=BY, at=at, reason=reason))


def every(url: str, *, agency: str | None, has_ended: bool) -> tuple[KeyRecord, ...]:
    """Return keys in use, the next to end first; or those that have ended, the last first."""
    standing: Standing = "ended" if has_ended else "in_use"
    at = datetime.now(UTC)

    async def listed(keys: SystemKeys) -> tuple[KeyRecord, ...]:
        page = await keys.all(at=at, standing=standing, agency=agency, limit=200)
        found = list(page.items)
        while page.next_cursor is not None:
            page = await keys.all(
                at=at, standing=standing, agency=agency, limit=200, cursor=page.next_cursor
            )
            found += page.items
        return tuple(found)

    return _run(url, listed)


def _drawn(server_secret: str, agency: str, label: str, days: int) -> NewKey:
    return NewKey.drawn(
        server_secret,
        agency,
        label,
        days=days,
        idempotency_key=secrets.token_urlsafe(),
        by=BY,
        at=datetime.now(UTC),
    )


def _run(url: str, act: Callable[[SystemKeys], Awaitable[T]]) -> T:
    upgrade(url)
    return asyncio.run(_with_keys(url, act))


async def _with_keys(url: str, act: Callable[[SystemKeys], Awaitable[T]]) -> T:
    engine = open_engine(url)
    try:
        return await act(SystemKeys(engine))
    except UnknownKey as problem:
        raise CommandFailed(f"{problem}; `onewindow key list` shows all") from None
    except (KeyEnded, LimitReached) as problem:
        raise CommandFailed(str(problem)) from None
    finally:
        await engine.dispose()
