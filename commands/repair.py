"""`onewindow repair`: plan, approve, carry out and read repairs, as an administrator (RB-12.2)."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ConfigDict
from rich.console import Console
from rich.table import Table
from rich.text import Text

from commands.client import Api, Shown, Words
from commands.failure import CommandFailed
from commands.options import ApiBase, Var, administrators_of, api_at
from commands.terminal import terminal
from domain.repair_plan import Plan, Report
from domain.repairs import REPAIRS, RepairKind

POLL_S = 0.5
NOT_AS_PLANNED = 3

app = typer.Typer(
    help="Repair stuck cases: plan, approve, execute, read what came of it 修复.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

By = Annotated[
    str | None, typer.Option(help="Which administrator; default: the first that has a key.")
]
Number = Annotated[int, typer.Argument(metavar="N", help="Number of the repair.")]
IsJson = Annotated[bool, typer.Option("--json", help="The API's answer, for programs.")]

_STATES: Mapping[str, str] = {
    "planning": "制定中 planning",
    "planned": "待执行 planned",
    "executing": "执行中 under way",
    "paused": "已暂停 paused",
    "done": "已完成 done",
    "cancelled": "已取消 cancelled",
    "new": "未制定 not planned yet",
    "refused": "不可行 not possible",
    "stale": "已过时，未处理 stale, nothing done",
    "failed": "未完成 not carried to its end",
}
_CHANGES: Mapping[str, str] = {
    "kept": "不变 goes on",
    "anew": "重新运行 begins anew",
    "ends": "结束 ends",
}


class _Item(Shown):
    position: int
    case_no: str
    state: str
    plan: Plan | None
    problem: Words | None
    report: Report | None
    is_as_planned: bool | None


class _Repair(Shown):
    model_config = ConfigDict(extra="ignore", frozen=True)

    number: int
    kind: RepairKind
    title: Words
    reason: str
    planned_by: str
    planned_at: str
    needs_approval: bool = False
    approved_by: str | None
    executed_by: str | None
    ended_at: str | None
    state: str
    total: int
    left: int
    counts: Mapping[str, int]
    items: tuple[_Item, ...] = ()


class _Page(Shown):
    items: tuple[_Repair, ...]


class _ItemPage(Shown):
    items: tuple[_Item, ...]
    next_cursor: str | None


class RepairApi(Api):
    """The API as an administrator calls it."""

    def __init__(self, base: str, keys: Mapping[str, str], by: str | None) -> None:
        super().__init__(base, keys)
        if not keys:
            raise CommandFailed(
                "no administrator has a key; set ONEWINDOW_ADMINISTRATOR_KEYS, or use --var"
            )
        self._by = by or next(iter(keys))

    async def plan(self, body: Mapping[str, Any], key: str) -> _Repair:
        """Plan a repair."""
        answer = await self._call(
            "POST", "/admin/repairs", by=self._by, body=body, idempotency_key=key
        )
        return _Repair.model_validate_json(answer.content)

    async def repair(self, number: int) -> _Repair:
        """Return a repair."""
        return await self._read(_Repair, f"/admin/repairs/{number}", by=self._by)

    async def text_of(self, number: int) -> str:
        """Return a repair as the API spells it."""
        return (await self._call("GET", f"/admin/repairs/{number}", by=self._by)).text

    async def repairs(self) -> tuple[_Repair, ...]:
        """Return the latest repairs."""
        return (await self._read(_Page, "/admin/repairs", by=self._by)).items

    async def items(self, number: int) -> tuple[_Item, ...]:
        """Return every case of a repair."""
        found: tuple[_Item, ...] = ()
        cursor: str | None = ""
        while cursor is not None:
            path = f"/admin/repairs/{number}/items"
            page = await self._read(_ItemPage, path, by=self._by, limit=200, cursor=cursor)
            found, cursor = found + page.items, page.next_cursor
        return found

    async def turn(self, number: int, action: str) -> _Repair:
        """Approve, execute, pause, resume or cancel."""
        answer = await self._call("POST", f"/admin/repairs/{number}/{action}", by=self._by)
        return _Repair.model_validate_json(answer.content)


@app.command()
def plan(
    kind: Annotated[
        RepairKind, typer.Argument(help=", ".join(f"{k} {REPAIRS[k].zh}" for k in RepairKind))
    ],
    cases: Annotated[
        list[str] | None, typer.Argument(metavar="[NO]...", help="Case numbers.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept on record.")],
    task: Annotated[str | None, typer.Option(help="Id of the task (retry, push, decide).")] = None,
    is_all_open: Annotated[bool, typer.Option("--all-open", help="Every open case.")] = False,
    stage: Annotated[str | None, typer.Option(help="Open cases in this stage.")] = None,
    district: Annotated[str | None, typer.Option(help="Open cases of this district.")] = None,
    agency: Annotated[str | None, typer.Option(help="Only tasks it owes (retry, push).")] = None,
    process: Annotated[str | None, typer.Option(help="Workflow id (reset).")] = None,
    event: Annotated[str | None, typer.Option(help="Event, or first_failure (reset).")] = None,
    step: Annotated[str | None, typer.Option(help="A step that is no task (retry).")] = None,
    version: Annotated[str | None, typer.Option(help="Version of the worker (move).")] = None,
    outcome: Annotated[Path | None, typer.Option(help="JSON file (decide).")] = None,
    per_second: Annotated[float, typer.Option(help="Cases begun in a second, at most.")] = 2.0,
    by: By = None,
    var: Var = Path("var"),
    base: ApiBase = None,
) -> None:
    """Say what a repair would do, case by case; nothing is done by it 制定计划."""
    numbers = cases or []
    wanted: dict[str, Any] = {
        "task_id": task,
        "case_no": numbers[0] if len(numbers) == 1 else None,
        "cases": numbers if len(numbers) > 1 else None,
        "query": _query(stage, district) if is_all_open or stage or district else None,
        "agency": agency,
        "process": process,
        "event": int(event) if event and event.isdecimal() else event,
        "step": step,
        "version": version,
        "outcome": outcome and _outcome(outcome),
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    body = {"kind": kind.value, "reason": reason, "per_second": per_second, **given}

    async def ask() -> None:
        async with _api(var, base, by) as api:
            # A key of its own for each time it is typed: tries of this one are not repeated.
            found = await api.plan(body, secrets.token_urlsafe(16))
            while found.state == "planning":
                _say(f"制定中 planning: {found.total - found.counts.get('new', 0)}/{found.total}")
                await asyncio.sleep(POLL_S)
                found = await api.repair(found.number)
            _print(found, await api.items(found.number))
            _say(_next_step(found))

    asyncio.run(ask())


@app.command("list")
def list_repairs(by: By = None, var: Var = Path("var"), base: ApiBase = None) -> None:
    """List the latest repairs: what, why, who 修复记录."""

    async def show() -> None:
        async with _api(var, base, by) as api:
            found = await api.repairs()
        if not found:
            _say("尚无修复记录 nothing has been repaired yet")
            return
        table = _table("号 no.", "类型 kind", "状态 state", "办件 cases", "人员 who", "理由 why")
        for each in found:
            table.add_row(
                str(each.number),
                f"{each.title.zh} {each.kind}",
                _STATES[each.state],
                _counts(each),
                Text(_who(each)),
                Text(each.reason),
            )
        terminal().print(table)

    asyncio.run(show())


@app.command()
def show(
    number: Number,
    is_json: IsJson = False,
    by: By = None,
    var: Var = Path("var"),
    base: ApiBase = None,
) -> None:
    """Show a repair: plan, approval, progress and report 查看."""

    async def look() -> None:
        async with _api(var, base, by) as api:
            if is_json:
                _say(await api.text_of(number))
                return
            found = await api.repair(number)
            _print(found, await api.items(number))

    asyncio.run(look())


@app.command()
def approve(number: Number, by: By = None, var: Var = Path("var"), base: ApiBase = None) -> None:
    """Approve what another administrator has planned 批准."""
    found = asyncio.run(_turned(number, "approve", var, base, by))
    _say(f"修复 repair {number}: {found.approved_by} 已批准 has approved")


@app.command()
def execute(number: Number, by: By = None, var: Var = Path("var"), base: ApiBase = None) -> None:
    """Carry a repair out, follow it, and report; exit code 3 if it came otherwise 执行."""

    async def follow() -> bool:
        async with _api(var, base, by) as api:
            found = await api.turn(number, "execute")
            shown = -1
            while found.state not in ("done", "cancelled", "paused"):
                if found.left != shown:
                    shown = found.left
                    _say(f"执行中 under way: {_counts(found)}")
                await asyncio.sleep(POLL_S)
                found = await api.repair(number)
            items = await api.items(number)
            _print(found, items)
            return all(item.is_as_planned for item in items if item.plan is not None)

    if not asyncio.run(follow()):
        raise typer.Exit(NOT_AS_PLANNED)


@app.command()
def pause(number: Number, by: By = None, var: Var = Path("var"), base: ApiBase = None) -> None:
    """Begin no further case for now 暂停."""
    found = asyncio.run(_turned(number, "pause", var, base, by))
    _say(f"修复 repair {number}: {_STATES[found.state]}; {_counts(found)}")


@app.command()
def resume(number: Number, by: By = None, var: Var = Path("var"), base: ApiBase = None) -> None:
    """Go on after a pause 继续."""
    found = asyncio.run(_turned(number, "resume", var, base, by))
    _say(f"修复 repair {number}: {_STATES[found.state]}; {_counts(found)}")


@app.command()
def cancel(number: Number, by: By = None, var: Var = Path("var"), base: ApiBase = None) -> None:
    """Leave the cases that were not begun as they are 取消."""
    found = asyncio.run(_turned(number, "cancel", var, base, by))
    _say(f"修复 repair {number}: {_STATES[found.state]}; {_counts(found)}")


# ---------------------------------------------------------------- parts


def _api(var: Path, base: str | None, by: str | None) -> RepairApi:
    address, _ = api_at(var, base)
    return RepairApi(address, administrators_of(var), by)


async def _turned(number: int, action: str, var: Path, base: str | None, by: str | None) -> _Repair:
    async with _api(var, base, by) as api:
        return await api.turn(number, action)


def _query(stage: str | None, district: str | None) -> dict[str, str]:
    wanted = {"stage": stage, "district": district}
    return {name: value for name, value in wanted.items() if value is not None}


def _outcome(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise CommandFailed(f"{path}: not JSON: {problem}") from problem


def _next_step(found: _Repair) -> str:
    number = found.number
    if not found.counts.get("planned"):
        return "没有可修复的办件 there is nothing that could be repaired"
    execute_it = f"onewindow repair execute {number}"
    if found.needs_approval:
        return (
            "须由另一名管理员批准 another administrator must approve: "
            f"onewindow repair approve {number} --by …; 然后 then {execute_it}"
        )
    return f"执行 to carry it out: {execute_it}"


def _print(found: _Repair, items: Iterable[_Item]) -> None:
    console = terminal()
    title, state = f"{found.title.zh} {found.title.en}", _STATES[found.state]
    console.print(Text(f"修复 repair {found.number}: {title}; {state}"))
    console.print(Text(f"理由 why: {found.reason}; {_who(found)}"))
    console.print(Text(f"办件 cases: {_counts(found)}"))
    for item in items:
        console.print()
        console.print(Text(f"{item.position}. {item.case_no}: {_STATES[item.state]}"))
        if item.problem is not None:
            console.print(Text(f"   {item.problem.zh} / {item.problem.en}"))
        if item.report is not None and item.plan is not None:
            console.print(_held_against(item.plan, item.report))
            for each in item.report.deviations:
                console.print(Text(f"   ! {each.zh} / {each.en}"))
            if item.is_as_planned:
                console.print(Text("   与计划一致 as planned"))
        elif item.plan is not None:
            _print_plan(console, item.plan)


def _print_plan(console: Console, plan: Plan) -> None:
    for process in plan.processes:
        console.print(Text(f"   {process.workflow_id}: {_CHANGES[process.change]}"))
    for zh, en, ids in _lines(plan):
        listed = ", ".join(each.removeprefix(f"{plan.target.case_no}.") for each in ids)
        console.print(Text(f"   {zh} {en}: {listed or '无 none'}"))
    for each in plan.discards:
        console.print(Text(f"   舍弃 discards: {each.zh} / {each.en}"))
    for each in plan.cannot_be_undone:
        console.print(Text(f"   不可撤销 not to be undone: {each.zh} / {each.en}"))


def _lines(plan: Plan | Report) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        ("保留的决定", "decisions kept", plan.decisions_kept),
        ("再次推送", "pushed again", plan.pushes_repeated),
        ("期限变动", "deadlines moved", plan.deadlines_moved),
        ("代录的结果", "decided on behalf", plan.decisions_added),
        ("关闭的任务", "tasks closed", plan.tasks_closed),
    ]


def _held_against(plan: Plan, report: Report) -> Table:
    table = _table("", "计划 planned", "实际 came")
    for (zh, en, planned), (_, _, came) in zip(_lines(plan), _lines(report), strict=True):
        table.add_row(f"{zh} {en}", str(len(planned)), str(len(came)))
    for was, now in zip(plan.processes, report.processes, strict=True):
        table.add_row(Text(was.workflow_id), _CHANGES[was.change], _CHANGES[now.change])
    return table


def _counts(found: _Repair) -> str:
    counts = ", ".join(f"{_STATES[state]} {n}" for state, n in sorted(found.counts.items()))
    return f"{found.total} ({counts})"


def _who(found: _Repair) -> str:
    said = [f"计划 planned {found.planned_by}"]
    said += [f"批准 approved {found.approved_by}"] if found.approved_by else []
    said += [f"执行 executed {found.executed_by}"] if found.executed_by else []
    return ", ".join(said)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    return table


def _say(line: str) -> None:
    print(line, flush=True)
