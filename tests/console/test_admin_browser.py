"""The administrators' pages in a real browser: both languages, desk and phone, WCAG 2.1 AA."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser

from tests.console.admin_places import GROUPS, REPAIRS, admin_pages
from tests.console.office import Office, Visit
from tests.console.test_browser import BOTH, base, browser, check_found, screen
from tests.console.test_pages import Page

__all__ = ["base", "browser"]


@BOTH
@pytest.mark.parametrize("group", GROUPS)
async def test_no_page_of_administration_breaks_wcag_2_1_aa_or_its_screen(
    office: Office, browser: Browser, base: str, size: tuple[int, int], language: str, group: str
) -> None:
    await office.hire("admin-1")
    paths = (await admin_pages(office))[group]
    async with screen(browser, base, size) as window:
        await window.go(f"/language/{language}?back=/console/sign-in")
        await window.sign_in("admin-1")
        found = await window.walk(paths, language)
        if group == REPAIRS:
            await window.page.click("main .submit button")
            await window.page.wait_for_selector(".problems")
            found["a form with slips"] = await window.flaws()
        window.complaints = [each for each in window.complaints if "422" not in each]
    check_found(found)


async def test_every_page_of_administration_speaks_both_languages_and_runs_nothing_inline(
    office: Office,
) -> None:
    admin: Visit = await office.visit_of("admin-1")
    paths = [path for group in (await admin_pages(office)).values() for path in group]
    for path in paths:
        page = Page((await admin.get(path)).text)
        assert page.languages == ["zh-CN"], path
        assert page.inline == [], path
    await admin.get("/language/en?back=/console/admin")
    for path in paths:
        answer = await admin.get(path)
        assert answer.status_code == 200, path
        page = Page(answer.text)
        assert page.languages == ["en"]
        assert page.inline == [], path
        for address in page.addresses:
            assert address.startswith(("/console/", "#")), (path, address)
        # What is left of Chinese was typed in, or names the product and the other language.
        left = re.sub(r'<[^>]*lang="zh-CN"[^>]*>[^<]*<', "<", answer.text)
        left = re.sub(r"示例[^<]*|国务院办公厅关于[^<]*|《[^》]*》", "", left)
        # Clauses and the names of the accounts' posts are as they were written.
        left = re.sub(r'<(span class="clause"|t[dh][^>]*)>[^<]*516[^<]*', "", left)
        left = re.sub(r"516 [一二三四]+(\([一二三四]+\))?", "", left)
        assert re.findall("[\u4e00-\u9fff]+", left) == [], path


async def test_an_administrator_looks_closer_from_the_landing_and_a_repair_is_chosen_already(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("admin-1")
    await admin_pages(office)
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("admin-1")
        assert page.url.endswith("/admin")
        await page.click("#c-stuck a")
        await page.click("text=立即检查")
        await page.click("text=任务被拒收")
        await page.click("table a.button >> text=重新推送")
        await page.wait_for_selector("text=流程引擎无应答：单个办件的计划")
        assert await page.input_value("#f-case-no") != ""
        await page.click("nav.subnav >> text=工作日历")
        assert "国务院办公厅关于2026年" in await page.inner_text("main")
        await page.click("text=English")
        assert "working days" in await page.inner_text("main")
