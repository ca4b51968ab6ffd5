"""Keys of agencies' systems on file: who has one, since when and until when; nothing secret.

All instants are the engine's: a key lives in real time, also in training mode. Whatever is done to
a key is on the administrators' record, in the same transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Literal, Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import IdempotencyConflict, LimitReached
from domain.system_keys import (
    EXPIRES_SOON,
    MOST_AT_ONCE,
    SIGNED_WITHIN,
    KeyEnded,
    KeyState,
    UnknownKey,
    key_id_of,
    mark_of,
)
from storage.admin_acts import record_act
from storage.cursors import cursor_of, instant_and_id
from storage.database import writing
from storage.reading import Page
from storage.records import AnyRow
from storage.tables import signed_requests, system_keys

NOTED_EVERY = timedelta(hours=1)
"""Noting each use would make every call that only reads a write."""

Standing = Literal["in_use", "expiring", "ended"]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key about to be made.

    Attributes:
        label: which system it is for, e.g. 审批系统.
        made_under: the mark of the server's secret that it is derived from.
        by: account of the administrator, or `command`.
    """

    id: str
    agency: str
    label: str
    made_under: str
    idempotency_key: str
    by: str
    at: datetime
    not_after: datetime

    @classmethod
    def drawn(
        cls,
        server_secret: str,
        agency: str,
        label: str,
        *,
        days: int,
        idempotency_key: str,
        by: str,
        at: datetime,
    ) -> Self:
        """Draw an id; all else of the key follows from that, the server's secret and the agency."""
        return cls(
            id=key_id_of(secrets.token_bytes(12)),
            agency=agency,
            label=label,
            made_under=mark_of(server_secret),
            idempotency_key=idempotency_key,
            by=by,
            at=at,
            not_after=at + timedelta(days=days),
        )


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it stands on file.

    Attributes:
        not_after: when it ends or ended: as it was made, or sooner.
        last_used_at: to the hour.
    """

    id: str
    agency: str
    label: str
    made_under: str
    created_by: str
    created_at: datetime
    not_after: datetime
    replaced_by: str | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `system_keys`."""
        return cls(**{f.name: row._mapping[f.name] for f in fields(cls)})

    def state(self, at: datetime, mark: str | None) -> KeyState:
        """Say how it stands.

        Args:
            mark: of the server's secret in force; None without one.
        """
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if at >= self.not_after:
            return KeyState.EXPIRED
        if mark != self.made_under:
            return KeyState.UNUSABLE
        if self.replaced_by is not None:
            return KeyState.REPLACED
        return KeyState.EXPIRING if self.not_after - at <= EXPIRES_SOON else KeyState.ACTIVE


