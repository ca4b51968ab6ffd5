"""The civil clock: in service nothing, in training a straight line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.civil_clock import CivilClock
from domain.working_time import CIVIL_ZONE

ENGINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CIVIL = datetime(2026, 9, 14, 8, 30, tzinfo=CIVIL_ZONE)
TRAINING = CivilClock(ENGINE, CIVIL, 43_200.0)

instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
near = st.timedeltas(timedelta(days=-2), timedelta(days=2))
speeds = st.floats(0.01, 1e5)


@given(instants, near)
def test_service_clock_changes_nothing(instant: datetime, duration: timedelta) -> None:
    clock = CivilClock()
    assert clock.civil(instant) == instant
    assert clock.engine(instant) == instant
    assert clock.engine_duration(duration) == duration


def test_civil_time_is_told_in_the_civil_zone_and_engine_time_in_utc() -> None:
    for clock in (CivilClock(), TRAINING):
        assert clock.civil(ENGINE).tzinfo is CIVIL_ZONE
        assert clock.engine(CIVIL).tzinfo is UTC


@pytest.mark.parametrize(
    ("engine_seconds", "civil"),
    [
        (0, "2026-09-14T08:30:00+08:00"),
        (1, "2026-09-14T20:30:00+08:00"),
        (2, "2026-09-15T08:30:00+08:00"),
        (-2, "2026-09-13T08:30:00+08:00"),
        (60, "2026-10-14T08:30:00+08:00"),
    ],
)
def test_training_day_takes_two_seconds(engine_seconds: int, civil: str) -> None:
    engine = ENGINE + timedelta(seconds=engine_seconds)
    assert TRAINING.civil(engine) == datetime.fromisoformat(civil)
    assert TRAINING.engine(datetime.fromisoformat(civil)) == engine
    assert TRAINING.engine_duration(timedelta(hours=12)) == timedelta(seconds=1)


def test_clock_may_start_elsewhere_at_the_usual_speed() -> None:
    clock = CivilClock(ENGINE, CIVIL)
    assert clock.civil(ENGINE + timedelta(hours=1)) == CIVIL + timedelta(hours=1)


@given(speeds, near)
def test_timer_armed_for_a_civil_time_never_fires_early(speed: float, civil: timedelta) -> None:
    clock = CivilClock(ENGINE, CIVIL, speed)
    fires_at = clock.engine(CIVIL + civil)
    assert clock.civil(fires_at) >= CIVIL + civil
    assert clock.civil(fires_at - timedelta(microseconds=1)) < CIVIL + civil


@given(speeds, near, near)
def test_civil_time_never_runs_backwards(speed: float, one: timedelta, other: timedelta) -> None:
    clock = CivilClock(ENGINE, CIVIL, speed)
    earlier, later = sorted((one, other))
    assert clock.civil(ENGINE + earlier) <= clock.civil(ENGINE + later)


@pytest.mark.parametrize(
    ("engine_origin", "civil_origin", "speed", "why"),
    [
        (ENGINE, None, 1.0, "together"),
        (None, CIVIL, 1.0, "together"),
        (None, None, 60.0, "needs"),
        (ENGINE, CIVIL, 0.0, "positive"),
        (ENGINE, CIVIL, -1.0, "positive"),
        (ENGINE, CIVIL, float("inf"), "positive"),
        (ENGINE, CIVIL, float("nan"), "positive"),
        (ENGINE.replace(tzinfo=None), CIVIL, 1.0, "no zone"),
        (ENGINE, CIVIL.replace(tzinfo=None), 1.0, "no zone"),
    ],
)
def test_clock_that_cannot_run_is_refused(
    engine_origin: datetime | None, civil_origin: datetime | None, speed: float, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        CivilClock(engine_origin, civil_origin, speed)


@pytest.mark.parametrize("clock", [CivilClock(), TRAINING])
def test_time_without_a_zone_is_refused(clock: CivilClock) -> None:
    with pytest.raises(ValueError, match="no zone"):
        clock.civil(datetime(2026, 9, 14))
    with pytest.raises(ValueError, match="no zone"):
        clock.engine(datetime(2026, 9, 14))
