"""Five departments, each in every way, in any order, against a model of a few lines (RB-4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from random import Random

import pytest

from domain.clocks import Basis
from domain.connection import Code, Ending, Voltage
from domain.task_events import TaskEventKind
from storage.records import TaskRecord
from tests.support.pairs import pairwise_rows
from tests.workflows.harness import Town, eventually
from tests.workflows.stories import STORIES, Body, answering, every_item

STORY = STORIES["high.connected"]
DEPARTMENTS = ("natural-resources", "police", "transport", "urban-management", "water")
SEED = 20200516


class Way(StrEnum):
    """How a department goes about its task."""

    APPROVES = "approves"
    CONDITIONS = "approves with conditions"
    PAPERS = "approves, papers to follow"
    REFUSES = "refuses"
    DOES_NOT_ACCEPT = "does not accept"
    LATE = "approves late"
    SILENT = "is silent"
    CORRECTION = "has it corrected, then approves"
    SPECIAL = "holds a hearing, then refuses"
    REASSIGNS = "passes it on within, then approves"
    NOT_COMPETENT = "names the next department, which approves"


ROWS = pairwise_rows(list(Way), len(DEPARTMENTS), SEED)

# What is asked of all on Monday the 14th is due on Sunday the 20th, which is worked.
DUE = date(2026, 9, 20)
TUESDAY = datetime.fromisoformat("2026-09-15T11:00:00+08:00")
THURSDAY = datetime.fromisoformat("2026-09-17T11:00:00+08:00")
AFTER_DUE = datetime.fromisoformat("2026-09-22T11:00:00+08:00")

_AT_ONCE: Mapping[Way, Body] = {
    Way.APPROVES: every_item("approved"),
    Way.CONDITIONS: every_item("approved_with_conditions"),
    Way.PAPERS: every_item("papers_to_follow"),
    Way.REFUSES: every_item("refused"),
    Way.DOES_NOT_ACCEPT: every_item("not_accepted"),
}
_PAUSES = {
    Way.CORRECTION: (TaskEventKind.CORRECTION_OPENED, TaskEventKind.CORRECTION_CLOSED),
    Way.SPECIAL: (TaskEventKind.SPECIAL_OPENED, TaskEventKind.SPECIAL_CLOSED),
}
_HELD = {"approved", "approved_with_conditions", "papers_to_follow"}


@dataclass(frozen=True, slots=True)
class Case:
    """A case whose departments go about it in these ways."""

    no: str
    ways: Mapping[str, Way]

    @property
    def outcomes(self) -> list[str | None]:
        """What each department's items come to; None: never."""
        return [_OUTCOME[way] for way in self.ways.values()]

    @property
    def verdict(self) -> str | None:
        """The model: what the bundle comes to; None while somebody is silent (RB-4.5)."""
        if None in self.outcomes:
            return None
        held = [outcome in _HELD for outcome in self.outcomes]
        if all(outcome == "approved" for outcome in self.outcomes):
            return "granted"
        if all(held):
            return "granted_with_conditions"
        return "partial" if any(held) else "refused"


_OUTCOME: Mapping[Way, str | None] = {
    Way.APPROVES: "approved",
    Way.CONDITIONS: "approved_with_conditions",
    Way.PAPERS: "papers_to_follow",
    Way.REFUSES: "refused",
    Way.DOES_NOT_ACCEPT: "not_accepted",
    Way.LATE: "approved",
    Way.SILENT: None,
    Way.CORRECTION: "approved",
    Way.SPECIAL: "refused",
    Way.REASSIGNS: "approved",
    Way.NOT_COMPETENT: "approved",
}


def test_every_two_departments_meet_in_every_two_ways() -> None:
    met = {
        (one, other, row[one], row[other])
        for row in ROWS
        for one in range(5)
        for other in range(one + 1, 5)
    }
    assert len(met) == 10 * len(Way) ** 2


@pytest.mark.rule("RB-4.1", "RB-4.5", "RB-4.6", "RB-4.7", "RB-2.5")
@pytest.mark.parametrize("part", range(4))
async def test_bundles_come_to_what_the_model_says(part: int, town: Town) -> None:
    dice = Random(SEED + part)
    cases = [await _asked(town, row) for row in ROWS[part::4]]
    for instant, act, decided in PHASES:
        if instant is not None:
            owed = sum([len(await town.open_tasks(case.no)) for case in cases])
            await town.let_pass(instant - town.now(), owed=owed)
        await _all_take_part(town, cases, dice, act)
        for case in cases:
            await _settled(town, case, decided)
    for case in cases:
        await _check(town, case)
        if case.verdict is None:
            await _check_withdrawn(town, case)
    assert (await town.reading.first_break())[1] is None


async def _asked(town: Town, row: Sequence[Way]) -> Case:
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1"):
        await town.answer_all(no, STORY, name)
    await town.answer_all(no, STORY, "line_design.1", "customer_works.1")
    await town.waiting(no)
    return Case(no, dict(zip(DEPARTMENTS, row, strict=True)))


Act = Callable[[Town, Case, TaskRecord, Way], Awaitable[None]]
"""What a department does at one time."""


async def _all_take_part(town: Town, cases: Sequence[Case], dice: Random, act: Act) -> None:
    """Have every department of every case act, in an order of its own."""
    turns = [(case, department) for case in cases for department in DEPARTMENTS]
    dice.shuffle(turns)
    for case, department in turns:
        task = (await town.tasks(case.no))[f"permits-{department}.1"]
        await act(town, case, task, case.ways[department])


