"""The story of a connection: its tasks, their outcomes, its endings (RB-6).

Two tables hold everything that affects how a case moves: `STORY` says which outcomes each task may
have and what follows, `ACTIONS` what may be done to a running case and when. The picture in
`docs/story.md` is drawn from them, and the workflows are tested against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from domain.errors import IllegalAction


class TaskKind(StrEnum):
    """What somebody can owe a case."""

    CHECK_PAPERS = "check_papers"
    CORRECT_PAPERS = "correct_papers"
    SURVEY = "survey"
    LOOK_AT_ROUTE = "look_at_route"
    FILING = "filing"
    SUPPLY_PLAN = "supply_plan"
    CONFIRM_PLAN = "confirm_plan"
    LINE_DESIGN = "line_design"
    CONSENT = "consent"
    PERMITS = "permits"
    PAPERS = "papers"
    BUILD_LINE = "build_line"
    CUSTOMER_WORKS = "customer_works"
    INSPECTION = "inspection"
    RECTIFICATION = "rectification"
    SIGN_CONTRACT = "sign_contract"
    ENERGISE = "energise"


class Code(StrEnum):
    """How a task can come out."""

    ACCEPTED = "accepted"
    CORRECTION_NEEDED = "correction_needed"
    DECLINED = "declined"
    CORRECTED = "corrected"
    SURVEYED = "surveyed"
    NOT_FEASIBLE = "not_feasible"
    FILED = "filed"
    PLANNED = "planned"
    AGREED = "agreed"
    REVISE = "revise"
    REFUSED = "refused"
    DESIGNED = "designed"
    NO_ROUTE = "no_route"
    CONSENTED = "consented"
    ANSWERED = "answered"
    NOT_COMPETENT = "not_competent"
    RECEIVED = "received"
    LAPSED = "lapsed"
    SEEN = "seen"
    BUILT = "built"
    FINISHED = "finished"
    PASSED = "passed"
    FAILED = "failed"
    RECTIFIED = "rectified"
    ABANDONED = "abandoned"
    SIGNED = "signed"
    ENERGISED = "energised"


class Ending(StrEnum):
    """How a case can end. Every story that stops has one of these names."""

    CONNECTED = "connected"
    DECLINED = "declined"
    NOT_FEASIBLE = "not_feasible"
    PLAN_REFUSED = "plan_refused"
    PERMITS_REFUSED = "permits_refused"
    INSPECTION_FAILED = "inspection_failed"
    WITHDRAWN = "withdrawn"


class Voltage(StrEnum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one outcome leads to.

    Attributes:
        then: the tasks that open next (several open in parallel), or the ending; none: the rest of
            the story does not wait for it.
        needs: fields without which the outcome is not complete.
    """

    then: tuple[TaskKind, ...] | Ending
    needs: tuple[str, ...] = ()


_K, _C, _E = TaskKind, Code, Ending


def _turns(**by_code: Turn) -> Mapping[Code, Turn]:
    return MappingProxyType({Code(code): turn for code, turn in by_code.items()})


# `check_papers` and `build_line` stand in both stories; where they differ, the voltage decides.
_INTAKE_AND_CLOSE: dict[TaskKind, Mapping[Code, Turn]] = {
    _K.CORRECT_PAPERS: _turns(corrected=Turn((_K.CHECK_PAPERS,))),
    _K.SIGN_CONTRACT: _turns(signed=Turn((_K.ENERGISE,))),
    _K.ENERGISE: _turns(energised=Turn(_E.CONNECTED)),
}


def _checked(then: TaskKind) -> Mapping[Code, Turn]:
    return _turns(
        accepted=Turn((then,)),
        correction_needed=Turn((_K.CORRECT_PAPERS,), needs=("missing",)),
        declined=Turn(_E.DECLINED, needs=("note",)),
    )


