"""What every page must be: guarded against what is typed into cases, and in both languages."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from console import rendering
from console.guard import SESSION
from domain.connection import TaskKind
from tests.console.office import Office, Visit
from tests.support.cases import HIGH, LOW, changed
from tests.support.databases import rows
from tests.support.serving import api_settings

STATIC = Path(rendering.STATIC)
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


class Page(HTMLParser):
    """What stands in a page that a policy against scripts would have to allow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.addresses: list[str] = []
        self.languages: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is inline, and what is fetched or led to."""
        named = dict(attrs)
        self.inline += [f"{tag} {name}" for name in named if name == "style" or name[:2] == "on"]
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)
        self.addresses += [named[n] or "" for n in ("src", "href", "action") if n in named]
        if tag == "html":
            self.languages.append(named.get("lang"))


@pytest.fixture
async def desk(office: Office) -> Visit:
    return await office.visit_of("desk-1")


@pytest.fixture
async def no(office: Office) -> str:
    return await office.case()


@pytest.fixture
async def pages(office: Office, desk: Visit, no: str) -> list[str]:
    task_id = await office.task(no)
    await office.permits(no)
    desks = ["/cases/new", "/cases/import", f"/cases/{no}/withdraw", f"/cases/{no}/slip"]
    cases = ["/cases", f"/cases/{no}", f"/cases/{no}?taken=yes", *desks]
    lists = [f"/supervision/{each}" for each in ("cases", "results", "tasks", "decisions")]
    figures = ["/supervision", *lists, "/escalations"]
    return [*cases, "/tasks", f"/tasks/{task_id}", *figures, "/password"]


async def test_every_page_tells_the_browser_to_run_nothing_but_our_files(
    office: Office, desk: Visit, pages: list[str]
) -> None:
    for visit, paths in ((desk, [*pages, "/nowhere"]), (office.visit(), ["/sign-in"])):
        for path in paths:
            answer = await visit.get(path)
            assert answer.headers["content-type"].startswith("text/html"), path
            policy = answer.headers["content-security-policy"].split("; ")
            assert {"script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= {*policy}
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            page = Page(answer.text)
            assert page.inline == [], path
            for address in page.addresses:
                assert address.startswith(("/console/", "#")), (path, address)


async def test_every_page_is_chinese_first_and_english_at_a_click(
    desk: Visit, pages: list[str]
) -> None:
    chinese = {path: await desk.get(path) for path in pages}
    answer = await desk.get("/language/en?back=/console/cases")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/cases")
    for path in pages:
        english = await desk.get(path)
        assert Page(chinese[path].text).languages == ["zh-CN"]
        assert Page(english.text).languages == ["en"]
        assert "退出" in chinese[path].text
        assert "Sign out" not in chinese[path].text
        assert "Sign out" in english.text
        # What is left of Chinese was typed in, or names the product and the other language.
        left = re.sub(r'<[^>]*lang="zh-CN"[^>]*>[^<]*<', "<", english.text)
        left = re.sub(r"示例[^<]*|湛江市赤坎区[^<]*|湛江示例水产有限公司|占用、挖掘[^<]*", "", left)
        # Notices of holidays have one name, which is Chinese.
        left = re.sub(r"《[^》]*》|国务院办公厅关于[^<]*", "", left)
        left = re.sub(r"516 [一二三四]+(\([一二三四]+\))?|XK \d+", "", left)
        assert re.findall("[\u4e00-\u9fff]+", left) == [], path
    await desk.get("/language/xx")
    assert "Sign out" in (await desk.get("/cases")).text


async def test_what_is_typed_into_a_case_stays_a_text(office: Office, desk: Visit) -> None:
    body = changed(HIGH, "applicant.name", HOSTILE)
    no = await office.case(changed(body, "site.address", f"{HOSTILE} 2"))
    task_id = await office.task(no)
    for path in ("/cases", f"/cases/{no}", "/tasks", f"/tasks/{task_id}"):
        page = (await desk.get(path)).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;{{7*7}}" in page
    form = {"code": "declined", "note": "", "document_no": f'"><i>{HOSTILE}'}
    page = (await desk.post(f"/tasks/{task_id}/outcome", form)).text
    assert "<i>" not in page
    page = (await desk.post("/cases", {"q": f'"><i>{HOSTILE}'})).text
    assert "<i>" not in page


@pytest.mark.rule("RB-13.1")
async def test_numbers_are_masked_until_shown_and_that_is_on_the_record(
    office: Office, desk: Visit, no: str
) -> None:
    page = (await desk.get(f"/cases/{no}")).text
    assert "138****0002" in page
    assert "13800000002" not in page
    shown = (await desk.post(f"/cases/{no}/numbers")).text
    assert "13800000002" in shown
    assert "91440802MA0000023K" in shown
    events = (await office.api.call("GET", f"/api/v1/applications/{no}/events")).json()
    assert (events[-1]["kind"], events[-1]["by"]) == ("numbers_shown", "desk")
    assert events[-1]["body"] == {"account": "desk-1"}
    assert await office.api.first_break() is None
    assert "13800000002" not in (await desk.get(f"/cases/{no}")).text


async def test_nothing_is_shown_that_could_not_be_recorded(
    desk: Visit, no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("console.cases.record_reveal", broken)
    answer = await desk.post(f"/cases/{no}/numbers")
    assert answer.status_code == 500
    assert "13800000002" not in answer.text


@pytest.mark.rule("RB-13.3")
async def test_a_search_finds_by_number_name_and_address_and_stands_in_no_address(
    office: Office, desk: Visit, no: str
) -> None:
    other = await office.case(LOW, key="key-2")
    await desk.get("/cases")
    for q in (no, "示例水产", "示例路2号"):
        found = await desk.post("/cases", {"q": f" {q} "})
        assert found.status_code == 200
        addresses = Page(found.text).addresses
        assert f"/console/cases/{no}" in addresses
        assert not any(q in unquote(address) for address in addresses if q != no)
    assert f"/console/cases/{other}" not in (await desk.post("/cases", {"q": "水产"})).text
    assert "没有符合条件的办件" in (await desk.post("/cases", {"q": "无此人"})).text


async def test_a_filter_without_words_is_an_address_to_be_kept(desk: Visit, no: str) -> None:
    await desk.get("/cases")
    answer = await desk.post("/cases", {"q": "", "state": "open", "district": "440802"})
    assert answer.headers["location"] == "/console/cases?state=open&district=440802"
    assert no in (await desk.get("/cases?state=open&district=440802")).text
    assert no not in (await desk.get("/cases?state=ended")).text
    assert no not in (await desk.get("/cases?district=440803")).text


async def test_lists_page_through_everything_once(office: Office, desk: Visit) -> None:
    numbers = [await office.case(key=f"key-{i}") for i in range(23)]
    for each in numbers[:3]:
        await office.task(each)
    await desk.get("/cases")
    seen: list[str] = []
    path = "/cases"
    for _ in range(2):
        page = (await desk.get(path)).text
        seen += re.findall(r'<a href="/console/cases/(ZJ\d+)"', page)
        following = re.search(r'rel="next" href="/console([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert path == ""
    assert seen == sorted(numbers, reverse=True)
    page = (await desk.post("/cases", {"q": "示例"})).text
    cursor = re.search(r'name="cursor" value="([^"]+)"', page)
    assert cursor is not None
    rest = (await desk.post("/cases", {"q": "示例", "cursor": cursor[1]})).text
    assert len(re.findall(r'<a href="/console/cases/ZJ', rest)) == 3


async def test_a_list_says_who_owes_what_is_due_first(office: Office, desk: Visit, no: str) -> None:
    await office.permits(no)
    page = (await desk.get("/cases")).text
    assert "市水务局" in page
    assert "绿灯：剩余 6 个工作日" in page
    assert "2026-09-23 周三" in page


async def test_an_unknown_page_case_or_cursor_is_told_as_a_page(desk: Visit) -> None:
    for path, status, words in (
        ("/nowhere", 404, "没有此资源"),
        ("/cases/ZJ20269999999", 404, "没有此办件"),
        ("/cases/%00", 404, "没有此办件"),
        ("/tasks/ZJ20260000011.nothing.1", 404, "没有此任务"),
        ("/cases?cursor=nonsense", 422, "输入不符合规定"),
        ("/supervision?from=yesterday", 422, "不是日期"),
        ("/supervision?district=999999", 422, "没有此区县代码"),
    ):
        answer = await desk.get(path)
        assert answer.status_code == status, path
        assert words in answer.text, path
        assert "<html" in answer.text


async def test_the_case_page_tells_clocks_story_and_record(
    office: Office, desk: Visit, no: str
) -> None:
    task_id = await office.permits(no)
    await office.task(no, TaskKind.SUPPLY_PLAN)
    page = (await desk.get(f"/cases/{no}")).text
    for words in ("当前待办", "并联审批时长", "绿灯：剩余", "收到用电申请", "不可更改"):
        assert words in page
    assert f"/console/tasks/{task_id}" in page


async def test_supervision_shows_what_the_api_says(office: Office, desk: Visit, no: str) -> None:
    await office.permits(no)
    summary = (await office.api.call("GET", "/api/v1/supervision/summary", "desk")).json()
    page = (await desk.get("/supervision")).text
    for clock in summary["clocks"]:
        assert clock["zh"] in page
    for department in summary["departments"]:
        assert department["zh"] in page
    assert "承诺时限与平均时长" in page
    assert "绿灯：剩余 6 个工作日" in page


async def test_files_of_ours_may_be_kept_and_are_named_by_their_content(office: Office) -> None:
    visit = office.visit()
    page = Page((await visit.get("/sign-in")).text)
    files = [address for address in page.addresses if "/static/" in address]
    assert len(files) == 3
    for address in files:
        answer = await visit.client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        digest = hashlib.sha256(answer.content).hexdigest()
        assert address.endswith(f"?v={digest[:12]}")


@pytest.mark.parametrize(
    ("folder", "others"),
    [
        (
            STATIC,
            {
                "console.css",
                "public.css",
                "icon.svg",
                "applying.js",
                "importing.js",
                "inbox.js",
                "task.js",
                "printing.js",
                "echarts.NOTICE.txt",
                "charts.js",
            },
        ),
        (Path(__file__).parent / "axe", {"axe.LICENSE-3RD-PARTY.txt"}),
    ],
)
def test_what_others_wrote_is_as_they_published_it_and_has_its_licence(
    folder: Path, others: set[str]
) -> None:
    vendored = json.loads((folder / "vendored.json").read_text())
    licences = {about["licence"] for about in vendored.values()}
    known = vendored.keys() | licences | others | {"vendored.json"}
    assert {path.name for path in folder.iterdir()} == known
    for name, about in vendored.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == about["sha256"]
        assert (folder / about["licence"]).read_text().strip()


async def test_the_api_knows_no_session_and_the_console_no_key(office: Office, desk: Visit) -> None:
    desk.client.cookies.set(SESSION, desk.client.cookies[SESSION], path="/")
    answer = await desk.client.get("/api/v1/applications")
    assert SESSION in answer.request.headers["cookie"]
    assert answer.status_code == 401
    key = api_settings(office.api.url).key_of("desk")
    answer = await office.visit().get("/cases", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 303


async def test_the_first_page_leads_to_the_console_and_home_to_ones_day(office: Office) -> None:
    for account, path in (
        ("desk-1", "/console/tasks"),
        ("water-1", "/console/tasks"),
        ("special-1", "/console/supervision"),
        ("admin-1", "/console/admin"),
    ):
        visit = await office.visit_of(account)
        assert (await visit.client.get("/")).headers["location"] == "/console/"
        assert (await visit.get("/")).headers["location"] == path
        assert (await visit.client.get(path)).status_code == 200


async def test_a_visit_writes_at_most_once_a_minute(office: Office, desk: Visit) -> None:
    before = rows(office.api.url)["sessions"]
    await desk.get("/cases")
    assert rows(office.api.url)["sessions"] == before


async def test_a_form_that_cannot_be_read_is_refused(desk: Visit) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await desk.client.post("/console/cases", content=b"--y\r\n", headers=headers)
    assert answer.status_code in (400, 403)
    assert "表单" in answer.text


async def test_a_failure_is_logged_once_and_without_what_it_was_about(
    desk: Visit, no: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise OSError("13800000002")

    monkeypatch.setattr("console.cases.record_reveal", broken)
    capsys.readouterr()
    answer = await desk.post(f"/cases/{no}/numbers")
    logged = capsys.readouterr().out
    assert answer.status_code == 500
    assert logged.count("OSError") == 1
    assert "13800000002" not in logged + answer.text
