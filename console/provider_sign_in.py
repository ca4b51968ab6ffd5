"""Signing in through the city's identity provider, and linking the own account to it.

One is led there by a link, not by a form: the pages' policy lets no form lead to another host.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.problems import NOT_FOUND, Refused
from api.services import Services, Serving
from console.guard import PATH, VISIT, Guarded, Visitor, keep, kept
from console.identity_provider import IdentityProvider, ProviderTrouble, Trouble, asked
from console.rendering import Problems, page
from console.signing_in import led_on, our_address, ours, sign_in_form
from console.tries import Tries
from domain.access import Act
from domain.accounts import AccountDisabled, IdentityTaken, NotLinked, ProviderIdentity
from domain.errors import FieldProblem
from storage.accounts import Accounts
from storage.provider_requests import ProviderRequest, ProviderRequests

router = APIRouter()
log = structlog.get_logger(__name__)

RETURN = f"{PATH}/sign-in/provider/return"

_STATUS: Mapping[str, int] = {Trouble.AWAY: 503, Trouble.FAULTY: 502, Trouble.CLOCK: 502}


@router.get("/sign-in/provider", name=Act.SIGN_IN)
async def begin(request: Request, visitor: Guarded, services: Serving, next: str = "") -> Response:  # noqa: A002
    """Lead to the identity provider, to come back from it signed in."""
    provider = _provider(request)
    if request.headers.get("Sec-Fetch-Dest", "document") != "document":
        raise Refused(NOT_FOUND, "this is a page to go to", "此网址须在浏览器中直接打开")
    if visitor.account is not None:
        return RedirectResponse(f"{PATH}/", status_code=303)
    go_on = ours(next)
    tries: Tries = request.app.state.provider_tries
    if not tries.take(request.client.host if request.client else "", services.now()):
        return await sign_in_form(request, visitor, refused="too_many", status=429, go_on=go_on)
    try:
        address = await _begun(request, visitor, provider, ProviderRequest("", "", go_on))
    except ProviderTrouble as trouble:
        return await _not_in(request, visitor, trouble.why, trouble.detail, go_on)
    response = RedirectResponse(address, status_code=303)
    if kept(request, VISIT) != visitor.secret:
        keep(response, request, VISIT, visitor.secret)
    return response


@router.get("/sign-in/provider/return", name=Act.SIGN_IN)
async def come_back(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Let in, or link, whom the identity provider names; or say why not."""
    provider, accounts = _provider(request), _accounts(request)
    answer = dict(request.query_params)
    begun = await _requests(services).take(
        answer.get("state", ""), visitor.secret, at=services.now()
    )
    if begun is None:
        if visitor.account is not None:
            return RedirectResponse(f"{PATH}/", status_code=303)  # In another tab, meanwhile.
        return await _not_in(request, visitor, "stale", "state")
    try:
        who = await provider.identity(
            answer, begun.nonce, begun.code_verifier, _back(request, provider), at=services.now()
        )
    except ProviderTrouble as trouble:
        if begun.link_to is not None:
            return _own(request, visitor, provider, trouble=trouble.why)
        return await _not_in(request, visitor, trouble.why, trouble.detail, begun.go_on)
    if begun.link_to is not None:
        return await _linked(request, visitor, provider, begun.link_to, who)
    try:
        token = await accounts.sign_in_as(who, at=services.now())
    except NotLinked:
        return await _not_in(request, visitor, "not_linked", "subject", subject=who.subject)
    except AccountDisabled:
        return await _not_in(request, visitor, "disabled", "account")
    request.app.state.provider_tries.give_back(request.client.host if request.client else "")
    return led_on(request, token, begun.go_on or f"{PATH}/")


@router.get("/identity", name=Act.LINK_IDENTITY)
async def own_identity(request: Request, visitor: Guarded) -> Response:
    """Show whom the own account is linked to."""
    return _own(request, visitor, _provider(request))


