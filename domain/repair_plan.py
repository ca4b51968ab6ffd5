"""What a repair will do, told before it is done, and what it did, held against that (RB-12.2).

A plan is made from how a case stands. It predicts what the case file and the engine will show
afterwards, so that whoever approves knows what is at stake, and whoever reads the report sees at
once whether it came so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.repairs import REPAIRS, RepairKind


class Wording(BaseModel):
    """A text in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class TaskStanding:
    """A task, as far as repairs go.

    Attributes:
        process: workflow id of the process that owes it.
        state: open, done or closed.
        outcome: digest of its outcome; None unless it is done.
        has_system: whether its agency has a system that it is pushed to.
    """

    id: str
    process: str
    state: str
    outcome: str | None
    due_on: date | None
    has_system: bool


@dataclass(frozen=True, slots=True)
class ProcessStanding:
    """The latest run of a process; without a run id, the engine knows none."""

    workflow_id: str
    run_id: str | None
    status: str

    @property
    def is_running(self) -> bool:
        """Whether it has not been closed."""
        return self.status == "running"


@dataclass(frozen=True, slots=True)
class CaseStanding:
    """How a case stands at one moment, on file and in the engine.

    Attributes:
        head: number of the last event of its record.
        processes: the case's own first, then its bundles' in the order of their rounds.
        waits: ids of the tasks whose activity waits in a running process, having been tried.
        is_at_rest: whether no process is about to move by itself.
    """

    no: str
    state: str
    ending: str | None
    head: int
    tasks: tuple[TaskStanding, ...]
    processes: tuple[ProcessStanding, ...]
    waits: frozenset[str]
    is_at_rest: bool

    def open_tasks(self, processes: Iterable[str] | None = None) -> list[TaskStanding]:
        """Return what is owed, in all processes or in some of them."""
        chosen = None if processes is None else set(processes)
        return [
            task
            for task in self.tasks
            if task.state == "open" and (chosen is None or task.process in chosen)
        ]


class Target(BaseModel):
    """What a repair is applied to.

    Attributes:
        process: workflow id; its own process unless a bundle is meant.
        event_id: end of the workflow task from before which a process goes on.
        version: of the worker; empty: whichever is current.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_no: str
    process: str | None = None
    event_id: int | None = None
    task_id: str | None = None
    version: str | None = None


class PlannedProcess(BaseModel):
    """What becomes of one process.

    Attributes:
        change: `kept`: the same run goes on; `anew`: another run takes its place; `ends`: it is
            closed and none takes its place.
        discarded: how many events of its history are told anew.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow_id: str
    run_id: str | None
    status: str
    change: Literal["kept", "anew", "ends"]
    discarded: int = 0


class Plan(BaseModel):
    """What a repair will do to one case.

    Attributes:
        head: number of the last event of the record it was made from; a case that has moved on
            needs a new plan.
        decisions_kept: tasks that are decided, and stay so; none of them is asked again.
        decisions_added: tasks that will be decided.
        pushes_repeated: open tasks that their agencies' systems are sent once more, under the same
            id, which changes nothing there.
        deadlines_moved: tasks whose deadline moves. No repair moves one: tasks stay on file.
        tasks_closed: open tasks that end without an outcome.
        ends_as: how the case ends by it.
        documents: digests of the documents that are with the task which will be decided.
        goes_on: whether the story is to go on by itself beyond where it stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: RepairKind
    target: Target
    head: int
    processes: tuple[PlannedProcess, ...]
    decisions_kept: tuple[str, ...]
    decisions_added: tuple[str, ...] = ()
    pushes_repeated: tuple[str, ...] = ()
    deadlines_moved: tuple[str, ...] = ()
    tasks_closed: tuple[str, ...] = ()
    ends_as: str | None = None
    goes_on: bool = False
    documents: tuple[str, ...] = ()
    discards: tuple[Wording, ...] = ()
    cannot_be_undone: tuple[Wording, ...] = ()

    @property
    def needs_approval(self) -> bool:
        """Whether a second administrator must approve (RB-12.2)."""
        return REPAIRS[self.kind].discards

    def is_stale(self, standing: CaseStanding) -> bool:
        """Whether the case has moved on since the plan was made."""
        return self.head != standing.head or self.knows_other_processes(standing)

    def knows_other_processes(self, standing: CaseStanding) -> bool:
        """Whether processes have begun, or were closed, since the plan was made."""
        return {(each.workflow_id, each.run_id, each.status) for each in self.processes} != {
            (each.workflow_id, each.run_id, each.status) for each in standing.processes
        }


class Report(BaseModel):
    """What a repair did to one case, held against its plan.

    Attributes:
        decisions_lost: were decided before and are not, or otherwise, now. Never to be seen.
        decisions_came: were decided by their agencies while the repair was under way.
        tasks_opened: what the story went on to.
        is_settled: whether everything planned had come to rest when this was written.
        deviations: where it did not come as planned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    processes: tuple[PlannedProcess, ...]
    decisions_kept: tuple[str, ...]
    decisions_lost: tuple[str, ...]
    decisions_added: tuple[str, ...]
    decisions_came: tuple[str, ...]
    pushes_repeated: tuple[str, ...]
    deadlines_moved: tuple[str, ...]
    tasks_closed: tuple[str, ...]
    tasks_opened: tuple[str, ...]
    ended_as: str | None
    is_settled: bool
    deviations: tuple[Wording, ...]

    @property
    def is_as_planned(self) -> bool:
        """Whether it came as the plan said."""
        return not self.deviations


