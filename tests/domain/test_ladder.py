"""When the ladder rings: to the second, over weekends, make-up days and New Year (RB-5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ladder import Alarm, alarms, earliest
from domain.working_time import CIVIL_ZONE, WorkingDays, alarm_at, deadline, elapsed
from policy.calendar import calendar
from policy.loader import policy_for
from tests.support.cases import POLICY


@dataclass(frozen=True)
class Rung:
    light: Literal["yellow", "red"]
    after: int


LADDER = (Rung("yellow", 0), Rung("red", 0), Rung("red", 1), Rung("red", 3))
POLICY_NOW = policy_for(POLICY)
HOURS, YELLOW_AT = POLICY_NOW.working_time.hours, POLICY_NOW.lights.yellow_at


def _alarms(received_on: date, limit: int) -> dict[str, datetime]:
    found = alarms(LADDER, received_on, WorkingDays(limit), calendar(), HOURS, yellow_at=YELLOW_AT)
    return {alarm.step: alarm.at for alarm in found}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


def test_the_policy_has_these_steps() -> None:
    assert [(rung.light, rung.after) for rung in POLICY_NOW.ladder] == [
        (rung.light, rung.after) for rung in LADDER
    ]
    assert (HOURS.closes.isoformat(), YELLOW_AT) == ("17:30:00", 2)


@pytest.mark.rule("RB-5.2", "RB-1.4")
def test_a_week_of_five_working_days() -> None:
    # Received on Wednesday 2026-09-16; Sunday the 20th is worked.
    assert _alarms(date(2026, 9, 16), 5) == {
        "yellow.0": _at("2026-09-20T00:00:00"),
        "red.0": _at("2026-09-22T17:30:00"),
        "red.1": _at("2026-09-23T17:30:00"),
        # The 25th is Mid-Autumn, a Friday, and the weekend follows.
        "red.3": _at("2026-09-28T17:30:00"),
    }


@pytest.mark.rule("RB-5.2")
def test_red_on_a_make_up_saturday() -> None:
    # National Day ends on Wednesday 7 October 2026; Saturday the 10th is worked.
    found = _alarms(date(2026, 9, 30), 3)
    assert found["red.0"] == _at("2026-10-10T17:30:00")
    assert found["yellow.0"] == _at("2026-10-08T00:00:00")
    assert found["red.1"] == _at("2026-10-12T17:30:00")


@pytest.mark.rule("RB-5.2")
def test_over_new_year() -> None:
    # 2027 is not published: weekends only.
    found = _alarms(date(2026, 12, 28), 5)
    assert found["yellow.0"] == _at("2026-12-31T00:00:00")
    assert found["red.0"] == _at("2027-01-04T17:30:00")


@pytest.mark.rule("RB-5.1")
@pytest.mark.parametrize("limit", [1, 2])
def test_what_is_yellow_from_the_beginning_is_not_told_twice(limit: int) -> None:
    assert "yellow.0" not in _alarms(date(2026, 9, 16), limit)
    assert "yellow.0" in _alarms(date(2026, 9, 16), YELLOW_AT + 1)


@pytest.mark.rule("RB-5.1")
@given(
    st.dates(date(2020, 1, 1), date(2028, 12, 31)), st.integers(1, 40), st.integers(0, YELLOW_AT)
)
def test_alarms_come_when_lights_change(received_on: date, limit: int, yellow_at: int) -> None:
    days = calendar()
    due_on = deadline(days, received_on, WorkingDays(limit)).due_on
    found = alarms(LADDER, received_on, WorkingDays(limit), days, HOURS, yellow_at=yellow_at)
    assert list(found) == sorted(found, key=lambda alarm: alarm.at)
    by_step = {alarm.step: alarm.at for alarm in found}
    assert by_step["red.0"] == alarm_at(due_on, HOURS)
    if "yellow.0" in by_step:
        on = by_step["yellow.0"].date()
        assert elapsed(days, on, due_on) == yellow_at
        assert elapsed(days, on - timedelta(days=1), due_on) == yellow_at + 1
    for step, after in (("red.1", 1), ("red.3", 3)):
        assert elapsed(days, due_on, by_step[step].date()) == after
        assert by_step[step].timetz().replace(tzinfo=None) == HOURS.closes


@pytest.mark.rule("RB-5.2")
@given(st.dates(date(2020, 1, 1), date(2028, 12, 31)), st.integers(1, 40))
def test_no_alarm_comes_before_the_process_first_looks(received_on: date, limit: int) -> None:
    found = alarms(LADDER, received_on, WorkingDays(limit), calendar(), HOURS, yellow_at=YELLOW_AT)
    midnight = datetime(received_on.year, received_on.month, received_on.day, tzinfo=CIVIL_ZONE)
    looks_at = midnight + timedelta(
        seconds=earliest(WorkingDays(limit), HOURS, yellow_at=YELLOW_AT)
    )
    assert looks_at <= found[0].at


def test_a_step_has_its_place_in_the_ladder() -> None:
    (first, *_) = alarms(
        LADDER[1:], date(2026, 9, 16), WorkingDays(5), calendar(), HOURS, yellow_at=YELLOW_AT
    )
    assert first == Alarm(0, "red.0", _at("2026-09-22T17:30:00"))
