"""Who gets in, for how long, and who does not."""

from __future__ import annotations

import re
from datetime import timedelta
from http.cookies import SimpleCookie
from time import monotonic

import httpx2
import pytest

from console import signing_in
from console.guard import FORM_TOKEN, SESSION, VISIT, Visitor
from console.tries import MOST, WITHIN, Tries
from domain.accounts import FAILURES_UNTIL_LOCKED, IDLE_FOR, LOCKED_FOR, SIGNED_IN_FOR
from tests.console.office import PASSWORD, Office, Visit
from tests.support.cases import NOON
from tests.support.databases import rows

WRONG = "not the password at all"
NEW = "ein neuer Morgen am Hafen"


def _cookie(answer: httpx2.Response, name: str) -> SimpleCookie:
    (set_cookie,) = (
        each for each in answer.headers.get_list("set-cookie") if each.startswith(f"{name}=")
    )
    return SimpleCookie(set_cookie)


async def _is_in(visit: Visit) -> bool:
    return (await visit.get("/cases")).status_code == 200


async def test_whoever_knows_the_password_gets_in_and_out_again(office: Office) -> None:
    visit = await office.visit_of("desk-1")
    assert await _is_in(visit)
    answer = await visit.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert not await _is_in(visit)


async def test_a_session_that_was_ended_stays_so_for_whoever_kept_its_cookie(
    office: Office,
) -> None:
    visit = await office.visit_of("desk-1")
    kept = visit.client.cookies[SESSION]
    await visit.post("/sign-out")
    thief = office.visit()
    thief.client.cookies.set(SESSION, kept)
    assert not await _is_in(thief)


@pytest.mark.parametrize(("base", "is_secure"), [("http://o", False), ("https://o", True)])
async def test_the_cookie_is_for_no_script_no_other_site_and_no_open_line(
    office: Office, base: str, is_secure: bool
) -> None:
    await office.hire("desk-1")
    visit = office.visit(base)
    answer = await visit.sign_in("desk-1")
    # By https, under a name that no other host of the domain can give a cookie.
    name, path = (f"__Host-{SESSION}", "/") if is_secure else (SESSION, "/console")
    morsel = _cookie(answer, name)[name]
    assert morsel["httponly"]
    assert (morsel["samesite"], morsel["path"], morsel["domain"]) == ("lax", path, "")
    assert bool(morsel["secure"]) is is_secure
    assert await _is_in(visit)
    await visit.get("/password")
    await visit.post("/sign-out")
    assert not await _is_in(visit)


async def test_by_https_a_cookie_that_another_host_of_the_domain_set_is_none(
    office: Office,
) -> None:
    await office.hire("desk-1")
    token = await office.accounts.sign_in("desk-1", PASSWORD, at=NOON)
    assert token is not None
    visit = office.visit("https://onewindow")
    visit.client.cookies.set(SESSION, token)
    assert not await _is_in(visit)
    visit.client.cookies.set(VISIT, "a secret that somebody else knows")
    shown = await visit.get("/sign-in")
    fixed = Visitor(None, "zh", "a secret that somebody else knows").form_token
    assert fixed not in shown.text


async def test_by_https_browsers_are_told_to_stay_there(office: Office) -> None:
    for base, told in (("https://onewindow", True), ("http://onewindow", False)):
        answer = await office.visit(base).get("/sign-in")
        assert ("strict-transport-security" in answer.headers) is told


async def test_a_session_never_begins_with_a_token_that_was_there_before(office: Office) -> None:
    await office.hire("desk-1")
    visit = office.visit()
    visit.client.cookies.set(SESSION, "planted")
    await visit.get("/sign-in")
    before = {each.value for each in visit.client.cookies.jar}
    await visit.sign_in("desk-1")
    after = {each.name: each.value for each in visit.client.cookies.jar if each.value not in before}
    assert set(after) == {SESSION}
    assert VISIT not in visit.client.cookies, "its form token dies with it"
    thief = office.visit()
    thief.client.cookies.set(SESSION, "planted")
    assert not await _is_in(thief)


