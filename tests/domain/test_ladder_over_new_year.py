"""The ladder over a New Year whose notice is out, and one whose notice is not (RB-5.2, RB-1.6)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from domain.ladder import alarms
from domain.working_time import Calendar, CalendarYear, WorkingDays
from policy.calendar import calendar
from policy.loader import policy_for
from tests.support.cases import POLICY

POLICY_NOW = policy_for(POLICY)
LIMIT = WorkingDays(5)

# Made up: off from Friday 1 to Monday 4 January 2027, Saturday the 9th worked.
FICTITIOUS = CalendarYear(
    2027,
    frozenset(date(2027, 1, day) for day in range(1, 5)),
    frozenset({date(2027, 1, 9)}),
    "虚构示例，仅供测试：2027年部分节假日安排",
)
PUBLISHED = Calendar("cn-2027.2", {**calendar().years, 2027: FICTITIOUS})


def _alarms(received_on: date, days: Calendar) -> dict[str, datetime]:
    hours, yellow_at = POLICY_NOW.working_time.hours, POLICY_NOW.lights.yellow_at
    found = alarms(POLICY_NOW.ladder, received_on, LIMIT, days, hours, yellow_at=yellow_at)
    return {alarm.step: alarm.at for alarm in found}


@pytest.mark.rule("RB-5.2", "RB-1.2")
@pytest.mark.parametrize(
    ("received_on", "yellow", "red", "red_1", "red_3"),
    [
        ("2026-12-28", "2026-12-31", "2027-01-06", "2027-01-07", "2027-01-09"),
        ("2026-12-29", "2027-01-05", "2027-01-07", "2027-01-08", "2027-01-11"),
        ("2026-12-30", "2027-01-06", "2027-01-08", "2027-01-09", "2027-01-12"),
        # The last day is the Saturday that is worked.
        ("2026-12-31", "2027-01-07", "2027-01-09", "2027-01-11", "2027-01-13"),
    ],
)
def test_published(received_on: str, yellow: str, red: str, red_1: str, red_3: str) -> None:
    assert _alarms(date.fromisoformat(received_on), PUBLISHED) == {
        "yellow.0": datetime.fromisoformat(f"{yellow}T00:00:00+08:00"),
        "red.0": datetime.fromisoformat(f"{red}T17:30:00+08:00"),
        "red.1": datetime.fromisoformat(f"{red_1}T17:30:00+08:00"),
        "red.3": datetime.fromisoformat(f"{red_3}T17:30:00+08:00"),
    }


@pytest.mark.rule("RB-1.1", "RB-1.6")
def test_not_published_the_first_of_january_is_yellow_while_the_year_in_utc_is_still_the_old() -> (
    None
):
    found = _alarms(date(2026, 12, 29), calendar())
    assert found["yellow.0"] == datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
    assert found["red.0"] == datetime(2027, 1, 5, 9, 30, tzinfo=UTC)
