"""Opinions of units without an account, each by a link that is given out once (征求意见)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Response

from activities.contract import civil_text, task_title
from api.applications import IdempotencyKey
from api.auth import Caller, SignedIn
from api.responses import spelled
from api.schemas import Shown, Texts, refusals
from api.services import Services, Serving
from api.tasks import check_own, task_id_of
from domain.access import Act
from domain.errors import OpinionClosed
from domain.opinions import Opinion, Question, View, check_opinion, is_over
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.appending import DECIDED
from storage.opinions import OpinionRecord
from storage.records import Notice, TaskRecord

router = APIRouter(prefix="/tasks", tags=["tasks"])
links = APIRouter(prefix="/opinions", tags=["open to all"])

TOKEN_BYTES = 32
# Who has the address has the secret: no cache on the way may keep what it leads to.
UNKEPT = {"Cache-Control": "no-store"}


class OpinionBody(Shown):
    """What a unit was asked about a task, and what it said."""

    number: int
    unit: str
    question: str
    answer_by: str
    asked_by: str
    asked_at: str
    state: Literal["open", "answered", "closed"]
    opinion: View | None
    text: str | None
    by_unit: str | None
    answered_at: str | None


class AskedOpinionBody(OpinionBody):
    """The same, with the link for the unit; null if it was given out before."""

    link: str | None


class LinkBody(Shown):
    """What a unit sees by its link: what it is asked, where, and nothing of the applicant.

    Attributes:
        route: the external line as designed; null before.
    """

    unit: str
    question: str
    answer_by: str
    asked_by: Texts
    task: Texts
    address: str
    district: str
    route: dict[str, Any] | None
    opinion: View | None
    text: str | None
    by_unit: str | None
    answered_at: str | None


_QUESTION: dict[str, Any] = {
    "unit": "市路灯管理所",
    "question": "拟在示例路开挖电缆沟，请对涉及的路灯线缆提出意见。",
    "answer_by": "2026-09-18",
}
_SAID: dict[str, Any] = {
    "opinion": "remarks",
    "text": "同意开挖，施工前请到我所现场交底。",
    "by_unit": "市路灯管理所",
}
_UNSAID: dict[str, Any] = {"opinion": None, "text": None, "by_unit": None, "answered_at": None}
_ANSWERED: dict[str, Any] = {
    "number": 1,
    **_QUESTION,
    "asked_by": "water",
    "asked_at": "2026-09-16T15:20:00+08:00",
    "state": "answered",
    **_SAID,
    "answered_at": "2026-09-17T10:00:00+08:00",
}
OPINION_EXAMPLES: dict[str, dict[str, Any]] = {
    "OpinionBody": _ANSWERED,
    "AskedOpinionBody": {
        **_ANSWERED,
        **_UNSAID,
        "state": "open",
        "link": "/api/v1/opinions/0Lf5nbVHm4rUCc1uMvG1UeqI6GnC8y8GZqv0dcrq7Yk",
    },
    "LinkBody": {
        **_QUESTION,
        "asked_by": {"zh": "市水务局", "en": "Water Affairs Bureau"},
        "task": {
            "zh": "外线工程并联审批（市水务局）",
            "en": "Permits for the external line (Water Affairs Bureau)",
        },
        "address": "湛江市赤坎区示例路1号",
        "district": "440802",
        "route": None,
        **_UNSAID,
    },
}


@router.post(
    "/{task_id}/opinions",
    name=Act.ASK_OPINION,
    status_code=201,
    response_model=AskedOpinionBody,
    summary="Ask an outside unit for its opinion (征求意见)",
    responses={
        200: {
            "model": AskedOpinionBody,
            "description": "Asked before; its link was shown then",
        },
        **refusals(400, 401, 403, 404, 409, 413, 422),
    },
)
async def ask(
    task_id: str,
    body: Annotated[Question, Body(examples=[_QUESTION])],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Ask a unit that has no account, while one owes the task; pass the link on to it.

    Who has the link can answer, once, until `answer_by` or until the task is decided. It is shown
    this once: if it is lost, ask again under another key. An opinion decides nothing, and waiting
    for it stops no clock.
    """
    shown, token = await asked_of(task_id, body, key, caller, services)
    link = None if token is None else f"/api/v1/opinions/{token}"
    return spelled({**shown, "link": link}, 200 if token is None else 201, UNKEPT)


async def asked_of(
    task_id: str, body: Question, key: str, caller: Caller, services: Services
) -> tuple[Mapping[str, Any], str | None]:
    """Ask a unit; return what it was asked, and the secret of its link unless asked before.

    Raises:
        OneWindowError: the question is refused.
    """

    def check(task: TaskRecord) -> datetime:
        check_own(task, caller, Act.ASK_OPINION)
        return task.clock.civil(services.now())

    task_id = task_id_of(task_id)
    task = await services.reading.task(task_id)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    asked = await services.opinions.ask(
        task_id, body, token, key=key, by=caller.agency, check=check
    )
    return _body(asked.opinion, task, services), token if asked.is_new else None


