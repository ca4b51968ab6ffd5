"""The inbox in a real browser: keys, choosing, lists that keep themselves up to date, a route."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, Page

from api.app import build_app
from console import live as live_module
from console.app import mount
from console.live import Live
from domain.connection import TaskKind
from tests.console.office import Office
from tests.console.test_browser import BOTH, browser, screen
from tests.support.cases import NOON
from tests.support.serving import api_settings, listening

__all__ = ["browser"]
PDF = b"%PDF-1.7 \x00"


@pytest.fixture
def base(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A console that listens, and looks for changes often."""
    monkeypatch.setattr(live_module, "LOOK_EVERY_S", 0.05)
    app: FastAPI = build_app(api_settings(url), lambda: NOON)
    live: Live = mount(app).state.live
    live._look_every_s = 0.05
    with listening(app) as address:
        yield f"{address}/console"


@pytest.fixture
async def tasks(office: Office) -> list[str]:
    for account in ("water-1", "water-2", "utility-1"):
        await office.hire(account)
    return [await office.permits(await office.case(key=f"key-{i}")) for i in range(3)]


async def _claim(office: Office, task_id: str, holder: str = "water-2") -> None:
    body = {"type": "claimed", "holder": holder}
    path = f"/api/v1/tasks/{task_id}/events"
    answer = await office.api.call("POST", path, "water", key=f"{task_id}-{holder}", json=body)
    assert answer.status_code == 200


async def _here(page: Page) -> str | None:
    """Return the id of the row that keys move."""
    found: str | None = await page.evaluate(
        "document.activeElement.closest('tr')?.querySelector('th a')?.id ?? null"
    )
    return found


