"""What stands behind the figures of supervision: the cases, results, tasks and decisions counted.

Each list takes the parameters of one figure, and its `total` is the number that figure shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query

from activities.contract import civil_text
from api.ages import Age, Ages
from api.applications import Cursor, Limit, Sought
from api.auth import SignedIn
from api.open_cases import SHADES, LitCase, Shade, Shown, Standing, lit_cases
from api.schemas import refusals
from api.services import Services, Serving
from api.supervision import District, From, To, names_of, period, shade_of
from api.supervision_schemas import (
    DecisionPage,
    OpenCasePage,
    OwedTaskPage,
    ResultPage,
)
from domain.access import Act
from domain.clocks import light_of_due
from domain.connection import TaskKind
from domain.policy import Policy
from domain.working_time import civil_date
from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.database import snapshot
from storage.figures import (
    OwedRow,
    ResultFilter,
    ResultRow,
    read_decisions,
    read_owed,
    read_results,
)

router = APIRouter(prefix="/supervision", tags=["supervision"])

T = TypeVar("T")

LightNow = Annotated[
    Shade | None,
    Query(description="Light now; `suspended` stands still, `none` has no limit or did not begin"),
]
OfAge = Annotated[Age | None, Query(description="Age in working days, both ends included")]
_NO_DAYS_LEFT_SAID = 10**6
"""Sorts what has no days left to be said behind everything that has."""


# ---------------------------------------------------------------- open cases


@router.get(
    "/cases",
    name=Act.SEE_SUPERVISION,
    response_model=OpenCasePage,
    summary="Open cases by light, most urgent first",
    responses=refusals(401, 403, 422),
)
async def list_open_cases(
    caller: SignedIn,
    services: Serving,
    stage: Sought = None,
    district: District = None,
    light: LightNow = None,
    clock: Annotated[
        Sought,
        Query(description="A clock that has not stopped; then `light` is that of this clock"),
    ] = None,
    age: OfAge = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through open cases; of a clock, through what it runs for, so that a case with two
    bundles may come twice."""
    caller.needs(Act.SEE_SUPERVISION)
    policy, civil_now = services.policy, services.settings.clock.civil(services.now())
    period(None, None, district, policy, civil_date(civil_now))
    ages = Ages((await services.calendars.current()).calendar, civil_date(civil_now))
    async with snapshot(services.reading.engine) as db:
        cases = await lit_cases(db, services, civil_now, district=district, stage=stage)
    rows = [
        row
        for case in cases
        if age in (None, ages.of(case.case.submitted_on))
        for row in _rows_of(case, clock)
        if light in (None, row[1])
    ]
    shown, following = _page(rows, _urgency_of_case, limit, cursor)
    return {
        "total": len(rows),
        "items": [_open_case(case, shade, left, ages, policy) for case, shade, left, _ in shown],
        "next_cursor": following,
    }


_CaseRow = tuple[LitCase, Shade, int | None, int]


def _rows_of(case: LitCase, clock: str | None) -> list[_CaseRow]:
    if clock is None:
        return [(case, case.shade, case.left, 0)]
    return [
        (case, shown.shade, shown.left, standing.round)
        for standing, shown in case.clocks
        if standing.clock == clock
    ]


def _urgency_of_case(row: _CaseRow) -> tuple[int, int, str]:
    case, shade, left, round_no = row
    return (*_urgency(shade, left), f"{case.case.no}.{round_no}")


def _urgency(shade: Shade, left: int | None) -> tuple[int, int]:
    return SHADES.index(shade), _NO_DAYS_LEFT_SAID if left is None else left


def _open_case(
    lit: LitCase, shade: Shade, left: int | None, ages: Ages, policy: Policy
) -> Mapping[str, Any]:
    case = lit.case
    links = {link.id: link for links in policy.links.values() for link in links}
    return {
        "no": case.no,
        "stage": {"id": case.stage, **names_of(links.get(case.stage), case.stage)},
        "district": {
            "id": case.district,
            **names_of(policy.districts.get(case.district), case.district),
        },
        "voltage": case.voltage,
        "supply": case.supply,
        "submitted_on": case.submitted_on.isoformat(),
        "accepted_on": case.accepted_on and case.accepted_on.isoformat(),
        "age": ages.working_days(case.submitted_on),
        "light": shade,
        "left": left,
        "clocks": [_standing(*each, policy) for each in lit.clocks],
    }


