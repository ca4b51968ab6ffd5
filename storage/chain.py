"""The hash chain over everything that happened to a case (RB-13.2).

Each case's events form a chain; its first link takes the first hash of the case before it in the
register, so that neither an event, nor the end of a chain, nor a whole case can be changed or taken
out without `verify` naming the place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

GENESIS = "0" * 64


def canonical(value: object) -> str:
    """Spell a JSON value in the one way that is hashed: keys sorted, no white space."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def digest(text: str) -> str:
    """Return the SHA-256 of a text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """One event as it stands in the chain; `body` is canonical JSON."""

    case_no: str
    seq: int
    at: datetime
    kind: str
    by: str
    task_id: str | None
    once: str | None
    body: str
    prev_hash: str

    @property
    def hash(self) -> str:
        """The hash over all fields, that of the previous event included."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        fields = [
            self.case_no,
            self.seq,
            at,
            self.kind,
            self.by,
            self.task_id,
            self.once,
            self.body,
        ]
        return digest(canonical([*fields, self.prev_hash]))


VERSION_FIELDS = (
    "number",
    "version",
    "years",
    "year",
    "notice",
    "retracts",
    "published_by",
    "published_at",
    "prev_hash",
)
"""The columns of a version of the calendar that its hash is over, in this order."""


ACT_FIELDS = ("number", "at", "by", "act", "subject", "details", "prev_hash")
"""The columns of an administrator's act that its hash is over, in this order."""


def fields_hash(*fields: object) -> str:
    """Return the hash of a row over its fields, instants spelled in UTC.

    Of a version of the calendar over `VERSION_FIELDS`, of an administrator's act over `ACT_FIELDS`.
    """
    spelled = [
        field.astimezone(UTC).isoformat(timespec="microseconds")
        if isinstance(field, datetime)
        else field
        for field in fields
    ]
    return digest(canonical(spelled))


@dataclass(frozen=True, slots=True)
class Break:
    """Where the record no longer holds together.

    Attributes:
        case_no: the case; None when the register itself is broken.
        seq: the event's number within the case; None where no event can be named.
        why: what does not fit.
    """

    case_no: str | None
    seq: int | None
    why: str


def first_break(
    case_no: str,
    links: Iterable[tuple[Link, str]],
    *,
    start: str,
    head_seq: int,
    head_hash: str,
) -> Break | None:
    """Walk one case's events in order and name the first that does not fit.

    Args:
        links: each event with the hash stored for it.
        start: what the first event's `prev_hash` must be.
        head_seq, head_hash: where the case says its chain ends.
    """
    expected_seq, expected_prev = 1, start
    for link, stored in links:
        if link.seq != expected_seq:
            return Break(case_no, expected_seq, f"event {expected_seq} is missing")
        if link.prev_hash != expected_prev:
            return Break(case_no, link.seq, "does not follow from the event before it")
        if link.hash != stored:
            return Break(case_no, link.seq, "was changed after it was written")
        if link.seq > head_seq:
            return Break(case_no, link.seq, "was put in after the case's last event")
        expected_seq, expected_prev = link.seq + 1, stored
    if expected_seq <= head_seq:
        return Break(case_no, expected_seq, "the case's last events are missing")
    if expected_prev != head_hash:
        return Break(case_no, head_seq, "was changed after it was written")
    return None
