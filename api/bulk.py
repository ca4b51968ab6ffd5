"""Outcomes and reports of many tasks at once: each by itself, as if it had been sent alone."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.applications import IdempotencyKey
from api.auth import SignedIn
from api.problems import body_of, field_problems
from api.reporting import Report, report
from api.schemas import (
    ANSWER_EXAMPLES,
    OUTCOME_EXAMPLES,
    PROBLEM_EXAMPLE,
    ProblemBody,
    Shown,
    TaskBody,
    refusals,
)
from api.services import Serving
from api.tasks import answered
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from domain.outcomes import Outcome

router = APIRouter(prefix="/tasks", tags=["tasks"])

M = TypeVar("M", bound=BaseModel)


class OneOutcome(BaseModel):
    """An outcome of one task.

    Attributes:
        outcome: as the body of `PUT /tasks/{id}/outcome`; if it is not one, that is the answer for
            this task, and no other's.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    task_id: Annotated[str, Field(min_length=1, max_length=200)]
    outcome: Any


class ManyOutcomes(BaseModel):
    """The body of `POST /tasks/outcomes`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    outcomes: Annotated[list[OneOutcome], Field(min_length=1, max_length=100)]


class OneAnswer(Shown):
    """What `PUT /tasks/{id}/outcome` would have answered: the task, or the problem."""

    task_id: str
    status: int
    task: TaskBody | None
    problem: ProblemBody | None


class ManyAnswers(Shown):
    """An answer for each task, in the order in which they were sent."""

    outcomes: list[OneAnswer]


class OneReport(BaseModel):
    """A report of one task.

    Attributes:
        report: as the body of `POST /tasks/{id}/events`; if it is not one, that is the answer for
            this task, and no other's.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    task_id: Annotated[str, Field(min_length=1, max_length=200)]
    report: Any


class ManyReports(BaseModel):
    """The body of `POST /tasks/events`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    reports: Annotated[list[OneReport], Field(min_length=1, max_length=100)]


class ManyReported(Shown):
    """An answer for each task, in the order in which they were sent."""

    reports: list[OneAnswer]


_REPORTS: dict[str, Any] = {
    "reports": [
        {
            "task_id": f"ZJ20260000011.{name}.1",
            "report": {"type": "claimed", "holder": "desk-2"},
        }
        for name in ("check_papers", "permits-water")
    ]
}
_BODY: dict[str, Any] = {
    "outcomes": [
        {
            "task_id": f"ZJ20260000011.{name}.1",
            "outcome": OUTCOME_EXAMPLES[shown]["value"],
        }
        for name, shown in (
            ("check_papers", "papers accepted"),
            ("permits-water", "permits answered"),
        )
    ]
}
_TASK = ANSWER_EXAMPLES["TaskBody"]
_ANSWERS = [
    {"task_id": _TASK["id"], "status": 200, "task": _TASK, "problem": None},
    {
        "task_id": "ZJ20260000029.permits-water.1",
        "status": 422,
        "task": None,
        "problem": PROBLEM_EXAMPLE,
    },
]
BULK_EXAMPLES: dict[str, dict[str, Any]] = {
    "ManyAnswers": {"outcomes": _ANSWERS},
    "ManyReported": {"reports": _ANSWERS},
}


@router.post(
    "/outcomes",
    name=Act.DECIDE_TASK,
    response_model=ManyAnswers,
    summary="Answer many tasks (批量答复)",
    responses=refusals(400, 401, 403, 413, 422),
)
async def post_outcomes(
    body: Annotated[ManyOutcomes, Body(examples=[_BODY])],
    request: Request,
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Put outcomes on file one by one, each in its own transaction, with an answer for each.

    One that is refused stops no other. Sending the same body again is safe.
    """
    _check_once("outcomes", [each.task_id for each in body.outcomes])

    async def one(sent: OneOutcome) -> tuple[Mapping[str, Any], int]:
        return await answered(sent.task_id, _read(Outcome, sent.outcome), caller, services)

    return {"outcomes": [await _one(each.task_id, one(each), request) for each in body.outcomes]}


@router.post(
    "/events",
    name=Act.REPORT_ON_TASK,
    response_model=ManyReported,
    summary="Report of many tasks (批量上报)",
    responses=refusals(400, 401, 403, 413, 422),
)
async def post_reports(
    body: Annotated[ManyReports, Body(examples=[_REPORTS])],
    key: IdempotencyKey,
    request: Request,
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Report of tasks one by one, e.g. who claims them, with an answer for each.

    One that is refused stops no other. Sending the same body under the same key again is safe.
    """
    _check_once("reports", [each.task_id for each in body.reports])

    async def one(sent: OneReport) -> tuple[Mapping[str, Any], int]:
        said = _read(Report, sent.report)
        return await report(sent.task_id, said, key, caller, services), 200

    return {"reports": [await _one(each.task_id, one(each), request) for each in body.reports]}


def _check_once(name: str, task_ids: Sequence[str]) -> None:
    twice = [
        FieldProblem(
            f"{name}.{position}.task_id",
            f"{task_id} is named twice",
            f"任务 {task_id} 重复",
        )
        for position, task_id in enumerate(task_ids)
        if task_id in task_ids[:position]
    ]
    if twice:
        raise InputRefused(*twice)


async def _one(
    task_id: str, doing: Awaitable[tuple[Mapping[str, Any], int]], request: Request
) -> Mapping[str, Any]:
    try:
        task, status = await doing
    except Exception as error:  # noqa: BLE001  one task's trouble is no other's
        problem = body_of(error, request)
        return _answer(task_id, problem["status"], problem=problem)
    return _answer(task_id, status, task=task)


def _read(kind: type[M], sent: object) -> M:
    try:
        # As the framework reads the body of one.
        return kind.model_validate(sent, from_attributes=True)
    except ValidationError as error:
        raise InputRefused(*field_problems(error.errors())) from None


def _answer(
    task_id: str,
    status: int,
    *,
    task: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    return {"task_id": task_id, "status": status, "task": task, "problem": problem}
