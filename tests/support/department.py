"""`sandbox/department.py` as a department runs it, and the pushes that OneWindow makes to it."""

from __future__ import annotations

import base64
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from activities.agencies import Agencies
from tests.support.serving import PATIENCE_S, key_of

CLIENT = Path(__file__).parents[2] / "sandbox" / "department.py"
SECRET = "whsec_" + base64.b64encode(b"fictitious secret of the water").decode()


def secret_bytes(spelled: str = SECRET) -> bytes:
    """Return what is signed with."""
    return base64.b64decode(spelled.removeprefix("whsec_"))


@dataclass(frozen=True, slots=True)
class Department:
    """A department's client in a process of its own.

    Attributes:
        base: address that OneWindow pushes to.
        kept: its database.
    """

    base: str
    kept: Path
    process: subprocess.Popen[bytes]

    def rows(self) -> list[tuple[str, str | None, int]]:
        """Return what it keeps: task, outcome, and what the outcome was answered with."""
        with closing(sqlite3.connect(self.kept)) as found:
            return found.execute("SELECT id, outcome, status FROM tasks ORDER BY id").fetchall()


@contextmanager
def department(
    folder: Path, api: str, agency: str = "water", client: Path = CLIENT
) -> Iterator[Department]:
    """Run the client against an API (without `/api/v1`) until the block ends, then kill it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = folder / "department.db"
    environment = {
        "ONEWINDOW": f"{api}/api/v1",
        "KEY": key_of(agency),
        "SECRET": SECRET,
        "KEPT": str(kept),
        "PORT": str(port),
        "NO_PROXY": "127.0.0.1",
    }
    with subprocess.Popen([sys.executable, "-I", client], env=environment) as process:
        try:
            _wait_for(port, process)
            yield Department(f"http://127.0.0.1:{port}", kept, process)
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None and time.monotonic() < until, "the client does not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)


def agencies(base: str, secrets: Sequence[bytes], agency: str = "water") -> Agencies:
    """Return what OneWindow's worker reaches one department with."""
    return Agencies({agency: base}, {agency: key_of(agency)}, {agency: secrets})
