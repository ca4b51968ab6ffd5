"""The `onewindow` command: reads what was typed, puts parts together, says what went wrong.

`commands.casefile` is imported by the commands that need it: loading the database's layers takes
longer than the others run.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from commands import accounts, calendar, keys, living, repair
from commands import up as upping
from commands.client import Api
from commands.demo import ONLINE, Demonstration, load_samples
from commands.failure import CommandFailed
from commands.installation import Installation
from commands.options import ApiBase, Var, api_at, case_file_of
from commands.progress import ENDINGS, progress
from commands.terminal import terminal
from domain.civil_clock import CivilClock
from domain.working_time import CIVIL_ZONE
from policy.loader import UnknownPolicy, policy_for
from settings import Settings

DEMO_BEGINS = datetime(2026, 9, 14, 8, 30, tzinfo=CIVIL_ZONE)
"""Mid-Autumn, National Day and their make-up days fall into the cases that begin here."""
SAMPLES = Path(__file__).resolve().parent / "samples"
TRAINING_SPEED = 86_400.0
STARTING_TAKES = timedelta(seconds=4)
DEMO_LIMIT_S = 110.0
WATCH_POLL_S = 1.0
STUCK = 3
"""Exit code of a command that found something stuck; 1 says that it could not look."""

app = typer.Typer(
    help="One window for electricity connections 一窗通电",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

app.add_typer(calendar.app, name="calendar")
app.add_typer(repair.app, name="repair")
app.add_typer(accounts.app, name="account")
app.add_typer(keys.app, name="key")


def main() -> None:
    """Entry of the command. Whatever cannot be done is told in one line."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # typed as TextIO
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except ValidationError as problem:
        first = problem.errors()[0]
        if problem.title != Settings.__name__:
            where = ".".join(map(str, first["loc"]))
            _fail(f"the API answered what this version does not know: {where}: {first['msg']}")
        name = "_".join(("ONEWINDOW", *(str(part).upper() for part in first["loc"])))
        _fail(f"setting {name}: {first['msg']}")
    except (CommandFailed, UnknownPolicy, OSError) as problem:
        _fail(str(problem).partition("\n")[0])


@app.command()
def up(
    var: Var = Path("var"),
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Also run stand-ins of all agencies.")
    ] = False,
    training: Annotated[
        bool, typer.Option("--training", help=f"Short for --speed {TRAINING_SPEED:g}.")
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(help="Training mode: civil seconds per second; kept for later starts."),
    ] = None,
    civil_origin: Annotated[
        str, typer.Option(help="Training mode: when civil time begins, RFC 3339 with offset.")
    ] = DEMO_BEGINS.isoformat(),
    seed: Annotated[int, typer.Option(help="What the stand-ins' decisions follow from.")] = 7,
    has_ui: Annotated[
        bool, typer.Option("--engine-ui/--no-engine-ui", help="Serve the engine's own pages.")
    ] = True,
) -> None:
    """Run engine, worker, API and console until Ctrl-C 启动系统."""
    from commands.account_book import first_administrator
    from commands.casefile import upgrade

    settings, installation = Settings(), Installation(var)
    if speed is not None and speed <= 0:
        raise CommandFailed(f"--speed {speed:g}: must be above 0")
    with installation.held():
        clock = installation.clock(
            TRAINING_SPEED if training and speed is None else speed,
            _instant(civil_origin),
            timedelta(),
        )
        database_url = case_file_of(installation)
        upgrade(database_url)
        if first := first_administrator(database_url):
            _say("the console's first administrator, shown this once 控制台管理员，仅显示一次:")
            _say(f"  {first[0]}  one-time password 一次性密码: {first[1]}")
        plan = upping.plan(
            installation,
            settings,
            policy_for(settings.policy),
            clock,
            database_url=database_url,
            sandbox_arguments=("--seed", str(seed)) if sandbox else None,
            has_ui=has_ui,
            say=_say,
        )
        supervisor = upping.supervisor(plan, installation, _say)
        asyncio.run(supervisor.run(upping.announce_and_stay(plan, _say)))


