"""Write `calendar-cn.toml` from the package `chinesecalendar`: `python -m policy.make_calendar`.

To be run once a year, when the State Council's notice is out and the package has followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import groupby

from chinese_calendar.constants import (
    Holiday,
    holidays,
    workdays,
)

from policy.calendar import CALENDAR_FILE

VERSION = "cn-2026.1"
PACKAGE = "chinesecalendar 1.11.0"

NUMBERS = {
    2006: "国办发明电〔2005〕35号",
    2007: "国办发明电〔2006〕49号",
    2012: "国办发明电〔2011〕45号",
    2013: "国办发明电〔2012〕33号",
    2015: "国办发明电〔2014〕28号",
    2016: "国办发明电〔2015〕18号",
    2017: "国办发明电〔2016〕17号",
    2018: "国办发明电〔2017〕12号",
    2019: "国办发明电〔2018〕15号",
    2020: "国办发明电〔2019〕16号",
    2021: "国办发明电〔2020〕27号",
    2022: "国办发明电〔2021〕11号",
    2023: "国办发明电〔2022〕16号",
    2024: "国办发明电〔2023〕7号",
    2025: "国办发明电〔2024〕12号",
    2026: "国办发明电〔2025〕7号",
}
"""Numbers of the notices, where known for certain; the title says enough where not."""

AMENDED_BY = {
    2015: "国务院关于中国人民抗日战争暨世界反法西斯战争胜利70周年纪念日调休放假的通知"
    "（国发明电〔2015〕1号）",
    2019: "国务院办公厅关于调整2019年劳动节假期安排的通知（国办发明电〔2019〕3号）",
    2020: "国务院办公厅关于延长2020年春节假期的通知（国办发明电〔2020〕1号）",
}

# The notice for 2006 moves the rest day of Saturday 2005-12-31 to January: "12月31日(星期六)上班".
# The package lacks that day.
ADDED_MAKE_UP_DAYS = {date(2005, 12, 31): Holiday.new_years_day.value}

PER_LINE = 7

HEAD = f"""\
# The working days of China, by the State Council's notices.
# Made by `python -m policy.make_calendar` from {PACKAGE} (MIT); do not edit.
# A year that is not listed is unpublished: weekends only, and provisional (RB-1.6).
# New Year days in December stand with the year whose notice lays them down.

version = "{VERSION}"
"""


def notice(year: int) -> str:
    """Title and number of the notice for `year`, with what amended it."""
    title = f"国务院办公厅关于{year}年部分节假日安排的通知"
    number = f"（{NUMBERS[year]}）" if year in NUMBERS else ""
    amendment = f"；{AMENDED_BY[year]}" if year in AMENDED_BY else ""
    return title + number + amendment


def notice_year(day: date, festival: str) -> int:
    """The year whose notice speaks of `day`: 元旦 may begin in the December before."""
    is_next = day.month == 12 and festival == Holiday.new_years_day.value
    return day.year + 1 if is_next else day.year


def render() -> str:
    """The text of `calendar-cn.toml`."""
    worked = {**workdays, **ADDED_MAKE_UP_DAYS}
    years = sorted({notice_year(day, festival) for day, festival in holidays.items()})
    return HEAD + "".join(
        f'\n[years.{year}]\nnotice = "{notice(year)}"\n'
        f"holidays = [\n{_lines(year, holidays)}]\nmake_up_days = [\n{_lines(year, worked)}]\n"
        for year in years
    )


def _lines(year: int, festival_of: Mapping[date, str]) -> str:
    days = sorted(day for day, name in festival_of.items() if notice_year(day, name) == year)
    return "".join(
        f"  # {Holiday(festival).chinese}\n{_wrapped(group)}"
        for festival, group in groupby(days, key=lambda day: festival_of[day])
    )


def _wrapped(days: Iterable[date]) -> str:
    texts = [day.isoformat() for day in days]
    rows = (texts[i : i + PER_LINE] for i in range(0, len(texts), PER_LINE))
    return "".join(f"  {', '.join(row)},\n" for row in rows)


if __name__ == "__main__":
    CALENDAR_FILE.write_text(render(), encoding="utf-8")
