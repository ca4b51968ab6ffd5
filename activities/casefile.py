"""What a process reads from the case file and notes in it: short, local, safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import groupby

from temporalio import activity

from activities.messages import Answer, Ask, AskedItem, BundleResult
from domain.application import Application
from domain.connection import Ending, TaskKind
from domain.investment import ConnectionFacts, decide_investment
from domain.permits import (
    ItemOutcome,
    PermitItem,
    RequiredPermits,
    Route,
    aggregate,
    required_permits,
    to_ask,
)
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.casefile import CaseFile
from storage.reading import Reading
from storage.records import TaskRecord

GRANTED: frozenset[str] = frozenset({"approved", "approved_with_conditions", "papers_to_follow"})
"""Outcomes of an item after which the permit is held (RB-4.5)."""

MAY_BUILD: frozenset[str] = frozenset({"granted", "granted_with_conditions", "no_permit_needed"})
"""Results of a bundle after which the line may be built (RB-4.7)."""


class CaseFileActivities:
    """Local activities, each a short transaction or two.

    Policy data is read here and never in a workflow, so that a replay sees what was true then.
    """

    def __init__(self, casefile: CaseFile) -> None:
        self._casefile = casefile
        self._reading = Reading(casefile.engine)

    @activity.defn(name="accept_case")
    async def accept_case(self, policy_id: str, no: str, accepted: Answer) -> None:
        """Note the acceptance and decide who invests, with reasons (RB-7)."""
        case = await self._reading.case(no)
        task = await self._reading.task(accepted.task_id)
        facts = ConnectionFacts.of(
            Application.model_validate(case.content),
            is_central_urban=(task.outcome or {}).get("is_central_urban"),
        )
        investment = decide_investment(
            facts, policy_for(policy_id), civil_date(accepted.decided_at)
        )
        await self._casefile.accept(no, at=accepted.decided_at, investment=asdict(investment))

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
        verdict = aggregate(outcomes, policy_for(policy_id))
        await self._casefile.note(
            no,
            "bundle_concluded",
            {"round": round_no, "verdict": verdict},
            at=at,
            once=f"bundle_concluded.{round_no}",
        )
        return BundleResult(verdict, may_build=verdict in MAY_BUILD)

    @activity.defn(name="end_case")
    async def end_case(
        self, no: str, ending: Ending, ended_at: datetime, action_id: str | None
    ) -> None:
        """Close the case under the name of its ending."""
        await self._casefile.end(no, ending, at=ended_at, action_id=action_id)


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
        if outcome in GRANTED:
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
