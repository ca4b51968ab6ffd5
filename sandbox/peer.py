"""The agencies at work: tasks come in, answers go out, each at its civil hour and with its faults.

State is in memory only. Because decisions and faults are seeded, a restarted peer that is pushed
the same task again gives the same outcome.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from json import dumps, loads

from sandbox.caller import CallFailed, Connection
from sandbox.chance import between
from sandbox.decisions import Judgement
from sandbox.faults import Faults
from sandbox.hours import CivilClock, WorkedDays, answered_at, answered_late
from sandbox.tasks import Event, Task

log = logging.getLogger("sandbox")

_CALLERS = 16
_CALL_SECONDS = 10.0
_LONGEST_BACK_OFF = 5.0
_LONGEST_RETRY_AFTER = 60.0
_ACCEPTED = frozenset({200, 201, 202, 204})


@dataclass(slots=True)
class Answer:
    """One task's outcome, from the push on.

    Attributes:
        body: the outcome as JSON.
        calls: how often it is called back: 0 lost, 1, or 2 double.
        is_decided: whether the civil hour of the decision has come.
        failures: calls in a row that OneWindow did not take.
    """

    task_id: str
    agency: str
    body: bytes
    calls: int
    is_decided: bool = False
    failures: int = 0
    timer: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a push: status, JSON body or nothing, and how long it is held back (real s)."""

    status: int
    body: bytes = b""
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Conduct:
    """How the peer behaves.

    Attributes:
        delay: factor on the civil delays; 0 answers at once, at any hour.
        answers_in_push: with delay 0, the push itself is answered with the outcome.
        slow_seconds: what `slow` holds an answer back for, on average, in real seconds.
        days: which days offices work.
    """

    seed: int
    delay: float
    answers_in_push: bool
    slow_seconds: float
    days: WorkedDays = field(default_factory=WorkedDays)


