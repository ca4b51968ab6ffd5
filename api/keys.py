"""Keys of agencies' systems: listing, making, replacing, revoking them (administrators only)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from activities.contract import civil_text
from api.applications import Cursor, IdempotencyKey, Limit
from api.auth import Caller, SignedIn
from api.problems import KEYS_OFF, Refused
from api.responses import spelled
from api.schemas import Reason, Shown, Texts, refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from domain.system_keys import (
    LASTS,
    LONGEST_DAYS,
    LONGEST_OVERLAP_DAYS,
    OVERLAP_DAYS,
    KeyState,
    UnknownKey,
    key_of,
    mark_of,
    prefix_of,
)
from domain.words import Words
from storage.system_keys import KeyRecord, NewKey

router = APIRouter(prefix="/admin/keys", tags=["administration"])

KeyId = Annotated[str, Path(pattern=r"^[a-z0-9]{12}$", description="Id of a key")]
Days = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]
Label = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
# A secret is shown: no cache on the way may keep it.
UNKEPT = {"Cache-Control": "no-store"}

STATES: Mapping[KeyState, Words] = {
    KeyState.ACTIVE: Words("在用", "In use"),
    KeyState.EXPIRING: Words("即将到期", "Expires soon"),
    KeyState.REPLACED: Words("已替换，过渡期内仍可用", "Replaced; goes on until it ends"),
    KeyState.EXPIRED: Words("已过期", "Expired"),
    KeyState.REVOKED: Words("已吊销", "Revoked"),
    KeyState.UNUSABLE: Words(
        "不可用：服务器密钥已更换", "Unusable: made under another server secret"
    ),
}


class WantedKey(BaseModel):
    """The body of `POST /admin/keys`.

    Attributes:
        label: which system it is for.
        days: how long it lasts.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    agency: Annotated[str, Field(min_length=1, max_length=40)]
    label: Label
    days: Days = LASTS.days


class Rotation(BaseModel):
    """The body of a rotation.

    Attributes:
        days: how long the new key lasts.
        overlap_days: how long the old one goes on beside it, 0 to end it now.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    days: Days = LASTS.days
    overlap_days: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_DAYS)] = OVERLAP_DAYS


class Revocation(BaseModel):
    """The body of a revocation: why, for the record."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    reason: Reason


class KeyBody(Shown):
    """A key on file, without its secret; instants are real time, also in training mode.

    Attributes:
        begins_with: how the key begins, to find it in a configuration.
        not_after: when it ends, or ended.
        last_used_at: to the hour.
    """

    id: str
    begins_with: str
    agency: str
    label: str
    state: KeyState
    state_text: Texts
    created_by: str
    created_at: str
    not_after: str
    days_left: int
    replaced_by: str | None
    revoked_at: str | None
    revoked_by: str | None
    last_used_at: str | None


class KeyPage(Shown):
    """A page of keys.

    `expiring` counts keys that end within 30 days and were not replaced yet, of all agencies. `on`
    is false where keys on file are off: then none is taken.
    """

    items: list[KeyBody]
    expiring: int
    on: bool
    next_cursor: str | None


class MadeKey(Shown):
    """A key that was made; `secret` is the whole key, shown this once, null if it was before."""

    key: KeyBody
    secret: str | None


class RotatedKey(MadeKey):
    """A key that was put in the place of another, which goes on until its `not_after`."""

    replaced: KeyBody


