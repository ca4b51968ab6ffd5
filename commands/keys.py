"""`onewindow key`: keys of agencies' systems. A key is shown once and never again.

`commands.key_book` is imported by the commands that need it, as in `cli`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from commands.failure import CommandFailed
from commands.installation import Installation
from commands.options import Var, case_file_of
from domain.system_keys import (
    KEY_ID,
    LASTS,
    LONGEST_DAYS,
    LONGEST_OVERLAP_DAYS,
    OVERLAP_DAYS,
    mark_of,
    prefix_of,
)
from domain.working_time import CIVIL_ZONE
from policy.loader import policy_for
from settings import Settings

app = typer.Typer(
    help="Keys of agencies' systems 系统密钥", no_args_is_help=True, rich_markup_mode=None
)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The twelve characters after ow_.")]
Days = Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="How long the new key lasts.")]


@app.command("list")
def list_keys(
    agency: Annotated[str | None, typer.Option(help="Of this agency only.")] = None,
    has_ended: Annotated[bool, typer.Option("--ended", help="Those that have ended.")] = False,
    var: Var = Path("var"),
) -> None:
    """List keys, the next to end first 列出密钥."""
    from commands import key_book

    installation, now = Installation(var), datetime.now(UTC)
    mark = mark_of(_server_secret(installation))
    found = key_book.every(case_file_of(installation), agency=agency, has_ended=has_ended)
    for each in found:
        used = "never used" if each.last_used_at is None else f"used {_told(each.last_used_at)}"
        print(
            f"{each.id}  {each.agency:<24} {each.state(now, mark):<9} "
            f"ends {_told(each.not_after)}  {used:<22}  {each.label}"
        )
    if not found:
        print("no keys 无密钥")


@app.command()
def add(
    agency: Annotated[str, typer.Option(help="As the policy names it, e.g. water.")],
    label: Annotated[str, typer.Option(help="Which system it is for.")],
    days: Days = LASTS.days,
    var: Var = Path("var"),
) -> None:
    """Make a key and show it, this once 新建密钥."""
    from commands import key_book

    agencies = policy_for(Settings().policy).agencies
    if agency not in agencies:
        raise CommandFailed(f"--agency {agency}: choose one of {', '.join(agencies)}")
    if not label.strip() or len(label) > 100 or not label.isprintable():
        raise CommandFailed("--label: has 1 to 100 characters, all of them printable")
    installation = Installation(var)
    secret = _server_secret(installation)
    made, whole = key_book.add(case_file_of(installation), secret, agency, label.strip(), days)
    _show(whole, made.not_after)


@app.command()
def rotate(
    key_id: KeyId,
    days: Days = LASTS.days,
    overlap_days: Annotated[
        int,
        typer.Option(min=0, max=LONGEST_OVERLAP_DAYS, help="Days the old key goes on; 0: none."),
    ] = OVERLAP_DAYS,
    var: Var = Path("var"),
) -> None:
    """Make a key in the place of another, which goes on for some days 轮换密钥."""
    from commands import key_book

    installation = Installation(var)
    secret = _server_secret(installation)
    made, old, whole = key_book.rotate(
        case_file_of(installation), secret, _checked(key_id), days, overlap_days
    )
    _show(whole, made.not_after)
    print(f"{prefix_of(old.id)}… ends {_told(old.not_after)} 原密钥届时失效")


@app.command()
def revoke(
    key_id: KeyId,
    reason: Annotated[str, typer.Option(help="Why; it goes on the record of actions.")],
    var: Var = Path("var"),
) -> None:
    """End a key at once 吊销密钥."""
    from commands import key_book

    if not reason.strip() or len(reason) > 500 or not reason.isprintable():
        raise CommandFailed("--reason: has 1 to 500 characters, all of them printable")
    key_book.revoke(case_file_of(Installation(var)), _checked(key_id), reason.strip())
    print(f"{prefix_of(key_id)}… is revoked 已吊销")


def _server_secret(installation: Installation) -> str:
    """Return what keys are derived from: of the environment, or of the folder.

    Raises:
        CommandFailed: the case file is not the folder's, and no secret is named.
    """
    given = Settings().server_secret
    if given is None and "ONEWINDOW_DATABASE_URL" in os.environ:
        raise CommandFailed(
            "keys of this case file are derived from the server's secret: set "
            "ONEWINDOW_SERVER_SECRET as it is set for the API"
        )
    installation.var.mkdir(parents=True, exist_ok=True)
    return installation.server_secret(None if given is None else given.get_secret_value())


def _checked(key_id: str) -> str:
    if not KEY_ID.fullmatch(key_id):
        raise CommandFailed(f"{key_id}: is no id of a key; it is the part between ow_ and _")
    return key_id


def _show(whole: str, not_after: datetime) -> None:
    print(f"key, shown this once 密钥，仅显示一次: {whole}")
    print(f"it ends {_told(not_after)} 届时失效")


def _told(instant: datetime) -> str:
    return f"{instant.astimezone(CIVIL_ZONE):%Y-%m-%d %H:%M}"
