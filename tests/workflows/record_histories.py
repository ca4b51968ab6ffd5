"""Record `tests/histories` anew: `python -m tests.workflows.record_histories [NAME …] [--as WORD]`.

Only when processes under way may be told otherwise than they were, or when there is a new story:
a saved history that no longer replays is what the gate is there to show. `--as` keeps what was
recorded before and puts the new history beside it, `<workflow>.<ending>.<word>.json`: so the gate
holds processes from before a change and from after. Each story of
`stories.STORIES` is told on a real development server, with the real worker and case file.
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
from pathlib import Path

from temporalio.client import WorkflowHistory

from domain.naming import bundle_id
from tests.support.databases import SqliteFiles
from tests.support.folders import thrown_away
from tests.workflows.harness import development_server, opened
from tests.workflows.saved_histories import FOLDER
from tests.workflows.stories import STORIES, Story

# Six days of civil time in three seconds, where a story has to wait for a date.
HASTE = 180_000.0


async def record(name: str, story: Story, folder: Path) -> dict[str, str]:
    """Tell one story; return its histories as text, by the name of the file to keep them in."""
    with SqliteFiles(folder).migrated() as url:
        async with (
            development_server(folder) as env,
            opened(env, url, speed=HASTE if story.lets_notice_lapse else 1.0) as town,
        ):
            no = await town.submit(story.voltage)
            await town.tell(no, story)
            recorded = {f"application.{name}": _text(await town.history(no))}
            for round_no, result in enumerate(story.bundles, start=1):
                history = await town.history(bundle_id(no, round_no))
                recorded[f"approval_bundle.{result}"] = _text(history)
            return recorded


def _text(history: WorkflowHistory) -> str:
    """Spell a history without saying on which machine it was recorded."""
    text = json.dumps(history.to_json_dict(), separators=(",", ":"), sort_keys=True)
    for place in (f"{os.getpid()}@{socket.gethostname()}", socket.gethostname()):
        text = text.replace(place, "recorder")
    return text + "\n"


async def record_all(names: Iterable[str], word: str | None = None) -> None:
    """Record the stories `names` and write them to `tests/histories`.

    Of several bundles with one result the first is kept: the earlier stories are the fuller ones.
    """
    FOLDER.mkdir(exist_ok=True)
    written: set[str] = set()
    for name in names:
        with thrown_away("onewindow-histories-") as folder:
            recorded = await record(name, STORIES[name], folder)
        for stem in recorded.keys() - written:
            kept_as = f"{stem}.{word}" if word else stem
            FOLDER.joinpath(f"{kept_as}.json").write_text(recorded[stem], encoding="utf-8")
            print(f"{stem}: {len(recorded[stem])} bytes", flush=True)
        written |= recorded.keys()


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME")
    asked.add_argument("--as", dest="word")
    given = asked.parse_args()
    if unknown := sorted(set(given.names) - set(STORIES)):
        sys.exit(f"no story {', '.join(unknown)}; there are {', '.join(STORIES)}")
    if not given.names and not given.word:
        shutil.rmtree(FOLDER, ignore_errors=True)
    asyncio.run(record_all(given.names or STORIES, given.word))
    # The engine's client can crash an interpreter that exits after using it.
    sys.stdout.flush()
    os._exit(0)
