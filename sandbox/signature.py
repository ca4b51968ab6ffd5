"""Signatures as OneWindow's description has them: Standard Webhooks, `v1`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256

TOLERANCE = 300
"""Seconds by which the sender's clock and ours may differ."""


def is_signed(
    secrets: Iterable[str], headers: Mapping[str, str], body: bytes, unix_now: float
) -> bool:
    """Tell whether one of `secrets` (`whsec_…`) signed this body, and not long ago.

    Args:
        headers: by names in lower case.
    """
    sent_at, given = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not sent_at.isdecimal() or abs(unix_now - int(sent_at)) > TOLERANCE:
        return False
    content = f"{headers.get('webhook-id', '')}.{sent_at}.".encode() + body
    expected = [
        b"v1," + b64encode(hmac.digest(b64decode(secret.removeprefix("whsec_")), content, sha256))
        for secret in secrets
    ]
    return any(
        hmac.compare_digest(signature.encode(), known)
        for signature in given.split(" ")
        for known in expected
    )
