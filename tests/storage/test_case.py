"""Acceptance, notes, actions and the end of a case: each once, whatever is repeated."""

from __future__ import annotations

import asyncio

import pytest

from domain.connection import TaskKind
from domain.errors import IdempotencyConflict, UnknownCase
from storage.casefile import CaseFile
from storage.chain import canonical, digest
from storage.reading import Reading
from tests.support.cases import NOON, new_case, new_task
from tests.support.databases import rows

INVESTMENT = {"decision": "utility_pays", "reasons": [{"zh": "示例", "en": "example"}]}
LATER = NOON.replace(hour=16)


@pytest.fixture
async def no(casefile: CaseFile) -> str:
    return (await casefile.submit(new_case())).no


async def test_acceptance_is_noted_once(
    casefile: CaseFile, reading: Reading, url: str, no: str
) -> None:
    await casefile.accept(no, at=NOON, is_deemed=False, investment=INVESTMENT)
    before = rows(url)
    await casefile.accept(
        no, at=LATER, is_deemed=False, investment={"decision": "utility_standard"}
    )
    assert rows(url) == before
    case = await reading.case(no)
    assert (case.accepted_at, case.investment) == (NOON, INVESTMENT)
    assert (await reading.events(no))[-1].body == {
        "is_deemed": False,
        "investment": "utility_pays",
        "investment_sha256": digest(canonical(INVESTMENT)),
    }


@pytest.mark.rule("RB-7.4")
async def test_an_investment_left_open_is_settled_once(
    casefile: CaseFile, reading: Reading, url: str, no: str
) -> None:
    await casefile.accept(
        no, at=NOON, is_deemed=True, investment={"decision": "needs_person", "reasons": []}
    )
    await casefile.settle_investment(no, at=LATER, investment=INVESTMENT)
    before = rows(url)
    await casefile.settle_investment(
        no, at=LATER, investment={"decision": "utility_standard", "reasons": []}
    )
    assert rows(url) == before
    assert (await reading.case(no)).investment == INVESTMENT
    assert await reading.first_break() == (1, None)


async def test_a_note_is_taken_once_per_cause(
    casefile: CaseFile, other: CaseFile, reading: Reading, no: str
) -> None:
    await asyncio.gather(
        *(
            each.note(no, "no_permit_needed", {"round": 1}, at=NOON, once="permits.1")
            for each in (casefile, other, casefile, other)
        )
    )
    await casefile.note(no, "no_permit_needed", {"round": 2}, at=LATER, once="permits.2")
    noted = [event.body for event in await reading.events(no) if event.kind != "submitted"]
    assert noted == [{"round": 1}, {"round": 2}]
    assert await reading.first_break() == (1, None)


async def test_the_same_cause_in_another_case_is_another_cause(
    casefile: CaseFile, reading: Reading, no: str
) -> None:
    second = (await casefile.submit(new_case("key-2"))).no
    for each in (no, second):
        await casefile.note(each, "noted", {}, at=NOON, once="cause")
        assert [event.kind for event in await reading.events(each)] == ["submitted", "noted"]


async def test_an_action_is_asked_once(casefile: CaseFile, url: str, no: str) -> None:
    await casefile.ask_action("id-1", no, "withdraw", "示例", by="desk", at=NOON)
    before = rows(url)
    await casefile.ask_action("id-1", no, "withdraw", "示例", by="desk", at=LATER)
    assert rows(url) == before


@pytest.mark.parametrize(
    ("action", "reason", "by"),
    [("withdraw", "another", "desk"), ("withdraw", "示例", "applicant"), ("other", "示例", "desk")],
)
async def test_an_action_id_that_stands_for_something_else_is_refused(
    casefile: CaseFile, url: str, no: str, action: str, reason: str, by: str
) -> None:
    await casefile.ask_action("id-1", no, "withdraw", "示例", by="desk", at=NOON)
    before = rows(url)
    with pytest.raises(IdempotencyConflict):
        await casefile.ask_action("id-1", no, action, reason, by=by, at=NOON)
    assert rows(url) == before


async def test_an_action_on_an_unknown_case_is_refused(casefile: CaseFile) -> None:
    with pytest.raises(UnknownCase):
        await casefile.ask_action("id", "ZJ20260000011", "withdraw", "示例", by="desk", at=NOON)


async def test_an_asked_action_is_not_part_of_the_record_until_taken(
    casefile: CaseFile, reading: Reading, no: str
) -> None:
    await casefile.ask_action("id-1", no, "withdraw", "示例", by="applicant", at=NOON)
    assert [event.kind for event in await reading.events(no)] == ["submitted"]
    assert not await reading.is_action_taken("id-1")
    await casefile.end(no, "withdrawn", at=LATER, action_id="id-1")
    assert await reading.is_action_taken("id-1")
    last = (await reading.events(no))[-1]
    assert (last.kind, last.by, last.body["action"]) == ("ended", "applicant", "id-1")


async def test_the_end_closes_what_is_still_owed(casefile: CaseFile, reading: Reading) -> None:
    no = (await casefile.submit(new_case())).no
    decided = await casefile.open_task(new_task(no))
    await casefile.decide(decided.id, {"code": "accepted"}, by="desk", at=NOON)
    owed = [
        await casefile.open_task(new_task(no, kind))
        for kind in (TaskKind.LINE_DESIGN, TaskKind.CUSTOMER_WORKS)
    ]
    elsewhere = await casefile.open_task(new_task((await casefile.submit(new_case("key-2"))).no))

    await casefile.end(no, "withdrawn", at=LATER, action_id=None)

    case = await reading.case(no)
    assert (case.state, case.ending, case.ended_at) == ("ended", "withdrawn", LATER)
    for task in owed:
        closed = await reading.task(task.id)
        assert (closed.state, closed.closed_by, closed.outcome) == ("closed", "withdrawn", None)
    assert (await reading.task(decided.id)).state == "done"
    assert (await reading.task(elsewhere.id)).state == "open"
    assert (await reading.events(no))[-1].body == {
        "ending": "withdrawn",
        "closed_tasks": sorted(task.id for task in owed),
    }


async def test_ending_again_changes_nothing(casefile: CaseFile, url: str, no: str) -> None:
    await casefile.open_task(new_task(no))
    await casefile.end(no, "declined", at=NOON, action_id=None)
    before = rows(url)
    await casefile.end(no, "connected", at=LATER, action_id=None)
    assert rows(url) == before
