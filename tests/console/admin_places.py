"""The administrators' pages, with something on each, for tests that walk through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console.form_fields import new_key
from tests.console.office import Office
from tests.support.cases import LOW, NOON, POLICY, new_task

GROUPS = (STUCK, REPAIRS, RULES, PEOPLE) = ("stuck", "repairs", "rules", "people")


async def admin_pages(office: Office) -> Mapping[str, Sequence[str]]:
    """Put something on file for every page of administration; return their addresses by group."""
    no = await office.case(LOW, key="key-admin-1")
    other = await office.case(LOW, key="key-admin-2")
    task = await office.api.casefile.open_task(new_task(no))
    await office.api.casefile.push_refused(task.id, "desk answered 422", at=NOON)
    for path, body in (
        ("repairs", {"kind": "restart", "cases": [no, other], "reason": "示例理由"}),
        ("replays", {"all_open": True}),
    ):
        answer = await office.api.call(
            "POST", f"/api/v1/admin/{path}", "admin-1", key=new_key(), json=body
        )
        assert answer.is_success, answer.text
    return {
        STUCK: (
            "/admin",
            "/admin/stuck?now=1",
            "/admin/undelivered",
            "/admin/replays",
            "/admin/replays/1",
        ),
        REPAIRS: (
            "/admin/repairs",
            "/admin/repairs/1",
            f"/admin/decisions/{task.id}",
            f"/admin/repairs/new?case_no={no}",
            "/admin/repairs/new",
            "/admin/repairs/new?many=1",
        ),
        RULES: (
            "/admin/calendar?year=2026",
            "/admin/calendar?year=2027",
            "/admin/calendar/draft?year=2026",
            "/admin/policies",
            f"/admin/policies/{POLICY}?against={POLICY}",
            "/deadline?from=2026-09-25&working_days=5",
        ),
        PEOPLE: ("/admin/users", "/admin/acts"),
    }
