"""`onewindow backup` and `restore`: what is on file comes back, and every open case with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest

import cli
from commands import backup as backing_up
from commands.installation import Installation
from domain.connection import Voltage
from policy.loader import policy_for
from settings import Settings
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.reading import Reading
from storage.records import TaskRecord
from tests.support.cases import new_case
from tests.system.test_cli import onewindow, running
from tests.system.town import eventually
from tests.workflows.agency_system import AgencySystem, listening
from tests.workflows.stories import APPLICATIONS, FIVE_DEPARTMENTS, STORIES, Story, what

AGENCIES = {
    agency
    for agency, rule in policy_for(Settings().policy).agencies.items()
    if rule.role != "supervisor"
}
KEYS = {agency: f"the key of {agency}, of this test" for agency in AGENCIES}
PERMITS = sorted(f"permits-{department}.1" for department in FIVE_DEPARTMENTS)
LOW, HIGH, DECLINED = (
    STORIES[name] for name in ("low.connected", "high.connected", "low.declined")
)
SPEED = "50"


class City:
    """What runs on a folder, seen through its API; every agency's system is the test's."""

    def __init__(self, var: Path, system: AgencySystem) -> None:
        self.var, self.system = var, system
        self.reading = Reading(open_engine(Installation(var).database_url))
        self._http = httpx2.AsyncClient(trust_env=False, timeout=15)

    async def close(self) -> None:
        """Give back what is open."""
        await self._http.aclose()
        await self.reading.engine.dispose()

    async def call(self, by: str, method: str, path: str, body: object, key: str = "-") -> Any:
        """Make one call to the API with an agency's key; it must be taken."""
        headers = {"Authorization": f"Bearer {KEYS[by]}", "Idempotency-Key": key}
        address = f"{Installation(self.var).address_of('api')}/api/v1{path}"
        answer = await self._http.request(method, address, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def is_ready(self) -> bool:
        """Whether everything runs."""
        try:
            address = f"{Installation(self.var).address_of('api')}/readyz"
            return bool((await self._http.get(address)).json()["engine"])
        except (httpx2.TransportError, httpx2.UnsupportedProtocol):
            return False

    async def submit(self, voltage: Voltage, key: str) -> str:
        """Hand in an application; return its number."""
        taken = await self.call("desk", "POST", "/applications", dict(APPLICATIONS[voltage]), key)
        return str(taken["no"])

    async def tasks(self, no: str) -> dict[str, TaskRecord]:
        """Return a case's tasks by what is owed."""
        return {what(task): task for task in await self.reading.tasks_of(no)}

    async def tell(self, no: str, story: Story, *leaves_open: str) -> None:
        """Answer what is owed as the story says, until only `leaves_open` are, or it has ended."""

        async def told() -> bool:
            case = await self.reading.case(no)
            waiting = set()
            for name, task in (await self.tasks(no)).items():
                if task.state == "open" and name in leaves_open:
                    waiting.add(name)
                elif task.state == "open":
                    path = f"/tasks/{task.id}/outcome"
                    await self.call(task.owed_by, "PUT", path, dict(story.outcome(task)))
            return case.state == "ended" if not leaves_open else waiting == set(leaves_open)

        await eventually(told, 60)

    async def answer(self, no: str, story: Story, *names: str) -> None:
        """Answer some of what is owed."""
        tasks = await self.tasks(no)
        for name in names:
            path = f"/tasks/{tasks[name].id}/outcome"
            await self.call(tasks[name].owed_by, "PUT", path, dict(story.outcome(tasks[name])))

    async def open_tasks(self) -> set[str]:
        """Return the ids of everything that is owed, by the case file."""
        with closing(sqlite3.connect(Installation(self.var).case_file)) as db:
            return {row[0] for row in db.execute("SELECT id FROM tasks WHERE state = 'open'")}

    def pushed(self) -> set[str]:
        """Return the ids of the tasks that agencies' systems were pushed."""
        return {push.path.rpartition("/")[2] for push in self.system.pushes}


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    """A folder, and the agencies' systems, on which nothing runs yet."""
    with listening() as system:
        city = City(tmp_path / "var", system)
        yield city
        await city.close()


def _up(city: City, log: Path, *arguments: str) -> Any:
    bases = {agency: f"{city.system.base}/{agency}" for agency in AGENCIES}
    return running(
        log,
        *("up", "--var", city.var, "--no-engine-ui", *arguments),
        ONEWINDOW_AGENCY_KEYS=json.dumps(KEYS),
        ONEWINDOW_AGENCY_BASES=json.dumps(bases),
    )


def _kill_everything(var: Path, supervisor: int) -> None:
    programs = json.loads((var / "run.json").read_text())
    os.kill(supervisor, signal.SIGKILL)
    for name, program in programs.items():
        if name != "addresses" and program["pid"]:
            # The kernel kills them with their supervisor; whoever is faster.
            try:
                os.kill(program["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue


def _succeeded(*arguments: object) -> str:
    ran = onewindow(*arguments)
    assert ran.returncode == 0, ran.stderr
    return str(ran.stdout)


@pytest.mark.rule("RB-12.3", "RB-13.2")
@pytest.mark.timeout(240)
async def test_a_case_file_put_back_brings_every_open_case_with_it(
    city: City, tmp_path: Path
) -> None:
    kept = tmp_path / "backup"
    with _up(city, tmp_path / "first.log", "--speed", SPEED) as up:
        await eventually(city.is_ready, 60)
        fresh = await city.submit(Voltage.LOW, "fresh")
        surveyed = await city.submit(Voltage.LOW, "surveyed")
        bundled = await city.submit(Voltage.HIGH, "bundled")
        declined = await city.submit(Voltage.LOW, "declined")
        await city.tell(fresh, LOW, "check_papers.1")
        await city.tell(surveyed, LOW, "filing.1")
        await city.tell(bundled, HIGH, *PERMITS)
        await city.answer(bundled, HIGH, *PERMITS[:2])
        await city.tell(declined, DECLINED)

        said = await asyncio.to_thread(_succeeded, "backup", kept, "--var", city.var)
        assert "4 cases, every chain holds" in said

        # More goes on, of which the backup knows nothing.
        since = await city.submit(Voltage.LOW, "since")
        await city.answer(fresh, LOW, "check_papers.1")
        await city.answer(bundled, HIGH, *PERMITS[2:])
        await city.tell(bundled, HIGH, "build_line.1")
        clock = (city.var / "clock.json").read_text()
        agencies = (city.var / "keys.json").read_text()
        _kill_everything(city.var, up.pid)
        up.wait()
    await city.reading.engine.dispose()
    # The disk has lost the case file, and with it everything: what is left of it is noise.
    (city.var / "onewindow.db").write_bytes(b"\x00lost" * 5000)

    said = await asyncio.to_thread(_succeeded, "restore", kept, "--var", city.var)
    assert f"numbers go on after {declined}" in said
    (aside,) = city.var.glob("before-restore-*")
    assert (aside / "onewindow.db").read_bytes().startswith(b"\x00lost")
    assert (aside / "engine.db").is_file() and not (city.var / "engine.db").exists()
    assert (aside / "clock.json").read_text() == (city.var / "clock.json").read_text() == clock
    assert (city.var / "keys.json").read_text() == agencies

    decided = {task.id for task in await city.reading.tasks_of(bundled) if task.state == "done"}
    assert {f"{bundled}.{name}" for name in PERMITS[:2]} <= decided
    owed = await city.open_tasks()
    assert f"{fresh}.check_papers.1" in owed and f"{surveyed}.filing.1" in owed
    assert {f"{bundled}.{name}" for name in PERMITS[2:]} <= owed
    city.system.pushes.clear()
    with _up(city, tmp_path / "second.log"):
        await eventually(city.is_ready, 60)

        async def all_asked() -> bool:
            return city.pushed() >= owed

        # Each open task is asked of its agency again; a process comes to it past every decision.
        await eventually(all_asked, 60)
        for no, story in ((fresh, LOW), (surveyed, LOW), (bundled, HIGH)):
            await city.tell(no, story)
            assert (await city.reading.case(no)).ending == "connected"
        assert city.pushed() & decided == set()
        assert (await city.reading.case(declined)).ending == "declined"
        # As `docs/operations.md` says: a number given after the backup is given again.
        assert await city.submit(Voltage.LOW, "after") == since
    assert "5 cases, every chain holds" in _succeeded("verify", "--var", city.var)


Run = Callable[..., str]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command in this process, which must do what is asked; return what it says."""
    umask = os.umask(0o022)

    def run(*arguments: object) -> str:
        assert _left_with(monkeypatch, *arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    yield run
    os.umask(umask)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that cannot do what is asked; return the one line it says."""

    def run(*arguments: object) -> str:
        assert _left_with(monkeypatch, *arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def _left_with(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    monkeypatch.setattr(sys, "argv", ["onewindow", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.fixture
def var(tmp_path: Path, done: Run) -> Path:
    """A folder with a case file of two cases, on which nothing runs."""
    var = tmp_path / "var"
    done("migrate", "--var", var)

    async def put_on_file() -> None:
        casefile = CaseFile(open_engine(Installation(var).database_url))
        for key in ("first", "second"):
            await casefile.submit(new_case(key))
        await casefile.close()

    asyncio.run(put_on_file())
    return var


def test_a_backup_is_for_its_owner_alone_and_holds_keys_only_if_asked(
    var: Path, tmp_path: Path, done: Run
) -> None:
    installation = Installation(var)
    installation.keys(["desk"], {})
    installation.signing_secrets(["desk"], {})
    installation.administrators({})
    installation.server_secret(None)
    without, whole = tmp_path / "without", tmp_path / "whole"
    done("backup", without, "--var", var)
    done("backup", whole, "--var", var, "--with-keys")
    assert _names(without) == {"backup.json", "onewindow.db"}
    assert _names(whole) == {
        *("backup.json", "onewindow.db", "keys.json", "signing.json", "administrators.json"),
        "server.json",
    }
    for folder in (without, whole):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    # Into an empty folder keys come with it; where there are some, they stay.
    done("restore", whole, "--var", tmp_path / "other")
    assert _keys(tmp_path / "other") == _keys(var)
    Installation(var).keys_file.write_text('{"desk": "replaced since the backup"}')
    done("restore", whole, "--var", var)
    assert _keys(var) == '{"desk": "replaced since the backup"}'


def test_a_session_does_not_come_back(var: Path, tmp_path: Path, done: Run) -> None:
    with _tampering(Installation(var).case_file) as db:
        account = ("officer-1", "示例", "desk", "officer", "-", 0, 0, 1, "2026-09-16")
        db.execute(
            "INSERT INTO accounts (id, display_name, agency, role, password_hash, "
            "must_change_password, failed_attempts, is_active, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            account,
        )
        db.execute(
            "INSERT INTO sessions (token_sha256, account_id, created_at, seen_at) "
            "VALUES ('a token', 'officer-1', '2026-09-16', '2026-09-16')"
        )
    done("backup", tmp_path / "backup", "--var", var)
    done("restore", tmp_path / "backup", "--var", var)
    with _tampering(Installation(var).case_file) as db:
        assert db.execute("SELECT count(*) FROM accounts").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _keys(var: Path) -> str:
    return (var / "keys.json").read_text()


def _numbers(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "onewindow.db")) as db:
        return [row[0] for row in db.execute("SELECT no FROM applications ORDER BY sequence")]


def test_a_backup_is_of_one_moment_while_others_write(var: Path, tmp_path: Path, done: Run) -> None:
    backup, stop = tmp_path / "backup", threading.Event()
    written: list[str] = []

    async def write() -> None:
        casefile = CaseFile(open_engine(Installation(var).database_url))
        for key in count():
            written.append((await casefile.submit(new_case(f"written-{key}"))).no)
            if stop.is_set():
                break
        await casefile.close()

    writer = threading.Thread(target=lambda: asyncio.run(write()))
    writer.start()
    try:
        while not written:
            writer.join(0.01)
        before = len(written)
        done("backup", backup, "--var", var)
        after = len(written)
    finally:
        stop.set()
        writer.join()
    # Writers were not made to wait for it, and what it holds is the beginning of what is there.
    assert after > before
    kept = _numbers(backup)
    assert kept == _numbers(var)[: len(kept)]
    assert before + 2 <= len(kept) <= after + 3


def test_a_backup_never_replaces_anything(
    var: Path, tmp_path: Path, done: Run, refused: Run
) -> None:
    for there in (tmp_path / "file", tmp_path / "link"):
        there.symlink_to("nowhere") if there.name == "link" else there.write_text("mine")
        assert "is there already" in refused("backup", there, "--var", var)
    assert (tmp_path / "file").read_text() == "mine"
    assert "there is no folder" in refused("backup", tmp_path / "no" / "where", "--var", var)


def test_of_a_backup_that_fails_nothing_is_left(
    var: Path, tmp_path: Path, done: Run, refused: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    for step in ("_copy_database", "_checked", "write_json", "_flush"):
        with monkeypatch.context() as broken:
            broken.setattr(backing_up, step, full)
            assert "the disk is full" in refused("backup", tmp_path / "to", "--var", var)
        assert _names(tmp_path) == {"var"}


def test_what_is_no_sqlite_case_file_is_not_backed_up(
    var: Path, tmp_path: Path, done: Run, refused: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no case file" in refused("backup", tmp_path / "to", "--var", tmp_path / "no")
    monkeypatch.setenv("ONEWINDOW_DATABASE_URL", "postgresql://one:two@db/onewindow")
    said = refused("backup", tmp_path / "to", "--var", var)
    assert "pg_dump" in said and "two" not in said
    assert "ONEWINDOW_DATABASE_URL is set" in refused("restore", tmp_path / "to", "--var", var)
    assert _names(tmp_path) == {"var"}


@contextmanager
def _tampering(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file)) as db:
        yield db
        db.commit()


def _rename_applicant(file: Path) -> None:
    with _tampering(file) as db:
        db.execute("UPDATE applications SET content = replace(content, '示例', '样例')")


def test_a_record_that_does_not_hold_is_not_backed_up(
    var: Path, tmp_path: Path, done: Run, refused: Run
) -> None:
    _rename_applicant(Installation(var).case_file)
    assert "the record is broken" in refused("backup", tmp_path / "to", "--var", var)
    assert _names(tmp_path) == {"var"}


def _spoil_file(backup: Path) -> None:
    with (backup / "onewindow.db").open("ab") as file:
        file.write(b"\0")


def _spoil_record(backup: Path) -> None:
    """Change the record, and say that it has always been so."""
    _rename_applicant(backup / "onewindow.db")
    _rewrite(backup, sha256=backing_up._digest(backup / "onewindow.db"))


def _make_newer(backup: Path) -> None:
    """Have it be of a release that is to come."""
    with _tampering(backup / "onewindow.db") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    _rewrite(backup, sha256=backing_up._digest(backup / "onewindow.db"))


def _rewrite(backup: Path, **changes: object) -> None:
    manifest = backup / "backup.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_spoil_file, "was changed"),
        (_spoil_record, "the record is broken"),
        (_make_newer, "Can't locate revision"),
        (lambda backup: (backup / "onewindow.db").unlink(), "onewindow.db is missing"),
        (lambda backup: (backup / "backup.json").unlink(), "is no backup"),
        (lambda backup: (backup / "backup.json").write_text("[]"), "is no backup"),
        (lambda backup: _rewrite(backup, format=2), "of format 2"),
        (lambda backup: _rewrite(backup, files=["../lock"]), "names ../lock"),
        (lambda backup: _rewrite(backup, files=["keys.json"]), "keys.json is missing"),
    ],
)
def test_what_is_not_whole_is_not_restored(
    spoil: Callable[[Path], None], told: str, var: Path, tmp_path: Path, done: Run, refused: Run
) -> None:
    backup = tmp_path / "backup"
    done("backup", backup, "--var", var)
    before = _contents(var)
    spoil(backup)
    assert told in refused("restore", backup, "--var", var)
    assert _contents(var) == before


def _contents(var: Path) -> Mapping[str, bytes]:
    files = (path for path in var.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(var)): path.read_bytes() for path in files}


@contextmanager
def _open_elsewhere(database: Path) -> Iterator[None]:
    """Have another process keep a database open, as a worker or an engine started by itself."""
    script = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); "
        "db.execute('PRAGMA journal_mode=WAL'); "
        "db.execute('SELECT count(*) FROM sqlite_master').fetchone(); "
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        yield
        other.communicate()


def test_nothing_is_restored_under_a_program_that_runs(
    var: Path, tmp_path: Path, done: Run, refused: Run
) -> None:
    backup = tmp_path / "backup"
    done("backup", backup, "--var", var)
    with Installation(var).held():
        assert "is in use by process" in refused("restore", backup, "--var", var)
    for name in ("onewindow.db", "engine.db"):
        with _open_elsewhere(var / name):
            assert f"{name} open" in refused("restore", backup, "--var", var)
    assert list(var.glob("before-restore-*")) == []
    done("restore", backup, "--var", var)
    assert len(_numbers(var)) == 2


def test_a_restore_that_was_cut_off_is_not_mistaken_for_one(
    var: Path, tmp_path: Path, done: Run, refused: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = tmp_path / "backup"
    done("backup", backup, "--var", var)
    numbers = _numbers(var)

    def killed(_paths: object, _to: object) -> None:
        Installation(var).case_file.rename(tmp_path / "on its way")
        raise OSError("killed here")

    with monkeypatch.context() as cut:
        cut.setattr(backing_up, "_move", killed)
        assert "killed here" in refused("restore", backup, "--var", var)
    # Starting would make an empty case file, and give its numbers anew.
    assert "was cut off" in refused("up", "--var", var)
    assert not Installation(var).case_file.exists()
    done("restore", backup, "--var", var)
    assert _numbers(var) == numbers
    assert "2 cases" in done("verify", "--var", var)
    with Installation(var).held():
        assert "restoring" not in _names(var)
