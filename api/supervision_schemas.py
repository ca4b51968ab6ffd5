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


class WeekFiguresBody(PopulationBody):
    """Those completed in one week; `week` is its Monday."""

    week: str


class ClockFiguresBody(PopulationBody, Texts):
    """A class of cases by the clock that ran for them, as a whole and in parts.

    Attributes:
        limit: working days that were promised; null is tracked without a target (RB-2.6).
        nature: whether the limit binds the average or every case; null as is `clause` for a clock
            that the policy in service does not have.
        districts, months: those in which something was completed.
        weeks: the same week by week, if that was asked for.
    """

    id: str
    limit: int | None
    nature: str | None
    clause: str | None
    districts: list[DistrictFiguresBody]
    months: list[MonthFiguresBody]
    weeks: list[WeekFiguresBody]


class PunctualityBody(Shown):
    """What a department decided in one month."""

    month: str
    done: int
    late: int
    on_time_rate: float | None


class DepartmentFiguresBody(Texts):
    """Permit tasks of one department (RB-4.5).

    Attributes:
        done, late: decided in the period, and those of them that were late.
        on_time_rate: from 0 to 1, rounded to four decimals; null if nothing was decided.
        late_open: owed now, with a deadline that has passed.
        months: those in which it decided anything.
    """

    agency: str
    done: int
    late: int
    on_time_rate: float | None
    late_open: int
    months: list[PunctualityBody]


class ShadesBody(Shown):
    """How many show which light (RB-5.1).

    Attributes:
        suspended: those whose clocks stand still, without having run out.
        none: those without a limit, or not accepted yet.
    """

    total: int
    red: int
    yellow: int
    green: int
    suspended: int
    none: int


class StageLightsBody(ShadesBody, Texts):
    """Open cases that have reached one stage."""

    stage: str


class DistrictLightsBody(ShadesBody, Texts):
    """Open cases of one district."""

    district: str


class ClockLightsBody(ShadesBody, Texts):
    """Clocks of one kind that have not stopped; of a clock of bundles, its bundles."""

    id: str
    limit: int | None


class AgeLightsBody(ShadesBody):
    """What is so many working days old, both ends included; `to_days` null is without an end."""

    age: str
    from_days: int
    to_days: int | None


class OpenCasesBody(ShadesBody):
    """Open cases, each counted once: by the worst light of its clocks and its bundles' clocks.

    Attributes:
        clocks: each clock by itself, so that a case may be counted several times.
        ages: since the application was received.
    """

    stages: list[StageLightsBody]
    districts: list[DistrictLightsBody]
    clocks: list[ClockLightsBody]
    ages: list[AgeLightsBody]


class OpenTasksBody(ShadesBody):
    """Open tasks by light and age, also those without a limit; `ages` since they were opened."""

    ages: list[AgeLightsBody]


class UnansweredBody(Shown):
    """Supervision notices that nobody has replied to (RB-5.2).

    Attributes:
        unacknowledged: those of them that were not acknowledged either.
        overdue: those whose reply was due before today.
    """

    open: int
    unacknowledged: int
    overdue: int


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
    open_cases: OpenCasesBody
    open_tasks: OpenTasksBody
    escalations: UnansweredBody


class NamedBody(Texts):
    """Something with an id that the policy names."""

    id: str


class StandingBody(NamedBody):
    """A clock that has not stopped.

    Attributes:
        round: of the bundle; null for a clock of the case itself.
        net, left: working days used, and left; null without a limit.
        due_on: when it runs out if it goes on; null while it stands still with days left.
    """

    round: int | None
    limit: int | None
    net: int | None
    left: int | None
    due_on: str | None
    light: str
    is_suspended: bool


class OpenCaseBody(Shown):
    """An open case.

    Attributes:
        age: working days since the application was received.
        light, left: of its worst clock, or of the one that was asked for.
    """

    no: str
    stage: NamedBody
    district: NamedBody
    voltage: str
    supply: str
    submitted_on: str
    accepted_on: str | None
    age: int
    light: str
    left: int | None
    clocks: list[StandingBody]


class OpenCasePage(Shown):
    """A page of open cases; `total` is of all pages."""

    total: int
    items: list[OpenCaseBody]
    next_cursor: str | None


class ResultBody(Shown):
    """What a stopped clock came to (RB-2.4)."""

    no: str
    clock: NamedBody
    round: int | None
    district: NamedBody
    started_on: str
    stopped_on: str
    gross: int
    net: int
    limit: int | None
    is_met: bool | None


class ResultPage(Shown):
    """A page of results; `total` and `net` are of all pages: their quotient is the mean."""

    from_: str = Field(alias="from")
    to: str
    total: int
    net: int
    items: list[ResultBody]
    next_cursor: str | None


