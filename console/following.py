"""For applicants: following one case by number and secret, and doing what one owes (RB-10.3).

There is no account: a visit is begun with the slip from the window, is for that one case, and ends
after two hours, by its button, or with a new secret. What is done here goes through the functions
behind the API's routes for those who follow a case.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from activities.owe import check_task_outcome
from api import following
from api.problems import FOLLOWING_OFF, TOO_MANY_TRIES, WRONG_SECRET, Refused, field_problems
from api.schemas import ActionRequest
from api.services import Services, Serving
from console.answers import outcome_of
from console.guard import FOLLOW, FOLLOWING, VISIT, Guarded, Visitor, drop, keep
from console.rendering import TEXT_SIZE, Problems, page
from console.signing_in import ours
from console.words import CODES
from domain.access import Act
from domain.connection import Action, Code, TaskKind
from domain.errors import (
    CaseEnded,
    EngineAway,
    FieldProblem,
    IllegalAction,
    InputRefused,
    OutcomeConflict,
    TaskClosed,
    UnknownTask,
)
from domain.following import FOLLOWED_FOR, read_secret
from domain.naming import is_case_no
from domain.outcomes import Outcome
from domain.words import Words
from domain.working_time import civil_date

router = APIRouter()

_A_YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Choice:
    """What an applicant can answer, and what follows from it.

    Attributes:
        note: what is asked for in words; None where nothing is.
        is_grave: it ends the case, and cannot be taken back.
    """

    label: Words
    means: Words
    note: Words | None = None
    is_grave: bool = False


# What each answer leads to stands in `domain.connection.STORY`; here it is said to whoever answers.
CHOICES: Mapping[TaskKind, Mapping[Code, Choice]] = MappingProxyType(
    {
        TaskKind.CORRECT_PAPERS: {
            Code.CORRECTED: Choice(
                Words("材料已补正", "The papers are corrected"),
                Words(
                    "窗口将重新审核您的材料。请先把补正的材料送到窗口，或由原申请渠道提交。",
                    "The window checks your papers again. Hand the corrected ones in there first, "
                    "or by the channel that you applied by.",
                ),
                Words("补正说明（可不填）", "What was corrected (optional)"),
            )
        },
        TaskKind.CONFIRM_PLAN: {
            Code.AGREED: Choice(
                Words("同意方案", "I agree to the plan"),
                Words(
                    "供电企业将按此方案设计外线、办理审批并施工；您可以开始内部受电工程。",
                    "The utility designs the external line by this plan, has it permitted and "
                    "builds it; you can begin with your internal works.",
                ),
            ),
            Code.REVISE: Choice(
                Words("要求修改方案", "The plan should be revised"),
                Words(
                    "您的意见将原文转给供电企业，由其重新编制方案，再请您确认。",
                    "The utility gets your words as they are, draws the plan up again, and you "
                    "are asked once more.",
                ),
                Words("希望怎样修改", "How should it be revised"),
            ),
            Code.REFUSED: Choice(
                Words("不同意方案，不再办理", "I refuse the plan and give up"),
                Words(
                    "办件将以“客户拒绝方案”办结，不能恢复；以后需要用电须重新申请。",
                    "The case ends as “plan refused” and cannot be taken up again; for a "
                    "connection you would have to apply anew.",
                ),
                Words("原因（可不填）", "Why (optional)"),
                is_grave=True,
            ),
        },
        TaskKind.CUSTOMER_WORKS: {
            Code.FINISHED: Choice(
                Words("受电工程已完工", "The works are finished"),
                Words(
                    "供电企业将在外线工程完成后安排竣工检验。",
                    "The utility inspects them as soon as the external line is built.",
                ),
                Words(
                    "联系检验时需要说明的事项（可不填）",
                    "What the inspectors should know (optional)",
                ),
            )
        },
        TaskKind.RECTIFICATION: {
            Code.RECTIFIED: Choice(
                Words("整改已完成", "It is rectified"),
                Words("供电企业将重新检验。", "The utility inspects it again."),
                Words("整改情况（可不填）", "What was done (optional)"),
            ),
            Code.ABANDONED: Choice(
                Words("放弃整改，不再办理", "I give up"),
                Words(
                    "办件将以“检验不合格”办结，不能恢复；以后需要用电须重新申请。",
                    "The case ends as “inspection failed” and cannot be taken up again; for a "
                    "connection you would have to apply anew.",
                ),
                Words("原因（可不填）", "Why (optional)"),
                is_grave=True,
            ),
        },
        TaskKind.SIGN_CONTRACT: {
            Code.SIGNED: Choice(
                Words("签订供用电合同", "I sign the supply contract"),
                Words(
                    "目前为点击确认：系统记录您在何时、经何渠道确认签订，不是电子签名。合同文本由供电企业"
                    "提供，请先阅读；也可到窗口签订，或预约上门签订。签订后供电企业将装表接电。",
                    "For now this is a click: that you agreed, when and by which way is put on "
                    "record; it is no electronic signature. The utility has the text of the "
                    "contract, read it first. You can also sign at the window, or at your door by "
                    "appointment. Then the utility installs the meter and energises.",
                ),
            )
        },
    }
)


# ---------------------------------------------------------------- beginning and ending a visit


@router.get("/follow", name=Act.BEGIN_FOLLOWING)
async def follow_page(
    request: Request, visitor: Guarded, services: Serving, ended: str = ""
) -> Response:
    """Ask for case number and secret."""
    token = request.cookies.get(FOLLOWING, "")
    if token and await services.secrets.following.followed(token, at=services.now()):
        return RedirectResponse(f"{FOLLOW}/case", status_code=303)
    response = _asking(request, visitor, services, has_ended=bool(ended))
    if token:
        drop(response, request, FOLLOWING, FOLLOW)
    return response


@router.post("/follow", name=Act.BEGIN_FOLLOWING)
async def begin(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Begin a visit, or say that number and secret do not fit, and no more."""
    form = await request.form()
    no = "".join(str(form.get("no", ""))[:60].split()).upper()
    typed = str(form.get("secret", ""))[:60]
    problems = _slips(no, typed)
    if problems:
        return _asking(request, visitor, services, no=no, problems=problems, status=422)
    address = request.client.host if request.client else ""
    at = services.now()
    try:
        admitted = await services.secrets.admitted(no, typed, address=address, at=at)
    except Refused as refused:
        if refused.problem not in (WRONG_SECRET, TOO_MANY_TRIES, FOLLOWING_OFF):
            raise
        status = refused.problem.status
        response = _asking(request, visitor, services, no=no, refused=refused, status=status)
        response.headers.update(refused.headers)
        return response
    token = await services.secrets.following.begin(admitted.no, admitted.generation, at=at)
    if token is None:
        return RedirectResponse(FOLLOW, status_code=303)
    response = RedirectResponse(f"{FOLLOW}/case", status_code=303)
    drop(response, request, VISIT)
    keep(response, request, FOLLOWING, token, int(FOLLOWED_FOR.total_seconds()), FOLLOW)
    return response


