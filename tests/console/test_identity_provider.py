"""Signing in through the city's identity provider: who gets in, and who does not."""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from pydantic import SecretStr, ValidationError

from console import identity_provider as oidc
from console.guard import SESSION
from console.provider_sign_in import RETURN
from console.tries import Tries
from domain.accounts import FAILURES_UNTIL_LOCKED, NewAccount, ProviderIdentity, StaffRole
from settings import Settings
from storage.provider_requests import WITHIN
from tests.console.office import PASSWORD, Office, Visit, opened
from tests.support.databases import rows
from tests.support.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    Claims,
    Lies,
    TestProvider,
    identity_provider,
)

SUBJECT = "staff-0001"
WAYS_IN = "/sign-in/provider"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestProvider]:
    with identity_provider(monkeypatch) as running:
        yield running


@pytest.fixture
async def office(url: str, provider: TestProvider) -> AsyncIterator[Office]:
    """An office of a city with a provider; its clock is the provider's."""
    async with opened(
        url,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(CLIENT_SECRET),
        oidc_name="示例市统一身份认证",
    ) as running:
        running.api.now = datetime.now(UTC)
        yield running


@pytest.fixture
async def linked(office: Office, provider: TestProvider) -> Office:
    """The office, in which `desk-1` is `SUBJECT` at the provider."""
    await office.hire("desk-1")
    await office.accounts.link(
        "desk-1", ProviderIdentity(provider.issuer, SUBJECT), at=office.api.now
    )
    return office


async def _begin(visit: Visit, next_page: str = "") -> str:
    """Follow the link of the sign-in page; return where it leads."""
    await visit.get("/sign-in")
    answer = await visit.get(WAYS_IN, params={"next": next_page} if next_page else None)
    assert answer.status_code == 303, answer.text
    address: str = answer.headers["location"]
    return address


async def _sign_in(
    visit: Visit, provider: TestProvider, subject: str | None = SUBJECT, next_page: str = ""
) -> httpx2.Response:
    return await visit.client.get(provider.consent(await _begin(visit, next_page), subject))


async def _is_in(visit: Visit) -> bool:
    return (await visit.get("/cases")).status_code == 200


def _parameters(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


# ---------------------------------------------------------------- who gets in


@pytest.mark.rule("RB-13.1")
async def test_whom_the_provider_names_gets_in_under_the_account_linked_to_them(
    linked: Office, provider: TestProvider
) -> None:
    visit = linked.visit()
    answer = await _sign_in(visit, provider)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    assert await _is_in(visit)
    assert "示例 desk-1" in (await visit.get("/cases")).text


async def test_the_request_names_no_more_than_it_must(
    linked: Office, provider: TestProvider
) -> None:
    address = await _begin(linked.visit())
    assert address.startswith(f"{provider.issuer}/oauth2/authorize?")
    sent = _parameters(address)
    assert len(sent.pop("state")) >= 43
    assert len(sent.pop("nonce")) >= 43
    assert len(sent.pop("code_challenge")) == 43
    assert sent == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": f"http://onewindow{RETURN}",
        "scope": "openid",
        "code_challenge_method": "S256",
    }


async def test_the_code_is_redeemed_with_its_verifier_and_our_secret(
    linked: Office, provider: TestProvider
) -> None:
    await _sign_in(linked.visit(), provider)
    (form,) = provider.token_requests
    assert form["grant_type"] == "authorization_code"
    assert form["redirect_uri"] == f"http://onewindow{RETURN}"
    assert len(form["code_verifier"]) >= 43
    assert CLIENT_SECRET not in form.values(), "it goes in the header, where nobody logs it"


