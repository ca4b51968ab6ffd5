"""The inbox of a department, the utility or the desk: what is owed, due first, and deciding it.

Every change goes through the functions behind the API: the same checks, the same record.
"""

from __future__ import annotations

import secrets
from datetime import date

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from activities.owe import check_task_outcome
from api import documents, reporting, tasks
from api.reporting import Report
from api.services import Services, Serving
from api.tasks import answered
from console.answers import ReportForm, outcome_of, report_of
from console.guard import PATH, Guarded, Visitor
from console.lights import lit, red_before, yellow_before
from console.rendering import Problems, page
from console.words import CODES
from domain.access import Act, Whose, whose
from domain.connection import TaskKind
from domain.errors import FieldProblem, IllegalTaskEvent, InputRefused, OutcomeConflict, TaskClosed
from domain.route import Route
from domain.route_words import fact_words
from domain.task_events import HOLDING, NOBODY, TaskEventKind, open_pauses
from domain.words import Words
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.records import TaskRecord

router = APIRouter()

ON_A_PAGE = 30
_FILTERS = ("kind", "held", "due", "owed_by", "cursor")


# ---------------------------------------------------------------- the inbox


@router.get("/tasks", name=Act.SEE_TASKS)
async def inbox(request: Request, visitor: Guarded, services: Serving) -> Response:
    """List open tasks, due first; an agency's own, or for those who see all, of any agency."""
    wanted = {name: request.query_params.get(name, "").strip()[:400] for name in _FILTERS}
    policy, account = services.policy, visitor.signed_in
    sees_all = whose(account.role, Act.SEE_TASKS) is Whose.ALL
    owers = {i: each for i, each in policy.agencies.items() if each.role != "supervisor"}
    if wanted["owed_by"] not in owers:
        # A desk begins with its own, a supervisor with everybody's.
        wanted["owed_by"] = account.agency if account.agency in owers else ""
    civil_now = services.settings.clock.civil(services.now())
    days = (await services.calendars.current()).calendar
    before: dict[str, date] = {
        "red": red_before(civil_now, policy),
        "yellow": yellow_before(civil_now, days, policy),
    }
    found = await tasks.list_tasks(
        visitor.caller,
        services,
        owed_by=(wanted["owed_by"] or None) if sees_all else None,
        state="open",
        kind=TaskKind(wanted["kind"]) if wanted["kind"] in set(TaskKind) else None,
        held_by={"mine": account.id, "nobody": NOBODY}.get(wanted["held"]),
        due_before=before.get(wanted["due"]),
        order="due",
        limit=ON_A_PAGE,
        cursor=wanted["cursor"] or None,
    )
    rows = [
        {
            "task": task,
            "owner": policy.agencies.get(task["owed_by"]),
            "district": policy.districts.get(task["facts"]["district"]),
            "light": lit(
                task["due_on"] and date.fromisoformat(task["due_on"]),
                civil_now,
                days,
                policy,
                is_provisional=task["is_provisional"],
                is_suspended=task["is_suspended"],
            ),
            "may_hold": visitor.may_for(Act.HOLD_TASK, task["owed_by"]),
        }
        for task in found["items"]
    ]
    return page(
        request,
        visitor,
        "inbox.html",
        rows=rows,
        wanted=wanted,
        sees_all=sees_all,
        owers=owers,
        kinds={
            kind: rule
            for kind, rule in policy.tasks.items()
            if sees_all or _owes(account.agency, str(account.role), rule.owner)
        },
        next_cursor=found["next_cursor"],
        key=secrets.token_urlsafe(16),
    )


def _owes(agency: str | None, role: str, owner: str) -> bool:
    return owner in (agency, role)


# ---------------------------------------------------------------- one task


@router.get("/tasks/{task_id}", name=Act.SEE_TASKS)
async def show_task(
    request: Request, task_id: str, visitor: Guarded, services: Serving
) -> Response:
    """Show a task, with the forms to decide it for those who may."""
    return await _task(request, task_id, visitor, services)


@router.get("/tasks/{task_id}/documents/{sha256}", name=Act.SEE_TASKS)
async def give_document(task_id: str, sha256: str, visitor: Guarded, services: Serving) -> Response:
    """Give a document back, to be saved."""
    return await documents.get_document(task_id, sha256, visitor.caller, services)


@router.post("/tasks/{task_id}/holder", name=Act.HOLD_TASK)
async def hold(request: Request, task_id: str, visitor: Guarded, services: Serving) -> Response:
    """Claim a task, take it over from a colleague, or hand it back."""
    form = await request.form()
    said = str(form.get("type", ""))
    if said not in HOLDING:
        raise InputRefused(FieldProblem("type", "says nothing of a holder", "不是承办人员的变更"))
    kind = TaskEventKind(said)
    holder = None if kind is TaskEventKind.HANDED_BACK else visitor.signed_in.id
    body = Report(type=kind, holder=holder)
    try:
        await reporting.report(task_id, body, _key(form), visitor.caller, services)
    except IllegalTaskEvent as refused:
        return await _task(
            request, task_id, visitor, services, problems=_as_problems("holder", refused)
        )
    return RedirectResponse(f"{PATH}/tasks/{task_id}", status_code=303)


