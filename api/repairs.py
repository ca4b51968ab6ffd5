"""Repairs: planned first, approved by another administrator, carried out, reported (RB-12.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response

from activities.contract import civil_text
from api.applications import Cursor, IdempotencyKey, Limit
from api.auth import SignedIn
from api.repair_schemas import (
    MOST_CASES,
    PUSH_EXAMPLE,
    RESET_EXAMPLE,
    RESTART_EXAMPLE,
    ItemPage,
    RepairBody,
    RepairPage,
    RepairRequest,
)
from api.responses import spelled
from api.schemas import refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import FieldProblem, InputRefused, StalePlan
from domain.naming import CASE_NO, is_case_no
from domain.repair_plan import Target
from domain.repairs import REPAIRS, RepairKind
from operations.planning import Asked
from storage.reading import CaseFilter
from storage.repairs import ItemRecord, ItemState, NewRepair, RepairRecord, RepairState
from storage.undelivered import failing_pushes

router = APIRouter(prefix="/admin/repairs", tags=["administration"])

SHOWN = 20
"""Cases of a repair that are planned while one waits, and that are shown with it."""

Number = Annotated[int, Path(ge=1, le=10**9)]

_BY_TASK = frozenset({RepairKind.RETRY, RepairKind.PUSH, RepairKind.DECIDE})
_MANY = frozenset({RepairKind.RETRY, RepairKind.PUSH, RepairKind.RESET, RepairKind.RESTART})
_ONLY_FOR: Mapping[str, frozenset[RepairKind]] = {
    "task_id": _BY_TASK,
    "step": frozenset({RepairKind.RETRY}),
    "agency": frozenset({RepairKind.RETRY, RepairKind.PUSH}),
    "process": frozenset({RepairKind.RESET, RepairKind.RETRY}),
    "event": frozenset({RepairKind.RESET}),
    "version": frozenset({RepairKind.MOVE}),
    "outcome": frozenset({RepairKind.DECIDE}),
}


@router.post(
    "",
    name=Act.REPAIR_CASES,
    status_code=201,
    response_model=RepairBody,
    summary="Plan a repair (制定修复计划)",
    responses={
        200: {"model": RepairBody, "description": "It was planned before, under the same key"},
        202: {"model": RepairBody, "description": "On file; many cases are planned by and by"},
        **refusals(400, 401, 403, 404, 409, 413, 422),
    },
)
async def post_repair(
    body: Annotated[
        RepairRequest,
        Body(
            openapi_examples={
                "restart": {"summary": "One case, from its file", "value": RESTART_EXAMPLE},
                "reset": {"summary": "A bundle, to an event", "value": RESET_EXAMPLE},
                "push": {"summary": "All that an agency missed", "value": PUSH_EXAMPLE},
            }
        ),
    ],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Say what a repair will do, case by case. Nothing is done before it is carried out."""
    caller.needs(Act.REPAIR_CASES)
    _check(body)
    asked = body.model_dump(mode="json", exclude_none=True)
    earlier = await services.repairs.earlier(caller.agency, key, asked)
    if earlier is not None and earlier.state is not RepairState.PLANNING:
        return spelled(await _body(earlier, services), 200, _location(earlier))
    targets = await _targets(body, services)
    if len(targets) == 1:
        # What is not possible for the only case is said at once, and nothing is put on file.
        await services.repairing.planned(_asked(body, targets[0]))
    repair, is_new = await services.repairs.put(
        NewRepair(
            kind=body.kind,
            reason=body.reason,
            asked=asked,
            idempotency_key=key,
            planned_by=caller.agency,
            planned_at=_now(services),
            targets=targets,
            per_second=body.per_second,
        )
    )
    if repair.state is RepairState.PLANNING and len(targets) <= SHOWN:
        for item in (await services.repairs.items(repair.number)).items:
            if item.state is ItemState.NEW:
                await services.repairing.plan_item(item, repair)
        repair = await services.repairs.repair(repair.number)
    status = 202 if repair.state is RepairState.PLANNING else 201 if is_new else 200
    return spelled(await _body(repair, services), status, _location(repair))


