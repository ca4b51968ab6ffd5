"""Why this date: the derivation of a deadline in words, Chinese and English (RB-1.8).

Neighbouring days that came to the same are told in one clause, and plain weekends go with what they
stand beside, so forty working days are told in about a dozen clauses. What rests on no notice is
never told in one clause with what does (RB-1.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, auto
from itertools import groupby
from typing import Protocol, assert_never

from domain.working_time import (
    CIVIL_ZONE,
    Calendar,
    DayKind,
    DerivedDay,
    Interval,
    Verdict,
    WorkingDays,
    civil_date,
    deadline,
    derivation,
)

WEEKDAYS_ZH = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")
WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""Names of the days of the week, by `date.weekday()`."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Rule(Protocol):
    """What a limit is for and where it stands, as a task and a clock of the policy say it."""

    @property
    def zh(self) -> str: ...

    @property
    def en(self) -> str: ...

    @property
    def clause(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to *why this date*.

    Attributes:
        due_on, is_provisional, calendar_version: the deadline.
        notices: what each year on the way rests on; None where no notice is out yet.
        days: every day on the way, and what became of it.
        zh, en: the same in words, a paragraph each; names `due_on`, the version and the notices.
    """

    due_on: date
    is_provisional: bool
    calendar_version: str
    notices: Mapping[int, str | None]
    days: tuple[DerivedDay, ...]
    zh: tuple[str, ...]
    en: tuple[str, ...]


def explain(
    calendar: Calendar,
    trigger: date,
    limit: WorkingDays,
    excluded: Sequence[Interval] = (),
    *,
    rule: Rule | None = None,
    received_at: datetime | None = None,
) -> Explanation:
    """Say why a limit runs out when it does (RB-1.8).

    Args:
        trigger, limit, excluded: as for `deadline`.
        rule: what the limit is for, if it is known.
        received_at: the instant that the receipt rule turned into `trigger`; told where the rule
            moved it to another date (RB-1.5).

    Raises:
        ValueError, StillSuspended: as `deadline` does; ValueError if `received_at` has no zone.
    """
    due = deadline(calendar, trigger, limit, excluded)
    days = derivation(calendar, trigger, limit, excluded)
    notices = _notices(calendar, days)
    stretches = _stretches(days)
    is_moved = received_at is not None and civil_date(received_at) != trigger
    told = _Told(
        trigger=trigger,
        limit=limit,
        rule=rule,
        moved_from=received_at.astimezone(CIVIL_ZONE) if received_at and is_moved else None,
        stretches=stretches,
        due_on=due.due_on,
        calendar_version=calendar.version,
        notices=notices,
    )
    return Explanation(
        due_on=due.due_on,
        is_provisional=due.is_provisional,
        calendar_version=due.calendar_version,
        notices=notices,
        days=days,
        zh=tuple(_zh(told)),
        en=tuple(_en(told)),
    )


def _notices(calendar: Calendar, days: Iterable[DerivedDay]) -> Mapping[int, str | None]:
    on_the_way = {each.day for each in days}
    years = {day.year for day in on_the_way}
    # A notice may reach back into the December before, which then rests on it as well.
    years |= {
        year
        for year, listed in calendar.years.items()
        if on_the_way & (listed.holidays | listed.make_up_days)
    }
    return {
        year: calendar.years[year].notice if year in calendar.years else None
        for year in sorted(years)
    }


# ---------------------------------------------------------------- days that are told together


