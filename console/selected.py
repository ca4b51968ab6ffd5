"""Many tasks at once: chosen in the inbox, looked at once more, then each done by itself.

What is refused for one task stops no other; the report says line by line what became of each.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from activities.contract import task_body
from activities.owe import check_task_outcome
from api import bulk
from api.bulk import ManyOutcomes, ManyReports, OneOutcome, OneReport
from api.services import Services, Serving
from console import attaching
from console.answers import ALL, alike, outcome_of
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from console.tasks import (
    CHOOSE_A_COLLEAGUE,
    claim_to_decide,
    colleagues,
    holding_of,
    inbox,
    lit_body,
    named,
)
from console.words import CODES
from domain.access import Act
from domain.connection import Code, TaskKind
from domain.errors import FieldProblem, IllegalTaskEvent, InputRefused, OneWindowError
from domain.outcomes import Outcome
from domain.task_events import TaskEventKind
from domain.words import Words
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.records import TaskRecord

router = APIRouter()

MOST = 100
"""As many as the API takes at a time."""
OUTCOME = "outcome"
WORDS: Mapping[str, Words] = {
    OUTCOME: Words("批量办理", "Decide alike"),
    TaskEventKind.CLAIMED: Words("批量认领", "Claim"),
    TaskEventKind.HANDED_BACK: Words("批量退回", "Hand back"),
    TaskEventKind.REASSIGNED: Words("批量转办", "Hand on"),
}
"""What can be done with the tasks that were chosen."""
NOT_ALIKE = frozenset({Code.DESIGNED, Code.NOT_COMPETENT})
"""Needs a route, or a department, of each task's own."""
_REFUSED = "refused"


@router.post("/tasks/selected", name=Act.HOLD_TASK)
async def look(request: Request, visitor: Guarded, services: Serving) -> Response:
    """List what would be done, task by task; nothing is done yet."""
    form = await request.form()
    try:
        doing, tasks = _doing(form), await _chosen(form, visitor, services)
        if doing == OUTCOME:
            _check_alike(tasks)
    except InputRefused as refused:
        return await inbox(request, visitor, services, refused.problems)
    return await _confirmation(request, visitor, services, doing, tasks)


