"""The policy of a city as data: every limit, agency, rule and threshold, each with its clause.

These are the tables that a policy file must have; `domain.policy_file` reads one and refuses it if
anything is missing, unknown or contradictory. Nothing that stands in a policy is a constant in the
code: another city is another file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from domain import clocks
from domain.clocks import Basis, ClockRule, Nature
from domain.connection import TaskKind, Voltage
from domain.route import Alternatives
from domain.working_time import BusinessHours, ReceiptRule, WorkingDays

Supply = Literal["single", "dual"]
Purpose = Literal["permanent", "temporary"]
ApplicantKind = Literal["person", "enterprise"]
Size = Literal["micro", "small", "medium", "large"]
DocumentKind = Literal["identity", "ownership"]
Area = Literal["central", "other", "mixed"]
Role = Literal["desk", "utility", "department", "applicant", "supervisor"]
Investor = Literal["utility_pays", "utility_standard"]
ItemOutcome = Literal[
    "approved", "approved_with_conditions", "papers_to_follow", "refused", "not_accepted"
]
BundleResult = Literal[
    "granted", "granted_with_conditions", "partial", "refused", "no_permit_needed"
]

DEPARTMENT = "department"
"""Owner of a task that each competent department owes for itself."""
HANDLER, HEAD = "handler", "head"
"""Recipients of a notice inside the agency that is late."""

Words = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^\S(.*\S)?$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$", max_length=40)]
DistrictCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Days = Annotated[int, Field(ge=1, le=1000)]
_Kva = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Clause(_Table):
    """Whatever stands in a policy rests on something.

    Attributes:
        clause: source and section, e.g. `516 三(二)`; several are parted by `; `.
    """

    clause: Words


class Text(_Table):
    zh: Words
    en: Words


class Titled(_Clause):
    """A value that is shown to people."""

    zh: Words
    en: Words


class City(Titled):
    code: DistrictCode


class DatedArea(_Clause):
    """What the area table says from a day on (RB-7.4).

    Attributes:
        area: `mixed` where one district holds both, so that a person has to say.
        since: first civil date on which it holds.
    """

    area: Area
    since: date


class District(Titled):
    """A district of the city.

    Attributes:
        areas: in order of time.
    """

    areas: Annotated[tuple[DatedArea, ...], Field(min_length=1)]

    def area_on(self, on: date) -> Area | None:
        """What the table says on a day; None before its first entry."""
        held = [dated.area for dated in self.areas if dated.since <= on]
        return held[-1] if held else None


class Agency(Titled):
    role: Role


class WorkingTime(_Clause):
    """When the window is open, and what counts as receipt outside those hours (RB-1.4, RB-1.5)."""

    receipt: ReceiptRule
    opens: time
    closes: time

    @property
    def hours(self) -> BusinessHours:
        return BusinessHours(self.opens, self.closes)


class Lights(_Clause):
    """Yellow from this many working days left, red once the deadline has passed (RB-5.1)."""

    yellow_at: Annotated[int, Field(ge=0)]


class Procedure(Titled):
    """A procedure for which a department's clock stands still (RB-2.4, RB-4.6).

    Attributes:
        pause: a correction (补正) or a special procedure (特别程序).
        basis: the law says so, or local practice does.
    """

    pause: Literal["correction", "special"]
    basis: Basis


class Rung(Titled):
    """A step of the ladder (RB-5.2).

    Attributes:
        light, after: the step is due `after` working days after the light came on.
        to: `handler` or `head` of the late agency, or a supervising agency.
        reply_within: working days in which a reply is due.
    """

    light: Literal["yellow", "red"]
    after: Annotated[int, Field(ge=0)]
    to: Name
    reply_within: Days


class Link(Titled):
    """A link (环节) as the applicant sees it (RB-6.1)."""

    id: Name


def _word_for_none(word: str) -> BeforeValidator:
    """TOML knows no null, and a key left out would be a key forgotten: so a word says it."""
    return BeforeValidator(lambda value: None if value == word else value)


class AppliesTo(_Table):
    """Which cases a clock is for; None (in the file `"any"`) is any."""

    voltage: Annotated[Voltage | None, _word_for_none("any")]
    supply: Annotated[Supply | None, _word_for_none("any")]


class Clock(Titled):
    """A clock of RB-2.

    Attributes:
        covers: what starts and stops it: the whole case, or one bundle of permits.
        limit: None (in the file `"none"`): tracked without a target (RB-2.6).
        in_charge: the agency that is told when its limit comes near (RB-5.2); None (in the file
            `"none"`): whoever owes the tasks it consists of.
        counts, leaves_out, unless: see `ClockRule`.
    """

    covers: Literal["case", "bundle"]
    limit: Annotated[Days | None, _word_for_none("none")]
    in_charge: Annotated[Name | None, _word_for_none("none")]
    nature: Nature
    counts: frozenset[Name]
    leaves_out: frozenset[Name]
    unless: frozenset[Name]
    applies_to: AppliesTo


class TaskRule(Titled):
    """What a task kind is under this policy.

    Attributes:
        owner: an agency, or `department`: each competent department for itself.
        link: the link it is shown in, for each voltage whose story has it.
        segment: what is open, for the clocks, while the task is.
        limit_working_days: its own limit; None (in the file `"none"`): only the case's clocks.
        reconcile_hours: how often an unanswered task is pushed again.
        answer_within_minutes: how long one push may take.
    """

    owner: Name
    link: dict[Voltage, Name]
    segment: Name
    limit_working_days: Annotated[Days | None, _word_for_none("none")]
    reconcile_hours: Annotated[int, Field(ge=1, le=24 * 30)]
    answer_within_minutes: Annotated[int, Field(ge=1, le=60)]


class Capacity(_Clause):
    """What each voltage can supply, in kVA, inclusive."""

    low_max_kva: _Kva
    high_max_kva: _Kva


class RouteChoices(_Clause):
    """Which facts of a segment a designer may choose; all others are given.

    Attributes:
        choices: in the order in which one would try them.
    """

    choices: tuple[str, ...]


class RouteRule(_Table):
    """Something that the facts of a segment call for.

    Attributes:
        basis: the law it rests on.
        when: alternatives; one is enough.
    """

    basis: Words
    when: Alternatives


class PermitRule(RouteRule):
    """A permit item (RB-4.2).

    Attributes:
        item: name of the item, as the department lists it.
        extent: facts that do not call for the item but change what it permits: when one of them
            is revised, the item is asked for again.
    """

    agency: Name
    item: Words
    en: Words
    extent: frozenset[str]


class RouteFlag(RouteRule):
    """A reason why a person must look: an exception (RB-4.4) or a low-voltage guard (RB-4.3)."""

    id: Name
    zh: Words
    en: Words


class Result(Text):
    """What a bundle can come to, and whether the line may be built then."""

    may_build: bool


class AggregationRule(_Clause):
    """A row of the table of RB-4.7. The first row that fits decides.

    Attributes:
        only: fits if no other outcome than these occurs.
        some: fits if at least one of these occurs.
    """

    only: frozenset[ItemOutcome] | None = None
    some: frozenset[ItemOutcome] | None = None
    result: BundleResult

    def fits(self, outcomes: frozenset[ItemOutcome]) -> bool:
        return (self.only is None or outcomes <= self.only) and (
            self.some is None or bool(outcomes & self.some)
        )

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.only is None and self.some is None:
            raise ValueError("a row needs `only`, `some` or both")
        return self


class AreaLimits(_Table):
    """A capacity per area, in kVA, inclusive."""

    central: _Kva
    other: _Kva

    def of(self, area: Literal["central", "other"]) -> float:
        return self.central if area == "central" else self.other


class LowVoltageInvestment(Titled):
    """Who is connected without investment of their own at low voltage (RB-7.1)."""

    applicants: frozenset[ApplicantKind]
    sizes: frozenset[Size]
    purposes: frozenset[Purpose]
    max_kva: AreaLimits


class HighVoltageInvestment(Titled):
    """Up to where the utility invests at high voltage (RB-7.2)."""

    purposes: frozenset[Purpose]


class InvestmentOverride(Titled):
    """除另有规定: another rule for some cases and some time (RB-7.3).

    Attributes:
        since, until: first and last civil date; no `until`: until further notice.
        districts: empty: all.
        decision: what holds instead.
    """

    id: Name
    since: date
    until: date | None = None
    voltages: Annotated[frozenset[Voltage], Field(min_length=1)]
    purposes: Annotated[frozenset[Purpose], Field(min_length=1)]
    districts: frozenset[DistrictCode]
    decision: Investor

    def overlaps(self, other: InvestmentOverride) -> bool:
        return (
            self.since <= (other.until or date.max)
            and other.since <= (self.until or date.max)
            and bool(self.voltages & other.voltages)
            and bool(self.purposes & other.purposes)
            and (
                not self.districts or not other.districts or bool(self.districts & other.districts)
            )
        )


class Investment(_Table):
    low: LowVoltageInvestment
    high: HighVoltageInvestment
    standard: Titled
    overrides: tuple[InvestmentOverride, ...]


class DocumentRule(Titled):
    kind: DocumentKind


class Correction(_Clause):
    """One notice names everything missing, within so many working days (RB-3.5).

    Attributes:
        notices: the story of a case has room for one.
        lapsed: what is put on file where no notice was given in time.
    """

    notices: Literal[1]
    within_working_days: Days
    lapsed: Text


class Intake(_Table):
    documents: tuple[DocumentRule, ...]
    correction: Correction


class Policy(_Table):
    """Everything one city promised, in one version.

    Attributes:
        id, version: together they name it; a case is pinned to both.
        in_force_on: first civil date.
        case_prefix: first letters of a case number.
        sources: what clauses may cite.
        segments: what can be open in a case, as far as clocks care.
        clocks, tasks, agencies, districts, links: by id, in the order of the file.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    version: Annotated[int, Field(ge=1)]
    in_force_on: date
    title: Titled
    case_prefix: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    sources: dict[str, Text]
    city: City
    working_time: WorkingTime
    lights: Lights
    capacity: Capacity
    intake: Intake
    agencies: dict[Name, Agency]
    districts: dict[DistrictCode, District]
    segments: dict[Name, Titled]
    links: dict[Voltage, tuple[Link, ...]]
    tasks: dict[TaskKind, TaskRule]
    clocks: dict[Name, Clock]
    procedures: dict[Name, Procedure]
    ladder: tuple[Rung, ...]
    route: RouteChoices
    permits: Annotated[tuple[PermitRule, ...], Field(min_length=1)]
    exceptions: tuple[RouteFlag, ...]
    guards: tuple[RouteFlag, ...]
    results: dict[BundleResult, Result]
    aggregation: tuple[AggregationRule, ...]
    investment: Investment

    @property
    def version_id(self) -> str:
        """Name of this version, e.g. `zhanjiang-2020-516.1`."""
        return f"{self.id}.{self.version}"

    @cached_property
    def departments(self) -> tuple[str, ...]:
        """The departments that decide on permits, in the order of the file."""
        return tuple(i for i, agency in self.agencies.items() if agency.role == "department")

    @cached_property
    def correction(self) -> Procedure:
        """The one procedure that is a correction (补正)."""
        return next(each for each in self.procedures.values() if each.pause == "correction")

    @cached_property
    def clock_rules(self) -> Mapping[str, ClockRule]:
        """The clocks as the rules of RB-2 read them, by id."""
        return {
            name: ClockRule(
                id=name,
                limit=None if clock.limit is None else WorkingDays(clock.limit),
                counts=clock.counts,
                leaves_out=clock.leaves_out,
                unless=clock.unless,
                nature=clock.nature,
                clause=clock.clause,
                zh=clock.zh,
                en=clock.en,
                applies_to=clocks.AppliesTo(clock.applies_to.voltage, clock.applies_to.supply),
            )
            for name, clock in self.clocks.items()
        }

    def clocks_of(
        self, covers: Literal["case", "bundle"], voltage: str, supply: str
    ) -> tuple[ClockRule, ...]:
        """Return the clocks that run for a case, or for one of its bundles; may be none."""
        rules = (self.clock_rules[i] for i, clock in self.clocks.items() if clock.covers == covers)
        return clocks.applicable(rules, voltage, supply)
