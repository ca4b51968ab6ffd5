"""The floor's stand-in for the API: starts processes and completes activities by their id.

Lines in: `start <workflow id>` or `approve <workflow id>` from the bench, and
`owed <workflow id> <activity id>` from the worker.
Lines out, to the bench: `ended <workflow id>` once the last task of a case was completed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop
from temporalio.client import Client

from bench.floor_story import LAST_TASK, FloorApproval, FloorCase
from bench.floor_worker import TASK_QUEUE


class Completer:
    """Serves the bench and the worker."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._under_way: set[asyncio.Task[None]] = set()
        self._bench: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Act on the lines of one connection, each by itself."""
        while line := await reader.readline():
            match line.decode().split():
                case ["start" | "approve" as story, case]:
                    self._bench = writer
                    self._do(self._start(story, case))
                case ["owed", workflow_id, activity_id]:
                    self._do(self._complete(workflow_id, activity_id))
        writer.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _start(self, story: str, case: str) -> None:
        run = FloorCase.run if story == "start" else FloorApproval.run
        await self._client.start_workflow(run, case, id=case, task_queue=TASK_QUEUE)

    async def _complete(self, workflow_id: str, activity_id: str) -> None:
        handle = self._client.get_async_activity_handle(
            workflow_id=workflow_id, run_id=None, activity_id=activity_id
        )
        await handle.complete("done")
        if activity_id.endswith(LAST_TASK) and self._bench is not None:
            self._bench.write(f"ended {workflow_id}\n".encode())


async def run(engine: str, port: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    completer = Completer(await Client.connect(engine))
    server = await asyncio.start_server(completer.serve, "127.0.0.1", port)
    print("ready", flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2])))
    # The engine's client can crash an interpreter that exits after using it.
    os._exit(0)
