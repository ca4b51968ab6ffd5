"""Following a case by number and secret: who gets in, what they see, what they do (RB-10.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from api import case_secrets
from api.following import masked_name
from api.following_schemas import FollowedBody
from domain.connection import TaskKind
from domain.following import ALPHABET, FOLLOWED_FOR, case_secret, read_secret
from storage.following import Following
from tests.api.answers import problem
from tests.support.cases import HIGH, LOW, document, new_task
from tests.support.databases import SqliteFiles, connected, counts
from tests.support.serving import SERVER_SECRET, Api, api_settings, in_process

PUBLIC = "/api/v1/public/cases"
NOBODYS = "AAAA-AAAA-AAAA-AAAA"
"""A secret with the right check character, that is no case's."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_secrets, "REFUSED_AFTER_S", 0.0)


async def submitted(
    api: Api, body: Mapping[str, Any] = HIGH, key: str = "key-1"
) -> tuple[str, str]:
    """Hand in an application; return number and secret."""
    receipt = (await api.submit(body, key=key)).json()
    return receipt["no"], receipt["follow_secret"]


async def follow(api: Api, no: str, secret: str | None, path: str = "") -> httpx2.Response:
    """Look at a case as its applicant."""
    headers = {} if secret is None else {"Case-Secret": secret}
    return await api.call("GET", f"{PUBLIC}/{no}{path}", None, headers=headers)


async def send(
    api: Api, method: str, no: str, secret: str, path: str, body: object, **others: Any
) -> httpx2.Response:
    """Do something as the applicant of a case."""
    headers = {"Case-Secret": secret}
    return await api.call(
        method, f"{PUBLIC}/{no}{path}", None, headers=headers, json=body, **others
    )


async def decided(api: Api, no: str, kind: TaskKind, outcome: Mapping[str, Any], by: str) -> str:
    """Have a task be owed and answered; return its id."""
    task = await api.casefile.open_task(new_task(no, kind))
    answer = await api.answer(task.id, outcome, by)
    assert answer.status_code == 202, answer.text
    return task.id


async def to_confirm(api: Api, no: str, note: str = "以10 kV单电源供电。") -> str:
    """Have the supply plan be there, to be confirmed; return the id of that task."""
    said = {"code": "planned", "note": note, "document_no": "示例供方〔2026〕1号"}
    await decided(api, no, TaskKind.SUPPLY_PLAN, said, "utility")
    return (await api.casefile.open_task(new_task(no, TaskKind.CONFIRM_PLAN, due_on=None))).id


# ---------------------------------------------------------------- the secret


def test_a_secret_can_be_read_from_paper() -> None:
    secret = case_secret(SERVER_SECRET, "ZJ20260000011", 1)
    assert re.fullmatch(rf"([{ALPHABET}]{{4}}-){{3}}[{ALPHABET}]{{4}}", secret)
    assert not set("ILO01") & set(ALPHABET)
    for typed in (
        secret.lower(),
        secret.replace("-", ""),
        f" {secret.replace('-', ' ')}\n".strip(),
    ):
        assert read_secret(typed) == secret
    full_width = "".join(chr(ord(each) + 0xFEE0) for each in secret)
    assert read_secret(full_width) == secret
    for no_secret in ("", "ABCD", secret[:-1], f"{secret}A", "0" * 16, "ä" * 16):
        assert read_secret(no_secret) is None


def test_a_slip_of_the_pen_in_a_secret_is_always_noticed() -> None:
    plain = case_secret(SERVER_SECRET, "ZJ20260000011", 1).replace("-", "")
    for at, right in enumerate(plain):
        for other in set(ALPHABET) - {right}:
            assert read_secret(plain[:at] + other + plain[at + 1 :]) is None
    for at in range(len(plain)):
        for after in range(at + 1, len(plain)):
            swapped = list(plain)
            swapped[at], swapped[after] = swapped[after], swapped[at]
            assert plain[at] == plain[after] or read_secret("".join(swapped)) is None


def test_secrets_differ_by_case_by_generation_and_by_server() -> None:
    made = {
        case_secret(server, no, generation)
        for server in (SERVER_SECRET, SERVER_SECRET[::-1])
        for no in ("ZJ20260000011", "ZJ20260000029")
        for generation in (1, 2)
    }
    assert len(made) == 8


