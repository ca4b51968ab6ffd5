"""`onewindow backup` and `onewindow restore`: the record, copied while it is written, and put back.

A backup is a folder: the case file, checked; the training clock that its cases are pinned to, if
there is one; keys only if asked for; and `backup.json`, which says what it is. The engine's
database is not in it: open cases start again from the case file (RB-12.3).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from commands.casefile import broken, first_break, upgrade
from commands.failure import CommandFailed
from commands.installation import Installation, write_json

CASE_FILE = "onewindow.db"
MANIFEST = "backup.json"
FORMAT = 1
BESIDE = ("-wal", "-shm", "-journal")
BUSY_S = 15.0


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup says of itself.

    Attributes:
        made_at: instant of the copy, in UTC.
        cases: how many cases it holds.
        last_no: number of the last one; None: there is none.
        sha256: digest of the case file.
        files: names of everything else that is in it.
    """

    made_at: datetime
    cases: int
    last_no: str | None
    sha256: str
    files: tuple[str, ...]


def back_up(installation: Installation, url: str, to: Path, *, has_keys: bool) -> Backup:
    """Copy the case file of `url`, whatever is written to it meanwhile, into a new folder `to`.

    The folder is there whole and checked, or not at all; only its owner can read it.

    Args:
        has_keys: whether keys and signing secrets are copied, too.

    Raises:
        CommandFailed: there is something at `to`, the case file is not SQLite's, is not there or
            not whole, or the folder cannot be written.
    """
    source, to = _sqlite_file(url), to.absolute()
    if os.path.lexists(to):
        raise CommandFailed(f"{to} is there already; name a folder that is not")
    if not to.parent.is_dir():
        raise CommandFailed(f"there is no folder {to.parent}")
    draft = to.with_name(f".{to.name}.part")
    try:
        draft.mkdir(mode=0o700)
    except FileExistsError:
        raise CommandFailed(
            f"{draft} is there: another backup is under way, or was cut off; then remove it"
        ) from None
    try:
        made_at = datetime.now(UTC)
        _copy_database(source, draft / CASE_FILE)
        cases = _checked(draft / CASE_FILE)
        kept = [installation.clock_file, *(installation.key_files if has_keys else ())]
        files = tuple(path.name for path in kept if path.is_file())
        for path in kept:
            if path.name in files:
                _copy(path, draft / path.name)
        backup = Backup(
            made_at, cases, _last_no(draft / CASE_FILE), _digest(draft / CASE_FILE), files
        )
        write_json(
            draft / MANIFEST,
            {
                "format": FORMAT,
                "made_at": made_at.isoformat(),
                "cases": cases,
                "last_no": backup.last_no,
                "sha256": backup.sha256,
                "files": files,
            },
        )
        _flush(*draft.iterdir(), draft)
        # Nobody else makes this folder but by its own name: what came meanwhile is not replaced.
        if os.path.lexists(to):
            raise CommandFailed(f"{to} is there already; name a folder that is not")
        draft.rename(to)
        _flush(to.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return backup


def restore(installation: Installation, source: Path) -> tuple[Backup, Path]:
    """Put the case file of a backup into a folder where nothing runs; the caller holds it.

    What is there is moved aside, the engine's database included, and nothing is deleted. A restore
    that was cut off is marked, and the folder is not used until another has come to its end.

    Returns:
        What was restored, and the folder of what was there before.

    Raises:
        CommandFailed: it is no backup, or not whole; something still has the folder's databases
            open; or the folder cannot be written. Then what is there is as it was.
    """
    backup = read_backup(source)
    incoming = installation.var / ".incoming"
    # Of a restore that was cut off; nobody else is here.
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(mode=0o700)
    try:
        _copy(source / CASE_FILE, incoming / CASE_FILE)
        if _digest(incoming / CASE_FILE) != backup.sha256:
            raise CommandFailed(f"{source / CASE_FILE} is not what {MANIFEST} says: it was changed")
        upgrade(_url(incoming / CASE_FILE))
        _sign_everybody_out(incoming / CASE_FILE)
        _checked(incoming / CASE_FILE)
        for name in backup.files:
            _copy(source / name, incoming / name)
        _flush(*incoming.iterdir())
        for database in (installation.case_file, installation.engine_file):
            _check_unused(database)
        aside = _aside(installation)
        with installation.restoring():
            _move(_replaced(installation), aside)
            for path in incoming.iterdir():
                # Keys that agencies use by now are not replaced by older ones.
                if not (installation.var / path.name).exists():
                    path.rename(installation.var / path.name)
            _flush(aside, installation.var)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return backup, aside


def read_backup(folder: Path) -> Backup:
    """Read what a backup says of itself.

    Raises:
        CommandFailed: it is no backup, or one of another format.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise CommandFailed(f"{folder}: a backup of format {content['format']}, not {FORMAT}")
        backup = Backup(
            datetime.fromisoformat(content["made_at"]),
            int(content["cases"]),
            content["last_no"],
            str(content["sha256"]),
            tuple(content["files"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise CommandFailed(f"{folder} is no backup: {MANIFEST} cannot be read") from problem
    if unknown := set(backup.files) - Installation.BACKED_UP:
        raise CommandFailed(f"{folder}: {MANIFEST} names {min(unknown)}")
    for name in (CASE_FILE, *backup.files):
        if not (folder / name).is_file():
            raise CommandFailed(f"{folder} is not whole: {name} is missing")
    return backup


# ---------------------------------------------------------------- the case file


def _sqlite_file(url: str) -> Path:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise CommandFailed(
            "the case file is not SQLite's; copy it with its own means, e.g. "
            "pg_dump --format=custom, and see docs/operations.md"
        )
    file = Path(parsed.database or "").absolute()
    if not file.is_file():
        raise CommandFailed(f"there is no case file {file}; name its folder with --var")
    return file


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def _copy_database(source: Path, to: Path) -> None:
    """Copy one moment of a database; writers go on meanwhile, and are not waited for."""
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(
                sqlite3.connect(f"{source.as_uri()}?mode=rw", timeout=BUSY_S, uri=True)
            ) as live,
            closing(sqlite3.connect(to)) as copy,
        ):
            # All of it in one step: in smaller ones each write in between would begin it anew.
            live.backup(copy)
    except sqlite3.Error as problem:
        raise CommandFailed(f"{source}: {problem}") from problem


def _checked(file: Path) -> int:
    """Check a case file as `onewindow verify` does and leave it as a single file.

    Returns:
        How many cases it holds.

    Raises:
        CommandFailed: names the first link that does not hold.
    """
    cases, found = first_break(_url(file))
    if found is not None:
        raise broken(found)
    with closing(sqlite3.connect(file)) as db:
        (problem,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if problem != "ok":
            raise CommandFailed(f"{file}: {problem}")
        db.execute("PRAGMA journal_mode=DELETE")
    return cases


def _sign_everybody_out(file: Path) -> None:
    """Take out the console's sessions: one that was ended since the backup must not come back."""
    with closing(sqlite3.connect(file)) as db:
        db.execute("DELETE FROM sessions")
        db.commit()


def _last_no(file: Path) -> str | None:
    with closing(sqlite3.connect(file)) as db:
        row = db.execute("SELECT no FROM applications ORDER BY sequence DESC LIMIT 1").fetchone()
    return None if row is None else str(row[0])


def _check_unused(database: Path) -> None:
    """Pass if no program has a database open.

    It is not opened here: that would change it, and what is moved aside is what was there.
    """
    if not database.exists():
        return
    with database.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, *_HELD_WHILE_OPEN)
        except OSError as problem:
            raise CommandFailed(f"a program has {database} open; end it first") from problem


_HELD_WHILE_OPEN = (510, 0x4000_0002)
"""Length and start of what SQLite locks of a file, with WAL as long as it is open."""


# ---------------------------------------------------------------- files


def _replaced(installation: Installation) -> Iterator[Path]:
    for database in (installation.case_file, installation.engine_file):
        yield database
        yield from (database.with_name(database.name + suffix) for suffix in BESIDE)
    yield from (installation.clock_file, installation.demo_mark)


def _aside(installation: Installation) -> Path:
    aside = installation.var / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if aside.exists():
        aside = aside.with_name(f"{aside.name}-{secrets.token_hex(2)}")
    aside.mkdir(mode=0o700)
    return aside


def _move(paths: Iterable[Path], to: Path) -> None:
    for path in paths:
        if path.exists():
            path.rename(to / path.name)


def _copy(source: Path, to: Path) -> None:
    with (
        source.open("rb") as read,
        os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written,
    ):
        shutil.copyfileobj(read, written)


def _digest(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def _flush(*paths: Path) -> None:
    """Have files and folders survive a power cut."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
