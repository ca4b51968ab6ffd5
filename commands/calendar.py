"""`onewindow calendar`: what is published, publishing more under running cases, and why a date."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from commands.calendar_api import CalendarApi, Publication, Standing, Version
from commands.calendar_shown import print_notice, print_versions, print_why, print_years
from commands.failure import CommandFailed
from commands.following import follow
from commands.installation import Installation
from commands.options import ApiBase, Var, api_at
from commands.terminal import terminal
from domain.explaining import explain
from domain.working_time import Interval, WorkingDays
from policy.calendar import calendar as calendar_of_program
from policy.loader import policy_for
from settings import Settings


class _DateFirst(TyperGroup):
    """A group in which a date stands for `why` and that date."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0][:1].isdigit():
            args = ["why", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_DateFirst,
    help="The working-day calendar 工作日历; `calendar DATE N` is `calendar why DATE N`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

By = Annotated[
    str | None,
    typer.Option(help="Whose key to use; default: the first supervising agency that has one."),
]
IsSure = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def years(var: Var = Path("var"), base: ApiBase = None) -> None:
    """List the published years, and what each rests on 已公布年度."""

    async def show() -> None:
        async with CalendarApi(*api_at(var, base)) as api:
            print_years(terminal(), await api.in_force())

    asyncio.run(show())


@app.command()
def versions(var: Var = Path("var"), base: ApiBase = None) -> None:
    """List the versions, newest first, and which is in force 日历版本."""

    async def show() -> None:
        async with CalendarApi(*api_at(var, base)) as api:
            found, now = await api.versions(), await api.in_force()
        print_versions(terminal(), found, now.number)

    asyncio.run(show())


@app.command()
def publish(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Text of the notice, UTF-8; - is standard input.")
    ],
    year: Annotated[int | None, typer.Option(help="The year that the notice must be of.")] = None,
    is_sure: IsSure = False,
    by: By = None,
    var: Var = Path("var"),
    base: ApiBase = None,
) -> None:
    """Publish a year's notice under running cases 发布放假通知."""
    text, console = _text(file), terminal()

    async def put_in_force() -> None:
        address, keys = api_at(var, base)
        agency = by or _supervisor(keys)
        async with CalendarApi(address, keys) as api:
            notice = await api.read_notice(text, by=agency)
            if year not in (None, notice.year.year):
                raise CommandFailed(
                    f"the notice is of {notice.year.year}, not {year}; nothing is published "
                    f"通知为 {notice.year.year} 年，未发布"
                )
            now = await api.in_force()
            print_notice(console, notice, now.year(notice.year.year))
            if notice.is_published:
                _say(f"{now.version}: 无任何差异，未发布 nothing differs, nothing is published")
                return
            if not is_sure:
                _ask("发布？Publish?", is_input_used=file == "-")
            published = await api.publish(notice.year, based_on=notice.based_on, by=agency)
            await _told(api, published, agency, console)

    asyncio.run(put_in_force())


@app.command()
def retract(
    number: Annotated[int, typer.Argument(min=1, help="Number of the version to take back.")],
    reason: Annotated[
        str | None, typer.Option(help="Why; goes on record. Asked for if not given.")
    ] = None,
    is_sure: IsSure = False,
    by: By = None,
    var: Var = Path("var"),
    base: ApiBase = None,
) -> None:
    """Take a version back: its year is again what it was before 撤回日历版本."""
    console = terminal()
    if is_sure and not reason:
        raise CommandFailed("--yes needs --reason: it goes on record 须写明撤回理由")

    async def take_back() -> None:
        address, keys = api_at(var, base)
        agency = by or _supervisor(keys)
        async with CalendarApi(address, keys) as api:
            found = await api.versions()
            which = next((each for each in found if each.number == number), None)
            if which is None:
                raise CommandFailed(
                    f"there is no version {number} of the calendar 没有第 {number} 版; "
                    "see `onewindow calendar versions`"
                )
            print_versions(console, [which], found[0].number)
            if by_version := _retracted_by(number, found):
                _say(f"第 {by_version} 版已撤回此版，无变化 retracted before, nothing changes")
                return
            why = reason or _typed("撤回理由 Reason: ")
            if not is_sure:
                _ask("撤回？Retract?")
            await _told(api, await api.retract(number, why, by=agency), agency, console)

    asyncio.run(take_back())