async def test_one_comes_back_to_what_was_asked_for(linked: Office, provider: TestProvider) -> None:
    answer = await _sign_in(linked.visit(), provider, next_page="/console/cases?state=open")
    assert answer.headers["location"] == "/console/cases?state=open"


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org/", "/\\example.org", "javascript:alert(1)"]
)
async def test_nobody_is_led_elsewhere(
    linked: Office, provider: TestProvider, elsewhere: str
) -> None:
    answer = await _sign_in(linked.visit(), provider, next_page=elsewhere)
    assert answer.headers["location"] == "/console/"


async def test_the_page_offers_the_provider_by_its_name(office: Office) -> None:
    visit = office.visit()
    shown = (await visit.get("/sign-in?next=/console/cases")).text
    assert "示例市统一身份认证" in shown
    assert 'href="/console/sign-in/provider?next=%2Fconsole%2Fcases"' in shown


async def test_a_session_through_the_provider_is_a_new_one(
    linked: Office, provider: TestProvider
) -> None:
    visit = linked.visit()
    planted = "a token that somebody else knows"
    visit.client.cookies.set(SESSION, planted)
    await _sign_in(visit, provider)
    tokens = {each.value for each in visit.client.cookies.jar if each.name == SESSION}
    assert len(tokens - {planted}) == 1
    thief = linked.visit()
    thief.client.cookies.set(SESSION, planted)
    assert not await _is_in(thief)


async def test_a_password_that_others_have_seen_is_no_matter_to_who_came_without_it(
    office: Office, provider: TestProvider
) -> None:
    await office.hire("desk-1", must_change=True)
    who = ProviderIdentity(provider.issuer, SUBJECT)
    await office.accounts.link("desk-1", who, at=office.api.now)
    visit = office.visit()
    await _sign_in(visit, provider)
    assert await _is_in(visit)
    by_password = office.visit()
    await by_password.sign_in("desk-1")
    assert not await _is_in(by_password)


async def test_an_account_without_a_password_gets_in_through_the_provider_only(
    office: Office, provider: TestProvider
) -> None:
    new = NewAccount("desk-7", "示例 desk-7", "desk", StaffRole.DESK)
    await office.accounts.add(new, None, at=office.api.now)
    who = ProviderIdentity(provider.issuer, SUBJECT)
    await office.accounts.link("desk-7", who, at=office.api.now)
    for guess in ("", PASSWORD, "!"):
        assert await office.accounts.sign_in("desk-7", guess, at=office.api.now) is None
    visit = office.visit()
    await _sign_in(visit, provider)
    assert await _is_in(visit)
    assert "没有本系统密码" in (await visit.get("/password")).text


async def test_a_lock_of_the_password_locks_nobody_out_of_the_provider(
    linked: Office, provider: TestProvider
) -> None:
    for _ in range(FAILURES_UNTIL_LOCKED):
        await linked.accounts.sign_in("desk-1", "a guess", at=linked.api.now)
    assert await linked.accounts.sign_in("desk-1", PASSWORD, at=linked.api.now) is None
    visit = linked.visit()
    await _sign_in(visit, provider)
    assert await _is_in(visit)


async def test_the_password_still_does(linked: Office) -> None:
    visit = linked.visit()
    assert (await visit.sign_in("desk-1")).status_code == 303
    assert await _is_in(visit)


# ---------------------------------------------------------------- who does not, and why


async def _refused(
    office: Office, provider: TestProvider, said: str, subject: str | None = SUBJECT
) -> httpx2.Response:
    visit = office.visit()
    answer = await _sign_in(visit, provider, subject)
    assert answer.status_code in (403, 502, 503), answer.text
    assert said in answer.text
    assert not await _is_in(visit)
    assert SESSION not in visit.client.cookies
    return answer


@pytest.mark.rule("RB-13.1")
async def test_somebody_without_an_account_gets_no_rights_and_is_told_whom_to_ask(
    linked: Office, provider: TestProvider
) -> None:
    shown = await _refused(linked, provider, "没有账号与它关联", subject="staff-0002")
    assert "staff-0002" in shown.text
    assert len(await linked.accounts.every()) == 1, "no account was made"


