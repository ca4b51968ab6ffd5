"""Lights and days left, in words beside the colour (RB-5.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from console.words import LIGHTS
from domain.clocks import Light, light_of_due
from domain.policy import Policy
from domain.words import Words
from domain.working_time import Calendar, WorkingDays, alarm_at, civil_date, deadline


@dataclass(frozen=True, slots=True)
class Lit:
    """A deadline as it is shown.

    Attributes:
        light: None without a deadline, or while the clock stands still.
        due_on: civil date.
    """

    light: Light | None
    words: Words
    due_on: date | None = None
    is_provisional: bool = False


def lit(
    due_on: date | None,
    civil_now: datetime,
    days: Calendar,
    policy: Policy,
    *,
    is_provisional: bool = False,
    is_suspended: bool = False,
) -> Lit:
    """Return the light of what is due on a date.

    Args:
        civil_now: aware.
        days: the calendar that days left are counted with.
    """
    if is_suspended:
        return Lit(None, Words("计时中止", "Clock suspended"))
    if due_on is None:
        return Lit(None, Words("无期限", "No limit"))
    light, left = light_of_due(
        due_on, civil_now, days, policy.working_time.hours, policy.lights.yellow_at
    )
    return Lit(light, words_of(light, left), due_on, is_provisional)


def words_of(light: Light, left: int) -> Words:
    """Say a light and the working days left; negative days are over."""
    name = LIGHTS[light]
    if left > 0:
        left_zh, left_en = f"剩余 {left} 个工作日", f"{_days(left)} left"
    elif left < 0:
        left_zh, left_en = f"已逾期 {-left} 个工作日", f"{_days(-left)} over"
    elif light is Light.RED:
        left_zh, left_en = "已逾期，不足 1 个工作日", "over by less than a working day"
    else:
        left_zh, left_en = "今日到期", "due today"
    return Words(f"{name.zh}：{left_zh}", f"{name.en}: {left_en}")


def most_urgent(found: Iterable[Lit]) -> Lit | None:
    """Return the one that is due first; those without a deadline come last."""
    return min(found, key=lambda each: each.due_on or date.max, default=None)


def red_before(civil_now: datetime, policy: Policy) -> date:
    """Return the date so that what is due before it is red now (RB-1.4)."""
    today = civil_date(civil_now)
    has_closed = civil_now > alarm_at(today, policy.working_time.hours)
    return today + timedelta(days=1) if has_closed else today


def yellow_before(civil_now: datetime, days: Calendar, policy: Policy) -> date:
    """Return the date so that what is due before it is yellow or red now."""
    return deadline(days, civil_date(civil_now), WorkingDays(policy.lights.yellow_at + 1)).due_on


def _days(count: int) -> str:
    return f"{count} working day{'' if count == 1 else 's'}"
