"""Runs the worker or the API unchanged, but with its SQL counted.

    python -m bench.counted worker|api <counts file>

The counts lie in a small memory-mapped file, so that the bench can read them at any moment without
asking: three unsigned 64-bit integers, in the order of `COUNTED`.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

import worker
from api import __main__ as api

COUNTED = ("statements", "commits", "rollbacks")
"""`BEGIN` is a statement here, since it is sent as one; what ends a transaction is not."""

_LAYOUT = struct.Struct("QQQ")
_ONE = struct.Struct("Q")


def read_counts(path: Path) -> dict[str, int]:
    """Return the counts so far."""
    return dict(zip(COUNTED, _LAYOUT.unpack(path.read_bytes()), strict=True))


def count_into(path: Path) -> None:
    """Count every statement of every database engine of this process from now on."""
    path.write_bytes(bytes(_LAYOUT.size))
    with path.open("r+b") as file:
        counts = mmap.mmap(file.fileno(), _LAYOUT.size)

    def counter(position: int) -> Callable[..., None]:
        at = position * _ONE.size

        def count(*_of_whatever: object) -> None:
            (before,) = _ONE.unpack_from(counts, at)
            _ONE.pack_into(counts, at, before + 1)

        return count

    for position, occasion in enumerate(("before_cursor_execute", "commit", "rollback")):
        event.listen(Engine, occasion, counter(position))


if __name__ == "__main__":
    _, name, counts_file = sys.argv
    count_into(Path(counts_file))
    {"worker": worker.main, "api": api.main}[name]()