async def test_a_form_that_comes_from_another_site_is_refused_whatever_it_holds(
    office: Office,
) -> None:
    visit = await office.visit_of("desk-1")
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 303)):
        answer = await visit.post("/sign-out", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == status


async def test_a_sign_in_left_open_in_another_window_leads_home(office: Office) -> None:
    await office.hire("desk-1")
    await office.hire("water-1")
    visit = office.visit()
    await visit.get("/sign-in")
    form = {"account": "water-1", "password": PASSWORD, FORM_TOKEN: visit.form_token}
    await visit.sign_in("desk-1")
    answer = await visit.client.post("/console/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    assert "示例 desk-1" in (await visit.get("/cases")).text


async def test_one_signs_out_everywhere_at_once(office: Office) -> None:
    elsewhere, visit = await office.visit_of("desk-1"), await office.visit_of("desk-1")
    other = await office.visit_of("water-1")
    answer = await visit.post("/sign-out", {"everywhere": "yes"})
    assert answer.headers["location"] == "/console/sign-in"
    assert not await _is_in(visit)
    assert not await _is_in(elsewhere)
    assert (await other.get("/tasks")).status_code == 200


async def test_a_whole_office_behind_one_address_signs_in(office: Office) -> None:
    office.console.state.tries = Tries(most=2)
    await office.hire("desk-1")
    for _ in range(4):
        assert (await office.visit(address="192.0.2.9").sign_in("desk-1")).status_code == 303
    visit = office.visit(address="192.0.2.9")
    statuses = [(await visit.sign_in("desk-1", WRONG)).status_code for _ in range(3)]
    assert statuses == [401, 401, 429], "failures count as ever"


async def test_neither_password_nor_token_is_on_file(office: Office) -> None:
    visit = await office.visit_of("desk-1")
    on_file = repr(rows(office.api.url))
    assert "argon2id" in on_file
    assert PASSWORD not in on_file
    assert visit.client.cookies[SESSION] not in on_file


async def test_an_unknown_account_is_answered_as_a_wrong_password_is(office: Office) -> None:
    await office.hire("desk-1")
    visit = office.visit()
    pages = {}
    for account in ("desk-1", "desk-9"):
        answer = await visit.sign_in(account, WRONG)
        assert answer.status_code == 401
        pages[account] = re.sub(f"{account}|{visit.form_token}", "", answer.text)
    assert pages["desk-1"] == pages["desk-9"]


async def test_an_unknown_account_takes_a_hash_as_a_wrong_password_does(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.hire("desk-1")
    verified = []
    inner = office.accounts._verified

    async def counted(hashed: str, password: str) -> bool:
        verified.append(hashed.split("$")[1:4])
        return await inner(hashed, password)

    monkeypatch.setattr(office.accounts, "_verified", counted)
    for account in ("desk-1", "desk-9", "\x00", ""):
        await office.accounts.sign_in(account, WRONG, at=NOON)
    assert len(verified) == 4
    assert verified.count(verified[0]) == 4, "with the same parameters"


async def test_no_refusal_comes_sooner_than_another(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "REFUSED_AFTER_S", 0.3)
    office.console.state.tries = Tries(most=2)
    await office.hire("desk-1")
    visit = office.visit()
    await visit.get("/sign-in")
    statuses = []
    for account in ("desk-1", "desk-9", "desk-9"):
        began = monotonic()
        answer = await visit.post("/sign-in", {"account": account, "password": WRONG})
        statuses.append(answer.status_code)
        assert monotonic() - began >= 0.3
    assert statuses == [401, 401, 429]


async def test_after_repeated_failures_even_the_password_does_not_help_for_a_while(
    office: Office,
) -> None:
    await office.hire("desk-1")
    visit = office.visit()
    for _ in range(FAILURES_UNTIL_LOCKED):
        assert (await visit.sign_in("desk-1", WRONG)).status_code == 401
    assert (await visit.sign_in("desk-1")).status_code == 401
    office.api.now = NOON + LOCKED_FOR - timedelta(seconds=1)
    assert (await visit.sign_in("desk-1")).status_code == 401
    office.api.now = NOON + LOCKED_FOR
    assert (await visit.sign_in("desk-1")).status_code == 303


async def test_failures_before_a_success_are_forgotten(office: Office) -> None:
    await office.hire("desk-1")
    for _ in range(2):
        for _ in range(FAILURES_UNTIL_LOCKED - 1):
            assert await office.accounts.sign_in("desk-1", WRONG, at=NOON) is None
        assert await office.accounts.sign_in("desk-1", PASSWORD, at=NOON) is not None


async def test_a_lock_of_one_account_is_no_other_ones(office: Office) -> None:
    await office.hire("desk-1")
    await office.hire("water-1")
    for _ in range(FAILURES_UNTIL_LOCKED):
        await office.accounts.sign_in("desk-1", WRONG, at=NOON)
    assert await office.accounts.sign_in("water-1", PASSWORD, at=NOON) is not None


async def test_one_address_tries_only_so_often_whatever_the_accounts(office: Office) -> None:
    office.console.state.tries = Tries(most=2)
    await office.hire("desk-1")
    visit = office.visit(address="192.0.2.7")
    assert (await visit.sign_in("a-1", WRONG)).status_code == 401
    assert (await visit.sign_in("a-2", WRONG)).status_code == 401
    assert (await visit.sign_in("desk-1")).status_code == 429
    assert (await office.visit(address="192.0.2.8").sign_in("desk-1")).status_code == 303
    office.api.now = NOON + WITHIN
    assert (await visit.sign_in("desk-1")).status_code == 303


def test_tries_are_counted_within_a_window_that_moves() -> None:
    tries = Tries()
    taken = [tries.take("a", NOON + timedelta(seconds=10 * i)) for i in range(MOST + 1)]
    assert taken == [True] * MOST + [True], "the first has left the window by then"
    assert [tries.take("b", NOON) for _ in range(MOST + 1)] == [True] * MOST + [False]


async def test_whoever_is_disabled_is_out_at_once_and_stays_out(office: Office) -> None:
    visit = await office.visit_of("desk-1")
    await office.accounts.disable("desk-1", at=office.api.now)
    assert not await _is_in(visit)
    assert (await visit.sign_in("desk-1")).status_code == 401


async def test_a_session_nobody_uses_ends(office: Office) -> None:
    visit = await office.visit_of("desk-1")
    office.api.now = NOON + IDLE_FOR - timedelta(seconds=1)
    assert await _is_in(visit)
    office.api.now += IDLE_FOR - timedelta(seconds=1)
    assert await _is_in(visit), "it was used"
    office.api.now += IDLE_FOR
    assert not await _is_in(visit)


async def test_a_session_ends_however_busy(office: Office) -> None:
    visit = await office.visit_of("desk-1")
    while office.api.now < NOON + SIGNED_IN_FOR - timedelta(minutes=40):
        office.api.now += timedelta(minutes=40)
        assert await _is_in(visit)
    office.api.now = NOON + SIGNED_IN_FOR
    assert not await _is_in(visit)


# ---------------------------------------------------------------- passwords


async def test_a_password_that_others_have_seen_is_changed_before_anything_else(
    office: Office,
) -> None:
    await office.hire("admin-1", must_change=True)
    visit = office.visit()
    await visit.sign_in("admin-1")
    for path in ("/", "/cases", "/tasks", "/supervision"):
        answer = await visit.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/password")
    changed = await visit.post("/password", {"current": PASSWORD, "new": NEW, "again": NEW})
    assert (changed.status_code, changed.headers["location"]) == (303, "/console/")
    assert await _is_in(visit)
    assert (await office.visit().sign_in("admin-1")).status_code == 401
    assert (await office.visit().sign_in("admin-1", NEW)).status_code == 303


async def test_with_a_new_password_whoever_else_was_in_is_out(office: Office) -> None:
    elsewhere = await office.visit_of("desk-1")
    visit = await office.visit_of("desk-1")
    before = visit.client.cookies[SESSION]
    await visit.post("/password", {"current": PASSWORD, "new": NEW, "again": NEW})
    assert await _is_in(visit)
    assert visit.client.cookies[SESSION] != before
    assert not await _is_in(elsewhere)


@pytest.mark.parametrize(
    ("current", "new", "again", "field"),
    [
        (WRONG, NEW, NEW, "f-current"),
        (PASSWORD, "too short", "too short", "f-new"),
        (PASSWORD, "x" * 129, "x" * 129, "f-new"),
        (PASSWORD, "abababababababab", "abababababababab", "f-new"),
        (PASSWORD, "my desk-1 password", "my desk-1 password", "f-new"),
        (PASSWORD, PASSWORD, PASSWORD, "f-new"),
        (PASSWORD, NEW, f"{NEW}!", "f-again"),
    ],
)
async def test_a_password_that_will_not_do_is_refused_with_why(
    office: Office, current: str, new: str, again: str, field: str
) -> None:
    visit = await office.visit_of("desk-1")
    answer = await visit.post("/password", {"current": current, "new": new, "again": again})
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert re.search(f'id="{field}"[^>]* aria-invalid="true"', answer.text)
    assert new not in answer.text, "a password is never shown"
    assert await _is_in(visit)
    assert (await office.visit().sign_in("desk-1")).status_code == 303


# ---------------------------------------------------------------- forms and addresses


async def test_a_sign_in_that_did_not_come_from_our_page_is_refused(office: Office) -> None:
    await office.hire("desk-1")
    visit = office.visit()
    await visit.get("/sign-in")
    form = {"account": "desk-1", "password": PASSWORD}
    for token in ("", "0" * 64):
        answer = await visit.post("/sign-in", {**form, FORM_TOKEN: token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert SESSION not in visit.client.cookies


async def test_one_comes_back_to_what_was_asked_for(office: Office) -> None:
    await office.hire("desk-1")
    visit = office.visit()
    answer = await visit.get("/cases?state=open")
    assert answer.headers["location"] == "/console/sign-in?next=/console/cases%3Fstate%3Dopen"
    shown = await visit.client.get(answer.headers["location"])
    visit.seen = shown
    assert 'name="next" value="/console/cases?state=open"' in shown.text
    form = {"account": "desk-1", "password": PASSWORD, "next": "/console/cases?state=open"}
    assert (await visit.post("/sign-in", form)).headers["location"] == "/console/cases?state=open"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://example.org/",
        "//example.org/",
        "/console//example.org",
        "/\\example.org",
        "javascript:alert(1)",
        "/console/\r\nSet-Cookie: a=b",
        "/api/v1/clock",
    ],
)
async def test_nobody_is_led_elsewhere(office: Office, elsewhere: str) -> None:
    await office.hire("desk-1")
    visit = office.visit()
    await visit.get("/sign-in")
    form = {"account": "desk-1", "password": PASSWORD, "next": elsewhere}
    assert (await visit.post("/sign-in", form)).headers["location"] == "/console/"
    answer = await visit.get("/language/en", params={"back": elsewhere})
    assert answer.headers["location"] == "/console/"


async def test_a_script_whose_session_has_ended_is_sent_to_sign_in(office: Office) -> None:
    answer = await office.visit().get("/cases", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"].startswith("/console/sign-in")
