"""The record of actions: from wherever it is on file, in one order, without personal data."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, timedelta
from typing import Any

import pytest

from domain.civil_clock import CivilClock
from domain.repair_plan import Target
from domain.repairs import RepairKind
from storage.recorded_acts import Wanted, recorded_acts
from storage.repairs import NewRepair, Repairs
from tests.api.answers import fields, problem
from tests.console.office import Office, Visit
from tests.support.cases import NOON

PATH = "/api/v1/admin/acts"
pytestmark = pytest.mark.rule("RB-13.1")


@pytest.fixture
async def admin(office: Office) -> Visit:
    return await office.visit_of("admin-1")


async def planned(office: Office, no: str, key: str = "key-1") -> int:
    """Put a repair on file."""
    new = NewRepair(
        kind=RepairKind.RESTART,
        reason="示例理由",
        asked={"kind": "restart"},
        idempotency_key=key,
        planned_by="admin-2",
        planned_at=NOON,
        targets=[Target(case_no=no)],
        per_second=1.0,
    )
    repair, _ = await Repairs(office.api.casefile.engine).put(new)
    return repair.number


async def listed(office: Office, query: str = "") -> list[dict[str, Any]]:
    answer = await office.api.call("GET", f"{PATH}?{query}", "admin-1")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_accounts_repairs_calendar_replays_and_numbers_stand_in_one_list(
    office: Office, admin: Visit
) -> None:
    no = await office.case()
    desk = await office.visit_of("desk-1")
    await desk.get(f"/cases/{no}")
    await desk.post(f"/cases/{no}/numbers")
    number = await planned(office, no)
    await Repairs(office.api.casefile.engine).cancel(
        number, at=NOON, by="admin-1", now=office.api.now
    )
    await office.api.call("POST", "/api/v1/admin/replays", "admin-1", key="k", json={"case_no": no})
    found = {(each["act"], each["by"], each["subject"]) for each in await listed(office)}
    assert {
        ("account.added", "command", "admin-1"),
        ("repair.planned", "admin-2", str(number)),
        ("repair.cancelled", "admin-1", str(number)),
        ("replay.asked", "admin-1", "1"),
        ("numbers.shown", "desk-1", no),
        ("calendar.published", "onewindow", "cn-2026.1"),
    } <= found
    page = (await admin.get("/admin/acts")).text
    for words in ("新增账号", "制定修复计划", "发起重放", "查看完整号码", "示例理由", "依案卷重启"):
        assert words in page, words
    assert "13800000002" not in page


async def test_it_is_filtered_by_thing_account_and_day(office: Office, admin: Visit) -> None:
    no = await office.case()
    await planned(office, no)
    assert {each["act"] for each in await listed(office, "thing=repair")} == {"repair.planned"}
    assert {each["by"] for each in await listed(office, "by=admin-2")} == {"admin-2"}
    assert await listed(office, "thing=repair&to=2026-09-15") == []
    assert len(await listed(office, "thing=repair&from=2026-09-16&to=2026-09-16")) == 1
    page = (await admin.get("/admin/acts?by=admin-2&since=2026-09-16")).text
    assert "制定修复计划" in page and "新增账号" not in page
    desk = await office.visit_of("desk-1")
    await desk.get(f"/cases/{no}")
    await desk.post(f"/cases/{no}/numbers")
    assert [each["act"] for each in await listed(office, "by=desk-1")] == ["numbers.shown"]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_it_is_paged_so_that_everything_comes_once(office: Office, limit: int) -> None:
    no = await office.case()
    for n in range(3):
        await planned(office, no, f"key-{n}")
    await office.visit_of("admin-1")
    await office.api.call("GET", "/api/v1/calendar/years", None)
    everything = await listed(office)
    assert len(everything) == 5
    assert [each["at"] for each in everything] == sorted(
        (each["at"] for each in everything), reverse=True
    )
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await office.api.call("GET", f"{PATH}?limit={limit}{cursor}", "admin-1")
        page = answer.json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == everything


async def test_in_training_engine_and_civil_instants_stand_in_one_order(office: Office) -> None:
    no = await office.case()
    await planned(office, no)
    # A civil day takes a minute; the account below was made a real hour before NOON's repair.
    await office.api.call("GET", "/api/v1/calendar/years", None)
    clock = CivilClock(NOON.astimezone(UTC) - timedelta(hours=1), NOON - timedelta(days=60), 1440.0)
    engine = office.api.casefile.engine
    page = await recorded_acts(engine, Wanted(), clock, limit=10, cursor=None)
    ats = [each.at for each in page.items]
    assert ats == sorted(ats, reverse=True)
    first = await recorded_acts(engine, Wanted(), clock, limit=1, cursor=None)
    rest = await recorded_acts(engine, Wanted(), clock, limit=10, cursor=first.next_cursor)
    assert first.items + rest.items == page.items


@pytest.mark.parametrize(
    "cursor",
    ["x", "MjAyNnwwfDE=", "MjAyNi0wOS0xNlQxMjowMDowMCswODowMHw5OXwx"],
    ids=["nonsense", "no instant", "no such source"],
)
async def test_a_cursor_that_was_not_given_out_is_refused(office: Office, cursor: str) -> None:
    answer = await office.api.call("GET", f"{PATH}?cursor={cursor}", "admin-1")
    assert fields(problem(answer, 422, "invalid-input")) == ["cursor"]


async def test_only_administrators_read_it(office: Office) -> None:
    for agency in ("desk", "water", "special-group"):
        problem(await office.api.call("GET", PATH, agency), 403, "not-allowed")


async def test_it_is_exported_as_a_file_that_runs_nothing(office: Office, admin: Visit) -> None:
    no = await office.case()
    await planned(office, no)
    answer = await admin.get("/admin/acts.csv?thing=repair")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    head, line = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head == ["at", "by", "act", "title", "subject", "details"]
    assert line[1:4] == ["admin-2", "repair.planned", "制定修复计划"]
    assert "示例理由" in line[5]
    assert (await admin.get("/admin/acts.csv?since=yesterday")).status_code == 422


async def test_a_filter_that_makes_no_sense_names_its_field(admin: Visit) -> None:
    for query, words in (("by=Some+One", "不是账号"), ("since=x", "不是日期")):
        answer = await admin.get(f"/admin/acts?{query}")
        assert answer.status_code == 422
        assert words in answer.text
    assert (await admin.get("/admin/acts?thing=nothing")).status_code == 200


async def test_it_leads_to_what_was_done(office: Office, admin: Visit) -> None:
    no = await office.case()
    number = await planned(office, no)
    page = (await admin.get("/admin/acts?thing=repair")).text
    assert re.search(rf'href="/console/admin/repairs/{number}">', page)
