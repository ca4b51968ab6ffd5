"""Documents: kept as they came, once, named by outcomes, given back to those who may see them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.connection import TaskKind
from domain.documents import MOST_PER_TASK
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, new_task
from tests.support.databases import attack, connected, rows
from tests.support.serving import Api, api_settings, in_process

ITEM, SECOND = "占用、挖掘城市道路审批", "工程建设涉及城市绿地、树木审批"
PDF = b"%PDF-1.7 " + "准予行政许可决定书".encode()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
NAME = "%E5%87%86%E4%BA%88%20%E8%AE%B8%E5%8F%AF.pdf"
LIMIT = 8192


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
async def task(api: Api) -> str:
    return await _permits(api)


async def _permits(api: Api, department: str = "water") -> str:
    no = (await api.submit(HIGH)).json()["no"]
    new = new_task(no, TaskKind.PERMITS, department=department, items=(ITEM, SECOND))
    return (await api.casefile.open_task(new)).id


def _path(task: str, sha256: str) -> str:
    return f"/api/v1/tasks/{task}/documents/{sha256}"


async def _put(
    api: Api,
    task: str,
    content: Any = PDF,
    *,
    sha256: str | None = None,
    agency: str | None = "water",
    **headers: str,
) -> Any:
    path = _path(task, sha256 or _sha256(content))
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.call("PUT", path, agency, content=content, headers=sent)


def _answered(*documents: str | None) -> dict[str, Any]:
    return {
        "code": "answered",
        "items": [
            {
                "item": item,
                "outcome": "approved",
                "document_no": "示例〔2026〕1号",
                "document_on": "2026-09-16",
                **({"document": document} if document else {}),
            }
            for item, document in zip((ITEM, SECOND), documents, strict=True)
        ],
    }


@pytest.mark.parametrize(
    ("content", "kind", "file"),
    [
        (PDF, "application/pdf", "pdf"),
        (PNG, "image/png", "png"),
        (b"\xff\xd8\xff\xe0" + bytes(9), "image/jpeg", "jpg"),
    ],
)
async def test_a_document_is_given_back_as_it_came(
    api: Api, task: str, content: bytes, kind: str, file: str
) -> None:
    answer = await _put(api, task, content, Content_Type=kind)
    sha256 = _sha256(content)
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "task_id": task,
            "sha256": sha256,
            "media_type": kind,
            "size": len(content),
            "name": None,
            "put_by": "water",
            "put_at": "2026-09-16T12:00:00+08:00",
        },
    )
    back = await api.call("GET", _path(task, sha256), "water")
    assert (back.status_code, back.content) == (200, content)
    assert back.headers["content-type"] == kind
    assert back.headers["content-disposition"] == (
        f"attachment; filename*=UTF-8''{sha256[:12]}.{file}"
    )
    assert back.headers["x-content-type-options"] == "nosniff"
    assert await api.first_break() is None


async def test_a_document_keeps_the_name_of_its_file(api: Api, task: str) -> None:
    answer = await _put(api, task, X_Document_Name=NAME)
    assert answer.json()["name"] == "准予 许可.pdf"
    back = await api.call("GET", _path(task, _sha256(PDF)), "water")
    assert back.headers["content-disposition"] == f"attachment; filename*=UTF-8''{NAME}"


async def test_the_same_document_again_is_the_same(api: Api, task: str) -> None:
    first = await _put(api, task, X_Document_Name=NAME)
    before = rows(api.url)
    api.now = NOON.replace(hour=15)
    again = await _put(api, task, X_Document_Name="other.pdf")
    assert (again.status_code, again.json()) == (200, first.json())
    assert rows(api.url) == before


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"sha256": "0" * 64}, "sha256"),
        ({"sha256": _sha256(PDF).upper()}, "sha256"),
        ({"sha256": "abc"}, "sha256"),
        ({"content": b"<html>"}, "(body)"),
        ({"content": b""}, "(body)"),
        ({"content": PNG, "Content_Type": "application/pdf"}, "Content-Type"),
        ({"Content_Type": "multipart/form-data"}, "Content-Type"),
        ({"X_Document_Name": "..%2F..%2Fetc"}, "X-Document-Name"),
        ({"X_Document_Name": "%0D%0ASet-Cookie:%20a"}, "X-Document-Name"),
        ({"X_Document_Name": "%FF"}, "X-Document-Name"),
        ({"X_Document_Name": "a b"}, "X-Document-Name"),
    ],
)
async def test_a_document_that_is_not_what_is_said_is_refused(
    api: Api, task: str, sent: dict[str, Any], field: str
) -> None:
    before = rows(api.url)
    assert fields(problem(await _put(api, task, **sent), 422, "invalid-input")) == [field]
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_only_the_agency_that_owes_the_task_puts_documents_with_it(
    api: Api, task: str
) -> None:
    before = rows(api.url)
    problem(await _put(api, task, agency="transport"), 403, "not-your-task")
    problem(await _put(api, task, agency="desk"), 403, "not-your-task")
    problem(await _put(api, task, agency=None), 401, "not-signed-in")
    problem(await _put(api, "nothing"), 404, "unknown-task")
    problem(await _put(api, "a%00b"), 404, "unknown-task")
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_the_agency_the_desk_and_supervisors_see_a_document_and_nobody_else(
    api: Api, task: str
) -> None:
    await _put(api, task)
    path = _path(task, _sha256(PDF))
    for agency in ("water", "desk", "special-group"):
        assert (await api.call("GET", path, agency)).status_code == 200
    for agency in ("transport", "utility", "applicant"):
        problem(await api.call("GET", path, agency), 403, "not-your-task")
    problem(await api.call("GET", path, None), 401, "not-signed-in")
    problem(await api.call("GET", _path(task, "0" * 64), "water"), 404, "unknown-document")
    problem(await api.call("GET", _path("nothing", "0" * 64), "water"), 404, "unknown-task")
    problem(await api.call("GET", _path(task, "x"), "water"), 422, "invalid-input")


@pytest.mark.rule("RB-4.5")
async def test_an_outcome_names_documents_that_were_put_with_its_task(api: Api, task: str) -> None:
    elsewhere = await _permits(api, "transport")
    await _put(api, elsewhere, PNG, agency="transport")
    before = rows(api.url)
    answer = await api.answer(task, _answered(_sha256(PDF), _sha256(PNG)), "water")
    assert fields(problem(answer, 422, "invalid-input")) == ["items.0.document", "items.1.document"]
    assert rows(api.url) == before
    await _put(api, task)
    answer = await api.answer(task, _answered(_sha256(PDF), _sha256(PNG)), "water")
    assert fields(problem(answer, 422, "invalid-input")) == ["items.1.document"]
    body = _answered(_sha256(PDF), _sha256(PDF))
    decided = await api.answer(task, body, "water")
    assert (decided.status_code, decided.json()["outcome"]) == (202, body)
    assert (await api.answer(task, body, "water")).status_code == 202


async def test_what_is_decided_takes_no_more_documents(api: Api, task: str) -> None:
    await _put(api, task)
    await api.answer(task, _answered(_sha256(PDF), None), "water")
    before = rows(api.url)
    problem(await _put(api, task, PNG), 409, "task-closed")
    assert (await _put(api, task)).status_code == 200
    assert rows(api.url) == before


async def test_a_task_has_so_many_documents_and_no_more(api: Api, task: str) -> None:
    for n in range(MOST_PER_TASK):
        assert (await _put(api, task, PDF + str(n).encode())).status_code == 201
    before = rows(api.url)
    refused = problem(await _put(api, task, PNG), 409, "limit-reached")
    assert refused["limit"] == MOST_PER_TASK
    assert (await _put(api, task, PDF + b"0")).status_code == 200
    assert rows(api.url) == before


# ---------------------------------------------------------------- size


@pytest.fixture
async def limited(url: str) -> AsyncIterator[Api]:
    settings = api_settings(url, body_limit_bytes=4096, document_limit_bytes=LIMIT)
    async with in_process(settings) as running:
        yield running


async def _in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 512):
        yield body[start : start + 512]


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_document_may_be_larger_than_another_body_and_has_its_own_limit(
    limited: Api, is_chunked: bool
) -> None:
    task = await _permits(limited)
    before = rows(limited.url)
    over, fits = PDF + bytes(LIMIT + 1 - len(PDF)), PDF + bytes(LIMIT - len(PDF))

    def body(content: bytes) -> Any:
        return _in_chunks(content) if is_chunked else content

    refused = await _put(limited, task, body(over), sha256=_sha256(over))
    assert problem(refused, 413, "body-too-large")["limit_bytes"] == LIMIT
    assert rows(limited.url) == before
    assert (await _put(limited, task, body(fits), sha256=_sha256(fits))).status_code == 201
    long = {"code": "declined", "note": "长" * 1400}
    refused = await limited.answer(task, long, "water")
    assert problem(refused, 413, "body-too-large")["limit_bytes"] == 4096


# ---------------------------------------------------------------- the record


@pytest.mark.rule("RB-13.2")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE documents SET content = X'255044462D'", "was changed"),
        ("UPDATE documents SET name = 'other.pdf'", "what is said of the document"),
        ("UPDATE documents SET media_type = 'text/html'", "what is said of the document"),
        ("UPDATE documents SET put_by = 'transport'", "what is said of the document"),
        ("UPDATE documents SET sha256 = 'x'", "taken out"),
        ("DELETE FROM documents", "taken out"),
    ],
)
async def test_a_changed_document_is_found(api: Api, task: str, statement: str, why: str) -> None:
    await _put(api, task, X_Document_Name=NAME)
    attack(api.url, [lambda db: db.exec_driver_sql(statement)])
    found = await api.first_break()
    assert found is not None
    assert why in found.why
    assert found.seq is not None


@pytest.mark.rule("RB-13.2")
async def test_a_document_put_in_behind_the_records_back_is_found(api: Api, task: str) -> None:
    await _put(api, task)
    with connected(api.url) as connection:
        connection.exec_driver_sql(
            "INSERT INTO documents SELECT task_id, 'forged', case_no, media_type, size, name, "
            "put_by, put_at, content FROM documents"
        )
    found = await api.first_break()
    assert found is not None
    assert "has no event" in found.why


@pytest.mark.rule("RB-13.3")
async def test_the_record_holds_digests_and_no_names(api: Api, task: str) -> None:
    await _put(api, task, X_Document_Name=NAME)
    no = task.partition(".")[0]
    events = (await api.call("GET", f"/api/v1/applications/{no}/events")).json()
    assert (events[-1]["kind"], events[-1]["by"]) == ("document_put", "water")
    assert events[-1]["body"]["sha256"] == _sha256(PDF)
    assert "许可" not in str(events)


async def test_a_document_may_state_the_outcome_as_a_whole(api: Api, task: str) -> None:
    outcome = {**_answered(None, None), "document": _sha256(PDF)}
    refused = problem(await api.answer(task, outcome, "water"), 422, "invalid-input")
    assert fields(refused) == ["document"]
    await _put(api, task)
    assert (await api.answer(task, outcome, "water")).status_code == 202
    shown = (await api.call("GET", f"/api/v1/tasks/{task}", "water")).json()
    assert shown["outcome"]["document"] == _sha256(PDF)
    assert await api.first_break() is None


async def test_any_outcome_may_name_its_document(api: Api) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    plan = (await api.casefile.open_task(new_task(no, TaskKind.SUPPLY_PLAN))).id
    await _put(api, plan, agency="utility")
    outcome = {"code": "planned", "document": _sha256(PDF)}
    assert (await api.answer(plan, outcome, "utility")).status_code == 202


async def test_documents_of_a_task_are_listed_for_those_who_may_see_it(api: Api, task: str) -> None:
    await _put(api, task, X_Document_Name=NAME)
    await _put(api, task, PNG)
    path = f"/api/v1/tasks/{task}/documents"
    for agency in ("water", "desk", "special-group"):
        found = (await api.call("GET", path, agency)).json()
        assert {each["sha256"] for each in found} == {_sha256(PDF), _sha256(PNG)}
        named = {each["sha256"]: each["name"] for each in found}
        assert named == {_sha256(PDF): "准予 许可.pdf", _sha256(PNG): None}
    problem(await api.call("GET", path, "police"), 403, "not-your-task")
