"""What is stuck, found without anybody having looked for it (RB-12.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from activities.contract import civil_text
from api.applications import Cursor, Limit, Sought
from api.auth import SignedIn
from api.schemas import Shown, Texts, refusals
from api.services import Serving
from domain.access import Act
from domain.repairs import RepairKind
from operations.stuck_findings import Finding, Severity, StuckKind, shown
from storage.cursors import bad_cursor, cursor_of, cursor_parts

router = APIRouter(prefix="/admin", tags=["administration"])


class SuggestedRepair(Texts):
    """What is suggested, by the kind of repair; it is planned before anything is done."""

    kind: RepairKind


class StuckBody(Shown):
    """Something that is stuck.

    `id` stays the same for as long as it lasts. `since` is civil time; `age_s` are seconds that
    somebody really waited. `error` is the last one, shortened and without personal data.
    """

    id: str
    kind: StuckKind
    title: Texts
    severity: Severity
    case_no: str | None
    workflow_id: str | None
    task_id: str | None
    agency: str | None
    since: str
    age_s: int
    cause: Texts
    error: str | None
    repair: SuggestedRepair | None
    advice: Texts


class StuckPage(Shown):
    """A page of what is stuck, the worst first, of these the oldest.

    `looked_at` is civil time. `complete` is false if the engine did not answer: then there is only
    what the case file shows. `counts` are of all that was found, by kind, whatever is asked for.
    """

    items: list[StuckBody]
    counts: dict[StuckKind, int]
    looked_at: str
    complete: bool
    open_cases: int
    next_cursor: str | None


STUCK_EXAMPLES: dict[str, dict[str, Any]] = {
    "StuckPage": {
        "items": [
            {
                "id": "process_closed:ZJ20260000011",
                "kind": "process_closed",
                "title": {"zh": "流程已关闭而办件未办结", "en": "process closed, case open"},
                "severity": "critical",
                "case_no": "ZJ20260000011",
                "workflow_id": "ZJ20260000011",
                "task_id": None,
                "agency": None,
                "since": "2026-09-16T12:00:00+08:00",
                "age_s": 42,
                "cause": {
                    "zh": "流程实例已被终止，而办件尚未办结",
                    "en": "Its process was terminated while the case is still open",
                },
                "error": None,
                "repair": {
                    "kind": "restart",
                    "zh": "依案卷重启",
                    "en": "restart from the case file",
                },
                "advice": {
                    "zh": "依案卷重启：已作出的决定从案卷读取，不会再次征询",
                    "en": "Restart it from the case file: what was decided is read there and not "
                    "asked again",
                },
            }
        ],
        "counts": {"process_closed": 1},
        "looked_at": "2026-09-16T12:00:42+08:00",
        "complete": True,
        "open_cases": 500,
        "next_cursor": None,
    }
}


@router.get(
    "/stuck",
    name=Act.SEE_STUCK,
    response_model=StuckPage,
    summary="What is stuck (卡滞), why, and what to do",
    responses=refusals(401, 403, 422),
)
async def list_stuck(
    caller: SignedIn,
    services: Serving,
    kind: Annotated[StuckKind | None, Query()] = None,
    severity: Annotated[Severity | None, Query()] = None,
    agency: Sought = None,
    case_no: Sought = None,
    now: Annotated[bool, Query(description="Look now, instead of some seconds ago")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Mapping[str, Any]:
    """Page through what was found at the last look, which is made every few seconds.

    A page begins behind the last finding of the one before, whatever was found meanwhile.
    """
    caller.needs(Act.SEE_STUCK)
    after = None if cursor is None else _rank_of(cursor)
    watch = services.stuck
    scan = watch.latest
    if now or scan is None:
        scan = await watch.look()
    wanted = [
        each
        for each in scan.findings
        if kind in (None, each.kind)
        and severity in (None, each.severity)
        and agency in (None, each.agency)
        and case_no in (None, each.case_no)
        and (after is None or each.rank > after)
    ]
    at = services.now()
    return {
        "items": [shown(each, at) for each in wanted[:limit]],
        "counts": Counter(each.kind.value for each in scan.findings),
        "looked_at": civil_text(services.settings.clock.civil(scan.looked_at)),
        "complete": scan.is_complete,
        "open_cases": scan.cases,
        "next_cursor": _cursor(wanted, limit),
    }


def _cursor(found: Sequence[Finding], limit: int) -> str | None:
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return cursor_of(last.severity, last.since.astimezone(UTC).isoformat(), last.id)


def _rank_of(cursor: str) -> tuple[int, datetime, str]:
    """Read where a finding stands in the list.

    Raises:
        InputRefused: the cursor is not one that was given out.
    """
    severity, at, last_id = cursor_parts(cursor, 3)
    try:
        since = datetime.fromisoformat(at)
        place = list(Severity).index(Severity(severity))
    except ValueError:
        raise bad_cursor() from None
    if since.tzinfo is not UTC:
        raise bad_cursor()
    return place, since, last_id
