"""What a process reads from the case file and notes in it: short, local, safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import date, datetime, time, timedelta
from itertools import groupby

from temporalio import activity

from activities.clocks import clocks_of_bundle, clocks_of_case
from activities.deadlines import due_of
from activities.lookout import View, alarms_of_date, look_out
from activities.messages import (
    Answer,
    Ask,
    AskedItem,
    BundleResult,
    Outlook,
    PapersToFollow,
    PermitPlan,
    RouteRemark,
)
from activities.revising import revisions
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
from storage.chain import canonical
from storage.outbox import Message
from storage.reading import CaseRecord, Reading
from storage.records import Notice, Result, Supervision, TaskRecord


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
    async def accept_case(self, policy_id: str, no: str, accepted: Answer) -> datetime | None:
        """Note the acceptance and decide who invests, with reasons (RB-7).

        Returns:
            The civil instant from which the clocks of the case run; None in older histories only.
        """
        policy, case = policy_for(policy_id), await self._reading.case(no)
        task = await self._reading.task(accepted.task_id)
        lapses_at = await self._notice_lapses_at(policy, case)
        is_deemed = task.round == 1 and accepted.decided_at >= lapses_at
        # RB-3.5: what is accepted for want of a notice is accepted as of its receipt.
        at = case.submitted_at if is_deemed else accepted.decided_at
        investment = _investment(policy, case, task, at)
        await self._casefile.accept(no, at=at, is_deemed=is_deemed, investment=investment)
        return at.astimezone(CIVIL_ZONE)

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
        """Say which permits the designed route needs that no department has given (RB-4.2).

        Of cases that began before exceptions were tasks.
        """
        return list((await self._planned(policy_id, no, round_no, designed)).asks)

    @activity.defn(name="plan_permits")
    async def plan_permits(
        self, policy_id: str, no: str, round_no: int, designed: Answer
    ) -> PermitPlan:
        """Say what the designed route needs that nobody has given yet (RB-4.2, RB-4.4)."""
        return await self._planned(policy_id, no, round_no, designed)

    async def _planned(
        self, policy_id: str, no: str, round_no: int, designed: Answer
    ) -> PermitPlan:
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
                # RB-4.4: outside the window and its five days.
                "exceptions": [asdict(note) for note in required.exceptions],
            },
            at=designed.decided_at,
            once=f"permits_listed.{round_no}",
            messages=self._revisions(policy_id, tasks, required, missing, round_no),
        )
        asks = tuple(
            Ask(
                department,
                tuple(
                    AskedItem(item.item, item.basis, item.segments, item.facts_digest)
                    for item in items
                ),
            )
            for department, items in groupby(missing, key=lambda item: item.agency)
        )
        return PermitPlan(asks, tuple(_without_consent(policy_id, tasks, round_no)))

    @staticmethod
    def _revisions(
        policy_id: str,
        tasks: Sequence[TaskRecord],
        required: RequiredPermits,
        missing: Sequence[PermitItem],
        round_no: int,
    ) -> Sequence[Message]:
        if round_no == 1:
            return ()
        before = _required(policy_id, tasks, round_no - 1)
        return list(revisions(tasks, before.items, required.items, missing, round_no))

    @activity.defn(name="file_with_departments")
    async def file_with_departments(self, policy_id: str, no: str, filed: Answer) -> None:
        """Have the line recorded with each department it concerns (备案, RB-4.3).

        Each gets a notice with a receipt number, and acknowledges it; nothing waits for that.
        """
        policy, tasks = policy_for(policy_id), await self._reading.tasks_of(no)
        surveyed = next(task for task in tasks if task.kind is TaskKind.SURVEY)
        assert surveyed.outcome is not None and surveyed.done_at is not None
        concerned: set[str] = set()
        if "route" in surveyed.outcome:
            route = Route.model_validate(surveyed.outcome["route"])
            required = required_permits(route, policy, civil_date(surveyed.done_at))
            concerned = {item.agency for item in required.items}
        filing = policy.tasks[TaskKind.FILING]
        await self._casefile.note(
            no,
            "filed",
            {"departments": sorted(concerned)},
            at=filed.decided_at,
            once="filed",
            told=[
                Notice(
                    kind="filing",
                    recipient=department,
                    body={
                        "receipt_no": f"{no}-BA-{department}",
                        "route": surveyed.outcome["route"],
                        "address": surveyed.facts.address,
                        "zh": f"{filing.zh}：{policy.agencies[department].zh}",
                        "en": f"{filing.en}: {policy.agencies[department].en}",
                        "clause": filing.clause,
                    },
                )
                for department in sorted(concerned)
            ],
        )

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
            stopped=await self._results_of_bundle(no, tasks, round_no, at),
        )
        return BundleResult(
            verdict,
            may_build=policy.results[verdict].may_build,
            papers=tuple(await self._to_follow(no, policy, tasks, round_no, at)),
        )

    async def _to_follow(
        self, no: str, policy: Policy, tasks: Iterable[TaskRecord], round_no: int, at: datetime
    ) -> list[PapersToFollow]:
        case = await self._reading.case(no)
        days = (await self._calendars.version(case.calendar)).calendar
        found = []
        for department, papers, due_on in _papers_to_follow(tasks, round_no):
            alarms = alarms_of_date(due_on, policy, days)
            first = next((alarm.at for alarm in alarms if alarm.at > at), None)
            found.append(PapersToFollow(department, papers, due_on, first))
        return found

    @activity.defn(name="end_case")
    async def end_case(
        self, no: str, ending: Ending, ended_at: datetime, action_id: str | None
    ) -> None:
        """Close the case under the name of its ending; what its clocks came to is kept (RB-2.2)."""
        # Only what was connected was completed: the averages are of those.
        stopped = await self._results_of_case(no, ended_at) if ending is Ending.CONNECTED else ()
        await self._casefile.end(no, ending, at=ended_at, action_id=action_id, stopped=stopped)

    @activity.defn(name="ring_ladder")
    async def ring_ladder(self, policy_id: str, no: str, at: datetime) -> datetime | None:
        """Send what the ladder says of the case's open tasks by now (RB-5.2).

        Of cases that began before their clocks were watched, too.

        Returns:
            The civil instant of the next alarm, as far as tasks are open now.
        """
        outlook = await self._looked_out(policy_id, no, at, watches_clocks=False)
        return outlook.next_at

    @activity.defn(name="look_out")
    async def look_out(self, policy_id: str, no: str, at: datetime) -> Outlook:
        """Send what the ladder says of the case's open tasks and of its clocks by now (RB-5.2)."""
        return await self._looked_out(policy_id, no, at, watches_clocks=True)

    async def _looked_out(
        self, policy_id: str, no: str, at: datetime, *, watches_clocks: bool
    ) -> Outlook:
        policy, case = policy_for(policy_id), await self._reading.case(no)
        days = (await self._calendars.version(case.calendar)).calendar
        seen: View | None = None

        def due(case: CaseRecord, tasks: Sequence[TaskRecord]) -> Sequence[Supervision]:
            nonlocal seen
            seen = look_out(case, tasks, policy, days, at, watches_clocks=watches_clocks)
            return seen.due

        await self._casefile.supervise(no, due, at=at)
        # A case that has ended is not looked at.
        return Outlook() if seen is None else seen.outlook

    async def _results_of_case(self, no: str, ended_at: datetime) -> Sequence[Result]:
        case = replace(await self._reading.case(no), ended_at=ended_at)
        tasks, policy = await self._reading.tasks_of(no), policy_for(case.policy)
        version = await self._calendars.version(case.calendar)
        clocks = clocks_of_case(case, tasks, policy)
        return [clock.result(policy, ended_at, version) for clock in clocks]

    async def _results_of_bundle(
        self, no: str, tasks: Iterable[TaskRecord], round_no: int, at: datetime
    ) -> Sequence[Result]:
        bundle = [t for t in tasks if t.kind is TaskKind.PERMITS and t.round == round_no]
        if any(task.state != "done" for task in bundle):
            # The case was ended meanwhile, and with it what nobody had decided.
            return ()
        case = await self._reading.case(no)
        policy, version = policy_for(case.policy), await self._calendars.version(case.calendar)
        clocks = clocks_of_bundle(case, bundle, policy)
        return [clock.result(policy, at, version) for clock in clocks]

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
    design = _design(tasks, round_no)
    assert design.outcome is not None and design.done_at is not None
    route = Route.model_validate(design.outcome["route"])
    return required_permits(route, policy_for(policy_id), civil_date(design.done_at))


