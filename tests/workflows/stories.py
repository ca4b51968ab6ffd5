"""Stories: who answers what, and where it leads. Tests tell them, and saved histories hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from domain.connection import STORY, Ending, TaskKind, Voltage
from storage.records import TaskRecord
from tests.support.cases import HIGH, LOW, SEGMENT

Body = Mapping[str, Any]
"""An outcome as it is sent."""

APPLICATIONS: Mapping[Voltage, Body] = {Voltage.LOW: LOW, Voltage.HIGH: HIGH}


def route(*segments: Body) -> Body:
    """Return a route of segments that differ from open country by the given facts."""
    open_country = {**SEGMENT, "method": "overhead", "planning_area": "none", "road": "none"}
    return {"segments": [{**open_country, **facts} for facts in segments]}


OPEN_COUNTRY: Body = {}
STREET: Body = {
    "method": "open_cut",
    "planning_area": "town",
    "road": "urban",
    "traffic_affected": True,
    "road_opened_on": "2009-06-01",
}
HIGHWAY: Body = {"road": "highway", "highway_class": "county", "crosses_highway": True}
RIVER: Body = {"river_zone": True}

NEW_ROAD: Body = {**STREET, "road_opened_on": "2024-06-01"}

FIVE_DEPARTMENTS = frozenset(
    {"natural-resources", "police", "urban-management", "transport", "water"}
)
ROUTE_OF_FIVE = route(STREET, HIGHWAY, RIVER)
ROUTE_OF_TWO = route(RIVER, HIGHWAY)
ROUTE_OF_NONE = route(OPEN_COUNTRY)


def designed(line: Body) -> Body:
    """Return the outcome of a line design."""
    return {"code": "designed", "route": line}


def every_item(outcome: str) -> Body:
    """Return a department's answer of one outcome to all it is asked; see `answering`."""
    return {"code": "answered", "every_item": outcome}


_USUAL: Mapping[TaskKind, Body] = {
    TaskKind.CHECK_PAPERS: {"code": "accepted"},
    TaskKind.CORRECT_PAPERS: {"code": "corrected"},
    TaskKind.SURVEY: {"code": "surveyed"},
    TaskKind.FILING: {"code": "filed"},
    TaskKind.SUPPLY_PLAN: {"code": "planned"},
    TaskKind.CONFIRM_PLAN: {"code": "agreed"},
    TaskKind.LINE_DESIGN: designed(ROUTE_OF_FIVE),
    TaskKind.LOOK_AT_ROUTE: {"code": "seen", "note": "已查看，无需调整"},
    TaskKind.CONSENT: {"code": "consented", "document_no": "示例府函〔2026〕1号"},
    TaskKind.PERMITS: every_item("approved"),
    TaskKind.PAPERS: {"code": "received"},
    TaskKind.BUILD_LINE: {"code": "built"},
    TaskKind.CUSTOMER_WORKS: {"code": "finished"},
    TaskKind.INSPECTION: {"code": "passed"},
    TaskKind.RECTIFICATION: {"code": "rectified"},
    TaskKind.SIGN_CONTRACT: {"code": "signed"},
    TaskKind.ENERGISE: {"code": "energised"},
}


def what(task: TaskRecord) -> str:
    """Name a task within its case, e.g. `permits-water.1`."""
    return task.id.removeprefix(f"{task.case_no}.")


@dataclass(frozen=True, slots=True)
class Story:
    """How the tasks of one case are answered.

    Attributes:
        answers: what differs from the usual, by task, e.g. `permits-water.1`.
        leaves_open: what nobody answers; closed by the ending.
        ending: where it leads; a story that is withdrawn is so once `leaves_open` are open.
        bundles: what each round's parallel approval comes to.
        lets_notice_lapse: the desk is silent about the papers until they count as accepted.
    """

    voltage: Voltage
    ending: Ending
    answers: Mapping[str, Body] = field(default_factory=lambda: MappingProxyType({}))
    leaves_open: frozenset[str] = frozenset()
    bundles: tuple[str, ...] = ()
    lets_notice_lapse: bool = False

    @property
    def is_withdrawn(self) -> bool:
        """Whether the applicant ends it."""
        return self.ending is Ending.WITHDRAWN

    def outcome(self, task: TaskRecord) -> Body:
        """Return the answer to a task."""
        return answering(task, self.answers.get(what(task), _USUAL[task.kind]))


def answering(task: TaskRecord, answer: Body) -> Body:
    """Return an answer to a task; `every_item` becomes an answer to each item asked."""
    body = dict(answer)
    if (outcome := body.pop("every_item", None)) is not None:
        grounds: Body = {"note": "示例理由"} if outcome in ("refused", "not_accepted") else {}
        if outcome == "papers_to_follow":
            grounds = {"papers": ["示例图纸"], "papers_by": "2026-10-30"}
        body["items"] = [
            {"item": asked["item"], "outcome": outcome, **grounds} for asked in task.asked["items"]
        ]
    return body


_LOW, _HIGH = Voltage.LOW, Voltage.HIGH
_REFUSED = every_item("refused")
_DECLINED: Body = {"code": "declined", "note": "不属于受理范围"}
_NOT_FEASIBLE: Body = {"code": "not_feasible", "note": "附近没有可用电源"}
_TWO_DEPARTMENTS = {"line_design.1": designed(ROUTE_OF_TWO)}

