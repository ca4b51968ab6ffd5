"""A submission gets one number, once, and its number is never given again."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from domain.errors import IdempotencyConflict
from domain.naming import is_case_no
from storage.casefile import CaseFile
from storage.reading import Reading
from tests.support.cases import HIGH, LOW, changed, new_case
from tests.support.databases import counts, rows


@pytest.mark.rule("RB-3.7")
async def test_a_submission_gets_a_number_with_a_check_digit(
    casefile: CaseFile, reading: Reading
) -> None:
    submitted = await casefile.submit(new_case())
    assert submitted.is_new
    assert submitted.no == "ZJ20260000011"
    assert is_case_no(submitted.no)
    assert not is_case_no("ZJ20260000012")
    case = await reading.case(submitted.no)
    assert (case.content, case.state, case.process_started) == (HIGH, "open", False)
    assert [(e.seq, e.kind, e.by) for e in await reading.events(case.no)] == [
        (1, "submitted", "desk")
    ]


@pytest.mark.rule("RB-1.1")
async def test_the_year_in_the_number_is_that_of_shanghai(casefile: CaseFile) -> None:
    at = datetime.fromisoformat("2026-12-31T16:30:00+00:00")
    assert (await casefile.submit(new_case(at=at))).no.startswith("ZJ2027")


@pytest.mark.rule("RB-1.1")
async def test_an_instant_without_a_zone_is_not_put_on_file(casefile: CaseFile, url: str) -> None:
    with pytest.raises(ValueError, match="zone"):
        await casefile.submit(new_case(at=datetime(2026, 9, 16, 12)))
    assert set(counts(url).values()) == {0}


@pytest.mark.rule("RB-3.7")
async def test_the_same_submission_again_has_the_same_number(casefile: CaseFile, url: str) -> None:
    first = await casefile.submit(new_case())
    before = rows(url)
    again = await casefile.submit(new_case())
    assert (again.no, again.is_new) == (first.no, False)
    assert rows(url) == before


@pytest.mark.rule("RB-3.7")
async def test_a_key_sent_with_another_body_is_refused(casefile: CaseFile, url: str) -> None:
    await casefile.submit(new_case())
    before = rows(url)
    with pytest.raises(IdempotencyConflict):
        await casefile.submit(new_case(content=changed(HIGH, "capacity_kva", 631.0)))
    assert rows(url) == before


async def test_a_key_belongs_to_whoever_sent_it(casefile: CaseFile) -> None:
    by_desk = await casefile.submit(new_case(content=HIGH))
    by_applicant = await casefile.submit(new_case(content=LOW, by="applicant"))
    assert by_desk.no != by_applicant.no


@pytest.mark.rule("RB-3.7")
async def test_thirty_submissions_at_once_get_thirty_numbers_in_a_row(
    casefile: CaseFile, other: CaseFile, reading: Reading
) -> None:
    submitted = await asyncio.gather(
        *((casefile, other)[n % 2].submit(new_case(f"key-{n}")) for n in range(30))
    )
    cases = [await reading.case(each.no) for each in submitted]
    assert sorted(case.sequence for case in cases) == list(range(1, 31))
    assert await reading.first_break() == (30, None)


@pytest.mark.rule("RB-3.7")
async def test_ten_at_once_under_one_key_are_one_case(
    casefile: CaseFile, other: CaseFile, reading: Reading
) -> None:
    keys = [key for n in range(10) for key in (f"key-{n}", "shared", f"more-{n}")]
    submitted = await asyncio.gather(
        *((casefile, other)[n % 2].submit(new_case(key)) for n, key in enumerate(keys))
    )
    assert sum(each.is_new for each in submitted) == 21
    numbers = {each.no for each in submitted}
    cases = [await reading.case(no) for no in numbers]
    assert sorted(case.sequence for case in cases) == list(range(1, 22))
    assert await reading.first_break() == (21, None)


async def test_a_started_process_is_noted(casefile: CaseFile, reading: Reading) -> None:
    numbers = [(await casefile.submit(new_case(f"key-{n}"))).no for n in range(3)]
    await casefile.processes_started(numbers[:2])
    assert [case.no for case in await reading.unstarted()] == numbers[2:]