@app.command()
def demo(
    is_leaving: Annotated[
        bool, typer.Option("--exit", help="Leave when all cases have ended.")
    ] = False,
    speed: Annotated[float, typer.Option(help="Civil seconds per second.")] = TRAINING_SPEED,
    var: Var = Path("var/demo"),
    seed: Annotated[int, typer.Option(help="What the stand-ins' decisions follow from.")] = 7,
    samples: Annotated[Path, typer.Option(help="Folder of the applications.")] = SAMPLES,
) -> None:
    """Watch sample applications travel from the desk to a live meter 演示."""
    from commands.account_book import DEMO, demo_accounts
    from commands.casefile import upgrade

    began = _began()
    settings, installation = Settings(), Installation(var)
    if speed <= 1:
        raise CommandFailed(f"--speed {speed:g}: a demonstration needs more than 1")
    console = terminal()
    policy, applications = policy_for(settings.policy), load_samples(samples)
    with installation.held():
        installation.clear_demo()
        shown = progress(console, policy)
        clock = installation.clock(speed, DEMO_BEGINS, STARTING_TAKES)
        upgrade(installation.database_url)
        password = "" if is_leaving else demo_accounts(installation.database_url)

        def planned(
            clock: CivilClock, *further: str, left_to_people: Sequence[str] = ()
        ) -> upping.Plan:
            return upping.plan(
                installation,
                settings,
                policy,
                clock,
                database_url=installation.database_url,
                sandbox_arguments=("--seed", str(seed), *further),
                has_ui=not is_leaving,
                say=shown.say,
                left_to_people=left_to_people,
            )

        plan = planned(clock)

        def say_how_to_sign_in(plan: upping.Plan) -> None:
            shown.say(f"  console 控制台: {plan.addresses['console']}")
            for each in DEMO:
                shown.say(f"    {each.id:<10} {password}  {each.display_name}")

        async def play() -> bool:
            async with Api(plan.addresses["api"], plan.keys) as api:
                run = Demonstration(api, applications, plan.clock, console, shown, began)
                limit = began + DEMO_LIMIT_S - time.monotonic() if is_leaving else None
                try:
                    async with asyncio.timeout(limit):
                        await upping.ready(plan)
                        if not is_leaving:
                            say_how_to_sign_in(plan)
                        await run.play()
                except TimeoutError:
                    shown.say(f"not all ended within {DEMO_LIMIT_S:g} s: {run.missing()}")
                    return False
                await run.tell()
            return True

        async def live(plan: upping.Plan) -> None:
            async with Api(plan.addresses["api"], plan.keys) as api:
                await upping.ready(plan)
                for name, address in plan.addresses.items():
                    shown.say(f"  {name}: {address}")
                say_how_to_sign_in(plan)
                shown.say(
                    f"  It goes on, a civil day in {86400 / plan.clock.speed:g} s; the tasks of "
                    f"{', '.join(living.LEFT_TO_PEOPLE)} wait for people. "
                    f"演示继续，其待办由人办理。"
                )
                shown.say(f"  keys: {installation.keys_file} · Ctrl-C stops 按 Ctrl-C 停止")
                await living.go_on(api, applications, shown.say)

        supervisor = upping.supervisor(plan, installation, shown.say)
        has_ended = asyncio.run(supervisor.run(play()))
        if has_ended and not is_leaving:
            slower = installation.slower(min(speed, living.SPEED))
            plan = planned(slower, *living.SANDBOX, left_to_people=living.LEFT_TO_PEOPLE)
            asyncio.run(upping.supervisor(plan, installation, shown.say).run(live(plan)))
    if has_ended is False:
        raise typer.Exit(1)
    if has_ended is None and is_leaving:
        raise typer.Exit(130)


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="JSON of one application, or a file of samples/.")],
    by: Annotated[
        str | None, typer.Option(help="Whose key to use; default: desk, or applicant if online.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="Default: from the content, so that sending it twice is one case."),
    ] = None,
    var: Var = Path("var"),
    base: ApiBase = None,
) -> None:
    """Hand in one application and print its number 提交用电申请."""
    try:
        application = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise CommandFailed(f"{file}: not JSON: {problem}") from problem
    if not isinstance(application, dict):
        raise CommandFailed(f"{file}: must be a JSON object")
    application = application.get("application", application)
    content = json.dumps(application, sort_keys=True).encode()

    async def hand_in() -> None:
        async with Api(*api_at(var, base)) as api:
            receipt = await api.submit(
                application,
                by=by or ("applicant" if application.get("channel") in ONLINE else "desk"),
                idempotency_key=idempotency_key or hashlib.sha256(content).hexdigest(),
            )
        pending = " (starts when the engine is back 待流程引擎恢复)"
        _say(receipt.no + (pending if receipt.process == "pending" else ""))

    asyncio.run(hand_in())


