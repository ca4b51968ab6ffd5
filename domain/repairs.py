"""What an administrator may do to a case, and what each of it needs (RB-12.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RepairKind(StrEnum):
    """A way of getting a case to move again, or to its end."""

    RETRY = "retry"
    """Have a step that backs off tried now 立即重试."""
    PUSH = "push"
    """Push a task to its agency's system once more 重新推送."""
    RESET = "reset"
    """Have a process go on from before one of its events 回退重跑."""
    RESTART = "restart"
    """End a process and start it anew from the case file 依案卷重启."""
    MOVE = "move"
    """Have a process carried by another version of the worker 迁移版本."""
    WITHDRAW = "withdraw"
    """Withdraw the application on the applicant's behalf 代为撤回."""
    DECIDE = "decide"
    """Put an outcome on file on a department's behalf, with its document 代录结果."""


@dataclass(frozen=True, slots=True)
class RepairRule:
    """What a kind of repair is called, and whether it discards something.

    Attributes:
        discards: part of a history, or the possibility to decide otherwise; then a second
            administrator approves.
    """

    zh: str
    en: str
    discards: bool


REPAIRS: Mapping[RepairKind, RepairRule] = {
    RepairKind.RETRY: RepairRule("立即重试", "retry now", discards=False),
    RepairKind.PUSH: RepairRule("重新推送", "push again", discards=False),
    RepairKind.RESET: RepairRule("回退重跑", "reset to an event", discards=True),
    RepairKind.RESTART: RepairRule("依案卷重启", "restart from the case file", discards=True),
    RepairKind.MOVE: RepairRule("迁移版本", "move to a worker version", discards=False),
    RepairKind.WITHDRAW: RepairRule("代为撤回", "withdraw on behalf", discards=True),
    RepairKind.DECIDE: RepairRule("代录结果", "decide on behalf", discards=True),
}
