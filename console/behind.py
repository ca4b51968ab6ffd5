"""What stands behind the figures of supervision: lists of cases, results, tasks and decisions.

Each shows as many as the number says that led to it, most urgent or latest first, and is a file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, get_args

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import behind
from api.ages import AGES, Age
from api.auth import Caller
from api.open_cases import SHADES, Shade
from api.services import Serving
from console.guard import PATH, Guarded
from console.lights import words_of
from console.rendering import page, query
from console.tables import Cell, Column, Table, csv_part, sent_as_csv
from console.words import SHADES as SHADE_WORDS
from console.words import VOLTAGES
from domain.access import Act
from domain.clocks import Light
from domain.connection import TaskKind
from domain.errors import FieldProblem, InputRefused
from domain.policy import Policy
from domain.words import Words

router = APIRouter()

ON_A_PAGE = 50
AT_A_TIME = 200
"""Rows of a file that are made before others have their turn."""

Place = Literal["cases", "results", "tasks", "decisions"]
_FILTERS: Mapping[Place, tuple[str, ...]] = {
    "cases": ("stage", "district", "light", "clock", "age"),
    "results": ("from", "to", "district", "clock", "limit", "met"),
    "tasks": ("owed_by", "kind", "district", "light", "age", "has_limit"),
    "decisions": ("from", "to", "district", "owed_by", "late"),
}
TITLES: Mapping[Place, Words] = {
    "cases": Words("在办办件", "Open cases"),
    "results": Words("已停表计时", "Stopped clocks"),
    "tasks": Words("待办任务", "Open tasks"),
    "decisions": Words("部门已办结任务", "Decided by departments"),
}
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a list.

    Attributes:
        total: of all pages.
        mean: of all of them, where they are averaged.
    """

    table: Table
    total: int
    next_cursor: str | None
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parameters of a list, as they stand in its address."""

    sent: Mapping[str, str]
    cursor: str | None
    limit: int

    def text(self, name: str) -> str | None:
        """Return what a parameter says, if anything."""
        return self.sent[name] or None

    def day(self, name: str) -> date | None:
        """Return a civil date."""
        if not self.sent[name]:
            return None
        try:
            return date.fromisoformat(self.sent[name])
        except ValueError:
            raise InputRefused(FieldProblem(name, "is not a date", "不是日期")) from None

    def flag(self, name: str) -> bool | None:
        """Return whether something is so; None leaves it open."""
        return _FLAGS.get(self.sent[name])

    def number(self, name: str) -> int | None:
        """Return a whole number."""
        text = self.sent[name]
        return int(text) if text.isdecimal() and len(text) < 6 else None

    def light(self) -> Shade | None:
        """Return the light that is asked for."""
        return next((each for each in SHADES if each == self.sent["light"]), None)

    def age(self) -> Age | None:
        """Return the band of ages that is asked for."""
        return next((each for each in get_args(Age) if each == self.sent["age"]), None)


# ---------------------------------------------------------------- lists


async def _cases(at: behind.Moment, caller: Caller, wanted: Wanted) -> Found:
    found = await behind.open_cases(
        at,
        caller,
        behind.CasesWanted(
            stage=wanted.text("stage"),
            district=wanted.text("district"),
            light=wanted.light(),
            clock=wanted.text("clock"),
            age=wanted.age(),
        ),
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    columns = (
        Column(Words("办件编号", "Case")),
        Column(Words("环节", "Stage")),
        Column(Words("区县", "District")),
        Column(Words("电压", "Voltage")),
        Column(Words("申请日期", "Submitted")),
        Column(Words("存续工作日", "Age, working days"), True),
        Column(Words("亮灯", "Light")),
        Column(Words("计时：已用/时限", "Clocks: used/limit")),
    )
    rows = tuple(
        (
            _case(each["no"]),
            _named(each["stage"]),
            _named(each["district"]),
            Cell(VOLTAGES[each["voltage"]]),
            Cell(each["submitted_on"]),
            Cell(each["age"]),
            _light(each["light"], each["left"]),
            Cell(_clocks(each["clocks"])),
        )
        for each in found["items"]
    )
    return _found("cases", columns, rows, found)


def _clocks(clocks: Sequence[Mapping[str, Any]]) -> Words | None:
    """Say what each clock has used of its limit, and that it stands still if it does."""
    if not clocks:
        return None
    zh, en = [], []
    for each in clocks:
        name = each["id"] + (f".{each['round']}" if each["round"] else "")
        if each["limit"] is None:
            zh.append(f"{name} 仅跟踪")
            en.append(f"{name} tracked")
            continue
        used = f"{name} {each['net']}/{each['limit']}"
        zh.append(f"{used}（中止）" if each["is_suspended"] else used)
        en.append(f"{used} (suspended)" if each["is_suspended"] else used)
    return Words("；".join(zh), "; ".join(en))


async def _results(at: behind.Moment, caller: Caller, wanted: Wanted) -> Found:
    found = await behind.stopped(
        at,
        caller,
        behind.ResultsWanted(
            from_=wanted.day("from"),
            to=wanted.day("to"),
            district=wanted.text("district"),
            clock=wanted.text("clock"),
            limit_working_days=wanted.number("limit"),
            is_met=wanted.flag("met"),
        ),
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    columns = (
        Column(Words("办件编号", "Case")),
        Column(Words("计时", "Clock")),
        Column(Words("轮次", "Round"), True),
        Column(Words("区县", "District")),
        Column(Words("起算", "Started")),
        Column(Words("停表", "Stopped")),
        Column(Words("总时长", "Gross"), True),
        Column(Words("净时长", "Net"), True),
        Column(Words("时限", "Limit"), True),
        Column(Words("是否未超", "Within?")),
    )
    rows = tuple(
        (
            _case(each["no"]),
            _named(each["clock"]),
            Cell(each["round"]),
            _named(each["district"]),
            Cell(each["started_on"]),
            Cell(each["stopped_on"]),
            Cell(each["gross"]),
            Cell(each["net"]),
            Cell(each["limit"]),
            _verdict(each["is_met"]),
        )
        for each in found["items"]
    )
    mean = found["net"] / found["total"] if found["total"] else None
    return _found("results", columns, rows, found, mean)


def _verdict(is_met: bool | None) -> Cell:
    if is_met is None:
        return Cell(Words("仅跟踪", "Tracked"), light="none")
    if is_met:
        return Cell(Words("未超时限", "Within"), light="green")
    return Cell(Words("超过时限", "Over"), light="red")


async def _tasks(at: behind.Moment, caller: Caller, wanted: Wanted) -> Found:
    kind = wanted.sent["kind"]
    found = await behind.open_tasks(
        at,
        caller,
        behind.TasksWanted(
            owed_by=wanted.text("owed_by"),
            kind=TaskKind(kind) if kind in set(TaskKind) else None,
            district=wanted.text("district"),
            light=wanted.light(),
            age=wanted.age(),
            has_limit=wanted.flag("has_limit"),
        ),
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    columns = (
        Column(Words("任务", "Task")),
        Column(Words("办件编号", "Case")),
        Column(Words("承办单位", "Owed by")),
        Column(Words("发起时间", "Opened")),
        Column(Words("存续工作日", "Age, working days"), True),
        Column(Words("期限", "Due")),
        Column(Words("亮灯", "Light")),
    )
    rows = tuple(
        (
            Cell(_words(each["kind"]), href=f"{PATH}/tasks/{each['task_id']}"),
            _case(each["no"]),
            _named(each["owed_by"]),
            Cell(_minute(each["opened_at"])),
            Cell(each["age"]),
            Cell(each["due_on"]),
            _light(each["light"], each["left"]),
        )
        for each in found["items"]
    )
    return _found("tasks", columns, rows, found)


async def _decisions(at: behind.Moment, caller: Caller, wanted: Wanted) -> Found:
    found = await behind.decided(
        at,
        caller,
        behind.DecisionsWanted(
            from_=wanted.day("from"),
            to=wanted.day("to"),
            district=wanted.text("district"),
            owed_by=wanted.text("owed_by"),
            is_late=wanted.flag("late"),
        ),
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    columns = (
        Column(Words("办件编号", "Case")),
        Column(Words("部门", "Department")),
        Column(Words("发起时间", "Opened")),
        Column(Words("期限", "Due")),
        Column(Words("办结时间", "Decided")),
        Column(Words("是否按时", "On time?")),
    )
    late, on_time = Words("逾期", "Late"), Words("按时", "On time")
    rows = tuple(
        (
            _case(each["no"]),
            Cell(_words(each["owed_by"]), href=f"{PATH}/tasks/{each['task_id']}"),
            Cell(_minute(each["opened_at"])),
            Cell(each["due_on"]),
            Cell(_minute(each["done_at"])),
            Cell(late, light="red") if each["is_late"] else Cell(on_time, light="green"),
        )
        for each in found["items"]
    )
    return _found("decisions", columns, rows, found)


def _found(
    place: Place,
    columns: tuple[Column, ...],
    rows: tuple[tuple[Cell, ...], ...],
    found: Mapping[str, Any],
    mean: float | None = None,
) -> Found:
    table = Table(place, TITLES[place], columns, rows)
    return Found(table, found["total"], found["next_cursor"], mean)


def _case(no: str) -> Cell:
    return Cell(no, href=f"{PATH}/cases/{no}")


def _named(each: Mapping[str, Any]) -> Cell:
    return Cell(_words(each))


def _words(each: Mapping[str, Any]) -> Words:
    return Words(each["zh"], each["en"])


def _minute(at: str) -> str:
    """Cut a civil instant down to what is read: date, hour and minute."""
    return at[:16].replace("T", " ")


def _light(shade: Shade, left: int | None) -> Cell:
    if left is None or shade in ("suspended", "none"):
        return Cell(SHADE_WORDS[shade], light="none")
    return Cell(words_of(Light(shade), left), light=shade)


LISTS: Mapping[Place, Callable[[behind.Moment, Caller, Wanted], Awaitable[Found]]] = {
    "cases": _cases,
    "results": _results,
    "tasks": _tasks,
    "decisions": _decisions,
}


# ---------------------------------------------------------------- what is asked for, in words


def _said(place: Place, sent: Mapping[str, str], policy: Policy) -> list[tuple[Words, Words]]:
    """Say each parameter of a list: what it is, and which."""
    links = {link.id: link for links in policy.links.values() for link in links}
    tables: Mapping[str, tuple[Words, Mapping[Any, Any]]] = {
        "stage": (Words("环节", "Stage"), links),
        "district": (Words("区县", "District"), policy.districts),
        "clock": (Words("计时", "Clock"), policy.clocks),
        "owed_by": (Words("承办单位", "Owed by"), policy.agencies),
        "kind": (Words("任务", "Task"), policy.tasks),
        "light": (Words("亮灯", "Light"), SHADE_WORDS),
        "age": (Words("存续工作日", "Age, working days"), _AGE_WORDS),
        "late": (Words("是否按时", "On time?"), _LATE_WORDS),
        "met": (Words("是否未超", "Within?"), _MET_WORDS),
        "limit": (Words("时限", "Limit"), {"0": Words("仅跟踪", "Tracked")}),
        "from": (Words("从", "From"), {}),
        "to": (Words("至", "To"), {}),
    }
    found = []
    for name in _FILTERS[place]:
        if (value := sent[name]) and name in tables:
            title, named = tables[name]
            each = named.get(value)
            found.append((title, Words(each.zh, each.en) if each else Words(value, value)))
    return found


_AGE_WORDS: Mapping[str, Words] = {
    age: Words(f"{first}–{last}", f"{first}–{last}")
    if last is not None
    else Words(f"超过 {first - 1}", f"over {first - 1}")
    for age, (first, last) in AGES.items()
}
_LATE_WORDS = {"true": Words("逾期", "Late"), "false": Words("按时", "On time")}
_MET_WORDS = {"true": Words("未超时限", "Within"), "false": Words("超过时限", "Over")}


# ---------------------------------------------------------------- pages


def _page_of(place: Place) -> Callable[..., Any]:
    async def show(request: Request, visitor: Guarded, services: Serving) -> Response:
        wanted = _wanted(place, request.query_params, ON_A_PAGE)
        async with behind.moment(services) as at:
            found = await LISTS[place](at, visitor.caller, wanted)
        return page(
            request,
            visitor,
            "supervision_list.html",
            found=found,
            said=_said(place, wanted.sent, services.policy),
            first_page=f"{PATH}/supervision/{place}?{query(**wanted.sent)}",
            next_page=found.next_cursor
            and f"{PATH}/supervision/{place}?{query(**wanted.sent, cursor=found.next_cursor)}",
            is_first=wanted.cursor is None,
            file=f"{PATH}/supervision/{place}.csv?{query(**wanted.sent)}",
        )

    show.__doc__ = f"List what stands behind a number: {place}."
    return show


def _file_of(place: Place) -> Callable[..., Any]:
    async def give_file(request: Request, visitor: Guarded, services: Serving) -> Response:
        wanted = replace(_wanted(place, request.query_params, AT_A_TIME), cursor=None)
        async with behind.moment(services, is_file=True) as at:
            parts = _parts(LISTS[place], at, visitor.caller, wanted)
            return await sent_as_csv(parts, named=f"onewindow-{place}")

    give_file.__doc__ = f"Send all {place} of a list as CSV."
    return give_file


async def _parts(
    read: Callable[[behind.Moment, Caller, Wanted], Awaitable[Found]],
    at: behind.Moment,
    caller: Caller,
    wanted: Wanted,
) -> AsyncIterator[bytes]:
    """Yield a list page by page; of one moment, so that a file holds as many as its page says."""
    is_first = True
    while is_first or wanted.cursor:
        found = await read(at, caller, wanted)
        yield csv_part(found.table, has_header=is_first)
        is_first, wanted = False, replace(wanted, cursor=found.next_cursor)


def _wanted(place: Place, sent: Mapping[str, str], limit: int) -> Wanted:
    values = {name: sent.get(name, "").strip()[:100] for name in _FILTERS[place]}
    return Wanted(values, sent.get("cursor", "")[:400] or None, limit)


for _place in LISTS:
    router.add_api_route(
        f"/supervision/{_place}", _page_of(_place), methods=["GET"], name=Act.SEE_SUPERVISION
    )
    router.add_api_route(
        f"/supervision/{_place}.csv", _file_of(_place), methods=["GET"], name=Act.SEE_SUPERVISION
    )
