"""What lets calls through to one agency: a bulkhead and a circuit breaker (熔断), without any I/O.

The bulkhead keeps an agency that hangs from taking every place there is. The breaker spares an
agency that does not answer, and ourselves the waiting: after some failures in a row nothing is sent
for a while, then one call is let through on trial, and its outcome decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

FAILURES = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class GateState(StrEnum):
    """How a gate stands."""

    CLOSED = "closed"
    """The circuit is whole: calls pass."""
    OPEN = "open"
    """Nothing passes until the pause is over."""
    TRIAL = "trial"
    """The pause is over: one call passes, or is on its way."""


class Held(Exception):
    """A call was not let through; nothing was sent."""


class Busy(Held):
    """As many calls as may be are under way."""


class Paused(Held):
    """The agency did not answer lately, and is not called for a while."""


class Gate:
    """The gate to one agency.

    Args:
        at_once: how many calls may be under way.
        now: monotonic seconds.
    """

    def __init__(self, at_once: int, now: Callable[[], float]) -> None:
        self._at_once, self._now = at_once, now
        self._in_flight = 0
        self._failures = 0
        self._pause_s = 0.0
        # None while the circuit is whole.
        self._until: float | None = None
        self._trial: object | None = None

    @property
    def state(self) -> GateState:
        """How it stands now."""
        if self._until is None:
            return GateState.CLOSED
        return GateState.OPEN if self._now() < self._until else GateState.TRIAL

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return self._in_flight

    @property
    def failures(self) -> int:
        """How many calls have failed in a row."""
        return self._failures

    @property
    def opens_in_s(self) -> float:
        """Seconds until a call is let through on trial; 0 when none is waited for."""
        return 0.0 if self._until is None else max(0.0, self._until - self._now())

    @contextmanager
    def passing(self, failure: type[Exception]) -> Iterator[None]:
        """Let one call through; how it ends tells how the agency is.

        Args:
            failure: what the call raises if the agency did not answer. Any other exception is an
                answer; a cancelled call says nothing.

        Raises:
            Busy: too many are under way.
            Paused: the agency is not called for a while.
        """
        call = self._let_in()
        try:
            yield
        except failure:
            self._failed(call)
            raise
        except Exception:
            self._answered()
            raise
        except BaseException:
            self._given_up(call)
            raise
        else:
            self._answered()
        finally:
            self._in_flight -= 1

    def _let_in(self) -> object:
        if self._in_flight >= self._at_once:
            raise Busy(f"{self._in_flight} calls are under way")
        call = object()
        if self._until is not None:
            if self._trial is not None or self._now() < self._until:
                raise Paused("did not answer lately")
            self._trial = call
        self._in_flight += 1
        return call

    def _answered(self) -> None:
        # Of a call that began before the pause, too: the agency is there.
        self._failures, self._pause_s = 0, 0.0
        self._until = self._trial = None

    def _failed(self, call: object) -> None:
        self._failures += 1
        if self._until is None:
            if self._failures >= FAILURES:
                self._pause(FIRST_PAUSE_S)
        elif call is self._trial:
            self._pause(min(self._pause_s * 2, LONGEST_PAUSE_S))
        # Calls that began before the pause and fail in it say nothing new.

    def _given_up(self, call: object) -> None:
        if call is self._trial:
            self._trial = None

    def _pause(self, seconds: float) -> None:
        self._pause_s, self._trial = seconds, None
        self._until = self._now() + seconds
