"""Who is told when a route is revised: whose items are no longer needed, or are asked anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from activities.revising import revisions
from domain.connection import TaskKind
from domain.permits import PermitItem
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.records import TaskRecord
from tests.support.cases import new_case, new_task
from tests.support.databases import SqliteFiles

pytestmark = pytest.mark.rule("RB-4.7")


def item(agency: str, name: str, facts: str = "facts") -> PermitItem:
    return PermitItem(agency, name, "示例依据", (1,), facts)


DIG, ROAD = item("police", "挖掘"), item("police", "占道")
DAM, OTHER_DAM = item("water", "河道"), item("water", "河道", "other facts")
GREEN = item("urban-management", "绿化")


@pytest.fixture
async def plain(sqlite_databases: SqliteFiles) -> AsyncIterator[TaskRecord]:
    """A permit task to make others of."""
    with sqlite_databases.migrated() as url:
        casefile = CaseFile(open_engine(url))
        no = (await casefile.submit(new_case())).no
        yield await casefile.open_task(new_task(no, TaskKind.PERMITS, department="water"))
        await casefile.close()


def asked(
    plain: TaskRecord, round_no: int, *items: PermitItem, by: str | None = None
) -> TaskRecord:
    """A task that asked for items; with `by`, a department asked in place of the first."""
    named = items[0].agency
    content = {
        "items": [{"item": each.item, "facts_digest": each.facts_digest} for each in items],
        **({"passed_by": [named]} if by else {}),
    }
    owed_by = by or named
    task_id = f"{plain.case_no}.permits-{owed_by}.{round_no}"
    return replace(plain, id=task_id, owed_by=owed_by, round=round_no, asked=content)


def told(
    tasks: Sequence[TaskRecord],
    before: Sequence[PermitItem],
    now: Sequence[PermitItem],
    missing: Sequence[PermitItem],
    round_no: int = 2,
) -> dict[str, dict[str, bool]]:
    """Return what is told, by the task it is about: items, and whether each is asked anew."""
    found = list(revisions(tasks, before, now, missing, round_no))
    assert [each.cause for each in found] == [
        f"revised.{each.task_id}.{round_no}" for each in found
    ]
    return {
        each.task_id.split(".", 1)[1]: {
            item["item"]: item["is_asked_anew"] for item in each.body["items"]
        }
        for each in found
    }


def test_a_permit_that_is_still_good_is_not_touched(plain: TaskRecord) -> None:
    tasks = [asked(plain, 1, DAM), asked(plain, 1, GREEN)]
    assert told(tasks, [DAM, GREEN], [DAM], []) == {"permits-urban-management.1": {"绿化": False}}


def test_what_was_refused_is_asked_anew(plain: TaskRecord) -> None:
    tasks = [asked(plain, 1, DIG, ROAD)]
    assert told(tasks, [DIG, ROAD], [DIG, ROAD], [DIG]) == {"permits-police.1": {"挖掘": True}}


def test_what_is_needed_for_another_line_is_asked_anew(plain: TaskRecord) -> None:
    assert told([asked(plain, 1, DAM)], [DAM], [OTHER_DAM], [OTHER_DAM]) == {
        "permits-water.1": {"河道": True}
    }


def test_one_message_names_every_item_of_a_task(plain: TaskRecord) -> None:
    assert told([asked(plain, 1, DIG, ROAD)], [DIG, ROAD], [ROAD], [ROAD]) == {
        "permits-police.1": {"挖掘": False, "占道": True}
    }


def test_what_an_earlier_revision_told_is_not_told_again(plain: TaskRecord) -> None:
    tasks = [asked(plain, 1, DIG, GREEN), asked(plain, 2, DIG)]
    # The second route no longer needed the green; the third needs no digging either.
    assert told(tasks, [DIG], [], [], round_no=3) == {"permits-police.2": {"挖掘": False}}


def test_the_department_that_decided_in_anothers_place_is_told(plain: TaskRecord) -> None:
    tasks = [asked(plain, 1, DIG), asked(plain, 1, DIG, by="transport")]
    assert told(tasks, [DIG], [], []) == {"permits-transport.1": {"挖掘": False}}


def test_what_nobody_was_asked_for_is_told_nobody(plain: TaskRecord) -> None:
    assert told([], [DAM], [OTHER_DAM], [OTHER_DAM]) == {}
