"""The secret with which an applicant follows a case (RB-10.3): its spelling, on paper and as typed.

Nothing of it is kept. It follows from the server's own secret, the case number, and the count of
secrets that the case has had; so the same submission is told the same again, and the desk can put
another in its place, which ends the one before.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from datetime import timedelta

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""No letter and no digit that another looks like; as many as a prime, for the check character."""
RANDOM = 15
"""Characters of chance: 74 bits, which nobody guesses at five tries in a quarter of an hour."""
_GROUP = 4
_LABEL = b"onewindow: to follow a case"

FOLLOWED_FOR = timedelta(hours=2)
"""A visit ends then, of the engine's time: a phone is lent, a window's computer is shared."""


def case_secret(server_secret: str, no: str, generation: int) -> str:
    """Spell the secret of a case, e.g. `ABCD-EFGH-JKMN-PQRS`; the last character is a check.

    Args:
        generation: 1 for the one given at submission; each renewal adds one.
    """
    said = b"\0".join((_LABEL, no.encode(errors="surrogatepass"), str(generation).encode()))
    drawn = int.from_bytes(hmac.digest(server_secret.encode(), said, hashlib.sha256))
    values = []
    for _ in range(RANDOM):
        drawn, value = divmod(drawn, len(ALPHABET))
        values.append(value)
    return _grouped("".join(ALPHABET[value] for value in (*values, _check(values))))


def read_secret(typed: str) -> str | None:
    """Return a secret as it is spelled, however it was typed; None if a character is wrong.

    One wrong character, and two that were swapped, are always noticed.
    """
    plain = unicodedata.normalize("NFKC", typed).upper()
    kept = "".join(each for each in plain if each not in "-–—_. \t\u00a0\u3000")
    if len(kept) != RANDOM + 1 or any(each not in ALPHABET for each in kept):
        return None
    *values, check = (ALPHABET.index(each) for each in kept)
    return _grouped(kept) if _check(values) == check else None


def _grouped(text: str) -> str:
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def _check(values: list[int]) -> int:
    # Weights 1 to 16, all different modulo a prime; 2 is the inverse of 16 modulo 31.
    return -2 * sum(weight * value for weight, value in enumerate(values, start=1)) % len(ALPHABET)
