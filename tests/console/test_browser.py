"""The console in a real browser: Debian's Chromium, both languages, desk and phone."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from playwright.async_api import TimeoutError as NotWithinTime

from api.app import build_app
from console.app import mount, pages
from domain.connection import TaskKind
from tests.console.admin_places import admin_pages
from tests.console.office import PASSWORD, Office
from tests.support.cases import LOW, NOON
from tests.support.serving import api_settings, listening

DESK, PHONE = (1440, 900), (390, 844)
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]

FITS_WITHIN_MS = 5_000

BOTH = pytest.mark.parametrize(
    ("language", "size"), [("zh", DESK), ("en", PHONE)], ids=["zh-desk", "en-phone"]
)
"""Every page in both languages and in the layouts of both sizes; `flaws` measures it at each."""

PLACES: Mapping[str, tuple[str, Sequence[str]]] = {
    "cases": (
        "desk-1",
        (
            "/cases",
            "/cases/{no}",
            "/cases/{no}?taken=yes",
            "/cases/{no}/slip",
            "/cases/{no}/withdraw",
            "/cases/new",
            "/cases/import",
        ),
    ),
    "figures": (
        "desk-1",
        (
            "/supervision",
            "/supervision?from=2026-10-01",
            *(f"/supervision/{each}" for each in ("cases", "results", "tasks", "decisions")),
            "/escalations",
        ),
    ),
    "the desk's tasks": ("desk-1", ("/tasks", "/tasks/{papers}", "/deadline", "/password")),
    "a department's tasks": ("water-1", ("/tasks", "/tasks/{permits}", "/nowhere")),
    "keys": ("admin-1", ("/admin/keys", "/admin/keys/{key}")),
}
"""What is looked at together: whose eyes, and which pages."""
LOOKED_AT_ELSEWHERE = {
    # These lead on, and show nothing.
    "/",
    "/language/{language}",
    "/text-size/{size}",
    "/sign-in/provider",
    "/sign-in/provider/return",
    "/opinions/{token}",
    # With every group.
    "/sign-in",
    # test_identity_provider_browser.py
    "/identity",
    # test_inbox_browser.py
    "/opinions",
    # test_following.py
    "/follow",
    "/follow/case",
    "/follow/case/tasks/{kind}",
    "/follow/case/withdraw",
    "/guide",
}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    assert program is not None, "these tests need Debian's package chromium"
    async with async_playwright() as playwright:
        # Chromium refuses to sandbox itself as root, which is who runs it in a container.
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = await playwright.chromium.launch(executable_path=program, args=as_root)
        yield launched
        await launched.close()


@pytest.fixture
def base(url: str) -> Iterator[str]:
    """A console that listens, on the office's case file, at the office's hour."""
    app = build_app(api_settings(url), lambda: NOON)
    mount(app)
    with listening(app) as address:
        yield f"{address}/console"


class Screen:
    """A window of a browser; whatever it asks for, and complains of, is noted."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self._base = page, base
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def go(self, path: str) -> None:
        """Go to a page."""
        await self.page.goto(f"{self._base}{path}")

    async def sign_in(self, account: str, password: str = PASSWORD) -> None:
        """Sign in by the form."""
        await self.go("/sign-in")
        await self.page.fill("#f-account", account)
        await self.page.fill("#f-password", password)
        await self.page.press("#f-password", "Enter")
        await self.page.wait_for_selector("button.plain")

    async def speak(self, language: str) -> list[str]:
        """Choose the language; return what is wrong with the page to sign in."""
        await self.go(f"/language/{language}?back=/console/sign-in")
        return await self.flaws()

    async def walk(self, paths: Iterable[str], language: str) -> dict[str, list[str]]:
        """Go through pages; return by page what is wrong with it."""
        found = {}
        for path in paths:
            await self.go(path)
            spoken = await self.page.get_attribute("html", "lang")
            assert spoken == {"zh": "zh-CN", "en": "en"}[language], path
            found[path] = await self.flaws()
        return found

    async def flaws(self) -> list[str]:
        """Open all that opens; return what breaks WCAG 2.1 AA, or a desk's or a phone's width."""
        await self.page.evaluate(
            "document.querySelectorAll('main details').forEach(each => { each.open = true })"
        )
        found = await self.violations()
        own = self.page.viewport_size
        assert own is not None
        others = ({"width": width, "height": height} for width, height in (DESK, PHONE))
        for size in [own, *(each for each in others if each != own)]:
            await self.page.set_viewport_size(size)  # type: ignore[arg-type]
            try:
                # Charts are drawn anew a moment after their room has changed.
                await self.page.wait_for_function(
                    "document.documentElement.scrollWidth <= innerWidth", timeout=FITS_WITHIN_MS
                )
            except NotWithinTime:
                found.append(f"is wider than a screen of {size['width']}")
        await self.page.set_viewport_size(own)
        return found

    async def violations(self) -> list[str]:
        """Return what axe finds against WCAG 2.1 AA."""
        # Evaluated by the debugger: the pages' own policy lets no script in.
        await self.page.evaluate(AXE)
        found: dict[str, Any] = await self.page.evaluate(
            """tags => axe.run(document, {
                runOnly: {type: 'tag', values: tags}, resultTypes: ['violations'],
            })""",
            WCAG,
        )
        assert found["passes"], "axe looked at nothing"
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for each in found["violations"]
            for node in each["nodes"]
        ]


