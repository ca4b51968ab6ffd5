"""Whole systems on loopback: they take turns (see `tests/turns.py`)."""

from __future__ import annotations

import os

# Whoever runs the tests in parallel sets the width of a terminal, which commands would keep to.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)