def _route(tasks: Iterable[TaskRecord], round_no: int) -> Route:
    outcome = _design(tasks, round_no).outcome
    assert outcome is not None
    return Route.model_validate(outcome["route"])


def _design(tasks: Iterable[TaskRecord], round_no: int) -> TaskRecord:
    return next(
        task for task in tasks if task.kind is TaskKind.LINE_DESIGN and task.round == round_no
    )


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
        if (
            task.kind is TaskKind.PERMITS
            and task.round in rounds
            and "items" in (task.outcome or ())
        ):
            assert task.outcome is not None
            outcomes = {each["item"]: each["outcome"] for each in task.outcome["items"]}
            # RB-4.5: a permit that another department decided is still the one the route needs.
            asked_first = next(iter(task.asked.get("passed_by", ())), task.owed_by)
            for asked in task.asked["items"]:
                yield (
                    PermitItem(
                        asked_first,
                        asked["item"],
                        asked["basis"],
                        tuple(asked["segments"]),
                        asked["facts_digest"],
                    ),
                    outcomes[asked["item"]],
                )


def _papers_to_follow(
    tasks: Iterable[TaskRecord], round_no: int
) -> Iterator[tuple[str, tuple[str, ...], date]]:
    """Each department's papers that are to follow, and the first date by which some are due."""
    for task in tasks:
        if task.kind is not TaskKind.PERMITS or task.round != round_no or task.outcome is None:
            continue
        awaited = [each for each in task.outcome.get("items", ()) if each.get("papers_by")]
        if awaited:
            papers = tuple(f"{each['item']}：{name}" for each in awaited for name in each["papers"])
            due_on = min(date.fromisoformat(each["papers_by"]) for each in awaited)
            yield task.owed_by, papers, due_on


def _without_consent(
    policy_id: str, tasks: Sequence[TaskRecord], round_no: int
) -> Iterator[RouteRemark]:
    """What of a route needs consent outside the window and did not get it earlier (RB-4.4)."""
    consented = {
        task.round
        for task in tasks
        if task.kind is TaskKind.CONSENT
        and task.outcome is not None
        and task.outcome["code"] == Code.CONSENTED
    }
    given = {
        key
        for earlier in consented
        if earlier < round_no
        for key, _ in _exceptions(policy_id, tasks, earlier)
    }
    for key, remark in _exceptions(policy_id, tasks, round_no):
        if key not in given:
            yield remark


def _exceptions(
    policy_id: str, tasks: Sequence[TaskRecord], round_no: int
) -> Iterator[tuple[tuple[str, str], RouteRemark]]:
    """A route's exceptions, each with what makes it the same one on another route."""
    route = _route(tasks, round_no)
    for note in _required(policy_id, tasks, round_no).exceptions:
        stretch = [
            route.segments[position - 1].model_dump(mode="json") for position in note.segments
        ]
        yield (note.id, canonical(stretch)), RouteRemark(**asdict(note))
