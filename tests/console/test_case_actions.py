"""A case's page: what lies ahead of it, its documents, and withdrawing it after a second look."""

from __future__ import annotations

import re

import pytest

from api.engine import Engine
from domain.connection import TaskKind
from domain.errors import EngineAway
from tests.console.office import Office, Visit
from tests.support.cases import document
from tests.support.databases import rows

REASON = {"reason": "项目取消", "key": "form-1"}


@pytest.fixture
async def desk(office: Office) -> Visit:
    return await office.visit_of("desk-1")


@pytest.fixture
def withdrawing(office: Office, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand for an engine whose processes take a withdrawal as the worker would."""
    asked: list[str] = []

    async def started(*_: object) -> None:
        """Stand for a process that runs."""

    async def withdraw(_: Engine, no: str, withdrawal: object) -> None:
        asked.append(no)

    monkeypatch.setattr(Engine, "start", started)
    monkeypatch.setattr(Engine, "withdraw", withdraw)
    return asked


async def test_withdrawing_says_what_happens_before_it_does(
    office: Office, desk: Visit, withdrawing: list[str]
) -> None:
    no = await office.case()
    await office.permits(no)
    assert f"/console/cases/{no}/withdraw" in (await desk.get(f"/cases/{no}")).text
    page = (await desk.get(f"/cases/{no}/withdraw")).text
    for words in ("市水务局", "不可恢复办理", "不计入平均时长", "确认撤件"):
        assert words in page
    assert withdrawing == []
    answer = await desk.post(f"/cases/{no}/withdraw", REASON)
    assert answer.headers["location"] == f"/console/cases/{no}?withdrawn=yes"
    assert withdrawing == [no]
    (asked,) = rows(office.api.url)["actions"]
    assert "项目取消" in str(asked)


async def test_withdrawing_needs_a_reason(
    office: Office, desk: Visit, withdrawing: list[str]
) -> None:
    no = await office.case()
    await desk.get(f"/cases/{no}/withdraw")
    for reason in ("", "  ", "x" * 501):
        answer = await desk.post(f"/cases/{no}/withdraw", {**REASON, "reason": reason})
        assert answer.status_code == 422
        assert 'href="#f-reason"' in answer.text
    assert withdrawing == []


async def test_while_the_process_does_not_answer_the_same_form_can_be_sent_again(
    office: Office, desk: Visit, withdrawing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no = await office.case()
    await desk.get(f"/cases/{no}/withdraw")

    async def away(*_: object) -> None:
        raise EngineAway("away")

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "withdraw", away)
        answer = await desk.post(f"/cases/{no}/withdraw", REASON)
    assert answer.status_code == 422
    assert "尚未确认撤件" in answer.text
    assert 'value="form-1"' in answer.text and "项目取消" in answer.text
    assert (await desk.post(f"/cases/{no}/withdraw", REASON)).status_code == 303
    assert len(rows(office.api.url)["actions"]) == 1


async def test_once_the_contract_is_signed_withdrawing_is_not_offered(
    office: Office, desk: Visit
) -> None:
    no = await office.case()
    await office.task(no, TaskKind.ENERGISE)
    assert f"/cases/{no}/withdraw" not in (await desk.get(f"/cases/{no}")).text
    page = (await desk.get(f"/cases/{no}/withdraw")).text
    assert "合同已签订" in page
    assert "确认撤件" not in page


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("account", ["utility-1", "special-1", "admin-1"])
async def test_who_may_not_act_is_offered_nothing(office: Office, account: str) -> None:
    no = await office.case()
    visit = await office.visit_of(account)
    page = (await visit.get(f"/cases/{no}?taken=yes")).text
    for address in ("withdraw", "slip", "new", "import"):
        assert f"/{address}" not in page
    assert (await visit.get(f"/cases/{no}/withdraw")).status_code == 403


async def test_a_case_shows_what_lies_ahead_in_order_and_who_will_owe_it(
    office: Office, desk: Visit
) -> None:
    no = await office.case()
    await office.permits(no)
    await office.task(no, TaskKind.CUSTOMER_WORKS)
    page = (await desk.get(f"/cases/{no}")).text
    ahead = page[page.index('id="h-ahead"') : page.index('id="h-clocks"')]
    steps = re.findall(r"<li[^>]*><span>([^<]+?)\s*<", ahead)
    assert steps == ["外线工程施工", "补齐容缺材料", "竣工检验", "签订供用电合同", "装表接电"]
    assert "湛江供电局 · 时限 2 个工作日" in ahead


async def test_documents_of_tasks_are_listed_and_can_be_saved(office: Office, desk: Visit) -> None:
    no = await office.case()
    task_id = await office.permits(no)
    put = document()
    services = office.console.state.services
    await services.documents.put(task_id, put, by="water", check=lambda _: office.api.now)
    page = (await desk.get(f"/cases/{no}")).text
    link = f"/console/tasks/{task_id}/documents/{put.sha256}"
    assert link in page
    answer = await desk.client.get(link)
    assert answer.content == put.content
    listed = await office.api.call("GET", f"/api/v1/applications/{no}/task-documents", "utility")
    assert listed.json() == [], "what a department decided is not the utility's"


async def test_a_phone_is_found_from_the_list(office: Office, desk: Visit) -> None:
    no = await office.case()
    await desk.get("/cases")
    found = await desk.post("/cases", {"q": "138 0000 0002"})
    assert f"/console/cases/{no}" in found.text
    assert "13800000002" not in found.text
    assert "没有符合条件" in (await desk.post("/cases", {"q": "138 0000 0009"})).text
