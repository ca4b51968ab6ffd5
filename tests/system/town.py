"""A whole OneWindow on loopback, whose programs the test starts and kills itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx2
from temporalio.client import Client

from cli import DEMO_BEGINS
from commands import up as upping
from commands.installation import Installation
from policy.loader import policy_for
from sandbox.faults import FAULTS
from settings import Settings
from storage.database import open_engine
from storage.migrate import upgrade
from storage.reading import Reading

SAMPLES = Path(__file__).parents[2] / "samples"
ONLINE_CHANNELS = frozenset({"online_hall", "yueshengshi"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One application of `samples/`, with the ending it is written to reach."""

    name: str
    application: Mapping[str, Any]
    ending: str
    withdraw_after_civil_days: float | None

    @property
    def by(self) -> str:
        """Whose key it is handed in with."""
        return "applicant" if self.application["channel"] in ONLINE_CHANNELS else "desk"


def samples() -> list[Sample]:
    """Every sample, in the order of the files."""
    read = [(path.stem, json.loads(path.read_text("utf-8"))) for path in SAMPLES.glob("*.json")]
    return [
        Sample(name, each["application"], each["ending"], each["withdraw_after_civil_days"])
        for name, each in sorted(read)
    ]


class Town:
    """Engine, worker, API and sandbox as processes of their own.

    Attributes:
        reading: questions to the case file, past the API.
    """

    def __init__(
        self,
        var: Path,
        *,
        speed: float,
        sandbox_arguments: tuple[str, ...] | None,
        begins: datetime,
    ) -> None:
        self._installation = Installation(var)
        self._installation.logs.mkdir(parents=True)
        policy = policy_for(Settings().policy)
        self._plan = upping.plan(
            self._installation,
            Settings(api_port=18000, engine_address="127.0.0.1:17233"),
            policy,
            self._installation.clock(speed, begins, timedelta()),
            database_url=self._installation.database_url,
            sandbox_arguments=sandbox_arguments,
            has_ui=False,
            say=lambda _line: None,
        )
        upgrade(self._installation.database_url)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._http = httpx2.AsyncClient(
            base_url=f"{self._plan.addresses['api']}/api/v1", trust_env=False, timeout=15
        )
        self.reading = Reading(open_engine(self._installation.database_url))

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        var: Path,
        *,
        speed: float = 172_800.0,
        sandbox_arguments: tuple[str, ...] | None = (),
        begins: datetime = DEMO_BEGINS,
    ) -> AsyncIterator[Self]:
        """Start everything, with civil time at `begins`; end everything.

        Args:
            sandbox_arguments: None for no stand-ins: every agency works in its inbox.
        """
        town = cls(var, speed=speed, sandbox_arguments=sandbox_arguments, begins=begins)
        try:
            for program in town._plan.programs:
                town.start(program.name)
            await asyncio.wait_for(upping.ready(town._plan), 60)
            yield town
        finally:
            for name in reversed(list(town._processes)):
                town.kill(name)
            await town._http.aclose()
            await town.reading.engine.dispose()

    def start(self, name: str) -> None:
        """Start one program."""
        program = next(each for each in self._plan.programs if each.name == name)
        with (self._installation.logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                program.arguments,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """kill -9 one program, and see it gone."""
        process = self._processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def forget_engine(self) -> None:
        """Take away everything the engine knew; it must not be running."""
        for path in self._installation.var.glob("engine.db*"):
            path.unlink()

    @property
    def api_address(self) -> str:
        """Where API and console are reached."""
        return self._plan.addresses["api"]

    async def call(
        self,
        by: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> httpx2.Response:
        """Make one call to the API with an agency's key."""
        headers = {"Authorization": f"Bearer {self._plan.keys[by]}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self._http.request(method, path, json=body, headers=headers)

    async def hand_in(self, sample: Sample, key: str) -> tuple[str, int]:
        """Hand in an application as a desk does: again, with the same key, until it has a number.

        Returns:
            The number, and the status of the answer that gave it.
        """
        while True:
            try:
                answer = await self.call(
                    sample.by, "POST", "/applications", sample.application, key
                )
            except httpx2.TransportError:
                await asyncio.sleep(0.1)
                continue
            assert answer.status_code in (201, 202), answer.text
            return answer.json()["no"], answer.status_code

    async def faults_struck(self) -> Counter[str]:
        """How often each of the sandbox's faults has struck, over all agencies."""
        address = f"{self._plan.addresses['sandbox']}/control/state"
        agencies = (await self._http.get(address)).json()["agencies"]
        return Counter(
            {fault: sum(each.get(fault, 0) for each in agencies.values()) for fault in FAULTS}
        )

    async def processes(self) -> list[tuple[str, str, str]]:
        """Every run the engine knows: (workflow type, id, status)."""
        client = await Client.connect(self._plan.addresses["engine"])
        return [
            (run.workflow_type, run.id, run.status.name if run.status else "?")
            async for run in client.list_workflows()
        ]


async def eventually(holds: Callable[[], Any], within_s: float) -> None:
    """Wait until the awaited condition holds.

    Raises:
        TimeoutError: it did not within `within_s` seconds.
    """
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110  another program's state has no event to wait for
            await asyncio.sleep(0.1)
