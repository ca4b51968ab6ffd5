"""How a route could do without a permit: every way works, nothing in it is idle, none is missed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.avoiding import Called, Need, Way, called_for, contradictions
from domain.connection import Voltage
from domain.permits import Route, Segment, required_permits
from domain.policy import PermitRule, Policy, RouteChoices, RouteFlag
from domain.route import (
    ALWAYS,
    DATES,
    NEVER,
    Alternatives,
    holding,
    holds,
    until,
    values_of,
)
from domain.route_words import FACTS, change_words, segments_words, value_words
from tests.domain.test_permits import ON, POLICY, segment, segments

Changed = dict[tuple[int, str], object]


def called(*route: Segment, voltage: Voltage = Voltage.HIGH, on: date = ON) -> dict[str, Called]:
    """Return what a route calls for, by id."""
    found = called_for(Route(segments=route), POLICY, voltage, on)
    return {each.need.id: each for each in found}


def choices(way: Way) -> list[tuple[str, object]]:
    return [(change.fact, change.to) for change in way.changes]


def ids(needs: tuple[Need, ...]) -> list[str]:
    return [need.id for need in needs]


DIG = "占用、挖掘城市道路审批"
DIG_HIGHWAY = "占用、挖掘公路审批"
ALONG = "公路用地内架设、埋设管线审批"
CROSS = "跨越、穿越公路审批"
ZONE = "公路建筑控制区内埋设管线审批"
TRAFFIC = "占道施工交通组织方案审核"
HIGHWAY = {"road": "highway", "highway_class": "county"}

# facts, what is called for, and the ways around it: changes, what else goes, what comes instead.
WAYS: dict[
    str, tuple[dict[str, Any], str, list[tuple[dict[str, object], list[str], list[str]]]]
] = {
    "a road that is dug": (
        {"road": "urban", "method": "open_cut"},
        DIG,
        [
            ({"method": "overhead"}, [], []),
            ({"method": "duct"}, [], []),
            ({"road": "none"}, [], []),
        ],
    ),
    "trenchless instead of open cut": (
        {"road": "urban", "method": "open_cut", "road_opened_on": date(2026, 1, 1)},
        "road-opened-lately",
        [
            ({"method": "overhead"}, [DIG], []),
            ({"method": "duct"}, [DIG], []),
            ({"road": "none"}, [DIG], []),
            ({"method": "trenchless"}, [], []),
            ({}, [], []),
        ],
    ),
    "two alternatives that hold by different facts": (
        {"road": "urban", "method": "trenchless", "traffic_affected": True},
        DIG,
        [
            ({"road": "none"}, [], []),
            ({"method": "overhead", "traffic_affected": False}, [TRAFFIC], []),
            ({"method": "duct", "traffic_affected": False}, [TRAFFIC], []),
        ],
    ),
    "what brings another permit": (
        {**HIGHWAY, "method": "overhead"},
        ALONG,
        [
            ({"road": "urban"}, [], []),
            ({"road": "none"}, [], []),
            ({"crosses_highway": True}, [], [CROSS]),
        ],
    ),
    "along a highway instead of across": (
        {**HIGHWAY, "method": "duct", "crosses_highway": True},
        CROSS,
        [({"crosses_highway": False}, [], [ALONG])],
    ),
    "a quantity": ({"trees": 3}, "砍伐、迁移城市树木审批", [({"trees": 0}, [], [])]),
    "a distance": (
        {"highway_class": "national", "distance_to_highway_m": 20.0},
        ZONE,
        [({"distance_to_highway_m": 21.0}, [], [])],
    ),
    "a distance from within": (
        {**HIGHWAY, "distance_to_highway_m": 0.0},
        ZONE,
        [
            ({"distance_to_highway_m": 11.0, "road": "urban"}, [ALONG], []),
            ({"distance_to_highway_m": 11.0, "road": "none"}, [ALONG], []),
        ],
    ),
    "no highway to go to": (
        {"road": "urban", "attached_to_road": True},
        "依附城市道路建设管线、杆线审批",
        [({"attached_to_road": False}, [], []), ({"road": "none"}, [], [])],
    ),
    "a highway to go to": (
        {"road": "urban", "highway_class": "township", "attached_to_road": True},
        "依附城市道路建设管线、杆线审批",
        [
            ({"attached_to_road": False}, [], []),
            ({"road": "none"}, [], []),
            ({"road": "highway"}, [], [ALONG]),
        ],
    ),
    "drains": (
        {"drain_change": True},
        "拆除、改动排水设施审核",
        [({"drain_change": False}, [], [])],
    ),
}


@pytest.mark.rule("RB-4.2")
@pytest.mark.parametrize("what", WAYS)
def test_the_ways_around_a_permit(what: str) -> None:
    facts, need, expected = WAYS[what]
    found = called(segment(**facts))[need]
    ways = [(dict(choices(way)), ids(way.removes), ids(way.adds)) for way in found.ways]
    assert ways == expected
    assert (found.fixed, found.verdict) == ((), None)


@pytest.mark.rule("RB-4.2")
@pytest.mark.parametrize(
    ("facts", "need"),
    [
        ({"planning_area": "town"}, "建设工程规划许可（市政管线）"),
        ({"planning_area": "village"}, "乡村建设规划许可"),
        ({"river_zone": True}, "河道管理范围内建设项目工程建设方案审批"),
        ({"waterworks_zone": True}, "水利工程管理和保护范围内建设审批"),
        ({"ancient_tree": True}, "ancient-tree"),
    ],
)
def test_what_no_designer_can_choose_is_said_plainly(facts: dict[str, Any], need: str) -> None:
    found = called(segment(), segment(**facts), segment(**facts))[need]
    assert (found.ways, found.fixed) == ((), (2, 3))
    assert found.verdict is not None
    assert found.verdict.zh == "第2–3段只能另选路径。"
    assert found.verdict.en == "Only by another alignment of segments 2–3."


@pytest.mark.rule("RB-4.4")
def test_a_young_road_says_from_when_on_it_is_old_enough() -> None:
    young = {"road": "urban", "method": "open_cut"}
    route = (
        segment(**young, road_opened_on="2024-02-29"),
        segment(**young, road_opened_on="2023-05-01"),
    )
    waiting = called(*route)["road-opened-lately"].ways[-1]
    assert (waiting.changes, waiting.since) == ((), date(2029, 2, 28))
    assert waiting.words.zh == "推迟：自2029年2月28日起不再需要。"
    assert waiting.words.en == "Wait: not needed from 2029-02-28 on."
    assert "road-opened-lately" in called(*route, on=date(2029, 2, 27))
    assert "road-opened-lately" not in called(*route, on=date(2029, 2, 28))


@pytest.mark.rule("RB-4.3")
def test_a_guard_on_a_young_road_ends_by_another_alignment_or_by_waiting() -> None:
    route = segment(road_overhauled_on="2025-06-01")
    (guard,) = called(route, voltage=Voltage.LOW).values()
    assert [(way.changes, way.since) for way in guard.ways] == [((), date(2028, 6, 1))]
    assert guard.verdict is not None
    assert (guard.verdict.zh, guard.fixed) == ("只能另选路径或推迟。", ())


@pytest.mark.rule("RB-4.3")
def test_at_low_voltage_only_guards_are_called_for() -> None:
    touching = segment(**HIGHWAY, trees=2, method="open_cut", uses_bridge=True)
    low, high = called(touching, voltage=Voltage.LOW), called(touching)
    assert {each.need.kind for each in low.values()} == {"guard"}
    assert {each.need.kind for each in high.values()} == {"item"}
    assert [choices(way) for way in low["highway"].ways] == [
        [("uses_bridge", False), ("road", "urban")],
        [("uses_bridge", False), ("road", "none")],
    ]
    assert all(way.adds == way.removes == () for way in low["highway"].ways)


@pytest.mark.rule("RB-4.2")
def test_segments_are_treated_alike_where_they_can_be() -> None:
    dug = {"road": "urban", "method": "open_cut"}
    found = called(segment(**dug), segment(trees=1), segment(**dug, traffic_affected=True))[DIG]
    assert [
        [(change.segments, change.fact, change.to) for change in way.changes] for way in found.ways
    ] == [
        [((1, 3), "road", "none")],
        [((1, 3), "method", "overhead"), ((3,), "traffic_affected", False)],
        [((1, 3), "method", "duct"), ((3,), "traffic_affected", False)],
    ]


@pytest.mark.rule("RB-4.2")
def test_reasons_name_the_facts_of_every_alternative_that_holds() -> None:
    dug = {"road": "urban", "method": "open_cut"}
    route = (segment(**dug), segment(**dug, traffic_affected=True))
    reasons = called(*route)[DIG].reasons
    assert [(reason.segments, dict(reason.facts)) for reason in reasons] == [
        ((1, 2), {"road": "urban", "method": "open_cut"}),
        ((2,), {"road": "urban", "traffic_affected": True}),
    ]
    assert reasons[0].words.zh == "第1–2段（所在道路：城市道路；施工方式：明挖）"
    assert reasons[0].words.en == "segments 1–2 (road it lies in: urban road; method: open cut)"


@pytest.mark.rule("RB-4.2")
def test_the_class_of_the_highway_stands_with_its_control_zone() -> None:
    (reason,) = called(segment(highway_class="county", distance_to_highway_m=3))[ZONE].reasons
    assert dict(reason.facts) == {"distance_to_highway_m": 3, "highway_class": "county"}


# ---------------------------------------------------------------- other policies


def policy_of_rules(
    *rules: object, choices: tuple[str, ...] = POLICY.route.choices, flags: tuple[object, ...] = ()
) -> Policy:
    """The policy with other permit rules and exceptions."""
    when = TypeAdapter[Alternatives](Alternatives)

    def of(rule: object) -> Alternatives:
        return when.validate_json(json.dumps(rule))

    permits = tuple(
        PermitRule(
            agency="water",
            item=f"事项{n}",
            en=f"item {n}",
            basis="-",
            when=of(rule),
            extent=frozenset(),
        )
        for n, rule in enumerate(rules)
    )
    exceptions = tuple(
        RouteFlag(id=f"flag-{n}", zh="例外", en="exception", basis="-", when=of(rule))
        for n, rule in enumerate(flags)
    )
    return POLICY.model_copy(
        update={
            "permits": permits,
            "exceptions": exceptions,
            "route": RouteChoices(clause="CON", choices=choices),
        }
    )


YOUNG = {"fact": "road_opened_on", "op": "younger_than_years", "value": 5}
GREEN = {"fact": "green_m2", "op": "above", "value": 100}


@pytest.mark.rule("RB-4.2")
def test_a_way_may_take_both_a_change_and_time() -> None:
    route = Route(segments=(segment(green_m2=150, road_opened_on="2025-01-01"),))
    (found,) = called_for(route, policy_of_rules([[YOUNG], [GREEN]]), Voltage.HIGH, ON)
    (way,) = found.ways
    assert (choices(way), way.since) == ([("green_m2", 100)], date(2030, 1, 1))
    assert way.words.zh == (
        "第1段占用绿地由“150平方米”改为“不超过100平方米”，自2030年1月1日起不再需要。"
    )
    assert way.words.en == (
        "Segment 1, green land taken: at most 100 m² instead of 150 m², "
        "not needed from 2030-01-01 on."
    )
    assert found.verdict is not None


@pytest.mark.rule("RB-4.2")
def test_who_waits_for_one_segment_need_not_change_another() -> None:
    route = Route(
        segments=(
            segment(road_opened_on="2026-01-01"),
            segment(green_m2=150, road_opened_on="2025-01-01"),
        )
    )
    policy = policy_of_rules([[YOUNG, GREEN], [YOUNG, {**GREEN, "value": 0}], [YOUNG]], choices=())
    (found,) = called_for(route, policy, Voltage.HIGH, ON)
    assert [(way.changes, way.since) for way in found.ways] == [((), date(2031, 1, 1))]

    rule = [[YOUNG, {"fact": "trees", "op": "above", "value": 0}], [YOUNG, GREEN]]
    route = Route(
        segments=(
            segment(trees=1, green_m2=150, road_opened_on="2026-01-01"),
            segment(trees=1, road_opened_on="2025-01-01"),
        )
    )
    policy = policy_of_rules(rule, choices=("trees",))
    (found,) = called_for(route, policy, Voltage.HIGH, ON)
    assert [(choices(way), way.since) for way in found.ways] == [([], date(2031, 1, 1))]


@pytest.mark.rule("RB-4.2")
def test_what_the_policy_lets_nobody_choose_is_never_proposed() -> None:
    route = Route(segments=(segment(trees=1),))
    rule = [[{"fact": "trees", "op": "above", "value": 0}]]
    (found,) = called_for(route, policy_of_rules(rule, choices=("method",)), Voltage.HIGH, ON)
    assert (found.ways, found.fixed) == ((), (1,))


# ---------------------------------------------------------------- properties


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, object]:
    op = draw(st.sampled_from(["is", "is", "one_of", "above", "within", "younger"]))
    match op:
        case "is":
            fact = draw(
                st.sampled_from([f for f in FACTS if values_of(f) and f != "highway_class"])
            )
            return {"fact": fact, "op": op, "value": draw(st.sampled_from(values_of(fact)))}
        case "one_of":
            fact = draw(st.sampled_from(["method", "road", "planning_area"]))
            some = st.lists(st.sampled_from(values_of(fact)), min_size=1, max_size=3, unique=True)
            return {"fact": fact, "op": op, "value": draw(some)}
        case "above":
            fact = draw(st.sampled_from(["trees", "green_m2", "length_m"]))
            return {
                "fact": fact,
                "op": op,
                "value": draw(st.sampled_from([0, 1, 2][fact == "length_m" :])),
            }
        case "within":
            zone = {c: draw(st.sampled_from([0, 20])) for c in values_of("highway_class") if c}
            op = "within_by_highway_class"
            return {"fact": "distance_to_highway_m", "op": op, "value": zone}
        case _:
            fact = draw(st.sampled_from(sorted(DATES)))
            op = "younger_than_years"
            return {"fact": fact, "op": op, "value": draw(st.sampled_from([3, 5]))}


rules = st.lists(st.lists(conditions(), min_size=1, max_size=3), min_size=1, max_size=3)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Ours, or one of other rules and other choices."""
    if draw(st.booleans()):
        return POLICY
    facts = sorted(FACTS.keys() - DATES - {"highway_class"})
    return policy_of_rules(
        *draw(st.lists(rules, min_size=1, max_size=3)),
        choices=tuple(draw(st.lists(st.sampled_from(facts), unique=True, max_size=6))),
        flags=tuple(draw(st.lists(rules, max_size=2))),
    )