class _What(Enum):
    COUNTED = auto()
    MAKE_UP = auto()
    HOLIDAY = auto()
    EXCLUDED = auto()
    WEEKEND = auto()


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Neighbouring days told in one clause.

    Attributes:
        what: of its days; a stretch of another kind than `WEEKEND` may hold plain weekends too.
    """

    what: _What
    days: tuple[DerivedDay, ...]

    @property
    def first(self) -> date:
        return self.days[0].day

    @property
    def last(self) -> date:
        return self.days[-1].day

    @property
    def is_published(self) -> bool:
        return self.days[0].is_published

    @property
    def has_weekends(self) -> bool:
        return any(each.verdict is Verdict.WEEKEND for each in self.days)

    @property
    def has_make_up(self) -> bool:
        return any(each.kind is DayKind.MAKE_UP for each in self.days)

    @property
    def counts(self) -> tuple[int, int]:
        """The first and the last of its working days, counted from the trigger."""
        counted = [each.count for each in self.days if each.verdict is Verdict.COUNTED]
        return counted[0], counted[-1]

    @property
    def excluded(self) -> int:
        """How many working days it leaves out."""
        return sum(each.verdict is Verdict.EXCLUDED for each in self.days)


def _what(day: DerivedDay) -> _What:
    match day.verdict:
        case Verdict.COUNTED:
            return _What.MAKE_UP if day.kind is DayKind.MAKE_UP else _What.COUNTED
        case Verdict.HOLIDAY:
            return _What.HOLIDAY
        case Verdict.EXCLUDED:
            return _What.EXCLUDED
        case Verdict.WEEKEND:
            return _What.WEEKEND
        case _:
            assert_never(day.verdict)


def _stretches(days: Iterable[DerivedDay]) -> tuple[_Stretch, ...]:
    runs = [
        _Stretch(what, tuple(run))
        for (what, _), run in groupby(days, lambda each: (_what(each), each.is_published))
    ]
    told_as = [
        run.what if run.what is not _What.WEEKEND else _beside(run, before, after)
        for before, run, after in zip((None, *runs), runs, (*runs[1:], None), strict=False)
    ]
    joined = groupby(zip(told_as, runs, strict=True), lambda pair: (pair[0], pair[1].is_published))
    return tuple(
        _Stretch(what, tuple(day for _, run in pairs for day in run.days))
        for (what, _), pairs in joined
    )


def _beside(weekend: _Stretch, *neighbours: _Stretch | None) -> _What:
    """What a plain weekend is told with; beside single days it is told on its own."""
    beside = {
        each.what
        for each in neighbours
        if each is not None
        and each.is_published is weekend.is_published
        and (each.what is _What.HOLIDAY or len(each.days) > 1)
    }
    kinds = (_What.HOLIDAY, _What.COUNTED, _What.EXCLUDED)
    return next((what for what in kinds if what in beside), _What.WEEKEND)


# ---------------------------------------------------------------- in words


@dataclass(frozen=True, slots=True)
class _Told:
    """What both languages tell.

    Attributes:
        moved_from: civil time of an arrival that the receipt rule moved to `trigger`.
    """

    trigger: date
    limit: WorkingDays
    rule: Rule | None
    moved_from: datetime | None
    stretches: tuple[_Stretch, ...]
    due_on: date
    calendar_version: str
    notices: Mapping[int, str | None]

    @property
    def unpublished(self) -> tuple[int, ...]:
        return tuple(year for year, notice in self.notices.items() if notice is None)

    @property
    def published(self) -> tuple[tuple[int, str], ...]:
        return tuple((year, notice) for year, notice in self.notices.items() if notice is not None)

    def clauses(self) -> Iterator[tuple[_Stretch, int]]:
        """The stretches, each with the year that was spoken of last."""
        year = self.trigger.year
        for stretch in self.stretches:
            yield stretch, year
            year = stretch.last.year


def _zh(told: _Told) -> Iterator[str]:
    opening = ""
    if told.moved_from is not None:
        arrived = f"{_day_zh(told.moved_from.date())}{told.moved_from:%H:%M}"
        opening = f"{arrived}收到，不在办公时间内，顺延至下一办公日。"
    rule = f"（{told.rule.zh}，依据：{told.rule.clause}）" if told.rule else ""
    yield (
        f"{opening}{_day_zh(told.trigger)}受理，当日不计，次日起算（民法典第201条）。"
        f"期限为{told.limit}个工作日{rule}。"
    )
    yield "；".join(_clause_zh(stretch, year) for stretch, year in told.clauses()) + "。"
    is_firm = not told.unpublished
    yield f"因此截止日{'' if is_firm else '暂定'}为{_day_zh(told.due_on)}，当日办结即为按期。"
    if not is_firm:
        years = "、".join(f"{year}年" for year in told.unpublished)
        yield (
            f"{years}的节假日安排尚未公布，所涉日期只按周末推算，所以截止日是暂定的；"
            "通知公布后重新确定。"
        )
    rests_on = "".join(f"{year}年的依据：{notice}。" for year, notice in told.published)
    yield f"工作日历版本：{told.calendar_version}。{rests_on}"


def _clause_zh(stretch: _Stretch, year: int) -> str:
    span = _span_zh(stretch, year)
    apart = "除周末外" if stretch.has_weekends else ""
    match stretch.what:
        case _What.COUNTED:
            clause = f"{span}{apart}为{_counts_zh(stretch)}"
        case _What.MAKE_UP:
            clause = f"{span}为调休上班日，计为{_counts_zh(stretch)}"
        case _What.HOLIDAY:
            clause = f"{span}为{'周末和' if stretch.has_weekends else ''}法定节假日，不计"
        case _What.EXCLUDED:
            among = "（含调休上班日）" if stretch.has_make_up else ""
            clause = f"{span}{apart}为扣除时间，{stretch.excluded}个工作日{among}不计"
        case _What.WEEKEND:
            clause = f"{span}为周末，不计"
        case _:
            assert_never(stretch.what)
    return clause if stretch.is_published else f"{clause}（暂定）"


def _counts_zh(stretch: _Stretch) -> str:
    first, last = stretch.counts
    until = "、" if last - first == 1 else "至"
    return f"第{first}个工作日" if first == last else f"第{first}{until}第{last}个工作日"


def _span_zh(stretch: _Stretch, year: int) -> str:
    first, last = stretch.first, stretch.last
    start = _day_zh(first, with_year=first.year != year)
    if first == last:
        return start
    until = "、" if len(stretch.days) == 2 else "至"
    if (first.year, first.month) == (last.year, last.month):
        return f"{start}{until}{last.day}日（{WEEKDAYS_ZH[last.weekday()]}）"
    return f"{start}{until}{_day_zh(last, with_year=last.year != first.year)}"


def _day_zh(day: date, *, with_year: bool = True) -> str:
    year = f"{day.year}年" if with_year else ""
    return f"{year}{day.month}月{day.day}日（{WEEKDAYS_ZH[day.weekday()]}）"


def _en(told: _Told) -> Iterator[str]:
    opening = ""
    if told.moved_from is not None:
        arrived = f"{told.moved_from:%H:%M} on {_day_en(told.moved_from.date())}"
        opening = f"It arrived at {arrived}, outside business hours, and waits for the next. "
    rule = f" ({told.rule.en}; {told.rule.clause})" if told.rule else ""
    yield (
        f"{opening}Received on {_day_en(told.trigger)}; counting begins the day after "
        "(Civil Code, article 201). "
        f"The limit is {told.limit} working day{'' if told.limit == 1 else 's'}{rule}."
    )
    yield "; ".join(_clause_en(stretch, year) for stretch, year in told.clauses()) + "."
    is_firm = not told.unpublished
    yield (
        f"So the last day is {'' if is_firm else 'provisionally '}{_day_en(told.due_on)}; "
        "what is done on that day is on time."
    )
    if not is_firm:
        years = " and ".join(str(year) for year in told.unpublished)
        yield (
            f"The holidays of {years} are not published yet. Days there are counted by weekends "
            "alone, so the last day is provisional; it is computed again once the notice is out."
        )
    rests_on = "".join(f" Notice for {year}: {notice}." for year, notice in told.published)
    yield f"Working-day calendar: version {told.calendar_version}.{rests_on}"


def _clause_en(stretch: _Stretch, year: int) -> str:
    span, is_one = _span_en(stretch, year), len(stretch.days) == 1
    be = "is" if is_one else "are"
    apart = ", weekends apart," if stretch.has_weekends else ""
    match stretch.what:
        case _What.COUNTED:
            clause = f"{span}{apart} {be} {_counts_en(stretch)}"
        case _What.MAKE_UP:
            clause = (
                f"{span} is a make-up working day and counts as {_counts_en(stretch)}"
                if is_one
                else f"{span} are make-up working days and count as {_counts_en(stretch)}"
            )
        case _What.HOLIDAY:
            what = "a public holiday" if is_one else "public holidays"
            weekends = "weekend and " if stretch.has_weekends else ""
            clause = f"{span} {be} {weekends}{what}, not counted"
        case _What.EXCLUDED:
            days = f"{stretch.excluded} working day{'' if stretch.excluded == 1 else 's'}"
            among = " (make-up working days included)" if stretch.has_make_up else ""
            clause = f"{span}{apart} {be} excluded time, {days}{among} not counted"
        case _What.WEEKEND:
            clause = f"{span} {'falls' if is_one else 'fall'} on the weekend, not counted"
        case _:
            assert_never(stretch.what)
    return clause if stretch.is_published else f"{clause} (provisional)"


def _counts_en(stretch: _Stretch) -> str:
    first, last = stretch.counts
    to = "and" if last - first == 1 else "to"
    return f"working day {first}" if first == last else f"working days {first} {to} {last}"


def _span_en(stretch: _Stretch, year: int) -> str:
    first, last = stretch.first, stretch.last
    if first == last:
        return _day_en(first, with_year=first.year != year)
    to = "and" if len(stretch.days) == 2 else "to"
    end = _day_en(last, with_year=last.year != year)
    if (first.year, first.month) == (last.year, last.month):
        return f"{WEEKDAYS_EN[first.weekday()]} {first.day} {to} {end}"
    return f"{_day_en(first, with_year=first.year not in (year, last.year))} {to} {end}"


def _day_en(day: date, *, with_year: bool = True) -> str:
    year = f" {day.year}" if with_year else ""
    return f"{WEEKDAYS_EN[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}{year}"
