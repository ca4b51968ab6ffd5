"""Reading a policy file: what it must hold, and which contradictions are refused.

Every message names the key, e.g. `zhanjiang-2020-516.toml: tasks.survey.segment: …`. Types and
missing or unknown keys are the models' business; what follows from several values is checked here.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, combinations, pairwise, product
from typing import Any, get_args

from pydantic import ValidationError

from domain.connection import STORY, TaskKind, Voltage
from domain.errors import OneWindowError
from domain.policy import (
    DEPARTMENT,
    HANDLER,
    HEAD,
    BundleResult,
    DocumentKind,
    ItemOutcome,
    Policy,
    Supply,
    Text,
)
from domain.route import DATES, Segment

LONGEST_DEPARTMENT = 17
"""What is told of a task that one passed on to another has an id of 80 letters at most."""
DEPARTMENTS_OWE = frozenset({TaskKind.PERMITS, TaskKind.PAPERS})


class PolicyError(OneWindowError):
    """A policy file is incomplete or contradicts itself.

    Attributes:
        source: name of the file.
        problems: key and what is wrong with it, e.g. `("tasks.survey.link", "…")`; never empty.
    """

    def __init__(self, source: str, problems: Iterable[tuple[str, str]]) -> None:
        self.source, self.problems = source, tuple(problems)
        super().__init__("\n".join(f"{source}: {key}: {text}" for key, text in self.problems))


def load_policy(toml_text: str, source: str) -> Policy:
    """Read a policy.

    Args:
        source: name of the file, for messages.

    Raises:
        PolicyError: names every key that is missing, unknown, of the wrong kind, or (once all
            keys are right) contradictory.
    """
    try:
        tables = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(source, [("(syntax)", str(error))]) from None
    return policy_of(tables, source)


def policy_of(tables: Mapping[str, object], source: str) -> Policy:
    """Make a policy of the tables of its file.

    Raises:
        PolicyError: as `load_policy`.
    """
    try:
        # Read as JSON, which knows neither tuples, sets, dates nor enumerations: so the strict
        # models take arrays and text for them, but still no text for a number.
        policy = Policy.model_validate_json(json.dumps(tables, default=_iso))
    except ValidationError as error:
        raise PolicyError(
            source, [(_key(problem["loc"]), _said(problem["msg"])) for problem in error.errors()]
        ) from None
    if problems := [*_contradictions(policy), *_uncited(policy.sources, tables)]:
        raise PolicyError(source, problems)
    return policy


def _iso(value: Any) -> str:
    return str(value.isoformat())


def _key(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if part != "[key]") or "(file)"


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _uncited(sources: Mapping[str, Text], node: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Find clauses that cite something the file does not list among its sources."""
    items: Iterable[tuple[object, object]] = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for name, value in items:
        path = f"{key}.{name}".lstrip(".")
        if name == "clause" and isinstance(value, str):
            for cited in value.split("; "):
                if not any(cited == known or cited.startswith(f"{known} ") for known in sources):
                    yield path, f"{cited!r} cites none of the sources declared"
        else:
            yield from _uncited(sources, value, path)


def _contradictions(policy: Policy) -> Iterator[tuple[str, str]]:
    yield from _time_problems(policy)
    yield from _task_problems(policy)
    yield from _clock_problems(policy)
    yield from _procedure_problems(policy)
    yield from _ladder_problems(policy)
    yield from _route_problems(policy)
    yield from _aggregation_problems(policy)
    yield from _investment_problems(policy)
    yield from _twice("intake.documents", (rule.kind for rule in policy.intake.documents))
    for kind in get_args(DocumentKind):
        if kind not in {rule.kind for rule in policy.intake.documents}:
            yield "intake.documents", f"the document {kind} is missing"


def _twice(key: str, names: Iterable[object]) -> Iterator[tuple[str, str]]:
    for name, count in Counter(names).items():
        if count > 1:
            yield key, f"{name} stands {count} times"


def _time_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.working_time.opens >= policy.working_time.closes:
        yield "working_time.closes", "closes before it opens"
    for code, district in policy.districts.items():
        for earlier, later in pairwise(district.areas):
            if earlier.since >= later.since:
                yield f"districts.{code}.areas", f"{later.since} does not follow {earlier.since}"
    if policy.capacity.low_max_kva >= policy.capacity.high_max_kva:
        yield "capacity.high_max_kva", "not above low_max_kva"


def _task_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    for voltage in Voltage:
        if voltage not in policy.links:
            yield f"links.{voltage}", "missing"
        yield from _twice(f"links.{voltage}", (link.id for link in policy.links.get(voltage, ())))
    for kind in TaskKind:
        if kind not in policy.tasks:
            yield f"tasks.{kind}", "missing"
    roles = {name: agency.role for name, agency in policy.agencies.items()}
    for role in ("desk", "utility", "department", "applicant"):
        if role not in roles.values():
            yield "agencies", f"none has the role {role}"
    for name in policy.departments:
        # Two of them stand in the id of a task that one passed on to the other.
        if len(name) > LONGEST_DEPARTMENT:
            yield (
                f"agencies.{name}",
                f"the id of a department has {LONGEST_DEPARTMENT} letters at most",
            )
    for kind, rule in policy.tasks.items():
        key = f"tasks.{kind}"
        if rule.owner != DEPARTMENT and roles.get(rule.owner, "supervisor") == "supervisor":
            yield f"{key}.owner", f"{rule.owner} is no agency that can owe a task"
        if (rule.owner == DEPARTMENT) != (kind in DEPARTMENTS_OWE):
            yield f"{key}.owner", f"{kind} cannot be owed by {rule.owner}"
        if rule.segment not in policy.segments:
            yield f"{key}.segment", f"{rule.segment} is not declared in segments"
        for voltage in Voltage:
            is_in_story = kind in STORY[voltage]
            link = rule.link.get(voltage)
            if is_in_story and link is None:
                yield f"{key}.link.{voltage}", "missing"
            elif not is_in_story and link is not None:
                yield f"{key}.link.{voltage}", f"the {voltage}-voltage story has no {kind}"
            elif link and link not in {known.id for known in policy.links.get(voltage, ())}:
                yield f"{key}.link.{voltage}", f"{link} is not declared in links.{voltage}"


