"""Opinions: asking a unit that has no account, and the page where it answers by its link.

The secret of a link stands in no address but the link's own: opening it keeps the secret for this
browser and leads on, so it is neither in the next address nor in what other pages are told.
"""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api import opinions
from api.problems import Problem, Refused, field_problems
from api.services import Services, Serving
from console.answers import filled
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from console.tasks import task_page
from console.tries import Tries
from domain.access import Act
from domain.errors import (
    FieldProblem,
    IdempotencyConflict,
    InputRefused,
    LimitReached,
    OpinionClosed,
    ReplyConflict,
    TaskClosed,
)
from domain.opinions import Opinion, Question
from domain.route import Route
from domain.route_words import fact_words
from domain.words import Words

router = APIRouter()

OPINIONS = f"{PATH}/opinions"
LINK = "onewindow_opinion"
"""The secret of the link that was opened last, for the page of opinions alone."""
KEPT_FOR_S = 24 * 3600
_TOO_OFTEN = Problem("too-many-tries", 429, "Too many tries", "尝试次数过多")


@router.post("/tasks/{task_id}/opinions", name=Act.ASK_OPINION)
async def ask(request: Request, task_id: str, visitor: Guarded, services: Serving) -> Response:
    """Ask a unit, and show its link, this once."""
    form = await request.form()
    link, problems = None, list[FieldProblem]()
    try:
        question = Question.model_validate(filled(form, "unit", "question", "answer_by"))
        key = str(form.get("key", ""))[:200] or secrets.token_urlsafe(16)
        _, token = await opinions.asked_of(task_id, question, key, visitor.caller, services)
    except ValidationError as error:
        problems = field_problems(error.errors())
    except InputRefused as refused:
        problems = list(refused.problems)
    except LimitReached as refused:
        problems = [FieldProblem("unit", refused.en, refused.zh)]
    except IdempotencyConflict:
        zh = "此表单已提交过，请刷新页面后再填写"
        problems = [FieldProblem("unit", "this form was sent before; reload the page", zh)]
    except TaskClosed as refused:
        problems = [FieldProblem("unit", str(refused), "任务已办结，不再征求意见")]
    else:
        if token is None:
            # Reloaded: it was shown, and is not known any more.
            return RedirectResponse(f"{PATH}/tasks/{task_id}", status_code=303)
        link = f"{str(request.base_url).rstrip('/').removesuffix(PATH)}{OPINIONS}/{token}"
        form = FormData()
    return await task_page(
        request,
        task_id,
        visitor,
        services,
        asked=form if problems else None,
        link=link,
        problems=problems,
    )


# ---------------------------------------------------------------- the unit's page


@router.get("/opinions/{token}", name=Act.GIVE_OPINION)
async def open_link(request: Request, token: str, visitor: Guarded, services: Serving) -> Response:
    """Keep the secret for this browser, and lead on to an address without it."""
    _take(request, services)
    response = RedirectResponse(OPINIONS, status_code=303)
    response.set_cookie(
        LINK,
        token[:200] if token.isascii() else "",
        max_age=KEPT_FOR_S,
        path=OPINIONS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.get("/opinions", name=Act.GIVE_OPINION)
async def show_question(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show a unit what it is asked, and what it answered."""
    token = request.cookies.get(LINK, "")
    return await _opinion(request, token, visitor, services)


@router.post("/opinions", name=Act.GIVE_OPINION)
async def answer(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Take a unit's answer, once."""
    _take(request, services)
    form = await request.form()
    # Of the page that was filled in: another link may have been opened since.
    token = str(form.get("link", ""))[:200]
    try:
        opinion = Opinion.model_validate(filled(form, "opinion", "text", "by_unit"))
        await opinions.given(token, opinion, services)
    except ValidationError as error:
        problems = field_problems(error.errors())
    except InputRefused as refused:
        problems = list(refused.problems)
    except ReplyConflict:
        zh = "本链接已有不同的答复，原答复不变"
        problems = [FieldProblem("opinion", "another answer was given before; it stands", zh)]
    else:
        problems = []
    return await _opinion(request, token, visitor, services, form=form, problems=problems)


def _take(request: Request, services: Services) -> None:
    tries: Tries = request.app.state.opinion_tries
    if not tries.take(request.client.host if request.client else "", services.now()):
        raise Refused(_TOO_OFTEN, "wait a few minutes, then try again", "请几分钟后再试")


async def _opinion(
    request: Request,
    token: str,
    visitor: Visitor,
    services: Services,
    *,
    form: FormData | None = None,
    problems: list[FieldProblem] | None = None,
) -> Response:
    asked, closed = None, None
    try:
        asked = await opinions.seen_under(token, services)
    except OpinionClosed as refused:
        closed = refused
    route = asked["route"] if asked else None
    return page(
        request,
        visitor,
        "opinion.html",
        status=422 if problems else 200,
        back=OPINIONS,
        asked=asked,
        closed=closed,
        link=token,
        district=services.policy.districts.get(asked["district"]) if asked else None,
        segments=_segments(route),
        form=form or FormData(),
        problems=Problems(problems or ()),
    )


def _segments(route: object) -> list[list[Words]]:
    if route is None:
        return []
    return [
        [fact_words(fact, value) for fact, value in segment if value]
        for segment in Route.model_validate(route).segments
    ]
