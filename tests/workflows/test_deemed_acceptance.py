"""Papers nobody says anything about: accepted by law, as of the day of receipt (RB-3.5)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from domain.connection import Ending, Voltage
from domain.errors import OutcomeConflict
from storage.casefile import SYSTEM
from tests.workflows.harness import Town

# Received on Monday 2026-09-14. Sunday the 20th is worked, so it is the fifth working day after.
LAPSES_AT = datetime.fromisoformat("2026-09-21T00:00:00+08:00")

# What opens next holds time still, so what is left of a sleep then passes in real time.
A_MOMENT = timedelta(milliseconds=200)


@pytest.mark.rule("RB-3.5")
@pytest.mark.parametrize("voltage", Voltage)
async def test_without_notice_in_five_working_days_the_papers_are_accepted(
    voltage: Voltage, town: Town
) -> None:
    no = await town.submit(voltage)
    await town.owed(no, "check_papers.1")
    await town.let_pass(LAPSES_AT - timedelta(minutes=1) - town.now(), owed=1)
    assert await town.open_tasks(no) == {"check_papers.1"}
    await town.let_pass(LAPSES_AT + A_MOMENT - town.now(), owed=1)

    await town.owed(no, "survey.1" if voltage is Voltage.LOW else "supply_plan.1")
    checked = (await town.tasks(no))["check_papers.1"]
    assert checked.outcome is not None
    assert (checked.outcome["code"], checked.decided_by) == ("accepted", SYSTEM)
    case = await town.case(no)
    assert case.accepted_at == case.submitted_at
    with pytest.raises(OutcomeConflict):
        await town.put_on_file(checked, {"code": "declined", "note": "逾期"})


@pytest.mark.rule("RB-3.5")
async def test_an_answer_in_the_last_hour_counts_and_nothing_is_deemed(town: Town) -> None:
    no = await town.submit(Voltage.LOW)
    (checking,) = await town.owed(no, "check_papers.1")
    await town.let_pass(LAPSES_AT - timedelta(minutes=1) - town.now(), owed=1)
    await town.answer(checking, {"code": "declined", "note": "不属于受理范围"})
    assert (await town.closing(no)).ending is Ending.DECLINED
    assert (await town.tasks(no))["check_papers.1"].decided_by == "desk"


@pytest.mark.rule("RB-3.5", "RB-12.3")
async def test_an_answer_on_file_but_not_delivered_is_not_overruled(town: Town) -> None:
    """The desk answered in time and the engine did not hear of it: the case file decides."""
    no = await town.submit(Voltage.LOW)
    (checking,) = await town.owed(no, "check_papers.1")
    await town.put_on_file(checking, {"code": "correction_needed", "missing": ["身份证明材料"]})
    await town.let_pass(LAPSES_AT + A_MOMENT - town.now(), owed=1)
    await town.owed(no, "correct_papers.1")
    assert (await town.case(no)).accepted_at is None
