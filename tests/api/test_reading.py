"""Everyone sees what their role and agency allow, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from domain.connection import TaskKind
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, LOW, NOON, changed, new_task
from tests.support.databases import rows
from tests.support.serving import AGENCIES, Api

CASES, TASKS = "/api/v1/applications", "/api/v1/tasks"
PARTS = ("", "/events", "/clocks", "/tasks", "/documents")
DEPARTMENTS = ("natural-resources", "police", "urban-management", "transport", "water")


@pytest.fixture
async def nos(api: Api) -> dict[str, str]:
    """One case that came by the desk, one by the applicant's channel."""
    return {
        "desk": (await api.submit(HIGH, "desk")).json()["no"],
        "applicant": (await api.submit(LOW, "applicant")).json()["no"],
    }


@pytest.fixture
async def owed(api: Api, nos: dict[str, str]) -> dict[str, str]:
    """A task of each of three agencies."""
    asked = {
        "desk": new_task(nos["desk"]),
        "utility": new_task(nos["desk"], TaskKind.SUPPLY_PLAN),
        "water": new_task(nos["desk"], TaskKind.PERMITS, department="water", items=("示例",)),
    }
    return {agency: (await api.casefile.open_task(new)).id for agency, new in asked.items()}


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize(
    "shown",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer wrong-key-of-nobody",
        "Basic dGVzdDp0ZXN0",
        "test-key-of-desk",
        "Bearer \xff",
    ],
)
@pytest.mark.parametrize("path", [CASES, f"{CASES}/ZJ20260000011", TASKS, f"{TASKS}/x"])
async def test_without_a_key_nothing_is_shown(api: Api, shown: str | None, path: str) -> None:
    headers: Any = {} if shown is None else {"Authorization": shown.encode("latin-1")}
    answer = await api.call("GET", path, None, headers=headers)
    problem(answer, 401, "not-signed-in")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.rule("RB-13.1")
async def test_without_a_key_nothing_is_written(api: Api) -> None:
    before = rows(api.url)
    answer = await api.call("POST", CASES, None, key="key-1", json=HIGH)
    problem(answer, 401, "not-signed-in")
    answer = await api.call("PUT", f"{TASKS}/x/outcome", None, json={"code": "accepted"})
    problem(answer, 401, "not-signed-in")
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", DEPARTMENTS)
async def test_a_department_sees_no_applications(
    api: Api, nos: dict[str, str], agency: str
) -> None:
    problem(await api.call("GET", CASES, agency), 403, "not-allowed")
    for part in PARTS:
        problem(await api.call("GET", f"{CASES}/{nos['desk']}{part}", agency), 403, "not-allowed")


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", [a for a in AGENCIES if a not in ("desk", "applicant")])
async def test_only_the_channels_take_in_applications(api: Api, agency: str) -> None:
    before = rows(api.url)
    problem(await api.submit(HIGH, agency), 403, "not-allowed")
    assert rows(api.url) == before


@pytest.mark.rule("RB-13.1")
async def test_the_applicants_channel_sees_its_own_cases_only(
    api: Api, nos: dict[str, str]
) -> None:
    listed = (await api.call("GET", CASES, "applicant")).json()["items"]
    assert [case["no"] for case in listed] == [nos["applicant"]]
    for part in PARTS:
        own = await api.call("GET", f"{CASES}/{nos['applicant']}{part}", "applicant")
        assert own.status_code == 200
        other = await api.call("GET", f"{CASES}/{nos['desk']}{part}", "applicant")
        problem(other, 403, "not-allowed")


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", ["desk", "utility", "special-group"])
async def test_personal_numbers_are_masked(api: Api, nos: dict[str, str], agency: str) -> None:
    person = (await api.call("GET", f"{CASES}/{nos['applicant']}", agency)).json()["applicant"]
    assert (person["id_number"], person["phone"]) == ("440***********0001", "138****0001")
    shown = [
        (await api.call("GET", f"{CASES}{path}", agency)).text
        for path in ("", *(f"/{no}{part}" for no in nos.values() for part in PARTS))
    ]
    for body in (HIGH, LOW):
        for name in ("id_number", "phone"):
            assert all(body["applicant"][name] not in text for text in shown)


@pytest.mark.rule("RB-13.1")
async def test_a_task_carries_no_personal_data(api: Api, owed: dict[str, str]) -> None:
    text = (await api.call("GET", f"{TASKS}/{owed['water']}", "water")).text
    for value in (HIGH["applicant"][name] for name in ("name", "id_number", "phone")):
        assert value not in text