class SystemKeys:
    """Keys on file."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, new: NewKey) -> tuple[KeyRecord, bool]:
        """Put a key on file, once per idempotency key; return it, and whether it is new.

        Raises:
            IdempotencyConflict: the idempotency key was used for something else.
            LimitReached: its agency has as many as it may have.
        """
        try:
            return await self._added(new)
        except IntegrityError:
            # The same was asked for at the same moment; now it is there to be found.
            return await self._added(new)

    async def _added(self, new: NewKey) -> tuple[KeyRecord, bool]:
        async with writing(self._engine) as db:
            if (before := await _earlier(db, new)) is not None:
                if (before.agency, before.label) != (new.agency, new.label):
                    raise IdempotencyConflict(new.idempotency_key)
                return before, False
            details = {
                "agency": new.agency,
                "label": new.label,
                "not_after": _day(new.not_after),
            }
            await record_act(
                db, at=new.at, by=new.by, act="key.made", subject=new.id, details=details
            )
            # Recording waits for whoever records, so that nobody else counts at the same time.
            await _check_room(db, new.agency, new.at)
            return await _put(db, new), True

    async def rotate(
        self, key_id: str, new: NewKey, *, ends_at: datetime
    ) -> tuple[KeyRecord, KeyRecord, bool]:
        """Put another key in the place of one, which goes on until `ends_at` at most.

        Args:
            new: its agency and label are the old one's, whatever is given.

        Returns:
            The new one, the old one, and whether that happened now.

        Raises:
            UnknownKey: there is no such key.
            KeyEnded: it was replaced before, was revoked, or has expired.
            IdempotencyConflict: the idempotency key was used for something else.
        """
        async with writing(self._engine) as db:
            # Whoever else replaces or revokes this key waits here, and then sees what was done.
            old = await _one(db, key_id, is_locked=True)
            if (before := await _earlier(db, new)) is not None:
                if old.replaced_by != before.id:
                    raise IdempotencyConflict(new.idempotency_key)
                return before, old, False
            _check_lasts(old, new.at)
            until = min(old.not_after, ends_at)
            details = {
                "agency": old.agency,
                "label": old.label,
                "replaced_by": new.id,
                "ends_on": _day(until),
                "not_after": _day(new.not_after),
            }
            await record_act(
                db, at=new.at, by=new.by, act="key.rotated", subject=key_id, details=details
            )
            made = await _put(db, new, agency=old.agency, label=old.label)
            await db.execute(
                system_keys.update()
                .where(system_keys.c.id == key_id)
                .values(replaced_by=new.id, not_after=until)
            )
            return made, await _one(db, key_id), True

    async def revoke(self, key_id: str, *, by: str, at: datetime, reason: str) -> KeyRecord:
        """End a key at once; one that was revoked stays as it was.

        Raises:
            UnknownKey: there is no such key.
        """
        async with writing(self._engine) as db:
            key = await _one(db, key_id, is_locked=True)
            if key.revoked_at is not None:
                return key
            details = {"agency": key.agency, "label": key.label, "reason": reason}
            await record_act(db, at=at, by=by, act="key.revoked", subject=key_id, details=details)
            await db.execute(
                system_keys.update()
                .where(system_keys.c.id == key_id)
                .values(revoked_at=at, revoked_by=by, not_after=min(key.not_after, at))
            )
            return await _one(db, key_id)

    async def find(self, key_id: str) -> KeyRecord | None:
        """Return a key; None if there is none with this id."""
        async with self._engine.connect() as db:
            row = (await db.execute(sa.select(system_keys).where(_is(key_id)))).first()
        return None if row is None else KeyRecord.of(row)

    async def all(
        self,
        *,
        at: datetime,
        standing: Standing = "in_use",
        agency: str | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> Page[KeyRecord]:
        """Return keys by their end: of those in use the nearest first, of ended ones the last.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        has_ended = standing == "ended"
        place = sa.tuple_(system_keys.c.not_after, system_keys.c.id)
        statement = sa.select(system_keys).limit(limit + 1)
        if has_ended:
            statement = statement.where(system_keys.c.not_after <= at).order_by(
                system_keys.c.not_after.desc(), system_keys.c.id.desc()
            )
        else:
            statement = statement.where(system_keys.c.not_after > at).order_by(
                system_keys.c.not_after, system_keys.c.id
            )
        if standing == "expiring":
            statement = statement.where(*_runs_out(at))
        if agency is not None:
            statement = statement.where(system_keys.c.agency == agency)
        if cursor is not None:
            ends, last_id = instant_and_id(cursor)
            last = sa.tuple_(
                sa.literal(ends, system_keys.c.not_after.type),
                sa.literal(last_id, system_keys.c.id.type),
            )
            statement = statement.where(place < last if has_ended else place > last)
        async with self._engine.connect() as db:
            rows = (await db.execute(statement)).all()
        shown = tuple(map(KeyRecord.of, rows[:limit]))
        if len(rows) <= limit:
            return Page(shown, None)
        return Page(shown, cursor_of(shown[-1].not_after.isoformat(), shown[-1].id))

    async def count_expiring(self, at: datetime) -> int:
        """Return how many keys run out within `EXPIRES_SOON` and were not replaced yet."""
        counted = sa.select(sa.func.count()).select_from(system_keys)
        async with self._engine.connect() as db:
            return await db.scalar(counted.where(*_runs_out(at))) or 0

    # ------------------------------------------------------------ at each request

    async def note_use(self, key: KeyRecord, at: datetime) -> None:
        """Note that a key is used, at most every `NOTED_EVERY`."""
        if key.last_used_at is not None and at - key.last_used_at < NOTED_EVERY:
            return
        async with writing(self._engine) as db:
            await db.execute(system_keys.update().where(_is(key.id)).values(last_used_at=at))

    async def take_signed(self, key_id: str, request_id: str, at: datetime) -> bool:
        """Note a signed request; False if it was taken before.

        What is too old to be taken for its time alone is forgotten.
        """
        # A signature's time may lie ahead, too: it is good for twice the window at most.
        until = at + 2 * SIGNED_WITHIN
        try:
            async with writing(self._engine) as db:
                await db.execute(signed_requests.delete().where(signed_requests.c.until < at))
                await db.execute(
                    signed_requests.insert().values(
                        key_id=key_id, request_id=request_id, until=until
                    )
                )
        except IntegrityError:
            return False
        return True