class OwedTaskBody(Shown):
    """An open task; `age` is in working days since it was opened."""

    task_id: str
    no: str
    kind: NamedBody
    owed_by: NamedBody
    opened_at: str
    age: int
    due_on: str | None
    light: str
    left: int | None


class OwedTaskPage(Shown):
    """A page of open tasks; `total` is of all pages."""

    total: int
    items: list[OwedTaskBody]
    next_cursor: str | None


class DecisionBody(Shown):
    """A permit task that a department decided."""

    task_id: str
    no: str
    owed_by: NamedBody
    opened_at: str
    due_on: str | None
    done_at: str
    is_late: bool


class DecisionPage(Shown):
    """A page of decisions; `total` is of all pages."""

    from_: str = Field(alias="from")
    to: str
    total: int
    items: list[DecisionBody]
    next_cursor: str | None


_CHIKAN = {"id": "440802", "zh": "赤坎区", "en": "Chikan District"}
_WATER = {"id": "water", "zh": "市水务局", "en": "Water Affairs Bureau"}
_SHADES = {"total": 3, "red": 0, "yellow": 1, "green": 1, "suspended": 1, "none": 0}
_AGES = [{"age": "3-5", "from_days": 3, "to_days": 5, **_SHADES}]
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
                "weeks": [],
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
                "months": [{"month": "2026-08", "done": 24, "late": 1, "on_time_rate": 0.9583}],
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
        "open_cases": {
            **_SHADES,
            "stages": [{"stage": "application", "zh": "用电申请", "en": "Application", **_SHADES}],
            "districts": [
                {"district": "440802", "zh": "赤坎区", "en": "Chikan District", **_SHADES}
            ],
            "clocks": [
                {
                    "id": "LV8",
                    "zh": "低压接电时长",
                    "en": "Low-voltage connection time",
                    "limit": 8,
                    **_SHADES,
                }
            ],
            "ages": _AGES,
        },
        "open_tasks": {**_SHADES, "ages": _AGES},
        "escalations": {"open": 2, "unacknowledged": 1, "overdue": 0},
    },
    "OpenCasePage": {
        "total": 1,
        "items": [
            {
                "no": "ZJ20260000011",
                "stage": {"id": "application", "zh": "用电申请", "en": "Application"},
                "district": _CHIKAN,
                "voltage": "low",
                "supply": "single",
                "submitted_on": "2026-09-07",
                "accepted_on": "2026-09-07",
                "age": 7,
                "light": "yellow",
                "left": 1,
                "clocks": [
                    {
                        "id": "LV8",
                        "zh": "低压接电时长",
                        "en": "Low-voltage connection time",
                        "round": None,
                        "limit": 8,
                        "net": 7,
                        "left": 1,
                        "due_on": "2026-09-17",
                        "light": "yellow",
                        "is_suspended": False,
                    }
                ],
            }
        ],
        "next_cursor": None,
    },
    "ResultPage": {
        "from": "2026-08-01",
        "to": "2026-08-31",
        "total": 1,
        "net": 7,
        "items": [
            {
                "no": "ZJ20260000011",
                "clock": {"id": "LV8", "zh": "低压接电时长", "en": "Low-voltage connection time"},
                "round": None,
                "district": _CHIKAN,
                "started_on": "2026-08-03",
                "stopped_on": "2026-08-12",
                "gross": 7,
                "net": 7,
                "limit": 8,
                "is_met": True,
            }
        ],
        "next_cursor": None,
    },
    "OwedTaskPage": {
        "total": 1,
        "items": [
            {
                "task_id": "ZJ20260000011.permits-water.1",
                "no": "ZJ20260000011",
                "kind": {
                    "id": "permits",
                    "zh": "外线工程并联审批",
                    "en": "Permits for the external line",
                },
                "owed_by": _WATER,
                "opened_at": "2026-09-16T10:00:00+08:00",
                "age": 0,
                "due_on": "2026-09-22",
                "light": "green",
                "left": 5,
            }
        ],
        "next_cursor": None,
    },
    "DecisionPage": {
        "from": "2026-09-01",
        "to": "2026-09-30",
        "total": 1,
        "items": [
            {
                "task_id": "ZJ20260000011.permits-water.1",
                "no": "ZJ20260000011",
                "owed_by": _WATER,
                "opened_at": "2026-09-16T10:00:00+08:00",
                "due_on": "2026-09-22",
                "done_at": "2026-09-21T10:00:00+08:00",
                "is_late": False,
            }
        ],
        "next_cursor": None,
    },
}
