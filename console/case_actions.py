"""What may be done to a case from outside its tasks, after a page that says what happens."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api import applications
from api.problems import field_problems
from api.schemas import ActionRequest
from api.services import Services, Serving
from console.cases import is_withdrawable
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from domain.access import Act
from domain.connection import Action
from domain.errors import CaseEnded, EngineAway, FieldProblem, IllegalAction
from domain.words import Words
from policy.loader import policy_for

router = APIRouter()


@router.get("/cases/{no}/withdraw", name=Act.WITHDRAW_CASE)
async def ask_withdrawal(
    request: Request, no: str, visitor: Guarded, services: Serving
) -> Response:
    """Say what withdrawing a case does, and ask for the reason."""
    return await _asking(request, no, visitor, services)


@router.post("/cases/{no}/withdraw", name=Act.WITHDRAW_CASE)
async def withdraw(request: Request, no: str, visitor: Guarded, services: Serving) -> Response:
    """Withdraw a case; once per form, however often it is sent."""
    form = await request.form()
    key, reason = str(form.get("key", ""))[:100] or _new_key(), str(form.get("reason", "")).strip()
    try:
        body = ActionRequest(action=Action.WITHDRAW, reason=" ".join(reason.splitlines()))
        await applications.act(no, body, f"form-{key}", visitor.caller, services)
    except ValidationError as error:
        problems = field_problems(error.errors()) if reason else [_NEEDS_REASON]
    except (CaseEnded, IllegalAction):
        problems = [_TOO_LATE]
    except EngineAway:
        problems = [_NO_ANSWER]
    else:
        return RedirectResponse(f"{PATH}/cases/{no}?withdrawn=yes", status_code=303)
    return await _asking(request, no, visitor, services, reason, key, problems)


_NEEDS_REASON = FieldProblem("reason", "say why", "请填写撤件原因")
_TOO_LATE = FieldProblem(
    "reason",
    "the case has ended, or its contract is signed: it cannot be withdrawn any more",
    "办件已办结，或合同已签订，不能再撤件",
)
_NO_ANSWER = FieldProblem(
    "reason",
    "the process does not answer yet; send the form again, it is withdrawn once only",
    "流程引擎暂无响应，尚未确认撤件；请稍后再次提交本表单，不会重复",
)


async def _asking(
    request: Request,
    no: str,
    visitor: Visitor,
    services: Services,
    reason: str = "",
    key: str | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    case = await applications.get_case(no, visitor.caller, services)
    policy = policy_for(case["policy"])
    owed = [
        {
            "title": task["title"],
            "owner": Words((owner := policy.agencies[task["owed_by"]]).zh, owner.en),
        }
        for task in await applications.get_tasks(no, visitor.caller, services)
        if task["state"] == "open"
    ]
    return page(
        request,
        visitor,
        "case_withdraw.html",
        status=422 if problems else 200,
        back=f"{PATH}/cases/{no}/withdraw",
        case=case,
        owed=owed,
        is_possible=is_withdrawable(await services.reading.case(no)),
        reason=reason,
        key=key or _new_key(),
        problems=Problems(problems),
    )


def _new_key() -> str:
    return secrets.token_urlsafe(16)