async def _earlier(db: AsyncConnection, new: NewKey) -> KeyRecord | None:
    found = await db.execute(
        sa.select(system_keys).where(
            system_keys.c.created_by == new.by,
            system_keys.c.idempotency_key == new.idempotency_key,
        )
    )
    row = found.first()
    return None if row is None else KeyRecord.of(row)


async def _check_room(db: AsyncConnection, agency: str, at: datetime) -> None:
    in_use = sa.and_(system_keys.c.agency == agency, system_keys.c.not_after > at)
    count = await db.scalar(sa.select(sa.func.count()).select_from(system_keys).where(in_use))
    if (count or 0) >= MOST_AT_ONCE:
        raise LimitReached(
            MOST_AT_ONCE,
            f"{agency} has {MOST_AT_ONCE} keys in use; revoke one that nobody needs",
            f"{agency} 已有 {MOST_AT_ONCE} 个在用密钥，请先吊销不再使用的密钥",
        )


async def _put(
    db: AsyncConnection, new: NewKey, *, agency: str | None = None, label: str | None = None
) -> KeyRecord:
    values: Mapping[str, object] = {
        "id": new.id,
        "agency": agency or new.agency,
        "label": label or new.label,
        "made_under": new.made_under,
        "idempotency_key": new.idempotency_key,
        "created_by": new.by,
        "created_at": new.at,
        "not_after": new.not_after,
    }
    await db.execute(system_keys.insert().values(**values))
    return await _one(db, new.id)


async def _one(db: AsyncConnection, key_id: str, *, is_locked: bool = False) -> KeyRecord:
    statement = sa.select(system_keys).where(_is(key_id))
    row = (await db.execute(statement.with_for_update() if is_locked else statement)).first()
    if row is None:
        raise UnknownKey(key_id)
    return KeyRecord.of(row)


def _check_lasts(key: KeyRecord, at: datetime) -> None:
    """Refuse to replace a key that is not in use.

    Raises:
        KeyEnded: says why.
    """
    if key.replaced_by is not None:
        raise KeyEnded(
            key.id,
            f"the key {key.id} was replaced by {key.replaced_by} already",
            f"密钥 {key.id} 已由 {key.replaced_by} 替换",
        )
    if key.revoked_at is not None:
        raise KeyEnded(
            key.id,
            f"the key {key.id} was revoked; make a new one",
            f"密钥 {key.id} 已吊销，请新建密钥",
        )
    if at >= key.not_after:
        raise KeyEnded(
            key.id,
            f"the key {key.id} has expired; make a new one",
            f"密钥 {key.id} 已过期，请新建密钥",
        )


def _runs_out(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Whether a key needs somebody to replace it."""
    ends = system_keys.c.not_after
    return ends > at, ends <= at + EXPIRES_SOON, system_keys.c.replaced_by.is_(None)


def _is(key_id: str) -> sa.ColumnElement[bool]:
    return system_keys.c.id == key_id


def _day(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
