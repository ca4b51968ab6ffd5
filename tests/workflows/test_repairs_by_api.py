"""Two administrators repair a case by the API, with the real engine behind it (RB-12.2)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from domain.connection import Ending, Voltage
from domain.naming import bundle_id
from tests.api.answers import problem
from tests.support.serving import Api
from tests.workflows.administrators import Administrators
from tests.workflows.agency_system import listening
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town, eventually
from tests.workflows.serving import serving
from tests.workflows.stories import FIVE_DEPARTMENTS, STORIES

STORY = STORIES["high.connected"]
PATH = "/api/v1/admin/repairs"
PDF = b"%PDF-1.4\n% fictitious\n"
DECIDED = ("permits-police.1", "permits-transport.1")

pytestmark = pytest.mark.rule("RB-12.2")


async def in_the_middle(town: Town) -> str:
    no = await town.submit(Voltage.HIGH)
    for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1"):
        await town.answer_all(no, STORY, name)
    await town.answer_all(no, STORY, *DECIDED)
    await Administrators(town).settled(no)
    return no


async def planned(api: Api, key: str = "repair-1", **body: Any) -> dict[str, Any]:
    asked = {"reason": "示例理由", **body}
    answer = await api.call("POST", PATH, "admin-1", key=key, json=asked)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def turned(api: Api, number: int, action: str, by: str = "admin-1") -> Any:
    return await api.call("POST", f"{PATH}/{number}/{action}", by)


async def done(api: Api, number: int) -> dict[str, Any]:
    """Wait until a repair is over; return it."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await api.call("GET", f"{PATH}/{number}", "admin-1")).json()
        return found if found["state"] in ("done", "cancelled") else None

    return await eventually(look, f"repair {number}")


async def test_a_restart_from_plan_to_report(open_settled_town: OpenTown) -> None:
    async with open_settled_town() as town, serving(town) as api:
        no = await in_the_middle(town)
        repair = await planned(api, kind="restart", case_no=no)
        number, item = repair["number"], repair["items"][0]
        assert (repair["state"], repair["needs_approval"]) == ("planned", True)
        assert {each["change"] for each in item["plan"]["processes"]} == {"anew"}
        # The same again is the same repair; something else under the same key is refused.
        assert (await planned(api, kind="restart", case_no=no))["number"] == number
        other = {"kind": "restart", "case_no": no, "reason": "另一理由"}
        refused = await api.call("POST", PATH, "admin-1", key="repair-1", json=other)
        problem(refused, 409, "key-reused")

        problem(await turned(api, number, "execute"), 409, "illegal-repair")
        problem(await turned(api, number, "approve"), 403, "own-plan")
        approved = (await turned(api, number, "approve", "admin-2")).json()
        assert approved["approved_by"] == "admin-2"
        assert (await turned(api, number, "execute")).json()["state"] == "executing"

        found = await done(api, number)
        (item,) = found["items"]
        assert (item["state"], item["is_as_planned"]) == ("done", True)
        assert (found["planned_by"], found["approved_by"]) == ("admin-1", "admin-2")
        assert found["reason"] == "示例理由"
        problem(await turned(api, number, "execute"), 409, "illegal-repair")
        problem(await turned(api, number, "cancel"), 409, "illegal-repair")
        begun, ended = (await town.reading.events(no))[-2:]
        assert (begun.kind, begun.by, begun.body["approved_by"]) == (
            "repair_begun",
            "admin-1",
            "admin-2",
        )
        assert (ended.kind, ended.body["is_as_planned"]) == ("repair_ended", True)
        listed = (await api.call("GET", PATH, "admin-2")).json()
        assert [each["number"] for each in listed["items"]] == [number]
        assert (await town.tell(no, STORY)).ending == Ending.CONNECTED


async def test_a_plan_is_stale_when_the_case_has_moved_on(open_settled_town: OpenTown) -> None:
    async with open_settled_town() as town, serving(town) as api:
        no = await in_the_middle(town)
        repair = await planned(api, kind="restart", case_no=no)
        later = await planned(api, "repair-2", kind="restart", case_no=no)
        await turned(api, later["number"], "approve", "admin-2")
        await town.answer_all(no, STORY, "permits-water.1")

        refused = await turned(api, repair["number"], "approve", "admin-2")
        problem(refused, 409, "stale-plan")
        problem(await turned(api, later["number"], "execute"), 409, "stale-plan")
        assert not await town.events(no, "repair_begun")


