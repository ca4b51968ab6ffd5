"""The record of what administrators did: accounts, keys, calendar years, repairs (RB-13.2).

What is done to a case is on the case's own record; here is what is done to the system, append-only
and chained by hash. For whoever records something, in the transaction that does it:

    async with writing(engine) as db:
        ...                                             # the change itself
        await record_act(
            db, at=now, by="admin-1", act="account.reset", subject="water-2", details={...}
        )

`act` is `thing.verb` in lower case (`key.made`, `account.disabled`, `calendar.published`), and
`subject` the id of the thing. Nothing secret and nobody's personal data goes in here (RB-13.3).
`read_acts` lists them; `onewindow verify` checks the chain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.accounts import RESERVED_ID
from storage.chain import ACT_FIELDS, GENESIS, canonical, fields_hash
from storage.cursors import bad_cursor, cursor_of, cursor_parts
from storage.reading import Page
from storage.records import AnyRow, parsed
from storage.tables import admin_acts

_ACT = re.compile("[a-z_]{1,19}[.][a-z_]{1,20}")

COMMAND = RESERVED_ID
"""Who does something by the machine's command line."""
_GIVES_A_PASSWORD = ("account.added", "account.reset")

Detail = str | int | bool | None


@dataclass(frozen=True, slots=True)
class AdminAct:
    """One entry.

    Attributes:
        number: 1, 2, 3 … without a gap.
        at: the engine's instant; keys and accounts live in real time, also in training mode.
        by: account of the administrator, or `command` for the command line of the machine.
    """

    number: int
    at: datetime
    by: str
    act: str
    subject: str
    details: Mapping[str, Detail]
    hash: str


async def record_act(
    db: AsyncConnection,
    *,
    at: datetime,
    by: str,
    act: str,
    subject: str,
    details: Mapping[str, Detail] | None = None,
) -> int:
    """Put an act on the record; return its number.

    Args:
        db: of `storage.database.writing`, so that the act and its entry happen together.
        at: the engine's instant.
        details: what an auditor asks next, without secrets and personal data.

    Raises:
        ValueError: the act is not spelled `thing.verb`.
    """
    if not _ACT.fullmatch(act):
        raise ValueError(f"{act!r} is not spelled thing.verb")
    if db.dialect.name == "postgresql":
        # Reading goes on; who records waits its turn, so that numbers and chain have no gap.
        await db.execute(sa.text("LOCK TABLE admin_acts IN SHARE ROW EXCLUSIVE MODE"))
    newest = sa.select(admin_acts.c.number, admin_acts.c.hash).order_by(admin_acts.c.number.desc())
    last = (await db.execute(newest.limit(1))).first()
    values: dict[str, Any] = {
        "number": last.number + 1 if last else 1,
        "at": at,
        "by": by,
        "act": act,
        "subject": subject,
        "details": canonical(dict(details or {})),
        "prev_hash": last.hash if last else GENESIS,
    }
    hashed = fields_hash(*(values[name] for name in ACT_FIELDS))
    await db.execute(admin_acts.insert().values(**values, hash=hashed))
    number: int = values["number"]
    return number


async def hands_behind(db: AsyncConnection, account: str) -> frozenset[str]:
    """Return who may know the password of an account: itself, who gave it, who gave theirs, …

    What came from the machine's command line came from nobody's account.
    """
    hands = {account}
    while True:
        given = (
            sa.select(admin_acts.c.by)
            .where(admin_acts.c.subject == account, admin_acts.c.act.in_(_GIVES_A_PASSWORD))
            .order_by(admin_acts.c.number.desc())
        )
        giver = await db.scalar(given.limit(1))
        if giver is None or giver == COMMAND or giver in hands:
            return frozenset(hands)
        hands.add(giver)
        account = giver


async def read_acts(
    engine: AsyncEngine,
    *,
    limit: int,
    cursor: str | None,
    act: str | None = None,
    by: str | None = None,
    subject: str | None = None,
) -> Page[AdminAct]:
    """Return acts, newest first.

    Args:
        act: one act (`key.made`), or all of a thing (`key`).

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    statement = sa.select(admin_acts).order_by(admin_acts.c.number.desc()).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(admin_acts.c.number < _number(cursor))
    if act is not None:
        is_whole = "." in act
        named = admin_acts.c.act == act
        statement = statement.where(
            named if is_whole else admin_acts.c.act.startswith(f"{act}.", autoescape=True)
        )
    if by is not None:
        statement = statement.where(admin_acts.c.by == by)
    if subject is not None:
        statement = statement.where(admin_acts.c.subject == subject)
    async with engine.connect() as db:
        rows = (await db.execute(statement)).all()
    shown = tuple(map(_act, rows[:limit]))
    return Page(shown, cursor_of(shown[-1].number) if len(rows) > limit else None)


def _act(row: AnyRow) -> AdminAct:
    values = {f.name: row._mapping[f.name] for f in fields(AdminAct)}
    return AdminAct(**{**values, "details": parsed(row.details)})


def _number(cursor: str) -> int:
    (last,) = cursor_parts(cursor, 1)
    if not (last.isascii() and last.isdigit() and len(last) <= 9):
        raise bad_cursor()
    return int(last)
