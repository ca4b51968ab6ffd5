"""What a process reads from the case file and notes in it: short, local, safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, time, timedelta
from itertools import groupby

from temporalio import activity

from activities.deadlines import due_of, ladder_of, supervision_of
from activities.messages import Answer, Ask, AskedItem, BundleResult, RouteRemark
from domain.application import Application
from domain.connection import Code, Ending, TaskKind
from domain.errors import OutcomeConflict
from domain.investment import ConnectionFacts, decide_investment
from domain.naming import TaskName
from domain.permits import (
    HELD,
    ItemOutcome,
    PermitItem,
    RequiredPermits,
    Route,
    aggregate,
    required_permits,
    to_ask,
)
from domain.policy import Policy
from domain.working_time import CIVIL_ZONE, civil_date
from policy.loader import policy_for
from storage.calendars import Calendars
from storage.casefile import SYSTEM, CaseFile
from storage.reading import CaseRecord, Reading
from storage.records import Supervision, TaskRecord


class CaseFileActivities:
    """Local activities, each a short transaction or two.

    Policy data is read here and never in a workflow, so that a replay sees what was true then.
    """

    def __init__(self, casefile: CaseFile, calendars: Calendars) -> None:
        self._casefile, self._calendars = casefile, calendars
        self._reading = Reading(casefile.engine)

    @activity.defn(name="notice_lapses_at")
    async def notice_lapses_at(self, policy_id: str, no: str) -> datetime:
        """Return the civil instant from which a notice of missing papers is too late (RB-3.5)."""
        return await self._notice_lapses_at(policy_for(policy_id), await self._reading.case(no))

    @activity.defn(name="deem_accepted")
    async def deem_accepted(self, policy_id: str, no: str, at: datetime) -> Answer:
        """Accept the papers for want of a notice, unless the desk was a moment faster (RB-3.5).

        Returns:
            What the case file holds: one of the two, and it stays so.
        """
        task_id = str(TaskName(no, TaskKind.CHECK_PAPERS, 1))
        lapsed = policy_for(policy_id).intake.correction.lapsed
        deemed = {"code": Code.ACCEPTED.value, "note": lapsed.zh}
        with suppress(OutcomeConflict):
            await self._casefile.decide(task_id, deemed, by=SYSTEM, at=at)
        task = await self._reading.task(task_id)
        assert task.outcome is not None and task.done_at is not None
        return Answer.of(task.id, task.outcome, task.done_at)

    @activity.defn(name="accept_case")
    async def accept_case(self, policy_id: str, no: str, accepted: Answer) -> None:
        """Note the acceptance and decide who invests, with reasons (RB-7)."""
        policy, case = policy_for(policy_id), await self._reading.case(no)
        task = await self._reading.task(accepted.task_id)
        lapses_at = await self._notice_lapses_at(policy, case)
        is_deemed = task.round == 1 and accepted.decided_at >= lapses_at
        # RB-3.5: what is accepted for want of a notice is accepted as of its receipt.
        at = case.submitted_at if is_deemed else accepted.decided_at
        investment = _investment(policy, case, task, at)
        await self._casefile.accept(no, at=at, is_deemed=is_deemed, investment=investment)

    @activity.defn(name="take_survey")
    async def take_survey(self, policy_id: str, no: str, surveyed: Answer) -> list[RouteRemark]:
        """Note what a surveyed line touches that a person should see, and settle who invests.

        Returns:
            The guards of RB-4.3; they stop no clock.
        """
        policy, case = policy_for(policy_id), await self._reading.case(no)
        task = await self._reading.task(surveyed.task_id)
        assert task.outcome is not None and case.investment is not None
        if case.investment["decision"] == "needs_person":
            investment = _investment(policy, case, task, surveyed.decided_at)
            await self._casefile.settle_investment(
                no, at=surveyed.decided_at, investment=investment
            )
        if "route" not in task.outcome:
            return []
        route = Route.model_validate(task.outcome["route"])
        guards = required_permits(route, policy, civil_date(surveyed.decided_at)).guards
        if guards:
            await self._casefile.note(
                no,
                "route_flagged",
                {"guards": [asdict(guard) for guard in guards]},
                at=surveyed.decided_at,
                once="route_flagged",
            )
        return [RouteRemark(**asdict(guard)) for guard in guards]

    @activity.defn(name="list_permits")
    async def list_permits(
        self, policy_id: str, no: str, round_no: int, designed: Answer
    ) -> list[Ask]:
        """Say which permits the designed route needs that no department has given (RB-4.2)."""
        tasks = await self._reading.tasks_of(no)
        required = _required(policy_id, tasks, round_no)
        missing = sorted(
            to_ask(required.items, (item for item, _ in _held(tasks, round_no))),
            key=lambda item: item.agency,
        )
        await self._casefile.note(
            no,
            "permits_listed",
            {
                "round": round_no,
                "required": [f"{item.agency}: {item.item}" for item in required.items],
                "asked": [f"{item.agency}: {item.item}" for item in missing],
                # RB-4.4: outside the window and its five days, so nobody is asked here.
                "exceptions": [asdict(note) for note in required.exceptions],
            },
            at=designed.decided_at,
            once=f"permits_listed.{round_no}",
        )
        return [
            Ask(
                department,
                tuple(
                    AskedItem(item.item, item.basis, item.segments, item.facts_digest)
                    for item in items
                ),
            )
            for department, items in groupby(missing, key=lambda item: item.agency)
        ]

    @activity.defn(name="conclude_bundle")
    async def conclude_bundle(
        self, policy_id: str, no: str, round_no: int, at: datetime
    ) -> BundleResult:
        """Fold all answers on what the route needs, earlier rounds' included (RB-4.7)."""
        tasks = await self._reading.tasks_of(no)
        needed = {
            (item.agency, item.item, item.facts_digest)
            for item in _required(policy_id, tasks, round_no).items
        }
        outcomes = [
            outcome
            for item, outcome in (*_held(tasks, round_no), *_answered(tasks, [round_no]))
            if (item.agency, item.item, item.facts_digest) in needed
        ]
        policy = policy_for(policy_id)
        verdict = aggregate(outcomes, policy)
        await self._casefile.note(
            no,
            "bundle_concluded",
            {"round": round_no, "verdict": verdict},
            at=at,
            once=f"bundle_concluded.{round_no}",
        )
        return BundleResult(verdict, may_build=policy.results[verdict].may_build)

    @activity.defn(name="end_case")
    async def end_case(
        self, no: str, ending: Ending, ended_at: datetime, action_id: str | None
    ) -> None:
        """Close the case under the name of its ending."""
        await self._casefile.end(no, ending, at=ended_at, action_id=action_id)

    @activity.defn(name="ring_ladder")
    async def ring_ladder(self, policy_id: str, no: str, at: datetime) -> datetime | None:
        """Send what the ladder says of the case's open tasks by now (RB-5.2).

        Returns:
            The civil instant of the next alarm, as far as tasks are open now.
        """
        policy, case = policy_for(policy_id), await self._reading.case(no)
        days = (await self._calendars.version(case.calendar)).calendar
        coming: list[datetime] = []

        def due(_case: CaseRecord, tasks: Sequence[TaskRecord]) -> list[Supervision]:
            rung = [
                (alarm, task)
                for task in tasks
                if task.state == "open" and task.limit_working_days is not None
                for alarm in ladder_of(task, policy, days)
            ]
            coming[:] = [alarm.at for alarm, _ in rung if alarm.at > at]
            return [
                supervision_of(alarm, task, policy, days, at)
                for alarm, task in rung
                if alarm.at <= at
            ]

        await self._casefile.supervise(no, due, at=at)
        return min(coming, default=None)

    async def _notice_lapses_at(self, policy: Policy, case: CaseRecord) -> datetime:
        days = (await self._calendars.version(case.calendar)).calendar
        limit = policy.intake.correction.within_working_days
        lapses_on = due_of(case.submitted_at, limit, policy, days).due_on + timedelta(days=1)
        return datetime.combine(lapses_on, time.min, CIVIL_ZONE)


