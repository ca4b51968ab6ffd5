"""Why a route calls for a permit, and how it could do without (RB-4.2 to RB-4.4).

Both follow from the policy's rules. A way around something changes, on every segment that calls for
it, facts which the policy lets a designer choose, so that no alternative of the rule holds any
more; where a rule ends by time (a road grows old), a way may be to wait. Ways are minimal: nothing
in one can be left out. Each says what else it removes, and what it adds.

Where several segments call for something, a way treats them alike as far as it can: there are no
more ways than there are different ones for single segments, however many segments there are.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations, product
from typing import Literal, assert_never

from pydantic import ValidationError

from domain.connection import Voltage
from domain.policy import Policy, RouteFlag, RouteRule
from domain.route import (
    ALWAYS,
    Above,
    Alternatives,
    Is,
    OneOf,
    Route,
    Segment,
    WithinByHighwayClass,
    YoungerThanYears,
    facts_of,
    holding,
    holds,
    until,
    values_of,
)
from domain.route_words import Value, change_words, fact_words, segments_words
from domain.words import Words


@dataclass(frozen=True, slots=True)
class Need:
    """Something that the policy asks of a route.

    Attributes:
        kind, id: together they name it; the id of an item is its name.
    """

    kind: Literal["item", "exception", "guard"]
    id: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Facts that call for something.

    Attributes:
        segments: positions of the segments that have them, from 1, ascending.
        facts: what one alternative of the rule looks at.
    """

    segments: tuple[int, ...]
    facts: Mapping[str, Value]

    @property
    def words(self) -> Words:
        where = segments_words(self.segments)
        said = [fact_words(fact, value) for fact, value in self.facts.items()]
        return Words(
            f"{where.zh}（{'；'.join(each.zh for each in said)}）",
            f"{where.en} ({'; '.join(each.en for each in said)})",
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A fact to be chosen otherwise.

    Attributes:
        segments: positions, from 1, ascending; on all of them the fact is `was` now.
    """

    segments: tuple[int, ...]
    fact: str
    was: Value
    to: Value

    @property
    def words(self) -> Words:
        where, what = segments_words(self.segments), change_words(self.fact, self.was, self.to)
        return Words(f"{where.zh}{what.zh}", f"{where.en}, {what.en}")


@dataclass(frozen=True, slots=True)
class Way:
    """A way around something (免办途径).

    Attributes:
        changes: all of them together; none where waiting is enough.
        since: first civil date on which it is one; None: at once.
        removes: what else would no longer be needed.
        adds: what would be needed instead.
    """

    changes: tuple[Change, ...]
    since: date | None
    removes: tuple[Need, ...]
    adds: tuple[Need, ...]

    def applied_to(self, route: Route) -> Route:
        """Return the route as it would be."""
        chosen: dict[int, dict[str, Value]] = {}
        for change in self.changes:
            for position in change.segments:
                chosen.setdefault(position, {})[change.fact] = change.to
        return Route(
            segments=tuple(
                _changed(segment, chosen[position]) if position in chosen else segment
                for position, segment in enumerate(route.segments, start=1)
            )
        )

    @property
    def words(self) -> Words:
        said = [change.words for change in self.changes]
        zh, en = "；".join(each.zh for each in said), "; ".join(each.en for each in said)
        if self.since is not None:
            day = f"{self.since.year}年{self.since.month}月{self.since.day}日"
            zh = f"{zh}，自{day}起不再需要" if zh else f"推迟：自{day}起不再需要"
            en = f"{en}, " if en else "wait: "
            en += f"not needed from {self.since} on"
        if self.removes:
            zh += f"。同时免去：{'、'.join(f'“{need.zh}”' for need in self.removes)}"
            en += f". Removes as well: {'; '.join(need.en for need in self.removes)}"
        if self.adds:
            zh += f"。但会增加：{'、'.join(f'“{need.zh}”' for need in self.adds)}"
            en += f". But adds: {'; '.join(need.en for need in self.adds)}"
        return Words(f"{zh}。", f"{en[0].upper()}{en[1:]}.")


@dataclass(frozen=True, slots=True)
class Called:
    """Something a route calls for, why, and how it could do without.

    Attributes:
        agency: of an item: the department it is asked of.
        basis: the law it rests on.
        segments: positions of the segments that call for it, from 1, ascending.
        ways: those that work at once first, then those that add least; may be empty.
        fixed: positions of the segments on which nothing that a designer can choose helps, today or
            later: there, only another alignment does. If there is one, there are no ways.
    """

    need: Need
    agency: str | None
    basis: str
    segments: tuple[int, ...]
    reasons: tuple[Reason, ...]
    ways: tuple[Way, ...]
    fixed: tuple[int, ...]

    @property
    def verdict(self) -> Words | None:
        """What to say where no design of this line does without; None where one does."""
        if self.fixed:
            where = segments_words(self.fixed)
            return Words(f"{where.zh}只能另选路径。", f"Only by another alignment of {where.en}.")
        if all(way.since for way in self.ways):
            return Words("只能另选路径或推迟。", "Only by another alignment, or by waiting.")
        return None


def called_for(route: Route, policy: Policy, voltage: Voltage, on: date) -> tuple[Called, ...]:
    """Return what a route calls for, with reasons and ways around it, in the order of the policy.

    Args:
        voltage: at high voltage items and exceptions count, at low voltage guards (RB-4.3).
        on: civil date.
    """
    return tuple(_Design(route, _rules(policy, voltage), policy.route.choices, on).called())


def contradictions(segment: Segment) -> frozenset[str]:
    """Name what is said of a highway and cannot be; no way around anything leads there."""
    is_in_it = segment.road == "highway" or segment.crosses_highway
    found = {
        "touches a highway, but none is near": segment.highway_class is None
        and (is_in_it or segment.uses_bridge),
        "in or across a highway, but away from it": is_in_it
        and bool(segment.distance_to_highway_m),
    }
    return frozenset(what for what, is_so in found.items() if is_so)


# ---------------------------------------------------------------- the rules that count


@dataclass(frozen=True, slots=True)
class _Rule:
    need: Need
    agency: str | None
    basis: str
    when: Alternatives
    facts: frozenset[str]

    @classmethod
    def of(cls, rule: RouteRule, need: Need, agency: str | None = None) -> _Rule:
        return cls(need, agency, rule.basis, rule.when, facts_of(rule.when))


def _rules(policy: Policy, voltage: Voltage) -> tuple[_Rule, ...]:
    match voltage:
        case Voltage.HIGH:
            items = (
                _Rule.of(rule, Need("item", rule.item, rule.item, rule.en), rule.agency)
                for rule in policy.permits
            )
            return (*items, *_flags("exception", policy.exceptions))
        case Voltage.LOW:
            return tuple(_flags("guard", policy.guards))
        case _:
            assert_never(voltage)


def _flags(kind: Literal["exception", "guard"], flags: Iterable[RouteFlag]) -> Iterator[_Rule]:
    for flag in flags:
        yield _Rule.of(flag, Need(kind, flag.id, flag.zh, flag.en))


# ---------------------------------------------------------------- one segment


@dataclass(frozen=True, slots=True)
class _Option:
    """A way around one rule on one segment.

    Attributes:
        chosen: facts and their new values.
        since: first civil date on which it is one.
    """

    chosen: frozenset[tuple[str, Value]]
    since: date


# Who is to keep away from a highway may have to leave its land first.
_LEAVES_HIGHWAY = frozenset({"road", "crosses_highway"})


def _options(
    when: Alternatives, segment: Segment, choices: Sequence[str], on: date
) -> tuple[_Option, ...]:
    """Return every option that is minimal: with fewer changes it would come later, or never."""
    facts = facts_of(when)
    values: dict[str, tuple[Value, ...]] = {}
    for fact in choices:
        others = tuple(dict.fromkeys(_other_values(when, fact, segment)))
        if not others and fact in _LEAVES_HIGHWAY and "distance_to_highway_m" in facts:
            others = tuple(value for value in values_of(fact) if value != getattr(segment, fact))
        if others:
            values[fact] = others
    options: list[_Option] = []
    for size in range(len(values) + 1):
        for names in combinations(values, size):
            for to in product(*(values[fact] for fact in names)):
                chosen = frozenset(zip(names, to, strict=True))
                enough = min((o.since for o in options if o.chosen <= chosen), default=ALWAYS)
                if enough == on or (changed := _could_be(segment, dict(chosen))) is None:
                    continue
                since = max(on, until(when, changed))
                if since < enough:
                    options.append(_Option(chosen, since))
    return tuple(options)


def _other_values(when: Alternatives, fact: str, segment: Segment) -> Iterator[Value]:
    """What the fact could be instead, as far as it makes a difference to some condition."""
    now: Value = getattr(segment, fact)
    for condition in (each for every in when for each in every if each.fact == fact):
        match condition:
            case Is() | OneOf():
                yield from (value for value in values_of(fact) if value != now)
            case Above():
                if isinstance(now, int | float) and now > condition.value:
                    yield condition.value
            case WithinByHighwayClass():
                if segment.highway_class is not None and now is not None:
                    yield math.floor(condition.value[segment.highway_class]) + 1.0
            case YoungerThanYears():
                # Nobody chooses when a road was built; `since` says how long to wait.
                pass
            case _:
                assert_never(condition)


def _changed(segment: Segment, chosen: Mapping[str, Value]) -> Segment:
    return Segment.model_validate({**dict(segment), **chosen})


def _could_be(segment: Segment, chosen: Mapping[str, Value]) -> Segment | None:
    """Return the segment as changed; None if there can be no such segment."""
    try:
        changed = _changed(segment, chosen)
    except ValidationError:
        return None
    return changed if contradictions(changed) <= contradictions(segment) else None


# ---------------------------------------------------------------- the route


class _Design:
    """A route, and which rules of the policy it sets off."""

    def __init__(
        self, route: Route, rules: Sequence[_Rule], choices: Sequence[str], on: date
    ) -> None:
        self._route, self._segments = route, route.segments
        self._rules, self._choices, self._on = rules, choices, on
        self._needed = self._needs(rules, self._segments, on)

    @staticmethod
    def _needs(rules: Iterable[_Rule], segments: Sequence[Segment], on: date) -> frozenset[Need]:
        """Return what of `rules` is set off by a segment or more."""
        return frozenset(
            rule.need
            for rule in rules
            if any(holds(rule.when, segment, on) for segment in segments)
        )

    def called(self) -> Iterator[Called]:
        for rule in (rule for rule in self._rules if rule.need in self._needed):
            options = {
                position: _options(rule.when, segment, self._choices, self._on)
                for position, segment in enumerate(self._segments, start=1)
                if holds(rule.when, segment, self._on)
            }
            fixed = tuple(position for position, each in options.items() if not each)
            ways = () if fixed else self._ways(rule.need, options)
            yield Called(
                need=rule.need,
                agency=rule.agency,
                basis=rule.basis,
                segments=tuple(options),
                reasons=tuple(self._reasons(rule, options)),
                ways=tuple(ways),
                fixed=fixed,
            )

    def _reasons(self, rule: _Rule, positions: Iterable[int]) -> Iterator[Reason]:
        having: dict[tuple[tuple[str, Value], ...], dict[int, None]] = {}
        for position in positions:
            segment = self._segments[position - 1]
            for every in holding(rule.when, segment, self._on):
                facts = dict.fromkeys(condition.fact for condition in every)
                # In the order of the rule; the class of a highway comes with its control zone.
                named = (*facts, *sorted(facts_of((every,)) - set(facts)))
                stated = tuple((fact, getattr(segment, fact)) for fact in named)
                # Two alternatives may look at the same facts: they are one reason.
                having.setdefault(stated, {})[position] = None
        yield from (Reason(tuple(where), dict(stated)) for stated, where in having.items())

    def _ways(self, need: Need, options: Mapping[int, Sequence[_Option]]) -> list[Way]:
        plans = dict.fromkeys(
            tuple(self._plan(options, pattern).items())
            for pattern in dict.fromkeys(
                option.chosen for each in options.values() for option in each
            )
        )
        ways = [self._way(need, dict(plan)) for plan in plans]
        # Sorted stably: of equals, the one that changes what the policy lists first.
        return sorted(
            ways,
            key=lambda way: (
                way.since is not None,
                len(way.adds),
                len(way.changes),
                -len(way.removes),
                way.since or self._on,
            ),
        )

    def _plan(
        self, options: Mapping[int, Sequence[_Option]], pattern: frozenset[tuple[str, Value]]
    ) -> dict[int, _Option]:
        """Choose an option for every segment, as like to `pattern` as can be."""
        alike = {
            position: _alike(each, pattern) or self._mildest(each, position)
            for position, each in options.items()
        }
        latest = max(option.since for option in alike.values())
        # Who waits for one segment has waited for all, and need not change what time alone mends.
        return {
            position: next(
                each
                for each in options[position]
                if each.chosen <= option.chosen and each.since <= latest
            )
            for position, option in alike.items()
        }

    def _mildest(self, options: Sequence[_Option], position: int) -> _Option:
        segment = self._segments[position - 1]
        before = self._needs(self._rules, [segment], self._on)

        def newly(option: _Option) -> int:
            changed = _changed(segment, dict(option.chosen))
            return len(self._needs(self._rules, [changed], option.since) - before)

        return min(options, key=newly)

    def _way(self, need: Need, plan: Mapping[int, _Option]) -> Way:
        since = max(option.since for option in plan.values())
        changes = tuple(self._changes(plan))
        way = Way(changes, None if since == self._on else since, (), ())
        changed = way.applied_to(self._route).segments
        facts = {change.fact for change in changes}
        touched = [rule for rule in self._rules if way.since is not None or rule.facts & facts]
        before = {rule.need for rule in touched} & self._needed
        after = self._needs(touched, changed, since)
        return replace(
            way,
            removes=tuple(r.need for r in touched if r.need in before - after - {need}),
            adds=tuple(r.need for r in touched if r.need in after - before),
        )

    def _changes(self, plan: Mapping[int, _Option]) -> Iterator[Change]:
        where: dict[tuple[str, Value, Value], list[int]] = {}
        for position, option in plan.items():
            for fact, to in option.chosen:
                was: Value = getattr(self._segments[position - 1], fact)
                where.setdefault((fact, was, to), []).append(position)
        # Sorted stably: of one fact, the change of the first segment first.
        for fact, was, to in sorted(where, key=lambda each: self._choices.index(each[0])):
            yield Change(tuple(where[fact, was, to]), fact, was, to)


def _alike(options: Sequence[_Option], pattern: frozenset[tuple[str, Value]]) -> _Option | None:
    for is_alike in (operator.eq, operator.le, operator.ge):
        for option in options:
            if is_alike(option.chosen, pattern):
                return option
    return None
