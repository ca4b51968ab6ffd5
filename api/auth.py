"""Who is calling, and whether the table lets them: the one place for every route of the API.

Whoever calls shows a key of the settings, or one on file (`domain.system_keys`); of the latter it
may also sign each request, so that the key never travels. Then `domain.access` is asked, by the act
that the route is named for.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from api.problems import MALFORMED, NO_KEY, NOT_ALLOWED, Refused
from domain import system_keys
from domain.access import OPEN_TO_ALL, ROLES, Act, Whose, is_allowed, whose
from domain.policy import Policy
from domain.system_keys import (
    KEY_ID,
    REQUEST_ID,
    is_timely,
    key_of,
    read_key,
    signature_of,
)
from settings import Settings
from storage.system_keys import KeyRecord, SystemKeys

_BEARER = HTTPBearer(auto_error=False, description="The agency's, or the administrator's, key")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has shown a key, or is signed in to the console.

    Attributes:
        agency: the agency's id; of an administrator, the account, which is no agency's id.
    """

    agency: str
    role: str

    def whose(self, act: Act) -> Whose:
        """Return of whom the table lets the caller do it."""
        return whose(self.role, act)

    def sees_all(self, act: Act) -> bool:
        """Whether the table lets the caller do it to everybody's, and not only to its own."""
        return self.whose(act) is Whose.ALL

    def may_for(self, act: Act, owner: str) -> bool:
        """Whether the table lets the caller do it to what is `owner`'s."""
        return is_allowed(self.role, act, self.agency, owner)

    def needs(self, act: Act) -> None:
        """Refuse unless the table lets the caller do it at all (RB-13.1).

        For the functions behind routes: a page calls them too, and has an act of its own.

        Raises:
            Refused: it does not.
        """
        if self.whose(act) is Whose.NOBODYS:
            raise Refused(
                NOT_ALLOWED,
                f"{self.agency} may not do this; it is for: {', '.join(_roles_of(act))}",
                f"{self.agency} 无权执行此操作",
            )


def _roles_of(act: Act) -> tuple[str, ...]:
    """Return the roles that may do it, be it to their own only."""
    return tuple(role for role in ROLES if whose(role, act) is not Whose.NOBODYS)


ADMINISTRATOR = "administrator"
"""The role of those who look after the processes (RB-12); a person each, not an agency."""


