"""Whether anybody takes work from the queue, and how long work waits there (RB-12.1).

An idle worker asks for work once a minute, and the engine lists it for five after it was killed; of
one that hangs it may even go on to say that it asks. So workers send heartbeats, and say goodbye
when they are told to stop. Where an engine keeps none of that, a worker counts as alive for a
little longer than it may keep silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

from operations.processes import Processes

SILENT_AFTER = timedelta(seconds=15)
"""Two heartbeats that did not come, and the third on its way."""
SILENT_WITHOUT_HEARTBEATS = timedelta(seconds=75)
"""An idle worker asks again after 60 s."""
LATE_AFTER = timedelta(seconds=10)

_KINDS = (
    TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
)


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of the queue, and what waits for them.

    Attributes:
        is_any: whether one is at work.
        seen_at: the last sign of life of any; None if there is no trace.
        waiting: about how many pieces of work nobody has taken.
        waited: how long the oldest of them has waited.
    """

    is_any: bool
    seen_at: datetime | None
    waiting: int
    waited: timedelta

    @property
    def is_late(self) -> bool:
        """Whether work waits for longer than it should."""
        return self.waited >= LATE_AFTER


async def look_for_workers(processes: Processes, now: datetime) -> Workers:
    """Ask the engine for the workers.

    Args:
        now: engine's instant.

    Raises:
        EngineAway: it does not answer.
    """
    queues = [await processes.queue(kind) for kind in _KINDS]
    return judged(await processes.heartbeats(), queues, now)


def judged(
    heartbeats: Sequence[WorkerHeartbeat] | None,
    queues: Sequence[DescribeTaskQueueResponse],
    now: datetime,
) -> Workers:
    """Say of heartbeats, and of the queues of workflow and of activity tasks, what they mean.

    Args:
        heartbeats: None where the engine keeps none.
    """
    silent = SILENT_WITHOUT_HEARTBEATS if heartbeats is None else SILENT_AFTER
    beats = _latest(each for each in heartbeats or () if each.status == _AT_WORK)
    # What a worker had asked for before it said goodbye is void.
    gone = _latest(each for each in heartbeats or () if each.status != _AT_WORK)
    # Before its first heartbeat a worker is known by its asking, afterwards only by heartbeats.
    asked = [
        [
            at
            for each in queue.pollers
            if each.identity not in beats
            and (at := _instant(each.last_access_time)) > gone.get(each.identity, _NEVER)
        ]
        for queue in queues
    ]
    heard = list(beats.values())
    is_any = any(now - at <= silent for at in heard) or all(
        any(now - at <= silent for at in of_queue) for of_queue in asked
    )
    traces = [*heard, *gone.values(), *(at for of_queue in asked for at in of_queue)]
    return Workers(
        is_any,
        max(traces, default=None),
        sum(queue.stats.approximate_backlog_count for queue in queues),
        max(queue.stats.approximate_backlog_age.ToTimedelta() for queue in queues),
    )


def _latest(heartbeats: Iterable[WorkerHeartbeat]) -> Mapping[str, datetime]:
    """Return when workers were heard of last, by identity: one process may have had several."""
    found: dict[str, datetime] = {}
    for each in heartbeats:
        at = _instant(each.heartbeat_time)
        found[each.worker_identity] = max(at, found.get(each.worker_identity, _NEVER))
    return found


def _instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


_AT_WORK = WorkerStatus.WORKER_STATUS_RUNNING
_NEVER = datetime.min.replace(tzinfo=UTC)