@router.post("/follow/end", name=Act.FOLLOW_CASE)
async def end(request: Request, visitor: Guarded, services: Serving) -> Response:
    """End the visit, for whoever uses a telephone or a computer after another."""
    await services.secrets.following.end(visitor.secret)
    response = RedirectResponse(FOLLOW, status_code=303)
    drop(response, request, FOLLOWING, FOLLOW)
    return response


def _slips(no: str, typed: str) -> list[FieldProblem]:
    """Say which of the two was mistyped, by its check digit; what is on file is not asked."""
    problems = []
    if not is_case_no(no):
        problems.append(
            FieldProblem(
                "no",
                "is not as it stands on the slip: two letters and eleven digits",
                "与回执不符：应为 2 个字母加 11 位数字，请核对",
            )
        )
    if read_secret(typed) is None:
        problems.append(
            FieldProblem(
                "secret",
                "has a slip of the pen: sixteen letters and digits, in groups of four",
                "输入有误：应为 16 位字母和数字，每 4 位一组，请对照回执核对",
            )
        )
    return problems


def _asking(
    request: Request,
    visitor: Visitor,
    services: Services,
    *,
    no: str = "",
    problems: list[FieldProblem] | None = None,
    refused: Refused | None = None,
    has_ended: bool = False,
    status: int = 200,
) -> Response:
    return page(
        request,
        visitor,
        "follow.html",
        status=status,
        back=FOLLOW,
        is_on=services.secrets.is_on,
        no=no,
        problems=Problems(problems or ()),
        refused=refused and Words(refused.zh, refused.en),
        has_ended=has_ended,
    )


