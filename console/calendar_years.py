"""The working-day calendar: its years as people read them, publishing, and why a date (RB-1)."""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from api import calendar, calendar_preview, calendar_years
from api.calendar_years import NewYear, NoticeText, Retraction
from api.problems import field_problems
from api.repairs import Number
from api.services import Services, Serving
from console.form_fields import many, text, whole
from console.guard import PATH, Guarded, Visitor
from console.rendering import Problems, page
from domain.access import Act
from domain.errors import CalendarMoved, FieldProblem, InputRefused, NothingToRetract
from domain.words import Words
from domain.working_time import Calendar, DayKind, Verdict

router = APIRouter()

VERDICTS: Mapping[str, Words] = {
    Verdict.COUNTED: Words("计入", "counted"),
    Verdict.WEEKEND: Words("周末，不计", "weekend, not counted"),
    Verdict.HOLIDAY: Words("放假，不计", "holiday, not counted"),
    Verdict.EXCLUDED: Words("扣除，不计", "excluded, not counted"),
}
_RANGE = ".."
_FIRST_YEAR, _LAST_YEAR = 2004, 2100


# ---------------------------------------------------------------- years


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a year view; `is_of_month` is false for the blanks around a month."""

    on: date
    kind: DayKind
    is_of_month: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a year view, week by week from Monday."""

    number: int
    weeks: Sequence[Sequence[Day]]
    working_days: int