@router.post("/tasks/{task_id}/outcome", name=Act.DECIDE_TASK)
async def decide(request: Request, task_id: str, visitor: Guarded, services: Serving) -> Response:
    """Put an outcome on file; whoever decides holds the task, so the record says who it was."""
    form = await request.form()
    task = await services.reading.task(task_id)
    account = visitor.signed_in
    try:
        outcome = outcome_of(form, [item["item"] for item in task.asked["items"]])
        if task.state == "open" and task.held_by is None:
            # Looked at first, so that a slip claims nothing.
            check_task_outcome(task, outcome, civil_date(task.clock.civil(services.now())))
            body = Report(type=TaskEventKind.CLAIMED, holder=account.id)
            await reporting.report(task_id, body, _key(form), visitor.caller, services)
        elif task.state == "open" and task.held_by != account.id:
            raise InputRefused(
                FieldProblem(
                    "holder",
                    f"{task.held_by} holds the task; take it over first",
                    f"此任务由 {task.held_by} 承办，请先转到自己名下",
                )
            )
        _, status = await answered(task_id, outcome, visitor.caller, services)
    except InputRefused as refused:
        problems = list(refused.problems)
    except (IllegalTaskEvent, TaskClosed, OutcomeConflict) as refused:
        problems = _as_problems("code", refused)
    else:
        later = "later" if status == 202 else "done"
        return RedirectResponse(f"{PATH}/tasks/{task_id}?decided={later}", status_code=303)
    return await _task(request, task_id, visitor, services, form=form, problems=problems)


@router.post("/tasks/{task_id}/reports", name=Act.SUSPEND_TASK)
async def report(request: Request, task_id: str, visitor: Guarded, services: Serving) -> Response:
    """Ask for a correction, open a special procedure, or close one: on a written ground."""
    form = await request.form()
    try:
        body = report_of(form)
        await reporting.report(task_id, body, _key(form), visitor.caller, services)
    except InputRefused as refused:
        problems = list(refused.problems)
    except (IllegalTaskEvent, TaskClosed) as refused:
        problems = _as_problems("ground", refused)
    else:
        return RedirectResponse(f"{PATH}/tasks/{task_id}", status_code=303)
    return await _task(request, task_id, visitor, services, reported=form, problems=problems)


def _key(form: FormData) -> str:
    """Return the key that the page gave this form: sent twice, it is one report."""
    return str(form.get("key", ""))[:200] or secrets.token_urlsafe(16)


def _as_problems(field: str, refused: Exception) -> list[FieldProblem]:
    match refused:
        case IllegalTaskEvent():
            return [FieldProblem(field, refused.en, refused.zh)]
        case TaskClosed():
            zh = f"任务已于 {refused.closed_at} 关闭"
            return [FieldProblem(field, str(refused), zh)]
        case _:
            zh = "此任务已有不同的办理结果，原结果不变"
            return [FieldProblem(field, str(refused), zh)]


async def _task(
    request: Request,
    task_id: str,
    visitor: Visitor,
    services: Services,
    *,
    form: FormData | None = None,
    reported: FormData | None = None,
    problems: list[FieldProblem] | None = None,
) -> Response:
    task = await tasks.get_task(task_id, visitor.caller, services)
    record = await services.reading.task(task_id)
    policy = policy_for(record.policy)
    civil_now = record.clock.civil(services.now())
    days = (await services.calendars.current()).calendar
    owed_by = record.owed_by
    is_open = record.state == "open"
    return page(
        request,
        visitor,
        "task.html",
        status=422 if problems else 200,
        back=f"{PATH}/tasks/{task_id}",
        task=task,
        owner=policy.agencies[owed_by],
        district=policy.districts.get(record.facts.district),
        light=lit(
            record.due_on,
            civil_now,
            days,
            policy,
            is_provisional=record.is_provisional,
            is_suspended=record.is_suspended,
        ),
        codes=[code for code in CODES if code in task["outcomes"]],
        papers=record.asked.get("papers", ()),
        segments=_segments(record),
        may_hold=is_open and visitor.may_for(Act.HOLD_TASK, owed_by),
        may_decide=is_open and visitor.may_for(Act.DECIDE_TASK, owed_by),
        may_suspend=is_open
        and record.kind is TaskKind.PERMITS
        and visitor.may_for(Act.SUSPEND_TASK, owed_by),
        pauses=open_pauses(record.history),
        procedures={i: p for i, p in policy.procedures.items() if p.pause == "special"},
        others={
            i: policy.agencies[i]
            for i in policy.departments
            if i not in {owed_by, *record.asked.get("passed_by", ())}
        },
        asks_route=record.kind in (TaskKind.LINE_DESIGN, TaskKind.SURVEY),
        form=form or FormData(),
        reported=ReportForm.of(reported),
        problems=Problems(problems or ()),
        decided=request.query_params.get("decided", ""),
        today=civil_now.date(),
        key=secrets.token_urlsafe(16),
    )


def _segments(record: TaskRecord) -> list[list[Words]]:
    """Put the facts of each segment of the route in words; those that say nothing are left out."""
    if record.facts.route is None:
        return []
    return [
        [fact_words(fact, value) for fact, value in segment if value]
        for segment in Route.model_validate(record.facts.route).segments
    ]
