"""Administration at a glance: what is stuck or under way, replays, policies; the engine is away."""

from __future__ import annotations

import re

import pytest

from console.engine_links import workflow_address
from console.policies import differences
from console.stuck import repair_address, waited
from domain.policy import Policy
from policy.loader import policy_for
from tests.console.office import Office, Visit, opened
from tests.support.cases import HIGH, NOON, POLICY, new_task
from tests.support.serving import api_settings

UI = "https://engine.example/ui"


@pytest.fixture
async def admin(office: Office) -> Visit:
    return await office.visit_of("admin-1")


async def refused_push(office: Office, key: str = "key-1") -> str:
    """Put a case on file whose first task its agency's system refuses; return its number."""
    no = await office.case(HIGH, key)
    task = await office.api.casefile.open_task(new_task(no))
    await office.api.casefile.push_refused(task.id, "desk answered 422", at=NOON)
    return no


async def test_an_administrators_day_begins_with_what_needs_them(
    office: Office, admin: Visit
) -> None:
    await refused_push(office)
    assert (await admin.get("/")).headers["location"] == "/console/admin"
    page = (await admin.get("/admin")).text
    for words in (
        "紧急 1，重要 1",
        "无应答",
        "待批准的修复",
        "未送达",
        "已登录 1",
        "工作日历",
        "尚未轮换",
    ):
        assert words in page, words


@pytest.mark.rule("RB-13.1")
async def test_the_menu_leads_everyone_to_their_own_pages_only(office: Office) -> None:
    for account, sees in (("admin-1", True), ("desk-1", False), ("water-1", False)):
        visit = await office.visit_of(account)
        page = (await visit.get("/deadline")).text
        assert ('href="/console/admin"' in page) is sees
        assert (await visit.get("/admin")).status_code == (200 if sees else 403)


@pytest.mark.rule("RB-12.1")
async def test_what_is_stuck_says_why_and_leads_to_the_plan_of_its_repair(
    office: Office, admin: Visit
) -> None:
    no = await refused_push(office)
    page = (await admin.get("/admin/stuck?now=1")).text
    assert "流程引擎无应答：以下只是案卷可见的情况" in page
    assert "窗口" in page and "系统拒收任务推送" in page and "desk answered 422" in page
    assert f"/console/cases/{no}" in page
    planned = (
        f"/console/admin/repairs/new?case_no={no}&amp;kind=push&amp;task_id={no}.check_papers.1"
    )
    assert planned in page
    only = (await admin.get("/admin/stuck?kind=engine_away")).text
    assert no not in only
    assert "恢复流程引擎" in only


@pytest.mark.rule("RB-12.1")
async def test_a_supervisor_reads_what_is_stuck_and_is_offered_no_repair(office: Office) -> None:
    await refused_push(office)
    visit = await office.visit_of("special-1")
    page = (await visit.get("/admin/stuck?now=1")).text
    assert "系统拒收任务推送" in page
    assert "/admin/repairs/new" not in page


@pytest.mark.parametrize(
    ("finding", "address"),
    [
        ({"case_no": None, "repair": {"kind": "restart"}}, None),
        ({"case_no": "ZJ1", "repair": None}, None),
        (
            {"case_no": "ZJ1", "workflow_id": "ZJ1.permits.1", "repair": {"kind": "reset"}},
            "case_no=ZJ1&kind=reset&process=ZJ1.permits.1",
        ),
        ({"case_no": "ZJ1", "repair": {"kind": "restart"}}, "case_no=ZJ1&kind=restart"),
    ],
)
def test_the_suggested_repair_is_chosen_already(
    finding: dict[str, object], address: str | None
) -> None:
    found = repair_address({"task_id": "ZJ1.survey.1", "workflow_id": "ZJ1", **finding})
    assert found == (address and f"/console/admin/repairs/new?{address}")


def test_how_long_somebody_waited_is_said_in_the_size_that_fits() -> None:
    said = [waited(seconds).en for seconds in (0, 119, 120, 7199, 7200, 172_800)]
    assert said == ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]


