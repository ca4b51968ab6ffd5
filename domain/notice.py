"""The State Council's yearly notice on holidays (部分节假日安排的通知), read as text (RB-1.6).

An administrator pastes the notice and confirms what was read, so nothing is guessed: whatever
names a day must be understood as a whole, and all that the notice says twice must agree, a date
with its weekday and a range with its count.

Days are listed as named. Weekend days of a stated range are among the holidays; a weekend that a
holiday only adjoins (与周末连休) is not, for it is off anyway. New Year days in December stand with
the year whose notice lays them down.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from domain.errors import FieldProblem, InputRefused
from domain.working_time import CalendarYear

EXPECTED_HOLIDAYS = ("元旦", "春节", "清明节", "劳动节", "端午节", "中秋节", "国庆节")


class Festival(NamedTuple):
    """What one clause lays down.

    Attributes:
        name: as the clause has it; two that are joined stay one: `国庆节、中秋节`.
        holidays, make_up_days: ascending.
    """

    name: str
    holidays: tuple[date, ...]
    make_up_days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class ParsedNotice:
    """What was read, to be confirmed.

    Attributes:
        by_holiday: the same days clause by clause, in the order of the notice.
        warnings: what is unusual but contradicts nothing: an expected holiday is missing, or the
            notice recommends a day off that it does not lay down.
    """

    year: CalendarYear
    by_holiday: tuple[Festival, ...]
    warnings: tuple[FieldProblem, ...]


def parse_notice(text: str) -> ParsedNotice:
    """Read the text of a notice; spaces, line breaks and widths of characters do not matter.

    What stands before the title or after the signature may be anything that lays down no day.

    Raises:
        InputRefused: every problem found, all of the field `text`.
    """
    clean = _clean(text)
    first = _HEAD.search(clean)
    years = sorted({int(title[1]) for title in _TITLE.finditer(clean)})
    problems = [*_title_problems(years), *([] if first else [_NO_HOLIDAY])]
    if len(years) != 1 or first is None:
        raise InputRefused(*problems)

    titles = [title.end() for title in _TITLE.finditer(clean, 0, first.start())]
    begin = titles[-1] if titles else 0
    signature = _SIGNATURE.search(clean, first.start())
    end = signature.start() if signature else len(clean)
    around = (clean[:begin], clean[signature.end() :] if signature else "")
    problems += _unread_problems(around, clean[begin : first.start()])
    clauses = list(_clauses(clean[:end], first.start(), years[0]))
    for clause in clauses:
        problems += clause.all_problems()
    festivals = tuple(clause.festival() for clause in clauses if clause.lays_down_days)
    problems += _contradictions(festivals)
    if not festivals and not problems:
        problems.append(_NO_HOLIDAY)
    if problems:
        raise InputRefused(*problems)

    listed = CalendarYear(
        years[0],
        frozenset(day for each in festivals for day in each.holidays),
        frozenset(day for each in festivals for day in each.make_up_days),
        _notice_name(years[0], clean),
    )
    advice = (warning for clause in clauses for warning in clause.warnings)
    return ParsedNotice(listed, festivals, (*advice, *_missing(festivals)))


# ---------------------------------------------------------------- how notices are written

_NUMERALS = "一二三四五六七八九十"
_WEEKDAYS = "一二三四五六日"
_WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# After NFKC has made everything narrow, the punctuation of Chinese is what the patterns expect.
_WIDE = str.maketrans("(),:;?![]【】", "（），：；？！〔〕〔〕")

_TITLE = re.compile(r"国务院办公厅关于(20[0-9]{2})年部分节假日安排的通知")
_NUMBER = re.compile(r"国办发明电[〔（]([0-9]{4})[〕）]([0-9]{1,3})号")

_KNOWN = r"(?:元旦|春节|清明节?|(?:“?五一”?)?(?:国际)?劳动节|端午节?|中秋节?|国庆节?)"
_HEAD = re.compile(
    rf"(?:(?:[{_NUMERALS}]{{1,3}}|[0-9]{{1,2}})[、.]|（[{_NUMERALS}]{{1,3}}）)"
    rf"(?P<numbered>[^。；，：（）]{{1,40}})：|(?P<known>{_KNOWN}(?:[、和]{_KNOWN})*)："
)
_STOP = re.compile(r"[。；！？]")

_TO = r"(?:至|到|[-~〜—–―─−]{1,2})"
_WEEKDAY = rf"(?:周|星期|礼拜)([{_WEEKDAYS}天])"
_DAY = (  # a bare `4月1` is a day only where a range goes on: `4月1至3日`
    rf"(?:(?:([0-9]{{4}})年)?([0-9]{{1,2}})月)?([0-9]{{1,2}})(?:[日号]|(?={_TO}))"
    rf"((?:{_WEEKDAY})?(?:（[^（）0-9]*）)*)"
)
_SPAN = rf"{_DAY}(?:{_TO}{_DAY})?"
_STATEMENT = re.compile(
    rf"(?:(?P<days>{_SPAN}(?:[、，和及]{_SPAN})*)，?"
    r"(?P<deed>放假(?:、?(?:调休|公休))?|调休放假|补休|公休|(?:照常|正常|均)?上班)"
    rf"|（?(?:一?共计?)?(?P<count>[0-9]{{1,3}}|[{_NUMERALS}])天）?"
    r"|(?P<joined>与周末(?:公休日|双休日)?连休)"
    r"|不调休)[、，]?"
)
_EACH_DAY = re.compile(_DAY)
_EACH_WEEKDAY = re.compile(_WEEKDAY)

_ADVICE = re.compile(r"鼓励|建议|提倡|倡导")
_DEED = re.compile(r"放假|上班|补休|调休|公休")
_DATED = re.compile(
    rf"[0-9][月日]|[{_NUMERALS}]月[{_NUMERALS}]{{1,3}}[日号]|[0-9][-./][0-9]|{_WEEKDAY}"
)

_ON = r"(?:[0-9]{4}年)?[0-9]{1,2}月[0-9]{1,2}日"
_ON_IN_WORDS = rf"[〇○零{_NUMERALS}]{{4}}年[{_NUMERALS}]{{1,2}}月[{_NUMERALS}]{{1,3}}日"
_SIGNATURE = re.compile(  # a sentence that lays down a day goes on after the date
    rf"国务院办公厅（?(?:{_ON}|{_ON_IN_WORDS})）?(?![^。；]{{0,20}}(?:{_DEED.pattern}))"
)


def _clean(text: str) -> str:
    """Without spaces, line breaks and invisible characters; digits narrow, punctuation wide."""
    narrow = unicodedata.normalize("NFKC", text)
    return "".join(c for c in narrow if unicodedata.category(c)[0] not in "ZC").translate(_WIDE)


def _notice_name(year: int, clean: str) -> str:
    number = _NUMBER.search(clean)
    suffix = f"（国办发明电〔{number[1]}〕{number[2]}号）" if number else ""
    return f"国务院办公厅关于{year}年部分节假日安排的通知{suffix}"


# ---------------------------------------------------------------- one clause


@dataclass(slots=True)
class _Rest:
    """The days off that a count speaks of.

    Attributes:
        sentence: where they are named last.
        is_complete: no date among them is wrong, so that counting them says something.
        is_joined: 与周末连休.
        may_count_weekend: so a count may be of the days named, or with the weekends they adjoin.
    """

    sentence: str
    days: set[date] = field(default_factory=set)
    counts: list[int] = field(default_factory=list)
    is_complete: bool = True
    is_joined: bool = False
    may_count_weekend: bool = False


@dataclass(slots=True)
class _Clause:
    """A clause, and what has been read of it so far."""

    year: int
    name: str
    rests: list[_Rest] = field(default_factory=list)
    worked: set[date] = field(default_factory=set)
    problems: list[FieldProblem] = field(default_factory=list)
    warnings: list[FieldProblem] = field(default_factory=list)

    @property
    def lays_down_days(self) -> bool:
        return bool(self.worked) or any(rest.days for rest in self.rests)

    def festival(self) -> Festival:
        off = {day for rest in self.rests for day in rest.days}
        return Festival(self.name, tuple(sorted(off)), tuple(sorted(self.worked)))

    def read(self, sentence: str) -> None:
        statements = _statements(sentence)
        if statements is not None:
            for statement in statements:
                self._apply(statement, sentence)
        elif _ADVICE.match(sentence) and not _DEED.search(sentence):
            if _DATED.search(sentence):
                en = "only recommends a day off; it stays a working day"
                self.warnings.append(
                    _said(self.name, sentence, en, "仅为建议休息，该日仍按工作日计算")
                )
        elif _DATED.search(sentence) or _DEED.search(sentence):
            self.problems.append(_not_understood(self.name, sentence))

    def all_problems(self) -> Iterator[FieldProblem]:
        yield from self.problems
        for rest in self.rests:
            if rest.is_complete:
                yield from self._count_problems(rest)
        is_holiday = bool(self.worked) or re.search(_KNOWN, self.name) is not None
        if is_holiday and not self.rests and not self.problems:
            yield FieldProblem(
                "text",
                f"{self.name}: no day off is named: complete the clause",
                f"{self.name}：未写明放假日期，请补全",
            )

    def _apply(self, statement: re.Match[str], sentence: str) -> None:
        rest = self.rests[-1] if self.rests else None
        match statement.groupdict():
            case {"days": str(days), "deed": str(deed)} if deed.endswith("上班"):
                worked, _ = self._days(days, sentence)
                self.worked |= worked
                self.problems += self._worked_anyway(worked, sentence)
            case {"days": str(days), "deed": str(deed)}:
                if rest is None or rest.counts:
                    self.rests.append(rest := _Rest(sentence))
                named, is_complete = self._days(days, sentence)
                rest.days |= named
                rest.is_complete &= is_complete
                rest.sentence = sentence
                rest.may_count_weekend |= "补休" in deed or "公休" in deed
            case _ if rest is None:  # 共N天, 连休, 不调休 of what?
                self.problems.append(_not_understood(self.name, sentence))
            case {"count": str(count)}:
                numeral = _NUMERALS.find(count)
                rest.counts.append(int(count) if numeral < 0 else numeral + 1)
            case {"joined": str()}:
                rest.is_joined = rest.may_count_weekend = True
            case _:
                pass  # 不调休: nothing follows from it

    def _days(self, days: str, sentence: str) -> tuple[set[date], bool]:
        """Every day that `days` names, and whether that is all; what is wrong is noted."""
        named: set[date] = set()
        is_complete = True
        begin: date | None = None
        year_month: tuple[int, int] | None = None
        last_end = 0
        for each in _EACH_DAY.finditer(days):
            day, year_month = self._day(each, year_month, sentence)
            is_end = re.fullmatch(_TO, days[last_end : each.start()]) is not None
            last_end = each.end()
            if day is None:
                is_complete = False
            elif is_end and begin is not None:
                if day < begin:
                    is_complete = False
                    self._note(
                        sentence,
                        f"the range runs backwards, from {begin} to {day}: correct one of them",
                        f"起止日期颠倒（{begin} 至 {day}），请更正",
                    )
                named |= {begin + timedelta(days=n) for n in range((day - begin).days + 1)}
            else:
                named.add(day)
            begin = day
        return named, is_complete

    def _day(
        self, written: re.Match[str], before: tuple[int, int] | None, sentence: str
    ) -> tuple[date | None, tuple[int, int] | None]:
        """The day, if there is such a day, and the year and month that the next one may leave out.

        Args:
            before: year and month of the date before in the same list.
        """
        year, month, number, notes = written.group(1, 2, 3, 4)
        if month is not None:
            before = (int(year) if year else self._year_of(int(month))), int(month)
        if before is None:
            self._note(
                sentence, f"{number}日 has no month: add it", f"“{number}日”缺少月份，请补上"
            )
            return None, None
        try:
            day = date(*before, int(number))
        except ValueError:
            en = f"there is no {before[1]}月{number}日 in {before[0]}: correct it"
            self._note(sentence, en, f"{before[0]}年没有{before[1]}月{number}日，请更正")
            return None, before
        if day.year != self.year and (day.year, day.month) != (self.year - 1, 12):
            self._note(
                sentence,
                f"{day} is not in {self.year} or the December before: correct the date",
                f"{day} 不在 {self.year} 年或上年 12 月内，请更正",
            )
            return None, before
        for weekday in _EACH_WEEKDAY.findall(notes):
            if _WEEKDAYS.find(weekday.replace("天", "日")) != day.weekday():
                self._note(
                    sentence,
                    f"{day} is a {_WEEKDAYS_EN[day.weekday()]}, not 周{weekday}: "
                    "correct the date or the weekday",
                    f"{day} 是周{_WEEKDAYS[day.weekday()]}，不是周{weekday}，请核对日期或星期",
                )
        return day, before

    def _year_of(self, month: int) -> int:
        """The year of a date that does not say it: 元旦 may begin in the December before."""
        return self.year - 1 if month == 12 and "元旦" in self.name else self.year

    def _worked_anyway(self, worked: set[date], sentence: str) -> Iterator[FieldProblem]:
        for day in sorted(worked):
            if day.weekday() < 5:
                yield _said(
                    self.name,
                    sentence,
                    f"{day} is a {_WEEKDAYS_EN[day.weekday()]}, worked anyway: correct the date",
                    f"{day} 是周{_WEEKDAYS[day.weekday()]}，本来就要上班，请核对日期",
                )

    def _count_problems(self, rest: _Rest) -> Iterator[FieldProblem]:
        adjoining = _with_weekends(rest.days)
        if rest.is_joined and not any(day.weekday() >= 5 for day in adjoining):
            en = "the days named adjoin no weekend: correct the dates"
            yield _said(self.name, rest.sentence, en, "所写日期与周末不相连，请核对日期")
        for count in rest.counts:
            if count == len(rest.days) or (rest.may_count_weekend and count == len(adjoining)):
                continue
            yield _said(
                self.name,
                rest.sentence,
                f"says 共{count}天, but the dates are {len(rest.days)} days: correct one of them",
                f"写明共{count}天，但所写日期为{len(rest.days)}天，请核对",
            )

    def _note(self, sentence: str, en: str, zh: str) -> None:
        self.problems.append(_said(self.name, sentence, en, zh))


def _clauses(clean: str, first: int, year: int) -> Iterator[_Clause]:
    heads = list(_HEAD.finditer(clean, first))
    ends = [*(head.start() for head in heads[1:]), len(clean)]
    for head, end in zip(heads, ends, strict=True):
        name = re.sub(r"^20[0-9]{2}年", "", head["numbered"] or head["known"])
        clause = _Clause(year, name)
        if _DATED.search(name):
            clause.problems.append(_not_understood(name, head[0]))
        for sentence in _sentences(clean[head.end() : end]):
            clause.read(sentence)
        yield clause


def _sentences(clean: str) -> Iterator[str]:
    return (sentence for sentence in _STOP.split(clean) if sentence)


def _statements(sentence: str) -> list[re.Match[str]] | None:
    """What the sentence states, one by one; None unless all of it is understood."""
    found: list[re.Match[str]] = []
    position = 0
    while position < len(sentence):
        statement = _STATEMENT.match(sentence, position)
        if statement is None:
            return None
        found.append(statement)
        position = statement.end()
    return found


def _with_weekends(days: set[date]) -> set[date]:
    """`days` and the weekends they adjoin."""
    grown = set(days)
    for day in days:
        for step in (timedelta(days=-1), timedelta(days=1)):
            near = day + step
            while near.weekday() >= 5:
                grown.add(near)
                near += step
    return grown


# ---------------------------------------------------------------- the notice as a whole

_NO_HOLIDAY = FieldProblem(
    "text",
    "no holiday was found: paste the clauses, such as 一、元旦：1月1日放假，共1天。",
    "未找到任何节日，请粘贴通知的各条，如“一、元旦：1月1日放假，共1天。”",
)


def _title_problems(years: Sequence[int]) -> Iterator[FieldProblem]:
    if not years:
        yield FieldProblem(
            "text",
            "no year was found: paste the notice with its title, "
            "国务院办公厅关于20××年部分节假日安排的通知",
            "未找到年份，请连同标题“国务院办公厅关于20××年部分节假日安排的通知”一并粘贴",
        )
    elif len(years) > 1:
        found = "、".join(map(str, years))
        yield FieldProblem(
            "text",
            f"titles of several years were found ({found}): paste one notice",
            f"找到多个年份的标题（{found}），请只粘贴一份通知",
        )


def _unread_problems(around: Sequence[str], preamble: str) -> Iterator[FieldProblem]:
    """No day may be laid down where days are not read.

    Args:
        around: before the title, and after the signature.
        preamble: from the title to the first clause; it always speaks of 放假调休.
    """
    for sentence in (each for part in around for each in _sentences(part)):
        if _DATED.search(sentence) and _DEED.search(sentence):
            yield _not_understood("通知正文之外", sentence, "outside the notice")
    for sentence in _sentences(preamble):
        if _DATED.search(sentence):
            yield _not_understood("第一条之前", sentence, "before the first clause")


def _contradictions(festivals: Sequence[Festival]) -> Iterator[FieldProblem]:
    names = [name for each in festivals for name in re.split("[、和]", each.name)]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield FieldProblem(
                "text",
                f"{name} stands in several clauses: keep the one that is in force",
                f"{name}出现在多条中，请只保留有效的一条",
            )
    off = {day: each.name for each in festivals for day in each.holidays}
    worked = {day: each.name for each in festivals for day in each.make_up_days}
    for day in sorted(off.keys() & worked.keys()):
        yield FieldProblem(
            "text",
            f"{day} is both off ({off[day]}) and worked ({worked[day]}): correct one of them",
            f"{day} 既放假（{off[day]}）又上班（{worked[day]}），请更正",
        )


def _missing(festivals: Sequence[Festival]) -> Iterator[FieldProblem]:
    names = "、".join(each.name for each in festivals)
    for holiday in EXPECTED_HOLIDAYS:
        if holiday[:2] not in names:
            yield FieldProblem(
                "text",
                f"{holiday} was not found: check that the notice is complete",
                f"未见{holiday}，请确认通知是否完整",
            )


def _not_understood(where: str, sentence: str, where_en: str | None = None) -> FieldProblem:
    return _said(
        where,
        sentence,
        "not understood: write it like 10月1日（周四）至7日（周三）放假调休，共7天, "
        "or remove it if it lays down no day",
        "无法理解，请写成如“10月1日（周四）至7日（周三）放假调休，共7天”的形式；与放假日期无关的请删去",
        where_en,
    )


def _said(where: str, sentence: str, en: str, zh: str, where_en: str | None = None) -> FieldProblem:
    quoted = sentence if len(sentence) <= 80 else f"{sentence[:80]}…"
    return FieldProblem(
        "text", f"{where_en or where}, “{quoted}”: {en}", f"{where}“{quoted}”：{zh}"
    )
