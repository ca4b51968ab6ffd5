"""Which permits a route needs, and what the answers come to.

`tests/data/permit-items.csv` is the project's list of permit items (agency, item, trigger, basis),
compiled from the laws it cites; the policy's rules are held against it row by row.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.permits import (
    ItemOutcome,
    PermitItem,
    Route,
    Segment,
    aggregate,
    required_permits,
    to_ask,
)
from domain.policy_file import outcome_combinations
from policy import loader

POLICY = loader.policy_for("zhanjiang-2020-516.1")
ON = date(2026, 9, 16)
ITEMS = list(
    csv.DictReader(
        (Path(__file__).parents[1] / "data" / "permit-items.csv")
        .read_text(encoding="utf-8")
        .splitlines()
    )
)

NOTHING: dict[str, Any] = {
    "length_m": 120.0,
    "method": "duct",
    "planning_area": "none",
    "road": "none",
    "highway_class": None,
    "distance_to_highway_m": None,
    "crosses_highway": False,
    "uses_bridge": False,
    "road_opened_on": None,
    "road_overhauled_on": None,
    "traffic_affected": False,
    "attached_to_road": False,
    "green_m2": 0,
    "trees": 0,
    "ancient_tree": False,
    "river_zone": False,
    "waterworks_zone": False,
    "drain_change": False,
}


def segment(**facts: Any) -> Segment:
    return Segment.model_validate({**NOTHING, **facts})


def items(*segments: Segment, on: date = ON) -> tuple[PermitItem, ...]:
    return required_permits(Route(segments=segments), POLICY, on).items


def names(*segments: Segment) -> list[str]:
    return [item.item for item in items(*segments)]


TRIGGERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"planning_area": "town"}, ["建设工程规划许可（市政管线）"]),
    ({"planning_area": "village"}, ["乡村建设规划许可"]),
    ({"traffic_affected": True}, ["占道施工交通组织方案审核"]),
    ({"road": "urban", "method": "open_cut"}, ["占用、挖掘城市道路审批"]),
    ({"road": "urban", "method": "trenchless"}, ["占用、挖掘城市道路审批"]),
    ({"road": "urban", "method": "duct"}, []),
    (
        {"road": "urban", "method": "duct", "traffic_affected": True},
        ["占道施工交通组织方案审核", "占用、挖掘城市道路审批"],
    ),
    (
        {"road": "urban", "method": "overhead", "attached_to_road": True},
        ["依附城市道路建设管线、杆线审批"],
    ),
    ({"green_m2": 0.5}, ["占用城市绿地审批"]),
    ({"trees": 1}, ["砍伐、迁移城市树木审批"]),
    (
        {"road": "highway", "highway_class": "county", "method": "open_cut"},
        ["占用、挖掘公路审批", "公路用地内架设、埋设管线审批"],
    ),
    ({"crosses_highway": True}, ["跨越、穿越公路审批"]),
    (
        {"crosses_highway": True, "road": "highway", "method": "trenchless"},
        ["占用、挖掘公路审批", "跨越、穿越公路审批"],
    ),
    ({"road": "highway", "method": "overhead"}, ["公路用地内架设、埋设管线审批"]),
    ({"uses_bridge": True}, ["利用公路桥梁、隧道、涵洞审批"]),
    ({"river_zone": True}, ["河道管理范围内建设项目工程建设方案审批"]),
    ({"waterworks_zone": True}, ["水利工程管理和保护范围内建设审批"]),
    ({"drain_change": True}, ["拆除、改动排水设施审核"]),
]


@pytest.mark.rule("RB-4.2")
@pytest.mark.parametrize(("facts", "expected"), TRIGGERS)
def test_facts_call_for_their_items(facts: dict[str, Any], expected: list[str]) -> None:
    assert names(segment(**facts)) == expected


@pytest.mark.rule("RB-4.2")
@pytest.mark.parametrize(
    ("highway_class", "limit_m"),
    [("national", 20), ("provincial", 15), ("county", 10), ("township", 5), ("expressway", 30)],
)
def test_the_control_zone_depends_on_the_class_and_includes_its_edge(
    highway_class: str, limit_m: float
) -> None:
    zone = ["公路建筑控制区内埋设管线审批"]
    near = {"highway_class": highway_class, "distance_to_highway_m": limit_m}
    assert names(segment(**near)) == zone
    assert names(segment(**near | {"distance_to_highway_m": 0})) == zone
    assert names(segment(**near | {"distance_to_highway_m": limit_m + 0.01})) == []


# One segment per row of the list, by its trigger; whoever digs a highway lies in its land, too.
ROWS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "new line or civil works in a city or town planning area": ({"planning_area": "town"}, set()),
    "new line or civil works in a township or village planning area": (
        {"planning_area": "village"},
        set(),
    ),
    "works on a road that affect traffic safety": ({"traffic_affected": True}, set()),
    "occupies or digs an urban road": ({"road": "urban", "method": "open_cut"}, set()),
    "line attached to an urban road": ({"road": "urban", "attached_to_road": True}, set()),
    "green area > 0 m2": ({"green_m2": 0.1}, set()),
    "trees > 0": ({"trees": 1}, set()),
    "occupies or digs a highway": (
        {"road": "highway", "method": "open_cut"},
        {"公路用地内架设、埋设管线审批"},
    ),
    "crosses a highway above or below": ({"crosses_highway": True}, set()),
    "along a highway inside its land": ({"road": "highway"}, set()),
    "uses a highway bridge tunnel or culvert": ({"uses_bridge": True}, set()),
    "inside the control zone (国道20 省道15 县道10 乡道5 高速30 m from the land edge)": (
        {"highway_class": "county", "distance_to_highway_m": 10},
        set(),
    ),
    "crosses or adjoins a river or dyke": ({"river_zone": True}, set()),
    "inside a water-works zone": ({"waterworks_zone": True}, set()),
    "alters drainage": ({"drain_change": True}, set()),
}


@pytest.mark.rule("RB-4.2")
@pytest.mark.parametrize("row", ITEMS, ids=[row["item"] for row in ITEMS])
def test_every_row_of_the_list_is_called_for_by_its_trigger(row: dict[str, str]) -> None:
    called_for, others = ROWS[row["trigger"]]
    found = {item.item: item for item in items(segment(), segment(**called_for))}
    assert found.keys() - others == {row["item"]}
    asked = found[row["item"]]
    assert (asked.agency, asked.basis, asked.segments) == (row["agency"], row["basis"], (2,))
    assert names(segment()) == []


@pytest.mark.rule("RB-4.2")
def test_the_policy_carries_every_listed_item_and_no_other() -> None:
    assert [(rule.agency, rule.item, rule.basis) for rule in POLICY.permits] == [
        (row["agency"], row["item"], row["basis"]) for row in ITEMS
    ]
    assert len(ITEMS) == 15
    reached = {item for facts, _ in TRIGGERS for item in names(segment(**facts))}
    assert {row["item"] for row in ITEMS} - reached == {"公路建筑控制区内埋设管线审批"}


@pytest.mark.rule("RB-4.2")
def test_no_permit_needed_is_a_result_that_is_stated() -> None:
    required = required_permits(Route(segments=(segment(),)), POLICY, ON)
    assert required.items == ()
    assert required.is_empty
    assert aggregate([], POLICY) == "no_permit_needed"
    assert POLICY.results["no_permit_needed"].zh == "无需行政审批"


@pytest.mark.rule("RB-4.2")
def test_an_item_names_the_segments_that_call_for_it() -> None:
    (trees,) = items(segment(trees=1), segment(), segment(trees=2))
    assert (trees.agency, trees.segments) == ("urban-management", (1, 3))


# ---------------------------------------------------------------- properties

near_a_highway = st.fixed_dictionaries(
    {
        "highway_class": st.sampled_from(
            ["national", "provincial", "county", "township", "expressway"]
        ),
        "distance_to_highway_m": st.none() | st.floats(0, 50),
    }
)
facts = st.fixed_dictionaries(
    {
        "length_m": st.floats(1, 5000),
        "method": st.sampled_from(["open_cut", "trenchless", "overhead", "duct"]),
        "planning_area": st.sampled_from(["town", "village", "none"]),
        "road": st.sampled_from(["urban", "highway", "none"]),
        "road_opened_on": st.none() | st.dates(date(2015, 1, 1), ON),
        "road_overhauled_on": st.none() | st.dates(date(2015, 1, 1), ON),
        "green_m2": st.sampled_from([0, 12.5]),
        "trees": st.integers(0, 3),
        **{
            fact: st.booleans()
            for fact in (
                "crosses_highway",
                "uses_bridge",
                "traffic_affected",
                "attached_to_road",
                "ancient_tree",
                "river_zone",
                "waterworks_zone",
                "drain_change",
            )
        },
    }
)
segments = st.builds(lambda a, b: segment(**a, **b), facts, near_a_highway)
routes = st.lists(segments, min_size=1, max_size=5)


def needs(route: Sequence[Segment]) -> set[tuple[str, str, str]]:
    return {(item.agency, item.item, item.facts_digest) for item in items(*route)}


def noted(route: Sequence[Segment]) -> set[tuple[str, str]]:
    required = required_permits(Route(segments=tuple(route)), POLICY, ON)
    return {("exception", note.id) for note in required.exceptions} | {
        ("guard", note.id) for note in required.guards
    }


@pytest.mark.rule("RB-4.2")
@given(routes, segments)
def test_a_further_segment_never_removes_an_item(route: list[Segment], further: Segment) -> None:
    assert set(names(*route)) <= set(names(*route, further))
    assert set(names(*route, further)) == set(names(*route)) | set(names(further))


@pytest.mark.rule("RB-4.3")
@pytest.mark.rule("RB-4.4")
@given(routes, segments)
def test_a_further_segment_never_removes_an_exception_or_a_guard(
    route: list[Segment], further: Segment
) -> None:
    assert noted(route) | noted([further]) == noted([*route, further])


@pytest.mark.rule("RB-4.2")
@given(routes.flatmap(lambda route: st.tuples(st.just(route), st.permutations(route))))
def test_the_order_of_the_segments_changes_nothing(
    routes: tuple[list[Segment], list[Segment]],
) -> None:
    route, shuffled = routes
    assert needs(route) == needs(shuffled)
    assert noted(route) == noted(shuffled)
    assert names(*route) == names(*shuffled)


@pytest.mark.rule("RB-4.2")
@given(routes)
def test_empty_is_stated_exactly_where_no_segment_calls_for_an_item(route: list[Segment]) -> None:
    required = required_permits(Route(segments=tuple(route)), POLICY, ON)
    assert required.is_empty == all(names(each) == [] for each in route)


@pytest.mark.rule("RB-4.2")
@given(routes)
def test_no_item_stands_twice(route: list[Segment]) -> None:
    found = names(*route)
    assert len(found) == len(set(found))
    assert all(item.segments and set(item.segments) <= set(range(1, 6)) for item in items(*route))


@pytest.mark.rule("RB-4.7")
@given(routes)
def test_the_same_route_again_asks_for_nothing(route: list[Segment]) -> None:
    held = items(*route)
    assert to_ask(held, held) == ()
    assert to_ask(held, ()) == held


# ---------------------------------------------------------------- revised routes


@pytest.mark.rule("RB-4.7")
def test_a_revised_route_asks_only_for_what_changed() -> None:
    road = segment(road="urban", method="open_cut")
    before = items(road, segment(trees=3), segment(green_m2=10))
    after = items(segment(), road, segment(trees=1), segment(green_m2=10))
    assert [item.item for item in to_ask(after, before)] == ["砍伐、迁移城市树木审批"]


@pytest.mark.rule("RB-4.7")
def test_a_permit_for_a_shorter_line_does_not_cover_a_longer_one() -> None:
    before = items(segment(road="urban", method="open_cut", length_m=100.0))
    after = items(segment(road="urban", method="open_cut", length_m=1000.0))
    assert to_ask(after, before) == after


@pytest.mark.rule("RB-4.7")
def test_what_was_refused_is_asked_again() -> None:
    required = items(segment(trees=1, river_zone=True))
    granted = [item for item in required if item.agency == "urban-management"]
    assert [item.agency for item in to_ask(required, granted)] == ["water"]


def test_a_fact_that_an_item_does_not_depend_on_leaves_its_digest() -> None:
    (before,) = items(segment(green_m2=10))
    (after,) = items(segment(green_m2=10, length_m=999.0))
    assert before.facts_digest == after.facts_digest
    assert len(before.facts_digest) == 64


# ---------------------------------------------------------------- exceptions and guards

DUG = {"road": "urban", "method": "open_cut"}


@pytest.mark.rule("RB-4.4")
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"road_opened_on": "2021-09-17"}, ["road-opened-lately"]),
        ({"road_opened_on": "2021-09-16"}, []),
        ({"road_overhauled_on": "2023-09-17"}, ["road-overhauled-lately"]),
        ({"road_overhauled_on": "2023-09-16"}, []),
        ({"road_opened_on": "2026-01-01", "method": "duct"}, []),
        ({"road_opened_on": "2026-01-01", "method": "trenchless"}, []),
        ({"ancient_tree": True}, ["ancient-tree"]),
    ],
)
def test_digging_a_young_road_is_an_exception(changed: dict[str, Any], expected: list[str]) -> None:
    route = Route(segments=(segment(), segment(**DUG | changed)))
    exceptions = required_permits(route, POLICY, ON).exceptions
    assert [note.id for note in exceptions] == expected
    assert all(note.segments == (2,) and note.zh and note.en for note in exceptions)


@pytest.mark.rule("RB-4.4")
@pytest.mark.parametrize(("on", "is_young"), [("2029-02-27", True), ("2029-02-28", False)])
def test_a_road_opened_on_a_leap_day_is_five_years_old_at_the_end_of_february(
    on: str, is_young: bool
) -> None:
    route = Route(segments=(segment(**DUG, road_opened_on="2024-02-29"),))
    assert bool(required_permits(route, POLICY, date.fromisoformat(on)).exceptions) is is_young


@pytest.mark.rule("RB-4.3")
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"length_m": 900_000.0}, []),
        ({"road": "highway"}, ["highway"]),
        ({"crosses_highway": True}, ["highway"]),
        ({"highway_class": "township", "distance_to_highway_m": 5}, ["highway"]),
        ({"highway_class": "township", "distance_to_highway_m": 6}, []),
        ({"river_zone": True}, ["river"]),
        ({"ancient_tree": True}, ["ancient-tree"]),
        ({"road": "urban", "road_opened_on": "2021-09-17"}, ["road-opened-lately"]),
        ({"road": "urban", "road_overhauled_on": "2023-09-17"}, ["road-overhauled-lately"]),
    ],
)
def test_a_low_voltage_guard_asks_a_person_to_look(
    changed: dict[str, Any], expected: list[str]
) -> None:
    route = Route(segments=(segment(**changed),))
    assert [note.id for note in required_permits(route, POLICY, ON).guards] == expected


# ---------------------------------------------------------------- aggregation


@pytest.mark.rule("RB-4.7")
@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        ([], "no_permit_needed"),
        (["approved", "approved"], "granted"),
        (["approved", "approved_with_conditions"], "granted_with_conditions"),
        (["papers_to_follow"], "granted_with_conditions"),
        (["approved", "refused"], "partial"),
        (["papers_to_follow", "not_accepted"], "partial"),
        (["refused", "not_accepted"], "refused"),
        (["refused"], "refused"),
    ],
)
def test_outcomes_come_to_a_result(outcomes: list[ItemOutcome], result: str) -> None:
    assert aggregate(outcomes, POLICY) == result
    assert aggregate(reversed(outcomes), POLICY) == result


@pytest.mark.rule("RB-4.7")
def test_a_refusal_never_counts_as_granted() -> None:
    for outcomes in outcome_combinations():
        is_granted = aggregate(outcomes, POLICY).startswith("granted")
        assert is_granted == (bool(outcomes) and not outcomes & {"refused", "not_accepted"})


# ---------------------------------------------------------------- the shape of a route


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"length_m": 0}, "length_m"),
        ({"length_m": float("inf")}, "length_m"),
        ({"length_m": "120"}, "length_m"),
        ({"trees": 1.5}, "trees"),
        ({"trees": -1}, "trees"),
        ({"green_m2": -0.1}, "green_m2"),
        ({"river_zone": 1}, "river_zone"),
        ({"method": "tunnel"}, "method"),
        ({"road_opened_on": "20200101"}, "road_opened_on"),
        ({"road_opened_on": "2021-02-29"}, "road_opened_on"),
        ({"road_opened_on": 18_000}, "road_opened_on"),
        ({"road_opened_on": "9999-12-31"}, "road_opened_on"),
        ({"color": "red"}, "color"),
    ],
)
def test_a_segment_takes_only_what_it_says(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        segment(**changed)
    assert [problem["loc"] for problem in refused.value.errors()] == [(field,)]


@pytest.mark.rule("RB-4.2")
@pytest.mark.parametrize("fact", [name for name, value in NOTHING.items() if value is not None])
def test_a_fact_left_out_is_not_taken_for_no(fact: str) -> None:
    with pytest.raises(ValidationError, match=fact):
        Segment.model_validate({k: v for k, v in NOTHING.items() if k != fact})


@pytest.mark.rule("RB-4.2")
def test_a_distance_needs_the_class_of_the_highway() -> None:
    with pytest.raises(ValidationError, match="highway_class"):
        segment(distance_to_highway_m=3)


def test_a_route_has_a_segment() -> None:
    with pytest.raises(ValidationError, match="segments"):
        Route.model_validate({"segments": []})
    assert Route.model_validate({"segments": [NOTHING]}).segments == (segment(),)
