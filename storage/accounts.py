"""Accounts and sessions of the console: passwords as argon2id hashes, tokens as digests.

Nothing here is part of a case's record. Whatever an account does to a case is recorded there.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Self

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.accounts import (
    FAILURES_UNTIL_LOCKED,
    IDLE_FOR,
    LOCKED_FOR,
    SIGNED_IN_FOR,
    AccountDisabled,
    AccountExists,
    IdentityTaken,
    LastAdministrator,
    NewAccount,
    NotLinked,
    ProviderIdentity,
    StaffRole,
    UnknownAccount,
    is_account_id,
)
from storage.admin_acts import COMMAND, Detail, record_act
from storage.database import writing
from storage.records import AnyRow
from storage.tables import accounts, identities, sessions

TOKEN_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)
"""Noting each page that somebody looks at would make every reader a writer."""
HASHED_AT_ONCE = 2
"""A hash takes 64 MiB and a processor's while: who tries many passwords at once queues."""
NO_PASSWORD = ""
"""Stands where the hash would, of an account that signs in through the identity provider only."""

_ACCOUNTS = sa.select(
    *accounts.c,
    (accounts.c.password_hash != NO_PASSWORD).label("has_password"),
    identities.c.issuer.label("issuer"),
    identities.c.subject.label("subject"),
).join_from(accounts, identities, isouter=True)


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it stands, without its password.

    Attributes:
        agency: None for an administrator.
        must_change_password: its password was given to it, so somebody else has seen it.
        has_password: otherwise only the identity provider lets it in.
        issuer: of the identity it is linked to; None: to none.
        subject: who it is there.
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
    has_password: bool
    issuer: str | None
    subject: str | None

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read an account with its identity."""
        values = {f.name: row._mapping[f.name] for f in fields(cls)}
        return cls(**{**values, "role": StaffRole(values["role"])})

    def standing(self, at: datetime) -> str:
        """Say in a word or two whether it can be used."""
        if not self.is_active:
            return "disabled"
        if self.locked_until is not None and at < self.locked_until:
            return "locked"
        if self.must_change_password and self.has_password:
            return "new password"
        return "active"


class Done(NamedTuple):
    """Something that was done to an account, for the record."""

    act: str
    by: str
    at: datetime


class Sessions(NamedTuple):
    """The sessions of an account that have not ended: how many, the latest, and when last used."""

    open: int
    begun_at: datetime
    seen_at: datetime


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
        self,
        new: NewAccount,
        password: str | None,
        *,
        at: datetime,
        must_change: bool = True,
        by: str = COMMAND,
    ) -> None:
        """Make an account.

        Args:
            by: who makes it, for the record.
            password: None for one that is to be linked, and let in by the identity provider only.

        Raises:
            AccountExists: its id is taken.
        """
        hashed = NO_PASSWORD if password is None else await self._hashed(password)
        must_change = must_change and password is not None
        try:
            async with writing(self._engine) as db:
                await db.execute(accounts.insert().values(**_columns(new, hashed, at, must_change)))
                await _record_added(db, new, by, at)
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
            await _record_added(db, new, COMMAND, at)
        return True

    async def every(self) -> tuple[Account, ...]:
        """Return all accounts, by id."""
        async with self._engine.connect() as db:
            rows = await db.execute(_ACCOUNTS.order_by(accounts.c.id))
            return tuple(map(Account.of, rows))

    async def reset(
        self, account_id: str, password: str, *, at: datetime, by: str = COMMAND
    ) -> None:
        """Give an account a password to be changed, lift its lock, and let it be used again.

        Raises:
            UnknownAccount: there is none with this id.
        """
        await self._change(
            account_id,
            Done("account.reset", by, at),
            password_hash=await self._hashed(password),
            must_change_password=True,
            failed_attempts=0,
            locked_until=None,
            is_active=True,
        )

    async def disable(self, account_id: str, *, at: datetime, by: str = COMMAND) -> None:
        """Let nobody in under an account, and end its sessions; it keeps its id.

        Raises:
            UnknownAccount: there is none with this id.
            LastAdministrator: nobody could let anybody in any more.
        """
        await self._change(account_id, Done("account.disabled", by, at), is_active=False)

    async def enable(self, account_id: str, *, at: datetime, by: str = COMMAND) -> None:
        """Let a disabled account in again, under the password that it had.

        Raises:
            UnknownAccount: there is none with this id.
        """
        await self._change(account_id, Done("account.enabled", by, at), is_active=True)

    async def unlock(self, account_id: str, *, at: datetime, by: str = COMMAND) -> None:
        """Lift the lock that too many failures put on an account.

        Raises:
            UnknownAccount: there is none with this id.
        """
        done = Done("account.unlocked", by, at)
        await self._change(
            account_id, done, ends_sessions=False, failed_attempts=0, locked_until=None
        )

    async def end_sessions(self, account_id: str, *, at: datetime, by: str = COMMAND) -> None:
        """End every session of an account.

        Raises:
            UnknownAccount: there is none with this id.
        """
        # Nothing of the account itself changes; but it must be there.
        await self._change(account_id, Done("account.signed_out", by, at), id=account_id)

    async def sessions(self, *, at: datetime) -> Mapping[str, Sessions]:
        """Return the sessions that have not ended, by account."""
        statement = (
            sa.select(
                sessions.c.account_id,
                sa.func.count().label("open"),
                sa.func.max(sessions.c.created_at).label("begun_at"),
                sa.func.max(sessions.c.seen_at).label("seen_at"),
            )
            .where(_is_live(at))
            .group_by(sessions.c.account_id)
        )
        async with self._engine.connect() as db:
            rows = await db.execute(statement)
            return {row.account_id: Sessions(row.open, row.begun_at, row.seen_at) for row in rows}

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
        await self._change(account_id, None, password_hash=hashed, must_change_password=False)
        return True

    async def _change(
        self, account_id: str, done: Done | None, *, ends_sessions: bool = True, **columns: object
    ) -> None:
        """Change an account, end its sessions and record who did it, in one transaction.

        Args:
            done: None for what its owner does to it, which is nobody else's business.
        """
        async with writing(self._engine) as db:
            if columns.get("is_active") is False:
                await _check_others_administer(db, account_id)
            changed = await db.execute(
                accounts.update().where(accounts.c.id == account_id).values(**columns)
            )
            if changed.rowcount == 0:
                raise UnknownAccount(account_id)
            if ends_sessions:
                await db.execute(sessions.delete().where(sessions.c.account_id == account_id))
            if done is not None:
                await record_act(db, at=done.at, by=done.by, act=done.act, subject=account_id)

    # ------------------------------------------------------------ identities

    async def link(
        self, account_id: str, identity: ProviderIdentity, *, at: datetime, by: str = COMMAND
    ) -> None:
        """Have whom the identity provider names so come in under an account.

        One person has one account and the other way round, or somebody could approve what they
        planned themselves (RB-12.2). Doing it again changes nothing.

        Args:
            by: who links it, for the record; if that is not the account itself, its sessions end.

        Raises:
            UnknownAccount: there is none with this id.
            IdentityTaken: the identity is another account's, or the account has another identity.
        """
        async with writing(self._engine) as db:
            if await db.scalar(sa.select(accounts.c.id).where(accounts.c.id == account_id)) is None:
                raise UnknownAccount(account_id)
            linked = await db.execute(
                sa.select(identities).where(
                    sa.or_(identities.c.account_id == account_id, _is(identity))
                )
            )
            for row in linked.all():
                if (row.account_id, row.issuer, row.subject) != (
                    account_id,
                    identity.issuer,
                    identity.subject,
                ):
                    raise IdentityTaken(row.account_id)
                return
            try:
                await db.execute(
                    identities.insert().values(
                        issuer=identity.issuer,
                        subject=identity.subject,
                        account_id=account_id,
                        linked_at=at,
                    )
                )
            except IntegrityError:
                raise IdentityTaken(account_id) from None
            if by != account_id:
                await db.execute(sessions.delete().where(sessions.c.account_id == account_id))
            await record_act(db, at=at, by=by, act="account.linked", subject=account_id)

    async def linked_to(self, identity: ProviderIdentity) -> str | None:
        """Return the id of the account that is linked to an identity."""
        statement = sa.select(identities.c.account_id).where(_is(identity))
        async with self._engine.connect() as db:
            found: str | None = await db.scalar(statement)
            return found

    async def unlink(self, account_id: str, *, at: datetime, by: str = COMMAND) -> bool:
        """Have the identity provider let nobody in under an account; sessions it vouched for end.

        Args:
            by: who unlinks it, for the record.

        Returns:
            Whether it was linked.
        """
        async with writing(self._engine) as db:
            unlinked = await db.execute(
                identities.delete().where(identities.c.account_id == account_id)
            )
            await db.execute(
                sessions.delete().where(
                    sessions.c.account_id == account_id, sessions.c.issuer.is_not(None)
                )
            )
            if unlinked.rowcount:
                await record_act(db, at=at, by=by, act="account.unlinked", subject=account_id)
            return bool(unlinked.rowcount)

    async def sign_in_as(self, identity: ProviderIdentity, *, at: datetime) -> str:
        """Begin a session of somebody whom the identity provider vouches for; return its token.

        A lock does not stand in the way: it keeps people from guessing the password, and anybody
        can bring it about.

        Raises:
            NotLinked: no account has this identity.
            AccountDisabled: it is linked to one that nobody may use.
        """
        async with writing(self._engine) as db:
            account = (
                await db.execute(
                    sa.select(accounts.c.id, accounts.c.is_active)
                    .join_from(accounts, identities)
                    .where(_is(identity))
                )
            ).first()
            if account is None:
                raise NotLinked("no account is linked to this identity")
            if not account.is_active:
                raise AccountDisabled(f"account {account.id} is disabled")
            return await _begin_session(db, account.id, at, identity.issuer)

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
        async with writing(self._engine) as db:
            return await _begin_session(db, account.id, at, None)

    async def is_password_of(self, account_id: str, password: str, *, at: datetime) -> bool:
        """Whether this is an account's password, which may be used now; a wrong one counts."""
        return await self._checked(account_id, password, at) is not None

    async def signed_in(self, token: str, *, at: datetime, is_use: bool = True) -> Account | None:
        """Return whose session this is; None if it has ended.

        Args:
            is_use: note that it is used; a page that only keeps itself up to date does not use it.
        """
        of_token = sessions.c.token_sha256 == _sha256(token)
        async with self._engine.connect() as db:
            found = await db.execute(
                _ACCOUNTS.add_columns(sessions.c.seen_at, sessions.c.issuer.label("vouched_by"))
                .join(sessions, sessions.c.account_id == accounts.c.id)
                .where(of_token, _is_live(at), accounts.c.is_active)
            )
            row = found.first()
        if row is None:
            return None
        if is_use and at - row.seen_at >= SEEN_EVERY:
            async with writing(self._engine) as writer:
                await writer.execute(sessions.update().where(of_token).values(seen_at=at))
        account = Account.of(row)
        # Whoever came without the password that others have seen need not change it first.
        return replace(account, must_change_password=False) if row.vouched_by else account

    async def sign_out(self, token: str) -> str | None:
        """End a session; one that has ended stays so.

        Returns:
            The identity provider that vouched for it, where one may still be signed in.
        """
        of_token = sessions.c.token_sha256 == _sha256(token)
        async with writing(self._engine) as db:
            issuer = await db.scalar(sa.select(sessions.c.issuer).where(of_token))
            await db.execute(sessions.delete().where(of_token))
        return issuer

    # ------------------------------------------------------------ passwords

    async def _checked(self, account_id: str, password: str, at: datetime) -> Account | None:
        """Return the account if this is its password and it may be used; count failures."""
        if not is_account_id(account_id):
            account_id = ""  # Nobody's; not every database can look for any text.
        async with self._engine.connect() as db:
            found = await db.execute(sa.select(accounts).where(accounts.c.id == account_id))
            row = found.first()
        has_password = row is not None and row.password_hash != NO_PASSWORD
        hashed = row.password_hash if row and has_password else self._nobodys_hash
        is_right = await self._verified(hashed, password) and has_password
        async with writing(self._engine) as writer:
            # Read again: others may have tried while this one was hashed.
            statement = _ACCOUNTS.where(accounts.c.id == account_id).with_for_update(of=accounts)
            row = (await writer.execute(statement)).first()
            if row is None or not row.has_password:
                return None  # There is nothing to guess, so nothing to lock.
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


