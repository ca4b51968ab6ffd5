"""Signing in and out, the own password, the language.

Accounts of a city's own identity provider (OIDC) come later: whoever it names takes the same way
from `_signed_in` on, and the pages behind it know no difference.
"""

from __future__ import annotations

import asyncio
import re
from time import monotonic

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.services import Serving
from console.guard import (
    HOME_OF,
    PATH,
    SESSION,
    VISIT,
    Guarded,
    drop,
    keep,
)
from console.language import LANGUAGE, is_language
from console.rendering import Problems, page
from console.tries import Tries
from domain.access import Act
from domain.accounts import LONGEST_PASSWORD, password_problems
from domain.errors import FieldProblem
from storage.accounts import Accounts

router = APIRouter()

REFUSED_AFTER_S = 0.5
"""No refusal comes sooner, so that how long one takes tells nothing of what is on file."""
_OURS = re.compile(rf"{PATH}/[A-Za-z0-9/._?=&%-]*")
_A_YEAR_S = 365 * 24 * 3600


@router.get("/", name=Act.COME_HOME)
async def home(visitor: Guarded) -> Response:
    """Lead to where the role's day begins."""
    return RedirectResponse(HOME_OF[visitor.signed_in.role], status_code=303)


@router.get("/sign-in", name=Act.SIGN_IN)
async def sign_in_page(request: Request, visitor: Guarded, next: str = "") -> Response:  # noqa: A002
    """Ask for account and password."""
    if visitor.account is not None:
        return RedirectResponse(f"{PATH}/", status_code=303)
    return page(request, visitor, "sign_in.html", refused=None, next=_ours(next), account_id="")


@router.post("/sign-in", name=Act.SIGN_IN)
async def sign_in(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Let somebody in, or say that account and password do not fit, and no more."""
    began = monotonic()
    form = await request.form()
    account_id, password = str(form.get("account", "")).strip(), str(form.get("password", ""))
    go_on = _ours(str(form.get("next", "")))
    tries: Tries = request.app.state.tries
    accounts: Accounts = request.app.state.accounts
    now = services.now()
    refused, status, token = "wrong", 401, None
    if not tries.take(request.client.host if request.client else "", now):
        refused, status = "too_many", 429
    elif len(password) <= LONGEST_PASSWORD:
        token = await accounts.sign_in(account_id, password, at=now)
    if token is None:
        await asyncio.sleep(REFUSED_AFTER_S - (monotonic() - began))
        return page(
            request,
            visitor,
            "sign_in.html",
            status=status,
            back=f"{PATH}/sign-in",
            refused=refused,
            next=go_on,
            account_id=account_id,
        )
    return _signed_in(request, token, go_on or f"{PATH}/")


def _signed_in(request: Request, token: str, path: str) -> Response:
    response = RedirectResponse(path, status_code=303)
    drop(response, request, VISIT)
    keep(response, request, SESSION, token)
    return response


@router.post("/sign-out", name=Act.SIGN_OUT)
async def sign_out(request: Request, visitor: Guarded) -> Response:
    """End the session."""
    accounts: Accounts = request.app.state.accounts
    await accounts.sign_out(visitor.secret)
    response = RedirectResponse(f"{PATH}/sign-in", status_code=303)
    drop(response, request, SESSION)
    return response


@router.get("/password", name=Act.CHANGE_PASSWORD)
async def password_page(request: Request, visitor: Guarded) -> Response:
    """Ask for a password of one's own."""
    return page(request, visitor, "password.html", problems=Problems())


@router.post("/password", name=Act.CHANGE_PASSWORD)
async def change_password(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Take a new password; whoever else was signed in under this account no longer is."""
    form = await request.form()
    current, new, again = (str(form.get(name, "")) for name in ("current", "new", "again"))
    accounts: Accounts = request.app.state.accounts
    account, now = visitor.signed_in, services.now()
    problems = password_problems(new, again, account_id=account.id, current=current)
    if not problems and not await accounts.change_password(account.id, current, new, at=now):
        problems.append(
            FieldProblem(
                "current",
                "is not your password; after five failures the account is locked for 15 minutes",
                "当前密码不正确；连续 5 次错误后账号锁定 15 分钟",
            )
        )
    if problems:
        return page(
            request,
            visitor,
            "password.html",
            status=422,
            back=f"{PATH}/password",
            problems=Problems(problems),
        )
    token = await accounts.sign_in(account.id, new, at=now)
    return _signed_in(request, token, f"{PATH}/") if token else await sign_out(request, visitor)


@router.get("/language/{language}", name=Act.CHOOSE_LANGUAGE)
async def choose_language(
    request: Request, language: str, visitor: Guarded, back: str = ""
) -> Response:
    """Go on in the other language, where one was."""
    response = RedirectResponse(_ours(back) or f"{PATH}/", status_code=303)
    if is_language(language):
        keep(response, request, LANGUAGE, language, max_age=_A_YEAR_S)
    return response


def _ours(path: str) -> str:
    """Return an address to go on to if it is one of our pages; nobody is led elsewhere."""
    return path if _OURS.fullmatch(path) and "//" not in path else ""
