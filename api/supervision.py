"""Supervision: averages against the promises, departments' punctuality, and the lights now."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.contract import civil_text
from api.ages import AGES, Ages
from api.auth import SignedIn
from api.calendar import FIRST_DAY, LAST_DAY
from api.kept import Kept
from api.open_cases import (
    SHADES,
    LitCase,
    Shade,
    Stood,
    calendars_of,
    counted_cases,
    lit,
)
from api.schemas import refusals
from api.services import Services, Serving
from api.supervision_schemas import SummaryBody
from domain.access import Act
from domain.clocks import Average, Light, Nature, is_promise_kept, light_of_due
from domain.connection import TaskKind
from domain.errors import FieldProblem, InputRefused
from domain.policy import Policy, Titled
from domain.working_time import Calendar, WorkingDays, civil_date
from storage.figures import (
    Completed,
    Decided,
    Figures,
    Owed,
    Unanswered,
    Week,
    count_unanswered,
    read_figures,
    read_weeks,
)

router = APIRouter(prefix="/supervision", tags=["supervision"])

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _as_written(text: object) -> object:
    # Otherwise a number would be read as seconds since 1970.
    if not isinstance(text, str) or _DATE.fullmatch(text) is None:
        raise PydanticCustomError("date_parsing", "write a date, e.g. 2026-09-16")
    return text


Day = Annotated[date, BeforeValidator(_as_written)]
From = Annotated[
    Day | None,
    Query(
        alias="from",
        description="First civil date of completion; the first of the year of `to` if left out",
        examples=["2026-01-01"],
    ),
]
To = Annotated[
    Day | None,
    Query(description="Last civil date of completion; today if left out", examples=["2026-09-16"]),
]
District = Annotated[
    str | None,
    Query(max_length=6, description="Code of a district of the policy", examples=["440802"]),
]
ByWeek = Annotated[bool, Query(description="Whether averages are parted by week, too")]


@router.get(
    "/summary",
    name=Act.SEE_SUPERVISION,
    response_model=SummaryBody,
    summary="Averages, punctuality and lights (督导汇总)",
    responses=refusals(401, 403, 422),
)
async def get_summary(
    caller: SignedIn,
    services: Serving,
    from_: From = None,
    to: To = None,
    district: District = None,
    by_week: ByWeek = False,
) -> Mapping[str, Any]:
    """Return what was completed in a period against what was promised, and what is owed now."""
    caller.needs(Act.SEE_SUPERVISION)
    policy, civil_now = services.policy, services.settings.clock.civil(services.now())
    first, last = period(from_, to, district, policy, civil_date(civil_now))
    days = (await services.calendars.current()).calendar
    asked = _Asked(first, last, district, by_week, civil_date(civil_now))
    read = await _read(services, asked)
    figures, weeks, unanswered = read.figures, read.weeks, read.unanswered
    calendars = await calendars_of((case for case, _ in read.cases), services)
    cases = lit(read.cases, calendars, civil_now)
    ages = Ages(days, civil_date(civil_now))
    every = [Lit.of(owed, policy, days, civil_now) for owed in figures.owed]
    limited = [each for each in every if each.owed.has_limit]
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "district": district,
        "civil_now": civil_text(civil_now),
        "calendar_version": days.version,
        "clocks": _clocks(figures.completed, weeks, policy),
        "departments": _departments(figures.decided, limited, policy),
        "lights": _lights(limited, policy),
        "open_cases": _open_cases(cases, ages, policy, district),
        "open_tasks": _open_tasks(every, ages),
        "escalations": _escalations(unanswered),
    }


class _Asked(NamedTuple):
    """What figures are asked for; `today` is when replies are overdue."""

    first: date
    last: date
    district: str | None
    by_week: bool
    today: date


class _Read(NamedTuple):
    """What the file says of them: nothing that changes without an event of a case."""

    figures: Figures
    weeks: tuple[Week, ...]
    cases: Stood
    unanswered: Unanswered


_kept = Kept[_Asked, _Read]()


async def _read(services: Services, asked: _Asked) -> _Read:
    first, last, district, by_week, today = asked

    async def read(db: AsyncConnection) -> _Read:
        return _Read(
            await read_figures(db, first, last, district),
            await read_weeks(db, first, last, district) if by_week else (),
            await counted_cases(db, services, district),
            await count_unanswered(db, today, district),
        )

    return await _kept.answer(services.reading.engine, asked, read)


def period(
    first: date | None, last: date | None, district: str | None, policy: Policy, today: date
) -> tuple[date, date]:
    """Return the civil dates that are meant.

    Raises:
        InputRefused: names every parameter that makes no sense.
    """
    last = last or today
    first = first or date(last.year, 1, 1)
    problems = period_problems(first, last)
    if district is not None and district not in policy.districts:
        en = f"no such district; there are: {', '.join(policy.districts)}"
        zh = f"没有此区县代码；可用：{'、'.join(policy.districts)}"
        problems.append(FieldProblem("district", en, zh))
    if problems:
        raise InputRefused(*problems)
    return first, last


def period_problems(first: date, last: date) -> list[FieldProblem]:
    """Say what is wrong with the parameters `from` and `to`."""
    problems = [
        FieldProblem(
            name,
            f"the date must lie from {FIRST_DAY} to {LAST_DAY}",
            f"日期须在 {FIRST_DAY} 至 {LAST_DAY} 之间",
        )
        for name, day in (("from", first), ("to", last))
        if not FIRST_DAY <= day <= LAST_DAY
    ]
    if first > last:
        problems.append(
            FieldProblem(
                "from", f"the period begins after it ends, {last}", f"开始日期晚于结束日期 {last}"
            )
        )
    return problems


# ---------------------------------------------------------------- averages


def _clocks(
    completed: Sequence[Completed], weeks: Sequence[Week], policy: Policy
) -> list[Mapping[str, Any]]:
    """Show every clock of the policy in service, and whatever else was completed."""
    known = [(rule.id, rule.limit) for rule in policy.clock_rules.values()]
    found = {(each.clock, each.limit_working_days) for each in completed}
    others = sorted(found - set(known), key=str)
    return [
        _clock(
            clock,
            limit,
            [each for each in completed if (each.clock, each.limit_working_days) == (clock, limit)],
            [each for each in weeks if (each.clock, each.limit_working_days) == (clock, limit)],
            policy,
        )
        for clock, limit in (*known, *others)
    ]


def _clock(
    clock: str,
    limit: int | None,
    completed: Sequence[Completed],
    weeks: Sequence[Week],
    policy: Policy,
) -> Mapping[str, Any]:
    titled = policy.clocks.get(clock)

    def population(of: Iterable[Completed | Week]) -> Mapping[str, Any]:
        return _population(limit, titled.nature if titled else Nature.AVERAGE, of)

    return {
        "id": clock,
        **names_of(titled, clock),
        "limit": limit,
        "nature": titled and titled.nature,
        "clause": titled and titled.clause,
        **population(completed),
        "districts": [
            {"district": code, **names_of(policy.districts.get(code), code), **population(of)}
            for code, of in _parts(completed, lambda each: each.district)
        ],
        "months": [
            {"month": month, **population(of)}
            for month, of in _parts(completed, lambda each: f"{each.month:%Y-%m}")
        ],
        "weeks": [{"week": each.first.isoformat(), **population([each])} for each in weeks],
    }


def _parts(
    completed: Sequence[Completed], part: Callable[[Completed], str]
) -> list[tuple[str, list[Completed]]]:
    names = sorted({part(each) for each in completed})
    return [(name, [each for each in completed if part(each) == name]) for name in names]


def _population(
    limit: int | None, nature: Nature, of: Iterable[Completed | Week]
) -> Mapping[str, Any]:
    """Sum a population up; whether it keeps the limit is decided on the exact mean (RB-2.2)."""
    parts = list(of)
    cases, net = sum(each.cases for each in parts), sum(each.net for each in parts)
    within_limit = sum(each.within_limit for each in parts)
    average = Average.of(None if limit is None else WorkingDays(limit), cases, net)
    return {
        "cases": cases,
        "net": net,
        "mean": None if average.mean is None else float(round(average.mean, 2)),
        "within_limit": None if limit is None else within_limit,
        "is_met": is_promise_kept(nature, average, within_limit),
    }


# ---------------------------------------------------------------- what is owed now


@dataclass(frozen=True, slots=True)
class Lit:
    """Tasks owed by one agency that are due on one day, and their light.

    Attributes:
        light, left: None while their clocks stand still (RB-4.6), or without a date.
    """

    owed: Owed
    light: Light | None
    left: int | None

    @property
    def shade(self) -> Shade:
        """The light, or why there is none."""
        return shade_of(self.light, has_limit=self.owed.has_limit)

    @classmethod
    def of(cls, owed: Owed, policy: Policy, days: Calendar, civil_now: datetime) -> Lit:
        if owed.due_on is None:
            return cls(owed, None, None)
        hours, yellow_at = policy.working_time.hours, policy.lights.yellow_at
        return cls(owed, *light_of_due(owed.due_on, civil_now, days, hours, yellow_at))


def shade_of(light: Light | None, *, has_limit: bool) -> Shade:
    """Return the light of a task; without one it stands still, or has no limit."""
    if light is None:
        return "suspended" if has_limit else "none"
    return next(each for each in SHADES if each == light.value)


def _departments(
    decided: Iterable[Decided], lit: Iterable[Lit], policy: Policy
) -> list[Mapping[str, Any]]:
    """Show every department of the policy in service, and whoever else decided something."""
    by_agency: dict[str, list[Decided]] = {}
    for each_month in decided:
        by_agency.setdefault(each_month.agency, []).append(each_month)
    late_open: Counter[str] = Counter()
    for each in lit:
        if each.owed.kind is TaskKind.PERMITS and each.light is Light.RED:
            late_open[each.owed.agency] += each.owed.tasks
    return [
        {
            "agency": agency,
            **names_of(policy.agencies.get(agency), agency),
            **_punctuality(by_agency.get(agency, ())),
            "late_open": late_open[agency],
            "months": [
                {"month": f"{each.month:%Y-%m}", **_punctuality([each])}
                for each in sorted(by_agency.get(agency, ()), key=lambda each: each.month)
            ],
        }
        for agency in _in_order(policy.departments, by_agency.keys() | late_open.keys())
    ]


def _punctuality(decided: Iterable[Decided]) -> Mapping[str, Any]:
    parts = list(decided)
    done, late = sum(each.done for each in parts), sum(each.late for each in parts)
    rate = round(1 - late / done, 4) if done else None
    return {"done": done, "late": late, "on_time_rate": rate}


def _lights(lit: Sequence[Lit], policy: Policy) -> list[Mapping[str, Any]]:
    owing = {each.owed.agency for each in lit}
    return [
        _lights_of(agency, [each for each in lit if each.owed.agency == agency], policy)
        for agency in _in_order(policy.agencies, owing)
        if agency in owing
    ]


def _lights_of(agency: str, lit: Sequence[Lit], policy: Policy) -> Mapping[str, Any]:
    counted: Counter[Light | None] = Counter()
    for each in lit:
        counted[each.light] += each.owed.tasks
    dated = [
        (each.owed.due_on, each.left)
        for each in lit
        if each.owed.due_on is not None and each.left is not None
    ]
    earliest = min(dated, default=None)
    return {
        "agency": agency,
        **names_of(policy.agencies.get(agency), agency),
        **{str(light): counted[light] for light in Light},
        "suspended": counted[None],
        "most_urgent": earliest and {"due_on": earliest[0].isoformat(), "left": earliest[1]},
        "words": _words(counted, earliest, policy.lights.yellow_at),
    }


def _words(
    counted: Mapping[Light | None, int], earliest: tuple[date, int] | None, yellow_at: int
) -> Mapping[str, str]:
    """Say the lights without colours alone: with what they mean, and the days (RB-5.1)."""
    green, yellow, red = (counted[light] for light in Light)
    zh = (
        f"绿灯{green}件，黄灯（剩余不超过{yellow_at}个工作日）{yellow}件，"
        f"红灯（已逾期）{red}件，计时中止{counted[None]}件"
    )
    en = (
        f"{green} green, {yellow} yellow ({_days(yellow_at)} left at most), "
        f"{red} red (overdue), {counted[None]} suspended"
    )
    if earliest is not None:
        due_on, left = earliest
        zh += f"；最早一件{due_on}到期，" + (
            f"剩余{left}个工作日" if left >= 0 else f"已超过{-left}个工作日"
        )
        en += f"; the earliest is due on {due_on}, " + (
            f"{_days(left)} left" if left >= 0 else f"{_days(-left)} over"
        )
    return {"zh": zh, "en": en}


def _days(count: int) -> str:
    return f"{count} working day{'' if count == 1 else 's'}"


def _open_cases(
    cases: Sequence[LitCase], ages: Ages, policy: Policy, district: str | None
) -> Mapping[str, Any]:
    """Count open cases by light: each once, by the worst of its clocks."""
    stages: defaultdict[str, Counter[Shade]] = defaultdict(Counter)
    districts: defaultdict[str, Counter[Shade]] = defaultdict(Counter)
    by_age: defaultdict[str, Counter[Shade]] = defaultdict(Counter)
    clocks: defaultdict[tuple[str, int | None], Counter[Shade]] = defaultdict(Counter)
    clocks |= {(rule.id, rule.limit): Counter() for rule in policy.clock_rules.values()}
    of_all: Counter[Shade] = Counter()
    for each in cases:
        case, shade, count = each.case, each.shade, each.case.cases
        of_all[shade] += count
        stages[case.stage][shade] += count
        districts[case.district][shade] += count
        by_age[ages.of(case.submitted_on)][shade] += count
        for standing, shown in each.clocks:
            clocks[standing.clock, standing.limit][shown.shade] += count
    named = {link.id: link for links in policy.links.values() for link in links}
    all_districts = policy.districts if district is None else [district]
    return {
        **_shades(of_all),
        "stages": [
            {"stage": stage, **names_of(named.get(stage), stage), **_shades(stages.get(stage, {}))}
            for stage in _in_order(named, stages)
        ],
        "districts": [
            {
                "district": code,
                **names_of(policy.districts.get(code), code),
                **_shades(districts.get(code, {})),
            }
            for code in _in_order(all_districts, districts)
        ],
        "clocks": [
            {
                "id": clock,
                "limit": limit,
                **names_of(policy.clocks.get(clock), clock),
                **_shades(counted),
            }
            for (clock, limit), counted in clocks.items()
        ],
        "ages": _ages(by_age),
    }


def _open_tasks(lit: Iterable[Lit], ages: Ages) -> Mapping[str, Any]:
    of_all: Counter[Shade] = Counter()
    by_age: defaultdict[str, Counter[Shade]] = defaultdict(Counter)
    for each in lit:
        of_all[each.shade] += each.owed.tasks
        by_age[ages.of(each.owed.opened_on)][each.shade] += each.owed.tasks
    return {**_shades(of_all), "ages": _ages(by_age)}


def _ages(counted: Mapping[str, Mapping[Shade, int]]) -> list[Mapping[str, Any]]:
    return [
        {"age": age, "from_days": first, "to_days": last, **_shades(counted.get(age, {}))}
        for age, (first, last) in AGES.items()
    ]


def _shades(counted: Mapping[Shade, int]) -> Mapping[str, int]:
    found: dict[str, int] = {shade: counted.get(shade, 0) for shade in SHADES}
    return {"total": sum(found.values()), **found}


def _escalations(unanswered: Unanswered) -> Mapping[str, int]:
    return {
        "open": unanswered.notices,
        "unacknowledged": unanswered.unseen,
        "overdue": unanswered.overdue,
    }


def _in_order(known: Iterable[str], found: Iterable[str]) -> list[str]:
    """Return all names: first those of the policy in its order, then others."""
    return list(dict.fromkeys((*known, *sorted(found))))


def names_of(titled: Titled | None, otherwise: str) -> Mapping[str, str]:
    """Name something; of another policy version only its id may be known."""
    return {"zh": titled.zh, "en": titled.en} if titled else {"zh": otherwise, "en": otherwise}
