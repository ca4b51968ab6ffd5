"""`onewindow workers`: which versions of the worker there are, and which carries the cases."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from commands.installation import Installation
from domain.errors import EngineAway, UnknownVersion
from domain.working_time import CIVIL_ZONE
from operations.processes import Processes, WorkerVersion
from settings import Settings

Say = Callable[[str], None]


def workers(installation: Installation, say: Say, *, use: str | None, is_back: bool) -> NoReturn:
    """Say which versions there are; before that, have cases carried by another one if asked.

    It ends the process: the engine's client can crash an interpreter that exits after using it.

    Args:
        use: the version that is to carry every case that is not pinned to another.
        is_back: whether unversioned workers are to carry them again.
    """
    code = 0
    try:
        _tell(asyncio.run(_found(_processes(installation), use, is_back=is_back)), say)
    except UnknownVersion as problem:
        code = _failed(f"{problem} {problem.zh}")
    except EngineAway as problem:
        code = _failed(f"the engine does not answer 流程引擎无响应: {problem}")
    sys.stdout.flush()
    os._exit(code)


def _processes(installation: Installation) -> Processes:
    settings, here = Settings(), installation.address_of("engine")
    if here is not None:
        settings = settings.model_copy(update={"engine_address": here})
    return Processes(settings)


def _failed(why: str) -> int:
    line, _, _ = why.partition("\n")
    print(f"onewindow: {line}", file=sys.stderr, flush=True)
    return 1


def _tell(found: Sequence[WorkerVersion], say: Say) -> None:
    for version in found:
        say(_line(version))
    if not any(version.is_current for version in found):
        say("unversioned workers carry the cases 由未标版本的工作进程办理")


async def _found(processes: Processes, use: str | None, *, is_back: bool) -> list[WorkerVersion]:
    if use is not None or is_back:
        await processes.use(use)
    return await processes.versions()


def _line(version: WorkerVersion) -> str:
    states = []
    if version.is_current:
        states.append("current 当前")
    if version.is_polled:
        states.append("running 运行中")
    elif version.polled_at is not None:
        last = version.polled_at.astimezone(CIVIL_ZONE)
        states.append(f"last seen {last:%H:%M:%S} 最近运行")
    else:
        states.append("not running 未运行")
    return f"{version.build_id}: {', '.join(states)}"
