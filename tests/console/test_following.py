"""Applicants: following one case, doing what they owe, and nothing of any other case (RB-10.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser

from api import case_secrets
from console.app import pages
from console.following import CHOICES
from console.guard import FOLLOWING, FORM_TOKEN, SESSION
from domain.access import FOR_FOLLOWERS, OPEN_TO_ALL, Act
from domain.connection import Code, Ending, TaskKind, Voltage, outcomes_of
from domain.errors import CaseEnded
from domain.following import FOLLOWED_FOR
from domain.naming import case_no
from policy.loader import policy_for
from tests.console.office import Office, Visit, opened
from tests.console.test_browser import DESK, PHONE, Screen, base, browser, check_found, screen
from tests.support.cases import HIGH, LOW, POLICY, document, new_task
from tests.support.databases import connected, rows

__all__ = ["base", "browser"]

WRONG = "AAAA-AAAA-AAAA-AAAA"
NOTE = "以10 kV单电源供电。"
RULES = policy_for(POLICY)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have wrong secrets be refused at once; that they wait is tested with the API."""
    monkeypatch.setattr(case_secrets, "REFUSED_AFTER_S", 0.0)


@dataclass
class Slip:
    """What an applicant has on paper."""

    no: str
    secret: str


async def slip(office: Office, body: Mapping[str, Any] = HIGH, key: str = "key-1") -> Slip:
    """Hand in an application; return what the applicant is given."""
    receipt = (await office.api.submit(body, key=key)).json()
    return Slip(receipt["no"], receipt["follow_secret"])


async def visiting(office: Office, paper: Slip, **others: Any) -> Visit:
    """Begin to follow a case, in a browser of its own."""
    visit = office.visit(**others)
    answer = await begin(visit, paper)
    assert (answer.status_code, answer.headers.get("location")) == (303, "/console/follow/case")
    await visit.get("/follow/case")
    return visit


async def begin(visit: Visit, paper: Slip) -> httpx2.Response:
    """Send number and secret."""
    await visit.get("/follow")
    return await visit.post("/follow", {"no": paper.no, "secret": paper.secret})


async def planned(office: Office, paper: Slip) -> str:
    """Have a supply plan be there, with its document; return the digest of that."""
    plan = await office.api.casefile.open_task(new_task(paper.no, TaskKind.SUPPLY_PLAN))
    paper_of_plan = document()
    path = f"/api/v1/tasks/{plan.id}/documents/{paper_of_plan.sha256}"
    put = await office.api.call("PUT", path, "utility", content=paper_of_plan.content)
    assert put.status_code == 201, put.text
    said = {"code": "planned", "note": NOTE, "document_no": "示例供方〔2026〕1号"}
    assert (await office.api.answer(plan.id, said, "utility")).status_code == 202
    await office.api.casefile.open_task(new_task(paper.no, TaskKind.CONFIRM_PLAN, due_on=None))
    return paper_of_plan.sha256


def follower_routes() -> list[tuple[str, str]]:
    """Return method and path of every page for those who follow a case."""
    return [
        (method, route.path)
        for route in pages()
        if Act(route.name) in FOR_FOLLOWERS
        for method in sorted(route.methods or ())
    ]


# ---------------------------------------------------------------- who gets in


@pytest.mark.rule("RB-10.3")
async def test_whoever_has_the_slip_gets_in_however_it_is_typed(office: Office) -> None:
    paper = await slip(office)
    typed = Slip(f" {paper.no.lower()} ", paper.secret.lower().replace("-", " "))
    visit = await visiting(office, typed)
    page = (await visit.get("/follow/case")).text
    assert paper.no in page
    assert (await visit.get("/follow")).headers["location"] == "/console/follow/case"


async def test_a_slip_of_the_pen_is_told_by_field_and_is_no_try(office: Office) -> None:
    paper = await slip(office)
    visit = office.visit()
    for _ in range(case_secrets.OF_A_CASE + 1):
        answer = await begin(visit, Slip(paper.no[:-1] + "x", paper.secret[:-1]))
        assert answer.status_code == 422
        assert "应为 2 个字母加 11 位数字" in answer.text
        assert "应为 16 位字母和数字" in answer.text
        assert 'value="' + paper.no[:-1] in answer.text
        assert paper.secret[:-1] not in answer.text, "a secret is never sent back"
    assert (await begin(visit, paper)).status_code == 303


