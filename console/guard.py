"""Who is asking, and whether they may: the one place where every page is let through or refused."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.responses import Response

from api.auth import Caller
from api.problems import NOT_ALLOWED, Refused
from api.services import Services
from api.tasks import check_own, task_id_of
from console.language import Language, language_of
from domain.access import BEFORE_OWN_PASSWORD, OPEN_TO_ALL, Act, Whose, whose
from domain.accounts import StaffRole
from storage.accounts import Account, Accounts

PATH = "/console"
SESSION = "onewindow_session"
VISIT = "onewindow_visit"
"""Of somebody who is not signed in yet: what the form token of the sign-in page is made from."""
FORM_TOKEN = "form_token"  # noqa: S105  the name of a field


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page.

    Attributes:
        account: None where nobody is signed in; such pages are open to all.
        secret: of the session, or of the visit before one.
    """

    account: Account | None
    language: Language
    secret: str

    @property
    def signed_in(self) -> Account:
        """The account of somebody who came past the guard to a page that is not open to all."""
        assert self.account is not None
        return self.account

    @property
    def caller(self) -> Caller:
        """The same as the API's callers are, so that pages and API share their checks."""
        account = self.signed_in
        return Caller(account.agency or account.id, str(account.role))

    @property
    def form_token(self) -> str:
        """What a form of this visitor's carries; who does not know the secret cannot make it."""
        return hmac.new(self.secret.encode(), b"form", hashlib.sha256).hexdigest()

    def may(self, act: Act) -> bool:
        """Whether the table allows it at all, be it of its own agency only."""
        return self.account is not None and whose(self.account.role, act) is not Whose.NOBODYS

    def may_for(self, act: Act, agency: str) -> bool:
        """Whether the table allows it for what an agency owes."""
        if self.account is None:
            return False
        allowed = whose(self.account.role, act)
        return allowed is Whose.ALL or (allowed is Whose.OWN and agency == self.caller.agency)


class SignInNeeded(Exception):
    """Nobody is signed in, or no more."""


class PasswordNeeded(Exception):
    """The password was given by somebody else and must be changed first."""


class FormRefused(Exception):
    """A form came without the token of its page: it was not sent from there, or is too old."""


async def guard(request: Request) -> Visitor:
    """Let a visitor through to the page, or refuse.

    Raises:
        SignInNeeded, PasswordNeeded, FormRefused, Refused: says why not.
    """
    # The name of a route that is no act is a page that nobody thought about: it fails.
    act = Act(request.scope["route"].name)
    visitor = request.state.visitor = await _visitor(request)
    if request.method not in ("GET", "HEAD"):
        await _check_form(request, visitor)
    if act in OPEN_TO_ALL:
        return visitor
    if visitor.account is None:
        raise SignInNeeded
    if visitor.account.must_change_password and act not in BEFORE_OWN_PASSWORD:
        raise PasswordNeeded
    match whose(visitor.account.role, act):
        case Whose.NOBODYS:
            raise Refused(
                NOT_ALLOWED,
                f"this page is not for the role {visitor.account.role}",
                "本角色无权使用此页面",
            )
        case Whose.OWN if "task_id" in request.path_params:
            services: Services = request.app.state.services
            task_id = task_id_of(request.path_params["task_id"])
            check_own(await services.reading.task(task_id), visitor.caller)
        case Whose.OWN | Whose.ALL:
            pass  # A list shows an agency its own, by the API's rule.
    return visitor


Guarded = Annotated[Visitor, Depends(guard)]
"""The visitor of a page, who came past the guard."""


async def _visitor(request: Request) -> Visitor:
    language = language_of(request)
    token = request.cookies.get(SESSION)
    if token:
        accounts: Accounts = request.app.state.accounts
        services: Services = request.app.state.services
        if (account := await accounts.signed_in(token, at=services.now())) is not None:
            return Visitor(account, language, token)
    return Visitor(None, language, request.cookies.get(VISIT) or secrets.token_urlsafe(32))


async def _check_form(request: Request, visitor: Visitor) -> None:
    sent = (await request.form()).get(FORM_TOKEN)
    if not isinstance(sent, str) or not hmac.compare_digest(
        sent.encode(errors="surrogatepass"), visitor.form_token.encode()
    ):
        raise SignInNeeded if visitor.account is None else FormRefused


def keep(
    response: Response, request: Request, name: str, value: str, max_age: int | None = None
) -> None:
    """Set a cookie that no script reads and no other site sends along."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=PATH,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def drop(response: Response, request: Request, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(
        name, path=PATH, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )


def sign_in_path(request: Request) -> str:
    """Return where to sign in, and come back from to what was asked for."""
    asked = request.url.path
    if request.method != "GET" or not asked.startswith(f"{PATH}/"):
        return f"{PATH}/sign-in"
    if request.url.query:
        asked += f"?{request.url.query}"
    return f"{PATH}/sign-in?next={quote(asked, safe='/')}"


HOME_OF = {
    StaffRole.DESK: f"{PATH}/tasks",
    StaffRole.DEPARTMENT: f"{PATH}/tasks",
    StaffRole.UTILITY: f"{PATH}/tasks",
    StaffRole.SUPERVISOR: f"{PATH}/supervision",
    StaffRole.ADMINISTRATOR: f"{PATH}/cases",
}
"""Where each role's day begins."""
