"""Accounts of the console: who may sign in, and an administrator's ways to help or to stop them.

What is done here is done by `storage.accounts`, as by `onewindow account`, and stands on the record
of actions with whoever did it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api.problems import NOT_FOUND, Refused
from api.services import Services, Serving
from console.form_fields import text
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from domain.access import Act
from domain.accounts import (
    AccountExists,
    LastAdministrator,
    StaffRole,
    UnknownAccount,
    new_account,
)
from domain.errors import FieldProblem, InputRefused
from domain.words import Words
from storage.accounts import Account, Accounts, one_time_password

router = APIRouter()

ADMINISTRATORS = "administrators"
"""What the filter calls those of no agency."""
STANDINGS = {
    "active": Words("可用", "Active"),
    "new password": Words("待改密码", "New password"),
    "locked": Words("已锁定", "Locked"),
    "disabled": Words("已停用", "Disabled"),
}


@router.get("/admin/users", name=Act.MANAGE_ACCOUNTS)
async def list_accounts(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show all accounts, of one agency if asked."""
    return await _list(request, visitor, services)


@router.post("/admin/users", name=Act.MANAGE_ACCOUNTS)
async def add_account(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Make an account and show its one-time password, this once."""
    form = await request.form()
    chosen = text(form, "agency")
    roles = {name: each.role for name, each in services.policy.agencies.items()}
    try:
        new = new_account(
            text(form, "account_id"),
            text(form, "display_name", 200),
            None if chosen == ADMINISTRATORS else chosen,
            roles,
        )
        if new.id in services.settings.administrator_keys:
            # RB-12.2: account and key of one name are one person, whom only they, or whoever has
            # the machine, can name.
            raise InputRefused(
                FieldProblem(
                    "account_id",
                    "is an administrator's key: on the machine, run 'onewindow account add'",
                    "与某管理员密钥同名，请在服务器上执行 onewindow account add",
                )
            )
        if new.role is StaffRole.ADMINISTRATOR and text(form, "confirm") != new.id:
            raise InputRefused(_confirm(new.id))
        password = one_time_password()
        await _accounts(request).add(new, password, at=services.now(), by=visitor.signed_in.id)
    except InputRefused as refused:
        return await _list(request, visitor, services, form, refused.problems)
    except AccountExists:
        taken = FieldProblem(
            "account_id", "is taken; an id is never given out again", "已被使用，账号不重复分配"
        )
        return await _list(request, visitor, services, form, [taken])
    return await _list(request, visitor, services, shown=(new.id, password))


@router.post("/admin/users/{account_id}/{action}", name=Act.MANAGE_ACCOUNTS)
async def change_account(
    request: Request, account_id: str, action: str, visitor: Guarded, services: Serving
) -> Response:
    """Reset, disable, enable or unlock an account, or end its sessions."""
    form, accounts = await request.form(), _accounts(request)
    done: dict[str, Any] = {"at": services.now(), "by": visitor.signed_in.id}
    try:
        match action:
            case "reset":
                _check_is_other(account_id, visitor, "change your own password", "请自行修改密码")
                password = one_time_password()
                await accounts.reset(account_id, password, **done)
                return await _list(request, visitor, services, shown=(account_id, password))
            case "disable":
                _check_is_other(account_id, visitor, "nobody disables themselves", "不能停用自己")
                if text(form, "confirm") != account_id:
                    raise InputRefused(_confirm(account_id))
                await accounts.disable(account_id, **done)
            case "enable":
                await accounts.enable(account_id, **done)
            case "unlock":
                await accounts.unlock(account_id, **done)
            case "end-sessions":
                await accounts.end_sessions(account_id, **done)
            case _:
                raise Refused(NOT_FOUND, "there is no such action", "没有此操作")
    except UnknownAccount:
        raise Refused(NOT_FOUND, "there is no such account", "没有此账号") from None
    except LastAdministrator:
        last = FieldProblem(
            "confirm",
            f"{account_id} is the last administrator; make another one first",
            f"{account_id} 是最后一名管理员，请先新增另一名",
        )
        return await _list(request, visitor, services, problems=[last])
    except InputRefused as refused:
        return await _list(request, visitor, services, problems=refused.problems)
    return RedirectResponse(f"{PATH}/admin/users", status_code=303)


def _accounts(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.accounts
    return accounts


def _confirm(account_id: str) -> FieldProblem:
    return FieldProblem("confirm", f"type {account_id}", f"请输入 {account_id}")


def _check_is_other(account_id: str, visitor: Visitor, en: str, zh: str) -> None:
    if account_id == visitor.signed_in.id:
        raise InputRefused(FieldProblem("confirm", en, zh))


async def _list(
    request: Request,
    visitor: Visitor,
    services: Services,
    form: FormData | None = None,
    problems: Sequence[FieldProblem] = (),
    shown: tuple[str, str] | None = None,
) -> Response:
    asked = {name: text(request.query_params, name) for name in ("agency", "standing")}
    accounts, now = _accounts(request), services.now()
    sessions = await accounts.sessions(at=now)
    rows = [
        {"account": each, "standing": each.standing(now), "sessions": sessions.get(each.id)}
        for each in await accounts.every()
        if _is_of(each, asked["agency"]) and asked["standing"] in ("", each.standing(now))
    ]
    staffed = {
        name: each for name, each in services.policy.agencies.items() if each.role in set(StaffRole)
    }
    clock = services.settings.clock
    return page(
        request,
        visitor,
        "admin_users.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/users",
        asked=asked,
        rows=rows,
        shown=shown,
        agencies=staffed,
        sent={} if form is None else {name: str(value) for name, value in form.items()},
        problems=Problems(problems),
        civil=clock.civil,
        me=visitor.signed_in.id,
        ADMINISTRATORS=ADMINISTRATORS,
        STANDINGS=STANDINGS,
    )


def _is_of(account: Account, agency: str) -> bool:
    if agency == ADMINISTRATORS:
        return account.agency is None
    return agency in ("", account.agency)
