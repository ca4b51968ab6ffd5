"""Repairs: what a case allows, the plan before it is carried out, approval, report (RB-12.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from activities.contract import task_title
from api import documents, repair_options, repairs
from api.problems import field_problems
from api.repair_schemas import RepairRequest
from api.repairs import Number
from api.services import Services, Serving
from api.tasks import task_id_of
from console.answers import outcome_of
from console.attaching import attached, choices
from console.engine_links import workflow_address
from console.form_fields import Sent, many, new_key, text
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from console.words import ENDINGS
from domain.access import Act
from domain.connection import STORY, Code
from domain.errors import (
    CaseEnded,
    EngineAway,
    FieldProblem,
    IllegalRepair,
    InputRefused,
    OneWindowError,
    UnknownCase,
    UnknownTask,
)
from domain.naming import is_case_no
from domain.repairs import REPAIRS, RepairKind
from domain.words import Words
from policy.loader import policy_for
from storage.repairs import ItemState, RepairState

router = APIRouter()

ON_A_PAGE = 30
FOR_MANY = (
    RepairKind.PUSH,
    RepairKind.RETRY,
    RepairKind.RESTART,
    RepairKind.RESET,
    RepairKind.MOVE,
)
KIND_NAMES: Mapping[str, Words] = {kind: Words(r.zh, r.en) for kind, r in REPAIRS.items()}
WHAT_FOR: Mapping[str, Words] = {
    RepairKind.RETRY: Words(
        "步骤在失败后等待下次尝试；排除原因后可立即再试。",
        "A step waits for its next try after failing; with the cause removed, try it now.",
    ),
    RepairKind.PUSH: Words(
        "把任务再次推送到承办单位系统；同一任务号，重复推送不改变任何内容。",
        "Send the task to its agency's system once more, under the same id: that changes nothing.",
    ),
    RepairKind.RESET: Words(
        "从某个事件之前重新走流程；已作出的决定从案卷读取，不再征询。",
        "Have a process go on from before an event; what was decided is read from the file.",
    ),
    RepairKind.RESTART: Words(
        "结束现有流程，依案卷重新开始；已作出的决定不再征询。",
        "End the process and start it anew from the file; what was decided is not asked again.",
    ),
    RepairKind.MOVE: Words(
        "由另一版本的工作进程继续承载流程。", "Have the process carried by another worker version."
    ),
    RepairKind.WITHDRAW: Words(
        "代申请人撤回申请，办件即告办结，不能恢复。",
        "Withdraw on the applicant's behalf; the case ends for good.",
    ),
    RepairKind.DECIDE: Words(
        "单位系统停运时，凭其书面文件代录办理结果。",
        "Put an agency's outcome on file by its document, when its system is down.",
    ),
}
STATES: Mapping[str, Words] = {
    RepairState.PLANNING: Words("制定计划中", "Being planned"),
    RepairState.PLANNED: Words("已制定计划", "Planned"),
    RepairState.EXECUTING: Words("执行中", "Under way"),
    RepairState.PAUSED: Words("已暂停", "Paused"),
    RepairState.DONE: Words("已完成", "Done"),
    RepairState.CANCELLED: Words("已取消", "Cancelled"),
}
ITEM_STATES: Mapping[str, Words] = {
    ItemState.NEW: Words("待制定计划", "To be planned"),
    ItemState.PLANNED: Words("已计划", "Planned"),
    ItemState.REFUSED: Words("不可修复", "Not possible"),
    ItemState.EXECUTING: Words("执行中", "Under way"),
    ItemState.DONE: Words("已完成", "Done"),
    ItemState.STALE: Words("办件已变化，未处理", "Has moved on; nothing done"),
    ItemState.FAILED: Words("未能完成", "Failed"),
    ItemState.CANCELLED: Words("已取消", "Cancelled"),
}
CHANGES: Mapping[str, Words] = {
    "kept": Words("继续原运行", "the same run goes on"),
    "anew": Words("由新的运行接替", "a new run takes its place"),
    "ends": Words("结束，不再接替", "ends, none takes its place"),
}
# What a plan predicts and its report tells, side by side.
COMPARED: Sequence[tuple[str, Words]] = (
    ("decisions_kept", Words("保留的决定", "Decisions kept")),
    ("decisions_added", Words("新增的决定", "Decisions added")),
    ("pushes_repeated", Words("重复的推送", "Pushes repeated")),
    ("deadlines_moved", Words("变动的期限", "Deadlines moved")),
    ("tasks_closed", Words("未决即关闭的任务", "Tasks closed without an outcome")),
)

# ---------------------------------------------------------------- the list


@router.get("/admin/repairs", name=Act.SEE_REPAIRS)
async def list_repairs(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Page through repairs, the newest first; the same as `GET /admin/repairs`."""
    asked = {name: text(request.query_params, name) for name in ("state", "cursor")}
    awaits = bool(text(request.query_params, "awaits_approval"))
    found = await repairs.get_repairs(
        visitor.caller,
        services,
        state=RepairState(asked["state"]) if asked["state"] in set(RepairState) else None,
        awaits_approval=awaits,
        limit=ON_A_PAGE,
        cursor=asked["cursor"] or None,
    )
    return page(
        request,
        visitor,
        "admin_repairs.html",
        asked=asked,
        awaits=awaits,
        found=found,
        STATES=STATES,
    )