def _standing(standing: Standing, shown: Shown, policy: Policy) -> Mapping[str, Any]:
    limit, left = standing.limit, shown.left
    return {
        "id": standing.clock,
        **names_of(policy.clocks.get(standing.clock), standing.clock),
        "round": standing.round or None,
        "limit": limit,
        "net": None if limit is None or left is None else limit - left,
        "left": left,
        "due_on": standing.due_on and standing.due_on.isoformat(),
        "light": shown.shade,
        "is_suspended": standing.is_suspended,
    }


# ---------------------------------------------------------------- stopped clocks


@router.get(
    "/results",
    name=Act.SEE_SUPERVISION,
    response_model=ResultPage,
    summary="Stopped clocks behind the averages, latest first",
    responses=refusals(401, 403, 422),
)
async def list_results(
    caller: SignedIn,
    services: Serving,
    from_: From = None,
    to: To = None,
    district: District = None,
    clock: Sought = None,
    limit_working_days: Annotated[
        int | None, Query(ge=0, le=1000, description="Of this limit; 0 is without a target")
    ] = None,
    is_met: Annotated[bool | None, Query(description="Whether they kept their limit")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what stopped clocks came to, with the exact mean of all pages (RB-2.2)."""
    caller.needs(Act.SEE_SUPERVISION)
    policy, civil_now = services.policy, services.settings.clock.civil(services.now())
    first, last = period(from_, to, district, policy, civil_date(civil_now))
    wanted = ResultFilter(first, last, clock, limit_working_days, district, is_met)
    async with snapshot(services.reading.engine) as db:
        found = await read_results(db, wanted, limit=limit, cursor=cursor)
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "total": found.cases,
        "net": found.net,
        "items": [_result(row, policy) for row in found.page.items],
        "next_cursor": found.page.next_cursor,
    }


def _result(row: ResultRow, policy: Policy) -> Mapping[str, Any]:
    return {
        "no": row.case_no,
        "clock": {"id": row.clock, **names_of(policy.clocks.get(row.clock), row.clock)},
        "round": row.round or None,
        "district": {
            "id": row.district,
            **names_of(policy.districts.get(row.district), row.district),
        },
        "started_on": row.started_on.isoformat(),
        "stopped_on": row.stopped_on.isoformat(),
        "gross": row.gross,
        "net": row.net,
        "limit": row.limit_working_days,
        "is_met": row.is_met,
    }


# ---------------------------------------------------------------- open tasks


@router.get(
    "/tasks",
    name=Act.SEE_SUPERVISION,
    response_model=OwedTaskPage,
    summary="Open tasks by light and age, most urgent first",
    responses=refusals(401, 403, 422),
)
async def list_owed(
    caller: SignedIn,
    services: Serving,
    owed_by: Sought = None,
    kind: Annotated[TaskKind | None, Query()] = None,
    district: District = None,
    light: LightNow = None,
    age: OfAge = None,
    has_limit: Annotated[bool | None, Query(description="Only those with a limit, or without")] = (
        None
    ),
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what is owed."""
    caller.needs(Act.SEE_SUPERVISION)
    policy, civil_now = services.policy, services.settings.clock.civil(services.now())
    period(None, None, district, policy, civil_date(civil_now))
    days = (await services.calendars.current()).calendar
    ages = Ages(days, civil_date(civil_now))
    lamp = _TaskLamp(services, days)
    async with snapshot(services.reading.engine) as db:
        owed = await read_owed(db, agency=owed_by, kind=kind, district=district)
    rows = [
        (row, *lamp.shown(row))
        for row in owed
        if age in (None, ages.of(civil_date(row.opened_at)))
        and has_limit in (None, row.limit_working_days is not None)
    ]
    rows = [row for row in rows if light in (None, row[1])]
    shown, following = _page(rows, _urgency_of_task, limit, cursor)
    return {
        "total": len(rows),
        "items": [_owed(*row, ages, policy) for row in shown],
        "next_cursor": following,
    }


_TaskRow = tuple[OwedRow, Shade, int | None]


class _TaskLamp:
    """Says which light a task shows; each date is looked at once."""

    def __init__(self, services: Services, days: Any) -> None:
        self._policy, self._days = services.policy, days
        self._now = services.settings.clock.civil(services.now())
        self._seen: dict[date, tuple[Shade, int]] = {}

    def shown(self, row: OwedRow) -> tuple[Shade, int | None]:
        """Return the light, and the working days left."""
        if row.due_on is None:
            return shade_of(None, has_limit=row.limit_working_days is not None), None
        if row.due_on not in self._seen:
            light, left = light_of_due(
                row.due_on,
                self._now,
                self._days,
                self._policy.working_time.hours,
                self._policy.lights.yellow_at,
            )
            self._seen[row.due_on] = (shade_of(light, has_limit=True), left)
        return self._seen[row.due_on]


def _urgency_of_task(row: _TaskRow) -> tuple[int, int, str]:
    task, shade, left = row
    return (*_urgency(shade, left), task.id)


def _owed(
    row: OwedRow, shade: Shade, left: int | None, ages: Ages, policy: Policy
) -> Mapping[str, Any]:
    return {
        "task_id": row.id,
        "no": row.case_no,
        "kind": {"id": row.kind, **names_of(policy.tasks.get(TaskKind(row.kind)), row.kind)},
        "owed_by": {"id": row.owed_by, **names_of(policy.agencies.get(row.owed_by), row.owed_by)},
        "opened_at": civil_text(row.opened_at),
        "age": ages.working_days(civil_date(row.opened_at)),
        "due_on": row.due_on and row.due_on.isoformat(),
        "light": shade,
        "left": left,
    }


# ---------------------------------------------------------------- decisions of departments


@router.get(
    "/decisions",
    name=Act.SEE_SUPERVISION,
    response_model=DecisionPage,
    summary="Permit tasks that departments decided, latest first",
    responses=refusals(401, 403, 422),
)
async def list_decisions(
    caller: SignedIn,
    services: Serving,
    from_: From = None,
    to: To = None,
    district: District = None,
    owed_by: Sought = None,
    is_late: Annotated[bool | None, Query(description="Whether they were late")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what departments decided in a period (RB-4.5)."""
    caller.needs(Act.SEE_SUPERVISION)
    policy, civil_now = services.policy, services.settings.clock.civil(services.now())
    first, last = period(from_, to, district, policy, civil_date(civil_now))
    async with snapshot(services.reading.engine) as db:
        page, total = await read_decisions(
            db,
            first,
            last,
            agency=owed_by,
            district=district,
            is_late=is_late,
            limit=limit,
            cursor=cursor,
        )
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "total": total,
        "items": [
            {
                "task_id": row.id,
                "no": row.case_no,
                "owed_by": {
                    "id": row.owed_by,
                    **names_of(policy.agencies.get(row.owed_by), row.owed_by),
                },
                "opened_at": civil_text(row.opened_at),
                "due_on": row.due_on and row.due_on.isoformat(),
                "done_at": civil_text(row.done_at),
                "is_late": row.is_late,
            }
            for row in page.items
        ],
        "next_cursor": page.next_cursor,
    }


# ---------------------------------------------------------------- pages


def _page(
    rows: Sequence[T],
    urgency: Callable[[T], tuple[int, int, str]],
    limit: int,
    cursor: str | None,
) -> tuple[list[T], str | None]:
    """Return a page of rows, most urgent first, and the cursor of the next.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    in_order = sorted(rows, key=urgency)
    if cursor is not None:
        rank, left, name = cursor_parts(cursor, 3)
        try:
            last = (int(rank), int(left), name)
        except ValueError:
            raise bad_cursor() from None
        in_order = [row for row in in_order if urgency(row) > last]
    shown = in_order[:limit]
    return shown, cursor_of(*urgency(shown[-1])) if len(in_order) > limit else None
