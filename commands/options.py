"""Options that several commands share, and the API they lead to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from commands.installation import Installation, read_keys
from settings import Settings

Var = Annotated[Path, typer.Option(help="Folder of the databases, keys and logs.")]
ApiBase = Annotated[
    str | None,
    typer.Option("--api", help="Address of the API; default: what runs on --var, or the settings."),
]


def case_file_of(installation: Installation) -> str:
    """Return the address of the case file that the environment names, or of the folder's own."""
    is_named = "ONEWINDOW_DATABASE_URL" in os.environ
    return Settings().database_url if is_named else installation.database_url


def administrators_of(var: Path) -> Mapping[str, str]:
    """Return each administrator's key, by account.

    Raises:
        CommandFailed: the file of keys is something else.
    """
    named = {a: key.get_secret_value() for a, key in Settings().administrator_keys.items()}
    return named or read_keys(Installation(var).administrators_file)


def api_at(var: Path, base: str | None) -> tuple[str, Mapping[str, str]]:
    """Return the API's address and each agency's key.

    Raises:
        CommandFailed: the file of keys is something else.
    """
    settings, installation = Settings(), Installation(var)
    named = {agency: settings.key_of(agency) for agency in settings.agency_keys}
    address = base or installation.address_of("api")
    return (
        address or f"http://{settings.api_host}:{settings.api_port}",
        named or read_keys(installation.keys_file),
    )
