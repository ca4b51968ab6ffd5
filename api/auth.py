"""Who is calling: a key per agency and per administrator, from the settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import NO_KEY, NOT_ALLOWED, Refused
from domain.policy import Policy
from settings import Settings

_BEARER = HTTPBearer(auto_error=False, description="The agency's, or the administrator's, key")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has shown a key.

    Attributes:
        agency: the agency's id; of an administrator, the account, which is no agency's id.
    """

    agency: str
    role: str

    def needs(self, *roles: str) -> None:
        """Refuse unless the caller has one of these roles (RB-13.1).

        Raises:
            Refused: it has not.
        """
        if self.role not in roles:
            raise Refused(
                NOT_ALLOWED,
                f"{self.agency} may not do this; it is for: {', '.join(roles)}",
                f"{self.agency} 无权执行此操作",
            )


ADMINISTRATOR = "administrator"
"""The role of those who look after the processes (RB-12); a person each, not an agency."""


class Keys:
    """Everybody's keys, kept as digests, so that looking one up takes the same time for all."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        if unknown := sorted(set(settings.agency_keys) - set(policy.agencies)):
            raise ValueError(f"ONEWINDOW_AGENCY_KEYS: the policy has no {', '.join(unknown)}")
        self._callers = {
            _digest(key.get_secret_value()): Caller(agency, policy.agencies[agency].role)
            for agency, key in settings.agency_keys.items()
        }
        if taken := sorted(set(settings.administrator_keys) & set(policy.agencies)):
            raise ValueError(f"ONEWINDOW_ADMINISTRATOR_KEYS: {', '.join(taken)} is an agency")
        self._callers |= {
            _digest(key.get_secret_value()): Caller(account, ADMINISTRATOR)
            for account, key in settings.administrator_keys.items()
        }

    def caller(self, key: str) -> Caller | None:
        """Return whose key this is; None if nobody's."""
        return self._callers.get(_digest(key))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


async def _caller(
    request: Request,
    shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Caller:
    keys: Keys = request.app.state.keys
    caller = keys.caller(shown.credentials) if shown else None
    if caller is None:
        raise Refused(
            NO_KEY,
            "send your key as 'Authorization: Bearer <key>'",
            "请以 Authorization: Bearer <密钥> 方式提供单位密钥",
        )
    return caller


SignedIn = Annotated[Caller, Depends(_caller)]
