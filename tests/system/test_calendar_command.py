"""`onewindow calendar …`, as it is typed, against an API on the loopback with cases on file."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

import cli
from activities.deadlines import due_of
from api.app import build_app
from api.recalculating import Recalculation
from commands import client, following
from policy.calendar import calendar
from policy.loader import policy_for
from storage.casefile import CaseFile
from storage.database import open_engine
from tests.support.cases import NOON, POLICY, new_case, new_task
from tests.support.databases import SqliteFiles
from tests.support.serving import AGENCIES, api_settings, authorization, key_of, listening

ROOT = Path(__file__).parents[2]
SUPERVISOR = "government-services-data"
NEW_YEARS_EVE_BUT_ONE = datetime.fromisoformat("2026-12-30T10:00:00+08:00")
PATIENCE_S = 60.0

NOTICE_2027 = """\
虚构示例，仅供测试
国务院办公厅关于2027年部分节假日安排的通知
一、元旦：1月1日（周五）至4日（周一）放假调休，共4天。1月9日（周六）上班。
二、春节：2月5日（周五）至11日（周四）放假调休，共7天。
"""
"""Made up: no such notice has been published."""


@dataclass(frozen=True)
class Office:
    """An API with cases behind it, and a folder to work in.

    Attributes:
        moving: numbers of the cases whose deadline lies behind New Year.
        staying: the number of a case that is due before.
    """

    address: str
    folder: Path
    moving: tuple[str, ...]
    staying: str

    @property
    def notice(self) -> Path:
        """A file with the text of a notice."""
        return self.folder / "notice.txt"

    def environment(self, **variables: str) -> Mapping[str, str]:
        """Return the surroundings of a command: nothing of ours but the agencies' keys."""
        others = {k: v for k, v in os.environ.items() if not k.startswith("ONEWINDOW_")}
        keys = json.dumps({agency: key_of(agency) for agency in AGENCIES})
        return {**others, "ONEWINDOW_AGENCY_KEYS": keys, **variables}

    def types(self, *arguments: object, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Type a command of the group to its end, with what is typed at its questions."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            input=answers,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def command(self, *arguments: object) -> list[str]:
        """Return a command line, with this API's address."""
        words = map(str, arguments)
        return [sys.executable, str(ROOT / "cli.py"), "calendar", *words, "--api", self.address]

    def get(self, path: str, agency: str = "desk") -> Any:
        """Read something from the API."""
        answer = httpx2.get(
            f"{self.address}/api/v1{path}", headers=authorization(agency), trust_env=False
        )
        assert answer.is_success, answer.text
        return answer.json()

    def put(self, path: str, body: object) -> httpx2.Response:
        """Put something as the supervising agency."""
        return httpx2.put(
            f"{self.address}/api/v1{path}",
            headers=authorization(SUPERVISOR),
            json=body,
            trust_env=False,
        )

    def due_on(self, no: str) -> tuple[str, bool]:
        """Return the deadline of a case's task, and whether it is provisional."""
        (task,) = self.get(f"/applications/{no}/tasks")
        return task["due_on"], task["is_provisional"]

    def versions(self) -> list[int]:
        """Return the numbers of the calendar's versions, newest first."""
        return [each["number"] for each in self.get("/calendar/versions")]

    def text(self, name: str, content: str) -> Path:
        """Write a file into the folder."""
        file = self.folder / name
        file.write_text(content, encoding="utf-8")
        return file


@pytest.fixture
def office(sqlite_databases: SqliteFiles, tmp_path: Path) -> Iterator[Office]:
    with sqlite_databases.migrated() as url:
        numbers = asyncio.run(_open_cases(url))
        with listening(build_app(api_settings(url), lambda: NOON)) as address:
            office = Office(address, tmp_path, tuple(numbers[1:]), numbers[0])
            office.text("notice.txt", NOTICE_2027)
            yield office


async def _open_cases(url: str) -> list[str]:
    """Open three cases, of which two owe a task that is due after New Year."""
    casefile = CaseFile(open_engine(url))
    numbers = []
    for n, at in enumerate((NOON, NEW_YEARS_EVE_BUT_ONE, NEW_YEARS_EVE_BUT_ONE)):
        no = (await casefile.submit(new_case(f"key-{n}"))).no
        due = due_of(at, 5, policy_for(POLICY), calendar())
        new = replace(new_task(no, at=at, due_on=due.due_on), is_provisional=due.is_provisional)
        await casefile.open_task(new)
        numbers.append(no)
    await casefile.close()
    return numbers


def _one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Check that a command failed with one line; return the line."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


# ---------------------------------------------------------------- publishing


@pytest.mark.rule("RB-1.6", "RB-1.7")
def test_a_notice_is_shown_confirmed_published_and_followed_to_the_end(office: Office) -> None:
    assert office.due_on(office.moving[0]) == ("2027-01-06", True)
    done = office.types("publish", office.notice, "--year", 2027, answers="y\n")
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert "2027-01-01 周五 Fri – 01-04 周一 Mon，4 天 days" in shown
    assert "2027-01-09 周六 Sat" in shown
    assert "未见清明节" in shown and "清明节 was not found" in shown
    assert "2027 年尚未公布 is not published yet" in shown
    assert "cn-2027.2（第 2 版 version）已发布 is published" in shown
    assert "重新推算 recalculated 3/3 件 cases · 2 件日期变动 moved" in shown
    assert shown.splitlines()[-1] == (
        "cn-2027.2 在用 is in force: 3 件在办 open cases rest on it, "
        "2 件日期变动并已通知 moved and told"
    )
    # Off until the 4th: the five working days end on the 8th.
    assert [office.due_on(no) for no in office.moving] == [("2027-01-08", False)] * 2
    assert office.due_on(office.staying) == ("2026-09-22", False)


def test_what_is_published_already_is_said_so_and_asks_nothing(office: Office) -> None:
    assert office.types("publish", office.notice, "--yes").returncode == 0
    again = office.types("publish", office.notice)
    assert again.returncode == 0, again.stderr
    assert "无任何差异，未发布 nothing differs, nothing is published" in again.stdout
    assert office.versions() == [2, 1]


def test_what_differs_from_the_year_in_force_is_named_day_by_day(office: Office) -> None:
    office.types("publish", office.notice, "--yes")
    shorter = NOTICE_2027.replace("4日（周一）放假调休，共4天", "3日（周日）放假")
    shorter = shorter.replace("1月9日（周六）上班。", "")
    file = office.text("shorter.txt", shorter)
    done = office.types("publish", file, "--yes")
    assert done.returncode == 0, done.stderr
    assert "不再放假 no longer off: 2027-01-04 周一 Mon" in done.stdout
    assert "不再上班 no longer worked: 2027-01-09 周六 Sat" in done.stdout


@pytest.mark.parametrize("answers", ["n\n", "\n", "", "yesterday\n"])
def test_without_a_yes_nothing_is_published(office: Office, answers: str) -> None:
    done = office.types("publish", office.notice, answers=answers)
    assert "nothing was changed 未作任何更改" in _one_line(done)
    assert office.versions() == [1]


def test_a_notice_from_standard_input_needs_the_yes_beforehand(office: Office) -> None:
    unasked = office.types("publish", "-", answers=NOTICE_2027)
    assert "add --yes" in _one_line(unasked)
    assert "2027-01-09 周六 Sat" in unasked.stdout
    assert office.versions() == [1]
    done = office.types("publish", "-", "--yes", answers=NOTICE_2027)
    assert done.returncode == 0, done.stderr
    assert office.versions() == [2, 1]


def test_another_version_meanwhile_is_one_line_and_nothing_is_published(office: Office) -> None:
    other = {"notice": "虚构示例", "holidays": ["2027-01-01"], "make_up_days": []}
    with subprocess.Popen(
        office.command("publish", office.notice),
        env=office.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as asking:
        assert asking.stdin and asking.stdout
        shown = b""
        while not shown.endswith(b"[y/N] "):
            shown += asking.stdout.read(1)
        assert office.put("/calendar/years/2027", other).status_code == 201
        _, errors = asking.communicate(b"y\n", PATIENCE_S)
    (line,) = errors.decode().splitlines()
    assert asking.returncode == 1
    assert "Another version of the calendar was published; look again / 工作日历已有新版本" in line
    assert office.versions() == [2, 1]


def test_on_a_terminal_a_bar_is_drawn_until_all_cases_follow(office: Office) -> None:
    with _terminal() as (outside, inside):
        typing = subprocess.Popen(
            office.command("publish", office.notice),
            env=office.environment(TERM="xterm", COLUMNS="140"),
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
        os.close(inside)
        os.write(outside, b"y\n")
        shown = _everything(outside)
        assert typing.wait(PATIENCE_S) == 0, shown
    assert "重新推算 recalculating" in shown
    assert "━" in shown
    assert "3/3 件 cases · 2 件日期变动 moved" in shown


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    outside, inside = pty.openpty()
    try:
        yield outside, inside
    finally:
        os.close(outside)


def _everything(terminal: int) -> str:
    shown = b""
    # Linux answers a terminal that nobody writes to any more with an error.
    with suppress(OSError):
        while some := os.read(terminal, 4096):
            shown += some
    return shown.decode()


# ---------------------------------------------------------------- taking back, looking


@pytest.mark.rule("RB-1.7")
def test_a_version_is_taken_back_and_dates_return(office: Office) -> None:
    office.types("publish", office.notice, "--yes")
    refused = office.types("retract", 2, answers="示例理由\nn\n")
    assert "nothing was changed" in _one_line(refused)
    done = office.types("retract", 2, answers="通知系误发\ny\n")
    assert done.returncode == 0, done.stderr
    assert "3 件在办 open cases rest on it, 2 件日期变动并已通知" in done.stdout.splitlines()[-1]
    assert [office.due_on(no) for no in office.moving] == [("2027-01-06", True)] * 2
    newest = office.get("/calendar/versions")[0]
    assert (newest["retracts"], newest["notice"]) == (2, "通知系误发")
    again = office.types("retract", 2, "--reason", "示例", "--yes")
    assert again.returncode == 0, again.stderr
    assert "第 3 版已撤回此版，无变化 retracted before, nothing changes" in again.stdout
    assert office.versions() == [3, 2, 1]


def test_years_and_versions_say_what_is_in_force_and_on_what_it_rests(office: Office) -> None:
    office.types("publish", office.notice, "--yes")
    office.types("retract", 2, "--reason", "通知系误发", "--yes")
    office.types("publish", office.notice, "--yes")
    years = office.types("years").stdout
    for row in (
        r"2026 +33 天 days +6 天 days +国务院办公厅关于2026年部分节假日安排的通知（国办",
        r"2027 +11 天 days +1 天 days +国务院办公厅关于2027年部分节假日安排的通知",
    ):
        assert re.search(row, years), years
    assert years.splitlines()[-1] == "在用 in force: cn-2027.4（第 4 版 version）"
    _, fourth, third, second, first = office.types("versions").stdout.splitlines()
    assert fourth.startswith("4") and fourth.rstrip().endswith("在用 in force")
    assert "撤回第 2 版 retracts it: 通知系误发" in third
    assert second.rstrip().endswith("已撤回 retracted by 3")
    assert SUPERVISOR in second and first.startswith("1")


def test_progress_says_how_many_cases_are_behind(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = office.types("progress")
    assert done.stdout == (
        "cn-2026.1（第 1 版 version）: 3 件在办 open, 3 件已推算 recalculated, 0 件待推算 behind\n"
    )

    async def rest(_self: Recalculation, _at_most: int = 0) -> int:
        return 0

    monkeypatch.setattr(Recalculation, "some", rest)
    monkeypatch.setattr(following, "STALLED_AFTER_S", 0.1)
    ended, told = _typed_here(office, monkeypatch, capsys, "publish", str(office.notice), "--yes")
    assert (ended, len(told.splitlines())) == (1, 1)
    assert "3 of 3 open cases are behind" in told
    assert "3 件待推算 behind" in office.types("progress").stdout


@pytest.mark.rule("RB-1.8", "RB-1.9")
def test_why_is_answered_by_the_calendar_in_force_with_what_is_left_out(office: Office) -> None:
    office.types("publish", office.notice, "--yes")
    done = office.types("why", "2026-12-30", 4, "--excluded", "2027-01-05..2027-01-06")
    lines = done.stdout.splitlines()
    assert any(
        line.startswith("2027-01-04 周一 Mon  节假日 holiday") and line.endswith("–")
        for line in lines
    )
    assert any("2027-01-06" in line and "扣除 excluded" in line for line in lines)
    assert "因此截止日为2027年1月8日（周五），当日办结即为按期。" in lines
    assert lines[-1].endswith("2027-01-08 周五 Fri · RB-1.3 民法典 201 · cn-2027.2")
    # The date alone, first, is the same question.
    shorter = office.types("2026-12-30", 4, "--excluded", "2027-01-05..2027-01-06")
    assert shorter.stdout == done.stdout


# ---------------------------------------------------------------- what goes wrong


def _typed_here(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    address: str | None = None,
) -> tuple[object, str]:
    """Type a command within this process; return its exit code and what it said of errors."""
    for name, value in office.environment().items():
        monkeypatch.setenv(name, value)
    words = ["onewindow", "calendar", *arguments, "--api", address or office.address]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("publish", "/nowhere.txt"), "/nowhere.txt"),
        (("publish", "/dev"), "/dev"),
        (("publish", "{folder}/gbk.txt"), "not UTF-8"),
        (("publish", "{folder}/empty.txt"), "text: "),
        (("publish", "{folder}/letter.txt"), "未找到"),
        (("publish", "{folder}/wrong.txt"), "1月1日"),
        (("publish", "{notice}", "--year", "2028"), "the notice is of 2027, not 2028"),
        (("publish", "{notice}", "--by", "desk"), "无权执行此操作"),
        (("publish", "{notice}", "--by", "nobody"), "no key for nobody"),
        (("retract", "1", "--reason", "示例", "--yes"), "不能撤回"),
        (("retract", "99", "--reason", "示例", "--yes"), "没有第 99 版"),
        (("retract", "1", "--yes"), "--yes needs --reason"),
        (("why", "2026-09-30", "3", "--excluded", "2026-10-12"), "write two dates"),
        (("why", "2026-09-30", "3", "--excluded", "2026-10-12..2026-10-11"), "write two dates"),
        (("why", "2026-09-30", "999"), "working_days: "),
        (("why", "9999-12-30", "3"), "from: "),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    office: Office,
    arguments: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (office.folder / "gbk.txt").write_bytes(NOTICE_2027.encode("gbk"))
    office.text("empty.txt", "")
    office.text("letter.txt", "各位同事：大家好。")
    office.text("wrong.txt", NOTICE_2027.replace("1月1日（周五）", "1月1日（周四）"))
    words = [each.format(folder=office.folder, notice=office.notice) for each in arguments]
    ended, stderr = _typed_here(office, monkeypatch, capsys, *words)
    assert ended == 1
    assert len(stderr.splitlines()) == 1, stderr
    assert told in stderr
    assert office.versions() == [1]


@pytest.mark.parametrize("command", ["years", "versions", "progress"])
def test_an_api_that_is_away_is_told_in_one_line(
    office: Office,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(client, "TRIES", 1)
    ended, stderr = _typed_here(office, monkeypatch, capsys, command, address="http://127.0.0.1:1")
    assert (ended, len(stderr.splitlines())) == (1, 1)
    assert "is OneWindow up?" in stderr


def test_a_date_beyond_the_calendar_is_told_in_one_line_without_an_api(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "cli.py", "calendar", "9999-12-30", "3", "--var", tmp_path],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "9999-12-30" in _one_line(done)