STORY: Mapping[Voltage, Mapping[TaskKind, Mapping[Code, Turn]]] = MappingProxyType(
    {
        Voltage.LOW: MappingProxyType(
            {
                _K.CHECK_PAPERS: _checked(_K.SURVEY),
                _K.SURVEY: _turns(
                    surveyed=Turn((_K.FILING, _K.LOOK_AT_ROUTE)),
                    not_feasible=Turn(_E.NOT_FEASIBLE, needs=("note",)),
                ),
                _K.LOOK_AT_ROUTE: _turns(seen=Turn((), needs=("note",))),
                _K.FILING: _turns(filed=Turn((_K.BUILD_LINE,))),
                _K.BUILD_LINE: _turns(built=Turn((_K.SIGN_CONTRACT,))),
                **_INTAKE_AND_CLOSE,
            }
        ),
        Voltage.HIGH: MappingProxyType(
            {
                _K.CHECK_PAPERS: _checked(_K.SUPPLY_PLAN),
                _K.SUPPLY_PLAN: _turns(
                    planned=Turn((_K.CONFIRM_PLAN,)),
                    not_feasible=Turn(_E.NOT_FEASIBLE, needs=("note",)),
                ),
                _K.CONFIRM_PLAN: _turns(
                    agreed=Turn((_K.LINE_DESIGN, _K.CUSTOMER_WORKS)),
                    revise=Turn((_K.SUPPLY_PLAN,), needs=("note",)),
                    refused=Turn(_E.PLAN_REFUSED),
                ),
                _K.LINE_DESIGN: _turns(
                    designed=Turn((_K.PERMITS, _K.CONSENT), needs=("route",)),
                    no_route=Turn(_E.PERMITS_REFUSED, needs=("note",)),
                ),
                _K.CONSENT: _turns(
                    consented=Turn((_K.BUILD_LINE,), needs=("document_no",)),
                    refused=Turn((_K.LINE_DESIGN,), needs=("note",)),
                ),
                _K.PERMITS: _turns(
                    answered=Turn((_K.BUILD_LINE, _K.PAPERS), needs=("items",)),
                    not_competent=Turn((_K.PERMITS,), needs=("competent", "note")),
                ),
                _K.PAPERS: _turns(received=Turn(()), lapsed=Turn((), needs=("note",))),
                _K.BUILD_LINE: _turns(built=Turn((_K.INSPECTION,))),
                _K.CUSTOMER_WORKS: _turns(finished=Turn((_K.INSPECTION,))),
                _K.INSPECTION: _turns(
                    passed=Turn((_K.SIGN_CONTRACT,)),
                    failed=Turn((_K.RECTIFICATION,), needs=("note",)),
                ),
                _K.RECTIFICATION: _turns(
                    rectified=Turn((_K.INSPECTION,)),
                    abandoned=Turn(_E.INSPECTION_FAILED),
                ),
                **_INTAKE_AND_CLOSE,
            }
        ),
    }
)

CONDITIONAL: frozenset[TaskKind] = frozenset(
    {TaskKind.LOOK_AT_ROUTE, TaskKind.CONSENT, TaskKind.PERMITS, TaskKind.PAPERS}
)
"""Tasks that are owed only where the facts or the answers call for them (RB-4.2 to RB-4.5)."""

# RB-3.5: one notice names everything missing, so a second check can only accept or decline.
CODES_OF_A_LATER_ROUND: Mapping[TaskKind, frozenset[Code]] = MappingProxyType(
    {_K.CHECK_PAPERS: frozenset({_C.ACCEPTED, _C.DECLINED})}
)


class Action(StrEnum):
    """What may be done to a running case from outside its tasks."""

    WITHDRAW = "withdraw"


# Once energising is owed the contract is signed: leaving it is a termination, not a withdrawal.
ACTIONS: Mapping[Action, frozenset[TaskKind]] = MappingProxyType(
    {Action.WITHDRAW: frozenset(TaskKind) - {TaskKind.ENERGISE}}
)


def outcomes_of(kind: TaskKind, voltage: Voltage, round_no: int) -> Mapping[Code, Turn]:
    """Return the outcomes a task may have in this round of this story (RB-3.5, RB-6)."""
    turns = STORY[voltage][kind]
    allowed = CODES_OF_A_LATER_ROUND.get(kind)
    if round_no == 1 or allowed is None:
        return turns
    return MappingProxyType({code: turn for code, turn in turns.items() if code in allowed})


def check_action(action: Action, reached: TaskKind | None) -> None:
    """Allow `action` where the case has reached `reached` (the latest task; None before the first).

    Raises:
        IllegalAction: the table does not allow it there.
    """
    if reached is not None and reached not in ACTIONS[action]:
        raise IllegalAction(action, reached)


def diagram(voltage: Voltage) -> str:
    """Draw the story as a Mermaid flow chart, from the table."""
    lines = ["flowchart TD"]
    for kind, turns in STORY[voltage].items():
        for code, turn in turns.items():
            match turn.then:
                case Ending() as ending:
                    lines.append(f"    {kind} -->|{code}| {ending}([{ending}])")
                case ():
                    lines.append(f"    {kind} -->|{code}| {kind}_on_record[on record]")
                case tasks:
                    lines += [
                        f"    {kind} {'-.->' if then in CONDITIONAL else '-->'}|{code}| {then}"
                        for then in tasks
                    ]
    if TaskKind.PERMITS in STORY[voltage]:
        lines.append("    permits -.->|an item refused| line_design")
    return "\n".join(lines) + "\n"