@pytest.mark.rule("RB-13.1")
async def test_an_agency_sees_its_own_tasks_only(api: Api, owed: dict[str, str]) -> None:
    async def listed(agency: str, query: str = "") -> list[str]:
        items = (await api.call("GET", f"{TASKS}{query}", agency)).json()["items"]
        return [task["id"] for task in items]

    assert await listed("water") == [owed["water"]]
    assert await listed("water", "?owed_by=water") == [owed["water"]]
    assert await listed("police") == []
    assert sorted(await listed("desk")) == sorted(owed.values())
    assert await listed("desk", "?owed_by=utility") == [owed["utility"]]
    problem(await api.call("GET", f"{TASKS}?owed_by=utility", "water"), 403, "not-allowed")
    problem(await api.call("GET", f"{TASKS}/{owed['utility']}", "water"), 403, "not-your-task")
    assert (await api.call("GET", f"{TASKS}/{owed['utility']}", "desk")).status_code == 200


async def test_a_task_is_shown_by_the_contract(api: Api, owed: dict[str, str]) -> None:
    task = (await api.call("GET", f"{TASKS}/{owed['water']}", "water")).json()
    assert task["kind"] == "permits" and task["owed_by"] == "water" and task["round"] == 1
    assert set(task["title"]) == {"zh", "en"}
    assert task["opened_at"] == "2026-09-16T12:00:00+08:00"
    assert task["due_on"] == "2026-09-23"
    assert task["outcomes"] == ["answered", "not_competent"]
    assert task["items"] == [{"item": "示例", "basis": "示例", "segments": [1]}]
    assert task["facts"] == {
        **{name: HIGH[name] for name in ("voltage", "supply", "purpose", "capacity_kva")},
        **HIGH["site"],
        "route": None,
    }
    assert (task["outcome"], task["closed_by"], task["done_at"]) == (None, None, None)


async def test_the_record_of_a_case_is_shown_in_order(
    api: Api, nos: dict[str, str], owed: dict[str, str]
) -> None:
    shown = (await api.call("GET", f"{CASES}/{nos['desk']}/events")).json()
    assert [(event["seq"], event["kind"]) for event in shown] == [
        (1, "submitted"),
        *((seq, "task_opened") for seq in (2, 3, 4)),
    ]
    assert all(len(event["hash"]) == 64 for event in shown)


@pytest.mark.rule("RB-2.4")
async def test_the_clocks_of_a_case_are_shown(api: Api, nos: dict[str, str]) -> None:
    no = nos["desk"]
    assert (await api.call("GET", f"{CASES}/{no}/clocks")).json() == []
    investment = {"decision": "utility_pays", "reasons": []}
    await api.casefile.accept(no, at=NOON, is_deemed=False, investment=investment)
    await api.casefile.open_task(new_task(no, TaskKind.PERMITS, department="water", items=("示",)))
    api.now = NOON.replace(day=18)
    clocks = {
        clock["id"]: clock for clock in (await api.call("GET", f"{CASES}/{no}/clocks")).json()
    }
    assert {"HV40", "INT13", "GOV5"} <= set(clocks)
    assert (clocks["GOV5"]["gross"], clocks["GOV5"]["net"], clocks["GOV5"]["round"]) == (2, 2, 1)
    assert clocks["HV40"]["limit"] == 40
    assert clocks["HV40"]["light"] in ("green", "yellow", "red")


@pytest.mark.rule("RB-1.8", "RB-2.1", "RB-2.3")
async def test_a_clock_shows_its_entries_and_says_why(api: Api, nos: dict[str, str]) -> None:
    no = nos["desk"]
    investment = {"decision": "utility_pays", "reasons": [], "clause": "示例"}
    await api.casefile.accept(no, at=NOON, is_deemed=False, investment=investment)
    works = await api.casefile.open_task(new_task(no, TaskKind.CUSTOMER_WORKS, due_on=None))
    done_at = NOON.replace(day=18)
    await api.casefile.decide(works.id, {"code": "finished"}, by="applicant", at=done_at)
    api.now = NOON.replace(day=22)
    (hv40, *_) = [
        clock
        for clock in (await api.call("GET", f"{CASES}/{no}/clocks")).json()
        if clock["id"] == "HV40"
    ]
    left_out = {"basis": "policy", "ground": hv40["clause"]}
    assert hv40["entries"] == [
        {"act": "start", "on": "2026-09-16", "basis": None, "ground": None},
        {"act": "suspend", "on": "2026-09-16", **left_out},
        {"act": "resume", "on": "2026-09-18", **left_out},
    ]
    # Sunday the 20th is worked.
    assert (hv40["gross"], hv40["net"], hv40["left"]) == (5, 3, 37)
    days = hv40["why"]["days"]
    assert [day["verdict"] for day in days[:4]] == ["excluded", "excluded", "weekend", "counted"]
    assert (days[-1]["date"], days[-1]["count"]) == (hv40["due_on"], 40)
    assert "2026" in hv40["why"]["notices"]
    assert all(hv40["clause"] in "".join(words) for words in hv40["why"]["words"].values())


