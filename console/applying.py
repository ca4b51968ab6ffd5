"""Taking an application in at the window: one form, checked while it is typed, with a preview.

The form shows what matters, by CSS; what does not is dropped here, whatever was sent. Every word of
what is wrong and what it would come to is the API's own (`api.previews`).
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api import applications, following, previews
from api.problems import field_problems
from api.services import Services, Serving
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, field_id, page
from domain.access import Act
from domain.application import Application
from domain.draft import Draft
from domain.errors import FieldProblem, IdempotencyConflict, InputRefused
from domain.policy import DocumentKind

router = APIRouter()

FIELDS = (
    *("applicant.kind", "applicant.name", "applicant.id_type", "applicant.id_number"),
    *("applicant.phone", "applicant.size", "site.address", "site.district", "voltage", "supply"),
    *("capacity_kva", "purpose", "consent_to_certificates", "documents.identity"),
    *("documents.ownership", "channel"),
)
"""Each has a place on the form where what is wrong with it is told."""

# The parts of a number that is still being typed are no mistake yet.
_WHOLE_FROM = {"applicant.id_number": 15, "applicant.phone": 11}

_DEFAULTS: Mapping[str, str] = {
    "applicant.kind": "person",
    "applicant.id_type": "resident_id",
    "voltage": "low",
    "supply": "single",
    "purpose": "permanent",
    "channel": "window",
}


@router.get("/cases/new", name=Act.SUBMIT_APPLICATION)
async def new_case(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show the empty form."""
    return await _form(request, visitor, services, FormData(_DEFAULTS))


