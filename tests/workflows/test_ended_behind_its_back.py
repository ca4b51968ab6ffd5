"""A case closed in the file while its process does not know: the file decides (RB-12.3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.connection import Ending, Voltage
from tests.workflows.harness import Town
from tests.workflows.stories import STORIES


@pytest.mark.rule("RB-12.3")
async def test_a_process_whose_case_has_ended_ends_as_the_file_says(town: Town) -> None:
    """The step that closed the file was done, and the engine lost what it answered."""
    no = await town.submit(Voltage.LOW)
    (checking,) = await town.owed(no, "check_papers.1")
    await town.put_on_file(checking, STORIES["low.connected"].outcome(checking))
    await town.casefile.ask_action("w", no, "withdraw", "示例", by="desk", at=town.now())
    await town.casefile.end(no, Ending.WITHDRAWN, at=town.now(), action_id="w")

    assert await town.delivery.deliver(await town.reading.task(checking.id))
    assert (await town.closing(no)).ending is Ending.WITHDRAWN
    assert set(await town.tasks(no)) == {"check_papers.1"}
    assert len(await town.events(no, "ended")) == 1
    assert (await town.reading.events(no))[-1].kind == "ended"


@pytest.mark.rule("RB-12.3")
async def test_a_task_closed_with_its_case_is_not_waited_for(town: Town) -> None:
    no = await town.submit(Voltage.LOW, first_attempt=timedelta(seconds=1))
    await town.owed(no, "check_papers.1")
    await town.casefile.ask_action("w", no, "withdraw", "示例", by="desk", at=town.now())
    await town.casefile.end(no, Ending.WITHDRAWN, at=town.now(), action_id="w")
    assert (await town.closing(no)).ending is Ending.WITHDRAWN