@pytest.mark.rule("RB-2.5")
async def test_each_department_has_its_own_clock_in_a_bundle(api: Api, nos: dict[str, str]) -> None:
    no = nos["desk"]
    for department, day in (("water", 17), ("police", 22)):
        task = await api.casefile.open_task(
            new_task(no, TaskKind.PERMITS, department=department, items=("示",))
        )
        outcome = {"code": "answered", "items": [{"item": "示", "outcome": "approved"}]}
        await api.casefile.decide(task.id, outcome, by=department, at=NOON.replace(day=day))
    clocks = (await api.call("GET", f"{CASES}/{no}/clocks")).json()
    assert [(each["id"], each["department"], each["net"], each["state"]) for each in clocks] == [
        ("GOV5", None, 5, "stopped"),
        ("GOV5", "police", 5, "stopped"),
        ("GOV5", "water", 1, "stopped"),
    ]


async def test_a_list_pages_to_the_end(api: Api) -> None:
    sent = [(await api.submit(HIGH, key=f"key-{n}")).json()["no"] for n in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await api.call("GET", CASES, params=query)).json()
        seen += [case["no"] for case in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == sent[::-1]


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        (CASES, "limit=0", "limit"),
        (CASES, "limit=201", "limit"),
        (CASES, "limit=many", "limit"),
        (CASES, "limit=99999999999999999999999", "limit"),
        (CASES, "state=closed", "state"),
        (CASES, "cursor=x", "cursor"),
        (CASES, "cursor=", "cursor"),
        (CASES, "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "cursor"),
        (CASES, "q=%00", "q"),
        (CASES, "q=", "q"),
        (CASES, f"q={'x' * 101}", "q"),
        (CASES, "q=甲&q=乙", "q"),
        (TASKS, "owed_by=water&limit=1&owed_by=utility", "owed_by"),
        (TASKS, "state=ended", "state"),
        (TASKS, "cursor=MXwy", "cursor"),
        (TASKS, f"cursor={'A' * 401}", "cursor"),
    ],
)
async def test_a_question_that_makes_no_sense_names_its_field(
    api: Api, path: str, query: str, named: str
) -> None:
    answer = await api.call("GET", f"{path}?{query}")
    assert fields(problem(answer, 422, "invalid-input")) == [named]


@pytest.mark.parametrize("no", ["ZJ20260000011", "ZJ20260000012", "nothing", "%00", "%ED%A0%80"])
@pytest.mark.parametrize("part", PARTS)
async def test_an_unknown_case_is_not_found(api: Api, no: str, part: str) -> None:
    problem(await api.call("GET", f"{CASES}/{no}{part}"), 404, "unknown-case")


@pytest.mark.parametrize("path", ["/", "/api/v1", "/api/v1/nothing", "/api/v2/applications"])
async def test_an_unknown_address_is_not_found(api: Api, path: str) -> None:
    problem(await api.call("GET", path), 404, "not-found")


async def test_another_method_says_which_are_possible(api: Api) -> None:
    answer = await api.call("DELETE", CASES)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"


async def test_wildcards_in_a_question_stand_for_themselves(api: Api) -> None:
    no = (await api.submit(changed(HIGH, "site.address", "示例%路_1号"))).json()["no"]
    found = (await api.call("GET", CASES, params={"q": "%路_1"})).json()["items"]
    assert [case["no"] for case in found] == [no]
    assert (await api.call("GET", CASES, params={"q": "路%1"})).json()["items"] == []


@pytest.mark.parametrize("query", ["?stat=open", "?state=open&state=ended", "?limit=1&offset=2"])
async def test_a_parameter_that_does_not_exist_or_repeats_is_named(api: Api, query: str) -> None:
    answer = await api.call("GET", f"/api/v1/applications{query}")
    named = {"?stat=open": "stat", "?limit=1&offset=2": "offset"}.get(query, "state")
    assert fields(problem(answer, 422, "invalid-input")) == [named]
