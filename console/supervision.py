"""Supervision: the lights now, the averages against what was promised, who is on time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import supervision
from api.services import Services, Serving
from console.guard import Guarded
from console.lights import Lit, lit
from console.rendering import Problems, page
from domain.access import Act
from domain.errors import FieldProblem, InputRefused

router = APIRouter()

BAR = 320
"""Width of a bar whose mean is twice the limit, in units of its drawing."""


@router.get("/supervision", name=Act.SEE_SUPERVISION)
async def overview(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show the figures of a period and of now; the same as `GET /supervision/summary`."""
    asked = {name: request.query_params.get(name, "").strip() for name in _NAMES}
    problems: list[FieldProblem] = []
    first, last = _date("from", asked["from"], problems), _date("to", asked["to"], problems)
    summary: Mapping[str, Any] | None = None
    if not problems:
        try:
            summary = await supervision.get_summary(
                visitor.caller, services, from_=first, to=last, district=asked["district"] or None
            )
        except InputRefused as refused:
            problems += refused.problems
    return page(
        request,
        visitor,
        "supervision.html",
        status=422 if problems else 200,
        asked=asked,
        problems=Problems(problems),
        summary=summary,
        urgent=await _most_urgent(summary, services),
        bars={each["id"]: _bar(each) for each in summary["clocks"]} if summary else {},
        totals=_totals(summary),
        districts=services.policy.districts,
        BAR=BAR,
    )


_NAMES = ("from", "to", "district")
_LIGHTS = ("green", "yellow", "red", "suspended")


def _date(name: str, text: str, problems: list[FieldProblem]) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.append(FieldProblem(name, "is not a date", "不是日期"))
        return None


def _totals(summary: Mapping[str, Any] | None) -> Mapping[str, int]:
    lights = summary["lights"] if summary else ()
    return {name: sum(each[name] for each in lights) for name in _LIGHTS}


async def _most_urgent(summary: Mapping[str, Any] | None, services: Services) -> Mapping[str, Lit]:
    """Return the earliest deadline of each agency with its light."""
    if summary is None:
        return {}
    civil_now = services.settings.clock.civil(services.now())
    days = (await services.calendars.current()).calendar
    return {
        each["agency"]: lit(
            each["most_urgent"] and date.fromisoformat(each["most_urgent"]["due_on"]),
            civil_now,
            days,
            services.policy,
            is_suspended=each["most_urgent"] is None,
        )
        for each in summary["lights"]
    }


def _bar(clock: Mapping[str, Any]) -> float | None:
    """Return how long a mean is drawn; the limit stands in the middle; None without either."""
    if clock["mean"] is None or clock["limit"] is None:
        return None
    of_limit = float(clock["mean"]) / float(clock["limit"])
    return round(min(of_limit / 2, 1) * BAR, 1)
