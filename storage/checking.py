"""Whether the rows of a case are what its record says (RB-13.2): the work of `onewindow verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.task_events import holder_of
from storage.chain import (
    ACT_FIELDS,
    GENESIS,
    VERSION_FIELDS,
    Break,
    Link,
    digest,
    fields_hash,
    first_break,
)
from storage.checking_inbox import documents_of, of_its_documents, of_its_opinions, opinions_of
from storage.checking_repairs import of_its_repairs, repairs_of
from storage.records import AnyRow, figures_text, history_of, parsed
from storage.tables import (
    actions,
    admin_acts,
    applications,
    calendars,
    events,
    messages,
    notices,
    results,
    tasks,
)

_LINK = [f.name for f in fields(Link)]


async def break_of_case(
    db: AsyncConnection, no: str, sequence: int, start: str
) -> tuple[Break | None, str]:
    """Check one case: its chain first, then every row against it.

    Args:
        sequence: the case's place in the register.
        start: hash of the first event of the case before it.

    Returns:
        The first thing that does not hold, and the hash of the case's own first event.
    """
    case = (await db.execute(sa.select(applications).where(applications.c.no == no))).one()
    rows = (
        await db.execute(sa.select(events).where(events.c.case_no == no).order_by(events.c.seq))
    ).all()
    first_hash = rows[0].hash if rows else GENESIS
    if case.sequence != sequence:
        return Break(None, None, f"the case with sequence {sequence} is missing"), first_hash
    links = [(Link(**{name: row._mapping[name] for name in _LINK}), row.hash) for row in rows]
    found = first_break(no, links, start=start, head_seq=case.head_seq, head_hash=case.head_hash)
    if found is not None:
        return found, first_hash
    on_file = (await db.execute(sa.select(tasks).where(tasks.c.case_no == no))).all()
    asked = (await db.execute(sa.select(actions).where(actions.c.case_no == no))).all()
    told = (await db.execute(sa.select(notices).where(notices.c.case_no == no))).all()
    stopped = (await db.execute(sa.select(results).where(results.c.case_no == no))).all()
    posted = (await db.execute(sa.select(messages).where(messages.c.case_no == no))).all()
    put = await documents_of(db, no)
    asked_outside = await opinions_of(db, no)
    repaired = await repairs_of(db, no)
    differences = chain(
        _of_the_case(case, rows),
        _of_its_tasks({row.id: row for row in on_file}, rows),
        _of_its_actions({row.id: row for row in asked}, rows),
        _of_its_notices({row.id: row for row in told}, rows),
        _of_its_results(case.district, {(row.clock, row.round): row for row in stopped}, rows),
        _of_its_messages(posted, rows),
        of_its_documents(put, rows),
        of_its_opinions(asked_outside, rows),
        of_its_repairs(repaired, rows),
    )
    return next((Break(no, seq, why) for seq, why in differences), None), first_hash


def _of_the_case(case: AnyRow, rows: Sequence[AnyRow]) -> Iterator[tuple[int | None, str]]:
    content = parsed(case.content)
    if parsed(rows[0].body)["content_sha256"] != digest(case.content):
        yield 1, "the application's content was changed after it was submitted"
    copies = {
        "channel": content["channel"],
        "voltage": content["voltage"],
        "supply": content["supply"],
        "district": content["site"]["district"],
        "address": content["site"]["address"],
        "applicant_name": content["applicant"]["name"],
    }
    for column, value in copies.items():
        if case._mapping[column] != value:
            yield 1, f"the case's {column} is not the application's"
    invested = _last(rows, "accepted", "investment_decided")
    if (case.investment is None) != (invested is None) or (
        invested is not None and invested[1]["investment_sha256"] != digest(case.investment)
    ):
        yield invested and invested[0], "the decision on investment was changed"
    renewed = _last(rows, "follow_secret_renewed")
    if case.follow_generation != (renewed[1]["generation"] if renewed else 1):
        yield renewed and renewed[0], "which follow code counts was changed"
    ended = _last(rows, "ended")
    if (case.state, case.ending) != (("ended", ended[1]["ending"]) if ended else ("open", None)):
        yield ended and ended[0], "the case's state is not what its record says"


def _of_its_tasks(
    on_file: Mapping[str, AnyRow], rows: Sequence[AnyRow]
) -> Iterator[tuple[int | None, str]]:
    states = dict.fromkeys(on_file, "")
    owed: dict[str, tuple[int, str, str | None]] = {}
    reported: dict[str, tuple[int | None, str]] = {}
    for row in rows:
        body, task = parsed(row.body), on_file.get(row.task_id)
        match row.kind:
            case "task_opened":
                states[row.task_id] = "open"
                owed[row.task_id] = (row.seq, body["owed_by"], body["due_on"])
            case "calendar_changed":
                for task_id, moved in body["tasks"].items():
                    owed[task_id] = (row.seq, owed[task_id][1], moved["new"])
            case "task_reported":
                owed[row.task_id] = (row.seq, owed[row.task_id][1], body["due_on"])
                reported[row.task_id] = (row.seq, body["history_sha256"])
            case "task_decided":
                states[row.task_id] = "done"
                if (
                    task is None
                    or task.outcome is None
                    or (digest(task.outcome) != body["outcome_sha256"])
                ):
                    yield row.seq, f"the outcome of {row.task_id} was changed"
                elif (task.decided_by, task.is_late) != (row.by, body["is_late"]):
                    yield row.seq, f"who decided {row.task_id}, or whether late, was changed"
            case "ended":
                states |= dict.fromkeys(body["closed_tasks"], "closed")
            case _:
                pass
    for task_id, (seq, owed_by, owed_until) in owed.items():
        task = on_file.get(task_id)
        due_on = task and task.due_on and task.due_on.isoformat()
        if task is None or (task.owed_by, due_on) != (owed_by, owed_until):
            yield seq, f"who owes {task_id}, or until when, was changed"
    for task_id, task in sorted(on_file.items()):
        last_seq, history = reported.get(task_id, (None, digest("[]")))
        if digest(task.history) != history:
            yield last_seq, f"what was reported of {task_id} was changed"
        elif task.held_by != holder_of(history_of(task.history)):
            yield last_seq, f"who holds {task_id} is not what was reported"
        if task.outcome is not None and states[task_id] != "done":
            yield None, f"the outcome of {task_id} has no event"
        elif task.state != states[task_id]:
            yield None, f"the state of {task_id} is not what the record says"


def _of_its_actions(
    asked: Mapping[str, AnyRow], rows: Sequence[AnyRow]
) -> Iterator[tuple[int | None, str]]:
    for row in rows:
        body = parsed(row.body)
        if row.kind == "ended" and "action" in body:
            action = asked.get(body["action"])
            if action is None or digest(action.reason) != body["reason_sha256"]:
                yield row.seq, "the grounds of the action that ended the case were changed"
            elif (action.by, action.through) != (row.by, body.get("through")):
                yield row.seq, "who asked for the action that ended the case was changed"


def _of_its_notices(
    told: Mapping[str, AnyRow], rows: Sequence[AnyRow]
) -> Iterator[tuple[int | None, str]]:
    on_record: set[str] = set()
    replies: dict[str, str] = {}
    for row in rows:
        body = parsed(row.body)
        match row.kind:
            case "supervision_sent":
                on_record.add(row.once)
                notice = told.get(row.once)
                reply_by = notice and notice.reply_by and notice.reply_by.isoformat()
                if notice is None or (notice.recipient, reply_by) != (
                    body["recipient"],
                    body["reply_by"],
                ):
                    yield row.seq, f"the notice {row.once} was changed or taken out"
            case "calendar_changed":
                ids = {f"{row.once}.{task_id}" for task_id in body["tasks"]}
                ids |= {f"{row.once}.{row.case_no}"} if body["clocks"] else set()
                on_record |= ids
                for missing in sorted(ids - told.keys()):
                    yield row.seq, f"the notice {missing} was taken out"
            case "filed" | "opinion_given":
                on_record |= set(body.get("told", ()))
                for missing in sorted(set(body.get("told", ())) - told.keys()):
                    yield row.seq, f"the notice {missing} was taken out"
            case "task_reported" if body["is_told"]:
                on_record.add(row.once)
                if row.once not in told:
                    yield row.seq, f"the notice {row.once} was taken out"
            case "notice_replied":
                replies[body["notice"]] = body["reply_sha256"]
            case _:
                pass
    for notice_id, notice in sorted(told.items()):
        if notice_id not in on_record:
            yield None, f"the notice {notice_id} has no event"
        elif (notice.reply and digest(notice.reply)) != replies.get(notice_id):
            yield None, f"the reply to {notice_id} is not what the record says"


def _of_its_results(
    district: str, stopped: Mapping[tuple[str, int], AnyRow], rows: Sequence[AnyRow]
) -> Iterator[tuple[int | None, str]]:
    on_record: set[tuple[str, int]] = set()
    for row in rows:
        if row.kind not in ("ended", "bundle_concluded"):
            continue
        body = parsed(row.body)
        # Clocks that stopped before results were kept have none.
        for clock, figures in body.get("clocks", {}).items():
            key = (clock, body.get("round", 0))
            on_record.add(key)
            result = stopped.get(key)
            if result is None:
                yield row.seq, f"the result of {clock} was taken out"
            elif result.district != district or figures != figures_text(
                {name: result._mapping[name] for name in figures}
            ):
                yield row.seq, f"the result of {clock} was changed"
    for clock, round_no in sorted(stopped.keys() - on_record):
        yield None, f"the result of {clock}, round {round_no}, has no event"


def _of_its_messages(
    posted: Sequence[AnyRow], rows: Sequence[AnyRow]
) -> Iterator[tuple[int | None, str]]:
    """Check that systems are told of nothing that did not happen.

    That none is missing cannot be seen: whether an agency has a system is not on record.
    """
    on_record: dict[str, str | None] = {}
    revisions: set[int] = set()
    for row in rows:
        body = parsed(row.body)
        match row.kind:
            case "ended":
                on_record |= {f"withdrawn.{task_id}": None for task_id in body["closed_tasks"]}
            case "calendar_changed":
                for task_id, moved in body["tasks"].items():
                    on_record[f"{row.once}.{task_id}"] = moved["new"]
            case "task_reported":
                on_record[row.once] = body["due_on"]
            case "permits_listed":
                revisions.add(body["round"])
            case _:
                pass
    for message in sorted(posted, key=lambda each: int(each.number)):
        body = parsed(message.body)
        if message.kind == "revised" and body["round"] in revisions:
            on_record[f"revised.{message.task_id}.{body['round']}"] = None
        if message.id not in on_record:
            yield None, f"the message {message.id} has no event"
        elif body["new_due_on"] != on_record[message.id]:
            yield None, f"the message {message.id} is not what the record says"


async def break_of_calendars(db: AsyncConnection) -> Break | None:
    """Check the versions of the calendar: numbered without gaps, each chained to the one before."""
    previous = GENESIS
    rows = (await db.execute(sa.select(calendars).order_by(calendars.c.number))).all()
    for count, row in enumerate(rows, start=1):
        fields_of_version = [row._mapping[name] for name in VERSION_FIELDS]
        if row.number != count or row.prev_hash != previous:
            return Break(None, None, f"version {count} of the calendar is missing")
        if fields_hash(*fields_of_version) != row.hash:
            return Break(None, None, f"version {count} of the calendar was changed")
        previous = row.hash
    return None


async def break_of_acts(db: AsyncConnection) -> Break | None:
    """Check what administrators did: numbered without gaps, each chained to the one before."""
    previous = GENESIS
    rows = (await db.execute(sa.select(admin_acts).order_by(admin_acts.c.number))).all()
    for count, row in enumerate(rows, start=1):
        if row.number != count or row.prev_hash != previous:
            return Break(None, None, f"administrators' act {count} is missing")
        if fields_hash(*(row._mapping[name] for name in ACT_FIELDS)) != row.hash:
            return Break(None, None, f"administrators' act {count} was changed")
        previous = row.hash
    return None


def _last(rows: Sequence[AnyRow], *kinds: str) -> tuple[int, Mapping[str, Any]] | None:
    found = [(row.seq, parsed(row.body)) for row in rows if row.kind in kinds]
    return found[-1] if found else None
