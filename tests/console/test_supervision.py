"""Supervision: every number leads to as many as it says, and every table is a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from html import unescape
from html.parser import HTMLParser

import pytest

from console.behind import LISTS
from console.supervision import TABLES, Asked
from console.tables import Cell, Column, Table, as_csv
from domain.connection import TaskKind
from domain.words import Words
from tests.console.office import Office, Visit
from tests.support.cases import HIGH, LOW, changed, new_task, red, result

FIGURES = re.compile(r'<a class="figure" href="/console([^"]+)"><?(?:strong>)?(\d+)')
MEANS = re.compile(r'href="/console(/supervision/results[^"]+)">(\d+\.\d\d)<')


class Lists(HTMLParser):
    """What a page of a list says: its total, and the rows that it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.total = -1
        self.rows = 0
        self._is_body = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the total and count rows."""
        named = dict(attrs)
        if named.get("id") == "total":
            self.total = int(named["data-total"] or -1)
        self._is_body = tag == "tbody" or (self._is_body and tag != "thead")
        self.rows += self._is_body and tag == "tr"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+08:00")


@pytest.fixture
async def busy(office: Office) -> Office:
    """A city in which something shows every light, and everything was counted once at least."""
    file = office.api.casefile
    # Accepted, of every age: low voltage by its date, high voltage by what is open.
    for key, content, accepted in (
        ("low-red", LOW, "08-20T09:00"),
        ("low-yellow", LOW, "09-08T09:00"),
        ("low-green", changed(LOW, "site.district", "440803"), "09-15T09:00"),
        ("high", HIGH, "09-01T09:00"),
        ("dual", changed(HIGH, "supply", "dual"), "09-01T09:00"),
    ):
        office.api.now = _at(accepted)
        no = await office.case(content, key)
        await file.accept(
            no, at=_at(accepted), is_deemed=False, investment={"decision": "utility_pays"}
        )
        kind = TaskKind.SURVEY if content["voltage"] == "low" else TaskKind.SUPPLY_PLAN
        await file.open_task(new_task(no, kind, at=_at(accepted), due_on=date(2026, 9, 15)))
        if key == "high":
            for round_no, due_on in enumerate(("09-22", "09-16", "09-14", None), start=1):
                new = new_task(
                    no,
                    TaskKind.PERMITS,
                    department="water",
                    round_no=round_no,
                    at=_at("09-09T10:00"),
                    due_on=date.fromisoformat(f"2026-{due_on}") if due_on else None,
                )
                await file.open_task(new)
            for round_no, department, done in (
                (5, "water", "07-07T10:00"),
                (6, "police", "08-10T10:00"),
                (7, "water", "08-20T10:00"),
            ):
                new = new_task(
                    no,
                    TaskKind.PERMITS,
                    department=department,
                    round_no=round_no,
                    at=_at("07-01T10:00"),
                    due_on=date(2026, 8, 10),
                )
                task = await file.open_task(new)
                await file.decide(task.id, {"code": "answered"}, by=department, at=_at(done))
            await file.supervise(
                no,
                lambda _case, tasks: [
                    red(each, step="red.1", recipient="special-group", reply_by=on)
                    for each, on in zip(tasks[:3], _REPLIES, strict=True)
                ],
                at=_at("09-14T18:00"),
            )
    office.api.now = _at("09-16T12:00")
    await office.case(key="unaccepted")
    for key, net, stopped_on in (("a", 4, "07-31"), ("b", 6, "08-03"), ("c", 11, "08-31")):
        no = await office.case(LOW, key)
        stopped = replace(
            result("LV8", net=net), stopped_on=date.fromisoformat(f"2026-{stopped_on}")
        )
        await file.end(no, "connected", at=office.api.now, action_id=None, stopped=[stopped])
    return office


_REPLIES = (date(2026, 9, 15), date(2026, 9, 16), date(2026, 9, 17))


@pytest.fixture
async def special(busy: Office) -> Visit:
    return await busy.visit_of("special-1")


def _figures(page: str) -> Iterator[tuple[str, int]]:
    for path, shown in FIGURES.findall(page):
        yield unescape(path), int(shown)


@pytest.mark.rule("RB-11.1")
@pytest.mark.parametrize(
    "asked", ["", "?by=week", "?district=440802", "?from=2026-08-02&to=2026-08-25&by=week"]
)
async def test_every_number_leads_to_as_many_as_it_says(special: Visit, asked: str) -> None:
    page = (await special.get(f"/supervision{asked}")).text
    seen = dict(_figures(page))
    assert len(seen) > 25
    for path, shown in seen.items():
        found = Lists((await special.get(path)).text)
        assert (found.total, found.rows) == (shown, shown), path


@pytest.mark.rule("RB-2.2", "RB-11.2")
async def test_every_mean_leads_to_what_it_is_the_mean_of(special: Visit) -> None:
    page = (await special.get("/supervision?by=week")).text
    means = MEANS.findall(page)
    assert {shown for _, shown in means} >= {"4.00", "6.00", "11.00"}
    for path, shown in means:
        behind = (await special.get(unescape(path))).text
        assert f'id="mean">{shown}<' in behind, path
        file = (await special.get(unescape(path).replace("results?", "results.csv?"))).text
        header, *rows = csv.reader(io.StringIO(file.removeprefix("\ufeff")))
        net = [int(row[header.index("净时长 Net")]) for row in rows]
        assert f"{sum(net) / len(net):.2f}" == shown


@pytest.mark.rule("RB-5.1", "RB-11.1")
async def test_each_light_is_counted(special: Visit) -> None:
    page = (await special.get("/supervision")).text
    tiles = page.split('<ul class="tiles figures">')[1].split("</ul>")[0]
    counted = re.findall(r"<strong>(\d+)</strong>", tiles)
    # Open, red, yellow, green, suspended, without; overdue at departments; notices.
    assert counted == ["6", "1", "2", "1", "0", "2", "1", "3"]
    assert "未签收 <a" in re.sub(r"\s+", " ", page)


@pytest.mark.rule("RB-11.1")
async def test_every_table_is_a_file_in_both_languages(special: Visit) -> None:
    for name in (*TABLES, *LISTS):
        answer = await special.get(f"/supervision/{name}.csv?from=2026-07-01&to=2026-09-16")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        kept_as = answer.headers["content-disposition"]
        assert re.search(rf'filename="onewindow-{name}[-0-9]*\.csv"', kept_as)
        assert answer.text.startswith("\ufeff")
        header, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
        assert rows, name
        assert re.search("[\u4e00-\u9fff].* .*[A-Za-z]", header[0])
        assert {len(row) for row in rows} == {len(header)}


def test_a_text_in_a_file_is_no_formula() -> None:
    words = Words("示例", "Sample")
    cells = tuple(Cell(text) for text in ("=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=b"))
    sent = as_csv(Table("x", words, (Column(words),), (cells, (Cell(-3),))), named="x")
    first, second = list(csv.reader(io.StringIO(bytes(sent.body).decode(), newline="")))[1:]
    assert first == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "a=b"]
    assert second == ["-3"], "a number of ours stays one"


@pytest.mark.parametrize(
    ("period", "today", "first"),
    [
        ("month", "2026-09-16", "2026-09-01"),
        ("quarter", "2026-09-16", "2026-07-01"),
        ("quarter", "2026-12-31", "2026-10-01"),
        ("year", "2026-09-16", "2026-01-01"),
        ("", "2026-09-16", "2026-01-01"),
        ("12months", "2026-09-16", "2025-09-17"),
        ("12months", "2028-02-29", "2027-03-01"),
        ("12months", "2027-12-31", "2027-01-01"),
    ],
)
def test_a_period_is_chosen_by_its_name(period: str, today: str, first: str) -> None:
    asked = Asked.of({"period": period}, date.fromisoformat(today))
    assert (str(asked.first), str(asked.last)) == (first, today)


def test_dates_without_a_name_are_a_period_of_their_own() -> None:
    asked = Asked.of({"from": "2026-08-01"}, date(2026, 9, 16))
    assert (asked.period, asked.first, asked.last) == ("custom", date(2026, 8, 1), None)


async def test_a_period_stands_in_the_address_and_is_kept(special: Visit) -> None:
    page = (await special.get("/supervision?period=quarter&district=440803")).text
    assert "2026-07-01 至 2026-09-16 办结的办件" in page
    assert 'averages.csv?period=quarter&amp;district=440803"' in page
    assert re.search(r'period=quarter[^"]*" aria-current="true"', page)


async def test_a_list_pages_through_everything_once(
    special: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.behind.ON_A_PAGE", 2)
    for path in ("/supervision/cases", "/supervision/tasks", "/supervision/results"):
        seen: list[str] = []
        following: str | None = path
        total = -1
        while following:
            page = (await special.get(following)).text
            total = Lists(page).total
            rows = page.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
            assert 0 < len(rows) <= 2
            seen += [re.sub(r"\s+", " ", row) for row in rows]
            link = re.search(r'rel="next" href="/console([^"]+)"', page)
            following = unescape(link[1]) if link else None
        assert len(seen) == len(set(seen)) == total > 2, path


async def test_what_is_asked_for_wrongly_is_told(special: Visit) -> None:
    for path in (
        "/supervision/cases?district=999999",
        "/supervision/cases?cursor=nonsense",
        "/supervision/results?from=yesterday",
        "/supervision/decisions?from=2026-09-02&to=2026-09-01",
        "/supervision/averages.csv?from=yesterday",
        "/supervision/averages.csv?district=1",
    ):
        answer = await special.get(path)
        assert answer.status_code == 422, path
        assert "输入不符合规定" in answer.text


async def test_an_empty_file_shows_empty_figures(office: Office) -> None:
    visit = await office.visit_of("special-1")
    page = (await visit.get("/supervision")).text
    assert "没有数据" in page
    assert 'class="figure"' not in page
    assert "没有督办通知" in (await visit.get("/escalations")).text
