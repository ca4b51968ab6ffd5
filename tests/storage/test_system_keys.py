"""Keys of systems on file: made once, whoever asks at the same moment (RB-13.1)."""

from __future__ import annotations

import asyncio

import pytest

from storage.admin_acts import read_acts
from storage.casefile import CaseFile
from storage.system_keys import NewKey, SystemKeys
from tests.support.cases import NOON

pytestmark = pytest.mark.rule("RB-13.1")


def _new() -> NewKey:
    return NewKey.drawn(
        "a secret of the server, for tests only",
        "water",
        "水务审批系统",
        days=30,
        idempotency_key="make-1",
        by="admin-1",
        at=NOON,
    )


async def test_who_asks_for_a_key_twice_at_once_makes_one(casefile: CaseFile) -> None:
    keys = SystemKeys(casefile.engine)
    made = await asyncio.gather(*(keys.add(_new()) for _ in range(4)))
    assert len({record.id for record, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False, False, False, True]
    acts = await read_acts(casefile.engine, limit=9, cursor=None)
    assert [each.act for each in acts.items] == ["key.made"]