@pytest.mark.rule("RB-10.3")
async def test_nobody_learns_which_numbers_exist(office: Office) -> None:
    paper = await slip(office)
    said = []
    for no in (paper.no, case_no("ZJ", 2026, 999_999)):
        answer = await begin(office.visit(), Slip(no, WRONG))
        assert answer.status_code == 401
        assert "办件编号与查询码不符" in answer.text
        text = re.sub(rf'{no}|value="[0-9a-f]{{64}}"', "", answer.text)
        said.append(text)
        for _ in range(case_secrets.OF_A_CASE - 1):
            await begin(office.visit(), Slip(no, WRONG))
        answer = await begin(office.visit(address="192.0.2.77"), Slip(no, WRONG))
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "900"
        assert "请 15 分钟后再试" in answer.text
    assert said[0] == said[1]
    assert (await begin(office.visit(), paper)).status_code == 429
    office.api.now += timedelta(minutes=15)
    assert (await begin(office.visit(), paper)).status_code == 303


async def test_tries_by_page_and_by_api_are_counted_together(office: Office) -> None:
    paper = await slip(office)
    for _ in range(case_secrets.OF_A_CASE):
        await begin(office.visit(), Slip(paper.no, WRONG))
    answer = await office.api.call(
        "GET", f"/api/v1/public/cases/{paper.no}", None, headers={"Case-Secret": paper.secret}
    )
    assert answer.status_code == 429


@pytest.mark.parametrize(("at", "is_secure"), [("http://o", False), ("https://o", True)])
async def test_the_cookie_is_for_these_pages_only(office: Office, at: str, is_secure: bool) -> None:
    paper = await slip(office)
    answer = await begin(office.visit(at), paper)
    (sent,) = (each for each in answer.headers.get_list("set-cookie") if each.startswith(FOLLOWING))
    morsel = SimpleCookie(sent)[FOLLOWING]
    assert (morsel["path"], morsel["samesite"], morsel["max-age"]) == (
        *("/console/follow", "lax", "7200"),
    )
    assert morsel["httponly"]
    assert bool(morsel["secure"]) == is_secure
    token = morsel.value
    assert len(token) >= 43
    found = rows(office.api.url)
    assert token not in repr(found["follow_sessions"])
    assert paper.secret not in repr(found)


