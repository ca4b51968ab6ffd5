"""Escalations: the supervision notices (督办) that the ladder sent, with their replies (RB-5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api import notices
from api.escalations import get_escalation, list_escalations
from api.notices import Reply
from api.problems import field_problems
from api.services import Services, Serving
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page, query
from domain.access import Act, Whose, whose
from domain.errors import FieldProblem, ReplyConflict
from domain.policy import Policy
from domain.words import Words
from storage.escalations import Waiting

router = APIRouter()

ON_A_PAGE = 20
_FILTERS = ("waiting", "recipient", "district", "case_no")
WAITING: Mapping[Waiting, Words] = {
    "open": Words("未回复", "Without a reply"),
    "unacknowledged": Words("未签收", "Not acknowledged"),
    "overdue": Words("回复逾期", "Reply overdue"),
    "answered": Words("已回复", "Replied to"),
}


@router.get("/escalations", name=Act.SEE_NOTICES)
async def escalations(request: Request, visitor: Guarded, services: Serving) -> Response:
    """List supervision notices, those without a reply first; an agency's own, or all."""
    return await _list(request, visitor, services, request.query_params)


@router.post("/escalations/reply", name=Act.ANSWER_NOTICE)
async def reply(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Acknowledge a notice, or reply to it, in the name of the agency that it was sent to."""
    form = await request.form()
    notice_id = str(form.get("notice", ""))[:200]
    account = visitor.signed_in.id
    asked = {name: str(form.get(name, "")) for name in _FILTERS}
    await get_escalation(notice_id, visitor.caller, services)
    try:
        text = None
        if form.get("do") == "reply":
            text = Reply(reply=str(form.get("reply", "")).strip().replace("\r\n", "\n")).reply
        await notices.answer(notice_id, visitor.caller, services, reply=text, account=account)
    except ValidationError as error:
        problems = field_problems(error.errors())
    except ReplyConflict as refused:
        zh = "此督办已有另一份回复，原回复不变"
        problems = [FieldProblem("reply", str(refused), zh)]
    else:
        done = "replied" if text else "acknowledged"
        return RedirectResponse(f"{PATH}/escalations?{query(**asked, done=done)}", status_code=303)
    return await _list(request, visitor, services, asked, form, problems)


async def _list(
    request: Request,
    visitor: Visitor,
    services: Services,
    sent: Mapping[str, str],
    form: FormData | None = None,
    problems: list[FieldProblem] | None = None,
) -> Response:
    wanted = {name: sent.get(name, "").strip()[:100] for name in _FILTERS}
    policy, account = services.policy, visitor.signed_in
    sees_all = whose(account.role, Act.SEE_NOTICES) is Whose.ALL
    if not sees_all:
        wanted["recipient"] = ""
    found = await list_escalations(
        visitor.caller,
        services,
        waiting=next((each for each in WAITING if each == wanted["waiting"]), None),
        recipient=wanted["recipient"] or None,
        district=wanted["district"] or None,
        case_no=wanted["case_no"] or None,
        limit=ON_A_PAGE,
        cursor=sent.get("cursor", "")[:400] or None,
    )
    return page(
        request,
        visitor,
        "escalations.html",
        status=422 if problems else 200,
        back=f"{PATH}/escalations?{query(**wanted)}",
        rows=[_row(each, policy, visitor) for each in found["items"]],
        total=found["total"],
        wanted=wanted,
        waiting=WAITING,
        sees_all=sees_all,
        recipients=policy.agencies,
        districts=policy.districts,
        next_cursor=found["next_cursor"],
        is_first=not sent.get("cursor"),
        form=form or FormData(),
        problems=Problems(problems or ()),
        done=sent.get("done", ""),
    )


def _row(notice: Mapping[str, Any], policy: Policy, visitor: Visitor) -> Mapping[str, Any]:
    body = notice["body"]
    return {
        "notice": notice,
        "recipient": _agency(notice["recipient"], policy),
        "late": _agency(body.get("late_agency"), policy),
        "about": _about(notice, policy),
        "step": Words(body.get("zh", body["step"]), body.get("en", body["step"])),
        "due_on": body.get("due_on") and date.fromisoformat(body["due_on"]),
        "may_answer": visitor.may_for(Act.ANSWER_NOTICE, notice["recipient"])
        and notice["reply"] is None,
    }


def _agency(agency: str | None, policy: Policy) -> Words | None:
    if agency is None:
        return None
    titled = policy.agencies.get(agency)
    return Words(titled.zh, titled.en) if titled else Words(agency, agency)


def _about(notice: Mapping[str, Any], policy: Policy) -> Words | None:
    """Name the task whose limit it is, or the clock of the case."""
    about = str(notice["body"].get("about", "")).removeprefix(f"{notice['case_no']}.")
    clock = policy.clocks.get(about)
    if clock is not None:
        return Words(clock.zh, clock.en)
    kind = about.split(".")[0].split("-")[0]
    task = next((each for name, each in policy.tasks.items() if name == kind), None)
    return Words(task.zh, task.en) if task else None
