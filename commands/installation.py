"""What an installation on one machine keeps in its folder, `var/`, and who may run on it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from commands.failure import CommandFailed
from commands.supervisor import Running
from domain.civil_clock import CivilClock

ADMINISTRATORS = ("admin-1", "admin-2")


class Installation:
    """The folder of one installation.

    Attributes:
        var: absolute path of the folder.
        case_file, engine_file: the SQLite databases of the case file and of the engine.
        logs: folder of the programs' logs.
        key_files: everything here that is secret by itself.
        clock_file: the training clock that the cases here are pinned to, if there is one.
        demo_mark: is there if the folder is a demonstration's.
    """

    BACKED_UP = frozenset(
        {"clock.json", "keys.json", "signing.json", "administrators.json", "server.json"}
    )
    """What a backup may hold beside the case file."""

    def __init__(self, var: Path) -> None:
        self.var = var.resolve()
        self.case_file = self.var / "onewindow.db"
        self.engine_file = self.var / "engine.db"
        self.logs = self.var / "log"
        self.keys_file = self.var / "keys.json"
        self.secrets_file = self.var / "signing.json"
        self.administrators_file = self.var / "administrators.json"
        self.server_file = self.var / "server.json"
        self.clock_file = self.var / "clock.json"
        self._run_file = self.var / "run.json"
        self.demo_mark = self.var / "demo"
        self._restoring_mark = self.var / "restoring"

    @property
    def database_url(self) -> str:
        """The case file of this folder, as a setting."""
        return f"sqlite:///{self.case_file}"

    @property
    def key_files(self) -> tuple[Path, ...]:
        """The files of keys and secrets, whether they are there or not."""
        return self.keys_file, self.secrets_file, self.administrators_file, self.server_file

    @contextmanager
    def held(self, *, is_restoring: bool = False) -> Iterator[None]:
        """Hold the folder: one supervisor at a time.

        Args:
            is_restoring: whether it is held to restore a backup into it.

        Raises:
            CommandFailed: the folder cannot be written, somebody holds it, or a restore into it
                was cut off.
        """
        try:
            # Databases and logs hold personal data: they are for whoever runs this alone.
            os.umask(0o077)
            self.logs.mkdir(parents=True, exist_ok=True)
            lock = (self.var / "lock").open("a+")
        except OSError as problem:
            raise CommandFailed(
                f"cannot write to {self.var}: {problem.strerror}; choose a folder with --var"
            ) from problem
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise CommandFailed(
                    f"{self.var} is in use by process {lock.read().strip()}; "
                    "stop it, or choose a folder with --var"
                ) from None
            if self._restoring_mark.exists() and not is_restoring:
                raise CommandFailed(
                    f"a restore into {self.var} was cut off; run onewindow restore again"
                )
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield
            self._run_file.unlink(missing_ok=True)

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Mark the folder as one that holds part of this and part of that, until it is over."""
        self._restoring_mark.touch()
        yield
        self._restoring_mark.unlink()

    def clear_demo(self) -> None:
        """Empty the folder of what an earlier demonstration left.

        Raises:
            CommandFailed: what lies there is no demonstration's.
        """
        if self.case_file.exists() and not self.demo_mark.exists():
            raise CommandFailed(
                f"{self.var} holds a case file that is no demonstration's; "
                "choose another folder with --var"
            )
        databases = [
            database.with_name(database.name + suffix)
            for database in (self.case_file, self.engine_file)
            for suffix in ("", "-wal", "-shm")
        ]
        files = (
            self.keys_file,
            self.secrets_file,
            self.administrators_file,
            self.server_file,
            self.clock_file,
        )
        for path in (*databases, *files, *self.logs.glob("*.log")):
            path.unlink(missing_ok=True)
        self.demo_mark.touch()

    def keys(self, agencies: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
        """Return a key for each agency: the one given, or its own; those without get one."""
        known = read_keys(self.keys_file)
        keys = {
            agency: given.get(agency) or known.get(agency) or secrets.token_urlsafe(24)
            for agency in agencies
        }
        if keys != known:
            write_json(self.keys_file, keys)
        return keys

    def administrators(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return each administrator's key: those given, or two accounts of this folder.

        Two, because what discards something is approved by another than who planned it (RB-12.2).
        """
        if given:
            return dict(given)
        known = read_keys(self.administrators_file)
        keys = known or {account: secrets.token_urlsafe(24) for account in ADMINISTRATORS}
        if keys != known:
            write_json(self.administrators_file, keys)
        return keys

    def server_secret(self, given: str | None) -> str:
        """Return what other secrets are derived from: the one given, or this folder's own."""
        known = read_keys(self.server_file).get("server_secret")
        secret = given or known or secrets.token_urlsafe(48)
        if secret != known:
            write_json(self.server_file, {"server_secret": secret})
        return secret

    def signing_secrets(
        self, agencies: Iterable[str], given: Mapping[str, Sequence[str]]
    ) -> dict[str, list[str]]:
        """Return the signing secrets of each agency: those given, or its own; others get one."""
        known = _read_secrets(self.secrets_file)
        secret_of = {
            agency: list(given.get(agency) or known.get(agency) or [_new_secret()])
            for agency in agencies
        }
        if secret_of != known:
            write_json(self.secrets_file, secret_of)
        return secret_of

    def clock(self, speed: float | None, civil_origin: datetime, lead: timedelta) -> CivilClock:
        """Return the civil clock of this folder; it is set once, at the first start.

        Args:
            speed: civil seconds per second; other than 1 is training mode. None: as it was set.
            civil_origin: when civil time begins in training mode.
            lead: how long after now that is.

        Raises:
            CommandFailed: the folder already runs on another clock.
        """
        if self.clock_file.exists():
            clock = _read_clock(self.clock_file)
            if speed not in (None, clock.speed):
                raise CommandFailed(
                    f"{self.var} is in training mode at speed {clock.speed:g}; "
                    "for another speed choose another folder with --var"
                )
            return clock
        if speed in (None, 1):
            return CivilClock()
        if self.case_file.exists():
            raise CommandFailed(
                f"{self.var} is in service; for training choose another folder with --var"
            )
        return self._kept(CivilClock(datetime.now(UTC) + lead, civil_origin, speed))

    def slower(self, speed: float) -> CivilClock:
        """Have civil time go on from now at another speed; for a demonstration.

        Cases keep the clock they began under, so all of them should have ended.
        """
        now = datetime.now(UTC)
        return self._kept(CivilClock(now, _read_clock(self.clock_file).civil(now), speed))

    def _kept(self, clock: CivilClock) -> CivilClock:
        write_json(
            self.clock_file,
            {
                "engine_origin": str(clock.engine_origin),
                "civil_origin": str(clock.civil_origin),
                "speed": clock.speed,
            },
        )
        return clock

    def note_running(self, running: Mapping[str, Running], addresses: Mapping[str, str]) -> None:
        """Write down what runs and where, for whoever looks from outside."""
        programs = {
            name: {
                "pid": each.pid,
                "started_at": each.started_at.isoformat(),
                "restarts": each.restarts,
            }
            for name, each in running.items()
        }
        write_json(self._run_file, {**programs, "addresses": dict(addresses)})

    def address_of(self, name: str) -> str | None:
        """Return where a running part is reached; None if nothing runs on this folder."""
        try:
            address: str = json.loads(self._run_file.read_text())["addresses"][name]
        except (FileNotFoundError, KeyError):
            return None
        return address


def read_keys(path: Path) -> dict[str, str]:
    """Return the agencies' keys; empty if there is no such file.

    Raises:
        CommandFailed: the file is something else.
    """
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as problem:
        raise CommandFailed(f"{path}: not JSON: {problem}") from problem
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise CommandFailed(f"{path}: must be a JSON object of agency and key")
    return keys


def _read_secrets(path: Path) -> dict[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as problem:
        raise CommandFailed(f"{path}: not JSON: {problem}") from problem
    if not isinstance(found, dict) or not all(isinstance(each, list) for each in found.values()):
        raise CommandFailed(f"{path}: must be a JSON object of agency and list of secrets")
    return found


def _new_secret() -> str:
    """Make a secret as the Standard Webhooks scheme spells it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def write_json(path: Path, content: object) -> None:
    """Write a file that only its owner reads, all of it or nothing."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    draft.replace(path)


def _read_clock(path: Path) -> CivilClock:
    try:
        content = json.loads(path.read_text())
        return CivilClock(
            datetime.fromisoformat(content["engine_origin"]),
            datetime.fromisoformat(content["civil_origin"]),
            float(content["speed"]),
        )
    except (ValueError, KeyError, TypeError) as problem:
        raise CommandFailed(f"{path}: not a clock: {problem}") from problem
