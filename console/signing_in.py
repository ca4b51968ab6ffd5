"""Signing in and out, the own password, the language.

Whom the city's identity provider names (`console.provider_sign_in`) takes the same way from
`led_on` on, and the pages behind it know no difference.
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
    Visitor,
    drop,
    keep,
)
from console.identity_provider import IdentityProvider
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
async def sign_in_page(
    request: Request,
    visitor: Guarded,
    next: str = "",  # noqa: A002
    left: str = "",
) -> Response:
    """Ask for account and password; or say where else one may still be signed in."""
    if visitor.account is not None:
        return RedirectResponse(f"{PATH}/", status_code=303)
    return await sign_in_form(request, visitor, go_on=ours(next), has_left=left == "provider")


async def sign_in_form(
    request: Request,
    visitor: Visitor,
    *,
    status: int = 200,
    refused: str | None = None,
    trouble: str | None = None,
    subject: str | None = None,
    go_on: str = "",
    account_id: str = "",
    has_left: bool = False,
) -> Response:
    """Show the ways in, and why the last one failed.

    Args:
        refused: why the password was.
        trouble: why the identity provider led nobody in.
        subject: who somebody is there whom no account is linked to.
        has_left: a session that the identity provider vouched for has just ended.
    """
    provider: IdentityProvider | None = request.app.state.provider
    elsewhere = None
    if has_left and provider is not None:
        elsewhere = await provider.sign_out_address(our_address(request, f"{PATH}/sign-in"))
    return page(
        request,
        visitor,
        "sign_in.html",
        status=status,
        back=None if status == 200 else f"{PATH}/sign-in",
        refused=refused,
        trouble=trouble,
        subject=subject,
        provider=provider,
        has_left=has_left and provider is not None,
        elsewhere=elsewhere,
        next=go_on,
        account_id=account_id,
    )


@router.post("/sign-in", name=Act.SIGN_IN)
async def sign_in(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Let somebody in, or say that account and password do not fit, and no more."""
    began = monotonic()
    if visitor.account is not None:
        return RedirectResponse(f"{PATH}/", status_code=303)
    form = await request.form()
    account_id, password = str(form.get("account", "")).strip(), str(form.get("password", ""))
    go_on = ours(str(form.get("next", "")))
    tries: Tries = request.app.state.tries
    accounts: Accounts = request.app.state.accounts
    now = services.now()
    refused, status, token = "wrong", 401, None
    address = request.client.host if request.client else ""
    if not tries.take(address, now):
        refused, status = "too_many", 429
    elif len(password) <= LONGEST_PASSWORD:
        token = await accounts.sign_in(account_id, password, at=now)
    if token is None:
        await asyncio.sleep(REFUSED_AFTER_S - (monotonic() - began))
        return await sign_in_form(
            request, visitor, status=status, refused=refused, go_on=go_on, account_id=account_id
        )
    # An office behind one address signs in at half past eight, and is no machine that guesses.
    tries.give_back(address)
    return led_on(request, token, go_on or f"{PATH}/")


def led_on(request: Request, token: str, path: str) -> Response:
    """Lead somebody on whose session has just begun."""
    response = RedirectResponse(path, status_code=303)
    drop(response, request, VISIT)
    keep(response, request, SESSION, token)
    return response


@router.post("/sign-out", name=Act.SIGN_OUT)
async def sign_out(request: Request, visitor: Guarded, services: Serving) -> Response:
    """End the session; or every session of this account."""
    accounts: Accounts = request.app.state.accounts
    form = await request.form()
    issuer = await accounts.sign_out(visitor.secret)
    if form.get("everywhere"):
        account = visitor.signed_in.id
        await accounts.end_sessions(account, at=services.now(), by=account)
    provider: IdentityProvider | None = request.app.state.provider
    is_elsewhere = provider is not None and issuer == provider.issuer
    response = RedirectResponse(
        f"{PATH}/sign-in?left=provider" if is_elsewhere else f"{PATH}/sign-in", status_code=303
    )
    drop(response, request, SESSION)
    return response


@router.get("/password", name=Act.CHANGE_PASSWORD)
async def password_page(request: Request, visitor: Guarded) -> Response:
    """Ask for a password of one's own."""
    return _password_form(request, visitor, Problems())


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
        return _password_form(request, visitor, Problems(problems))
    token = await accounts.sign_in(account.id, new, at=now)
    if token is None:  # Locked or disabled meanwhile.
        return await sign_out(request, visitor, services)
    return led_on(request, token, f"{PATH}/")


def _password_form(request: Request, visitor: Visitor, problems: Problems) -> Response:
    return page(
        request,
        visitor,
        "password.html",
        status=422 if problems else 200,
        back=f"{PATH}/password",
        problems=problems,
        provider=request.app.state.provider,
    )


@router.get("/language/{language}", name=Act.CHOOSE_LANGUAGE)
async def choose_language(
    request: Request, language: str, visitor: Guarded, back: str = ""
) -> Response:
    """Go on in the other language, where one was."""
    response = RedirectResponse(ours(back) or f"{PATH}/", status_code=303)
    if is_language(language):
        keep(response, request, LANGUAGE, language, max_age=_A_YEAR_S)
    return response


def our_address(request: Request, path: str) -> str:
    """Return the address of a page of ours as whoever asks spells it, host included."""
    return f"{request.url.scheme}://{request.url.netloc}{path}"


def ours(path: str) -> str:
    """Return an address to go on to if it is one of our pages; nobody is led elsewhere."""
    return path if _OURS.fullmatch(path) and "//" not in path else ""
