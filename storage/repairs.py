"""Repairs on file: who planned what and why, who approved it, what came of each case (RB-12.2).

The rows are the administrators' book. What is done to a case is also on the case's own record, with
digests of the plan and of the report, in the transaction that begins it and in that which ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import (
    IdempotencyConflict,
    IllegalRepair,
    OwnPlan,
    StalePlan,
    UnknownRepair,
)
from domain.repair_plan import CaseStanding, Plan, Report, Target, Wording
from domain.repairs import REPAIRS, RepairKind
from storage.admin_acts import hands_behind, record_act
from storage.appending import Head, append, locked_case
from storage.chain import canonical, digest
from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.database import writing
from storage.reading import Page
from storage.records import AnyRow, parsed
from storage.tables import events, repair_items, repairs

_STANDING = TypeAdapter(CaseStanding)
_WORDING = TypeAdapter(Wording)


class RepairState(StrEnum):
    """Where a repair stands."""

    PLANNING = "planning"
    PLANNED = "planned"
    EXECUTING = "executing"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """Where one case of a repair stands."""

    NEW = "new"
    """Not planned yet."""
    PLANNED = "planned"
    REFUSED = "refused"
    """Not possible for this case; `problem` says why."""
    EXECUTING = "executing"
    DONE = "done"
    """Carried out; its report says whether it came as planned."""
    STALE = "stale"
    """The case had moved on since it was planned; nothing was done."""
    FAILED = "failed"
    """It could not be carried out to its end; `problem` says why."""
    CANCELLED = "cancelled"


LEFT = (ItemState.NEW, ItemState.PLANNED, ItemState.EXECUTING)


_TO_BE_TAKEN: Mapping[RepairState, tuple[ItemState, ...]] = {
    RepairState.PLANNING: (ItemState.NEW,),
    RepairState.EXECUTING: (ItemState.PLANNED, ItemState.EXECUTING),
    # A pause begins nothing; what was begun is brought to its end by whoever comes.
    RepairState.PAUSED: (ItemState.EXECUTING,),
}


class NotToBegin(Exception):
    """A repair was paused or cancelled before a case of it was begun."""


@dataclass(frozen=True, slots=True)
class NewRepair:
    """A repair about to be put on file.

    Attributes:
        asked: what was asked for, as sent; the same one under the same key is the same repair.
        targets: one for each case, or task, in order.
        per_second: how many of them are begun in a second, at most.
    """

    kind: RepairKind
    reason: str
    asked: Mapping[str, Any]
    idempotency_key: str
    planned_by: str
    planned_at: datetime
    targets: Sequence[Target]
    per_second: float


@dataclass(frozen=True, slots=True)
class RepairRecord:
    """A repair as it stands on file.

    Attributes:
        counts: how many of its items are in each state.
    """

    number: int
    kind: RepairKind
    reason: str
    asked: Mapping[str, Any]
    planned_by: str
    planned_at: datetime
    needs_approval: bool
    per_second: float
    state: RepairState
    approved_by: str | None
    approved_at: datetime | None
    executed_by: str | None
    executed_at: datetime | None
    ended_at: datetime | None
    counts: Mapping[ItemState, int]

    @classmethod
    def of(cls, row: AnyRow, counts: Mapping[ItemState, int]) -> Self:
        """Read a row of `repairs`."""
        values = {f.name: row._mapping[f.name] for f in fields(cls) if f.name != "counts"}
        values["asked"] = parsed(values["asked"])
        values["kind"], values["state"] = RepairKind(row.kind), RepairState(row.state)
        return cls(**values, counts=counts)

    @property
    def left(self) -> int:
        """How many of its items are still to be seen to."""
        return sum(self.counts.get(state, 0) for state in LEFT)


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One case of a repair as it stands on file."""

    repair: int
    position: int
    case_no: str
    target: Target
    state: ItemState
    plan: Plan | None
    problem: Wording | None
    before: CaseStanding | None
    report: Report | None
    begun_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `repair_items`."""
        return cls(
            repair=row.repair,
            position=row.position,
            case_no=row.case_no,
            target=Target.model_validate_json(row.target),
            state=ItemState(row.state),
            plan=row.plan and Plan.model_validate_json(row.plan),
            problem=row.problem and _WORDING.validate_json(row.problem),
            before=row.before and _STANDING.validate_json(row.before),
            report=row.report and Report.model_validate_json(row.report),
            begun_at=row.begun_at,
            ended_at=row.ended_at,
        )

    @property
    def name(self) -> str:
        """What the engine and a case's record know it by."""
        return f"repair-{self.repair}.{self.position}"


