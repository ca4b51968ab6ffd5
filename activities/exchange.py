"""What is told to 工建系统 of permit tasks, in its codes and as its files (RB-4.8).

A file of a period holds what happened in it and nothing else. What happened stays as it is, so the
files of consecutive periods, put one after another, are the file of them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.connection import Code, Ending
from domain.exchange import (
    ItemStep,
    StateRecord,
    StepKind,
    TaskHistory,
    csv_head,
    csv_rows,
    json_lines,
    states,
)
from domain.policy import Policy
from domain.task_events import HOLDING, TaskEvent
from domain.working_time import civil_date
from policy.loader import policy_for
from storage.exchange import TASKS_PER_PAGE, PermitTask, permit_tasks

Spelling = Literal["jsonl", "csv"]

MEDIA_TYPES: Mapping[Spelling, str] = {"jsonl": "application/x-ndjson", "csv": "text/csv"}


def file_name(first: date, last: date, spelling: Spelling) -> str:
    """Name the file of a period."""
    days = f"{first}" if first == last else f"{first}_{last}"
    return f"permits_{days}.{spelling}"


async def pieces(
    engine: AsyncEngine,
    first: date,
    last: date,
    spelling: Spelling,
    *,
    per_page: int = TASKS_PER_PAGE,
) -> AsyncIterator[bytes]:
    """Yield the file of what happened to permit items in a period, piece by piece.

    Items follow each other by task in order of id, and in a task as they were asked; of each its
    states, in order of time.

    Args:
        first, last: civil dates, both included.
    """
    piece = csv_head() if spelling == "csv" else b""
    async for page in permit_tasks(engine, first, last, per_page=per_page):
        records = [
            record
            for task in page
            for record in states_of(task, policy_for(task.policy))
            if first <= civil_date(record.at) <= last
        ]
        yield piece + (csv_rows(records) if spelling == "csv" else json_lines(records).encode())
        piece = b""
    yield piece


def states_of(task: PermitTask, policy: Policy) -> tuple[StateRecord, ...]:
    """Return every state of every item of a task."""
    steps: list[ItemStep] = []
    for step in _steps(task, policy):
        # Programs on several machines write the file, and their clocks differ by a little.
        at = max(step.at, steps[-1].at) if steps else step.at
        steps.append(ItemStep(step.kind, at, step.by, step.ground, step.item))
    return states(
        TaskHistory(
            case_no=task.case_no,
            task_id=task.id,
            department=policy.agencies[task.owed_by].zh,
            items=tuple(item["item"] for item in task.asked["items"]),
            steps=tuple(steps),
        )
    )


def _steps(task: PermitTask, policy: Policy) -> Iterator[ItemStep]:
    passed_by = [policy.agencies[agency].zh for agency in task.asked.get("passed_by", ())]
    opening = f"此前征询：{'、'.join(passed_by)}" if passed_by else None
    yield ItemStep(StepKind.OPENED, task.opened_at, "onewindow", opening)
    for event in task.history:
        # Who within a department holds a task is its own affair, and no state of an item.
        if event.kind in HOLDING:
            continue
        yield ItemStep(StepKind(event.kind), event.at, event.by, _ground_of_report(event, policy))
    if task.done_at is None:
        return
    if task.outcome is None:
        is_withdrawn = task.closed_by == Ending.WITHDRAWN
        ground = "申请人撤件" if is_withdrawn else "办件已终止"
        yield ItemStep(StepKind.WITHDRAWN, task.done_at, "onewindow", ground)
    else:
        yield from _decisions(task, task.outcome, task.done_at, policy)


def _decisions(
    task: PermitTask, outcome: Mapping[str, Any], at: datetime, policy: Policy
) -> Iterator[ItemStep]:
    by = task.decided_by or task.owed_by
    if outcome["code"] == Code.NOT_COMPETENT:
        competent = policy.agencies[outcome["competent"]].zh
        ground = _joined(outcome["note"], f"主管部门：{competent}")
        yield ItemStep(StepKind.NOT_COMPETENT, at, by, ground)
        return
    for answer in outcome["items"]:
        papers, by_day = answer.get("papers"), answer.get("papers_by")
        document_no = answer.get("document_no") or outcome.get("document_no")
        of_day = f"（{answer['document_on']}）" if answer.get("document_on") else ""
        ground = _joined(
            answer.get("note"),
            papers and f"后补材料：{'、'.join(papers)}（{by_day}前补齐）",
            document_no and f"文号：{document_no}{of_day}",
        )
        yield ItemStep(StepKind(answer["outcome"]), at, by, ground, answer["item"])


def _ground_of_report(event: TaskEvent, policy: Policy) -> str | None:
    procedure = policy.procedures.get(event.procedure or "")
    return _joined(
        event.ground,
        f"特别程序：{procedure.zh}" if procedure else None,
        f"须补正：{'、'.join(event.missing)}" if event.missing else None,
        event.document_no and f"文号：{event.document_no}",
    )


def _joined(*parts: str | None) -> str | None:
    """Join what was said; None if nothing was."""
    return "；".join(part for part in parts if part) or None