_KEY: dict[str, Any] = {
    "id": "k7f3a9c2b4de",
    "begins_with": "ow_k7f3a9c2b4de_",
    "agency": "water",
    "label": "水务审批系统",
    "state": "active",
    "state_text": {"zh": "在用", "en": "In use"},
    "created_by": "admin-1",
    "created_at": "2026-09-16T09:30:00+08:00",
    "not_after": "2027-09-16T09:30:00+08:00",
    "days_left": 365,
    "replaced_by": None,
    "revoked_at": None,
    "revoked_by": None,
    "last_used_at": None,
}
_OLD: dict[str, Any] = {
    **_KEY,
    "id": "a2b3c4d5e6f7",
    "begins_with": "ow_a2b3c4d5e6f7_",
    "state": "replaced",
    "state_text": {
        "zh": "已替换，过渡期内仍可用",
        "en": "Replaced; goes on until it ends",
    },
    "not_after": "2026-09-23T09:30:00+08:00",
    "days_left": 7,
    "replaced_by": "k7f3a9c2b4de",
}
_SECRET = "ow_k7f3a9c2b4de_example-of-a-secret-which-is-shown-only-once"  # noqa: S105
KEY_EXAMPLES: dict[str, dict[str, Any]] = {
    "KeyBody": _KEY,
    "KeyPage": {"items": [_KEY], "expiring": 0, "on": True, "next_cursor": None},
    "MadeKey": {"key": _KEY, "secret": _SECRET},
    "RotatedKey": {"key": _KEY, "secret": _SECRET, "replaced": _OLD},
}