async def test_the_same_name_at_another_provider_is_somebody_else(
    office: Office, provider: TestProvider
) -> None:
    await office.hire("desk-1")
    other = ProviderIdentity("https://id.example.org", SUBJECT)
    await office.accounts.link("desk-1", other, at=office.api.now)
    await _refused(office, provider, "没有账号与它关联")


async def test_a_disabled_account_lets_nobody_in(linked: Office, provider: TestProvider) -> None:
    await linked.accounts.disable("desk-1", at=linked.api.now)
    await _refused(linked, provider, "已停用")


async def test_who_does_not_agree_is_not_in(linked: Office, provider: TestProvider) -> None:
    await _refused(linked, provider, "没有同意登录", subject=None)


async def test_why_is_told_in_english_too(linked: Office, provider: TestProvider) -> None:
    visit = linked.visit()
    await visit.get("/language/en")
    answer = await _sign_in(visit, provider, None)
    assert "You did not agree at the identity provider" in answer.text


@pytest.mark.parametrize("when", ["begin", "return"])
@pytest.mark.parametrize("how", ["closed", "status", "slow"])
async def test_the_password_works_while_the_provider_is_away(
    linked: Office,
    provider: TestProvider,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    how: str,
) -> None:
    monkeypatch.setattr(oidc, "TIMEOUT_S", 0.3)
    visit = linked.visit()
    back = ""
    if when == "return":
        back = provider.consent(await _begin(visit), SUBJECT)
    lies = {
        "closed": Lies(metadata=lambda found: found),
        "status": Lies(status=503),
        "slow": Lies(delay_s=0.8),
    }
    provider.lies = lies[how]
    if how == "closed":
        found = linked.console.state.provider._found
        linked.console.state.provider = oidc.IdentityProvider(
            oidc.Client("http://127.0.0.1:1", CLIENT_ID, CLIENT_SECRET, "示例")
        )
        if when == "return":
            gone = {**found.metadata, "token_endpoint": "http://127.0.0.1:1/token"}
            linked.console.state.provider._found = oidc._Found(gone, found.keys, found.at)
    began = time.monotonic()
    if when == "begin":
        await visit.get("/sign-in")
        answer = await visit.get(WAYS_IN)
    else:
        answer = await visit.client.get(back)
    assert time.monotonic() - began < 3
    assert answer.status_code == 503
    assert "暂时无法连接身份认证平台" in answer.text
    visit._look(answer)
    signed_in = await visit.post("/sign-in", {"account": "desk-1", "password": PASSWORD})
    assert signed_in.status_code == 303, "with the form of that very page"


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_clocks_that_differ_by_more_than_a_little_are_named(
    linked: Office, provider: TestProvider, minutes: int
) -> None:
    provider.lies = Lies(claims=lambda claims: {**claims, "exp": claims["iat"] + 60})
    linked.api.now += timedelta(minutes=minutes)
    await _refused(linked, provider, "时钟不一致")


@pytest.mark.parametrize("seconds", [-90, 90])
async def test_clocks_that_differ_a_little_do_no_harm(
    linked: Office, provider: TestProvider, seconds: int
) -> None:
    linked.api.now += timedelta(seconds=seconds)
    answer = await _sign_in(linked.visit(), provider)
    assert answer.status_code == 303


# ---------------------------------------------------------------- answers sent twice, or by others


async def test_an_answer_is_taken_once(linked: Office, provider: TestProvider) -> None:
    visit = linked.visit()
    back = provider.consent(await _begin(visit), SUBJECT)
    cookies = dict(visit.client.cookies)
    assert (await visit.client.get(back)).status_code == 303
    again = linked.visit()
    again.client.cookies.update(cookies)
    answer = await again.client.get(back)
    assert answer.status_code == 403
    assert "已使用过" in answer.text
    assert not await _is_in(again)
    assert len(provider.token_requests) == 1, "the provider was not even asked"


