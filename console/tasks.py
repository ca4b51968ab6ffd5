"""The inbox of a department, the utility or the desk: what is owed, due first, and deciding it.

Every change goes through the functions behind the API: the same checks, the same record.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from activities.owe import check_task_outcome
from api import documents, opinions, reporting, tasks
from api.reporting import Report
from api.services import Services, Serving
from api.tasks import answered
from console import attaching, route_editor
from console.answers import ReportForm, outcome_of, report_of
from console.guard import PATH, Guarded, Visitor
from console.language import said
from console.lights import lit, red_before, yellow_before
from console.live import Live
from console.rendering import page
from console.route_editor import RouteForm, RouteProblems
from console.words import CODES
from domain.access import Act, Whose, whose
from domain.clocks import Basis
from domain.connection import TaskKind
from domain.errors import FieldProblem, IllegalTaskEvent, InputRefused, OutcomeConflict, TaskClosed
from domain.naming import is_case_no
from domain.outcomes import Outcome
from domain.policy import Policy, Procedure
from domain.route import Route
from domain.route_words import fact_words
from domain.task_events import HOLDING, NOBODY, TaskEvent, TaskEventKind, open_pauses
from domain.words import Words
from domain.working_time import Calendar, WorkingDays, civil_date, deadline
from policy.loader import policy_for
from storage.accounts import Account, Accounts
from storage.records import TaskRecord
from storage.watching import EVERYTHING, Topic

router = APIRouter()

ON_A_PAGE = 30
CHOOSE_A_COLLEAGUE = FieldProblem("colleague", "choose a colleague", "请选择本单位的承办人员")
_FILTERS = ("kind", "district", "held", "due", "owed_by", "case", "cursor", "before")


# ---------------------------------------------------------------- the inbox


@router.get("/tasks", name=Act.SEE_TASKS)
async def show_inbox(request: Request, visitor: Guarded, services: Serving) -> Response:
    """List open tasks, due first; an agency's own, or for those who see all, of any agency."""
    return await inbox(request, visitor, services)


async def inbox(
    request: Request, visitor: Visitor, services: Services, problems: Sequence[FieldProblem] = ()
) -> Response:
    """Show the list that the address asks for."""
    wanted = {name: request.query_params.get(name, "").strip()[:400] for name in _FILTERS}
    policy, account = services.policy, visitor.signed_in
    sees_all = whose(account.role, Act.SEE_TASKS) is Whose.ALL
    owers = {i: each for i, each in policy.agencies.items() if each.role != "supervisor"}
    if wanted["owed_by"] not in owers:
        # A desk begins with its own, a supervisor with everybody's.
        wanted["owed_by"] = account.agency if account.agency in owers else ""
    if wanted["district"] not in policy.districts:
        wanted["district"] = ""
    owed_by = (wanted["owed_by"] or None) if sees_all else account.agency
    kind = TaskKind(wanted["kind"]) if wanted["kind"] in set(TaskKind) else None
    district = wanted["district"] or None
    civil_now = services.settings.clock.civil(services.now())
    days = (await services.calendars.current()).calendar
    # Before the list is read: what changes meanwhile is told of.
    live: Live = request.app.state.live
    topic = Topic(owed_by=owed_by) if owed_by else EVERYTHING
    mark = await live.mark(topic)
    if wanted["case"] and not is_case_no(wanted["case"]):
        zh, en = "不是办件编号，例如 ZJ20260000011", "is not a number, e.g. ZJ20260000011"
        problems = (*problems, FieldProblem("case", en, zh))
        wanted["case"] = ""
    found = await tasks.list_tasks(
        visitor.caller,
        services,
        owed_by=owed_by,
        state="open",
        kind=kind,
        district=district,
        case_no=wanted["case"] or None,
        held_by={"mine": account.id, "nobody": NOBODY}.get(wanted["held"]),
        **_due(wanted["due"], civil_now, days, policy),
        order="due",
        limit=ON_A_PAGE,
        cursor=wanted["cursor"] or None,
        before=(wanted["before"] or None) if not wanted["cursor"] else None,
    )
    counts = await tasks.count_tasks(
        visitor.caller, services, owed_by=owed_by, kind=kind, district=district, holder=account.id
    )
    rows = [
        {
            "task": task,
            "owner": policy.agencies.get(task["owed_by"]),
            "district": policy.districts.get(task["facts"]["district"]),
            "light": lit_body(task, civil_now, days, policy),
            "may_hold": visitor.may_for(Act.HOLD_TASK, task["owed_by"]),
        }
        for task in found["items"]
    ]
    return page(
        request,
        visitor,
        "inbox.html",
        status=422 if problems else 200,
        rows=rows,
        wanted=wanted,
        sees_all=sees_all,
        owers=owers,
        kinds={
            kind: rule
            for kind, rule in policy.tasks.items()
            if sees_all or _owes(account.agency, str(account.role), rule.owner)
        },
        districts=policy.districts,
        counts=counts,
        next_cursor=found["next_cursor"],
        previous_cursor=found["previous_cursor"],
        may_select=any(row["may_hold"] for row in rows),
        problems=RouteProblems(problems),
        mark=mark,
        key=secrets.token_urlsafe(16),
    )


