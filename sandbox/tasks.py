"""The task as the contract pushes it, read tolerantly: fields that are not needed are ignored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

_Json = TypeVar("_Json")

KINDS = frozenset(
    {
        "check_papers",
        "correct_papers",
        "survey",
        "look_at_route",
        "filing",
        "supply_plan",
        "confirm_plan",
        "line_design",
        "consent",
        "permits",
        "papers",
        "build_line",
        "customer_works",
        "inspection",
        "rectification",
        "sign_contract",
        "energise",
    }
)


class TaskUnreadable(Exception):
    """A push that does not follow the contract; the message names the field."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a peer needs of a pushed task.

    Attributes:
        outcomes: the codes that may answer it; empty means that the push did not say.
        items: names of the permit items to be answered one by one.
        due_on: civil date at which the answer is due, None without a limit.
    """

    id: str
    case_no: str
    kind: str
    owed_by: str
    round: int
    is_open: bool
    outcomes: frozenset[str]
    items: tuple[str, ...]
    voltage: str
    address: str
    due_on: date | None
    asks_area: bool

    def allows(self, code: str) -> bool:
        """Tell whether `code` may answer this task."""
        return not self.outcomes or code in self.outcomes


def read_task(pushed: object) -> Task:
    """Read the JSON of a push.

    Raises:
        TaskUnreadable: a needed field is missing or of another type.
    """
    if not isinstance(pushed, dict):
        raise TaskUnreadable("the body must be a JSON object")
    facts = _field(pushed, "facts", dict)
    kind = _field(pushed, "kind", str)
    if kind not in KINDS:
        raise TaskUnreadable(f"kind: {kind!r} is not a task of the contract")
    return Task(
        id=_field(pushed, "id", str),
        case_no=_field(pushed, "case_no", str),
        kind=kind,
        owed_by=_field(pushed, "owed_by", str),
        round=_field(pushed, "round", int),
        is_open=pushed.get("state", "open") == "open",
        outcomes=frozenset(map(str, pushed.get("outcomes") or ())),
        items=_items(pushed.get("items")),
        voltage=_field(facts, "voltage", str),
        address=_field(facts, "address", str),
        due_on=_date(pushed.get("due_on")),
        asks_area=pushed.get("asks_area") is True,
    )


@dataclass(frozen=True, slots=True)
class Event:
    """What a peer needs of a change of a task."""

    id: str
    type: str
    task_id: str

    @property
    def is_withdrawn(self) -> bool:
        """Whether the task need not be answered any more."""
        return self.type == "onewindow.task.withdrawn"


def read_event(sent: object) -> Event:
    """Read the JSON of an event (CloudEvents 1.0, structured).

    Raises:
        TaskUnreadable: a needed field is missing or of another type.
    """
    if not isinstance(sent, dict):
        raise TaskUnreadable("the body must be a JSON object")
    if _field(sent, "specversion", str) != "1.0":
        raise TaskUnreadable("specversion: must be 1.0")
    for name in ("source", "time"):
        _field(sent, name, str)
    data = _field(sent, "data", dict)
    return Event(_field(sent, "id", str), _field(sent, "type", str), _field(data, "task_id", str))


def _field(pushed: Mapping[str, object], name: str, expected: type[_Json]) -> _Json:
    found = pushed.get(name)
    if not isinstance(found, expected):
        raise TaskUnreadable(f"{name}: must be a JSON {expected.__name__}")
    return found


def _items(pushed: object) -> tuple[str, ...]:
    if pushed is None:
        return ()
    if not isinstance(pushed, list):
        raise TaskUnreadable("items: must be a list")
    return tuple(_item(item) for item in pushed)


def _item(pushed: object) -> str:
    if not isinstance(pushed, dict):
        raise TaskUnreadable("items: each must be a JSON object")
    return _field(pushed, "item", str)


def _date(pushed: object) -> date | None:
    if pushed is None:
        return None
    try:
        return date.fromisoformat(str(pushed))
    except ValueError:
        raise TaskUnreadable(f"due_on: {pushed!r} is not a date") from None
