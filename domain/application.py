"""The application (用电申请): its shape, and what is checked before it gets a number (RB-3).

The shape is strict: unknown fields, numbers as text and control characters are refused. What needs
the policy or a check digit is looked at by `check_application`, which finds everything at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.errors import FieldProblem
from domain.identity import Checked, IdType, check_identity, check_phone
from domain.policy import ApplicantKind, DocumentKind, Policy, Purpose, Size, Supply

Channel = Literal["window", "online_hall", "yueshengshi", "utility_hall"]

# Neither control characters nor those that turn the direction of what is shown after them.
_SHOWN = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_LINE = rf"^[^\s{_SHOWN}]([^{_SHOWN}]*[^\s{_SHOWN}])?$"

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE)]
IdNumber = Annotated[
    str, StringConstraints(min_length=1, max_length=32, pattern=_LINE, to_upper=True)
]
Phone = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=_LINE)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Applicant(_Body):
    """Who applies.

    Attributes:
        size: of an enterprise (划型标准); a person has none.
    """

    kind: ApplicantKind
    name: Line
    id_type: IdType
    id_number: IdNumber
    phone: Phone
    size: Size | None = None


class Site(_Body):
    """Where the supply is wanted.

    Attributes:
        district: six digits (GB/T 2260).
    """

    address: Line
    district: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


class Document(_Body):
    """One of the two documents (RB-3.1).

    Attributes:
        reference: where it is kept, e.g. the identifier of an e-certificate.
        is_agent_authorised: of an identity document: it comes with an agent's authorisation.
    """

    kind: DocumentKind
    reference: Line
    is_agent_authorised: bool | None = None


class Application(_Body):
    """The body of `POST /applications`.

    Attributes:
        voltage: low is 220/380 V, high is 10 kV [516 三(二)].
        capacity_kva: kVA, > 0, finite.
        documents: may be empty: with consent they are drawn from the registry (RB-3.2).
    """

    channel: Channel
    voltage: Literal["low", "high"]
    supply: Supply
    purpose: Purpose
    capacity_kva: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
    applicant: Applicant
    site: Site
    consent_to_certificates: bool
    documents: Annotated[tuple[Document, ...], Field(strict=False, max_length=10)]


def check_application(application: Application, policy: Policy, on: date) -> Checked:
    """Check what the shape alone cannot say, and find everything at once.

    Args:
        on: civil date of receipt.

    Returns:
        Problems, for each of which the application is refused, and warnings for the desk; the
        fields are paths such as `applicant.id_number`.
    """
    applicant = application.applicant
    return (
        Checked(problems=tuple(_applicant_problems(application)))
        + check_identity(applicant.id_type, applicant.id_number, on)
        + check_phone(applicant.phone)
        + Checked(problems=tuple(_document_problems(application)))
        + Checked(warnings=tuple(_site_warnings(application, policy)))
        + _supply_checked(application, policy)
    )


def _applicant_problems(application: Application) -> Iterator[FieldProblem]:
    applicant = application.applicant
    is_enterprise = applicant.kind == "enterprise"
    if is_enterprise and applicant.id_type != "uscc":
        yield FieldProblem(
            "applicant.id_type",
            "an enterprise is identified by its unified social credit code (uscc)",
            "企业应填写统一社会信用代码（uscc）",
        )
    if not is_enterprise and applicant.id_type == "uscc":
        yield FieldProblem(
            "applicant.id_type",
            "a person has no unified social credit code: name the identity paper",
            "自然人没有统一社会信用代码，请填写身份证件类型",
        )
    if is_enterprise and applicant.size is None:
        yield FieldProblem(
            "applicant.size",
            "required for an enterprise",
            "企业须填写规模（微型至大型）",
        )
    if not is_enterprise and applicant.size is not None:
        yield FieldProblem("applicant.size", "a person has no size", "自然人不填写企业规模")


def _document_problems(application: Application) -> Iterator[FieldProblem]:
    kinds: set[DocumentKind] = set()
    for position, document in enumerate(application.documents):
        if document.kind in kinds:
            yield FieldProblem(
                f"documents.{position}.kind",
                f"the document {document.kind} is given twice",
                "同一类材料重复提交",
            )
        kinds.add(document.kind)
        if document.is_agent_authorised is not None and document.kind != "identity":
            yield FieldProblem(
                f"documents.{position}.is_agent_authorised",
                "belongs to the identity document",
                "委托授权仅随身份证明材料填写",
            )


def _site_warnings(application: Application, policy: Policy) -> Iterator[FieldProblem]:
    """Say so where the address names another district than the one chosen."""
    named = [code for code, each in policy.districts.items() if each.zh in application.site.address]
    if named and application.site.district not in named:
        others = policy.districts[named[0]]
        yield FieldProblem(
            "site.district",
            f"the address names {others.en}: is it the right district?",
            f"用电地址中写有{others.zh}，与所选区县不一致，请核对",
        )


def _supply_checked(application: Application, policy: Policy) -> Checked:
    problems: list[FieldProblem] = []
    warnings: list[FieldProblem] = []
    if application.site.district not in policy.districts:
        problems.append(
            FieldProblem(
                "site.district",
                f"{application.site.district} is no district of {policy.city.en} (GB/T 2260)",
                f"{application.site.district}不是{policy.city.zh}的县（市、区）代码（GB/T 2260）",
            )
        )
    low, high = policy.capacity.low_max_kva, policy.capacity.high_max_kva
    capacity = application.capacity_kva
    if application.voltage == "low":
        if application.supply == "dual":
            problems.append(
                FieldProblem(
                    "supply",
                    "dual supply is given at high voltage only",
                    "低压不提供双电源，请申请高压",
                )
            )
        if capacity > low:
            problems.append(
                FieldProblem(
                    "capacity_kva",
                    f"low voltage supplies up to {low:g} kVA: apply for high voltage",
                    f"低压供电容量不超过{low:g}千伏安，请申请高压",
                )
            )
    elif capacity > high:
        problems.append(
            FieldProblem(
                "capacity_kva",
                f"10 kV supplies up to {high:g} kVA: ask the utility for a higher voltage",
                f"10千伏供电容量不超过{high:g}千伏安，更高电压等级请与供电企业联系",
            )
        )
    elif capacity <= low:
        warnings.append(
            FieldProblem(
                "capacity_kva",
                f"low voltage would do up to {low:g} kVA: ask whether high voltage is meant",
                f"不超过{low:g}千伏安可采用低压供电，请确认是否申请高压",
            )
        )
    return Checked(tuple(problems), tuple(warnings))
