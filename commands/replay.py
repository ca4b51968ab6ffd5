"""`onewindow replay` and `onewindow release-check`: on the engine and the case file themselves."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from commands.casefile import asked
from commands.failure import CommandFailed
from commands.installation import Installation
from commands.options import case_file_of
from commands.stuck import settings_of
from domain.errors import EngineAway
from domain.naming import is_case_no
from operations.processes import Processes
from operations.releasing import Misfit, misfits
from operations.replaying import (
    CaseAsked,
    CaseReplayed,
    CaseResult,
    Finding,
    ReplayerLost,
    replayed,
)
from settings import Settings
from storage.replays import to_replay

CANNOT_CARRY = 3
"""Exit status: today's code could not carry a case."""
NOT_KNOWN = 1
STORY_CHANGES = "docs/adr/0012-how-a-story-changes.md"

Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What replays came to.

    Attributes:
        misfits: what else the code lacks; only looked for by a release check.
    """

    total: int
    cases: list[CaseReplayed] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """Every process that cannot be carried, by case."""
        found = [finding for case in self.cases for finding in case.findings]
        return sorted(found, key=lambda finding: (finding.case_no, finding.workflow_id))

    def count(self, result: CaseResult) -> int:
        """Return how many cases came to this."""
        return sum(1 for case in self.cases if case.result is result)

    def as_json(self) -> dict[str, Any]:
        """Spell it for programs."""
        return {
            "total": self.total,
            **{result.value: self.count(result) for result in CaseResult},
            "processes": sum(case.processes for case in self.cases),
            "not_found_cases": self.missing,
            "findings": [finding.as_json() for finding in self.findings],
            "misfits": [
                {"about": each.about, "words": {"zh": each.words.zh, "en": each.words.en}}
                for each in self.misfits
            ],
        }

    @property
    def missing(self) -> list[str]:
        """Return the numbers of cases of which the engine has no process."""
        return sorted(each.no for each in self.cases if each.result is CaseResult.NOT_FOUND)


def replay(
    installation: Installation, numbers: Sequence[str], say: Say, *, is_json: bool = False
) -> int:
    """Replay cases, all open ones if none is named; say what came of them.

    Returns:
        The exit status: 0 if all are carried, 3 if one is not, 1 if a named one is not found.

    Raises:
        CommandFailed: nothing is known, or not of all.
    """
    if wrong := [no for no in numbers if not is_case_no(no)]:
        raise CommandFailed(f"{wrong[0]} is no case number 不是有效的办件编号")
    outcome = _outcome(installation, list(dict.fromkeys(numbers)) or None)
    if is_json:
        say(json.dumps(outcome.as_json(), ensure_ascii=False, indent=2))
    else:
        _tell(outcome, say)
    if outcome.findings:
        return CANNOT_CARRY
    return NOT_KNOWN if numbers and outcome.missing else 0


def release_check(installation: Installation, say: Say) -> int:
    """Say whether this code can carry every open case.

    Returns:
        The exit status: 0 if it can, 3 if it cannot.

    Raises:
        CommandFailed: nothing is known, or not of all.
    """
    outcome = _outcome(installation, None, is_release=True)
    _tell(outcome, say)
    for misfit in outcome.misfits:
        say(f"{misfit.words.zh} {misfit.words.en}")
    running = [finding for finding in outcome.findings if finding.is_running]
    if not running and not outcome.misfits:
        say("deploy: this code carries every open case 可以发布")
        return 0
    if running:
        say(
            "do not deploy 不可发布: change the story under a patch marker or an edition, "
            f"and check again; see {STORY_CHANGES}"
        )
    if outcome.misfits:
        say("do not deploy 不可发布: ship what is missing above, and check again")
    return CANNOT_CARRY


def _outcome(
    installation: Installation, numbers: Sequence[str] | None, *, is_release: bool = False
) -> Outcome:
    settings = settings_of(installation, case_file_of(installation))

    async def find(file: AsyncEngine) -> Outcome:
        known = await to_replay(file, numbers)
        outcome = Outcome(len(known))
        processes = Processes(settings)
        # Also asked for when nothing is open: who does not reach the engine knows nothing.
        await processes.client()
        if is_release:
            outcome.misfits += [each async for each in misfits(processes, file)]
        cases = [CaseAsked.of(each.no, each.workflow_ids) for each in known]
        await _replay(cases, settings, outcome)
        return outcome

    try:
        return asked(settings.database_url, find)
    except EngineAway as away:
        raise CommandFailed(f"the engine does not answer 流程引擎无响应: {away}") from away
    except ReplayerLost as lost:
        raise CommandFailed(f"{lost} 重放进程无法运行") from lost


async def _replay(cases: Sequence[CaseAsked], settings: Settings, outcome: Outcome) -> None:
    with Progress(
        TextColumn("重放 replaying"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[found]}"),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=len(cases), found="")
        async with aclosing(replayed(cases, settings)) as results:
            async for each in results:
                outcome.cases.append(each)
                found = outcome.count(CaseResult.NOT_CARRIED)
                progress.update(
                    bar, advance=1, found=f"不能承接 not carried: {found}" if found else ""
                )


def _tell(outcome: Outcome, say: Say) -> None:
    for finding in outcome.findings:
        closed = "" if finding.is_running else f" ({finding.status})"
        say(f"{finding.workflow_id} {finding.kind}{closed}")
        say(f"  {finding.words.zh}")
        say(f"  {finding.words.en}")
        if finding.at.message:
            say(f"  {finding.at.message}")
    if missing := outcome.missing:
        say(f"no process in the engine 引擎中没有流程: {', '.join(missing)}")
    processes = sum(case.processes for case in outcome.cases)
    say(
        f"{outcome.total} cases 办件, {processes} histories 历史: "
        f"{outcome.count(CaseResult.CARRIED)} carried 可承接, "
        f"{outcome.count(CaseResult.NOT_CARRIED)} not carried 不可承接, "
        f"{outcome.count(CaseResult.NOT_FOUND)} not found 未找到"
    )


def leave(status: int) -> None:
    """End the process: the engine's client can crash an interpreter that exits after using it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