async def test_two_windows_that_sign_in_at_once_both_end_up_signed_in(
    linked: Office, provider: TestProvider
) -> None:
    visit = linked.visit()
    first = provider.consent(await _begin(visit), SUBJECT)
    second = provider.consent(await _begin(visit), SUBJECT)
    assert (await visit.client.get(second)).status_code == 303
    answer = await visit.client.get(first)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    assert await _is_in(visit)


@pytest.mark.parametrize("state", ["", "x", "\u00e4" * 40])
async def test_an_answer_nobody_asked_for_lets_nobody_in(
    linked: Office, provider: TestProvider, state: str
) -> None:
    visit = linked.visit()
    await visit.get("/sign-in")
    answer = await visit.get(f"{WAYS_IN}/return", params={"state": state, "code": "x"})
    assert answer.status_code == 403
    assert provider.token_requests == []


async def test_somebody_elses_answer_does_not_sign_me_in_as_them(
    linked: Office, provider: TestProvider
) -> None:
    attacker, victim = linked.visit(), linked.visit()
    back = provider.consent(await _begin(attacker), SUBJECT)
    await _begin(victim)
    answer = await victim.client.get(back)
    assert answer.status_code == 403
    assert not await _is_in(victim)
    assert provider.token_requests == []
    assert (await attacker.client.get(back)).status_code == 403, "used up by the attempt"


@pytest.mark.parametrize("ignores_pkce", [False, True])
async def test_a_stolen_code_is_worth_nothing_in_another_visit(
    linked: Office, provider: TestProvider, ignores_pkce: bool
) -> None:
    provider.lies = Lies(ignores_pkce=ignores_pkce)  # Then the nonce tells.
    victim, thief = linked.visit(), linked.visit()
    stolen = _parameters(provider.consent(await _begin(victim), SUBJECT))["code"]
    own = _parameters(await _begin(thief))["state"]
    answer = await thief.get(f"{WAYS_IN}/return", params={"state": own, "code": stolen})
    assert answer.status_code == 502
    assert not await _is_in(thief)


async def test_who_takes_too_long_begins_again(linked: Office, provider: TestProvider) -> None:
    visit = linked.visit()
    back = provider.consent(await _begin(visit), SUBJECT)
    linked.api.now += WITHIN
    answer = await visit.client.get(back)
    assert (answer.status_code, "已过期" in answer.text) == (403, True)


async def test_what_nobody_came_back_for_is_forgotten(
    linked: Office, provider: TestProvider
) -> None:
    await _begin(linked.visit())
    linked.api.now += WITHIN
    await _begin(linked.visit())
    assert len(rows(linked.api.url)["provider_requests"]) == 1


async def test_an_answer_of_another_provider_is_not_taken_to_this_one(
    linked: Office, provider: TestProvider
) -> None:
    visit = linked.visit()
    back = provider.consent(await _begin(visit), SUBJECT) + "&iss=https%3A%2F%2Fid.example.org"
    assert (await visit.client.get(back)).status_code == 502
    assert provider.token_requests == []


async def test_a_provider_that_says_it_names_itself_must(
    linked: Office, provider: TestProvider
) -> None:
    named = "authorization_response_iss_parameter_supported"
    provider.lies = Lies(metadata=lambda found: {**found, named: True})
    await _refused(linked, provider, "答复无效")


async def test_one_address_begins_only_so_often(linked: Office) -> None:
    linked.console.state.provider_tries = Tries(most=2)
    visit = linked.visit(address="192.0.2.7")
    statuses = [(await visit.get(WAYS_IN)).status_code for _ in range(3)]
    assert statuses == [303, 303, 429]
    assert (await linked.visit(address="192.0.2.8").get(WAYS_IN)).status_code == 303


