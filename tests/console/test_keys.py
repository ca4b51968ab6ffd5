"""The pages of systems' keys: what runs out first, a key shown once, replacing, revoking."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api.keys import STATES
from console.rendering import STATIC
from domain.system_keys import KeyState
from tests.console.office import Office, Visit, opened
from tests.support.cases import NOON
from tests.support.serving import Api

pytestmark = pytest.mark.rule("RB-13.1")

PATH = "/admin/keys"
_WHOLE = re.compile("ow_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")


@pytest.fixture
async def admin(office: Office) -> Visit:
    return await office.visit_of("admin-1")


async def _made(visit: Visit, **fields: str) -> tuple[str, str]:
    """Make a key by the form; return its id and the whole of it."""
    form = {"agency": "water", "label": "水务审批系统", "days": "365", "key": "once-1", **fields}
    await visit.get(PATH)
    answer = await visit.post(PATH, form)
    assert answer.status_code == 200, answer.text
    found = _WHOLE.search(answer.text)
    assert found is not None
    return found[1], found[0]


async def _works(api: Api, key: str) -> bool:
    headers = {"Authorization": f"Bearer {key}"}
    return (await api.call("GET", "/api/v1/tasks", None, headers=headers)).status_code == 200


def _heads(answer: httpx2.Response) -> list[str]:
    return re.findall(r'<span class="sub">([^<]+)</span></th>', answer.text)


async def test_a_key_is_shown_on_one_page_and_on_no_other(office: Office, admin: Visit) -> None:
    key_id, key = await _made(admin)
    assert await _works(office.api, key)
    assert admin.seen is not None
    for path in (PATH, f"{PATH}/{key_id}"):
        page = (await admin.get(path)).text
        assert f"ow_{key_id}_" in page
        assert key not in page
    again = await admin.post(
        PATH, {"agency": "water", "label": "水务审批系统", "days": "365", "key": "once-1"}
    )
    assert "此密钥此前已生成" in again.text
    assert _WHOLE.search(again.text) is None


async def test_no_cache_keeps_a_page_with_a_key(admin: Visit) -> None:
    await _made(admin)
    assert admin.seen is not None
    answer = await admin.get(PATH)
    assert answer.headers["cache-control"] == "no-store"


async def test_what_runs_out_comes_first_and_is_said_in_words(office: Office, admin: Visit) -> None:
    for days in ("300", "20", "60"):
        await _made(admin, label=f"系统{days}", days=days, key=f"once-{days}")
    page = await admin.get(PATH)
    assert _heads(page) == ["系统20", "系统60", "系统300"]
    assert "1 个密钥将在 30 天内到期" in page.text
    assert "即将到期" in page.text and "还有 20 天" in page.text
    assert _heads(await admin.get(f"{PATH}?standing=expiring")) == ["系统20"]
    assert _heads(await admin.get(f"{PATH}?agency=police")) == []
    office.api.now = NOON + timedelta(minutes=30)
    assert "没有符合条件的密钥" in (await admin.get(f"{PATH}?standing=ended")).text


async def test_a_key_is_replaced_and_the_old_one_goes_on(office: Office, admin: Visit) -> None:
    old_id, old = await _made(admin)
    form = {"days": "365", "overlap_days": "3", "key": "once-2"}
    answer = await admin.post(f"{PATH}/{old_id}/rotate", form)
    found = _WHOLE.search(answer.text)
    assert found is not None
    assert "可用至 2026-09-19" in re.sub("<[^>]+>", "", answer.text)
    assert await _works(office.api, old) and await _works(office.api, found[0])
    page = (await admin.get(f"{PATH}/{old_id}")).text
    assert "已替换" in page and f"{PATH}/{found[1]}" in page
    assert "/rotate" not in page
    office.api.now += timedelta(days=3)
    assert not await _works(office.api, old)


async def test_a_key_is_revoked_once_that_was_confirmed(office: Office, admin: Visit) -> None:
    key_id, key = await _made(admin)
    path = f"{PATH}/{key_id}/revoke"
    for form, told in (
        ({"reason": "外泄"}, "请确认立即吊销"),
        ({"confirm": "yes"}, "原因"),
    ):
        answer = await admin.post(path, form)
        assert answer.status_code == 422 and told in answer.text
        assert await _works(office.api, key)
    answer = await admin.post(path, {"reason": "外泄", "confirm": "yes"})
    assert answer.status_code == 303
    assert not await _works(office.api, key)
    page = (await admin.get(f"{PATH}/{key_id}")).text
    assert "已吊销" in page
    assert "/revoke" not in page


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"agency": ""}, "f-agency"),
        ({"agency": "nobody"}, "f-agency"),
        ({"label": ""}, "f-label"),
        ({"days": "0"}, "f-days"),
        ({"days": "a year"}, "f-days"),
    ],
)
async def test_a_form_that_is_not_right_says_where(
    admin: Visit, form: dict[str, str], field: str
) -> None:
    sent: dict[str, Any] = {"agency": "water", "label": "水务", "days": "365", **form}
    answer = await admin.post(PATH, sent)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'aria-describedby=" {field}-problem1"' in answer.text
    assert _WHOLE.search(answer.text) is None


async def test_a_key_that_has_ended_by_now_is_not_replaced(office: Office, admin: Visit) -> None:
    key_id, _ = await _made(admin, days="1")
    await admin.get(f"{PATH}/{key_id}")
    office.api.now += timedelta(minutes=10)
    await admin.post(f"{PATH}/{key_id}/revoke", {"reason": "外泄", "confirm": "yes"})
    form = {"days": "365", "overlap_days": "7"}
    answer = await admin.post(f"{PATH}/{key_id}/rotate", form)
    assert answer.status_code == 422 and "已吊销" in answer.text


async def test_without_the_servers_secret_the_page_says_what_to_set(url: str) -> None:
    async with opened(url, server_secret=None) as office:
        visit = await office.visit_of("admin-1")
        page = (await visit.get(PATH)).text
        assert "ONEWINDOW_SERVER_SECRET" in page
        assert 'action="/console/admin/keys" class="stacked"' not in page


def test_every_state_of_a_key_has_its_words_and_its_colour() -> None:
    assert STATES.keys() == set(KeyState)
    css = (STATIC / "console.css").read_text(encoding="utf-8")
    # One that has expired is grey, as whatever is over.
    for state in set(KeyState) - {KeyState.EXPIRED}:
        assert f".key-{state}" in css
