"""`onewindow account`: who may sign in to the console. A password is shown once and never again.

`commands.account_book` is imported by the commands that need it, as in `cli`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from commands.failure import CommandFailed
from commands.installation import Installation
from commands.options import Var, case_file_of
from domain.accounts import NewAccount, StaffRole, is_account_id
from domain.policy import Policy
from policy.loader import policy_for
from settings import Settings

app = typer.Typer(
    help="Accounts of the console 控制台账号", no_args_is_help=True, rich_markup_mode=None
)

AccountId = Annotated[str, typer.Argument(metavar="ID", help="The account.")]


@app.command()
def add(
    account_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of a desk or post, e.g. water-2; it is on record.")
    ],
    agency: Annotated[
        str | None, typer.Option(help="Its agency, as the policy names it, e.g. water.")
    ] = None,
    is_administrator: Annotated[
        bool, typer.Option("--administrator", help="An administrator, of no agency.")
    ] = False,
    name: Annotated[str, typer.Option(help="How it is shown to itself; default: the ID.")] = "",
    var: Var = Path("var"),
) -> None:
    """Make an account and show its one-time password 新增账号."""
    from commands import account_book

    policy = policy_for(Settings().policy)
    new = _new(account_id, agency, name, policy, is_administrator=is_administrator)
    _show(new.id, account_book.add(case_file_of(Installation(var)), new))


@app.command("list")
def list_accounts(var: Var = Path("var")) -> None:
    """List all accounts 列出账号."""
    from commands import account_book

    now = datetime.now(UTC)
    for each in account_book.every(case_file_of(Installation(var))):
        standing = each.standing(now)
        print(
            f"{each.id:<20} {each.role:<14} {each.agency or '–':<24} {standing:<13} "
            f"{each.display_name}"
        )


@app.command()
def reset(account_id: AccountId, var: Var = Path("var")) -> None:
    """Give an account a one-time password; lifts a lock, and takes a disabled one back 重置密码."""
    from commands import account_book

    _show(account_id, account_book.reset(case_file_of(Installation(var)), account_id))


@app.command()
def disable(account_id: AccountId, var: Var = Path("var")) -> None:
    """Let nobody in under an account any more, and end its sessions 停用账号."""
    from commands import account_book

    account_book.disable(case_file_of(Installation(var)), account_id)
    print(f"{account_id}: disabled 已停用")


def _new(
    account_id: str, agency: str | None, name: str, policy: Policy, *, is_administrator: bool
) -> NewAccount:
    if not is_account_id(account_id):
        raise CommandFailed(
            f"{account_id}: is no id; it has 2 to 40 letters a-z, digits and hyphens, and begins "
            "with a letter"
        )
    if account_id in policy.agencies:
        raise CommandFailed(f"{account_id}: is an agency; name a desk or post of it")
    if is_administrator == (agency is not None):
        raise CommandFailed("say either --agency or --administrator")
    role = StaffRole.ADMINISTRATOR
    if agency is not None:
        # An applicant follows a case by its number, without an account.
        staffed = {i: a.role for i, a in policy.agencies.items() if a.role in set(StaffRole)}
        if agency not in staffed:
            raise CommandFailed(f"--agency {agency}: choose one of {', '.join(staffed)}")
        role = StaffRole(staffed[agency])
    if len(name) > 100 or not name.isprintable():
        raise CommandFailed("--name: has 100 characters at most, all of them printable")
    return NewAccount(account_id, name or account_id, agency, role)


def _show(account_id: str, password: str) -> None:
    print(f"{account_id}: one-time password 一次性密码: {password}")
    print("it is shown this once, and must be changed at the first sign-in 首次登录须修改")