@router.get(
    "/{task_id}/opinions",
    name=Act.SEE_TASKS,
    response_model=list[OpinionBody],
    summary="Opinions asked about a task",
    responses=refusals(401, 403, 404),
)
async def list_opinions(
    task_id: str, caller: SignedIn, services: Serving
) -> list[Mapping[str, Any]]:
    """Return what units were asked about a task, in order, and what they said."""
    task = await services.reading.task(task_id_of(task_id))
    check_own(task, caller, Act.SEE_TASKS)
    return [_body(each, task, services) for each in await services.opinions.of_task(task.id)]


@links.get(
    "/{token}",
    name=Act.GIVE_OPINION,
    response_model=LinkBody,
    summary="What is asked under a link",
    responses=refusals(404, 410),
)
async def get_opinion(token: str, services: Serving) -> Response:
    """Show a unit what it is asked, and what it answered; no key, the link is the secret."""
    return spelled(await seen_under(token, services), 200, UNKEPT)


async def seen_under(token: str, services: Services) -> Mapping[str, Any]:
    """Return what a unit sees under a link.

    Raises:
        OneWindowError: there is no such link, or none is taken any more.
    """
    asked = await services.opinions.under(token)
    task = await services.reading.task(asked.task_id)
    check_taken(task, asked, task.clock.civil(services.now()))
    return _seen(asked, task)


@links.put(
    "/{token}",
    name=Act.GIVE_OPINION,
    response_model=LinkBody,
    summary="Give an opinion",
    responses=refusals(400, 404, 409, 410, 413, 422),
)
async def give_opinion(
    token: str, body: Annotated[Opinion, Body(examples=[_SAID])], services: Serving
) -> Response:
    """Answer once, without a key: the same again is 200, another is 409."""
    return spelled(await given(token, body, services), 200, UNKEPT)


async def given(token: str, body: Opinion, services: Services) -> Mapping[str, Any]:
    """Put an opinion on file; return what the unit sees from then on.

    Raises:
        OneWindowError: the opinion is refused.
    """
    check_opinion(body)

    def check(task: TaskRecord, asked: OpinionRecord) -> datetime:
        at = task.clock.civil(services.now())
        check_taken(task, asked, at)
        return at

    answered = await services.opinions.answer(token, body, check=check, told=_notice)
    return _seen(answered.opinion, answered.task)


def check_taken(task: TaskRecord, asked: OpinionRecord, at: datetime) -> None:
    """Refuse a link under which no opinion is taken any more.

    Args:
        at: civil instant.

    Raises:
        OpinionClosed: says why.
    """
    if task.state != "open":
        raise OpinionClosed(
            task.closed_by or DECIDED,
            "the matter is closed, so no opinion is taken any more",
            "该事项已办结，不再征求意见",
        )
    if is_over(asked.answer_by, civil_date(at)):
        raise OpinionClosed(
            "answer_by",
            f"opinions were taken until {asked.answer_by}",
            f"征求意见已于 {asked.answer_by} 截止",
        )


def _state(asked: OpinionRecord, task: TaskRecord, services: Services) -> str:
    if asked.answered_at is not None:
        return "answered"
    today = civil_date(task.clock.civil(services.now()))
    return "closed" if task.state != "open" or is_over(asked.answer_by, today) else "open"


def _body(asked: OpinionRecord, task: TaskRecord, services: Services) -> Mapping[str, Any]:
    return {
        "number": asked.number,
        "asked_by": asked.asked_by,
        "asked_at": civil_text(asked.asked_at),
        "state": _state(asked, task, services),
        **_said(asked),
    }


def _seen(asked: OpinionRecord, task: TaskRecord) -> Mapping[str, Any]:
    # RB-13.1: what an opinion can be given on, and no more.
    policy = policy_for(task.policy)
    agency = policy.agencies[asked.asked_by]
    return {
        "asked_by": {"zh": agency.zh, "en": agency.en},
        "task": task_title(task.kind, task.department, policy),
        "address": task.facts.address,
        "district": task.facts.district,
        "route": task.facts.route,
        **_said(asked),
    }


def _said(asked: OpinionRecord) -> Mapping[str, Any]:
    return {
        "unit": asked.unit,
        "question": asked.question,
        "answer_by": asked.answer_by.isoformat(),
        "opinion": asked.opinion,
        "text": asked.text,
        "by_unit": asked.by_unit,
        "answered_at": asked.answered_at and civil_text(asked.answered_at),
    }


def _notice(answered: OpinionRecord) -> Notice:
    return Notice(
        kind="opinion_given",
        recipient=answered.asked_by,
        body={
            "number": answered.number,
            "unit": answered.unit,
            "opinion": answered.opinion,
            "zh": f"{answered.unit}已答复征求意见",
            "en": f"{answered.unit} has given its opinion",
            "clause": "CON",
        },
    )
