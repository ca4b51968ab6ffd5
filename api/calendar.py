"""Why this date: anyone can ask when a limit runs out, and see every day counted (RB-1.8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from activities.contract import civil_text
from api.calendar_schemas import DeadlineBody
from api.schemas import refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from domain.explaining import WEEKDAYS_EN, WEEKDAYS_ZH, Explanation, explain
from domain.working_time import (
    Calendar,
    DerivedDay,
    Interval,
    WorkingDays,
    deadline,
    receipt_date,
)

router = APIRouter(prefix="/calendar", tags=["open to all"])

MOST_WORKING_DAYS = 400
MOST_INTERVALS = 20
FIRST_DAY, LAST_DAY = date(1950, 1, 1), date(2999, 12, 31)
"""What is asked about lies in between; no limit that begins there runs off the calendar's end."""
LONGEST_DAYS = 1096
"""Days that one answer may list, three years: time excluded without end is refused."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
_INSTANT = re.compile(rf"{_DATE.pattern}{_TIME}(?P<offset>[Zz]|[+-][0-9]{{2}}:[0-9]{{2}})?")

From = Annotated[
    str,
    Query(
        alias="from",
        max_length=40,
        description="A date, or an RFC 3339 instant with its offset (+ is sent as %2B), to which "
        "the policy's rule of receipt is applied. The day itself is not counted",
        examples=["2026-09-25", "2026-09-25T18:10:00+08:00"],
    ),
]
Limit = Annotated[
    int,
    Query(ge=1, le=MOST_WORKING_DAYS, description="Working days of the limit", examples=[5]),
]
Excluded = Annotated[
    str,
    Query(
        max_length=1000,
        description=f"Time that does not count: {MOST_INTERVALS} intervals at most, with commas "
        "between; of each the days after its first date, up to and including its second",
        examples=["2026-10-12..2026-10-15,2026-10-20..2026-10-22"],
    ),
]


@router.get(
    "/deadline",
    name=Act.ASK_DEADLINE,
    response_model=DeadlineBody,
    summary="When a limit of working days runs out, and why (工作日推算)",
    responses=refusals(422),
)
async def why_this_date(
    services: Serving,
    from_: From,
    working_days: Limit,
    excluded: Excluded = "",
) -> Mapping[str, Any]:
    """Count day by day: what counted, what did not, by which calendar, also in words."""
    problems: list[FieldProblem] = []
    start, intervals = _start(from_, problems), _intervals(excluded, problems)
    if start is None or problems:
        raise InputRefused(*problems)
    days, limit = await current_calendar(services), WorkingDays(working_days)
    working_time = services.policy.working_time
    if isinstance(start, datetime):
        received_at, asked = start, civil_text(start)
        received_on = receipt_date(start, working_time.receipt, working_time.hours, days)
    else:
        received_at, asked, received_on = None, start.isoformat(), start
    if (deadline(days, received_on, limit, intervals).due_on - received_on).days > LONGEST_DAYS:
        raise InputRefused(
            FieldProblem(
                "excluded",
                f"the deadline would be more than {LONGEST_DAYS} days away; exclude less",
                f"截止日将在 {LONGEST_DAYS} 天以后，请缩短扣除时间",
            )
        )
    why = explain(days, received_on, limit, intervals, received_at=received_at)
    return _body(asked, received_on, limit, why)


async def current_calendar(services: Services) -> Calendar:
    """Return the calendar in force."""
    return (await services.calendars.current()).calendar


def _body(asked: str, received_on: date, limit: int, why: Explanation) -> Mapping[str, Any]:
    return {
        "from": asked,
        "received_on": received_on.isoformat(),
        "received_weekday": _weekday(received_on),
        "working_days": limit,
        "due_on": why.due_on.isoformat(),
        "due_weekday": _weekday(why.due_on),
        "is_provisional": why.is_provisional,
        "calendar_version": why.calendar_version,
        "notices": {str(year): notice for year, notice in why.notices.items()},
        "days": [_day_body(day) for day in why.days],
        "words": {"zh": list(why.zh), "en": list(why.en)},
    }


def _day_body(day: DerivedDay) -> Mapping[str, Any]:
    return {
        "date": day.day.isoformat(),
        "weekday": _weekday(day.day),
        "kind": day.kind,
        "verdict": day.verdict,
        "count": day.count,
        "is_published": day.is_published,
    }


def _weekday(day: date) -> Mapping[str, str]:
    return {"zh": WEEKDAYS_ZH[day.weekday()], "en": WEEKDAYS_EN[day.weekday()]}


# ---------------------------------------------------------------- what was asked


def _start(text: str, problems: list[FieldProblem]) -> date | datetime | None:
    """Read a date or an instant; None with a problem noted if it is neither."""
    en = "write a date, 2026-09-25, or an instant, 2026-09-25T11:00:00+08:00, with %2B for its +"
    zh = "请填写日期（2026-09-25）或时刻（2026-09-25T11:00:00+08:00，其中加号写作 %2B）"
    instant = _INSTANT.fullmatch(text)
    if instant and instant["offset"] is None:
        en = "an instant needs its offset from UTC, e.g. +08:00 (sent as %2B08:00), or Z"
        zh = "时刻须带时区，如 +08:00（加号写作 %2B）或 Z"
    elif instant or _DATE.fullmatch(text):
        try:
            start = datetime.fromisoformat(text.upper()) if instant else date.fromisoformat(text)
        except ValueError:
            en, zh = "there is no such date or time", "没有这个日期或时刻"
        else:
            # Held as written: only an instant within these bounds can become civil time.
            if _is_within(date.fromisoformat(text[:10])):
                return start
            en, zh = _OUTSIDE
    problems.append(FieldProblem("from", en, zh))
    return None


def _intervals(text: str, problems: list[FieldProblem]) -> list[Interval]:
    """Read the excluded intervals; a problem is noted for each that is none."""
    parts = text.split(",") if text.strip() else []
    if len(parts) > MOST_INTERVALS:
        problems.append(
            FieldProblem(
                "excluded",
                f"{len(parts)} intervals; {MOST_INTERVALS} at most",
                f"共 {len(parts)} 段，最多 {MOST_INTERVALS} 段",
            )
        )
        return []
    intervals = []
    for position, part in enumerate(parts, start=1):
        try:
            intervals.append(_interval(part.strip()))
        except _NoInterval as fault:
            problems.append(
                FieldProblem(
                    "excluded", f"interval {position}: {fault.en}", f"第 {position} 段：{fault.zh}"
                )
            )
    return intervals


class _NoInterval(Exception):
    """Why a text is no interval."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.en, self.zh = en, zh


def _interval(text: str) -> Interval:
    ends = text.split("..")
    if len(ends) != 2 or not all(_DATE.fullmatch(end) for end in ends):
        raise _NoInterval(
            "write two dates, 2026-09-25..2026-09-28", "请填写两个日期，如 2026-09-25..2026-09-28"
        )
    try:
        begins, resumes = (date.fromisoformat(end) for end in ends)
    except ValueError:
        raise _NoInterval("there is no such date", "没有这个日期") from None
    if not (_is_within(begins) and _is_within(resumes)):
        raise _NoInterval(*_OUTSIDE)
    if resumes < begins:
        raise _NoInterval("it ends before it begins", "结束日期早于开始日期")
    return Interval(begins, resumes)


_OUTSIDE = (
    f"the date must lie from {FIRST_DAY} to {LAST_DAY}",
    f"日期须在 {FIRST_DAY} 至 {LAST_DAY} 之间",
)


def _is_within(day: date) -> bool:
    return FIRST_DAY <= day <= LAST_DAY
