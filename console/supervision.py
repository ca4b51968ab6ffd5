"""Supervision: what is open now, the averages against what was promised, who is on time.

Every number leads to what it counts (`console.behind`), and every table is a file as well.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import supervision
from api.services import Services, Serving
from console.guard import PATH, Guarded, Visitor
from console.lights import Lit, lit
from console.rendering import Problems, page, query
from console.tables import Cell, Column, Table, as_csv, level_of, number
from console.words import SHADES
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from domain.words import Words
from domain.working_time import civil_date

router = APIRouter()

BAR = 320
"""Width of a bar whose mean is twice the limit, in units of its drawing."""

PERIODS: Mapping[str, Words] = {
    "month": Words("本月", "This month"),
    "quarter": Words("本季度", "This quarter"),
    "year": Words("本年", "This year"),
    "12months": Words("近12个月", "Last 12 months"),
}
_OF_FIGURE = ("period", "from", "to", "district", "by")


@dataclass(frozen=True, slots=True)
class Asked:
    """What figures are asked for.

    Attributes:
        period: one of `PERIODS`, or `custom`.
        first, last: civil dates; None where one was left out.
        sent: as it came, to be shown again.
    """

    period: str
    first: date | None
    last: date | None
    district: str
    is_by_week: bool
    sent: Mapping[str, str]
    problems: tuple[FieldProblem, ...]

    @classmethod
    def of(cls, sent: Mapping[str, str], today: date) -> Asked:
        """Read the parameters of the page's address."""
        values = {name: sent.get(name, "").strip()[:40] for name in _OF_FIGURE}
        problems: list[FieldProblem] = []
        first, last = (_date(name, values[name], problems) for name in ("from", "to"))
        period = values["period"]
        if period not in PERIODS:
            period = "custom" if values["from"] or values["to"] else "year"
        if period != "custom":
            problems, (first, last) = [], _period(period, today)
            values |= {"from": "", "to": ""}
        return cls(
            period, first, last, values["district"], values["by"] == "week", values, tuple(problems)
        )

    def query(self, **others: object) -> str:
        """Spell the parameters, with `others` laid over them."""
        return query(**{**self.sent, **others})


def _date(name: str, text: str, problems: list[FieldProblem]) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.append(FieldProblem(name, "is not a date", "不是日期"))
        return None


def _period(period: str, today: date) -> tuple[date, date]:
    match period:
        case "month":
            return today.replace(day=1), today
        case "quarter":
            return today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1), today
        case "12months":
            # From the day after the same day of last year, so that no day counts twice.
            before = today.year - 1
            day = min(today.day, calendar.monthrange(before, today.month)[1])
            return date(before, today.month, day) + timedelta(days=1), today
        case _:
            return date(today.year, 1, 1), today


