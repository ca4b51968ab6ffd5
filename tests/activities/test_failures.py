"""What is told of a failure: its kind and place, and no row."""

from __future__ import annotations

import re
from pathlib import Path

import pydantic
import pytest
from pydantic import BaseModel
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities import failures
from activities.failures import KindAndPlace, kind_and_place

SECRET = "440802199502020001"


class _Number(BaseModel):
    number: int


class _Raising(ActivityInboundInterceptor):
    def __init__(self, problem: Exception) -> None:
        self._problem = problem

    async def execute_activity(self, input: ExecuteActivityInput) -> None:  # noqa: A002 - the base's name
        raise self._problem


async def _told_of(problem: Exception) -> ApplicationError:
    struck = KindAndPlace().intercept_activity(_Raising(problem))
    given = ExecuteActivityInput(fn=print, args=(), executor=None, headers={})
    with pytest.raises(ApplicationError) as told:
        await ActivityEnvironment().run(struck.execute_activity, given)
    return told.value


@pytest.mark.rule("RB-13.3")
async def test_a_failure_is_told_without_the_values_it_was_about() -> None:
    with pytest.raises(ValueError, match=SECRET) as raised:
        _Number.model_validate({"number": f"x{SECRET}"})
    told = await _told_of(raised.value)
    assert re.fullmatch(r"ValidationError at tests/activities/test_failures\.py:\d+", told.message)
    assert (told.type, told.__cause__, told.__context__) == ("ValidationError", None, None)


@pytest.mark.rule("RB-13.3")
async def test_a_row_that_a_database_quotes_is_not_told() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as db:
        db.execute(text("CREATE TABLE t (a TEXT CHECK (length(a) < 3))"))
        with pytest.raises(IntegrityError) as raised:
            db.execute(text(f"INSERT INTO t VALUES ('{SECRET}')"))
    assert SECRET in str(raised.value)
    told = await _told_of(raised.value)
    assert told.message.startswith("IntegrityError at ")
    assert SECRET not in told.message


async def test_of_a_database_that_is_away_the_reason_is_told() -> None:
    engine = create_engine("sqlite:////nowhere/at/all.db")
    with pytest.raises(OperationalError) as raised:
        engine.connect()
    assert (await _told_of(raised.value)).message.startswith(
        "OperationalError (unable to open database file) at tests/activities/"
    )


async def test_what_was_raised_on_purpose_is_told_as_it_was_said() -> None:
    said = ApplicationError("water did not answer", type="PushUnanswered")
    assert await _told_of(said) is said


def test_what_was_never_raised_has_no_place() -> None:
    assert kind_and_place(KeyError("a")) == "KeyError"


@pytest.mark.rule("RB-13.3")
def test_what_is_installed_within_our_folder_is_no_place_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = Path(pydantic.__file__).parents[2]
    assert installed.name != "site-packages"
    monkeypatch.setattr(failures, "ROOT", installed)
    with pytest.raises(ValueError, match="number") as raised:
        _Number.model_validate({"number": "x"})
    assert kind_and_place(raised.value) == "ValidationError"