short = st.lists(segments, min_size=1, max_size=3).map(lambda found: Route(segments=tuple(found)))
voltages = st.sampled_from(Voltage)


def needs(route: Route, policy: Policy, voltage: Voltage, on: date) -> set[str]:
    """What `required_permits` finds: the rules' own answer."""
    required = required_permits(route, policy, on)
    if voltage is Voltage.LOW:
        return {note.id for note in required.guards}
    return {item.item for item in required.items} | {note.id for note in required.exceptions}


def with_changes(route: Route, changes: Changed) -> Route:
    """Change facts of segments, without the help of what is tested."""
    return Route.model_validate(
        {
            "segments": [
                {
                    **dict(each),
                    **{fact: to for (at, fact), to in changes.items() if at == position},
                }
                for position, each in enumerate(route.segments, start=1)
            ]
        }
    )


def changes_of(way: Way) -> Changed:
    return {(at, change.fact): change.to for change in way.changes for at in change.segments}


def could_be(route: Route, changes: Changed) -> bool:
    try:
        changed = with_changes(route, changes)
    except ValueError:
        return False
    return all(
        contradictions(after) <= contradictions(before)
        for before, after in zip(route.segments, changed.segments, strict=True)
    )


def all_called(
    route: Route, policy: Policy, voltage: Voltage
) -> Iterator[tuple[Called, Way, date]]:
    for found in called_for(route, policy, voltage, ON):
        for way in found.ways:
            yield found, way, way.since or ON


