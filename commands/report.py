"""What is printed once cases have ended: each one's timeline, and the totals against the limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean

from rich.console import Console
from rich.table import Table
from rich.text import Text

from commands.client import Case, Clock, Task
from commands.progress import ENDINGS
from domain.working_time import civil_date, elapsed
from policy.calendar import calendar


@dataclass(frozen=True, slots=True)
class Closed:
    """A case with everything that is told of it; `about` says what it is an example of."""

    case: Case
    about: str
    tasks: Sequence[Task]
    clocks: Sequence[Clock]


def print_timeline(console: Console, closed: Closed) -> None:
    """Print who owed what when, and how long it took in working days."""
    case = closed.case
    ending = ENDINGS.get(case.ending or "", "办理中 open")
    console.print(Text(f"\n{case.no} · {closed.about} · {ending}", "bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("  任务 task", "承办 owner", "发起 opened", "期限 due", "完成 done"):
        table.add_column(title, no_wrap=True)
    table.add_column("工作日 days", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for task in closed.tasks:
        table.add_row(*_row(task))
    console.print(table)
    clocks = " · ".join(
        f"{clock.id}{f' #{clock.round}' if clock.round else ''} {clock.net}/{clock.limit or '–'}"
        for clock in closed.clocks
    )
    if clocks:
        console.print(Text(f"  计时 clocks: {clocks}", "dim"))


def _row(task: Task) -> tuple[str, ...]:
    again = f" #{task.round}" if task.round > 1 else ""
    used, mark = "–", ""
    if task.done_at is not None:
        used = str(elapsed(calendar(), civil_date(task.opened_at), civil_date(task.done_at)))
    if task.state == "closed":
        mark = f"终止 closed: {task.closed_by}"
    elif task.is_late:
        mark = "逾期 late"
    return (
        f"  {task.title.zh} {task.title.en}{again}",
        task.owed_by,
        _moment(task.opened_at),
        task.due_on.isoformat() if task.due_on else "–",
        _moment(task.done_at),
        used,
        mark,
    )


def _moment(instant: datetime | None) -> str:
    return instant.strftime("%m-%d %a %H:%M") if instant else "–"


@dataclass(frozen=True, slots=True)
class Total:
    """One clock over all cases; days are net working days."""

    clock: Clock
    count: int
    average: float
    longest: int

    @property
    def is_kept(self) -> bool | None:
        """Whether the promise is kept: by the average or by every case (RB-2.2); None: no limit."""
        if self.clock.limit is None:
            return None
        judged = self.average if self.clock.nature == "average" else self.longest
        return judged <= self.clock.limit


def totals(closed: Iterable[Closed]) -> Sequence[Total]:
    """Sum the clocks up: averages over connected cases, bundles over all that were decided."""
    by_id: dict[str, list[Clock]] = {}
    for each in closed:
        for clock in each.clocks:
            counts = each.case.ending == "connected" if clock.round is None else True
            if counts and clock.state == "stopped":
                by_id.setdefault(clock.id, []).append(clock)
    return [
        Total(clocks[0], len(clocks), mean(c.net for c in clocks), max(c.net for c in clocks))
        for _, clocks in sorted(by_id.items())
    ]


def print_totals(console: Console, closed: Sequence[Closed]) -> None:
    """Print the promised limits against what was measured, and how the cases ended."""
    console.print(Text("\n合计 Totals", "bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("  计时 clock", "件 cases", "平均 avg", "最长 max", "时限 limit", "", "条款"):
        table.add_column(title, overflow="fold")
    for total in totals(closed):
        clock = total.clock
        table.add_row(
            f"  {clock.id} {clock.zh}\n    {clock.en}",
            str(total.count),
            f"{total.average:.2f}",
            str(total.longest),
            _limit(clock),
            _VERDICTS[total.is_kept],
            clock.clause,
        )
    console.print(table)
    endings = Counter(ENDINGS.get(each.case.ending or "", "办理中 open") for each in closed)
    counts = ", ".join(f"{name} {count}" for name, count in endings.most_common())
    console.print(Text(f"  结果 endings: {counts}"), soft_wrap=True)


_VERDICTS: Mapping[bool | None, Text] = {
    True: Text("达标 kept", "green"),
    False: Text("超时 missed", "bold red"),
    None: Text("仅跟踪 tracked"),
}


def _limit(clock: Clock) -> str:
    if clock.limit is None:
        return "–"
    return f"{clock.limit} {'均 avg' if clock.nature == 'average' else '件 each'}"
