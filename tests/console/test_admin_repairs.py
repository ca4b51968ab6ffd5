"""Two administrators repair cases on pages: plan, approval, carrying out, report (RB-12.2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import orjson
import pytest
from argon2 import PasswordHasher

from console.app import mount
from domain.connection import Voltage
from domain.naming import bundle_id
from storage.accounts import Accounts
from tests.console.office import Office, Visit
from tests.support.cases import LOW
from tests.support.databases import SqliteFiles
from tests.workflows.administrators import Administrators
from tests.workflows.harness import Town, development_server, eventually, opened
from tests.workflows.serving import serving
from tests.workflows.stories import STORIES

pytestmark = pytest.mark.rule("RB-12.2")

STORY = STORIES["high.connected"]
DECIDED = ("permits-police.1", "permits-transport.1")
PDF = b"%PDF-1.4\n% fictitious\n"


@dataclass
class Service:
    """A town whose API has its console, on the engine of service."""

    town: Town
    office: Office

    async def in_the_middle(self) -> str:
        """Bring a case to where two departments have decided and three have not."""
        no = await self.town.submit(Voltage.HIGH)
        for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1"):
            await self.town.answer_all(no, STORY, name)
        await self.town.answer_all(no, STORY, *DECIDED)
        await Administrators(self.town).settled(no)
        return no

    async def over(self, visit: Visit, path: str) -> str:
        """Wait until a repair is over; return its page."""

        async def look() -> str | None:
            page = (await visit.get(path)).text
            return page if "hx-trigger" not in page else None

        return await eventually(look, f"{path} over")


@asynccontextmanager
async def service(databases: SqliteFiles, folder: Path) -> AsyncIterator[Service]:
    """Run a town with engine, worker, API and console."""
    with databases.migrated() as url:
        async with (
            development_server(folder) as env,
            opened(env, url) as town,
            serving(town) as api,
        ):
            api.now = town.engine_now()
            console = mount(api.app)
            quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
            console.state.accounts = Accounts(api.casefile.engine, quick)
            office = Office(api, console)
            try:
                yield Service(town, office)
            finally:
                await office.close()


def options_of(page: str) -> list[dict[str, Any]]:
    """Return the repairs that a page lets one choose."""
    found = re.findall(r'name="option" value="([^"]+)"', page)
    return [orjson.loads(unescape(each)) for each in found]


def to_page(answer: Any) -> str:
    """Return where an answer leads to, under the console."""
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    return location.removeprefix("/console")


async def test_one_plans_another_approves_and_the_report_is_held_against_the_plan(
    sqlite_databases: SqliteFiles, tmp_path: Path
) -> None:
    async with service(sqlite_databases, tmp_path) as here:
        no = await here.in_the_middle()
        planner = await here.office.visit_of("admin-1")
        page = (await planner.get(f"/admin/repairs/new?case_no={no}&kind=restart")).text
        assert '"kind":"restart"' in unescape(page).partition("checked")[0].rpartition("<label>")[2]
        assert {"restart", "reset", "withdraw", "move"} >= {o["kind"] for o in options_of(page)}
        assert "现在不可用：没有可推送的任务" in page, "no agency has a system"
        assert f"/console/admin/decisions/{no}.permits-water.1" in page
        (chosen,) = [o for o in options_of(page) if o["kind"] == "restart"]
        form = {"case_no": no, "option": orjson.dumps(chosen).decode(), "reason": "示例理由"}
        path = to_page(await planner.post("/admin/repairs", form))

        plan = (await planner.get(path)).text
        for words in (
            "保留的决定",
            "permits-police.1",
            "将舍弃",
            "由新的运行接替",
            "期限保留在案卷",
        ):
            assert words in plan, words
        assert "须另一名管理员批准" in plan
        assert f"{path}/approve" not in plan, "nobody approves their own plan"
        own = await planner.post(f"{path}/approve")
        assert own.status_code in (403, 409)
        assert (await planner.post(f"{path}/execute", {"confirm": no})).status_code == 409
        assert not await here.town.events(no, "repair_begun")

        other = await here.office.visit_of("admin-2")
        assert "待您批准 1" in (await other.get("/admin")).text
        await other.get(path)
        assert to_page(await other.post(f"{path}/approve")) == path

        await planner.get(path)
        unconfirmed = await planner.post(f"{path}/execute", {"confirm": "yes"})
        assert unconfirmed.status_code == 422
        assert f"请输入 {no}" in unconfirmed.text
        assert to_page(await planner.post(f"{path}/execute", {"confirm": no.lower()})) == path
        done = await here.over(planner, path)
        for words in ("与计划一致", "实际", "admin-2", "已完成"):
            assert words in done, words
        acts = (await planner.get("/admin/acts?thing=repair")).text
        for words in ("制定修复计划", "批准修复", "执行修复"):
            assert words in acts, words
        await here.town.tell(no, STORY)
        ended = await planner.get(f"/admin/repairs/new?case_no={no}")
        assert ended.status_code == 422
        assert "办件已办结，无须修复" in ended.text


@pytest.mark.rule("RB-13.1")
async def test_a_key_and_an_account_of_one_name_are_one_person(
    sqlite_databases: SqliteFiles, tmp_path: Path
) -> None:
    async with service(sqlite_databases, tmp_path) as here:
        no = await here.town.submit(Voltage.LOW)
        await Administrators(here.town).settled(no)
        body = {"kind": "restart", "case_no": no, "reason": "示例理由"}
        answer = await here.office.api.call(
            "POST", "/api/v1/admin/repairs", "admin-1", key="k-1", json=body
        )
        path = f"/admin/repairs/{answer.json()['number']}"
        same = await here.office.visit_of("admin-1")
        assert "由您制定" in (await same.get(path)).text
        refused = await same.post(f"{path}/approve")
        assert refused.status_code in (403, 409)
        assert (await here.office.api.call("GET", f"/api/v1{path}", "admin-1")).json()[
            "approved_by"
        ] is None
        # Rejected by the other, it is never carried out.
        other = await here.office.visit_of("admin-2")
        assert "驳回" in (await other.get(path)).text
        assert to_page(await other.post(f"{path}/cancel")) == path
        assert "已取消" in (await other.get(path)).text
        assert "取消修复" in (await other.get("/admin/acts?by=admin-2")).text


async def test_many_are_planned_approved_and_reported_case_by_case(
    sqlite_databases: SqliteFiles, tmp_path: Path
) -> None:
    async with service(sqlite_databases, tmp_path) as here:
        numbers = [await here.town.submit(Voltage.LOW) for _ in range(3)]
        for no in numbers:
            await Administrators(here.town).settled(no)
        planner = await here.office.visit_of("admin-1")
        await planner.get("/admin/repairs/new?many=1")
        form = {"many": "1", "kind": "restart", "reason": "示例理由", "per_second": "50"}
        nothing = await planner.post("/admin/repairs", form)
        assert nothing.status_code == 422
        assert "请填写办件编号，或选择按条件" in nothing.text
        path = to_page(await planner.post("/admin/repairs", {**form, "cases": "\n".join(numbers)}))
        other = await here.office.visit_of("admin-2")
        await other.get(path)
        await other.post(f"{path}/approve")
        await planner.get(path)
        number = path.rpartition("/")[2]
        wrong = await planner.post(f"{path}/execute", {"confirm": numbers[0]})
        assert wrong.status_code == 422
        await planner.post(f"{path}/execute", {"confirm": f"repair {number}"})
        done = await here.over(planner, path)
        assert done.count("与计划一致") == 3
        for no in numbers:
            assert f"/console/cases/{no}" in done
        assert "没有此状态的办件" in (await planner.get(f"{path}?state=failed")).text


async def test_a_reset_goes_back_to_a_chosen_event(
    sqlite_databases: SqliteFiles, tmp_path: Path
) -> None:
    async with service(sqlite_databases, tmp_path) as here:
        no = await here.in_the_middle()
        planner = await here.office.visit_of("admin-1")
        page = (await planner.get(f"/admin/repairs/new?case_no={no}")).text
        bundle = bundle_id(no, 1)
        (chosen,) = [o for o in options_of(page) if o.get("process") == bundle]
        assert "event" not in chosen, "nothing of it has failed"
        form = {
            "case_no": no,
            "option": orjson.dumps(chosen).decode(),
            f"event.{bundle}": "4",
            "reason": "示例理由",
        }
        plan = (await planner.get(to_page(await planner.post("/admin/repairs", form)))).text
        assert "自第 4 个事件起" in plan
        form[f"event.{bundle}"] = "5"
        refused = await planner.post("/admin/repairs", form)
        assert refused.status_code == 422
        assert "可选：4" in refused.text


async def test_an_outcome_is_put_on_file_by_the_agencys_document(
    sqlite_databases: SqliteFiles, tmp_path: Path
) -> None:
    async with service(sqlite_databases, tmp_path) as here:
        no = await here.in_the_middle()
        task = (await here.town.owed(no, "permits-water.1"))[0]
        planner = await here.office.visit_of("admin-1")
        path = f"/admin/decisions/{task.id}"
        page = (await planner.get(path)).text
        assert "仅凭" in page
        form = {"code": "answered", "reason": "系统停运"}
        for n in range(len(task.asked["items"])):
            form |= {
                f"items.{n}.outcome": "approved",
                f"items.{n}.document_no": "示例〔2026〕1号",
                f"items.{n}.document_on": "2026-09-14",
            }
        without = await planner.post(path, form)
        assert without.status_code == 422
        files = {"file": ("示例.pdf", PDF, "application/pdf")}
        slip = await planner.post(path, form | {"reason": ""}, files=files)
        assert slip.status_code == 422
        # It is on file by now, and chosen with its digest.
        on_file = form | {"document": hashlib.sha256(PDF).hexdigest()}
        assert f'value="{on_file["document"]}" selected' in slip.text
        planned = to_page(await planner.post(path, on_file))
        plan = (await planner.get(planned)).text
        assert "新增的决定" in plan and "permits-water.1" in plan
        other = await here.office.visit_of("admin-2")
        await other.get(planned)
        await other.post(f"{planned}/approve")
        await planner.post(f"{planned}/execute", {"confirm": no})
        assert "与计划一致" in await here.over(planner, planned)
        decided = (await here.town.tasks(no))["permits-water.1"]
        assert (decided.state, decided.decided_by) == ("done", "admin-1")


async def test_without_the_engine_a_page_says_so_and_takes_what_needs_none(office: Office) -> None:
    no = await office.case(LOW)
    admin = await office.visit_of("admin-1")
    page = await admin.get(f"/admin/repairs/new?case_no={no}")
    assert page.status_code == 200
    assert "流程引擎无应答：单个办件的计划" in page.text
    form = {
        "case_no": no,
        "option": f'{{"kind":"restart","case_no":"{no}"}}',
        "reason": "示例理由",
    }
    answer = await admin.post("/admin/repairs", form)
    assert answer.status_code == 422
    assert "流程引擎无应答；制定计划须" in answer.text
    second = await office.case(LOW, key="key-2")
    many = {"many": "1", "kind": "restart", "cases": f"{no} {second}", "reason": "示例理由"}
    path = to_page(await admin.post("/admin/repairs", many))
    page_of = (await admin.get(path)).text
    assert "制定计划中" in page_of and "引擎无应答时会等它恢复" in page_of
    assert (await admin.get("/admin/repairs?state=planning")).text.count("/admin/repairs/1") == 1


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"option": "", "reason": "示例"}, "请选择修复方式"),
        ({"option": "{}", "reason": "示例"}, "请选择修复方式"),
        ({"option": "[1", "reason": "示例"}, "请选择修复方式"),
        ({"option": '{"kind":"explode","case_no":"ZJ20260000011"}', "reason": "示例"}, "#f-kind"),
        ({"option": '{"kind":"restart","case_no":"ZJ20260000011"}'}, "请说明理由"),
        ({"many": "1", "kind": "withdraw", "reason": "示例"}, "请选择修复方式"),
    ],
)
async def test_a_form_that_makes_no_repair_says_what_is_missing(
    office: Office, sent: dict[str, str], words: str
) -> None:
    admin = await office.visit_of("admin-1")
    answer = await admin.post("/admin/repairs", sent)
    assert answer.status_code == 422
    assert words in answer.text


@pytest.mark.rule("RB-13.1")
async def test_a_supervisor_reads_repairs_and_changes_none(office: Office) -> None:
    no, second = await office.case(LOW), await office.case(LOW, key="key-2")
    admin = await office.visit_of("admin-1")
    many = {"many": "1", "kind": "restart", "cases": f"{no} {second}", "reason": "示例理由"}
    path = to_page(await admin.post("/admin/repairs", many))
    visit = await office.visit_of("special-1")
    page = (await visit.get(path)).text
    assert "示例理由" in page
    assert "/cancel" not in page
    assert (await visit.get("/admin/repairs/new")).status_code == 403
    assert (await visit.post(f"{path}/cancel")).status_code == 403