STORIES: Mapping[str, Story] = {
    "low.connected": Story(_LOW, Ending.CONNECTED),
    "low.declined": Story(_LOW, Ending.DECLINED, {"check_papers.1": _DECLINED}),
    "low.not_feasible": Story(_LOW, Ending.NOT_FEASIBLE, {"survey.1": _NOT_FEASIBLE}),
    "low.withdrawn": Story(_LOW, Ending.WITHDRAWN, leaves_open=frozenset({"filing.1"})),
    "low.corrected": Story(
        _LOW,
        Ending.CONNECTED,
        {"check_papers.1": {"code": "correction_needed", "missing": ["物业权属证明材料"]}},
    ),
    "low.guarded": Story(
        _LOW,
        Ending.CONNECTED,
        {"survey.1": {"code": "surveyed", "route": route(RIVER, STREET)}},
    ),
    "low.deemed_accepted": Story(_LOW, Ending.CONNECTED, lets_notice_lapse=True),
    "high.connected": Story(_HIGH, Ending.CONNECTED, bundles=("granted",)),
    "high.no_permit_needed": Story(
        _HIGH,
        Ending.CONNECTED,
        {"line_design.1": designed(ROUTE_OF_NONE)},
        bundles=("no_permit_needed",),
    ),
    "high.granted_with_conditions": Story(
        _HIGH,
        Ending.CONNECTED,
        {
            **_TWO_DEPARTMENTS,
            "permits-water.1": every_item("approved_with_conditions"),
            "permits-transport.1": every_item("papers_to_follow"),
        },
        bundles=("granted_with_conditions",),
    ),
    "high.consented": Story(
        _HIGH,
        Ending.CONNECTED,
        {"line_design.1": designed(route(NEW_ROAD))},
        bundles=("granted",),
    ),
    "high.consent_refused": Story(
        _HIGH,
        Ending.CONNECTED,
        {
            "line_design.1": designed(route(NEW_ROAD, RIVER)),
            "consent.1": {"code": "refused", "note": "市政府不同意挖掘"},
            "line_design.2": designed(route(RIVER)),
        },
        bundles=("granted", "granted"),
    ),
    "high.not_competent": Story(
        _HIGH,
        Ending.CONNECTED,
        {
            **_TWO_DEPARTMENTS,
            "permits-water.1": {"code": "not_competent", "competent": "transport", "note": "示例"},
            "permits-transport-for-water.1": {
                "code": "not_competent",
                "competent": "police",
                "note": "示例",
            },
        },
        bundles=("granted",),
    ),
    "high.revised_route": Story(
        _HIGH,
        Ending.CONNECTED,
        {
            **_TWO_DEPARTMENTS,
            "permits-water.1": _REFUSED,
            "line_design.2": designed(route({**RIVER, "method": "trenchless"}, HIGHWAY)),
        },
        bundles=("partial", "granted"),
    ),
    "high.revised_plan": Story(
        _HIGH,
        Ending.CONNECTED,
        {
            "confirm_plan.1": {"code": "revise", "note": "希望改接另一回线路"},
            "line_design.1": designed(ROUTE_OF_NONE),
        },
        bundles=("no_permit_needed",),
    ),
    "high.rectified": Story(
        _HIGH,
        Ending.CONNECTED,
        {
            "line_design.1": designed(ROUTE_OF_NONE),
            "inspection.1": {"code": "failed", "note": "接地电阻不合格"},
        },
        bundles=("no_permit_needed",),
    ),
    "high.declined": Story(
        _HIGH,
        Ending.DECLINED,
        {
            "check_papers.1": {"code": "correction_needed", "missing": ["身份证明材料"]},
            "check_papers.2": _DECLINED,
        },
    ),
    "high.not_feasible": Story(_HIGH, Ending.NOT_FEASIBLE, {"supply_plan.1": _NOT_FEASIBLE}),
    "high.plan_refused": Story(_HIGH, Ending.PLAN_REFUSED, {"confirm_plan.1": {"code": "refused"}}),
    "high.permits_refused": Story(
        _HIGH,
        Ending.PERMITS_REFUSED,
        {
            **_TWO_DEPARTMENTS,
            "permits-water.1": _REFUSED,
            "permits-transport.1": every_item("not_accepted"),
            "line_design.2": {"code": "no_route", "note": "没有可行的替代路径"},
        },
        leaves_open=frozenset({"customer_works.1"}),
        bundles=("refused",),
    ),
    "high.inspection_failed": Story(
        _HIGH,
        Ending.INSPECTION_FAILED,
        {
            "line_design.1": designed(ROUTE_OF_NONE),
            "inspection.1": {"code": "failed", "note": "接地电阻不合格"},
            "rectification.1": {"code": "abandoned"},
        },
        bundles=("no_permit_needed",),
    ),
    "high.withdrawn": Story(
        _HIGH,
        Ending.WITHDRAWN,
        leaves_open=frozenset({f"permits-{name}.1" for name in FIVE_DEPARTMENTS}),
        bundles=("withdrawn",),
    ),
}


def endings() -> Iterator[tuple[Voltage, Ending]]:
    """Every ending that each story's table knows, and withdrawal, which stands in no table."""
    for voltage, turns in STORY.items():
        reached = {turn.then for by_code in turns.values() for turn in by_code.values()}
        for ending in Ending:
            if ending in reached or ending is Ending.WITHDRAWN:
                yield voltage, ending