def _due(wanted: str, civil_now: datetime, days: Calendar, policy: Policy) -> Mapping[str, date]:
    """Return the dates between which what a filter names is due."""
    red, tomorrow = red_before(civil_now, policy), civil_date(civil_now) + timedelta(days=1)
    match wanted:
        case "red":
            return {"due_before": red}
        case "today":
            # After closing time what was due today is overdue.
            return {"due_from": red, "due_before": tomorrow}
        case "yellow":
            return {"due_before": yellow_before(civil_now, days, policy)}
        case _:
            return {}


def lit_body(
    task: Mapping[str, Any], civil_now: datetime, days: Calendar, policy: Policy
) -> object:
    """Return the light of a task as the API shows it."""
    return lit(
        task["due_on"] and date.fromisoformat(task["due_on"]),
        civil_now,
        days,
        policy,
        is_provisional=task["is_provisional"],
        is_suspended=task["is_suspended"],
    )


def _owes(agency: str | None, role: str, owner: str) -> bool:
    return owner in (agency, role)


async def colleagues(request: Request, visitor: Visitor) -> list[Account]:
    """Return who else of the same agency may hold its tasks, by name."""
    accounts: Accounts = request.app.state.accounts
    me = visitor.signed_in
    if me.agency is None:
        return []
    others = [each for each in await accounts.every() if each.agency == me.agency]
    return sorted((e for e in others if e.is_active and e.id != me.id), key=lambda e: e.id)


def named(accounts: Sequence[Account]) -> list[tuple[str, str]]:
    """Return accounts to choose from: id, and how it is shown."""
    return [(each.id, f"{each.display_name} ({each.id})") for each in accounts]


# ---------------------------------------------------------------- one task


@router.get("/tasks/{task_id}", name=Act.SEE_TASKS)
async def show_task(
    request: Request, task_id: str, visitor: Guarded, services: Serving
) -> Response:
    """Show a task, with the forms to decide it for those who may."""
    return await task_page(request, task_id, visitor, services)


@router.get("/tasks/{task_id}/documents/{sha256}", name=Act.SEE_TASKS)
async def give_document(task_id: str, sha256: str, visitor: Guarded, services: Serving) -> Response:
    """Give a document back, to be saved."""
    return await documents.get_document(task_id, sha256, visitor.caller, services)


@router.post("/tasks/{task_id}/holder", name=Act.HOLD_TASK)
async def hold(request: Request, task_id: str, visitor: Guarded, services: Serving) -> Response:
    """Claim a task, take it over, hand it on to a colleague, or hand it back."""
    form = await request.form()
    others = [each.id for each in await colleagues(request, visitor)]
    try:
        body = holding_of(form, visitor.signed_in.id, others)
        await reporting.report(task_id, body, _key(form), visitor.caller, services)
    except InputRefused as refused:
        problems = list(refused.problems)
    except (IllegalTaskEvent, TaskClosed) as refused:
        problems = _as_problems("holder", refused)
    else:
        return RedirectResponse(f"{PATH}/tasks/{task_id}", status_code=303)
    return await task_page(request, task_id, visitor, services, problems=problems)


def holding_of(form: FormData, me: str, others: Sequence[str]) -> Report:
    """Read who is to hold a task.

    Args:
        others: who else may.

    Raises:
        InputRefused: nobody who may, or it is another kind of report.
    """
    said, holder = str(form.get("type", "")), str(form.get("colleague", "")) or me
    if said not in HOLDING:
        raise InputRefused(FieldProblem("type", "says nothing of a holder", "不是承办人员的变更"))
    if holder not in (me, *others):
        raise InputRefused(CHOOSE_A_COLLEAGUE)
    kind = TaskEventKind(said)
    ground = str(form.get("ground", "")).strip().replace("\r\n", "\n") or None
    if kind is TaskEventKind.HANDED_BACK:
        return Report(type=kind, ground=ground)
    return Report(type=kind, holder=holder, ground=ground)


