"""The accounts of a case file, as the commands use them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from commands.casefile import upgrade
from commands.failure import CommandFailed
from domain.accounts import (
    AccountExists,
    IdentityTaken,
    LastAdministrator,
    NewAccount,
    ProviderIdentity,
    StaffRole,
    UnknownAccount,
)
from storage.accounts import Account, Accounts, one_time_password
from storage.database import open_engine

FIRST = NewAccount("admin-1", "系统管理员 Administrator", None, StaffRole.ADMINISTRATOR)
"""The same name as the first administrator's key: both are one person (RB-12.2)."""

DEMO = (
    NewAccount("desk-1", "示例 窗口人员 Demo desk", "desk", StaffRole.DESK),
    NewAccount("water-1", "示例 水务经办 Demo officer", "water", StaffRole.DEPARTMENT),
    NewAccount("utility-1", "示例 供电经办 Demo utility", "utility", StaffRole.UTILITY),
    NewAccount("special-1", "示例 督导人员 Demo supervisor", "special-group", StaffRole.SUPERVISOR),
    NewAccount("admin-1", "示例 管理员 Demo administrator", None, StaffRole.ADMINISTRATOR),
    NewAccount("admin-2", "示例 管理员二 Demo administrator 2", None, StaffRole.ADMINISTRATOR),
)
"""One for each role, and whoever approves; for `onewindow demo` only. Nobody has these names."""

T = TypeVar("T")


def add(url: str, new: NewAccount) -> str:
    """Make an account; return its one-time password.

    Raises:
        CommandFailed: the id is taken, or the case file cannot be used.
    """
    password = one_time_password()
    _run(url, lambda accounts: accounts.add(new, password, at=datetime.now(UTC)))
    return password


def every(url: str) -> tuple[Account, ...]:
    """Return all accounts, by id."""
    return _run(url, Accounts.every)


def reset(url: str, account_id: str) -> str:
    """Give an account a one-time password; return it.

    Raises:
        CommandFailed: there is no such account, or the case file cannot be used.
    """
    password = one_time_password()
    _run(url, lambda accounts: accounts.reset(account_id, password, at=datetime.now(UTC)))
    return password


def disable(url: str, account_id: str) -> None:
    """Let nobody in under an account.

    Raises:
        CommandFailed: there is no such account, or the case file cannot be used.
    """
    _run(url, lambda accounts: accounts.disable(account_id, at=datetime.now(UTC)))


def add_without_password(url: str, new: NewAccount, identity: ProviderIdentity) -> None:
    """Make an account that signs in through the identity provider only.

    Raises:
        CommandFailed: id or identity is taken, or the case file cannot be used.
    """
    at = datetime.now(UTC)

    async def made(accounts: Accounts) -> None:
        if (taken := await accounts.linked_to(identity)) is not None:
            raise IdentityTaken(taken)
        await accounts.add(new, None, at=at)
        await accounts.link(new.id, identity, at=at)

    _run(url, made)


def link(url: str, account_id: str, identity: ProviderIdentity) -> None:
    """Have whom the identity provider names so come in under an account.

    Raises:
        CommandFailed: there is no such account, it or the identity is linked otherwise, or the
            case file cannot be used.
    """
    _run(url, lambda accounts: accounts.link(account_id, identity, at=datetime.now(UTC)))


def unlink(url: str, account_id: str) -> bool:
    """Have the identity provider let nobody in under an account; return whether it was linked.

    Raises:
        CommandFailed: the case file cannot be used.
    """
    return _run(url, lambda accounts: accounts.unlink(account_id, at=datetime.now(UTC)))


def first_administrator(url: str) -> tuple[str, str] | None:
    """Make an administrator's account if a case file that is up to date has no account at all.

    Returns:
        Its id and one-time password; None if there are accounts.
    """
    password = one_time_password()
    at = datetime.now(UTC)

    async def made(accounts: Accounts) -> bool:
        return await accounts.add_first(FIRST, password, at=at)

    is_made = asyncio.run(_with_accounts(url, made))
    return (FIRST.id, password) if is_made else None


def demo_accounts(url: str) -> str:
    """Make an account for each role, all with one password; return it."""
    password = one_time_password()

    async def made(accounts: Accounts) -> None:
        for each in DEMO:
            await accounts.add(each, password, at=datetime.now(UTC), must_change=False)

    asyncio.run(_with_accounts(url, made))
    return password


def _run(url: str, act: Callable[[Accounts], Awaitable[T]]) -> T:
    upgrade(url)
    return asyncio.run(_with_accounts(url, act))


async def _with_accounts(url: str, act: Callable[[Accounts], Awaitable[T]]) -> T:
    engine = open_engine(url)
    try:
        return await act(Accounts(engine))
    except AccountExists as problem:
        raise CommandFailed(f"{problem}; `onewindow account reset` gives a password") from None
    except LastAdministrator as problem:
        raise CommandFailed(f"{problem}; make another one first") from None
    except IdentityTaken as problem:
        raise CommandFailed(f"{problem}: `onewindow account unlink {problem.account_id}`") from None
    except UnknownAccount as problem:
        raise CommandFailed(f"{problem}; `onewindow account list` shows all") from None
    finally:
        await engine.dispose()
