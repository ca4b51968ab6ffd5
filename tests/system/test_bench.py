"""The bench itself: it measures, and leaves nothing running. What it finds is not judged here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.database import open_engine
from storage.reading import Reading

ROOT = Path(__file__).parents[2]
SMALL = ("--cases", "3", "--laps", "1", "--at-once", "3", "--open-cases", "6", "--seconds", "0.3")
PATIENCE_S = 120.0


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def running_in(folder: Path) -> list[str]:
    """The command lines of all processes that work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_there = (process / "cwd").readlink().is_relative_to(folder)
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if is_there:
            found.append(command)
    return found


def test_three_cases_give_a_table_and_figures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    bench = start(tmp_path, *SMALL, "--json", str(figures))
    said, _ = bench.communicate(timeout=PATIENCE_S)
    assert bench.returncode == 0, said
    for expected in ("OneWindow", "bare engine", "history events per case", "SQL per case", "p99"):
        assert expected in said
    found = json.loads(figures.read_text())
    assert [lap["subject"] for lap in found["laps"]] == ["floor", "full"]
    for lap in found["laps"]:
        assert lap["cases_per_s"] > 0
        # Both stories have the same tasks: 14 activities are three events each, in two processes.
        assert lap["events"] > 3 * 14
    assert found["ratio"] > 0
    assert all(counts["commits"] > 0 for counts in found["statements"].values())
    assert found["bundles"]["per_s"] > 0
    assert found["replays"]["cases"] == 6
    assert found["bundles"]["events"] > 3 * 5
    assert found["bundles"]["pushed_p50_ms"] > 0
    assert found["latency"]["submissions"] == found["memory"]["open_cases"] == 6
    assert running_in(tmp_path) == []


def test_pages_are_timed_over_a_file_that_holds_together(tmp_path: Path) -> None:
    figures, kept = tmp_path / "figures.json", tmp_path / "kept"
    bench = start(
        tmp_path,
        *("--only", "pages", "--filed", "60", "--times", "2"),
        *("--kept", str(kept), "--json", str(figures)),
    )
    said, _ = bench.communicate(timeout=PATIENCE_S)
    assert bench.returncode == 0, said
    found = json.loads(figures.read_text())["pages"]
    assert found["cases"] == 60 > found["open_cases"] > 0
    asked = {page["page"]: page for page in found["found"]}
    for path in ("/tasks", "/cases", "/supervision"):
        assert asked[path]["status"] == 200
        assert 0 < asked[path]["p50_ms"] <= asked[path]["p95_ms"]
    (file,) = kept.glob("*.db")
    checked, broken = asyncio.run(_first_break(file))
    assert (checked, broken) == (60, None)
    assert running_in(tmp_path) == []


async def _first_break(file: Path) -> tuple[int, object]:
    engine = open_engine(f"sqlite:///{file}")
    try:
        return await Reading(engine).first_break()
    finally:
        await engine.dispose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_running_when_it_is_stopped(number: signal.Signals, tmp_path: Path) -> None:
    bench = start(tmp_path, "--only", "latency")
    give_up_at = time.monotonic() + PATIENCE_S
    while not any("worker" in command for command in running_in(tmp_path)):
        assert bench.poll() is None
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    bench.send_signal(number)
    bench.communicate(timeout=PATIENCE_S)
    assert bench.returncode != 0
    while left := running_in(tmp_path):
        assert time.monotonic() < give_up_at, left
        time.sleep(0.05)