@router.get(
    "",
    name=Act.MANAGE_KEYS,
    response_model=KeyPage,
    summary="Keys of systems (系统密钥)",
    responses=refusals(401, 403, 422),
)
async def list_keys(
    caller: SignedIn,
    services: Serving,
    agency: Annotated[str | None, Query(max_length=40, pattern=r"^[^\x00-\x1f\x7f]+$")] = None,
    standing: Annotated[
        Literal["in_use", "expiring", "ended"],
        Query(description="In use, the next to end first; to be replaced within 30 days; or ended"),
    ] = "in_use",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Return who has a key, since when and until when, and when it was last used."""
    caller.needs(Act.MANAGE_KEYS)
    at = services.now()
    page = await services.system_keys.all(
        at=at, standing=standing, agency=agency, limit=limit, cursor=cursor
    )
    mark = _mark(services)
    return {
        "items": [_body(each, at, mark) for each in page.items],
        "expiring": await services.system_keys.count_expiring(at),
        "on": mark is not None,
        "next_cursor": page.next_cursor,
    }


@router.post(
    "",
    name=Act.MANAGE_KEYS,
    status_code=201,
    response_model=MadeKey,
    summary="Make a key (新建密钥)",
    responses={
        200: {"model": MadeKey, "description": "It was made before; its secret was shown then"},
        **refusals(400, 401, 403, 409, 413, 422),
    },
)
async def add_key(
    body: Annotated[
        WantedKey, Body(examples=[{"agency": "water", "label": "水务审批系统", "days": 365}])
    ],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Make a key for a system of an agency. Its secret is in this answer, and never again."""
    made = await made_key(body, key, caller, services)
    return spelled(made, 201 if made["secret"] else 200, UNKEPT)


async def made_key(
    wanted: WantedKey, key: str, caller: Caller, services: Services
) -> Mapping[str, Any]:
    """Make a key; return it, with its secret unless it was made before.

    Raises:
        OneWindowError, Refused: nothing was made.
    """
    caller.needs(Act.MANAGE_KEYS)
    if wanted.agency not in services.policy.agencies:
        raise InputRefused(
            FieldProblem(
                "agency",
                f"no such agency; there are: {', '.join(services.policy.agencies)}",
                f"没有此单位；可用：{'、'.join(services.policy.agencies)}",
            )
        )
    at, secret = services.now(), _server_secret(services)
    new = NewKey.drawn(
        secret,
        wanted.agency,
        wanted.label,
        days=wanted.days,
        idempotency_key=key,
        by=caller.agency,
        at=at,
    )
    record, is_new = await services.system_keys.add(new)
    return {
        "key": _body(record, at, mark_of(secret)),
        "secret": key_of(secret, record.id, record.agency) if is_new else None,
    }


@router.get(
    "/{key_id}",
    name=Act.MANAGE_KEYS,
    response_model=KeyBody,
    summary="A key",
    responses=refusals(401, 403, 404, 422),
)
async def get_key(key_id: KeyId, caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Return a key as it stands."""
    caller.needs(Act.MANAGE_KEYS)
    if (record := await services.system_keys.find(key_id)) is None:
        raise UnknownKey(key_id)
    return _body(record, services.now(), _mark(services))


@router.post(
    "/{key_id}/rotate",
    name=Act.MANAGE_KEYS,
    status_code=201,
    response_model=RotatedKey,
    summary="Replace a key (轮换密钥)",
    responses={
        200: {"model": RotatedKey, "description": "Replaced before; the secret was shown then"},
        **refusals(400, 401, 403, 404, 409, 413, 422),
    },
)
async def rotate_key(
    key_id: KeyId,
    body: Annotated[Rotation, Body(examples=[{"days": 365, "overlap_days": 7}])],
    key: IdempotencyKey,
    caller: SignedIn,
    services: Serving,
) -> Response:
    """Make another key for the same system; the old one goes on for some days, then ends."""
    rotated = await rotated_key(key_id, body, key, caller, services)
    return spelled(rotated, 201 if rotated["secret"] else 200, UNKEPT)


async def rotated_key(
    key_id: str, wanted: Rotation, key: str, caller: Caller, services: Services
) -> Mapping[str, Any]:
    """Put a new key in the place of one; return both, with the secret unless it was done before.

    Raises:
        OneWindowError, Refused: nothing was changed.
    """
    caller.needs(Act.MANAGE_KEYS)
    at, secret = services.now(), _server_secret(services)
    new = NewKey.drawn(
        secret, "", "", days=wanted.days, idempotency_key=key, by=caller.agency, at=at
    )
    ends_at = at + timedelta(days=wanted.overlap_days)
    record, old, is_new = await services.system_keys.rotate(key_id, new, ends_at=ends_at)
    mark = mark_of(secret)
    return {
        "key": _body(record, at, mark),
        "secret": key_of(secret, record.id, record.agency) if is_new else None,
        "replaced": _body(old, at, mark),
    }


@router.post(
    "/{key_id}/revoke",
    name=Act.MANAGE_KEYS,
    response_model=KeyBody,
    summary="Revoke a key (吊销密钥)",
    responses=refusals(400, 401, 403, 404, 413, 422),
)
async def revoke_key(
    key_id: KeyId,
    body: Annotated[Revocation, Body(examples=[{"reason": "系统下线"}])],
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """End a key at once; repeating it changes nothing."""
    caller.needs(Act.MANAGE_KEYS)
    at = services.now()
    record = await services.system_keys.revoke(key_id, by=caller.agency, at=at, reason=body.reason)
    return _body(record, at, _mark(services))


def _server_secret(services: Services) -> str:
    """Return what keys are derived from.

    Raises:
        Refused: it is not set.
    """
    if (secret := services.settings.server_secret) is None:
        raise Refused(
            KEYS_OFF,
            "keys on file are off: set ONEWINDOW_SERVER_SECRET and start again",
            "在册密钥未启用：请设置 ONEWINDOW_SERVER_SECRET 后重新启动",
        )
    return secret.get_secret_value()


def _mark(services: Services) -> str | None:
    secret = services.settings.server_secret
    return None if secret is None else mark_of(secret.get_secret_value())


def _body(key: KeyRecord, at: datetime, mark: str | None) -> Mapping[str, Any]:
    state = key.state(at, mark)
    return {
        "id": key.id,
        "begins_with": prefix_of(key.id),
        "agency": key.agency,
        "label": key.label,
        "state": state.value,
        "state_text": STATES[state]._asdict(),
        "created_by": key.created_by,
        "created_at": civil_text(key.created_at),
        "not_after": civil_text(key.not_after),
        "days_left": max(0, (key.not_after - at).days),
        "replaced_by": key.replaced_by,
        "revoked_at": key.revoked_at and civil_text(key.revoked_at),
        "revoked_by": key.revoked_by,
        "last_used_at": key.last_used_at and civil_text(key.last_used_at),
    }
