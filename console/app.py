"""Composition root of the console: its pages, beside the API in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import INVALID, NO_METHOD, NOT_FOUND, Problem, Refused, body_of, spelled_out
from api.services import Services
from console import (
    acts,
    administration,
    applying,
    attaching,
    behind,
    calendar_years,
    case_actions,
    cases,
    escalations,
    following,
    guide,
    importing,
    live,
    opinions,
    policies,
    provider_sign_in,
    repairs,
    replays,
    selected,
    signing_in,
    stuck,
    supervision,
    system_keys,
    tasks,
    users,
)
from console.guard import (
    FOLLOW,
    FOLLOWING,
    PATH,
    FollowNeeded,
    FormRefused,
    PasswordNeeded,
    SignInNeeded,
    Visitor,
    guard,
    sign_in_path,
)
from console.identity_provider import identity_provider
from console.language import language_of
from console.live import Live
from console.rendering import STATIC, page
from console.tries import Tries
from domain.access import Act
from domain.errors import OneWindowError
from storage.accounts import Accounts
from storage.watching import Watching

# Nothing from elsewhere, nothing inline, in no frame: a text that somebody smuggled onto a page
# stays a text.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_FORM_REFUSED = Problem(
    "form-refused", 403, "The form is not from this session", "表单不属于本次登录"
)

_FORM_UNREADABLE = Problem("form-unreadable", 400, "The form cannot be read", "表单无法读取")

# Addresses of one name come before those that have an id in its place.
MODULES = (
    signing_in,
    provider_sign_in,
    live,
    selected,
    opinions,
    tasks,
    applying,
    importing,
    case_actions,
    cases,
    behind,
    escalations,
    supervision,
    following,
    guide,
    administration,
    stuck,
    replays,
    repairs,
    calendar_years,
    policies,
    users,
    acts,
    system_keys,
)
"""The modules that hold pages; another one is added here."""


def pages() -> Iterator[APIRoute]:
    """Yield the route of every page."""
    for module in MODULES:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            yield route


_BY_STATUS = {NO_METHOD.status: NO_METHOD, _FORM_UNREADABLE.status: _FORM_UNREADABLE}


def mount(api: FastAPI) -> FastAPI:
    """Serve the console at `/console`, with the services of an API; return the console."""
    services: Services = api.state.services
    console = build(services)
    live: Live = console.state.live
    served = api.router.lifespan_context

    @asynccontextmanager
    async def with_live(app: FastAPI) -> AsyncIterator[Any]:
        async with served(app) as state:
            try:
                yield state
            finally:
                await live.close()

    api.router.lifespan_context = with_live
    api.state.end_streams = live.stop
    api.state.larger_bodies[attaching.PATHS] = attaching.limit_of(services.settings)
    api.state.larger_bodies[importing.PATHS] = importing.LIMIT_BYTES
    api.mount(PATH, Headers(console))
    api.add_api_route("/", _to_console, include_in_schema=False)
    return console


def build(services: Services) -> FastAPI:
    """Put the console together.

    Raises:
        ValueError: a page has no act, so nobody would know who may see it.
    """
    console = FastAPI(openapi_url=None, dependencies=[Depends(guard)])
    console.state.services = services
    console.state.accounts = Accounts(services.casefile.engine)
    console.state.tries = Tries()
    console.state.live = Live(Watching(services.casefile.engine))
    console.state.provider = identity_provider(services.settings)
    console.state.provider_tries = Tries()
    console.state.opinion_tries = Tries()
    for module in MODULES:
        console.include_router(module.router)
    for route in pages():
        Act(route.name)
    console.mount("/static", StaticFiles(directory=STATIC), name="static")
    console.add_exception_handler(SignInNeeded, _to_sign_in)
    console.add_exception_handler(PasswordNeeded, _to_password)
    console.add_exception_handler(FollowNeeded, _to_following)
    console.add_exception_handler(ClientDisconnect, _to_nobody)
    for kind in (FormRefused, OneWindowError, Refused, RequestValidationError, HTTPException):
        console.add_exception_handler(kind, _refused)
    console.add_exception_handler(Exception, _refused)
    return console


async def _to_console() -> Response:
    return RedirectResponse(f"{PATH}/", status_code=303)


async def _to_sign_in(request: Request, _error: Exception) -> Response:
    return _elsewhere(request, sign_in_path(request))


async def _to_following(request: Request, _error: Exception) -> Response:
    has_ended = "?ended=yes" if FOLLOWING in request.cookies else ""
    return _elsewhere(request, f"{FOLLOW}{has_ended}")


async def _to_nobody(_request: Request, _error: Exception) -> Response:
    """Answer whoever left before the form had come: a check that a later one took the place of."""
    return Response(status_code=400)


async def _to_password(request: Request, _error: Exception) -> Response:
    return _elsewhere(request, f"{PATH}/password")


def _elsewhere(request: Request, path: str) -> Response:
    if request.headers.get("HX-Request"):
        # A script would put the other page into this one.
        return Response(status_code=401, headers={"HX-Redirect": path})
    return RedirectResponse(path, status_code=303)


async def _refused(request: Request, error: Exception) -> Response:
    """Answer with a page that says what the API would say."""
    problem = _problem(error, request)
    visitor = getattr(request.state, "visitor", None) or Visitor(None, language_of(request), "")
    return page(request, visitor, "problem.html", status=problem["status"], problem=problem)


def _problem(error: Exception, request: Request) -> Mapping[str, Any]:
    match error:
        case Refused():
            return spelled_out(error.problem, en=error.en, zh=error.zh)
        case FormRefused():
            return spelled_out(
                _FORM_REFUSED,
                en="go back, load the page again and send the form once more",
                zh="请返回并刷新页面，再重新提交",
            )
        case RequestValidationError():
            return spelled_out(INVALID, en="the address is not complete", zh="网址不正确")
        case HTTPException():
            known = _BY_STATUS.get(error.status_code, NOT_FOUND)
            return spelled_out(known, en=known.en, zh=known.zh)
        case _:
            return body_of(error, request)


class Headers:
    """Sets what browsers are told about every answer; pages are not kept, static files are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_static = scope["path"].startswith(f"{PATH}/static/")
        kept = "public, max-age=31536000, immutable" if is_static else "no-store"
        told = {**_HEADERS, "Cache-Control": kept}
        if scope.get("scheme") == "https":
            # Once by https, no more by http: whoever sits between must not lead people back to it.
            told["Strict-Transport-Security"] = "max-age=31536000"
        headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]

        has_answered = False

        async def with_headers(message: Message) -> None:
            nonlocal has_answered
            if message["type"] == "http.response.start":
                has_answered = True
                set_here = {name for name, _ in headers}
                others = [each for each in message["headers"] if each[0].lower() not in set_here]
                message = {**message, "headers": [*others, *headers]}
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except Exception:
            # By then it was logged, and answered with a page; the API would log it once more.
            if not has_answered:
                raise