@router.get("/supervision", name=Act.SEE_SUPERVISION)
async def overview(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show the figures of a period and of now; the same as `GET /supervision/summary`."""
    asked = Asked.of(request.query_params, _today(services))
    problems = [*asked.problems]
    summary: Mapping[str, Any] | None = None
    if not problems:
        try:
            summary = await _summary(visitor, services, asked)
        except InputRefused as refused:
            problems += refused.problems
    return page(
        request,
        visitor,
        "supervision.html",
        status=422 if problems else 200,
        asked=asked,
        periods=PERIODS,
        problems=Problems(problems),
        summary=summary,
        tables=tables_of(summary, asked) if summary else {},
        urgent=await _most_urgent(summary, services),
        bars={each["id"]: _bar(each) for each in summary["clocks"]} if summary else {},
        behind=Behind(summary, asked) if summary else None,
        districts=services.policy.districts,
        BAR=BAR,
    )


def _today(services: Services) -> date:
    return civil_date(services.settings.clock.civil(services.now()))


async def _summary(visitor: Visitor, services: Services, asked: Asked) -> Mapping[str, Any]:
    return await supervision.get_summary(
        visitor.caller,
        services,
        from_=asked.first,
        to=asked.last,
        district=asked.district or None,
        by_week=asked.is_by_week,
    )


async def _most_urgent(summary: Mapping[str, Any] | None, services: Services) -> Mapping[str, Lit]:
    """Return the earliest deadline of each agency with its light."""
    if summary is None:
        return {}
    civil_now = services.settings.clock.civil(services.now())
    days = (await services.calendars.current()).calendar
    return {
        each["agency"]: lit(
            each["most_urgent"] and date.fromisoformat(each["most_urgent"]["due_on"]),
            civil_now,
            days,
            services.policy,
            is_suspended=each["most_urgent"] is None,
        )
        for each in summary["lights"]
    }


def _bar(clock: Mapping[str, Any]) -> float | None:
    """Return how long a mean is drawn; the limit stands in the middle; None without either."""
    if clock["mean"] is None or clock["limit"] is None:
        return None
    of_limit = float(clock["mean"]) / float(clock["limit"])
    return round(min(of_limit / 2, 1) * BAR, 1)


# ---------------------------------------------------------------- the way to what is counted


class Behind:
    """Addresses of what stands behind the figures of one summary."""

    def __init__(self, summary: Mapping[str, Any], asked: Asked) -> None:
        self._first, self._last = summary["from"], summary["to"]
        self._district = asked.district

    def cases(self, **wanted: object) -> str:
        """Lead to open cases."""
        return self._to("cases", **wanted)

    def tasks(self, **wanted: object) -> str:
        """Lead to open tasks."""
        return self._to("tasks", **wanted)

    def results(
        self, clock: Mapping[str, Any], first: str = "", last: str = "", **wanted: object
    ) -> str:
        """Lead to the stopped clocks of one kind, of a part of the period that was asked for."""
        return self._to(
            "results",
            clock=clock["id"],
            limit=str(clock["limit"] or 0),
            **self._within(first, last),
            **wanted,
        )

    def decisions(self, agency: str, first: str = "", last: str = "", **wanted: object) -> str:
        """Lead to what a department decided."""
        return self._to("decisions", owed_by=agency, **self._within(first, last), **wanted)

    def escalations(self, waiting: str) -> str:
        """Lead to supervision notices."""
        return f"{PATH}/escalations?{query(waiting=waiting, district=self._district)}"

    def inbox(self, agency: str) -> str:
        """Lead to what an agency owes, as it sees it itself."""
        return f"{PATH}/tasks?{query(owed_by=agency)}"

    def _within(self, first: str, last: str) -> dict[str, object]:
        # Dates in ISO 8601 sort as text.
        return {"from": max(first, self._first), "to": min(last or self._last, self._last)}

    def _to(self, place: str, **wanted: object) -> str:
        parameters = {"district": self._district, **wanted}
        return f"{PATH}/supervision/{place}?{query(**parameters)}"


# ---------------------------------------------------------------- tables

_Row = tuple[Cell, ...]


def tables_of(summary: Mapping[str, Any], asked: Asked) -> Mapping[str, Table]:
    """Return every table of a summary, by name."""
    behind = Behind(summary, asked)
    found = (
        _averages(summary, asked, behind),
        _district_means(summary, behind),
        _punctuality(summary, behind),
        _shaded(
            "stages",
            Words("环节与亮灯", "Stages and lights"),
            Words("环节", "Stage"),
            summary["open_cases"]["stages"],
            lambda each, light: behind.cases(stage=each["stage"], light=light),
        ),
        _shaded(
            "districts",
            Words("区县与亮灯", "Districts and lights"),
            Words("区县", "District"),
            summary["open_cases"]["districts"],
            lambda each, light: behind.cases(district=each["district"], light=light),
        ),
        _shaded(
            "clocks",
            Words("计时与亮灯", "Clocks and lights"),
            Words("计时", "Clock"),
            summary["open_cases"]["clocks"],
            lambda each, light: behind.cases(clock=each["id"], light=light),
            is_split=True,
        ),
        _ages(
            "case-ages",
            Words("在办办件存续时间", "Age of open cases"),
            summary["open_cases"]["ages"],
            lambda age, light: behind.cases(age=age, light=light),
        ),
        _ages(
            "task-ages",
            Words("待办任务存续时间", "Age of open tasks"),
            summary["open_tasks"]["ages"],
            lambda age, light: behind.tasks(age=age, light=light),
        ),
        _departments(summary, behind),
        _lights(summary, behind),
    )
    return {table.name: table for table in found}


TABLES = (
    "averages",
    "district-means",
    "punctuality",
    "stages",
    "districts",
    "clocks",
    "case-ages",
    "task-ages",
    "departments",
    "lights",
)
"""Names of all tables of the overview."""


def _averages(summary: Mapping[str, Any], asked: Asked, behind: Behind) -> Table:
    """Means by month or week; each clock has a column for the mean, and one for the cases."""
    clocks = summary["clocks"]
    part = "week" if asked.is_by_week else "month"
    names = sorted({each[part] for clock in clocks for each in clock[f"{part}s"]})
    columns = [Column(Words("周（自周一）", "Week from") if asked.is_by_week else _MONTH)]
    for clock in clocks:
        name = clock["id"]
        columns += [
            Column(Words(f"{name} 平均", f"{name} mean"), True, series=name, limit=clock["limit"]),
            Column(Words(f"{name} 件数", f"{name} cases"), True),
        ]
    rows = []
    for name in names:
        row = [Cell(name)]
        for clock in clocks:
            found = next((each for each in clock[f"{part}s"] if each[part] == name), None)
            if found is None:
                row += [Cell(), Cell()]
                continue
            href = behind.results(clock, *_span(name))
            row += [_mean(found, href), number(found["cases"], href)]
        rows.append(tuple(row))
    title = Words("平均时长变化", "Averages over time")
    return Table("averages", title, tuple(columns), tuple(rows))


_MONTH = Words("月份", "Month")


def _span(name: str) -> tuple[str, str]:
    """Return the first and the last day of a month, or of a week named by its Monday."""
    if len(name) == len("2026-09"):
        year, month = int(name[:4]), int(name[5:])
        return f"{name}-01", f"{name}-{calendar.monthrange(year, month)[1]:02d}"
    return name, (date.fromisoformat(name) + timedelta(days=6)).isoformat()


def _mean(population: Mapping[str, Any], href: str) -> Cell:
    if population["is_met"] is None:
        return Cell(population["mean"], digits=2, href=href)
    light = "green" if population["is_met"] else "red"
    remark = Words("达标", "kept") if population["is_met"] else Words("未达标", "missed")
    return Cell(population["mean"], digits=2, href=href, light=light, remark=remark)


def _district_means(summary: Mapping[str, Any], behind: Behind) -> Table:
    clocks = summary["clocks"]
    names = {
        each["district"]: Words(each["zh"], each["en"])
        for clock in clocks
        for each in clock["districts"]
    }
    columns = [Column(Words("区县", "District"))]
    for clock in clocks:
        name = clock["id"]
        columns += [
            Column(Words(f"{name} 平均", f"{name} mean"), True),
            Column(Words(f"{name} 件数", f"{name} cases"), True),
        ]
    rows = []
    for code in sorted(names):
        row = [Cell(names[code])]
        for clock in clocks:
            found = next((each for each in clock["districts"] if each["district"] == code), None)
            if found is None:
                row += [Cell(), Cell()]
                continue
            href = behind.results(clock, district=code)
            row += [_mean(found, href), number(found["cases"], href)]
        rows.append(tuple(row))
    title = Words("区县平均时长", "Averages by district")
    return Table("district-means", title, tuple(columns), tuple(rows))


def _punctuality(summary: Mapping[str, Any], behind: Behind) -> Table:
    """On-time rate by month; each department has its share, what it decided, and what was late."""
    departments = [each for each in summary["departments"] if each["months"]]
    names = sorted({each["month"] for one in departments for each in one["months"]})
    columns = [Column(_MONTH)]
    for each in departments:
        columns += [
            Column(
                Words(f"{each['zh']} 按时率", f"{each['en']} on time"),
                True,
                series=each["agency"],
                named=Words(each["zh"], each["en"]),
            ),
            Column(Words("已办结", "decided"), True),
            Column(Words("逾期", "late"), True),
        ]
    rows = []
    for name in names:
        row = [Cell(name)]
        for each in departments:
            found = next((month for month in each["months"] if month["month"] == name), None)
            if found is None:
                row += [Cell(), Cell(), Cell()]
                continue
            span = _span(name)
            row += [
                _rate(found["on_time_rate"], behind.decisions(each["agency"], *span)),
                number(found["done"], behind.decisions(each["agency"], *span)),
                number(found["late"], behind.decisions(each["agency"], *span, late="true")),
            ]
        rows.append(tuple(row))
    title = Words("部门按时办结率变化", "Departments on time, by month")
    return Table("punctuality", title, tuple(columns), tuple(rows))


def _rate(share: float | None, href: str = "") -> Cell:
    return Cell() if share is None else Cell(round(share * 100, 2), digits=1, unit="%", href=href)


def _departments(summary: Mapping[str, Any], behind: Behind) -> Table:
    columns = (
        Column(Words("部门", "Department")),
        Column(Words("已办结", "Decided"), True),
        Column(Words("逾期办结", "Late"), True),
        Column(Words("按时率", "On time"), True, series="rate"),
        Column(Words("逾期未办", "Overdue now"), True),
    )
    rows = []
    for each in summary["departments"]:
        agency = each["agency"]
        overdue = behind.tasks(owed_by=agency, kind="permits", light="red", has_limit="true")
        rows.append(
            (
                Cell(Words(each["zh"], each["en"])),
                number(each["done"], behind.decisions(agency)),
                number(each["late"], behind.decisions(agency, late="true")),
                _rate(each["on_time_rate"]),
                number(each["late_open"], overdue, light="red" if each["late_open"] else ""),
            )
        )
    title = Words("部门按时办结率", "Departments on time")
    return Table("departments", title, columns, tuple(rows))


def _lights(summary: Mapping[str, Any], behind: Behind) -> Table:
    lights = ("red", "yellow", "green", "suspended")
    rows = [
        (
            Cell(Words(each["zh"], each["en"]), href=behind.inbox(each["agency"])),
            *(
                number(
                    each[light],
                    behind.tasks(owed_by=each["agency"], light=light, has_limit="true"),
                    light=light,
                    level=level_of(each[light], max(one[light] for one in summary["lights"])),
                )
                for light in lights
            ),
            Cell(each["most_urgent"]["due_on"] if each["most_urgent"] else None),
        )
        for each in summary["lights"]
    ]
    columns = (
        Column(Words("承办单位", "Owed by")),
        *(Column(SHADES[light], True, series=light, light=light) for light in lights),
        Column(Words("最早到期", "Due first")),
    )
    title = Words("待办任务亮灯", "Tasks owed now")
    return Table("lights", title, columns, tuple(rows))


def _ages(
    name: str,
    title: Words,
    ages: Sequence[Mapping[str, Any]],
    to: Callable[[str, str], str],
) -> Table:
    return _shaded(
        name,
        title,
        Words("工作日", "Working days"),
        [{**each, **_band(each)} for each in ages],
        lambda each, light: to(each["age"], light),
    )


def _band(age: Mapping[str, Any]) -> Mapping[str, str]:
    if age["to_days"] is None:
        return {"zh": f"超过 {age['from_days'] - 1}", "en": f"over {age['from_days'] - 1}"}
    return dict.fromkeys(("zh", "en"), f"{age['from_days']}–{age['to_days']}")


def _shaded(
    name: str,
    title: Words,
    of: Words,
    counted: Sequence[Mapping[str, Any]],
    to: Callable[[Mapping[str, Any], str], str],
    *,
    is_split: bool = False,
) -> Table:
    """Return a matrix of lights: the darker a cell, the more there are.

    Args:
        is_split: whether rows stand for clocks, of which those without a limit show no light.
    """
    most = {light: max((each[light] for each in counted), default=0) for light in SHADES}
    rows: list[_Row] = []
    for each in counted:
        title_of = Words(each["zh"], each["en"])
        if is_split:
            title_of = Words(f"{each['id']} {each['zh']}", f"{each['id']} {each['en']}")
        cells = [
            number(
                each[light], to(each, light), light=light, level=level_of(each[light], most[light])
            )
            for light in SHADES
        ]
        rows.append((Cell(title_of), *cells, number(each["total"], to(each, ""))))
    columns = (
        Column(of),
        *(Column(words, True, series=light, light=light) for light, words in SHADES.items()),
        Column(Words("合计", "Total"), True),
    )
    return Table(name, title, columns, tuple(rows))


# ---------------------------------------------------------------- files


def _file_of(name: str) -> Callable[..., Any]:
    async def give_file(request: Request, visitor: Guarded, services: Serving) -> Response:
        asked = Asked.of(request.query_params, _today(services))
        if asked.problems:
            raise InputRefused(*asked.problems)
        summary = await _summary(visitor, services, asked)
        named = f"onewindow-{name}-{summary['from']}-{summary['to']}"
        return as_csv(tables_of(summary, asked)[name], named=named)

    give_file.__doc__ = f"Send the table `{name}` as CSV."
    return give_file


for _name in TABLES:
    router.add_api_route(
        f"/supervision/{_name}.csv", _file_of(_name), methods=["GET"], name=Act.SEE_SUPERVISION
    )
