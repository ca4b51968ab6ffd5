"""An answer to a push may name a document, as any outcome may: one that was put with the task."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import pytest
from temporalio.activity import _CompleteAsyncError as CompleteAsyncError
from temporalio.testing import ActivityEnvironment

from activities.agencies import Agencies
from activities.messages import AskedItem, OwedTask
from activities.owe import Owing
from domain.civil_clock import CivilClock
from domain.connection import TaskKind, Voltage
from policy.calendar import calendar
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.documents import Documents
from storage.reading import Reading
from tests.support.cases import NOON, POLICY, document, new_case
from tests.support.databases import SqliteFiles

ITEM = "占用、挖掘城市道路审批"
PDF = b"%PDF-1.7"


def now() -> datetime:
    return NOON


@pytest.fixture
async def casefile(sqlite_databases: SqliteFiles) -> AsyncIterator[CaseFile]:
    with sqlite_databases.migrated() as url:
        opened = CaseFile(open_engine(url))
        yield opened
        await opened.close()


class System(Agencies):
    """A department's system that puts its document, if it has one, and answers at once."""

    def __init__(self, casefile: CaseFile, puts: bytes | None) -> None:
        super().__init__({}, {})
        self._documents, self._puts = Documents(casefile.engine), puts

    async def push(self, agency: str, task: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Take a task and answer it."""
        if self._puts is not None:
            await self._documents.put(
                task["id"], document(self._puts), by=agency, check=lambda _: NOON
            )
        named = {"document_no": "示例〔2026〕1号", "document": hashlib.sha256(PDF).hexdigest()}
        return {"code": "answered", "items": [{"item": ITEM, "outcome": "approved", **named}]}


@pytest.mark.rule("RB-4.5")
@pytest.mark.parametrize(("puts", "is_taken"), [(PDF, True), (b"%PDF-1.4", False), (None, False)])
async def test_an_answer_names_a_document_that_was_put_with_the_task(
    casefile: CaseFile, puts: bytes | None, is_taken: bool
) -> None:
    no = (await casefile.submit(new_case())).no
    owed = OwedTask(
        no=no,
        voltage=Voltage.HIGH,
        policy=POLICY,
        clock=CivilClock(),
        kind=TaskKind.PERMITS,
        round=1,
        opened_at=NOON,
        department="transport",
        items=(AskedItem(ITEM, "示例", (1,), "0" * 16),),
    )
    days = Calendars(casefile.engine, calendar, now)
    owing = Owing(casefile, days, System(casefile, puts), now)
    # What is refused waits for an outcome from outside.
    with nullcontext() if is_taken else pytest.raises(CompleteAsyncError):
        await ActivityEnvironment().run(owing.owe, owed)
    (task,) = await Reading(casefile.engine).tasks_of(no)
    assert (task.outcome is not None, task.push_problem is None) == (is_taken, is_taken)
