"""An application as it is being filled in: checked as far as it goes, by the same rules (RB-3.4).

A draft has the fields of an application, and any of them may be left out. Nothing is said of what
is not filled in but that it is missing; whatever would be guessed is not said either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.application import (
    Application,
    Channel,
    Document,
    IdNumber,
    Line,
    Phone,
    check_application,
)
from domain.errors import FieldProblem
from domain.identity import Checked, IdType
from domain.policy import ApplicantKind, Policy, Purpose, Size, Supply


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class ApplicantDraft(_Part):
    """Who applies, as far as it was filled in."""

    kind: ApplicantKind | None = None
    name: Line | None = None
    id_type: IdType | None = None
    id_number: IdNumber | None = None
    phone: Phone | None = None
    size: Size | None = None


class SiteDraft(_Part):
    """Where the supply is wanted, as far as it was filled in."""

    address: Line | None = None
    district: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] | None = None


class Draft(_Part):
    """An application as far as it was filled in; a whole application is a draft as well."""

    channel: Channel | None = None
    voltage: Literal["low", "high"] | None = None
    supply: Supply | None = None
    purpose: Purpose | None = None
    capacity_kva: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    applicant: ApplicantDraft = ApplicantDraft()
    site: SiteDraft = SiteDraft()
    consent_to_certificates: bool | None = None
    documents: Annotated[tuple[Document, ...], Field(strict=False, max_length=10)] = ()


@dataclass(frozen=True, slots=True)
class Assessed:
    """What can be said of a draft.

    Attributes:
        checked: problems and warnings of what is filled in.
        missing: paths of the fields that an application needs and the draft has not, in order.
        application: as it stands, with stand-ins for what is missing; for rules that say by
            `has` that all they look at is there.
    """

    checked: Checked
    missing: tuple[str, ...]
    application: Application

    def has(self, *fields: str) -> bool:
        """Whether all of these are filled in."""
        return not set(fields) & set(self.missing)


# Of what kind the stand-in is does not matter: what is said of it, or because of it, is left out.
_STAND_INS: Mapping[str, Any] = {
    "channel": "window",
    "voltage": "low",
    "supply": "single",
    "purpose": "permanent",
    "capacity_kva": 1.0,
    "applicant.kind": "person",
    "applicant.name": "-",
    "applicant.id_type": "resident_id",
    "applicant.id_number": "-",
    "applicant.phone": "-",
    "site.address": "-",
    "site.district": "000000",
    "consent_to_certificates": False,
}

# Whether a field is right depends on these as well.
_RESTS_ON: Mapping[str, tuple[str, ...]] = {
    "applicant.id_type": ("applicant.kind",),
    "applicant.size": ("applicant.kind",),
    "applicant.id_number": ("applicant.id_type",),
    "capacity_kva": ("voltage",),
    "supply": ("voltage",),
    "site.district": ("site.address",),
}


def assess(draft: Draft, policy: Policy, on: date) -> Assessed:
    """Check a draft as far as it goes, by the rules for an application.

    Args:
        on: civil date of receipt.
    """
    filled = draft.model_dump()
    absent = {path for path in _STAND_INS if _at(filled, path) is None}
    body = _completed(filled, absent)
    application = Application.model_validate(body)
    found = check_application(application, policy, on)
    if filled["applicant"]["kind"] == "enterprise" and filled["applicant"]["size"] is None:
        absent.add("applicant.size")
    in_order = (*_STAND_INS, "applicant.size")
    return Assessed(
        Checked(tuple(_certain(found.problems, absent)), tuple(_certain(found.warnings, absent))),
        tuple(path for path in in_order if path in absent),
        application,
    )


def _certain(found: tuple[FieldProblem, ...], absent: set[str]) -> Iterator[FieldProblem]:
    """Yield what rests on nothing that is missing."""
    for each in found:
        if not {each.field, *_RESTS_ON.get(each.field, ())} & absent:
            yield each


def _at(body: Mapping[str, Any], path: str) -> Any:
    for part in path.split("."):
        body = body[part]
    return body


def _completed(filled: Mapping[str, Any], absent: set[str]) -> dict[str, Any]:
    body = {**filled, "applicant": {**filled["applicant"]}, "site": {**filled["site"]}}
    for path in absent:
        *parents, last = path.split(".")
        inner = body
        for parent in parents:
            inner = inner[parent]
        inner[last] = _STAND_INS[path]
    return body
