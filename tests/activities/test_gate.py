"""The gate to one agency: how many calls pass, when none does, and when one is tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from activities.gate import FAILURES, LONGEST_PAUSE_S, Busy, Gate, GateState, Held, Paused


class Unanswered(Exception):
    """The agency did not answer."""


class Refused(Exception):
    """The agency answered that it will not."""


class Cancelled(BaseException):
    """We stopped waiting."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(3, clock)


def call(gate: Gate, ends_in: type[BaseException] | None = None) -> None:
    """Make one call through the gate that ends at once."""
    with suppress(Unanswered, Refused, Cancelled), gate.passing(Unanswered):
        if ends_in is not None:
            raise ends_in


def shown(gate: Gate) -> str:
    return gate.state.value


@contextmanager
def under_way(gate: Gate) -> Iterator[None]:
    with gate.passing(Unanswered):
        yield


def fail(gate: Gate, times: int = FAILURES) -> None:
    for _ in range(times):
        call(gate, Unanswered)


def test_more_calls_than_may_be_under_way_are_held_and_the_next_passes_when_one_is_back(
    gate: Gate,
) -> None:
    with ExitStack() as calls:
        for _ in range(3):
            calls.enter_context(under_way(gate))
        with pytest.raises(Busy, match="3 calls are under way"):
            call(gate)
        assert shown(gate) == "closed"
    assert gate.in_flight == 0
    call(gate)


def test_some_failures_in_a_row_pause_and_an_answer_between_them_does_not(
    gate: Gate, clock: Clock
) -> None:
    fail(gate, FAILURES - 1)
    call(gate)
    fail(gate, FAILURES - 1)
    call(gate, Refused)  # 4xx is an answer
    fail(gate, FAILURES - 1)
    assert shown(gate) == "closed"
    call(gate, Unanswered)
    assert (shown(gate), gate.opens_in_s) == ("open", 1.0)
    with pytest.raises(Paused, match="did not answer lately"):
        call(gate)


@pytest.mark.parametrize("answer", [None, Refused])
def test_after_the_pause_one_call_is_tried_and_its_answer_lets_all_pass(
    gate: Gate, clock: Clock, answer: type[BaseException] | None
) -> None:
    fail(gate)
    clock.now += 1.0
    assert shown(gate) == "trial"
    with suppress(Refused), gate.passing(Unanswered):
        with pytest.raises(Paused):
            call(gate)
        if answer is not None:
            raise answer
    assert (shown(gate), gate.failures) == ("closed", 0)
    call(gate)


def test_each_trial_that_fails_doubles_the_pause_up_to_a_minute(gate: Gate, clock: Clock) -> None:
    fail(gate)
    pauses = []
    for _ in range(8):
        pauses.append(gate.opens_in_s)
        clock.now += gate.opens_in_s
        call(gate, Unanswered)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    clock.now += 60
    call(gate)
    fail(gate)
    assert gate.opens_in_s == 1


def test_a_trial_that_is_cancelled_says_nothing_and_the_next_call_is_the_trial(
    gate: Gate, clock: Clock
) -> None:
    fail(gate)
    clock.now += 1.0
    call(gate, Cancelled)
    assert shown(gate) == "trial"
    call(gate)
    assert shown(gate) == "closed"


def test_calls_from_before_the_pause_that_fail_in_it_do_not_prolong_it(
    gate: Gate, clock: Clock
) -> None:
    with suppress(Unanswered), under_way(gate):
        fail(gate)
        clock.now += 0.5
        raise Unanswered
    assert gate.opens_in_s == 0.5


def test_a_call_from_before_the_pause_that_is_answered_ends_it(gate: Gate) -> None:
    with under_way(gate):
        fail(gate)
        assert gate.opens_in_s == 1.0
    assert shown(gate) == "closed"


def test_a_trial_overtaken_by_a_new_pause_does_not_prolong_it(gate: Gate, clock: Clock) -> None:
    with ExitStack() as earlier:
        earlier.enter_context(under_way(gate))
        fail(gate)
        clock.now += 1.0
        with suppress(Unanswered), under_way(gate):
            earlier.close()  # the earlier call is answered
            fail(gate)
            clock.now += 0.25
            raise Unanswered
    assert gate.opens_in_s == 0.75


class AnyCourse(RuleBasedStateMachine):
    """Calls that begin and end in any order, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.gate = Gate(4, self.clock)
        self.calls: list[ExitStack] = []
        self.in_a_row = 0

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def a_call_begins(self) -> None:
        before, stack, held = self.gate.state, ExitStack(), None
        try:
            stack.enter_context(self.gate.passing(Unanswered))
            self.calls.append(stack)
        except Held as why:
            held = why
        assert isinstance(held, Busy) == (self.gate.in_flight == 4 and stack not in self.calls)
        if before is GateState.OPEN:
            assert held is not None
        if before is GateState.CLOSED:
            assert not isinstance(held, Paused)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 3), ends_in=st.sampled_from([None, Unanswered, Refused, Cancelled]))
    def a_call_ends(self, which: int, ends_in: type[BaseException] | None) -> None:
        stack = self.calls.pop(which % len(self.calls))
        error = ends_in() if ends_in else None
        stack.__exit__(ends_in, error, None)
        if ends_in in (None, Refused):
            assert shown(self.gate) == "closed"
            self.in_a_row = 0
        elif ends_in is Unanswered:
            self.in_a_row += 1
        assert self.gate.failures == self.in_a_row

    @invariant()
    def it_is_as_it_should_be(self) -> None:
        assert self.gate.in_flight == len(self.calls) <= 4
        assert 0 <= self.gate.opens_in_s <= LONGEST_PAUSE_S
        if self.in_a_row < FAILURES:
            assert shown(self.gate) == "closed"

    @rule()
    def an_agency_that_is_back_is_called_again(self) -> None:
        """Whatever happened: with nothing under way, the longest pause on, one call passes."""
        if not self.calls:
            self.clock.now += LONGEST_PAUSE_S
            with self.gate.passing(Unanswered):
                pass
            assert shown(self.gate) == "closed"
            self.in_a_row = 0


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = settings(max_examples=100, deadline=None)
