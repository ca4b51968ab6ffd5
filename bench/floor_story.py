"""The shape of a high-voltage case with nothing in it: what the engine alone costs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

DEPARTMENTS = ("natural-resources", "police", "transport", "urban-management", "water")
LAST_TASK = "energise"


async def _owe(task: str) -> str:
    # The same options as `workflows.owing.owe`.
    done: str = await workflow.execute_activity(
        "owe",
        task,
        activity_id=f"{workflow.info().workflow_id}.{task}",
        result_type=str,
        start_to_close_timeout=timedelta(minutes=10),
        schedule_to_close_timeout=timedelta(days=3650),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=1), maximum_interval=timedelta(hours=1)
        ),
        cancellation_type=workflow.ActivityCancellationType.ABANDON,
    )
    return done


@workflow.defn
class FloorBundle:
    """Five tasks at once."""

    @workflow.run
    async def run(self, case: str) -> str:
        await asyncio.gather(*(_owe(f"permits-{department}") for department in DEPARTMENTS))
        return case


@workflow.defn
class FloorCase:
    """The tasks of a high-voltage case, in its order."""

    @workflow.run
    async def run(self, case: str) -> str:
        for task in ("check_papers", "supply_plan", "confirm_plan"):
            await _owe(task)
        await asyncio.gather(self._external_line_built(case), _owe("customer_works"))
        for task in ("inspection", "sign_contract", LAST_TASK):
            await _owe(task)
        return case

    async def _external_line_built(self, case: str) -> None:
        await _owe("line_design")
        await workflow.execute_child_workflow(FloorBundle.run, case, id=f"{case}.permits.1")
        await _owe("build_line")


@workflow.defn
class FloorApproval:
    """What lies around a bundle: the design before it, the bundle, and one task after it."""

    @workflow.run
    async def run(self, case: str) -> str:
        await _owe("line_design")
        await workflow.execute_child_workflow(FloorBundle.run, case, id=f"{case}.permits.1")
        await _owe(LAST_TASK)
        return case
