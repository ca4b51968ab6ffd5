"""The floor's worker: tells the completer of each task over a loopback line, and lets go of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import uvloop
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.floor_story import FloorApproval, FloorBundle, FloorCase

TASK_QUEUE = "floor"


class Owing:
    """The activity behind every wait."""

    def __init__(self, completer: asyncio.StreamWriter) -> None:
        self._completer = completer

    @activity.defn(name="owe")
    async def owe(self, task: str) -> str:
        """Tell whoever completes it, and leave it open."""
        info = activity.info()
        self._completer.write(f"owed {info.workflow_id} {info.activity_id}\n".encode())
        await self._completer.drain()
        activity.raise_complete_async()


async def run(engine: str, completer_port: int) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(engine)
    _, completer = await asyncio.open_connection("127.0.0.1", completer_port)
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[FloorCase, FloorApproval, FloorBundle],
        activities=[Owing(completer).owe],
        # The cheapest the engine offers: the floor must not be raised by what we chose to add.
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=1000,
        max_concurrent_activities=200,
    ):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2])))
    # The engine's client can crash an interpreter that exits after using it.
    os._exit(0)
