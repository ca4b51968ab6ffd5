"""How many cases are pinned to each policy version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.tables import applications


class Pinned(NamedTuple):
    """Cases of one policy version."""

    all: int
    are_open: int


async def cases_by_policy(engine: AsyncEngine) -> Mapping[str, Pinned]:
    """Return how many cases are pinned to each version that has any."""
    count = sa.func.count()
    statement = sa.select(
        applications.c.policy,
        count.label("all"),
        count.filter(applications.c.state == "open").label("are_open"),
    ).group_by(applications.c.policy)
    async with engine.connect() as db:
        return {row.policy: Pinned(row.all, row.are_open) for row in await db.execute(statement)}
