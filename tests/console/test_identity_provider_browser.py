"""Signing in through the identity provider in a real browser, whose policies all hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser
from pydantic import SecretStr

from api.app import build_app
from console.app import mount
from domain.accounts import ProviderIdentity
from tests.console.office import PASSWORD, Office, opened
from tests.console.test_browser import BOTH, Screen, browser, screen
from tests.support.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    TestProvider,
    identity_provider,
)
from tests.support.serving import api_settings, listening

__all__ = ["browser"]  # The fixture.

SUBJECT = "staff-0001"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestProvider]:
    with identity_provider(monkeypatch) as running:
        yield running


def _settings(provider: TestProvider) -> dict[str, object]:
    return {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
        "oidc_name": "示例市统一身份认证",
    }


@pytest.fixture
async def office(url: str, provider: TestProvider) -> AsyncIterator[Office]:
    async with opened(url, **_settings(provider)) as running:
        running.api.now = datetime.now(UTC)
        yield running


@pytest.fixture
def base(url: str, provider: TestProvider) -> Iterator[str]:
    app = build_app(api_settings(url, **_settings(provider)), lambda: datetime.now(UTC))
    mount(app)
    with listening(app) as address:
        yield f"{address}/console"


def _hosts_are_known(window: Screen, provider: TestProvider) -> None:
    """Whoever signs in asks the provider, and nobody else."""
    there = [each for each in window.asked if each.startswith(f"{provider.issuer}/")]
    assert there
    host = window.asked[0].split("/console")[0]
    window.asked = [each for each in window.asked if each.startswith(f"{host}/")]


async def _agree(window: Screen, subject: str = SUBJECT) -> None:
    await window.page.fill("[name=sub]", subject)
    await window.page.click("text=Authorize >> nth=-1")


@BOTH
async def test_an_officer_links_the_account_signs_out_and_comes_back_through_the_provider(
    office: Office,
    browser: Browser,
    base: str,
    provider: TestProvider,
    size: tuple[int, int],
    language: str,
) -> None:
    await office.hire("desk-1")
    async with screen(browser, base, size) as window:
        page = window.page
        await window.go(f"/language/{language}")
        await window.sign_in("desk-1")
        await window.go("/password")
        await page.click("a[href$='/identity']")
        assert await window.flaws() == []
        await page.fill("#f-current", PASSWORD)
        await page.click("[value=link]")
        await page.click("a.main")
        await page.wait_for_url(f"{provider.issuer}/**")
        await _agree(window)
        await page.wait_for_url(f"{base}/identity")
        assert {"zh": "已关联", "en": "Linked"}[language] in await page.inner_text("dl")

        await page.click("button.plain")
        await page.click("a.main")
        await page.wait_for_url(f"{provider.issuer}/**")
        await _agree(window)
        await page.wait_for_url(f"{base}/tasks")

        await page.click("button.plain")
        await page.wait_for_selector("[role=status]")
        assert await window.flaws() == []
        await page.click("[role=status] a")
        await page.wait_for_url(f"{provider.issuer}/oauth2/end_session*")
        _hosts_are_known(window, provider)


@BOTH
async def test_what_went_wrong_is_told_on_a_page_that_everybody_can_use(
    office: Office,
    browser: Browser,
    base: str,
    provider: TestProvider,
    size: tuple[int, int],
    language: str,
) -> None:
    await office.hire("desk-1")
    async with screen(browser, base, size) as window:
        page = window.page
        await window.go(f"/language/{language}")
        await page.click("a.main")
        await page.wait_for_url(f"{provider.issuer}/**")
        await _agree(window, "somebody-without-an-account")
        await page.wait_for_selector("[role=alert]")
        told = await page.inner_text("[role=alert]")
        assert {"zh": "没有账号与它关联", "en": "no account is linked"}[language] in told
        assert "somebody-without-an-account" in told
        assert await window.flaws() == []
        # The password works on that very page.
        await page.fill("#f-account", "desk-1")
        await page.fill("#f-password", PASSWORD)
        await page.press("#f-password", "Enter")
        await page.wait_for_selector("button.plain")
        window.complaints = [each for each in window.complaints if "403" not in each]
        _hosts_are_known(window, provider)


async def test_the_way_through_the_provider_needs_no_script(
    office: Office, browser: Browser, base: str, provider: TestProvider
) -> None:
    await office.hire("desk-1")
    who = ProviderIdentity(provider.issuer, SUBJECT)
    await office.accounts.link("desk-1", who, at=office.api.now)
    async with screen(browser, base, java_script_enabled=False) as window:
        await window.go("/cases?state=open")
        await window.page.click("a.main")
        await _agree(window)
        await window.page.wait_for_url(f"{base}/cases?state=open")
        _hosts_are_known(window, provider)
