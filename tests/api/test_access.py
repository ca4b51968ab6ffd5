"""Every route of the API × every role × own or another's case and task, compared with the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter

import domain.access
from api import app as composition
from api import documents
from api.app import PREFIX, ROUTERS, build_app, routes
from api.auth import ADMINISTRATOR
from domain.access import (
    APPLICANT,
    FOR_FOLLOWERS,
    OPEN_TO_ALL,
    ROLES,
    TABLE,
    Act,
    Whose,
    is_allowed,
    whose,
)
from domain.connection import TaskKind
from policy.loader import policy_for
from storage.reading import CaseRecord
from storage.records import Supervision, TaskRecord
from tests.support.cases import HIGH, NOON, POLICY, new_task, red
from tests.support.serving import Api, api_settings

AGENCY_OF: Mapping[str, str] = {
    "desk": "desk",
    "department": "water",
    "utility": "utility",
    "supervisor": "special-group",
    ADMINISTRATOR: "admin-1",
    APPLICANT: "applicant",
}
"""Whose key is shown for each role."""
OWNERS_OF_CASES = ("desk", "applicant")
TOLD = ("special-group", "water", "police")
"""Who was sent a notice."""

# What a call must hold so that only the right to make it is in question: whoever may make it can be
# told that it is wrong otherwise, but nothing is changed by it.
_NO_CODE = {"code": "seen"}
BODIES: Mapping[tuple[str, str], Callable[[str], object]] = {
    ("PUT", "/tasks/{task_id}/outcome"): lambda _: _NO_CODE,
    ("POST", "/tasks/outcomes"): lambda task: {
        "outcomes": [{"task_id": task, "outcome": _NO_CODE}]
    },
    ("POST", "/tasks/{task_id}/events"): lambda _: {"type": "handed-back"},
    ("POST", "/tasks/events"): lambda task: {
        "reports": [{"task_id": task, "report": {"type": "handed-back"}}]
    },
    ("POST", "/tasks/{task_id}/opinions"): lambda _: {
        "unit": "示例单位",
        "question": "请提出意见。",
        "answer_by": "2026-09-18",
    },
    ("POST", "/applications/{no}/actions"): lambda _: {"action": "withdraw", "reason": "试"},
}
# Their body names a task, each of which is answered by itself.
BULK = {"/tasks/outcomes": "outcomes", "/tasks/events": "reports"}
OTHERS = {
    "sha256": "0" * 64,
    "year": "2027",
    "key_id": "abcdefghijkm",
    "token": "none",
    "number": "1",
}


@dataclass(frozen=True, slots=True)
class Office:
    """An API with what somebody owns.

    Attributes:
        cases, tasks, notices: by their owner.
    """

    api: Api
    cases: Mapping[str, str]
    tasks: Mapping[str, str]
    notices: Mapping[str, str]

    def subjects(self, path: str) -> Mapping[str, str]:
        """Return what a path can be about, by owner; of nobody, if it is about nothing."""
        if "{task_id}" in path or path in BULK:
            return self.tasks
        if "{notice_id}" in path:
            return self.notices
        return self.cases if "{no}" in path and "{task_id}" not in path else {"": ""}


@pytest.fixture
async def office(api: Api) -> Office:
    cases = {
        owner: (await api.submit(HIGH, owner, key="key-1")).json()["no"]
        for owner in OWNERS_OF_CASES
    }
    no = cases["desk"]
    kinds = {
        "desk": new_task(no),
        "utility": new_task(no, TaskKind.SUPPLY_PLAN),
        "applicant": new_task(no, TaskKind.CONFIRM_PLAN),
    }
    permits = {
        department: new_task(no, TaskKind.PERMITS, department=department, items=("示例事项",))
        for department in ("water", "police")
    }
    tasks = {
        owner: (await api.casefile.open_task(new)).id for owner, new in {**kinds, **permits}.items()
    }

    def reds(_case: CaseRecord, found: Sequence[TaskRecord]) -> list[Supervision]:
        of_desk = next(each for each in found if each.owed_by == "desk")
        return [
            red(of_desk, step=f"red.{n}", recipient=told, reply_by=date(2026, 9, 17))
            for n, told in enumerate(TOLD)
        ]

    for _ in TOLD:
        await api.casefile.supervise(no, reds, at=NOON)
    notices = {told: f"ladder.{tasks['desk']}.red.{n}" for n, told in enumerate(TOLD)}
    return Office(api, cases, tasks, notices)


async def walked(
    office: Office, allowed: Callable[[str, Act, str, str], bool], prefix: str = ""
) -> tuple[int, list[str]]:
    """Make every call in every role; return how many, and what differs from what is `allowed`."""
    count, differences = 0, []
    for method, path, act in _calls():
        if act in OPEN_TO_ALL | FOR_FOLLOWERS or not path.startswith(prefix):
            continue
        for owner, subject in office.subjects(path).items():
            for role, agency in AGENCY_OF.items():
                answer = await _called(office, method, path, subject, agency)
                count += 1
                expected = allowed(role, act, agency, owner or agency)
                where = f"{method} {path} of {owner or 'nobody'} as {agency}"
                if _is_refused(path, answer) == expected:
                    differences.append(f"{where}: {answer.status_code}")
                # Of whom it is allowed, nothing fails; an action needs the engine, which is away.
                assert answer.status_code < 500 or answer.status_code == 503, where
    return count, differences


def _calls() -> Iterator[tuple[str, str, Act]]:
    for route in routes():
        for method in sorted(route.methods or ()):
            yield method, route.path, Act(route.name)


async def _called(
    office: Office, method: str, path: str, subject: str, agency: str | None, **others: Any
) -> httpx2.Response:
    ids = dict.fromkeys(("no", "task_id", "notice_id"), subject)
    if "{no}" in path and "{task_id}" in path:
        ids["no"] = office.cases["desk"]
    address = path
    for name in ("no", "task_id", "notice_id", *OTHERS):
        address = address.replace(f"{{{name}}}", {**OTHERS, **ids}[name])
    assert "{" not in address, f"what stands for it in {address}?"
    body_about = BODIES.get((method, path))
    body = {"reply": "收到"} if body_about is None else body_about(subject)
    sent: dict[str, Any] = {} if method == "GET" else {"json": body, "key": f"{path}-{agency}"}
    return await office.api.call(method, PREFIX + address, agency, **sent, **others)


def _is_refused(path: str, answer: httpx2.Response) -> bool:
    if path in BULK and answer.status_code == 200:
        return bool(answer.json()[BULK[path]][0]["status"] == 403)
    # Of another's notice one is not told that it is there.
    return answer.status_code == 403 or (
        "{notice_id}" in path and answer.json().get("type") == "/problems/unknown-notice"
    )


# ---------------------------------------------------------------- the table


def test_every_role_of_the_policy_has_its_column() -> None:
    roles = {agency.role for agency in policy_for(POLICY).agencies.values()}
    assert roles | {ADMINISTRATOR} == set(ROLES) == set(AGENCY_OF)


def test_a_role_that_the_table_does_not_know_may_do_nothing() -> None:
    for act in set(Act) - OPEN_TO_ALL:
        assert whose("mayor", act) is Whose.NOBODYS
        assert not is_allowed("mayor", act, "town-hall", "town-hall")


def test_every_call_that_is_described_is_walked() -> None:
    described = build_app(api_settings("sqlite:///never-opened.db")).openapi()["paths"]
    walked_paths = {PREFIX + path for _, path, _ in _calls()}
    assert described.keys() - walked_paths == {"/healthz", "/readyz", "/problems/{slug}"}
    assert walked_paths <= described.keys()


# ---------------------------------------------------------------- the walk


@pytest.mark.rule("RB-13.1")
async def test_every_route_lets_through_whom_the_table_names(office: Office) -> None:
    count, differences = await walked(office, is_allowed)
    assert differences == []
    assert count > 600


@pytest.mark.rule("RB-13.1")
async def test_every_route_but_the_open_ones_asks_for_a_key(office: Office) -> None:
    for method, path, act in _calls():
        subject = next(iter(office.subjects(path).values()))
        for sent in (
            {},
            {"headers": {"Authorization": "Bearer nobodys-key"}},
            {"headers": {"Authorization": "Basic dGVzdA=="}},
            {"headers": {"Authorization": "Bearer ow_abcdefghijkm_" + "A" * 43}},
        ):
            answer = await _called(office, method, path, subject, None, **sent)
            where = f"{method} {path}: {answer.status_code}"
            assert (answer.status_code == 401) == (act not in OPEN_TO_ALL), where


@pytest.mark.rule("RB-10.3")
async def test_no_key_stands_for_the_secret_of_a_case(office: Office) -> None:
    ways = [(m, p) for m, p, act in _calls() if act in FOR_FOLLOWERS]
    assert len(ways) >= 3
    for method, path in ways:
        for agency in AGENCY_OF.values():
            answer = await _called(office, method, path, office.cases["desk"], agency)
            assert answer.status_code == 401, f"{method} {path} as {agency}"


# ---------------------------------------------------------------- it can fail


@pytest.mark.parametrize(
    ("act", "role", "other", "prefix"),
    [
        (Act.DECIDE_TASK, "department", Whose.ALL, "/tasks/"),
        (Act.SEE_TASKS, "utility", Whose.ALL, "/tasks/{task_id}"),
        (Act.SEE_CASES, "department", Whose.ALL, "/applications/{no}"),
        (Act.SEE_CASES, APPLICANT, Whose.ALL, "/applications/{no}"),
        (Act.SEE_SUPERVISION, "utility", Whose.OWN, "/supervision"),
        (Act.REPAIR_CASES, "supervisor", Whose.ALL, "/admin/repairs"),
        (Act.MANAGE_KEYS, ADMINISTRATOR, Whose.NOBODYS, "/admin/keys"),
    ],
)
async def test_another_table_is_found_out(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
    role: str,
    other: Whose,
    prefix: str,
) -> None:
    meant = {each: dict(row) for each, row in TABLE.items()}
    changed = {**TABLE, act: {**TABLE[act], role: other}}
    monkeypatch.setattr(domain.access, "TABLE", MappingProxyType(changed))

    def allowed(role: str, act: Act, agency: str, owner: str) -> bool:
        said = meant[act][role]
        return said is Whose.ALL or (said is Whose.OWN and agency == owner)

    _, differences = await walked(office, allowed, prefix)
    assert differences
    assert all(f"as {AGENCY_OF[role]}:" in each for each in differences)


async def test_a_function_that_forgets_whose_a_task_is_is_found_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "check_own", lambda *_: None)
    _, differences = await walked(office, is_allowed, "/tasks/{task_id}/documents")
    assert any("of police as water" in each for each in differences)


async def test_a_route_without_an_act_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    _serve_also(monkeypatch, "forgotten")
    with pytest.raises(ValueError, match="is not a valid Act"):
        build_app(api_settings("sqlite:///never-opened.db"))


async def test_a_route_that_asks_nobody_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    _serve_also(monkeypatch, Act.SEE_CASES)
    with pytest.raises(ValueError, match="does not ask who calls"):
        build_app(api_settings("sqlite:///never-opened.db"))


def _serve_also(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    router = APIRouter()

    @router.get("/forgotten", name=name)
    async def forgotten() -> None:
        """Stand for a route that nobody thought about."""

    monkeypatch.setattr(composition, "ROUTERS", (*ROUTERS, router))
