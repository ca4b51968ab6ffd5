"""The public guide, for anyone: generated from the policy in force, to be read and printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.calendar import MOST_WORKING_DAYS, why_this_date
from api.public import public_guide
from api.services import Services, Serving
from console.guard import Guarded
from console.rendering import Problems, page
from domain.access import Act
from domain.errors import FieldProblem, InputRefused

router = APIRouter()


@router.get("/guide", name=Act.SEE_GUIDE)
async def show_guide(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show the guide; anyone can also ask when a limit runs out, and why."""
    asked = {name: request.query_params.get(name, "").strip()[:40] for name in ("from", "days")}
    problems: list[FieldProblem] = []
    counted = None
    if any(asked.values()):
        try:
            counted = await _counted(asked, services)
        except InputRefused as refused:
            problems = list(refused.problems)
    today = services.settings.clock.civil(services.now())
    return page(
        request,
        visitor,
        "guide.html",
        status=422 if problems else 200,
        guide=await public_guide(services),
        asked=asked,
        counted=counted,
        problems=Problems(problems),
        limits=[each for each in services.policy.clocks.values() if each.limit],
        most=MOST_WORKING_DAYS,
        today=today.date(),
    )


async def _counted(asked: Mapping[str, str], services: Services) -> Mapping[str, Any]:
    """Count the days as the API does.

    Raises:
        InputRefused: what was asked is no date, or no number of days.
    """
    days = asked["days"]
    if not (days.isascii() and days.isdigit() and 1 <= int(days) <= MOST_WORKING_DAYS):
        raise InputRefused(
            FieldProblem(
                "days",
                f"write a number from 1 to {MOST_WORKING_DAYS}",
                f"请填写 1 至 {MOST_WORKING_DAYS} 的整数",
            )
        )
    return await why_this_date(services, asked["from"], int(days))