def _clock_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    for name, clock in policy.clocks.items():
        for part in ("counts", "leaves_out", "unless"):
            for segment in sorted(getattr(clock, part) - set(policy.segments)):
                yield f"clocks.{name}.{part}", f"{segment} is not declared in segments"
        if clock.covers == "case" and clock.limit is not None and clock.in_charge is None:
            yield f"clocks.{name}.in_charge", "a limit of the case needs somebody in charge"
        if clock.in_charge is not None and clock.in_charge not in policy.agencies:
            yield f"clocks.{name}.in_charge", f"{clock.in_charge} is not declared in agencies"
        if clock.counts and clock.leaves_out:
            yield f"clocks.{name}.leaves_out", "stands beside counts; a clock has one of them"
        if clock.unless and not clock.leaves_out:
            yield f"clocks.{name}.unless", "without leaves_out"
        permits = policy.tasks.get(TaskKind.PERMITS)
        # RB-2.5: the limit of the bundle is the limit of each department in it.
        if (
            clock.covers == "bundle"
            and clock.limit is not None
            and permits is not None
            and permits.limit_working_days != clock.limit
        ):
            yield (
                f"tasks.{TaskKind.PERMITS}.limit_working_days",
                f"{permits.limit_working_days}, but clocks.{name}.limit is {clock.limit}",
            )

    for voltage, supply in product(Voltage, get_args(Supply)):
        count = len(policy.clocks_of("bundle", voltage, supply))
        if TaskKind.PERMITS in STORY[voltage] and count != 1:
            yield (
                "clocks",
                f"{count} cover the bundles of {voltage} voltage, {supply} supply, not 1",
            )


def _procedure_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    count = sum(each.pause == "correction" for each in policy.procedures.values())
    if count != 1:
        yield "procedures", f"{count} are corrections, not 1"


def _ladder_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    supervisors = {i for i, agency in policy.agencies.items() if agency.role == "supervisor"}
    for position, rung in enumerate(policy.ladder):
        if rung.to not in {HANDLER, HEAD} | supervisors:
            yield f"ladder.{position}.to", f"{rung.to} is neither handler, head nor a supervisor"
    for position, (lower, upper) in enumerate(pairwise(policy.ladder), start=1):
        if (lower.light == "red", lower.after) >= (upper.light == "red", upper.after):
            yield f"ladder.{position}", "does not come after the step before it"


def _route_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    yield from _twice("permits", (rule.item for rule in policy.permits))
    yield from _twice("exceptions", (flag.id for flag in policy.exceptions))
    yield from _twice("guards", (flag.id for flag in policy.guards))
    yield from _twice("route.choices", policy.route.choices)
    for fact in policy.route.choices:
        if fact not in Segment.model_fields:
            yield "route.choices", f"{fact!r} is not a fact of a segment"
        elif fact in DATES:
            yield "route.choices", f"{fact} is a day that has passed: nobody chooses it"
    for position, rule in enumerate(policy.permits):
        if rule.agency not in policy.departments:
            yield f"permits.{position}.agency", f"{rule.agency} is not a declared department"
        for fact in sorted(rule.extent - set(Segment.model_fields)):
            yield f"permits.{position}.extent", f"{fact!r} is not a fact of a segment"


def outcome_combinations() -> Iterator[frozenset[ItemOutcome]]:
    """Every set of outcomes a bundle can have, the empty one first."""
    outcomes: tuple[ItemOutcome, ...] = get_args(ItemOutcome)
    sizes = range(len(outcomes) + 1)
    return map(frozenset, chain.from_iterable(combinations(outcomes, size) for size in sizes))


def _aggregation_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    unused = set(range(len(policy.aggregation)))
    for outcomes in outcome_combinations():
        row = next((i for i, rule in enumerate(policy.aggregation) if rule.fits(outcomes)), None)
        named = " + ".join(sorted(outcomes)) or "no outcome at all"
        if row is None:
            yield "aggregation", f"no row covers the combination {named}"
            continue
        unused.discard(row)
        result = policy.aggregation[row].result
        has_refusal = bool(outcomes & {"refused", "not_accepted"})
        if has_refusal and result in ("granted", "granted_with_conditions", "no_permit_needed"):
            yield f"aggregation.{row}.result", f"{named} cannot come to {result}"
        if (result == "no_permit_needed") != (not outcomes) and not has_refusal:
            yield f"aggregation.{row}.result", f"{named} cannot come to {result}"
    for row in sorted(unused):
        yield f"aggregation.{row}", "never decides: rows before it cover all it fits"
    for result in get_args(BundleResult):
        if result not in policy.results:
            yield f"results.{result}", "missing"


def _investment_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    overrides = policy.investment.overrides
    yield from _twice("investment.overrides", (override.id for override in overrides))
    for position, override in enumerate(overrides):
        key = f"investment.overrides.{position}"
        if override.until is not None and override.until < override.since:
            yield f"{key}.until", "lies before since"
        for code in sorted(override.districts - set(policy.districts)):
            yield f"{key}.districts", f"{code} is not declared in districts"
        for other in overrides[:position]:
            if override.overlaps(other):
                yield key, f"holds for some of the same cases and days as {other.id}"
