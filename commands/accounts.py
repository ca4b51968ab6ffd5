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
from domain.accounts import NewAccount, ProviderIdentity, is_subject, new_account
from domain.errors import InputRefused
from domain.policy import Policy
from policy.loader import policy_for
from settings import Settings, is_confidential

app = typer.Typer(
    help="Accounts of the console 控制台账号", no_args_is_help=True, rich_markup_mode=None
)

AccountId = Annotated[str, typer.Argument(metavar="ID", help="The account.")]
Issuer = Annotated[str, typer.Option(help="The identity provider; default: ONEWINDOW_OIDC_ISSUER.")]


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
    subject: Annotated[
        str, typer.Option(help="Who it is at the identity provider; then it gets no password.")
    ] = "",
    issuer: Issuer = "",
    var: Var = Path("var"),
) -> None:
    """Make an account and show its one-time password 新增账号."""
    from commands import account_book

    policy = policy_for(Settings().policy)
    new = _new(account_id, agency, name, policy, is_administrator=is_administrator)
    if subject:
        identity = _identity(subject, issuer)
        account_book.add_without_password(case_file_of(Installation(var)), new, identity)
        print(f"{new.id}: linked, without a password 已关联统一身份，无本地密码")
        return
    _show(new.id, account_book.add(case_file_of(Installation(var)), new))


@app.command("list")
def list_accounts(var: Var = Path("var")) -> None:
    """List all accounts 列出账号."""
    from commands import account_book

    now = datetime.now(UTC)
    for each in account_book.every(case_file_of(Installation(var))):
        standing = each.standing(now)
        through = "through provider" if each.subject else ""
        print(
            f"{each.id:<20} {each.role:<14} {each.agency or '–':<24} {standing:<13} "
            f"{through:<17} {each.display_name}"
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


@app.command()
def link(
    account_id: AccountId,
    subject: Annotated[str, typer.Option(help="Who it is at the identity provider (sub).")],
    issuer: Issuer = "",
    var: Var = Path("var"),
) -> None:
    """Have a person sign in under an account through the identity provider 关联统一身份."""
    from commands import account_book

    account_book.link(case_file_of(Installation(var)), account_id, _identity(subject, issuer))
    print(f"{account_id}: linked 已关联")


@app.command()
def unlink(account_id: AccountId, var: Var = Path("var")) -> None:
    """Have nobody sign in under an account through the identity provider 解除关联."""
    from commands import account_book

    was_linked = account_book.unlink(case_file_of(Installation(var)), account_id)
    print(f"{account_id}: {'unlinked 已解除' if was_linked else 'was not linked 未关联'}")


def _identity(subject: str, issuer: str) -> ProviderIdentity:
    found = issuer or Settings().oidc_issuer
    if not found:
        raise CommandFailed("which identity provider? say --issuer, or set ONEWINDOW_OIDC_ISSUER")
    if not is_confidential(found):
        raise CommandFailed(f"--issuer {found}: is no https address without query")
    if not is_subject(subject):
        raise CommandFailed("--subject: has 1 to 255 characters of ASCII, as the provider gives it")
    return ProviderIdentity(found, subject)


def _new(
    account_id: str, agency: str | None, name: str, policy: Policy, *, is_administrator: bool
) -> NewAccount:
    if is_administrator == (agency is not None):
        raise CommandFailed("say either --agency or --administrator")
    roles = {each: rule.role for each, rule in policy.agencies.items()}
    try:
        return new_account(account_id, name, agency, roles)
    except InputRefused as refused:
        problem = refused.problems[0]
        where = {"agency": f"--agency {agency}", "display_name": "--name"}.get(
            problem.field, account_id
        )
        raise CommandFailed(f"{where}: {problem.en}") from None


def _show(account_id: str, password: str) -> None:
    print(f"{account_id}: one-time password 一次性密码: {password}")
    print("it is shown this once, and must be changed at the first sign-in 首次登录须修改")