@pytest.mark.rule("RB-4.2")
@pytest.mark.rule("RB-4.3")
@pytest.mark.rule("RB-4.4")
@given(short, policies(), voltages)
def test_what_is_called_for_is_what_the_rules_require(
    route: Route, policy: Policy, voltage: Voltage
) -> None:
    required = required_permits(route, policy, ON)
    is_low = voltage is Voltage.LOW
    items = [] if is_low else required.items
    notes = required.guards if is_low else required.exceptions
    assert [
        (each.agency, each.need.id, each.basis, each.segments)
        for each in called_for(route, policy, voltage, ON)
    ] == [
        *((item.agency, item.item, item.basis, item.segments) for item in items),
        *((None, note.id, note.basis, note.segments) for note in notes),
    ]


@pytest.mark.rule("RB-4.2")
@pytest.mark.rule("RB-4.3")
@pytest.mark.rule("RB-4.4")
@given(short, policies(), voltages)
def test_every_way_works_and_says_what_else_it_does(
    route: Route, policy: Policy, voltage: Voltage
) -> None:
    before = needs(route, policy, voltage, ON)
    for found, way, on in all_called(route, policy, voltage):
        changed = with_changes(route, changes_of(way))
        assert way.applied_to(route) == changed
        after = needs(changed, policy, voltage, on)
        assert found.need.id not in after
        assert set(ids(way.removes)) == before - after - {found.need.id}
        assert set(ids(way.adds)) == after - before
        assert all(
            getattr(route.segments[at - 1], change.fact) == change.was != change.to
            for change in way.changes
            for at in change.segments
        )
        assert could_be(route, changes_of(way))


