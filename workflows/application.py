"""The application for a connection (用电申请), from the window to a live meter (RB-6)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from itertools import count

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.owing import SHORTEST_ATTEMPT, on_file, on_file_in_sight, owe
from workflows.watching import Watch

with workflow.unsafe.imports_passed_through():
    from activities.casefile import CaseFileActivities
    from activities.messages import (
        Answer,
        Bundle,
        BundleResult,
        CaseRef,
        Closing,
        PapersToFollow,
        PermitPlan,
        RouteRemark,
        Withdrawal,
    )
    from domain.connection import (
        STORY,
        Action,
        Code,
        Ending,
        TaskKind,
        Voltage,
        check_action,
    )
    from domain.errors import IllegalAction
    from domain.naming import bundle_id
    from workflows.approval_bundle import ApprovalBundle


WITHDRAWAL_KEPT_FIRST = "withdrawal-kept-first"
"""Patch of November 2026: see `docs/adr/0012`, which says when the older path may go."""


class _StoryEnds(Exception):
    """A step reached an ending; what is left of the story is not told."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending


@workflow.defn
class Application:
    """One application's process; its id is the case number."""

    @workflow.init
    def __init__(self, case: CaseRef) -> None:
        self._case = case
        self._reached: TaskKind | None = None
        self._withdrawal: Withdrawal | None = None
        self._is_over = False
        self._is_closed = False
        self._watch = Watch(case)
        self._aside: list[asyncio.Task[Answer]] = []
        self._calendar_changes = self._changes_seen = 0

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        watching = asyncio.create_task(self._watch.run())
        story = asyncio.create_task(self._story())
        await workflow.wait_condition(lambda: story.done() or self._withdrawal is not None)
        watching.cancel()
        for aside in self._aside:
            aside.cancel()
        await asyncio.gather(*self._aside, return_exceptions=True)
        if not story.done():
            story.cancel()
            # Whatever it raises now says only that it was cancelled.
            await asyncio.gather(story, return_exceptions=True)
            return await self._closed(Ending.WITHDRAWN)
        return await self._closed(story.result())

    async def _story(self) -> Ending:
        try:
            match self._case.voltage:
                case Voltage.LOW:
                    return await self._connected_at_low_voltage()
                case Voltage.HIGH:
                    return await self._connected_at_high_voltage()
        except _StoryEnds as at:
            return at.ending

    async def _connected_at_high_voltage(self) -> Ending:
        await self._papers_checked()
        await self._supply_plan_agreed()
        await asyncio.gather(self._external_line_built(), self._customer_works_done())
        await self._inspected_until_passed()
        await self._contract_signed()
        return await self._energised()

    async def _connected_at_low_voltage(self) -> Ending:
        await self._papers_checked()
        remarks = await self._surveyed()
        if remarks and self._case.edition >= 2:
            # RB-4.3: a person looks; it does not stop the clock, so nothing waits for it.
            self._beside(TaskKind.LOOK_AT_ROUTE, remarks=tuple(remarks))
        await self._line_filed(remarks)
        await self._line_built()
        await self._contract_signed()
        return await self._energised()

    # ------------------------------------------------------------------ steps of both stories

    async def _papers_checked(self) -> None:
        answer = await self._answered_or_deemed_accepted()
        if answer.code is Code.CORRECTION_NEEDED:
            # RB-3.5: one notice names everything missing; after it, accept or decline.
            await self._answered(TaskKind.CORRECT_PAPERS)
            answer = await self._answered(TaskKind.CHECK_PAPERS, round_no=2)
        accepted_at = await on_file(
            CaseFileActivities.accept_case, self._case.policy, self._case.no, answer
        )
        self._watch.accepted(accepted_at)

    async def _answered_or_deemed_accepted(self) -> Answer:
        """Wait for the desk's answer, but not beyond the days in which it may give notice.

        RB-3.5: without notice by then the papers are accepted as of the day of receipt. This is
        the one silence that the law itself answers; a department's never is (RB-4.5).
        """
        lapses_at = await self._notice_lapses_at()
        checking = asyncio.create_task(self._owed(TaskKind.CHECK_PAPERS))
        while await self._calendar_changes_before(checking, lapses_at):
            lapses_at = await self._notice_lapses_at()
        if checking.done():
            answer = checking.result()
        else:
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)
            # What the desk put on file a moment before stands.
            at = self._case.clock.civil(workflow.now())
            answer = await on_file(
                CaseFileActivities.deem_accepted, self._case.policy, self._case.no, at
            )
        if answer.decided_at >= lapses_at:
            # Whatever the desk says after the lapse, the law has said it before.
            return replace(answer, code=Code.ACCEPTED)
        return self._unless_it_ends(TaskKind.CHECK_PAPERS, answer)

    async def _calendar_changes_before(
        self, checking: asyncio.Task[Answer], lapses_at: datetime
    ) -> bool:
        """Wait for the answer or the lapse; true if deadlines have moved before either."""
        time_left = self._case.clock.engine(lapses_at) - workflow.now()
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: checking.done() or self._calendar_changes != self._changes_seen,
                # Time enough to have been asked at all, even if the engine was away beyond it.
                timeout=max(time_left, SHORTEST_ATTEMPT),
            )
        return not checking.done() and self._calendar_changes != self._changes_seen

    async def _notice_lapses_at(self) -> datetime:
        self._changes_seen = self._calendar_changes
        return await on_file(CaseFileActivities.notice_lapses_at, self._case.policy, self._case.no)

    async def _line_built(self) -> None:
        await self._answered(TaskKind.BUILD_LINE)

    async def _contract_signed(self) -> None:
        await self._answered(TaskKind.SIGN_CONTRACT)

    async def _energised(self) -> Ending:
        await self._answered(TaskKind.ENERGISE)
        return Ending.CONNECTED

    # ------------------------------------------------------------------ low voltage

    async def _surveyed(self) -> list[RouteRemark]:
        surveyed = await self._answered(TaskKind.SURVEY)
        return await on_file(
            CaseFileActivities.take_survey, self._case.policy, self._case.no, surveyed
        )

    async def _line_filed(self, remarks: list[RouteRemark]) -> None:
        # RB-4.3: filing (备案) instead of approval; what a person should see goes with it.
        filed = await self._answered(TaskKind.FILING, remarks=tuple(remarks))
        if self._case.edition >= 2:
            await on_file(
                CaseFileActivities.file_with_departments, self._case.policy, self._case.no, filed
            )

    # ------------------------------------------------------------------ high voltage

    async def _supply_plan_agreed(self) -> None:
        for round_no in count(1):
            await self._answered(TaskKind.SUPPLY_PLAN, round_no=round_no)
            reply = await self._answered(TaskKind.CONFIRM_PLAN, round_no=round_no)
            if reply.code is Code.AGREED:
                return

    async def _external_line_built(self) -> None:
        await self._line_permitted()
        await self._line_built()

    async def _line_permitted(self) -> None:
        """Design a route and have it permitted; revise it as long as a department refuses."""
        for round_no in count(1):
            designed = await self._answered(TaskKind.LINE_DESIGN, round_no=round_no)
            plan = await self._permits_planned(round_no, designed)
            result, has_consent = await asyncio.gather(
                self._approved_in_parallel(Bundle(self._case, round_no, plan.asks)),
                self._consented(round_no, plan.exceptions),
            )
            for papers in result.papers:
                self._papers_follow(round_no, papers)
            if result.may_build and has_consent:
                return

    async def _permits_planned(self, round_no: int, designed: Answer) -> PermitPlan:
        policy, no = self._case.policy, self._case.no
        if self._case.edition >= 2:
            return await on_file(CaseFileActivities.plan_permits, policy, no, round_no, designed)
        asks = await on_file(CaseFileActivities.list_permits, policy, no, round_no, designed)
        return PermitPlan(tuple(asks), ())

    async def _consented(self, round_no: int, exceptions: tuple[RouteRemark, ...]) -> bool:
        """RB-4.4: what needs consent outside the window is asked for beside the bundle."""
        if not exceptions:
            return True
        answer = await self._answered(TaskKind.CONSENT, round_no=round_no, remarks=exceptions)
        return answer.code is Code.CONSENTED

    def _papers_follow(self, round_no: int, papers: PapersToFollow) -> None:
        """RB-4.5: papers that follow (容缺) hold up nothing, but are watched."""
        self._beside(
            TaskKind.PAPERS,
            round_no=round_no,
            department=papers.department,
            papers=papers.papers,
            due_on=papers.due_on,
        )
        self._watch.look_by(papers.alarm_at)

    async def _approved_in_parallel(self, bundle: Bundle) -> BundleResult:
        self._reached = TaskKind.PERMITS
        self._watch.owed(TaskKind.PERMITS)
        return await workflow.execute_child_workflow(
            ApprovalBundle.run,
            bundle,
            id=bundle_id(self._case.no, bundle.round),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        )

    async def _customer_works_done(self) -> None:
        await self._answered(TaskKind.CUSTOMER_WORKS)

    async def _inspected_until_passed(self) -> None:
        for round_no in count(1):
            inspected = await self._answered(TaskKind.INSPECTION, round_no=round_no)
            if inspected.code is Code.PASSED:
                return
            # RB-6.2: rectification is on the customer's time.
            await self._answered(TaskKind.RECTIFICATION, round_no=round_no)

    # ------------------------------------------------------------------ waiting, ending

    async def _answered(
        self, kind: TaskKind, *, round_no: int = 1, remarks: tuple[RouteRemark, ...] = ()
    ) -> Answer:
        """Owe a task; return its answer, unless that answer is where the story ends."""
        answer = await self._owed(kind, round_no=round_no, remarks=remarks)
        return self._unless_it_ends(kind, answer)

    async def _owed(
        self, kind: TaskKind, *, round_no: int = 1, remarks: tuple[RouteRemark, ...] = ()
    ) -> Answer:
        if self._withdrawal is not None:
            # A bundle that concludes while it is being cancelled returns as if it were not.
            raise _StoryEnds(Ending.WITHDRAWN)
        self._reached = kind
        self._watch.owed(kind)
        answer = await owe(self._case, kind, round_no=round_no, remarks=remarks)
        if answer.case_ending is not None:
            raise _StoryEnds(answer.case_ending)
        return answer

    def _beside(
        self,
        kind: TaskKind,
        *,
        round_no: int = 1,
        department: str | None = None,
        remarks: tuple[RouteRemark, ...] = (),
        papers: tuple[str, ...] = (),
        due_on: date | None = None,
    ) -> None:
        """Owe a task that the story does not wait for; it is closed with the case."""
        self._watch.owed(kind)
        owing = owe(
            self._case,
            kind,
            round_no=round_no,
            department=department,
            remarks=remarks,
            papers=papers,
            due_on=due_on,
        )
        self._aside.append(asyncio.create_task(owing))

    def _unless_it_ends(self, kind: TaskKind, answer: Answer) -> Answer:
        assert answer.code is not None  # only where the case has ended, see `_owed`
        match STORY[self._case.voltage][kind][answer.code].then:
            case Ending.CONNECTED:
                return answer
            case Ending() as ending:
                raise _StoryEnds(ending)
            case _:
                return answer

    async def _closed(self, ending: Ending) -> Closing:
        self._is_over = True
        ended_at = self._case.clock.civil(workflow.now())
        action_id = self._withdrawal.action_id if self._withdrawal else None
        # A workflow task that carries a withdrawal may be lost, and the engine then knows nothing
        # of it: so the task ends before the file says that the case was withdrawn.
        is_in_sight = self._withdrawal is not None and workflow.patched(WITHDRAWAL_KEPT_FIRST)
        ended = on_file_in_sight if is_in_sight else on_file
        await ended(CaseFileActivities.end_case, self._case.no, ending, ended_at, action_id)
        self._is_closed = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return Closing(ending, ended_at)

    @workflow.signal
    def calendar_changed(self) -> None:
        """Deadlines on file have moved; look at them."""
        self._calendar_changes += 1
        self._watch.look_now()

    @workflow.signal
    def deadlines_moved(self) -> None:
        """A clock was stopped, or goes on (RB-4.6); look at the deadlines."""
        self._watch.look_now()

    @workflow.update
    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """Withdraw the application; answered once the case file says so."""
        self._withdrawal = withdrawal
        await workflow.wait_condition(lambda: self._is_closed)

    @withdraw.validator
    def _may_withdraw(self, withdrawal: Withdrawal) -> None:
        if self._is_over or self._withdrawal is not None:
            raise ApplicationError("the case is ending", type="IllegalAction")
        try:
            check_action(Action.WITHDRAW, self._reached)
        except IllegalAction as illegal:
            raise ApplicationError(
                f"the case has reached {illegal.stage}", type="IllegalAction"
            ) from None
