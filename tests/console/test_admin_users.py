"""Accounts on a page: made, helped, stopped, each on the record of actions (RB-13.1)."""

from __future__ import annotations

import re

import pytest

from domain.accounts import FAILURES_UNTIL_LOCKED, LOCKED_FOR
from storage.admin_acts import read_acts
from tests.console.office import PASSWORD, Office, Visit

pytestmark = pytest.mark.rule("RB-13.1")


@pytest.fixture
async def admin(office: Office) -> Visit:
    visit = await office.visit_of("admin-1")
    await visit.get("/admin/users")
    return visit


async def acts_of(office: Office, subject: str) -> list[tuple[str, str]]:
    """Return who did what to an account, oldest first."""
    page = await read_acts(office.api.casefile.engine, limit=50, cursor=None, subject=subject)
    return [(each.by, each.act) for each in reversed(page.items)]


def password_on(page: str) -> str:
    """Return the one-time password that a page shows."""
    found = re.search(r'<strong class="code once">([a-z0-9-]{23})</strong>', page)
    assert found is not None, page
    return found[1]


async def test_an_account_is_made_and_its_password_shown_once(office: Office, admin: Visit) -> None:
    form = {"account_id": "police-1", "display_name": "示例 公安窗口", "agency": "police"}
    page = (await admin.post("/admin/users", form)).text
    password = password_on(page)
    assert password not in (await admin.get("/admin/users")).text
    visit = office.visit()
    assert (await visit.sign_in("police-1", password)).status_code == 303
    assert (await visit.get("/tasks")).headers["location"] == "/console/password"
    assert await acts_of(office, "police-1") == [("admin-1", "account.added")]
    listed = (await admin.get("/admin/users?agency=police")).text
    assert "police-1" in listed and "待改密码" in listed and "市公安局" in listed
    assert "admin-1</" not in listed.partition("<table")[2].partition("</table>")[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"account_id": "Police 1"}, "以字母开头"),
        ({"account_id": "police"}, "是单位代码"),
        ({"account_id": "command"}, "命令行的名称"),
        ({"account_id": "admin-2"}, "与某管理员密钥同名"),
        ({"account_id": "admin-2", "agency": "administrators", "confirm": "admin-2"}, "同名"),
        ({"account_id": "desk-1"}, "已被使用"),
        ({"agency": ""}, "请选择单位"),
        ({"agency": "applicant"}, "请选择单位"),
        ({"agency": "administrators"}, "请输入 police-1"),
        ({"display_name": "x" * 101}, "不超过 100 个可见字符"),
    ],
)
async def test_an_account_that_cannot_be_says_why(
    office: Office, admin: Visit, change: dict[str, str], words: str
) -> None:
    await office.hire("desk-1")
    form = {"account_id": "police-1", "display_name": "", "agency": "police", **change}
    answer = await admin.post("/admin/users", form)
    assert answer.status_code == 422
    assert words in answer.text
    assert [each.id for each in await office.accounts.every()] == ["admin-1", "desk-1"]


async def test_another_administrator_is_made_by_typing_the_account_twice(
    office: Office, admin: Visit
) -> None:
    form = {"account_id": "admin-9", "agency": "administrators", "confirm": "admin-9"}
    assert (await admin.post("/admin/users", form)).status_code == 200
    (made,) = [each for each in await office.accounts.every() if each.id == "admin-9"]
    assert (made.role, made.agency) == ("administrator", None)


async def test_a_reset_gives_a_new_password_and_ends_the_sessions(
    office: Office, admin: Visit
) -> None:
    desk = await office.visit_of("desk-1")
    page = (await admin.post("/admin/users/desk-1/reset")).text
    assert (await desk.get("/cases")).headers["location"].startswith("/console/sign-in")
    again = office.visit()
    assert (await again.sign_in("desk-1", password_on(page))).status_code == 303
    assert ("admin-1", "account.reset") in await acts_of(office, "desk-1")


async def test_a_lock_is_seen_and_lifted(office: Office, admin: Visit) -> None:
    await office.hire("desk-1")
    for _ in range(FAILURES_UNTIL_LOCKED):
        await office.accounts.sign_in("desk-1", "not the password", at=office.api.now)
    page = (await admin.get("/admin/users?standing=locked")).text
    assert "已锁定" in page and "desk-1" in page
    until = (office.api.now + LOCKED_FOR).astimezone()
    assert until.strftime(":%M") in page
    assert (await admin.post("/admin/users/desk-1/unlock")).status_code == 303
    assert await office.accounts.sign_in("desk-1", PASSWORD, at=office.api.now) is not None
    assert ("admin-1", "account.unlocked") in await acts_of(office, "desk-1")


async def test_an_account_is_disabled_by_typing_its_name_and_taken_back(
    office: Office, admin: Visit
) -> None:
    desk = await office.visit_of("desk-1")
    unconfirmed = await admin.post("/admin/users/desk-1/disable", {"confirm": "desk"})
    assert unconfirmed.status_code == 422
    assert (await desk.get("/cases")).status_code == 200
    assert (await admin.post("/admin/users/desk-1/disable", {"confirm": "desk-1"})).is_redirect
    assert (await desk.get("/cases")).is_redirect
    assert await office.accounts.sign_in("desk-1", PASSWORD, at=office.api.now) is None
    assert (await admin.post("/admin/users/desk-1/enable")).is_redirect
    assert await office.accounts.sign_in("desk-1", PASSWORD, at=office.api.now) is not None
    done = [act for by, act in await acts_of(office, "desk-1") if by == "admin-1"]
    assert done == ["account.disabled", "account.enabled"]


async def test_sessions_are_seen_and_ended(office: Office, admin: Visit) -> None:
    desk = await office.visit_of("desk-1")
    assert "/admin/users/desk-1/end-sessions" in (await admin.get("/admin/users")).text
    assert (await admin.post("/admin/users/desk-1/end-sessions")).is_redirect
    assert (await desk.get("/cases")).is_redirect
    assert "/admin/users/desk-1/end-sessions" not in (await admin.get("/admin/users")).text
    assert await office.accounts.sign_in("desk-1", PASSWORD, at=office.api.now) is not None


@pytest.mark.parametrize(("action", "words"), [("disable", "不能停用自己"), ("reset", "自行修改")])
async def test_nobody_stops_themselves(
    office: Office, admin: Visit, action: str, words: str
) -> None:
    answer = await admin.post(f"/admin/users/admin-1/{action}", {"confirm": "admin-1"})
    assert answer.status_code == 422
    assert words in answer.text
    assert (await admin.get("/admin/users")).status_code == 200


async def test_the_last_administrator_cannot_be_disabled(office: Office, admin: Visit) -> None:
    other = await office.visit_of("admin-2")
    await other.get("/admin/users")
    assert (await admin.post("/admin/users/admin-2/disable", {"confirm": "admin-2"})).is_redirect
    await office.accounts.enable("admin-2", at=office.api.now)
    await office.accounts.disable("admin-1", at=office.api.now)
    second = office.visit()
    await second.sign_in("admin-2")
    answer = await second.post("/admin/users/admin-2/disable", {"confirm": "admin-2"})
    assert answer.status_code == 422


async def test_what_is_not_there_is_told_as_a_page(admin: Visit) -> None:
    for path in ("/admin/users/nobody-1/unlock", "/admin/users/admin-1/promote"):
        answer = await admin.post(path)
        assert answer.status_code == 404, path