async def test_a_picture_on_another_site_begins_nothing(linked: Office) -> None:
    answer = await linked.visit().get(WAYS_IN, headers={"Sec-Fetch-Dest": "image"})
    assert answer.status_code == 404
    assert rows(linked.api.url)["provider_requests"] == ()


# ---------------------------------------------------------------- tokens that do not hold


STRANGER = RSAKey.generate_key(2048, auto_kid=True)


def _without(name: str) -> Callable[[Claims], Claims]:
    return lambda claims: {key: each for key, each in claims.items() if key != name}


def _saying(**others: Any) -> Callable[[Claims], Claims]:
    return lambda claims: {**claims, **others}


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param(_saying(nonce="another"), id="another nonce"),
        pytest.param(_without("nonce"), id="no nonce"),
        pytest.param(_saying(aud="somebody-else"), id="another audience"),
        pytest.param(_saying(aud=["somebody-else"]), id="another list of audiences"),
        pytest.param(_saying(aud=[CLIENT_ID, "somebody-else"]), id="shared, without azp"),
        pytest.param(_saying(azp="somebody-else"), id="another party"),
        pytest.param(_without("aud"), id="no audience"),
        pytest.param(_saying(iss="https://id.example.org"), id="another issuer"),
        pytest.param(_without("iss"), id="no issuer"),
        pytest.param(_without("exp"), id="for ever"),
        pytest.param(_saying(exp="tomorrow"), id="exp is no number"),
        pytest.param(_saying(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), id="another access token"),
        pytest.param(_without("sub"), id="nobody"),
        pytest.param(_saying(sub=""), id="empty subject"),
        pytest.param(_saying(sub=7), id="subject is no text"),
        pytest.param(_saying(sub="staff\u20280001"), id="subject is not ASCII"),
        pytest.param(_saying(sub="x" * 256), id="subject is too long"),
    ],
)
async def test_a_token_that_does_not_say_what_it_must_lets_nobody_in(
    linked: Office, provider: TestProvider, claims: Callable[[Claims], Claims]
) -> None:
    provider.lies = Lies(claims=claims)
    visit = linked.visit()
    answer = await _sign_in(visit, provider)
    assert answer.status_code == 502, answer.text
    assert not await _is_in(visit)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param(lambda claims: {**claims, "exp": claims["iat"] - 3600}, id="expired"),
        pytest.param(lambda claims: {**claims, "nbf": claims["iat"] + 3600}, id="not yet"),
        pytest.param(lambda claims: {**claims, "iat": claims["iat"] + 3600}, id="from the future"),
    ],
)
async def test_a_token_of_another_time_lets_nobody_in(
    linked: Office, provider: TestProvider, claims: Callable[[Claims], Claims]
) -> None:
    provider.lies = Lies(claims=claims)
    await _refused(linked, provider, "时钟不一致")


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _unsigned(spelled: str) -> str:
    return f"{_encoded(json.dumps({'alg': 'none'}).encode())}.{spelled.split('.')[1]}."


def _signed_by_nobody(spelled: str) -> str:
    return spelled.rpartition(".")[0] + "."


def _with_the_public_key_as_secret(provider: TestProvider) -> Lies:
    """Whoever takes the algorithm from the token verifies it with what everybody knows."""
    public = provider.own_key.as_pem(private=False)

    def told(spelled: str) -> str:
        header = _encoded(json.dumps({"alg": "HS256", "kid": provider.own_key.kid}).encode())
        signed = f"{header}.{spelled.split('.')[1]}"
        return f"{signed}.{_encoded(hmac.digest(public, signed.encode(), 'sha256'))}"

    return Lies(raw_token=told)


def _with_a_key_in_the_token(provider: TestProvider) -> Lies:
    return Lies(
        key=STRANGER, header={"alg": "RS256", "jwk": STRANGER.as_dict(private=False), "kid": None}
    )


def _with_a_secret_that_is_published(_provider: TestProvider) -> Lies:
    secret = OctKey.generate_key(256, auto_kid=True)
    return Lies(
        key=secret, header={"alg": "HS256", "kid": secret.kid}, keys=[secret.as_dict(private=True)]
    )