@router.post("/tasks/{task_id}/outcome", name=Act.DECIDE_TASK)
async def decide(request: Request, task_id: str, visitor: Guarded, services: Serving) -> Response:
    """Put an outcome on file; whoever decides holds the task, so the record says who it was."""
    sent = await request.form()
    task = await services.reading.task(task_id)
    form, problems = sent, list[FieldProblem]()
    try:
        if task.state == "open":
            form, problems = await attaching.attached(sent, [task_id], visitor, services)
        outcome = outcome_of(form, [item["item"] for item in task.asked["items"]])
        if problems:
            raise InputRefused(*problems)
        await claim_to_decide(task, outcome, _key(form), visitor, services)
        _, status = await answered(task_id, outcome, visitor.caller, services)
    except InputRefused as refused:
        problems += [each for each in refused.problems if each not in problems]
    except (IllegalTaskEvent, TaskClosed, OutcomeConflict) as refused:
        problems = _as_problems("code", refused)
    else:
        later = "later" if status == 202 else "done"
        return RedirectResponse(f"{PATH}/tasks/{task_id}?decided={later}", status_code=303)
    return await task_page(request, task_id, visitor, services, form=form, problems=problems)


async def claim_to_decide(
    task: TaskRecord, outcome: Outcome, key: str, visitor: Visitor, services: Services
) -> None:
    """Have whoever is about to decide an open task hold it.

    Raises:
        InputRefused: somebody else holds it, or the outcome is not one: nothing is claimed then.
        IllegalTaskEvent: somebody has just claimed it.
    """
    account = visitor.signed_in
    if task.state != "open" or task.held_by == account.id:
        return
    if task.held_by is not None:
        raise InputRefused(
            FieldProblem(
                "holder",
                f"{task.held_by} holds the task; take it over first",
                f"此任务由 {task.held_by} 承办，请先转到自己名下",
            )
        )
    named = await services.documents.on_file(task.id, outcome.documents)
    check_task_outcome(task, outcome, civil_date(task.clock.civil(services.now())), named)
    body = Report(type=TaskEventKind.CLAIMED, holder=account.id)
    await reporting.report(task.id, body, key, visitor.caller, services)


@router.post("/tasks/{task_id}/route", name=Act.DECIDE_TASK)
async def edit_route(
    request: Request, task_id: str, visitor: Guarded, services: Serving
) -> Response:
    """Add, copy or remove a segment, or look at what the route would need; nothing is filed."""
    sent = await request.form()
    form, problems = await attaching.attached(sent, [task_id], visitor, services)
    typed = RouteForm.of(form).after(str(form.get(route_editor.ACTION, "")))
    return await task_page(
        request, task_id, visitor, services, form=form, problems=problems, typed=typed
    )


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
    return await task_page(request, task_id, visitor, services, reported=form, problems=problems)


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


async def task_page(
    request: Request,
    task_id: str,
    visitor: Visitor,
    services: Services,
    *,
    form: FormData | None = None,
    reported: FormData | None = None,
    asked: FormData | None = None,
    link: str | None = None,
    typed: RouteForm | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    """Show a task.

    Args:
        form, reported, asked: what was typed to decide it, to stop its clock, to ask a unit.
        link: what a unit was asked under, to be shown this once.
        typed: the route as it was typed.
    """
    task = await tasks.get_task(task_id, visitor.caller, services)
    record = await services.reading.task(task_id)
    policy = policy_for(record.policy)
    civil_now = record.clock.civil(services.now())
    days = (await services.calendars.current()).calendar
    owed_by = record.owed_by
    is_open = record.state == "open"
    may_decide = is_open and visitor.may_for(Act.DECIDE_TASK, owed_by)
    asks_route = may_decide and record.kind in (TaskKind.LINE_DESIGN, TaskKind.SURVEY)
    on_file = await documents.list_documents(task_id, visitor.caller, services)
    if typed is None:
        began = RouteForm.empty(1 if record.kind is TaskKind.LINE_DESIGN else 0)
        typed = RouteForm.of(form) if form is not None and "route.count" in form else began
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
        colleagues=named(await colleagues(request, visitor)) if is_open else [],
        may_decide=may_decide,
        may_suspend=is_open
        and record.kind is TaskKind.PERMITS
        and visitor.may_for(Act.SUSPEND_TASK, owed_by),
        pauses=open_pauses(record.history),
        forecast=_forecast(record, policy, civil_now, days),
        procedures=policy.procedures,
        correction=policy.correction,
        special=[
            (i, said(procedure_words(each), visitor.language))
            for i, each in policy.procedures.items()
            if each.pause == "special"
        ],
        others={
            i: policy.agencies[i]
            for i in policy.departments
            if i not in {owed_by, *record.asked.get("passed_by", ())}
        },
        documents=on_file,
        choices=attaching.choices(on_file),
        size_words=attaching.size_words,
        document_limit=services.settings.document_limit_bytes,
        asks_route=asks_route,
        typed=typed,
        task_policy=record.policy,
        editor=route_editor,
        totals=route_editor.totals(typed),
        ahead=await route_editor.ahead(typed, record.facts.voltage, visitor, services)
        if asks_route
        else None,
        form=form or FormData(),
        reported=ReportForm.of(reported),
        may_ask=is_open and visitor.may_for(Act.ASK_OPINION, owed_by),
        opinions=await opinions.list_opinions(task_id, visitor.caller, services),
        asked=asked or FormData(),
        link=link,
        problems=RouteProblems(problems),
        decided=request.query_params.get("decided", ""),
        following=await _following(record, visitor, services),
        today=civil_now.date(),
        key=secrets.token_urlsafe(16),
    )