async def test_a_colleagues_claim_appears_without_a_reload(
    office: Office, tasks: list[str], browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("water-1")
        assert await page.locator("td .holder").count() == 0
        await page.focus(f"[id='t-{tasks[1]}']")
        loads = len([each for each in window.asked if each.endswith("/tasks")])
        await _claim(office, tasks[0])
        await page.wait_for_selector("td .holder:text('water-2')")
        assert await _here(page) == f"t-{tasks[1]}", "whoever reads stays where they were"
        # And again: the stream goes on after the list was renewed.
        await _claim(office, tasks[2])
        await page.wait_for_selector(f"tr:has([id='t-{tasks[2]}']) .holder")
        assert await page.locator(".counts a[aria-current] strong").inner_text() == "3"
        assert len([each for each in window.asked if each.endswith("/tasks")]) == loads


async def test_whoever_chooses_is_told_of_changes_and_not_disturbed(
    office: Office, tasks: list[str], browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("water-1")
        await page.check(f"[name=task][value='{tasks[1]}']")
        await _claim(office, tasks[0])
        await page.wait_for_selector("#changes:has-text('有 1 处变动')")
        await _claim(office, tasks[2])
        await page.wait_for_selector("#changes:has-text('有 2 处变动')")
        assert await page.locator("td .holder").count() == 0
        assert await page.is_checked(f"[name=task][value='{tasks[1]}']")
        await page.click("#changes button")
        await page.wait_for_selector("td .holder")
        assert await page.inner_text("#changes") == ""


async def test_the_keys_lead_through_the_list_and_can_be_switched_off(
    office: Office, tasks: list[str], browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("water-1")
        keys = page.keyboard
        for key, row in (("j", 0), ("ArrowDown", 1), ("j", 2), ("j", 2), ("k", 1), ("ArrowUp", 0)):
            await keys.press(key)
            assert await _here(page) == f"t-{tasks[row]}", key
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px", "the focus is seen"
        await keys.press("x")
        assert await page.is_checked(f"[name=task][value='{tasks[0]}']")
        assert await page.inner_text(".chosen") == "已选 1 项"
        await keys.press("x")
        assert await page.locator("#bulk button").first.is_disabled()
        await keys.press("/")
        assert await page.evaluate("document.activeElement.closest('#filters') !== null")
        # While typing, a letter is a letter.
        await page.focus("#f-case")
        await keys.type("jx?")
        assert await page.input_value("#f-case") == "jx?"
        await page.focus("h1 ~ p button")
        await keys.press("?")
        assert await page.locator("#keys").is_visible()
        assert await window.violations() == []
        await page.uncheck("[data-keys-on]")
        await keys.press("Escape")
        await page.reload()
        await keys.press("j")
        assert await _here(page) is None, "switched off, for good"
        await page.click("[data-keys-help]")
        await page.check("[data-keys-on]")
        await keys.press("Escape")
        await keys.press("j")
        await keys.press("c")
        await page.wait_for_selector("text=由您承办")
        await window.go("/tasks?held=mine")
        await keys.press("g")
        await keys.press("i")
        await page.wait_for_url("**/console/tasks")
        await keys.press("j")
        await keys.press("Enter")
        await page.wait_for_selector("#h-facts")


async def test_all_of_a_page_are_chosen_and_answered_alike(
    office: Office, tasks: list[str], browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("water-1")
        await page.check("input.all")
        assert await page.inner_text(".chosen") == "已选 3 项"
        await page.click("[name=do][value=outcome]")
        await page.select_option("[name='items.all.outcome']", "approved")
        file = {"name": "批复.pdf", "mimeType": "application/pdf", "buffer": PDF}
        await page.set_input_files("#f-file", file)  # type: ignore[arg-type]
        await page.click(".submit button")
        await page.wait_for_selector("text=共 3 项，已办理 3 项")
        assert await window.violations() == []
    for each in tasks:
        assert (await office.api.call("GET", f"/api/v1/tasks/{each}")).json()["state"] == "done"


async def test_a_file_that_is_too_large_is_told_before_it_is_sent(
    tasks: list[str], browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("water-1")
        await window.go(f"/tasks/{tasks[0]}")
        large = {"name": "x.pdf", "mimeType": "application/pdf", "buffer": PDF + bytes(6_000_000)}
        await page.set_input_files("#f-file", large)  # type: ignore[arg-type]
        said = await page.evaluate("document.getElementById('f-file').validationMessage")
        assert "不得超过 5.0 MB" in said
        small = {"name": "x.pdf", "mimeType": "application/pdf", "buffer": PDF}
        await page.set_input_files("#f-file", small)  # type: ignore[arg-type]
        assert await page.evaluate("document.getElementById('f-file').validity.valid")


async def _segment(page: Page, position: int, length: str) -> None:
    name = f"route.segments.{position}"
    await page.fill(f"[name='{name}.length_m']", length)
    for fact, value in (("method", "open_cut"), ("planning_area", "town"), ("road", "urban")):
        await page.select_option(f"[name='{name}.{fact}']", value)
    for fact in ("green_m2", "trees"):
        await page.fill(f"[name='{name}.{fact}']", "0")


@pytest.mark.rule("RB-4.2")
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_the_utility_draws_a_route_and_sees_what_it_needs(
    office: Office, tasks: list[str], browser: Browser, base: str, scripts: bool
) -> None:
    task_id = await office.task(await office.case(key="line"), TaskKind.LINE_DESIGN)
    async with screen(browser, base, java_script_enabled=scripts) as window:
        page = window.page
        await window.sign_in("utility-1")
        await window.go(f"/tasks/{task_id}")
        await page.check("[value=designed]")
        await page.fill("[name=note]", "一次设计")
        highway = page.locator("[name='route.segments.0.highway_class']")
        assert not await highway.is_visible(), "only what can matter is asked"
        await page.select_option("[name='route.segments.0.road']", "highway")
        assert await highway.is_visible()
        await _segment(page, 0, "120")
        assert not await highway.is_visible()
        await page.click("text=其余均为“否”")
        await page.wait_for_selector("#ahead >> text=占用、挖掘城市道路审批")
        await page.select_option("[name='route.segments.0.river_zone']", "yes")
        if scripts:
            # As one chooses, in place.
            await page.wait_for_selector("#ahead >> text=涉及河道管理范围：是")
        await page.click("text=复制本段")
        await page.wait_for_selector("[name='route.segments.1.length_m']")
        await page.fill("[name='route.segments.1.length_m']", "80")
        await page.click("text=更新合计与事项")
        await page.wait_for_selector("#ahead >> text=2 段，200 米")
        assert await page.input_value("[name=note]") == "一次设计"
        if scripts:
            assert await window.violations() == []
        await page.click("text=提交办理结果")
        await page.wait_for_selector("text=办理结果已存档")
    outcome = (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()["outcome"]
    segments = outcome["route"]["segments"]
    assert [(each["length_m"], each["river_zone"]) for each in segments] == [
        (120, True),
        (80, True),
    ]


@BOTH
async def test_a_unit_answers_by_its_link(
    office: Office,
    tasks: list[str],
    browser: Browser,
    base: str,
    size: tuple[int, int],
    language: str,
) -> None:
    async with screen(browser, base, size) as window:
        page = window.page
        await window.go(f"/language/{language}?back=/console/sign-in")
        await window.sign_in("water-1")
        await window.go(f"/tasks/{tasks[0]}")
        await page.click("#opinions summary")
        await page.fill("[name=unit]", "示例街道办")
        await page.fill("[name=answer_by]", "2026-09-20")
        await page.fill("[name=question]", "管线走向有何意见？")
        await page.click("#opinions form button")
        link = await page.input_value("#opinion-link")
        assert await window.flaws() == []
    async with screen(browser, base, size) as window:
        page = window.page
        await window.go(f"/language/{language}?back=/console/sign-in")
        await page.goto(link)
        assert page.url == f"{base}/opinions", "the secret has left the address"
        assert await window.flaws() == []
        await page.check("[value=agree]")
        await page.click(".submit button")
        await page.wait_for_selector("[role=status]")
        assert await window.flaws() == []
        secret = link.rsplit("/", 1)[1]
        assert [each for each in window.asked if secret in each] == [link]


async def test_the_page_of_a_case_offers_to_be_loaded_again_once_something_has_changed(
    office: Office, tasks: list[str], browser: Browser, base: str
) -> None:
    await office.hire("desk-1")
    no = tasks[0].split(".")[0]
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("desk-1")
        async with page.expect_response("**/events"):
            await window.go(f"/cases/{no}")
        await office.permits(no, "police")
        await page.click("text=刷新本页")
        await page.wait_for_selector("text=市公安局")
        assert page.url.endswith(f"/cases/{no}")
