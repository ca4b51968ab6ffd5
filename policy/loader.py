"""The policies that come with the program, by name and version."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from domain.policy import Policy
from domain.policy_file import PolicyError, load_policy

_FOLDER = Path(__file__).parent


class UnknownPolicy(LookupError):
    """No policy has this name and version."""


def policy_from(path: Path) -> Policy:
    """Read one policy file.

    Raises:
        PolicyError: it is incomplete or contradicts itself.
    """
    return load_policy(path.read_text(encoding="utf-8"), path.name)


def policies_in(folder: Path) -> Mapping[str, Policy]:
    """Read every policy of a folder, by `version_id`.

    Calendars, `calendar*.toml`, lie in the same folder.

    Raises:
        PolicyError: one is refused, or two are the same version of the same policy.
    """
    found: dict[str, Policy] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.name.startswith("calendar"):
            continue
        policy = policy_from(path)
        if policy.version_id in found:
            raise PolicyError(path.name, [("version", f"{policy.version_id} stands twice")])
        found[policy.version_id] = policy
    return MappingProxyType(found)


@cache
def policies() -> Mapping[str, Policy]:
    """The policies of this package, by `version_id`; read once."""
    return policies_in(_FOLDER)


def policy_for(version_id: str) -> Policy:
    """Return the policy a case is pinned to.

    Raises:
        UnknownPolicy: this program does not carry it.
    """
    try:
        return policies()[version_id]
    except KeyError:
        known = ", ".join(policies())
        raise UnknownPolicy(f"no policy {version_id}; there are {known}") from None
