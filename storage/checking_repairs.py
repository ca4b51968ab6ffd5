"""Whether the administrators' book is what a case's record says (RB-12.2, RB-13.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.chain import digest
from storage.records import AnyRow, parsed
from storage.tables import repair_items, repairs

_COLUMNS = (
    *repair_items.c,
    repairs.c.kind,
    repairs.c.reason,
    repairs.c.planned_by,
    repairs.c.approved_by,
    repairs.c.executed_by,
)


async def repairs_of(db: AsyncConnection, no: str) -> Sequence[AnyRow]:
    """Return what was planned for a case, and who did what."""
    statement = sa.select(*_COLUMNS).select_from(repair_items.join(repairs))
    return (await db.execute(statement.where(repair_items.c.case_no == no))).all()


def of_its_repairs(
    on_file: Sequence[AnyRow], rows: Sequence[AnyRow]
) -> Iterator[tuple[int | None, str]]:
    """Compare plans, approvals and reports with the events that carried them out."""
    items = {(row.repair, row.position): row for row in on_file}
    begun: set[tuple[int, int]] = set()
    ended: set[tuple[int, int]] = set()
    for row in rows:
        if row.kind not in ("repair_begun", "repair_ended"):
            continue
        body = parsed(row.body)
        key = (body["repair"], body["position"])
        item, name = items.get(key), f"repair {key[0]}.{key[1]}"
        if item is None:
            yield row.seq, f"{name} was taken out"
        elif row.kind == "repair_begun":
            begun.add(key)
            if (item.planned_by, item.approved_by, item.executed_by, item.kind) != (
                body["planned_by"],
                body["approved_by"],
                row.by,
                body["kind"],
            ):
                yield row.seq, f"who planned, approved or executed {name} was changed"
            elif digest(item.reason) != body["reason_sha256"]:
                yield row.seq, f"the reason of {name} was changed"
            elif item.plan is None or digest(item.plan) != body["plan_sha256"]:
                yield row.seq, f"the plan of {name} was changed"
        else:
            ended.add(key)
            report = item.report and digest(item.report)
            if (item.state, report) != (body["state"], body["report_sha256"]):
                yield row.seq, f"the report of {name} was changed"
    for key, item in sorted(items.items()):
        has_begun = item.begun_at is not None
        has_ended = has_begun and item.ended_at is not None
        if (has_begun and key not in begun) or (has_ended and key not in ended):
            yield None, f"repair {key[0]}.{key[1]} has no event"
