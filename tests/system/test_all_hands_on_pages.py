"""One case through all hands, on pages alone, in a real browser, on a real engine (issue 6).

The desk takes it in, the applicant agrees to the plan, the utility designs the line, a department
decides and another does not, the supervisor sees the light change, an administrator plans a repair
and another approves it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from domain.accounts import NewAccount, StaffRole
from storage.accounts import Accounts
from tests.console.office import PASSWORD
from tests.console.test_browser import DESK, PHONE, Screen, browser, screen
from tests.system.town import Town

__all__ = ["browser"]  # the fixture

A_DAY_TAKES_S = 4.0
PATIENCE_MS = 30_000
"""Whatever another program does, or the other's page shows by itself."""
UNTIL_RED_MS = 90_000

PEOPLE = (
    NewAccount("desk-1", "示例 窗口", "desk", StaffRole.DESK),
    NewAccount("utility-1", "示例 供电", "utility", StaffRole.UTILITY),
    NewAccount("water-1", "示例 水务", "water", StaffRole.DEPARTMENT),
    NewAccount("special-1", "示例 督导", "special-group", StaffRole.SUPERVISOR),
    NewAccount("admin-1", "示例 管理员一", None, StaffRole.ADMINISTRATOR),
    NewAccount("admin-2", "示例 管理员二", None, StaffRole.ADMINISTRATOR),
)

# What the pages are expected to say, by language.
WORDS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "invests": "投资",
        "your turn": "现在需要您办理",
        "on file": "办理结果已存档",
        "received": "已收到您的答复",
        "overdue": "部门逾期未办",
        "needs another": "须另一名管理员批准",
        "as planned": "与计划一致",
        "moved on": "办件在计划之后已有变化",
    },
    "en": {
        "invests": "invests",
        "your turn": "It is your turn",
        "on file": "on file",
        "received": "Your answer is on file",
        "overdue": "overdue at departments",
        "needs another": "another administrator has to approve",
        "as planned": "as planned",
        "moved on": "The case has moved on since the plan was made",
    },
}


class Office:
    """People at their screens, each in a browser of their own."""

    def __init__(self, browser: Browser, base: str, language: str) -> None:
        self._browser, self.base, self.language = browser, base, language

    @asynccontextmanager
    async def at(self, account: str) -> AsyncIterator[Screen]:
        """Sit down at a desk and sign in."""
        async with screen(self._browser, self.base, DESK) as window:
            await self._speak(window)
            await window.sign_in(account)
            yield window
            # A check of what was typed gives way to the next one; htmx complains of that.
            window.complaints = [each for each in window.complaints if "htmx:" not in each]

    @asynccontextmanager
    async def following(self, no: str, secret: str) -> AsyncIterator[Screen]:
        """Take a phone and follow a case."""
        async with screen(self._browser, self.base, PHONE) as window:
            await self._speak(window)
            await window.go("/follow")
            await window.page.fill("#f-no", no)
            await window.page.fill("#f-secret", secret)
            await window.page.click("main form button.main")
            await window.page.wait_for_selector("#h-links")
            yield window

    async def _speak(self, window: Screen) -> None:
        window.page.set_default_timeout(PATIENCE_MS)
        await window.go(f"/language/{self.language}?back=/console/sign-in")


@pytest.mark.rule("RB-13.1", "RB-10.3", "RB-5.1", "RB-12.2", "RB-12.3")
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_case_passes_through_all_hands_on_pages(
    tmp_path: Path, browser: Browser, language: str
) -> None:
    words = WORDS[language]
    speed = 86_400 / A_DAY_TAKES_S
    async with Town.open(tmp_path / "var", speed=speed, sandbox_arguments=None) as town:
        await _hire(town)
        office = Office(browser, f"{town.api_address}/console", language)
        no, secret = await _taken_in(office, words)
        await _decide(office, "desk-1", f"{no}.check_papers.1", "accepted", words)
        await _decide(office, "utility-1", f"{no}.supply_plan.1", "planned", words)
        await _answered_by_phone(office, no, secret, "agreed", words)
        await _line_designed(office, f"{no}.line_design.1", words)
        async with office.at("special-1") as supervisor:
            late = f"{no}.permits-urban-management.1"
            await _look_at(supervisor.page, town, late)
            await _water_decides(office, f"{no}.permits-water.1", words)
            # It turns red by itself, on the page that is open.
            tile = supervisor.page.locator("#now li").filter(has_text=words["overdue"])
            await expect(tile.locator("strong")).not_to_have_text("0", timeout=UNTIL_RED_MS)
        await _repaired(office, no, words)
        await _answered_by_phone(office, no, secret, "finished", words)
        task = await town.call("desk", "GET", f"/tasks/{no}.permits-water.1")
        assert task.json()["outcome"]["code"] == "answered", "kept through the repair"
        assert (await town.reading.first_break())[1] is None


async def _hire(town: Town) -> None:
    accounts = Accounts(town.reading.engine)
    for each in PEOPLE:
        await accounts.add(each, PASSWORD, at=datetime.now(UTC), must_change=False)


