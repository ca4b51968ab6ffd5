"""What goes wrong in an activity is told by its kind and place, never by what it was about.

The engine keeps the last error of what it retries, histories keep the error of a step that was
given up locally, and the SDK logs both; the text of an exception may quote a row (RB-13.3).
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

ROOT = Path(__file__).parents[1]


class KindAndPlace(Interceptor):
    """Has every activity of a worker tell its failures so."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the base's name
        """Stand before every activity."""
        return _Told(next)


class _Told(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the base's name
        try:
            return await super().execute_activity(input)
        except FailureError:
            # Raised on purpose, in words chosen for it.
            raise
        except Exception as problem:  # noqa: BLE001  whatever it is, it is told and tried again
            told = ApplicationError(kind_and_place(problem), type=type(problem).__name__)
        raise told


def kind_and_place(problem: Exception) -> str:
    """Say what an exception is and where our code came to it: `KeyError at activities/owe.py:9`.

    Of a database that cannot be used the reason is told too: it names files and hosts, not rows.
    """
    kind = type(problem).__name__
    if isinstance(problem, OperationalError):
        kind += f" ({str(problem.orig).partition(chr(10))[0]})"
    ours = [
        f"{path.relative_to(ROOT)}:{frame.lineno}"
        for frame in traceback.extract_tb(problem.__traceback__)
        if _is_ours(path := Path(frame.filename))
    ]
    return f"{kind} at {ours[-1]}" if ours else kind


def _is_ours(path: Path) -> bool:
    # What was installed may lie in a folder of ours, such as `.venv`.
    return path.is_relative_to(ROOT) and "site-packages" not in path.parts
