"""A city's identity provider on the loopback: `oidc-provider-mock`, and what may go wrong with it.

The mock answers truthfully and lets any client redeem a code without its verifier; this holds
clients to PKCE (RFC 7636), and lies where a test wants it to.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from werkzeug.serving import make_server

with warnings.catch_warnings():
    # It still uses a module of Authlib that is deprecated.
    warnings.simplefilter("ignore")
    from oidc_provider_mock import app as provider_app

CLIENT_ID, CLIENT_SECRET = "onewindow-test", "a secret of the test's"

Claims = dict[str, Any]


@dataclass
class Lies:
    """What the provider does that it should not; by default nothing.

    Attributes:
        claims: changes what an ID token says.
        key: what it is signed with instead; it is published only if `keys` says so.
        header: of the token.
        raw_token: makes the whole ID token from the true one.
        keys: the keys that are published instead.
        metadata: changes the discovery document.
        status: of every answer to the server side, with no body.
        delay_s: before every answer to the server side.
        ignores_pkce: a code is redeemed with any verifier.
    """

    claims: Callable[[Claims], Claims] = lambda claims: claims
    key: RSAKey | ECKey | OctKey | None = None
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256"})
    raw_token: Callable[[str], str] = lambda spelled: spelled
    keys: list[Mapping[str, Any]] | None = None
    metadata: Callable[[Claims], Claims] = lambda metadata: metadata
    status: int | None = None
    delay_s: float = 0.0
    ignores_pkce: bool = False


@cache
def _mock() -> Any:
    # Making a key takes a while, and its codes and people are in nobody's way.
    mock = provider_app()
    mock.debug = False
    return mock


@cache
def _own_key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


@dataclass
class TestProvider:
    """A running provider.

    Attributes:
        own_key: what it signs with.
        asked: the paths that were asked for.
        token_requests: the forms that came to the token endpoint.
    """

    __test__ = False

    issuer: str = ""
    own_key: RSAKey = field(default_factory=_own_key)
    lies: Lies = field(default_factory=Lies)
    asked: list[str] = field(default_factory=list)
    token_requests: list[dict[str, str]] = field(default_factory=list)
    _challenges: dict[str, str] = field(default_factory=dict)

    def consent(self, address: str, subject: str | None) -> str:
        """Answer its page as a person would: who they are, or no; return where it leads back to."""
        form = {"action": "deny"} if subject is None else {"sub": subject}
        with httpx2.Client(trust_env=False) as person:
            shown = person.get(address)
            assert shown.status_code == 200, shown.text
            answer = person.post(address, data=form)
        assert answer.status_code == 302, answer.text
        back: str = answer.headers["location"]
        if subject is None:
            # The mock forgets the state of whom it sends away.
            back += "&" + urlencode({"state": parse_qs(urlsplit(address).query)["state"][0]})
        return back

    # ------------------------------------------------------------ in between

    def around(self, inner: Any) -> Any:
        """Wrap the mock."""

        def wrapped(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            path = environ["PATH_INFO"]
            self.asked.append(path)
            if path == "/favicon.ico":
                start("204 No Content", [])
                return []
            is_ours = path in ("/.well-known/openid-configuration", "/jwks", "/oauth2/token")
            if is_ours and self.lies.delay_s:
                time.sleep(self.lies.delay_s)
            if is_ours and self.lies.status is not None:
                start(f"{self.lies.status} As told", [("Content-Type", "text/plain")])
                return [b""]
            if path == "/oauth2/token" and not self._is_verified(environ):
                return _json(start, {"error": "invalid_grant"}, "400 Bad Request")
            status, headers, body = _called(inner, environ)
            if path == "/oauth2/authorize":
                self._note_challenge(environ, headers)
            elif is_ours and status.startswith("200"):
                return _json(start, self._retold(path, json.loads(body)))
            # Its pages ask a host outside for their looks.
            body = re.sub(rb"<link[^>]*>", b"", body)
            kept = [(name, each) for name, each in headers if name != "Content-Length"]
            start(status, [*kept, ("Content-Length", str(len(body)))])
            return [body]

        return wrapped

    def _note_challenge(self, environ: WSGIEnvironment, headers: list[tuple[str, str]]) -> None:
        asked = dict(parse_qsl(environ["QUERY_STRING"]))
        code = parse_qs(urlsplit(dict(headers).get("Location", "")).query).get("code")
        if code:
            assert asked["code_challenge_method"] == "S256"
            self._challenges[code[0]] = asked["code_challenge"]

    def _is_verified(self, environ: WSGIEnvironment) -> bool:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        form = dict(parse_qsl(body.decode()))
        self.token_requests.append(form)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return self.lies.ignores_pkce or self._challenges.get(form["code"]) == challenge

    def _retold(self, path: str, body: Claims) -> Claims:
        if path == "/jwks":
            published = [self.own_key.as_dict(private=False)]
            return {"keys": published if self.lies.keys is None else self.lies.keys}
        if path == "/oauth2/token":
            body["id_token"] = self._signed(body["id_token"])
            return body
        return self.lies.metadata(body)

    def _signed(self, spelled: str) -> str:
        payload = spelled.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        key = self.lies.key or self.own_key
        named = {"kid": self.own_key.kid, **self.lies.header}
        header = {name: each for name, each in named.items() if each is not None}
        algorithms = [header["alg"]]
        return self.lies.raw_token(
            jwt.encode(header, self.lies.claims(claims), key, algorithms=algorithms)
        )


@contextmanager
def identity_provider(monkeypatch: Any) -> Iterator[TestProvider]:
    """Serve a provider in a thread."""
    # The mock's own check, of what comes to it over http.
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    provider = TestProvider()
    server = make_server("127.0.0.1", 0, provider.around(_mock()), threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def _called(inner: Any, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
    answered: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
        answered[:] = [status, headers]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = b"".join(inner(environ, start))
    return answered[0], answered[1], body


def _json(start: StartResponse, body: Any, status: str = "200 OK") -> list[bytes]:
    spelled = json.dumps(body).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(spelled)))])
    return [spelled]