class Repairs:
    """The administrators' book. Instants are civil unless said otherwise."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # ------------------------------------------------------------------ reading

    async def repair(self, number: int) -> RepairRecord:
        """Return a repair.

        Raises:
            UnknownRepair: there is none with this number.
        """
        async with self._engine.connect() as db:
            return await _record(db, number)

    async def repairs(
        self,
        *,
        limit: int,
        cursor: str | None,
        state: RepairState | None = None,
        awaits_approval: bool = False,
    ) -> Page[RepairRecord]:
        """Return repairs, the newest first.

        Args:
            awaits_approval: only those that are planned and that nobody has approved yet.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        statement = sa.select(repairs).order_by(repairs.c.number.desc()).limit(limit + 1)
        if state is not None:
            statement = statement.where(repairs.c.state == state)
        if awaits_approval:
            statement = statement.where(
                repairs.c.state == RepairState.PLANNED,
                repairs.c.needs_approval,
                repairs.c.approved_by.is_(None),
            )
        if cursor is not None:
            statement = statement.where(repairs.c.number < _number(cursor))
        async with self._engine.connect() as db:
            rows = (await db.execute(statement)).all()
            found = [RepairRecord.of(row, await _counts(db, row.number)) for row in rows[:limit]]
        return Page(tuple(found), cursor_of(found[-1].number) if len(rows) > limit else None)

    async def items(
        self,
        number: int,
        *,
        state: ItemState | None = None,
        limit: int = 200,
        cursor: str | None = None,
    ) -> Page[ItemRecord]:
        """Return the cases of a repair, in order.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        statement = _of(number).order_by(repair_items.c.position).limit(limit + 1)
        if state is not None:
            statement = statement.where(repair_items.c.state == state)
        if cursor is not None:
            statement = statement.where(repair_items.c.position > _number(cursor))
        async with self._engine.connect() as db:
            rows = (await db.execute(statement)).all()
        found = tuple(map(ItemRecord.of, rows[:limit]))
        return Page(found, cursor_of(found[-1].position) if len(rows) > limit else None)

    async def again(self, item: ItemRecord) -> ItemRecord:
        """Return an item as it stands by now."""
        statement = _of(item.repair).where(repair_items.c.position == item.position)
        async with self._engine.connect() as db:
            return ItemRecord.of((await db.execute(statement)).one())

    async def under_way(self) -> Sequence[RepairRecord]:
        """Return the repairs that are being planned or carried out, paused ones included."""
        statement = (
            sa.select(repairs)
            .where(repairs.c.state.in_(tuple(_TO_BE_TAKEN)))
            .order_by(repairs.c.number)
        )
        async with self._engine.connect() as db:
            rows = (await db.execute(statement)).all()
            return [RepairRecord.of(row, await _counts(db, row.number)) for row in rows]

    # ------------------------------------------------------------------ planning, approving

    async def earlier(
        self, planned_by: str, key: str, asked: Mapping[str, Any]
    ) -> RepairRecord | None:
        """Return the repair that was put under a key before, however its case stands by now.

        Raises:
            IdempotencyConflict: it was something else.
        """
        async with self._engine.connect() as db:
            return await _earlier(db, planned_by, key, canonical(asked))

    async def put(self, new: NewRepair) -> tuple[RepairRecord, bool]:
        """Put a repair on file, to be planned; the same one under the same key is put once.

        Returns:
            The repair as it stands, and whether it is new.

        Raises:
            IdempotencyConflict: the key was used before, for something else.
        """
        asked = canonical(new.asked)
        try:
            return await self._put(new, asked)
        except IntegrityError:
            # The same was sent twice at the same moment.
            async with self._engine.connect() as db:
                found = await _earlier(db, new.planned_by, new.idempotency_key, asked)
            if found is None:
                raise
            return found, False

    async def _put(self, new: NewRepair, asked: str) -> tuple[RepairRecord, bool]:
        async with writing(self._engine) as db:
            found = await _earlier(db, new.planned_by, new.idempotency_key, asked)
            if found is not None:
                return found, False
            inserted = await db.execute(
                repairs.insert().values(
                    kind=new.kind.value,
                    reason=new.reason,
                    asked=asked,
                    idempotency_key=new.idempotency_key,
                    planned_by=new.planned_by,
                    planned_at=new.planned_at,
                    needs_approval=REPAIRS[new.kind].discards,
                    per_second=new.per_second,
                    state=RepairState.PLANNING.value,
                )
            )
            (number,) = inserted.inserted_primary_key or (0,)
            await db.execute(
                repair_items.insert(),
                [
                    {
                        "repair": number,
                        "position": position,
                        "case_no": target.case_no,
                        "target": canonical(target.model_dump(mode="json")),
                        "state": ItemState.NEW.value,
                    }
                    for position, target in enumerate(new.targets, start=1)
                ],
            )
            return await _record(db, number), True

    async def planned(self, item: ItemRecord, found: Plan | Wording) -> None:
        """Put a case's plan on file, or why there is none; the last one ends the planning."""
        is_plan = isinstance(found, Plan)
        async with writing(self._engine) as db:
            # Two that end the planning at once would each see the other's case as left.
            await db.execute(_locking(item.repair))
            await db.execute(
                _item(item)
                .where(repair_items.c.state == ItemState.NEW)
                .values(
                    state=ItemState.PLANNED if is_plan else ItemState.REFUSED,
                    claimed_until=None,
                    **{"plan" if is_plan else "problem": canonical(found.model_dump(mode="json"))},
                )
            )
            if await _left(db, item.repair, (ItemState.NEW,)) == 0:
                await db.execute(
                    _repair(item.repair)
                    .where(repairs.c.state == RepairState.PLANNING)
                    .values(state=RepairState.PLANNED)
                )

    async def approve(self, number: int, *, by: str, at: datetime) -> RepairRecord:
        """Note the approval of a second administrator (RB-12.2).

        Raises:
            UnknownRepair: there is none with this number.
            OwnPlan: whoever planned it would approve it, or could by a password that they gave.
            IllegalRepair: it needs none, is not planned yet, or is over.
        """
        async with writing(self._engine) as db:
            found = await _locked(db, number)
            if not found.needs_approval:
                raise IllegalRepair("it discards nothing and needs no approval", "此修复无须批准")
            if found.planned_by == by:
                raise OwnPlan(number, by)
            if found.approved_by == by:
                return found
            if await hands_behind(db, by) & await hands_behind(db, found.planned_by):
                raise OwnPlan(number, by, found.planned_by)
            _check(found, RepairState.PLANNED, "approved", "批准")
            if found.approved_by is None:
                await db.execute(_repair(number).values(approved_by=by, approved_at=at))
            return await _record(db, number)

    # ------------------------------------------------------------------ carrying out

    async def execute(self, number: int, *, by: str, at: datetime) -> RepairRecord:
        """Have a repair carried out from now on.

        Raises:
            UnknownRepair: there is none with this number.
            IllegalRepair: it is not planned or approved, is under way or over, or no case of it
                can be repaired.
        """
        async with writing(self._engine) as db:
            found = await _locked(db, number)
            _check(found, RepairState.PLANNED, "carried out", "执行")
            if found.needs_approval and found.approved_by is None:
                raise IllegalRepair(
                    "it discards something: a second administrator must approve it first",
                    "此修复会舍弃内容，须先由另一名管理员批准",
                )
            if not found.counts.get(ItemState.PLANNED):
                raise IllegalRepair(
                    "there is no case that it could be applied to; the items say why",
                    "没有可修复的办件，原因见各项",
                )
            await db.execute(
                _repair(number).values(state=RepairState.EXECUTING, executed_by=by, executed_at=at)
            )
            return await _record(db, number)

    async def pause(self, number: int, *, by: str, now: datetime) -> RepairRecord:
        """Begin no further case for the time being; what was begun is brought to its end.

        Args:
            now: the engine's instant, for the record.

        Raises:
            UnknownRepair: there is none with this number.
            IllegalRepair: it is not being carried out.
        """
        turn = (RepairState.EXECUTING, RepairState.PAUSED, "paused")
        return await self._turned(number, turn, by, now)

    async def resume(self, number: int, *, by: str, now: datetime) -> RepairRecord:
        """Go on after a pause.

        Args:
            now: the engine's instant, for the record.

        Raises:
            UnknownRepair: there is none with this number.
            IllegalRepair: it is not paused.
        """
        turn = (RepairState.PAUSED, RepairState.EXECUTING, "resumed")
        return await self._turned(number, turn, by, now)

    async def cancel(self, number: int, *, at: datetime, by: str, now: datetime) -> RepairRecord:
        """Begin no further case, for good; what was begun is brought to its end.

        Args:
            now: the engine's instant, for the record.

        Raises:
            UnknownRepair: there is none with this number.
            IllegalRepair: it is over.
        """
        async with writing(self._engine) as db:
            found = await _locked(db, number)
            if found.state is RepairState.CANCELLED:
                return found
            if found.state is RepairState.DONE:
                raise IllegalRepair("it has been carried out", "此修复已执行完毕")
            waiting = (ItemState.NEW, ItemState.PLANNED)
            await db.execute(
                repair_items.update()
                .where(repair_items.c.repair == number, repair_items.c.state.in_(waiting))
                .values(state=ItemState.CANCELLED)
            )
            # What was begun is still carried out to its end by whoever looks for it.
            is_begun = await _left(db, number, (ItemState.EXECUTING,)) > 0
            await db.execute(
                _repair(number).values(
                    state=RepairState.EXECUTING if is_begun else RepairState.CANCELLED,
                    ended_at=None if is_begun else at,
                )
            )
            await record_act(db, at=now, by=by, act="repair.cancelled", subject=str(number))
            return await _record(db, number)

    async def _turned(
        self, number: int, turn: tuple[RepairState, RepairState, str], by: str, now: datetime
    ) -> RepairRecord:
        before, after, what = turn
        async with writing(self._engine) as db:
            found = await _locked(db, number)
            if found.state is after:
                return found
            _check(found, before, what, {"paused": "暂停", "resumed": "继续"}[what])
            await db.execute(_repair(number).values(state=after))
            await record_act(db, at=now, by=by, act=f"repair.{what}", subject=str(number))
            return await _record(db, number)

    async def claim(
        self, repair: RepairRecord, *, now: datetime, until: datetime
    ) -> ItemRecord | None:
        """Take the next case of a repair that is under way, for as long as `until`.

        Args:
            now, until: the engine's instants.

        Returns:
            None if there is none to be taken now: all are in hand, or the rate says to wait.
        """
        async with writing(self._engine) as db:
            row = (await db.execute(_locking(repair.number))).one()
            wanted = _TO_BE_TAKEN.get(RepairState(row.state))
            if wanted is None:
                return None
            found = await db.execute(
                _of(repair.number)
                .where(
                    repair_items.c.state.in_(wanted),
                    sa.or_(
                        repair_items.c.claimed_until.is_(None), repair_items.c.claimed_until < now
                    ),
                )
                .order_by(repair_items.c.position)
                .limit(1)
            )
            item = found.first()
            if item is None:
                return None
            if item.state == ItemState.PLANNED:
                if row.next_at is not None and row.next_at > now:
                    return None
                pace = timedelta(seconds=1 / row.per_second)
                # Counted on from when it was due, so that looking seldom does not slow it down.
                next_at = max(row.next_at or now, now - pace) + pace
                await db.execute(_repair(repair.number).values(next_at=next_at))
            await db.execute(_item(ItemRecord.of(item)).values(claimed_until=until))
            return ItemRecord.of(item)

    async def begin(
        self, item: ItemRecord, repair: RepairRecord, standing: CaseStanding, *, at: datetime
    ) -> ItemRecord:
        """Note on the case's record that it is being repaired, if it stands as it was planned.

        Raises:
            NotToBegin: the repair was paused or cancelled after the item was claimed.
            StalePlan: the case stands otherwise.
            IllegalRepair: another repair of the case is under way.
        """
        plan = item.plan
        assert plan is not None
        async with writing(self._engine) as db:
            state = (await db.execute(_locking(item.repair))).one().state
            row = await locked_case(db, item.case_no)
            if state != RepairState.EXECUTING:
                raise NotToBegin
            await _check_is_only_one(db, item)
            # What this repair did to another task of the case is no news.
            if await _last_but_ours(db, item) != plan.head or plan.knows_other_processes(standing):
                raise StalePlan(item.case_no)
            before = canonical(_STANDING.dump_python(standing, mode="json"))
            taken = await db.execute(
                _item(item)
                .where(repair_items.c.state == ItemState.PLANNED)
                .values(state=ItemState.EXECUTING, before=before, begun_at=at)
            )
            if taken.rowcount != 1:
                raise NotToBegin
            await append(
                db,
                Head.of(row),
                at=at,
                kind="repair_begun",
                by=repair.executed_by or "",
                task_id=plan.target.task_id if _is_task(plan.target) else None,
                once=item.name,
                body={
                    "repair": repair.number,
                    "position": item.position,
                    "kind": repair.kind.value,
                    "planned_by": repair.planned_by,
                    "approved_by": repair.approved_by,
                    "reason_sha256": digest(repair.reason),
                    "plan_sha256": digest(canonical(plan.model_dump(mode="json"))),
                },
            )
        return replace(item, state=ItemState.EXECUTING, before=standing, begun_at=at)

    async def give_back(self, item: ItemRecord) -> None:
        """Let somebody else take up an item at once."""
        await self.keep(item, None)

    async def keep(self, item: ItemRecord, until: datetime | None) -> None:
        """Keep an item in hand until then (engine's instant)."""
        async with writing(self._engine) as db:
            await db.execute(_item(item).values(claimed_until=until))

    async def end(
        self,
        item: ItemRecord,
        repair: RepairRecord,
        state: ItemState,
        *,
        at: datetime,
        report: Report | None = None,
        problem: Wording | None = None,
    ) -> None:
        """Put on file what came of a case, on its record as well if anything was begun.

        An item that was cancelled, or ended, meanwhile stays as it is.
        """
        async with writing(self._engine) as db:
            await db.execute(_locking(repair.number))
            row = await locked_case(db, item.case_no)
            shown = report and canonical(report.model_dump(mode="json"))
            ended = await db.execute(
                _item(item)
                .where(repair_items.c.state.in_((ItemState.PLANNED, ItemState.EXECUTING)))
                .values(
                    state=state,
                    report=shown,
                    problem=problem and canonical(problem.model_dump(mode="json")),
                    ended_at=at,
                    claimed_until=None,
                )
            )
            if ended.rowcount != 1:
                return
            if item.begun_at is not None:
                await append(
                    db,
                    Head.of(row),
                    at=at,
                    kind="repair_ended",
                    by=repair.executed_by or "",
                    once=f"{item.name}.ended",
                    body={
                        "repair": repair.number,
                        "position": item.position,
                        "state": state.value,
                        "is_as_planned": report is not None and report.is_as_planned,
                        "report_sha256": shown and digest(shown),
                    },
                )
            if await _left(db, repair.number, LEFT) == 0:
                cancelled = await _left(db, repair.number, (ItemState.CANCELLED,)) > 0
                await db.execute(
                    _repair(repair.number).values(
                        state=RepairState.CANCELLED if cancelled else RepairState.DONE, ended_at=at
                    )
                )


