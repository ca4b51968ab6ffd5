"""How the parts stand that an administrator looks after: engine, workers, policies (RB-12.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from fastapi import APIRouter

from activities.contract import civil_text
from api.auth import SignedIn
from api.schemas import Shown, Texts, refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import EngineAway
from operations.processes import WorkerVersion
from operations.stuck_workers import Workers, look_for_workers
from policy.loader import policies
from storage.policies import cases_by_policy

router = APIRouter(prefix="/admin", tags=["administration"])


class WorkersBody(Shown):
    """The workers of the queue; `seen_at` is civil, the last sign of life of any of them."""

    is_any: bool
    seen_at: str | None
    waiting: int
    waited_s: int


class WorkerVersionBody(Shown):
    """A version of the worker that the engine knows."""

    build_id: str
    is_current: bool
    is_running: bool
    seen_at: str | None


class EngineBody(Shown):
    """How the engine stands.

    Attributes:
        is_reachable: whether it answered in time; without it, the rest is not known.
        ui: address of its own web page; null where none is set.
        versions: of the worker, the newest first; none where workers run unversioned.
    """

    is_reachable: bool
    namespace: str
    ui: str | None
    workers: WorkersBody | None
    versions: list[WorkerVersionBody]


class PolicyVersionBody(Shown):
    """A policy that this program carries, and how many cases are pinned to it.

    Attributes:
        is_current: whether new cases are pinned to it.
    """

    version_id: str
    title: Texts
    in_force_on: date
    is_current: bool
    open_cases: int
    cases: int


STANDING_EXAMPLES: dict[str, dict[str, Any]] = {
    "EngineBody": {
        "is_reachable": True,
        "namespace": "default",
        "ui": "http://127.0.0.1:8233",
        "workers": {
            "is_any": True,
            "seen_at": "2026-09-18T09:12:00+08:00",
            "waiting": 0,
            "waited_s": 0,
        },
        "versions": [
            {
                "build_id": "2026.9",
                "is_current": True,
                "is_running": True,
                "seen_at": "2026-09-18T09:12:00+08:00",
            }
        ],
    },
    "PolicyVersionBody": {
        "version_id": "zhanjiang-2020-516.1",
        "title": {
            "zh": "湛江市进一步优化电力营商环境实施方案",
            "en": "Plan of Zhanjiang for a better business environment in electricity",
        },
        "in_force_on": "2020-01-01",
        "is_current": True,
        "open_cases": 2000,
        "cases": 50000,
    },
}


@router.get(
    "/engine",
    name=Act.SEE_ADMINISTRATION,
    response_model=EngineBody,
    summary="How the engine and the workers stand",
    responses=refusals(401, 403),
)
async def get_engine(caller: SignedIn, services: Serving) -> Mapping[str, Any]:
    """Say whether the engine answers, who works for it, and in which versions."""
    caller.needs(Act.SEE_ADMINISTRATION)
    workers, versions = await _workers(services)
    return {
        "is_reachable": workers is not None,
        "namespace": services.settings.engine_namespace,
        "ui": services.settings.engine_ui or None,
        "workers": workers and _workers_body(workers, services),
        "versions": [_version_body(each, services) for each in versions],
    }


async def _workers(services: Services) -> tuple[Workers | None, list[WorkerVersion]]:
    """Ask the engine for who works for it; None and nothing if it does not answer in time."""
    try:
        async with asyncio.timeout(services.settings.engine_timeout_s):
            workers = await look_for_workers(services.processes, services.now())
            return workers, await services.processes.versions()
    except (EngineAway, TimeoutError):
        return None, []


@router.get(
    "/policies",
    name=Act.SEE_POLICIES,
    response_model=list[PolicyVersionBody],
    summary="Policy versions, and the cases pinned to each",
    responses=refusals(401, 403),
)
async def get_policies(caller: SignedIn, services: Serving) -> list[Mapping[str, Any]]:
    """Return every policy version that this program carries, the newest first."""
    caller.needs(Act.SEE_POLICIES)
    counted = await cases_by_policy(services.reading.engine)
    found = sorted(
        policies().values(), key=lambda each: (each.in_force_on, each.version), reverse=True
    )
    return [
        {
            "version_id": each.version_id,
            "title": {"zh": each.title.zh, "en": each.title.en},
            "in_force_on": each.in_force_on,
            "is_current": each.version_id == services.policy.version_id,
            "open_cases": counted[each.version_id].are_open if each.version_id in counted else 0,
            "cases": counted[each.version_id].all if each.version_id in counted else 0,
        }
        for each in found
    ]


def _workers_body(workers: Workers, services: Services) -> Mapping[str, Any]:
    return {
        "is_any": workers.is_any,
        "seen_at": _civil(workers.seen_at, services),
        "waiting": workers.waiting,
        "waited_s": int(workers.waited.total_seconds()),
    }


def _version_body(version: WorkerVersion, services: Services) -> Mapping[str, Any]:
    return {
        "build_id": version.build_id,
        "is_current": version.is_current,
        "is_running": version.is_polled,
        "seen_at": _civil(version.polled_at, services),
    }


def _civil(instant: datetime | None, services: Services) -> str | None:
    return None if instant is None else civil_text(services.settings.clock.civil(instant))