@pytest.mark.parametrize(
    "lies",
    [
        pytest.param(lambda _: Lies(raw_token=_unsigned), id="alg none"),
        pytest.param(lambda _: Lies(raw_token=_signed_by_nobody), id="no signature"),
        pytest.param(lambda _: Lies(raw_token=lambda _: "no token"), id="no token"),
        pytest.param(lambda _: Lies(raw_token=lambda _: "a.b.c.d.e"), id="an encrypted one"),
        pytest.param(lambda _: Lies(key=STRANGER), id="another key under the same name"),
        pytest.param(
            lambda _: Lies(key=STRANGER, header={"alg": "RS256", "kid": STRANGER.kid}),
            id="an unknown key",
        ),
        pytest.param(_with_the_public_key_as_secret, id="the public key as a secret"),
        pytest.param(_with_a_secret_that_is_published, id="a secret that is published"),
        pytest.param(_with_a_key_in_the_token, id="a key in the token"),
        pytest.param(
            lambda _: Lies(
                metadata=lambda found: {
                    **found,
                    "id_token_signing_alg_values_supported": ["HS256", "none"],
                }
            ),
            id="a provider that offers only shared secrets",
        ),
        pytest.param(
            lambda _: Lies(
                metadata=lambda found: {**found, "issuer": "https://id.example.org"},
            ),
            id="a document of another issuer",
        ),
        pytest.param(
            lambda _: Lies(
                metadata=lambda found: {**found, "token_endpoint": "http://id.example.org/"},
            ),
            id="the secret in the open",
        ),
        pytest.param(lambda _: Lies(keys=[]), id="no keys"),
    ],
)
async def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    linked: Office, provider: TestProvider, lies: Callable[[TestProvider], Lies]
) -> None:
    provider.lies = lies(provider)
    visit = linked.visit()
    await visit.get("/sign-in")
    answer = await visit.get(WAYS_IN)
    if answer.status_code == 303:
        answer = await visit.client.get(provider.consent(answer.headers["location"], SUBJECT))
    assert answer.status_code == 502, answer.text
    assert "答复无效" in answer.text
    assert not await _is_in(visit)


async def test_a_key_that_the_provider_changed_is_learnt(
    linked: Office, provider: TestProvider
) -> None:
    assert (await _sign_in(linked.visit(), provider)).status_code == 303
    provider.own_key = RSAKey.generate_key(2048, auto_kid=True)
    assert (await _sign_in(linked.visit(), provider)).status_code == 303


async def test_unknown_keys_do_not_have_the_provider_asked_over_and_over(
    linked: Office, provider: TestProvider
) -> None:
    provider.lies = Lies(key=STRANGER, header={"alg": "RS256", "kid": STRANGER.kid})
    for _ in range(3):
        assert (await _sign_in(linked.visit(), provider)).status_code == 502
    assert provider.asked.count("/jwks") == 2, "at first, and once more"


async def test_keys_of_unknown_kinds_are_passed_over(
    linked: Office, provider: TestProvider
) -> None:
    curve = ECKey.generate_key("P-256", auto_kid=True)
    others = [{"kty": "AKP", "kid": "pq", "pub": "AA"}, {"kty": "RSA", "kid": "broken"}, {}]
    provider.lies = Lies(
        key=curve,
        header={"alg": "ES256", "kid": curve.kid},
        keys=[*others, curve.as_dict(private=False)],
        metadata=lambda found: {**found, "id_token_signing_alg_values_supported": ["ES256"]},
    )
    assert (await _sign_in(linked.visit(), provider)).status_code == 303


def test_the_test_provider_signs_as_it_is_told() -> None:
    key = RSAKey.generate_key(2048, auto_kid=True)
    assert jwt.decode(jwt.encode({"alg": "RS256"}, {"sub": "x"}, key), key).claims == {"sub": "x"}


