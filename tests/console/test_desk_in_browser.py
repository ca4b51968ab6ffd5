"""The desk's day in a real browser: an application typed in, many from a file, one withdrawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Dialog, Page

from api.importing import template_rows
from api.sheets import csv_of
from tests.console.office import Office
from tests.console.test_browser import BOTH, Screen, base, browser, screen

__all__ = ["base", "browser"]

NAME, NUMBER = "示例甲", "440802199502020001"


async def _person(page: Page) -> None:
    """Fill in all but the identity number, as a clerk does: by keyboard, in the order of tabs."""
    await page.keyboard.type(NAME)
    await page.keyboard.press("Tab")
    await page.keyboard.type("138 0000 0001")
    await page.fill("#f-site-address", "湛江市赤坎区示例路1号")
    await page.select_option("#f-site-district", "440802")
    await page.fill("#f-capacity-kva", "8")
    await page.check("[name=consent_to_certificates][value=yes]")


def _aborted_checks_apart(window: Screen) -> None:
    # A check that a newer one has overtaken is given up, and htmx says so.
    window.complaints = [
        each for each in window.complaints if "htmx:" not in each and "422" not in each
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_an_application_is_checked_as_one_types_and_becomes_a_case(
    office: Office, browser: Browser, base: str, language: str
) -> None:
    await office.hire("desk-1")
    async with screen(browser, base) as window:
        page = window.page
        await window.go(f"/language/{language}?back=/console/sign-in")
        await window.sign_in("desk-1")
        await window.go("/cases/new")
        assert await page.evaluate("document.activeElement.id") == "f-applicant-name"
        await _person(page)
        await page.click("#f-applicant-id-number")
        said = page.locator("#f-applicant-id-number-said .problem")
        await page.keyboard.type(NUMBER[:10], delay=20)
        await page.wait_for_selector("#preview .promised")
        assert await said.count() == 0, "half a number is no mistake yet"
        await page.keyboard.type("199502020002"[4:], delay=20)
        await said.wait_for()
        # What is typed and where one types stay as they are.
        assert await page.input_value("#f-applicant-id-number") == f"{NUMBER[:-1]}2"
        assert await page.evaluate("document.activeElement.id") == "f-applicant-id-number"
        assert await page.get_attribute("#f-applicant-id-number", "aria-invalid") == "true"
        await page.keyboard.press("Backspace")
        await page.keyboard.type("1")
        await said.wait_for(state="detached")
        assert await page.get_attribute("#f-applicant-id-number", "aria-invalid") is None
        await page.wait_for_selector(".standing-line.ready")
        preview = await page.inner_text("#preview")
        assert "2026-09-28" in preview
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".taken")
        no = await page.inner_text("h1")
        assert no.startswith("ZJ2026")
        await page.click(".taken >> text=/回执|slip/")
        assert await page.locator("[data-print]").is_visible()
        assert len(await page.inner_text(".slip .large >> nth=1")) >= 16
        _aborted_checks_apart(window)


async def test_only_fields_that_matter_are_shown(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("desk-1")
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("desk-1")
        await window.go("/cases/new")

        async def shown() -> set[str]:
            fields = {"applicant.id_type", "applicant.size", "documents.identity"}
            fields |= {"documents.ownership", "supply"}
            return {f for f in fields if await page.locator(f"[name='{f}'] >> nth=0").is_visible()}

        papers = {"documents.identity", "documents.ownership"}
        assert await shown() == {"applicant.id_type", *papers}
        await page.check("[name='applicant.kind'][value=enterprise]")
        await page.check("[name=voltage][value=high]")
        assert await shown() == {"applicant.size", "supply", *papers}
        await page.check("[name=consent_to_certificates][value=yes]")
        assert await shown() == {"applicant.size", "supply"}
        await page.check("[name=has_agent]")
        assert await shown() == {"applicant.size", "supply", "documents.identity"}
        _aborted_checks_apart(window)


async def test_leaving_what_is_typed_asks_first_and_submitting_does_not(
    office: Office, browser: Browser, base: str
) -> None:
    await office.hire("desk-1")
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("desk-1")
        asked: list[str] = []

        async def stay(dialog: Dialog) -> None:
            asked.append(dialog.type)
            await dialog.dismiss()

        page.on("dialog", stay)
        await window.go("/cases/new")
        await page.click("nav >> text=待办任务")
        await page.wait_for_url("**/tasks")
        assert asked == [], "nothing was typed"
        await window.go("/cases/new")
        await _person(page)
        await page.click("nav >> text=待办任务", no_wait_after=True)
        await page.wait_for_function("document.querySelector('#f-applicant-name') !== null")
        assert asked == ["beforeunload"]
        assert await page.input_value("#f-applicant-name") == NAME
        await page.fill("#f-applicant-id-number", NUMBER)
        await page.click("text=提交申请 >> nth=-1")
        await page.wait_for_selector(".taken")
        assert asked == ["beforeunload"]
        _aborted_checks_apart(window)


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_file_is_checked_confirmed_and_taken_in(
    office: Office, browser: Browser, base: str, tmp_path: Path, has_scripts: bool
) -> None:
    await office.hire("desk-1")
    header, example = template_rows()
    place = header.index("用电地址")
    good = [
        [*example[:place], f"湛江市赤坎区示例路{n}号", *example[place + 1 :]] for n in range(23)
    ]
    wrong = ["", *example[1:]]
    file = tmp_path / "applications.csv"
    file.write_bytes(csv_of([header, *good, wrong]))
    async with screen(browser, base, java_script_enabled=has_scripts) as window:
        page = window.page
        await window.sign_in("desk-1")
        await window.go("/cases/import")
        await page.set_input_files("#f-file", file)
        await page.click("text=逐行检查")
        await page.wait_for_selector("text=确认提交 23 件")
        if has_scripts:
            assert await window.violations() == []
        await page.click("text=确认提交 23 件")
        await page.wait_for_selector(
            "text=提交完成：收件 23 件" if has_scripts else "text=导入结果"
        )
        links = page.locator("td a")
        assert await links.count() == 23
        async with page.expect_download() as download:
            await page.click("text=下载结果（CSV）")
        results = tmp_path / "results.csv"
        await (await download.value).save_as(results)
        saved = results.read_bytes().decode("utf-8-sig")
        assert saved.count("ZJ2026") == 23
        assert ("申请人类型：必填" in saved) == has_scripts
    found = (await office.api.call("GET", "/api/v1/applications?limit=100")).json()["items"]
    assert len(found) == 23


@BOTH
async def test_a_refused_application_breaks_neither_wcag_nor_its_screen(
    office: Office, browser: Browser, base: str, size: tuple[int, int], language: str
) -> None:
    await office.hire("desk-1")
    async with screen(browser, base, size) as window:
        page = window.page
        await window.go(f"/language/{language}?back=/console/sign-in")
        await window.sign_in("desk-1")
        await window.go("/cases/new")
        await page.check("[name='applicant.kind'][value=enterprise]")
        await page.check("[name=voltage][value=high]")
        await page.fill("#f-capacity-kva", "100")
        await page.select_option("#f-site-district", "440804")
        await page.click("main .submit button >> nth=-1")
        await page.wait_for_selector(".problems")
        await page.wait_for_selector("#preview summary")
        assert await window.flaws() == []
        await page.click(".problems a >> nth=0")
        assert await page.evaluate("document.activeElement.name") == "applicant.name"
        _aborted_checks_apart(window)
