"""Who may do what (RB-13.1): one table, for the API's callers and the console's accounts alike.

The name of a route, of the API or of the console, is what it is for: an `Act`. `console.guard` and
`api.auth` ask `whose` here, and nowhere else; a route without an act is not served.

`OWN` is: of tasks, those that one's agency owes; of cases, those that came in by one's channel; of
notices, those that one was sent.
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
    LINK_IDENTITY = "link-identity"
    SIGN_OUT = "sign-out"
    COME_HOME = "come-home"
    SEE_CASES = "see-cases"
    REVEAL_NUMBERS = "reveal-numbers"
    SEE_TASKS = "see-tasks"
    HOLD_TASK = "hold-task"
    DECIDE_TASK = "decide-task"
    SUSPEND_TASK = "suspend-task"
    SEE_SUPERVISION = "see-supervision"
    SEE_GUIDE = "see-guide"
    CHOOSE_TEXT_SIZE = "choose-text-size"
    BEGIN_FOLLOWING = "begin-following"
    FOLLOW_CASE = "follow-case"
    ANSWER_AS_APPLICANT = "answer-as-applicant"
    RENEW_FOLLOW_SECRET = "renew-follow-secret"  # noqa: S105  the name of an act
    WHY_THIS_DATE = "why-this-date"
    SEE_CALENDAR = "see-calendar"
    PUBLISH_CALENDAR = "publish-calendar"
    SEE_POLICIES = "see-policies"
    SEE_ADMINISTRATION = "see-administration"
    SEE_STUCK = "see-stuck"
    REPLAY_CASES = "replay-cases"
    SEE_REPAIRS = "see-repairs"
    REPAIR_CASES = "repair-cases"
    MANAGE_ACCOUNTS = "manage-accounts"
    SEE_ACTS = "see-acts"
    SUBMIT_APPLICATION = "submit-application"
    WITHDRAW_CASE = "withdraw-case"
    REPORT_ON_TASK = "report-on-task"
    PUT_DOCUMENT = "put-document"
    ASK_OPINION = "ask-opinion"
    PREVIEW_PERMITS = "preview-permits"
    SEE_NOTICES = "see-notices"
    ANSWER_NOTICE = "answer-notice"
    SEE_UNDELIVERED = "see-undelivered"
    FETCH_STATES = "fetch-states"
    MANAGE_KEYS = "manage-keys"
    READ_CLOCK = "read-clock"
    READ_CALENDAR = "read-calendar"
    ASK_DEADLINE = "ask-deadline"
    GIVE_OPINION = "give-opinion"


APPLICANT = "applicant"
"""Role of the online channel's key, in whose name applicants act; no account has it."""


class Whose(StrEnum):
    """Of whom a role may see or do something."""

    NOBODYS = "–"
    OWN = "own agency's"
    ALL = "all"


_NO, _OWN, _ALL = Whose

# Everybody, signed in or not.
OPEN_TO_ALL = frozenset(
    {
        Act.SIGN_IN,
        Act.CHOOSE_LANGUAGE,
        Act.CHOOSE_TEXT_SIZE,
        Act.SEE_GUIDE,
        Act.BEGIN_FOLLOWING,
        Act.READ_CLOCK,
        Act.READ_CALENDAR,
        Act.ASK_DEADLINE,
        Act.GIVE_OPINION,
    }
)

# RB-10.3: for whoever has shown the number and the secret of a case, and of that case alone. No
# account of ours has it, and it is no account.
FOR_FOLLOWERS = frozenset({Act.FOLLOW_CASE, Act.ANSWER_AS_APPLICANT})

# Allowed before a password that somebody else has seen was changed.
BEFORE_OWN_PASSWORD = OPEN_TO_ALL | {Act.CHANGE_PASSWORD, Act.SIGN_OUT}

