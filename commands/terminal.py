"""Where commands print tables: as wide as the terminal, or wide enough for a file."""

from __future__ import annotations

import os

from rich.console import Console

PLAIN_WIDTH = 140


def terminal() -> Console:
    """Return what to print on; where nobody sees a terminal, lines are `COLUMNS` or 140 wide."""
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, width=int(os.environ.get("COLUMNS", PLAIN_WIDTH)))
