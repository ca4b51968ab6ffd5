"""How running cases are shown in a terminal, and in plain lines where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from commands.client import Case, Clock, Task
from domain.connection import TaskKind, Voltage
from domain.policy import Policy

PLAIN_EVERY_CIVIL_DAYS = 3
_WEEKDAYS = tuple("一二三四五六日")
_LIGHTS = {
    "green": ("绿灯 green", "green"),
    "yellow": ("黄灯 yellow", "yellow"),
    "red": ("红灯 red", "bold red"),
}
_COLUMNS = {
    "办件 case": 13,
    "环节 stage": 18,
    "待办 owed by": 20,
    "工作日 days": 12,
    "灯 light": 18,
}
"""Titles of the board, and how many cells each column needs at least."""
ENDINGS = {
    "connected": "已接电 connected",
    "declined": "不予受理 declined",
    "not_feasible": "无法供电 not feasible",
    "plan_refused": "客户拒绝方案 plan refused",
    "permits_refused": "许可不通过 permits refused",
    "inspection_failed": "检验不合格 inspection failed",
    "withdrawn": "撤件 withdrawn",
}


def weekday(day: date) -> str:
    """Name a day with its weekday, e.g. `2026-09-14 周一 Mon`."""
    return f"{day} 周{_WEEKDAYS[day.weekday()]} {day:%a}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the API showed at one moment.

    Attributes:
        announced: how many cases there will be.
        cases: by number, oldest first.
        owed: open tasks by case number.
        clocks: by case number, as last read.
    """

    civil_now: datetime
    announced: int
    cases: Mapping[str, Case]
    owed: Mapping[str, Sequence[Task]]
    clocks: Mapping[str, Sequence[Clock]]

    @property
    def ended(self) -> Sequence[Case]:
        """The cases whose story is over."""
        return [case for case in self.cases.values() if case.state == "ended"]

    @property
    def headline(self) -> str:
        """Civil time and counts, in one line."""
        return (
            f"{weekday(self.civil_now.date())} {self.civil_now:%H:%M} · "
            f"已收 submitted {len(self.cases)}/{self.announced} · 办结 ended {len(self.ended)}"
        )


class Progress(Protocol):
    """Shows snapshots, and lines that must not be overwritten by them."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def say(self, line: str) -> None:
        """Show a line that stays."""

    def show(self, snapshot: Snapshot) -> None:
        """Show how things stand now."""


def progress(console: Console, policy: Policy) -> Progress:
    """Choose how to show progress on `console`."""
    return _Board(console, policy) if console.is_terminal else _Lines(console)


class _Lines:
    """Plain lines: each case as it ends, and a count every few civil days."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ended: set[str] = set()
        self._counted_on: date | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        today = snapshot.civil_now.date()
        for case in snapshot.ended:
            if case.no not in self._ended:
                self._ended.add(case.no)
                self.say(f"{weekday(today)} · {case.no} {_ending(case)}")
        if self._counted_on is None or (today - self._counted_on).days >= PLAIN_EVERY_CIVIL_DAYS:
            self._counted_on = today
            owing: dict[str, int] = {}
            for task in (task for tasks in snapshot.owed.values() for task in tasks):
                owing[task.owed_by] = owing.get(task.owed_by, 0) + 1
            owed = ", ".join(f"{agency} {count}" for agency, count in sorted(owing.items()))
            self.say(f"{snapshot.headline} · 待办 owed: {owed or '–'}")


class _Board:
    """A table that is redrawn in place; what does not fit the window is counted."""

    def __init__(self, console: Console, policy: Policy) -> None:
        self._console, self._policy = console, policy
        # Redrawn by `show` alone: a thread of its own would be alive while programs are forked.
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        is_open_first = sorted(snapshot.cases.values(), key=lambda case: case.state == "ended")
        room = max(self._console.height - 6, 3)
        table = Table(box=None, pad_edge=False, expand=True, header_style="bold")
        for title, width in _COLUMNS.items():
            table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=width)
        for case in is_open_first[:room]:
            table.add_row(*self._row(case, snapshot))
        hidden = len(is_open_first) - room
        more = Text(f"… {hidden} more 另有 {hidden} 件" if hidden > 0 else "")
        self._live.update(Group(Text(snapshot.headline, "bold"), table, more), refresh=True)

    def _row(self, case: Case, snapshot: Snapshot) -> tuple[Text, ...]:
        clock = next((c for c in snapshot.clocks.get(case.no, ()) if c.round is None), None)
        days = f"{clock.net}/{clock.limit or '–'} {clock.id}" if clock else "–"
        if case.state == "ended":
            return (Text(case.no, "dim"), Text(_ending(case), "dim"), Text(""), Text(days, "dim"))
        stage = next(
            link for link in self._policy.links[Voltage(case.voltage)] if link.id == case.stage
        )
        tasks = snapshot.owed.get(case.no, ())
        owed = " · ".join(
            f"{self._policy.tasks[TaskKind(kind)].zh} ← "
            f"{', '.join(task.owed_by for task in tasks if task.kind == kind)}"
            for kind in dict.fromkeys(task.kind for task in tasks)
        )
        return (Text(case.no), Text(stage.zh), Text(owed or "–"), Text(days), light(clock))


def light(clock: Clock | None) -> Text:
    """A clock's light, in words and with the days that stand with it (RB-5.1)."""
    if clock is None or clock.light is None or clock.left is None:
        return Text("–")
    words, style = _LIGHTS[clock.light]
    left = f"余 {clock.left} left" if clock.left >= 0 else f"超 {-clock.left} over"
    return Text(f"{words} {left}", style)


def _ending(case: Case) -> str:
    return ENDINGS.get(case.ending or "", case.ending or "–")
