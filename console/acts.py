"""The record of actions: who did what to the system, and who looked at numbers; also as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import acts
from api.services import Services, Serving
from console.form_fields import day, text
from console.guard import Guarded, Visitor
from console.language import said
from console.rendering import Problems, page
from console.words import ROLES
from domain.access import Act
from domain.accounts import is_account_id
from domain.cells import harmless
from domain.errors import FieldProblem, InputRefused
from domain.policy import Policy
from domain.repairs import REPAIRS
from domain.words import Words

router = APIRouter()

ON_A_PAGE = 50
MOST_IN_A_FILE = 10_000
_NAMES = ("thing", "by", "since", "until", "cursor")

DETAILS: Mapping[str, Words] = {
    "agency": Words("单位", "agency"),
    "role": Words("角色", "role"),
    "kind": Words("方式", "kind"),
    "reason": Words("理由", "reason"),
    "year": Words("年份", "year"),
    "notice": Words("依据", "notice"),
    "label": Words("用途", "label"),
}


@router.get("/admin/acts", name=Act.SEE_ACTS)
async def list_acts(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Page through what was done, the newest first; the same as `GET /admin/acts`."""
    asked = {name: text(request.query_params, name, 400) for name in _NAMES}
    problems: list[FieldProblem] = []
    found: Mapping[str, Any] = {"items": [], "next_cursor": None}
    wanted = _wanted(asked, problems)
    if not problems:
        found = await acts.list_acts(
            visitor.caller, services, **wanted, limit=ON_A_PAGE, cursor=asked["cursor"] or None
        )
    return page(
        request,
        visitor,
        "admin_acts.html",
        status=422 if problems else 200,
        asked=asked,
        rows=[{"act": each, "details": told(each, services.policy)} for each in found["items"]],
        next_cursor=found["next_cursor"],
        THINGS=acts.THINGS,
        problems=Problems(problems),
    )


@router.get("/admin/acts.csv", name=Act.SEE_ACTS)
async def acts_as_csv(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Give the same as a file, at most `MOST_IN_A_FILE` of them."""
    asked = {name: text(request.query_params, name, 400) for name in _NAMES}
    problems: list[FieldProblem] = []
    wanted = _wanted(asked, problems)
    if problems:
        raise InputRefused(*problems)
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(("at", "by", "act", "title", "subject", "details"))
    async for each in _every(wanted, visitor, services):
        details = "; ".join(
            f"{said(name, visitor.language)}: {said(value, visitor.language)}"
            for name, value in told(each, services.policy)
        )
        title = said(each["title"], visitor.language)
        cells = (each["at"], each["by"], each["act"], title, each["subject"], details)
        lines.writerow(harmless(str(cell)) for cell in cells)
    return Response(
        # Without the mark, spreadsheets take Chinese for something else.
        "\ufeff" + written.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="acts.csv"'},
    )


async def _every(wanted: Mapping[str, Any], visitor: Visitor, services: Services) -> Any:
    cursor, count = None, 0
    while count < MOST_IN_A_FILE:
        found = await acts.list_acts(visitor.caller, services, **wanted, limit=200, cursor=cursor)
        for each in found["items"]:
            count += 1
            yield each
        if (cursor := found["next_cursor"]) is None:
            return


def _wanted(asked: Mapping[str, str], problems: list[FieldProblem]) -> dict[str, Any]:
    if asked["by"] and not is_account_id(asked["by"]):
        problems.append(FieldProblem("by", "is no account", "不是账号"))
    return {
        "thing": asked["thing"] if asked["thing"] in acts.THINGS else None,
        "by": asked["by"] or None,
        "from_": day(asked, "since", problems),
        "to": day(asked, "until", problems),
    }


def told(act: Mapping[str, Any], policy: Policy) -> list[tuple[Words, Words]]:
    """Return the details of an act, with what they are called."""
    found = []
    for name, value in act["details"].items():
        if value is None or value == "":
            continue
        said_ = Words(str(value), str(value))
        if name == "kind" and value in REPAIRS:
            said_ = Words(REPAIRS[value].zh, REPAIRS[value].en)
        elif name == "role":
            said_ = ROLES.get(str(value), said_)
        elif name == "agency" and (agency := policy.agencies.get(str(value))):
            said_ = Words(agency.zh, agency.en)
        found.append((DETAILS.get(name) or Words(name, name), said_))
    return found
