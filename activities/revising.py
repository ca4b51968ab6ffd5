"""What a revised route changes for departments that were asked before (RB-4.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from domain.connection import TaskKind
from domain.permits import PermitItem
from storage.outbox import Message, revised
from storage.records import TaskRecord

_Key = tuple[str, str, str]


def revisions(
    tasks: Sequence[TaskRecord],
    before: Iterable[PermitItem],
    now: Iterable[PermitItem],
    missing: Iterable[PermitItem],
    round_no: int,
) -> Iterator[Message]:
    """Say whose items are no longer needed, or are asked anew: one message per task of before.

    A department that decided is told as well: what it gave may be for a line never built. What was
    told of an earlier revision is not told again.

    Args:
        tasks: of the case, in the order they were opened.
        before, now: what the route of the round before needs, and the one of `round_no`.
        missing: of `now`, what nobody has given.
    """
    needed, asked = {_key(item) for item in now}, {_key(item) for item in missing}
    asked_names = {(agency, item) for agency, item, _ in asked}
    holders: dict[_Key, TaskRecord] = {}
    for task in tasks:
        if task.kind is TaskKind.PERMITS and task.round < round_no:
            # RB-4.5: another department may have been asked in place of the one the route names.
            named = next(iter(task.asked.get("passed_by", ())), task.owed_by)
            for item in task.asked["items"]:
                holders[named, item["item"], item["facts_digest"]] = task
    changed: dict[str, tuple[TaskRecord, dict[str, bool]]] = {}
    for key in sorted({_key(item) for item in before} & holders.keys()):
        agency, name, _ = key
        if key not in needed or key in asked:
            task = holders[key]
            _, items = changed.setdefault(task.id, (task, {}))
            items[name] = (agency, name) in asked_names
    for task, items in changed.values():
        yield revised(task.id, task.owed_by, task.due_on, round_no=round_no, items=items)


def _key(item: PermitItem) -> _Key:
    return item.agency, item.item, item.facts_digest
