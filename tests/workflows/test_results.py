"""What the clocks of a case came to is on file once its process has stopped them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from activities.clocks import clocks_of
from policy.loader import policy_for
from storage.tables import results
from tests.workflows.harness import Town
from tests.workflows.stories import STORIES


@pytest.mark.rule("RB-2.2", "RB-2.5")
@pytest.mark.parametrize(
    ("name", "stopped"),
    [
        ("low.connected", {("LV8", 0)}),
        ("low.not_feasible", set()),
        ("high.connected", {("HV40", 0), ("INT13", 0), ("GOV5", 1)}),
        ("high.revised_route", {("HV40", 0), ("INT13", 0), ("GOV5", 1), ("GOV5", 2)}),
        ("high.no_permit_needed", {("HV40", 0), ("INT13", 0)}),
        ("high.withdrawn", set()),
    ],
)
async def test_clocks_of_connected_cases_and_of_bundles_have_results(
    name: str, stopped: set[tuple[str, int]], town: Town
) -> None:
    story = STORIES[name]
    no = await town.submit(story.voltage)
    case = await town.tell(no, story)
    async with town.casefile.engine.connect() as db:
        rows = (await db.execute(sa.select(results))).all()
    assert {(row.clock, row.round) for row in rows} == stopped
    clocks = clocks_of(case, await town.reading.tasks_of(no), policy_for(case.policy))
    shown = {
        (clock.rule.id, clock.round or 0): (clock.started_on, clock.stopped_on)
        for clock in clocks
        if clock.department is None
    }
    for row in rows:
        assert (row.started_on, row.stopped_on) == shown[row.clock, row.round]
    assert await town.reading.first_break() == (1, None)
