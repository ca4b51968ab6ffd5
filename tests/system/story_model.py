"""What must be on file after a story, told from its outcomes alone: the model to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from domain.connection import CONDITIONAL, STORY, Code, Ending, TaskKind, Voltage
from storage.records import TaskRecord


def check_story(
    voltage: Voltage, ending: str, tasks: Iterable[TaskRecord], *, is_deemed: bool
) -> None:
    """Check that every decided task led to just what the story says follows, once.

    Args:
        is_deemed: whether the papers were accepted for want of a notice in time (RB-3.5), whatever
            the desk said later.
    """
    kinds = Counter(task.kind for task in tasks if task.kind not in CONDITIONAL)
    expected = Counter({TaskKind.CHECK_PAPERS: 1})
    reached: set[Ending] = set()
    for task in tasks:
        if task.outcome is None:
            assert task.state == "closed", f"{task.id} is {task.state} in an ended case"
            continue
        code = Code(task.outcome["code"])
        if is_deemed and task.kind is TaskKind.CHECK_PAPERS:
            code = Code.ACCEPTED
        turn = STORY[voltage][task.kind][code]
        match turn.then:
            case Ending() as end:
                reached.add(end)
            case then:
                expected.update(kind for kind in then if _follows_at_once(task.kind, kind))
    rounds = [task.round for task in tasks if task.kind is TaskKind.LINE_DESIGN]
    if rounds:
        # Each refused bundle leads to one more design; what follows a bundle comes once.
        expected[TaskKind.LINE_DESIGN] = max(rounds)
    for kind in _ONCE_ALL_IS_DONE & set(kinds):
        expected[kind] = kinds[kind] if kind is TaskKind.INSPECTION else 1
    assert kinds == expected
    if ending != Ending.WITHDRAWN:
        assert reached == {Ending(ending)}
    ids = [task.id for task in tasks]
    assert len(ids) == len(set(ids))


# Two branches meet before an inspection, and several departments before the line is built, so these
# do not follow one outcome.
_ONCE_ALL_IS_DONE = frozenset({TaskKind.INSPECTION, TaskKind.BUILD_LINE})


def _follows_at_once(after: TaskKind, kind: TaskKind) -> bool:
    return kind not in _ONCE_ALL_IS_DONE | CONDITIONAL
