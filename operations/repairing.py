"""Carrying out a repair of one case, and telling what came of it (RB-12.2).

Each step is safe to repeat: whoever is killed in the middle leaves an item that is begun, and
whoever takes it up next does it again with the same names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from pydantic import ValidationError
from temporalio.service import RPCError

from activities.agencies import Agencies, PushRefused, PushUnanswered
from activities.beginning import ref_of
from activities.contract import task_body
from activities.messages import Answer, CaseRef, Withdrawal
from activities.owe import check_task_outcome
from activities.payloads import MESSAGES
from domain.errors import EngineAway, IllegalRepair, InputRefused, OneWindowError
from domain.outcomes import Outcome
from domain.repair_plan import Plan, Report, Wording, is_settled, report
from domain.repairs import RepairKind
from domain.working_time import civil_date
from operations.planning import Asked, plan
from operations.processes import Processes
from operations.repair_options import Option, options
from operations.standing import Seen, look
from policy.loader import policy_for
from storage.casefile import CaseFile
from storage.documents import Documents
from storage.reading import CaseRecord, Reading
from storage.records import TaskRecord
from storage.repairs import ItemRecord, ItemState, NotToBegin, RepairRecord, Repairs

SETTLES_WITHIN_S = 30.0
LOOKS_EVERY_S = 0.1
KEPT_FOR = timedelta(seconds=90)
"""How long nobody else takes up an item while its case comes to rest."""
GIVEN_UP_AFTER = timedelta(minutes=5)
"""After which a process that does not answer a withdrawal is told of, in civil time."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What repairs are made with.

    Attributes:
        now: the engine's time.
    """

    casefile: CaseFile
    reading: Reading
    documents: Documents
    repairs: Repairs
    processes: Processes
    agencies: Agencies
    now: Callable[[], datetime]


class Repairing:
    """Plans and carries out what the administrators' book says, one case at a time.

    Args:
        settles_within_s: how long to wait for a case to come to rest before the report is written.
    """

    def __init__(self, tools: Tools, *, settles_within_s: float = SETTLES_WITHIN_S) -> None:
        self._tools, self._settles_within_s = tools, settles_within_s
        self._systems = frozenset(each.agency for each in tools.agencies.standings)
        self._is_stopping = False

    def stop(self) -> None:
        """Have whoever waits for a case to come to rest leave its report to the next."""
        self._is_stopping = True

    async def planned(self, asked: Asked) -> Plan:
        """Say what a repair would do; nothing is changed.

        Raises:
            UnknownCase, UnknownTask, CaseEnded, IllegalRepair: it is not possible.
            InputRefused: an outcome that is to be put on file is not valid.
            EngineAway: the engine does not answer.
        """
        seen = await self.look(asked.target.case_no)
        made = await plan(asked, seen, self._tools.processes)
        if asked.kind is RepairKind.DECIDE:
            documents = await self._checked(seen, asked)
            made = made.model_copy(update={"documents": documents})
        return made

    async def options(self, no: str) -> tuple[Option, ...]:
        """Say what could be repaired of a case as it stands, and what could not, and why.

        Raises:
            UnknownCase: there is no such case.
            EngineAway: the engine does not answer.
        """
        return await options(await self.look(no), self._tools.processes)

    async def look(self, no: str) -> Seen:
        """Look at a case as it stands now."""
        tools = self._tools
        return await look(no, tools.reading, tools.processes, self._systems)

    async def plan_item(self, item: ItemRecord, repair: RepairRecord) -> None:
        """Make an item's plan and put it on file, or why there is none."""
        try:
            found: Plan | Wording = await self.planned(asked_of(item, repair))
        except EngineAway:
            return  # It is planned when the engine is back.
        except OneWindowError as problem:
            found = _told(problem)
        await self._tools.repairs.planned(item, found)

    async def carry_out(self, item: ItemRecord, repair: RepairRecord) -> None:
        """Carry out an item that was claimed, unless its case has moved on; report on it."""
        repairs = self._tools.repairs
        try:
            seen = await self.look(item.case_no)
            if item.before is None:
                item = await repairs.begin(item, repair, seen.standing, at=self._civil(seen.case))
            assert item.plan is not None and item.before is not None
            await self._done(item, repair, item.plan, seen)
            found = await self._reported(item)
        except EngineAway:
            await self._away(item, repair)
            return
        except NotToBegin:
            await repairs.give_back(item)
            return
        except _Stopped:
            await repairs.give_back(item)
            return
        except RPCError as refused:
            why = Wording(
                zh=f"流程引擎拒绝：{refused.message}", en=f"the engine refuses: {refused.message}"
            )
            await self._failed(item, repair, why)
            return
        except OneWindowError as problem:
            await self._failed(item, repair, _told(problem))
            return
        await repairs.end(item, repair, ItemState.DONE, at=await self._at(item), report=found)

    async def _failed(self, item: ItemRecord, repair: RepairRecord, why: Wording) -> None:
        """Put on file why an item was not carried to its end, and how its case stands now."""
        at, found = await self._at(item), None
        if item.before is not None and item.plan is not None:
            seen = await self.look(item.case_no)
            found = report(item.plan, item.before, seen.standing, _pushed(item.plan, seen))
        state = ItemState.FAILED if item.before else ItemState.STALE
        await self._tools.repairs.end(item, repair, state, at=at, report=found, problem=why)

    async def _away(self, item: ItemRecord, repair: RepairRecord) -> None:
        """Leave an item to whoever takes it up next, but not for ever if nothing was ended yet."""
        if repair.kind is not RepairKind.WITHDRAW or item.begun_at is None:
            return  # Its claim runs out, and it is taken up again.
        at = await self._at(item)
        if at - item.begun_at < GIVEN_UP_AFTER:
            return
        why = Wording(
            zh="流程未应答撤回请求；撤回仍可能生效，请稍后查看办件",
            en="the process does not answer the withdrawal; it may still take effect, look later",
        )
        await self._tools.repairs.end(item, repair, ItemState.FAILED, at=at, problem=why)

    # ------------------------------------------------------------------ each kind

    async def _done(self, item: ItemRecord, repair: RepairRecord, plan: Plan, seen: Seen) -> None:
        processes, target = self._tools.processes, plan.target
        match plan.kind:
            case RepairKind.RETRY:
                assert target.process and target.task_id
                is_tried = await processes.retry_activity(target.process, target.task_id)
                task = seen.task(target.task_id)
                # Done by now, of itself or by whoever had this in hand before.
                if not is_tried and task is not None and task.state == "open":
                    raise IllegalRepair(
                        f"{target.task_id} is not under way any more",
                        f"{target.task_id} 已不在进行中",
                    )
            case RepairKind.PUSH:
                await self._pushed(_task(seen, target.task_id))
            case RepairKind.RESET:
                await self._reset(item, plan)
            case RepairKind.RESTART:
                await self._restarted(item, plan, seen.case)
            case RepairKind.MOVE:
                for each in plan.processes:
                    if each.status == "running" and not await processes.move(
                        each.workflow_id, target.version or None
                    ):
                        raise IllegalRepair(
                            f"{each.workflow_id} has ended meanwhile",
                            f"{each.workflow_id} 已结束",
                        )
            case RepairKind.WITHDRAW:
                await self._withdrawn(item, repair, seen.case)
            case RepairKind.DECIDE:
                await self._decided(item, repair, seen)
            case _:
                assert_never(plan.kind)

    async def _reset(self, item: ItemRecord, plan: Plan) -> None:
        workflow_id, event_id = plan.target.process, plan.target.event_id
        assert workflow_id is not None and event_id is not None
        processes = self._tools.processes
        (itself,) = (each for each in plan.processes if each.workflow_id == workflow_id)
        assert itself.run_id is not None
        bundles = [e for e in plan.processes if e.change == "anew" and e is not itself]
        if bundles:
            # A bundle is begun anew only where none runs under its id. Its process ends first, so
            # that it cannot see the bundle end and take that for what the bundle came to.
            await processes.terminate(workflow_id, itself.run_id, item.name)
            for each in bundles:
                if each.run_id is not None:
                    await processes.terminate(each.workflow_id, each.run_id, item.name)
        begun = await processes.reset(
            workflow_id, itself.run_id, event_id, reason=item.name, request_id=item.name
        )
        if begun is None:
            raise IllegalRepair(
                f"the engine has lost {workflow_id}; restart the case from its file",
                f"流程引擎中已没有 {workflow_id}；可改用“依案卷重启”",
            )

    async def _restarted(self, item: ItemRecord, plan: Plan, case: CaseRecord) -> None:
        processes = self._tools.processes
        began_as = await self._began_as(plan, case)
        for each in plan.processes:
            # The case's own process first: it must not see its bundles end.
            if each.run_id is not None and each.status == "running":
                await processes.terminate(each.workflow_id, each.run_id, item.name)
        await processes.start(began_as)

    async def _began_as(self, plan: Plan, case: CaseRecord) -> CaseRef:
        """Return what the case was started with, so that it is told under the same edition."""
        itself = plan.processes[0]
        if itself.run_id is not None:
            history = await self._tools.processes.history(itself.workflow_id, itself.run_id)
            if history is not None:
                started = history.events[0].workflow_execution_started_event_attributes
                (found,) = await MESSAGES.decode(started.input.payloads, [CaseRef])
                assert isinstance(found, CaseRef)
                return found
        return ref_of(case)

    async def _pushed(self, task: TaskRecord) -> None:
        """Push a task as the activity `owe` does; what the agency answers counts as there."""
        tools = self._tools
        task = await tools.reading.task(task.id)
        if task.state != "open":
            return  # RB-12.3: decided while nobody had this in hand.
        try:
            outcome = await tools.agencies.push(
                task.owed_by, task_body(task, policy_for(task.policy))
            )
        except (PushRefused, PushUnanswered) as problem:
            raise IllegalRepair(
                f"the agency's system did not take it: {problem}",
                f"该单位系统未接收：{problem}",
            ) from None
        if outcome is not None:
            try:
                await self._put_on_file(task, outcome, by=task.owed_by)
            except (ValidationError, InputRefused):
                raise IllegalRepair(
                    f"{task.owed_by} took it, and answered an outcome that is not valid",
                    f"{task.owed_by} 已接收，但其答复的结果无效",
                ) from None
        elif task.push_failing_since is not None:
            await tools.casefile.push_taken(task.id)

    async def give_up(self, item: ItemRecord, repair: RepairRecord) -> None:
        """Put on file that an item could not be seen to, for a reason on our side."""
        problem = Wording(
            zh="系统内部错误，详见日志 repair_failed；请查看办件后重新制定计划",
            en="something failed on our side, see repair_failed in the log; look at the case, and "
            "make a new plan",
        )
        repairs = self._tools.repairs
        if item.state is ItemState.NEW:
            await repairs.planned(item, problem)
            return
        at, found = await self._at(item), await repairs.again(item)
        await repairs.end(found, repair, ItemState.FAILED, at=at, problem=problem)

    async def _put_on_file(self, task: TaskRecord, body: Mapping[str, Any], *, by: str) -> None:
        tools, at = self._tools, task.clock.civil(self._tools.now())
        outcome = Outcome.model_validate(body)
        named = await tools.documents.on_file(task.id, outcome.documents)
        check_task_outcome(task, outcome, civil_date(at), named)
        decided = await tools.casefile.decide(
            task.id, outcome.model_dump(mode="json", exclude_none=True), by=by, at=at
        )
        found = decided.task
        assert found.outcome is not None and found.done_at is not None
        answer = Answer.of(found.id, found.outcome, found.done_at)
        if await tools.processes.complete(found.workflow_id, found.id, answer):
            await tools.casefile.outcomes_delivered([found.id])

    async def _decided(self, item: ItemRecord, repair: RepairRecord, seen: Seen) -> None:
        task = _task(seen, item.target.task_id)
        outcome = asked_of(item, repair).outcome
        assert outcome is not None
        await self._put_on_file(task, outcome, by=repair.planned_by)

    async def _withdrawn(self, item: ItemRecord, repair: RepairRecord, case: CaseRecord) -> None:
        tools = self._tools
        by, at = repair.planned_by, self._civil(case)
        await tools.casefile.ask_action(item.name, case.no, "withdraw", repair.reason, by=by, at=at)
        await tools.processes.withdraw(case.no, Withdrawal(item.name))

    async def _checked(self, seen: Seen, asked: Asked) -> tuple[str, ...]:
        """Refuse an outcome that could not be put on file, or has no document behind it.

        Returns:
            The digests of the documents that are with the task.
        """
        task = _task(seen, asked.target.task_id)
        assert asked.outcome is not None
        outcome = Outcome.model_validate(asked.outcome)
        documents = self._tools.documents
        named = await documents.on_file(task.id, outcome.documents)
        check_task_outcome(task, outcome, civil_date(self._civil(seen.case)), named)
        put = await documents.of_task(task.id)
        if not put:
            raise IllegalRepair(
                "put the document that states the decision with the task first "
                f"(PUT /tasks/{task.id}/documents/…)",
                f"请先上传载明该决定的文件（PUT /tasks/{task.id}/documents/…）",
            )
        return put

    # ------------------------------------------------------------------ reporting

    async def _reported(self, item: ItemRecord) -> Report:
        plan, before = item.plan, item.before
        assert plan is not None and before is not None
        until = time.monotonic() + self._settles_within_s
        await self._tools.repairs.keep(item, self._tools.now() + KEPT_FOR)
        while True:
            seen = await self.look(before.no)
            after = seen.standing
            if is_settled(plan, after) or time.monotonic() > until:
                return report(plan, before, after, _pushed(plan, seen))
            if self._is_stopping:
                raise _Stopped
            await asyncio.sleep(LOOKS_EVERY_S)

    async def _at(self, item: ItemRecord) -> datetime:
        return self._civil(await self._tools.reading.case(item.case_no))

    def _civil(self, case: CaseRecord) -> datetime:
        return case.clock.civil(self._tools.now())


