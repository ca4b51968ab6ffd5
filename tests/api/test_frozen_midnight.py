"""Midnight in Shanghai at the API's edge: the civil date comes from the zone alone (RB-1.1).

Time is frozen for the whole program. Whatever defines a workflow was imported before, and nothing
here runs one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
from freezegun import freeze_time

# Models are made before time is frozen: they would take the frozen types for the real ones.
from api.app import build_app
from domain.connection import TaskKind
from tests.support.cases import HIGH, new_task
from tests.support.serving import Api, api_settings

# National Day begins at this instant, in Shanghai; a second earlier it is 30 September.
MIDNIGHT = "2026-09-30T16:00:00Z"
A_SECOND_BEFORE = "2026-09-30T15:59:59Z"
DUE_ON = date(2026, 9, 30)


@asynccontextmanager
async def _api_at(instant: str, url: str) -> AsyncIterator[Api]:
    """Run an API by the program's own clock, which stands at `instant`."""
    app = build_app(api_settings(url))
    async with app.router.lifespan_context(app):
        with freeze_time(instant, real_asyncio=True):
            yield Api(app, url)


async def _seen(api: Api, path: str) -> Any:
    answer = await api.call("GET", f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.rule("RB-1.1")
@pytest.mark.parametrize(
    ("instant", "civil", "prefix"),
    [
        (A_SECOND_BEFORE, "2026-09-30T23:59:59+08:00", "ZJ2026"),
        (MIDNIGHT, "2026-10-01T00:00:00+08:00", "ZJ2026"),
        ("2026-12-31T15:59:59Z", "2026-12-31T23:59:59+08:00", "ZJ2026"),
        ("2026-12-31T16:00:00Z", "2027-01-01T00:00:00+08:00", "ZJ2027"),
    ],
)
async def test_a_submission_has_the_civil_date_of_shanghai(
    url: str, instant: str, civil: str, prefix: str
) -> None:
    async with _api_at(instant, url) as api:
        assert (await _seen(api, "/clock"))["civil_now"] == civil
        receipt = (await api.submit(HIGH)).json()
        assert receipt["submitted_at"] == civil
        case = await _seen(api, f"/applications/{receipt['no']}")
        (event,) = await _seen(api, f"/applications/{receipt['no']}/events")
        assert case["submitted_at"] == event["at"] == civil
        assert receipt["no"].startswith(prefix)


@pytest.mark.rule("RB-1.1", "RB-1.4")
@pytest.mark.parametrize(
    ("instant", "civil", "is_late"),
    [
        (A_SECOND_BEFORE, "2026-09-30T23:59:59+08:00", False),
        (MIDNIGHT, "2026-10-01T00:00:00+08:00", True),
    ],
)
async def test_a_decision_is_on_time_until_the_last_second_of_its_day(
    url: str, instant: str, civil: str, is_late: bool
) -> None:
    async with _api_at(instant, url) as api:
        no = (await api.submit(HIGH)).json()["no"]
        task = await api.casefile.open_task(new_task(no, TaskKind.CHECK_PAPERS, due_on=DUE_ON))
        answer = await api.answer(task.id, {"code": "accepted"})
        assert answer.status_code == 202, answer.text  # the engine is away; it is on file
        shown: Mapping[str, Any] = await _seen(api, f"/tasks/{task.id}")
        assert (shown["done_at"], shown["is_late"]) == (civil, is_late)
        *_, decided = await _seen(api, f"/applications/{no}/events")
        assert (decided["kind"], decided["at"]) == ("task_decided", civil)


@pytest.mark.rule("RB-1.1", "RB-1.3", "RB-1.4")
async def test_one_second_apart_the_same_limit_ends_on_the_same_day_after_the_holiday(
    url: str,
) -> None:
    due = {}
    for instant in (A_SECOND_BEFORE, MIDNIGHT):
        async with _api_at(instant, url) as api:
            civil_now = (await _seen(api, "/clock"))["civil_now"]
            asked = f"/calendar/deadline?from={civil_now.replace('+', '%2B')}&working_days=1"
            body = await _seen(api, asked)
            due[body["received_on"]] = body["due_on"]
    # Nothing between them is worked, so a day of receipt more costs no day.
    assert due == {"2026-09-30": "2026-10-08", "2026-10-01": "2026-10-08"}
