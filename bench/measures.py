"""The measurements, each on programs of its own."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from bench.counted import read_counts
from bench.floor_story import DEPARTMENTS
from bench.peer import stop_of
from bench.programs import cpu_s, rss_mb
from bench.subjects import Floor, Full, Subject, carry

WARM_UP_CASES = 15
WITHDRAWN_AT_ONCE = 8
HISTORIES = 5
COUNTED_CASES = 20
ALONE, AT_ONCE = 20, 40
DISK_LOOKS_PER_S = 10
STOPS = ("check_papers", "supply_plan", "line_design", "permits")
"""Where the open cases wait whose memory is measured: a quarter of them at each."""


@dataclass(frozen=True, slots=True)
class Lap:
    """One run of a subject.

    Attributes:
        cpu_ms: processor time per case, by program.
        events, workflow_tasks, history_bytes: per case, the child's included.
    """

    subject: str
    cases_per_s: float
    cpu_ms: dict[str, float]
    events: float
    workflow_tasks: float
    history_bytes: float

    @property
    def total_cpu_ms(self) -> float:
        """Processor time per case of all programs together."""
        return sum(self.cpu_ms.values())

    @property
    def processors(self) -> float:
        """How many processors were busy with it on average."""
        return self.total_cpu_ms * self.cases_per_s / 1000


@dataclass(frozen=True, slots=True)
class Statements:
    """SQL per case, by program: statements, commits, rollbacks."""

    per_case: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long submissions took, in milliseconds, at a steady rate.

    Attributes:
        disk_p99_ms, disk_worst_ms: a small write brought to the same disk, ten times a second
            meanwhile. No submission can be quicker than the disk on which it is safe.
    """

    per_s: float
    submissions: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    disk_p99_ms: float
    disk_worst_ms: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the worker in MB: with nothing to do, with open cases, and after them."""

    open_cases: int
    idle_mb: float
    open_mb: float
    after_mb: float


@dataclass(frozen=True, slots=True)
class Recalculation:
    """A calendar published under the open cases: until all dates moved and every process knew."""

    cases: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Bundles:
    """Bundles of five departments, with the design before and the building after each.

    Attributes:
        per_s, floor_per_s: all at once, by the whole system and by the bare engine.
        events, workflow_tasks: of one bundle's own process.
        pushed_p50_ms, pushed_worst_ms: one bundle at a time: from its start, by the engine's
            history, until the fifth push has come to the departments.
    """

    bundles: int
    per_s: float
    floor_per_s: float
    events: float
    workflow_tasks: float
    pushed_p50_ms: float
    pushed_worst_ms: float

    @property
    def ratio(self) -> float:
        """Of the whole system to the bare engine."""
        return self.per_s / self.floor_per_s


async def lap(kind: type[Floor] | type[Full], folder: Path, cases: int, at_once: int) -> Lap:
    """Take cases to their ends on freshly started programs, after a warm-up."""
    subject: Subject
    async with kind(folder) as subject:
        programs = subject.programs
        await carry(subject, min(WARM_UP_CASES, cases), at_once)
        pids = {**programs.pids, "bench": os.getpid()}
        cpu_before = {name: cpu_s(pid) for name, pid in pids.items()}
        began = time.perf_counter()
        ids = await carry(subject, cases, at_once)
        seconds = time.perf_counter() - began
        cpu_ms = {
            name: (cpu_s(pid) - cpu_before[name]) / cases * 1000 for name, pid in pids.items()
        }
        await subject.check()
        events, workflow_tasks, size = await _histories(subject, ids[:HISTORIES])
        return Lap(subject.name, cases / seconds, cpu_ms, events, workflow_tasks, size)


async def _histories(subject: Subject, ids: Sequence[str]) -> tuple[float, float, float]:
    client: Client = await subject.engine_client()
    events = workflow_tasks = size = 0
    for no in ids:
        for workflow_id in (no, subject.child_of(no)):
            history = await client.get_workflow_handle(workflow_id).fetch_history()
            events += len(history.events)
            size += sum(event.ByteSize() for event in history.events)
            workflow_tasks += sum(
                event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
                for event in history.events
            )
    return events / len(ids), workflow_tasks / len(ids), size / len(ids)


async def bundles(folder: Path, count: int) -> Bundles:
    """Send bundles off one by one, then all at once; the latter on the bare engine, too."""
    async with Floor(folder / "floor") as floor:
        before = await floor.ended()

        async def all_ended() -> bool:
            return await floor.ended() - before == count

        began = time.perf_counter()
        for _ in range(count):
            floor.approve()
        await floor.programs.until("every bundle is done", all_ended)
        floor_s = time.perf_counter() - began
    async with Full(folder / "full") as full:
        alone = await _one_by_one(full, min(ALONE, count))
        await full.plan(stops=("line_design",))

        async def stopped() -> int:
            return (await full.peer_counts()).get("stopped", 0)

        async def all_stopped() -> bool:
            return await stopped() == count

        numbers = await carry(full, count, AT_ONCE, stopped)
        began = time.perf_counter()
        await full.plan(stops=("inspection",))
        await full.programs.until("every line is built", all_stopped)
        seconds = time.perf_counter() - began
        await full.check()
        events, workflow_tasks = await _of_bundles(full, numbers[:HISTORIES])
        return Bundles(
            count,
            count / seconds,
            count / floor_s,
            events,
            workflow_tasks,
            statistics.median(alone),
            max(alone),
        )


async def _one_by_one(full: Full, count: int) -> list[float]:
    """Milliseconds from the start of a bundle until its fifth push has come, case by case."""
    await carry(full, min(WARM_UP_CASES, count), WARM_UP_CASES)
    numbers = await carry(full, count, 1)
    client, pushes = await full.engine_client(), await full.peer_pushes()
    found = []
    for no in numbers:
        history = await client.get_workflow_handle(full.child_of(no)).fetch_history()
        started_at = history.events[0].event_time.ToDatetime(UTC).timestamp()
        found.append((max(pushes[no]) - started_at) * 1000)
    return found


async def _of_bundles(full: Full, numbers: Sequence[str]) -> tuple[float, float]:
    client = await full.engine_client()
    kinds = [
        event.event_type
        for no in numbers
        for event in (await client.get_workflow_handle(full.child_of(no)).fetch_history()).events
    ]
    workflow_tasks = kinds.count(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    return len(kinds) / len(numbers), workflow_tasks / len(numbers)


async def statements(folder: Path, cases: int, at_once: int) -> Statements:
    """Count SQL over a few cases in the real processes."""
    cases = min(cases, COUNTED_CASES)
    async with Full(folder, is_counted=True) as full:
        await carry(full, 2, 2)
        before = {name: read_counts(full.counts_file(name)) for name in ("api", "worker")}
        await carry(full, cases, at_once)
        return Statements(
            {
                name: {
                    what: (count - before[name][what]) / cases
                    for what, count in read_counts(full.counts_file(name)).items()
                }
                for name in before
            }
        )


async def latency_and_memory(
    folder: Path, per_s: float, seconds: float, open_cases: int, at_once: int
) -> tuple[Latency, Memory, Recalculation]:
    """Submit at a steady rate while agencies take their time; fill up; publish a calendar."""
    async with Full(folder) as full:
        programs = full.programs
        worker = programs.pids["worker"]
        idle_mb = rss_mb(worker)
        await carry(full, min(WARM_UP_CASES, open_cases), at_once)
        # Agencies answer while the submissions come in, but no faster than the file fills up.
        await full.plan(delay_s=seconds * 4 / 3, stops=STOPS)
        numbers, latency = await _submitted_steadily(full, per_s, seconds)
        await full.plan(stops=STOPS)

        async def stopped() -> int:
            return (await full.peer_counts()).get("stopped", 0)

        async def all_wait() -> bool:
            return (await full.peer_counts())["held"] == _held_by(numbers) == full.open_tasks()

        missing = open_cases - len(numbers)
        if missing > 0:
            numbers += await carry(full, missing, at_once, stopped)
        await programs.until("every open case waits at its stop", all_wait)
        open_mb = rss_mb(worker)
        recalculation = Recalculation(*await full.recalculated())
        gate = asyncio.Semaphore(WITHDRAWN_AT_ONCE)

        async def withdrawn(no: str) -> None:
            async with gate:
                await full.withdraw(no)

        await asyncio.gather(*(withdrawn(no) for no in numbers))
        await full.check()
        memory = Memory(len(numbers), idle_mb, open_mb, rss_mb(worker))
        return latency, memory, recalculation


def _held_by(numbers: Sequence[str]) -> int:
    stops = [stop_of(no, STOPS) for no in numbers]
    return sum(len(DEPARTMENTS) if stop == "permits" else 1 for stop in stops)


async def _submitted_steadily(
    full: Full, per_s: float, seconds: float
) -> tuple[list[str], Latency]:
    began = time.perf_counter()

    async def submitted(position: int) -> tuple[str, float]:
        # Measured from when it was due, so that a stall is not hidden by the calls it held up.
        due_at = began + position / per_s
        await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
        no = await full.submit()
        return no, (time.perf_counter() - due_at) * 1000

    probing = asyncio.create_task(asyncio.to_thread(_disk, full.programs.folder, seconds))
    results = await asyncio.gather(*(submitted(n) for n in range(round(per_s * seconds))))
    took, disk = sorted(ms for _, ms in results), sorted(await probing)
    cuts, disk_cuts = (
        statistics.quantiles(each, n=100, method="inclusive") for each in (took, disk)
    )
    latency = Latency(per_s, len(took), cuts[49], cuts[98], took[-1], disk_cuts[98], disk[-1])
    return [no for no, _ in results], latency


def _disk(folder: Path, seconds: float) -> list[float]:
    """Bring small writes to the disk for a while; return how long each took, in milliseconds."""
    took = []
    with (folder / "disk-probe").open("wb", buffering=0) as probe:
        for _ in range(max(2, round(seconds * DISK_LOOKS_PER_S))):
            began = time.perf_counter()
            probe.write(bytes(4096))
            os.fsync(probe.fileno())
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(max(0.0, 1 / DISK_LOOKS_PER_S - took[-1] / 1000))
    return took
