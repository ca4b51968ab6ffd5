"""What an agency reports of a task before it is decided (RB-4.6), and who within it holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from activities.contract import task_body
from activities.deadlines import due_of_task
from api.applications import IdempotencyKey
from api.auth import SignedIn
from api.schemas import TaskBody, refusals
from api.services import Serving
from api.tasks import check_own, task_id_of
from domain.access import Act
from domain.errors import StaleCalendar
from domain.outcomes import Line, Text
from domain.policy import Name, Policy
from domain.task_events import (
    CLOSES,
    HOLDING,
    OPENS,
    TaskEvent,
    TaskEventKind,
    check_report,
    is_known,
)
from domain.working_time import Calendar
from policy.loader import policy_for
from storage.records import Notice, Reported, TaskRecord

router = APIRouter(prefix="/tasks", tags=["tasks"])

Items = Annotated[list[Line], Field(max_length=20)]
Holder = Annotated[
    Name,
    Field(
        description="An officer or office of the agency, by an id of its own choosing, e.g. the "
        "number of a desk: letters, digits, - and _. It stays with the case, so no personal names. "
        "`nobody` is no holder."
    ),
]

EXAMPLES: dict[str, Any] = {
    "accepted by the department (部门受理)": {"value": {"type": "accepted"}},
    "correction asked for (补正开始)": {
        "value": {
            "type": "correction-opened",
            "ground": "图纸缺少河道断面",
            "missing": ["河道断面图"],
            "document_no": "湛水补〔2026〕示例1号",
        }
    },
    "special procedure opened (特别程序开始)": {
        "value": {
            "type": "special-opened",
            "procedure": "expert_review",
            "ground": "穿堤方案须经专家评审",
        }
    },
    "special procedure closed (特别程序结束)": {
        "value": {"type": "special-closed", "ground": "专家评审已完成"}
    },
    "claimed by an officer (认领)": {"value": {"type": "claimed", "holder": "desk-2"}},
    "reassigned within the agency (转办)": {
        "value": {"type": "reassigned", "holder": "Chikan_office", "ground": "属地办理"}
    },
    "handed back (退回)": {"value": {"type": "handed-back"}},
}


class Report(BaseModel):
    """The body of `POST /tasks/{id}/events`.

    Attributes:
        ground: in writing; required to stop a clock and to let it go on.
        procedure: of the policy; required to open a special procedure.
        missing: everything to be corrected, at once; required to open a correction.
        holder: who holds the task from then on; required to claim and to reassign.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    type: TaskEventKind = Field(strict=False)
    ground: Text | None = None
    procedure: Line | None = None
    missing: Items = []
    document_no: Line | None = None
    holder: Holder | None = None


@router.post(
    "/{task_id}/events",
    name=Act.REPORT_ON_TASK,
    response_model=TaskBody,
    summary="Report something of a task before it is decided",
    responses=refusals(400, 401, 403, 404, 409, 413, 422),
)
async def report(
    task_id: str,
    body: Annotated[Report, Body(openapi_examples=EXAMPLES)],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Accept a task, or stop its clock and let it go on, on a written ground (RB-4.6).

    Only this task's clock stands still. A report counts from its receipt here, and the same report
    under the same key is one report.

    Of any task its agency also says who within it holds it: `claimed` what nobody holds,
    `reassigned` or `handed-back` what somebody does. That moves no clock.
    """

    def said(task: TaskRecord) -> TaskEvent:
        check_own(task, caller, Act.HOLD_TASK if body.type in HOLDING else Act.SUSPEND_TASK)
        policy = policy_for(task.policy)
        procedure = policy.procedures.get(body.procedure or "")
        if body.type is TaskEventKind.CORRECTION_OPENED:
            procedure = policy.correction
        return TaskEvent(
            kind=body.type,
            at=task.clock.civil(services.now()),
            by=caller.agency,
            key=key,
            ground=body.ground,
            procedure=body.procedure,
            basis=procedure.basis if procedure and body.type in OPENS else None,
            missing=tuple(body.missing),
            document_no=body.document_no,
            holder=body.holder,
        )

    days = await services.calendars.current()
    while True:
        try:
            task = await services.casefile.report(
                task_id_of(task_id),
                said,
                partial(reported, days=days.calendar),
                calendar=days.number,
            )
            break
        except StaleCalendar as stale:
            # Another calendar was published a moment ago, and the case has been recalculated.
            days = await services.calendars.version(stale.current)
    if task.changes > task.changes_told:
        await services.delivery.tell(task)
    return task_body(task, policy_for(task.policy))


def reported(task: TaskRecord, event: TaskEvent, *, days: Calendar) -> Reported | None:
    """Return what a report makes of a task as it stands on file; None if it says nothing new.

    Raises:
        InputRefused: the report is not complete.
        IllegalTaskEvent: the task cannot have it now.
    """
    policy = policy_for(task.policy)
    check_report(
        event, task.history, task_id=task.id, task_kind=task.kind, procedures=policy.procedures
    )
    if is_known(event, task.history):
        return None
    if event.kind not in OPENS and event.kind not in CLOSES:
        return Reported(task.due_on, task.is_provisional, task.calendar_version, moves_clock=False)
    due_on, is_provisional = task.due_on, task.is_provisional
    if task.limit_working_days is not None:
        due = due_of_task(replace(task, history=(*task.history, event)), policy, days)
        due_on, is_provisional = (due.due_on, due.is_provisional) if due else (None, False)
    notice = _notice(event, task, policy)
    return Reported(due_on, is_provisional, days.version, moves_clock=True, notice=notice)


def _notice(event: TaskEvent, task: TaskRecord, policy: Policy) -> Notice | None:
    """Tell whoever handed in the case what a department wants corrected."""
    if event.kind is not TaskEventKind.CORRECTION_OPENED:
        return None
    agency = policy.agencies[task.owed_by]
    return Notice(
        kind="correction_asked",
        recipient=None,
        body={
            "agency": task.owed_by,
            "missing": list(event.missing),
            "ground": event.ground,
            "document_no": event.document_no,
            "zh": f"{agency.zh}要求补正",
            "en": f"{agency.en} asks for a correction",
            "clause": policy.correction.clause,
        },
    )
