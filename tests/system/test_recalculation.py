"""A new calendar under many open cases, while whoever recalculates them is killed (RB-1.7)."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from activities.deadlines import due_of
from domain.connection import TaskKind
from domain.working_time import CalendarYear
from policy.calendar import calendar
from policy.loader import policy_for
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.migrate import upgrade
from storage.reading import Reading
from tests.support.cases import NOON, POLICY, new_case, new_task

CASES, KILLS = 150, 4
ROOT = Path(__file__).resolve().parents[2]

RECALCULATE = """
import asyncio, sys
from api.engine import Engine
from api.recalculating import Recalculation
from policy.calendar import calendar
from settings import Settings
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.database import open_engine
from tests.support.cases import NOON

async def main(url):
    casefile = CaseFile(open_engine(url))
    calendars = Calendars(casefile.engine, calendar)
    settings = Settings(database_url=url, engine_address="127.0.0.1:1", engine_timeout_s=0.2)
    recalculation = Recalculation(casefile, calendars, Engine(settings), lambda: NOON)
    print("begins", flush=True)
    while await recalculation.some(20):
        pass
    await casefile.close()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
async def casefile(tmp_path: Path) -> AsyncIterator[CaseFile]:
    url = f"sqlite:///{tmp_path / 'case-file.db'}"
    upgrade(url)
    opened = CaseFile(open_engine(url))
    yield opened
    await opened.close()


def _recalculate(folder: Path, killed_after_s: float | None) -> None:
    """Run a program that recalculates until all is done, or until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", RECALCULATE, f"sqlite:///{folder / 'case-file.db'}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"begins\n"
        if killed_after_s is not None:
            time.sleep(killed_after_s)
            running.kill()
        running.communicate()
    assert running.returncode == (0 if killed_after_s is None else -signal.SIGKILL)


@pytest.mark.rule("RB-1.7", "RB-5.4")
async def test_killed_at_any_moment_it_finishes_and_tells_nobody_twice(
    casefile: CaseFile, tmp_path: Path
) -> None:
    calendars, reading = Calendars(casefile.engine, calendar), Reading(casefile.engine)
    policy = policy_for(POLICY)
    affected: set[str] = set()
    untouched: set[str] = set()
    for n in range(CASES):
        no = (await casefile.submit(new_case(f"key-{n}"))).no
        # Friday the 18th will be off: what is received on the 21st lies behind it.
        at = NOON if n % 3 else NOON.replace(day=21)
        due = due_of(at, 5, policy, calendar())
        await casefile.open_task(new_task(no, TaskKind.SUPPLY_PLAN, at=at, due_on=due.due_on))
        (affected if n % 3 else untouched).add(no)
    year = calendar().years[2026]
    off = year.holidays | {date(2026, 9, 18)}
    version, _ = await calendars.publish(
        CalendarYear(2026, off, year.make_up_days, "示例更正通知"), by="supervisor"
    )

    chance, kills = random.Random(516), 0
    seen = [CASES]
    while (behind := (await reading.count_behind(version.number))[0]) > 0:
        seen.append(behind)
        _recalculate(tmp_path, chance.uniform(0.02, 0.15) if kills < KILLS else None)
        kills += kills < KILLS
    assert kills == KILLS, "it was done before it could be killed often enough"
    assert seen == sorted(seen, reverse=True)

    for no in affected | untouched:
        events = [e for e in await reading.events(no) if e.kind == "calendar_changed"]
        (task,) = await reading.tasks_of(no)
        assert len(events) == (no in affected)
        due = due_of(task.opened_at, 5, policy, version.calendar)
        assert task.due_on == due.due_on
    page = await reading.notices(recipient=None, limit=10 * CASES, cursor=None)
    told = Counter(notice.case_no for notice in page.items)
    assert told == Counter(affected)
    assert (await reading.first_break()) == (CASES, None)