# ---------------------------------------------------------------- another one


@router.get("/admin/repairs/new", name=Act.REPAIR_CASES)
async def new_repair(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show what a case allows, or the form for many."""
    return await _new(request, visitor, services, request.query_params)


@router.post("/admin/repairs", name=Act.REPAIR_CASES)
async def plan_repair(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Plan a repair; the same as `POST /admin/repairs`. Nothing is done by it."""
    form = await request.form()
    try:
        asked = _asked(form)
        answer = await repairs.post_repair(
            asked, text(form, "key") or new_key(), visitor.caller, services
        )
    except (InputRefused, UnknownCase, UnknownTask, CaseEnded, IllegalRepair, EngineAway) as error:
        return await _new(request, visitor, services, form, list(_told(error)))
    number = orjson.loads(answer.body)["number"]
    return RedirectResponse(f"{PATH}/admin/repairs/{number}", status_code=303)


def _told(error: OneWindowError) -> Sequence[FieldProblem]:
    match error:
        case InputRefused():
            return error.problems
        case IllegalRepair():
            return (FieldProblem("option", error.en, error.zh),)
        case EngineAway():
            return (_AWAY,)
        case CaseEnded():
            return (FieldProblem("case_no", "the case has ended", "办件已办结，无须修复"),)
        case UnknownTask():
            return (FieldProblem("option", "there is no such task", "没有此任务"),)
        case _:
            return (FieldProblem("case_no", "there is no such case", "没有此办件"),)


_AWAY = FieldProblem(
    "option",
    "the engine does not answer; a plan needs to see how the case stands there",
    "流程引擎无应答；制定计划须查看办件在引擎中的状况",
)


def _asked(form: Sent) -> RepairRequest:
    """Read what is asked for: an option of one case, or a kind for many.

    Raises:
        InputRefused: says what is missing or wrong.
    """
    body = _of_many(form) if text(form, "many") else _of_option(form)
    body["reason"] = _reason(form)
    return _request(body)


def _request(body: Mapping[str, Any]) -> RepairRequest:
    try:
        return RepairRequest.model_validate(body)
    except ValidationError as error:
        raise InputRefused(*field_problems(error.errors())) from None


def _reason(form: Sent) -> str:
    if not (reason := " ".join(text(form, "reason").split())):
        raise InputRefused(FieldProblem("reason", "say why", "请说明理由"))
    return reason


def _of_option(form: Sent) -> dict[str, Any]:
    """Read the chosen option: the request that its radio button carries, and an event."""
    chosen = text(form, "option", 1000)
    if not chosen:
        raise InputRefused(FieldProblem("option", "choose a repair", "请选择修复方式"))
    try:
        body = orjson.loads(chosen)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
        raise InputRefused(FieldProblem("option", "choose a repair", "请选择修复方式"))
    place = f"event.{body.get('process', '')}"
    if event := text(form, place, 20):
        body["event"] = int(event) if event.isascii() and event.isdigit() else event
    return body


def _of_many(form: Sent) -> dict[str, Any]:
    kind = text(form, "kind")
    if kind not in set(FOR_MANY):
        raise InputRefused(FieldProblem("kind", "choose a kind of repair", "请选择修复方式"))
    body: dict[str, Any] = {"kind": kind}
    if numbers := many(form, "cases"):
        body["cases"] = numbers
    elif text(form, "scope") == "query":
        names = ("district", "stage")
        body["query"] = {name: value for name in names if (value := text(form, name))}
    else:
        raise InputRefused(
            FieldProblem(
                "cases", "name cases, or choose all that fit", "请填写办件编号，或选择按条件"
            )
        )
    if (agency := text(form, "agency")) and kind in (RepairKind.PUSH, RepairKind.RETRY):
        body["agency"] = agency
    if kind == RepairKind.RESET:
        body["event"] = "first_failure"
    if per_second := text(form, "per_second"):
        body["per_second"] = per_second
    return body


async def _new(
    request: Request,
    visitor: Visitor,
    services: Services,
    sent: Sent,
    problems: list[FieldProblem] | None = None,
) -> Response:
    problems = problems or []
    no, found = text(sent, "case_no").upper(), None
    is_away = False
    if no and not text(sent, "many"):
        try:
            found = await _options(no, visitor, services)
        except EngineAway:
            is_away = True
        except OneWindowError as error:
            problems += [each for each in _told(error) if each not in problems]
    wanted = {name: text(sent, name, 2000) for name in _KEPT}
    return page(
        request,
        visitor,
        "admin_repair_new.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/repairs/new",
        no=no,
        options_found=found,
        chosen=_chosen(found, sent),
        is_away=is_away,
        is_many=bool(text(sent, "many")),
        sent=wanted,
        problems=Problems(problems),
        key=new_key(),
        KIND_NAMES=KIND_NAMES,
        FOR_MANY=FOR_MANY,
        WHAT_FOR=WHAT_FOR,
        districts=services.policy.districts,
        stages={link.id: link for links in services.policy.links.values() for link in links},
        agencies={
            name: each
            for name, each in services.policy.agencies.items()
            if name in services.settings.agency_bases
        },
    )


_KEPT = (
    "case_no",
    "kind",
    "cases",
    "scope",
    "district",
    "stage",
    "agency",
    "per_second",
    "reason",
)


async def _options(no: str, visitor: Visitor, services: Services) -> list[Mapping[str, Any]]:
    """Return what a case allows; each option with what its radio button carries.

    Raises:
        UnknownCase, CaseEnded, EngineAway: there is nothing to choose from.
    """
    if not is_case_no(no):
        raise UnknownCase(no)
    found = await repair_options.get_options(no, visitor.caller, services)
    return [
        {
            **each,
            "value": each["request"] and orjson.dumps(each["request"]).decode(),
            "about": _about(each["request"] or {}, no),
        }
        for each in found["items"]
    ]


def _about(request: Mapping[str, Any], no: str) -> str:
    about = request.get("step") or request.get("task_id") or request.get("process") or ""
    return str(about).removeprefix(f"{no}.") if about != no else ""


def _chosen(found: list[Mapping[str, Any]] | None, sent: Sent) -> str | None:
    """Return the option that is chosen already: the one sent, or the one that a link names."""
    if sent_option := text(sent, "option", 1000):
        return sent_option
    kind, task_id, process = (text(sent, name) for name in ("kind", "task_id", "process"))
    for each in found or ():
        request = each["request"]
        if request is None or each["kind"] != kind:
            continue
        if task_id and task_id not in (request.get("task_id"), request.get("step")):
            continue
        if process and request.get("process") != process:
            continue
        return str(each["value"])
    return None


# ---------------------------------------------------------------- an outcome on behalf


@router.get("/admin/decisions/{task_id}", name=Act.REPAIR_CASES)
async def new_decision(
    request: Request, task_id: str, visitor: Guarded, services: Serving
) -> Response:
    """Show the form with which an agency's outcome is put on file for it, by its document."""
    return await _decision(request, task_id, visitor, services, FormData())


@router.post("/admin/decisions/{task_id}", name=Act.REPAIR_CASES)
async def plan_decision(
    request: Request, task_id: str, visitor: Guarded, services: Serving
) -> Response:
    """Plan to put an outcome on file; a second administrator approves it."""
    form = await request.form()
    task = await services.reading.task(task_id_of(task_id))
    form, problems = await attached(form, [task.id], visitor, services)
    try:
        outcome = outcome_of(form, [item["item"] for item in task.asked["items"]])
        body = {
            "kind": RepairKind.DECIDE,
            "task_id": task.id,
            "reason": _reason(form),
            "outcome": outcome.model_dump(mode="json", exclude_none=True),
        }
        if problems:
            raise InputRefused(*problems)
        answer = await repairs.post_repair(
            _request(body), text(form, "key") or new_key(), visitor.caller, services
        )
    except (InputRefused, CaseEnded, IllegalRepair, EngineAway) as error:
        problems = [*problems, *(each for each in _told(error) if each not in problems)]
        return await _decision(request, task_id, visitor, services, form, problems)
    return _to(orjson.loads(answer.body)["number"])


async def _decision(
    request: Request,
    task_id: str,
    visitor: Visitor,
    services: Services,
    form: FormData,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    task = await services.reading.task(task_id_of(task_id))
    policy = policy_for(task.policy)
    turns = STORY[task.facts.voltage][task.kind]
    return page(
        request,
        visitor,
        "admin_decision.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/decisions/{task_id}",
        task=task,
        title=task_title(task.kind, task.department, policy),
        owner=policy.agencies[task.owed_by],
        items=task.asked["items"],
        # What needs a whole plan or route is for the agency's own system alone.
        codes=[code for code in turns if code not in (Code.PLANNED, Code.DESIGNED)],
        documents=choices(await documents.list_documents(task.id, visitor.caller, services)),
        form={name: value for name, value in form.items() if isinstance(value, str)},
        problems=Problems(problems),
        key=new_key(),
        departments={i: a for i, a in policy.agencies.items() if a.role == "department"},
    )


# ---------------------------------------------------------------- one repair


@router.get("/admin/repairs/{number}", name=Act.SEE_REPAIRS)
async def show_repair(
    request: Request, number: Number, visitor: Guarded, services: Serving
) -> Response:
    """Show a repair: plan, approval, progress, report against the plan."""
    return await _show(request, number, visitor, services)


async def _show(
    request: Request,
    number: int,
    visitor: Visitor,
    services: Services,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    asked = {name: text(request.query_params, name) for name in ("state", "cursor")}
    found = await repairs.get_repair(number, visitor.caller, services)
    state = ItemState(asked["state"]) if asked["state"] in set(ItemState) else None
    items = await repairs.get_items(
        number,
        visitor.caller,
        services,
        state=state,
        limit=ON_A_PAGE,
        cursor=asked["cursor"] or None,
    )
    return page(
        request,
        visitor,
        "admin_repair.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/repairs/{number}",
        repair=found,
        asked=asked,
        items=items,
        is_own=found["planned_by"] == visitor.caller.agency,
        confirm=confirmation(found),
        problems=Problems(problems),
        engine=lambda workflow_id, run_id: workflow_address(services.settings, workflow_id, run_id),
        STATES=STATES,
        ITEM_STATES=ITEM_STATES,
        CHANGES=CHANGES,
        COMPARED=COMPARED,
        WHAT_FOR=WHAT_FOR,
        ENDINGS=ENDINGS,
        is_moving=found["state"] in (RepairState.PLANNING, RepairState.EXECUTING),
    )


def confirmation(repair: Mapping[str, Any]) -> str | None:
    """Return what is typed before something is discarded; None where nothing is.

    Of one case its number; of many `repair <number>`, since no number stands for all of them.
    """
    if not repair["needs_approval"]:
        return None
    numbers = {item["case_no"] for item in repair["items"]}
    if repair["total"] == 1 and len(numbers) == 1:
        return str(numbers.pop())
    return f"repair {repair['number']}"


@router.post("/admin/repairs/{number}/execute", name=Act.REPAIR_CASES)
async def execute(
    request: Request, number: Number, visitor: Guarded, services: Serving
) -> Response:
    """Have a repair carried out, after it was confirmed where it discards something."""
    form = await request.form()
    found = await repairs.get_repair(number, visitor.caller, services)
    typed, expected = text(form, "confirm"), confirmation(found)
    if expected is not None and typed.casefold() != expected.casefold():
        problem = FieldProblem("confirm", f"type {expected}", f"请输入 {expected}")
        return await _show(request, number, visitor, services, [problem])
    await repairs.execute(number, visitor.caller, services)
    return _to(number)


@router.post("/admin/repairs/{number}/approve", name=Act.REPAIR_CASES)
async def approve(number: Number, visitor: Guarded, services: Serving) -> Response:
    """Approve as a second administrator what another has planned."""
    await repairs.approve(number, visitor.caller, services)
    return _to(number)


@router.post("/admin/repairs/{number}/pause", name=Act.REPAIR_CASES)
async def pause(number: Number, visitor: Guarded, services: Serving) -> Response:
    """Begin no further case for now."""
    await repairs.pause(number, visitor.caller, services)
    return _to(number)


@router.post("/admin/repairs/{number}/resume", name=Act.REPAIR_CASES)
async def resume(number: Number, visitor: Guarded, services: Serving) -> Response:
    """Go on after a pause."""
    await repairs.resume(number, visitor.caller, services)
    return _to(number)


@router.post("/admin/repairs/{number}/cancel", name=Act.REPAIR_CASES)
async def cancel(number: Number, visitor: Guarded, services: Serving) -> Response:
    """Reject a plan, or begin no further case for good."""
    await repairs.cancel(number, visitor.caller, services)
    return _to(number)


def _to(number: int) -> Response:
    return RedirectResponse(f"{PATH}/admin/repairs/{number}", status_code=303)
