"""The case file's writes: each is one transaction that changes rows and appends the event.

Nothing here decides anything: rules are the domain's, callers pass what they found. Every write is
safe to repeat, because processes are killed between a commit and its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain import naming
from domain.civil_clock import CivilClock
from domain.errors import (
    CaseEnded,
    IdempotencyConflict,
    OutcomeConflict,
    ReplyConflict,
    StaleCalendar,
    TaskClosed,
    UnknownCase,
    UnknownNotice,
)
from domain.identity import normal_phone
from domain.task_events import TaskEvent, holder_of
from domain.working_time import civil_date
from storage.appending import (
    UPDATE_CASE,
    Head,
    append,
    check_open,
    civil_text,
    insert_event,
    lock_case,
    locked_case,
    locked_case_with_task,
    locked_task,
    tell,
)
from storage.chain import GENESIS, Link, canonical, digest
from storage.database import writing
from storage.outbox import Message, deadline_moved, post, withdrawn
from storage.reading import TASKS, CaseRecord, NoticeRecord
from storage.records import (
    AnyRow,
    Move,
    Moves,
    NewTask,
    Notice,
    Reported,
    Result,
    Supervision,
    TaskRecord,
    clock_text,
    figures_text,
    history_text,
    parsed,
)
from storage.tables import actions, applications, events, notices, register, results, tasks

SYSTEM = "onewindow"
"""Who caused an event that nobody outside caused."""


@dataclass(frozen=True, slots=True)
class NewCase:
    """A submission, checked and ready to be put on file.

    Attributes:
        content: the application's body as sent (personal data; stays in the case file).
        policy: id of the policy version the case is pinned to.
        clock: the civil clock the case is pinned to.
        stage: the link (环节) at which the case begins.
        asks_area: whether a person must say if the address is central urban (RB-7.4).
        calendar: number of the calendar that its dates will rest on.
    """

    content: Mapping[str, Any]
    policy: str
    prefix: str
    clock: CivilClock
    stage: str
    asks_area: bool
    submitted_by: str
    submitted_at: datetime
    idempotency_key: str
    calendar: int = 1


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission; `is_new` is false when the same one came before (RB-3.7)."""

    no: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """An outcome on file; `is_new` is false when the same one was given before."""

    task: TaskRecord
    is_new: bool


