"""The parallel approval of an external line (并联审批): every department at once (RB-4.1)."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from workflows.owing import on_file, owe

with workflow.unsafe.imports_passed_through():
    from activities.casefile import CaseFileActivities
    from activities.messages import Ask, Bundle, BundleResult
    from domain.connection import TaskKind


@workflow.defn
class ApprovalBundle:
    """One route's permits; its id is the case number with the round."""

    @workflow.run
    async def run(self, bundle: Bundle) -> BundleResult:
        try:
            await self._every_department_answered(bundle)
        except (asyncio.CancelledError, ActivityError) as ended:
            # Waits that are cancelled end in the error of an activity, whose cause is the cancel.
            if not is_cancelled_exception(ended):
                raise
            return BundleResult(WITHDRAWN, may_build=False)
        return await on_file(
            CaseFileActivities.conclude_bundle,
            bundle.case.policy,
            bundle.case.no,
            bundle.round,
            bundle.case.clock.civil(workflow.now()),
        )

    async def _every_department_answered(self, bundle: Bundle) -> None:
        # No department waits for another (不互为前置); one refusal cancels nobody (RB-4.7).
        await asyncio.gather(*(self._answered(bundle, ask) for ask in bundle.asks))

    async def _answered(self, bundle: Bundle, ask: Ask) -> None:
        """Ask a department; where it is not competent, ask the one it names, and so on."""
        department, passed_by = ask.department, tuple[str, ...]()
        while True:
            answer = await owe(
                bundle.case,
                TaskKind.PERMITS,
                round_no=bundle.round,
                department=department,
                items=ask.items,
                passed_by=passed_by,
            )
            if answer.competent is None:
                return
            passed_by = (*passed_by, department)
            department = answer.competent


WITHDRAWN = "withdrawn"
