"""Two administrators: one plans a repair, the other approves it, and it is carried out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from domain.repair_plan import Plan, Report, Target
from domain.repairs import RepairKind
from operations.processes import Processes
from operations.repairing import Repairing, Tools
from operations.standing import Seen
from storage.documents import Documents
from storage.repairs import ItemRecord, NewRepair, RepairRecord, Repairs
from tests.workflows.agency_system import AgencySystem
from tests.workflows.harness import Town, eventually

A_MINUTE = timedelta(minutes=1)
_KEYS = count(1)


@dataclass(frozen=True, slots=True)
class Repaired:
    """An item after it was carried out."""

    repair: RepairRecord
    item: ItemRecord

    @property
    def plan(self) -> Plan:
        """What was planned."""
        assert self.item.plan is not None, self.item.problem
        return self.item.plan

    @property
    def report(self) -> Report:
        """What came of it."""
        assert self.item.report is not None, self.item.problem
        return self.item.report


class Administrators:
    """The administrators of a town."""

    def __init__(self, town: Town, *, settles_within_s: float = 30.0) -> None:
        self.town = town
        self.book = Repairs(town.casefile.engine)
        self.processes = Processes(town.settings, client=town.client)
        self.repairing = Repairing(
            Tools(
                casefile=town.casefile,
                reading=town.reading,
                documents=Documents(town.casefile.engine),
                repairs=self.book,
                processes=self.processes,
                agencies=town.agencies,
                now=town.engine_now,
            ),
            settles_within_s=settles_within_s,
        )

    async def put(
        self, kind: RepairKind, *targets: Target, per_second: float = 1000.0, **asked: Any
    ) -> RepairRecord:
        """Put a repair on file and have it planned."""
        new = NewRepair(
            kind=kind,
            reason="示例理由",
            asked={"kind": kind, **asked},
            idempotency_key=f"repair-{next(_KEYS)}",
            planned_by="admin-1",
            planned_at=self.town.now(),
            targets=targets,
            per_second=per_second,
        )
        repair, _ = await self.book.put(new)
        while (item := await self.claimed(repair)) is not None:
            await self.repairing.plan_item(item, repair)
        return await self.book.repair(repair.number)

    async def claimed(self, repair: RepairRecord) -> ItemRecord | None:
        """Take the next item in hand."""
        now = self.town.engine_now()
        return await self.book.claim(repair, now=now, until=now + A_MINUTE)

    async def approved(self, repair: RepairRecord) -> RepairRecord:
        """Have the other administrator approve what needs it, and have it carried out."""
        at = self.town.now()
        if repair.needs_approval:
            repair = await self.book.approve(repair.number, by="admin-2", at=at)
        return await self.book.execute(repair.number, by="admin-1", at=at)

    async def carry_out(self, repair: RepairRecord, *, at_once: int = 1) -> list[Repaired]:
        """Carry out every item of a repair that is under way."""

        async def some() -> None:
            while (item := await self.claimed(repair)) is not None:
                await self.repairing.carry_out(item, repair)

        await asyncio.gather(*(some() for _ in range(at_once)))
        found = await self.book.repair(repair.number)
        items = await self.book.items(repair.number)
        return [Repaired(found, item) for item in items.items]

    async def repair(self, kind: RepairKind, target: Target, **asked: Any) -> Repaired:
        """Plan, approve and carry out a repair of one case."""
        planned = await self.put(kind, target, **asked)
        (item,) = (await self.book.items(planned.number)).items
        assert item.plan is not None, item.problem
        (repaired,) = await self.carry_out(await self.approved(planned))
        return repaired

    async def settled(self, no: str) -> Seen:
        """Wait until a case has come to rest, all it owes being waited for."""

        async def look() -> Seen | None:
            seen = await self.repairing.look(no)
            owed = {task.id for task in seen.standing.open_tasks()}
            is_well = seen.standing.is_at_rest and owed and owed <= seen.standing.waits
            if is_well:
                return seen
            # Looking takes the engine's time, which a fleet of cases shares.
            await asyncio.sleep(0.05)
            return None

        return await eventually(look, f"{no} at rest")


def pushed(system: AgencySystem) -> Counter[str]:
    """Return how often each task has arrived at an agency's system."""
    return Counter(push.path.removeprefix("/tasks/") for push in system.pushes)


def outcomes(seen: Seen) -> Mapping[str, str | None]:
    """Return the digest of each task's outcome."""
    return {task.id: task.outcome for task in seen.standing.tasks}
