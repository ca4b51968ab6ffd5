"""The working-day calendar that comes with the program: `calendar-cn.toml` (RB-1.6)."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from domain.working_time import Calendar, CalendarError, CalendarYear

CALENDAR_FILE = Path(__file__).with_name("calendar-cn.toml")


class _Year(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    notice: Annotated[str, Field(min_length=1)]
    holidays: list[date]
    make_up_days: list[date]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    version: Annotated[StrictStr, Field(min_length=1)]
    years: dict[int, _Year]


@cache
def calendar() -> Calendar:
    """The calendar of `CALENDAR_FILE`, read once."""
    return load_calendar(CALENDAR_FILE.read_text(encoding="utf-8"), CALENDAR_FILE.name)


def load_calendar(toml_text: str, source: str) -> Calendar:
    """Read a version of the calendar.

    Args:
        source: name of the file, for the message.

    Raises:
        CalendarError: it is no TOML, lacks or adds a key, or contradicts itself; names the key.
    """
    try:
        file = _File.model_validate(tomllib.loads(toml_text))
        years = {
            year: CalendarYear(
                year, frozenset(each.holidays), frozenset(each.make_up_days), each.notice
            )
            for year, each in file.years.items()
        }
        return Calendar(file.version, years)
    except tomllib.TOMLDecodeError as error:
        raise CalendarError(source, f"no TOML: {error}", f"不是有效的 TOML：{error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CalendarError(
            f"{source}: {key}", first["msg"], f"此项缺失、多余或格式不对（{first['msg']}）"
        ) from error
    except CalendarError as error:
        raise CalendarError(f"{source}: {error.key}", error.en, error.zh) from error