async def _taken_in(office: Office, words: Mapping[str, str]) -> tuple[str, str]:
    async with office.at("desk-1") as window:
        page = window.page
        await window.go("/cases/new")
        await page.check("[name='applicant.kind'][value=enterprise]")
        await page.fill("[name='applicant.name']", "湛江示例水产有限公司")
        await page.fill("[name='applicant.phone']", "13800000002")
        await page.fill("[name='applicant.id_number']", "91440802MA0000023K")
        await page.select_option("[name='applicant.size']", "small")
        await page.fill("[name='site.address']", "湛江市赤坎区示例路2号")
        await page.select_option("[name='site.district']", "440802")
        await page.check("[name=voltage][value=high]")
        await page.fill("[name=capacity_kva]", "630")
        await page.check("[name=purpose][value=permanent]")
        await page.check("[name=supply][value=single]")
        await page.check("[name=consent_to_certificates][value=yes]")
        await expect(page.locator("#preview")).to_contain_text(words["invests"])
        await page.click("#apply button.main")
        await page.wait_for_url("**/cases/ZJ*")
        no = page.url.rsplit("/", 1)[1].partition("?")[0]
        await window.go(f"/cases/{no}/slip")
        secret = await page.inner_text("dd.code.large >> nth=1")
        return no, secret


async def _decide(
    office: Office, account: str, task_id: str, code: str, words: Mapping[str, str]
) -> None:
    async with office.at(account) as window:
        page = window.page
        await _until_there(window, office.base, f"/tasks/{task_id}")
        await page.check(f"[name=code][value={code}]")
        await page.click(".decide .submit button")
        await expect(page.locator("main")).to_contain_text(words["on file"])


async def _until_there(window: Screen, base: str, path: str) -> None:
    """Go to a page as often as it takes until a process has come so far."""
    for _ in range(60):
        answer = await window.page.goto(f"{base}{path}")
        if answer is not None and answer.ok:
            break
        await window.page.wait_for_timeout(250)
    window.complaints = [each for each in window.complaints if "404" not in each]


async def _answered_by_phone(
    office: Office, no: str, secret: str, code: str, words: Mapping[str, str]
) -> None:
    async with office.following(no, secret) as phone:
        page = phone.page
        for _ in range(60):
            if await page.locator(".actions a.main").count():
                break
            await page.wait_for_timeout(250)
            await page.reload()
        assert words["your turn"] in await page.inner_text("main")
        await page.click(".actions a.main")
        choice = page.locator(f"[name=code][type=radio][value={code}]")
        if await choice.count():
            await choice.check()
        await page.click("main form button.main")  # to look at it once more
        await page.click("main form button.main")
        await expect(page.locator("main .notice")).to_contain_text(words["received"])


async def _line_designed(office: Office, task_id: str, words: Mapping[str, str]) -> None:
    async with office.at("utility-1") as window:
        page = window.page
        await _until_there(window, office.base, f"/tasks/{task_id}")
        await page.check("[name=code][value=designed]")
        segment = "[name='route.segments.0."
        await page.fill(f"{segment}length_m']", "240")
        await page.select_option(f"{segment}method']", "open_cut")
        await page.select_option(f"{segment}planning_area']", "none")
        await page.select_option(f"{segment}road']", "urban")
        await page.fill(f"{segment}road_opened_on']", "2010-05-01")
        await page.select_option(f"{segment}river_zone']", "yes")
        await page.click("button[name=do][value='no.0']")
        await expect(page.locator("#ahead .needed")).not_to_have_count(0)
        await page.click(".decide .submit button")
        await expect(page.locator("main")).to_contain_text(words["on file"])


async def _look_at(page: Page, town: Town, task_id: str) -> None:
    for _ in range(60):
        found = await town.call("desk", "GET", f"/tasks/{task_id}")
        if found.status_code == 200:
            break
        await page.wait_for_timeout(250)
    await page.goto(f"{page.url.rpartition('/console/')[0]}/console/supervision")


async def _water_decides(office: Office, task_id: str, words: Mapping[str, str]) -> None:
    async with office.at("water-1") as window:
        page = window.page
        await _until_there(window, office.base, f"/tasks/{task_id}")
        count = await page.locator("fieldset.item").count()
        for item in range(count):
            await page.select_option(f"[name='items.{item}.outcome']", "approved")
        await page.click(".decide .submit button")
        await expect(page.locator("main")).to_contain_text(words["on file"])


async def _repaired(office: Office, no: str, words: Mapping[str, str]) -> None:
    async with office.at("admin-1") as one, office.at("admin-2") as other:
        # Days go by in seconds, and each notice of the ladder makes a plan one of the past.
        for _ in range(8):
            path = await _planned(one, no, words)
            page = other.page
            await other.go(path)
            await page.click("form[action$='/approve'] button")
            if await _is_stale(page, words, "form[action$='/execute']"):
                continue
            if await page.locator("#f-confirm").count():
                await page.fill("#f-confirm", no)
            await page.click("form[action$='/execute'] button")
            if not await _is_stale(page, words, "main:not(:has(form[action$='/execute']))"):
                break
        await expect(page.locator("#repair")).to_contain_text(
            words["as planned"], timeout=PATIENCE_MS
        )
        other.complaints = [each for each in other.complaints if "409" not in each]


async def _planned(window: Screen, no: str, words: Mapping[str, str]) -> str:
    page = window.page
    await window.go(f"/admin/repairs/new?case_no={no}")
    await page.locator(".option:has(.chip.second) input[type=radio]:enabled").first.check()
    await page.fill("[name=reason]", "示例：重新开始流程")
    await page.click(".submit button.main")
    await page.wait_for_selector("#repair")
    await expect(page.locator("#repair")).to_contain_text(words["needs another"])
    return page.url.partition("/console")[2]


async def _is_stale(page: Page, words: Mapping[str, str], unless: str) -> bool:
    """Whether the page says that the plan is of the past; `unless` is what it shows if not."""
    await page.wait_for_selector(f"{unless}, .card.narrow h1")
    return words["moved on"] in await page.inner_text("main")
