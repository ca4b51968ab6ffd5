"""Requests nobody would think of: made from the API's own description by Schemathesis.

The engine is away, so an action is answered 503: that is documented, and declared here. Nothing is
ever answered 500, and every answer is one that the description promises.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings

from api.app import build_app
from domain.connection import TaskKind
from domain.documents import MAGIC
from domain.working_time import CIVIL_ZONE
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.documents import Documents
from storage.opinions import Opinions
from storage.reading import Reading
from tests.support.cases import HIGH, NOON, QUESTION, document, new_case, new_task
from tests.support.databases import SqliteFiles
from tests.support.serving import api_settings, authorization, listening

ACTIONS = "/api/v1/applications/{no}/actions"
Case = schemathesis.Case[Any]

NAMED = r"\{(no|task_id|token)\}"
ITEM = "示例事项"
DOCUMENT = document()


@schemathesis.serializer(*MAGIC)
def _as_a_file(_context: object, value: object) -> bytes:
    """Spell what is generated for a document; its first bytes are mostly not those of one."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


CONFIG = {
    "checks": {
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx"]},
        # A body of the right shape may still break a rule: a check digit, a district, a capacity.
        "positive_data_acceptance": {"enabled": False},
    },
    "operations": [
        {
            "include-path": ACTIONS,
            "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]}},
        }
    ],
    "warnings": False,
}


def _description() -> schemathesis.BaseSchema:
    # Only described: neither this database nor the engine is ever opened.
    nowhere = Path(tempfile.gettempdir()) / "never-opened.db"
    described = build_app(api_settings(f"sqlite:///{nowhere}")).openapi()
    return schemathesis.openapi.from_dict(described, config=schemathesis.Config.from_dict(CONFIG))


DESCRIPTION = _description()
bounded = settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True, slots=True)
class Served:
    """A listening API with one case on file, which owes a task to the desk and one to the water.

    With each there is a document, and a question to a unit outside.
    """

    base: str
    url: str
    no: str
    task_of: dict[str, str]


def _in_a_week() -> date:
    """Return a civil date that is in time, whatever the hour."""
    return datetime.now(CIVIL_ZONE).date() + timedelta(days=7)


@contextmanager
def _served(databases: SqliteFiles) -> Iterator[Served]:
    with databases.migrated() as url:
        no, task_of = asyncio.run(_put_on_file(url))
        with listening(build_app(api_settings(url))) as base:
            yield Served(base, url, no, task_of)


async def _put_on_file(url: str) -> tuple[str, dict[str, str]]:
    casefile = CaseFile(open_engine(url))
    try:
        no = (await casefile.submit(new_case(content=HIGH))).no
        desk = await casefile.open_task(new_task(no))
        water = await casefile.open_task(
            new_task(no, TaskKind.PERMITS, department="water", items=(ITEM,))
        )
        for task in (desk, water):
            await Documents(casefile.engine).put(
                task.id, DOCUMENT, by=task.owed_by, check=lambda _: NOON
            )
            await Opinions(casefile.engine).ask(
                task.id,
                QUESTION.model_copy(update={"answer_by": _in_a_week()}),
                token=f"token-of-{task.owed_by}",
                key="key-1",
                by=task.owed_by,
                check=lambda _: datetime.now(UTC),
            )
        return no, {"desk": desk.id, "water": water.id}
    finally:
        await casefile.close()


@pytest.fixture(scope="module")
def served(sqlite_databases: SqliteFiles) -> Iterator[Served]:
    with _served(sqlite_databases) as served:
        yield served
        _, found = asyncio.run(_first_break(served.url))
        assert found is None


async def _first_break(url: str) -> tuple[int, object]:
    engine = open_engine(url)
    try:
        return await Reading(engine).first_break()
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def _check(case: Case, served: Served, session: requests.Session, agency: str) -> None:
    case.call_and_validate(
        base_url=served.base, session=session, headers=authorization(agency), timeout=30
    )


@DESCRIPTION.parametrize()
@bounded
def test_the_desk_gets_no_answer_that_is_not_described(
    case: Case, served: Served, session: requests.Session
) -> None:
    _check(case, served, session, "desk")


@DESCRIPTION.parametrize()
@bounded
def test_a_department_gets_no_answer_that_is_not_described(
    case: Case, served: Served, session: requests.Session
) -> None:
    _check(case, served, session, "water")


ON_FILE = DESCRIPTION.exclude(lambda context: not re.search(NAMED, context.operation.path))


@ON_FILE.parametrize()
@bounded
def test_about_a_case_on_file_the_desk_gets_no_answer_that_is_not_described(
    case: Case, served: Served, session: requests.Session
) -> None:
    _about_what_is_on_file(case, served, "desk")
    _check(case, served, session, "desk")


@ON_FILE.exclude(path_regex="^/api/v1/applications").parametrize()
@bounded
def test_about_its_task_a_department_gets_no_answer_that_is_not_described(
    case: Case, served: Served, session: requests.Session
) -> None:
    _about_what_is_on_file(case, served, "water")
    _check(case, served, session, "water")


def _about_what_is_on_file(case: Case, served: Served, agency: str) -> None:
    on_file = {
        "no": served.no,
        "task_id": served.task_of[agency],
        "sha256": DOCUMENT.sha256,
        "token": f"token-of-{agency}",
    }
    if not re.fullmatch("[0-9a-f]{64}", str(case.path_parameters.get("sha256"))):
        # Meant to be no digest.
        del on_file["sha256"]
    case.path_parameters = {
        name: on_file.get(name, value) for name, value in case.path_parameters.items()
    }
