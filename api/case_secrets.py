"""Who may follow a case: whoever shows its number and its secret (RB-10.3).

The secret is derived, not kept: a HMAC of the case number under the server's secret. Nothing that
lies in the case file leads to it, a backup neither, and nobody has to hash a password slowly to
look: 74 bits of chance are not guessed, least of all at a few tries in a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from pydantic import SecretStr

from api.problems import FOLLOWING_OFF, TOO_MANY_TRIES, WRONG_SECRET, Refused
from api.tries import Tries
from domain.following import case_secret, read_secret
from domain.naming import is_case_no
from storage.following import Following

REFUSED_AFTER_S = 0.3
"""No refusal comes sooner, so that how long one takes tells nothing of what is on file."""
OF_A_CASE, OF_A_CASE_WITHIN = 5, timedelta(minutes=15)
OF_AN_ADDRESS, OF_AN_ADDRESS_WITHIN = 30, timedelta(minutes=5)
"""Wrong secrets only; a hall behind one address follows as many cases as it likes."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A case that somebody may follow, by a secret of this generation."""

    no: str
    generation: int


class CaseSecrets:
    """Spells the secrets of cases, and lets in who knows one.

    Args:
        server_secret: None: there are none, and nobody can follow a case.
    """

    def __init__(self, following: Following, server_secret: SecretStr | None) -> None:
        self.following = following
        self._server_secret = server_secret
        self._of_case = Tries(OF_A_CASE, OF_A_CASE_WITHIN)
        self._of_address = Tries(OF_AN_ADDRESS, OF_AN_ADDRESS_WITHIN)

    @property
    def is_on(self) -> bool:
        """Whether cases can be followed here."""
        return self._server_secret is not None

    def of(self, no: str, generation: int) -> str | None:
        """Return a secret of a case; None where there are none."""
        if self._server_secret is None:
            return None
        return case_secret(self._server_secret.get_secret_value(), no, generation)

    async def first_of(self, no: str) -> str | None:
        """Return the secret that a case was given at submission; None once another counts."""
        return self.of(no, 1) if await self.following.generation(no) == 1 else None

    async def admitted(self, no: str, typed: str, *, address: str, at: datetime) -> Admitted:
        """Let somebody in who knows the secret of a case.

        Whether the number exists makes no difference, neither to the answer nor to its time.

        Args:
            address: where it was tried from.
            at: the engine's instant.

        Raises:
            Refused: number and secret do not fit, there were too many tries, or it is off here.
        """
        if self._server_secret is None:
            raise following_off()
        began = monotonic()
        generation = await self.following.generation(no) if is_case_no(no) else None
        right = case_secret(self._server_secret.get_secret_value(), no, generation or 0)
        shown = read_secret(typed) or ""
        is_right = hmac.compare_digest(right, shown) and generation is not None
        if wait := max(self._of_case.wait(no, at), self._of_address.wait(address, at)):
            raise too_many_tries(wait)
        if is_right and generation is not None:
            return Admitted(no, generation)
        self._of_case.note(no, at)
        self._of_address.note(address, at)
        await asyncio.sleep(REFUSED_AFTER_S - (monotonic() - began))
        raise Refused(
            WRONG_SECRET,
            "the case number and the follow code do not fit; look at the slip again",
            "办件编号与查询码不符，请对照回执重新输入",
            headers={"WWW-Authenticate": 'Case-Secret realm="case"'},
        )


def following_off() -> Refused:
    """Say that nobody can follow a case here."""
    return Refused(
        FOLLOWING_OFF,
        "cases cannot be followed here; ask the window",
        "本系统未开通网上查询，请向综合服务窗口咨询",
    )


def too_many_tries(wait: int) -> Refused:
    """Say after how many seconds there may be another try."""
    minutes = -(-wait // 60)
    return Refused(
        TOO_MANY_TRIES,
        f"too many wrong tries; please try again in {minutes} minutes",
        f"错误次数过多，请 {minutes} 分钟后再试",
        headers={"Retry-After": str(wait)},
    )
