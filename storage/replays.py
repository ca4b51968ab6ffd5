"""Replays on file: which cases were asked for, who works on them, what came of each (RB-12.2).

Bookkeeping of what administrators look into. No case is changed by it, so no record says of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import IdempotencyConflict, UnknownReplay
from storage.chain import canonical
from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.database import snapshot, writing
from storage.reading import CaseFilter, Page
from storage.records import AnyRow, parsed
from storage.tables import applications, replay_cases, replays, tasks

State = Literal["running", "done", "failed", "stopped"]
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """A replay as it stands on file.

    Attributes:
        asked_at, ended_at: civil instants.
        scope: as it was asked for.
        problem: why it failed, in both languages; None unless it did.
        total, done: cases, and how many of them have their result.
        processes: histories replayed.
    """

    id: int
    asked_by: str
    asked_at: datetime
    scope: Mapping[str, Any]
    state: State
    problem: Mapping[str, str] | None
    stopped_by: str | None
    ended_at: datetime | None
    total: int
    done: int
    carried: int
    not_carried: int
    not_found: int
    processes: int

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """Read a row of `_WITH_COUNTS`."""
        values = dict(row._mapping)
        return cls(
            **{**values, "scope": parsed(row.scope), "problem": row.problem and parsed(row.problem)}
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A replay on file; `is_new` is false when it was asked for before under the same key."""

    replay: ReplayRecord
    is_new: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """A replay that somebody works on.

    Attributes:
        claim: what whoever works on it is known by.
    """

    id: int
    claim: str


@dataclass(frozen=True, slots=True)
class CaseToReplay:
    """A case without a result yet.

    Attributes:
        workflow_ids: of the processes that the file knows to have owed something for it.
    """

    position: int
    no: str
    workflow_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseSettled:
    """What came of a case.

    Attributes:
        findings: of its processes that cannot be carried, ready to be shown.
    """

    position: int
    result: str
    processes: int
    findings: Sequence[Mapping[str, Any]]


