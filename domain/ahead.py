"""What lies ahead of a case, where all goes well: the steps to come, in order, and who owes them.

Read off the story's own table (`domain.connection`), so that no second story is told. Of the ways a
task can come out, the table names the favourable one first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from domain.connection import CONDITIONAL, STORY, Ending, TaskKind, Voltage
from domain.policy import DEPARTMENT, Policy


@dataclass(frozen=True, slots=True)
class Step:
    """A task to come.

    Attributes:
        owner: an agency's id, or `department`: each that is competent, for itself.
        link: the link (环节) it is shown in.
        limit_working_days: its own limit; None: only the case's clocks.
        is_conditional: it is owed only where the facts or the answers call for it.
        depth: how many steps come before it at least; steps of one depth go on side by side.
    """

    kind: TaskKind
    owner: str
    link: str
    limit_working_days: int | None
    is_conditional: bool
    depth: int

    @property
    def is_of_departments(self) -> bool:
        """Whether it is owed by each competent department for itself."""
        return self.owner == DEPARTMENT


def steps_ahead(
    policy: Policy, voltage: Voltage, open_kinds: Collection[TaskKind], last: TaskKind | None
) -> tuple[Step, ...]:
    """Return the steps that follow on what is open now, in order.

    Args:
        open_kinds: what is owed now; not among what is returned, unless it comes once more.
        last: what was owed last, for the moment in which nothing is; None: nothing yet.
    """
    story = _favourable(voltage)
    waited_for = {kind for kind in open_kinds if story.get(kind) != ()}
    if not waited_for and last is None:
        return _steps(policy, voltage, _reached_from(story, TaskKind.CHECK_PAPERS))
    begun = waited_for or ({last} if last is not None else set())
    ahead = {each for kind in begun for each in _reached_from(story, kind)} - begun
    return _steps(policy, voltage, ahead - set(open_kinds))


def _steps(policy: Policy, voltage: Voltage, kinds: Collection[TaskKind]) -> tuple[Step, ...]:
    depths = _depths(voltage)
    # Of one depth, what is certain comes first; else the table's order stays.
    in_order = sorted(
        (kind for kind in depths if kind in kinds),
        key=lambda kind: (depths[kind], kind in CONDITIONAL),
    )
    return tuple(
        Step(
            kind=kind,
            owner=(rule := policy.tasks[kind]).owner,
            link=rule.link[voltage],
            limit_working_days=rule.limit_working_days,
            is_conditional=kind in CONDITIONAL,
            depth=depths[kind],
        )
        for kind in in_order
    )


@cache
def _favourable(voltage: Voltage) -> Mapping[TaskKind, tuple[TaskKind, ...]]:
    """What each task is followed by when it comes out well; nothing where the story ends."""
    found = {}
    for kind, turns in STORY[voltage].items():
        then = next(iter(turns.values())).then
        found[kind] = () if isinstance(then, Ending) else then
    return found


def _reached_from(
    story: Mapping[TaskKind, tuple[TaskKind, ...]], start: TaskKind
) -> frozenset[TaskKind]:
    """Return a task and all that follows on it."""
    found: set[TaskKind] = set()
    waiting = [start]
    while waiting:
        if (kind := waiting.pop()) not in found:
            found.add(kind)
            waiting += story[kind]
    return frozenset(found)


@cache
def _depths(voltage: Voltage) -> Mapping[TaskKind, int]:
    """How many steps lie before each on the longest way from the start, in the table's order."""
    story = _favourable(voltage)
    main = _reached_from(story, TaskKind.CHECK_PAPERS)
    depths = dict.fromkeys((kind for kind in story if kind in main), 0)
    # The favourable way has no circles, so it settles after as many rounds as it is long.
    for _ in depths:
        for kind in depths:
            for then in story[kind]:
                depths[then] = max(depths[then], depths[kind] + 1)
    return depths
