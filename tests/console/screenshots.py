"""Pictures of the console's pages for `docs/screenshots/`: `make screenshots`.

They are taken from a demonstration that this starts, while its cases travel, in both languages, at
a desk's width; those of the applicant at a phone's.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "screenshots"
DESK, PHONE = ViewportSize(width=1360, height=850), ViewportSize(width=390, height=844)
LIVES_FOR_S = 170.0
"""How long the slower part of the demonstration goes on before pictures are taken."""

_PASSWORD = re.compile(r"^ +desk-1 +(\S+)")
_CONSOLE = re.compile(r"console 控制台: (\S+)")


@dataclass(frozen=True, slots=True)
class Picture:
    """One page to be shown.

    Attributes:
        account: None where nobody signs in.
        path: of the page, `{no}` being a case under way; of a link on it if `link` is given.
        link: a selector.
        scrolls_to: a selector of what stands on top of the picture.
        is_followed: whether it shows a case to its applicant, with the code from the desk's slip.
    """

    name: str
    account: str | None
    path: str
    link: str = ""
    scrolls_to: str = ""
    is_phone: bool = False
    is_followed: bool = False


UNDER_WAY = "/cases?state=open&stage=supply_plan_reply"
PICTURES = (
    Picture("sign-in", None, "/sign-in"),
    Picture("inbox", "water-1", "/tasks"),
    Picture("task", "water-1", "/tasks", link="tbody th a"),
    Picture("new-application", "desk-1", "/cases/new"),
    Picture("import", "desk-1", "/cases/import"),
    Picture("cases", "desk-1", "/cases?state=open"),
    Picture("case", "desk-1", UNDER_WAY, link="tbody a[href*='/cases/ZJ']"),
    Picture("supervision", "special-1", "/supervision"),
    Picture("supervision-charts", "special-1", "/supervision", scrolls_to="figure"),
    Picture("notices", "special-1", "/escalations"),
    Picture("administration", "admin-1", "/admin"),
    Picture("stuck", "admin-1", "/admin/stuck"),
    Picture("replays", "admin-1", "/admin/replays"),
    Picture("repair", "admin-1", "/admin/repairs/new?case_no={no}"),
    Picture("calendar", "admin-1", "/admin/calendar"),
    Picture("policies", "admin-1", "/admin/policies"),
    Picture("keys", "admin-1", "/admin/keys"),
    Picture("accounts", "admin-1", "/admin/users"),
    Picture("acts", "admin-1", "/admin/acts"),
    Picture("deadline", "desk-1", "/deadline"),
    Picture("guide", None, "/guide"),
    Picture("follow", None, "/follow", is_phone=True),
    Picture("followed-case", None, "/follow", is_phone=True, is_followed=True),
)


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demonstration."""

    console: str
    password: str


@asynccontextmanager
async def demo(var: Path) -> AsyncIterator[Demo]:
    """Run a demonstration; give it once its slower part has gone on for a while."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "cli.py"), "demo", "--var", str(var)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        console = password = ""
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode()
            if found := _CONSOLE.search(line):
                console = found[1].rstrip("/")
            if found := _PASSWORD.match(line):
                password = found[1]
            if "It goes on" in line:
                break
        assert console and password, "the demonstration did not come so far"
        print(f"{console} is alive; pictures in {LIVES_FOR_S:g} s", flush=True)
        await asyncio.sleep(LIVES_FOR_S)
        yield Demo(console, password)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def take_all(browser: Browser, running: Demo, language: str) -> None:
    """Take every picture in one language."""
    folder = FOLDER / language
    folder.mkdir(parents=True, exist_ok=True)
    no, secret = await _slip(browser, running)
    for picture in PICTURES:
        context = await browser.new_context(
            viewport=PHONE if picture.is_phone else DESK, locale="zh-CN"
        )
        page = await context.new_page()
        await page.goto(f"{running.console}/language/{language}?back=/console/sign-in")
        if picture.account is not None:
            await _sign_in(page, running, picture.account)
        if picture.is_followed:
            await page.goto(f"{running.console}/follow")
            await page.fill("#f-no", no)
            await page.fill("#f-secret", secret)
            await page.click("main form button.main")
            await page.wait_for_selector("#h-links")
            await page.screenshot(path=folder / f"{picture.name}.png", animations="disabled")
            await context.close()
            continue
        path = picture.path.format(no=no)
        await _take(page, running, replace(picture, path=path), folder / f"{picture.name}.png")
        await context.close()


async def _sign_in(page: Page, running: Demo, account: str) -> None:
    await page.fill("#f-account", account)
    await page.fill("#f-password", running.password)
    await page.press("#f-password", "Enter")
    await page.wait_for_selector("button.plain")


async def _slip(browser: Browser, running: Demo) -> tuple[str, str]:
    """Return number and follow code of a case under way, from the slip that a desk prints."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{running.console}/sign-in")
    await _sign_in(page, running, "desk-1")
    await page.goto(f"{running.console}{UNDER_WAY}")
    found = await page.locator("tbody a[href*='/cases/ZJ']").all_inner_texts()
    for no in found:
        await page.goto(f"{running.console}/cases/{no}/slip")
        # A case that came in by another channel shows its code there.
        if codes := (await page.locator("dd.code.large").all_inner_texts())[1:]:
            await context.close()
            return no, codes[0]
    raise AssertionError("no case of the desk's is under way")


async def _take(page: Page, running: Demo, picture: Picture, file: Path) -> None:
    await page.goto(f"{running.console}{picture.path}")
    if picture.link:
        await page.click(f"{picture.link} >> nth=0")
        await page.wait_for_load_state()
    if picture.scrolls_to:
        await page.evaluate(
            "found => document.querySelector(found).scrollIntoView()", picture.scrolls_to
        )
    await page.wait_for_timeout(600)  # Charts draw themselves in half a second.
    await page.screenshot(path=file, animations="disabled")
    print(file.relative_to(ROOT), flush=True)


def gallery() -> str:
    """Return the page that shows all pictures."""
    rows = [
        f"| {each.name} | ![{each.name}](zh/{each.name}.png) | ![{each.name}](en/{each.name}.png) |"
        for each in PICTURES
    ]
    head = (
        "# Pages of the console 控制台页面",
        "From a demonstration, by `make screenshots`; names, numbers and addresses are made up.",
        "| page | 中文 | English |\n|---|---|---|",
    )
    return "\n\n".join(head) + "\n" + "\n".join(rows) + "\n"


async def main() -> None:
    """Start a demonstration and take every picture."""
    program = shutil.which("chromium")
    assert program is not None, "needs Debian's package chromium"
    with tempfile.TemporaryDirectory() as var:
        async with demo(Path(var)) as running, async_playwright() as playwright:
            as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = await playwright.chromium.launch(executable_path=program, args=as_root)
            for language in ("zh", "en"):
                await take_all(browser, running, language)
            await browser.close()
    (FOLDER / "README.md").write_text(gallery(), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
