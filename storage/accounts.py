"""Accounts and sessions of the console: passwords as argon2id hashes, tokens as digests.

Nothing here is part of a case's record. Whatever an account does to a case is recorded there.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Self

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.accounts import (
    FAILURES_UNTIL_LOCKED,
    IDLE_FOR,
    LOCKED_FOR,
    SIGNED_IN_FOR,
    AccountExists,
    NewAccount,
    StaffRole,
    UnknownAccount,
    is_account_id,
)
from storage.database import writing
from storage.records import AnyRow
from storage.tables import accounts, sessions

TOKEN_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)
"""Noting each page that somebody looks at would make every reader a writer."""
HASHED_AT_ONCE = 2
"""A hash takes 64 MiB and a processor's while: who tries many passwords at once queues."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it stands, without its password.

    Attributes:
        agency: None for an administrator.
        must_change_password: its password was given to it, so somebody else has seen it.
    """

    id: str
    display_name: str
    agency: str | None
    role: StaffRole
    must_change_password: bool
    failed_attempts: int
    locked_until: datetime | None
    is_active: bool
    created_at: datetime

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `accounts`."""
        values = {f.name: row._mapping[f.name] for f in fields(cls)}
        return cls(**{**values, "role": StaffRole(values["role"])})

    def standing(self, at: datetime) -> str:
        """Say in a word or two whether it can be used."""
        if not self.is_active:
            return "disabled"
        if self.locked_until is not None and at < self.locked_until:
            return "locked"
        return "new password" if self.must_change_password else "active"


