"""Who is asking, and whether they may: the one place where every page is let through or refused."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
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
from domain.access import BEFORE_OWN_PASSWORD, FOR_FOLLOWERS, OPEN_TO_ALL, Act, Whose
from domain.accounts import StaffRole
from storage.accounts import Account, Accounts

PATH = "/console"
SESSION = "onewindow_session"
VISIT = "onewindow_visit"
"""Of somebody who is not signed in yet: what the form token of the sign-in page is made from."""
_OURS_ALONE = frozenset({SESSION, VISIT})
_FROM_US = frozenset({"same-origin", "none"})
KEEPS_ITSELF_UP = "X-OneWindow-Live"
"""Sent by a page that fetches what has changed: nobody uses the session thereby."""
MOST_FIELDS = 4_000
"""Of a form: those of a route with a hundred segments."""
FOLLOWING = "onewindow_following"
FOLLOW = f"{PATH}/follow"
"""Where an applicant follows a case; the cookie of that visit is sent nowhere else."""
FORM_TOKEN = "form_token"  # noqa: S105  the name of a field


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page.

    Attributes:
        account: None where nobody is signed in; such pages are open to all, or for an applicant.
        secret: of the session, or of the visit before one.
        follows: number of the case that an applicant follows; None on all other pages.
    """

    account: Account | None
    language: Language
    secret: str
    follows: str | None = None

    @property
    def case_no(self) -> str:
        """The case of an applicant who came past the guard to a page for those who follow one."""
        assert self.follows is not None
        return self.follows

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
        return self.account is not None and self.caller.whose(act) is not Whose.NOBODYS

    def may_for(self, act: Act, agency: str) -> bool:
        """Whether the table allows it for what an agency owes."""
        return self.account is not None and self.caller.may_for(act, agency)


class SignInNeeded(Exception):
    """Nobody is signed in, or no more."""


class FollowNeeded(Exception):
    """Nobody has shown number and secret of a case, or the visit has ended."""


class PasswordNeeded(Exception):
    """The password was given by somebody else and must be changed first."""


class FormRefused(Exception):
    """A form came without the token of its page: it was not sent from there, or is too old."""


async def guard(request: Request) -> AsyncIterator[Visitor]:
    """Let a visitor through to the page, or refuse; files that came with a form are closed after.

    Raises:
        SignInNeeded, PasswordNeeded, FormRefused, Refused: says why not.
    """
    try:
        yield await _let_through(request)
    finally:
        await request.close()


async def _let_through(request: Request) -> Visitor:
    # The name of a route that is no act is a page that nobody thought about: it fails.
    act = Act(request.scope["route"].name)
    is_for_followers = act in FOR_FOLLOWERS
    visitor = await (_follower(request) if is_for_followers else _visitor(request))
    request.state.visitor = visitor
    if is_for_followers and visitor.follows is None:
        raise FollowNeeded
    if visitor.account is None and act not in OPEN_TO_ALL and not is_for_followers:
        # Before a form is read, which may be large.
        raise SignInNeeded
    if request.method not in ("GET", "HEAD"):
        await _check_form(request, visitor, act)
    if act in OPEN_TO_ALL or is_for_followers:
        return visitor
    assert visitor.account is not None
    if visitor.account.must_change_password and act not in BEFORE_OWN_PASSWORD:
        raise PasswordNeeded
    match visitor.caller.whose(act):
        case Whose.NOBODYS:
            raise Refused(
                NOT_ALLOWED,
                f"this page is not for the role {visitor.account.role}",
                "本角色无权使用此页面",
            )
        case Whose.OWN if "task_id" in request.path_params:
            services: Services = request.app.state.services
            task_id = task_id_of(request.path_params["task_id"])
            check_own(await services.reading.task(task_id), visitor.caller, act)
        case Whose.OWN | Whose.ALL:
            pass  # A list shows an agency its own, by the API's rule.
    return visitor


Guarded = Annotated[Visitor, Depends(guard)]
"""The visitor of a page, who came past the guard."""


async def _visitor(request: Request) -> Visitor:
    language = language_of(request)
    token = kept(request, SESSION)
    if token:
        accounts: Accounts = request.app.state.accounts
        services: Services = request.app.state.services
        is_stream = "text/event-stream" in request.headers.get("accept", "")
        is_use = KEEPS_ITSELF_UP not in request.headers and not is_stream
        account = await accounts.signed_in(token, at=services.now(), is_use=is_use)
        if account is not None:
            return Visitor(account, language, token)
    return Visitor(None, language, kept(request, VISIT) or secrets.token_urlsafe(32))


async def _follower(request: Request) -> Visitor:
    """Return who follows a case; an account of ours, or a session of one, makes no difference."""
    language, token = language_of(request), request.cookies.get(FOLLOWING)
    if not token:
        return Visitor(None, language, secrets.token_urlsafe(32))
    services: Services = request.app.state.services
    no = await services.secrets.following.followed(token, at=services.now())
    return Visitor(None, language, token, no)


async def _check_form(request: Request, visitor: Visitor, act: Act) -> None:
    # What the browser itself says of where a form was; older ones, and open lines, say nothing.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in _FROM_US:
        raise FormRefused
    if act is Act.SIGN_IN and visitor.account is not None:
        return  # From a window that was left open; whoever is in stays in, and is led home.
    sent = (await request.form(max_fields=MOST_FIELDS)).get(FORM_TOKEN)
    if not isinstance(sent, str) or not hmac.compare_digest(
        sent.encode(errors="surrogatepass"), visitor.form_token.encode()
    ):
        if act is Act.BEGIN_FOLLOWING:
            raise FollowNeeded
        is_known = visitor.account is not None or visitor.follows is not None
        raise FormRefused if is_known else SignInNeeded


def keep(
    response: Response,
    request: Request,
    name: str,
    value: str,
    max_age: int | None = None,
    path: str = PATH,
) -> None:
    """Set a cookie that no script reads and no other site sends along."""
    response.set_cookie(
        _spelled(request, name),
        value,
        max_age=max_age,
        path=_path(request, name, path),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def drop(response: Response, request: Request, name: str, path: str = PATH) -> None:
    """Take a cookie back."""
    response.delete_cookie(
        _spelled(request, name),
        path=_path(request, name, path),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def kept(request: Request, name: str) -> str | None:
    """Return what `keep` has set."""
    return request.cookies.get(_spelled(request, name))


def _spelled(request: Request, name: str) -> str:
    # A cookie of such a name can be set by this host only, by https: no other host of the city's
    # domain can slip people a session or a visit whose secret it knows.
    is_ours_alone = request.url.scheme == "https" and name in _OURS_ALONE
    return f"__Host-{name}" if is_ours_alone else name


def _path(request: Request, name: str, path: str) -> str:
    return "/" if _spelled(request, name).startswith("__Host-") else path


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
    StaffRole.ADMINISTRATOR: f"{PATH}/admin",
}
"""Where each role's day begins."""
