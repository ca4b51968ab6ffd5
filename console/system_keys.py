"""Keys of agencies' systems: who has one, what runs out, making, replacing and revoking them.

What is done here is done by the functions of `/admin/keys`; a key is shown on the answer to the
form that made it, and on no other page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse, Response

from api import keys
from api.keys import KeyId, Revocation, Rotation, WantedKey
from api.problems import field_problems
from api.services import Services, Serving
from console.form_fields import Sent, new_key, text, whole
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from domain.access import Act
from domain.errors import FieldProblem, InputRefused, LimitReached
from domain.system_keys import KeyEnded
from domain.words import Words

router = APIRouter()

ON_A_PAGE = 50

M = TypeVar("M", bound=BaseModel)
STANDINGS: Mapping[str, Words] = {
    "in_use": Words("在用", "In use"),
    "expiring": Words("30 天内到期", "End within 30 days"),
    "ended": Words("已失效", "Ended"),
}


@router.get("/admin/keys", name=Act.MANAGE_KEYS)
async def list_keys(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show keys, the next to end first, and the form for another."""
    return await _list(request, visitor, services)


@router.post("/admin/keys", name=Act.MANAGE_KEYS)
async def add_key(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Make a key and show it, this once."""
    form = await request.form()
    try:
        wanted = _read(WantedKey, form, ("agency", "label"), ("days",))
        made = await keys.made_key(wanted, _once(form), visitor.caller, services)
    except (InputRefused, LimitReached) as refused:
        return await _list(request, visitor, services, form, _problems(refused, "agency"))
    return _shown(request, visitor, services, made)


@router.get("/admin/keys/{key_id}", name=Act.MANAGE_KEYS)
async def show_key(
    request: Request, key_id: KeyId, visitor: Guarded, services: Serving
) -> Response:
    """Show a key, with what can be done to it."""
    return await _one(request, key_id, visitor, services)


@router.post("/admin/keys/{key_id}/rotate", name=Act.MANAGE_KEYS)
async def rotate_key(
    request: Request, key_id: KeyId, visitor: Guarded, services: Serving
) -> Response:
    """Put another key in its place and show that, this once."""
    form = await request.form()
    try:
        wanted = _read(Rotation, form, (), ("days", "overlap_days"))
        made = await keys.rotated_key(key_id, wanted, _once(form), visitor.caller, services)
    except (InputRefused, KeyEnded) as refused:
        problems = _problems(refused, "overlap_days")
        return await _one(request, key_id, visitor, services, form, problems)
    return _shown(request, visitor, services, made)


@router.post("/admin/keys/{key_id}/revoke", name=Act.MANAGE_KEYS)
async def revoke_key(
    request: Request, key_id: KeyId, visitor: Guarded, services: Serving
) -> Response:
    """End a key at once, if that was confirmed."""
    form = await request.form()
    try:
        wanted = _read(Revocation, form, ("reason",), ())
        if text(form, "confirm") != "yes":
            raise InputRefused(
                FieldProblem("confirm", "confirm that it ends now", "请确认立即吊销")
            )
        await keys.revoke_key(key_id, wanted, visitor.caller, services)
    except InputRefused as refused:
        return await _one(request, key_id, visitor, services, form, list(refused.problems))
    return RedirectResponse(f"{PATH}/admin/keys/{key_id}", status_code=303)


# ---------------------------------------------------------------- what was sent


def _read(model: type[M], form: Sent, texts: tuple[str, ...], numbers: tuple[str, ...]) -> M:
    """Read a form as the body of the same call.

    Raises:
        InputRefused: names every field that is wrong.
    """
    problems: list[FieldProblem] = []
    values: dict[str, Any] = {name: text(form, name) for name in texts}
    for name in numbers:
        if (number := whole(form, name, problems)) is not None:
            values[name] = number
    try:
        read = model.model_validate(values)
    except ValidationError as error:
        problems += field_problems(error.errors())
    if problems:
        raise InputRefused(*problems)
    return read


def _once(form: Sent) -> str:
    return text(form, "key") or new_key()


def _problems(refused: InputRefused | LimitReached | KeyEnded, field: str) -> list[FieldProblem]:
    if isinstance(refused, InputRefused):
        return list(refused.problems)
    return [FieldProblem(field, refused.en, refused.zh)]


# ---------------------------------------------------------------- what is shown


async def _list(
    request: Request,
    visitor: Visitor,
    services: Services,
    sent: Sent | None = None,
    problems: list[FieldProblem] | None = None,
) -> Response:
    asked = {name: text(request.query_params, name) for name in ("agency", "standing", "cursor")}
    if asked["standing"] not in STANDINGS:
        asked["standing"] = "in_use"
    found = await keys.list_keys(
        visitor.caller,
        services,
        agency=asked["agency"] if asked["agency"] in services.policy.agencies else None,
        standing=asked["standing"],  # type: ignore[arg-type]  # one of STANDINGS
        limit=ON_A_PAGE,
        cursor=asked["cursor"] or None,
    )
    return page(
        request,
        visitor,
        "admin_keys.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/keys",
        found=found,
        asked=asked,
        agencies=services.policy.agencies,
        sent=_fields(sent),
        problems=Problems(problems or ()),
        key=new_key(),
        STANDINGS=STANDINGS,
        is_training=services.settings.clock.speed != 1,
    )


async def _one(
    request: Request,
    key_id: str,
    visitor: Visitor,
    services: Services,
    sent: Sent | None = None,
    problems: list[FieldProblem] | None = None,
) -> Response:
    return page(
        request,
        visitor,
        "admin_key.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/keys/{key_id}",
        each=await keys.get_key(key_id, visitor.caller, services),
        made=None,
        agencies=services.policy.agencies,
        sent=_fields(sent),
        problems=Problems(problems or ()),
        key=new_key(),
    )


def _shown(
    request: Request, visitor: Visitor, services: Services, made: Mapping[str, Any]
) -> Response:
    """Show a key that was just made; the page is kept by nobody, and cannot be come back to."""
    return page(
        request,
        visitor,
        "admin_key.html",
        back=f"{PATH}/admin/keys/{made['key']['id']}",
        each=made["key"],
        made=made,
        agencies=services.policy.agencies,
        sent={},
        problems=Problems(),
        key=new_key(),
    )


def _fields(sent: Sent | None) -> Mapping[str, str]:
    return {} if sent is None else {name: str(value) for name, value in sent.items()}
