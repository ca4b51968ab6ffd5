"""What publishing a year would move, told before it is published (RB-1.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Body

from activities.contract import task_title
from api.auth import SignedIn
from api.calendar_years import NEW_YEAR_EXAMPLE, NewYear, Year, refused_year
from api.recalculating import moved
from api.schemas import Shown, Texts, refusals
from api.services import Services, Serving
from domain.access import Act
from domain.policy import Policy
from domain.working_time import Calendar, CalendarError, CalendarYear
from policy.loader import UnknownPolicy, policy_for
from storage.reading import CaseFilter, CaseRecord
from storage.records import Moves

router = APIRouter(prefix="/calendar", tags=["supervision"])

LOOKED_AT = 300
"""Open cases that are recalculated for a preview, the newest; all of them would take too long."""
SAMPLE = 20


class MovedBody(Shown):
    """A date that would move."""

    case_no: str
    what: Texts
    was: date | None
    due_on: date | None
    is_provisional: bool


class YearPreviewBody(Shown):
    """What publishing would do to open cases.

    Attributes:
        based_on: number of the version in force.
        is_published: whether the calendar in force says the same already.
        open: open cases; all of them are recalculated once it is published.
        looked_at: how many of them, the newest, were looked at for this answer.
        cases: how many of these have a date that moves, or that is no longer provisional.
        moves: how many such dates there are; `sample` has the first.
    """

    based_on: int
    is_published: bool
    open: int
    looked_at: int
    cases: int
    moves: int
    sample: list[MovedBody]


PREVIEW_EXAMPLES: dict[str, dict[str, Any]] = {
    "YearPreviewBody": {
        "based_on": 1,
        "is_published": False,
        "open": 2000,
        "looked_at": 300,
        "cases": 12,
        "moves": 14,
        "sample": [
            {
                "case_no": "ZJ20260000011",
                "what": {"zh": "并联审批", "en": "Permits"},
                "was": "2026-12-31",
                "due_on": "2027-01-05",
                "is_provisional": False,
            }
        ],
    }
}


@router.post(
    "/years/{year}/preview",
    name=Act.PUBLISH_CALENDAR,
    response_model=YearPreviewBody,
    summary="What publishing a year would move",
    responses=refusals(400, 401, 403, 413, 422),
)
async def preview_year(
    year: Year,
    body: Annotated[NewYear, Body(examples=[NEW_YEAR_EXAMPLE])],
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Recalculate the newest open cases with a year that is not published; nothing is changed."""
    caller.needs(Act.PUBLISH_CALENDAR)
    version = await services.calendars.refreshed()
    after = with_year(version.calendar, year, body)
    _, are_open = await services.reading.count_behind(version.number)
    seen = _Seen()
    is_published = version.calendar.years.get(year) == after.years[year]
    if not is_published:
        await _look(services, version.calendar, after, seen)
    return {
        "based_on": version.number,
        "is_published": is_published,
        "open": are_open,
        "looked_at": seen.looked_at,
        "cases": seen.cases,
        "moves": seen.moves,
        "sample": seen.sample,
    }


@dataclass(slots=True)
class _Seen:
    looked_at: int = 0
    cases: int = 0
    moves: int = 0
    sample: list[Mapping[str, Any]] = field(default_factory=list)


def with_year(before: Calendar, year: int, body: NewYear) -> Calendar:
    """Return the calendar as it would be.

    Raises:
        InputRefused: the year contradicts itself, or another.
    """
    try:
        new = CalendarYear(year, body.holidays, body.make_up_days, body.notice)
        return Calendar(before.version, {**before.years, year: new})
    except CalendarError as error:
        raise refused_year(error) from None


async def _look(services: Services, before: Calendar, after: Calendar, seen: _Seen) -> None:
    cursor = None
    while seen.looked_at < LOOKED_AT:
        page = await services.reading.cases(CaseFilter(state="open"), limit=100, cursor=cursor)
        for case in page.items:
            seen.looked_at += 1
            try:
                policy = policy_for(case.policy)
            except UnknownPolicy:
                continue
            tasks = await services.reading.tasks_of(case.no)
            at = case.clock.civil(services.now())
            moves = moved(case, tasks, policy, before, after, at)
            _note(case, moves, policy, seen)
        if (cursor := page.next_cursor) is None:
            return


def _note(case: CaseRecord, moves: Moves, policy: Policy, seen: _Seen) -> None:
    found = list(_moved(case, moves, policy))
    seen.cases += bool(found)
    seen.moves += len(found)
    seen.sample += found[: max(0, SAMPLE - len(seen.sample))]


def _moved(case: CaseRecord, moves: Moves, policy: Policy) -> Iterator[Mapping[str, Any]]:
    for task in moves.tasks:
        title = task_title(task.task.kind, task.task.department, policy)
        yield {
            "case_no": case.no,
            "what": {"zh": title["zh"], "en": title["en"]},
            "was": task.task.due_on,
            "due_on": task.due_on,
            "is_provisional": task.is_provisional,
        }
    for name, clock in sorted(moves.clocks.items()):
        rule = policy.clocks[name.partition(".")[0]]
        yield {
            "case_no": case.no,
            "what": {"zh": rule.zh, "en": rule.en},
            "was": clock.old.due_on,
            "due_on": clock.new.due_on,
            "is_provisional": clock.new.is_provisional,
        }