# ---------------------------------------------------------------- signing out, and what is told


async def test_whoever_signs_out_is_told_that_the_provider_may_still_know_them(
    linked: Office, provider: TestProvider
) -> None:
    visit = linked.visit()
    await _sign_in(visit, provider)
    await visit.get("/password")
    answer = await visit.post("/sign-out")
    assert answer.headers["location"] == "/console/sign-in?left=provider"
    assert not await _is_in(visit)
    shown = (await visit.client.get(answer.headers["location"])).text
    found = re.search(r'href="([^"]+end_session[^"]+)"', shown)
    assert found is not None
    assert _parameters(found[1].replace("&amp;", "&")) == {
        "client_id": CLIENT_ID,
        "post_logout_redirect_uri": "http://onewindow/console/sign-in",
    }


async def test_whoever_came_by_password_signs_out_here_only(linked: Office) -> None:
    visit = linked.visit()
    await visit.sign_in("desk-1")
    assert (await visit.post("/sign-out")).headers["location"] == "/console/sign-in"


async def test_signing_out_does_not_wait_for_a_provider_that_is_away(
    linked: Office, provider: TestProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = linked.visit()
    await _sign_in(visit, provider)
    await visit.get("/password")
    monkeypatch.setattr(oidc, "DISCOVERED_FOR_S", 0.0)
    provider.lies = Lies(status=500)
    answer = await visit.post("/sign-out")
    shown = await visit.client.get(answer.headers["location"])
    assert shown.status_code == 200
    assert "end_session" not in shown.text


@pytest.mark.rule("RB-13.3")
async def test_no_log_names_a_person_a_code_or_a_token(
    linked: Office, provider: TestProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    visit = linked.visit()
    back = provider.consent(await _begin(visit), "staff-0002")
    await visit.client.get(back)
    provider.lies = Lies(claims=_saying(nonce="another"))
    await _sign_in(linked.visit(), provider)
    said = "".join(capsys.readouterr())
    assert "nobody came in through the identity provider" in said
    for secret in ("staff-0002", SUBJECT, *_parameters(back).values(), CLIENT_SECRET):
        assert secret not in said
    assert "eyJ" not in said


async def test_neither_state_nor_visit_is_on_file(linked: Office) -> None:
    visit = linked.visit()
    state = _parameters(await _begin(visit))["state"]
    on_file = repr(rows(linked.api.url))
    assert state not in on_file
    for cookie in visit.client.cookies.jar:
        assert cookie.value is not None and cookie.value not in on_file


# ---------------------------------------------------------------- linking


async def _wish(visit: Visit, password: str = PASSWORD) -> httpx2.Response:
    await visit.get("/identity")
    return await visit.post("/identity", {"do": "link", "current": password})


def _way_on(shown: httpx2.Response) -> str:
    found = re.search(r'href="([^"]+/oauth2/authorize[^"]+)"', shown.text)
    assert found is not None, shown.text
    return found[1].replace("&amp;", "&")


async def test_an_account_is_linked_by_whoever_has_its_password(
    office: Office, provider: TestProvider
) -> None:
    visit = await office.visit_of("desk-1")
    address = _way_on(await _wish(visit))
    assert _parameters(address)["prompt"] == "login", "whoever is signed in there may be another"
    answer = await visit.client.get(provider.consent(address, SUBJECT))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/identity")
    assert SUBJECT in (await visit.get("/identity")).text
    elsewhere = office.visit()
    await _sign_in(elsewhere, provider)
    assert await _is_in(elsewhere)


async def test_nothing_is_linked_without_the_password(
    office: Office, provider: TestProvider
) -> None:
    visit = await office.visit_of("desk-1")
    answer = await _wish(visit, "not the password")
    assert answer.status_code == 422
    assert "oauth2/authorize" not in answer.text
    assert rows(office.api.url)["provider_requests"] == ()


async def test_nobody_links_their_identity_to_my_account(
    office: Office, provider: TestProvider
) -> None:
    victim = await office.visit_of("desk-1")
    attacker = await office.visit_of("water-1")
    back = provider.consent(_way_on(await _wish(attacker)), "attacker")
    answer = await victim.client.get(back)
    assert answer.headers["location"] == "/console/"
    assert rows(office.api.url)["identities"] == ()


async def test_an_answer_to_a_sign_in_links_nothing(office: Office, provider: TestProvider) -> None:
    visit = office.visit()
    back = provider.consent(await _begin(visit), "attacker")
    await office.hire("desk-1")
    await visit.sign_in("desk-1")
    await visit.client.get(back)
    assert rows(office.api.url)["identities"] == ()


@pytest.mark.rule("RB-12.2")
async def test_one_person_has_one_account(linked: Office, provider: TestProvider) -> None:
    visit = await linked.visit_of("admin-1")
    answer = await visit.client.get(provider.consent(_way_on(await _wish(visit)), SUBJECT))
    assert answer.status_code == 403
    assert "一人一账号" in answer.text
    (row,) = rows(linked.api.url)["identities"]
    assert "desk-1" in repr(row)


async def test_who_does_not_agree_links_nothing(office: Office, provider: TestProvider) -> None:
    visit = await office.visit_of("desk-1")
    answer = await visit.client.get(provider.consent(_way_on(await _wish(visit)), None))
    assert "没有同意" in answer.text
    assert rows(office.api.url)["identities"] == ()


async def test_unlinking_ends_what_the_provider_vouched_for(
    linked: Office, provider: TestProvider
) -> None:
    through = linked.visit()
    await _sign_in(through, provider)
    visit = await linked.visit_of("desk-1")
    await visit.get("/identity")
    await visit.post("/identity", {"do": "unlink", "current": PASSWORD})
    assert await _is_in(visit)
    assert not await _is_in(through)
    await _refused(linked, provider, "没有账号与它关联")


async def test_without_a_provider_there_is_no_such_way_in(url: str) -> None:
    async with opened(url) as office:
        visit = await office.visit_of("desk-1")
        assert "identity" not in (await visit.get("/password")).text
        for path in (WAYS_IN, f"{WAYS_IN}/return", "/identity"):
            assert (await visit.get(path)).status_code == 404
        assert WAYS_IN not in (await office.visit().get("/sign-in")).text


# ---------------------------------------------------------------- settings


COMPLETE: dict[str, Any] = {
    "oidc_issuer": "https://id.example.org/realms/city",
    "oidc_client_id": "onewindow",
    "oidc_client_secret": SecretStr("a secret"),
}


def test_a_provider_is_named_with_all_it_takes() -> None:
    assert Settings(**COMPLETE).oidc_issuer == "https://id.example.org/realms/city"
    assert "a secret" not in repr(Settings(**COMPLETE))


@pytest.mark.parametrize(
    "others",
    [
        {"oidc_client_secret": None},
        {"oidc_client_id": None},
        {"oidc_issuer": None},
        {"oidc_issuer": "http://id.example.org"},
        {"oidc_issuer": "https://id.example.org/?tenant=1"},
        {"oidc_issuer": "https://user:word@id.example.org"},
        {"oidc_issuer": "id.example.org"},
        {"oidc_return_address": "http://window.example.org/console/sign-in/provider/return"},
    ],
)
def test_a_provider_that_cannot_be_trusted_is_refused(others: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**{**COMPLETE, **others})


async def test_the_return_address_can_be_fixed(url: str, provider: TestProvider) -> None:
    fixed = f"https://window.example.org{RETURN}"
    async with opened(
        url,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(CLIENT_SECRET),
        oidc_return_address=fixed,
    ) as office:
        assert _parameters(await _begin(office.visit()))["redirect_uri"] == fixed