@app.command()
def watch(
    no: Annotated[str, typer.Argument(help="Number of the case.")],
    var: Var = Path("var"),
    base: ApiBase = None,
) -> None:
    """Print what happens to a case until it has ended 跟踪办件."""

    async def follow() -> None:
        told: set[str] = set()
        async with Api(*api_at(var, base)) as api:
            while True:
                case = await api.case(no)
                for task in await api.tasks_of(no):
                    title = f"{task.title.zh} {task.title.en} ← {task.owed_by}"
                    opened = f"{task.opened_at:%Y-%m-%d %H:%M} {title}"
                    opened += f", 期限 due {task.due_on}" if task.due_on else ""
                    lines = [opened]
                    if task.done_at is not None:
                        code = task.outcome["code"] if task.outcome else task.closed_by
                        late = " 逾期 late" if task.is_late else ""
                        lines.append(f"{task.done_at:%Y-%m-%d %H:%M} {title}: {code}{late}")
                    for line in lines:
                        if line not in told:
                            told.add(line)
                            _say(line)
                if case.ending is not None:
                    _say(ENDINGS.get(case.ending, case.ending))
                    return
                await asyncio.sleep(WATCH_POLL_S)

    asyncio.run(follow())


@app.command()
def verify(var: Var = Path("var")) -> None:
    """Check the record's chains, and name the first link that is broken 校验办件记录."""
    from commands.casefile import broken, first_break

    count, found = first_break(case_file_of(Installation(var)))
    if found is not None:
        raise broken(found)
    _say(f"{count} cases, every chain holds 记录完整")


@app.command()
def stuck(
    is_json: Annotated[
        bool, typer.Option("--json", help="As the API gives it, for programs.")
    ] = False,
    var: Var = Path("var"),
) -> None:
    """List what is stuck, why, and what to do; exit code 3 if anything is 查找卡滞办件."""
    from commands.stuck import clock_of, json_text, look, print_stuck, settings_of

    installation = Installation(var)
    settings = settings_of(installation, case_file_of(installation))
    clock = clock_of(installation, settings)
    found = look(settings, clock)
    if is_json:
        _say(json_text(found, clock))
    else:
        print_stuck(terminal(), found)
    _leave(STUCK if found.findings else 0)