async def _following(
    record: TaskRecord, visitor: Visitor, services: Services
) -> Mapping[str, Any] | None:
    """Return the task to go on with: one's own that is due first, or one to be claimed."""
    account = visitor.signed_in
    if account.agency is None or not visitor.may_for(Act.DECIDE_TASK, account.agency):
        return None
    for held_by in (account.id, NOBODY):
        found = await tasks.list_tasks(
            visitor.caller,
            services,
            owed_by=account.agency,
            state="open",
            held_by=held_by,
            order="due",
            limit=2,
        )
        for task in found["items"]:
            if task["id"] != record.id:
                following: Mapping[str, Any] = task
                return following
    return None


def procedure_words(procedure: Procedure) -> Words:
    """Say what a procedure is, and what leaving out its time rests on (RB-2.4)."""
    basis = _BASES[procedure.basis]
    return Words(
        f"{procedure.zh}（{basis.zh}，{procedure.clause}）",
        f"{procedure.en} ({basis.en}, {procedure.clause})",
    )


_BASES: Mapping[Basis, Words] = {
    Basis.STATUTORY: Words("法定", "by law"),
    Basis.POLICY: Words("按本地规定", "by local practice"),
}


def _segments(record: TaskRecord) -> list[list[Words]]:
    """Put the facts of each segment of the route in words; those that say nothing are left out."""
    if record.facts.route is None:
        return []
    return [
        [fact_words(fact, value) for fact, value in segment if value]
        for segment in Route.model_validate(record.facts.route).segments
    ]


# ---------------------------------------------------------------- what a pause would come to

_EXAMPLE = WorkingDays(5)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What stopping a clock, or letting it go on, makes of the deadline.

    Attributes:
        closed: when it would be due if an open pause ended now, by pause; None: not known yet.
        lasts_until: an example of a day on which a pause that begins now would end.
        then_due: when it would be due after that.
    """

    closed: Mapping[str, date | None]
    lasts_until: date
    then_due: date | None


def _forecast(
    record: TaskRecord, policy: Policy, civil_now: datetime, days: Calendar
) -> Forecast | None:
    """Return what the deadline would become; None where there is none to move."""
    if record.kind is not TaskKind.PERMITS or record.state != "open":
        return None
    if record.limit_working_days is None:
        return None
    closing = {
        "correction": TaskEventKind.CORRECTION_CLOSED,
        "special": TaskEventKind.SPECIAL_CLOSED,
    }
    pauses = open_pauses(record.history)
    until = deadline(days, civil_date(civil_now), _EXAMPLE).due_on
    then = civil_now + (until - civil_date(civil_now))
    opened = _event(TaskEventKind.CORRECTION_OPENED, record, civil_now)
    resumed = _event(TaskEventKind.CORRECTION_CLOSED, record, then)
    paused = replace(record, history=(*record.history, opened))
    return Forecast(
        {
            pause: _due_after(record, _event(closing[pause], record, civil_now), days)
            for pause in pauses
        },
        until,
        None if pauses else _due_after(paused, resumed, days),
    )


def _event(kind: TaskEventKind, record: TaskRecord, at: datetime) -> TaskEvent:
    missing = ("–",) if kind is TaskEventKind.CORRECTION_OPENED else ()
    basis = policy_for(record.policy).correction.basis if missing else None
    return TaskEvent(kind, at, record.owed_by, "", ground="–", missing=missing, basis=basis)


def _due_after(record: TaskRecord, event: TaskEvent, days: Calendar) -> date | None:
    """Return when a task would be due after a report, as the API would compute it."""
    made = reporting.reported(record, event, days=days)
    return made.due_on if made is not None else record.due_on
