"""Draw `docs/story.md` from the tables it describes: `python -m tests.story_page`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from domain.connection import ACTIONS, STORY, Action, Ending, TaskKind, Voltage, diagram
from domain.policy import Policy
from policy.loader import policy_for

PAGE = Path(__file__).parents[1] / "docs" / "story.md"
POLICY = "zhanjiang-2020-516.1"

MEANINGS: Mapping[Ending, tuple[str, str]] = {
    Ending.CONNECTED: ("已接电", "the meter is live"),
    Ending.DECLINED: ("不予受理", "the papers were not accepted"),
    Ending.NOT_FEASIBLE: ("无法供电", "the utility cannot supply this address as asked"),
    Ending.PLAN_REFUSED: ("客户拒绝方案", "the applicant does not want the supply plan"),
    Ending.PERMITS_REFUSED: ("许可不通过", "permits were refused, and there is no other route"),
    Ending.INSPECTION_FAILED: ("检验不合格", "the applicant gave up rectifying what failed"),
    Ending.WITHDRAWN: ("撤件", "the applicant withdrew"),
}
TITLES: Mapping[Voltage, str] = {
    Voltage.LOW: "Low voltage (低压)",
    Voltage.HIGH: "High voltage (高压)",
}

_HEAD = """# The story of a connection

Drawn by `python -m tests.story_page` from the tables in `domain/connection.py` and from the policy;
a test keeps it up to date. Boxes are tasks, arrows are outcomes, rounded boxes are endings. An
outcome with several arrows opens all tasks they lead to at once; dotted ones only where the facts
of the route or the answers call for them. `build_line` waits for every permit and consent, and
`inspection` for both `build_line` and `customer_works` (RB-6.2). For what ends on record, nothing
waits. Papers about which the desk says nothing for {notice} working days count as accepted
(RB-3.5); no other silence is an answer (RB-4.5).
"""


def page() -> str:
    """Return the page as it should be."""
    policy = policy_for(POLICY)
    parts = [_HEAD.format(notice=policy.intake.correction.within_working_days)]
    for voltage in Voltage:
        parts.append(f"## {TITLES[voltage]}\n\n```mermaid\n{diagram(voltage)}```\n")
        parts.append("\n".join(_tasks(voltage, policy)) + "\n")
    parts.append("## Endings (办结方式)\n\n" + "\n".join(_endings()) + "\n")
    return "\n".join(parts)


def _tasks(voltage: Voltage, policy: Policy) -> Iterator[str]:
    yield "| task | 任务 | owed by | link (环节) | working days | clause |"
    yield "|---|---|---|---|---|---|"
    links = {link.id: f"{link.zh}" for link in policy.links[voltage]}
    for kind in STORY[voltage]:
        rule = policy.tasks[kind]
        owner = "each department" if rule.owner == "department" else rule.owner
        limit = "–" if rule.limit_working_days is None else rule.limit_working_days
        link = links[rule.link[voltage]]
        yield f"| `{kind}` {rule.en} | {rule.zh} | {owner} | {link} | {limit} | {rule.clause} |"


def _endings() -> Iterator[str]:
    yield "| ending | 办结方式 | low voltage | high voltage | meaning |"
    yield "|---|---|---|---|---|"
    for ending in Ending:
        zh, en = MEANINGS[ending]
        by = " | ".join(_reached_by(ending, voltage) for voltage in Voltage)
        yield f"| `{ending}` | {zh} | {by} | {en} |"


def _reached_by(ending: Ending, voltage: Voltage) -> str:
    if ending is Ending.WITHDRAWN:
        barred = [kind for kind in TaskKind if kind not in ACTIONS[Action.WITHDRAW]]
        return "withdrawal, until " + " or ".join(f"`{kind}`" for kind in barred) + " is owed"
    ways = [
        f"`{kind}`: {code}"
        for kind, turns in STORY[voltage].items()
        for code, turn in turns.items()
        if turn.then is ending
    ]
    return ", ".join(ways) or "–"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
