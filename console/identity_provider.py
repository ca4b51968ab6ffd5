"""The city's identity provider, as OpenID Connect speaks to it: authorization code with PKCE.

Authlib does the protocol, joserfc the signatures; this says what is accepted:

- the discovery document must name the issuer that was configured, and addresses by https;
- an ID token is signed by a key that the provider publishes, with an algorithm of `ALGORITHMS`:
  never `none`, and never one whose key would be a secret that both know;
- `iss`, `aud`, `azp`, `exp`, `iat`, `nbf`, `nonce`, and `at_hash` where given, are checked;
- only `sub` is taken from it. What somebody may do is not the provider's to say (ADR 16).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from time import monotonic
from typing import Any

import structlog
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from httpx2 import HTTPError
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
)
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from domain.accounts import ProviderIdentity, is_subject
from settings import Settings, is_confidential

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0
"""For all that is asked at one step; whoever waits can take the password instead."""
DISCOVERED_FOR_S = 3600.0
REFETCHED_AFTER_S = 30.0
"""A token with an unknown key has the keys fetched anew, but not more often."""
LEEWAY_S = 120
"""Clocks of two houses differ; much more, and people are told so."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_KINDS: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_TIMES = frozenset({"exp", "iat", "nbf"})


class Trouble(StrEnum):
    """Why the provider's answer lets nobody in."""

    AWAY = "away"
    DECLINED = "declined"
    FAULTY = "faulty"
    CLOCK = "clock"


class ProviderTrouble(Exception):
    """Nobody was let in.

    Attributes:
        why: what people are told.
        detail: for the log: a word of the protocol, never what the provider wrote.
    """

    def __init__(self, why: Trouble, detail: str) -> None:
        super().__init__(f"{why}: {detail}")
        self.why, self.detail = why, detail


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows this installation by.

    Attributes:
        name: of the provider, for people.
        return_address: fixed where people's requests do not name the host they see.
    """

    issuer: str
    id: str
    secret: str
    name: str
    return_address: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is sent along to the provider, and looked for in its answer."""

    state: str
    nonce: str
    code_verifier: str


def asked() -> Asked:
    """Make what a request carries: 256 bits each, as RFC 7636 advises for the verifier."""
    return Asked(*(secrets.token_urlsafe(32) for _ in range(3)))


@dataclass(frozen=True, slots=True)
class _Found:
    metadata: Mapping[str, Any]
    keys: KeySet
    at: float


