"""Administrators, the desk and supervisors read what is stuck; nobody else does (RB-12.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.civil_clock import CivilClock
from operations import stuck_watch
from operations.stuck import Scan
from operations.stuck_findings import Finding, StuckKind
from operations.stuck_watch import StuckWatch
from tests.api.answers import fields, problem
from tests.support.cases import HIGH, NOON, new_task
from tests.support.serving import Api

PATH = "/api/v1/admin/stuck"
pytestmark = pytest.mark.rule("RB-12.1")


async def _shown(api: Api, *, by: str = "admin-1", **query: Any) -> dict[str, Any]:
    query_text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await api.call("GET", f"{PATH}?{query_text}", by)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _refused(api: Api, key: str = "key-1") -> str:
    """Put a case on file whose first task its agency's system refuses; return its number."""
    no: str = (await api.submit(HIGH, key=key)).json()["no"]
    task = await api.casefile.open_task(new_task(no))
    await api.casefile.push_refused(task.id, "desk answered 422", at=NOON)
    return no


async def test_without_the_engine_it_says_so_and_what_the_file_shows(api: Api) -> None:
    no = await _refused(api)
    shown = await _shown(api)
    assert (shown["complete"], shown["open_cases"], shown["next_cursor"]) == (False, 1, None)
    assert shown["looked_at"] == "2026-09-16T12:00:00+08:00"
    away, refused = shown["items"]
    assert (away["kind"], away["severity"], away["case_no"]) == ("engine_away", "critical", None)
    assert "1 cases wait to be started" in away["cause"]["en"] and "1 个" in away["cause"]["zh"]
    assert away["repair"] is None and "引擎" in away["advice"]["zh"]
    assert (refused["kind"], refused["severity"]) == ("push_refused", "high")
    assert refused["id"] == f"push_refused:{no}.check_papers.1"
    assert (refused["case_no"], refused["task_id"]) == (no, f"{no}.check_papers.1")
    assert (refused["agency"], refused["error"]) == ("desk", "desk answered 422")
    assert refused["since"] == "2026-09-16T12:00:00+08:00"
    assert refused["repair"] == {"kind": "push", "zh": "重新推送", "en": "push again"}


async def test_it_is_what_was_found_last_unless_one_asks_for_now(api: Api) -> None:
    assert [item["kind"] for item in (await _shown(api))["items"]] == ["engine_away"]
    await _refused(api)
    api.now = NOON + timedelta(seconds=90)
    before = await _shown(api)
    assert [item["kind"] for item in before["items"]] == ["engine_away"]
    assert before["looked_at"] == "2026-09-16T12:00:00+08:00"
    assert before["items"][0]["age_s"] == 90
    now = await _shown(api, now="true")
    assert [item["kind"] for item in now["items"]] == ["engine_away", "push_refused"]
    assert now["looked_at"] == "2026-09-16T12:01:30+08:00"
    # It is still the same time that the engine is away.
    assert [item["age_s"] for item in now["items"]] == [90, 90]


async def test_filters_narrow_it(api: Api) -> None:
    first, second = await _refused(api), await _refused(api, "key-2")

    async def subjects(**query: Any) -> list[str | None]:
        return [item["case_no"] for item in (await _shown(api, **query))["items"]]

    assert await subjects(severity="high") == [first, second]
    assert await subjects(kind="engine_away") == [None]
    assert await subjects(case_no=second) == [second]
    assert await subjects(agency="desk", case_no=first) == [first]
    assert await subjects(agency="water") == []
    assert await subjects(severity="low") == []


async def test_it_is_listed_page_by_page(api: Api) -> None:
    numbers = [await _refused(api, f"key-{n}") for n in range(4)]
    everything = [item["id"] for item in (await _shown(api))["items"]]
    assert everything[1:] == [f"push_refused:{no}.check_papers.1" for no in numbers]
    for limit in (1, 2, 3, 4):
        found: list[str] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await _shown(api, limit=limit, **cursor)
            found += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            assert len(page["items"]) == limit
            cursor = {"cursor": page["next_cursor"]}
        assert found == everything


@pytest.mark.parametrize(
    "cursor", ["x", "aGlnaA==", "aGlnaHx5ZXN0ZXJkYXl8eA==", "d29yc3R8MjAyNi0wOS0xNnx4"]
)
async def test_a_cursor_that_was_not_given_out_is_refused(api: Api, cursor: str) -> None:
    answer = await api.call("GET", f"{PATH}?cursor={cursor}", "admin-1")
    assert fields(problem(answer, 422, "invalid-input")) == ["cursor"]


