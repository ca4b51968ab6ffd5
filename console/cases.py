"""Cases: the list, searched and filtered, and the page of one case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api import applications, case_documents, previews
from api.services import Services, Serving
from console.guard import PATH, Guarded, Visitor
from console.lights import Lit, lit, most_urgent, words_of
from console.rendering import page, query
from console.words import CODES, REPORTS
from domain.access import Act
from domain.clocks import Light
from domain.connection import Action, TaskKind, check_action
from domain.errors import IllegalAction
from domain.policy import Policy
from domain.words import Words
from policy.loader import policy_for
from storage.open_tasks import open_tasks_of
from storage.reading import CaseRecord
from storage.reveals import record_reveal

router = APIRouter()

ON_A_PAGE = 20
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_FILTERS = ("stage", "state", "district")


# ---------------------------------------------------------------- the list


@router.get("/cases", name=Act.SEE_CASES)
async def list_cases(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Page through the cases, newest first; by an address nothing is searched for (RB-13.3)."""
    return await _list(request, visitor, services, _wanted(request.query_params) | {"q": ""})


@router.post("/cases", name=Act.SEE_CASES)
async def search_cases(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Look for cases by number, name, address or telephone number.

    What is looked for may be a name or a telephone number, so it is sent in a form and stands in
    no address (RB-13.3).
    """
    form = await request.form()
    wanted = _wanted({name: str(value) for name, value in form.items()})
    if not wanted["q"]:
        asked = query(**{name: wanted[name] for name in (*_FILTERS, "cursor")})
        return RedirectResponse(f"{PATH}/cases?{asked}", status_code=303)
    return await _list(request, visitor, services, wanted)


def _wanted(sent: Mapping[str, str]) -> dict[str, str]:
    wanted = {name: sent.get(name, "").strip() for name in (*_FILTERS, "cursor", "q")}
    return {name: _CONTROLS.sub(" ", value)[:100] for name, value in wanted.items()} | {
        "cursor": wanted["cursor"][:400]
    }


async def _list(
    request: Request, visitor: Visitor, services: Services, wanted: Mapping[str, str]
) -> Response:
    policy = services.policy
    stages = {link.id: link for links in policy.links.values() for link in links}
    found = await applications.list_cases(
        visitor.caller,
        services,
        stage=wanted["stage"] or None,
        state=_state(wanted["state"]),
        district=wanted["district"] or None,
        q=wanted["q"] or None,
        limit=ON_A_PAGE,
        cursor=wanted["cursor"] or None,
    )
    owed = await open_tasks_of(services.reading.engine, [each["no"] for each in found["items"]])
    days = (await services.calendars.current()).calendar
    rows = []
    for case in found["items"]:
        tasks = owed.get(case["no"], ())
        of_case = policy_for(case["policy"])
        lights = [
            lit(
                task.due_on,
                task.clock.civil(services.now()),
                days,
                of_case,
                is_provisional=task.is_provisional,
                is_suspended=task.is_suspended,
            )
            for task in tasks
        ]
        owing = dict.fromkeys(task.owed_by for task in tasks)
        rows.append(
            {
                "case": case,
                "stage": stages.get(case["stage"]),
                "owing": [of_case.agencies[agency] for agency in owing],
                "light": most_urgent(lights),
            }
        )
    return page(
        request,
        visitor,
        "cases.html",
        back=f"{PATH}/cases",
        rows=rows,
        wanted=wanted,
        stages=stages,
        districts=policy.districts,
        next_cursor=found["next_cursor"],
    )


def _state(text: str) -> Any:
    return text if text in ("open", "ended") else None


# ---------------------------------------------------------------- one case


@router.get("/cases/{no}", name=Act.SEE_CASES)
async def show_case(request: Request, no: str, visitor: Guarded, services: Serving) -> Response:
    """Show a case: facts, what is owed, its clocks, its story, its record."""
    return await _case(request, no, visitor, services)


@router.post("/cases/{no}/numbers", name=Act.REVEAL_NUMBERS)
async def show_numbers(request: Request, no: str, visitor: Guarded, services: Serving) -> Response:
    """Show the same with the applicant's numbers; first it goes on the record that they were."""
    caller = visitor.caller
    await applications.get_case(no, caller, services)
    case = await services.reading.case(no)
    await record_reveal(
        services.casefile.engine,
        no,
        agency=caller.agency,
        account=visitor.signed_in.id,
        at=case.clock.civil(services.now()),
    )
    applicant = case.content["applicant"]
    numbers = {name: applicant[name] for name in ("id_number", "phone")}
    return await _case(request, no, visitor, services, numbers)


async def _case(
    request: Request,
    no: str,
    visitor: Visitor,
    services: Services,
    numbers: Mapping[str, str] | None = None,
) -> Response:
    caller = visitor.caller
    case = await applications.get_case(no, caller, services)
    tasks = await applications.get_tasks(no, caller, services)
    clocks = await applications.get_clocks(no, caller, services)
    record = await services.reading.case(no)
    policy = policy_for(case["policy"])
    # Whoever has just taken a case in sees what to look at, and hands over its slip.
    is_just_taken = "taken" in request.query_params and visitor.may(Act.SUBMIT_APPLICATION)
    receipt = await previews.receipt_again(no, caller, services) if is_just_taken else None
    days = (await services.calendars.version(record.calendar)).calendar
    civil_now = record.clock.civil(services.now())
    events = await applications.get_events(no, caller, services)
    names = {agency: Words(each.zh, each.en) for agency, each in policy.agencies.items()}
    owed: list[Mapping[str, Any]] = [
        {
            "task": task,
            "owner": names[task["owed_by"]],
            "light": lit(
                task["due_on"] and date.fromisoformat(task["due_on"]),
                civil_now,
                days,
                policy,
                is_provisional=task["is_provisional"],
                is_suspended=task["is_suspended"],
            ),
        }
        for task in tasks
        if task["state"] == "open"
    ]
    return page(
        request,
        visitor,
        "case.html",
        back=f"{PATH}/cases/{no}",
        case=case,
        applicant={**case["applicant"], **(numbers or {})},
        are_numbers_shown=numbers is not None,
        stages=_stages(case, policy),
        district=policy.districts.get(case["site"]["district"]),
        owed=sorted(owed, key=_due_first),
        clocks=[{"clock": each, "light": _light_of(each)} for each in clocks],
        departments=names,
        story=list(_story(case, tasks, names)),
        documents=[
            {"document": each, "rule": policy_document(policy, each["kind"])}
            for each in await applications.get_documents(no, caller, services)
        ],
        ahead=await previews.get_ahead(no, caller, services),
        files=await case_documents.get_task_documents(no, caller, services),
        receipt=receipt,
        may_withdraw=visitor.may(Act.WITHDRAW_CASE) and is_withdrawable(record),
        is_withdrawn_now="withdrawn" in request.query_params,
        events=events,
        titles={task["id"]: task["title"] for task in tasks},
    )


def is_withdrawable(case: CaseRecord) -> bool:
    """Whether the table of actions lets a case be withdrawn where it stands."""
    if case.ending is not None:
        return False
    try:
        check_action(Action.WITHDRAW, TaskKind(case.reached) if case.reached else None)
    except IllegalAction:
        return False
    return True


def policy_document(policy: Policy, kind: str) -> Words:
    """Name one of the two documents of an application."""
    rule = next(each for each in policy.intake.documents if each.kind == kind)
    return Words(rule.zh, rule.en)


def _stages(case: Mapping[str, Any], policy: Policy) -> list[tuple[Words, str]]:
    """Return the links of the case's story, each `past`, `now` or `ahead`."""
    links = policy.links[case["voltage"]]
    reached = next((i for i, link in enumerate(links) if link.id == case["stage"]), 0)
    if case["ending"] == "connected":
        reached = len(links)
    return [
        (Words(link.zh, link.en), "past" if i < reached else "now" if i == reached else "ahead")
        for i, link in enumerate(links)
    ]


def _due_first(owed: Mapping[str, Any]) -> str:
    due_on: str | None = owed["task"]["due_on"]
    return due_on or "no date comes after every date"


def _light_of(clock: Mapping[str, Any]) -> Lit:
    if clock["light"] is None:
        return Lit(None, Words("仅跟踪，无限额", "Tracked, no limit"))
    if clock["state"] == "stopped":
        is_met = clock["net"] <= clock["limit"]
        used = Words(
            f"已停表：用 {clock['net']} 个工作日，{'未超' if is_met else '超过'}{clock['limit']}",
            f"Stopped: {clock['net']} used, {'within' if is_met else 'over'} {clock['limit']}",
        )
        return Lit(Light.GREEN if is_met else Light.RED, used)
    light = Light(clock["light"])
    if clock["state"] == "suspended":
        words = words_of(light, clock["left"])
        return Lit(light, Words(f"{words.zh}（计时中止）", f"{words.en} (suspended)"))
    return Lit(light, words_of(light, clock["left"]))


@dataclass(frozen=True, slots=True)
class Chapter:
    """One entry of a case's story.

    Attributes:
        at: when it happened, or began; RFC 3339.
        until: when it was done; None while it is owed, and for what takes no time.
        details: further lines.
    """

    at: str
    title: Words
    who: Words | None = None
    until: str | None = None
    result: Words | None = None
    details: tuple[Words, ...] = ()
    is_open: bool = False
    is_late: bool = False
    task_id: str | None = None


def _story(
    case: Mapping[str, Any], tasks: list[Mapping[str, Any]], names: Mapping[str, Words]
) -> Iterator[Chapter]:
    """Tell what happened, latest first: what is being done stands on top."""
    chapters = [Chapter(case["submitted_at"], Words("收到用电申请", "Application received"))]
    if case["accepted_at"]:
        chapters.append(Chapter(case["accepted_at"], Words("正式受理", "Accepted")))
    chapters += [_of_task(task, names) for task in tasks]
    if case["ended_at"]:
        chapters.append(Chapter(case["ended_at"], Words("办结", "Ended")))
    yield from sorted(chapters, key=lambda each: each.at, reverse=True)


def _of_task(task: Mapping[str, Any], names: Mapping[str, Words]) -> Chapter:
    result = None
    if task["closed_by"]:
        result = Words("随办件终止", "Closed with the case")
    elif task["outcome"]:
        result = CODES[task["outcome"]["code"]]
    elif task["state"] == "done":
        result = Words("已办结", "Done")
    details = [
        Words(
            f"{event['at'][:10]} {REPORTS[event['type']].zh}",
            f"{event['at'][:10]} {REPORTS[event['type']].en}",
        )
        for event in task["history"]
    ]
    if task["outcome"] and task["outcome"].get("note"):
        details.append(Words(*[task["outcome"]["note"]] * 2))
    return Chapter(
        task["opened_at"],
        Words(task["title"]["zh"], task["title"]["en"]),
        names[task["owed_by"]],
        task["done_at"],
        result,
        tuple(details),
        task["state"] == "open",
        task["is_late"],
        task["id"],
    )
