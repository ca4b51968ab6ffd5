"""Signatures: by the Standard Webhooks scheme, checked by its authors' own library."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from activities.signing import signed, webhook_id
from settings import Settings

# Secret, message and signature of the scheme's own libraries' tests and examples.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"id":"示例","test":2432232314}'.encode()
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def _settings(**secrets: list[str]) -> Settings:
    return Settings.model_validate(
        {"agency_keys": {"water": "sixteen characters"}, "signing_secrets": secrets}
    )


def _keys(*secrets: str) -> tuple[bytes, ...]:
    return _settings(water=list(secrets)).secrets_of("water")


def test_the_signature_is_that_of_the_scheme() -> None:
    headers = signed(
        _keys(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_receiver_that_knows_the_secret_is_satisfied() -> None:
    headers = signed(_keys(SECRET), "message", int(time.time()), BODY)
    assert Webhook(SECRET).verify(BODY, headers)["id"] == "示例"


@pytest.mark.parametrize("known", [SECRET, OTHER])
def test_while_a_secret_is_replaced_both_the_old_and_the_new_one_will_do(known: str) -> None:
    headers = signed(_keys(OTHER, SECRET), "message", int(time.time()), BODY)
    assert headers["webhook-signature"].count("v1,") == 2
    Webhook(known).verify(BODY, headers)


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        pytest.param({}, BODY.replace(b"2", b"3", 1), id="body"),
        pytest.param({"webhook-id": "another"}, BODY, id="id"),
        pytest.param({"webhook-timestamp": str(int(time.time()) - 1)}, BODY, id="time"),
        pytest.param({"webhook-timestamp": str(int(time.time()) - 301)}, BODY, id="stale"),
    ],
)
def test_what_was_tampered_with_is_not_taken(changed: dict[str, str], body: bytes) -> None:
    headers = signed(_keys(SECRET), "message", int(time.time()), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers | changed)


def test_another_agencys_secret_does_not_satisfy() -> None:
    headers = signed(_keys(OTHER), "message", int(time.time()), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, headers)


def test_an_id_has_no_full_stops_because_they_separate_what_is_signed() -> None:
    assert webhook_id("ZJ20260000011.permits-water.1") == "ZJ20260000011:permits-water:1"
    with pytest.raises(ValueError, match="full stop"):
        signed(_keys(SECRET), "ZJ20260000011.permits-water.1", 1614265330, BODY)


@pytest.mark.rule("RB-13.3")
@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id="without prefix"),
        pytest.param("whsec_c2hvcnQ=", id="short"),
        pytest.param("whsec_" + "A" * 96, id="long"),
        pytest.param("whsec_not!base64notbase64notbase64not", id="not base64"),
        pytest.param("whsec_示例示例示例示例示例示例示例示例", id="not ASCII"),
    ],
)
def test_a_secret_that_is_none_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _keys(secret)
    assert "a secret of water is not whsec_" in str(refused.value)
    assert secret not in str(refused.value)


def test_a_secret_for_nobody_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="signing_secrets: no key for wather"):
        _settings(wather=[SECRET])


@pytest.mark.rule("RB-13.3")
def test_settings_show_no_secret() -> None:
    shown = repr(_settings(water=[SECRET]))
    assert SECRET not in shown and "MfKQ9r8G" not in shown
