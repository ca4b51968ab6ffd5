"""Routes of the line that the utility designs: templates, and what a revision changes in them."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

Segment: TypeAlias = dict[str, object]
Route: TypeAlias = dict[str, list[Segment]]

_PLAIN: Segment = {
    "length_m": 100,
    "method": "overhead",
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


def _segment(**facts: object) -> Segment:
    return _PLAIN | facts


_STREET = _segment(
    length_m=320,
    method="open_cut",
    planning_area="town",
    road="urban",
    road_opened_on="2009-06-01",
    traffic_affected=True,
)
_HIGHWAY = _segment(
    length_m=60,
    method="open_cut",
    planning_area="village",
    road="highway",
    highway_class="county",
    distance_to_highway_m=0,
    road_opened_on="2012-03-01",
    crosses_highway=True,
)
_DYKE = _segment(length_m=140, method="open_cut", planning_area="town", river_zone=True)

# Departments that are likely to be asked stand beside each; OneWindow's policy decides.
HIGH_VOLTAGE: Mapping[str, Route] = {
    "no_permit": {"segments": [_segment(length_m=450)]},
    "town_duct": {  # natural-resources, urban-management
        "segments": [
            _segment(
                length_m=280,
                method="duct",
                planning_area="town",
                road="urban",
                road_opened_on="2011-10-01",
                attached_to_road=True,
            )
        ]
    },
    "street": {"segments": [_STREET]},  # natural-resources, urban-management, police
    "green_street": {  # the same three, with green and trees
        "segments": [_STREET | {"length_m": 410, "green_m2": 45.5, "trees": 3}]
    },
    "new_street": {  # opened less than five years ago: an exception outside the five days
        "segments": [_STREET | {"length_m": 190, "road_opened_on": "2024-05-01"}]
    },
    "county_road": {  # natural-resources, transport
        "segments": [_segment(length_m=620, planning_area="village"), _HIGHWAY]
    },
    "dyke": {  # natural-resources, urban-management, police, water
        "segments": [_STREET | {"length_m": 210}, _DYKE]
    },
    "five_departments": {
        "segments": [
            _STREET | {"length_m": 260, "green_m2": 12, "drain_change": True},
            _HIGHWAY | {"highway_class": "provincial"},
            _DYKE | {"length_m": 90, "waterworks_zone": True},
        ]
    },
}
HIGH_VOLTAGE_WEIGHTS: Mapping[str, float] = {
    "no_permit": 1,
    "town_duct": 2,
    "street": 3,
    "green_street": 2,
    "new_street": 1,
    "county_road": 2,
    "dyke": 2,
    "five_departments": 2,
}

LOW_VOLTAGE: Mapping[str, Route] = {
    "courtyard": {"segments": [_segment(length_m=35, method="duct", planning_area="town")]},
    "village_lane": {"segments": [_segment(length_m=80, planning_area="village")]},
    "pavement": {
        "segments": [
            _segment(
                length_m=25,
                method="open_cut",
                planning_area="town",
                road="urban",
                road_opened_on="2008-01-01",
            )
        ]
    },
    "ancient_tree": {
        "segments": [_segment(length_m=60, planning_area="village", ancient_tree=True)]
    },
}
LOW_VOLTAGE_WEIGHTS: Mapping[str, float] = {
    "courtyard": 4,
    "village_lane": 3,
    "pavement": 3,
    "ancient_tree": 1,
}


def _without_digging(segment: Segment, road: str) -> Segment:
    if segment["road"] != road or segment["method"] != "open_cut":
        return segment
    return segment | {"method": "trenchless"}


def _for_natural_resources(segment: Segment) -> Segment:
    if segment["planning_area"] == "none" or segment["road"] != "none":
        return segment
    return segment | {"method": "duct"}


def _for_police(segment: Segment) -> Segment:
    return segment | {"traffic_affected": False}


def _for_urban_management(segment: Segment) -> Segment:
    spared = {"attached_to_road": False, "green_m2": 0, "trees": 0}
    return _without_digging(segment, "urban") | spared


def _for_transport(segment: Segment) -> Segment:
    return _without_digging(segment, "highway") | {"uses_bridge": False}


def _for_water(segment: Segment) -> Segment:
    away = {"waterworks_zone": False, "drain_change": False}
    return segment | away | ({"method": "trenchless"} if segment["river_zone"] else {})


_REVISIONS: Mapping[str, Callable[[Segment], Segment]] = {
    "natural-resources": _for_natural_resources,
    "police": _for_police,
    "urban-management": _for_urban_management,
    "transport": _for_transport,
    "water": _for_water,
}


def revised(route: Route, refused_by: frozenset[str]) -> Route:
    """Return `route` without what the departments `refused_by` can object to.

    Only segments those departments care for change, so that the other departments' approvals
    can still be held. Nobody named means that nobody is known: then everything avoidable goes.
    """
    segments = route["segments"]
    for department, revise in _REVISIONS.items():
        if department in refused_by or not refused_by:
            segments = [revise(segment) for segment in segments]
    return {"segments": segments}
