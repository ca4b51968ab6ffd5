"""Sign-ins under way at the identity provider: each comes back once, soon, to who began it.

They lie in the case file and not in a cookie, so that one can be used up, whichever process it
comes back to.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.database import writing
from storage.tables import provider_requests

WITHIN = timedelta(minutes=10)
"""Time to find one's password and the second factor."""
LONGEST_PATH = 2000


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """What is kept of a sign-in while the person is away.

    Attributes:
        nonce: what the answer must repeat.
        code_verifier: without it, the code that comes back is worth nothing (RFC 7636).
        go_on: where to afterwards; empty: home.
        link_to: the account that wants to be linked; None: somebody wants to sign in.
    """

    nonce: str
    code_verifier: str
    go_on: str = ""
    link_to: str | None = None


class ProviderRequests:
    """Keeps them. All instants are the engine's."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(
        self, state: str, visit: str, request: ProviderRequest, *, at: datetime
    ) -> None:
        """Note one that begins, and forget those that nobody came back from.

        Args:
            state: what the provider sends back with the answer; known to that visit only.
            visit: the secret of who begins.
        """
        kept = request.go_on if len(request.go_on) <= LONGEST_PATH else ""
        async with writing(self._engine) as db:
            await db.execute(
                provider_requests.delete().where(provider_requests.c.asked_at <= at - WITHIN)
            )
            await db.execute(
                provider_requests.insert().values(
                    state_sha256=_sha256(state),
                    visit_sha256=_sha256(visit),
                    nonce=request.nonce,
                    code_verifier=request.code_verifier,
                    go_on=kept,
                    link_to=request.link_to,
                    asked_at=at,
                )
            )

    async def take(self, state: str, visit: str, *, at: datetime) -> ProviderRequest | None:
        """Take back what was begun; whoever asks, it is gone afterwards.

        Returns:
            None if it is unknown, used up, too old, or was begun by another visit.
        """
        async with writing(self._engine) as db:
            taken = await db.execute(
                provider_requests.delete()
                .where(provider_requests.c.state_sha256 == _sha256(state))
                .returning(*provider_requests.c)
            )
            row = taken.first()
        if (
            row is None
            or at - row.asked_at >= WITHIN
            or not hmac.compare_digest(row.visit_sha256, _sha256(visit))
        ):
            return None
        return ProviderRequest(row.nonce, row.code_verifier, row.go_on, row.link_to)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
