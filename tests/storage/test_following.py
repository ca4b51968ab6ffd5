"""Which follow code counts, and who follows a case, on each database and from two processes."""

from __future__ import annotations

import asyncio

import pytest

from domain.errors import UnknownCase
from storage.casefile import CaseFile
from storage.following import Following
from storage.reading import Reading
from tests.support.cases import NOON, new_case
from tests.support.databases import counts


@pytest.mark.rule("RB-13.2")
async def test_new_codes_given_at_the_same_moment_are_each_another_and_on_the_record(
    casefile: CaseFile, other: CaseFile, reading: Reading
) -> None:
    no = (await casefile.submit(new_case())).no
    here, there = Following(casefile.engine), Following(other.engine)
    given = await asyncio.gather(
        *(
            each.renew(no, by="desk", account="desk-1", key=f"key-{n}", at=NOON)
            for n in range(4)
            for each in (here, there)
        )
    )
    assert sorted(each.generation for each in given) == [2, 2, 3, 3, 4, 4, 5, 5], "once per key"
    assert sorted(each.is_new for each in given) == [False] * 4 + [True] * 4
    assert await there.generation(no) == 5
    assert (await reading.first_break())[1] is None


async def test_no_visit_outlives_the_code_it_was_begun_with(
    casefile: CaseFile, other: CaseFile, url: str
) -> None:
    no = (await casefile.submit(new_case())).no
    here, there = Following(casefile.engine), Following(other.engine)
    begun = await asyncio.gather(
        *(here.begin(no, 1, at=NOON) for _ in range(5)),
        there.renew(no, by="desk", account=None, key="key", at=NOON),
        *(here.begin(no, 1, at=NOON) for _ in range(5)),
    )
    tokens = [each for each in begun if isinstance(each, str)]
    assert [await there.followed(token, at=NOON) for token in tokens] == [None] * len(tokens)
    assert counts(url)["follow_sessions"] == 0


async def test_a_case_that_is_not_there_has_no_code(casefile: CaseFile) -> None:
    following = Following(casefile.engine)
    assert await following.generation("ZJ20260000011") is None
    assert await following.begin("ZJ20260000011", 1, at=NOON) is None
    with pytest.raises(UnknownCase):
        await following.renew("ZJ20260000011", by="desk", account=None, key="k", at=NOON)
