"""Tasks: what an agency owes, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response

from activities.contract import task_body
from activities.owe import check_task_outcome
from api.applications import Cursor, Limit, Sought
from api.auth import Caller, SignedIn
from api.problems import NOT_ALLOWED, Refused
from api.responses import spelled
from api.schemas import OUTCOME_EXAMPLES, TaskBody, TaskCountsBody, TaskPage, refusals
from api.services import Services, Serving
from api.supervision import Day
from domain.access import Act
from domain.clocks import overdue_before
from domain.connection import TaskKind
from domain.errors import FieldProblem, InputRefused, NotYourTask, UnknownTask
from domain.outcomes import Outcome
from domain.task_events import NOBODY
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.reading import Order, TaskFilter
from storage.records import TaskRecord

router = APIRouter(prefix="/tasks", tags=["tasks"])

_HOLDER = r"^[A-Za-z0-9_-]+$"


@router.get(
    "",
    name=Act.SEE_TASKS,
    response_model=TaskPage,
    summary="List tasks",
    responses=refusals(401, 403, 422),
)
async def list_tasks(
    caller: SignedIn,
    services: Serving,
    owed_by: Sought = None,
    state: Annotated[Literal["open", "done", "closed"] | None, Query()] = None,
    kind: Annotated[TaskKind | None, Query()] = None,
    held_by: Annotated[
        str | None,
        Query(
            max_length=40,
            pattern=_HOLDER,
            description=f"Who within the agency holds them; `{NOBODY}` for those to be claimed",
        ),
    ] = None,
    due_from: Annotated[Day | None, Query(examples=["2026-09-16"])] = None,
    due_before: Annotated[Day | None, Query(examples=["2026-09-16"])] = None,
    district: Sought = None,
    case_no: Sought = None,
    order: Annotated[
        Order, Query(description="As they were opened, or by deadline, those without one last")
    ] = "opened",
    limit: Limit = 50,
    cursor: Cursor = None,
    before: Annotated[
        str | None,
        Query(max_length=400, description="A `previous_cursor`: for the page before, by deadline"),
    ] = None,
) -> Mapping[str, Any]:
    """Page through tasks; an agency sees its own, the desk and supervisors see all."""
    wanted = TaskFilter(
        _whose(caller, owed_by), state, kind, held_by, due_before, due_from, district, case_no
    )
    if before is None:
        page = await services.reading.tasks(wanted, order=order, limit=limit, cursor=cursor)
    elif order == "due" and cursor is None:
        page = await services.reading.tasks_before(wanted, limit=limit, cursor=before)
    else:
        raise InputRefused(
            FieldProblem(
                "before",
                "goes with order=due, and without cursor",
                "仅可与 order=due 同用，且不可与 cursor 同用",
            )
        )
    return {
        "items": [task_body(task, policy_for(task.policy)) for task in page.items],
        "next_cursor": page.next_cursor,
        "previous_cursor": page.previous_cursor,
    }


@router.get(
    "/counts",
    name=Act.SEE_TASKS,
    response_model=TaskCountsBody,
    summary="How many tasks are open",
    responses=refusals(401, 403, 422),
)
async def count_tasks(
    caller: SignedIn,
    services: Serving,
    owed_by: Sought = None,
    kind: Annotated[TaskKind | None, Query()] = None,
    district: Sought = None,
    holder: Annotated[
        str | None,
        Query(max_length=40, pattern=_HOLDER, description="Whose are counted as `mine`"),
    ] = None,
) -> Mapping[str, int]:
    """Count open tasks, and those of them that are overdue or due today, by their lights."""
    civil_now = services.settings.clock.civil(services.now())
    counts = await services.reading.count_tasks(
        TaskFilter(_whose(caller, owed_by), kind=kind, district=district),
        overdue_before=overdue_before(civil_now, services.policy.working_time.hours),
        today=civil_date(civil_now),
        holder=holder or "",
    )
    return asdict(counts)


def _whose(caller: Caller, owed_by: str | None) -> str | None:
    """Return whose tasks a list is of (RB-13.1).

    Raises:
        Refused: an agency asks for another's.
    """
    caller.needs(Act.SEE_TASKS)
    if caller.sees_all(Act.SEE_TASKS):
        return owed_by
    if owed_by not in (None, caller.agency):
        raise Refused(
            NOT_ALLOWED, "an agency sees its own tasks only", "各单位只能查看本单位的任务"
        )
    return caller.agency


@router.get(
    "/{task_id}",
    name=Act.SEE_TASKS,
    response_model=TaskBody,
    summary="One task",
    responses=refusals(401, 403, 404),
)
async def get_task(task_id: str, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Return a task."""
    task = await services.reading.task(task_id_of(task_id))
    check_own(task, caller, Act.SEE_TASKS)
    return task_body(task, policy_for(task.policy))


@router.put(
    "/{task_id}/outcome",
    name=Act.DECIDE_TASK,
    response_model=TaskBody,
    summary="Answer a task",
    responses={
        202: {"model": TaskBody, "description": "On file; taken up when the engine is back"},
        **refusals(400, 401, 403, 404, 409, 413, 422),
    },
)
async def put_outcome(
    task_id: str,
    outcome: Annotated[Outcome, Body(openapi_examples=OUTCOME_EXAMPLES)],
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Put an outcome on file, once: the same again is 200, another is 409 (RB-4.5)."""
    body, status = await answered(task_id, outcome, caller, services)
    return spelled(body, status)


async def answered(
    task_id: str,
    outcome: Outcome,
    caller: Caller,
    services: Services,
    through: str | None = None,
) -> tuple[Mapping[str, Any], int]:
    """Put an outcome on file and bring it to its process; return the task and the status.

    Args:
        through: which way an applicant's answer came.

    Raises:
        OneWindowError: the outcome is refused.
    """
    task_id = task_id_of(task_id)
    documents = await services.documents.on_file(task_id, outcome.documents)

    def check(task: TaskRecord) -> datetime:
        check_own(task, caller, Act.DECIDE_TASK)
        at = task.clock.civil(services.now())
        check_task_outcome(task, outcome, civil_date(at), documents)
        return at

    decided = await services.casefile.judge(
        task_id,
        outcome.model_dump(mode="json", exclude_none=True),
        by=caller.agency,
        check=check,
        through=through,
    )
    is_delivered = decided.task.delivered or await services.delivery.deliver(decided.task)
    body = task_body(decided.task, policy_for(decided.task.policy))
    return body, 200 if is_delivered else 202


def task_id_of(task_id: str) -> str:
    """Return an id that a database can look for.

    Raises:
        UnknownTask: no task can have it.
    """
    if "\x00" in task_id:
        raise UnknownTask(repr(task_id))
    return task_id


def check_own(task: TaskRecord, caller: Caller, act: Act) -> None:
    """Let the caller do something to a task as the table says: to all, or to its own (RB-13.1).

    Raises:
        Refused: its role may not do it at all.
        NotYourTask: somebody else owes it.
    """
    caller.needs(act)
    if not caller.may_for(act, task.owed_by):
        raise NotYourTask(task.id, task.owed_by, caller.agency)