@router.post("/identity", name=Act.LINK_IDENTITY)
async def change_identity(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Begin to link the own account, or unlink it; both only with its password.

    Somebody who finds a desk unattended must not make the account theirs for good.
    """
    provider, accounts, account = _provider(request), _accounts(request), visitor.signed_in
    form = await request.form()
    password = str(form.get("current", ""))
    if not await accounts.is_password_of(account.id, password, at=services.now()):
        wrong = FieldProblem(
            "current",
            "is not your password; after five failures the account is locked for 15 minutes",
            "当前密码不正确；连续 5 次错误后账号锁定 15 分钟",
        )
        return _own(request, visitor, provider, problems=Problems([wrong]))
    if form.get("do") == "unlink":
        await accounts.unlink(account.id, at=services.now(), by=account.id)
        log.info("an account was unlinked from its identity", account=account.id)
        return RedirectResponse(f"{PATH}/identity", status_code=303)
    wish = ProviderRequest("", "", link_to=account.id)
    try:
        # Asked to sign in there again: the browser may still be somebody else's there.
        address = await _begun(request, visitor, provider, wish, prompt="login")
    except ProviderTrouble as trouble:
        return _own(request, visitor, provider, trouble=trouble.why)
    return _own(request, visitor, provider, address=address)


# ---------------------------------------------------------------- steps


async def _begun(
    request: Request,
    visitor: Visitor,
    provider: IdentityProvider,
    wish: ProviderRequest,
    *,
    prompt: str | None = None,
) -> str:
    """Note what is wished for when somebody comes back; return where they go for that."""
    services: Services = request.app.state.services
    sent = asked()
    address = await provider.address(sent, _back(request, provider), prompt=prompt)
    kept = ProviderRequest(sent.nonce, sent.code_verifier, wish.go_on, wish.link_to)
    await _requests(services).begin(sent.state, visitor.secret, kept, at=services.now())
    return address


async def _linked(
    request: Request,
    visitor: Visitor,
    provider: IdentityProvider,
    account_id: str,
    who: ProviderIdentity,
) -> Response:
    services: Services = request.app.state.services
    # The request was begun with this session's secret, so it is this account's.
    assert visitor.signed_in.id == account_id
    try:
        await _accounts(request).link(account_id, who, at=services.now(), by=account_id)
    except IdentityTaken:
        return _own(request, visitor, provider, trouble="taken")
    log.info("an account was linked to its identity", account=account_id)
    return RedirectResponse(f"{PATH}/identity", status_code=303)


async def _not_in(
    request: Request,
    visitor: Visitor,
    trouble: str,
    detail: str,
    go_on: str = "",
    subject: str | None = None,
) -> Response:
    log.warning("nobody came in through the identity provider", why=str(trouble), detail=detail)
    return await sign_in_form(
        request,
        visitor,
        status=_STATUS.get(trouble, 403),
        trouble=trouble,
        go_on=go_on,
        subject=subject,
    )


def _own(
    request: Request,
    visitor: Visitor,
    provider: IdentityProvider,
    *,
    trouble: str | None = None,
    problems: Problems | None = None,
    address: str | None = None,
) -> Response:
    return page(
        request,
        visitor,
        "identity.html",
        status=422 if problems else _STATUS.get(trouble, 403) if trouble else 200,
        back=f"{PATH}/identity",
        provider=provider,
        trouble=trouble,
        problems=problems or Problems(),
        address=address,
    )


def _provider(request: Request) -> IdentityProvider:
    provider: IdentityProvider | None = request.app.state.provider
    if provider is None:
        raise Refused(NOT_FOUND, "there is no identity provider here", "本系统未接入身份认证平台")
    return provider


def _accounts(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.accounts
    return accounts


def _requests(services: Services) -> ProviderRequests:
    return ProviderRequests(services.casefile.engine)


def _back(request: Request, provider: IdentityProvider) -> str:
    # The provider leads nowhere that it does not know, so a forged Host gains nothing.
    return provider.return_address(our_address(request, RETURN))
