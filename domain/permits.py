"""Which permits a route needs, which of them to ask for, and what the answers come to (RB-4).

Pure functions of the facts of a route and the rules of the policy. Each segment is looked at for
itself, so a further segment can only add items, and their order changes nothing (RB-4.2).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from domain.policy import BundleResult, ItemOutcome, Policy, RouteFlag, RouteRule
from domain.route import Route, Segment, facts_of, holds

__all__ = [
    "HELD",
    "ItemOutcome",
    "PermitItem",
    "RequiredPermits",
    "Route",
    "RouteNote",
    "Segment",
    "aggregate",
    "required_permits",
    "to_ask",
]


@dataclass(frozen=True, slots=True)
class PermitItem:
    """One permit that a route needs of one department.

    Attributes:
        segments: positions of the segments that call for it, from 1, ascending.
        facts_digest: SHA-256 (hex) of those segments' facts that the item depends on; two routes
            with the same digest need the same permit.
    """

    agency: str
    item: str
    basis: str
    segments: tuple[int, ...]
    facts_digest: str


@dataclass(frozen=True, slots=True)
class RouteNote:
    """Something about a route that a person must look at; it stops no clock.

    Attributes:
        segments: positions of the segments that call for it, from 1, ascending.
    """

    id: str
    zh: str
    en: str
    basis: str
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RequiredPermits:
    """What the facts of a route call for.

    Attributes:
        items: at high voltage, in the order of the policy; may be empty (RB-4.2).
        exceptions: approvals outside the window and its five days (RB-4.4).
        guards: at low voltage, where nothing is approved: what a person should see (RB-4.3).
    """

    items: tuple[PermitItem, ...]
    exceptions: tuple[RouteNote, ...]
    guards: tuple[RouteNote, ...]

    @property
    def is_empty(self) -> bool:
        """No permit is needed: a result to be stated, not an omission."""
        return not self.items


def required_permits(route: Route, policy: Policy, on: date) -> RequiredPermits:
    """Return the permits that `route` needs on the civil date `on` (RB-4.2 to RB-4.4)."""
    return RequiredPermits(
        items=tuple(
            PermitItem(
                agency=rule.agency,
                item=rule.item,
                basis=rule.basis,
                segments=positions,
                facts_digest=_digest(route, positions, facts_of(rule.when) | rule.extent),
            )
            for rule in policy.permits
            if (positions := _called_for(rule, route, on))
        ),
        exceptions=tuple(_notes(policy.exceptions, route, on)),
        guards=tuple(_notes(policy.guards, route, on)),
    )


def _called_for(rule: RouteRule, route: Route, on: date) -> tuple[int, ...]:
    return tuple(
        position
        for position, segment in enumerate(route.segments, start=1)
        if holds(rule.when, segment, on)
    )


def _notes(flags: Iterable[RouteFlag], route: Route, on: date) -> Iterator[RouteNote]:
    for flag in flags:
        if positions := _called_for(flag, route, on):
            yield RouteNote(flag.id, flag.zh, flag.en, flag.basis, positions)


def _digest(route: Route, positions: Iterable[int], facts: frozenset[str]) -> str:
    segments = (route.segments[position - 1] for position in positions)
    # Sorted: a segment that merely moved within the route needs no new permit.
    stated = sorted(
        json.dumps(segment.model_dump(mode="json", include=set(facts)), sort_keys=True)
        for segment in segments
    )
    return hashlib.sha256("\n".join(stated).encode()).hexdigest()


HELD: frozenset[ItemOutcome] = frozenset(
    {"approved", "approved_with_conditions", "papers_to_follow"}
)
"""Outcomes after which a permit is held (RB-4.5)."""


def to_ask(required: Iterable[PermitItem], held: Iterable[PermitItem]) -> tuple[PermitItem, ...]:
    """Return the required items that no permit held from an earlier route covers (RB-4.7).

    Args:
        held: items that were granted; those refused are not held.
    """
    covered = {(item.agency, item.item, item.facts_digest) for item in held}
    return tuple(
        item for item in required if (item.agency, item.item, item.facts_digest) not in covered
    )


def aggregate(outcomes: Iterable[ItemOutcome], policy: Policy) -> BundleResult:
    """Return what the decisions on all items of a bundle come to, by the policy's table (RB-4.7).

    Args:
        outcomes: one per item, in any order. RB-4.5: silence is never approval, so whoever calls
            this has waited for every item; an empty bundle had no item to wait for.
    """
    occurring = frozenset(outcomes)
    # A policy that leaves a combination uncovered was refused when it was read.
    return next(rule.result for rule in policy.aggregation if rule.fits(occurring))