@router.post("/cases/new/check", name=Act.SUBMIT_APPLICATION)
async def check(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Say what is wrong so far, and what it would come to; nothing is kept.

    The answer holds what is put beside the fields and into the preview. It never holds a field, so
    neither the focus nor what is being typed is touched.
    """
    form = await request.form()
    looked = await _looked_at(form, visitor, services)
    return page(
        request,
        visitor,
        "apply_check.html",
        fields=FIELDS,
        field_id=field_id,
        problems=Problems(_without_unfinished(looked.problems, form)),
        **_shown(looked, services),
    )


@router.post("/cases/new", name=Act.SUBMIT_APPLICATION)
async def submit(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Take the application in, once per form; or show what is wrong beside all that was typed."""
    form = await request.form()
    looked = await _looked_at(form, visitor, services)
    problems = [*looked.problems, *looked.unfilled()]
    key = str(form.get("key", ""))[:100] or _new_key()
    if problems:
        return await _form(request, visitor, services, form, problems, key)
    try:
        application = Application.model_validate(looked.body)
        receipt = await applications.submit(application, f"form-{key}", visitor.caller, services)
    except InputRefused as refused:
        return await _form(request, visitor, services, form, refused.problems, key)
    except IdempotencyConflict:
        again = FieldProblem(
            "applicant.name",
            "this form was sent before, with other contents; to take it in as another case, "
            "send it again",
            "此表单此前已提交过且内容不同；如需作为新的办件提交，请再次提交",
        )
        return await _form(request, visitor, services, form, [again], _new_key())
    no = receipt.headers["Location"].rsplit("/", 1)[1]
    return RedirectResponse(f"{PATH}/cases/{no}?taken=yes", status_code=303)


# ---------------------------------------------------------------- the slip


@router.get("/cases/{no}/slip", name=Act.SUBMIT_APPLICATION)
async def slip(request: Request, no: str, visitor: Guarded, services: Serving) -> Response:
    """Show the slip for the applicant, to be printed."""
    receipt = await previews.receipt_again(no, visitor.caller, services)
    return _slip(request, visitor, services, receipt, receipt["follow_secret"])


@router.post("/cases/{no}/slip", name=Act.RENEW_FOLLOW_SECRET)
async def renewed_slip(request: Request, no: str, visitor: Guarded, services: Serving) -> Response:
    """Give the applicant another follow code in the place of a lost one, on a new slip."""
    form = await request.form()
    key = str(form.get("key", ""))[:100] or _new_key()
    account = visitor.signed_in.id
    given, _ = await following.renewed(no, key, visitor.caller, services, account)
    receipt = await previews.receipt_again(no, visitor.caller, services)
    return _slip(request, visitor, services, receipt, given["follow_secret"])


def _slip(
    request: Request,
    visitor: Visitor,
    services: Services,
    receipt: Mapping[str, Any],
    secret: str | None,
) -> Response:
    return page(
        request,
        visitor,
        "apply_slip.html",
        back=f"{PATH}/cases/{receipt['no']}",
        receipt=receipt,
        secret=secret,
        can_follow=services.secrets.is_on,
        follow_at=f"{str(request.base_url).removesuffix('/').removesuffix(PATH)}{PATH}/follow",
        window=services.policy.agencies.get(visitor.caller.agency),
        key=_new_key(),
    )


# ---------------------------------------------------------------- reading the form


class _Looked:
    """What was made of a form.

    Attributes:
        body: of the application, as far as it was filled in.
        problems: with what was filled in.
        preview: as the API gives it, of all that has the right shape.
        unnamed: fields of documents that must be named: an agent's authorisation comes with one.
    """

    def __init__(
        self,
        body: Mapping[str, Any],
        problems: Sequence[FieldProblem],
        preview: Mapping[str, Any],
        unnamed: Sequence[str],
    ) -> None:
        self.body, self.problems, self.preview, self.unnamed = body, problems, preview, unnamed

    def unfilled(self) -> list[FieldProblem]:
        """Return a problem for each field that an application needs."""
        known = {problem.field for problem in self.problems}
        fields = [*self.preview["missing"], *self.unnamed]
        return [
            FieldProblem(field, "fill this in", "必填") for field in fields if field not in known
        ]


async def _looked_at(form: FormData, visitor: Visitor, services: Services) -> _Looked:
    body, problems = _body_of(form)
    shaped, of_shape = _in_shape(body)
    found = await previews.preview(shaped, visitor.caller, services)
    by_rule = [
        FieldProblem(each["field"], each["message"], each["message_zh"])
        for each in found["problems"]
    ]
    lacks_authorisation = _has_agent(form) and not _text(form, "documents.identity")
    return _Looked(
        body,
        [*problems, *map(_on_the_form, [*of_shape, *by_rule])],
        found,
        ["documents.identity"] if lacks_authorisation else [],
    )


def _body_of(form: FormData) -> tuple[dict[str, Any], list[FieldProblem]]:
    """Read the form as the body of an application, without what does not apply to it."""
    problems: list[FieldProblem] = []
    kind = _text(form, "applicant.kind")
    is_enterprise = kind == "enterprise"
    voltage = _text(form, "voltage")
    applicant = {
        "kind": kind,
        "name": _text(form, "applicant.name"),
        "id_type": "uscc" if is_enterprise else _text(form, "applicant.id_type"),
        "id_number": _number(form, "applicant.id_number").replace(" ", ""),
        "phone": _number(form, "applicant.phone"),
        "size": _text(form, "applicant.size") if is_enterprise else "",
    }
    body: dict[str, Any] = {
        "channel": _text(form, "channel"),
        "voltage": voltage,
        "supply": "single" if voltage == "low" else _text(form, "supply"),
        "purpose": _text(form, "purpose"),
        "capacity_kva": _capacity(form, problems),
        "applicant": _filled(applicant),
        "site": _filled(
            {"address": _text(form, "site.address"), "district": _text(form, "site.district")}
        ),
        "consent_to_certificates": {"yes": True, "no": False}.get(
            _text(form, "consent_to_certificates")
        ),
        "documents": _documents(form),
    }
    return _filled(body), problems


def _documents(form: FormData) -> list[dict[str, Any]]:
    # RB-3.2: with consent both are drawn; RB-3.1: an agent's authorisation is an attribute of the
    # identity document, so with an agent there is one.
    has_consent = _text(form, "consent_to_certificates") == "yes"
    has_agent = _has_agent(form)
    kinds: list[DocumentKind] = []
    if has_agent or not has_consent:
        kinds.append("identity")
    if not has_consent:
        kinds.append("ownership")
    return [
        {"kind": kind, "reference": reference}
        | ({"is_agent_authorised": True} if kind == "identity" and has_agent else {})
        for kind in kinds
        if (reference := _text(form, f"documents.{kind}"))
    ]


def _has_agent(form: FormData) -> bool:
    return _text(form, "has_agent") == "yes"


def _capacity(form: FormData, problems: list[FieldProblem]) -> float | None:
    typed = _number(form, "capacity_kva").lower().removesuffix("kva").strip()
    if not typed:
        return None
    try:
        return float(typed.replace(",", ""))
    except ValueError:
        problems.append(
            FieldProblem(
                "capacity_kva", "write a number of kVA, e.g. 8 or 12.5", "请填写数字，如 8 或 12.5"
            )
        )
        return None


def _in_shape(body: Mapping[str, Any]) -> tuple[Draft, list[FieldProblem]]:
    """Return what of a body has the shape of an application's, and what is wrong with the rest."""
    try:
        return Draft.model_validate(body), []
    except ValidationError as error:
        found = error.errors()
    kept: dict[str, Any] = {
        name: dict(value) if isinstance(value, dict) else value for name, value in body.items()
    }
    for each in found:
        outer, *inner = each["loc"]
        if inner and isinstance(kept.get(str(outer)), dict):
            kept[str(outer)].pop(inner[0], None)
        else:
            kept.pop(str(outer), None)
    return Draft.model_validate(kept), field_problems(found)


def _on_the_form(problem: FieldProblem) -> FieldProblem:
    """Name the field of the form that a field of the body comes from."""
    if problem.field.startswith("documents"):
        return FieldProblem("documents.identity", problem.en, problem.zh)
    return problem


def _without_unfinished(found: Sequence[FieldProblem], form: FormData) -> list[FieldProblem]:
    typing = str(form.get("typing", ""))
    is_short = len(_number(form, typing)) < _WHOLE_FROM.get(typing, 0)
    return [each for each in found if not (each.field == typing and is_short)]


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None)}


def _text(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def _number(form: FormData, name: str) -> str:
    # An input method leaves digits and letters of full width.
    return unicodedata.normalize("NFKC", _text(form, name)).strip()


# ---------------------------------------------------------------- showing it


async def _form(
    request: Request,
    visitor: Visitor,
    services: Services,
    form: FormData,
    problems: Sequence[FieldProblem] = (),
    key: str | None = None,
) -> Response:
    looked = await _looked_at(form, visitor, services)
    return page(
        request,
        visitor,
        "apply.html",
        status=422 if problems else 200,
        back=f"{PATH}/cases/new",
        form=form,
        key=key or _new_key(),
        districts=services.policy.districts,
        problems=Problems(problems),
        **_shown(looked, services),
    )


def _shown(looked: _Looked, services: Services) -> dict[str, Any]:
    return {
        "preview": looked.preview,
        "asked_voltage": looked.body.get("voltage"),
        "warnings": Problems(
            FieldProblem(each["field"], each["message"], each["message_zh"])
            for each in looked.preview["warnings"]
        ),
        "wrong": len({problem.field for problem in looked.problems}),
    }


def _new_key() -> str:
    return secrets.token_urlsafe(16)
