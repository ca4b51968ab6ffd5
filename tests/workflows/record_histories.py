"""Record `tests/histories` anew.

`python -m tests.workflows.record_histories [NAME …] [--as WORD] [--recalculated] [--failing]`

Only when processes under way may be told otherwise than they were, or when there is a new story:
a saved history that no longer replays is what the gate is there to show. `--as` keeps what was
recorded before and puts the new history beside it, `<workflow>.<ending>.<word>.json`: so the gate
holds processes from before a change and from after. `--recalculated` publishes a calendar under the
case and takes it back, and keeps its history as `<workflow>.<ending>.recalculated.json`;
`--failing` lets a step fail until it is an activity of its own, and keeps `….step_failed.json`.
Each story of `stories.STORIES` is told on a real development server, with the real worker and case
file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from api.recalculating import Recalculation
from domain.naming import bundle_id
from domain.working_time import CalendarYear
from policy.calendar import calendar
from storage.calendars import Calendars
from tests.support.databases import SqliteFiles
from tests.support.folders import thrown_away
from tests.workflows.faults import Broken
from tests.workflows.harness import Town, development_server, eventually, opened
from tests.workflows.saved_histories import FOLDER, RECALCULATED, STEP_FAILED, signals
from tests.workflows.stories import STORIES, Story

# Six days of civil time in three seconds, where a story has to wait for a date.
HASTE = 180_000.0

# The story that is also told with a calendar published under it, in which the day after it begins
# is off: what is owed on that first day is due a working day later.
PUBLISHED_UNDER = "high.connected"
OFF_AS_WELL = date(2026, 9, 15)

# The story that is also told with a step that fails for a while.
FAILING_IN, FAILING_STEP = "low.connected", "accept_case"


async def record(
    name: str,
    story: Story,
    folder: Path,
    *,
    is_recalculated: bool = False,
    is_failing: bool = False,
) -> dict[str, str]:
    """Tell one story; return its histories as text, by the name of the file to keep them in.

    Args:
        is_recalculated: whether a calendar is published under it; a bundle hears nothing of that,
            so its history is left aside.
        is_failing: whether `FAILING_STEP` fails until the engine shows it.
    """
    broken = Broken(FAILING_STEP)
    broken.is_mended = not is_failing
    with SqliteFiles(folder).migrated() as url:
        async with (
            development_server(folder, broken) as env,
            opened(env, url, speed=HASTE if story.lets_notice_lapse else 1.0) as town,
        ):
            no = await town.submit(story.voltage)
            if is_recalculated:
                await _publish_under(town, no, story)
            if is_failing:
                await town.answer_all(no, story, "check_papers.1")
                await town.fails_in_sight(no, FAILING_STEP)
                broken.is_mended = True
            await town.tell(no, story)
            recorded = {f"application.{name}": _text(await town.history(no))}
            if is_recalculated:
                return recorded
            for round_no, result in enumerate(story.bundles, start=1):
                history = await town.history(bundle_id(no, round_no))
                recorded[f"approval_bundle.{result}"] = _text(history)
            return recorded


async def _publish_under(town: Town, no: str, story: Story) -> None:
    """Publish a calendar while the papers are checked; take it back while the plan is owed."""
    calendars = Calendars(town.casefile.engine, calendar)
    recalculation = Recalculation(town.casefile, calendars, town.engine, town.engine_now)

    async def heard() -> bool | None:
        history = await town.history(no)
        last = signals(history)[-1]
        completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        has_looked = any(e.event_type == completed for e in history.events[last.event_id :])
        return True if has_looked else None

    async def recalculated() -> None:
        assert await recalculation.some() == 1
        assert await recalculation.tell() == 1
        await eventually(heard, f"{no} to look at its deadlines")

    await town.owed(no, "check_papers.1")
    year = calendar().years[OFF_AS_WELL.year]
    off = CalendarYear(
        year.year, year.holidays | {OFF_AS_WELL}, year.make_up_days, "虚构示例：更正通知"
    )
    published, _ = await calendars.publish(off, by="government-services-data")
    await recalculated()
    await town.answer_all(no, story, "check_papers.1")
    await town.owed(no, "supply_plan.1")
    await calendars.retract(published.number, "示例理由", by="government-services-data")
    await recalculated()


def _text(history: WorkflowHistory) -> str:
    """Spell a history without saying on which machine it was recorded."""
    content = _without_traces(history.to_json_dict())
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    for place in (f"{os.getpid()}@{socket.gethostname()}", socket.gethostname()):
        text = text.replace(place, "recorder")
    return text + "\n"


def _without_traces(value: Any) -> Any:
    match value:
        case dict():
            return {k: _without_traces(each) for k, each in value.items() if k != "stackTrace"}
        case list():
            return [_without_traces(each) for each in value]
    return value


async def record_all(
    names: Iterable[str],
    word: str | None = None,
    *,
    is_recalculated: bool = False,
    is_failing: bool = False,
) -> None:
    """Record the stories `names` and write them to `tests/histories`.

    Of several bundles with one result the first is kept: the earlier stories are the fuller ones.
    """
    FOLDER.mkdir(exist_ok=True)
    written: set[str] = set()
    for name in names:
        with thrown_away("onewindow-histories-") as folder:
            recorded = await record(
                name,
                STORIES[name],
                folder,
                is_recalculated=is_recalculated,
                is_failing=is_failing,
            )
        for stem in recorded.keys() - written:
            kept_as = f"{stem}.{word}" if word else stem
            FOLDER.joinpath(f"{kept_as}.json").write_text(recorded[stem], encoding="utf-8")
            print(f"{stem}: {len(recorded[stem])} bytes", flush=True)
        written |= recorded.keys()


async def _record_as_asked(given: argparse.Namespace) -> None:
    if given.is_recalculated:
        await record_all(given.names or [PUBLISHED_UNDER], RECALCULATED, is_recalculated=True)
        return
    if given.is_failing:
        await record_all([FAILING_IN], STEP_FAILED, is_failing=True)
        return
    await record_all(given.names or STORIES, given.word)
    if not given.names and not given.word:
        await record_all([PUBLISHED_UNDER], RECALCULATED, is_recalculated=True)
        await record_all([FAILING_IN], STEP_FAILED, is_failing=True)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME")
    asked.add_argument("--as", dest="word")
    asked.add_argument("--recalculated", dest="is_recalculated", action="store_true")
    asked.add_argument("--failing", dest="is_failing", action="store_true")
    given = asked.parse_args()
    if unknown := sorted(set(given.names) - set(STORIES)):
        sys.exit(f"no story {', '.join(unknown)}; there are {', '.join(STORIES)}")
    is_all = not (given.names or given.word or given.is_recalculated or given.is_failing)
    if is_all:
        shutil.rmtree(FOLDER, ignore_errors=True)
    asyncio.run(_record_as_asked(given))
    # The engine's client can crash an interpreter that exits after using it.
    sys.stdout.flush()
    os._exit(0)