@pytest.mark.parametrize("query", ["kind=all", "severity=worst", "now=perhaps", "limit=0"])
async def test_what_cannot_be_asked_for_is_refused(api: Api, query: str) -> None:
    answer = await api.call("GET", f"{PATH}?{query}", "admin-1")
    assert fields(problem(answer, 422, "invalid-input")) == [query.partition("=")[0]]


@pytest.mark.rule("RB-13.1")
@pytest.mark.parametrize("agency", ["water", "utility", "applicant"])
async def test_agencies_and_applicants_do_not_see_it(api: Api, agency: str) -> None:
    problem(await api.call("GET", PATH, agency), 403, "not-allowed")
    for reader in ("admin-2", "desk", "special-group"):
        assert (await _shown(api, by=reader))["open_cases"] == 0


@pytest.mark.rule("RB-13.3")
async def test_it_names_nobody(api: Api) -> None:
    no = await _refused(api)
    with capture_logs() as logs:
        text = (await api.call("GET", f"{PATH}?now=true", "admin-1")).text
    assert no in text
    for value in (HIGH["applicant"]["name"], HIGH["applicant"]["phone"], HIGH["site"]["address"]):
        assert value not in text and value not in str(logs)


# ---------------------------------------------------------------- the loop


class _Findings:
    """A finder of what a test puts in.

    Attributes:
        scans: how often it was asked.
        looks: one item for each time it is asked.
        goes_on: while it is cleared, no scan ends.
    """

    def __init__(self) -> None:
        self.findings: tuple[Finding, ...] = ()
        self.is_complete, self.scans = True, 0
        self.looks: asyncio.Queue[None] = asyncio.Queue()
        self.problem: Exception | None = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def scan(self) -> Scan:
        self.scans += 1
        self.looks.put_nowait(None)
        await self.goes_on.wait()
        if self.problem is not None:
            raise self.problem
        return Scan(NOON, self.findings, 1, self.is_complete, took_s=0.0)


def _finding(no: str, seconds: int = 0) -> Finding:
    since = NOON + timedelta(seconds=seconds)
    return Finding.of(
        StuckKind.PROCESS_MISSING, no, since, CivilClock(), case_no=no, workflow_id=no
    )


@asynccontextmanager
async def _watching(
    finder: _Findings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StuckWatch]:
    monkeypatch.setattr(stuck_watch, "FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(stuck_watch, "EVERY_S", 0.01)
    watch = StuckWatch(finder)  # type: ignore[arg-type]  # of the same shape
    running = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _scanned(finder: _Findings) -> None:
    """Wait until a scan that began from now on was read."""
    while not finder.looks.empty():
        finder.looks.get_nowait()
    async with asyncio.timeout(10):
        for _ in range(3):
            await finder.looks.get()


async def test_each_finding_is_logged_when_it_appears_and_when_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = _Findings()
    with capture_logs() as logs:
        async with _watching(finder, monkeypatch) as watch:
            finder.findings = (_finding("A"), _finding("B"))
            await _scanned(finder)
            finder.findings = (_finding("B", seconds=30),)
            await _scanned(finder)
            latest = watch.latest
            finder.problem = OSError("the file is away")
            await _scanned(finder)
            assert watch.latest is latest
            finder.problem, finder.is_complete, finder.findings = None, False, ()
            await _scanned(finder)
            # Nobody knows whether it is gone.
            finder.is_complete, finder.findings = True, (_finding("B", seconds=60),)
            await _scanned(finder)
            assert watch.latest is not None
            assert [each.since for each in watch.latest.findings] == [NOON]
    told = [(each["event"], each["workflow_id"]) for each in logs if "workflow_id" in each]
    assert told == [("stuck", "A"), ("stuck", "B"), ("stuck_no_more", "A")]
    assert {"event": "stuck_not_looked_for", "problem": "OSError", "log_level": "warning"} in logs
    assert set(logs[0]) == {"event", "log_level", "kind", "severity", "case_no", "workflow_id"}


async def test_those_who_ask_at_once_share_one_look() -> None:
    finder = _Findings()
    watch = StuckWatch(finder)  # type: ignore[arg-type]  # of the same shape
    finder.goes_on.clear()
    first = asyncio.create_task(watch.look())
    await finder.looks.get()
    others = [asyncio.create_task(watch.look()) for _ in range(20)]
    await asyncio.sleep(0)
    finder.goes_on.set()
    await asyncio.gather(first, *others)
    # The one under way began before they asked.
    assert finder.scans == 2
