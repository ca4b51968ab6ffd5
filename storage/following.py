"""Following a case by number and secret: which secret counts, and who is looking (RB-10.3).

No secret is kept, only how many a case has had. Of a visit's token there is the digest.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.following import FOLLOWED_FOR
from storage.appending import Head, append, lock_case, locked_case
from storage.chain import digest
from storage.database import writing
from storage.records import parsed
from storage.tables import applications, events, follow_sessions

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Renewed:
    """A new secret of a case; `is_new` is false when the same was asked for before.

    Attributes:
        generation: which one it is.
        is_current: whether no other has taken its place since.
    """

    generation: int
    is_current: bool
    is_new: bool


class Following:
    """Knows which secret of a case counts, and who follows one. Instants are the engine's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def generation(self, no: str) -> int | None:
        """Return which of a case's secrets counts; None if there is no such case."""
        async with self._engine.connect() as db:
            return await _generation(db, no)

    async def renew(
        self, no: str, *, by: str, account: str | None, key: str, at: datetime
    ) -> Renewed:
        """Put another secret in the place of a case's own, once per key; every visit ends.

        Args:
            account: whose hand it was, where that is known.
            at: civil instant.

        Raises:
            UnknownCase: there is no such case.
        """
        once = f"follow.{digest(f'{by} {no} {key}')}"
        async with writing(self._engine) as db:
            await lock_case(db, no)
            head = Head.of(await locked_case(db, no))
            current = await _generation(db, no) or 1
            asked = sa.select(events.c.body).where(events.c.case_no == no, events.c.once == once)
            if (earlier := await db.scalar(asked)) is not None:
                generation: int = parsed(earlier)["generation"]
                return Renewed(generation, generation == current, is_new=False)
            body: dict[str, object] = {"generation": current + 1}
            if account is not None:
                body["account"] = account
            await append(
                db,
                head,
                at=at,
                kind="follow_secret_renewed",
                by=by,
                body=body,
                once=once,
                follow_generation=current + 1,
            )
            await db.execute(follow_sessions.delete().where(follow_sessions.c.case_no == no))
            return Renewed(current + 1, is_current=True, is_new=True)

    async def begin(self, no: str, generation: int, *, at: datetime) -> str | None:
        """Begin a visit of whoever has shown a secret; return its token.

        Returns:
            None if another secret has taken its place in the meantime.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with writing(self._engine) as db:
            await lock_case(db, no)
            if await _generation(db, no) != generation:
                return None
            too_old = follow_sessions.c.created_at <= at - FOLLOWED_FOR
            await db.execute(follow_sessions.delete().where(too_old))
            await db.execute(
                follow_sessions.insert().values(
                    token_sha256=_sha256(token), case_no=no, created_at=at
                )
            )
        return token

    async def followed(self, token: str, *, at: datetime) -> str | None:
        """Return the number of the case that a visit is for; None if it has ended."""
        statement = sa.select(follow_sessions.c.case_no).where(
            follow_sessions.c.token_sha256 == _sha256(token),
            follow_sessions.c.created_at > at - FOLLOWED_FOR,
        )
        async with self._engine.connect() as db:
            found: str | None = await db.scalar(statement)
        return found

    async def end(self, token: str) -> None:
        """End a visit; one that has ended stays so."""
        async with writing(self._engine) as db:
            await db.execute(
                follow_sessions.delete().where(follow_sessions.c.token_sha256 == _sha256(token))
            )


async def _generation(db: AsyncConnection, no: str) -> int | None:
    found: int | None = await db.scalar(
        sa.select(applications.c.follow_generation).where(applications.c.no == no)
    )
    return found


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
