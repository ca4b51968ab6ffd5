"""`onewindow demo`: sample applications travel from the desk to a live meter before one's eyes."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from commands.client import Api, Case, Clock, Refusal, Task
from commands.failure import CommandFailed
from commands.progress import Progress, Snapshot
from commands.report import Closed, print_timeline, print_totals
from domain.civil_clock import CivilClock
from domain.connection import TaskKind

SPREAD_CIVIL_DAYS = {"high": 6.0, "low": 18.0}
"""Within so many civil days samples come in: the longer stories first, so that all end together."""
POLL_S = 0.4
CLOCKS_PER_POLL = 6
ONLINE = ("online_hall", "yueshengshi")


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of `samples/`.

    Attributes:
        about: what it is an example of, in both languages.
        after: civil time from the beginning of the demonstration to its submission.
        withdraw_after: civil time from its submission to its withdrawal.
        ending: how its story is meant to end.
    """

    name: str
    about: str
    application: Mapping[str, Any]
    after: timedelta
    withdraw_after: timedelta | None
    ending: str

    @property
    def by(self) -> str:
        """Who hands it in: the desk, or the applicant's own channel."""
        return "applicant" if self.application["channel"] in ONLINE else "desk"


def load_samples(folder: Path) -> Sequence[Sample]:
    """Read the samples, spread over some civil days.

    Raises:
        CommandFailed: there are none, or one cannot be read.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise CommandFailed(f"no samples in {folder}; choose a folder with --samples")
    contents: list[tuple[str, Any]] = []
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            contents.append((file.stem, content))
        except ValueError as problem:
            raise CommandFailed(f"{file}: not JSON: {problem}") from problem
    try:
        count = Counter(content["application"]["voltage"] for _, content in contents)
        placed: Counter[str] = Counter()
        samples = []
        for name, content in contents:
            voltage = content["application"]["voltage"]
            days = SPREAD_CIVIL_DAYS[voltage] * placed[voltage] / count[voltage]
            placed[voltage] += 1
            withdrawn = content["withdraw_after_civil_days"]
            samples.append(
                Sample(
                    name=name,
                    about=f"{content['about']['zh']} {content['about']['en']}",
                    application=content["application"],
                    after=timedelta(days=days),
                    withdraw_after=None if withdrawn is None else timedelta(days=withdrawn),
                    ending=content["ending"],
                )
            )
    except (KeyError, TypeError) as problem:
        raise CommandFailed(f"{folder}: a sample lacks {problem}") from problem
    return samples


@dataclass(slots=True)
class Demonstration:
    """One run: samples in, progress shown, everything told at the end.

    Attributes:
        clock: civil time.
        began: when the command began, on the monotonic clock.
    """

    api: Api
    samples: Sequence[Sample]
    clock: CivilClock
    console: Console
    progress: Progress
    began: float
    _samples_by_no: dict[str, Sample] = field(default_factory=dict)
    _cases: dict[str, Case] = field(default_factory=dict)
    _owed: dict[str, list[Task]] = field(default_factory=dict)
    _clocks: dict[str, Sequence[Clock]] = field(default_factory=dict)
    _clocks_read_at: dict[str, float] = field(default_factory=dict)
    _moved_after_s: float | None = None
    _ended_after_s: float | None = None

    async def play(self) -> None:
        """Hand every sample in and follow the cases until all have ended."""
        origin = self.clock.civil_origin or self._civil_now()
        begun_at = max(origin, self._civil_now())
        with self.progress:
            await asyncio.gather(
                self._follow(), *(self._hand_in(each, begun_at) for each in self.samples)
            )

    async def tell(self) -> None:
        """Print each case's timeline, the totals, and how long it took."""
        closed = [
            Closed(
                self._cases[no],
                sample.about,
                await self.api.tasks_of(no),
                await self.api.clocks_of(no),
            )
            for no, sample in sorted(self._samples_by_no.items())
        ]
        for each in closed:
            print_timeline(self.console, each)
        print_totals(self.console, closed)
        for no, sample in sorted(self._samples_by_no.items()):
            ending = self._cases[no].ending
            if ending != sample.ending:
                self._print(f"  {no} ({sample.name}): {ending}, not {sample.ending}")
        self._print(
            f"  首件流转 first case moving after {self._moved_after_s:.1f} s · "
            f"全部办结 all ended after {self._ended_after_s:.1f} s"
        )

    def missing(self) -> str:
        """Say what has not ended, in one line."""
        submitted = {sample.name for sample in self._samples_by_no.values()}
        waiting = [sample.name for sample in self.samples if sample.name not in submitted]
        still_open = [
            f"{no} ({', '.join(task.id for task in self._owed.get(no, ())) or 'nothing is owed'})"
            for no, case in sorted(self._cases.items())
            if case.state == "open"
        ]
        parts = [f"not submitted: {', '.join(waiting)}"] if waiting else []
        parts += [f"still open: {'; '.join(still_open)}"] if still_open else []
        return " · ".join(parts)

    async def _hand_in(self, sample: Sample, begun_at: datetime) -> None:
        await self._sleep_until(begun_at + sample.after)
        receipt = await self.api.submit(
            sample.application, by=sample.by, idempotency_key=f"demo-{sample.name}"
        )
        self._samples_by_no[receipt.no] = sample
        if sample.withdraw_after is None:
            return
        await self._sleep_until(self._civil_now() + sample.withdraw_after)
        try:
            await self.api.withdraw(
                receipt.no,
                "申请人撤回 withdrawn by the applicant",
                by=sample.by,
                idempotency_key=f"demo-withdraw-{sample.name}",
            )
        except Refusal as refusal:
            self.progress.say(f"{receipt.no}: {refusal}")

    async def _follow(self) -> None:
        while self._ended_after_s is None:
            await asyncio.sleep(POLL_S)
            self._cases = {case.no: case for case in reversed(await self.api.cases())}
            self._owed = {}
            for task in await self.api.open_tasks():
                self._owed.setdefault(task.case_no, []).append(task)
            await self._read_some_clocks()
            self._note_times()
            self.progress.show(
                Snapshot(
                    civil_now=self._civil_now(),
                    announced=len(self.samples),
                    cases=self._cases,
                    owed=self._owed,
                    clocks=self._clocks,
                )
            )

    async def _read_some_clocks(self) -> None:
        """Read a few cases' clocks, the longest unread first: all at once would be a load."""
        is_open = [no for no, case in self._cases.items() if case.state == "open"]
        is_open.sort(key=lambda no: self._clocks_read_at.get(no, 0.0))
        for no in is_open[:CLOCKS_PER_POLL]:
            self._clocks[no] = await self.api.clocks_of(no)
            self._clocks_read_at[no] = time.monotonic()

    def _note_times(self) -> None:
        passed = time.monotonic() - self.began
        if self._moved_after_s is None and any(
            case.reached not in (None, TaskKind.CHECK_PAPERS) for case in self._cases.values()
        ):
            self._moved_after_s = passed
        if len(self._cases) == len(self.samples) and all(
            case.state == "ended" for case in self._cases.values()
        ):
            self._ended_after_s = passed
            self._moved_after_s = self._moved_after_s or passed

    def _civil_now(self) -> datetime:
        return self.clock.civil(datetime.now(UTC))

    async def _sleep_until(self, civil: datetime) -> None:
        await asyncio.sleep((self.clock.engine(civil) - datetime.now(UTC)).total_seconds())

    def _print(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)