@app.command()
def exchange(
    from_day: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First civil day.")
    ],
    to_day: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last day; default: only the first."),
    ] = None,
    spelling: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", help="Lines for programs, or a table.")
    ] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Default: the standard output.")
    ] = None,
    var: Var = Path("var"),
) -> None:
    """Write what happened to permit items, in the codes of 工建系统 导出办件状态."""
    from commands.casefile import export

    first, last = from_day.date(), (to_day or from_day).date()
    if first > last:
        raise CommandFailed(f"--from {first}: lies after --to {last}")
    export(case_file_of(Installation(var)), first, last, spelling, output)


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(help="Folder to make; it must not be there yet.")],
    var: Var = Path("var"),
    has_keys: Annotated[
        bool, typer.Option("--with-keys", help="Also copy keys and signing secrets.")
    ] = False,
) -> None:
    """Copy the case file, checked, while everything runs 备份."""
    from commands.backup import back_up

    installation = Installation(var)
    made = back_up(installation, case_file_of(installation), to, has_keys=has_keys)
    keys = "with keys 含密钥" if has_keys else "without keys 不含密钥"
    _say(f"{to}: {made.cases} cases, every chain holds 备份完成; {keys}")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="Folder of a backup.")],
    var: Var = Path("var"),
) -> None:
    """Put a backup into a folder where nothing runs; what is there is moved aside 恢复."""
    from commands.backup import restore as put_back

    if "ONEWINDOW_DATABASE_URL" in os.environ:
        raise CommandFailed("ONEWINDOW_DATABASE_URL is set; unset it, a folder is restored: --var")
    installation = Installation(var)
    with installation.held(is_restoring=True):
        restored, aside = put_back(installation, source)
    _say(f"{var}: {restored.cases} cases as of {restored.made_at:%Y-%m-%d %H:%M:%S}Z 恢复完成")
    _say(f"what was there lies in 原有数据移至 {aside}")
    if restored.last_no:
        _say(
            f"numbers go on after {restored.last_no}: see docs/operations.md for those given since "
            f"then 编号自 {restored.last_no} 之后继续"
        )


@app.command("workers")
def show_workers(
    use: Annotated[
        str | None, typer.Option(help="Version that is to carry every case not pinned to another.")
    ] = None,
    is_back: Annotated[
        bool, typer.Option("--use-unversioned", help="Have unversioned workers carry them again.")
    ] = False,
    var: Var = Path("var"),
) -> None:
    """Say which versions of the worker run, and which carries the cases 工作进程版本."""
    from commands.workers import workers

    if use is not None and is_back:
        raise CommandFailed("--use and --use-unversioned: one of them")
    workers(Installation(var), _say, use=use, is_back=is_back)


@app.command("replay")
def replay_cases(
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="[NO]...", help="Numbers of cases.")
    ] = None,
    is_all_open: Annotated[
        bool, typer.Option("--all-open", help="Every open case instead.")
    ] = False,
    is_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    var: Var = Path("var"),
) -> None:
    """Try this code on cases and change nothing 重放. Exit status 3: one is not carried."""
    from commands.replay import leave, replay

    if bool(numbers) == is_all_open:
        raise CommandFailed("name cases, or --all-open: one of them")
    leave(replay(Installation(var), numbers or (), _say, is_json=is_json))


@app.command("release-check")
def check_release(var: Var = Path("var")) -> None:
    """Say whether this code can carry every open case 发布前检查. Exit status 3: it cannot."""
    from commands.replay import leave, release_check

    leave(release_check(Installation(var), _say))


@app.command()
def migrate(var: Var = Path("var")) -> None:
    """Bring the case file's tables up to date 升级数据库."""
    from commands.casefile import upgrade

    _say(f"{upgrade(case_file_of(Installation(var)))} is up to date")


def _began() -> float:
    """When this process began, on the monotonic clock: loading the program counts, too."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.monotonic()
    return time.monotonic() - age


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as problem:
        raise CommandFailed(f"--civil-origin {text}: {problem}") from problem
    if instant.tzinfo is None:
        raise CommandFailed(f"--civil-origin {text}: has no offset, e.g. +08:00")
    return instant


def _say(line: str) -> None:
    print(line, flush=True)


def _leave(code: int) -> None:
    """End at once: the engine's client can crash an interpreter that exits after using it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _fail(line: str) -> None:
    print(f"onewindow: {line}", file=sys.stderr, flush=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
