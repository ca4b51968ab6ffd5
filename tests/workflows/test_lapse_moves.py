"""A calendar published while the desk is silent moves the day on which its silence accepts."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from api.recalculating import Recalculation
from domain.connection import Voltage
from domain.working_time import CalendarYear
from policy.calendar import calendar
from storage.calendars import Calendars
from tests.workflows.harness import NOTICE_LAPSES, Town

# With Friday the 18th off, the fifth working day is Monday the 21st.
OFF_AS_WELL = date(2026, 9, 18)
LAPSES_THEN = datetime.fromisoformat("2026-09-22T00:00:00+08:00")
# What opens next holds time still, so what is left of a sleep then passes in real time.
A_MOMENT, A_SECOND = timedelta(milliseconds=200), timedelta(seconds=1)


@pytest.mark.rule("RB-1.7", "RB-3.5")
async def test_silence_accepts_a_working_day_later_if_one_more_day_is_off(town: Town) -> None:
    no = await town.submit(Voltage.HIGH)
    await town.owed(no, "check_papers.1")
    calendars = Calendars(town.casefile.engine, calendar)
    year = calendar().years[2026]
    off = year.holidays | {OFF_AS_WELL}
    await calendars.publish(
        CalendarYear(2026, off, year.make_up_days, "虚构示例：更正通知"), by="supervisor"
    )
    recalculation = Recalculation(town.casefile, calendars, town.engine, town.engine_now)
    assert await recalculation.some() == 1
    # The desk's own limit, a working day, does not move: nothing of the case is told to anybody.
    assert await town.events(no, "calendar_changed") == []
    assert await recalculation.tell() == 1
    await town.let_pass(NOTICE_LAPSES + A_MOMENT - town.now(), owed=1)
    await town.comes(NOTICE_LAPSES + A_SECOND)
    assert await town.open_tasks(no) == {"check_papers.1"}
    await town.let_pass(LAPSES_THEN + A_MOMENT - town.now(), owed=1)
    await town.owed(no, "supply_plan.1")
    case = await town.case(no)
    assert case.accepted_at == case.submitted_at
