"""Lights and days left, in words beside the colour (RB-5.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from domain.clocks import Light, light_of_due, overdue_before
from domain.light_words import light_words
from domain.policy import Policy
from domain.words import Words
from domain.working_time import Calendar, WorkingDays, civil_date, deadline


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
    return light_words(light, left)


def most_urgent(found: Iterable[Lit]) -> Lit | None:
    """Return the one that is due first; those without a deadline come last."""
    return min(found, key=lambda each: each.due_on or date.max, default=None)


def red_before(civil_now: datetime, policy: Policy) -> date:
    """Return the date so that what is due before it is red now (RB-1.4)."""
    return overdue_before(civil_now, policy.working_time.hours)


def yellow_before(civil_now: datetime, days: Calendar, policy: Policy) -> date:
    """Return the date so that what is due before it is yellow or red now."""
    return deadline(days, civil_date(civil_now), WorkingDays(policy.lights.yellow_at + 1)).due_on