def is_settled(plan: Plan, after: CaseStanding) -> bool:
    """Whether all that the plan says has come about, and nothing is about to move by itself."""
    found = {each.workflow_id: each for each in after.processes}
    if any(not _has_come(each, found[each.workflow_id]) for each in plan.processes):
        return False
    if after.state == "ended":
        return True
    if plan.ends_as is not None:
        return False
    done = {task.id for task in after.tasks if task.state != "open"}
    awaited = {task.id for task in after.open_tasks()} | set(plan.decisions_added)
    return after.is_at_rest and awaited <= after.waits | done


def _has_come(planned: PlannedProcess, found: ProcessStanding) -> bool:
    match planned.change:
        case "kept":
            return found.run_id == planned.run_id
        case "anew":
            return found.run_id not in (None, planned.run_id)
        case "ends":
            return not found.is_running


def report(plan: Plan, before: CaseStanding, after: CaseStanding, pushed: Iterable[str]) -> Report:
    """Hold what is against what was planned.

    Args:
        before, after: the case when the plan was carried out, and when it had settled.
        pushed: tasks that were sent to their agencies' systems once more.
    """
    was = {task.id: task for task in before.tasks}
    now = {task.id: task for task in after.tasks}
    kept = [i for i in plan.decisions_kept if now[i].outcome == was[i].outcome is not None]
    decided = [i for i, task in now.items() if task.outcome and i not in plan.decisions_kept]
    added = [i for i in decided if i in plan.decisions_added]
    came = [i for i in decided if i not in plan.decisions_added]
    found = {each.workflow_id: each for each in after.processes}
    seen = Report(
        processes=tuple(_observed(each, found[each.workflow_id]) for each in plan.processes),
        decisions_kept=tuple(kept),
        decisions_lost=tuple(i for i in plan.decisions_kept if i not in kept),
        decisions_added=tuple(added),
        decisions_came=tuple(came),
        pushes_repeated=tuple(sorted(i for i in pushed if i in was)),
        deadlines_moved=tuple(i for i, task in was.items() if now[i].due_on != task.due_on),
        tasks_closed=tuple(
            i for i, task in was.items() if task.state == "open" and now[i].state == "closed"
        ),
        tasks_opened=tuple(i for i in now if i not in was),
        ended_as=after.ending,
        is_settled=is_settled(plan, after),
        deviations=(),
    )
    return seen.model_copy(update={"deviations": tuple(_deviations(plan, seen))})


def _observed(planned: PlannedProcess, found: ProcessStanding) -> PlannedProcess:
    change: Literal["kept", "anew", "ends"] = "kept" if found.run_id == planned.run_id else "anew"
    if not found.is_running and planned.status == "running" and change == "kept":
        change = "ends"
    return PlannedProcess(
        workflow_id=found.workflow_id, run_id=found.run_id, status=found.status, change=change
    )


def _deviations(plan: Plan, seen: Report) -> Iterator[Wording]:
    came = set(seen.decisions_came)
    if not seen.is_settled:
        yield Wording(
            zh="修复后流程尚未稳定，请查看流程引擎与工作进程",
            en="the case had not come to rest; look at the engine and the workers",
        )
    yield from _differ(
        "已有决定被改动", "decisions that are not as they were", (), seen.decisions_lost
    )
    yield from _differ(
        "再次推送的任务",
        "pushes repeated",
        set(plan.pushes_repeated) - came,
        set(seen.pushes_repeated) - came,
    )
    yield from _differ(
        "期限变动的任务", "deadlines moved", plan.deadlines_moved, seen.deadlines_moved
    )
    yield from _differ(
        "未作决定即关闭的任务", "tasks closed", set(plan.tasks_closed) - came, seen.tasks_closed
    )
    yield from _differ("代录的结果", "decisions added", plan.decisions_added, seen.decisions_added)
    is_expected = plan.ends_as is None and (plan.goes_on or came)
    if seen.ended_as != plan.ends_as and not is_expected:
        yield Wording(
            zh=f"办件结局为 {seen.ended_as or '无'}，计划为 {plan.ends_as or '无'}",
            en=f"the case ended as {seen.ended_as}, planned {plan.ends_as}",
        )
    if seen.tasks_opened and not (plan.goes_on or came):
        yield from _differ("新产生的任务", "tasks opened", (), seen.tasks_opened)
    for planned, found in zip(plan.processes, seen.processes, strict=True):
        goes_on = planned.change == "kept" and found.change == "ends" and (plan.goes_on or came)
        if planned.change != found.change and not goes_on:
            yield Wording(
                zh=f"流程 {planned.workflow_id}：实际 {found.change}，计划 {planned.change}",
                en=f"process {planned.workflow_id}: {found.change}, planned {planned.change}",
            )


def _differ(zh: str, en: str, planned: Iterable[str], found: Iterable[str]) -> Iterator[Wording]:
    expected, seen = sorted(planned), sorted(found)
    if expected != seen:
        yield Wording(
            zh=f"{zh}：实际 {'、'.join(seen) or '无'}，计划 {'、'.join(expected) or '无'}",
            en=f"{en}: {', '.join(seen) or 'none'}; planned: {', '.join(expected) or 'none'}",
        )