async def _at_first(town: Town, case: Case, task: TaskRecord, way: Way) -> None:
    if way in _AT_ONCE:
        await _answer(town, task, _AT_ONCE[way])
    elif way is Way.REASSIGNS:
        for kind, holder in (
            (TaskEventKind.CLAIMED, "desk-1"),
            (TaskEventKind.REASSIGNED, "desk-2"),
        ):
            task = await town.report(task, kind, ground=None, holder=holder)
        assert task.held_by == "desk-2"
        await _answer(town, task, every_item("approved"))
    elif way is Way.NOT_COMPETENT:
        named = DEPARTMENTS[(DEPARTMENTS.index(task.owed_by) + 1) % 5]
        body: Body = {"code": Code.NOT_COMPETENT, "competent": named, "note": "示例理由"}
        await town.answer(task, body)
        (passed_on,) = await town.owed(case.no, f"permits-{named}-for-{task.owed_by}.1")
        assert passed_on.asked["items"] == task.asked["items"]
        await _answer(town, passed_on, every_item("approved"))


async def _on_tuesday(town: Town, _case: Case, task: TaskRecord, way: Way) -> None:
    if way is Way.CORRECTION:
        await town.report(task, _PAUSES[way][0], missing=("示例图",), basis=Basis.POLICY)
    elif way is Way.SPECIAL:
        await town.report(task, _PAUSES[way][0], procedure="hearing", basis=Basis.STATUTORY)


async def _on_thursday(town: Town, _case: Case, task: TaskRecord, way: Way) -> None:
    if way in _PAUSES:
        resumed = await town.report(task, _PAUSES[way][1])
        # Wednesday and Thursday were left out: due on the 21st and 22nd instead of 18th and 20th.
        assert resumed.due_on == date(2026, 9, 22)
        outcome = "approved" if way is Way.CORRECTION else "refused"
        await _answer(town, resumed, every_item(outcome))


async def _after_due(town: Town, _case: Case, task: TaskRecord, way: Way) -> None:
    if way is Way.LATE:
        await _answer(town, task, every_item("approved"))


_FIRST = frozenset({*_AT_ONCE, Way.REASSIGNS, Way.NOT_COMPETENT})
PHASES = (
    (None, _at_first, _FIRST),
    (TUESDAY, _on_tuesday, _FIRST),
    (THURSDAY, _on_thursday, _FIRST | set(_PAUSES)),
    (AFTER_DUE, _after_due, frozenset(Way) - {Way.SILENT}),
)
"""When, what departments do, and the ways that have led to a decision by then."""


async def _settled(town: Town, case: Case, decided: frozenset[Way]) -> None:
    """Wait until just that is owed which the model says."""
    expected = {f"permits-{d}.1" for d, way in case.ways.items() if way not in decided}
    if not expected:
        may_build = str(case.verdict).startswith("granted")
        expected = {"build_line.1" if may_build else "line_design.2"}
        expected |= {f"papers-{d}.1" for d, way in case.ways.items() if way is Way.PAPERS}

    async def look() -> bool | None:
        return True if await town.open_tasks(case.no) == expected else None

    await eventually(look, f"{sorted(expected)} of {case.no}")


async def _answer(town: Town, task: TaskRecord, body: Body) -> None:
    await town.answer(task, answering(task, body))


async def _check(town: Town, case: Case) -> None:
    if case.verdict is not None:
        concluded = await _concluded(town, case.no)
        assert concluded == case.verdict, case.ways
    else:
        assert await town.events(case.no, "bundle_concluded") == []
    tasks = await town.tasks(case.no)
    for department, way in case.ways.items():
        task = tasks[f"permits-{department}.1"]
        assert task.state == ("open" if way is Way.SILENT else "done")
        assert task.is_late == (way is Way.LATE), (department, way)
        decided = {each["outcome"] for each in (task.outcome or {}).get("items", ())}
        expected = _OUTCOME[way]
        if way is Way.NOT_COMPETENT:
            assert task.outcome is not None and task.outcome["code"] == Code.NOT_COMPETENT
        else:
            assert decided == ({expected} if expected else set())
    # RB-4.5: papers that follow are owed once the bundle is concluded, by whoever asked for them.
    follow = {d for d, way in case.ways.items() if way is Way.PAPERS and case.verdict}
    assert {name for name in tasks if name.startswith("papers-")} == {
        f"papers-{department}.1" for department in follow
    }


async def _check_withdrawn(town: Town, case: Case) -> None:
    """The applicant withdraws: what nobody decided is closed, what was decided stands."""
    before = await town.tasks(case.no)
    await town.withdraw(case.no, f"withdrawal-{case.no}")
    after = await town.tasks(case.no)
    assert await town.events(case.no, "bundle_concluded") == []
    for name, task in before.items():
        closed = ("closed", Ending.WITHDRAWN, None)
        expected = closed if task.state == "open" else (task.state, task.closed_by, task.outcome)
        assert (after[name].state, after[name].closed_by, after[name].outcome) == expected


async def _concluded(town: Town, no: str) -> str:
    async def look() -> str | None:
        found = await town.events(no, "bundle_concluded")
        assert len(found) <= 1
        return str(found[0].body["verdict"]) if found else None

    return await eventually(look, f"the conclusion of the bundle of {no}")


def test_the_model_tells_endings_apart() -> None:
    ways = dict.fromkeys(DEPARTMENTS, Way.REFUSES)
    assert Case("x", ways).verdict == "refused"
    assert Case("x", {**ways, "water": Way.SILENT}).verdict is None
