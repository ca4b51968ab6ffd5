"""The facts of a route in words, Chinese and English: what a fact is called, what a value means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import groupby
from types import MappingProxyType

from domain.words import Words

Value = bool | int | float | str | date | None
"""A value of any fact."""

FACTS: Mapping[str, Words] = MappingProxyType(
    {
        "length_m": Words("长度", "length"),
        "method": Words("施工方式", "method"),
        "planning_area": Words("规划区", "planning area"),
        "road": Words("所在道路", "road it lies in"),
        "highway_class": Words("公路等级", "class of the highway"),
        "distance_to_highway_m": Words("距公路用地外缘", "distance to the land of the highway"),
        "crosses_highway": Words("跨越、穿越公路", "crosses a highway"),
        "uses_bridge": Words("利用公路桥梁、隧道、涵洞", "uses a bridge, tunnel or culvert"),
        "road_opened_on": Words("道路交付使用日期", "road opened on"),
        "road_overhauled_on": Words("道路大修竣工日期", "road overhauled on"),
        "traffic_affected": Words("施工影响交通", "works affect traffic"),
        "attached_to_road": Words("依附城市道路", "attached to the road"),
        "green_m2": Words("占用绿地", "green land taken"),
        "trees": Words("砍伐、迁移树木", "trees cut or moved"),
        "ancient_tree": Words("涉及古树名木", "concerns an ancient tree"),
        "river_zone": Words("涉及河道管理范围", "within the bounds of a river"),
        "waterworks_zone": Words("涉及水利工程管理和保护范围", "within a water-works zone"),
        "drain_change": Words("改动排水设施", "changes drainage"),
    }
)

_VALUES: Mapping[str, Mapping[Value, Words]] = MappingProxyType(
    {
        "method": {
            "open_cut": Words("明挖", "open cut"),
            "trenchless": Words("非开挖", "trenchless"),
            "overhead": Words("架空", "overhead"),
            "duct": Words("利用已有管道", "existing ducts"),
        },
        "planning_area": {
            "town": Words("城市、镇规划区", "of a city or town"),
            "village": Words("乡、村庄规划区", "of a village"),
            "none": Words("规划区外", "none"),
        },
        "road": {
            "urban": Words("城市道路", "urban road"),
            "highway": Words("公路", "highway"),
            "none": Words("不在道路范围内", "none"),
        },
        "highway_class": {
            "national": Words("国道", "national"),
            "provincial": Words("省道", "provincial"),
            "county": Words("县道", "county"),
            "township": Words("乡道", "township"),
            "expressway": Words("高速公路", "expressway"),
        },
    }
)
UNITS: Mapping[str, Words] = MappingProxyType(
    {
        "length_m": Words("米", " m"),
        "distance_to_highway_m": Words("米", " m"),
        "green_m2": Words("平方米", " m²"),
        "trees": Words("棵", ""),
    }
)


def value_words(fact: str, value: Value) -> Words:
    """Say a value of a fact."""
    match value:
        case None:
            return Words("无", "none")
        case bool():
            return Words("是", "yes") if value else Words("否", "no")
        case str():
            return _VALUES[fact][value]
        case date():
            return Words(value.isoformat(), value.isoformat())
        case _:
            unit = UNITS[fact]
            number = f"{value:.10g}"
            return Words(f"{number}{unit.zh}", f"{number}{unit.en}")


def fact_words(fact: str, value: Value) -> Words:
    """Say that a fact has a value."""
    name, said = FACTS[fact], value_words(fact, value)
    return Words(f"{name.zh}：{said.zh}", f"{name.en}: {said.en}")


def change_words(fact: str, was: Value, to: Value) -> Words:
    """Say that a fact is to have another value."""
    name, before, after = FACTS[fact], value_words(fact, was), _bound_words(fact, was, to)
    return Words(
        f"{name.zh}由“{before.zh}”改为“{after.zh}”", f"{name.en}: {after.en} instead of {before.en}"
    )


def _bound_words(fact: str, was: Value, to: Value) -> Words:
    """Say the new value; of a number the bound that it is, where more or less would do as well."""
    said = value_words(fact, to)
    if isinstance(to, bool) or not isinstance(to, int | float) or to == 0:
        return said
    is_more = isinstance(was, int | float) and to > was
    at = Words("不少于", "at least ") if is_more else Words("不超过", "at most ")
    return Words(f"{at.zh}{said.zh}", f"{at.en}{said.en}")


def segments_words(segments: Iterable[int]) -> Words:
    """Say which segments are meant.

    Args:
        segments: positions from 1, ascending.
    """
    runs = [
        [position for _, position in run]
        for _, run in groupby(enumerate(segments), lambda pair: pair[1] - pair[0])
    ]
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    is_one = len(parts) == 1 and len(runs[0]) == 1
    last = f" and {parts[-1]}" if len(parts) > 1 else parts[-1]
    listed = f"{', '.join(parts[:-1])}{last}"
    return Words(f"第{'、'.join(parts)}段", f"segment{'' if is_one else 's'} {listed}")
