"""Lights and days left in words, which always stand beside the colour (RB-5.1)."""

from __future__ import annotations

from collections.abc import Mapping

from domain.clocks import Light
from domain.words import Words

NAMES: Mapping[str, Words] = {
    Light.GREEN: Words("绿灯", "Green"),
    Light.YELLOW: Words("黄灯", "Yellow"),
    Light.RED: Words("红灯", "Red"),
}


def light_words(light: Light, left: int) -> Words:
    """Say a light and the working days left; negative days are over."""
    name, said = NAMES[light], days_left(light, left)
    return Words(f"{name.zh}：{said.zh}", f"{name.en}: {said.en}")


def days_left(light: Light, left: int) -> Words:
    """Say the working days left; negative days are over."""
    if left > 0:
        return Words(f"剩余 {left} 个工作日", f"{_days(left)} left")
    if left < 0:
        return Words(f"已逾期 {-left} 个工作日", f"{_days(-left)} over")
    if light is Light.RED:
        return Words("已逾期，不足 1 个工作日", "over by less than a working day")
    return Words("今日到期", "due today")


def _days(count: int) -> str:
    return f"{count} working day{'' if count == 1 else 's'}"
