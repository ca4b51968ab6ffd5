"""Replays on file: each case once, each replay in one pair of hands at a time (RB-12.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.connection import TaskKind
from domain.errors import IdempotencyConflict, InputRefused, UnknownReplay
from storage.casefile import CaseFile
from storage.reading import CaseFilter
from storage.replays import (
    MOST_ATTEMPTS,
    CaseSettled,
    Replays,
    open_policies,
    to_replay,
)
from tests.support.cases import HIGH, LOW, NOON, POLICY, new_case, new_task

UNTIL = NOON + timedelta(seconds=30)
LATER = UNTIL + timedelta(seconds=1)
WORDS = {"zh": "原因", "en": "why"}
FOUND = {"workflow_id": "示例"}


@pytest.fixture
def replays(casefile: CaseFile) -> Replays:
    return Replays(casefile.engine)


@pytest.fixture
async def numbers(casefile: CaseFile) -> list[str]:
    bodies = (HIGH, LOW, HIGH)
    return [(await casefile.submit(new_case(f"key-{n}", body))).no for n, body in enumerate(bodies)]


async def _asked(replays: Replays, cases: list[str] | CaseFilter, key: str = "key-1") -> int:
    scope = {"cases": cases if isinstance(cases, list) else "query"}
    return (await replays.ask(scope, cases, by="admin-1", key=key, at=NOON)).replay.id


@pytest.mark.rule("RB-12.2")
async def test_what_was_asked_twice_under_a_key_is_one_replay(replays: Replays) -> None:
    scope = {"cases": ["ZJ20260000011"]}
    first = await replays.ask(scope, ["ZJ20260000011"], by="admin-1", key="key-1", at=NOON)
    again = await replays.ask(scope, ["ZJ20260000011"], by="admin-1", key="key-1", at=LATER)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.replay == first.replay
    other = await replays.ask(scope, ["ZJ20260000011"], by="admin-2", key="key-1", at=NOON)
    assert other.is_new
    with pytest.raises(IdempotencyConflict):
        await replays.ask({"all_open": True}, CaseFilter(), by="admin-1", key="key-1", at=NOON)


async def test_a_query_takes_the_cases_that_fit_it_now(
    replays: Replays, casefile: CaseFile, numbers: list[str]
) -> None:
    low = await _asked(replays, CaseFilter(q=numbers[1]))
    all_open = await _asked(replays, CaseFilter(state="open"), "key-2")
    none = await _asked(replays, CaseFilter(district="999999"), "key-3")
    await casefile.submit(new_case("key-later"))
    assert [case.no for case in await replays.left(low)] == [numbers[1]]
    assert [case.no for case in await replays.left(all_open)] == numbers
    assert (await replays.one(none)).total == 0


async def test_processes_that_the_file_knows_of_go_along(
    replays: Replays, casefile: CaseFile, numbers: list[str]
) -> None:
    await casefile.open_task(new_task(numbers[0]))
    task = new_task(numbers[0], TaskKind.PERMITS, department="water")
    await casefile.open_task(task)
    replay = await _asked(replays, [*numbers[:2], "ZJ20260000995"])
    left = {case.no: case.workflow_ids for case in await replays.left(replay)}
    assert left == {numbers[0]: (numbers[0],), numbers[1]: (), "ZJ20260000995": ()}
    named = await to_replay(casefile.engine, [numbers[0], "ZJ20260000995"])
    assert [(case.no, case.workflow_ids) for case in named] == [
        (numbers[0], (numbers[0],)),
        ("ZJ20260000995", ()),
    ]
    assert [case.no for case in await to_replay(casefile.engine)] == numbers
    assert await open_policies(casefile.engine) == {POLICY: 3}


@pytest.mark.rule("RB-12.2")
async def test_results_count_and_are_paged_by_case(replays: Replays, numbers: list[str]) -> None:
    replay = await _asked(replays, numbers)
    claimed = await replays.claim("mine", now=NOON, until=UNTIL)
    assert claimed is not None and claimed.id == replay
    settled = [
        CaseSettled(1, "not_carried", 3, [{**FOUND, "n": 1}, {**FOUND, "n": 2}]),
        CaseSettled(2, "not_found", 0, []),
        CaseSettled(3, "not_carried", 1, [{**FOUND, "n": 3}]),
    ]
    assert await replays.settle(claimed, settled[:2], until=UNTIL)
    half = await replays.one(replay)
    assert (half.total, half.done, half.not_carried, half.not_found) == (3, 2, 1, 1)
    assert (half.carried, half.processes, half.state) == (0, 3, "running")
    assert [case.no for case in await replays.left(replay)] == numbers[2:]
    assert await replays.settle(claimed, settled[2:], until=UNTIL)
    await replays.end(claimed, at=LATER)
    whole = await replays.one(replay)
    assert (whole.state, whole.ended_at, whole.problem) == ("done", LATER, None)
    first = await replays.findings(replay, limit=1, cursor=None)
    assert [each["n"] for each in first.items] == [1, 2]
    second = await replays.findings(replay, limit=1, cursor=first.next_cursor)
    assert [each["n"] for each in second.items] == [3]
    assert second.next_cursor is None


async def test_replays_are_listed_newest_first(replays: Replays) -> None:
    asked = [await _asked(replays, ["ZJ20260000011"], f"key-{n}") for n in range(3)]
    page = await replays.all(limit=2, cursor=None)
    assert [each.id for each in page.items] == asked[:0:-1]
    rest = await replays.all(limit=2, cursor=page.next_cursor)
    assert [each.id for each in rest.items] == asked[:1]
    assert rest.next_cursor is None
    with pytest.raises(InputRefused):
        await replays.all(limit=2, cursor="eHg=")
    with pytest.raises(UnknownReplay):
        await replays.one(10**9)


@pytest.mark.rule("RB-12.2")
async def test_nobody_works_on_what_somebody_else_works_on(
    replays: Replays, other: CaseFile, numbers: list[str]
) -> None:
    replay, theirs = await _asked(replays, numbers), Replays(other.engine)
    claimed = await replays.claim("mine", now=NOON, until=UNTIL)
    assert claimed is not None
    assert not await theirs.is_any_free(NOON) and await theirs.is_any_free(LATER)
    assert await theirs.claim("theirs", now=NOON, until=UNTIL) is None
    # Whoever said nothing for so long has ended; what it says later is not heard.
    taken = await theirs.claim("theirs", now=LATER, until=LATER)
    assert taken is not None and taken.id == replay
    assert not await replays.settle(claimed, [CaseSettled(1, "carried", 1, [])], until=LATER)
    await replays.end(claimed, at=LATER)
    assert (await replays.one(replay)).state == "running"
    assert (await replays.one(replay)).done == 0


async def test_what_is_stopped_stays_as_it_was(replays: Replays, numbers: list[str]) -> None:
    replay = await _asked(replays, numbers)
    claimed = await replays.claim("mine", now=NOON, until=UNTIL)
    assert claimed is not None
    assert await replays.settle(claimed, [CaseSettled(1, "carried", 1, [])], until=UNTIL)
    stopped = await replays.stop(replay, by="admin-2", at=LATER)
    assert (stopped.state, stopped.stopped_by, stopped.ended_at) == ("stopped", "admin-2", LATER)
    assert not await replays.settle(claimed, [CaseSettled(2, "carried", 1, [])], until=UNTIL)
    await replays.end(claimed, at=LATER)
    assert await replays.stop(replay, by="admin-1", at=UNTIL) == stopped
    assert not await replays.is_any_free(LATER)
    assert await replays.claim("mine", now=LATER, until=LATER) is None
    with pytest.raises(UnknownReplay):
        await replays.stop(10**9, by="admin-1", at=NOON)


@pytest.mark.rule("RB-12.2")
async def test_what_ends_everybody_who_takes_it_up_is_given_up_in_words(
    replays: Replays, numbers: list[str]
) -> None:
    replay, now = await _asked(replays, numbers), NOON
    for _ in range(MOST_ATTEMPTS):
        assert await replays.give_up(WORDS, now=now, at=now) == 0
        assert await replays.claim("mine", now=now, until=now) is not None
        now += timedelta(seconds=1)
    assert await replays.claim("mine", now=now, until=now) is None
    assert await replays.give_up(WORDS, now=now, at=now) == 1
    failed = await replays.one(replay)
    assert (failed.state, failed.problem, failed.ended_at) == ("failed", WORDS, now)


async def test_what_is_left_in_order_does_not_count_as_an_attempt(
    replays: Replays, numbers: list[str]
) -> None:
    await _asked(replays, numbers)
    for _ in range(MOST_ATTEMPTS + 1):
        claimed = await replays.claim("mine", now=NOON, until=UNTIL)
        assert claimed is not None
        await replays.release(claimed)
