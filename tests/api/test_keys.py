"""Keys of agencies' systems: made, shown once, used, signed with, replaced, revoked (RB-13.1)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from api.auth import KEY, REQUEST, SIGNATURE, TIMESTAMP
from domain.connection import TaskKind
from domain.system_keys import Request, key_of, signature_of
from tests.api.answers import problem
from tests.support.cases import HIGH, NOON, document, new_task
from tests.support.databases import SqliteFiles, attack, rows
from tests.support.serving import SERVER_SECRET, Api, api_settings, in_process

pytestmark = pytest.mark.rule("RB-13.1")

KEYS = "/api/v1/admin/keys"
TASKS = "/api/v1/tasks"
DAY = timedelta(days=1)
WANTED = {"agency": "water", "label": "水务审批系统"}


async def _made(api: Api, key: str = "make-1", **wanted: Any) -> tuple[str, str]:
    """Make a key; return its id and the whole of it."""
    body = {**WANTED, **wanted}
    answer = await api.call("POST", KEYS, "admin-1", key=key, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["key"]["id"], answer.json()["secret"]


async def _bearer(api: Api, key: str, path: str = TASKS) -> httpx2.Response:
    return await api.call("GET", path, None, headers={"Authorization": f"Bearer {key}"})


def _headers(
    key: str,
    method: str = "GET",
    target: str = TASKS,
    body: bytes = b"",
    *,
    at: datetime = NOON,
    request_id: str = "req-0000000000000001",
    **others: str,
) -> dict[str, str]:
    signed = Request(
        request_id,
        str(int(at.timestamp())),
        method,
        target.encode(),
        others.get("idempotency_key", "").encode(),
        others.get("document_name", "").encode(),
        body,
    )
    return {
        KEY: key.split("_")[1],
        REQUEST: request_id,
        TIMESTAMP: signed.timestamp,
        SIGNATURE: signature_of(signed, key),
    }


async def _shown(api: Api, query: str = "") -> list[Mapping[str, Any]]:
    answer = await api.call("GET", f"{KEYS}{query}", "admin-1")
    assert answer.status_code == 200, answer.text
    found: list[Mapping[str, Any]] = answer.json()["items"]
    return found


# ---------------------------------------------------------------- making and using


async def test_a_key_lets_its_agency_in_and_no_further(api: Api) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    for department in ("water", "police"):
        await api.casefile.open_task(
            new_task(no, TaskKind.PERMITS, department=department, items=("示例事项",))
        )
    _, key = await _made(api)
    found = (await _bearer(api, key)).json()["items"]
    assert [task["owed_by"] for task in found] == ["water"]
    others = f"{TASKS}/{no}.permits-police.1"
    problem(await _bearer(api, key, others), 403, "not-your-task")
    problem(await _bearer(api, key, f"/api/v1/applications/{no}"), 403, "not-allowed")
    problem(await _bearer(api, key, KEYS), 403, "not-allowed")


async def test_a_secret_is_shown_once_and_lies_nowhere(api: Api) -> None:
    key_id, key = await _made(api)
    again = await api.call("POST", KEYS, "admin-1", key="make-1", json=WANTED)
    assert (again.status_code, again.json()["secret"]) == (200, None)
    assert again.json()["key"]["id"] == key_id
    secret = key.removeprefix(f"ow_{key_id}_")
    on_file = json.dumps(rows(api.url), default=str)
    assert key_id in on_file
    assert secret not in on_file
    assert hashlib.sha256(key.encode()).hexdigest() not in on_file
    assert secret not in (await api.call("GET", KEYS, "admin-1")).text


async def test_another_body_under_the_same_idempotency_key_is_refused(api: Api) -> None:
    await _made(api)
    other = {**WANTED, "agency": "police"}
    answer = await api.call("POST", KEYS, "admin-1", key="make-1", json=other)
    problem(answer, 409, "key-reused")


async def test_an_agency_may_have_ten_keys_in_use_and_no_more(api: Api) -> None:
    made = [await _made(api, f"make-{n}") for n in range(10)]
    assert len({key for _, key in made}) == 10
    answer = await api.call("POST", KEYS, "admin-1", key="make-11", json=WANTED)
    problem(answer, 409, "limit-reached")
    await _made(api, "make-12", agency="police")
    await api.call("POST", f"{KEYS}/{made[0][0]}/revoke", "admin-1", json={"reason": "多余"})
    await _made(api, "make-13")


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"agency": "nobody"}, "agency"),
        ({"label": ""}, "label"),
        ({"label": "a\nb"}, "label"),
        ({"days": 0}, "days"),
        ({"days": 731}, "days"),
        ({"days": True}, "days"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_a_key_that_makes_no_sense_names_its_field(
    api: Api, wanted: dict[str, Any], field: str
) -> None:
    answer = await api.call("POST", KEYS, "admin-1", key="k", json={**WANTED, **wanted})
    assert [e["field"] for e in problem(answer, 422, "invalid-input")["errors"]] == [field]


async def test_a_key_is_used_by_the_hour_as_far_as_the_file_knows(api: Api) -> None:
    _, key = await _made(api)
    assert [each["last_used_at"] for each in await _shown(api)] == [None]
    for minutes, used in ((0, "12:00"), (59, "12:00"), (61, "13:01")):
        api.now = NOON + timedelta(minutes=minutes)
        await _bearer(api, key)
        (shown,) = await _shown(api)
        assert shown["last_used_at"] == f"2026-09-16T{used}:00+08:00"


# ---------------------------------------------------------------- ending


async def test_a_key_ends_when_it_expires(api: Api) -> None:
    _, key = await _made(api, days=1)
    api.now = NOON + DAY - timedelta(seconds=1)
    assert (await _bearer(api, key)).status_code == 200
    api.now = NOON + DAY
    refused = problem(await _bearer(api, key), 401, "not-signed-in")
    assert "has expired" in refused["detail"] and "已过期" in refused["detail_zh"]
    assert (await _shown(api), [e["state"] for e in await _shown(api, "?standing=ended")]) == (
        [],
        ["expired"],
    )


async def test_a_revoked_key_ends_at_once(api: Api) -> None:
    key_id, key = await _made(api)
    assert (await _bearer(api, key)).status_code == 200
    path = f"{KEYS}/{key_id}/revoke"
    first = await api.call("POST", path, "admin-1", json={"reason": "密钥外泄"})
    assert first.json()["state"] == "revoked"
    assert "was revoked" in problem(await _bearer(api, key), 401, "not-signed-in")["detail"]
    api.now += DAY
    again = await api.call("POST", path, "admin-2", json={"reason": "再次"})
    assert again.json()["revoked_by"] == "admin-1"
    assert again.json()["revoked_at"] == first.json()["revoked_at"]


async def test_only_who_has_a_key_is_told_that_it_has_ended(api: Api) -> None:
    key_id, key = await _made(api, days=1)
    api.now = NOON + 2 * DAY
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    told = problem(await _bearer(api, wrong), 401, "not-signed-in")
    assert told == problem(await _bearer(api, "nonsense"), 401, "not-signed-in")
    assert key_id not in json.dumps(told)


async def test_a_replaced_key_goes_on_for_the_overlap_and_then_ends(api: Api) -> None:
    old_id, old = await _made(api)
    answer = await api.call("POST", f"{KEYS}/{old_id}/rotate", "admin-2", key="r", json={})
    assert answer.status_code == 201, answer.text
    new = answer.json()["secret"]
    assert answer.json()["replaced"]["state"] == "replaced"
    assert answer.json()["replaced"]["replaced_by"] == answer.json()["key"]["id"]
    assert answer.json()["key"]["label"] == WANTED["label"]
    for key in (old, new):
        assert (await _bearer(api, key)).status_code == 200
    api.now = NOON + 7 * DAY
    assert (await _bearer(api, new)).status_code == 200
    problem(await _bearer(api, old), 401, "not-signed-in")


async def test_a_rotation_without_overlap_ends_the_old_key_now(api: Api) -> None:
    old_id, old = await _made(api)
    path, body = f"{KEYS}/{old_id}/rotate", {"overlap_days": 0}
    first = await api.call("POST", path, "admin-1", key="r", json=body)
    problem(await _bearer(api, old), 401, "not-signed-in")
    again = await api.call("POST", path, "admin-1", key="r", json=body)
    assert (again.status_code, again.json()["secret"]) == (200, None)
    assert again.json()["key"] == first.json()["key"]


async def test_an_overlap_never_makes_a_key_last_longer(api: Api) -> None:
    old_id, _ = await _made(api, days=2)
    body = {"overlap_days": 90}
    answer = await api.call("POST", f"{KEYS}/{old_id}/rotate", "admin-1", key="r", json=body)
    assert answer.json()["replaced"]["not_after"] == "2026-09-18T12:00:00+08:00"


async def test_what_has_ended_is_not_replaced(api: Api) -> None:
    key_id, _ = await _made(api)
    path = f"{KEYS}/{key_id}/rotate"
    await api.call("POST", path, "admin-1", key="r-1", json={})
    problem(await api.call("POST", path, "admin-1", key="r-2", json={}), 409, "key-ended")
    other_id, _ = await _made(api, "make-2", days=1)
    api.now += DAY
    path = f"{KEYS}/{other_id}/rotate"
    problem(await api.call("POST", path, "admin-1", key="r-3", json={}), 409, "key-ended")
    await api.call("POST", f"{KEYS}/{other_id}/revoke", "admin-1", json={"reason": "停用"})
    problem(await api.call("POST", path, "admin-1", key="r-4", json={}), 409, "key-ended")


@pytest.mark.parametrize("act", ["rotate", "revoke"])
async def test_an_unknown_key_is_not_found(api: Api, act: str) -> None:
    body = {"reason": "x"} if act == "revoke" else {}
    path = f"{KEYS}/abcdefghijkm/{act}"
    problem(await api.call("POST", path, "admin-1", key="k", json=body), 404, "unknown-key")


async def test_who_replaces_a_key_at_once_with_another_makes_one_key(api: Api) -> None:
    key_id, _ = await _made(api)
    path = f"{KEYS}/{key_id}/rotate"
    answers = await asyncio.gather(
        *(api.call("POST", path, "admin-1", key=f"r-{n}", json={}) for n in range(4))
    )
    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409]
    assert len(await _shown(api)) == 2


async def test_what_expires_soon_comes_first_and_is_counted(api: Api) -> None:
    for n, days in enumerate((300, 31, 30, 5)):
        await _made(api, f"make-{n}", days=days, label=f"{days}")
    listed = (await api.call("GET", KEYS, "admin-1")).json()
    assert [(e["label"], e["state"]) for e in listed["items"]] == [
        ("5", "expiring"),
        ("30", "expiring"),
        ("31", "active"),
        ("300", "active"),
    ]
    assert listed["expiring"] == 2
    found = await _shown(api, "?standing=expiring")
    assert [each["days_left"] for each in found] == [5, 30]
    # What was replaced needs nobody any more.
    path = f"{KEYS}/{found[0]['id']}/rotate"
    assert (await api.call("POST", path, "admin-1", key="r", json={})).status_code == 201
    assert [e["days_left"] for e in await _shown(api, "?standing=expiring")] == [30]
    assert await _shown(api, "?agency=police") == []


async def test_keys_are_paged(api: Api) -> None:
    for n in range(5):
        await _made(api, f"make-{n}", days=100 + n // 2, label=str(n))
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await api.call("GET", f"{KEYS}?limit=2{cursor}", "admin-1")).json()
        seen += [each["label"] for each in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (sorted(seen), page["next_cursor"]) == (["0", "1", "2", "3", "4"], None)
    problem(await api.call("GET", f"{KEYS}?cursor=MXwy", "admin-1"), 422, "invalid-input")


async def test_each_act_is_on_the_administrators_record_without_a_secret(api: Api) -> None:
    key_id, key = await _made(api)
    path = f"{KEYS}/{key_id}/rotate"
    new = (await api.call("POST", path, "admin-2", key="r", json={})).json()
    await api.call("POST", f"{KEYS}/{key_id}/revoke", "admin-1", json={"reason": "外泄"})
    answer = await api.call("GET", "/api/v1/admin/acts?thing=key", "admin-1")
    acts = answer.json()["items"]
    assert [(each["act"], each["by"], each["subject"]) for each in acts] == [
        ("key.revoked", "admin-1", key_id),
        ("key.rotated", "admin-2", key_id),
        ("key.made", "admin-1", key_id),
    ]
    assert acts[0]["details"]["reason"] == "外泄"
    assert acts[1]["details"]["replaced_by"] == new["key"]["id"]
    for secret in (key, new["secret"]):
        assert secret.split("_", 2)[2] not in answer.text
    assert await api.first_break() is None


# ---------------------------------------------------------------- the server's secret


@pytest.fixture
def bare_url(sqlite_databases: SqliteFiles) -> Iterator[str]:
    with sqlite_databases.migrated() as url:
        yield url


async def test_without_the_servers_secret_keys_on_file_are_off(bare_url: str) -> None:
    async with in_process(api_settings(bare_url)) as api:
        api.now = NOON
        _, key = await _made(api)
    async with in_process(api_settings(bare_url, server_secret=None)) as api:
        api.now = NOON
        listed = (await api.call("GET", KEYS, "admin-1")).json()
        assert (listed["on"], [e["state"] for e in listed["items"]]) == (False, ["unusable"])
        answer = await api.call("POST", KEYS, "admin-1", key="k", json=WANTED)
        assert "ONEWINDOW_SERVER_SECRET" in problem(answer, 409, "keys-off")["detail"]
        told = problem(await _bearer(api, key), 401, "not-signed-in")
        assert "ONEWINDOW_SERVER_SECRET" in told["detail"]
        assert (await api.call("GET", TASKS, "water")).status_code == 200


async def test_under_another_server_secret_a_key_is_unusable_and_shown_so(bare_url: str) -> None:
    async with in_process(api_settings(bare_url)) as api:
        api.now = NOON
        _, key = await _made(api)
    other = SecretStr("another-secret-of-the-server-in-tests")
    async with in_process(api_settings(bare_url, server_secret=other)) as api:
        api.now = NOON
        problem(await _bearer(api, key), 401, "not-signed-in")
        assert [each["state"] for each in await _shown(api)] == ["unusable"]


async def test_a_row_moved_to_another_agency_fits_no_secret(api: Api) -> None:
    _, key = await _made(api)
    assert (await _bearer(api, key)).status_code == 200
    attack(api.url, [lambda db: db.exec_driver_sql("UPDATE system_keys SET agency = 'desk'")])
    problem(await _bearer(api, key), 401, "not-signed-in")


# ---------------------------------------------------------------- signing


async def test_a_signed_request_lets_its_agency_in(api: Api) -> None:
    _, key = await _made(api)
    target = f"{TASKS}?state=open&limit=1"
    answer = await api.call("GET", target, None, headers=_headers(key, target=target))
    assert answer.status_code == 200, answer.text


async def test_a_signed_body_and_its_idempotency_key_are_taken_as_signed(api: Api) -> None:
    _, key = await _made(api, agency="desk", label="窗口系统")
    path, body = "/api/v1/applications", json.dumps(HIGH).encode()

    async def sent(signed_for: str, shown: str, request_id: str) -> httpx2.Response:
        signed = _headers(
            key, "POST", path, body, request_id=request_id, idempotency_key=signed_for
        )
        headers = {**signed, "Content-Type": "application/json", "Idempotency-Key": shown}
        return await api.call("POST", path, None, headers=headers, content=body)

    assert (await sent("one", "one", "req-0000000000000001")).status_code == 202
    problem(await sent("one", "two", "req-0000000000000002"), 401, "not-signed-in")


async def test_a_signature_is_taken_once(api: Api) -> None:
    _, key = await _made(api)
    headers = _headers(key)
    assert (await api.call("GET", TASKS, None, headers=headers)).status_code == 200
    for later in (0, 4 * 60):
        api.now = NOON + timedelta(seconds=later)
        told = problem(await api.call("GET", TASKS, None, headers=headers), 401, "not-signed-in")
        assert "was taken before" in told["detail"]


async def test_of_the_same_signature_sent_at_once_one_is_taken(api: Api) -> None:
    _, key = await _made(api)
    headers = _headers(key)
    answers = await asyncio.gather(
        *(api.call("GET", TASKS, None, headers=headers) for _ in range(8))
    )
    assert sorted(each.status_code for each in answers) == [200] + [401] * 7


@pytest.mark.parametrize(
    ("skew", "status"), [(-301, 401), (-300, 200), (0, 200), (300, 200), (301, 401)]
)
async def test_a_signatures_time_may_be_five_minutes_off(api: Api, skew: int, status: int) -> None:
    _, key = await _made(api)
    headers = _headers(key, at=NOON + timedelta(seconds=skew))
    answer = await api.call("GET", TASKS, None, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert str(int(NOON.timestamp())) in problem(answer, 401, "not-signed-in")["detail"]


async def test_a_signature_that_is_forgotten_is_too_old_by_then(api: Api) -> None:
    _, key = await _made(api)
    ahead = _headers(key, at=NOON + timedelta(minutes=5))
    assert (await api.call("GET", TASKS, None, headers=ahead)).status_code == 200
    for minutes in range(1, 12):
        api.now = NOON + timedelta(minutes=minutes)
        # Each of these forgets what is too old.
        other = _headers(key, at=api.now, request_id=f"other-{minutes:016}")
        assert (await api.call("GET", TASKS, None, headers=other)).status_code == 200
        problem(await api.call("GET", TASKS, None, headers=ahead), 401, "not-signed-in")
    left = {row[1] for row in rows(api.url)["signed_requests"]}
    assert "req-0000000000000001" not in left


async def test_a_signature_whose_body_takes_too_long_to_come_is_too_old(api: Api) -> None:
    _, key = await _made(api)
    headers = _headers(key)

    async def slowly() -> AsyncIterator[bytes]:
        # Begun in time, and by now what was taken before is forgotten.
        api.now = NOON + timedelta(minutes=11)
        yield b""

    answer = await api.call("GET", TASKS, None, headers=headers, content=slowly())
    assert "within 300 seconds" in problem(answer, 401, "not-signed-in")["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{TASKS}?limit=1&state=open", b""),
        ("GET", f"{TASKS}?state=open", b""),
        ("GET", f"{TASKS}?state=open&limit=%31", b""),
        ("GET", f"{TASKS}%3Fstate=open&limit=1", b""),
        ("GET", "/api/v1/notices?state=open&limit=1", b""),
        ("GET", f"{TASKS}?state=open&limit=1", b"{}"),
        ("PUT", f"{TASKS}?state=open&limit=1", b""),
    ],
)
async def test_nothing_of_a_signed_request_can_be_changed(
    api: Api, method: str, path: str, body: bytes
) -> None:
    _, key = await _made(api)
    headers = _headers(key, target=f"{TASKS}?state=open&limit=1")
    answer = await api.call(method, path, None, headers=headers, content=body)
    assert answer.status_code in (401, 404, 405, 422), answer.text
    whole = f"{TASKS}?state=open&limit=1"
    assert (await api.call("GET", whole, None, headers=headers)).status_code == 200


async def test_a_document_put_by_a_signed_request_is_the_one_that_was_signed(api: Api) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    task = await api.casefile.open_task(
        new_task(no, TaskKind.PERMITS, department="water", items=("示例事项",))
    )
    _, key = await _made(api)
    put = document()
    path = f"{TASKS}/{task.id}/documents/{put.sha256}"

    async def sent(content: bytes, name: str, request_id: str) -> httpx2.Response:
        signed = _headers(
            key, "PUT", path, put.content, request_id=request_id, document_name="a.pdf"
        )
        headers = {**signed, "Content-Type": put.media_type, "X-Document-Name": name}
        return await api.call("PUT", path, None, headers=headers, content=content)

    request_id = "req-0000000000000001"
    problem(await sent(put.content + b"x", "a.pdf", request_id), 401, "not-signed-in")
    problem(await sent(put.content, "b.pdf", request_id), 401, "not-signed-in")
    assert (await sent(put.content, "a.pdf", request_id)).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {KEY: "abcdefghijkm"},
        {KEY: "x"},
        {REQUEST: "req-0000000000000002"},
        {REQUEST: "short"},
        {REQUEST: "a" * 65},
        {TIMESTAMP: str(int(NOON.timestamp()) + 1)},
        {TIMESTAMP: "now"},
        {TIMESTAMP: "-1"},
        {TIMESTAMP: "9" * 40},
        {SIGNATURE: "v1,"},
        {SIGNATURE: ""},
        {SIGNATURE: "v2,AAAA"},
        {"Authorization": "Bearer test-key-of-water"},
    ],
)
async def test_a_signature_that_is_not_right_lets_nobody_in(
    api: Api, change: dict[str, str]
) -> None:
    _, key = await _made(api)
    headers = {**_headers(key), **change}
    problem(await api.call("GET", TASKS, None, headers=headers), 401, "not-signed-in")


@pytest.mark.parametrize("missing", [KEY, REQUEST, TIMESTAMP, SIGNATURE])
async def test_a_signature_without_a_part_names_it(api: Api, missing: str) -> None:
    _, key = await _made(api)
    headers = {name: value for name, value in _headers(key).items() if name != missing}
    told = problem(await api.call("GET", TASKS, None, headers=headers), 401, "not-signed-in")
    assert missing in told["detail"]


@pytest.mark.parametrize("twice", [KEY, REQUEST, TIMESTAMP, SIGNATURE, "Idempotency-Key"])
async def test_a_signed_header_that_is_given_twice_is_refused(api: Api, twice: str) -> None:
    _, key = await _made(api)
    headers = {**_headers(key), "Idempotency-Key": ""}
    doubled = [*headers.items(), (twice, headers[twice])]
    transport = httpx2.ASGITransport(api.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://onewindow") as client:
        answer = await client.get(TASKS, headers=doubled)
    assert twice in problem(answer, 401, "not-signed-in")["detail"]


async def test_another_agencys_key_signs_for_itself_only(api: Api) -> None:
    water_id, _ = await _made(api)
    _, police = await _made(api, "make-2", agency="police", label="公安系统")
    headers = {**_headers(police), KEY: water_id}
    problem(await api.call("GET", TASKS, None, headers=headers), 401, "not-signed-in")
    guessed = key_of("guessed-secret-of-a-server-0123456789", water_id, "water")
    problem(await api.call("GET", TASKS, None, headers=_headers(guessed)), 401, "not-signed-in")


async def test_what_an_ended_key_signs_is_refused(api: Api) -> None:
    key_id, key = await _made(api)
    await api.call("POST", f"{KEYS}/{key_id}/revoke", "admin-1", json={"reason": "外泄"})
    told = problem(await api.call("GET", TASKS, None, headers=_headers(key)), 401, "not-signed-in")
    assert "was revoked" in told["detail"]
    assert rows(api.url)["signed_requests"] == ()


async def test_who_cannot_sign_fills_no_memory(api: Api) -> None:
    key_id, _ = await _made(api)
    forged = key_of(SERVER_SECRET[::-1], key_id, "water")
    for n in range(3):
        headers = _headers(forged, request_id=f"forged-{n:016}")
        problem(await api.call("GET", TASKS, None, headers=headers), 401, "not-signed-in")
    assert rows(api.url)["signed_requests"] == ()


def test_the_text_that_is_signed_is_the_one_of_the_guide() -> None:
    request = Request(
        "req-0000000000000001",
        "1789531200",
        "POST",
        b"/api/v1/tasks?x=1",
        b"idem",
        b"",
        b"{}",
    )
    assert request.signed_text.decode() == (
        "onewindow.1\nreq-0000000000000001\n1789531200\nPOST\n/api/v1/tasks?x=1\nidem\n\n"
        + hashlib.sha256(b"{}").hexdigest()
    )
    assert datetime.fromtimestamp(1789531200, UTC) == NOON