def _location(repair: RepairRecord) -> dict[str, str]:
    return {"Location": f"/api/v1/admin/repairs/{repair.number}"}


@router.get(
    "",
    name=Act.SEE_REPAIRS,
    response_model=RepairPage,
    summary="Repairs, the newest first",
    responses=refusals(401, 403, 422),
)
async def get_repairs(
    caller: SignedIn,
    services: Serving,
    state: Annotated[RepairState | None, Query()] = None,
    awaits_approval: Annotated[
        bool, Query(description="Only those that a second administrator has to approve")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Return who repaired what, why, with whose approval, and how far it is."""
    caller.needs(Act.SEE_REPAIRS)
    page = await services.repairs.repairs(
        state=state, awaits_approval=awaits_approval, limit=limit, cursor=cursor
    )
    return {"items": [_listed(each) for each in page.items], "next_cursor": page.next_cursor}


@router.get(
    "/{number}",
    name=Act.SEE_REPAIRS,
    response_model=RepairBody,
    summary="A repair: plan, approval, progress, report",
    responses=refusals(401, 403, 404, 422),
)
async def get_repair(number: Number, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Return a repair as it stands, with the first of its cases."""
    caller.needs(Act.SEE_REPAIRS)
    return await _body(await services.repairs.repair(number), services)


@router.get(
    "/{number}/items",
    name=Act.SEE_REPAIRS,
    response_model=ItemPage,
    summary="The cases of a repair",
    responses=refusals(401, 403, 404, 422),
)
async def get_items(
    number: Number,
    caller: SignedIn,
    services: Serving,
    state: Annotated[ItemState | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Return the cases of a repair in order, each with its plan and its report."""
    caller.needs(Act.SEE_REPAIRS)
    await services.repairs.repair(number)
    page = await services.repairs.items(number, state=state, limit=limit, cursor=cursor)
    return {"items": [_item(each) for each in page.items], "next_cursor": page.next_cursor}


@router.post(
    "/{number}/approve",
    name=Act.REPAIR_CASES,
    response_model=RepairBody,
    summary="Approve a repair that discards something (批准)",
    responses=refusals(401, 403, 404, 409, 422),
)
async def approve(number: Number, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Approve as a second administrator what another has planned; it can be carried out then."""
    caller.needs(Act.REPAIR_CASES)
    await _check_is_fresh(number, services)
    found = await services.repairs.approve(number, by=caller.agency, at=_now(services))
    return await _body(found, services)


@router.post(
    "/{number}/execute",
    name=Act.REPAIR_CASES,
    response_model=RepairBody,
    summary="Carry a repair out (执行)",
    responses=refusals(401, 403, 404, 409, 422),
)
async def execute(number: Number, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Have a planned, and if need be approved, repair carried out from now on."""
    caller.needs(Act.REPAIR_CASES)
    await _check_is_fresh(number, services)
    found = await services.repairs.execute(number, by=caller.agency, at=_now(services))
    return await _body(found, services)


@router.post(
    "/{number}/pause",
    name=Act.REPAIR_CASES,
    response_model=RepairBody,
    summary="Begin no further case for now (暂停)",
    responses=refusals(401, 403, 404, 409, 422),
)
async def pause(number: Number, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Begin no further case until resumed; those that were begun are brought to their end."""
    caller.needs(Act.REPAIR_CASES)
    found = await services.repairs.pause(number, by=caller.agency, now=services.now())
    return await _body(found, services)


@router.post(
    "/{number}/resume",
    name=Act.REPAIR_CASES,
    response_model=RepairBody,
    summary="Go on after a pause (继续)",
    responses=refusals(401, 403, 404, 409, 422),
)
async def resume(number: Number, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Go on with the next case."""
    caller.needs(Act.REPAIR_CASES)
    found = await services.repairs.resume(number, by=caller.agency, now=services.now())
    return await _body(found, services)


@router.post(
    "/{number}/cancel",
    name=Act.REPAIR_CASES,
    response_model=RepairBody,
    summary="Begin no further case for good (取消)",
    responses=refusals(401, 403, 404, 409, 422),
)
async def cancel(number: Number, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Leave the cases that were not begun as they are."""
    caller.needs(Act.REPAIR_CASES)
    found = await services.repairs.cancel(
        number, at=_now(services), by=caller.agency, now=services.now()
    )
    return await _body(found, services)


# ---------------------------------------------------------------- what is asked for


def _check(body: RepairRequest) -> None:
    """Refuse what does not make one repair.

    Raises:
        InputRefused: names every field that is wrong.
    """
    problems = [*_scope_problems(body), *_field_problems(body)]
    if problems:
        raise InputRefused(*problems)


def _scope_problems(body: RepairRequest) -> list[FieldProblem]:
    scopes = [n for n in ("case_no", "task_id", "cases", "query") if getattr(body, n) is not None]
    problems = []
    if len(scopes) != 1:
        problems.append(
            FieldProblem(
                "(body)",
                "give exactly one of case_no, task_id, cases, query",
                "case_no、task_id、cases、query 须且只能填写一项",
            )
        )
    many = {"cases", "query"} & set(scopes)
    if many and body.kind not in _MANY | {RepairKind.MOVE}:
        problems.append(
            FieldProblem(
                many.pop(),
                f"{body.kind} is for one case at a time",
                f"“{REPAIRS[body.kind].zh}”一次只能用于一个办件",
            )
        )
    numbers = [("case_no", body.case_no)] if body.case_no else []
    numbers += [(f"cases.{i}", no) for i, no in enumerate(body.cases or ())]
    numbers += [("task_id", body.task_id.split(".")[0])] if body.task_id else []
    for field, no in numbers:
        if not (CASE_NO.fullmatch(no) and is_case_no(no)):
            problems.append(
                FieldProblem(field, f"{no} is no case number", f"{no} 不是有效的办件编号")
            )
    if body.cases and len(set(body.cases)) != len(body.cases):
        problems.append(FieldProblem("cases", "a case is given twice", "办件编号重复"))
    return problems


def _field_problems(body: RepairRequest) -> list[FieldProblem]:
    zh = REPAIRS[body.kind].zh
    problems = [
        FieldProblem(field, f"is not for {body.kind}", f"不适用于“{zh}”")
        for field, kinds in _ONLY_FOR.items()
        if getattr(body, field) is not None and body.kind not in kinds
    ]
    is_one = body.case_no is not None
    needed = {
        "event": body.kind is RepairKind.RESET,
        "outcome": body.kind is RepairKind.DECIDE,
        "task_id": body.kind in (RepairKind.DECIDE, RepairKind.PUSH) and is_one,
        "step": body.kind is RepairKind.RETRY and is_one,
    }
    problems += [
        FieldProblem(field, f"is needed for {body.kind}", f"“{zh}”须填写此项")
        for field, is_needed in needed.items()
        if is_needed and getattr(body, field) is None
    ]
    if not is_one and isinstance(body.event, int):
        problems.append(
            FieldProblem(
                "event",
                "of many cases only first_failure: events are counted in each history",
                "多个办件只能填写 first_failure：事件编号因办件而异",
            )
        )
    if body.process is not None and not is_one:
        problems.append(FieldProblem("process", "needs case_no", "须同时填写 case_no"))
    if body.step is not None and not is_one:
        problems.append(FieldProblem("step", "needs case_no", "须同时填写 case_no"))
    return problems


async def _targets(body: RepairRequest, services: Services) -> list[Target]:
    """Return what the repair is applied to, one by one.

    Raises:
        InputRefused: nothing fits, or too much.
    """
    event_id = body.event if isinstance(body.event, int) else None
    if body.task_id is not None:
        return [Target(case_no=body.task_id.split(".")[0], task_id=body.task_id)]
    if body.case_no is not None:
        return [
            Target(
                case_no=body.case_no,
                process=body.process,
                event_id=event_id,
                task_id=body.step,
                version=body.version,
            )
        ]
    numbers = body.cases or await _found(body, services)
    targets = [Target(case_no=no, version=body.version) for no in numbers]
    if body.kind in (RepairKind.RETRY, RepairKind.PUSH):
        failing = await failing_pushes(services.reading.engine, numbers, body.agency)
        targets = [Target(case_no=no, task_id=task_id) for no, task_id in failing]
    if not targets:
        raise InputRefused(
            FieldProblem(
                "query" if body.query else "cases", "no open case fits", "没有符合条件的在办办件"
            )
        )
    return targets


async def _found(body: RepairRequest, services: Services) -> list[str]:
    assert body.query is not None
    wanted = CaseFilter(state="open", **body.query.model_dump())
    numbers: list[str] = []
    cursor = None
    while True:
        page = await services.reading.cases(wanted, limit=200, cursor=cursor)
        numbers += [case.no for case in page.items]
        if len(numbers) > MOST_CASES:
            raise InputRefused(
                FieldProblem(
                    "query",
                    f"more than {MOST_CASES} open cases fit; narrow it",
                    f"符合条件的在办办件超过 {MOST_CASES} 个，请缩小范围",
                )
            )
        if (cursor := page.next_cursor) is None:
            return numbers


def _asked(body: RepairRequest, target: Target) -> Asked:
    return Asked(
        body.kind,
        target,
        outcome=None
        if body.outcome is None
        else body.outcome.model_dump(mode="json", exclude_none=True),
        first_failure=body.event == "first_failure",
    )


async def _check_is_fresh(number: int, services: Services) -> None:
    """Refuse to go on with a repair of one case that has moved on since; of many, items say so.

    Raises:
        UnknownRepair: there is none with this number.
        StalePlan: it has.
    """
    found = await services.repairs.repair(number)
    if found.state is not RepairState.PLANNED or sum(found.counts.values()) != 1:
        return
    for item in (await services.repairs.items(number)).items:
        if item.plan is not None:
            seen = await services.repairing.look(item.case_no)
            if item.plan.is_stale(seen.standing):
                raise StalePlan(item.case_no)


# ---------------------------------------------------------------- what is answered


def _now(services: Services) -> datetime:
    return services.settings.clock.civil(services.now())


def _listed(repair: RepairRecord) -> dict[str, Any]:
    rule = REPAIRS[repair.kind]
    return {
        "number": repair.number,
        "kind": repair.kind.value,
        "title": {"zh": rule.zh, "en": rule.en},
        "reason": repair.reason,
        "planned_by": repair.planned_by,
        "planned_at": civil_text(repair.planned_at),
        "needs_approval": repair.needs_approval,
        "approved_by": repair.approved_by,
        "executed_by": repair.executed_by,
        "ended_at": repair.ended_at and civil_text(repair.ended_at),
        "state": repair.state.value,
        "total": sum(repair.counts.values()),
        "left": repair.left,
        "counts": {state.value: count for state, count in repair.counts.items()},
    }


async def _body(repair: RepairRecord, services: Services) -> dict[str, Any]:
    page = await services.repairs.items(repair.number, limit=SHOWN)
    return {
        **_listed(repair),
        "asked": repair.asked,
        "approved_at": repair.approved_at and civil_text(repair.approved_at),
        "executed_at": repair.executed_at and civil_text(repair.executed_at),
        "per_second": repair.per_second,
        "items": [_item(each) for each in page.items],
    }


def _item(item: ItemRecord) -> dict[str, Any]:
    return {
        "position": item.position,
        "case_no": item.case_no,
        "target": item.target.model_dump(mode="json"),
        "state": item.state.value,
        "plan": item.plan and item.plan.model_dump(mode="json"),
        "problem": item.problem and item.problem.model_dump(mode="json"),
        "report": item.report and item.report.model_dump(mode="json"),
        "is_as_planned": item.report and item.report.is_as_planned,
        "begun_at": item.begun_at and civil_text(item.begun_at),
        "ended_at": item.ended_at and civil_text(item.ended_at),
    }
