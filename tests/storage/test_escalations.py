"""Supervision notices are listed on either database: open ones due first, then the others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from domain.errors import InputRefused, UnknownNotice
from storage.casefile import CaseFile
from storage.database import snapshot
from storage.escalations import EscalationFilter, Waiting, read_escalations, read_notice
from tests.support.cases import NOON, new_case, new_task, red

TODAY = date(2026, 9, 16)


@pytest.fixture
async def notices(casefile: CaseFile) -> list[str]:
    """Six of one case, in the order of their list; the last two are replied to."""
    no = (await casefile.submit(new_case())).no
    task = await casefile.open_task(new_task(no))
    steps = [f"red.{number}" for number in range(6)]
    await casefile.supervise(
        no,
        lambda _case, tasks: [
            red(tasks[0], step=step, recipient="desk", reply_by=TODAY + timedelta(days=n - 1))
            for n, step in enumerate(steps)
        ],
        at=NOON,
    )
    ids = [f"ladder.{task.id}.{step}" for step in steps]
    for later, notice in enumerate((ids[5], ids[4])):
        await casefile.acknowledge(
            notice, by="desk", at=NOON + timedelta(minutes=later), reply="示例", account="desk-1"
        )
    return ids


@pytest.mark.rule("RB-5.2", "RB-11.1")
@pytest.mark.parametrize("district", [None, "440802"])
async def test_open_ones_come_first_and_each_once(
    casefile: CaseFile, notices: list[str], district: str | None
) -> None:
    seen: list[str] = []
    cursor: str | None = None
    async with snapshot(casefile.engine) as db:
        wanted = EscalationFilter(TODAY, district=district)
        while True:
            page, total = await read_escalations(db, wanted, limit=2, cursor=cursor)
            assert total == 6
            seen += [each.id for each in page.items]
            if (cursor := page.next_cursor) is None:
                break
        # Of the answered ones, the latest reply first.
        assert seen == notices
        by_standing: Mapping[Waiting, list[str]] = {
            "open": notices[:4],
            "unacknowledged": notices[:4],
            "overdue": notices[:1],
            "answered": notices[4:],
        }
        for waiting, expected in by_standing.items():
            page, total = await read_escalations(
                db, EscalationFilter(TODAY, waiting, district=district), limit=50, cursor=None
            )
            assert ([each.id for each in page.items], total) == (expected, len(expected)), waiting
        elsewhere = EscalationFilter(TODAY, district="440803")
        assert (await read_escalations(db, elsewhere, limit=50, cursor=None))[1] == 0


async def test_a_cursor_of_another_list_is_refused(casefile: CaseFile, notices: list[str]) -> None:
    async with snapshot(casefile.engine) as db:
        page, _ = await read_escalations(db, EscalationFilter(TODAY), limit=5, cursor=None)
        only_open = EscalationFilter(TODAY, "open")
        with pytest.raises(InputRefused):
            await read_escalations(db, only_open, limit=5, cursor=page.next_cursor)
        with pytest.raises(UnknownNotice):
            await read_notice(db, "ladder.x")
        assert (await read_notice(db, notices[0])).id == notices[0]