@pytest.mark.rule("RB-4.2")
@settings(deadline=None)
@given(short, policies(), voltages)
def test_nothing_in_a_way_is_idle(route: Route, policy: Policy, voltage: Voltage) -> None:
    for found, way, on in all_called(route, policy, voltage):
        changes = list(changes_of(way).items())
        for size in range(len(changes) + 1):
            for some in combinations(changes, size):
                if size < len(changes) and could_be(route, dict(some)):
                    left = with_changes(route, dict(some))
                    assert found.need.id in needs(left, policy, voltage, on)
        if way.since is not None:
            changed = with_changes(route, dict(changes))
            the_day_before = way.since - timedelta(days=1)
            assert found.need.id in needs(changed, policy, voltage, the_day_before)
            assert way.since > ON


@pytest.mark.rule("RB-4.2")
@given(short, policies(), voltages)
def test_only_what_a_designer_may_choose_is_changed(
    route: Route, policy: Policy, voltage: Voltage
) -> None:
    for _, way, _ in all_called(route, policy, voltage):
        facts = [change.fact for change in way.changes]
        assert set(facts) <= set(policy.route.choices)
        assert facts == sorted(facts, key=policy.route.choices.index)


def _every_choice(policy: Policy, one: Segment) -> Iterator[dict[str, object]]:
    """Everything that could be chosen for a segment, as far as it can make a difference."""
    values: dict[str, tuple[object, ...]] = {
        fact: values_of(fact) or {"distance_to_highway_m": (None, 0.0, 1e6)}.get(fact, (0, 1, 2))
        for fact in policy.route.choices
    }
    for to in product(*values.values()):
        yield dict(zip(values, to, strict=True))


