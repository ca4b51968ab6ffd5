"""Following open cases to a new calendar: how many rest on it by now, and how many moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from commands.calendar_api import CalendarApi, Publication, Standing, Version
from commands.failure import CommandFailed

POLL_S = 0.5
PLAIN_EVERY_S = 2.0
STALLED_AFTER_S = 60.0

Show = Callable[[Standing, int], None]


async def follow(
    api: CalendarApi, published: Publication, console: Console, *, by: str
) -> tuple[Standing, int]:
    """Show progress until every open case rests on the calendar in force.

    Args:
        by: who may read the notices, from which it is seen which cases moved.

    Returns:
        How it stands then, and how many cases the publication moved.

    Raises:
        CommandFailed: nothing goes on for a minute.
    """
    standing, moved = published.recalculation, _Moved(api, published.version, by)
    now = asyncio.get_running_loop().time
    changed_at = now()
    with _shown(console) as show:
        while True:
            await moved.look()
            show(standing, len(moved.cases))
            if not standing.behind:
                break
            await asyncio.sleep(POLL_S)
            before, standing = standing.behind, await api.standing()
            if standing.behind != before:
                changed_at = now()
            elif now() - changed_at > STALLED_AFTER_S:
                raise CommandFailed(_stalled(standing))
    await moved.look(is_everything=True)
    return standing, len(moved.cases)


class _Moved:
    """Which cases a version moved: whoever is concerned was told, under a name that says by what.

    Attributes:
        cases: their numbers.
    """

    def __init__(self, api: CalendarApi, version: Version, by: str) -> None:
        self.cases: set[str] = set()
        self._api, self._version, self._by = api, version, by
        self._seen: set[str] = set()

    async def look(self, *, is_everything: bool = False) -> None:
        """Look at what was told since the last time, or at all that was told since."""
        new: set[str] = set()
        async for notice in self._api.notices(by=self._by):
            is_before = notice.sent_at < self._version.published_at
            if is_before or (notice.id in self._seen and not is_everything):
                break
            new.add(notice.id)
            if notice.id.startswith(f"calendar.{self._version.number}."):
                self.cases.add(notice.case_no)
        self._seen |= new


@contextmanager
def _shown(console: Console) -> Iterator[Show]:
    """Choose how to show progress: a bar that is redrawn, or a line now and then."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("重新推算 recalculating", words="")

        def show(standing: Standing, moved: int) -> None:
            done = standing.open - standing.behind
            bar.update(task, total=standing.open, completed=done, words=_words(standing, moved))

        yield show


def _lines(console: Console) -> Show:
    now = asyncio.get_running_loop().time
    said_at, said = float("-inf"), ""

    def show(standing: Standing, moved: int) -> None:
        nonlocal said_at, said
        words = _words(standing, moved)
        if words != said and (not standing.behind or now() - said_at >= PLAIN_EVERY_S):
            said_at, said = now(), words
            console.print(Text(f"重新推算 recalculated {words}"), soft_wrap=True)

    return show


def _words(standing: Standing, moved: int) -> str:
    done = standing.open - standing.behind
    return f"{done}/{standing.open} 件 cases · {moved} 件日期变动 moved"


def _stalled(standing: Standing) -> str:
    return (
        f"{standing.behind} of {standing.open} open cases are behind for {STALLED_AFTER_S:g} s "
        "重新推算停滞; the calendar is published and the API goes on by itself: see its log, "
        "and `onewindow calendar progress`"
    )