# RB-5.3: supervision informs and records, it never decides in a department's place; nor does an
# administrator. RB-13.1: a department needs no applicant to decide on a route; whoever accepts the
# papers, or goes to the site, does.
# fmt: off
_COLUMNS = (
    StaffRole.DESK, StaffRole.DEPARTMENT, StaffRole.UTILITY, StaffRole.SUPERVISOR,
    StaffRole.ADMINISTRATOR, APPLICANT,
)
_ROWS: Mapping[Act, tuple[Whose, ...]] = {
    #                          desk  department utility supervisor administrator applicant
    Act.COME_HOME:            (_ALL, _ALL,      _ALL,   _ALL,      _ALL,         _NO),
    Act.CHANGE_PASSWORD:      (_ALL, _ALL,      _ALL,   _ALL,      _ALL,         _NO),
    Act.LINK_IDENTITY:        (_ALL, _ALL,      _ALL,   _ALL,      _ALL,         _NO),
    Act.SIGN_OUT:             (_ALL, _ALL,      _ALL,   _ALL,      _ALL,         _NO),
    Act.SEE_CASES:            (_ALL, _NO,       _ALL,   _ALL,      _ALL,         _OWN),
    Act.REVEAL_NUMBERS:       (_ALL, _NO,       _ALL,   _NO,       _NO,          _NO),
    Act.SEE_TASKS:            (_ALL, _OWN,      _OWN,   _ALL,      _ALL,         _OWN),
    Act.HOLD_TASK:            (_OWN, _OWN,      _OWN,   _NO,       _NO,          _OWN),
    Act.DECIDE_TASK:          (_OWN, _OWN,      _OWN,   _NO,       _NO,          _OWN),
    Act.SUSPEND_TASK:         (_OWN, _OWN,      _OWN,   _NO,       _NO,          _OWN),
    Act.SEE_SUPERVISION:      (_ALL, _NO,       _NO,    _ALL,      _ALL,         _NO),
    Act.RENEW_FOLLOW_SECRET:  (_ALL, _NO,       _NO,    _NO,       _NO,          _NO),
    Act.WHY_THIS_DATE:        (_ALL, _ALL,      _ALL,   _ALL,      _ALL,         _NO),
    Act.SEE_CALENDAR:         (_ALL, _ALL,      _ALL,   _ALL,      _ALL,         _NO),
    Act.PUBLISH_CALENDAR:     (_NO,  _NO,       _NO,    _ALL,      _ALL,         _NO),
    Act.SEE_POLICIES:         (_ALL, _ALL,      _ALL,   _ALL,      _ALL,         _NO),
    Act.SEE_ADMINISTRATION:   (_NO,  _NO,       _NO,    _NO,       _ALL,         _NO),
    Act.SEE_STUCK:            (_ALL, _NO,       _NO,    _ALL,      _ALL,         _NO),
    Act.REPLAY_CASES:         (_NO,  _NO,       _NO,    _NO,       _ALL,         _NO),
    Act.SEE_REPAIRS:          (_NO,  _NO,       _NO,    _ALL,      _ALL,         _NO),
    Act.REPAIR_CASES:         (_NO,  _NO,       _NO,    _NO,       _ALL,         _NO),
    Act.MANAGE_ACCOUNTS:      (_NO,  _NO,       _NO,    _NO,       _ALL,         _NO),
    Act.SEE_ACTS:             (_NO,  _NO,       _NO,    _NO,       _ALL,         _NO),
    Act.SUBMIT_APPLICATION:   (_ALL, _NO,       _NO,    _NO,       _NO,          _OWN),
    Act.WITHDRAW_CASE:        (_ALL, _NO,       _NO,    _NO,       _NO,          _OWN),
    Act.REPORT_ON_TASK:       (_OWN, _OWN,      _OWN,   _NO,       _NO,          _OWN),
    Act.PUT_DOCUMENT:         (_OWN, _OWN,      _OWN,   _NO,       _ALL,         _OWN),
    Act.ASK_OPINION:          (_OWN, _OWN,      _OWN,   _NO,       _NO,          _OWN),
    Act.PREVIEW_PERMITS:      (_ALL, _ALL,      _ALL,   _ALL,      _NO,          _NO),
    Act.SEE_NOTICES:          (_ALL, _OWN,      _OWN,   _ALL,      _ALL,         _OWN),
    Act.ANSWER_NOTICE:        (_OWN, _OWN,      _OWN,   _OWN,      _NO,          _OWN),
    Act.SEE_UNDELIVERED:      (_ALL, _NO,       _NO,    _ALL,      _ALL,         _NO),
    Act.FETCH_STATES:         (_ALL, _NO,       _NO,    _ALL,      _ALL,         _NO),
    Act.MANAGE_KEYS:          (_NO,  _NO,       _NO,    _NO,       _ALL,         _NO),
}
# fmt: on

TABLE: Mapping[Act, Mapping[str, Whose]] = MappingProxyType(
    {act: dict(zip(_COLUMNS, row, strict=True)) for act, row in _ROWS.items()}
)
ROLES: tuple[str, ...] = _COLUMNS


def whose(role: str, act: Act) -> Whose:
    """Return of whom `role` may do `act`; nobody's for a role that the table does not know."""
    if act in FOR_FOLLOWERS:
        return Whose.NOBODYS
    return Whose.ALL if act in OPEN_TO_ALL else TABLE[act].get(role, Whose.NOBODYS)


def is_allowed(role: str, act: Act, agency: str, owner: str) -> bool:
    """Whether `role`, of `agency`, may do `act` to what is `owner`'s."""
    allowed = whose(role, act)
    return allowed is Whose.ALL or (allowed is Whose.OWN and owner == agency)
