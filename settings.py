"""Settings: one frozen object, read from the environment once, by the composition roots.

Every setting is an environment variable with the prefix `ONEWINDOW_`; `docs/operations.md` lists
them (tested). Secrets come from nowhere else.
"""

from __future__ import annotations

import base64
import logging
import re
import sys
from datetime import datetime
from typing import Annotated, Literal, NoReturn, Self
from urllib.parse import urlsplit

import structlog
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.civil_clock import CivilClock

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_ACCOUNT = re.compile("[a-z][a-z0-9-]{1,39}")

DEPLOYMENT = "onewindow"
"""Name under which the engine keeps the versions of our worker."""


class Settings(BaseSettings):
    """What differs between a laptop, a city and a test.

    Raises:
        pydantic.ValidationError: a variable is missing or malformed; names it.
    """

    model_config = SettingsConfigDict(
        env_prefix="ONEWINDOW_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    database_url: str = Field(
        default="sqlite:///var/onewindow.db",
        description="The case file: sqlite:///… or postgresql://…",
    )
    engine_address: str = Field(
        default="127.0.0.1:7233", description="The Temporal engine, host:port"
    )
    engine_namespace: str = Field(default="default", description="Namespace in the engine")
    engine_ui: Annotated[str, Field(pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$")] | None = Field(
        default=None, description="Address of the engine's own web page; empty: no links to it"
    )
    task_queue: str = Field(default="onewindow", description="Queue that workers take tasks from")
    policy: str = Field(
        default="zhanjiang-2020-516.1", description="Policy version that new cases are pinned to"
    )
    api_host: str = Field(default="127.0.0.1", description="Address the API listens on")
    api_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=8000, description="Port the API listens on"
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="JSON list: addresses of proxies whose X-Forwarded headers are believed",
    )
    agency_keys: dict[str, SecretStr] = Field(
        default_factory=dict, description="JSON object: each agency's key, at least 16 characters"
    )
    agency_bases: dict[str, str] = Field(
        default_factory=dict,
        description="JSON object: address of each agency's system; without one it uses its inbox",
    )
    signing_secrets: dict[str, list[SecretStr]] = Field(
        default_factory=dict,
        description="JSON object: lists of agencies' signing secrets (`whsec_…`), the newest first",
    )
    administrator_keys: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="JSON object: each administrator's key, at least 16 characters, by account",
    )
    server_secret: SecretStr | None = Field(
        default=None,
        description="What other secrets are derived from, at least 32 characters; "
        "without it nobody can follow a case, and keys on file are off",
    )
    agency_calls_at_once: Annotated[int, Field(ge=1, le=100)] = Field(
        default=16, description="How many calls to one agency's system may be under way"
    )
    body_limit_bytes: Annotated[int, Field(ge=1024)] = Field(
        default=262_144, description="Largest request body the API takes"
    )
    document_limit_bytes: Annotated[int, Field(ge=1024)] = Field(
        default=5_242_880, description="Largest document an agency can put with a task"
    )
    engine_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=2.0, description="How long the API waits for the engine before it answers without"
    )
    action_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="How long the API waits for a process to take an action"
    )
    max_cached_workflows: Annotated[int, Field(ge=10)] = Field(
        default=600,
        description="Processes a worker keeps in memory; others are replayed when they move",
    )
    worker_version: Annotated[str, Field(pattern="^([A-Za-z0-9][A-Za-z0-9._-]{0,59})?$")] | None = (
        Field(
            default=None,
            description="Build of this worker, to run several at once; empty: unversioned",
        )
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR"
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="Identity provider that staff may sign in through (OpenID Connect): its issuer",
    )
    oidc_client_id: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="What the identity provider calls this installation"
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="Secret that the identity provider gave this installation"
    )
    oidc_name: Annotated[str, Field(max_length=60)] = Field(
        default="统一身份认证", description="Name of the identity provider on the sign-in page"
    )
    oidc_return_address: str | None = Field(
        default=None,
        description="Where the identity provider sends people back to; empty: the host they asked, "
        "with `/console/sign-in/provider/return`",
    )
    engine_origin: datetime | None = Field(
        default=None, description="Training mode: engine instant at which civil time began"
    )
    civil_origin: datetime | None = Field(
        default=None, description="Training mode: civil instant at which civil time began"
    )
    speed: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="Training mode: civil seconds per second"
    )

    @property
    def clock(self) -> CivilClock:
        """The civil clock that new cases are pinned to."""
        return CivilClock(self.engine_origin, self.civil_origin, self.speed)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        both = {"agency_keys": self.agency_keys, "administrator_keys": self.administrator_keys}
        for variable, keys in both.items():
            for name, key in keys.items():
                if len(key.get_secret_value()) < 16:
                    raise ValueError(f"{variable}: the key of {name} is shorter than 16 characters")
        if self.server_secret is not None and len(self.server_secret.get_secret_value()) < 32:
            raise ValueError("server_secret: is shorter than 32 characters")
        for account in self.administrator_keys:
            if not _ACCOUNT.fullmatch(account):
                raise ValueError(
                    f"administrator_keys: {account} is no account; it has 2 to 40 letters a-z, "
                    "digits and hyphens, and begins with a letter"
                )
        if both_names := sorted(set(self.agency_keys) & set(self.administrator_keys)):
            raise ValueError(f"administrator_keys: {both_names[0]} is an agency")
        shown = [key.get_secret_value() for keys in both.values() for key in keys.values()]
        if len(set(shown)) != len(shown):
            # Somebody who could approve what they planned themselves would do so unnoticed.
            raise ValueError("agency_keys, administrator_keys: two of them have the same key")
        if missing := sorted(set(self.agency_bases) - set(self.agency_keys)):
            raise ValueError(f"agency_bases: no key for {', '.join(missing)}")
        if missing := sorted(set(self.signing_secrets) - set(self.agency_keys)):
            raise ValueError(f"signing_secrets: no key for {', '.join(missing)}")
        for agency in self.signing_secrets:
            _ = self.secrets_of(agency)
        self._check_provider()
        _ = self.clock
        return self

    def _check_provider(self) -> None:
        needed = (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret)
        if any(each is None for each in needed) and any(each is not None for each in needed):
            raise ValueError("oidc_issuer, oidc_client_id, oidc_client_secret: all three, or none")
        for name in ("oidc_issuer", "oidc_return_address"):
            address = getattr(self, name)
            if address is not None and not is_confidential(address):
                raise ValueError(
                    f"{name}: is no https address without query (http on this machine only)"
                )
        if self.oidc_return_address is not None and self.oidc_issuer is None:
            raise ValueError("oidc_return_address: there is no oidc_issuer")

    def key_of(self, agency: str) -> str:
        """Return an agency's key.

        Raises:
            KeyError: no key is set for it.
        """
        return self.agency_keys[agency].get_secret_value()

    def secrets_of(self, agency: str) -> tuple[bytes, ...]:
        """Return what messages to an agency are signed with, the newest first; none without.

        Raises:
            ValueError: one is not spelled as the Standard Webhooks scheme has it.
        """
        return tuple(
            _secret(agency, secret.get_secret_value())
            for secret in self.signing_secrets.get(agency, ())
        )


def is_confidential(address: str) -> bool:
    """Whether what is sent to an address can be read by nobody else: by https, or to itself."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.query or parts.fragment or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE)


def _secret(agency: str, spelled: str) -> bytes:
    prefix, _, encoded = spelled.partition("_")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except ValueError:
        secret = b""
    if prefix != "whsec" or not 24 <= len(secret) <= 64:
        raise ValueError(
            f"signing_secrets: a secret of {agency} is not whsec_ and 24 to 64 bytes in base64"
        )
    return secret


def settings_of_process() -> Settings:
    """Read the settings of a program and have it log as they say; leave with one line if it can't.

    Nothing that was set is repeated: it may be a key.
    """
    try:
        settings = Settings()
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_context=False)[0]
        _leave("_".join(("ONEWINDOW", *(str(part).upper() for part in first["loc"]))), first["msg"])
    except ValueError as problem:
        _leave("ONEWINDOW_…", str(problem).partition("\n")[0])
    level = logging.getLevelNamesMapping()[settings.log_level]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    return settings


def _leave(variable: str, why: str) -> NoReturn:
    print(f"setting {variable}: {why}", file=sys.stderr, flush=True)
    sys.exit(2)
