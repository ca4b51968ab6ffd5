"""The sandbox takes only what is signed for its agencies, and takes changes once."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx2
import orjson
import pytest

from activities.signing import signed
from api.webhooks import EVENT_EXAMPLES
from sandbox.__main__ import main
from sandbox.app import create_app
from sandbox.faults import Faults
from sandbox.peer import Conduct, Peer
from tests.system.test_sandbox import KEYS, a_task, judgement

OLD, NEW, ANOTHERS = (bytes([number]) * 32 for number in (1, 2, 3))
EVENT = EVENT_EXAMPLES["ChangeEvent"]


def whsec(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


@pytest.fixture
def peer() -> Peer:
    conduct = Conduct(7, 1, False, 0)
    faults = Faults(7, KEYS)
    secrets = {"water": [whsec(NEW), whsec(OLD)]}
    return Peer(KEYS, conduct, judgement(), faults, "http://127.0.0.1:1", secrets)


async def send(
    peer: Peer,
    method: str,
    path: str,
    body: Any,
    *,
    signed_by: bytes | None = NEW,
    sent_at: float = 0,
    key: str = KEYS["water"],
    tampered: bytes | None = None,
) -> int:
    """Send a message to the department of water; return the status of the answer."""
    content = orjson.dumps(body)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if signed_by is not None:
        headers |= signed([signed_by], "message", int(time.time() + sent_at), content)
    transport = httpx2.ASGITransport(create_app(peer))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        answer = await client.request(
            method, f"/water/{path}", headers=headers, content=tampered or content
        )
    return answer.status_code


async def push(peer: Peer, task: dict[str, Any], **how: Any) -> int:
    return await send(peer, "PUT", f"tasks/{task['id']}", task, **how)


async def tell(peer: Peer, event: Any, **how: Any) -> int:
    return await send(peer, "POST", "events", event, **how)


@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_what_is_signed_with_either_secret_is_taken(peer: Peer, secret: bytes) -> None:
    assert await push(peer, a_task("permits", "water"), signed_by=secret) == 202
    assert await tell(peer, EVENT, signed_by=secret) == 204


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"signed_by": None}, id="not signed"),
        pytest.param({"signed_by": ANOTHERS}, id="another's secret"),
        pytest.param({"sent_at": -301}, id="stale"),
        pytest.param({"sent_at": 302}, id="from the future"),
        pytest.param({"tampered": b"{}"}, id="tampered with"),
        pytest.param({"key": KEYS["police"]}, id="another's key"),
    ],
)
async def test_anything_else_is_refused(peer: Peer, how: dict[str, Any]) -> None:
    assert await push(peer, a_task("permits", "water"), **how) == 401
    assert await tell(peer, EVENT, **how) == 401
    counted = "unauthorised" if "key" in how else "unsigned"
    assert peer.counts["water"] == {counted: 2}


async def test_without_secrets_the_key_is_enough(peer: Peer) -> None:
    peer.secrets = {}
    assert await push(peer, a_task("permits", "water"), signed_by=None) == 202


async def test_the_same_event_is_counted_once(peer: Peer) -> None:
    for _ in range(3):
        assert await tell(peer, EVENT) == 204
    assert peer.counts["water"] == {"events": 1, "events_repeated": 2}


async def test_what_was_withdrawn_is_not_answered_any_more(peer: Peer) -> None:
    task = a_task("permits", "water")
    await push(peer, task)
    assert peer.state()["agencies"]["water"]["pending"] == 1  # type: ignore[index]
    data = {**EVENT["data"], "task_id": task["id"]}
    await tell(peer, {**EVENT, "data": data})
    assert peer.state()["agencies"]["water"]["pending"] == 0  # type: ignore[index]


@pytest.mark.parametrize(
    "event",
    [[], {}, {**EVENT, "specversion": "0.3"}, {**EVENT, "data": None}, {**EVENT, "id": 1}],
)
async def test_what_is_no_event_is_refused_with_its_field(peer: Peer, event: Any) -> None:
    assert await tell(peer, event) == 422


@pytest.mark.parametrize("content", ["[]", '{"water": ["secret"]}', '{"water": [1]}', "{"])
def test_a_file_of_secrets_that_is_none_is_refused(
    content: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, secrets = tmp_path / "keys.json", tmp_path / "secrets.json"
    keys.write_text('{"water": "key"}')
    secrets.write_text(content)
    with pytest.raises(SystemExit):
        main(["--keys-file", str(keys), "--secrets-file", str(secrets), "--port", "0"])
    said = capsys.readouterr().err
    assert "whsec_" in said or "JSON" in said or "Expecting" in said
