"""A case file with as many cases as a city has in a year, made in some minutes.

A few hundred cases are put on file by the case file's own functions, each another story: low or
high voltage, stopped at every step or at its end, over ten months, on time and late, with
supervision notices and what was replied. The others are copies of them, each under its own number,
with its own applicant, address, telephone number and hour: every text that names the case is
written anew, every digest of such a text and every hash of the chain is computed anew. So
`onewindow verify` passes, and the pages read what they read in service.

Left out: documents, repairs, opinions of others, and processes in the engine.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, time, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from bench.application import APPLICATION
from bench.peer import OUTCOMES
from domain.application import Application
from domain.civil_clock import CivilClock
from domain.connection import TaskKind, Voltage
from domain.identity import normal_phone
from domain.investment import ConnectionFacts, decide_investment
from domain.naming import TaskName, case_no
from domain.permits import required_permits
from domain.policy import Policy
from domain.route import Route
from domain.working_time import CIVIL_ZONE, Calendar, WorkingDays, deadline, elapsed
from policy.calendar import calendar
from policy.loader import policy_for
from settings import Settings
from storage.casefile import CaseFile, NewCase
from storage.chain import GENESIS, Link, canonical, digest
from storage.database import open_engine
from storage.migrate import upgrade
from storage.records import NewTask, Result, Supervision
from storage.tables import (
    actions,
    applications,
    events,
    metadata,
    notices,
    register,
    results,
    tasks,
)

TEMPLATES = 240
ENDED_OF_TEN = 8
"""So many of ten cases have ended, as in a file that is a year old."""
DAYS_BACK = 300
AT_ONCE = 500
SEED = 516

_K = TaskKind
LOW_STORY = (_K.CHECK_PAPERS, _K.SURVEY, _K.FILING, _K.BUILD_LINE, _K.SIGN_CONTRACT, _K.ENERGISE)
HIGH_STORY = (
    *(_K.CHECK_PAPERS, _K.SUPPLY_PLAN, _K.CONFIRM_PLAN, _K.LINE_DESIGN, _K.PERMITS),
    *(_K.BUILD_LINE, _K.CUSTOMER_WORKS, _K.INSPECTION, _K.SIGN_CONTRACT, _K.ENERGISE),
)
_MORE_OUTCOMES: Mapping[str, Mapping[str, Any]] = {
    "survey": {"code": "surveyed", "route": {"segments": []}},
    "filing": {"code": "filed"},
}
_TRADES = ("水产", "饲料", "食品", "建材", "渔网", "冷链", "家具", "印刷", "农机", "药业")
_TABLES = (actions, notices, results, tasks, events)
_LINK = [each.name for each in fields(Link)]


def build(path: Path, cases: int, today: date) -> None:
    """Make a case file of SQLite with `cases` cases, the newest of them of `today`.

    Args:
        path: is not there yet.
    """
    templates = path.with_suffix(".templates")
    for each in (templates, path):
        upgrade(f"sqlite:///{each}")
    asyncio.run(_tell_stories(f"sqlite:///{templates}", min(TEMPLATES, cases), today))
    source, target = (sa.create_engine(f"sqlite:///{each}") for each in (templates, path))
    with source.connect() as read:
        stories = [_Story.of(read, row) for row in read.execute(sa.select(applications)).all()]
    source.dispose()
    for each in path.parent.glob(f"{templates.name}*"):
        each.unlink()
    with target.connect() as write:
        write.exec_driver_sql("PRAGMA synchronous=OFF")
        _copy(write, stories, cases)
        write.exec_driver_sql("ANALYZE")
        write.commit()
        write.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    target.dispose()


# ---------------------------------------------------------------- stories, as they happen


async def _tell_stories(url: str, count: int, today: date) -> None:
    engine = open_engine(url)
    casefile, chance = CaseFile(engine), random.Random(SEED)  # noqa: S311
    policy, days = policy_for(Settings().policy), calendar()
    # Old ones first, as numbers are given; whatever is open is mostly young.
    for number in range(count):
        has_ended = number % 10 < ENDED_OF_TEN
        back = chance.randrange(60, DAYS_BACK) if has_ended else int(chance.triangular(0, 120, 5))
        begun = datetime.combine(today - timedelta(days=back), time(9, 30), CIVIL_ZONE)
        await _Teller(casefile, policy, days, chance, today).tell(number, begun, has_ended)
    await casefile.close()


class _Teller:
    """Puts one case on file, step by step, at the times at which it would have happened."""

    def __init__(
        self,
        casefile: CaseFile,
        policy: Policy,
        days: Calendar,
        chance: random.Random,
        today: date,
    ) -> None:
        self._casefile, self._policy, self._days = casefile, policy, days
        self._chance, self._today = chance, today

    async def tell(self, number: int, begun: datetime, has_ended: bool) -> None:
        voltage = Voltage.HIGH if number % 3 == 0 else Voltage.LOW
        content = self._content(voltage)
        submitted = await self._casefile.submit(
            NewCase(
                content=content,
                policy=self._policy.version_id,
                prefix=self._policy.case_prefix,
                clock=CivilClock(),
                stage="application",
                asks_area=False,
                submitted_by="desk",
                submitted_at=begun,
                idempotency_key=f"template-{number}",
            )
        )
        no, at = submitted.no, begun
        story = HIGH_STORY if voltage is Voltage.HIGH else LOW_STORY
        stop = len(story) if has_ended else self._chance.randrange(len(story))
        for position, kind in enumerate(story):
            departments = self._departments(kind)
            for department, asked in departments:
                await self._owe(no, kind, voltage, department, asked, at)
            if position == stop:
                await self._supervise(no, at)
                return
            opened, at = at, await self._decide(no, kind, departments, at)
            if kind is TaskKind.CHECK_PAPERS:
                await self._accept(no, content, at)
            if kind is TaskKind.PERMITS:
                await self._conclude(no, opened, at)
            if at.date() >= self._today:
                return
        await self._casefile.end(
            no, "connected", at=at, action_id=None, stopped=self._results(voltage, begun, at)
        )

    async def _owe(
        self,
        no: str,
        kind: TaskKind,
        voltage: Voltage,
        department: str | None,
        asked: Mapping[str, Any],
        at: datetime,
    ) -> None:
        rule = self._policy.tasks[kind]
        limit = rule.limit_working_days
        due = deadline(self._days, at.date(), WorkingDays(limit)) if limit else None
        await self._casefile.open_task(
            NewTask(
                name=TaskName(no, kind, 1, department),
                workflow_id=no,
                owed_by=department or rule.owner,
                link=rule.link[voltage],
                segment=rule.segment,
                opened_at=at,
                due_on=due.due_on if due else None,
                is_provisional=bool(due and due.is_provisional),
                calendar_version=self._days.version,
                limit_working_days=limit,
                clause=rule.clause,
                asked=asked,
            )
        )

    async def _decide(
        self,
        no: str,
        kind: TaskKind,
        departments: Sequence[tuple[str | None, Mapping[str, Any]]],
        at: datetime,
    ) -> datetime:
        limit = self._policy.tasks[kind].limit_working_days or 8
        last = at
        for department, asked in departments:
            # One in ten is late.
            taken = limit + self._chance.randrange(1, 5) if self._chance.random() < 0.1 else 0
            taken = taken or self._chance.randrange(1, limit + 1)
            on = deadline(self._days, at.date(), WorkingDays(taken)).due_on
            decided = datetime.combine(on, time(10, self._chance.randrange(60)), CIVIL_ZONE)
            owner = department or self._policy.tasks[kind].owner
            await self._casefile.decide(
                str(TaskName(no, kind, 1, department)), _outcome(kind, asked), by=owner, at=decided
            )
            last = max(last, decided)
        return last

    async def _accept(self, no: str, content: Mapping[str, Any], at: datetime) -> None:
        facts = ConnectionFacts.of(Application.model_validate(content), is_central_urban=True)
        investment = asdict(decide_investment(facts, self._policy, at.date()))
        await self._casefile.accept(no, at=at, is_deemed=False, investment=investment)

    async def _conclude(self, no: str, opened: datetime, at: datetime) -> None:
        await self._casefile.note(
            no,
            "bundle_concluded",
            {"round": 1, "verdict": "approved"},
            at=at,
            once="bundle_concluded.1",
            stopped=[self._result("GOV5", 1, opened, at)],
        )

    async def _supervise(self, no: str, at: datetime) -> None:
        """Send what the ladder would have sent of tasks that are late by today."""

        def due(_case: object, owed: Sequence[Any]) -> list[Supervision]:
            found = []
            for task in owed:
                if task.due_on is None or task.due_on >= self._today or task.state != "open":
                    continue
                late = elapsed(self._days, task.due_on, self._today)
                steps = (("red.0", task.owed_by), ("red.1", "government-services-data"))
                for step, recipient in (*steps, ("red.3", "special-group")):
                    if late >= int(step[-1]):
                        found.append(self._notice(task, step, recipient))
            return found

        sent_at = max(at, datetime.combine(self._today, time(8), CIVIL_ZONE) - timedelta(days=4))
        await self._casefile.supervise(no, due, at=sent_at)

    def _notice(self, task: Any, step: str, recipient: str) -> Supervision:
        return Supervision(
            about=task.id,
            step=step,
            task_id=task.id,
            recipient=recipient,
            due_on=task.due_on,
            reply_by=deadline(self._days, self._today, WorkingDays(1)).due_on,
            body={"step": step, "light": "red", "due_on": task.due_on.isoformat()},
        )

    def _results(self, voltage: Voltage, begun: datetime, at: datetime) -> list[Result]:
        clocks = {Voltage.LOW: ("LV8",), Voltage.HIGH: ("HV40", "INT13")}[voltage]
        return [self._result(clock, 0, begun, at) for clock in clocks]

    def _result(self, clock: str, round_no: int, begun: datetime, at: datetime) -> Result:
        gross = max(1, elapsed(self._days, begun.date(), at.date()))
        limit = self._policy.clocks[clock].limit
        assert limit is not None
        return Result(
            clock=clock,
            round=round_no,
            started_on=begun.date(),
            stopped_on=at.date(),
            gross=gross,
            net=min(gross, self._chance.randrange(3, limit + 3)),
            limit_working_days=limit,
            calendar_version=self._days.version,
        )

    def _departments(self, kind: TaskKind) -> list[tuple[str | None, Mapping[str, Any]]]:
        if kind is not TaskKind.PERMITS:
            return [(None, {"items": []})]
        route = Route.model_validate(OUTCOMES["line_design"]["route"])
        by_agency: dict[str, list[dict[str, Any]]] = {}
        for each in required_permits(route, self._policy, self._today).items:
            by_agency.setdefault(each.agency, []).append(
                {"item": each.item, "basis": each.basis, "segments": list(each.segments)}
            )
        chosen = self._chance.sample(sorted(by_agency), self._chance.randrange(1, 6))
        return [(agency, {"items": by_agency[agency]}) for agency in sorted(chosen)]

    def _content(self, voltage: Voltage) -> dict[str, Any]:
        capacity = 630.0 if voltage is Voltage.HIGH else 60.0
        return {**APPLICATION, "voltage": str(voltage), "capacity_kva": capacity}


def _outcome(kind: TaskKind, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    if kind is TaskKind.PERMITS:
        items = [
            {"item": each["item"], "outcome": "approved", "document_no": "示例许可1号"}
            for each in asked["items"]
        ]
        return {"code": "answered", "items": items}
    return OUTCOMES.get(kind) or _MORE_OUTCOMES[kind]


# ---------------------------------------------------------------- copies


@dataclass(frozen=True)
class _Story:
    """All rows of one case, to be copied."""

    case: Mapping[str, Any]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]

    @classmethod
    def of(cls, db: sa.Connection, case: sa.Row[Any]) -> _Story:
        """Read a case."""
        rows = {
            table.name: [
                dict(row._mapping)
                for row in db.execute(
                    sa.select(table)
                    .where(table.c.case_no == case.no)
                    .order_by(*table.primary_key.columns)
                )
            ]
            for table in _TABLES
        }
        return cls(dict(case._mapping), rows)


@dataclass(frozen=True, slots=True)
class _Copying:
    """What is written anew in the texts and times of one copy."""

    old_no: str
    no: str
    shift: timedelta
    digests: dict[str, str]

    def __call__(self, value: Any) -> Any:
        match value:
            case str():
                renamed = value.replace(self.old_no, self.no)
                for old, new in self.digests.items():
                    renamed = renamed.replace(old, new)
                return renamed
            case datetime():
                return value + self.shift
        return value

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row of the copy."""
        return {name: self(value) for name, value in row.items()}


