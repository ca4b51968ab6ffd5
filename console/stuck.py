"""What is stuck, and what has not arrived: why, since when, and what to do about it (RB-12.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import stuck, undelivered
from api.services import Services, Serving
from console.engine_links import workflow_address
from console.form_fields import text
from console.guard import PATH, Guarded
from console.rendering import page, query
from domain.access import Act
from domain.repairs import RepairKind
from domain.words import Words
from operations.stuck_findings import KINDS, SEVERITIES, Severity, StuckKind

router = APIRouter()

ON_A_PAGE = 50
KIND_NAMES: Mapping[str, Words] = {kind: rule.title for kind, rule in KINDS.items()}
_WAITING = {
    "push": Words("任务推送", "Push of a task"),
    "outcome": Words("办理结果", "Outcome"),
    "message": Words("变更事件", "Change"),
}


@router.get("/admin/stuck", name=Act.SEE_STUCK)
async def list_stuck(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Page through what is stuck, the worst first; the same as `GET /admin/stuck`."""
    asked = {
        name: text(request.query_params, name)
        for name in ("kind", "severity", "agency", "case_no", "cursor")
    }
    found = await stuck.list_stuck(
        visitor.caller,
        services,
        kind=StuckKind(asked["kind"]) if asked["kind"] in set(StuckKind) else None,
        severity=Severity(asked["severity"]) if asked["severity"] in set(Severity) else None,
        agency=asked["agency"] or None,
        case_no=asked["case_no"] or None,
        now="now" in request.query_params,
        limit=ON_A_PAGE,
        cursor=asked["cursor"] or None,
    )
    return page(
        request,
        visitor,
        "admin_stuck.html",
        asked=asked,
        found=found,
        rows=[_row(each, services) for each in found["items"]],
        kinds=[(kind, KIND_NAMES[kind], found["counts"][kind]) for kind in _in_order(found)],
        SEVERITIES=SEVERITIES,
        rules=KINDS,
        agencies=services.policy.agencies,
    )


def _in_order(found: Mapping[str, Any]) -> list[StuckKind]:
    """Return the kinds that were found, the worst first."""
    return [kind for kind in StuckKind if found["counts"].get(kind)]


def _row(finding: Mapping[str, Any], services: Services) -> Mapping[str, Any]:
    return {
        "found": finding,
        "waited": waited(finding["age_s"]),
        "repair": repair_address(finding),
        "engine": workflow_address(services.settings, finding["workflow_id"]),
    }


def repair_address(finding: Mapping[str, Any]) -> str | None:
    """Return where the suggested repair of a finding is planned; None where none helps."""
    repair, no = finding["repair"], finding["case_no"]
    if repair is None or no is None:
        return None
    kind = repair["kind"]
    is_by_task = kind in (RepairKind.PUSH, RepairKind.RETRY)
    return f"{PATH}/admin/repairs/new?" + query(
        case_no=no,
        kind=str(kind),
        task_id=finding["task_id"] if is_by_task else None,
        process=finding["workflow_id"] if kind == RepairKind.RESET else None,
    )


def waited(seconds: int) -> Words:
    """Say how long somebody has waited."""
    for size, zh, en in ((86400, "天", "d"), (3600, "小时", "h"), (60, "分钟", "min")):
        if seconds >= 2 * size:
            return Words(f"{seconds // size} {zh}", f"{seconds // size} {en}")
    return Words(f"{seconds} 秒", f"{seconds} s")


@router.get("/admin/undelivered", name=Act.SEE_UNDELIVERED)
async def list_undelivered(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Page through what has not reached whom it is for; the same as `GET /admin/undelivered`."""
    asked = {name: text(request.query_params, name) for name in ("kind", "agency", "cursor")}
    found = await undelivered.list_undelivered(
        visitor.caller,
        services,
        kind=_kind(asked["kind"]),
        agency=asked["agency"] or None,
        limit=ON_A_PAGE,
        cursor=asked["cursor"] or None,
    )
    return page(
        request,
        visitor,
        "admin_undelivered.html",
        asked=asked,
        found=found,
        WAITING=_WAITING,
        agencies=services.policy.agencies,
    )


def _kind(text_: str) -> Any:
    return text_ if text_ in _WAITING else None
