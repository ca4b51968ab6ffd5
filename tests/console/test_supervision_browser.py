"""Supervision in a real browser: charts from the tables, lights that change, a notice answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, Page

from api.app import build_app
from console import live as live_module
from console.app import mount
from console.live import Live
from domain.connection import TaskKind
from tests.console.office import Office
from tests.console.test_browser import BOTH, PHONE, browser, check_found, screen
from tests.support.cases import HIGH, LOW, NOON, new_task, red, result
from tests.support.serving import api_settings, listening

__all__ = ["browser"]


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
async def notice(office: Office) -> str:
    """A city with figures, and a notice to the water bureau; returns its case's number."""
    for account in ("special-1", "water-1"):
        await office.hire(account)
    for key, net, stopped_on in (("a", 4, "2026-07-31"), ("b", 9, "2026-08-03")):
        no = await office.case(LOW, key)
        stopped = replace(result("LV8", net=net), stopped_on=date.fromisoformat(stopped_on))
        await office.api.casefile.end(no, "connected", at=NOON, action_id=None, stopped=[stopped])
    no = await office.case(HIGH, "high")
    done = await office.permits(no, "police")
    await office.api.casefile.decide(done, {"code": "answered"}, by="police", at=NOON)
    await office.permits(no)
    await office.api.casefile.supervise(
        no,
        lambda _case, tasks: [
            red(each, step="red.0", recipient="water", reply_by=date(2026, 9, 15))
            for each in tasks
            if each.owed_by == "water"
        ],
        at=NOON,
    )
    return no


async def _inked(page: Page) -> int:
    """Count the charts that something is drawn on."""
    return int(
        await page.evaluate(
            """() => [...document.querySelectorAll(".chart canvas")].filter((canvas) => {
                const {width, height} = canvas;
                const dots = canvas.getContext("2d").getImageData(0, 0, width, height).data;
                return dots.some((value) => value !== 0);
            }).length"""
        )
    )


@pytest.mark.rule("RB-11.1")
@BOTH
async def test_charts_are_drawn_from_the_tables(
    notice: str, browser: Browser, base: str, language: str, size: tuple[int, int]
) -> None:
    async with screen(browser, base, size) as window:
        page = window.page
        await window.go(f"/language/{language}?back=/console/sign-in")
        await window.sign_in("special-1")
        found = {}
        for path in ("/supervision", "/supervision?by=week"):
            await window.go(path)
            # One of the clock that anything was completed of, one of departments, two of ages.
            assert await _inked(page) == 4
            assert await page.locator(".chart[role=img][aria-label]").count() == 4
            found[path] = await window.flaws()
        found |= await window.walk(("/supervision/results", "/escalations"), language)
    check_found(found)


async def test_without_scripts_the_tables_say_it_all(
    notice: str, browser: Browser, base: str
) -> None:
    async with screen(browser, base, java_script_enabled=False) as window:
        page = window.page
        await window.sign_in("special-1")
        await window.go("/supervision?period=quarter")
        assert not await page.locator("figure").first.is_visible()
        await page.click("text=逐月数据表 >> nth=0")
        assert await page.inner_text("#t-averages tbody tr:first-child th") == "2026-07"
        await page.click("#t-averages tbody tr:first-child a.figure")
        assert await page.inner_text("#total") == "1"
        assert await page.inner_text("#mean") == "4.00"


@pytest.mark.rule("RB-5.1", "RB-11.1")
async def test_the_supervisor_sees_the_lights_change(
    office: Office, notice: str, browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("special-1")
        await window.go("/supervision")
        overdue = page.locator(".tiles li", has_text="部门逾期未办").locator("strong")
        assert await overdue.inner_text() == "0"
        no = await office.case(key="late")
        late = new_task(no, TaskKind.PERMITS, department="transport", due_on=date(2026, 9, 15))
        await office.api.casefile.open_task(late)
        await page.wait_for_function(
            """() => [...document.querySelectorAll(".tiles li")].some(
                (each) => each.textContent.includes("部门逾期未办")
                    && each.querySelector("strong").textContent === "1")"""
        )
        assert await _inked(page) == 4, "what is drawn stays"
        await page.click(".tiles li:has-text('部门逾期未办') a")
        assert no in await page.inner_text("main")


@pytest.mark.rule("RB-5.2")
async def test_a_notice_is_replied_to_and_the_supervisor_reads_it(
    notice: str, browser: Browser, base: str
) -> None:
    async with screen(browser, base) as window:
        page = window.page
        await window.sign_in("water-1")
        await window.go("/escalations")
        await page.click("text=签收或回复")
        await page.click("main form.stacked button.main")
        assert await page.evaluate("document.activeElement !== null")
        assert await page.locator("[aria-invalid=true]").is_visible(), "what is missing is told"
        await page.fill("#f-reply", "已安排现场复核。")
        await page.click("main form.stacked button.main")
        await page.wait_for_selector("text=回复已存档")
        window.complaints = [each for each in window.complaints if "422" not in each]
    async with screen(browser, base, PHONE) as window:
        await window.sign_in("special-1")
        await window.go("/escalations?waiting=answered")
        said = await window.page.inner_text("main")
        assert "已安排现场复核。" in said and notice in said