class Replays:
    """Replays on file. Instants of claims are the engine's, all others civil."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def ask(
        self,
        scope: Mapping[str, Any],
        cases: Sequence[str] | CaseFilter,
        *,
        by: str,
        key: str,
        at: datetime,
    ) -> Asked:
        """Put a replay on file, once per key; a filter's cases are those of this moment.

        Raises:
            IdempotencyConflict: the key was used for another scope.
        """
        async with writing(self._engine) as db:
            found = await db.execute(
                sa.select(replays.c.id, replays.c.scope).where(
                    replays.c.asked_by == by, replays.c.idempotency_key == key
                )
            )
            before = found.first()
            if before is not None:
                if before.scope != canonical(scope):
                    raise IdempotencyConflict(key)
                return Asked(await _one(db, before.id), is_new=False)
            values = {
                "asked_by": by,
                "idempotency_key": key,
                "asked_at": at,
                "scope": canonical(scope),
                "state": "running",
                "attempts": 0,
            }
            new = await db.execute(replays.insert().values(**values).returning(replays.c.id))
            number = new.scalar_one()
            await _put_cases(db, number, cases)
            return Asked(await _one(db, number), is_new=True)

    async def one(self, number: int) -> ReplayRecord:
        """Return a replay.

        Raises:
            UnknownReplay: there is no such replay.
        """
        async with self._engine.connect() as db:
            return await _one(db, number)

    async def all(self, *, limit: int, cursor: str | None) -> Page[ReplayRecord]:
        """Return replays, newest first.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        statement = _WITH_COUNTS.order_by(replays.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            statement = statement.where(replays.c.id < _number(cursor))
        async with self._engine.connect() as db:
            rows = (await db.execute(statement)).all()
        shown = tuple(map(ReplayRecord.of, rows[:limit]))
        return Page(shown, cursor_of(shown[-1].id) if len(rows) > limit else None)

    async def findings(
        self, number: int, *, limit: int, cursor: str | None
    ) -> Page[Mapping[str, Any]]:
        """Return what cannot be carried, in the order of the cases; a page is of whole cases.

        Raises:
            InputRefused: the cursor is not one that was given out.
        """
        statement = (
            sa.select(replay_cases.c.position, replay_cases.c.findings)
            .where(replay_cases.c.replay_id == number, _NOT_CARRIED)
            .order_by(replay_cases.c.position)
            .limit(limit + 1)
        )
        if cursor is not None:
            statement = statement.where(replay_cases.c.position > _number(cursor))
        async with self._engine.connect() as db:
            rows = (await db.execute(statement)).all()
        shown = tuple(each for row in rows[:limit] for each in parsed(row.findings))
        last = rows[:limit][-1].position if rows else 0
        return Page(shown, cursor_of(last) if len(rows) > limit else None)

    async def stop(self, number: int, *, by: str, at: datetime) -> ReplayRecord:
        """Stop a replay that runs; one that has ended is left as it is.

        Raises:
            UnknownReplay: there is no such replay.
        """
        async with writing(self._engine) as db:
            await db.execute(
                replays.update()
                .where(replays.c.id == number, _RUNNING)
                .values(state="stopped", stopped_by=by, ended_at=at, **_FREE)
            )
            return await _one(db, number)

    # ------------------------------------------------------------------ for whoever works on them

    async def is_any_free(self, now: datetime) -> bool:
        """Whether there is a replay that nobody works on; asked often, so nothing is locked."""
        statement = sa.select(replays.c.id).where(_RUNNING, _is_free(now)).limit(1)
        async with self._engine.connect() as db:
            return await db.scalar(statement) is not None

    async def claim(self, claim: str, *, now: datetime, until: datetime) -> Claimed | None:
        """Take the oldest replay that nobody works on; nobody else does before `until`.

        One that was taken up too often by somebody who then ended is left to `give_up`.
        """
        async with writing(self._engine) as db:
            free = (
                sa.select(replays.c.id)
                .where(_RUNNING, _is_free(now), replays.c.attempts < MOST_ATTEMPTS)
                .order_by(replays.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            number = await db.scalar(free)
            if number is None:
                return None
            await db.execute(
                replays.update()
                .where(replays.c.id == number)
                .values(claim=claim, claimed_until=until, attempts=replays.c.attempts + 1)
            )
            return Claimed(number, claim)

    async def left(self, number: int) -> tuple[CaseToReplay, ...]:
        """Return the cases of a replay that have no result yet, in their order."""
        cases = (
            sa.select(replay_cases.c.position, replay_cases.c.case_no)
            .where(replay_cases.c.replay_id == number, _LEFT)
            .order_by(replay_cases.c.position)
        )
        known = (
            sa.select(tasks.c.case_no, tasks.c.workflow_id)
            .where(
                tasks.c.case_no.in_(
                    sa.select(replay_cases.c.case_no).where(
                        replay_cases.c.replay_id == number, _LEFT
                    )
                )
            )
            .distinct()
            .order_by(tasks.c.case_no, tasks.c.workflow_id)
        )
        of_case: dict[str, list[str]] = {}
        async with snapshot(self._engine) as db:
            for row in await db.execute(known):
                of_case.setdefault(row.case_no, []).append(row.workflow_id)
            return tuple(
                CaseToReplay(row.position, row.case_no, tuple(of_case.get(row.case_no, ())))
                for row in await db.execute(cases)
            )

    async def settle(
        self, claimed: Claimed, settled: Sequence[CaseSettled], *, until: datetime
    ) -> bool:
        """Note what came of cases, and go on until `until`.

        Returns:
            False if it was stopped, or is somebody else's by now: then nothing is noted.
        """
        async with writing(self._engine) as db:
            kept = await db.execute(
                replays.update()
                .where(replays.c.id == claimed.id, replays.c.claim == claimed.claim, _RUNNING)
                .values(claimed_until=until)
            )
            if kept.rowcount == 0:
                return False
            for each in settled:
                await db.execute(
                    replay_cases.update()
                    .where(
                        replay_cases.c.replay_id == claimed.id,
                        replay_cases.c.position == each.position,
                    )
                    .values(
                        result=each.result,
                        processes=each.processes,
                        findings=canonical(list(each.findings)) if each.findings else None,
                    )
                )
            return True

    async def end(
        self, claimed: Claimed, *, at: datetime, problem: Mapping[str, str] | None = None
    ) -> None:
        """Note that a replay is done or, with a problem, has failed."""
        async with writing(self._engine) as db:
            await db.execute(
                replays.update()
                .where(replays.c.id == claimed.id, replays.c.claim == claimed.claim, _RUNNING)
                .values(
                    state="done" if problem is None else "failed",
                    problem=None if problem is None else canonical(problem),
                    ended_at=at,
                    **_FREE,
                )
            )

    async def release(self, claimed: Claimed) -> None:
        """Leave a replay to whoever comes next, as if it had not been taken up."""
        async with writing(self._engine) as db:
            await db.execute(
                replays.update()
                .where(replays.c.id == claimed.id, replays.c.claim == claimed.claim, _RUNNING)
                .values(attempts=replays.c.attempts - 1, **_FREE)
            )

    async def give_up(self, problem: Mapping[str, str], *, now: datetime, at: datetime) -> int:
        """Have those fail that were taken up too often, each time by somebody who then ended.

        Returns:
            How many there were.
        """
        async with writing(self._engine) as db:
            ended = await db.execute(
                replays.update()
                .where(_RUNNING, _is_free(now), replays.c.attempts >= MOST_ATTEMPTS)
                .values(state="failed", problem=canonical(problem), ended_at=at, **_FREE)
            )
            return ended.rowcount


async def to_replay(
    engine: AsyncEngine, numbers: Sequence[str] | None = None
) -> tuple[CaseToReplay, ...]:
    """Return cases, all open ones unless named, with what the file knows of their processes."""
    cases = sa.select(applications.c.no, tasks.c.workflow_id).select_from(
        applications.outerjoin(tasks)
    )
    if numbers is None:
        cases = cases.where(applications.c.state == "open")
    else:
        cases = cases.where(applications.c.no.in_(numbers))
    found: dict[str, list[str]] = {no: [] for no in numbers or ()}
    async with engine.connect() as db:
        for row in await db.execute(
            cases.distinct().order_by(applications.c.no, tasks.c.workflow_id)
        ):
            found[row.no] = [*found.get(row.no, ()), *filter(None, [row.workflow_id])]
    return tuple(
        CaseToReplay(position, no, tuple(known))
        for position, (no, known) in enumerate(found.items(), 1)
    )


async def open_policies(engine: AsyncEngine) -> Mapping[str, int]:
    """Return how many open cases are pinned to each policy version, by its id."""
    statement = (
        sa.select(applications.c.policy, sa.func.count().label("cases"))
        .where(applications.c.state == "open")
        .group_by(applications.c.policy)
        .order_by(applications.c.policy)
    )
    async with engine.connect() as db:
        return {row.policy: row.cases for row in await db.execute(statement)}


async def _put_cases(db: AsyncConnection, number: int, cases: Sequence[str] | CaseFilter) -> None:
    if isinstance(cases, CaseFilter):
        position = sa.func.row_number().over(order_by=applications.c.sequence)
        wanted = sa.select(sa.literal(number), position, applications.c.no, sa.literal(0)).where(
            *cases.conditions()
        )
        columns = ["replay_id", "position", "case_no", "processes"]
        await db.execute(replay_cases.insert().from_select(columns, wanted))
        return
    values = [
        {"replay_id": number, "position": position, "case_no": no, "processes": 0}
        for position, no in enumerate(cases, 1)
    ]
    if values:
        await db.execute(replay_cases.insert(), values)


async def _one(db: AsyncConnection, number: int) -> ReplayRecord:
    row = (await db.execute(_WITH_COUNTS.where(replays.c.id == number))).first()
    if row is None:
        raise UnknownReplay(number)
    return ReplayRecord.of(row)


def _number(cursor: str) -> int:
    (last,) = cursor_parts(cursor, 1)
    if not (last.isascii() and last.isdigit() and len(last) <= 9):
        raise bad_cursor()
    return int(last)


_FREE: Mapping[str, None] = {"claim": None, "claimed_until": None}
_RUNNING = replays.c.state == sa.literal("running", literal_execute=True)
_LEFT = replay_cases.c.result.is_(None)
_NOT_CARRIED = replay_cases.c.result == sa.literal("not_carried", literal_execute=True)


def _is_free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(replays.c.claimed_until.is_(None), replays.c.claimed_until < now)


def _counted(*where: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    of_replay = replay_cases.c.replay_id == replays.c.id
    return (
        sa.select(sa.func.count()).select_from(replay_cases).where(of_replay, *where)
    ).scalar_subquery()


_WITH_COUNTS = sa.select(
    replays.c.id,
    replays.c.asked_by,
    replays.c.asked_at,
    replays.c.scope,
    replays.c.state,
    replays.c.problem,
    replays.c.stopped_by,
    replays.c.ended_at,
    _counted().label("total"),
    _counted(replay_cases.c.result.is_not(None)).label("done"),
    _counted(replay_cases.c.result == "carried").label("carried"),
    _counted(replay_cases.c.result == "not_carried").label("not_carried"),
    _counted(replay_cases.c.result == "not_found").label("not_found"),
    sa.select(sa.func.coalesce(sa.func.sum(replay_cases.c.processes), 0))
    .where(replay_cases.c.replay_id == replays.c.id)
    .scalar_subquery()
    .label("processes"),
)