class CaseFile:
    """Writes to the case file. Reading is `storage.reading`.

    Args:
        systems: the agencies whose systems are told of changes to their tasks. For the others no
            message is written: their inbox shows them.
    """

    def __init__(self, engine: AsyncEngine, systems: Iterable[str] = ()) -> None:
        self.engine = engine
        self._systems = frozenset(systems)

    async def close(self) -> None:
        """Give back every connection."""
        await self.engine.dispose()

    # ------------------------------------------------------------------ intake

    async def submit(self, new: NewCase) -> Submitted:
        """Put a submission on file under its idempotency key and give it its number (RB-3.7).

        Raises:
            IdempotencyConflict: the key was used before, with another body.
        """
        content = canonical(new.content)
        async with writing(self.engine) as db:
            sequence, last_hash = await self._next_number(db)
            earlier = await db.execute(
                sa.select(applications.c.no, applications.c.content).where(
                    applications.c.submitted_by == new.submitted_by,
                    applications.c.idempotency_key == new.idempotency_key,
                )
            )
            if (row := earlier.first()) is not None:
                if row.content != content:
                    raise IdempotencyConflict(new.idempotency_key)
                return Submitted(row.no, is_new=False)
            no = naming.case_no(new.prefix, civil_date(new.submitted_at).year, sequence)
            first = Link(
                case_no=no,
                seq=1,
                at=new.submitted_at,
                kind="submitted",
                by=new.submitted_by,
                task_id=None,
                once=None,
                body=canonical(
                    {
                        "channel": new.content["channel"],
                        "content_sha256": digest(content),
                        "policy": new.policy,
                    }
                ),
                prev_hash=last_hash,
            )
            await db.execute(
                applications.insert().values(
                    no=no,
                    sequence=sequence,
                    policy=new.policy,
                    clock=clock_text(new.clock),
                    channel=new.content["channel"],
                    voltage=new.content["voltage"],
                    supply=new.content["supply"],
                    district=new.content["site"]["district"],
                    applicant_name=new.content["applicant"]["name"],
                    address=new.content["site"]["address"],
                    phone=normal_phone(new.content["applicant"]["phone"]),
                    content=content,
                    submitted_by=new.submitted_by,
                    submitted_at=new.submitted_at,
                    idempotency_key=new.idempotency_key,
                    stage=new.stage,
                    state="open",
                    asks_area=new.asks_area,
                    process_started=False,
                    calendar=new.calendar,
                    calendar_told=new.calendar,
                    head_seq=1,
                    head_hash=first.hash,
                )
            )
            await insert_event(db, first)
            await db.execute(register.update().values(last_sequence=sequence, last_hash=first.hash))
        return Submitted(no, is_new=True)

    async def _next_number(self, db: AsyncConnection) -> tuple[int, str]:
        # Taking the register's row serialises intake: a number is given once, and the same key
        # sent twice at the same moment is seen by whoever comes second.
        insert = (sqlite if db.dialect.name == "sqlite" else postgresql).insert
        await db.execute(
            insert(register)
            .values(id=1, last_sequence=0, last_hash=GENESIS)
            .on_conflict_do_nothing()
        )
        row = (await db.execute(sa.select(register).with_for_update())).one()
        return row.last_sequence + 1, row.last_hash

    async def processes_started(self, numbers: Sequence[str]) -> None:
        """Note that these cases have a process; bookkeeping of delivery, not part of the record."""
        async with writing(self.engine) as db:
            await db.execute(
                applications.update()
                .where(applications.c.no.in_(numbers))
                .values(process_started=True)
            )

    # ------------------------------------------------------------------ tasks

    async def open_task(self, new: NewTask) -> TaskRecord:
        """Put a task on file as owed, unless it is already; return it as it stands.

        Raises:
            UnknownCase: there is no such case.
            CaseEnded: the case is closed; nothing can be owed to it.
            StaleCalendar: the deadline rests on an older calendar than the case by now.
        """
        no, task_id = new.name.case_no, str(new.name)
        async with writing(self.engine) as db:
            row = await locked_case_with_task(db, no, task_id)
            if row.id is not None:
                return TaskRecord.of(row)
            if row.case_state != "open":
                raise CaseEnded(no, row.case_ending)
            if row.case_calendar > new.calendar:
                raise StaleCalendar(no, new.calendar, row.case_calendar)
            values = new.columns()
            await db.execute(_INSERT_TASK, values)
            await append(
                db,
                Head.of(row),
                at=new.opened_at,
                kind="task_opened",
                by=SYSTEM,
                task_id=task_id,
                body={
                    "owed_by": new.owed_by,
                    "due_on": new.due_on and new.due_on.isoformat(),
                    "is_provisional": new.is_provisional,
                    "calendar": new.calendar_version,
                },
                stage=new.link,
                reached=new.name.kind,
            )
            return TaskRecord.opened(values, row)

    async def decide(
        self, task_id: str, outcome: Mapping[str, Any], *, by: str, at: datetime
    ) -> Decided:
        """Put an outcome on file that was checked before; otherwise as `judge`.

        Args:
            at: civil instant of receipt.
        """
        return await self.judge(task_id, outcome, by=by, check=lambda _task: at)

    async def judge(
        self,
        task_id: str,
        outcome: Mapping[str, Any],
        *,
        by: str,
        check: Callable[[TaskRecord], datetime],
        through: str | None = None,
    ) -> Decided:
        """Put an outcome on file, once per task (RB-4.5: a late one is taken, and marked late).

        Args:
            outcome: the body as received.
            by: the agency that decided.
            through: which way an applicant's answer came; None: by a key, or an account.
            check: looks at the task as it stands and returns the civil instant of receipt; what it
                raises leaves the file as it was.

        Raises:
            UnknownTask: there is no such task.
            OutcomeConflict: the task already has another outcome.
            TaskClosed: the task was closed without one.
        """
        body = canonical(outcome)
        async with writing(self.engine) as db:
            row = await locked_task(db, task_id)
            at = check(TaskRecord.of(row))
            if row.state == "closed":
                raise TaskClosed(task_id, row.closed_by, civil_text(row.done_at))
            if row.state == "done":
                if row.outcome != body:
                    raise OutcomeConflict(task_id, civil_text(row.done_at))
                return Decided(TaskRecord.of(row), is_new=False)
            changes = {
                "state": "done",
                "outcome": body,
                "done_at": at,
                "is_late": row.due_on is not None and civil_date(at) > row.due_on,
                "decided_by": by,
                **_TAKEN,
            }
            await db.execute(_UPDATE_TASK, {"which": task_id, **changes})
            await append(
                db,
                Head.of(row),
                at=at,
                kind="task_decided",
                by=by,
                task_id=task_id,
                body={
                    "code": outcome["code"],
                    "is_late": changes["is_late"],
                    "outcome_sha256": digest(body),
                    **({"through": through} if through else {}),
                },
                **({"route": canonical(outcome["route"])} if outcome.get("route") else {}),
            )
            return Decided(TaskRecord.of(row, changes), is_new=True)

    async def outcomes_delivered(self, task_ids: Sequence[str]) -> None:
        """Note that the process has these outcomes; bookkeeping, not part of the record."""
        async with writing(self.engine) as db:
            await db.execute(tasks.update().where(tasks.c.id.in_(task_ids)).values(delivered=True))

    async def push_refused(self, task_id: str, problem: str, *, at: datetime) -> None:
        """Note that an agency's system refuses a task, so that a person looks at it (RB-12.1).

        The same problem again is not noted again.

        Raises:
            UnknownTask: there is no such task.
        """
        async with writing(self.engine) as db:
            row = await locked_task(db, task_id)
            if row.state != "open" or row.push_problem == problem:
                return
            changes = {
                "push_problem": problem,
                "push_failure": None,
                "push_failing_since": row.push_failing_since or at,
            }
            await db.execute(_UPDATE_TASK, {"which": task_id, **changes})
            await append(
                db,
                Head.of(row),
                at=at,
                kind="push_refused",
                by=row.owed_by,
                task_id=task_id,
                body={"problem": problem},
            )

    async def push_unanswered(self, task_id: str, problem: str, *, at: datetime) -> None:
        """Note that an agency's system does not answer; not part of the record.

        Args:
            at: civil instant; the first one stays.

        Raises:
            UnknownTask: there is no such task.
        """
        async with writing(self.engine) as db:
            row = await locked_task(db, task_id)
            since = row.push_failing_since or at
            changes = {"push_failure": problem, "push_failing_since": since}
            await db.execute(_UPDATE_TASK, {"which": task_id, **changes})

    async def push_taken(self, task_id: str) -> None:
        """Note that an agency's system takes a task again; not part of the record."""
        async with writing(self.engine) as db:
            await db.execute(_UPDATE_TASK, {"which": task_id, **_TAKEN})

    async def report(
        self,
        task_id: str,
        said: Callable[[TaskRecord], TaskEvent],
        judged: Callable[[TaskRecord, TaskEvent], Reported | None],
        *,
        calendar: int,
    ) -> TaskRecord:
        """Put on file what an agency reports of a task that is not decided yet (RB-4.6).

        The event, the new deadline and the notice are one transaction. The same report under the
        same key changes nothing.

        Args:
            said: makes the event of what was sent.
            judged: checks it against the task as it stands; what it raises leaves the file as it
                was, and so does None: it says nothing new.
            calendar: number of the calendar that the new deadline rests on.

        Raises:
            UnknownTask: there is no such task.
            IdempotencyConflict: the key was used for another report of this task.
            TaskClosed: the task is decided, or was closed.
            StaleCalendar: the case's other dates rest on a newer calendar by now.
        """
        async with writing(self.engine) as db:
            row = await locked_task(db, task_id)
            task = TaskRecord.of(row)
            event = said(task)
            for earlier in task.history:
                if earlier.key == event.key:
                    if not earlier.is_same_report(event):
                        raise IdempotencyConflict(event.key)
                    return task
            if row.case_calendar > calendar:
                raise StaleCalendar(task.case_no, calendar, row.case_calendar)
            found = judged(task, event)
            if found is None:
                return task
            check_open(row)
            reported = (*task.history, event)
            history = history_text(reported)
            changes = {
                "history": history,
                "held_by": holder_of(reported),
                "due_on": found.due_on,
                "is_provisional": found.is_provisional,
                "calendar_version": found.calendar_version,
                "changes": task.changes + found.moves_clock,
            }
            await db.execute(_UPDATE_TASK, {"which": task_id, **changes})
            number = len(task.history) + 1
            notice_id = f"report.{task_id}.{number}"
            await append(
                db,
                Head.of(row),
                at=event.at,
                kind="task_reported",
                by=event.by,
                task_id=task_id,
                once=notice_id,
                body={
                    "type": event.kind,
                    "history_sha256": digest(history),
                    "due_on": found.due_on and found.due_on.isoformat(),
                    "calendar": found.calendar_version,
                    "is_told": found.notice is not None,
                },
            )
            if found.notice is not None:
                await tell(db, notice_id, row, found.notice, at=event.at, task_id=task_id)
            if found.due_on is not None and found.due_on != task.due_on:
                resumed = deadline_moved(
                    notice_id,
                    task_id,
                    task.owed_by,
                    (task.due_on, found.due_on),
                    is_provisional=found.is_provisional,
                    calendar=found.calendar_version,
                    is_resumed=True,
                )
                await self._post(db, task.case_no, [resumed], at=event.at)
            return TaskRecord.of(row, changes)

    async def changes_told(self, told: Mapping[str, int]) -> None:
        """Note how many changes of these tasks their processes know; not part of the record.

        Args:
            told: how many, by task id.
        """
        async with writing(self.engine) as db:
            for task_id, changes in told.items():
                await db.execute(_UPDATE_TASK, {"which": task_id, "changes_told": changes})

    # ------------------------------------------------------------------ the case

    async def accept(
        self, no: str, *, at: datetime, is_deemed: bool, investment: Mapping[str, Any]
    ) -> None:
        """Note acceptance and who invests (RB-7.3). A closed or accepted case stays as it is.

        Args:
            at: from when the clocks run.
            is_deemed: whether it is accepted for want of a notice in time (RB-3.5).
        """
        async with writing(self.engine) as db:
            row = await locked_case(db, no)
            if row.accepted_at is not None or row.case_state != "open":
                return
            await append(
                db,
                Head.of(row),
                at=at,
                kind="accepted",
                by=SYSTEM,
                body={"is_deemed": is_deemed, **_investment_of(investment)},
                accepted_at=at,
                investment=canonical(investment),
            )

    async def settle_investment(
        self, no: str, *, at: datetime, investment: Mapping[str, Any]
    ) -> None:
        """Note who invests, where it was left open at acceptance (RB-7.4). Safe to repeat."""
        async with writing(self.engine) as db:
            row = await locked_case(db, no)
            if parsed(row.investment)["decision"] == "needs_person":
                await append(
                    db,
                    Head.of(row),
                    at=at,
                    kind="investment_decided",
                    by=SYSTEM,
                    body=_investment_of(investment),
                    investment=canonical(investment),
                )

    async def note(
        self,
        no: str,
        kind: str,
        body: Mapping[str, Any],
        *,
        at: datetime,
        once: str,
        stopped: Sequence[Result] = (),
        told: Sequence[Notice] = (),
        messages: Sequence[Message] = (),
    ) -> None:
        """Append an event that changes no row, at most once per `once` in this case.

        Args:
            stopped: what the clocks that stop with it came to.
            told: who is told of it; at most once each.
            messages: what agencies' systems are told of it.

        Raises:
            StaleCalendar: they were read with an older calendar than the case rests on by now.
        """
        async with writing(self.engine) as db:
            row = await locked_case(db, no)
            found = await db.execute(
                sa.select(events.c.seq).where(events.c.case_no == no, events.c.once == once)
            )
            if found.first() is None:
                came_to = await _keep_results(db, row, stopped)
                ids = [f"{once}.{no}.{each.recipient}" for each in told]
                for notice_id, each in zip(ids, told, strict=True):
                    await tell(db, notice_id, row, each, at=at)
                await self._post(db, no, messages, at=at)
                await append(
                    db,
                    Head.of(row),
                    at=at,
                    kind=kind,
                    by=SYSTEM,
                    body={**body, **came_to, **({"told": ids} if ids else {})},
                    once=once,
                )

    async def ask_action(
        self,
        action_id: str,
        no: str,
        action: str,
        reason: str,
        *,
        by: str,
        at: datetime,
        through: str | None = None,
    ) -> None:
        """Keep what somebody asked for, before the process is told. Safe to repeat.

        Args:
            through: which way an applicant's wish came; None: by a key, or an account.

        Raises:
            UnknownCase: there is no such case.
            IdempotencyConflict: the id stands for something else.
        """
        async with writing(self.engine) as db:
            await locked_case(db, no)
            found = await db.execute(sa.select(actions).where(actions.c.id == action_id))
            if (row := found.first()) is not None:
                if (row.case_no, row.action, row.reason, row.by) != (no, action, reason, by):
                    raise IdempotencyConflict(action_id)
                return
            await db.execute(
                actions.insert().values(
                    id=action_id,
                    case_no=no,
                    action=action,
                    reason=reason,
                    by=by,
                    asked_at=at,
                    through=through,
                )
            )

    async def end(
        self,
        no: str,
        ending: str,
        *,
        at: datetime,
        action_id: str | None,
        stopped: Sequence[Result] = (),
    ) -> None:
        """Close the case under the name of its ending, and every task still open with it.

        Repeating it changes nothing.

        Args:
            action_id: the action that ended it; None when the story ended by itself.
            stopped: what the clocks that stop with it came to.

        Raises:
            StaleCalendar: they were read with an older calendar than the case rests on by now.
        """
        async with writing(self.engine) as db:
            row = await locked_case(db, no)
            if row.case_state == "ended":
                return
            still_open = sa.and_(tasks.c.case_no == no, tasks.c.state == "open")
            found = await db.execute(sa.select(*_OWED).where(still_open))
            left = sorted(found.all(), key=lambda task: str(task.id))
            if left:
                await db.execute(
                    tasks.update()
                    .where(still_open)
                    .values(state="closed", closed_by=ending, done_at=at)
                )
                told = [withdrawn(task.id, task.owed_by, task.due_on, ending) for task in left]
                await self._post(db, no, told, at=at)
            by: str = SYSTEM
            body: dict[str, Any] = {"ending": ending, "closed_tasks": [task.id for task in left]}
            body |= await _keep_results(db, row, stopped)
            if action_id is not None:
                action = (
                    await db.execute(sa.select(actions).where(actions.c.id == action_id))
                ).one()
                by = action.by
                body |= {"action": action_id, "reason_sha256": digest(action.reason)}
                body |= {"through": action.through} if action.through else {}
                await db.execute(
                    actions.update().where(actions.c.id == action_id).values(taken_at=at)
                )
            await append(
                db,
                Head.of(row),
                at=at,
                kind="ended",
                by=by,
                body=body,
                state="ended",
                ending=ending,
                ended_at=at,
            )

    async def recalculate(
        self,
        no: str,
        calendar: int,
        moves: Callable[[CaseRecord, Sequence[TaskRecord]], Moves],
        *,
        at: datetime,
    ) -> Moves | None:
        """Rest an open case's dates on a newer calendar (RB-1.7); None if they do already.

        What moves goes on record, and whoever owes a task or handed in the case is told, in the
        same transaction.

        Args:
            calendar: number of that calendar.
            moves: says what it changes, from the case and its open tasks as they stand.

        Raises:
            UnknownCase: there is no such case.
        """
        async with writing(self.engine) as db:
            await lock_case(db, no)
            row = (await db.execute(_WHOLE_CASE, {"no": no})).first()
            if row is None:
                raise UnknownCase(no)
            if row.state != "open" or row.calendar >= calendar:
                return None
            rows = await db.execute(TASKS.where(tasks.c.case_no == no))
            found = moves(CaseRecord.of(row), [TaskRecord.of(each) for each in rows])
            rests_on: dict[str, Any] = {"calendar": calendar}
            if not found.tasks and not found.clocks:
                # Nothing changes for this case, so nothing is on its record either. Before it is
                # accepted, its process waits for a date that no task has (RB-3.5), and is told.
                told = {} if row.accepted_at is None else {"calendar_told": calendar}
                await db.execute(UPDATE_CASE, {"which": no, **rests_on, **told})
                return found
            for move in found.tasks:
                await db.execute(
                    _UPDATE_TASK,
                    {
                        "which": move.task.id,
                        "due_on": move.due_on,
                        "is_provisional": move.is_provisional,
                        "calendar_version": found.version,
                    },
                )
                await db.execute(
                    notices.insert().values(
                        id=f"calendar.{calendar}.{move.task.id}",
                        case_no=no,
                        task_id=move.task.id,
                        kind="deadline_moved",
                        recipient=move.task.owed_by,
                        sent_at=at,
                        body=canonical({**_moved(move), "calendar": found.version}),
                    )
                )
            await self._post(db, no, _told(found, calendar), at=at)
            if found.clocks:
                await db.execute(
                    notices.insert().values(
                        id=f"calendar.{calendar}.{no}",
                        case_no=no,
                        task_id=None,
                        kind="promise_moved",
                        recipient=row.submitted_by,
                        sent_at=at,
                        body=canonical({"clocks": _moved_clocks(found), "calendar": found.version}),
                    )
                )
            await append(
                db,
                Head.of(row),
                at=at,
                kind="calendar_changed",
                by=SYSTEM,
                once=f"calendar.{calendar}",
                body={
                    "calendar": found.version,
                    "tasks": {move.task.id: _moved(move) for move in found.tasks},
                    "clocks": _moved_clocks(found),
                },
                **rests_on,
            )
            return found

    async def processes_told(self, told: Mapping[str, int]) -> None:
        """Note which calendar these cases' processes know of; bookkeeping, not part of the record.

        Args:
            told: number of the calendar, by case number.
        """
        async with writing(self.engine) as db:
            for no, calendar in told.items():
                await db.execute(UPDATE_CASE, {"which": no, "calendar_told": calendar})

    async def supervise(
        self,
        no: str,
        due: Callable[[CaseRecord, Sequence[TaskRecord]], Sequence[Supervision]],
        *,
        at: datetime,
    ) -> int:
        """Send the supervision notices that are due, each once per cause (RB-5.4).

        Args:
            due: says which are, from the case and its tasks as they stand.
            at: civil instant.

        Returns:
            How many were sent now.

        Raises:
            UnknownCase: there is no such case.
        """
        async with writing(self.engine) as db:
            await lock_case(db, no)
            row = (await db.execute(_WHOLE_CASE, {"no": no})).first()
            if row is None:
                raise UnknownCase(no)
            if row.state != "open":
                return 0
            rows = await db.execute(TASKS.where(tasks.c.case_no == no))
            wanted = due(CaseRecord.of(row), [TaskRecord.of(each) for each in rows])
            sent = set(await db.scalars(sa.select(notices.c.id).where(notices.c.case_no == no)))
            head = Head.of(row)
            new = [each for each in wanted if each.cause not in sent]
            for each in new:
                await db.execute(
                    notices.insert().values(
                        id=each.cause,
                        case_no=no,
                        task_id=each.task_id,
                        kind="supervision",
                        recipient=each.recipient,
                        sent_at=at,
                        body=canonical(each.body),
                        reply_by=each.reply_by,
                    )
                )
                head = await append(
                    db,
                    head,
                    at=at,
                    kind="supervision_sent",
                    by=SYSTEM,
                    task_id=each.task_id,
                    once=each.cause,
                    body={
                        "about": each.about,
                        "step": each.step,
                        "recipient": each.recipient,
                        "reply_by": each.reply_by.isoformat(),
                        "due_on": each.due_on and each.due_on.isoformat(),
                    },
                )
            return len(new)

    async def acknowledge(
        self,
        notice_id: str,
        *,
        by: str,
        at: datetime,
        reply: str | None = None,
        account: str | None = None,
    ) -> NoticeRecord:
        """Note that the recipient has seen a notice, and what it replies; once each.

        Args:
            account: which of the recipient's it was, if one of the console's.

        Raises:
            UnknownNotice: there is none with this id for this agency.
            ReplyConflict: another reply was given before.
        """
        async with writing(self.engine) as db:
            found = await db.execute(sa.select(notices).where(notices.c.id == notice_id))
            row = found.first()
            if row is None or row.recipient != by:
                raise UnknownNotice(notice_id)
            case = await locked_case(db, row.case_no)
            # Another answer may have come while this one waited for the case.
            row = (await db.execute(sa.select(notices).where(notices.c.id == notice_id))).one()
            changes: dict[str, Any] = {}
            head = Head.of(case)
            told = {"notice": notice_id, **({"account": account} if account else {})}
            if row.acknowledged_at is None:
                changes |= {"acknowledged_at": at, "acknowledged_by": by}
                head = await append(
                    db,
                    head,
                    at=at,
                    kind="notice_acknowledged",
                    by=by,
                    task_id=row.task_id,
                    body=told,
                )
            if reply is not None and row.reply not in (None, reply):
                raise ReplyConflict(f"notice {notice_id}")
            if reply is not None and row.reply is None:
                changes |= {"reply": reply, "replied_at": at}
                await append(
                    db,
                    head,
                    at=at,
                    kind="notice_replied",
                    by=by,
                    task_id=row.task_id,
                    body={**told, "reply_sha256": digest(reply)},
                )
            if changes:
                await db.execute(
                    notices.update().where(notices.c.id == notice_id).values(**changes)
                )
            return NoticeRecord.of(
                (await db.execute(sa.select(notices).where(notices.c.id == notice_id))).one()
            )

    async def _post(
        self, db: AsyncConnection, no: str, told: Iterable[Message], *, at: datetime
    ) -> None:
        """Have the systems of agencies told, of those that have one."""
        await post(db, no, [each for each in told if each.agency in self._systems], at=at)