few = st.lists(st.sampled_from(POLICY.route.choices), unique=True, max_size=4).map(tuple)


@pytest.mark.rule("RB-4.2")
@settings(deadline=None, max_examples=60)
@given(segments, policies(), few, voltages)
def test_only_another_alignment_means_that_no_choice_helps(
    one: Segment, policy: Policy, choosable: tuple[str, ...], voltage: Voltage
) -> None:
    policy = policy.model_copy(update={"route": RouteChoices(clause="CON", choices=choosable)})
    route = Route(segments=(one,))
    found = called_for(route, policy, voltage, ON)
    assert {each.need.id for each in found} == needs(route, policy, voltage, ON)
    everything = [
        with_changes(route, changes)
        for chosen in _every_choice(policy, one)
        if could_be(route, changes := {(1, fact): to for fact, to in chosen.items()})
    ]
    for on in (ON, date(2199, 1, 1)):
        left = [needs(changed, policy, voltage, on) for changed in everything]
        for each in found:
            is_avoidable = any((way.since or ON) <= on for way in each.ways)
            assert is_avoidable == any(each.need.id not in still for still in left)


@pytest.mark.rule("RB-4.2")
@given(short, policies(), voltages)
def test_ways_are_told_once_and_those_at_once_first(
    route: Route, policy: Policy, voltage: Voltage
) -> None:
    for found in called_for(route, policy, voltage, ON):
        told = [(tuple(changes_of(way).items()), way.since) for way in found.ways]
        assert len(told) == len(set(told))
        waits = [way.since is not None for way in found.ways]
        assert waits == sorted(waits)
        assert bool(found.ways) != bool(found.fixed)
        assert all(way.words.zh and way.words.en for way in found.ways)
        assert all(reason.words.zh and reason.words.en for reason in found.reasons)
        for reason in found.reasons:
            assert list(reason.segments) == sorted(set(reason.segments))
        where = {at for reason in found.reasons for at in reason.segments}
        assert set(found.fixed) <= where == set(found.segments)


