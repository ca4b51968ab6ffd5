"""The description says what the API does, and its examples work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api import (
    acts,
    bulk,
    calendar_preview,
    calendar_schemas,
    calendar_years,
    documents,
    escalations,
    following_schemas,
    keys,
    notices,
    opinions,
    permit_schemas,
    previews,
    public,
    repair_options,
    repair_schemas,
    replays,
    schemas,
    standing,
    stuck,
    supervision_schemas,
    undelivered,
    webhooks,
)
from api.description import EXAMPLES
from api.problems import PROBLEMS
from domain.application import Document
from domain.connection import TaskKind
from domain.documents import MAGIC
from domain.task_events import TaskEventKind
from tests.api.answers import problem
from tests.support.cases import HIGH, new_task
from tests.support.databases import connected
from tests.support.serving import Api

DOCUMENTS = "/api/v1/tasks/{task_id}/documents/{sha256}"
OWN_DOCUMENTS = "/api/v1/public/cases/{no}/tasks/{task_id}/documents/{sha256}"
FILES = {
    ("GET", "/api/v1/exchange/permits"): {"application/x-ndjson", "text/csv"},
    ("GET", DOCUMENTS): set(MAGIC),
    ("GET", OWN_DOCUMENTS): set(MAGIC),
}
"""What calls answer with that answer with a file."""
SIGNED_BY = {"webhook-id", "webhook-timestamp", "webhook-signature"}


@pytest.fixture
async def description(api: Api) -> dict[str, Any]:
    answer = await api.call("GET", "/openapi.json", None)
    found: dict[str, Any] = answer.json()
    return found


def _calls(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, calls in description["paths"].items():
        for method, call in calls.items():
            yield method.upper(), path, call


def _examples(call: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for content in call["requestBody"]["content"].values():
        found += [example["value"] for example in content.get("examples", {}).values()]
        found += content["schema"].get("examples", ())
        found += [content["example"]] if "example" in content else []
    return found


async def test_every_call_is_described(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    for method, path, call in _calls(description):
        assert call["summary"], (method, path)
        assert any(status.startswith("2") for status in call["responses"]), (method, path)
        for status, response in call["responses"].items():
            assert response["description"], (method, path, status)
            types = set(response["content"])
            is_refusal = status.startswith("4") or ("actions" in path and status == "503")
            usual = "application/problem+json" if is_refusal else "application/json"
            expected = FILES.get((method, path), {usual}) if status == "200" else {usual}
            assert types == expected, (method, path, status)
            assert all(shown["schema"] for shown in response["content"].values())
        if path.startswith("/api/v1/") and "open to all" not in call["tags"]:
            assert call["security"], (method, path)
            assert {"401", "403"} <= set(call["responses"]), (method, path)


async def test_every_call_that_writes_has_an_example(description: dict[str, Any]) -> None:
    writing = [(m, p, call) for m, p, call in _calls(description) if m in ("POST", "PUT")]
    assert len(writing) >= 9
    for method, path, call in writing:
        assert "requestBody" not in call or _examples(call), (method, path)


async def test_every_answer_has_an_example_of_its_shape(description: dict[str, Any]) -> None:
    for method, path, call in _calls(description):
        for status, response in call["responses"].items():
            if status.startswith("2"):
                for shown in response["content"].values():
                    assert shown.get("example"), (method, path, status)
    models = {"Document": Document}
    for module in (
        schemas,
        calendar_schemas,
        calendar_years,
        bulk,
        documents,
        following_schemas,
        public,
        escalations,
        notices,
        opinions,
        permit_schemas,
        previews,
        supervision_schemas,
        undelivered,
        repair_options,
        repair_schemas,
        standing,
        calendar_preview,
        acts,
        replays,
        stuck,
        keys,
        webhooks,
    ):
        models |= vars(module)
    for name, example in EXAMPLES.items():
        models[name].model_validate(example)


async def test_the_push_to_agencies_is_described(description: dict[str, Any]) -> None:
    push = description["webhooks"]["tasks/{id}"]["put"]
    shown = push["requestBody"]["content"]["application/json"]
    schemas.TaskBody.model_validate(shown["example"])
    assert {"200", "202", "4XX", "5XX"} <= set(push["responses"])
    assert {each["name"] for each in push["parameters"]} >= SIGNED_BY


async def test_the_event_of_a_change_is_described(description: dict[str, Any]) -> None:
    event = description["webhooks"]["events"]["post"]
    shown = event["requestBody"]["content"]["application/cloudevents+json"]
    webhooks.ChangeEvent.model_validate(shown["example"])
    assert {"204", "4XX", "5XX"} <= set(event["responses"])
    assert {each["name"] for each in event["parameters"]} >= SIGNED_BY


async def test_the_examples_of_a_submission_are_taken(
    api: Api, description: dict[str, Any]
) -> None:
    for n, body in enumerate(_examples(description["paths"]["/api/v1/applications"]["post"])):
        answer = await api.submit(body, key=f"key-{n}")
        assert answer.status_code == 202, answer.text
        assert answer.json()["warnings"] == []


async def test_the_examples_of_an_outcome_are_taken(api: Api, description: dict[str, Any]) -> None:
    call = description["paths"]["/api/v1/tasks/{task_id}/outcome"]["put"]
    for n, body in enumerate(_examples(call)):
        no = (await api.submit(HIGH, key=f"key-{n}")).json()["no"]
        items = tuple(item["item"] for item in body.get("items", ()))
        asked = (
            new_task(no, TaskKind.PERMITS, department="water", items=items)
            if items
            else new_task(no)
        )
        task = await api.casefile.open_task(asked)
        answer = await api.answer(task.id, body, task.owed_by)
        assert answer.status_code == 202, answer.text


async def test_the_examples_of_an_action_are_understood(
    api: Api, description: dict[str, Any]
) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    call = description["paths"]["/api/v1/applications/{no}/actions"]["post"]
    for n, body in enumerate(_examples(call)):
        path = f"/api/v1/applications/{no}/actions"
        answer = await api.call("POST", path, key=f"action-{n}", json=body)
        problem(answer, 503, "engine-away")


async def test_the_examples_of_an_inbox_are_taken(api: Api, description: dict[str, Any]) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    (question,) = _examples(description["paths"]["/api/v1/tasks/{task_id}/opinions"]["post"])
    (opinion,) = _examples(description["paths"]["/api/v1/opinions/{token}"]["put"])
    (many,) = _examples(description["paths"]["/api/v1/tasks/outcomes"]["post"])
    items = tuple(item["item"] for item in many["outcomes"][1]["outcome"]["items"])
    task = new_task(no, TaskKind.PERMITS, department="water", items=items)
    task_id = (await api.casefile.open_task(task)).id
    path = f"/api/v1/tasks/{task_id}/opinions"
    asked = await api.call("POST", path, "water", key="key-1", json=question)
    assert asked.status_code == 201, asked.text
    given = await api.call("PUT", asked.json()["link"], None, json=opinion)
    assert given.status_code == 200, given.text
    answer = await api.call("POST", "/api/v1/tasks/outcomes", "water", json=many)
    assert [each["status"] for each in answer.json()["outcomes"]] == [404, 202]


async def test_the_examples_of_a_report_are_taken(api: Api, description: dict[str, Any]) -> None:
    no = (await api.submit(HIGH)).json()["no"]
    task = new_task(no, TaskKind.PERMITS, department="water")
    path = f"/api/v1/tasks/{(await api.casefile.open_task(task)).id}/events"
    reports = _examples(description["paths"]["/api/v1/tasks/{task_id}/events"]["post"])
    assert {each["type"] for each in reports} == set(TaskEventKind) - {"correction-closed"}
    for n, body in enumerate(reports):
        answer = await api.call("POST", path, "water", key=f"key-{n}", json=body)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("slug", [each.slug for each in PROBLEMS])
async def test_every_problem_type_leads_somewhere(api: Api, slug: str) -> None:
    answer = await api.call("GET", f"/problems/{slug}", None)
    assert answer.status_code == 200
    assert answer.json()["title"] and answer.json()["title_zh"]


async def test_an_unknown_problem_type_is_not_found(api: Api) -> None:
    problem(await api.call("GET", "/problems/none", None), 404, "not-found")


async def test_the_process_is_alive_and_ready_while_the_engine_is_away(api: Api) -> None:
    assert (await api.call("GET", "/healthz", None)).json() == {"status": "alive"}
    ready = await api.call("GET", "/readyz", None)
    assert (ready.status_code, ready.json()) == (200, {"case_file": True, "engine": False})


async def test_without_its_case_file_it_is_not_ready(api: Api) -> None:
    with connected(api.url) as connection:
        connection.exec_driver_sql("DROP TABLE register")
    ready = await api.call("GET", "/readyz", None)
    assert (ready.status_code, ready.json()) == (503, {"case_file": False, "engine": False})
    assert (await api.call("GET", "/healthz", None)).status_code == 200


async def test_anyone_can_ask_for_civil_time(api: Api) -> None:
    answer = await api.call("GET", "/api/v1/clock", None)
    assert answer.json() == {"civil_now": "2026-09-16T12:00:00+08:00", "speed": 1.0}