def _investment_of(investment: Mapping[str, Any]) -> dict[str, object]:
    """What the record holds of a decision on investment: itself, and the digest of its reasons."""
    return {
        "investment": investment["decision"],
        "investment_sha256": digest(canonical(investment)),
    }


def _moved(move: Move) -> dict[str, object]:
    return {
        "old": move.task.due_on and move.task.due_on.isoformat(),
        "new": move.due_on.isoformat(),
        "was_provisional": move.task.is_provisional,
        "is_provisional": move.is_provisional,
    }


def _told(found: Moves, calendar: int) -> Iterator[Message]:
    for move in found.tasks:
        yield deadline_moved(
            f"calendar.{calendar}.{move.task.id}",
            move.task.id,
            move.task.owed_by,
            (move.task.due_on, move.due_on),
            is_provisional=move.is_provisional,
            calendar=found.version,
            is_resumed=False,
        )


def _moved_clocks(found: Moves) -> dict[str, dict[str, object]]:
    return {
        clock: {
            "old": move.old.due_on.isoformat(),
            "new": move.new.due_on.isoformat(),
            "was_provisional": move.old.is_provisional,
            "is_provisional": move.new.is_provisional,
        }
        for clock, move in found.clocks.items()
    }


_TAKEN: Mapping[str, None] = MappingProxyType(
    {"push_problem": None, "push_failure": None, "push_failing_since": None}
)
"""The columns of a task whose push was taken, or is no longer needed."""

_OWED = (tasks.c.id, tasks.c.owed_by, tasks.c.due_on)


# Statements that run for every task are built once: building costs more than running them.
_INSERT_TASK = tasks.insert()
_UPDATE_TASK = tasks.update().where(tasks.c.id == sa.bindparam("which"))
_WHOLE_CASE = sa.select(applications).where(applications.c.no == sa.bindparam("no"))


async def _keep_results(
    db: AsyncConnection, row: AnyRow, stopped: Sequence[Result]
) -> dict[str, Any]:
    """Write down what clocks came to; return what the event that stops them says of it."""
    for result in stopped:
        if result.calendar != row.case_calendar:
            raise StaleCalendar(row.no, result.calendar, row.case_calendar)
        await db.execute(
            results.insert().values(
                case_no=row.no,
                clock=result.clock,
                round=result.round,
                district=row.district,
                **result.figures(),
            )
        )
    if not stopped:
        return {}
    return {"clocks": {result.clock: figures_text(result.figures()) for result in stopped}}
