"""Ten thousand random ledgers: folding is counting the days one by one (RB-1, RB-2)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from domain.clocks import Act, Basis, Entry, Ledger, due
from domain.working_time import StillSuspended, WorkingDays, elapsed
from policy.calendar import calendar

LEDGERS, SEED = 10_000, 516
DAY = timedelta(days=1)
FIRST, LAST = date(2019, 6, 1), date(2027, 6, 1)
LONGEST_LIMIT = 45


@dataclass(frozen=True)
class Drawn:
    """A ledger, and what was drawn to make it.

    Attributes:
        suspended: per suspension, the day it began and the day it ended; None: it is open.
    """

    ledger: Ledger
    started_on: date
    stopped_on: date | None
    suspended: tuple[tuple[date, date | None], ...]
    limit: int
    extended_by: int

    def counts(self, day: date) -> bool:
        """Whether a day counts, as a clerk with a calendar on the wall would say."""
        if not calendar().is_working(day):
            return False
        return not any(a < day and (b is None or day <= b) for a, b in self.suspended)


def _drawn(chance: random.Random) -> Drawn:
    on = started_on = FIRST + chance.randrange((LAST - FIRST).days) * DAY
    entries = [Entry(Act.START, on, "示例", "desk")]
    open_since: dict[str, date] = {}
    closed: list[tuple[date, date | None]] = []
    extended_by = 0
    for number in range(chance.randrange(9)):
        on += chance.choice((0, 0, 1, 2, 3, 8, 20)) * DAY
        act = chance.choice((Act.SUSPEND, Act.SUSPEND, Act.RESUME, Act.RESUME, Act.EXTEND))
        if act is Act.SUSPEND:
            ref, basis = f"s{number}", chance.choice(list(Basis))
            open_since[ref] = on
            entries.append(Entry(act, on, "示例", "desk", basis=basis, ref=ref))
        elif act is Act.RESUME and open_since:
            ref = chance.choice(sorted(open_since))
            closed.append((open_since.pop(ref), on))
            entries.append(Entry(act, on, "示例", "desk", ref=ref))
        elif act is Act.EXTEND:
            days = chance.randint(1, 10)
            extended_by += days
            entries.append(Entry(act, on, "示例", "desk", days=WorkingDays(days)))
    stopped_on = None
    if chance.random() < 0.3:
        stopped_on = on + chance.randrange(10) * DAY
        entries.append(Entry(Act.STOP, stopped_on, "示例", "desk"))
    still_open = [(since, stopped_on) for since in open_since.values()]
    return Drawn(
        Ledger(tuple(entries)),
        started_on,
        stopped_on,
        (*closed, *still_open),
        chance.randint(1, LONGEST_LIMIT),
        extended_by,
    )


def _counted_one_by_one(drawn: Drawn) -> date | None:
    """The day on which the limit runs out; None if an open suspension keeps it from doing so."""
    open_since = [a for a, b in drawn.suspended if b is None]
    day, left = drawn.started_on, drawn.limit + drawn.extended_by
    while left:
        day += DAY
        if open_since and day > min(open_since):
            return None
        left -= drawn.counts(day)
    return day


@pytest.mark.rule("RB-1.9", "RB-2.1")
def test_folding_is_counting_the_days_one_by_one() -> None:
    chance = random.Random(SEED)
    seen = {"open": 0, "excluded": 0, "provisional": 0}
    for _ in range(LEDGERS):
        drawn = _drawn(chance)
        expected = _counted_one_by_one(drawn)
        limit = WorkingDays(drawn.limit)
        if expected is None:
            seen["open"] += 1
            with pytest.raises(StillSuspended):
                due(drawn.ledger, limit, calendar())
        else:
            found = due(drawn.ledger, limit, calendar())
            assert found.due_on == expected, drawn
            assert found.is_provisional == (expected.year > max(calendar().years)), drawn
            seen["provisional"] += found.is_provisional
        until = drawn.started_on + chance.randrange(120) * DAY
        folded = drawn.ledger.fold()
        net = elapsed(
            calendar(), drawn.started_on, until, [each.interval for each in folded.suspensions]
        )
        days = (until - drawn.started_on).days
        one_by_one = sum(drawn.counts(drawn.started_on + n * DAY) for n in range(1, days + 1))
        assert net == one_by_one, drawn
        seen["excluded"] += net < elapsed(calendar(), drawn.started_on, until)
    # What is hard was drawn often enough to mean something.
    assert all(count > LEDGERS / 50 for count in seen.values()), seen