# ---------------------------------------------------------------- parts


async def _last_but_ours(db: AsyncConnection, item: ItemRecord) -> int | None:
    """Return the number of the case's last event that this repair did not write."""
    is_ours = sa.func.coalesce(events.c.once, "").startswith(f"repair-{item.repair}.")
    last = sa.select(sa.func.max(events.c.seq)).where(
        events.c.case_no == item.case_no, sa.not_(is_ours)
    )
    found: int | None = await db.scalar(last)
    return found


async def _check_is_only_one(db: AsyncConnection, item: ItemRecord) -> None:
    other = await db.scalar(
        sa.select(sa.func.min(repair_items.c.repair)).where(
            repair_items.c.case_no == item.case_no,
            repair_items.c.repair != item.repair,
            repair_items.c.state == ItemState.EXECUTING,
        )
    )
    if other is not None:
        raise IllegalRepair(
            f"repair {other} of this case is under way; wait for its report, then plan again",
            f"该办件正在执行修复 {other}；请待其完成后重新制定计划",
        )


def _of(number: int) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(repair_items).where(repair_items.c.repair == number)


def _item(item: ItemRecord) -> sa.Update:
    return repair_items.update().where(
        repair_items.c.repair == item.repair, repair_items.c.position == item.position
    )


def _repair(number: int) -> sa.Update:
    return repairs.update().where(repairs.c.number == number)


