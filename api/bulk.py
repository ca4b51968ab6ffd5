"""Outcomes of many tasks at once: each decided by itself, as if it had been sent alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.auth import Caller, SignedIn
from api.problems import body_of, field_problems
from api.schemas import (
    ANSWER_EXAMPLES,
    OUTCOME_EXAMPLES,
    PROBLEM_EXAMPLE,
    ProblemBody,
    Shown,
    TaskBody,
    refusals,
)
from api.services import Services, Serving
from api.tasks import answered
from domain.errors import FieldProblem, InputRefused
from domain.outcomes import Outcome

router = APIRouter(prefix="/tasks", tags=["tasks"])


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
BULK_EXAMPLES: dict[str, dict[str, Any]] = {
    "ManyAnswers": {
        "outcomes": [
            {"task_id": _TASK["id"], "status": 200, "task": _TASK, "problem": None},
            {
                "task_id": "ZJ20260000029.permits-water.1",
                "status": 422,
                "task": None,
                "problem": PROBLEM_EXAMPLE,
            },
        ]
    }
}


@router.post(
    "/outcomes",
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
    task_ids = [each.task_id for each in body.outcomes]
    twice = [
        FieldProblem(
            f"outcomes.{position}.task_id",
            f"{task_id} is answered twice",
            f"任务 {task_id} 重复答复",
        )
        for position, task_id in enumerate(task_ids)
        if task_id in task_ids[:position]
    ]
    if twice:
        raise InputRefused(*twice)
    return {"outcomes": [await _one(each, request, caller, services) for each in body.outcomes]}


async def _one(
    sent: OneOutcome, request: Request, caller: Caller, services: Services
) -> Mapping[str, Any]:
    try:
        task, status = await answered(sent.task_id, _outcome(sent.outcome), caller, services)
    except Exception as error:  # noqa: BLE001  one task's trouble is no other's
        problem = body_of(error, request)
        return _answer(sent.task_id, problem["status"], problem=problem)
    return _answer(sent.task_id, status, task=task)


def _outcome(sent: object) -> Outcome:
    try:
        # As the framework reads the body of one.
        return Outcome.model_validate(sent, from_attributes=True)
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
