"""Applications: taking them in, looking at them, acting on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response

from activities.beginning import case_ref, ref_of
from activities.contract import civil_text, task_body
from activities.messages import Withdrawal
from api.auth import Caller, SignedIn
from api.problems import NOT_ALLOWED, Refused
from api.responses import spelled
from api.schemas import (
    ACTION_EXAMPLE,
    APPLICATION_EXAMPLE,
    ActionRequest,
    CaseBody,
    CasePage,
    ClockBody,
    EventBody,
    Receipt,
    TaskBody,
    refusals,
)
from api.services import Services, Serving
from api.views import case_body, clock_bodies, event_body, masked
from domain.access import Act
from domain.application import Application, Document, check_application
from domain.connection import Voltage
from domain.errors import CaseEnded, EngineAway, FieldProblem, InputRefused, UnknownCase
from domain.identity import normal_phone
from domain.investment import ConnectionFacts, asks_area
from domain.naming import is_case_no
from domain.task_events import HOLDING
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.casefile import NewCase
from storage.chain import digest
from storage.reading import CaseFilter, CaseRecord

router = APIRouter(prefix="/applications", tags=["applications"])

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same body is the same submission, however often sent",
    ),
]
Sought = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=400)]


@router.post(
    "",
    name=Act.SUBMIT_APPLICATION,
    status_code=201,
    response_model=Receipt,
    summary="Take in an application (用电申请)",
    responses={
        202: {
            "model": Receipt,
            "description": "On file; starts when the engine is back",
        },
        **refusals(400, 401, 403, 409, 413, 422),
    },
)
async def submit(
    application: Annotated[Application, Body(examples=[APPLICATION_EXAMPLE])],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Give an application its number; once given, a number is never lost (RB-3.7).

    The receipt holds the secret with which the applicant follows the case (RB-10.3).
    """
    caller.needs(Act.SUBMIT_APPLICATION)
    clock, policy = services.settings.clock, services.policy
    at = clock.civil(services.now())
    checked = check_application(application, policy, civil_date(at))
    if checked.problems and not await _came_before(application, key, caller, services):
        raise InputRefused(*checked.problems)
    voltage = Voltage(application.voltage)
    submitted = await services.casefile.submit(
        NewCase(
            content=application.model_dump(mode="json"),
            policy=policy.version_id,
            prefix=policy.case_prefix,
            clock=clock,
            stage=policy.links[voltage][0].id,
            asks_area=asks_area(ConnectionFacts.of(application), policy, civil_date(at)),
            submitted_by=caller.agency,
            submitted_at=at,
            idempotency_key=key,
            calendar=(await services.calendars.current()).number,
        )
    )
    state = "open"
    if submitted.is_new:
        is_started = await services.delivery.start(
            case_ref(submitted.no, voltage, application.supply, policy, clock)
        )
    else:
        case = await services.reading.case(submitted.no)
        at, state = case.submitted_at, case.state
        is_started = case.process_started or await services.delivery.start(ref_of(case))
    receipt = {
        "no": submitted.no,
        "follow_secret": await services.secrets.first_of(submitted.no),
        "state": state,
        "process": "started" if is_started else "pending",
        "submitted_at": civil_text(at),
        "warnings": [
            {"field": w.field, "message": w.en, "message_zh": w.zh} for w in checked.warnings
        ],
    }
    location = {"Location": f"/api/v1/applications/{submitted.no}"}
    return spelled(receipt, 201 if is_started else 202, location)


async def _no_phone_in_the_address(request: Request) -> None:
    # RB-13.3: addresses stand in logs. A name, too, is better searched for by POST.
    q = request.query_params.get("q", "")
    if normal_phone(q) is not None:
        raise InputRefused(
            FieldProblem(
                "q",
                "a telephone number belongs in no address: POST it to /api/v1/applications/search",
                "电话号码不得出现在网址中，请以 POST 方式提交至 /api/v1/applications/search",
            )
        )


