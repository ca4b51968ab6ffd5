"""OneWindow's API as the commands use it: calls, what comes back, and what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal, Self, TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict

from commands.failure import CommandFailed

TRIES = 8
FIRST_PAUSE_S = 0.25
TIMEOUT_S = 15.0


class Shown(BaseModel):
    """Part of an answer; what a command does not need is left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Words(Shown):
    """A text in both languages."""

    zh: str
    en: str


class Receipt(Shown):
    """The answer to a submission; `pending`: it is on file and starts when the engine is back."""

    no: str
    process: Literal["started", "pending"]


class Case(Shown):
    """A case as the list shows it; `reached` is the kind of its latest task."""

    no: str
    voltage: Literal["low", "high"]
    supply: Literal["single", "dual"]
    state: Literal["open", "ended"]
    stage: str
    reached: str | None
    ending: str | None


class Task(Shown):
    """A task; `done_at` is when it was decided, or closed without a decision."""

    id: str
    case_no: str
    kind: str
    owed_by: str
    round: int
    state: Literal["open", "done", "closed"]
    title: Words
    opened_at: datetime
    due_on: date | None
    done_at: datetime | None
    outcome: Mapping[str, Any] | None
    closed_by: str | None
    is_late: bool


class Clock(Shown):
    """A clock of RB-2; days are working days."""

    id: str
    zh: str
    en: str
    round: int | None
    department: str | None
    limit: int | None
    gross: int
    net: int
    left: int | None
    light: Literal["green", "yellow", "red"] | None
    state: Literal["running", "suspended", "stopped"]
    nature: Literal["average", "every_case"]
    clause: str


class _CivilNow(Shown):
    civil_now: datetime


class _Cases(Shown):
    items: tuple[Case, ...]
    next_cursor: str | None


class _Tasks(Shown):
    items: tuple[Task, ...]
    next_cursor: str | None


class _CaseTasks(Shown):
    items: tuple[Task, ...]


class _CaseClocks(Shown):
    items: tuple[Clock, ...]


S = TypeVar("S", bound=Shown)


class Refusal(CommandFailed):
    """The API said no; `slug` names the kind of problem."""

    def __init__(self, slug: str, text: str) -> None:
        super().__init__(text)
        self.slug = slug


class Api:
    """The API, called as one agency or another. Use it as an async context manager.

    What fails in passing (no connection, 429, 5xx) is tried again for some seconds: every call is
    a reading or carries an Idempotency-Key.

    Args:
        base: address, without `/api/v1`.
        keys: each agency's key.

    Raises (every call):
        Refusal: a 4xx, with what the problem says in both languages.
        CommandFailed: no answer after all.
    """

    def __init__(self, base: str, keys: Mapping[str, str]) -> None:
        self._base, self._keys = base, keys
        self._client = httpx2.AsyncClient(base_url=base, timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def is_ready(self) -> bool:
        """Whether applications are taken in and their processes start."""
        try:
            answer = await self._client.get("/readyz")
        except httpx2.TransportError:
            return False
        return answer.status_code == 200 and bool(answer.json()["engine"])

    async def civil_now(self) -> datetime:
        """What time it is for people."""
        return (await self._read(_CivilNow, "/clock")).civil_now

    async def submit(
        self, application: Mapping[str, Any], *, by: str, idempotency_key: str
    ) -> Receipt:
        """Hand in an application; the same key and body again give the same number."""
        answer = await self._call(
            "POST", "/applications", by=by, body=application, idempotency_key=idempotency_key
        )
        return Receipt.model_validate_json(answer.content)

    async def withdraw(self, no: str, reason: str, *, by: str, idempotency_key: str) -> None:
        """Withdraw an application."""
        await self._call(
            "POST",
            f"/applications/{no}/actions",
            by=by,
            body={"action": "withdraw", "reason": reason},
            idempotency_key=idempotency_key,
        )

    async def case(self, no: str) -> Case:
        """One case."""
        return await self._read(Case, f"/applications/{no}", by="desk")

    async def cases(self) -> tuple[Case, ...]:
        """All cases, newest first."""
        cases: tuple[Case, ...] = ()
        cursor: str | None = ""
        while cursor is not None:
            page = await self._read(_Cases, "/applications", by="desk", limit=200, cursor=cursor)
            cases, cursor = cases + page.items, page.next_cursor
        return cases

    async def open_tasks(self) -> tuple[Task, ...]:
        """Everything that is owed by anybody, oldest first."""
        tasks: tuple[Task, ...] = ()
        cursor: str | None = ""
        while cursor is not None:
            page = await self._read(
                _Tasks, "/tasks", by="desk", state="open", limit=200, cursor=cursor
            )
            tasks, cursor = tasks + page.items, page.next_cursor
        return tasks

    async def tasks_of(self, no: str) -> tuple[Task, ...]:
        """A case's tasks in the order they were opened."""
        answer = await self._call("GET", f"/applications/{no}/tasks", by="desk")
        return _CaseTasks.model_validate({"items": answer.json()}).items

    async def clocks_of(self, no: str) -> tuple[Clock, ...]:
        """A case's clocks without those of single departments; none before it was accepted."""
        answer = await self._call("GET", f"/applications/{no}/clocks", by="desk")
        shown = _CaseClocks.model_validate({"items": answer.json()}).items
        return tuple(clock for clock in shown if clock.department is None)

    async def _read(
        self, shape: type[S], path: str, *, by: str | None = None, **query: str | int
    ) -> S:
        answer = await self._call(
            "GET", path, by=by, query={name: value for name, value in query.items() if value != ""}
        )
        return shape.model_validate_json(answer.content)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        by: str | None = None,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
        idempotency_key: str | None = None,
    ) -> httpx2.Response:
        headers = {}
        if by is not None:
            if by not in self._keys:
                raise CommandFailed(f"no key for {by}; set ONEWINDOW_AGENCY_KEYS, or use --var")
            headers["Authorization"] = f"Bearer {self._keys[by]}"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        pause = FIRST_PAUSE_S
        for tries_left in reversed(range(TRIES)):
            try:
                answer = await self._client.request(
                    method, f"/api/v1{path}", json=body, params=query, headers=headers
                )
            except httpx2.TransportError as problem:
                failure: CommandFailed = CommandFailed(
                    f"no answer from {self._base}: {problem or type(problem).__name__}; "
                    "is OneWindow up? (onewindow up)"
                )
            else:
                if answer.is_success:
                    return answer
                failure = _refusal(answer)
                if answer.status_code != 429 and answer.status_code < 500:
                    raise failure
            if tries_left:
                await asyncio.sleep(pause)
                pause *= 2
        raise failure


def _refusal(answer: httpx2.Response) -> Refusal:
    try:
        problem = answer.json()
        fields = "; ".join(
            f"{each['field']}: {each['message']} / {each['message_zh']}"
            for each in problem.get("errors", ())
        )
        text = fields or f"{problem['detail']} / {problem['detail_zh']}"
        slug = problem["type"].removeprefix("/problems/")
        return Refusal(slug, f"{problem['title']} / {problem['title_zh']}: {text}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refusal("", f"{answer.request.url} answered {answer.status_code}")
