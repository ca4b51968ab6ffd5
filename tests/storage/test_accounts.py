"""Accounts and sessions, on each database: counted right, however many try at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from domain.accounts import (
    FAILURES_UNTIL_LOCKED,
    IDLE_FOR,
    LOCKED_FOR,
    AccountExists,
    LastAdministrator,
    NewAccount,
    StaffRole,
    UnknownAccount,
)
from storage.accounts import Accounts, one_time_password
from storage.admin_acts import read_acts
from storage.casefile import CaseFile
from tests.support.cases import NOON
from tests.support.databases import rows

PASSWORD = "eine lange Nacht am Meer"
DESK = NewAccount("desk-1", "示例 窗口", "desk", StaffRole.DESK)


@pytest.fixture
def accounts(casefile: CaseFile) -> Accounts:
    return Accounts(casefile.engine, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def elsewhere(other: CaseFile) -> Accounts:
    """The same accounts, as another process sees them."""
    return Accounts(other.engine, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


async def test_an_account_is_what_was_made(accounts: Accounts) -> None:
    await accounts.add(DESK, PASSWORD, at=NOON)
    (account,) = await accounts.every()
    assert (account.id, account.agency, account.role) == ("desk-1", "desk", StaffRole.DESK)
    assert account.must_change_password
    assert account.created_at == NOON
    assert account.standing(NOON) == "new password"


async def test_an_id_is_given_once(accounts: Accounts) -> None:
    await accounts.add(DESK, PASSWORD, at=NOON)
    await accounts.disable("desk-1", at=NOON)
    with pytest.raises(AccountExists):
        await accounts.add(replace(DESK, agency="utility"), PASSWORD, at=NOON)
    (account,) = await accounts.every()
    assert (account.agency, account.standing(NOON)) == ("desk", "disabled")


async def test_the_first_account_is_made_once_whoever_starts_at_once(
    accounts: Accounts, elsewhere: Accounts
) -> None:
    admin = NewAccount("admin-1", "示例", None, StaffRole.ADMINISTRATOR)
    made = await asyncio.gather(
        accounts.add_first(admin, PASSWORD, at=NOON),
        elsewhere.add_first(admin, PASSWORD, at=NOON),
        return_exceptions=True,
    )
    assert made.count(True) == 1
    assert len(await accounts.every()) == 1
    assert not await elsewhere.add_first(replace(admin, id="admin-2"), PASSWORD, at=NOON)


async def test_many_tries_at_once_are_all_counted(accounts: Accounts, elsewhere: Accounts) -> None:
    await accounts.add(DESK, PASSWORD, at=NOON)
    tries = [
        each.sign_in("desk-1", "wrong", at=NOON)
        for each in [accounts, elsewhere] * FAILURES_UNTIL_LOCKED
    ]
    assert set(await asyncio.gather(*tries)) == {None}
    assert await accounts.sign_in("desk-1", PASSWORD, at=NOON) is None
    (account,) = await accounts.every()
    assert account.locked_until == NOON + LOCKED_FOR
    assert account.standing(NOON) == "locked"
    assert await accounts.sign_in("desk-1", PASSWORD, at=NOON + LOCKED_FOR) is not None


async def test_a_reset_lifts_locks_takes_back_and_ends_sessions(accounts: Accounts) -> None:
    await accounts.add(DESK, PASSWORD, at=NOON, must_change=False)
    token = await accounts.sign_in("desk-1", PASSWORD, at=NOON)
    assert token is not None
    for _ in range(FAILURES_UNTIL_LOCKED):
        await accounts.sign_in("desk-1", "wrong", at=NOON)
    await accounts.disable("desk-1", at=NOON)
    await accounts.reset("desk-1", "another long password", at=NOON)
    assert await accounts.signed_in(token, at=NOON) is None
    assert await accounts.sign_in("desk-1", PASSWORD, at=NOON) is None
    assert await accounts.sign_in("desk-1", "another long password", at=NOON) is not None
    (account,) = await accounts.every()
    assert account.must_change_password


@pytest.mark.parametrize("account_id", ["\x00", "", "desk-1\x00", "Desk-1", "窗口", "x" * 5000])
async def test_no_text_is_too_strange_to_be_nobody(accounts: Accounts, account_id: str) -> None:
    await accounts.add(DESK, PASSWORD, at=NOON)
    assert await accounts.sign_in(account_id, PASSWORD, at=NOON) is None
    assert await accounts.signed_in(account_id, at=NOON) is None


async def test_who_is_unknown_is_neither_reset_nor_disabled(accounts: Accounts) -> None:
    with pytest.raises(UnknownAccount):
        await accounts.reset("nobody-1", PASSWORD, at=NOON)
    with pytest.raises(UnknownAccount):
        await accounts.disable("nobody-1", at=NOON)


async def test_sessions_that_ended_are_cleared_away(accounts: Accounts, url: str) -> None:
    await accounts.add(DESK, PASSWORD, at=NOON)
    for hours in range(3):
        await accounts.sign_in("desk-1", PASSWORD, at=NOON + timedelta(hours=hours) + IDLE_FOR)
    assert len(rows(url)["sessions"]) == 1


async def test_a_password_is_hashed_by_argon2id_at_the_cost_of_rfc_9106(
    casefile: CaseFile, url: str
) -> None:
    await Accounts(casefile.engine).add(DESK, PASSWORD, at=NOON)
    (row,) = rows(url)["accounts"]
    (hashed,) = (str(each) for each in row if str(each).startswith("$argon2"))
    parameters = extract_parameters(hashed)
    assert (parameters.type, parameters.memory_cost, parameters.time_cost) == (Type.ID, 65536, 3)


def test_one_time_passwords_are_long_and_never_the_same() -> None:
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(each) for each in made} == {23}


async def test_an_administrators_changes_are_on_record_and_keep_one_administrator(
    accounts: Accounts, casefile: CaseFile
) -> None:
    first = replace(DESK, id="admin-1", agency=None, role=StaffRole.ADMINISTRATOR)
    await accounts.add(first, PASSWORD, at=NOON)
    await accounts.add(DESK, PASSWORD, at=NOON, must_change=False, by="admin-1")
    with pytest.raises(LastAdministrator):
        await accounts.disable("admin-1", at=NOON)
    token = await accounts.sign_in("desk-1", PASSWORD, at=NOON)
    assert token is not None
    await accounts.unlock("desk-1", at=NOON, by="admin-1")
    assert await accounts.signed_in(token, at=NOON) is not None, "whoever works goes on"
    assert (await accounts.sessions(at=NOON))["desk-1"].open == 1
    await accounts.end_sessions("desk-1", at=NOON, by="admin-1")
    assert await accounts.sessions(at=NOON) == {}
    for act in (accounts.enable, accounts.unlock, accounts.end_sessions):
        with pytest.raises(UnknownAccount):
            await act("nobody-1", at=NOON)
    page = await read_acts(casefile.engine, limit=9, cursor=None)
    assert [(each.by, each.act, each.subject) for each in page.items] == [
        ("admin-1", "account.signed_out", "desk-1"),
        ("admin-1", "account.unlocked", "desk-1"),
        ("admin-1", "account.added", "desk-1"),
        ("command", "account.added", "admin-1"),
    ]