class _Stopped(Exception):
    """The program ends before a case has come to rest."""


def asked_of(item: ItemRecord, repair: RepairRecord) -> Asked:
    """Return what was asked for of one case."""
    return Asked(
        repair.kind,
        item.target,
        outcome=repair.asked.get("outcome"),
        first_failure=repair.asked.get("event") == "first_failure",
    )


def _task(seen: Seen, task_id: str | None) -> TaskRecord:
    task = seen.task(task_id or "")
    assert task is not None  # the plan names it
    return task


def _pushed(plan: Plan, seen: Seen) -> list[str]:
    """Return the tasks that were pushed once more: owed, and tried in a run that is new.

    Of a task that is decided an attempt comes back with what is on file, and pushes nothing.
    """
    known = {each.workflow_id: each.run_id for each in plan.processes}
    sent = {task.id for task in seen.standing.open_tasks() if task.has_system}
    pushed = [
        step.activity_id
        for workflow_id, process in seen.processes.items()
        if process.run_id != known.get(workflow_id)
        for step in process.description.pending_activities
        if step.activity_id in seen.standing.waits & sent
    ]
    if plan.kind is RepairKind.PUSH:
        # Nothing else tells; had it failed, there would be no report.
        pushed += plan.pushes_repeated
    if plan.kind is RepairKind.RETRY:
        pushed += [i for i in plan.pushes_repeated if i in seen.standing.waits]
    return pushed


def _told(problem: OneWindowError) -> Wording:
    match problem:
        case IllegalRepair():
            return Wording(zh=problem.zh, en=problem.en)
        case InputRefused():
            return Wording(
                zh="；".join(f"{each.field}：{each.zh}" for each in problem.problems),
                en="; ".join(f"{each.field}: {each.en}" for each in problem.problems),
            )
        case _:
            return Wording(zh=_ZH.get(type(problem).__name__, str(problem)), en=str(problem))


_ZH = {
    "StalePlan": "办件在计划之后已有变化，未作任何处理；请重新制定计划",
    "CaseEnded": "办件已办结，无须修复",
    "UnknownTask": "没有此任务",
    "UnknownCase": "没有此办件",
    "OutcomeConflict": "该任务已有不同的结果",
    "TaskClosed": "该任务已关闭",
    "IllegalAction": "办件当前状态不允许此操作",
    "UnknownVersion": "没有运行该版本的工作进程",
}
