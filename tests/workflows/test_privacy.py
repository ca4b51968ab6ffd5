"""What processes leave behind in the engine and in logs says nothing of the applicant."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from domain.connection import Voltage
from domain.naming import bundle_id
from tests.workflows.agency_system import listening
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import Town
from tests.workflows.saved_histories import all_saved, text_of
from tests.workflows.stories import APPLICATIONS, STORIES, Story

# Codes of a small set, and what may be known of anybody.
NOT_PERSONAL = frozenset({"kind", "id_type", "size", "district", "is_agent_authorised"})


def personal(application: Mapping[str, Any]) -> set[str]:
    """Return every value of an application that says something of the person."""
    parts = (application["applicant"], application["site"], *application["documents"])
    return {
        value
        for part in parts
        for field, value in part.items()
        if field not in NOT_PERSONAL and value is not None
    }


def words(story: Story) -> Iterator[str]:
    """Return what is said in a story in somebody's own words."""
    for body in story.answers.values():
        yield from (body[name] for name in ("note",) if name in body)
        yield from body.get("missing", ())
    if story.is_withdrawn:
        yield "示例理由"


TOLD = (
    "low.corrected",
    "low.withdrawn",
    "high.inspection_failed",
    "high.revised_route",
    "high.revised_plan",
)


@pytest.mark.rule("RB-13.3")
@pytest.mark.parametrize("name", TOLD)
async def test_histories_carry_no_personal_data_and_nobodys_words(name: str, town: Town) -> None:
    story = STORIES[name]
    no = await town.submit(story.voltage)
    await town.tell(no, story)
    ids = [no, *(bundle_id(no, number) for number in range(1, len(story.bundles) + 1))]
    secret = {*personal(APPLICATIONS[story.voltage]), *words(story)}
    for workflow_id in ids:
        text = text_of(await town.history(workflow_id))
        # What is looked for would be found: the case number stands in the payloads, too.
        assert f'"no": "{no}"' in text
        assert {value for value in secret if value in text} == set()


@pytest.mark.rule("RB-13.3")
def test_what_is_looked_for_is_not_nothing() -> None:
    assert personal(APPLICATIONS[Voltage.LOW]) >= {"示例甲", "13800000001", "440802199502020001"}
    assert len(personal(APPLICATIONS[Voltage.LOW])) == 6
    assert len(personal(APPLICATIONS[Voltage.HIGH])) == 4
    assert all(list(words(STORIES[name])) for name in TOLD if name != "high.revised_route")


@pytest.mark.rule("RB-13.3")
def test_saved_histories_carry_no_personal_data() -> None:
    secret = {value for body in APPLICATIONS.values() for value in personal(body)}
    for name, saved in all_saved().items():
        text = text_of(saved.history)
        assert {value for value in secret if value in text} == set(), name


@pytest.mark.rule("RB-13.3")
async def test_logs_carry_no_personal_data(
    open_town: OpenTown, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, logger="aiosqlite")
    with listening() as desk:
        desk.answers += [(503, None), (422, None)]
        async with open_town(bases={"desk": desk.base}) as town:
            no = await town.submit(Voltage.LOW)
            await town.tell(no, STORIES["low.withdrawn"])
    assert no in caplog.text
    assert {value for value in personal(APPLICATIONS[Voltage.LOW]) if value in caplog.text} == set()
