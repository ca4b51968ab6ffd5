"""What `GET /supervision/summary` answers, and the example its description shows."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.schemas import Shown, Texts


class PopulationBody(Shown):
    """What cases, or bundles, completed in the period came to (RB-2.2).

    Attributes:
        net: working days that counted, of all of them together: with `cases` the exact mean.
        mean: net working days, rounded to two decimals; null without cases.
        within_limit: how many kept the limit themselves; null without a limit.
        is_met: whether the promise is kept, by the exact mean or by every case, as the clock's
            nature says; null without cases, or without a limit.
    """

    cases: int
    net: int
    mean: float | None
    within_limit: int | None
    is_met: bool | None


class DistrictFiguresBody(PopulationBody, Texts):
    """Those of one district."""

    district: str


class MonthFiguresBody(PopulationBody):
    """Those completed in one month, e.g. `2026-09`."""

    month: str


class ClockFiguresBody(PopulationBody, Texts):
    """A class of cases by the clock that ran for them, as a whole and in parts.

    Attributes:
        limit: working days that were promised; null is tracked without a target (RB-2.6).
        nature: whether the limit binds the average or every case; null as is `clause` for a clock
            that the policy in service does not have.
        districts, months: those in which something was completed.
    """

    id: str
    limit: int | None
    nature: str | None
    clause: str | None
    districts: list[DistrictFiguresBody]
    months: list[MonthFiguresBody]


class DepartmentFiguresBody(Texts):
    """Permit tasks of one department (RB-4.5).

    Attributes:
        done, late: decided in the period, and those of them that were late.
        on_time_rate: from 0 to 1, rounded to four decimals; null if nothing was decided.
        late_open: owed now, with a deadline that has passed.
    """

    agency: str
    done: int
    late: int
    on_time_rate: float | None
    late_open: int


class MostUrgentBody(Shown):
    """The earliest deadline; `left` is in working days, negative once they are over."""

    due_on: str
    left: int


class LightsBody(Texts):
    """The lights of what one agency owes now, counted (RB-5.1).

    Attributes:
        suspended: tasks whose clock stands still, which have no light (RB-4.6).
        words: the same in words.
    """

    agency: str
    green: int
    yellow: int
    red: int
    suspended: int
    most_urgent: MostUrgentBody | None
    words: Texts


class SummaryBody(Shown):
    """The figures of supervision (RB-11.1).

    Attributes:
        from_, to: civil dates of completion, both included.
        district: null is the whole city.
        civil_now: the moment of the lights.
        calendar_version: the calendar that days left were counted with.
        lights: of every agency that owes a task with a limit.
    """

    from_: str = Field(alias="from")
    to: str
    district: str | None
    civil_now: str
    calendar_version: str
    clocks: list[ClockFiguresBody]
    departments: list[DepartmentFiguresBody]
    lights: list[LightsBody]


_OF_ALL = {"cases": 2, "net": 15, "mean": 7.5, "within_limit": 1, "is_met": True}

SUPERVISION_EXAMPLES: dict[str, dict[str, Any]] = {
    "SummaryBody": {
        "from": "2026-01-01",
        "to": "2026-09-16",
        "district": None,
        "civil_now": "2026-09-16T12:00:00+08:00",
        "calendar_version": "cn-2026.1",
        "clocks": [
            {
                "id": "LV8",
                "zh": "低压接电时长",
                "en": "Low-voltage connection time",
                "limit": 8,
                "nature": "average",
                "clause": "516 三(二)",
                **_OF_ALL,
                "districts": [
                    {"district": "440802", "zh": "赤坎区", "en": "Chikan District", **_OF_ALL}
                ],
                "months": [{"month": "2026-08", **_OF_ALL}],
            }
        ],
        "departments": [
            {
                "agency": "water",
                "zh": "市水务局",
                "en": "Water Affairs Bureau",
                "done": 24,
                "late": 1,
                "on_time_rate": 0.9583,
                "late_open": 0,
            }
        ],
        "lights": [
            {
                "agency": "water",
                "zh": "市水务局",
                "en": "Water Affairs Bureau",
                "green": 2,
                "yellow": 1,
                "red": 0,
                "suspended": 1,
                "most_urgent": {"due_on": "2026-09-18", "left": 2},
                "words": {
                    "zh": "绿灯2件，黄灯（剩余不超过2个工作日）1件，红灯（已逾期）0件，"
                    "计时中止1件；最早一件2026-09-18到期，剩余2个工作日",
                    "en": "2 green, 1 yellow (2 working days left at most), 0 red (overdue), "
                    "1 suspended; the earliest is due on 2026-09-18, 2 working days left",
                },
            }
        ],
    }
}