@router.get("/text-size/{size}", name=Act.CHOOSE_TEXT_SIZE)
async def choose_text_size(
    request: Request, size: str, visitor: Guarded, back: str = ""
) -> Response:
    """Go on with larger text, or with that of before, where one was (关怀版)."""
    response = RedirectResponse(ours(back) or FOLLOW, status_code=303)
    if size == "large":
        keep(response, request, TEXT_SIZE, size, _A_YEAR_S)
    else:
        drop(response, request, TEXT_SIZE)
    return response


# ---------------------------------------------------------------- the case


@router.get("/follow/case", name=Act.FOLLOW_CASE)
async def show(
    request: Request, visitor: Guarded, services: Serving, done: str = "", taken: str = ""
) -> Response:
    """Show where the case stands, what is owed by whom, and what the applicant owes."""
    seen = await following.followed(visitor.case_no, services)
    promised = (
        each
        for each in seen["clocks"]
        if each["covers"] == "case" and each["due_on"] and each["state"] != "stopped"
    )
    return page(
        request,
        visitor,
        "follow_case.html",
        case=seen,
        yours=[{"task": each, "words": _words_of(each["kind"])} for each in seen["yours"]],
        others=[each for each in seen["owed"] if not each["is_yours"]],
        promise=next(promised, None),
        mine=[step for step in seen["story"] if step["answer"]],
        done=services.policy.tasks[TaskKind(done)] if done in set(TaskKind) else None,
        is_taken_later=taken == "later",
    )


@router.get("/follow/case/tasks/{kind}", name=Act.FOLLOW_CASE)
async def show_task(request: Request, kind: str, visitor: Guarded, services: Serving) -> Response:
    """Show what the applicant owes, what it answers to, and the answers there are."""
    return await _task(request, kind, visitor, services)


@router.post("/follow/case/tasks/{kind}", name=Act.ANSWER_AS_APPLICANT)
async def answer(request: Request, kind: str, visitor: Guarded, services: Serving) -> Response:
    """Take an answer: first say what it means, then, confirmed, put it on file."""
    form = await request.form()
    seen = await following.followed(visitor.case_no, services)
    task = _own(seen, kind)
    try:
        outcome = outcome_of(form, [])
        record = await services.reading.task(task["id"])
        check_task_outcome(record, outcome, civil_date(record.clock.civil(services.now())))
        if form.get("confirmed") != "yes":
            return _confirming(request, visitor, task, outcome)
        status = await following.answer(
            visitor.case_no, task["id"], outcome, services, "follow_page"
        )
    except InputRefused as refused:
        return await _task(request, kind, visitor, services, form, _for_people(refused))
    except (TaskClosed, OutcomeConflict):
        return RedirectResponse(f"{FOLLOW}/case", status_code=303)
    later = "&taken=later" if status == 202 else ""
    return RedirectResponse(f"{FOLLOW}/case?done={kind}{later}", status_code=303)


@router.get("/follow/case/tasks/{kind}/documents/{sha256}", name=Act.FOLLOW_CASE)
async def give_document(kind: str, sha256: str, visitor: Guarded, services: Serving) -> Response:
    """Give a document that an own task is about, to be saved."""
    task = _own(await following.followed(visitor.case_no, services), kind)
    return await following.document(visitor.case_no, task["id"], sha256, services)


def _for_people(refused: InputRefused) -> list[FieldProblem]:
    """Say what is wrong with an answer without the words that programs are told it in."""
    said = {
        "note": Words(
            "请用几句话说明，例如希望怎样修改",
            "say it in a few words, e.g. how it should be revised",
        ),
        "code": Words("请选择您的答复", "choose your answer"),
    }
    return [
        FieldProblem(each.field, said[each.field].en, said[each.field].zh)
        if each.field in said
        else each
        for each in refused.problems
    ]