async def test_the_engines_own_page_is_linked_where_its_address_is_set(url: str) -> None:
    async with opened(url, engine_ui=UI, engine_namespace="city one") as office:
        no = await refused_push(office)
        settings = office.api.app.state.services.settings
        address = workflow_address(settings, f"{no}.permits.1", "run-1")
        assert address == f"{UI}/namespaces/city%20one/workflows/{no}.permits.1/run-1/history"
        admin = await office.visit_of("admin-1")
        assert f'href="{UI}"' in (await admin.get("/admin")).text
    without = api_settings(url)
    assert workflow_address(without, no) is None


async def test_what_has_not_arrived_is_listed_with_its_reason(office: Office, admin: Visit) -> None:
    assert "没有未送达的内容" in (await admin.get("/admin/undelivered")).text
    no = await refused_push(office)
    page = (await admin.get("/admin/undelivered?kind=push&agency=desk")).text
    assert f"/console/cases/{no}" in page
    assert "desk answered 422" in page
    assert no not in (await admin.get("/admin/undelivered?agency=water")).text


@pytest.mark.rule("RB-12.2")
async def test_a_replay_is_started_followed_and_stopped(office: Office, admin: Visit) -> None:
    no = await office.case()
    await admin.get("/admin/replays")
    started = await admin.post("/admin/replays", {"scope": "all", "key": "k-1"})
    assert started.status_code == 303
    path = started.headers["location"].removeprefix("/console")
    page = (await admin.get(path)).text
    assert 'hx-trigger="every 2s"' in page, "it is followed while it runs"
    assert "已重放 0 / 1 件" in page
    again = await admin.post("/admin/replays", {"scope": "all", "key": "k-1"})
    assert again.headers["location"] == started.headers["location"], "sent twice, taken once"
    assert (await admin.post(f"{path}/stop")).status_code == 303
    page = (await admin.get(path)).text
    assert "由 admin-1 停止" in page
    assert 'hx-trigger="every 2s"' not in page
    listed = (await admin.get("/admin/replays")).text
    assert "全部在办办件" in listed and "已停止" in listed
    one = await admin.post("/admin/replays", {"scope": "some", "case_no": no.lower(), "key": "k-2"})
    assert one.status_code == 422, "a number is spelled in capitals"
    one = await admin.post("/admin/replays", {"scope": "some", "case_no": no, "key": "k-2"})
    assert no in (await admin.get(one.headers["location"].removeprefix("/console"))).text


@pytest.mark.parametrize(
    ("written", "words"),
    [("", "请填写办件编号"), ("ZJ20269999999", "没有此办件"), ("nonsense", "格式不正确")],
)
async def test_a_replay_of_nothing_says_what_to_fill_in(
    admin: Visit, written: str, words: str
) -> None:
    await admin.get("/admin/replays")
    answer = await admin.post("/admin/replays", {"scope": "some", "case_no": written})
    assert answer.status_code == 422
    assert words in answer.text


async def test_a_policy_is_read_with_its_clauses(office: Office, admin: Visit) -> None:
    await office.case()
    page = (await admin.get("/admin/policies")).text
    assert re.search(r'<td data-label="在办办件" class="n">1</td>', page)
    assert "新办件采用" in page
    shown = (await admin.get(f"/admin/policies/{POLICY}")).text
    for words in (
        "40 个工作日",
        "516 三(三)",
        "市水务局",
        "规划区：城市、镇规划区",
        "身份证明材料",
    ):
        assert words in shown, words
    english = await admin.client.get("/console/language/en?back=/console/admin/policies")
    assert english.status_code == 303
    assert "planning area: of a city or town" in (await admin.get(f"/admin/policies/{POLICY}")).text
    assert (await admin.get("/admin/policies/nowhere.1")).status_code == 404
    same = (await admin.get(f"/admin/policies/{POLICY}?against={POLICY}")).text
    assert "There is none." in same


def test_what_tells_two_policies_apart_is_named_place_by_place() -> None:
    before = policy_for(POLICY)
    clocks = {**before.clocks, "HV40": before.clocks["HV40"].model_copy(update={"limit": 35})}
    after: Policy = before.model_copy(update={"version": 2, "clocks": clocks})
    assert list(differences(before, before)) == []
    assert list(differences(before, after)) == [
        ("clocks.HV40.limit", "40", "35"),
        ("version", "1", "2"),
    ]