@router.get(
    "",
    name=Act.SEE_CASES,
    response_model=CasePage,
    summary="List applications, newest first",
    responses=refusals(401, 403, 422),
    dependencies=[Depends(_no_phone_in_the_address)],
)
async def list_cases(
    caller: SignedIn,
    services: Serving,
    stage: Sought = None,
    state: Annotated[Literal["open", "ended"] | None, Query()] = None,
    district: Sought = None,
    channel: Sought = None,
    q: Sought = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through the cases one may see."""
    caller.needs(Act.SEE_CASES)
    wanted = CaseFilter(
        stage=stage,
        state=state,
        district=district,
        channel=channel,
        q=q,
        submitted_by=None if caller.sees_all(Act.SEE_CASES) else caller.agency,
    )
    page = await services.reading.cases(wanted, limit=limit, cursor=cursor)
    return {
        "items": [case_body(case) for case in page.items],
        "next_cursor": page.next_cursor,
    }


@router.get(
    "/{no}",
    name=Act.SEE_CASES,
    response_model=CaseBody,
    summary="One application",
    responses=refusals(401, 403, 404),
)
async def get_case(no: str, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Return a case; the applicant's numbers are masked."""
    return case_body(await seen_case(no, caller, services))


@router.get(
    "/{no}/events",
    name=Act.SEE_CASES,
    response_model=list[EventBody],
    summary="Its record",
    responses=refusals(401, 403, 404),
)
async def get_events(no: str, caller: SignedIn, services: Serving) -> list[Mapping[str, Any]]:
    """Return everything that happened to a case, in order, with the hash of each event."""
    await seen_case(no, caller, services)
    return [event_body(event) for event in await services.reading.events(no)]


@router.get(
    "/{no}/tasks",
    name=Act.SEE_CASES,
    response_model=list[TaskBody],
    summary="Its tasks",
    responses=refusals(401, 403, 404),
)
async def get_tasks(no: str, caller: SignedIn, services: Serving) -> list[Mapping[str, Any]]:
    """Return the tasks of a case in the order they were opened."""
    case = await seen_case(no, caller, services)
    policy = policy_for(case.policy)
    bodies = [task_body(task, policy) for task in await services.reading.tasks_of(no)]
    # RB-13.1: that a task is owed is part of the story; what others decided is theirs.
    return [
        body if caller.may_for(Act.SEE_TASKS, body["owed_by"]) else _withheld(body)
        for body in bodies
    ]


def _withheld(body: Mapping[str, Any]) -> Mapping[str, Any]:
    own_affairs: dict[str, Any] = {
        "items": [],
        "outcome": None,
        "remarks": [],
        "push_problem": None,
        "held_by": None,
        "history": [event for event in body["history"] if event["type"] not in HOLDING],
    }
    return {**body, **own_affairs}


@router.get(
    "/{no}/clocks",
    name=Act.SEE_CASES,
    response_model=list[ClockBody],
    summary="Its clocks",
    responses=refusals(401, 403, 404),
)
async def get_clocks(no: str, caller: SignedIn, services: Serving) -> list[Mapping[str, Any]]:
    """Return the clocks of RB-2 that apply to a case, as they stand now."""
    case = await seen_case(no, caller, services)
    tasks = await services.reading.tasks_of(no)
    days = (await services.calendars.version(case.calendar)).calendar
    civil_now = case.clock.civil(services.now())
    return clock_bodies(case, tasks, policy_for(case.policy), civil_now, days)


@router.get(
    "/{no}/documents",
    name=Act.SEE_CASES,
    response_model=list[Document],
    summary="Its documents",
    responses=refusals(401, 403, 404),
)
async def get_documents(no: str, caller: SignedIn, services: Serving) -> list[Mapping[str, Any]]:
    """Return the documents that came with the application."""
    case = await seen_case(no, caller, services)
    return [
        {**document, "reference": masked(document["reference"])}
        for document in case.content["documents"]
    ]


@router.post(
    "/{no}/actions",
    name=Act.WITHDRAW_CASE,
    response_model=CaseBody,
    summary="Act on a running application",
    responses=refusals(400, 401, 403, 404, 409, 413, 422, 503),
)
async def act(
    no: str,
    body: Annotated[ActionRequest, Body(examples=[ACTION_EXAMPLE])],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Withdraw an application. Answered once the case file says so; repeating it is safe."""
    case = await seen_case(no, caller, services, Act.WITHDRAW_CASE)
    return await acted(case, body, key, caller.agency, services)


async def acted(
    case: CaseRecord,
    body: ActionRequest,
    key: str,
    by: str,
    services: Services,
    through: str | None = None,
) -> Mapping[str, Any]:
    """Withdraw a case that whoever asks may withdraw; return it as it stands then.

    Args:
        by: on whose behalf, an agency.
        through: which way an applicant's wish came.

    Raises:
        OneWindowError: it has ended, is past that, or the process does not answer.
    """
    no = case.no
    action_id = digest(f"{by} {no} {key}")[:32]
    is_taken = await services.reading.is_action_taken(action_id)
    if case.ending is not None and not is_taken:
        raise CaseEnded(no, case.ending)
    await services.casefile.ask_action(
        action_id,
        no,
        body.action,
        body.reason,
        by=by,
        at=case.clock.civil(services.now()),
        through=through,
    )
    if not is_taken:
        if not case.process_started and not await services.delivery.start(ref_of(case)):
            raise EngineAway("the process was not started yet")
        try:
            await services.engine.withdraw(no, Withdrawal(action_id))
        except EngineAway:
            # The engine can lose the answer of a step that was done: the file knows.
            if not await services.reading.is_action_taken(action_id):
                raise
    return case_body(await services.reading.case(no))


async def _came_before(
    application: Application, key: str, caller: Caller, services: Services
) -> bool:
    """Whether this was taken in already: what was right on that day keeps its number."""
    content = application.model_dump(mode="json")
    return await services.reading.submitted_content(caller.agency, key) == content


async def seen_case(
    no: str, caller: Caller, services: Services, act: Act = Act.SEE_CASES
) -> CaseRecord:
    """Return a case that the caller may see, or do something else to (RB-13.1).

    Raises:
        Refused: its role may not, or it came in by another's channel.
        UnknownCase: there is none.
    """
    caller.needs(act)
    if not is_case_no(no):
        raise UnknownCase(no)
    case = await services.reading.case(no)
    if not caller.may_for(act, case.submitted_by):
        raise Refused(NOT_ALLOWED, "this case came in by another channel", "此办件由其他渠道受理")
    return case