class IdentityProvider:
    """One provider; keeps what it publishes for an hour."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._found: _Found | None = None
        self._refetched_at = -REFETCHED_AFTER_S
        self._looking = asyncio.Lock()

    @property
    def name(self) -> str:
        """What people call it."""
        return self._client.name

    @property
    def issuer(self) -> str:
        """Its address, which is its identity."""
        return self._client.issuer

    def return_address(self, otherwise: str) -> str:
        """Return where it sends people back to."""
        return self._client.return_address or otherwise

    async def address(self, sent: Asked, back: str, *, prompt: str | None = None) -> str:
        """Return where somebody goes to say who they are.

        Args:
            back: where the provider is to send them afterwards; it must know that address.
            prompt: `login`: they are asked again, though they may be signed in there.

        Raises:
            ProviderTrouble: it is away.
        """
        async with self._session() as session:
            found = await self._discovered(session)
            address, _ = session.create_authorization_url(
                found.metadata["authorization_endpoint"],
                state=sent.state,
                code_verifier=sent.code_verifier,
                nonce=sent.nonce,
                redirect_uri=back,
                scope="openid",
                prompt=prompt,
            )
            return str(address)

    async def identity(
        self, answer: Mapping[str, str], nonce: str, code_verifier: str, back: str, *, at: datetime
    ) -> ProviderIdentity:
        """Return who came back with an answer.

        Args:
            answer: the parameters of the address they came back to.
            nonce: of the request that is answered, as is `code_verifier`.
            back: the address that the request named.
            at: now, on our clock.

        Raises:
            ProviderTrouble: says why nobody is let in.
        """
        # RFC 9207: an answer of another provider is not taken to this one.
        if answer.get("iss", self.issuer) != self.issuer:
            raise ProviderTrouble(Trouble.FAULTY, "iss of the answer")
        if "error" in answer:
            is_declined = answer["error"] == "access_denied"
            raise ProviderTrouble(
                Trouble.DECLINED if is_declined else Trouble.FAULTY, "error of the answer"
            )
        if not answer.get("code"):
            raise ProviderTrouble(Trouble.FAULTY, "no code")
        async with self._session() as session:
            found = await self._discovered(session)
            names_itself = found.metadata.get("authorization_response_iss_parameter_supported")
            if names_itself is True and "iss" not in answer:
                raise ProviderTrouble(Trouble.FAULTY, "no iss")
            try:
                token = await session.fetch_token(
                    found.metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=answer["code"],
                    code_verifier=code_verifier,
                    redirect_uri=back,
                    auth=session.client_auth(_way_to_authenticate(found.metadata)),
                )
            except OAuthError:
                raise ProviderTrouble(Trouble.FAULTY, "code refused") from None
            if not isinstance(spelled := token.get("id_token"), str):
                raise ProviderTrouble(Trouble.FAULTY, "no id_token")
            decoded = await self._verified(spelled, session, found)
        return self._checked(decoded, token.get("access_token"), nonce, at)

    async def sign_out_address(self, back: str) -> str | None:
        """Return where one signs out there; None if it has no such place, or is away."""
        try:
            async with self._session() as session:
                found = await self._discovered(session)
        except ProviderTrouble:
            return None
        address = found.metadata.get("end_session_endpoint")
        if not isinstance(address, str) or not is_confidential(address):
            return None
        named = {"client_id": self._client.id, "post_logout_redirect_uri": back}
        return str(add_params_to_uri(address, list(named.items())))

    # ------------------------------------------------------------ what it says

    async def _verified(self, spelled: str, session: Any, found: _Found) -> jwt.Token:
        """Return a token whose signature is the provider's; its keys may have changed."""
        try:
            try:
                return _decoded(spelled, found)
            except (InvalidKeyIdError, BadSignatureError):
                if monotonic() - self._refetched_at < REFETCHED_AFTER_S:
                    raise
                self._refetched_at = monotonic()
                return _decoded(spelled, await self._discovered(session, anew=True))
        except (JoseError, ValueError) as problem:
            raise ProviderTrouble(Trouble.FAULTY, type(problem).__name__) from None

    def _checked(
        self, token: jwt.Token, access_token: object, nonce: str, at: datetime
    ) -> ProviderIdentity:
        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._client.id},
            "sub": {"essential": True},
        }
        parameters = {
            "nonce": nonce,
            "client_id": self._client.id,
            "access_token": access_token,
        }
        claims = CodeIDToken(token.claims, token.header, options, parameters)
        try:
            claims.validate(now=int(at.timestamp()), leeway=LEEWAY_S)
        except ClaimError as problem:
            is_time = problem.claim in _TIMES and not isinstance(problem, MissingClaimError)
            why = Trouble.CLOCK if is_time else Trouble.FAULTY
            raise ProviderTrouble(why, f"claim {problem.claim}") from None
        except (JoseError, TypeError, ValueError) as problem:
            raise ProviderTrouble(Trouble.FAULTY, type(problem).__name__) from None
        if not is_subject(subject := claims["sub"]):
            raise ProviderTrouble(Trouble.FAULTY, "claim sub")
        return ProviderIdentity(self.issuer, subject)

    # ------------------------------------------------------------ what it publishes

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Any]:
        """Talk to the provider for a while, and not longer."""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                AsyncOAuth2Client(
                    self._client.id,
                    self._client.secret,
                    code_challenge_method="S256",
                    trust_env=False,
                    follow_redirects=False,
                ) as session,
            ):
                yield session
        except (HTTPError, TimeoutError) as problem:
            raise ProviderTrouble(Trouble.AWAY, type(problem).__name__) from None
        except ValueError as problem:  # What it sent is no JSON.
            raise ProviderTrouble(Trouble.FAULTY, type(problem).__name__) from None

    async def _discovered(self, session: Any, *, anew: bool = False) -> _Found:
        async with self._looking:
            found = self._found
            if found is None or anew or monotonic() - found.at >= DISCOVERED_FOR_S:
                metadata = self._accepted(
                    await _fetched(
                        session, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
                    )
                )
                keys = _published(await _fetched(session, metadata["jwks_uri"]))
                found = self._found = _Found(metadata, keys, monotonic())
            return found

    def _accepted(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        if metadata.get("issuer") != self.issuer:
            raise ProviderTrouble(Trouble.FAULTY, "issuer of the discovery document")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            address = metadata.get(name)
            if not isinstance(address, str) or not is_confidential(address.partition("?")[0]):
                raise ProviderTrouble(Trouble.FAULTY, name)
        return metadata


def identity_provider(settings: Settings) -> IdentityProvider | None:
    """Return the provider of the settings; None: accounts sign in with their passwords only."""
    if settings.oidc_issuer is None:
        return None
    assert settings.oidc_client_id is not None and settings.oidc_client_secret is not None
    return IdentityProvider(
        Client(
            issuer=settings.oidc_issuer,
            id=settings.oidc_client_id,
            secret=settings.oidc_client_secret.get_secret_value(),
            name=settings.oidc_name,
            return_address=settings.oidc_return_address,
        )
    )


async def _fetched(session: Any, address: str) -> Mapping[str, Any]:
    answer = await session.request("GET", address, withhold_token=True)
    if answer.status_code != 200:
        raise ProviderTrouble(Trouble.AWAY, f"status {answer.status_code}")
    body = answer.json()
    if not isinstance(body, dict):
        raise ProviderTrouble(Trouble.FAULTY, "no object")
    return body


def _published(body: Mapping[str, Any]) -> KeySet:
    """Return the keys that sign; those of kinds we do not know are passed over (RFC 7517, 5).

    A secret key among them would be known to everybody, so it is none.
    """
    keys: list[Any] = []
    for each in body.get("keys") or ():
        kind = _KINDS.get(str(each.get("kty"))) if isinstance(each, dict) else None
        if kind is None or each.get("use", "sig") != "sig":
            continue
        try:
            keys.append(kind.import_key(each))
        except (JoseError, TypeError, ValueError):
            continue
    if not keys:
        raise ProviderTrouble(Trouble.FAULTY, "no keys")
    return KeySet(keys)


def _decoded(spelled: str, found: _Found) -> jwt.Token:
    offered = found.metadata.get("id_token_signing_alg_values_supported")
    algorithms = [each for each in ALGORITHMS if not offered or each in offered]
    if not algorithms:
        # To the library, none allowed means some recommended, and those use shared secrets.
        raise ProviderTrouble(Trouble.FAULTY, "no algorithm in common")
    registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
    return jwt.decode(spelled, found.keys, registry=registry)


def _way_to_authenticate(metadata: Mapping[str, Any]) -> str:
    """Return how the provider wants the secret; by default as RFC 6749 prefers."""
    offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
