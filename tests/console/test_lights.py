"""Lights in words, and the bounds by which a list is filtered by light."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from console.lights import lit, red_before, yellow_before
from domain.clocks import Light
from policy.calendar import calendar
from policy.loader import policy_for
from tests.support.cases import NOON, POLICY

RULES = policy_for(POLICY)
FRIDAY_EVENING = datetime.fromisoformat("2026-09-18T17:31:00+08:00")


@pytest.mark.rule("RB-5.1")
@pytest.mark.parametrize(
    ("due_on", "now", "light", "zh", "en"),
    [
        ("2026-09-23", NOON, "green", "绿灯：剩余 6 个工作日", "Green: 6 working days left"),
        ("2026-09-18", NOON, "yellow", "黄灯：剩余 2 个工作日", "Yellow: 2 working days left"),
        ("2026-09-17", NOON, "yellow", "黄灯：剩余 1 个工作日", "Yellow: 1 working day left"),
        ("2026-09-16", NOON, "yellow", "黄灯：今日到期", "Yellow: due today"),
        (
            "2026-09-18",
            FRIDAY_EVENING,
            "red",
            "红灯：已逾期，不足 1 个工作日",
            "Red: over by less than a working day",
        ),
        ("2026-09-15", NOON, "red", "红灯：已逾期 1 个工作日", "Red: 1 working day over"),
        ("2026-09-11", NOON, "red", "红灯：已逾期 3 个工作日", "Red: 3 working days over"),
    ],
)
def test_a_light_says_its_name_and_the_working_days(
    due_on: str, now: datetime, light: str, zh: str, en: str
) -> None:
    found = lit(date.fromisoformat(due_on), now, calendar(), RULES)
    assert (found.light, found.words) == (light, (zh, en))


def test_what_stands_still_or_has_no_limit_has_no_light() -> None:
    suspended = lit(date(2026, 9, 1), NOON, calendar(), RULES, is_suspended=True)
    assert (suspended.light, suspended.words.zh) == (None, "计时中止")
    unlimited = lit(None, NOON, calendar(), RULES)
    assert (unlimited.light, unlimited.words.zh) == (None, "无期限")


@pytest.mark.parametrize("hours", range(0, 24 * 21, 7))
def test_the_bounds_of_a_filter_agree_with_every_light(hours: int) -> None:
    """Over National Day, weekends and make-up days, at any hour."""
    now = datetime.fromisoformat("2026-09-24T00:10:00+08:00") + timedelta(hours=hours)
    red, yellow = red_before(now, RULES), yellow_before(now, calendar(), RULES)
    for offset in range(-10, 25):
        due_on = now.date() + timedelta(days=offset)
        light = lit(due_on, now, calendar(), RULES).light
        assert (due_on < red) == (light is Light.RED), (now, due_on)
        assert (due_on < yellow) == (light in (Light.RED, Light.YELLOW)), (now, due_on)
