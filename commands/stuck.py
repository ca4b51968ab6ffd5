"""`onewindow stuck`: what is stuck, from the case file and the engine themselves (RB-12.1).

It is needed most when the API does not answer, so it does not ask it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.contract import civil_text
from commands.casefile import asked
from commands.installation import Installation
from domain.civil_clock import CivilClock
from domain.repairs import REPAIRS
from domain.working_time import CIVIL_ZONE
from operations.processes import Processes
from operations.stuck import Finder, Scan
from operations.stuck_findings import KINDS, SEVERITIES, Finding, Severity, shown
from settings import Settings

ENGINE_ANSWERS_WITHIN = timedelta(seconds=5)
NOWHERE = "127.0.0.1:0"
"""Where the engine of a folder is on which nothing runs; whoever listens elsewhere is another's."""
_STYLES = {Severity.CRITICAL: "bold red", Severity.HIGH: "yellow", Severity.LOW: "dim"}


def settings_of(installation: Installation, database_url: str) -> Settings:
    """Return settings that lead to the case file and to the engine that belongs to it."""
    settings = Settings()
    is_named = "ONEWINDOW_ENGINE_ADDRESS" in os.environ or "ONEWINDOW_DATABASE_URL" in os.environ
    address = settings.engine_address if is_named else installation.address_of("engine")
    return settings.model_copy(
        update={"database_url": database_url, "engine_address": address or NOWHERE}
    )


def clock_of(installation: Installation, settings: Settings) -> CivilClock:
    """Return the civil clock of the environment, or the folder's own.

    Raises:
        CommandFailed: the folder's is something else.
    """
    if settings.engine_origin is not None:
        return settings.clock
    return installation.clock(None, datetime.now(CIVIL_ZONE), timedelta())


def look(settings: Settings, clock: CivilClock) -> Scan:
    """Look once.

    Raises:
        CommandFailed: there is no such case file, or it cannot be read.
    """

    async def scan(file: AsyncEngine) -> Scan:
        processes = Processes(settings, timeout=ENGINE_ANSWERS_WITHIN)
        return await Finder(file, processes, lambda: datetime.now(UTC), clock).scan()

    return asked(settings.database_url, scan)


def json_text(scan: Scan, clock: CivilClock) -> str:
    """Return what was found as `GET /api/v1/admin/stuck` gives it, all on one page."""
    body = {
        "items": [shown(each, scan.looked_at) for each in scan.findings],
        "looked_at": civil_text(clock.civil(scan.looked_at)),
        "complete": scan.is_complete,
        "open_cases": scan.cases,
    }
    return json.dumps(body, ensure_ascii=False, indent=2)


def print_stuck(console: Console, scan: Scan) -> None:
    """Print what was found, the worst first, and whether that is all."""
    if scan.findings:
        console.print(_table(scan))
    if not scan.is_complete:
        line = "流程引擎无应答，以上仅为案卷所示 no engine: this is only what the case file shows"
    elif scan.findings:
        line = f"卡滞 {len(scan.findings)} 项，在办 {scan.cases} 件 "
        line += f"{len(scan.findings)} stuck, {scan.cases} open cases"
    else:
        line = f"没有卡滞；在办 {scan.cases} 件，引擎与工作进程正常 "
        line += f"nothing is stuck: {scan.cases} open cases, engine and workers are well"
    console.print(Text(line), soft_wrap=True)


def _table(scan: Scan) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="dim")
    table.add_column("级别 level", no_wrap=True)
    table.add_column("对象 what", overflow="fold")
    table.add_column("起始 since", no_wrap=True)
    table.add_column("原因与建议 why, and what to do", overflow="fold", ratio=1)
    for each in scan.findings:
        level = SEVERITIES[each.severity]
        civil = each.clock.civil(each.since)
        table.add_row(
            Text(f"{level.zh}\n{level.en}", _STYLES[each.severity]),
            Text("\n".join(_concerned(each))),
            f"{civil:%m-%d %H:%M:%S}\n{_age(scan.looked_at - each.since)}",
            Text("\n".join(_said(each))),
        )
    return table


def _concerned(finding: Finding) -> Iterator[str]:
    title = KINDS[finding.kind].title
    yield title.zh
    yield title.en
    # A task's id begins with the number of its case.
    yield finding.task_id or finding.workflow_id or finding.agency or finding.about


def _said(finding: Finding) -> Iterator[str]:
    yield finding.cause.zh
    yield finding.cause.en
    if finding.error:
        yield f"错误 error: {finding.error}"
    if finding.repair is not None:
        repair = REPAIRS[finding.repair]
        yield f"建议 suggested: {repair.zh} {repair.en}"
    advice = KINDS[finding.kind].advice
    yield advice.zh
    yield advice.en


def _age(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("天 d", 86_400), ("小时 h", 3_600), ("分 min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} 秒 s"
