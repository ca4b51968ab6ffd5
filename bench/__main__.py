"""`python -m bench`: measures everything in one run on this machine, and prints it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from bench.measures import bundles, lap, latency_and_memory, statements
from bench.pages import measured_pages
from bench.programs import BenchFailed
from bench.replaying import replays
from bench.report import Report
from bench.subjects import Floor, Full

PARTS = ("throughput", "bundles", "statements", "latency", "replay")
BY_WISH = ("pages",)
"""Parts that are measured when they are asked for; they take their time to prepare."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    made.add_argument("--cases", type=int, default=150, help="cases per lap")
    made.add_argument("--laps", type=int, default=2, help="laps of each subject, alternating")
    made.add_argument("--at-once", type=int, default=40, help="cases on their way at a time")
    made.add_argument("--per-s", type=float, default=20.0, help="steady submissions per second")
    made.add_argument("--seconds", type=float, default=15.0, help="how long they last")
    made.add_argument("--open-cases", type=int, default=1000, help="open cases for the memory")
    made.add_argument(
        "--only",
        choices=PARTS + BY_WISH,
        action="append",
        help="this part only; latency includes memory",
    )
    made.add_argument("--filed", type=int, default=50_000, help="cases on file for the pages")
    made.add_argument("--times", type=int, default=60, help="how often each page is asked for")
    made.add_argument("--kept", type=Path, help="folder that keeps that file for the next run")
    made.add_argument("--json", type=Path, help="write all figures to this file, too")
    return made


async def measure(given: argparse.Namespace, console: Console, folder: Path) -> Report:
    """Run the wanted parts one after the other."""
    wanted = given.only or PARTS
    report = Report(_machine())
    if "throughput" in wanted:
        for number in range(1, given.laps + 1):
            for kind in (Floor, Full):
                console.print(f"{kind.name}: lap {number} of {given.laps} …")
                where = folder / f"{kind.name}-{number}"
                report.laps.append(await lap(kind, where, given.cases, given.at_once))
    if "bundles" in wanted:
        console.print(f"{given.cases} bundles of five departments …")
        report.bundles = await bundles(folder / "bundles", given.cases)
    if "statements" in wanted:
        console.print("counting SQL …")
        report.statements = await statements(folder / "statements", given.cases, given.at_once)
    if "latency" in wanted:
        console.print(f"submitting at {given.per_s:g}/s, then {given.open_cases} open cases …")
        report.latency, report.memory, report.recalculation = await latency_and_memory(
            folder / "latency", given.per_s, given.seconds, given.open_cases, given.at_once
        )
    if "replay" in wanted:
        console.print(f"replaying {given.open_cases} open cases …")
        report.replays = await replays(folder / "replay", given.open_cases, given.at_once)
    if "pages" in wanted:
        console.print(f"pages over {given.filed} cases; making the file takes minutes …")
        report.pages = await measured_pages(
            folder / "pages", given.kept, given.filed, given.times, console.print
        )
    return report


def _machine() -> dict[str, Any]:
    return {
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


async def _run(given: argparse.Namespace, console: Console) -> Report:
    # SIGTERM ends a run like Ctrl-C does: through every `with`, so that no program is left behind.
    if (working := asyncio.current_task()) is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    with tempfile.TemporaryDirectory(prefix="onewindow-bench-") as folder:
        return await measure(given, console, Path(folder))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    given = parser().parse_args(arguments)
    console = Console()
    try:
        report = asyncio.run(_run(given, console))
    except BenchFailed as problem:
        console.print(f"bench: {problem}", style="red", markup=False)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("bench: stopped")
        return 130
    for table in report.tables():
        console.print(table)
    if given.json:
        given.json.write_bytes(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
    return 0


if __name__ == "__main__":
    status = main()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    # The engine's client can crash an interpreter that exits after using it.
    os._exit(status)
