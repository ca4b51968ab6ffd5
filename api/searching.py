"""Looking for applications by what belongs in no address: names and telephone numbers (RB-13.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from api.applications import list_cases
from api.auth import SignedIn
from api.schemas import CasePage, refusals
from api.services import Serving
from domain.access import Act

router = APIRouter(prefix="/applications", tags=["applications"])

_Sought = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
_EXAMPLE: dict[str, Any] = {"q": "138 0000 0001", "state": "open", "limit": 20}


class CaseSearch(BaseModel):
    """The body of `POST /applications/search`: the parameters of `GET /applications`.

    Attributes:
        q: a case number, the applicant's telephone number in any spelling, or part of the
            applicant's name or of the address.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    q: _Sought | None = None
    stage: _Sought | None = None
    state: Literal["open", "ended"] | None = None
    district: _Sought | None = None
    channel: _Sought | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=400)] | None = None


@router.post(
    "/search",
    name=Act.SEE_CASES,
    response_model=CasePage,
    summary="Search applications (办件查询)",
    responses=refusals(400, 401, 403, 413, 422),
)
async def search_cases(
    wanted: Annotated[CaseSearch, Body(examples=[_EXAMPLE])],
    caller: SignedIn,
    services: Serving,
) -> Mapping[str, Any]:
    """Page through the cases one may see, newest first; nothing is changed.

    As `GET /applications`, but what is looked for is personal data and would stand in logs if it
    stood in the address. A telephone number is found here only.
    """
    return await list_cases(caller, services, **wanted.model_dump())