def check_found(found: Mapping[str, Sequence[str]]) -> None:
    """Show that nothing is wrong with any of the pages.

    Args:
        found: by page, what is.
    """
    wrong = {where: flaws for where, flaws in found.items() if flaws}
    assert wrong == {}, json.dumps(wrong, ensure_ascii=False, indent=1)


@asynccontextmanager
async def screen(
    browser: Browser, base: str, size: tuple[int, int] = DESK, **others: Any
) -> AsyncIterator[Screen]:
    """Open a window; at the end, nothing was asked of another host and nothing went wrong."""
    width, height = size
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": height}, locale="zh-CN", **others
    )
    window = Screen(await context.new_page(), base)
    try:
        yield window
        host = base.removesuffix("/console")
        assert window.asked
        assert [each for each in window.asked if not each.startswith(f"{host}/")] == []
        assert window.complaints == []
    finally:
        await context.close()


async def key_on_file(office: Office) -> str:
    """Make a key of a system; return its id."""
    body = {"agency": "water", "label": "示例系统", "days": 20}
    made = await office.api.call("POST", "/api/v1/admin/keys", "admin-1", key="k", json=body)
    return str(made.json()["key"]["id"])


async def test_a_key_is_made_copied_and_replaced_on_the_screen(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("admin-1")
    for size in (DESK, PHONE):
        async with screen(browser, base, size) as window:
            page = window.page
            await window.sign_in("admin-1")
            await window.go("/admin/keys")
            await page.select_option("section #f-agency", "water")
            await page.fill("#f-label", "示例系统")
            await page.click("text=生成并显示一次")
            await page.click(".whole-key")
            picked = await page.evaluate("getSelection().toString().trim()")
            assert picked == await page.inner_text(".whole-key"), "a click selects all of it"
            headers = {"Authorization": f"Bearer {picked}"}
            answer = await office.api.call("GET", "/api/v1/tasks", None, headers=headers)
            assert answer.status_code == 200
            assert await window.violations() == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await page.reload()
            await window.go(f"/admin/keys/{picked.split('_')[1]}")
            assert picked not in await page.content()
            await page.click("text=轮换并显示新密钥")
            assert await page.inner_text(".whole-key") != picked
            await page.click("text=English")
            assert await page.get_attribute("html", "lang") == "en"
            assert await page.locator(".whole-key").count() == 0, "shown once, in one language"


async def test_the_desk_signs_in_finds_a_case_and_reads_it_in_both_languages(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("desk-1")
    no = await office.case()
    await office.permits(no)
    other = await office.case(LOW, key="key-2")
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("desk-1")
        await page.click("text=办件查询")
        await page.wait_for_selector(f"text={other}")
        address = page.url
        # As one types, in place: the list changes and the address does not.
        await page.type("#f-q", "水产", delay=20)
        await page.wait_for_selector(f"text={other}", state="detached")
        assert page.url == address
        await page.click(f"text={no}")
        assert await page.inner_text("h1") == no
        assert await page.inner_text("html") and "当前待办" in await page.inner_text("main")
        assert "13800000002" not in await page.content()
        await page.click("text=English")
        assert page.url.endswith(f"/cases/{no}"), "the same page"
        assert await page.get_attribute("html", "lang") == "en"
        assert "What is owed now" in await page.inner_text("main")
        await page.click("text=Show the numbers (recorded)")
        assert "13800000002" in await page.inner_text("main")
        await page.click("text=Sign out")
        await page.wait_for_selector("#f-account")


async def test_an_officer_claims_a_task_and_decides_it(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("water-1")
    task_id = await office.permits(await office.case())
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("water-1")
        assert "绿灯：剩余 6 个工作日" in await page.inner_text("main")
        await page.click("table >> text=认领")
        await page.wait_for_selector("text=由您承办")
        # Only what belongs to the chosen result is asked.
        papers = page.locator("[name='items.0.papers']")
        competent = page.locator("[name='competent']")
        assert not await papers.is_visible()
        await page.select_option("[name='items.0.outcome']", "papers_to_follow")
        assert await papers.is_visible()
        await page.check("[value=not_competent]")
        assert await competent.is_visible()
        assert not await papers.is_visible()
        await page.check("[value=answered]")
        await page.click("text=提交办理结果")
        # What is missing is told, and the link leads to its field.
        await page.click(".problems a >> nth=0")
        assert await page.evaluate("document.activeElement.name") == "items.0.papers"
        await page.fill("[name='items.0.document_no']", "示例〔2026〕1号")
        await page.fill("[name='items.0.document_on']", "2026-09-16")
        await page.fill("[name='items.0.papers']", "交通组织方案")
        await page.fill("[name='items.0.papers_by']", "2026-10-30")
        await page.click("text=提交办理结果")
        await page.wait_for_selector("text=办理结果已存档")
        window.complaints = [each for each in window.complaints if "422" not in each]
    task = (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()
    assert task["outcome"]["items"][0]["outcome"] == "papers_to_follow"
    assert task["held_by"] == "water-1"


async def test_a_first_password_is_changed_at_the_first_sign_in(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("admin-1", must_change=True)
    async with screen(browser, base, PHONE) as window:
        await window.sign_in("admin-1")
        assert window.page.url.endswith("/password")
        for field, typed in (("current", PASSWORD), ("new", PASSWORD[::-1]), ("again", "typo")):
            await window.page.fill(f"#f-{field}", typed)
        await window.page.click("main button")
        assert "两次输入的新密码不一致" in await window.page.inner_text(".problems")
        for field, typed in (("current", PASSWORD), ("new", "Ebbe"), ("again", "Ebbe")):
            await window.page.fill(f"#f-{field}", typed * (1 if field == "current" else 4))
        await window.page.click("main button")
        assert "过于简单" in await window.page.inner_text(".problems")
        new = "Ebbe und Flut um vier"
        for field, typed in (("current", PASSWORD), ("new", new), ("again", new)):
            await window.page.fill(f"#f-{field}", typed)
        await window.page.click("main button")
        await window.page.wait_for_url("**/admin")
        window.complaints = [each for each in window.complaints if "422" not in each]


async def test_pages_work_without_scripts(office: Office, browser: Browser, base: str) -> None:
    await office.hire("desk-1")
    no, other = await office.case(), await office.case(LOW, key="key-2")
    async with screen(browser, base, java_script_enabled=False) as window:
        page = window.page
        await window.sign_in("desk-1")
        await window.go("/cases")
        await page.fill("#f-q", "水产")
        await page.click("main form button")
        assert await page.locator(f"text={no}").count() == 1
        assert await page.locator(f"text={other}").count() == 0
        await page.fill("#f-q", "")
        await page.select_option("[name=district]", "440803")
        await page.click("main form button")
        assert page.url.endswith("?district=440803")
        assert await page.locator(f"text={no}").count() == 0


async def test_the_keyboard_reaches_the_content_first(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("desk-1")
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("desk-1")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px", "the focus is seen"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('main') !== null")


@BOTH
@pytest.mark.parametrize("group", PLACES)
async def test_no_page_breaks_wcag_2_1_aa_or_its_screen(
    office: Office, browser: Browser, base: str, size: tuple[int, int], language: str, group: str
) -> None:
    account, places = PLACES[group]
    for each in {"admin-1", account}:
        await office.hire(each)
    no = await office.case()
    await office.task(no, TaskKind.SUPPLY_PLAN)
    there = {
        "no": no,
        "permits": await office.permits(no),
        "papers": await office.task(await office.case(LOW, key="k2")),
        "key": await key_on_file(office),
    }
    async with screen(browser, base, size) as window:
        found = {"/sign-in": await window.speak(language)}
        await window.sign_in(account)
        found |= await window.walk([each.format_map(there) for each in places], language)
        if group == "a department's tasks":
            await window.go(f"/tasks/{there['permits']}")
            await window.page.click(".submit button")
            await window.page.wait_for_selector(".problems")
            found["a form with a slip"] = await window.flaws()
        # These answers are told to the browser as what they are.
        window.complaints = [
            each for each in window.complaints if "404" not in each and "422" not in each
        ]
    check_found(found)


async def test_every_page_is_looked_at(office: Office) -> None:
    asked_for = {path for _, places in PLACES.values() for path in places}
    asked_for |= {path for paths in (await admin_pages(office)).values() for path in paths}
    plain = {re.sub(r"\?.*", "", path) for path in asked_for}
    seen = {
        route.path
        for route in pages()
        for path in plain
        # An address of one name comes before those that have an id in its place.
        if route.path_regex.fullmatch(path) and ("{" in route.path or route.path == path)
    }
    every = {route.path for route in pages() if "GET" in (route.methods or ())}
    files = {path for path in every if re.search(r"\.(csv|xlsx)$|/events$|/documents/", path)}
    assert every - seen - files == LOOKED_AT_ELSEWHERE


async def test_what_is_measured_against_wcag_can_fail(
    office: Office, browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        await window.go("/sign-in")
        await window.page.evaluate("document.querySelector('h1').style.color = '#bbb'")
        await window.page.evaluate("document.querySelector('label').remove()")
        found = {each.split(":")[0] for each in await window.violations()}
        assert found == {"color-contrast", "label"}
