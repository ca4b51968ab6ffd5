"""An office for the console's tests: people with accounts, and their visits by HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from argon2 import PasswordHasher
from fastapi import FastAPI

from console.app import mount
from console.guard import FORM_TOKEN
from domain.accounts import NewAccount, StaffRole
from domain.connection import TaskKind
from storage.accounts import Accounts
from tests.support.cases import HIGH, NOON, new_task
from tests.support.serving import Api, api_settings, in_process

PASSWORD = "eine lange Nacht am Meer"
ITEM = "占用、挖掘城市道路审批"
PEOPLE: Mapping[str, tuple[str | None, StaffRole]] = {
    "desk-1": ("desk", StaffRole.DESK),
    "water-1": ("water", StaffRole.DEPARTMENT),
    "water-2": ("water", StaffRole.DEPARTMENT),
    "utility-1": ("utility", StaffRole.UTILITY),
    "special-1": ("special-group", StaffRole.SUPERVISOR),
    "admin-1": (None, StaffRole.ADMINISTRATOR),
    "admin-2": (None, StaffRole.ADMINISTRATOR),
}
"""By account: agency and role. All have one password."""

_TOKEN = re.compile(rf'name="{FORM_TOKEN}" value="([0-9a-f]+)"')


@dataclass
class Visit:
    """Somebody's browser, without a screen.

    Attributes:
        client: keeps the cookies.
        seen: the page last seen; its form token is what forms are sent with.
    """

    client: httpx2.AsyncClient
    seen: httpx2.Response | None = None

    async def get(self, path: str, **others: Any) -> httpx2.Response:
        """Ask for a page under `/console`."""
        answer = await self.client.get(f"/console{path}", **others)
        return self._look(answer)

    async def post(
        self, path: str, form: Mapping[str, str] | None = None, **others: Any
    ) -> httpx2.Response:
        """Send a form, with the token of the page last seen."""
        sent = {FORM_TOKEN: self.form_token, **(form or {})}
        return self._look(await self.client.post(f"/console{path}", data=sent, **others))

    async def sign_in(self, account: str, password: str = PASSWORD) -> httpx2.Response:
        """Sign in by the form."""
        await self.get("/sign-in")
        answer = await self.post("/sign-in", {"account": account, "password": password})
        if answer.is_redirect:
            # Any page of one's own, for its form token.
            await self.get("/password")
        return answer

    @property
    def form_token(self) -> str:
        """The token of the page last seen that had one."""
        assert self.seen is not None
        found = _TOKEN.search(self.seen.text)
        assert found is not None
        return found[1]

    def _look(self, answer: httpx2.Response) -> httpx2.Response:
        if _TOKEN.search(answer.text):
            self.seen = answer
        return answer


@dataclass
class Office:
    """A running API with its console, and people who may sign in."""

    api: Api
    console: FastAPI
    _visits: list[httpx2.AsyncClient] = field(default_factory=list)

    @property
    def accounts(self) -> Accounts:
        """The console's own accounts."""
        found: Accounts = self.console.state.accounts
        return found

    async def hire(self, account: str, *, must_change: bool = False) -> None:
        """Make the account of one of `PEOPLE`."""
        agency, role = PEOPLE[account]
        new = NewAccount(account, f"示例 {account}", agency, role)
        await self.accounts.add(new, PASSWORD, at=self.api.now, must_change=must_change)

    def visit(self, base: str = "http://onewindow", address: str = "192.0.2.1") -> Visit:
        """Open a browser."""
        transport = httpx2.ASGITransport(
            self.api.app, raise_app_exceptions=False, client=(address, 4711)
        )
        client = httpx2.AsyncClient(transport=transport, base_url=base)
        self._visits.append(client)
        return Visit(client)

    async def visit_of(self, account: str) -> Visit:
        """Open a browser and sign one of `PEOPLE` in, with an account made now."""
        if account not in {each.id for each in await self.accounts.every()}:
            await self.hire(account)
        visit = self.visit()
        answer = await visit.sign_in(account)
        assert answer.status_code == 303, answer.text
        return visit

    async def close(self) -> None:
        """Close all browsers."""
        for each in self._visits:
            await each.aclose()

    async def case(self, body: Mapping[str, Any] = HIGH, key: str = "key-1") -> str:
        """Hand in an application; return its number."""
        no: str = (await self.api.submit(body, key=key)).json()["no"]
        return no

    async def permits(self, no: str, department: str = "water", *items: str) -> str:
        """Have a department owe permits; return the task's id."""
        new = new_task(no, TaskKind.PERMITS, department=department, items=items or (ITEM,))
        return (await self.api.casefile.open_task(new)).id

    async def task(self, no: str, kind: TaskKind = TaskKind.CHECK_PAPERS) -> str:
        """Have a task be owed by whoever owes its kind; return its id."""
        return (await self.api.casefile.open_task(new_task(no, kind))).id


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Office]:
    """Open an office on a case file."""
    async with in_process(api_settings(url, **settings)) as api:
        api.now = NOON
        console = mount(api.app)
        # As cheap as a hash can be: what is tested is not how long one takes.
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        console.state.accounts = Accounts(api.casefile.engine, quick)
        office = Office(api, console)
        try:
            yield office
        finally:
            await office.close()