def _copy(db: sa.Connection, stories: Sequence[_Story], cases: int) -> None:
    chance, first_hash = random.Random(SEED), GENESIS  # noqa: S311  the same file each time
    waiting: dict[str, list[dict[str, Any]]] = {each.name: [] for each in metadata.sorted_tables}
    # By day of submission, as numbers are given.
    stories = sorted(stories, key=lambda each: each.case["submitted_at"])
    for sequence in range(1, cases + 1):
        story = stories[(sequence - 1) * len(stories) // cases]
        copied, first_hash = _copied(story, sequence, first_hash, chance)
        for name, rows in copied:
            waiting[name].extend(rows)
        if sequence % AT_ONCE == 0 or sequence == cases:
            for table in (applications, tasks, events, actions, notices, results):
                if waiting[table.name]:
                    db.execute(table.insert(), waiting[table.name])
                    waiting[table.name].clear()
    db.execute(register.insert().values(id=1, last_sequence=cases, last_hash=first_hash))


def _copied(
    story: _Story, sequence: int, previous_first: str, chance: random.Random
) -> tuple[Iterator[tuple[str, list[dict[str, Any]]]], str]:
    """Return the rows of a copy, and the hash of its first event."""
    case = dict(story.case)
    year = case["submitted_at"].astimezone(CIVIL_ZONE).year
    new_no = case_no(policy_for(case["policy"]).case_prefix, year, sequence)
    shift = timedelta(seconds=chance.randrange(-1800, 1800))
    content = _with_another_applicant(case["content"], sequence, chance)
    copying = _Copying(
        case["no"], new_no, shift, {digest(case["content"]): digest(canonical(content))}
    )
    # Whatever a digest is of may name the case.
    for row in chain.from_iterable(story.rows.values()):
        for value in row.values():
            if isinstance(value, str) and case["no"] in value:
                copying.digests[digest(value)] = digest(copying(value))
    chained, first, head = [], "", previous_first
    for row in story.rows["events"]:
        copied = copying.row(row) | {"prev_hash": head}
        copied["hash"] = head = Link(**{name: copied[name] for name in _LINK}).hash
        first = first or head
        chained.append(copied)
    renewed = copying.row(case) | {
        "sequence": sequence,
        "content": canonical(content),
        "district": content["site"]["district"],
        "address": content["site"]["address"],
        "applicant_name": content["applicant"]["name"],
        "phone": normal_phone(content["applicant"]["phone"]),
        "idempotency_key": f"bench-{sequence}",
        "process_started": True,
        "head_hash": head,
    }
    told = {
        "tasks": {"delivered": True},
        "results": {"district": content["site"]["district"]},
    }

    def rows() -> Iterator[tuple[str, list[dict[str, Any]]]]:
        yield "applications", [renewed]
        yield "events", chained
        for table in ("tasks", "actions", "notices", "results"):
            more = told.get(table, {})
            yield table, [copying.row(each) | more for each in story.rows[table]]

    return rows(), first


def _with_another_applicant(spelled: str, sequence: int, chance: random.Random) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(spelled)
    district = chance.choice(sorted(policy_for(Settings().policy).districts))
    trade = chance.choice(_TRADES)
    return {
        **content,
        "applicant": {
            **content["applicant"],
            "name": f"湛江示例{trade}{sequence}号有限公司",
            "phone": f"1380000{chance.randrange(10_000):04}",
        },
        "site": {
            "address": f"湛江市示例{chance.randrange(400)}路{chance.randrange(1, 900)}号",
            "district": district,
        },
    }
