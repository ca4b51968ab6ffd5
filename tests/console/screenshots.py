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
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "screenshots"
DESK, PHONE = ViewportSize(width=1360, height=850), ViewportSize(width=390, height=844)
LIVES_FOR_S = 150.0
"""How long the slower part of the demonstration goes on before pictures are taken."""

_PASSWORD = re.compile(r"^ +desk-1 +(\S+)")
_CONSOLE = re.compile(r"console 控制台: (\S+)")


@dataclass(frozen=True, slots=True)
class Picture:
    """One page to be shown.

    Attributes:
        account: None where nobody signs in.
        path: of the page; of a link on it if `link` is given, the first that matches.
        link: a selector.
        opens: selectors of what is clicked before the picture is taken, where it is there.
    """

    name: str
    account: str | None
    path: str
    link: str = ""
    opens: Sequence[str] = ()
    is_phone: bool = False


PICTURES = (
    Picture("sign-in", None, "/sign-in"),
    Picture("inbox", "water-1", "/tasks"),
    Picture("task", "water-1", "/tasks", link="tbody th a"),
    Picture("cases", "desk-1", "/cases?state=open"),
    Picture("case", "desk-1", "/cases?state=open", link="tbody a[href*='/cases/ZJ']"),
    Picture("supervision", "special-1", "/supervision"),
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
    for picture in PICTURES:
        context = await browser.new_context(
            viewport=PHONE if picture.is_phone else DESK, locale="zh-CN"
        )
        page = await context.new_page()
        await page.goto(f"{running.console}/language/{language}?back=/console/sign-in")
        if picture.account is not None:
            await page.fill("#f-account", picture.account)
            await page.fill("#f-password", running.password)
            await page.press("#f-password", "Enter")
            await page.wait_for_selector("button.plain")
        await _take(page, running, picture, folder / f"{picture.name}.png")
        await context.close()


async def _take(page: Page, running: Demo, picture: Picture, file: Path) -> None:
    await page.goto(f"{running.console}{picture.path}")
    if picture.link:
        await page.click(f"{picture.link} >> nth=0")
        await page.wait_for_load_state()
    for selector in picture.opens:
        await page.click(f"{selector} >> nth=0")
    await page.wait_for_timeout(600)  # Charts draw themselves in half a second.
    await page.screenshot(path=file, animations="disabled")
    print(file.relative_to(ROOT), flush=True)


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


if __name__ == "__main__":
    asyncio.run(main())