@router.post("/tasks/selected/holder", name=Act.HOLD_TASK)
async def hold_selected(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Claim, hand on or hand back every task that was chosen."""
    form = await request.form()
    try:
        doing, tasks = str(form.get("type", "")), await _chosen(form, visitor, services)
        others = [each.id for each in await colleagues(request, visitor)]
        if doing == TaskEventKind.REASSIGNED and not form.get("colleague"):
            raise InputRefused(CHOOSE_A_COLLEAGUE)
        said = holding_of(form, visitor.signed_in.id, others)
    except InputRefused as refused:
        return await _again(request, visitor, services, form, refused.problems)
    reports = [
        OneReport(task_id=task.id, report=_of(task, said.model_dump(mode="json"))) for task in tasks
    ]
    done = await bulk.post_reports(
        ManyReports(reports=reports), _key(form), request, visitor.caller, services
    )
    return _report(request, visitor, services, doing, tasks, done["reports"], form)


def _of(task: TaskRecord, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is reported of a task: one that nobody holds is claimed, not handed on."""
    if said["type"] == TaskEventKind.REASSIGNED and task.held_by is None:
        return {**said, "type": TaskEventKind.CLAIMED.value}
    return said


@router.post("/tasks/selected/outcome", name=Act.DECIDE_TASK)
async def decide_selected(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Put the same outcome on file for every task that was chosen; each is claimed first."""
    sent = await request.form()
    form = sent
    try:
        tasks = await _chosen(sent, visitor, services)
        _check_alike(tasks)
        open_ones = [task.id for task in tasks if task.state == "open"]
        form, problems = await attaching.attached(sent, open_ones, visitor, services)
        outcomes = {task.id: _outcome(form, task) for task in tasks} if not problems else {}
        problems = problems or await _in_all(tasks, outcomes, services)
        if problems:
            raise InputRefused(*problems)
    except InputRefused as refused:
        return await _again(request, visitor, services, form, refused.problems)
    done: dict[str, Mapping[str, Any]] = {}
    for task in tasks:
        try:
            await claim_to_decide(task, outcomes[task.id], _key(form), visitor, services)
        except OneWindowError as refused_one:
            done[task.id] = _problem_of(task, refused_one)
    left = [task for task in tasks if task.id not in done]
    if left:
        body = ManyOutcomes(
            outcomes=[
                OneOutcome(
                    task_id=task.id,
                    outcome=outcomes[task.id].model_dump(mode="json", exclude_none=True),
                )
                for task in left
            ]
        )
        answers = await bulk.post_outcomes(body, request, visitor.caller, services)
        done |= {each["task_id"]: each for each in answers["outcomes"]}
    return _report(
        request, visitor, services, OUTCOME, tasks, [done[task.id] for task in tasks], form
    )


def _outcome(form: FormData, task: TaskRecord) -> Outcome:
    """Read the outcome of one task from the form of all.

    Raises:
        InputRefused: it is none; of the items, the fields that stand for all of them are named.
    """
    items = [item["item"] for item in task.asked["items"]]
    try:
        return outcome_of(alike(form, len(items)), items)
    except InputRefused as refused:
        raise InputRefused(*_for_all(refused.problems)) from None


async def _in_all(
    tasks: Sequence[TaskRecord], outcomes: Mapping[str, Outcome], services: Services
) -> list[FieldProblem]:
    """Return what is wrong with the form where no task could have such an outcome."""
    found: list[FieldProblem] = []
    for task in tasks:
        if task.state != "open":
            continue
        on = civil_date(task.clock.civil(services.now()))
        named = await services.documents.on_file(task.id, outcomes[task.id].documents)
        try:
            check_task_outcome(task, outcomes[task.id], on, named)
        except InputRefused as refused:
            found = found or _for_all(refused.problems)
        else:
            return []
    return found


def _for_all(problems: Sequence[FieldProblem]) -> list[FieldProblem]:
    found: dict[str, FieldProblem] = {}
    for each in problems:
        parts = each.field.split(".")
        field = ".".join(ALL if part.isdigit() else part for part in parts[:2]) + "".join(
            f".{part}" for part in parts[2:]
        )
        found.setdefault(field, FieldProblem(field, each.en, each.zh))
    return list(found.values())


# ---------------------------------------------------------------- what was chosen


def _doing(form: FormData) -> str:
    doing = str(form.get("do", ""))
    if doing not in WORDS:
        raise InputRefused(FieldProblem("task", "say what to do with them", "请选择要办理的操作"))
    return doing


async def _chosen(form: FormData, visitor: Visitor, services: Services) -> list[TaskRecord]:
    """Return the tasks that were chosen, those of one's own agency only (RB-13.1).

    Raises:
        InputRefused: none was, or too many.
    """
    task_ids = list(dict.fromkeys(str(each) for each in form.getlist("task")))
    if not task_ids:
        raise InputRefused(
            FieldProblem("task", "choose at least one in the list", "请先在列表中选择任务")
        )
    if len(task_ids) > MOST:
        zh = f"一次最多 {MOST} 项"
        raise InputRefused(FieldProblem("task", f"{MOST} at a time at most", zh))
    found = await services.reading.tasks_by_id(task_ids)
    own = {task.id: task for task in found if visitor.may_for(Act.HOLD_TASK, task.owed_by)}
    if any(task_id not in own for task_id in task_ids):
        raise InputRefused(
            FieldProblem("task", "some are not your agency's", "所选任务中有非本单位的任务")
        )
    return [own[task_id] for task_id in task_ids]


def _check_alike(tasks: Sequence[TaskRecord]) -> None:
    """Refuse to decide alike what is not.

    Raises:
        InputRefused: the tasks are of several kinds, or of one that is decided one by one.
    """
    if len({task.kind for task in tasks}) > 1:
        raise InputRefused(
            FieldProblem(
                "task",
                "only tasks of one kind can be decided alike; filter by the task first",
                "只能对同一种任务批量办理，请先按任务筛选",
            )
        )
    if tasks[0].kind is TaskKind.LINE_DESIGN:
        raise InputRefused(
            FieldProblem(
                "task", "every route is designed by itself", "线路设计须逐件填写，不能批量办理"
            )
        )


def _key(form: FormData) -> str:
    return str(form.get("key", ""))[:180] or secrets.token_urlsafe(16)


def _back(form: FormData) -> str:
    """Return where in the inbox one came from; only ever a place there."""
    back = str(form.get("back", ""))
    return back if back.startswith(f"{PATH}/tasks?") else f"{PATH}/tasks"


# ---------------------------------------------------------------- pages


async def _again(
    request: Request,
    visitor: Visitor,
    services: Services,
    form: FormData,
    problems: Sequence[FieldProblem],
) -> Response:
    """Show the confirmation with what is wrong; without tasks, the inbox."""
    doing = str(form.get("type", "")) or OUTCOME
    try:
        tasks = await _chosen(form, visitor, services)
        if doing == OUTCOME:
            _check_alike(tasks)
    except InputRefused as refused:
        return await inbox(request, visitor, services, refused.problems)
    if doing not in WORDS:
        return await inbox(request, visitor, services, problems)
    return await _confirmation(request, visitor, services, doing, tasks, form, problems)


async def _confirmation(
    request: Request,
    visitor: Visitor,
    services: Services,
    doing: str,
    tasks: Sequence[TaskRecord],
    form: FormData | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    sent = form if form is not None else await request.form()
    me = visitor.signed_in.id
    lines = [{**_line(task, services), "will": _will(doing, task, me)} for task in tasks]
    possible = [_turns(task) for task in tasks]
    civil_now = services.settings.clock.civil(services.now())
    days = (await services.calendars.current()).calendar
    for line in lines:
        line["light"] = lit_body(line["task"], civil_now, days, services.policy)
    return page(
        request,
        visitor,
        "selected.html",
        status=422 if problems else 200,
        back=f"{PATH}/tasks",
        doing=doing,
        words=WORDS[doing],
        lines=lines,
        ready=sum(line["will"][0] != _REFUSED for line in lines),
        codes=[c for c in CODES if all(c in each for each in possible) and c not in NOT_ALIKE],
        has_items=any(task.asked["items"] for task in tasks),
        asks_area=any(line["task"]["asks_area"] for line in lines),
        colleagues=named(await colleagues(request, visitor)),
        document_limit=services.settings.document_limit_bytes,
        size_words=attaching.size_words,
        form=sent,
        to_inbox=_back(sent),
        problems=Problems(problems),
        key=secrets.token_urlsafe(16),
    )


def _report(
    request: Request,
    visitor: Visitor,
    services: Services,
    doing: str,
    tasks: Sequence[TaskRecord],
    answers: Sequence[Mapping[str, Any]],
    form: FormData,
) -> Response:
    lines = [
        {**_line(task, services), "answer": answer}
        for task, answer in zip(tasks, answers, strict=True)
    ]
    return page(
        request,
        visitor,
        "selected_done.html",
        back=f"{PATH}/tasks",
        doing=doing,
        words=WORDS[doing],
        code=str(form.get("code", "")),
        lines=lines,
        done=sum(line["answer"]["problem"] is None for line in lines),
        to_inbox=_back(form),
    )


def _line(task: TaskRecord, services: Services) -> dict[str, Any]:
    return {
        "task": task_body(task, policy_for(task.policy)),
        "district": services.policy.districts.get(task.facts.district),
    }


def _turns(task: TaskRecord) -> Sequence[str]:
    outcomes: Sequence[str] = task_body(task, policy_for(task.policy))["outcomes"]
    return outcomes


def _will(doing: str, task: TaskRecord, me: str) -> tuple[str, Words]:
    """Say what will become of a task: whether it will be refused, and the words."""
    holder = task.held_by
    if task.state != "open":
        return _REFUSED, Words("不办理：已办结", "Nothing: it is closed")
    match doing:
        case TaskEventKind.CLAIMED if holder not in (None, me):
            return _REFUSED, Words(f"不办理：已由 {holder} 认领", f"Nothing: {holder} holds it")
        case TaskEventKind.CLAIMED:
            return "", Words("认领到我名下", "You will hold it")
        case TaskEventKind.HANDED_BACK if holder is None:
            return _REFUSED, Words("不办理：尚无人认领", "Nothing: nobody holds it")
        case TaskEventKind.HANDED_BACK:
            return "", Words(f"由 {holder} 退回，待认领", f"{holder} will hold it no more")
        case TaskEventKind.REASSIGNED:
            was = holder or "–"
            return "", Words(f"由 {was} 转给所选同事", f"From {was} to the colleague you choose")
        case _ if holder not in (None, me):
            return _REFUSED, Words(f"不办理：由 {holder} 承办", f"Nothing: {holder} holds it")
        case _ if holder is None:
            return "", Words("认领并办结", "You will claim it and decide it")
        case _:
            return "", Words("办结", "You will decide it")


def _problem_of(task: TaskRecord, refused: OneWindowError) -> Mapping[str, Any]:
    """Return the answer for a task that could not be claimed, as the API spells one."""
    match refused:
        case InputRefused():
            zh = "；".join(each.zh for each in refused.problems)
            en = "; ".join(each.en for each in refused.problems)
        case IllegalTaskEvent():
            zh, en = refused.zh, refused.en
        case _:
            zh = en = str(refused)
    problem = {"detail": en, "detail_zh": zh}
    return {"task_id": task.id, "status": 422, "task": None, "problem": problem}
