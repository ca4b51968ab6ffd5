"""The preview: what a route would need, why, and how it could do without (RB-4.2 to RB-4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from api.permit_schemas import PERMIT_EXAMPLES, PREVIEW_EXAMPLE, PreviewBody
from tests.api.answers import fields, problem
from tests.support.cases import SEGMENT, without
from tests.support.databases import counts
from tests.support.serving import Api

PREVIEW = "/api/v1/permits/preview"
NOTHING: Mapping[str, Any] = {
    **SEGMENT,
    "method": "duct",
    "planning_area": "none",
    "road": "none",
}


def asked(*segments: Mapping[str, Any], voltage: str = "high", **more: Any) -> dict[str, Any]:
    """Ask about a route; each segment is NOTHING but for what is given."""
    route = {"segments": [{**NOTHING, **facts} for facts in segments]}
    return {"voltage": voltage, "route": route, **more}


async def answered(api: Api, body: Mapping[str, Any], agency: str = "desk") -> dict[str, Any]:
    answer = await api.call("POST", PREVIEW, agency, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    PreviewBody.model_validate_json(answer.text)
    return found


@pytest.mark.rule("RB-4.2")
async def test_items_stand_with_their_departments_reasons_and_ways_around(api: Api) -> None:
    dug = {"road": "urban", "method": "open_cut", "planning_area": "town"}
    body = await answered(api, asked(dug, {"river_zone": True}, {**dug, "trees": 2}))
    assert body["policy"] == "zhanjiang-2020-516.1"
    assert [
        (each["agency"], each["zh"], [item["zh"] for item in each["items"]])
        for each in body["departments"]
    ] == [
        ("natural-resources", "市自然资源局", ["建设工程规划许可（市政管线）"]),
        (
            "urban-management",
            "市城市管理和综合执法局",
            ["占用、挖掘城市道路审批", "砍伐、迁移城市树木审批"],
        ),
        ("water", "市水务局", ["河道管理范围内建设项目工程建设方案审批"]),
    ]
    planning = body["departments"][0]["items"][0]
    assert (planning["segments"], planning["avoid"]) == ([1, 3], [])
    assert planning["verdict"]["zh"] == "第1、3段只能另选路径。"
    assert planning["verdict"]["en"] == "Only by another alignment of segments 1 and 3."
    digging = body["departments"][1]["items"][0]
    assert digging["en"] == "Permit to occupy or dig an urban road"
    assert (digging["basis"], digging["segments"]) == ("城市道路管理条例30-33", [1, 3])
    assert digging["reasons"] == [
        {
            "segments": [1, 3],
            "facts": {"road": "urban", "method": "open_cut"},
            "zh": "第1、3段（所在道路：城市道路；施工方式：明挖）",
            "en": "segments 1 and 3 (road it lies in: urban road; method: open cut)",
        }
    ]
    assert [way["changes"][0]["to"] for way in digging["avoid"]] == ["overhead", "duct", "none"]
    assert digging["verdict"] is None
    assert (body["is_empty"], body["statement"]) == (False, None)


@pytest.mark.rule("RB-2.5")
@pytest.mark.rule("RB-4.2")
async def test_the_limit_is_the_bundles_with_its_clause(api: Api) -> None:
    body = await answered(api, asked({"trees": 1}))
    assert body["procedure"] == {
        "kind": "approval",
        "zh": "外线工程并联审批",
        "en": "Permits for the external line",
        "limit_working_days": 5,
        "clause": "516 三(三)",
    }


@pytest.mark.rule("RB-4.2")
async def test_no_permit_needed_is_stated_in_both_languages(api: Api) -> None:
    body = await answered(api, asked({}))
    assert (body["is_empty"], body["departments"], body["exceptions"]) == (True, [], [])
    assert body["statement"] == {"zh": "无需行政审批。", "en": "No permit needed."}


@pytest.mark.rule("RB-4.4")
async def test_an_exception_says_what_would_avoid_it_and_until_when_it_is_one(api: Api) -> None:
    young = {"road": "urban", "method": "open_cut", "road_opened_on": "2025-03-01"}
    body = await answered(api, asked(young))
    (exception,) = body["exceptions"]
    assert (exception["kind"], exception["id"]) == ("exception", "road-opened-lately")
    assert exception["reasons"][0]["facts"]["road_opened_on"] == "2025-03-01"
    trenchless, waiting = exception["avoid"][-2:]
    assert trenchless["changes"][0] == {
        "segments": [1],
        "fact": "method",
        "from": "open_cut",
        "to": "trenchless",
        "zh": "第1段施工方式由“明挖”改为“非开挖”",
        "en": "segment 1, method: trenchless instead of open cut",
    }
    assert trenchless["since"] is None
    assert (waiting["changes"], waiting["since"]) == ([], "2030-03-01")
    later = await answered(api, asked(young, on="2030-03-01"))
    assert (later["on"], later["exceptions"]) == ("2030-03-01", [])


@pytest.mark.rule("RB-4.4")
async def test_without_items_an_exception_is_not_passed_over(api: Api) -> None:
    body = await answered(api, asked({"ancient_tree": True}))
    assert body["is_empty"] and body["exceptions"]
    assert body["statement"] == {
        "zh": "无需行政审批；但下列例外事项须另行报批。",
        "en": "No permit needed, but the exceptions below need approval.",
    }


@pytest.mark.rule("RB-4.3")
async def test_at_low_voltage_the_line_is_filed_and_guards_ask_to_look(api: Api) -> None:
    route = {"road": "highway", "highway_class": "county", "trees": 4}
    body = await answered(api, asked(route, voltage="low"))
    assert (body["procedure"]["kind"], body["procedure"]["zh"]) == ("filing", "外线工程备案")
    assert body["procedure"]["limit_working_days"] == 1
    assert (body["is_empty"], body["departments"], body["exceptions"]) == (True, [], [])
    (guard,) = body["guards"]
    assert (guard["kind"], guard["id"], guard["segments"]) == ("guard", "highway", [1])
    assert [way["changes"][0]["to"] for way in guard["avoid"]] == ["urban", "none"]
    assert body["statement"] == {
        "zh": "无需行政审批，办理外线工程备案；下列提示须人工核查。",
        "en": "No permit needed. File the external line; a person has to look at the guards below.",
    }
    assert (await answered(api, asked(route)))["guards"] == []


@pytest.mark.rule("RB-1.1")
async def test_today_is_the_civil_date(api: Api) -> None:
    api.now = datetime(2026, 9, 16, 16, 30, tzinfo=UTC)  # half past midnight in Shanghai
    assert (await answered(api, asked({})))["on"] == "2026-09-17"
    assert (await answered(api, asked({}, on=None)))["on"] == "2026-09-17"


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize(
    "agency", ["desk", "utility", "water", "government-services-data", "special-group"]
)
async def test_every_agency_that_has_to_do_with_permits_may_look(api: Api, agency: str) -> None:
    assert (await answered(api, PREVIEW_EXAMPLE, agency))["departments"]


@pytest.mark.rule("RB-13.1")
async def test_applicants_and_strangers_may_not(api: Api) -> None:
    refused = await api.call("POST", PREVIEW, "applicant", json=PREVIEW_EXAMPLE)
    problem(refused, 403, "not-allowed")
    problem(await api.call("POST", PREVIEW, None, json=PREVIEW_EXAMPLE), 401, "not-signed-in")


async def test_nothing_is_put_on_file(api: Api) -> None:
    before = counts(api.url)
    await answered(api, PREVIEW_EXAMPLE)
    assert counts(api.url) == before


FIRST = "route.segments.0"
SPOILT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown field": (asked({}, colour="red"), ["colour"]),
    "an unknown fact": (asked({"colour": "red"}), [f"{FIRST}.colour"]),
    "a field beside the segments": (
        {**asked({}), "route": {"segments": [NOTHING], "length": 3}},
        ["route.length"],
    ),
    "no voltage": (without(asked({}), "voltage"), ["voltage"]),
    "another voltage": (asked({}, voltage="medium"), ["voltage"]),
    "no route": (without(asked({}), "route"), ["route"]),
    "no segments": (asked(), ["route.segments"]),
    "too many segments": (asked(*[{}] * 501), ["route.segments"]),
    "a fact left out": (
        {"voltage": "high", "route": {"segments": [without(NOTHING, "trees")]}},
        [f"{FIRST}.trees"],
    ),
    "another method": (asked({"method": "tunnel"}), [f"{FIRST}.method"]),
    "a number as text": (asked({"trees": "2"}), [f"{FIRST}.trees"]),
    "a distance without a class": (asked({"distance_to_highway_m": 3}), [FIRST]),
    "two segments at fault": (
        asked({"trees": -1}, {}, {"green_m2": -1}),
        [f"{FIRST}.trees", "route.segments.2.green_m2"],
    ),
    "no such day": (asked({}, on="2026-02-30"), ["on"]),
    "an instant for a day": (asked({}, on="2026-09-16T00:00:00Z"), ["on"]),
    "a number for a day": (asked({}, on=20_000), ["on"]),
    "a day before all roads": (asked({}, on="1899-12-31"), ["on"]),
    "the last day of all": (asked({}, on="9999-12-31"), ["on"]),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_what_is_wrong_is_named(api: Api, what: str) -> None:
    body, named = SPOILT[what]
    assert (
        fields(problem(await api.call("POST", PREVIEW, json=body), 422, "invalid-input")) == named
    )


async def test_a_route_of_many_different_segments_is_answered(api: Api) -> None:
    segments = [
        {
            "length_m": 10.0 + n,
            "method": ["open_cut", "trenchless"][n % 2],
            "road": ["urban", "highway"][n % 2],
            "highway_class": "county",
            "distance_to_highway_m": n / 100,
            "green_m2": n / 7,
            "traffic_affected": n % 3 == 0,
        }
        for n in range(500)
    ]
    body = await answered(api, asked(*segments))
    items = [item for each in body["departments"] for item in each["items"]]
    assert len(items) == 6 and all(item["avoid"] for item in items)


async def test_the_example_is_what_is_answered(api: Api) -> None:
    assert await answered(api, PREVIEW_EXAMPLE) == PERMIT_EXAMPLES["PreviewBody"]
