"""Every route of the console × every role × own or another agency, compared with the table."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import APIRouter

from api.auth import ADMINISTRATOR
from console import cases
from console.app import build, pages
from console.guard import FORM_TOKEN, SESSION
from domain.access import (
    APPLICANT,
    FOR_FOLLOWERS,
    OPEN_TO_ALL,
    ROLES,
    TABLE,
    Act,
    Whose,
    whose,
)
from domain.accounts import StaffRole
from domain.connection import TaskKind
from tests.console.office import PEOPLE, Office, Visit

ONE_OF_EACH = ("desk-1", "water-1", "utility-1", "special-1", "admin-1")
SHA256 = "0" * 64

# What a form must hold so that only the right to send it is in question.
FORMS: dict[str, dict[str, str]] = {
    "/tasks/{task_id}/holder": {"type": "claimed"},
    "/tasks/{task_id}/outcome": {},
    "/tasks/{task_id}/reports": {"type": "accepted"},
}


def routes() -> Iterator[tuple[str, str, Act]]:
    """Yield method, path and act of every page."""
    for route in pages():
        for method in sorted(route.methods or ()):
            yield method, route.path, Act(route.name)


def address_of(path: str, no: str, task_id: str) -> str:
    """Fill in what a path is about; what is not there (a repair, a key) is not found."""
    known = {"no": no, "task_id": task_id, "sha256": SHA256, "key_id": "abcdefghijkm"}
    return re.sub("{([a-z0-9_]+)}", lambda found: known.get(found[1], "1"), path)


def test_the_table_names_every_act_for_every_role() -> None:
    assert TABLE.keys() | OPEN_TO_ALL | FOR_FOLLOWERS == set(Act)
    assert not TABLE.keys() & (OPEN_TO_ALL | FOR_FOLLOWERS)
    assert not OPEN_TO_ALL & FOR_FOLLOWERS
    for row in TABLE.values():
        assert row.keys() == {*StaffRole, APPLICANT} == set(ROLES)
    assert str(StaffRole.ADMINISTRATOR) == ADMINISTRATOR


async def test_a_page_without_an_act_is_not_served(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter()

    @router.get("/forgotten")
    async def forgotten() -> None:
        """Stand for a page that nobody gave an act."""

    monkeypatch.setattr(cases, "router", router)
    with pytest.raises(ValueError, match="is not a valid Act"):
        build(office.console.state.services)


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("account", ONE_OF_EACH)
async def test_every_route_lets_through_whom_the_table_names(office: Office, account: str) -> None:
    agency, role = PEOPLE[account]
    visit = await office.visit_of(account)
    no = await office.case()
    owed = {
        "desk": await office.task(no),
        "utility": await office.task(no, TaskKind.SUPPLY_PLAN),
        "water": await office.permits(no),
        "police": await office.permits(no, "police"),
    }
    walked = 0
    for method, path, act in routes():
        if act in OPEN_TO_ALL | FOR_FOLLOWERS or act is Act.SIGN_OUT or "{language}" in path:
            continue
        for owner, task_id in owed.items():
            is_of_task = "{task_id}" in path
            if not is_of_task and owner != "desk":
                continue
            address = address_of(path, no, task_id)
            is_allowed = {
                Whose.ALL: True,
                Whose.OWN: not is_of_task or owner == agency,
                Whose.NOBODYS: False,
            }[whose(role, act)]
            answer = (
                await visit.get(address)
                if method == "GET"
                else await visit.post(address, FORMS.get(path))
            )
            where = f"{method} {address} as {account}: {answer.status_code}"
            assert (answer.status_code != 403) == is_allowed, where
            # What is allowed is a page, a way on, a form to be mended, or a document not there.
            assert answer.status_code in (200, 303, 422, 404) or not is_allowed, where
            walked += 1
    assert walked > 20


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_sees_anything_before_signing_in(office: Office, method: str) -> None:
    no = await office.case()
    task_id = await office.permits(no)
    walked = 0
    for allowed, path, act in routes():
        if allowed != method or act in OPEN_TO_ALL | FOR_FOLLOWERS:
            continue
        address = "/console" + address_of(path, no, task_id)
        visit = office.visit()
        visit.client.cookies.set(SESSION, "a token that nobody was given")
        answer = await visit.client.request(method, address)
        assert answer.status_code == 303, address
        assert answer.headers["location"].startswith("/console/sign-in"), address
        assert no not in answer.text
        walked += 1
    assert walked >= 6


async def test_no_form_is_taken_without_the_token_of_its_page(office: Office) -> None:
    no = await office.case()
    visit = await office.visit_of("water-1")
    other = await office.visit_of("water-2")
    task_id = await office.permits(no)
    walked = 0
    for method, path, act in routes():
        if method != "POST" or act in OPEN_TO_ALL | FOR_FOLLOWERS:
            continue
        address = address_of(path, no, task_id)
        for token in ("", "x", "ä", other.form_token):
            form = {**FORMS.get(path, {}), FORM_TOKEN: token}
            answer = await visit.client.post(f"/console{address}", data=form)
            assert answer.status_code == 403, address
            assert "表单不属于本次登录" in answer.text
        walked += 1
    assert walked >= 7
    assert (await visit.get("/tasks")).status_code == 200, "still signed in"
    task = (await office.api.call("GET", f"/api/v1/tasks/{task_id}")).json()
    assert (task["held_by"], task["outcome"]) == (None, None)


@pytest.mark.rule("RB-13.1")
async def test_a_list_shows_a_department_its_own_tasks_only(office: Office) -> None:
    no = await office.case()
    await office.permits(no)
    await office.permits(no, "police")
    visit: Visit = await office.visit_of("water-1")
    for query in ("", "?owed_by=police", "?owed_by=desk"):
        page = (await visit.get(f"/tasks{query}")).text
        assert set(re.findall(r"/console/tasks/(ZJ[^\"/?]+)", page)) == {f"{no}.permits-water.1"}


@pytest.mark.rule("RB-13.1")
async def test_no_page_of_a_department_names_the_applicant(office: Office) -> None:
    no = await office.case()
    task_id = await office.permits(no)
    visit = await office.visit_of("water-1")
    for path in ("/tasks", f"/tasks/{task_id}"):
        page = (await visit.get(path)).text
        assert "湛江市赤坎区示例路2号" in page
        assert "湛江示例水产有限公司" not in page
        assert "13800000002" not in page
        assert f"/console/cases/{no}" not in page
