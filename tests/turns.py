"""Which tests run on one worker, one after the other, however many workers there are.

A whole system on loopback takes ports that another would take as well, and a browser the machine.
The plugin's own marker for this, `xdist_group`, has no effect: it renames tests in a way that
pytest 9.2 does not heed (pytest-xdist 3.8).
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

IN_TURNS = ("tests/system/", "tests/console/test_browser.py")
"""These and those, each kind of them on a worker of its own."""


def group_of(nodeid: str) -> str:
    """Return what a test shares its worker with: its kind, or nothing but itself."""
    return next((group for group in IN_TURNS if nodeid.startswith(group)), nodeid)


class InTurns(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives out tests one by one, but for those that take turns."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InTurns:
    """Have the tests given out so, whatever `--dist` says."""
    return InTurns(config, log)
