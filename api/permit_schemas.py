"""What `POST /permits/preview` takes and answers, and the examples its description shows."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Shown, Texts
from domain.route import RoadDate, Route

FactValue = bool | int | float | str | date | None


class PreviewRequest(BaseModel):
    """The body of `POST /permits/preview`.

    Attributes:
        on: civil date on which the permits would be asked for; today if left out.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    voltage: Literal["low", "high"]
    route: Route
    on: RoadDate | None = None


class NeedBody(Texts):
    """Something that the policy asks of a route; the id of an item is its name."""

    kind: Literal["item", "exception", "guard"]
    id: str


class ReasonBody(Texts):
    """Facts of some segments that call for it, also in words."""

    segments: list[int]
    facts: dict[str, FactValue]


class ChangeBody(Texts):
    """A fact to be chosen otherwise on some segments, also in words."""

    segments: list[int]
    fact: str
    from_: FactValue = Field(alias="from")
    to: FactValue


class WayBody(Texts):
    """A way around it (免办途径): all changes together, also in words.

    Attributes:
        since: first date on which it is one; null: at once.
        removes: what else would no longer be needed.
        adds: what would be needed instead.
    """

    changes: list[ChangeBody]
    since: date | None
    removes: list[NeedBody]
    adds: list[NeedBody]


class NeededBody(NeedBody):
    """What the route calls for, why, and how it could do without.

    Attributes:
        verdict: what to say where no design of this line does without.
    """

    basis: str
    segments: list[int]
    reasons: list[ReasonBody]
    avoid: list[WayBody]
    verdict: Texts | None


class DepartmentBody(Texts):
    """A department, and what would be asked of it."""

    agency: str
    items: list[NeededBody]


class ProcedureBody(Texts):
    """What becomes of the line: parallel approval at high voltage, filing at low voltage."""

    kind: Literal["approval", "filing"]
    limit_working_days: int | None
    clause: str


class PreviewBody(Shown):
    """What a route would need on a day (RB-4.2 to RB-4.4).

    Attributes:
        is_empty: no permit is needed; `statement` says so.
        exceptions: at high voltage: approvals outside the window and its limit.
        guards: at low voltage: what a person should look at.
    """

    voltage: Literal["low", "high"]
    on: date
    policy: str
    procedure: ProcedureBody
    is_empty: bool
    statement: Texts | None
    departments: list[DepartmentBody]
    exceptions: list[NeededBody]
    guards: list[NeededBody]


PREVIEW_EXAMPLE: dict[str, Any] = {
    "voltage": "high",
    "route": {
        "segments": [
            {
                "length_m": 120.0,
                "method": "duct",
                "planning_area": "none",
                "road": "highway",
                "highway_class": "county",
                "crosses_highway": True,
                "uses_bridge": False,
                "traffic_affected": False,
                "attached_to_road": False,
                "green_m2": 0.0,
                "trees": 0,
                "ancient_tree": False,
                "river_zone": False,
                "waterworks_zone": False,
                "drain_change": False,
            }
        ]
    },
    "on": "2026-09-16",
}
PERMIT_EXAMPLES: dict[str, dict[str, Any]] = {
    "PreviewBody": {
        "voltage": "high",
        "on": "2026-09-16",
        "policy": "zhanjiang-2020-516.1",
        "procedure": {
            "kind": "approval",
            "zh": "外线工程并联审批",
            "en": "Permits for the external line",
            "limit_working_days": 5,
            "clause": "516 三(三)",
        },
        "is_empty": False,
        "statement": None,
        "departments": [
            {
                "agency": "transport",
                "zh": "市交通运输局",
                "en": "Transport Bureau",
                "items": [
                    {
                        "kind": "item",
                        "id": "跨越、穿越公路审批",
                        "zh": "跨越、穿越公路审批",
                        "en": "Permit to cross a highway above or below",
                        "basis": "公路法45",
                        "segments": [1],
                        "reasons": [
                            {
                                "segments": [1],
                                "facts": {"crosses_highway": True},
                                "zh": "第1段（跨越、穿越公路：是）",
                                "en": "segment 1 (crosses a highway: yes)",
                            }
                        ],
                        "avoid": [
                            {
                                "changes": [
                                    {
                                        "segments": [1],
                                        "fact": "crosses_highway",
                                        "from": True,
                                        "to": False,
                                        "zh": "第1段跨越、穿越公路由“是”改为“否”",
                                        "en": "segment 1, crosses a highway: no instead of yes",
                                    }
                                ],
                                "since": None,
                                "removes": [],
                                "adds": [
                                    {
                                        "kind": "item",
                                        "id": "公路用地内架设、埋设管线审批",
                                        "zh": "公路用地内架设、埋设管线审批",
                                        "en": "Permit for a line in the land of a highway",
                                    }
                                ],
                                "zh": "第1段跨越、穿越公路由“是”改为“否”。"
                                "但会增加：“公路用地内架设、埋设管线审批”。",
                                "en": "Segment 1, crosses a highway: no instead of yes. "
                                "But adds: Permit for a line in the land of a highway.",
                            }
                        ],
                        "verdict": None,
                    }
                ],
            }
        ],
        "exceptions": [],
        "guards": [],
    }
}
