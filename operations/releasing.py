"""What else the code that is to be deployed needs for the open cases (RB-12.2).

Replays say whether it can go on telling what was begun; this, whether it has what they rest on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from operations.divergence import Words
from operations.processes import Processes
from policy.loader import UnknownPolicy, policy_for
from storage.replays import open_policies
from workflows.registry import WORKFLOWS


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that open cases rest on and this code does not have.

    Attributes:
        about: the policy version, or the workflow id.
        words: what is missing, and for what.
    """

    about: str
    words: Words


async def misfits(processes: Processes, casefile: AsyncEngine) -> AsyncIterator[Misfit]:
    """Yield what open cases rest on and this code does not have.

    Raises:
        EngineAway: what runs cannot be asked for.
    """
    for policy, cases in (await open_policies(casefile)).items():
        try:
            policy_for(policy)
        except UnknownPolicy as problem:
            yield Misfit(
                policy,
                Words(
                    f"{cases} 个在办件依据的政策 {policy} 未随本版本发布",
                    f"{cases} open cases are pinned to the policy {policy}, which is not shipped: "
                    f"{problem}",
                ),
            )
    known = ", ".join(f'"{each.__name__}"' for each in WORKFLOWS)
    queue = processes.settings.task_queue
    unknown = (
        f'ExecutionStatus = "Running" AND TaskQueue = "{queue}" AND WorkflowType NOT IN ({known})'
    )
    async for workflow_id, _ in processes.listed(unknown):
        yield Misfit(
            workflow_id,
            Words(
                f"流程 {workflow_id} 正在运行，但本版本没有该类流程",
                f"the process {workflow_id} is running, and this code has no workflow of its kind",
            ),
        )
