"""Accounts of people who work with the console: ids, passwords, locks, sessions (RB-13.1).

An account belongs to one agency and has its role, or to an administrator and has no agency.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from domain.errors import FieldProblem, InputRefused, OneWindowError


class StaffRole(StrEnum):
    """What an account may be; an applicant has none and follows a case by its number."""

    DESK = "desk"
    DEPARTMENT = "department"
    UTILITY = "utility"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"


ACCOUNT_ID = re.compile("[a-z][a-z0-9-]{0,38}[a-z0-9]")
"""It stands in the record as the holder of tasks, so it names a desk or a post, not a person."""

RESERVED_ID = "command"
"""Stands in the record for the machine's command line."""

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 128
"""Longer ones would only keep the hash busy."""

FAILURES_UNTIL_LOCKED = 5
LOCKED_FOR = timedelta(minutes=15)
"""A machine that guesses has 480 tries a day; a person who mistypes waits one coffee."""

IDLE_FOR = timedelta(hours=1)
"""A session ends that nobody used so long; of the engine's time, not of civil time."""
SIGNED_IN_FOR = timedelta(hours=12)
"""A session ends then, however busy."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account about to be made.

    Attributes:
        agency: None for an administrator.
    """

    id: str
    display_name: str
    agency: str | None
    role: StaffRole


LONGEST_SUBJECT = 255
"""As OpenID Connect has it."""


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """Who somebody is at an identity provider; only both together name one person for good.

    Attributes:
        issuer: the provider's address.
        subject: what it calls the person, and never calls another.
    """

    issuer: str
    subject: str


class AccountExists(OneWindowError):
    """The id is taken; an id is never given to somebody else."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"there is an account {account_id} already")
        self.account_id = account_id


class UnknownAccount(OneWindowError):
    """No account has this id."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"no account {account_id}")
        self.account_id = account_id


class LastAdministrator(OneWindowError):
    """Nobody could be let in any more, nor anything be mended, if this account were disabled."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"{account_id} is the last administrator")
        self.account_id = account_id


class IdentityTaken(OneWindowError):
    """The identity belongs to another account, or the account has another one.

    Attributes:
        account_id: the account that stands in the way.
    """

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} is linked already")
        self.account_id = account_id


class NotLinked(OneWindowError):
    """No account is linked to this identity."""


class AccountDisabled(OneWindowError):
    """The account is there, but nobody gets in under it."""


def is_subject(text: object) -> bool:
    """Whether `text` can be what a provider calls a person: ASCII, without control characters."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST_SUBJECT
        and text.isascii()
        and text.isprintable()
    )


LONGEST_NAME = 100


def new_account(
    account_id: str, name: str, agency: str | None, roles: Mapping[str, str]
) -> NewAccount:
    """Put an account together that somebody asks for.

    Args:
        name: how it is shown to itself; empty: its id.
        agency: None for an administrator.
        roles: of every agency; those that no person works for, as the applicant's, are none.

    Raises:
        InputRefused: it cannot be; names every field.
    """
    problems = []
    if not is_account_id(account_id):
        problems.append(
            FieldProblem(
                "account_id",
                "is no id; it has 2 to 40 letters a-z, digits and hyphens, and begins with a "
                "letter",
                "须为 2 至 40 个小写字母、数字或连字符，以字母开头",
            )
        )
    elif account_id == RESERVED_ID:
        problems.append(
            FieldProblem(
                "account_id",
                "is what the record calls the machine's command line",
                "为操作记录中命令行的名称，不能使用",
            )
        )
    elif account_id in roles:
        problems.append(
            FieldProblem(
                "account_id", "is an agency; name a desk or post of it", "是单位代码，请填写席位"
            )
        )
    staffed = {each: role for each, role in roles.items() if role in set(StaffRole)}
    if agency is not None and agency not in staffed:
        choices = ", ".join(staffed)
        problems.append(FieldProblem("agency", f"choose one of {choices}", "请选择单位"))
    if len(name) > LONGEST_NAME or not name.isprintable():
        problems.append(
            FieldProblem(
                "display_name",
                f"has {LONGEST_NAME} characters at most, all of them printable",
                f"不超过 {LONGEST_NAME} 个可见字符",
            )
        )
    if problems:
        raise InputRefused(*problems)
    role = StaffRole.ADMINISTRATOR if agency is None else StaffRole(staffed[agency])
    return NewAccount(account_id, name or account_id, agency, role)


def is_account_id(text: str) -> bool:
    """Whether `text` can be the id of an account."""
    return ACCOUNT_ID.fullmatch(text) is not None


def password_problems(new: str, again: str, *, account_id: str, current: str) -> list[FieldProblem]:
    """Say what is wrong with a password that somebody chose; length counts, not kinds of signs.

    Args:
        again: the same, typed a second time.
        current: the password it takes the place of.
    """
    problems = []
    if len(new) < SHORTEST_PASSWORD:
        problems.append(
            FieldProblem(
                "new",
                f"needs {SHORTEST_PASSWORD} characters at least; a short sentence does well",
                f"至少 {SHORTEST_PASSWORD} 个字符，可用一句短语",
            )
        )
    elif len(new) > LONGEST_PASSWORD:
        problems.append(
            FieldProblem(
                "new",
                f"has {LONGEST_PASSWORD} characters at most",
                f"不超过 {LONGEST_PASSWORD} 个字符",
            )
        )
    elif new == current:
        problems.append(FieldProblem("new", "is the one you have now", "不能与当前密码相同"))
    elif account_id in new.lower() or len(set(new)) < 5:
        problems.append(
            FieldProblem(
                "new",
                "is easy to guess: it holds the account's name, or few different characters",
                "过于简单：含有账号名，或不同字符过少",
            )
        )
    if new != again:
        problems.append(FieldProblem("again", "differs from the new one", "两次输入的新密码不一致"))
    return problems
