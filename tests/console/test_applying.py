"""A new application at the window: one form, checked while it is typed, with a preview."""

from __future__ import annotations

import re

import pytest

from storage.reading import Reading
from tests.console.office import Office, Visit
from tests.support.cases import HIGH

PERSON = {
    "applicant.kind": "person",
    "applicant.name": "示例甲",
    "applicant.id_type": "resident_id",
    "applicant.id_number": "440802199502020001",
    "applicant.phone": "138 0000 0001",
    "site.address": "湛江市赤坎区示例路1号",
    "site.district": "440802",
    "voltage": "low",
    "supply": "single",
    "purpose": "permanent",
    "capacity_kva": "8",
    "consent_to_certificates": "yes",
    "channel": "window",
    "key": "form-1",
}
ENTERPRISE = {
    **PERSON,
    "applicant.kind": "enterprise",
    "applicant.name": "湛江示例水产有限公司",
    "applicant.id_number": "91440802MA0000023K",
    "applicant.size": "small",
    "voltage": "high",
    "capacity_kva": "630",
}


def _reading(office: Office) -> Reading:
    return Reading(office.api.casefile.engine)


@pytest.fixture
async def desk(office: Office) -> Visit:
    visit = await office.visit_of("desk-1")
    await visit.get("/cases/new")
    return visit


async def _taken(office: Office, visit: Visit, form: dict[str, str]) -> str:
    answer = await visit.post("/cases/new", form)
    assert answer.status_code == 303, re.findall(r'class="problem".*', answer.text)
    found = re.fullmatch(r"/console/cases/(ZJ\d+)\?taken=yes", answer.headers["location"])
    assert found is not None
    return found[1]


async def test_what_was_filled_in_becomes_a_case(office: Office, desk: Visit) -> None:
    no = await _taken(office, desk, ENTERPRISE)
    content = (await _reading(office).case(no)).content
    assert content == {**HIGH, "applicant": {**HIGH["applicant"], "phone": "138 0000 0001"}} | {
        "site": {"address": "湛江市赤坎区示例路1号", "district": "440802"}
    }
    page = (await desk.get(f"/cases/{no}?taken=yes")).text
    assert "已收件" in page
    assert f"/console/cases/{no}/slip" in page


async def test_what_does_not_apply_is_dropped(office: Office, desk: Visit) -> None:
    form = {**PERSON, "supply": "dual", "applicant.size": "large", "documents.ownership": "旧表"}
    no = await _taken(office, desk, form)
    content = (await _reading(office).case(no)).content
    assert content["supply"] == "single"
    assert content["applicant"]["size"] is None
    assert content["documents"] == []
    form = {**ENTERPRISE, "applicant.id_type": "resident_id", "key": "form-2"}
    no = await _taken(office, desk, form)
    assert (await _reading(office).case(no)).content["applicant"]["id_type"] == "uscc"


@pytest.mark.rule("RB-3.1")
@pytest.mark.rule("RB-3.2")
async def test_documents_are_asked_for_only_as_far_as_the_registry_does_not_give_them(
    office: Office, desk: Visit
) -> None:
    papers = {"documents.identity": "DEMO-ID-1", "documents.ownership": "DEMO-OWN-1"}
    no = await _taken(office, desk, {**PERSON, "consent_to_certificates": "no", **papers})
    documents = (await _reading(office).case(no)).content["documents"]
    assert [each["kind"] for each in documents] == ["identity", "ownership"]
    form = {**PERSON, **papers, "has_agent": "yes", "key": "form-2"}
    no = await _taken(office, desk, form)
    assert (await _reading(office).case(no)).content["documents"] == [
        {"kind": "identity", "reference": "DEMO-ID-1", "is_agent_authorised": True}
    ]
    form = {**PERSON, "has_agent": "yes", "key": "form-3"}
    answer = await desk.post("/cases/new", form)
    assert answer.status_code == 422
    assert 'href="#f-documents-identity"' in answer.text


@pytest.mark.rule("RB-3.7")
async def test_the_same_form_sent_twice_is_one_case(office: Office, desk: Visit) -> None:
    assert await _taken(office, desk, PERSON) == await _taken(office, desk, PERSON)
    answer = await desk.post("/cases/new", {**PERSON, "applicant.name": "示例乙"})
    assert answer.status_code == 422
    assert "此前已提交过" in answer.text
    key = re.search(r'name="key" value="([^"]+)"', answer.text)
    assert key is not None and key[1] != "form-1"
    again = {**PERSON, "applicant.name": "示例乙", "key": key[1]}
    assert (await desk.post("/cases/new", again)).status_code == 303