def test_the_order_does_not_depend_on_the_hash_of_texts() -> None:
    # Sets of texts are run through in another order in every process, unless it is told which.
    script = (
        "from tests.domain import test_avoiding as t\n"
        "route = t.Route(segments=(t.segment(**t.HIGHWAY, method='open_cut', traffic_affected=True,"
        " distance_to_highway_m=0, uses_bridge=True, trees=2, green_m2=3,"
        " road_opened_on='2025-01-01'), t.segment(road='urban', method='open_cut',"
        " attached_to_road=True, crosses_highway=True, highway_class='national')))\n"
        "print([t.called_for(route, t.POLICY, v, t.ON) for v in t.Voltage])"
    )
    root = Path(__file__).parents[2]
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1 and b"crosses_highway" in said.pop()


@given(rules, segments, st.dates(date(2015, 1, 1), date(2040, 1, 1)))
def test_a_rule_holds_until_the_day_it_says(rule: Any, one: Segment, on: date) -> None:
    when = policy_of_rules(rule).permits[0].when
    ends = until(when, one)
    assert holds(when, one, on) == bool(list(holding(when, one, on))) == (on < ends)
    if ends not in (NEVER, ALWAYS):
        assert holds(when, one, ends - timedelta(days=1)) and not holds(when, one, ends)


# ---------------------------------------------------------------- in words


@pytest.mark.parametrize("fact", Segment.model_fields)
def test_every_fact_and_every_value_has_words(fact: str) -> None:
    assert FACTS[fact].zh and FACTS[fact].en
    values = values_of(fact) or (1, 2.5, date(2020, 1, 1) if fact in DATES else None)
    for value in values:
        if fact not in DATES or isinstance(value, date):
            said = value_words(fact, value)
            assert said.zh and said.en


@pytest.mark.parametrize(
    ("segments", "zh", "en"),
    [
        ((3,), "第3段", "segment 3"),
        ((1, 2), "第1–2段", "segments 1–2"),
        ((1, 3), "第1、3段", "segments 1 and 3"),
        ((1, 2, 3, 5, 7, 8), "第1–3、5、7–8段", "segments 1–3, 5 and 7–8"),
    ],
)
def test_segments_are_named_by_their_runs(segments: tuple[int, ...], zh: str, en: str) -> None:
    assert segments_words(segments) == (zh, en)


@pytest.mark.parametrize(
    ("fact", "was", "to", "zh", "en"),
    [
        (
            "method",
            "open_cut",
            "trenchless",
            "施工方式由“明挖”改为“非开挖”",
            "method: trenchless instead of open cut",
        ),
        (
            "uses_bridge",
            True,
            False,
            "利用公路桥梁、隧道、涵洞由“是”改为“否”",
            "uses a bridge, tunnel or culvert: no instead of yes",
        ),
        ("trees", 3, 0, "砍伐、迁移树木由“3棵”改为“0棵”", "trees cut or moved: 0 instead of 3"),
        (
            "distance_to_highway_m",
            4.5,
            21.0,
            "距公路用地外缘由“4.5米”改为“不少于21米”",
            "distance to the land of the highway: at least 21 m instead of 4.5 m",
        ),
    ],
)
def test_a_change_is_said_in_both_languages(fact: str, was: Any, to: Any, zh: str, en: str) -> None:
    assert change_words(fact, was, to) == (zh, en)
