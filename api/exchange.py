"""What happened to permit items, for the approval system 工建系统 (RB-4.8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from activities.exchange import MEDIA_TYPES, Spelling, file_name, pieces
from api.auth import SignedIn
from api.schemas import refusals
from api.services import Serving
from api.supervision import Day, period_problems
from domain.access import Act
from domain.errors import InputRefused
from domain.exchange import COLUMNS
from domain.working_time import civil_date

router = APIRouter(prefix="/exchange", tags=["supervision"])

_LINE = (
    '{"case_no": "ZJ20260000011", "task_id": "ZJ20260000011.permits-water.1", '
    '"item": "河道管理范围内建设项目工程建设方案审批", "department": "市水务局", "code": 8, '
    '"name_zh": "部门受理", "name_en": "accepted by the department", '
    '"at": "2026-09-16T15:20:00+08:00", "ground": null}\n'
)
_ROW = (
    "\ufeff" + ",".join(f'"{name}"' for name in COLUMNS) + "\r\n"
    '"ZJ20260000011","ZJ20260000011.permits-water.1","河道管理范围内建设项目工程建设方案审批",'
    '"市水务局","8","部门受理","accepted by the department","2026-09-16T15:20:00+08:00",""\r\n'
)
_FILES: dict[str, Any] = {
    MEDIA_TYPES["jsonl"]: {"schema": {"type": "string"}, "example": _LINE},
    MEDIA_TYPES["csv"]: {"schema": {"type": "string"}, "example": _ROW},
}


@router.get(
    "/permits",
    name=Act.FETCH_STATES,
    response_class=StreamingResponse,
    summary="States of permit items for 工建系统 (办件状态)",
    responses={
        200: {"description": "One state per line or row", "content": _FILES},
        **refusals(401, 403, 422),
    },
)
async def get_permits(
    caller: SignedIn,
    services: Serving,
    from_: Annotated[
        Day | None,
        Query(
            alias="from",
            description="First civil date on which something happened; `to` if left out",
            examples=["2026-09-16"],
        ),
    ] = None,
    to: Annotated[
        Day | None,
        Query(description="Last civil date; today if left out", examples=["2026-09-16"]),
    ] = None,
    spelling: Annotated[
        Spelling, Query(alias="format", description="JSON lines, or a table for people")
    ] = "jsonl",
) -> StreamingResponse:
    """Send what happened to permit items from day to day, in the codes 1 to 15."""
    caller.needs(Act.FETCH_STATES)
    last = to or civil_date(services.settings.clock.civil(services.now()))
    first = from_ or last
    if problems := period_problems(first, last):
        raise InputRefused(*problems)
    file = pieces(services.reading.engine, first, last, spelling)
    # A case file that is away is told by the status, as long as nothing has been sent.
    begun = await anext(file)
    name = file_name(first, last, spelling)
    return StreamingResponse(
        _rest(begun, file),
        media_type=MEDIA_TYPES[spelling],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _rest(begun: bytes, file: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for piece in file:
        yield piece