def one_time_password() -> str:
    """Make a password to be handed over once: 100 bits, in groups that can be read aloud."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


class Accounts:
    """Makes accounts, lets people in, and remembers who is.

    All instants are the engine's: civil time may run faster.

    Args:
        hasher: with the cost of a hash; by default that of RFC 9106 for machines without much
            memory: 64 MiB, three passes.
    """

    def __init__(self, engine: AsyncEngine, hasher: PasswordHasher | None = None) -> None:
        self._engine = engine
        self._hasher = hasher or PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
        # What an unknown account's password is compared with, so that it takes as long.
        self._nobodys_hash = self._hasher.hash(secrets.token_urlsafe())
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)

    # ------------------------------------------------------------ accounts

    async def add(
        self, new: NewAccount, password: str, *, at: datetime, must_change: bool = True
    ) -> None:
        """Make an account.

        Raises:
            AccountExists: its id is taken.
        """
        hashed = await self._hashed(password)
        try:
            async with writing(self._engine) as db:
                await db.execute(accounts.insert().values(**_columns(new, hashed, at, must_change)))
        except IntegrityError:
            raise AccountExists(new.id) from None

    async def add_first(self, new: NewAccount, password: str, *, at: datetime) -> bool:
        """Make an account if there is none at all; return whether it was made."""
        if await self.every():
            return False
        hashed = await self._hashed(password)
        async with writing(self._engine) as db:
            if await db.scalar(sa.select(sa.func.count()).select_from(accounts)):
                return False
            await db.execute(accounts.insert().values(**_columns(new, hashed, at, True)))
        return True

    async def every(self) -> tuple[Account, ...]:
        """Return all accounts, by id."""
        async with self._engine.connect() as db:
            rows = await db.execute(sa.select(accounts).order_by(accounts.c.id))
            return tuple(map(Account.of, rows))

    async def reset(self, account_id: str, password: str) -> None:
        """Give an account a password to be changed, lift its lock, and let it be used again.

        Raises:
            UnknownAccount: there is none with this id.
        """
        await self._change(
            account_id,
            password_hash=await self._hashed(password),
            must_change_password=True,
            failed_attempts=0,
            locked_until=None,
            is_active=True,
        )

    async def disable(self, account_id: str) -> None:
        """Let nobody in under an account, and end its sessions; it keeps its id.

        Raises:
            UnknownAccount: there is none with this id.
        """
        await self._change(account_id, is_active=False)

    async def change_password(
        self, account_id: str, current: str, new: str, *, at: datetime
    ) -> bool:
        """Take a password that its owner chose; every session ends, this one included.

        Returns:
            False, with nothing changed but the count of failures, if `current` is not the password.
        """
        if await self._checked(account_id, current, at) is None:
            return False
        hashed = await self._hashed(new)
        await self._change(account_id, password_hash=hashed, must_change_password=False)
        return True

    async def _change(self, account_id: str, **columns: object) -> None:
        """Change an account and end its sessions, in one transaction."""
        async with writing(self._engine) as db:
            changed = await db.execute(
                accounts.update().where(accounts.c.id == account_id).values(**columns)
            )
            if changed.rowcount == 0:
                raise UnknownAccount(account_id)
            await db.execute(sessions.delete().where(sessions.c.account_id == account_id))

    # ------------------------------------------------------------ sessions

    async def sign_in(self, account_id: str, password: str, *, at: datetime) -> str | None:
        """Begin a session; return its token.

        Returns:
            None if there is no such account, the password is another, or the account is locked or
            disabled. Which of these it is takes the same time and is not told.
        """
        account = await self._checked(account_id, password, at)
        if account is None:
            return None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with writing(self._engine) as db:
            await db.execute(sessions.delete().where(sa.not_(_is_live(at))))
            await db.execute(
                sessions.insert().values(
                    token_sha256=_sha256(token), account_id=account.id, created_at=at, seen_at=at
                )
            )
        return token

    async def signed_in(self, token: str, *, at: datetime) -> Account | None:
        """Return whose session this is, and note that it is used; None if it has ended."""
        of_token = sessions.c.token_sha256 == _sha256(token)
        async with self._engine.connect() as db:
            found = await db.execute(
                sa.select(*accounts.c, sessions.c.seen_at)
                .join_from(sessions, accounts)
                .where(of_token, _is_live(at), accounts.c.is_active)
            )
            row = found.first()
        if row is None:
            return None
        if at - row.seen_at >= SEEN_EVERY:
            async with writing(self._engine) as writer:
                await writer.execute(sessions.update().where(of_token).values(seen_at=at))
        return Account.of(row)

    async def sign_out(self, token: str) -> None:
        """End a session; one that has ended stays so."""
        async with writing(self._engine) as db:
            await db.execute(sessions.delete().where(sessions.c.token_sha256 == _sha256(token)))

    # ------------------------------------------------------------ passwords

    async def _checked(self, account_id: str, password: str, at: datetime) -> Account | None:
        """Return the account if this is its password and it may be used; count failures."""
        if not is_account_id(account_id):
            account_id = ""  # Nobody's; not every database can look for any text.
        async with self._engine.connect() as db:
            found = await db.execute(sa.select(accounts).where(accounts.c.id == account_id))
            row = found.first()
        is_right = await self._verified(row.password_hash if row else self._nobodys_hash, password)
        async with writing(self._engine) as writer:
            # Read again: others may have tried while this one was hashed.
            statement = sa.select(accounts).where(accounts.c.id == account_id).with_for_update()
            row = (await writer.execute(statement)).first()
            if row is None:
                return None
            account = Account.of(row)
            if account.locked_until is not None and at < account.locked_until:
                return None
            if is_right and account.is_active:
                standing: dict[str, object] = {"failed_attempts": 0, "locked_until": None}
            else:
                failures = account.failed_attempts + 1
                is_locked = failures >= FAILURES_UNTIL_LOCKED
                standing = {
                    "failed_attempts": 0 if is_locked else failures,
                    "locked_until": at + LOCKED_FOR if is_locked else None,
                }
            await writer.execute(
                accounts.update().where(accounts.c.id == account_id).values(**standing)
            )
            return account if is_right and account.is_active else None

    async def _verified(self, hashed: str, password: str) -> bool:
        async with self._hashing:
            try:
                return await asyncio.to_thread(self._hasher.verify, hashed, password)
            except VerificationError:
                return False

    async def _hashed(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)


def _columns(new: NewAccount, hashed: str, at: datetime, must_change: bool) -> dict[str, object]:
    return {
        "id": new.id,
        "display_name": new.display_name,
        "agency": new.agency,
        "role": str(new.role),
        "password_hash": hashed,
        "must_change_password": must_change,
        "failed_attempts": 0,
        "is_active": True,
        "created_at": at,
    }


def _is_live(at: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(sessions.c.seen_at > at - IDLE_FOR, sessions.c.created_at > at - SIGNED_IN_FOR)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
