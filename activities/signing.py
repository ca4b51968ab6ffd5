"""Signatures by the Standard Webhooks scheme, symmetric (`v1`): HMAC-SHA256 over id, time, body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable


def webhook_id(of: str) -> str:
    """Return what a message about `of` is known by, the same however often it is sent.

    Full stops separate what is signed, so an id has none: colons stand in their place.
    """
    return of.replace(".", ":")


def signed(keys: Iterable[bytes], message_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body.

    Args:
        keys: the newest first; each signs, so that a receiver that knows one of them is satisfied.
        message_id: without full stops.
        sent_at: Unix seconds of this try; receivers refuse what is older than some minutes.

    Raises:
        ValueError: the id has a full stop.
    """
    if "." in message_id:
        raise ValueError(f"a message id must not have a full stop: {message_id}")
    content = b"%s.%d.%s" % (message_id.encode(), sent_at, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