async def _begin_session(
    db: AsyncConnection, account_id: str, at: datetime, issuer: str | None
) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await db.execute(sessions.delete().where(sa.not_(_is_live(at))))
    await db.execute(
        sessions.insert().values(
            token_sha256=_sha256(token),
            account_id=account_id,
            created_at=at,
            seen_at=at,
            issuer=issuer,
        )
    )
    return token


def _is(identity: ProviderIdentity) -> sa.ColumnElement[bool]:
    return sa.and_(identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)


async def _record_added(db: AsyncConnection, new: NewAccount, by: str, at: datetime) -> None:
    details: dict[str, Detail] = {"agency": new.agency, "role": str(new.role)}
    await record_act(db, at=at, by=by, act="account.added", subject=new.id, details=details)


async def _check_others_administer(db: AsyncConnection, account_id: str) -> None:
    """Refuse if an account is the last of the administrators that can be used."""
    statement = sa.select(accounts.c.id).where(
        accounts.c.role == str(StaffRole.ADMINISTRATOR), accounts.c.is_active
    )
    # Two that disable each other at once must not both succeed.
    administrators = set(await db.scalars(statement.with_for_update()))
    if administrators == {account_id}:
        raise LastAdministrator(account_id)


def _is_live(at: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(sessions.c.seen_at > at - IDLE_FOR, sessions.c.created_at > at - SIGNED_IN_FOR)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
