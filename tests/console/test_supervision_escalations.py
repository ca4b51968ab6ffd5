"""Supervision notices on their page: seen, acknowledged, replied to once, by whom they are for."""

from __future__ import annotations

import re
from datetime import date

import pytest

from tests.console.office import Office
from tests.support.cases import NOON, red

REPLY = "已安排现场复核，明日答复。"


@pytest.fixture
async def notice(office: Office) -> str:
    """A notice to the water bureau, whose reply was due yesterday."""
    no = await office.case()
    task_id = await office.permits(no)
    await office.api.casefile.supervise(
        no,
        lambda _case, tasks: [
            red(each, step="red.0", recipient="water", reply_by=date(2026, 9, 15)) for each in tasks
        ],
        at=NOON,
    )
    return f"ladder.{task_id}.red.0"


@pytest.mark.rule("RB-5.2")
async def test_a_department_acknowledges_and_then_replies_once(office: Office, notice: str) -> None:
    visit = await office.visit_of("water-1")
    page = (await visit.get("/escalations")).text
    assert "未签收" in page and "逾期" in page and notice in page
    answer = await visit.post("/escalations/reply", {"notice": notice, "do": "acknowledge"})
    assert answer.headers["location"] == "/console/escalations?done=acknowledged"
    page = (await visit.get("/escalations?done=acknowledged")).text
    assert "已签收，并记入办件记录" in page
    assert 'value="acknowledge"' not in page
    form = {"notice": notice, "do": "reply", "reply": REPLY, "waiting": "open"}
    answer = await visit.post("/escalations/reply", form)
    assert answer.headers["location"] == "/console/escalations?waiting=open&done=replied"
    page = (await visit.get("/escalations?waiting=answered")).text
    assert REPLY in page
    assert 'name="reply"' not in page
    assert "没有督办通知" in (await visit.get("/escalations?waiting=open")).text
    # Sent again it is the same reply; another one is refused, and the first one stays.
    assert (await visit.post("/escalations/reply", form)).status_code == 303
    answer = await visit.post("/escalations/reply", {**form, "reply": "另一答复"})
    assert answer.status_code == 422
    assert "原回复不变" in answer.text


@pytest.mark.rule("RB-13.2")
async def test_the_record_says_which_account_it_was(office: Office, notice: str) -> None:
    visit = await office.visit_of("water-1")
    await visit.get("/escalations")
    await visit.post("/escalations/reply", {"notice": notice, "do": "reply", "reply": REPLY})
    no = notice.split(".")[1]
    events = (await office.api.call("GET", f"/api/v1/applications/{no}/events")).json()
    assert [(each["kind"], each["by"], each["body"].get("account")) for each in events[-2:]] == [
        ("notice_acknowledged", "water", "water-1"),
        ("notice_replied", "water", "water-1"),
    ]
    assert REPLY not in str(events)
    assert await office.api.first_break() is None


@pytest.mark.parametrize("reply", ["", "   ", "x" * 2001, "a\x00b"])
async def test_a_reply_without_words_is_told_at_its_field(
    office: Office, notice: str, reply: str
) -> None:
    visit = await office.visit_of("water-1")
    await visit.get("/escalations")
    form = {"notice": notice, "do": "reply", "reply": reply}
    answer = await visit.post("/escalations/reply", form)
    assert answer.status_code == 422
    assert 'href="#f-reply"' in answer.text
    assert re.search(r'id="f-reply"[^>]*aria-invalid="true"', answer.text)
    assert "<details open>" in answer.text
    (shown,) = (await office.api.call("GET", "/api/v1/notices", "water")).json()["items"]
    assert (shown["acknowledged_at"], shown["reply"]) == (None, None)


@pytest.mark.rule("RB-13.1", "RB-5.3")
async def test_supervisors_see_all_notices_and_reply_to_their_own(
    office: Office, notice: str
) -> None:
    for account in ("special-1", "admin-1", "desk-1"):
        visit = await office.visit_of(account)
        page = (await visit.get("/escalations?recipient=water")).text
        assert notice.split(".")[1] in page, account
        assert 'name="reply"' not in page, account
        answer = await visit.post("/escalations/reply", {"notice": notice, "do": "acknowledge"})
        assert answer.status_code in (403, 404), account
    (shown,) = (await office.api.call("GET", "/api/v1/notices", "water")).json()["items"]
    assert shown["acknowledged_at"] is None


@pytest.mark.rule("RB-13.1")
async def test_an_agency_sees_no_notice_of_another(office: Office, notice: str) -> None:
    visit = await office.visit_of("utility-1")
    for path in ("/escalations", "/escalations?recipient=water"):
        assert notice.split(".")[1] not in (await visit.get(path)).text
    answer = await visit.post("/escalations/reply", {"notice": notice, "do": "acknowledge"})
    assert answer.status_code == 404


async def test_a_notice_that_is_none_is_told(office: Office) -> None:
    visit = await office.visit_of("water-1")
    await visit.get("/escalations")
    for notice in ("", "ladder.x", "a\x00b"):
        answer = await visit.post("/escalations/reply", {"notice": notice, "do": "acknowledge"})
        assert answer.status_code == 404
    assert (await visit.get("/escalations?cursor=nonsense")).status_code == 422


async def test_notices_page_through_everything_once(
    office: Office, notice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = notice.split(".")[1]
    for department in ("police", "transport"):
        await office.permits(no, department)
    await office.api.casefile.supervise(
        no,
        lambda _case, tasks: [
            red(each, step="red.1", recipient="special-group", reply_by=date(2026, 9, 17))
            for each in tasks
        ],
        at=NOON,
    )
    monkeypatch.setattr("console.escalations.ON_A_PAGE", 3)
    visit = await office.visit_of("special-1")
    page = (await visit.get("/escalations")).text
    assert 'data-total="4"' in page
    following = re.search(r'rel="next" href="/console([^"]+)"', page)
    assert following is not None
    rest = (await visit.get(following[1].replace("&amp;", "&"))).text
    assert (page + rest).count('data-label="督办对象"') == 4
    assert 'rel="next"' not in rest
