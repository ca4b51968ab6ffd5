"""How long the console's pages take while the case file holds as many cases as a city has.

Every GET page that takes no parameter but those filled in below is asked for, whoever wrote it, by
the first role that may see it; and lists with their filters. Each is asked for alone, then four at
a time, over HTTP on the loopback by connections that are kept, and timed until its last byte came.
There is no engine: what a page shows of processes, it shows as not reachable.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from bench.filed_cases import build
from bench.programs import BenchFailed, Programs, cpu_s, free_port
from console.app import pages
from console.guard import FORM_TOKEN, PATH, SESSION
from domain.access import OPEN_TO_ALL, Act, Whose, whose
from domain.accounts import NewAccount, StaffRole
from domain.working_time import CIVIL_ZONE
from storage.accounts import Accounts
from storage.database import open_engine

AIM_MS = 150.0
"""Ninety-five of a hundred answers come within it."""
AT_ONCE = 4
WARM_UP = 2
PASSWORD = "only for the bench"  # noqa: S105

STAFF: Mapping[StaffRole, str | None] = {
    StaffRole.DESK: "desk",
    StaffRole.UTILITY: "utility",
    StaffRole.DEPARTMENT: "water",
    StaffRole.SUPERVISOR: "special-group",
    StaffRole.ADMINISTRATOR: None,
}
_NO_PAGE = re.compile(
    "^/$|/sign-in|/sign-out|/language|/text-size|/static|/password|/identity|/events$|/opinions|/follow/case|[.]csv$|[.]xlsx$"
)
"""Leads on, stays open, or hands out all there is: no list and no overview."""
_TOKEN = re.compile(rf'name="{FORM_TOKEN}" value="([0-9a-f]+)"')


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that is put many times.

    Attributes:
        form: what is searched for; None: the page is fetched.
    """

    role: StaffRole | None
    path: str
    form: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """How the table calls it."""
        searched = f" {next(iter(self.form))}={self.form['q']}" if self.form else ""
        return f"{self.path}{searched}"


@dataclass(frozen=True, slots=True)
class Page:
    """How long a page took, in milliseconds.

    Attributes:
        status: of its answers; anything but 200 is told, not judged.
        cpu_ms: processor time of the API per answer, which other programs disturb less.
        at_once_p95_ms: with four asked for at a time.
    """

    role: str
    page: str
    status: int
    bytes: int
    cpu_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    at_once_p50_ms: float
    at_once_p95_ms: float

    @property
    def is_met(self) -> bool:
        """Whether it is as quick as is aimed at."""
        return self.p95_ms < AIM_MS


@dataclass(frozen=True, slots=True)
class Pages:
    """What was found of all pages.

    Attributes:
        file_mb, built_s: the case file's size, and how long it took to make; 0 if it was there.
    """

    cases: int
    open_cases: int
    file_mb: float
    built_s: float
    found: Sequence[Page]


async def measured_pages(
    folder: Path, kept: Path | None, cases: int, times: int, told: Callable[[str], None]
) -> Pages:
    """Serve a case file of `cases` cases and time its pages.

    Args:
        kept: where the file is kept for the next run; None: nowhere.
        times: how often each page is asked for.
        told: is told of each page as it was found.
    """
    today = datetime.now(CIVIL_ZONE).date()
    path = (kept or folder.parent).absolute() / f"onewindow-{cases}-cases-{today}.db"
    built_s = 0.0
    if not path.exists():
        began = time.perf_counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(".making")
        await asyncio.to_thread(build, making, cases, today)
        making.rename(path)
        built_s = time.perf_counter() - began
    sessions = await _staff(path)
    with Programs(folder) as programs:
        base = await _serve(programs, path)
        found = []
        for asked in _questions(path):
            page = await _measure(base, programs.pids["api"], sessions, asked, times)
            told(f"{page.p95_ms:6.0f} ms, {page.cpu_ms:5.0f} of it processor: {page.page}")
            found.append(page)
            programs.check_running()
    return Pages(
        cases=cases,
        open_cases=_first(path, "select count(*) from applications where state = 'open'"),
        file_mb=path.stat().st_size / 1e6,
        built_s=built_s,
        found=found,
    )


async def _serve(programs: Programs, path: Path) -> str:
    port = free_port()
    settings = {
        "ONEWINDOW_DATABASE_URL": f"sqlite:///{path}",
        "ONEWINDOW_API_PORT": str(port),
        "ONEWINDOW_ENGINE_ADDRESS": "127.0.0.1:1",
        "ONEWINDOW_ENGINE_TIMEOUT_S": "0.2",
        "ONEWINDOW_LOG_LEVEL": "ERROR",
        "ONEWINDOW_SERVER_SECRET": "only for the bench, and only for the bench",
    }
    programs.start_python("api", "api", settings=settings)
    base = f"http://127.0.0.1:{port}"

    async def answers() -> bool:
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:
                return (await client.get(f"{base}/healthz")).status_code == 200
        except httpx2.HTTPError:
            return False

    await programs.until("the API answers", answers)
    return base