def _locking(number: int) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(repairs).where(repairs.c.number == number).with_for_update()


async def _earlier(
    db: AsyncConnection, planned_by: str, key: str, asked: str
) -> RepairRecord | None:
    found = await db.execute(
        sa.select(repairs).where(
            repairs.c.planned_by == planned_by, repairs.c.idempotency_key == key
        )
    )
    if (row := found.first()) is None:
        return None
    if row.asked != asked:
        raise IdempotencyConflict(key)
    return RepairRecord.of(row, await _counts(db, row.number))


async def _locked(db: AsyncConnection, number: int) -> RepairRecord:
    await db.execute(_locking(number))
    return await _record(db, number)


async def _record(db: AsyncConnection, number: int) -> RepairRecord:
    row = (await db.execute(sa.select(repairs).where(repairs.c.number == number))).first()
    if row is None:
        raise UnknownRepair(number)
    return RepairRecord.of(row, await _counts(db, number))


async def _counts(db: AsyncConnection, number: int) -> Mapping[ItemState, int]:
    statement = (
        sa.select(repair_items.c.state, sa.func.count().label("items"))
        .where(repair_items.c.repair == number)
        .group_by(repair_items.c.state)
    )
    return {ItemState(row.state): row.items for row in await db.execute(statement)}


async def _left(db: AsyncConnection, number: int, states: Sequence[ItemState]) -> int:
    counts = await _counts(db, number)
    return sum(counts.get(state, 0) for state in states)


def _check(found: RepairRecord, state: RepairState, what: str, zh: str) -> None:
    if found.state is not state:
        raise IllegalRepair(
            f"repair {found.number} is {found.state}, so it cannot be {what}",
            f"修复 {found.number} 当前状态为 {found.state}，不能{zh}",
        )


def _is_task(target: Target) -> bool:
    # A step of a process can be retried as well; the record names tasks only.
    return target.task_id is not None and target.task_id.startswith(f"{target.case_no}.")


def _number(cursor: str) -> int:
    (number,) = cursor_parts(cursor, 1)
    if not number.isdecimal() or len(number) > 9:
        raise bad_cursor()
    return int(number)
