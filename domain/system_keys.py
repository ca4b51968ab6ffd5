"""Keys of agencies' systems: how they are spelled, how long they last, how they sign requests.

A key is `ow_<id>_<secret>`. Its secret is not kept anywhere: it is derived from the server's own
secret, the key's id and its agency. So neither the case file nor a backup of it holds anything to
be stolen, and a row that somebody moves to another agency, or makes up, fits no secret.

A system may send its key (`Authorization: Bearer`), or sign each request with it, so that it never
travels.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import OneWindowError

LASTS = timedelta(days=365)
LONGEST_DAYS = 730
OVERLAP_DAYS = 7
"""How long a replaced key goes on, unless said otherwise."""
LONGEST_OVERLAP_DAYS = 90
EXPIRES_SOON = timedelta(days=30)
MOST_AT_ONCE = 10
"""Keys of one agency that are in use at a time."""

SIGNED_WITHIN = timedelta(minutes=5)
"""How far a signature's time may be from ours, either way."""

_KEY = re.compile("ow_(?P<id>[a-z0-9]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
KEY_ID = re.compile("[a-z0-9]{12}")
REQUEST_ID = re.compile("[A-Za-z0-9._-]{16,64}")
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""Thirty-two that are read aloud without doubt; each byte gives one."""


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A key as it was sent, taken apart."""

    id: str
    whole: str


class KeyState(StrEnum):
    """How a key stands; each is said in words wherever it is shown."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    REPLACED = "replaced"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNUSABLE = "unusable"


class UnknownKey(OneWindowError):
    """No key has this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no key {key_id}")
        self.key_id = key_id


class KeyEnded(OneWindowError):
    """The key was replaced, revoked, or has expired, so it cannot be replaced."""

    def __init__(self, key_id: str, en: str, zh: str) -> None:
        super().__init__(en)
        self.key_id, self.en, self.zh = key_id, en, zh


def key_id_of(chance: bytes) -> str:
    """Spell twelve bytes of chance as an id."""
    return "".join(_LETTERS[byte % 32] for byte in chance[:12])


def prefix_of(key_id: str) -> str:
    """Return how a key begins: what may be shown of it, and looked for in a configuration."""
    return f"ow_{key_id}_"


def read_key(text: str) -> KeyShown | None:
    """Take a key apart; None if it is not spelled as one."""
    found = _KEY.fullmatch(text)
    return None if found is None else KeyShown(found["id"], text)


def key_of(server_secret: str, key_id: str, agency: str) -> str:
    """Return the whole key of an id and an agency."""
    mac = _derived(server_secret, f"key.1|{key_id}|{agency}")
    return prefix_of(key_id) + base64.urlsafe_b64encode(mac).decode().rstrip("=")


def mark_of(server_secret: str) -> str:
    """Return what tells one server's secret from another, and nothing about it."""
    return _derived(server_secret, "mark.1").hex()[:16]


def _derived(server_secret: str, purpose: str) -> bytes:
    return hmac.digest(server_secret.encode(), f"onewindow|{purpose}".encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Request:
    """All of a request that means something here, as it was sent.

    Attributes:
        id: the sender's, another for each request.
        timestamp: whole seconds since 1970, in digits.
        target: path and query, byte for byte.
        idempotency_key, document_name: of the headers `Idempotency-Key` and `X-Document-Name`;
            empty without.
    """

    id: str
    timestamp: str
    method: str
    target: bytes
    idempotency_key: bytes
    document_name: bytes
    body: bytes

    @property
    def signed_text(self) -> bytes:
        """What the signature is over: a line for each part; none ends the last."""
        return b"\n".join(
            (
                b"onewindow.1",
                self.id.encode(),
                self.timestamp.encode(),
                self.method.encode(),
                self.target,
                self.idempotency_key,
                self.document_name,
                hashlib.sha256(self.body).hexdigest().encode(),
            )
        )


def signature_of(request: Request, key: str) -> str:
    """Return the signature of a request under a whole key: `v1,` and base64 of the HMAC-SHA256."""
    mac = hmac.digest(key.encode(), request.signed_text, "sha256")
    return "v1," + base64.b64encode(mac).decode()


def is_timely(timestamp: str, at: datetime) -> bool:
    """Whether a signature's time is near enough to `at`."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        return False
    return abs(at.timestamp() - int(timestamp)) <= SIGNED_WITHIN.total_seconds()
