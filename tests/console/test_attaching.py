"""Documents that come with an outcome: on file first, named by it, and not lost with a slip."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from console.attaching import AT_ONCE, limit_of
from domain.connection import TaskKind
from tests.console.office import ITEM, Office, Visit, opened
from tests.support.databases import rows
from tests.support.serving import api_settings

PDF = b"%PDF-1.7 " + "准予行政许可决定书".encode()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
SECOND = "工程建设涉及城市绿地、树木审批"
APPROVED = {
    f"items.{position}.{name}": value
    for position in (0, 1)
    for name, value in (
        ("outcome", "approved"),
        ("document_no", "示例〔2026〕1号"),
        ("document_on", "2026-09-16"),
    )
} | {"code": "answered"}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def _task(office: Office, task_id: str) -> Any:
    return (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()


@pytest.fixture
async def task_id(office: Office) -> str:
    return await office.permits(await office.case(), "water", ITEM, SECOND)


@pytest.fixture
async def visit(office: Office, task_id: str) -> Visit:
    found = await office.visit_of("water-1")
    await found.get(f"/tasks/{task_id}")
    return found


async def test_documents_of_items_and_of_the_whole_are_named_by_the_outcome(
    office: Office, visit: Visit, task_id: str
) -> None:
    answer = await visit.post(
        f"/tasks/{task_id}/outcome",
        APPROVED,
        files={
            "items.0.file": ("决定书.pdf", PDF, "application/pdf"),
            "file": ("scan.png", PNG, "image/png"),
            "items.1.file": ("", b"", "application/octet-stream"),
        },
    )
    assert answer.status_code == 303, answer.text
    outcome = (await _task(office, task_id))["outcome"]
    assert outcome["document"] == _sha256(PNG)
    assert [item.get("document") for item in outcome["items"]] == [_sha256(PDF), None]
    page = (await visit.get(f"/tasks/{task_id}")).text
    address = f"/console/tasks/{task_id}/documents/{_sha256(PDF)}"
    assert address in page
    assert "决定书.pdf" in page
    given = await visit.client.get(address)
    assert given.content == PDF
    assert given.headers["content-disposition"].startswith("attachment")
    assert await office.api.first_break() is None


async def test_a_refused_form_keeps_the_document_and_what_was_typed(
    office: Office, visit: Visit, task_id: str
) -> None:
    slip = APPROVED | {"items.1.outcome": "refused", "items.0.note": "路面恢复须报备"}
    files = {"items.0.file": ("决定书.pdf", PDF, "application/pdf")}
    refused = await visit.post(f"/tasks/{task_id}/outcome", slip, files=files)
    assert refused.status_code == 422
    assert ">路面恢复须报备</textarea>" in refused.text
    chosen = re.search(
        rf'name="items\.0\.document".*?<option value="{_sha256(PDF)}" selected>决定书\.pdf<',
        refused.text,
        re.DOTALL,
    )
    assert chosen is not None, "it is on file, and still chosen"
    mended = APPROVED | {"items.0.document": _sha256(PDF), "items.1.document": _sha256(PDF)}
    assert (await visit.post(f"/tasks/{task_id}/outcome", mended)).status_code == 303
    items = (await _task(office, task_id))["outcome"]["items"]
    assert [item["document"] for item in items] == [_sha256(PDF)] * 2
    assert len(rows(office.api.url)["documents"]) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"MZ nothing of the kind", "须为 PDF、PNG 或 JPEG 文件"),
        (b"", "须为 PDF、PNG 或 JPEG 文件"),
        (PDF + bytes(9_000), "不得超过"),
    ],
)
async def test_a_file_that_is_not_taken_is_told_at_its_field(
    url: str, content: bytes, words: str
) -> None:
    async with opened(url, document_limit_bytes=8_192) as office:
        task_id = await office.permits(await office.case(), "water", ITEM, SECOND)
        visit = await office.visit_of("water-1")
        await visit.get(f"/tasks/{task_id}")
        files = {"items.1.file": ("x.pdf", content, "application/pdf")}
        refused = await visit.post(f"/tasks/{task_id}/outcome", APPROVED, files=files)
        assert refused.status_code == 422
        assert words in refused.text
        assert 'href="#f-items-1-file"' in refused.text
        assert 'id="f-items-1-file-problem1"' in refused.text
        task = await _task(office, task_id)
        assert (task["outcome"], task["held_by"]) == (None, None)
        assert rows(office.api.url)["documents"] == ()


async def test_a_body_may_hold_several_documents_and_no_more(url: str) -> None:
    settings = api_settings(url, document_limit_bytes=8_192)
    async with opened(url, document_limit_bytes=8_192) as office:
        task_id = await office.permits(await office.case())
        visit = await office.visit_of("water-1")
        await visit.get(f"/tasks/{task_id}")
        path = f"/tasks/{task_id}/outcome"
        large = {"items.0.file": ("x.pdf", PDF + bytes(AT_ONCE * 8_192), "application/pdf")}
        assert (await visit.post(path, APPROVED, files=large)).status_code == 422
        beyond = {"items.0.file": ("x.pdf", bytes(limit_of(settings)), "application/pdf")}
        answer = await visit.post(path, APPROVED, files=beyond)
        assert answer.status_code == 413
        other = await visit.client.post("/console/cases", content=bytes(300_000))
        assert other.status_code == 413, "no other form may be as large"


async def test_an_agencys_document_may_be_as_large_where_an_outcome_is_put_on_file_for_it(
    office: Office, task_id: str
) -> None:
    admin = await office.visit_of("admin-1")
    path = f"/admin/decisions/{task_id}"
    await admin.get(path)
    scan = PDF + bytes(4_000_000)
    files = {"file": ("scan.pdf", scan, "application/pdf")}
    refused = await admin.post(path, {"code": "answered"}, files=files)
    assert refused.status_code == 422, "it is read, and tells what the form lacks"
    assert f'<option value="{_sha256(scan)}" selected>scan.pdf<' in refused.text, "still chosen"
    too_large = {"file": ("scan.pdf", PDF + bytes(5_300_000), "application/pdf")}
    refused = await admin.post(path, {"code": "answered"}, files=too_large)
    assert (refused.status_code, "不得超过" in refused.text) == (422, True)


async def test_a_name_that_cannot_be_a_file_name_is_made_one(
    office: Office, visit: Visit, task_id: str
) -> None:
    files = {"file": ("a:b?" + "长" * 150 + ".pdf", PDF, "application/pdf")}
    assert (await visit.post(f"/tasks/{task_id}/outcome", APPROVED, files=files)).status_code == 303
    (kept,) = (await office.api.call("GET", f"/api/v1/tasks/{task_id}/documents")).json()
    assert kept["name"].endswith("长.pdf")
    assert len(kept["name"]) == 120


@pytest.mark.rule("RB-13.1")
async def test_nobody_puts_a_document_with_anothers_task(office: Office, task_id: str) -> None:
    no = task_id.split(".")[0]
    other = await office.permits(no, "police")
    visit = await office.visit_of("water-1")
    files = {"file": ("x.pdf", PDF, "application/pdf")}
    for path in (f"/tasks/{other}/outcome", f"/tasks/{other}/route"):
        assert (await visit.post(path, APPROVED, files=files)).status_code == 403
    assert rows(office.api.url)["documents"] == ()


async def test_a_decided_task_takes_no_document(office: Office, visit: Visit, task_id: str) -> None:
    assert (await visit.post(f"/tasks/{task_id}/outcome", APPROVED)).status_code == 303
    files = {"file": ("x.pdf", PDF, "application/pdf")}
    again = await visit.post(f"/tasks/{task_id}/outcome", APPROVED, files=files)
    assert again.status_code in (303, 422)
    assert rows(office.api.url)["documents"] == ()


async def test_the_utility_puts_its_plan(office: Office) -> None:
    task_id = await office.task(await office.case(), TaskKind.SUPPLY_PLAN)
    visit = await office.visit_of("utility-1")
    await visit.get(f"/tasks/{task_id}")
    files = {"file": ("方案.pdf", PDF, "application/pdf")}
    answer = await visit.post(f"/tasks/{task_id}/outcome", {"code": "planned"}, files=files)
    assert answer.status_code == 303
    assert (await _task(office, task_id))["outcome"]["document"] == _sha256(PDF)