class Keys:
    """Everybody's keys: those of the settings, kept as digests, and those on file.

    Args:
        on_file: keys of systems.
        now: the engine's time.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        on_file: SystemKeys,
        now: Callable[[], datetime],
    ) -> None:
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
        self._policy, self._on_file, self._now = policy, on_file, now
        secret = settings.server_secret
        self._server_secret = None if secret is None else secret.get_secret_value()

    async def of_bearer(self, text: str) -> Caller | None:
        """Return whose key this is; None if nobody's.

        Raises:
            Refused: it was somebody's, but has ended, or keys on file are off.
        """
        if (caller := self._callers.get(_digest(text))) is not None:
            return caller
        if (shown := read_key(text)) is None:
            return None
        record, right = await self._looked_up(shown.id)
        is_right = hmac.compare_digest(right.encode(), shown.whole.encode())
        return await self._let_in(record, is_right=is_right)

    async def of_signature(self, request: Request) -> Caller | None:
        """Return who has signed a request; None if nobody whom we know.

        Raises:
            Refused: the signature is too old, was used before, is not complete, its key has ended,
                or keys on file are off.
        """
        signed = _Signed.of(request)
        self._check_timely(signed)
        record, key = await self._looked_up(signed.key_id)
        sent = await signed.request(request)
        # A body can be sent so slowly that a request which was taken is forgotten meanwhile.
        at = self._check_timely(signed)
        is_right = hmac.compare_digest(signature_of(sent, key), signed.signature)
        caller = await self._let_in(record, is_right=is_right)
        if caller is not None and not await self._on_file.take_signed(
            signed.key_id, signed.request_id, at
        ):
            raise _refused(
                f"a request with this {REQUEST} was taken before; sign each one anew",
                f"此 {REQUEST} 已使用过，每次请求须重新签名",
            )
        return caller

    def _check_timely(self, signed: _Signed) -> datetime:
        at = self._now()
        if not is_timely(signed.timestamp, at):
            raise _refused(
                f"{TIMESTAMP} is not within 300 seconds of the time here, {at.timestamp():.0f}",
                f"{TIMESTAMP} 与本系统时间（{at.timestamp():.0f}）相差超过 300 秒",
            )
        return at

    async def _looked_up(self, key_id: str) -> tuple[KeyRecord | None, str]:
        """Return a key on file and what it is as a whole; something nobody has if there is none."""
        if self._server_secret is None:
            raise _refused(
                "keys on file are off here: ONEWINDOW_SERVER_SECRET is not set",
                "本系统未启用在册密钥：未设置 ONEWINDOW_SERVER_SECRET",
            )
        record = await self._on_file.find(key_id)
        return record, key_of(self._server_secret, key_id, record.agency if record else "")

    async def _let_in(self, record: KeyRecord | None, *, is_right: bool) -> Caller | None:
        """Let in who has shown a key that is right; say why not only to somebody who has it."""
        if record is None or not is_right:
            return None
        at, shown = self._now(), system_keys.prefix_of(record.id)
        if at >= record.not_after:
            en, zh = ("was revoked", "已吊销") if record.revoked_at else ("has expired", "已过期")
            raise _refused(
                f"the key {shown}… {en}; ask an administrator for another",
                f"密钥 {shown}… {zh}，请向系统管理员申请新密钥",
            )
        if (agency := self._policy.agencies.get(record.agency)) is None:
            return None
        await self._on_file.note_use(record, at)
        return Caller(record.agency, agency.role)


KEY, REQUEST, TIMESTAMP, SIGNATURE = (
    "OneWindow-Key",
    "OneWindow-Id",
    "OneWindow-Timestamp",
    "OneWindow-Signature",
)
"""Headers of a signed request."""
_OF_SIGNATURE = (KEY, REQUEST, TIMESTAMP, SIGNATURE)
_ALSO_SIGNED = ("Idempotency-Key", "X-Document-Name")


@dataclass(frozen=True, slots=True)
class _Signed:
    """The headers of a signed request, as far as they can be read."""

    key_id: str
    request_id: str
    timestamp: str
    signature: str

    @classmethod
    def of(cls, request: Request) -> _Signed:
        """Read them.

        Raises:
            Refused: one is missing, is given twice, or is not what it should be.
        """
        for name in (*_OF_SIGNATURE, *_ALSO_SIGNED):
            count = len(request.headers.getlist(name))
            # Of a repeated header each reader takes another: what is signed would not be what is
            # read.
            if count > 1 or (count == 0 and name in _OF_SIGNATURE):
                raise _refused(
                    f"a signed request has {name} once", f"签名请求须且只能有一个 {name} 请求头"
                )
        signed = cls(*(request.headers[name] for name in _OF_SIGNATURE))
        if not KEY_ID.fullmatch(signed.key_id):
            raise _refused(
                f"{KEY} is the twelve characters between ow_ and _ of the key",
                f"{KEY} 为密钥中 ow_ 与 _ 之间的 12 个字符",
            )
        if not REQUEST_ID.fullmatch(signed.request_id):
            raise _refused(
                f"{REQUEST} has 16 to 64 letters, digits, points, hyphens and underscores",
                f"{REQUEST} 为 16 至 64 个字母、数字、点、连字符或下划线",
            )
        return signed

    async def request(self, request: Request) -> system_keys.Request:
        """Return what was signed, if it was."""
        target: bytes = request.scope.get("raw_path") or request.url.path.encode()
        if query := request.scope["query_string"]:
            target += b"?" + query
        try:
            body = await request.body()
        except ClientDisconnect:
            raise Refused(MALFORMED, "the body ended too early", "请求正文不完整") from None
        also = [request.headers.get(name, "").encode("latin-1") for name in _ALSO_SIGNED]
        return system_keys.Request(
            self.request_id, self.timestamp, request.method, target, also[0], also[1], body
        )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _refused(en: str, zh: str) -> Refused:
    return Refused(NO_KEY, en, zh)


async def _caller(
    request: Request,
    shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Caller:
    keys: Keys = request.app.state.keys
    is_signed = any(name in request.headers for name in _OF_SIGNATURE)
    if is_signed and "Authorization" in request.headers:
        raise _refused("send a key or sign with it, not both", "请只提供密钥或签名其中之一")
    if is_signed:
        caller = await keys.of_signature(request)
    else:
        caller = await keys.of_bearer(shown.credentials) if shown else None
    if caller is None:
        raise _refused(
            "send your key as 'Authorization: Bearer <key>', or sign the request with it",
            "请以 Authorization: Bearer <密钥> 方式提供单位密钥，或以密钥对请求签名",
        )
    caller.needs(Act(request.scope["route"].name))
    return caller


SignedIn = Annotated[Caller, Depends(_caller)]
"""Who is asking, and may: the table is asked before the function is called."""


def check_routes(routes: Iterable[BaseRoute], *others: Callable[..., object]) -> None:
    """Refuse to serve a route that nobody thought about.

    Args:
        others: dependencies that let in those for whom there is no role.

    Raises:
        ValueError: a route has no act, or has one and does not ask who calls.
    """
    for route in routes:
        if not isinstance(route, APIRoute):
            continue
        act = Act(route.name)
        asks = {each.call for each in _tree(route.dependant)}
        if act not in OPEN_TO_ALL and not asks & {_caller, *others}:
            raise ValueError(f"{route.path} is for {act} and does not ask who calls")


def _tree(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from _tree(each)
