"""Folders for what the tests throw away: in memory where there is room, so that no test waits."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 512 * 1024 * 1024


@contextmanager
def thrown_away(prefix: str) -> Iterator[Path]:
    """Make a folder, with a short path (a socket's has 107 bytes); remove it at the end."""
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if has_room else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
