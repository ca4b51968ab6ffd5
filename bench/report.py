"""What was measured, as a table for people and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.table import Table

from bench.measures import Bundles, Lap, Latency, Memory, Recalculation, Statements
from bench.pages import AIM_MS, Pages
from bench.replaying import Replays


@dataclass
class Report:
    """Everything one run of the bench found; what was not asked for is absent."""

    machine: dict[str, Any]
    laps: list[Lap] = field(default_factory=list)
    statements: Statements | None = None
    latency: Latency | None = None
    memory: Memory | None = None
    recalculation: Recalculation | None = None
    bundles: Bundles | None = None
    replays: Replays | None = None
    pages: Pages | None = None

    def ratio(self) -> float | None:
        """Throughput of the whole system over that of the engine alone, medians of both."""
        full, floor = self._of("full"), self._of("floor")
        if not full or not floor:
            return None
        return _median(full, _speed) / _median(floor, _speed)

    def cpu_ratio(self) -> float | None:
        """The same by processor time, which other programs on the machine disturb less."""
        full, floor = self._of("full"), self._of("floor")
        if not full or not floor:
            return None
        return _median(floor, _cpu) / _median(full, _cpu)

    def as_json(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            "machine": self.machine,
            "ratio": self.ratio(),
            "cpu_ratio": self.cpu_ratio(),
            "laps": [asdict(each) for each in self.laps],
            "statements": self.statements and self.statements.per_case,
            "latency": self.latency and asdict(self.latency),
            "memory": self.memory and asdict(self.memory),
            "recalculation": self.recalculation and asdict(self.recalculation),
            "bundles": self.bundles and asdict(self.bundles) | {"ratio": self.bundles.ratio},
            "replays": self.replays and asdict(self.replays),
            "pages": self.pages and asdict(self.pages),
        }

    def tables(self) -> list[Table]:
        """Return the tables for the terminal."""
        found = [self._cases()] if self.laps else []
        if self.statements or self.latency or self.bundles or self.replays or self.ratio():
            found.append(self._targets())
        if self.pages:
            found.append(_of_pages(self.pages))
        return found

    def _cases(self) -> Table:
        table = Table(title="High-voltage cases, end to end", title_justify="left")
        table.add_column("per case")
        kinds = [kind for kind in ("full", "floor") if self._of(kind)]
        for kind in kinds:
            table.add_column({"full": "OneWindow", "floor": "bare engine"}[kind], justify="right")

        def row(name: str, text: Callable[[Sequence[Lap]], str]) -> None:
            table.add_row(name, *(text(self._of(kind)) for kind in kinds))

        row("cases/s, median", lambda laps: f"{_median(laps, _speed):.2f}")
        row("  of laps", lambda laps: " ".join(f"{each.cases_per_s:.2f}" for each in laps))
        row("history events", lambda laps: f"{_median(laps, _events):.0f}")
        row("workflow tasks", lambda laps: f"{_median(laps, _workflow_tasks):.0f}")
        row("history KB", lambda laps: f"{_median(laps, _history_bytes) / 1000:.1f}")
        row("processors busy", lambda laps: f"{_median(laps, _processors):.2f}")
        row("CPU ms, all", lambda laps: f"{_median(laps, _cpu):.0f}")
        for program in dict.fromkeys(name for each in self.laps for name in each.cpu_ms):
            row(f"  {program}", partial(_cpu_of, program))
        return table

    def _targets(self) -> Table:
        table = Table(title="Against what is aimed at", title_justify="left")
        table.add_column("measure", no_wrap=True)
        for name in ("found", "aim"):
            table.add_column(name, justify="right", no_wrap=True)
        if (ratio := self.ratio()) is not None:
            table.add_row("OneWindow : bare engine, cases/s", f"{ratio:.2f}", "≥ 0.6")
            table.add_row("  by CPU time", f"{self.cpu_ratio():.2f}", "")
        if full := self._of("full"):
            table.add_row("history events per case", f"{_median(full, _events):.0f}", "≤ 130")
        if self.statements:
            for program, counts in self.statements.per_case.items():
                for what, count in counts.items():
                    table.add_row(f"SQL per case, {program}: {what}", f"{count:.1f}", "")
        if self.latency:
            at = f"submission at {self.latency.per_s:g}/s"
            table.add_row(f"{at}, p50", f"{self.latency.p50_ms:.0f} ms", "")
            table.add_row(f"{at}, p99", f"{self.latency.p99_ms:.0f} ms", "< 100 ms")
            table.add_row(f"{at}, worst", f"{self.latency.worst_ms:.0f} ms", "")
            table.add_row("  the disk alone, p99", f"{self.latency.disk_p99_ms:.0f} ms", "")
            table.add_row("  the disk alone, worst", f"{self.latency.disk_worst_ms:.0f} ms", "")
        if self.memory:
            table.add_row("worker idle", f"{self.memory.idle_mb:.0f} MB", "")
            of = f"worker, {self.memory.open_cases} open cases"
            table.add_row(of, f"{self.memory.open_mb:.0f} MB", "< 300 MB")
            table.add_row("worker after them", f"{self.memory.after_mb:.0f} MB", "")
        if self.recalculation:
            of = f"a calendar under them, {self.recalculation.cases} moved"
            table.add_row(of, f"{self.recalculation.seconds:.1f} s", "2000 in < 120 s")
        if self.replays:
            of = f"{self.replays.histories} histories of {self.replays.cases} cases replayed"
            table.add_row(of, f"{self.replays.seconds:.1f} s", "1000 in < 60 s")
        if self.bundles:
            found = self.bundles
            table.add_row(f"{found.bundles} bundles at once, per second", f"{found.per_s:.1f}", "")
            table.add_row("  by the bare engine", f"{found.floor_per_s:.1f}", "")
            table.add_row("  OneWindow : bare engine", f"{found.ratio:.2f}", "")
            table.add_row("a bundle's history events", f"{found.events:.0f}", "≤ 60")
            table.add_row("a bundle's workflow tasks", f"{found.workflow_tasks:.0f}", "≤ 15")
            table.add_row("five pushes have come, p50", f"{found.pushed_p50_ms:.0f} ms", "< 200 ms")
            table.add_row("  worst", f"{found.pushed_worst_ms:.0f} ms", "< 200 ms")
        return table

    def _of(self, subject: str) -> list[Lap]:
        return [each for each in self.laps if each.subject == subject]


def _of_pages(measured: Pages) -> Table:
    title = (
        f"Pages over {measured.cases} cases, {measured.open_cases} of them open "
        f"({measured.file_mb:.0f} MB), ms; aim: p95 < {AIM_MS:g}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("page", overflow="fold")
    table.add_column("role", no_wrap=True)
    for name in ("CPU", "p50", "p95", "p99", "4 at once p50", "p95", "KB"):
        table.add_column(name, justify="right")
    table.add_column("", no_wrap=True)
    for each in sorted(measured.found, key=lambda page: -page.p95_ms):
        alone = (each.cpu_ms, each.p50_ms, each.p95_ms, each.p99_ms)
        times = (*alone, each.at_once_p50_ms, each.at_once_p95_ms)
        verdict = "met" if each.is_met else "missed"
        table.add_row(
            each.page,
            each.role,
            *(f"{ms:.0f}" for ms in times),
            f"{each.bytes / 1000:.0f}",
            verdict if each.status == 200 else f"{each.status}",
        )
    return table


def _speed(each: Lap) -> float:
    return each.cases_per_s


def _cpu(each: Lap) -> float:
    return each.total_cpu_ms


def _processors(each: Lap) -> float:
    return each.processors


def _events(each: Lap) -> float:
    return each.events


def _workflow_tasks(each: Lap) -> float:
    return each.workflow_tasks


def _history_bytes(each: Lap) -> float:
    return each.history_bytes


def _cpu_of(program: str, laps: Sequence[Lap]) -> str:
    values = [each.cpu_ms[program] for each in laps if program in each.cpu_ms]
    return f"{statistics.median(values):.0f}" if values else ""


def _median(laps: Sequence[Lap], value: Callable[[Lap], float]) -> float:
    return statistics.median(value(each) for each in laps)