def _investment(
    policy: Policy, case: CaseRecord, task: TaskRecord, at: datetime
) -> dict[str, object]:
    """Decide who invests, by what the person who did `task` said of the address (RB-7.4)."""
    facts = ConnectionFacts.of(
        Application.model_validate(case.content),
        is_central_urban=(task.outcome or {}).get("is_central_urban"),
    )
    return asdict(decide_investment(facts, policy, civil_date(at)))


def _required(policy_id: str, tasks: Iterable[TaskRecord], round_no: int) -> RequiredPermits:
    design = next(
        task for task in tasks if task.kind is TaskKind.LINE_DESIGN and task.round == round_no
    )
    assert design.outcome is not None and design.done_at is not None
    route = Route.model_validate(design.outcome["route"])
    return required_permits(route, policy_for(policy_id), civil_date(design.done_at))


def _held(
    tasks: Iterable[TaskRecord], before_round: int
) -> Iterator[tuple[PermitItem, ItemOutcome]]:
    """The permits given in earlier rounds."""
    for item, outcome in _answered(tasks, range(1, before_round)):
        if outcome in HELD:
            yield item, outcome


def _answered(
    tasks: Iterable[TaskRecord], rounds: Iterable[int]
) -> Iterator[tuple[PermitItem, ItemOutcome]]:
    for task in tasks:
        if task.kind is TaskKind.PERMITS and task.round in rounds and task.outcome:
            outcomes = {each["item"]: each["outcome"] for each in task.outcome["items"]}
            for asked in task.asked["items"]:
                yield (
                    PermitItem(
                        task.owed_by,
                        asked["item"],
                        asked["basis"],
                        tuple(asked["segments"]),
                        asked["facts_digest"],
                    ),
                    outcomes[asked["item"]],
                )