@app.command()
def progress(var: Var = Path("var"), base: ApiBase = None) -> None:
    """Say how far open cases are with the calendar in force 重新推算进度."""

    async def show() -> None:
        async with CalendarApi(*api_at(var, base)) as api:
            standing = await api.standing()
        _say(
            f"{standing.version}（第 {standing.number} 版 version）: {standing.open} 件在办 open, "
            f"{standing.open - standing.behind} 件已推算 recalculated, "
            f"{standing.behind} 件待推算 behind"
        )

    asyncio.run(show())


@app.command()
def why(
    from_day: Annotated[datetime, typer.Argument(metavar="DATE", formats=["%Y-%m-%d"])],
    days: Annotated[int, typer.Argument(metavar="N", min=1, max=1000)],
    excluded: Annotated[
        str,
        typer.Option(help="Time that does not count, e.g. 2026-10-12..2026-10-15; commas between."),
    ] = "",
    var: Var = Path("var"),
    base: ApiBase = None,
) -> None:
    """Say when N working days after DATE are over, and why, day by day 工作日计算.

    By the calendar in force where OneWindow runs on --var, or at --api; else by the program's own.
    """
    trigger, limit, intervals = from_day.date(), WorkingDays(days), _intervals(excluded)
    is_asked = base is not None or Installation(var).address_of("api") is not None

    async def asked() -> None:
        async with CalendarApi(*api_at(var, base)) as api:
            print_why(terminal(), trigger, limit, await api.why(trigger, limit, intervals))

    if is_asked:
        asyncio.run(asked())
        return
    try:
        found = explain(calendar_of_program(), trigger, limit, intervals)
    except (ValueError, OverflowError) as problem:
        raise CommandFailed(f"{trigger} + {days}: {problem}; choose an earlier date") from problem
    print_why(terminal(), trigger, limit, found)


async def _told(api: CalendarApi, published: Publication, agency: str, console: Console) -> None:
    """Follow what a publication set off, and say how it ended."""
    version = published.version
    _say(f"{version.version}（第 {version.number} 版 version）已发布 is published")
    standing, moved = await follow(api, published, console, by=agency)
    _say(_closing(standing, moved))


def _closing(standing: Standing, moved: int) -> str:
    if not standing.open:
        return f"{standing.version} 在用 is in force; 没有在办件 no case is open"
    return (
        f"{standing.version} 在用 is in force: {standing.open} 件在办 open cases rest on it, "
        f"{moved} 件日期变动并已通知 moved and told"
    )


def _retracted_by(number: int, found: Sequence[Version]) -> int | None:
    return next((each.number for each in found if each.retracts == number), None)


def _supervisor(keys: Mapping[str, str]) -> str:
    """Name the agency to publish as: the first supervising one that has a key."""
    agencies = policy_for(Settings().policy).agencies
    supervising = [name for name, agency in agencies.items() if agency.role == "supervisor"]
    return next((name for name in supervising if name in keys), supervising[0])


def _text(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise CommandFailed(f"{file}: not UTF-8 请存为 UTF-8 文本: {problem.reason}") from problem


def _intervals(text: str) -> Sequence[Interval]:
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        try:
            begins, ends = (date.fromisoformat(end) for end in part.split(".."))
            found.append(Interval(begins, ends))
        except ValueError as problem:
            raise CommandFailed(
                f"--excluded {part}: write two dates, the earlier first 请填写起止日期, "
                "e.g. 2026-10-12..2026-10-15"
            ) from problem
    return found


def _ask(question: str, *, is_input_used: bool = False) -> None:
    """Ask before going on.

    Raises:
        CommandFailed: the answer is not yes, or nobody can be asked.
    """
    if is_input_used:
        raise CommandFailed(
            "nothing is published: the text took standard input, so nobody can be asked; "
            "look above, then add --yes 未发布，请核对后加 --yes"
        )
    if _typed(f"{question} [y/N] ").lower() not in ("y", "yes", "是"):
        raise CommandFailed("nothing was changed 未作任何更改")


def _typed(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        print(flush=True)
        return ""


def _say(line: str) -> None:
    print(line, flush=True)