async def test_a_form_from_elsewhere_begins_no_visit(office: Office) -> None:
    paper = await slip(office)
    for token in ("", "x", (await _form_token(office))):
        visit = office.visit()
        await visit.get("/follow")
        form = {"no": paper.no, "secret": paper.secret, FORM_TOKEN: token}
        answer = await visit.client.post("/console/follow", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/follow")
        assert FOLLOWING not in visit.client.cookies


async def _form_token(office: Office) -> str:
    other = office.visit()
    await other.get("/follow")
    return other.form_token


async def test_following_can_be_off(url: str, office: Office) -> None:
    async with opened(url, server_secret=None) as other:
        assert "未开通网上查询" in (await other.visit().get("/follow")).text
        answer = await begin_without_form(other)
        assert answer.status_code == 404
        assert "未开通网上查询" in answer.text


async def begin_without_form(office: Office) -> httpx2.Response:
    """Send a number although the page has no form for it."""
    visit = office.visit()
    await visit.get("/sign-in")
    return await visit.post("/follow", {"no": "ZJ20260000011", "secret": WRONG})


# ---------------------------------------------------------------- one case, and no other


@pytest.mark.rule("RB-13.1")
async def test_no_page_for_followers_is_shown_to_anybody_else(office: Office) -> None:
    paper = await slip(office)
    sha256 = await planned(office, paper)
    walked = 0
    for account in (None, "desk-1", "water-1", "utility-1", "special-1", "admin-1"):
        visit = office.visit() if account is None else await office.visit_of(account)
        visit.client.cookies.set(FOLLOWING, "a token that nobody was given")
        before = rows(office.api.url)
        for method, path in follower_routes():
            address = "/console" + path.format(kind="confirm_plan", sha256=sha256)
            token = {} if account is None else {FORM_TOKEN: visit.form_token}
            form = {**token, "code": "agreed", "confirmed": "yes", "reason": "示例"}
            sent = form if method == "POST" else None
            answer = await visit.client.request(method, address, data=sent)
            assert answer.status_code == 303, (account, address)
            assert answer.headers["location"].startswith("/console/follow?ended"), address
            assert paper.no not in answer.text
            walked += 1
        assert rows(office.api.url) == before
    assert walked >= 6 * 7


@pytest.mark.rule("RB-13.1")
async def test_a_follower_sees_and_does_nothing_of_another_case(office: Office) -> None:
    mine, other = await slip(office), await slip(office, key="key-2")
    sha256 = await planned(office, other)
    visit = await visiting(office, mine)
    before = rows(office.api.url)
    for method, path in follower_routes():
        if path == "/follow/end":
            continue
        address = path.format(kind="confirm_plan", sha256=sha256)
        if method == "GET":
            answer = await visit.get(address)
        elif path.endswith("withdraw"):
            answer = await visit.post(address, {"reason": "示例"})
            assert answer.status_code == 422, "it was not confirmed"
        else:
            form = {"code": "agreed", "confirmed": "yes"}
            answer = await visit.post(address, form)
        assert other.no not in answer.text, address
        if "{kind}" in path:
            assert answer.status_code == 404, address
    assert rows(office.api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_pages_of_those_who_work_here_do_not_take_a_follower(office: Office) -> None:
    paper = await slip(office)
    visit = await visiting(office, paper)
    token = visit.client.cookies[FOLLOWING]
    for name in (FOLLOWING, SESSION):
        visit.client.cookies.set(name, token, path="/")
    walked = 0
    for route in pages():
        if Act(route.name) in FOR_FOLLOWERS | OPEN_TO_ALL or "GET" not in (route.methods or ()):
            continue
        address = re.sub(r"\{[^}]+\}", paper.no, route.path)
        answer = await visit.get(address)
        assert answer.status_code in (303, 401), address
        assert "/console/sign-in" in answer.headers.get("location", "/console/sign-in"), address
        walked += 1
    assert walked > 8
    key = {"Authorization": f"Bearer {token}"}
    answer = await visit.client.get(f"/api/v1/applications/{paper.no}", headers=key)
    assert answer.status_code == 401


async def test_no_form_is_taken_without_the_token_of_its_visit(office: Office) -> None:
    paper, other = await slip(office), await slip(office, key="key-2")
    await planned(office, paper)
    visit, elsewhere = await visiting(office, paper), await visiting(office, other)
    before = rows(office.api.url)
    for method, path in follower_routes():
        if method != "POST":
            continue
        address = "/console" + path.format(kind="confirm_plan")
        for token in ("", "x", "ä", elsewhere.form_token):
            form = {FORM_TOKEN: token, "code": "agreed", "confirmed": "yes", "reason": "示例"}
            answer = await visit.client.post(address, data=form)
            assert answer.status_code == 403, address
            assert "表单不属于本次登录" in answer.text
    assert rows(office.api.url) == before


# ---------------------------------------------------------------- how a visit ends


async def test_a_visit_ends_by_its_button_after_two_hours_and_with_a_new_secret(
    office: Office,
) -> None:
    paper = await slip(office)
    visit = await visiting(office, paper)
    kept = visit.client.cookies[FOLLOWING]
    answer = await visit.post("/follow/end")
    assert answer.headers["location"] == "/console/follow"
    assert FOLLOWING not in visit.client.cookies
    thief = office.visit()
    thief.client.cookies.set(FOLLOWING, kept, path="/console/follow")
    assert (await thief.get("/follow/case")).headers["location"] == "/console/follow?ended=yes"
    assert "本次查看已结束" in (await thief.get("/follow?ended=yes")).text

    visit = await visiting(office, paper)
    office.api.now += FOLLOWED_FOR - timedelta(seconds=1)
    assert (await visit.get("/follow/case")).status_code == 200
    office.api.now += timedelta(seconds=1)
    assert (await visit.get("/follow/case")).status_code == 303

    visit = await visiting(office, paper)
    path = f"/api/v1/applications/{paper.no}/follow-secret"
    new = (await office.api.call("POST", path, key="slip")).json()["follow_secret"]
    assert (await visit.get("/follow/case")).status_code == 303
    assert (await begin(visit, paper)).status_code == 401
    assert (await begin(visit, Slip(paper.no, new))).status_code == 303


# ---------------------------------------------------------------- what is seen


@pytest.mark.rule("RB-10.3")
async def test_the_page_says_who_has_it_until_when_and_what_is_asked(office: Office) -> None:
    paper = await slip(office)
    visit = await visiting(office, paper)
    assert "您的申请已收到，正在安排办理" in (await visit.get("/follow/case")).text
    await office.task(paper.no, TaskKind.SUPPLY_PLAN)
    text = _text(await visit.get("/follow/case"))
    assert "您的申请正在由湛江供电局办理“编制供电方案”，承诺于 2026-09-23 周三 前完成。" in text
    assert "绿灯：剩余 6 个工作日" in text
    await office.permits(paper.no)
    await office.permits(paper.no, "police")
    text = _text(await visit.get("/follow/case"))
    assert "正由以下单位同时办理：" in text
    assert "市公安局、市水务局" in text
    await office.api.casefile.open_task(new_task(paper.no, TaskKind.CONFIRM_PLAN, due_on=None))
    text = _text(await visit.get("/follow/case"))
    assert "现在需要您办理：确认供电方案。" in text
    assert "撤回申请" in text


@pytest.mark.rule("RB-10.3")
@pytest.mark.parametrize("body", [HIGH, LOW], ids=["enterprise", "person"])
async def test_no_page_has_a_number_a_full_name_or_an_inner_note(
    office: Office, body: Mapping[str, Any]
) -> None:
    paper = await slip(office, body)
    task = await office.task(paper.no)
    await office.api.answer(task, {"code": "accepted", "note": "内部意见"}, "desk")
    visit = await visiting(office, paper)
    for path in ("/follow/case", "/follow/case/withdraw"):
        page = (await visit.get(path)).text
        applicant = body["applicant"]
        for hidden in (applicant["name"], applicant["id_number"], applicant["phone"], "内部意见"):
            assert hidden not in page
        assert "示例路2号" not in page
        assert paper.secret not in page


async def test_every_answer_that_an_applicant_may_give_is_put_in_words() -> None:
    owed = {
        (kind, voltage)
        for kind, rule in RULES.tasks.items()
        if RULES.agencies[rule.owner if rule.owner in RULES.agencies else "desk"].role
        == "applicant"
        for voltage in rule.link
    }
    assert {kind for kind, _ in owed} == set(CHOICES)
    for kind, voltage in owed:
        turns = outcomes_of(kind, voltage, 1)
        assert set(CHOICES[kind]) == set(turns), kind
        for code, turn in turns.items():
            choice = CHOICES[kind][code]
            assert choice.is_grave == (isinstance(turn.then, Ending)), code
            assert choice.note is not None or "note" not in turn.needs, code
    assert {voltage for _, voltage in owed} == set(Voltage)


def _text(answer: httpx2.Response) -> str:
    """Return what stands on a page, without its tags."""
    return re.sub(r"<[^>]+>", "", answer.text)


# ---------------------------------------------------------------- what is done


@pytest.mark.rule("RB-6.3")
@pytest.mark.rule("RB-13.2")
async def test_a_plan_is_agreed_to_in_two_steps_and_that_is_on_the_record(office: Office) -> None:
    paper = await slip(office)
    sha256 = await planned(office, paper)
    visit = await visiting(office, paper)
    asked = await visit.get("/follow/case/tasks/confirm_plan")
    assert NOTE in asked.text
    assert "示例供方〔2026〕1号" in asked.text
    given = await visit.get(f"/follow/case/tasks/confirm_plan/documents/{sha256}")
    assert given.content == document().content
    before = rows(office.api.url)
    checked = await visit.post("/follow/case/tasks/confirm_plan", {"code": "agreed"})
    assert checked.status_code == 200
    assert "请核对后提交" in checked.text
    assert rows(office.api.url) == before, "nothing is on file before it was confirmed"
    form = {"code": "agreed", "confirmed": "yes"}
    answer = await visit.post("/follow/case/tasks/confirm_plan", form)
    assert answer.headers["location"] == "/console/follow/case?done=confirm_plan&taken=later"
    page = _text(await visit.get("/follow/case?done=confirm_plan&taken=later"))
    assert "已收到您的答复：确认供电方案。系统恢复后自动继续办理。" in page
    assert "您办理过的事项" in page
    assert "网上查询页面" in page
    events = (await office.api.call("GET", f"/api/v1/applications/{paper.no}/events")).json()
    assert (events[-1]["by"], events[-1]["body"]["through"]) == ("applicant", "follow_page")
    assert await office.api.first_break() is None
    assert (await visit.get("/follow/case/tasks/confirm_plan")).status_code == 404


async def test_what_is_missing_in_an_answer_is_told_in_plain_words(office: Office) -> None:
    paper = await slip(office)
    await planned(office, paper)
    visit = await visiting(office, paper)
    path = "/follow/case/tasks/confirm_plan"
    for form, words in (
        ({}, "请选择您的答复"),
        ({"code": "revise"}, "请用几句话说明"),
        ({"code": "revise", "confirmed": "yes"}, "请用几句话说明"),
        ({"code": "signed"}, "请选择您的答复"),
    ):
        answer = await visit.post(path, form)
        assert answer.status_code == 422, form
        assert words in answer.text, form
        assert "revise 时" not in answer.text
    checked = await visit.post(path, {"code": "refused", "note": "<b>太贵</b>"})
    assert "提交后办件终止，不能恢复" in checked.text
    assert "&lt;b&gt;太贵&lt;/b&gt;" in checked.text
    assert "<b>太贵" not in checked.text


@pytest.mark.parametrize(
    ("kind", "code", "body"),
    [
        (TaskKind.CORRECT_PAPERS, Code.CORRECTED, LOW),
        (TaskKind.CUSTOMER_WORKS, Code.FINISHED, HIGH),
        (TaskKind.RECTIFICATION, Code.RECTIFIED, HIGH),
        (TaskKind.SIGN_CONTRACT, Code.SIGNED, LOW),
    ],
)
async def test_works_papers_and_contract_are_answered_here_too(
    office: Office, kind: TaskKind, code: Code, body: Mapping[str, Any]
) -> None:
    paper = await slip(office, body)
    task = await office.api.casefile.open_task(new_task(paper.no, kind, due_on=None))
    visit = await visiting(office, paper)
    assert f'href="/console/follow/case/tasks/{kind}"' in (await visit.get("/follow/case")).text
    assert CHOICES[kind][code].means.zh in (await visit.get(f"/follow/case/tasks/{kind}")).text
    form = {"code": code, "confirmed": "yes"}
    answer = await visit.post(f"/follow/case/tasks/{kind}", form)
    assert answer.headers["location"].startswith(f"/console/follow/case?done={kind}")
    decided = await office.api.call("GET", f"/api/v1/tasks/{task.id}")
    assert decided.json()["outcome"] == {"code": code}
    # Sent once more, by the button of a page that was kept open, it changes nothing.
    again = await visit.post(f"/follow/case/tasks/{kind}", form)
    assert again.status_code == 404


@pytest.mark.rule("RB-13.2")
async def test_a_withdrawal_needs_a_reason_and_a_confirmation(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = await slip(office)
    visit = await visiting(office, paper)
    await visit.get("/follow/case/withdraw")
    path = "/follow/case/withdraw"
    answer = await visit.post(path, {"reason": "  "})
    assert answer.status_code == 422
    assert "请简要填写原因" in answer.text
    assert "请勾选确认" in answer.text
    assert not await _actions(office)
    form = {"reason": "项目\r\n取消", "confirmed": "yes", "key": "k"}
    answer = await visit.post(path, form)
    assert answer.status_code == 503, "the engine is away"
    assert "请稍后再次提交" in answer.text
    assert 'name="key" value="k"' in answer.text
    assert await _actions(office) == [("applicant", "follow_page", "项目 取消")]

    async def ended(*_: object, **__: object) -> None:
        raise CaseEnded(paper.no, "withdrawn")

    monkeypatch.setattr("api.following.acted", ended)
    answer = await visit.post(path, form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/follow/case")


async def _actions(office: Office) -> list[tuple[str, str, str]]:
    with connected(office.api.url) as db:
        found = db.exec_driver_sql('SELECT "by", through, reason FROM actions')
        return [tuple(row) for row in found]


async def test_where_the_contract_is_signed_nothing_is_withdrawn(office: Office) -> None:
    paper = await slip(office)
    await office.task(paper.no, TaskKind.ENERGISE)
    visit = await visiting(office, paper)
    assert "/follow/case/withdraw" not in (await visit.get("/follow/case")).text
    page = (await visit.get("/follow/case/withdraw")).text
    assert "目前不能撤回" in page
    assert 'name="reason"' not in page


# ---------------------------------------------------------------- what must never be


@pytest.mark.rule("RB-13.3")
async def test_neither_address_nor_log_has_a_secret(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    paper = await slip(office)
    await planned(office, paper)
    visit = await visiting(office, paper)
    capsys.readouterr()
    for path in ("/follow/case", "/follow/case/tasks/confirm_plan", "/follow/case/withdraw"):
        page = (await visit.get(path)).text
        addresses = re.findall(r'(?:href|action|src)="([^"]*)"', page)
        assert addresses
        for address in addresses:
            assert paper.no not in address, "not even the number"
            assert paper.secret not in address
    await begin(office.visit(), Slip(paper.no, WRONG))
    printed = "".join(capsys.readouterr())
    assert paper.secret not in printed
    assert paper.no not in printed


async def test_every_page_is_kept_by_nobody_and_stands_in_no_frame(office: Office) -> None:
    paper = await slip(office)
    await planned(office, paper)
    visit = await visiting(office, paper)
    for path in (
        *("/follow/case", "/follow/case/tasks/confirm_plan", "/follow/case/withdraw"),
        *("/follow/case/tasks/nothing", "/follow/nowhere"),
    ):
        answer = await visit.get(path)
        assert answer.headers["cache-control"] == "no-store", path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "退出" not in answer.text
        assert "public.css" in answer.text, "also when something is wrong, it is a page for them"


async def test_every_page_speaks_english_and_large(office: Office) -> None:
    paper = await slip(office)
    await planned(office, paper)
    visit = await visiting(office, paper)
    answer = await visit.get("/text-size/large?back=/console/follow/case")
    assert answer.headers["location"] == "/console/follow/case"
    assert 'class="large"' in (await visit.get("/follow/case")).text
    assert (await visit.get("/text-size/large?back=//elsewhere")).headers["location"] == (
        "/console/follow"
    )
    await visit.get("/language/en")
    for path in (*("/follow/case", "/follow/case/tasks/confirm_plan", "/follow/case/withdraw"),):
        page = (await visit.get(path)).text
        assert '<html lang="en" class="large"' in page
        left = re.sub(r'<[^>]*lang="zh-CN"[^>]*>[^<]*<', "<", page)
        left = re.sub(r"示例[^<]*|湛江市赤坎区[^<]*|湛江\*+公司|以10 kV单电源供电。", "", left)
        left = re.sub(r"516 [一二三四]+(\([一二三四七]+\))?", "", left)
        assert re.findall("[\u4e00-\u9fff]+", left) == [], path
    await visit.get("/text-size/usual?back=/console/follow/case")
    assert 'class="large"' not in (await visit.get("/follow/case")).text


async def test_the_sign_in_page_leads_the_public_to_theirs(office: Office) -> None:
    page = (await office.visit().get("/sign-in")).text
    assert 'href="/console/follow"' in page
    assert 'href="/console/guide"' in page


# ---------------------------------------------------------------- in a real browser


async def enter(window: Screen, paper: Slip) -> None:
    """Begin to follow a case by the form."""
    await window.go("/follow")
    await window.page.fill("#f-no", paper.no.lower())
    await window.page.fill("#f-secret", paper.secret.lower())
    await window.page.click("main button.main")
    await window.page.wait_for_url("**/follow/case")


@pytest.mark.rule("RB-10.3")
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_an_applicant_follows_a_case_and_agrees_to_the_plan_on_a_phone(
    office: Office, browser: Browser, base: str, language: str
) -> None:
    paper = await slip(office)
    await planned(office, paper)
    async with screen(browser, base, PHONE) as window:
        page = window.page
        await window.go(f"/language/{language}?back=/console/follow")
        await enter(window, paper)
        status = await page.inner_text(".status")
        assert "确认供电方案" in status or "Confirm the supply plan" in status
        await page.click(".actions a")
        await page.check("[value=revise]")
        await page.click("main button.main")
        await page.wait_for_selector(".problems")
        assert await page.is_checked("[value=revise]"), "what was chosen stays"
        await page.click(".problems a")
        assert await page.evaluate("document.activeElement.name") == "note"
        await page.check("[value=agreed]")
        await page.click("main button.main")
        await page.click("main button.main")
        await page.wait_for_url("**/follow/case?done=confirm_plan*")
        await page.click("button.end")
        await page.wait_for_selector("#f-no")
        window.complaints = [each for each in window.complaints if "422" not in each]
    task = f"{paper.no}.confirm_plan.1"
    decided = await office.api.call("GET", f"/api/v1/tasks/{task}")
    assert decided.json()["outcome"] == {"code": "agreed"}


@pytest.mark.parametrize(
    ("language", "size", "is_large"),
    [("zh", PHONE, False), ("en", DESK, False), ("en", (320, 640), True)],
    ids=["zh-phone", "en-desk", "en-narrow-large"],
)
async def test_no_page_for_the_public_breaks_wcag_2_1_aa_or_its_screen(
    office: Office,
    browser: Browser,
    base: str,
    size: tuple[int, int],
    is_large: bool,
    language: str,
) -> None:
    paper = await slip(office)
    await planned(office, paper)
    await office.permits(paper.no)
    found: dict[str, list[str]] = {}

    async def look(window: Screen, where: str) -> None:
        found[where] = await window.flaws()
        small = await window.page.evaluate(TOO_SMALL)
        found[where] += [f"is less than 44 pixels high: {each}" for each in small]

    async with screen(browser, base, size) as window:
        page = window.page
        await window.go(f"/language/{language}?back=/console/follow")
        if is_large:
            await window.go("/text-size/large?back=/console/follow")
        await look(window, "follow")
        await page.fill("#f-no", "ZJ1")
        await page.fill("#f-secret", "ABC")
        await page.click("main button.main")
        await page.wait_for_selector(".problems")
        await look(window, "follow, with slips")
        await window.go("/guide?from=2026-09-25&days=5")
        await look(window, "guide")
        await enter(window, paper)
        await look(window, "case")
        await window.go("/follow/case/withdraw")
        await look(window, "withdraw")
        await window.go("/follow/case/tasks/confirm_plan")
        await look(window, "task")
        await page.check("[value=refused]")
        await page.click("main button.main")
        await page.wait_for_selector("button.grave")
        await look(window, "confirm")
        await window.go("/follow/nowhere")
        await look(window, "nowhere")
        window.complaints = [e for e in window.complaints if "422" not in e and "404" not in e]
    check_found(found)


# What is pressed, but for links within a sentence, as WCAG 2.5.5 has it.
TOO_SMALL = """
() => [...document.querySelectorAll("a, button, input:not([type=hidden]), textarea, summary")]
  .filter(each => !each.closest(".problems, .skip") && !each.classList.contains("skip"))
  .map(each => each.matches("[type=radio], [type=checkbox]") ? each.closest("label") : each)
  .filter(each => each.getBoundingClientRect().height < 44)
  .map(each => each.outerHTML.slice(0, 120))
"""


async def test_the_pages_work_without_scripts(office: Office, browser: Browser, base: str) -> None:
    paper = await slip(office)
    await office.task(paper.no, TaskKind.SUPPLY_PLAN)
    async with screen(browser, base, PHONE, java_script_enabled=False) as window:
        await enter(window, paper)
        assert await window.page.locator("text=湛江供电局").count() >= 1
        assert await window.page.locator("script").count() == 0, "they need none at all"