async def test_a_refused_form_keeps_what_was_typed_and_names_every_field(desk: Visit) -> None:
    form = {
        **ENTERPRISE,
        "applicant.size": "",
        "applicant.id_number": "91440802MA0000023X",
        "applicant.name": "<b>示例",
        "capacity_kva": "many",
        "site.address": "",
    }
    answer = await desk.post("/cases/new", form)
    assert answer.status_code == 422
    leads = set(re.findall(r'<li><a href="#f-([a-z-]+)"', answer.text))
    assert leads == {"applicant-size", "applicant-id-number", "capacity-kva", "site-address"}
    for field in leads:
        assert f'id="f-{field}"' in answer.text
    for typed in ("91440802MA0000023X", "&lt;b&gt;示例", "many", "138 0000 0001"):
        assert f'value="{typed}"' in answer.text
    assert re.search(r'value="high"[^>]* checked', answer.text)
    assert 'name="key" value="form-1"' in answer.text


async def test_checking_answers_with_messages_and_a_preview_but_never_a_field(
    office: Office, desk: Visit
) -> None:
    before = (await office.api.call("GET", "/api/v1/applications")).json()["items"]
    form = {**ENTERPRISE, "capacity_kva": "20001", "site.address": "湛江市霞山区示例路1号"}
    answer = await desk.post("/cases/new/check", form)
    assert answer.status_code == 200
    assert "<input" not in answer.text
    assert "<html" not in answer.text
    assert "10千伏供电容量不超过20000千伏安" in answer.text
    assert "注意：用电地址中写有霞山区" in answer.text
    assert (await office.api.call("GET", "/api/v1/applications")).json()["items"] == before


@pytest.mark.rule("RB-1.8")
async def test_the_preview_says_what_is_promised_who_pays_and_who_is_first(desk: Visit) -> None:
    page = (await desk.post("/cases/new/check", ENTERPRISE)).text
    for words in (
        "可以提交",
        "零投资",
        "2026-11-17 周二",
        "为什么是这个日期",
        "首先：<strong>工程建设项目审批综合服务窗口</strong>",
        "由电子证照库调取",
        "编制供电方案",
    ):
        assert words in page
    page = (await desk.post("/cases/new/check", {"form": "empty"})).text
    assert "项未填" in page
    assert "必填" not in page, "nobody is scolded for what is still to come"


async def test_half_a_number_is_no_mistake_while_it_is_typed(desk: Visit) -> None:
    form = {**PERSON, "applicant.id_number": "4408021995"}
    typing = await desk.post("/cases/new/check", {**form, "typing": "applicant.id_number"})
    assert "公民身份号码应为" not in typing.text
    assert "公民身份号码应为" in (await desk.post("/cases/new/check", form)).text
    whole = {**PERSON, "applicant.id_number": "440802199502020002"}
    typing = await desk.post("/cases/new/check", {**whole, "typing": "applicant.id_number"})
    assert "校验码错误" in typing.text


async def test_digits_of_full_width_and_units_are_understood(office: Office, desk: Visit) -> None:
    form = {**PERSON, "capacity_kva": "１２.５ kVA", "applicant.id_number": "440802 19950202 0001"}
    no = await _taken(office, desk, form)
    content = (await _reading(office).case(no)).content
    assert content["capacity_kva"] == 12.5
    assert content["applicant"]["id_number"] == "440802199502020001"


@pytest.mark.rule("RB-10.3")
async def test_the_slip_has_the_code_on_the_day_only_and_another_on_request(
    office: Office, desk: Visit
) -> None:
    no = await _taken(office, desk, PERSON)
    page = (await desk.get(f"/cases/{no}/slip")).text
    code = re.search(r"查询码</dt><dd[^>]*>([^<]+)<", page)
    assert code is not None and no in page
    renewed = (await desk.post(f"/cases/{no}/slip", {"key": "k"})).text
    other = re.search(r"查询码</dt><dd[^>]*>([^<]+)<", renewed)
    assert other is not None and other[1] != code[1]
    office.api.now = office.api.now.replace(day=17)
    assert other[1] not in (await desk.get(f"/cases/{no}/slip")).text
