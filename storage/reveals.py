"""Looking at an applicant's numbers is itself an event of the case (RB-13.1)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.appending import Head, append, lock_case, locked_case
from storage.database import writing


async def record_reveal(
    engine: AsyncEngine, no: str, *, agency: str, account: str, at: datetime
) -> None:
    """Put on the case's record that its numbers were shown to somebody; before they are.

    Args:
        at: civil instant.

    Raises:
        UnknownCase: there is no such case.
    """
    async with writing(engine) as db:
        await lock_case(db, no)
        head = Head.of(await locked_case(db, no))
        await append(db, head, at=at, kind="numbers_shown", by=agency, body={"account": account})