async def test_what_cannot_be_repaired_is_refused_with_the_reason(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town() as town, serving(town) as api:
        no = await in_the_middle(town)
        bundle = bundle_id(no, 1)

        async def refused(slug: str, **body: Any) -> dict[str, Any]:
            asked = {"reason": "示例理由", **body}
            answer = await api.call("POST", PATH, "admin-1", key="refused", json=asked)
            return problem(answer, 404 if slug.startswith("unknown") else 409, slug)

        by_case = {"case_no": no, "kind": "reset"}
        wrong = await refused("illegal-repair", **by_case, process=bundle, event=5)
        assert "possible are 4" in wrong["detail"] and "可选：4" in wrong["detail_zh"]
        await refused("illegal-repair", **by_case, event=999_999)
        await refused("illegal-repair", **by_case, event="first_failure")
        await refused("illegal-repair", **by_case, process=f"{no}.permits.2", event=4)
        await refused("illegal-repair", kind="retry", task_id=f"{no}.permits-water.1")
        await refused("illegal-repair", kind="push", task_id=f"{no}.permits-water.1")
        await refused("illegal-repair", kind="push", task_id=f"{no}.permits-police.1")
        await refused("unknown-task", kind="push", task_id=f"{no}.survey.1")

        await town.tell(no, STORY)
        for body in (
            {"kind": "restart", "case_no": no},
            {**by_case, "event": 4},
            {"kind": "withdraw", "case_no": no},
            {"kind": "push", "task_id": f"{no}.permits-water.1"},
        ):
            await refused("case-ended", **body)
        assert (await api.call("GET", PATH, "admin-1")).json()["items"] == []


async def test_an_outcome_on_behalf_needs_its_document(open_settled_town: OpenTown) -> None:
    async with open_settled_town() as town, serving(town) as api:
        no = await in_the_middle(town)
        task = (await town.owed(no, "permits-water.1"))[0]
        outcome = dict(STORY.outcome(task))
        body = {"kind": "decide", "task_id": task.id, "outcome": outcome, "reason": "系统停运"}

        bad = {**body, "outcome": {"code": "planned"}}
        refused = await api.call("POST", PATH, "admin-1", key="decide-1", json=bad)
        problem(refused, 422, "invalid-input")
        refused = await api.call("POST", PATH, "admin-1", key="decide-1", json=body)
        assert "PUT /tasks/" in problem(refused, 409, "illegal-repair")["detail"]
        put = await api.call(
            "PUT",
            f"/api/v1/tasks/{task.id}/documents/{hashlib.sha256(PDF).hexdigest()}",
            "admin-1",
            headers={"Content-Type": "application/pdf"},
            content=PDF,
        )
        assert put.status_code == 201, put.text

        repair = await planned(api, "decide-1", **body)
        assert repair["items"][0]["plan"]["decisions_added"] == [task.id]
        await turned(api, repair["number"], "approve", "admin-2")
        await turned(api, repair["number"], "execute")
        (item,) = (await done(api, repair["number"]))["items"]
        assert item["is_as_planned"], item["report"]
        decided = (await town.tasks(no))["permits-water.1"]
        assert (decided.state, decided.decided_by) == ("done", "admin-1")
        assert (await town.tell(no, STORY)).ending == Ending.CONNECTED


async def test_a_batch_is_paused_resumed_and_cancelled(open_settled_town: OpenTown) -> None:
    async with open_settled_town() as town, serving(town) as api:
        numbers = [await town.submit(Voltage.LOW) for _ in range(6)]
        administrators = Administrators(town)
        for no in numbers:
            await administrators.settled(no)
        repair = await planned(api, kind="restart", query={}, per_second=0.2)
        number = repair["number"]
        assert repair["counts"] == {"planned": 6}
        await turned(api, number, "approve", "admin-2")
        await turned(api, number, "execute")

        async def one_is_done() -> bool | None:
            shown = (await api.call("GET", f"{PATH}/{number}", "admin-1")).json()
            return True if shown["counts"].get("done") else None

        await eventually(one_is_done, "the first case")
        paused = (await turned(api, number, "pause")).json()
        assert paused["state"] == "paused"
        problem(await turned(api, number, "execute"), 409, "illegal-repair")
        resumed = (await turned(api, number, "resume")).json()
        assert resumed["state"] == "executing"
        await turned(api, number, "cancel")
        found = await done(api, number)
        assert found["state"] == "cancelled"
        assert found["counts"]["done"] + found["counts"]["cancelled"] == 6
        assert found["counts"]["cancelled"] >= 1
        page = await api.call("GET", f"{PATH}/{number}/items?state=cancelled&limit=1", "admin-1")
        (left,) = page.json()["items"]
        assert not await town.events(left["case_no"], "repair_begun")


async def test_the_same_request_answers_with_its_repair_though_the_case_has_moved(
    open_settled_town: OpenTown,
) -> None:
    async with open_settled_town() as town, serving(town) as api:
        no = await in_the_middle(town)
        repair = await planned(api, kind="restart", case_no=no)
        await turned(api, repair["number"], "approve", "admin-2")
        await turned(api, repair["number"], "execute")
        await done(api, repair["number"])
        await town.tell(no, STORY)
        again = await planned(api, kind="restart", case_no=no)
        assert (again["number"], again["state"]) == (repair["number"], "done")


async def test_a_plan_says_when_the_case_ends_by_an_outcome(open_settled_town: OpenTown) -> None:
    async with open_settled_town() as town, serving(town) as api:
        no = await town.submit(Voltage.HIGH)
        for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1"):
            await town.answer_all(no, STORY, name)
        await Administrators(town).settled(no)
        task_id = f"{no}.customer_works.1"
        digest = hashlib.sha256(PDF).hexdigest()
        path = f"/api/v1/tasks/{no}.line_design.1/documents/{digest}"
        headers = {"Content-Type": "application/pdf"}
        put = await api.call("PUT", path, "admin-1", headers=headers, content=PDF)
        assert put.status_code == 201, put.text
        outcome = {"code": "no_route", "note": "示例理由"}

        repair = await planned(api, kind="decide", task_id=f"{no}.line_design.1", outcome=outcome)

        (item,) = repair["items"]
        assert item["plan"]["ends_as"] is not None
        assert item["plan"]["tasks_closed"] == [task_id]
        assert item["plan"]["documents"] == [digest]
        await turned(api, repair["number"], "approve", "admin-2")
        await turned(api, repair["number"], "execute")
        (item,) = (await done(api, repair["number"]))["items"]
        assert item["is_as_planned"], item["report"]
        assert (await town.case(no)).ending == item["plan"]["ends_as"]


async def test_every_task_that_an_agency_missed_is_pushed(open_settled_town: OpenTown) -> None:
    with listening() as departments:
        departments.answers = [(400, None)] * 5
        bases = dict.fromkeys(FIVE_DEPARTMENTS, departments.base)
        async with open_settled_town(bases=bases) as town, serving(town) as api:
            no = await town.submit(Voltage.HIGH)
            for name in ("check_papers.1", "supply_plan.1", "confirm_plan.1", "line_design.1"):
                await town.answer_all(no, STORY, name)

            async def are_refused() -> bool | None:
                tasks = await town.reading.tasks_of(no)
                return True if sum(t.push_problem is not None for t in tasks) == 5 else None

            await eventually(are_refused, "five refusals")
            await Administrators(town).settled(no)
            repair = await planned(api, kind="push", query={}, per_second=50)
            assert repair["counts"] == {"planned": 5}
            await turned(api, repair["number"], "execute")
            found = await done(api, repair["number"])
            assert found["counts"] == {"done": 5}, found["items"]
            assert all(each["is_as_planned"] for each in found["items"])
            assert not [t for t in await town.reading.tasks_of(no) if t.push_problem]
