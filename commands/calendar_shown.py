"""How the calendar is shown in a terminal: years, versions, a notice, and why a date is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from commands.calendar_api import InForce, ReadNotice, Version, Year
from commands.progress import weekday
from domain.explaining import Explanation
from domain.working_time import DayKind, Verdict

_KINDS: Mapping[DayKind, str] = {
    DayKind.WORKDAY: "工作日 workday",
    DayKind.WEEKEND: "周末 weekend",
    DayKind.HOLIDAY: "节假日 holiday",
    DayKind.MAKE_UP: "调休上班 make-up workday",
}


def print_years(console: Console, calendar: InForce) -> None:
    """Print every published year with the notice it rests on (RB-1.6)."""
    table = _table("年 year", "放假 off", "调休 worked", "依据 notice")
    for year in calendar.years:
        table.add_row(
            str(year.year),
            f"{len(year.holidays)} 天 days",
            f"{len(year.make_up_days)} 天 days",
            Text(year.notice),
        )
    console.print(table)
    console.print(Text(f"在用 in force: {calendar.version}（第 {calendar.number} 版 version）"))


def print_versions(console: Console, versions: Sequence[Version], in_force: int) -> None:
    """Print the versions, newest first, and which is in force."""
    retracted_by = {each.retracts: each.number for each in versions if each.retracts}
    table = _table("版 no.", "名称 name", "年 year", "发布 published", "发布者 by", "依据 why", "")
    for each in versions:
        mark = "在用 in force" if each.number == in_force else ""
        if by := retracted_by.get(each.number):
            mark = f"已撤回 retracted by {by}"
        why = f"撤回第 {each.retracts} 版 retracts it: " if each.retracts else ""
        table.add_row(
            str(each.number),
            Text(each.version),
            str(each.year or "–"),
            f"{each.published_at:%Y-%m-%d %H:%M}",
            Text(each.published_by),
            Text(f"{why}{each.notice}"),
            mark,
        )
    console.print(table)


def print_notice(console: Console, notice: ReadNotice, now: Year | None) -> None:
    """Print how a notice was understood, and what it changes of the year in force, if that is out.

    Args:
        now: the same year as it is published; None while it is not.
    """
    console.print(Text(f"{notice.year.year} · {notice.year.notice}", "bold"), soft_wrap=True)
    table = _table("节日 holiday", "放假 off", "调休上班 worked")
    for each in notice.by_holiday:
        off = "\n".join(_spans(each.holidays)) or "–"
        worked = "\n".join(map(weekday, each.make_up_days)) or "–"
        table.add_row(Text(each.name), off, worked)
    console.print(table)
    for warning in notice.warnings:
        said = f"注意 warning: {warning.message_zh} / {warning.message}"
        console.print(Text(said, "yellow"), soft_wrap=True)
    for line in _changes(notice.year, now):
        console.print(Text(line), soft_wrap=True)


def print_why(console: Console, trigger: date, limit: int, why: Explanation) -> None:
    """Print a deadline day by day and in words, the date itself last (RB-1.8)."""
    table = _table("日期 day", "", "", "第几日 count")
    for each in why.days:
        marks = [
            *(["扣除 excluded"] if each.verdict is Verdict.EXCLUDED else []),
            *([] if each.is_published else ["暂定 unpublished year"]),
        ]
        table.add_row(
            weekday(each.day),
            _KINDS[each.kind],
            " · ".join(marks),
            Text(str(each.count) if each.verdict is Verdict.COUNTED else "–", justify="right"),
        )
    console.print(table)
    for paragraph in (*why.zh, *why.en):
        console.print(Text(paragraph), soft_wrap=True)
    provisional = "，暂定 provisional" if why.is_provisional else ""
    console.print(
        Text(
            f"{limit} 个工作日 working days after {weekday(trigger)}: {weekday(why.due_on)}"
            f"{provisional} · RB-1.3 民法典 201 · {why.calendar_version}"
        ),
        soft_wrap=True,
    )


def _changes(new: Year, now: Year | None) -> Iterator[str]:
    if now is None:
        yield f"{new.year} 年尚未公布 is not published yet"
        return
    found = {
        "新增放假 now off": new.holidays - now.holidays,
        "不再放假 no longer off": now.holidays - new.holidays,
        "新增上班 now worked": new.make_up_days - now.make_up_days,
        "不再上班 no longer worked": now.make_up_days - new.make_up_days,
    }
    differing = {what: days for what, days in found.items() if days}
    for what, days in differing.items():
        yield f"{what}: {', '.join(_spans(sorted(days)))}"
    if not differing and new != now:
        yield f"日期与现行相同，仅通知名称不同 the same days; only the name differs: {now.notice}"


def _spans(days: Iterable[date]) -> Iterator[str]:
    """Name days in ascending order, neighbours as one span with its length."""
    spans: list[list[date]] = []
    for day in days:
        if spans and day - spans[-1][-1] == timedelta(days=1):
            spans[-1].append(day)
        else:
            spans.append([day])
    for span in spans:
        first, last = span[0], span[-1]
        # The year once, unless the days reach over New Year: a window of 80 columns holds it.
        end = weekday(last) if last.year != first.year else weekday(last).partition("-")[2]
        yield f"{weekday(first)} – {end}，{len(span)} 天 days" if len(span) > 1 else weekday(first)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        # What a version rests on may be long, and only that is folded.
        table.add_column(title, overflow="fold", no_wrap=not title.startswith("依据"))
    return table