@router.get("/admin/calendar", name=Act.SEE_CALENDAR)
async def show_calendar(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show a year of the calendar in force, the versions, and how far open cases are with it."""
    return await _show(request, visitor, services)


async def _show(
    request: Request,
    visitor: Visitor,
    services: Services,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    years = {each["year"]: each for each in (await calendar_years.get_years(services))["years"]}
    this_year = services.settings.clock.civil(services.now()).year
    ignored: list[FieldProblem] = []
    year = whole(request.query_params, "year", ignored) or this_year
    year = min(max(year, _FIRST_YEAR), _LAST_YEAR)
    in_force = (await services.calendars.current()).calendar
    return page(
        request,
        visitor,
        "admin_calendar.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/calendar?year={year}",
        year=year,
        this_year=this_year,
        published=years.get(year),
        years=sorted(set(years) | {this_year, this_year + 1}, reverse=True),
        is_published=years,
        months=list(months_of(year, in_force)),
        versions=await calendar_years.get_versions(services),
        recalculation=await calendar_years.get_recalculation(services),
        problems=Problems(problems),
    )


def months_of(year: int, days: Calendar) -> Iterator[Month]:
    """Yield the twelve months of a year as a calendar has them."""
    for number in range(1, 13):
        weeks = [
            [Day(day, days.kind(day), day.month == number) for day in week]
            for week in months.Calendar().monthdatescalendar(year, number)
        ]
        counted = sum(
            day.is_of_month and day.kind in (DayKind.WORKDAY, DayKind.MAKE_UP)
            for week in weeks
            for day in week
        )
        yield Month(number, weeks, counted)


@router.post("/admin/calendar/versions/{number}/retraction", name=Act.PUBLISH_CALENDAR)
async def retract(
    request: Request, number: Number, visitor: Guarded, services: Serving
) -> Response:
    """Take a version back; the same as `POST /calendar/versions/{number}/retraction`."""
    form = await request.form()
    if text(form, "confirm") != str(number):
        problem = FieldProblem("confirm", f"type {number}", f"请输入 {number}")
        return await _show(request, visitor, services, [problem])
    try:
        body = Retraction(reason=" ".join(text(form, "reason").split()))
        await calendar_years.retract_version(number, body, visitor.caller, services)
    except ValidationError:
        problem = FieldProblem("reason", "say why", "请说明理由")
        return await _show(request, visitor, services, [problem])
    except NothingToRetract:
        problem = FieldProblem(
            "confirm",
            "this version cannot be taken back: it is the first, or its year was changed since",
            "此版本不能撤回：为首个版本，或该年度其后已有变更",
        )
        return await _show(request, visitor, services, [problem])
    return RedirectResponse(f"{PATH}/admin/calendar", status_code=303)


# ---------------------------------------------------------------- publishing one


@router.get("/admin/calendar/draft", name=Act.PUBLISH_CALENDAR)
async def new_draft(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Show the form of a year: empty, or with what is published."""
    ignored: list[FieldProblem] = []
    year = whole(request.query_params, "year", ignored)
    draft = Draft()
    for each in (await calendar_years.get_years(services))["years"]:
        if each["year"] == year:
            draft = Draft.of(each)
    return await _draft(request, visitor, services, draft if draft.year else Draft(year=year or 0))


@router.post("/admin/calendar/draft", name=Act.PUBLISH_CALENDAR)
async def work_on_draft(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Read a notice into the form, preview what a year would move, or publish it."""
    form = await request.form()
    step, problems = text(form, "step"), list[FieldProblem]()
    draft = Draft.sent(form, problems)
    if step == "read":
        return await _read(request, visitor, services, draft, form)
    preview: Mapping[str, Any] | None = None
    try:
        if problems:
            raise InputRefused(*problems)
        body = draft.body()
        preview = await calendar_preview.preview_year(draft.year, body, visitor.caller, services)
        if step == "publish":
            if text(form, "confirm") != str(draft.year):
                raise InputRefused(
                    FieldProblem("confirm", f"type {draft.year}", f"请输入 {draft.year}")
                )
            await calendar_years.publish_year(draft.year, body, visitor.caller, services)
            return RedirectResponse(f"{PATH}/admin/calendar?year={draft.year}", status_code=303)
    except InputRefused as refused:
        problems = [_of_draft(each) for each in refused.problems]
    except CalendarMoved:
        problems = [
            FieldProblem(
                "notice",
                "another version was published meanwhile: look at the preview again",
                "其间已发布另一版本，请重新预览",
            )
        ]
        draft.based_on = 0
    return await _draft(request, visitor, services, draft, preview, problems)


def _of_draft(problem: FieldProblem) -> FieldProblem:
    # A list of days is one field here; which of them is wrong stands in the words.
    return FieldProblem(problem.field.split(".")[0], problem.en, problem.zh)


@dataclass(slots=True)
class Draft:
    """A year as it stands in the form; `based_on` is the version one looked at."""

    year: int = 0
    notice: str = ""
    holidays: Sequence[date] = ()
    make_up_days: Sequence[date] = ()
    based_on: int = 0

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Draft:
        """Take over what is published, or was read from a notice."""
        return cls(
            published["year"],
            published["notice"],
            published["holidays"],
            published["make_up_days"],
        )

    @classmethod
    def sent(cls, form: FormData, problems: list[FieldProblem]) -> Draft:
        """Read the form; what is wrong with it is noted."""
        year = whole(form, "year", problems) or 0
        if not _FIRST_YEAR <= year <= _LAST_YEAR:
            problems.append(
                FieldProblem(
                    "year",
                    f"name a year from {_FIRST_YEAR} to {_LAST_YEAR}",
                    f"请填写 {_FIRST_YEAR} 至 {_LAST_YEAR} 之间的年份",
                )
            )
        return cls(
            year,
            " ".join(text(form, "notice").split()),
            _days(form, "holidays", problems),
            _days(form, "make_up_days", problems),
            whole(form, "based_on", []) or 0,
        )

    def body(self) -> NewYear:
        """Return it as the API takes it.

        Raises:
            InputRefused: names the fields.
        """
        try:
            return NewYear(
                notice=self.notice,
                holidays=frozenset(self.holidays),
                make_up_days=frozenset(self.make_up_days),
                based_on=self.based_on or None,
            )
        except ValidationError as error:
            raise InputRefused(*field_problems(error.errors())) from None


def _days(form: FormData, name: str, problems: list[FieldProblem]) -> list[date]:
    """Read days and ranges of days, `2027-01-01..2027-01-03`."""
    found: set[date] = set()
    for written in many(form, name)[:200]:
        first, _, last = written.partition(_RANGE)
        try:
            begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
        except ValueError:
            problems.append(FieldProblem(name, f"{written} is no date", f"{written} 不是日期"))
            continue
        if not 0 <= (end - begin).days <= 31:
            problems.append(
                FieldProblem(
                    name,
                    f"{written}: a range has its first day first, and 32 days at most",
                    f"{written}：起止日期颠倒或超过 32 天",
                )
            )
            continue
        found |= {begin + timedelta(days=n) for n in range((end - begin).days + 1)}
    return sorted(found)


async def _read(
    request: Request, visitor: Visitor, services: Services, draft: Draft, form: FormData
) -> Response:
    """Fill the form with what the text of a notice says."""
    try:
        notice = NoticeText(text=text(form, "notice_text", 20_000))
        read = await calendar_years.read_notice(notice, visitor.caller, services)
    except ValidationError:
        problem = FieldProblem("notice_text", "paste the notice", "请粘贴通知全文")
        return await _draft(request, visitor, services, draft, None, [problem])
    except InputRefused as refused:
        problems = [FieldProblem("notice_text", each.en, each.zh) for each in refused.problems]
        return await _draft(request, visitor, services, draft, None, problems)
    return await _draft(request, visitor, services, Draft.of(read["year"]), read=read)


async def _draft(
    request: Request,
    visitor: Visitor,
    services: Services,
    draft: Draft,
    preview: Mapping[str, Any] | None = None,
    problems: Sequence[FieldProblem] = (),
    read: Mapping[str, Any] | None = None,
) -> Response:
    version = await services.calendars.current()
    shown: Sequence[Month] = ()
    if draft.year and draft.holidays and not problems:
        shown = tuple(months_of(draft.year, _as_calendar(draft, version.calendar)))
    return page(
        request,
        visitor,
        "admin_calendar_draft.html",
        status=422 if problems else 200,
        back=f"{PATH}/admin/calendar/draft",
        draft=draft,
        holidays=ranges(draft.holidays),
        make_up_days=ranges(draft.make_up_days),
        months=shown,
        # Another publication since one looked is refused, so what was looked at goes along.
        based_on=preview["based_on"] if preview else draft.based_on,
        preview=preview,
        read=read,
        problems=Problems(problems),
        PREVIEWED=calendar_preview.LOOKED_AT,
    )


def _as_calendar(draft: Draft, before: Calendar) -> Calendar:
    """Return the calendar with a draft that was found to be sound; else the one there is."""
    try:
        return calendar_preview.with_year(before, draft.year, draft.body())
    except InputRefused:
        return before


def ranges(days: Sequence[date]) -> str:
    """Spell days one range a line."""
    lines: list[list[date]] = []
    for day in sorted(days):
        if lines and (day - lines[-1][-1]).days == 1:
            lines[-1].append(day)
        else:
            lines.append([day])
    return "\n".join(
        str(each[0]) if len(each) == 1 else f"{each[0]}{_RANGE}{each[-1]}" for each in lines
    )


# ---------------------------------------------------------------- why this date


@router.get("/deadline", name=Act.WHY_THIS_DATE)
async def why_this_date(request: Request, visitor: Guarded, services: Serving) -> Response:
    """Count working days from a date, and say why; the same as `GET /calendar/deadline`."""
    sent = {
        name: text(request.query_params, name)
        for name in ("from", "time", "working_days", "excluded")
    }
    problems: list[FieldProblem] = []
    found: Mapping[str, Any] | None = None
    if sent["from"] or sent["working_days"]:
        found = await _counted(sent, problems, services)
    today = services.settings.clock.civil(services.now()).date()
    return page(
        request,
        visitor,
        "deadline.html",
        status=422 if problems else 200,
        sent=sent,
        today=today,
        found=found,
        problems=Problems(problems),
        VERDICTS=VERDICTS,
    )


async def _counted(
    sent: Mapping[str, str], problems: list[FieldProblem], services: Services
) -> Mapping[str, Any] | None:
    limit = whole(sent, "working_days", problems) or 0
    if not 1 <= limit <= calendar.MOST_WORKING_DAYS:
        problems.append(
            FieldProblem(
                "working_days",
                f"a limit has 1 to {calendar.MOST_WORKING_DAYS} working days",
                f"期限须为 1 至 {calendar.MOST_WORKING_DAYS} 个工作日",
            )
        )
    if not sent["from"]:
        problems.append(FieldProblem("from", "say from when", "请填写起算日期"))
    if problems:
        return None
    start = f"{sent['from']}T{sent['time']}:00+08:00" if sent["time"] else sent["from"]
    excluded = ",".join(many(sent, "excluded"))
    try:
        return await calendar.why_this_date(services, start, limit, excluded)
    except InputRefused as refused:
        problems += refused.problems
        return None
