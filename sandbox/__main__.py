"""`python -m sandbox`: the command line of the peer. Every flag has a variable SANDBOX_<FLAG>."""

import argparse
import json
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvicorn

from sandbox.app import create_app
from sandbox.decisions import CHANCES, Judgement
from sandbox.faults import FAULTS, Faults, FaultUnknown, parse_faults
from sandbox.hours import WorkedDays
from sandbox.peer import Conduct, Peer
from sandbox.routes import HIGH_VOLTAGE


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the agencies until a signal ends it."""
    parser = _parser(os.environ)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=given.log_level.upper(), format="sandbox %(levelname)s %(message)s")
    try:
        peer = _peer(given)
        listener = socket.create_server((given.host, given.port), backlog=1024)
    except (FaultUnknown, ValueError, OSError) as problem:
        parser.error(str(problem))
    host, port = listener.getsockname()[:2]
    print(f"sandbox listens on http://{host}:{port}", flush=True)
    config = uvicorn.Config(
        create_app(peer), log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=[listener])


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Plays utility, departments, desk and applicant over the HTTP contract.",
        epilog="faults: " + "; ".join(f"{name}: {what}" for name, what in FAULTS.items()),
    )

    def option(name: str, default: str, explanation: str, kind: type = str) -> None:
        variable = "SANDBOX_" + name.upper().replace("-", "_")
        parser.add_argument(
            f"--{name}",
            type=kind,
            default=environment.get(variable, default),
            help=f"{explanation} [{variable}, {default or 'none'}]",
        )

    option("host", "127.0.0.1", "address to listen on")
    option("port", "8100", "port to listen on; 0 takes a free one and prints it", int)
    option("api", "http://127.0.0.1:8000", "base of OneWindow, without /api/v1")
    option("keys-file", "", 'JSON file {"agency": "key", …}; its agencies are those played')
    option("secrets-file", "", 'JSON file {"agency": ["whsec_…"], …}: pushes must be signed')
    option("seed", "7", "what every draw follows from", int)
    option("calendar", "", "TOML file of holidays and make-up days; without: Monday to Friday")
    option("delay", "1", "factor on the civil delays; 0 answers at once", float)
    option("reply", "callback", "callback, or push to answer in the push (with delay 0)")
    option("route", "", "one high-voltage route for every case: " + ", ".join(HIGH_VOLTAGE))
    option("slow-seconds", "2", "real seconds the fault slow holds an answer back", float)
    option("log-level", "warning", "debug, info, warning or error")
    for name, explanation in (
        ("fault", "name=probability or agency:name=probability, comma-separated; repeatable"),
        ("chance", "name=probability, or all=…: " + ", ".join(CHANCES) + "; repeatable"),
    ):
        variable = f"SANDBOX_{name.upper()}"
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[environment[variable]] if variable in environment else [],
            help=f"{explanation} [{variable}]",
        )
    return parser


def _peer(given: argparse.Namespace) -> Peer:
    keys = _keys(given.keys_file)
    if given.route and given.route not in HIGH_VOLTAGE:
        raise ValueError(f"--route {given.route}: not one of {', '.join(HIGH_VOLTAGE)}")
    if given.reply not in ("callback", "push"):
        raise ValueError(f"--reply {given.reply}: callback or push")
    if given.delay < 0:
        raise ValueError(f"--delay {given.delay}: must not be negative")
    days = WorkedDays.read(Path(given.calendar)) if given.calendar else WorkedDays()
    faults = Faults(given.seed, keys)
    faults.replace(parse_faults(given.fault))

    def is_refusing(department: str, task_id: str) -> bool:
        return faults.strikes("refuses", department, task_id)

    return Peer(
        keys=keys,
        conduct=Conduct(given.seed, given.delay, given.reply == "push", given.slow_seconds, days),
        judgement=Judgement(given.seed, _chances(given.chance), given.route or None, is_refusing),
        faults=faults,
        api=given.api,
        secrets=_secrets(given.secrets_file),
    )


def _keys(path: str) -> dict[str, str]:
    if not path:
        raise ValueError("--keys-file is needed: a JSON file of agency: key")
    keys = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise ValueError(f"{path}: must be a JSON object of agency: key")
    return keys


def _secrets(path: str) -> dict[str, list[str]]:
    if not path:
        return {}
    secrets = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(secrets, dict) or not all(
        isinstance(secret, str) and secret.startswith("whsec_")
        for of_agency in secrets.values()
        for secret in of_agency
    ):
        raise ValueError(f"{path}: must be a JSON object of agency: list of whsec_…")
    return secrets


def _chances(given: Sequence[str]) -> dict[str, float]:
    chances = dict(CHANCES)
    for part in (part.strip() for text in given for part in text.split(",") if part.strip()):
        name, _, value = part.partition("=")
        if name not in (*chances, "all"):
            raise ValueError(f"--chance {name}: not one of all, {', '.join(chances)}")
        for each in chances if name == "all" else (name,):
            chances[each] = float(value)
    return chances


if __name__ == "__main__":
    main()
