"""Looking for what is stuck every few seconds, for as long as the API runs (RB-12.1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import structlog

from operations.stuck import Finder, Scan
from operations.stuck_findings import Finding

FIRST_AFTER_S = 5.0
EVERY_S = 15.0
SHARE = 4
"""Of the time, at most one part in so many is spent looking, however many cases there are."""

log = structlog.get_logger()


class StuckWatch:
    """Keeps what was found last, and logs each finding when it appears and when it is gone."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._latest: Scan | None = None
        self._known: dict[str, Finding] = {}
        self._looking, self._began_at = asyncio.Lock(), 0.0

    @property
    def latest(self) -> Scan | None:
        """What was found last; None before the first look."""
        return self._latest

    async def run(self) -> None:
        """Look until cancelled."""
        await asyncio.sleep(FIRST_AFTER_S)
        while True:
            took_s = 0.0
            try:
                took_s = (await self.look()).took_s
            except Exception as problem:  # noqa: BLE001  looking must go on, whatever it was
                log.warning("stuck_not_looked_for", problem=type(problem).__name__)
            await asyncio.sleep(max(EVERY_S - took_s, took_s * (SHARE - 1)))

    async def look(self) -> Scan:
        """Look now; whoever asks while this is under way waits, and shares the next result.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the case file is away.
        """
        asked_at = time.monotonic()
        async with self._looking:
            if self._latest is None or self._began_at <= asked_at:
                self._began_at = time.monotonic()
                self._latest = self._noted(await self._finder.scan())
            return self._latest

    def _noted(self, scan: Scan) -> Scan:
        """Log what is new and what is gone; what lasts has been there since it was first seen."""
        now: Mapping[str, Finding] = {each.id: each for each in scan.findings}
        for each in scan.findings:
            if each.id not in self._known:
                log.warning("stuck", **_ids(each))
        # While the engine is away nothing that it told of can be seen to be gone.
        gone = [each for key, each in self._known.items() if key not in now and scan.is_complete]
        for each in gone:
            log.info("stuck_no_more", **_ids(each))
            del self._known[each.id]
        lasting = tuple(
            replace(each, since=min(each.since, self._known[each.id].since))
            if each.id in self._known
            else each
            for each in scan.findings
        )
        self._known |= {each.id: each for each in lasting}
        return replace(scan, findings=tuple(sorted(lasting, key=lambda each: each.rank)))


def _ids(finding: Finding) -> Mapping[str, str]:
    """Return what of a finding may stand in a log: kinds and ids."""
    named = {
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "case_no": finding.case_no,
        "workflow_id": finding.workflow_id,
        "task_id": finding.task_id,
        "agency": finding.agency,
    }
    return {name: value for name, value in named.items() if value is not None}