@pytest.mark.rule("RB-3.7")
@pytest.mark.rule("RB-10.3")
async def test_the_receipt_has_the_secret_the_same_for_the_same_submission(api: Api) -> None:
    no, secret = await submitted(api)
    assert (no, secret) == await submitted(api)
    assert secret != (await submitted(api, key="key-2"))[1]
    assert (await follow(api, no, secret)).json()["no"] == no
    # Neither the secret nor its digest lies in the file.
    with connected(api.url) as db:
        dump = "\n".join(db.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert secret not in dump
    assert secret.replace("-", "") not in dump


async def test_without_a_server_secret_nobody_follows_and_intake_goes_on(
    sqlite_databases: SqliteFiles,
) -> None:
    with sqlite_databases.migrated() as url:
        async with in_process(api_settings(url, server_secret=None)) as api:
            no, secret = await submitted(api)
            assert secret is None
            problem(await follow(api, no, NOBODYS), 404, "following-off")
            path = f"/api/v1/applications/{no}/follow-secret"
            problem(await api.call("POST", path, key="key-1"), 404, "following-off")


def test_a_server_secret_is_long_enough() -> None:
    with pytest.raises(ValueError, match="server_secret: is shorter than 32"):
        api_settings("sqlite:///never-opened.db", server_secret="x" * 31)


# ---------------------------------------------------------------- who gets in


@pytest.mark.rule("RB-10.3")
async def test_a_wrong_secret_and_an_unknown_number_get_the_same_answer(api: Api) -> None:
    no, secret = await submitted(api)
    other, _ = await submitted(api, key="key-2")
    answers = [
        await follow(api, no, NOBODYS),
        await follow(api, other, secret),
        await follow(api, "ZJ20269999999", NOBODYS),
        await follow(api, "no-number", NOBODYS),
        await follow(api, no, "x"),
    ]
    for answer in answers:
        problem(answer, 401, "wrong-secret")
        assert answer.content == answers[0].content
        assert answer.headers.items() == answers[0].headers.items()
    problem(await follow(api, no, None), 401, "wrong-secret")


async def test_no_refusal_comes_sooner_whether_the_case_is_there_or_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def noted(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(case_secrets, "REFUSED_AFTER_S", 100.0)
    monkeypatch.setattr("api.case_secrets.asyncio.sleep", noted)
    no, secret = await submitted(api)
    for number in (no, "ZJ20269999999"):
        problem(await follow(api, number, NOBODYS), 401, "wrong-secret")
    assert len(waits) == 2
    assert all(90 < each < 100 for each in waits), "what it took is taken off"
    assert (await follow(api, no, secret)).status_code == 200
    assert len(waits) == 2


@pytest.mark.rule("RB-13.1")
async def test_after_five_wrong_secrets_a_case_takes_none_for_a_while(api: Api) -> None:
    no, secret = await submitted(api)
    other, its_secret = await submitted(api, key="key-2")
    assert (await follow(api, no, secret)).status_code == 200
    for number in (no, "ZJ20269999999"):
        for _ in range(case_secrets.OF_A_CASE):
            problem(await follow(api, number, NOBODYS), 401, "wrong-secret")
        for shown in (NOBODYS, secret):
            answer = await follow(api, number, shown)
            problem(answer, 429, "too-many-tries")
            assert answer.headers["retry-after"] == "900", "the same, whether it is there or not"
    assert (await follow(api, other, its_secret)).status_code == 200
    api.now += timedelta(minutes=10)
    assert (await follow(api, no, secret)).headers["retry-after"] == "300"
    api.now += timedelta(minutes=5)
    assert (await follow(api, no, secret)).status_code == 200


async def test_an_address_that_tries_many_numbers_is_stopped(api: Api) -> None:
    no, secret = await submitted(api)
    for each in range(case_secrets.OF_AN_ADDRESS):
        problem(await follow(api, f"ZJ2026{each:07d}", NOBODYS), 401, "wrong-secret")
    answer = await follow(api, no, secret)
    problem(answer, 429, "too-many-tries")
    assert int(answer.headers["retry-after"]) <= 300
    api.now += case_secrets.OF_AN_ADDRESS_WITHIN
    assert (await follow(api, no, secret)).status_code == 200


async def test_right_secrets_are_not_counted(api: Api) -> None:
    no, secret = await submitted(api)
    for _ in range(case_secrets.OF_AN_ADDRESS + 1):
        assert (await follow(api, no, secret)).status_code == 200


@pytest.mark.rule("RB-13.3")
async def test_no_log_line_has_a_secret_or_a_number(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no, secret = await submitted(api)
    await follow(api, no, secret)
    await follow(api, no, NOBODYS)

    async def broken(*_: object) -> None:
        raise sa.exc.OperationalError(f"{no} {secret}", {}, OSError())

    monkeypatch.setattr("api.following.followed", broken)
    assert (await follow(api, no, secret)).status_code == 503
    printed = "".join(capsys.readouterr())
    assert "OperationalError" in printed
    assert secret not in printed
    assert NOBODYS not in printed
    assert no not in printed


# ---------------------------------------------------------------- what is seen


@pytest.mark.rule("RB-10.3")
async def test_an_applicant_sees_stage_clocks_lights_and_who_owes_what(api: Api) -> None:
    no, secret = await submitted(api)
    await decided(api, no, TaskKind.CHECK_PAPERS, {"code": "accepted"}, "desk")
    await api.casefile.open_task(
        new_task(no, TaskKind.PERMITS, department="water", items=("示例事项",))
    )
    seen = (await follow(api, no, secret)).json()
    FollowedBody.model_validate(seen)
    assert [each["standing"] for each in seen["links"]] == ["now", "ahead", "ahead"]
    (owed,) = seen["owed"]
    assert owed["by"] == {"zh": "市水务局", "en": "Water Affairs Bureau"}
    assert owed["words"] == {"zh": "绿灯：剩余 6 个工作日", "en": "Green: 6 working days left"}
    assert (owed["light"], owed["left"], owed["due_on"]) == ("green", 6, "2026-09-23")
    assert {clock["id"] for clock in seen["clocks"]} == {"GOV5"}
    assert seen["clocks"][0]["words"]["zh"].startswith("绿灯：剩余 ")
    assert [step["state"] for step in seen["story"]] == ["open", "done", "done"]
    assert seen["yours"] == []
    assert seen["may_withdraw"] is True


@pytest.mark.rule("RB-10.3")
@pytest.mark.parametrize("body", [HIGH, LOW], ids=["enterprise", "person"])
async def test_no_number_no_full_name_and_nothing_of_others_is_shown(
    api: Api, body: Mapping[str, Any]
) -> None:
    no, secret = await submitted(api, body)
    await decided(api, no, TaskKind.CHECK_PAPERS, {"code": "accepted", "note": "内部意见"}, "desk")
    task = await api.casefile.open_task(new_task(no, TaskKind.ENERGISE))
    claimed = {"type": "claimed", "holder": "meter-7"}
    await api.call("POST", f"/api/v1/tasks/{task.id}/events", "utility", key="k", json=claimed)
    answer = await follow(api, no, secret)
    assert answer.headers["cache-control"] == "no-store"
    applicant = body["applicant"]
    for hidden in (
        *(applicant["name"], applicant["id_number"], applicant["phone"]),
        *("示例路2号", "meter-7", "内部意见", "DEMO-ID"),
    ):
        assert hidden not in answer.text
    assert "****" not in answer.text.replace(answer.json()["applicant"], "")


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("示例甲", "person", "示**"),
        ("甲", "person", "甲*"),
        ("湛江示例水产有限公司", "enterprise", "湛江******公司"),
        ("示例厂", "enterprise", "示**"),
    ],
)
def test_a_name_is_known_to_whoever_bears_it_only(name: str, kind: str, shown: str) -> None:
    assert masked_name(name, kind) == shown


async def test_what_a_task_of_the_applicant_answers_to_is_shown(api: Api) -> None:
    no, secret = await submitted(api)
    said = {"code": "correction_needed", "missing": ["用电地址物业权属证明材料"]}
    await decided(api, no, TaskKind.CHECK_PAPERS, said, "desk")
    await api.casefile.open_task(new_task(no, TaskKind.CORRECT_PAPERS, due_on=None))
    await to_confirm(api, no)
    await decided(
        api, no, TaskKind.INSPECTION, {"code": "failed", "note": "接地电阻超标"}, "utility"
    )
    await api.casefile.open_task(new_task(no, TaskKind.RECTIFICATION, due_on=None))
    await api.casefile.open_task(new_task(no, TaskKind.SIGN_CONTRACT, due_on=None))
    seen = {each["kind"]: each for each in (await follow(api, no, secret)).json()["yours"]}
    assert seen["correct_papers"]["ground"]["missing"] == ["用电地址物业权属证明材料"]
    assert seen["confirm_plan"]["ground"]["note"] == "以10 kV单电源供电。"
    assert seen["confirm_plan"]["ground"]["document_no"] == "示例供方〔2026〕1号"
    assert seen["confirm_plan"]["outcomes"] == ["agreed", "revise", "refused"]
    assert seen["confirm_plan"]["needs_note"] == ["revise"]
    assert seen["rectification"]["ground"]["note"] == "接地电阻超标"
    assert seen["sign_contract"]["ground"] is None


async def test_the_document_of_a_plan_is_given_to_its_applicant_and_no_other(api: Api) -> None:
    no, secret = await submitted(api)
    plan = await api.casefile.open_task(new_task(no, TaskKind.SUPPLY_PLAN))
    paper = document()
    put = await api.call(
        "PUT",
        f"/api/v1/tasks/{plan.id}/documents/{paper.sha256}",
        "utility",
        content=paper.content,
    )
    assert put.status_code == 201, put.text
    await api.answer(plan.id, {"code": "planned"}, "utility")
    own = await api.casefile.open_task(new_task(no, TaskKind.CONFIRM_PLAN, due_on=None))
    seen = (await follow(api, no, secret)).json()["yours"][0]["ground"]["documents"]
    assert [each["sha256"] for each in seen] == [paper.sha256]
    path = f"/tasks/{own.id}/documents/{paper.sha256}"
    given = await follow(api, no, secret, path)
    assert given.content == paper.content
    assert given.headers["content-disposition"].startswith("attachment")
    other, its_secret = await submitted(api, key="key-2")
    problem(await follow(api, other, its_secret, path), 404, "unknown-task")
    problem(await follow(api, no, its_secret, path), 401, "wrong-secret")
    # Of the utility's own task it is not asked for, nor one that nobody put.
    utilitys = f"/tasks/{plan.id}/documents/{paper.sha256}"
    problem(await follow(api, no, secret, utilitys), 403, "not-your-task")
    problem(await follow(api, no, secret, path[:-64] + "0" * 64), 404, "unknown-document")


# ---------------------------------------------------------------- what is done


@pytest.mark.rule("RB-6.3")
@pytest.mark.rule("RB-13.2")
async def test_an_applicant_answers_and_the_record_says_which_way_it_came(api: Api) -> None:
    no, secret = await submitted(api)
    own = await to_confirm(api, no)
    path, said = f"/tasks/{own}/outcome", {"code": "revise", "note": "请移至厂区东侧"}
    answer = await send(api, "PUT", no, secret, path, said)
    assert answer.status_code == 202, answer.text
    assert answer.json()["yours"] == []
    step = next(each for each in answer.json()["story"] if each["is_yours"])
    assert (step["answer"], step["note"], step["through"]) == (
        *("revise", "请移至厂区东侧"),
        "follow_api",
    )
    again = await send(api, "PUT", no, secret, path, said)
    assert (again.status_code, again.json()) == (202, answer.json())
    problem(await send(api, "PUT", no, secret, path, {"code": "agreed"}), 409, "other-outcome")
    events = (await api.call("GET", f"/api/v1/applications/{no}/events")).json()
    assert (events[-1]["kind"], events[-1]["by"]) == ("task_decided", "applicant")
    assert events[-1]["body"]["through"] == "follow_api"
    assert await api.first_break() is None


async def test_an_answer_is_checked_like_any_other(api: Api) -> None:
    no, secret = await submitted(api)
    own = await to_confirm(api, no)
    path = f"/tasks/{own}/outcome"
    for said in ({"code": "revise"}, {"code": "signed"}, {"code": "agreed", "items": []}):
        problem(await send(api, "PUT", no, secret, path, said), 422, "invalid-input")


@pytest.mark.rule("RB-13.1")
async def test_an_applicant_answers_nothing_that_others_owe_nor_of_another_case(api: Api) -> None:
    no, secret = await submitted(api)
    other, its_secret = await submitted(api, key="key-2")
    own = await to_confirm(api, no)
    utilitys = (await api.casefile.open_task(new_task(no, TaskKind.ENERGISE))).id
    before = counts(api.url)
    agreed = {"code": "agreed"}
    for number, shown, task_id, status, slug in (
        (no, secret, utilitys, 403, "not-your-task"),
        (other, its_secret, own, 404, "unknown-task"),
        (no, its_secret, own, 401, "wrong-secret"),
        (other, secret, own, 401, "wrong-secret"),
        (no, secret, "\x00".replace("\x00", "%00"), 404, "unknown-task"),
    ):
        path = f"/tasks/{task_id}/outcome"
        problem(await send(api, "PUT", number, shown, path, agreed), status, slug)
    action = {"action": "withdraw", "reason": "示例"}
    answer = await send(api, "POST", no, its_secret, "/actions", action, key="k")
    problem(answer, 401, "wrong-secret")
    assert counts(api.url) == before


async def test_a_withdrawal_is_kept_until_the_process_is_back(api: Api) -> None:
    no, secret = await submitted(api)
    action = {"action": "withdraw", "reason": "项目取消"}
    answer = await send(api, "POST", no, secret, "/actions", action, key="k")
    problem(answer, 503, "engine-away")
    with connected(api.url) as db:
        kept = db.exec_driver_sql('SELECT "by", through, reason FROM actions').one()
    assert tuple(kept) == ("applicant", "follow_api", "项目取消")


# ---------------------------------------------------------------- a new slip


@pytest.mark.rule("RB-10.3")
async def test_the_desk_gives_a_new_secret_and_the_old_one_ends(api: Api) -> None:
    no, old = await submitted(api)
    path = f"/api/v1/applications/{no}/follow-secret"
    given = await api.call("POST", path, key="slip-1")
    assert given.status_code == 201
    assert given.headers["cache-control"] == "no-store"
    new = given.json()["follow_secret"]
    assert new != old
    problem(await follow(api, no, old), 401, "wrong-secret")
    assert (await follow(api, no, new)).status_code == 200
    again = await api.call("POST", path, key="slip-1")
    assert (again.status_code, again.json()) == (200, given.json())
    assert (await submitted(api))[1] is None, "the receipt shows none that has ended"
    third = (await api.call("POST", path, key="slip-2")).json()
    assert third["generation"] == 3
    assert (await api.call("POST", path, key="slip-1")).json()["follow_secret"] is None
    events = (await api.call("GET", f"/api/v1/applications/{no}/events")).json()
    kinds = [each["body"] for each in events if each["kind"] == "follow_secret_renewed"]
    assert kinds == [{"generation": 2}, {"generation": 3}]
    assert await api.first_break() is None


@pytest.mark.rule("RB-13.1")
async def test_only_the_desk_gives_new_secrets(api: Api) -> None:
    no, secret = await submitted(api)
    path = f"/api/v1/applications/{no}/follow-secret"
    for agency in ("utility", "water", "special-group", "applicant", "admin-1"):
        problem(await api.call("POST", path, agency, key="k"), 403, "not-allowed")
    problem(await api.call("POST", path, None, key="k"), 401, "not-signed-in")
    unknown = path.replace(no, "ZJ20269999999")
    problem(await api.call("POST", unknown, key="k"), 404, "unknown-case")
    assert (await follow(api, no, secret)).status_code == 200


@pytest.mark.rule("RB-13.2")
async def test_which_secret_counts_is_held_to_the_record(api: Api) -> None:
    no, _ = await submitted(api)
    with connected(api.url) as db:
        db.exec_driver_sql("UPDATE applications SET follow_generation = 2")
        db.commit()
    found = await api.first_break()
    assert found is not None
    assert (found.case_no, found.why) == (no, "which follow code counts was changed")


# ---------------------------------------------------------------- visits


@pytest.fixture
async def following(api: Api) -> Following:
    return Following(api.casefile.engine)


async def test_a_visit_lasts_two_hours_or_until_it_is_ended(api: Api, following: Following) -> None:
    no, _ = await submitted(api)
    token, other = [await following.begin(no, 1, at=api.now) for _ in range(2)]
    assert token and other
    just_before = api.now + FOLLOWED_FOR - timedelta(seconds=1)
    assert await following.followed(token, at=just_before) == no
    assert await following.followed(token, at=api.now + FOLLOWED_FOR) is None
    await following.end(token)
    assert await following.followed(token, at=api.now) is None
    assert await following.followed(other, at=api.now) == no


async def test_a_new_secret_ends_every_visit_and_an_old_one_begins_none(
    api: Api, following: Following
) -> None:
    no, _ = await submitted(api)
    token = await following.begin(no, 1, at=api.now)
    assert token
    await following.renew(no, by="desk", account="desk-1", key="k", at=api.now)
    assert await following.followed(token, at=api.now) is None
    assert await following.begin(no, 1, at=api.now) is None
    assert await following.begin(no, 2, at=api.now)
