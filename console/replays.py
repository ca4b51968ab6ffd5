"""Replays: today's code tried on cases, with what was found in words (RB-12.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api import replays
from api.problems import field_problems
from api.replays import Number
from api.services import Services, Serving
from console.engine_links import workflow_address
from console.form_fields import Sent, many, new_key, text
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from domain.access import Act
from domain.errors import FieldProblem, InputRefused, UnknownCase
from domain.words import Words
from operations.divergence import Reason

router = APIRouter()

ON_A_PAGE = 30
STATES: Mapping[str, Words] = {
    "running": Words("进行中", "Running"),
    "done": Words("已完成", "Done"),
    "failed": Words("未能完成", "Failed"),
    "stopped": Words("已停止", "Stopped"),
}
REASONS: Mapping[str, Words] = {
    Reason.DIFFERS: Words(
        "现行代码走向与历史不同：从该事件起不能承载此流程",
        "Today's code goes another way than the history: it cannot carry on from there",
    ),
    Reason.RAISES: Words("现行代码在此处报错", "Today's code raises an error there"),
    Reason.HANGS: Words("现行代码在此处没有结束", "Today's code does not come to an end there"),
    Reason.DIES: Words(
        "重放进程中断，例如内存不足；可重试",
        "The process that replayed it ended, as for want of memory; try again",
    ),
    Reason.UNKNOWN_KIND: Words("现行代码没有此流程", "Today's code has no such workflow"),
    Reason.NEWER_EDITION: Words(
        "办件始于较新的版本，现行代码较旧",
        "The case began under a later edition than this code knows",
    ),
}


@router.get("/admin/replays", name=Act.REPLAY_CASES)
async def list_replays(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show the form for another replay, and those there are."""
    return await _list(request, visitor, services, request.query_params)


@router.post("/admin/replays", name=Act.REPLAY_CASES)
async def start_replay(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Have cases replayed; the same as `POST /admin/replays`."""
    form = await request.form()
    try:
        answer = await replays.post_replay(
            _asked(form), text(form, "key") or new_key(), visitor.caller, services
        )
    except (InputRefused, UnknownCase) as refused:
        problems = refused.problems if isinstance(refused, InputRefused) else (_NO_CASE,)
        return await _list(request, visitor, services, form, [_on_form(each) for each in problems])
    number = orjson.loads(answer.body)["number"]
    return RedirectResponse(f"{PATH}/admin/replays/{number}", status_code=303)


_NO_CASE = FieldProblem("case_no", "there is no such case", "没有此办件")


def _asked(form: Sent) -> replays.ReplayRequest:
    """Read what is to be replayed.

    Raises:
        InputRefused: nothing, or no case number.
    """
    if text(form, "scope") == "all":
        return replays.ReplayRequest(all_open=True)
    numbers = many(form, "case_no")
    if not numbers:
        raise InputRefused(FieldProblem("case_no", "name a case", "请填写办件编号"))
    try:
        if len(numbers) == 1:
            return replays.ReplayRequest(case_no=numbers[0])
        return replays.ReplayRequest(cases=numbers)
    except ValidationError as error:
        raise InputRefused(*field_problems(error.errors())) from None


def _on_form(problem: FieldProblem) -> FieldProblem:
    return FieldProblem("case_no", problem.en, problem.zh)


async def _list(
    request: Request,
    visitor: Visitor,
    services: Services,
    sent: Sent,
    problems: list[FieldProblem] | None = None,
) -> Response:
    cursor = text(request.query_params, "cursor")
    found = await replays.list_replays(
        visitor.caller, services, limit=ON_A_PAGE, cursor=cursor or None
    )
    return page(
        request,
        visitor,
        "admin_replays.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/replays",
        found=found,
        cursor=cursor,
        sent={"case_no": text(sent, "case_no"), "scope": text(sent, "scope")},
        problems=Problems(problems or ()),
        key=new_key(),
        STATES=STATES,
        scope_words=scope_words,
    )


def scope_words(scope: Mapping[str, Any]) -> Words:
    """Say what was to be replayed; what was searched for is not repeated (RB-13.3)."""
    match scope:
        case {"all_open": True}:
            return Words("全部在办办件", "all open cases")
        case {"case_no": str(no)}:
            return Words(no, no)
        case {"cases": list(cases)}:
            return Words(f"{len(cases)} 个办件", f"{len(cases)} cases")
        case _:
            return Words("按条件选出的办件", "the cases that fit a query")


@router.get("/admin/replays/{number}", name=Act.REPLAY_CASES)
async def show_replay(
    request: Request, number: Number, visitor: Guarded, services: Serving
) -> Response:
    """Show how far a replay is, and what it found."""
    cursor = text(request.query_params, "cursor")
    found = await replays.get_replay(
        number, visitor.caller, services, limit=ON_A_PAGE, cursor=cursor or None
    )
    return page(
        request,
        visitor,
        "admin_replay.html",
        replay=found,
        cursor=cursor,
        rows=[
            {"found": each, "engine": _engine_page(each, services)} for each in found["findings"]
        ],
        STATES=STATES,
        REASONS=REASONS,
        scope=scope_words(found["scope"]),
    )


def _engine_page(finding: Mapping[str, Any], services: Services) -> str | None:
    return workflow_address(services.settings, finding["workflow_id"], finding["run_id"])


@router.post("/admin/replays/{number}/stop", name=Act.REPLAY_CASES)
async def stop_replay(number: Number, visitor: Guarded, services: Serving) -> Response:
    """Stop a replay; what was found stands."""
    await replays.stop_replay(number, visitor.caller, services)
    return RedirectResponse(f"{PATH}/admin/replays/{number}", status_code=303)
