"""Whatever is sent, the answer is a refusal that can be read, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.app import build_app
from tests.api.answers import problem
from tests.support.cases import HIGH, LOW, changed, new_task
from tests.support.databases import SqliteFiles, counts, rows
from tests.support.serving import Api, api_settings, authorization, in_process, listening

SUBMIT = "/api/v1/applications"
LIMIT = 4096


def _text(body: object) -> bytes:
    return json.dumps(body).encode()


def _within(path: str, value: str) -> bytes:
    """Spell HIGH with the field at `path` set to raw JSON, which Python might not write."""
    return _text(changed(HIGH, path, "?")).replace(b'"?"', value.encode(), 1)


BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 422, "invalid-input"),
    "no JSON": (b"{", 400, "malformed-json"),
    "half of it": (_text(HIGH)[:-10], 400, "malformed-json"),
    "two at once": (_text(HIGH) * 2, 400, "malformed-json"),
    "bytes that are no text": (b'{"channel": "\xff\xfe"}', 400, "malformed-json"),
    "another encoding": (json.dumps(HIGH, ensure_ascii=False).encode("gbk"), 400, "malformed-json"),
    "a number with a million digits": (
        _within("capacity_kva", "9" * 200_000),
        400,
        "malformed-json",
    ),
    "a number beyond all measure": (_within("capacity_kva", "1e999"), 422, "invalid-input"),
    "a large whole number": (_within("capacity_kva", "9" * 400), 422, "invalid-input"),
    "not a number": (_within("capacity_kva", "NaN"), 422, "invalid-input"),
    "infinity": (_within("capacity_kva", "-Infinity"), 422, "invalid-input"),
    "a list as deep as a well": (b"[" * 100_000 + b"]" * 100_000, 400, "malformed-json"),
    "objects as deep as a well": (
        _within("site", '{"site":' * 20_000 + "1" + "}" * 20_000),
        400,
        "malformed-json",
    ),
    "a lone surrogate in a name": (
        _within("applicant.name", r'"\ud800"'),
        422,
        "invalid-input",
    ),
    "a lone surrogate in a choice": (_within("channel", r'"\udfff"'), 422, "invalid-input"),
    "a lone surrogate in a number": (
        _within("applicant.id_number", r'"91440802MA00000\ud83d"'),
        422,
        "invalid-input",
    ),
    "a lone surrogate as a field": (
        _text(HIGH)[:-1] + rb', "\ud800": 1}',
        422,
        "invalid-input",
    ),
    "a NUL in a name": (_within("applicant.name", r'"a\u0000b"'), 422, "invalid-input"),
    "a NUL as a field": (_text(HIGH)[:-1] + rb', "\u0000": 1}', 422, "invalid-input"),
    "an object for a text": (_within("applicant.name", "{}"), 422, "invalid-input"),
    "a list for an object": (_within("applicant", "[]"), 422, "invalid-input"),
    "an object for a choice": (_within("voltage", '{"high": 1}'), 422, "invalid-input"),
    "a thousand documents": (
        _text(changed(HIGH, "documents", [LOW["documents"][0]] * 1000)),
        422,
        "invalid-input",
    ),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_hostile_body_is_refused(api: Api, name: str) -> None:
    body, status, slug = BODIES[name]
    answer = await api.call(
        "POST",
        SUBMIT,
        key="key-1",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    problem(answer, status, slug)
    assert set(counts(api.url).values()) == {0}


@pytest.mark.parametrize("name", BODIES)
async def test_a_hostile_outcome_is_refused(api: Api, name: str) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    task = (await api.casefile.open_task(new_task(no))).id
    before = rows(api.url)
    body, status, slug = BODIES[name]
    answer = await api.call(
        "PUT",
        f"/api/v1/tasks/{task}/outcome",
        content=body.replace(b'"channel"', b'"code"').replace(b'"name"', b'"note"'),
        headers={"Content-Type": "application/json"},
    )
    problem(answer, status, slug)
    assert rows(api.url) == before


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code": "\ud800"}, "code"),
        ({"code": "declined", "note": "\ud800"}, "note"),
        ({"code": "correction_needed", "missing": ["\ud800"]}, "missing.0"),
        ({"code": "accepted", "\ud800": 1}, "(body)"),
    ],
)
async def test_a_lone_surrogate_in_an_outcome_names_its_field(
    api: Api, values: dict[str, Any], field: str
) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    task = (await api.casefile.open_task(new_task(no))).id
    refused = problem(await api.answer(task, values), 422, "invalid-input")
    assert [error["field"] for error in refused["errors"]] == [field]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "/",
        "a/b",
    ],
)
async def test_a_body_of_another_type_is_refused(api: Api, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await api.call("POST", SUBMIT, key="key-1", content=_text(HIGH), headers=headers)
    problem(answer, 422, "invalid-input")
    assert set(counts(api.url).values()) == {0}


@pytest.mark.parametrize("key", [b"\xff", "号".encode(), b"a\x00b", b"\x7f"])
async def test_a_hostile_key_is_refused(api: Api, key: bytes) -> None:
    headers: Any = {"Idempotency-Key": key}
    answer = await api.call("POST", SUBMIT, json=HIGH, headers=headers)
    problem(answer, 422, "invalid-input")
    assert set(counts(api.url).values()) == {0}


@pytest.fixture
async def limited(url: str) -> AsyncIterator[Api]:
    async with in_process(api_settings(url, body_limit_bytes=LIMIT)) as running:
        yield running


def _padded(size: int) -> bytes:
    """Spell HIGH in exactly `size` bytes."""
    text = _text(HIGH)
    return text + b" " * (size - len(text))


async def _in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 512):
        yield body[start : start + 512]


JSON = {"Content-Type": "application/json"}


async def test_a_body_at_the_limit_is_taken(limited: Api) -> None:
    for key, body in (("1", _padded(LIMIT)), ("2", _in_chunks(_padded(LIMIT)))):
        answer = await limited.call("POST", SUBMIT, key=key, content=body, headers=JSON)
        assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(limited: Api, is_chunked: bool) -> None:
    body = _padded(LIMIT + 1)
    answer = await limited.call(
        "POST",
        SUBMIT,
        key="key-1",
        content=_in_chunks(body) if is_chunked else body,
        headers=JSON,
    )
    refused = problem(answer, 413, "body-too-large")
    assert refused["limit_bytes"] == LIMIT
    assert set(counts(limited.url).values()) == {0}


async def test_a_body_that_belies_its_length_is_refused(limited: Api) -> None:
    headers = {**JSON, "Content-Length": "10"}
    answer = await limited.call(
        "POST", SUBMIT, key="key-1", content=_in_chunks(_padded(LIMIT * 4)), headers=headers
    )
    assert 400 <= answer.status_code < 500
    assert set(counts(limited.url).values()) == {0}


@pytest.fixture
def address(sqlite_databases: SqliteFiles) -> Iterator[tuple[str, str]]:
    with sqlite_databases.migrated() as url:
        app = build_app(api_settings(url, body_limit_bytes=LIMIT))
        with listening(app) as base:
            yield base, url


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_over_the_limit_is_refused_on_the_wire(
    address: tuple[str, str], is_chunked: bool
) -> None:
    base, url = address
    body = _padded(LIMIT + 1)
    pieces = (body[start : start + 512] for start in range(0, len(body), 512))
    answer = httpx2.post(
        f"{base}{SUBMIT}",
        content=pieces if is_chunked else body,
        headers={**authorization("desk"), **JSON, "Idempotency-Key": "key-1"},
    )
    assert ("transfer-encoding" in answer.request.headers) is is_chunked
    problem(answer, 413, "body-too-large")
    assert set(counts(url).values()) == {0}


def test_the_limit_is_stated_in_the_settings(tmp_path: Path) -> None:
    settings = api_settings(f"sqlite:///{tmp_path / 'x.db'}")
    assert settings.body_limit_bytes == 262_144