@dataclass(slots=True)
class Peer:
    """All agencies of the sandbox. Lives on one event loop; `run` carries it.

    Attributes:
        keys: the agencies played, and the key of each.
        secrets: what OneWindow signs with, per agency; without, signatures are not looked at.
        api: base of OneWindow, without /api/v1.
        clock: None until it was read.
        counts: what happened so far, by agency.
    """

    keys: Mapping[str, str]
    conduct: Conduct
    judgement: Judgement
    faults: Faults
    api: str
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    clock: CivilClock | None = None
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    _answers: dict[str, Answer] = field(default_factory=dict)
    _attempts: Counter[str] = field(default_factory=Counter)
    _unscheduled: list[tuple[Task, Answer]] = field(default_factory=list)
    _events: set[str] = field(default_factory=set)
    _down_until: dict[str, datetime] = field(default_factory=dict)
    _calls: asyncio.Queue[Answer] = field(default_factory=asyncio.Queue)
    _connections: list[Connection] = field(init=False)

    def __post_init__(self) -> None:
        self._connections = [Connection(self.api, _CALL_SECONDS) for _ in range(_CALLERS)]
        self.counts = {agency: Counter() for agency in self.keys}

    async def run(self) -> None:
        """Read the clock, then call back until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_clock())
            for connection in self._connections:
                group.create_task(self._call_back_for_ever(connection))

    def receive(self, agency: str, task: Task) -> Reply:
        """Take the push of `task` to `agency`; the same task again changes nothing."""
        count = self.counts[agency]
        count["pushes"] += 1
        self._attempts[task.id] += 1
        attempt = self._attempts[task.id]
        if self._is_down(agency, task.id, attempt):
            count["down"] += 1
            return Reply(503)
        answer = self._answers.get(task.id)
        if not task.is_open:
            self._drop(answer)
            return Reply(200)
        hold = self._hold(agency, task.id, attempt)
        if answer is not None:
            count["repeated"] += 1
            return _told(answer, hold) if answer.is_decided else Reply(202, hold=hold)
        if self.faults.strikes("4xx", agency, task.id, attempt):
            count["4xx"] += 1
            return Reply(422)
        is_early = self.faults.strikes("out_of_order", agency, task.id, attempt)
        answer = self._take(agency, task, attempt, is_early=is_early)
        if is_early:
            self.counts[agency]["out_of_order"] += 1
            hold = max(hold, self.conduct.slow_seconds)
        return _told(answer, hold) if self._is_told_at_once(answer) else Reply(202, hold=hold)

    def receive_event(self, agency: str, event: Event) -> Reply:
        """Take a change of a task; the same event again changes nothing."""
        count = self.counts[agency]
        if self._is_still_down(agency):
            count["down"] += 1
            return Reply(503)
        count["events_repeated" if event.id in self._events else "events"] += 1
        self._events.add(event.id)
        if event.is_withdrawn:
            self._drop(self._answers.get(event.task_id))
        return Reply(204)

    def set_faults(self, settings: object) -> None:
        """Replace the faults in force; agencies that were down are up again.

        Raises:
            FaultUnknown: nothing was changed.
        """
        self.faults.replace(settings)
        self._down_until.clear()

    def state(self) -> dict[str, object]:
        """Return what `GET /control/state` shows."""
        now = self.now()
        pending = Counter(
            answer.agency for answer in self._answers.values() if not answer.is_decided
        )
        return {
            "civil_now": now.isoformat(timespec="seconds") if now else None,
            "speed": self.clock.speed if self.clock else None,
            "faults": self.faults.settings,
            "agencies": {
                agency: {
                    "pending": pending[agency],
                    "is_down": self._is_still_down(agency),
                    **dict(sorted(count.items())),
                }
                for agency, count in self.counts.items()
            },
        }

    def now(self) -> datetime | None:
        """Return the civil instant, None before the clock was read."""
        return self.clock.civil(asyncio.get_running_loop().time()) if self.clock else None

    def _take(self, agency: str, task: Task, attempt: int, *, is_early: bool) -> Answer:
        outcome = self.judgement.decide(task)
        body = dumps(outcome, ensure_ascii=False, separators=(",", ":")).encode()
        calls = 2 if self.faults.strikes("double", agency, task.id, attempt) else 1
        if self.faults.strikes("lost_callback", agency, task.id, attempt):
            calls = 0
        answer = Answer(task.id, agency, body, calls)
        self._answers[task.id] = answer
        self.counts[agency]["accepted"] += 1
        if self.judgement.leaves_open(task):
            return answer
        if is_early:
            self._decided(answer)
        else:
            self._schedule(task, answer)
        return answer

    def _schedule(self, task: Task, answer: Answer) -> None:
        is_late = self.faults.strikes("late", answer.agency, task.id)
        is_late = is_late and task.due_on is not None
        if self.conduct.delay == 0 and not is_late:
            self._decided(answer)
            return
        now = self.now()
        if now is None or self.clock is None:
            self._unscheduled.append((task, answer))
            return
        conduct = self.conduct
        due = answered_at(task, now, conduct.seed, conduct.delay, conduct.days)
        if is_late and task.due_on is not None:
            due = answered_late(task, task.due_on, due, conduct.seed, conduct.days)
            self.counts[answer.agency]["late"] += 1
        loop = asyncio.get_running_loop()
        answer.timer = loop.call_at(self.clock.real(due), self._decided, answer)

    def _decided(self, answer: Answer) -> None:
        answer.is_decided = True
        self.counts[answer.agency]["decided"] += 1
        if self._is_told_at_once(answer):
            return
        if answer.calls == 0:
            self.counts[answer.agency]["lost_callback"] += 1
        if answer.calls == 2:
            self.counts[answer.agency]["double"] += 1
        for _ in range(answer.calls):
            self._calls.put_nowait(answer)

    def _is_told_at_once(self, answer: Answer) -> bool:
        return self.conduct.answers_in_push and self.conduct.delay == 0 and answer.is_decided

    def _drop(self, answer: Answer | None) -> None:
        if answer is not None and not answer.is_decided:
            if answer.timer is not None:
                answer.timer.cancel()
            self._unscheduled = [due for due in self._unscheduled if due[1] is not answer]
            del self._answers[answer.task_id]

    def _hold(self, agency: str, task_id: str, attempt: int) -> float:
        if not self.faults.strikes("slow", agency, task_id, attempt):
            return 0.0
        self.counts[agency]["slow"] += 1
        factor = between(0.5, 1.5, self.conduct.seed, "slow seconds", task_id, attempt)
        return self.conduct.slow_seconds * factor

    def _is_down(self, agency: str, task_id: str, attempt: int) -> bool:
        if self._is_still_down(agency):
            return True
        if not self.faults.strikes("down", agency, task_id, attempt):
            return False
        now = self.now()
        if now is not None:
            days = between(0.2, 1.5, self.conduct.seed, "down days", task_id, attempt)
            self._down_until[agency] = now + timedelta(days=days)
        return True

    def _is_still_down(self, agency: str) -> bool:
        until = self._down_until.get(agency)
        now = self.now()
        return until is not None and now is not None and now < until

    async def _read_clock(self) -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(self.api, _CALL_SECONDS)
        wait = 0.1
        while self.clock is None:
            asked_at = loop.time()
            try:
                response = await connection.call("GET", "/api/v1/clock", {})
                read = loads(response.body)
                civil, speed = datetime.fromisoformat(read["civil_now"]), float(read["speed"])
                self.clock = CivilClock(civil, (asked_at + loop.time()) / 2, speed)
            except (CallFailed, ValueError, KeyError, TypeError) as problem:
                log.info("clock not read yet (%r), again in %.1f s", problem, wait)
                await asyncio.sleep(wait)
                wait = min(wait * 1.5, 1.0)
        connection.close()
        log.info("civil time %s, speed %g", self.clock.civil_origin, self.clock.speed)
        waiting, self._unscheduled = self._unscheduled, []
        for task, answer in waiting:
            self._schedule(task, answer)

    async def _call_back_for_ever(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            answer = await self._calls.get()
            wait = self._seconds_down(answer.agency) or await self._call_back(connection, answer)
            if wait:
                loop.call_later(wait, self._calls.put_nowait, answer)

    def _seconds_down(self, agency: str) -> float:
        if self.clock is None or not self._is_still_down(agency):
            return 0.0
        left = self.clock.real(self._down_until[agency]) - asyncio.get_running_loop().time()
        # Looked at every second, because changed faults can end an outage early.
        return min(max(left, 0.001), 1.0)

    async def _call_back(self, connection: Connection, answer: Answer) -> float:
        """Deliver `answer`; return 0, or after how many real seconds to try again."""
        count = self.counts[answer.agency]
        headers = {
            "Authorization": f"Bearer {self.keys[answer.agency]}",
            "Content-Type": "application/json",
        }
        try:
            path = f"/api/v1/tasks/{answer.task_id}/outcome"
            response = await connection.call("PUT", path, headers, answer.body)
        except CallFailed as problem:
            log.info("%s: not delivered: %s", answer.task_id, problem)
            return self._back_off(answer, None)
        if response.status in _ACCEPTED:
            count["called_back"] += 1
            answer.failures = 0
            return 0.0
        if response.status >= 500 or response.status == 429:
            log.info("%s: not delivered: %d", answer.task_id, response.status)
            return self._back_off(answer, response.headers.get("retry-after"))
        what = "conflict" if response.status == 409 else "callback_refused"
        count[what] += 1
        said = response.body[:500].decode(errors="replace")
        log.warning("%s: %d %s", answer.task_id, response.status, said)
        return 0.0

    def _back_off(self, answer: Answer, retry_after: str | None) -> float:
        self.counts[answer.agency]["callback_retries"] += 1
        answer.failures += 1
        if retry_after is not None and retry_after.isdecimal():
            return min(max(float(retry_after), 0.05), _LONGEST_RETRY_AFTER)
        spread = between(0.5, 1.5, self.conduct.seed, "back-off", answer.task_id, answer.failures)
        return min(0.1 * 2.0 ** min(answer.failures, 10), _LONGEST_BACK_OFF) * spread


def _told(answer: Answer, hold: float) -> Reply:
    return Reply(200, b'{"outcome":' + answer.body + b"}", hold)