async def _staff(path: Path) -> Mapping[StaffRole, str]:
    """Make an account for each role, and sign each in; return their sessions."""
    engine, sessions = open_engine(f"sqlite:///{path}"), {}
    accounts, now = Accounts(engine), datetime.now(UTC)
    there = {each.id for each in await accounts.every()}
    for role, agency in STAFF.items():
        account = f"bench-{role}"
        if account not in there:
            new = NewAccount(account, f"示例 {account}", agency, role)
            await accounts.add(new, PASSWORD, at=now, must_change=False)
        token = await accounts.sign_in(account, PASSWORD, at=now)
        if token is None:
            raise BenchFailed(f"{account} cannot sign in")
        sessions[role] = token
    await engine.dispose()
    return sessions


# ---------------------------------------------------------------- what is asked


def _questions(path: Path) -> Iterator[Asked]:
    no, applicant, phone, address, district = _first_row(
        path,
        "select no, applicant_name, phone, address, district from applications "
        "where state = 'open' order by sequence desc limit 1 offset 3",
    )
    task = _first(path, "select id from tasks where state = 'open' order by id desc limit 1")
    filled = {"no": no, "task_id": task, "year": str(datetime.now(CIVIL_ZONE).year)}
    for route in pages():
        if "GET" not in (route.methods or ()) or _NO_PAGE.search(route.path):
            continue
        names = re.findall(r"{(\w+)", route.path)
        if not set(names) <= filled.keys():
            continue
        act = Act(route.name)
        address_of = re.sub(r"{(\w+)[^}]*}", lambda found: filled[found[1]], route.path)
        yield Asked(_role_for(act), address_of)
    yield from _lists(district)
    for words in (no, no[-7:], applicant, applicant[4:8], address, phone):
        yield Asked(StaffRole.DESK, "/cases", {"q": words})


def _lists(district: str) -> Iterator[Asked]:
    """Yield the lists with their filters, and as the roles see them that have most of it."""
    month_ago = datetime.now(CIVIL_ZONE).date() - timedelta(days=30)
    for role in (StaffRole.UTILITY, StaffRole.DEPARTMENT, StaffRole.SUPERVISOR):
        yield Asked(role, "/tasks")
    for filters in ("state=open", "state=ended", "stage=survey_and_meter", f"district={district}"):
        yield Asked(StaffRole.DESK, f"/cases?{filters}")
    yield Asked(StaffRole.DESK, f"/cases?state=open&stage=application&district={district}")
    for filters in (
        f"district={district}",
        f"from={month_ago}",
        f"district={district}&from={month_ago}",
    ):
        yield Asked(StaffRole.SUPERVISOR, f"/supervision?{filters}")


def _role_for(act: Act) -> StaffRole | None:
    """Return the first role that may see all of it, or at least its own; None: needs none."""
    if act in OPEN_TO_ALL:
        return None
    for wanted in (Whose.ALL, Whose.OWN):
        for role in STAFF:
            if whose(role, act) is wanted:
                return role
    return StaffRole.ADMINISTRATOR


def _first(path: Path, question: str) -> Any:
    return _first_row(path, question)[0]


def _first_row(path: Path, question: str) -> tuple[Any, ...]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
        row: tuple[Any, ...] | None = reader.execute(question).fetchone()
    reader.close()
    if row is None:
        raise BenchFailed(f"nothing on file: {question}")
    return row


# ---------------------------------------------------------------- how long it takes


async def _measure(
    base: str, pid: int, sessions: Mapping[StaffRole, str], asked: Asked, times: int
) -> Page:
    cookies = {SESSION: sessions[asked.role]} if asked.role else {}
    async with httpx2.AsyncClient(
        base_url=base, cookies=cookies, trust_env=False, timeout=60
    ) as client:
        form = dict(asked.form) if asked.form is not None else None
        if form is not None:
            shown = await client.get(f"{PATH}{asked.path}")
            found = _TOKEN.search(shown.text)
            if found is None:
                raise BenchFailed(f"{asked.path} has no form: {shown.status_code}")
            form[FORM_TOKEN] = found[1]

        async def once() -> tuple[float, httpx2.Response]:
            began = time.perf_counter()
            answer = (
                await client.get(f"{PATH}{asked.path}")
                if form is None
                else await client.post(f"{PATH}{asked.path}", data=form)
            )
            return (time.perf_counter() - began) * 1000, answer

        for _ in range(WARM_UP):
            _, answer = await once()
        used = cpu_s(pid)
        alone = [(await once())[0] for _ in range(times)]
        used = cpu_s(pid) - used
        at_once: list[float] = []
        for _ in range(max(1, times // AT_ONCE)):
            at_once += [ms for ms, _ in await asyncio.gather(*(once() for _ in range(AT_ONCE)))]
    return Page(
        role=str(asked.role or "–"),
        page=asked.name,
        status=answer.status_code,
        bytes=len(answer.content),
        cpu_ms=used * 1000 / times,
        p50_ms=statistics.median(alone),
        p95_ms=_share(alone, 0.95),
        p99_ms=_share(alone, 0.99),
        at_once_p50_ms=statistics.median(at_once),
        at_once_p95_ms=_share(at_once, 0.95),
    )


def _share(values: Sequence[float], share: float) -> float:
    """Return what that share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
