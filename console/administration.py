"""Where an administrator's day begins: what is stuck, what waits for whom, what runs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import calendar_years, keys, repairs, replays, standing, stuck, undelivered
from api.services import Services, Serving
from console.guard import Guarded, Visitor
from console.rendering import page
from domain.access import Act
from operations.stuck_findings import KINDS, Severity, StuckKind
from storage.accounts import Accounts
from storage.repairs import RepairState

router = APIRouter()

AT_MOST = 100
"""What is counted on the cards; of more than that, it says so."""


@router.get("/admin", name=Act.SEE_ADMINISTRATION)
async def landing(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show a card for each thing that may need an administrator."""
    caller = visitor.caller
    found = await stuck.list_stuck(caller, services, limit=1)
    running = (await replays.list_replays(caller, services, limit=AT_MOST))["items"]
    waiting = await undelivered.list_undelivered(caller, services, limit=AT_MOST)
    return page(
        request,
        visitor,
        "admin.html",
        stuck=found,
        severities=_by_severity(found["counts"]),
        engine=await standing.get_engine(caller, services),
        repairs=await _repairs(visitor, services),
        replays=[each for each in running if each["state"] == "running"],
        calendar=await _calendar(services),
        accounts=await _accounts(request, services),
        undelivered=waiting,
        keys=await keys.list_keys(caller, services, limit=1),
        AT_MOST=AT_MOST,
    )


def _by_severity(counts: Mapping[str, int]) -> Mapping[str, int]:
    return {
        severity.value: sum(
            count for kind, count in counts.items() if KINDS[StuckKind(kind)].severity is severity
        )
        for severity in Severity
    }


async def _repairs(visitor: Visitor, services: Services) -> Mapping[str, Any]:
    """Return the repairs that wait: for this administrator's approval, for another's, at work."""
    caller = visitor.caller
    page_ = await repairs.get_repairs(caller, services, awaits_approval=True, limit=AT_MOST)
    under_way = await repairs.get_repairs(
        caller, services, state=RepairState.EXECUTING, limit=AT_MOST
    )
    mine = [each for each in page_["items"] if each["planned_by"] == caller.agency]
    others = [each for each in page_["items"] if each["planned_by"] != caller.agency]
    return {"mine": mine, "others": others, "under_way": under_way["items"]}


async def _calendar(services: Services) -> Mapping[str, Any]:
    """Say whether next year is published, and how far the open cases are."""
    years = await calendar_years.get_years(services)
    this_year = services.settings.clock.civil(services.now()).year
    published = {each["year"] for each in years["years"]}
    return {
        "missing": [year for year in (this_year, this_year + 1) if year not in published],
        "latest": max(published, default=None),
        "version": years["version"],
        "recalculation": await calendar_years.get_recalculation(services),
    }


async def _accounts(request: Request, services: Services) -> Mapping[str, int]:
    accounts: Accounts = request.app.state.accounts
    now = services.now()
    standings = [each.standing(now) for each in await accounts.every()]
    return {
        "all": len(standings),
        "locked": standings.count("locked"),
        "disabled": standings.count("disabled"),
        "signed_in": len(await accounts.sessions(at=now)),
    }
