"""Who may do what (RB-13.1): one table, for the API's callers and the console's accounts alike.

The name of a route, of the API or of the console, is what it is for: an `Act`. `console.guard` and
`api.auth` look here, and nowhere else; a route without an act is not served.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from domain.accounts import StaffRole


class Act(StrEnum):
    """What a route is for; every route has one as its name."""

    SIGN_IN = "sign-in"
    CHOOSE_LANGUAGE = "choose-language"
    CHANGE_PASSWORD = "change-password"  # noqa: S105  the name of an act
    SIGN_OUT = "sign-out"
    COME_HOME = "come-home"
    SEE_CASES = "see-cases"
    REVEAL_NUMBERS = "reveal-numbers"
    SEE_TASKS = "see-tasks"
    HOLD_TASK = "hold-task"
    DECIDE_TASK = "decide-task"
    SUSPEND_TASK = "suspend-task"
    SEE_SUPERVISION = "see-supervision"


class Whose(StrEnum):
    """Of whom a role may see or do something."""

    NOBODYS = "–"
    OWN = "own agency's"
    ALL = "all"


_NO, _OWN, _ALL = Whose

# Everybody, signed in or not.
OPEN_TO_ALL = frozenset({Act.SIGN_IN, Act.CHOOSE_LANGUAGE})

# Allowed before a password that somebody else has seen was changed.
BEFORE_OWN_PASSWORD = OPEN_TO_ALL | {Act.CHANGE_PASSWORD, Act.SIGN_OUT}

# RB-5.3: supervision informs and records, it never decides in a department's place; nor does an
# administrator. RB-13.1: a department needs no applicant to decide on a route; whoever accepts the
# papers, or goes to the site, does.
# fmt: off
_COLUMNS = (
    StaffRole.DESK, StaffRole.DEPARTMENT, StaffRole.UTILITY, StaffRole.SUPERVISOR,
    StaffRole.ADMINISTRATOR,
)
_ROWS: Mapping[Act, tuple[Whose, ...]] = {
    #                     desk  department utility supervisor administrator
    Act.COME_HOME:       (_ALL, _ALL,      _ALL,   _ALL,      _ALL),
    Act.CHANGE_PASSWORD: (_ALL, _ALL,      _ALL,   _ALL,      _ALL),
    Act.SIGN_OUT:        (_ALL, _ALL,      _ALL,   _ALL,      _ALL),
    Act.SEE_CASES:       (_ALL, _NO,       _ALL,   _ALL,      _ALL),
    Act.REVEAL_NUMBERS:  (_ALL, _NO,       _ALL,   _NO,       _NO),
    Act.SEE_TASKS:       (_ALL, _OWN,      _OWN,   _ALL,      _ALL),
    Act.HOLD_TASK:       (_OWN, _OWN,      _OWN,   _NO,       _NO),
    Act.DECIDE_TASK:     (_OWN, _OWN,      _OWN,   _NO,       _NO),
    Act.SUSPEND_TASK:    (_OWN, _OWN,      _OWN,   _NO,       _NO),
    Act.SEE_SUPERVISION: (_ALL, _NO,       _NO,    _ALL,      _ALL),
}
# fmt: on

TABLE: Mapping[Act, Mapping[StaffRole, Whose]] = MappingProxyType(
    {act: dict(zip(_COLUMNS, row, strict=True)) for act, row in _ROWS.items()}
)


def whose(role: StaffRole, act: Act) -> Whose:
    """Return of whom `role` may do `act`."""
    return Whose.ALL if act in OPEN_TO_ALL else TABLE[act][role]