def _own(seen: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return what the applicant owes, by its kind; in an address no case number is needed.

    Raises:
        UnknownTask: nothing of this kind is owed.
    """
    for task in seen["yours"]:
        if task["kind"] == kind:
            found: Mapping[str, Any] = task
            return found
    raise UnknownTask(repr(kind))


def _words_of(kind: str) -> Words:
    """Say what is to be done, as the button that leads there."""
    choices = list(CHOICES.get(TaskKind(kind), {}).values())
    return choices[0].label if len(choices) == 1 else Words("查看并办理", "Look at it and answer")


def _choice(kind: str, code: str) -> Choice:
    known = CHOICES.get(TaskKind(kind), {}).get(Code(code))
    return known or Choice(CODES[code], Words("将记入办件。", "It goes on the record."))


async def _task(
    request: Request,
    kind: str,
    visitor: Visitor,
    services: Services,
    form: FormData | None = None,
    problems: list[FieldProblem] | None = None,
) -> Response:
    seen = await following.followed(visitor.case_no, services)
    task = _own(seen, kind)
    sent = {name: str(value) for name, value in (form or {}).items()}
    return page(
        request,
        visitor,
        "follow_task.html",
        status=422 if problems else 200,
        back=f"{FOLLOW}/case/tasks/{kind}",
        case=seen,
        task=task,
        choices=[(code, _choice(kind, code)) for code in task["outcomes"]],
        chosen=sent.get("code") or (task["outcomes"][0] if len(task["outcomes"]) == 1 else ""),
        note=sent.get("note", ""),
        problems=Problems(problems or ()),
    )


def _confirming(
    request: Request, visitor: Visitor, task: Mapping[str, Any], outcome: Outcome
) -> Response:
    return page(
        request,
        visitor,
        "follow_confirm.html",
        back=f"{FOLLOW}/case/tasks/{task['kind']}",
        task=task,
        choice=_choice(task["kind"], outcome.code),
        code=outcome.code,
        note=outcome.note or "",
    )


# ---------------------------------------------------------------- withdrawing


@router.get("/follow/case/withdraw", name=Act.FOLLOW_CASE)
async def withdraw_page(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Say what withdrawing means, and ask why."""
    return await _withdrawing(request, visitor, services)


@router.post("/follow/case/withdraw", name=Act.ANSWER_AS_APPLICANT)
async def withdraw(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Withdraw the application, once that was confirmed."""
    form = await request.form()
    key = str(form.get("key", ""))[:100] or secrets.token_urlsafe(16)
    problems: list[FieldProblem] = []
    status = 422
    try:
        body = _withdrawal(form)
        await following.withdraw(visitor.case_no, body, key, services, "follow_page")
    except InputRefused as refused:
        problems = list(refused.problems)
    except (CaseEnded, IllegalAction):
        return RedirectResponse(f"{FOLLOW}/case", status_code=303)
    except EngineAway:
        status = 503
        problems = [
            FieldProblem(
                "reason",
                "it cannot be told yet whether this was done; please send it again in a minute",
                "暂时无法确认是否已撤回，请稍后再次提交",
            )
        ]
    else:
        return RedirectResponse(f"{FOLLOW}/case", status_code=303)
    return await _withdrawing(request, visitor, services, form, problems, key, status)


def _withdrawal(form: FormData) -> ActionRequest:
    """Read why a case is withdrawn.

    Raises:
        InputRefused: no reason is given, or it was not confirmed.
    """
    reason = " ".join(str(form.get("reason", "")).split())
    problems = []
    if not reason:
        problems.append(FieldProblem("reason", "say why in a few words", "请简要填写原因"))
    if form.get("confirmed") != "yes":
        problems.append(
            FieldProblem("confirmed", "tick that you mean it", "请勾选确认，撤回后不能恢复")
        )
    if problems:
        raise InputRefused(*problems)
    try:
        return ActionRequest(action=Action.WITHDRAW, reason=reason)
    except ValidationError as error:
        raise InputRefused(*field_problems(error.errors())) from None


async def _withdrawing(
    request: Request,
    visitor: Visitor,
    services: Services,
    form: FormData | None = None,
    problems: list[FieldProblem] | None = None,
    key: str | None = None,
    status: int = 200,
) -> Response:
    seen = await following.followed(visitor.case_no, services)
    return page(
        request,
        visitor,
        "follow_withdraw.html",
        status=status,
        back=f"{FOLLOW}/case/withdraw",
        case=seen,
        reason="" if form is None else str(form.get("reason", "")),
        problems=Problems(problems or ()),
        key=key or secrets.token_urlsafe(16),
    )
