"""Following a case by number and secret: what an applicant sees of it, and does (RB-10.3).

The secret is shown in a header, never in an address. Whoever shows it is the applicant, of this one
case: the same functions take their answers that take those of agencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response, Security
from fastapi.security import APIKeyHeader

from activities.contract import civil_text, task_title
from api import documents
from api.applications import IdempotencyKey, acted
from api.auth import Caller, SignedIn
from api.case_secrets import Admitted, following_off
from api.documents import Sha256
from api.following_schemas import FollowedBody, RenewedSecret, Through
from api.opinions import UNKEPT
from api.problems import WRONG_SECRET, Refused
from api.responses import spelled
from api.schemas import ACTION_EXAMPLE, ActionRequest, refusals
from api.services import Services, Serving
from api.tasks import answered, task_id_of
from api.views import clock_bodies
from domain.access import APPLICANT, Act
from domain.clocks import Light, light_of_due
from domain.connection import ACTIONS, Action, TaskKind, Voltage, outcomes_of
from domain.documents import file_name
from domain.errors import NotYourTask, UnknownCase, UnknownDocument, UnknownTask
from domain.light_words import light_words
from domain.naming import is_case_no
from domain.outcomes import Outcome
from domain.policy import Policy
from domain.words import Words
from domain.working_time import Calendar
from policy.loader import policy_for
from storage.reading import CaseRecord
from storage.records import TaskRecord

public = APIRouter(prefix="/public/cases", tags=["open to all"])
router = APIRouter(prefix="/applications", tags=["applications"])

OUTCOME_EXAMPLES: dict[str, Any] = {
    "plan agreed": {"value": {"code": "agreed"}},
    "plan to be revised": {"value": {"code": "revise", "note": "请将电源点移至厂区东侧。"}},
    "works finished": {"value": {"code": "finished"}},
}

# What each task of an applicant answers to: what somebody else decided just before.
_GROUND_OF: Mapping[TaskKind, TaskKind] = {
    TaskKind.CORRECT_PAPERS: TaskKind.CHECK_PAPERS,
    TaskKind.CONFIRM_PLAN: TaskKind.SUPPLY_PLAN,
    TaskKind.CUSTOMER_WORKS: TaskKind.SUPPLY_PLAN,
    TaskKind.RECTIFICATION: TaskKind.INSPECTION,
}
_DIGITS = re.compile("[0-9０-９]+")

_SHOWN = APIKeyHeader(
    name="Case-Secret",
    scheme_name="CaseSecret",
    auto_error=False,
    description="The secret that was handed over with the case number, e.g. `7KQF-2MRT-XH9C-AWG4`",
)
CaseNo = Annotated[str, Path(max_length=40)]


async def admitted(
    no: CaseNo,
    request: Request,
    services: Serving,
    secret: Annotated[str | None, Security(_SHOWN)],
) -> Admitted:
    if not services.secrets.is_on:
        raise following_off()
    if not secret:
        raise Refused(
            WRONG_SECRET,
            "send the secret of the case as 'Case-Secret: <secret>'",
            "请以 Case-Secret: <查询码> 方式提供查询码",
            headers={"WWW-Authenticate": 'Case-Secret realm="case"'},
        )
    address = request.client.host if request.client else ""
    return await services.secrets.admitted(no, secret, address=address, at=services.now())


Follower = Annotated[Admitted, Depends(admitted)]
"""Somebody who has shown the secret of the case in the address."""


# ---------------------------------------------------------------- the applicant


@public.get(
    "/{no}",
    name=Act.FOLLOW_CASE,
    response_model=FollowedBody,
    summary="Follow a case by number and secret (进度查询)",
    responses=refusals(401, 404, 422, 429),
)
async def get_followed(follower: Follower, services: Serving) -> Response:
    """Show where a case stands, what is owed by whom, and what the applicant owes.

    Without a key: the secret is what the desk handed over. Whether a number exists makes no
    difference to the answer. After five wrong secrets a case takes none for 15 minutes.
    """
    return spelled(await followed(follower.no, services), 200, UNKEPT)


@public.put(
    "/{no}/tasks/{task_id}/outcome",
    name=Act.ANSWER_AS_APPLICANT,
    response_model=FollowedBody,
    summary="Answer a task as the applicant",
    responses={
        202: {"model": FollowedBody, "description": "On file; taken up when the engine is back"},
        **refusals(400, 401, 403, 404, 409, 413, 422, 429),
    },
)
async def put_own_outcome(
    task_id: str,
    outcome: Annotated[Outcome, Body(openapi_examples=OUTCOME_EXAMPLES)],
    follower: Follower,
    services: Serving,
) -> Response:
    """Put the applicant's answer on file, once: the same again is 200, another is 409."""
    status = await answer(follower.no, task_id, outcome, services, "follow_api")
    return spelled(await followed(follower.no, services), status, UNKEPT)


@public.get(
    "/{no}/tasks/{task_id}/documents/{sha256}",
    name=Act.FOLLOW_CASE,
    response_class=Response,
    summary="A document that an own task is about",
    responses={
        200: {"description": "As it was put", "content": documents.BINARY},
        **refusals(401, 403, 404, 422, 429),
    },
)
async def get_own_document(
    task_id: str, sha256: Sha256, follower: Follower, services: Serving
) -> Response:
    """Give back a document that a task of the applicant is about, e.g. the supply plan."""
    return await document(follower.no, task_id, sha256, services)


@public.post(
    "/{no}/actions",
    name=Act.ANSWER_AS_APPLICANT,
    response_model=FollowedBody,
    summary="Withdraw one's own application",
    responses=refusals(400, 401, 404, 409, 413, 422, 429, 503),
)
async def act_as_applicant(
    body: Annotated[ActionRequest, Body(examples=[ACTION_EXAMPLE])],
    key: IdempotencyKey,
    follower: Follower,
    services: Serving,
) -> Response:
    """Withdraw the application. Answered once the case file says so; repeating it is safe."""
    await withdraw(follower.no, body, key, services, "follow_api")
    return spelled(await followed(follower.no, services), 200, UNKEPT)


# ---------------------------------------------------------------- the desk


@router.post(
    "/{no}/follow-secret",
    name=Act.RENEW_FOLLOW_SECRET,
    status_code=201,
    response_model=RenewedSecret,
    summary="Give the applicant a new secret (更换查询码)",
    responses={
        200: {"model": RenewedSecret, "description": "Given before, under the same key"},
        **refusals(401, 403, 404, 422),
    },
)
async def renew_secret(
    no: str, key: IdempotencyKey, caller: SignedIn, services: Serving
) -> Response:
    """Put another secret in the place of one that was lost, or seen by somebody else.

    The one before ends at once, and every visit that was begun with it.
    """
    shown, is_new = await renewed(no, key, caller, services)
    return spelled(shown, 201 if is_new else 200, UNKEPT)


async def renewed(
    no: str, key: str, caller: Caller, services: Services, account: str | None = None
) -> tuple[Mapping[str, Any], bool]:
    """Give a case a new secret, once per key; return it, and whether it is new.

    Args:
        account: whose hand it was, where that is known.

    Raises:
        Refused: the caller is not the desk, or it is off here.
        UnknownCase: there is no such case.
    """
    caller.needs(Act.RENEW_FOLLOW_SECRET)
    if not services.secrets.is_on:
        raise following_off()
    if not is_case_no(no):
        raise UnknownCase(no)
    case = await services.reading.case(no)
    given = await services.secrets.following.renew(
        no, by=caller.agency, account=account, key=key, at=case.clock.civil(services.now())
    )
    secret = services.secrets.of(no, given.generation) if given.is_current else None
    return {"no": no, "follow_secret": secret, "generation": given.generation}, given.is_new


# ---------------------------------------------------------------- what both API and pages do


async def answer(
    no: str, task_id: str, outcome: Outcome, services: Services, through: Through
) -> int:
    """Answer a task as the applicant of a case; return 202 if the process hears of it later.

    Raises:
        OneWindowError: the task is another's, or the outcome is refused.
    """
    task = await _own_task(no, task_id, services)
    caller = Caller(task.owed_by, APPLICANT)
    _, status = await answered(task.id, outcome, caller, services, through)
    return status


async def withdraw(
    no: str, body: ActionRequest, key: str, services: Services, through: Through
) -> None:
    """Withdraw a case as its applicant.

    Raises:
        OneWindowError: it has ended, is past that, or the process does not answer.
    """
    case = await services.reading.case(no)
    by = _applicant_of(policy_for(case.policy))
    await acted(case, body, key, by, services, through)


async def document(no: str, task_id: str, sha256: str, services: Services) -> Response:
    """Give back a document that a task of the applicant is about.

    Raises:
        OneWindowError: the task is another's, or has no such document.
    """
    task = await _own_task(no, task_id, services)
    ground = _ground_of(task, await services.reading.tasks_of(no))
    if ground is None:
        raise UnknownDocument(task.id, sha256)
    return await documents.saved(ground.id, sha256, services)


async def _own_task(no: str, task_id: str, services: Services) -> TaskRecord:
    """Return a task of this case that the applicant owes.

    Raises:
        UnknownTask: it is none of this case; whether of another, is not told.
        NotYourTask: another agency owes it.
    """
    task = await services.reading.task(task_id_of(task_id))
    if task.case_no != no:
        raise UnknownTask(task_id)
    if policy_for(task.policy).agencies[task.owed_by].role != APPLICANT:
        raise NotYourTask(task.id, task.owed_by, APPLICANT)
    return task


def _applicant_of(policy: Policy) -> str:
    return next(i for i, agency in policy.agencies.items() if agency.role == APPLICANT)


# ---------------------------------------------------------------- what is shown


async def followed(no: str, services: Services) -> Mapping[str, Any]:
    """Return a case as its applicant may see it."""
    case, _, tasks = await services.reading.case_at_once(no)
    policy = policy_for(case.policy)
    days = (await services.calendars.version(case.calendar)).calendar
    view = _View(case, tasks, policy, days, case.clock.civil(services.now()))
    applicant = case.content["applicant"]
    district = policy.districts.get(case.district)
    through = {
        event.task_id: event.body.get("through")
        for event in await services.reading.events(no)
        if event.kind == "task_decided"
    }
    return {
        "no": case.no,
        "state": case.state,
        "ending": case.ending,
        "voltage": case.voltage,
        "capacity_kva": case.content["capacity_kva"],
        "applicant": masked_name(applicant["name"], applicant["kind"]),
        "site": _DIGITS.sub("*", case.address),
        "district": district and {"zh": district.zh, "en": district.en},
        "investment": case.investment and case.investment["decision"],
        "submitted_at": civil_text(case.submitted_at),
        "accepted_at": case.accepted_at and civil_text(case.accepted_at),
        "ended_at": case.ended_at and civil_text(case.ended_at),
        "may_withdraw": _may_withdraw(case),
        "links": list(view.links()),
        "clocks": list(view.clocks()),
        "owed": list(view.owed()),
        "yours": [await _yours(task, tasks, policy, services) for task in view.own_open()],
        "story": list(view.story(through)),
    }


def masked_name(name: str, kind: str) -> str:
    """Hide most of a name: whoever bears it knows it, others do not learn it (RB-10.3)."""
    first, last = (2, 2) if kind == "enterprise" and len(name) > 4 else (1, 0)
    hidden = max(1, len(name) - first - last)
    return name[:first] + "*" * hidden + (name[-last:] if last else "")


def _may_withdraw(case: CaseRecord) -> bool:
    allowed = ACTIONS[Action.WITHDRAW]
    return case.state == "open" and (case.reached is None or TaskKind(case.reached) in allowed)


def _ground_of(task: TaskRecord, tasks: Sequence[TaskRecord]) -> TaskRecord | None:
    wanted = _GROUND_OF.get(task.kind)
    before = [each for each in tasks if each.kind is wanted and each.state == "done"]
    return max(before, key=lambda each: each.round, default=None)


async def _yours(
    task: TaskRecord, tasks: Sequence[TaskRecord], policy: Policy, services: Services
) -> Mapping[str, Any]:
    turns = outcomes_of(task.kind, task.facts.voltage, task.round)
    ground = _ground_of(task, tasks)
    return {
        "id": task.id,
        "kind": task.kind,
        "what": task_title(task.kind, None, policy),
        "opened_at": civil_text(task.opened_at),
        "outcomes": list(turns),
        "needs_note": [code for code, turn in turns.items() if "note" in turn.needs],
        "ground": ground and await _ground(ground, policy, services),
    }


async def _ground(task: TaskRecord, policy: Policy, services: Services) -> Mapping[str, Any]:
    said = task.outcome or {}
    agency = policy.agencies[task.owed_by]
    return {
        "by": {"zh": agency.zh, "en": agency.en},
        "at": task.done_at and civil_text(task.done_at),
        "code": said["code"],
        "note": said.get("note"),
        "document_no": said.get("document_no"),
        "missing": said.get("missing", []),
        "documents": [
            {
                "sha256": each.sha256,
                "name": file_name(each.sha256, each.media_type, each.name),
                "media_type": each.media_type,
                "size": each.size,
            }
            for each in await services.documents.about(task.id)
        ],
    }


@dataclass(frozen=True, slots=True)
class _View:
    """A case, and with what its dates are read."""

    case: CaseRecord
    tasks: Sequence[TaskRecord]
    policy: Policy
    days: Calendar
    civil_now: datetime

    def _is_yours(self, task: TaskRecord) -> bool:
        return self.policy.agencies[task.owed_by].role == APPLICANT

    def _by(self, agency: str) -> Mapping[str, str]:
        named = self.policy.agencies[agency]
        return {"zh": named.zh, "en": named.en}

    def own_open(self) -> list[TaskRecord]:
        """Return what the applicant owes now."""
        return [each for each in self.tasks if each.state == "open" and self._is_yours(each)]

    def links(self) -> Iterator[Mapping[str, Any]]:
        """Yield the links, past, now and ahead (RB-6.1)."""
        links = self.policy.links[Voltage(self.case.voltage)]
        reached = next((i for i, each in enumerate(links) if each.id == self.case.stage), 0)
        if self.case.ending == "connected":
            reached = len(links)
        for i, link in enumerate(links):
            standing = "past" if i < reached else "now" if i == reached else "ahead"
            yield {"id": link.id, "zh": link.zh, "en": link.en, "standing": standing}

    def clocks(self) -> Iterator[Mapping[str, Any]]:
        """Yield the clocks of the case and of its bundles; each department's is its own affair."""
        bodies = clock_bodies(self.case, self.tasks, self.policy, self.civil_now, self.days)
        for body in bodies:
            if body["department"] is None:
                plain = {
                    name: body[name]
                    for name in (
                        *("id", "zh", "en", "limit", "left", "due_on", "is_provisional", "light"),
                        *("state", "started_on", "stopped_on", "clause"),
                    )
                }
                why = body["why"] and body["why"]["words"]
                plain["covers"] = self.policy.clocks[body["id"]].covers
                yield {**plain, "words": clock_words(body)._asdict(), "why": why}

    def owed(self) -> Iterator[Mapping[str, Any]]:
        """Yield what is owed now, due first."""
        is_open = (task for task in self.tasks if task.state == "open")
        for task in sorted(is_open, key=lambda task: (task.due_on or date.max, task.id)):
            light, left, words = self._lit(task)
            yield {
                "what": task_title(task.kind, None, self.policy),
                "by": self._by(task.owed_by),
                "is_yours": self._is_yours(task),
                "since": civil_text(task.opened_at),
                "due_on": task.due_on and task.due_on.isoformat(),
                "is_provisional": task.is_provisional,
                "light": light,
                "left": left,
                "words": words._asdict(),
            }

    def _lit(self, task: TaskRecord) -> tuple[Light | None, int | None, Words]:
        if task.is_suspended:
            return None, None, Words("计时中止", "Clock suspended")
        if task.due_on is None:
            return None, None, Words("无期限", "No limit")
        hours, yellow_at = self.policy.working_time.hours, self.policy.lights.yellow_at
        light, left = light_of_due(task.due_on, self.civil_now, self.days, hours, yellow_at)
        return light, left, light_words(light, left)

    def story(self, through: Mapping[str | None, str | None]) -> Iterator[Mapping[str, Any]]:
        """Yield what happened, latest first.

        Args:
            through: which way the outcome of each task came, as far as that is on record.
        """
        steps = [_moment("收到用电申请", "Application received", self.case.submitted_at)]
        if self.case.accepted_at:
            steps.append(_moment("正式受理", "Accepted", self.case.accepted_at))
        steps += [self._step(task, through.get(task.id)) for task in self.tasks]
        if self.case.ended_at:
            steps.append(_moment("办结", "Ended", self.case.ended_at))
        # What began in the same second comes latest first, too.
        in_order = sorted(enumerate(steps), key=lambda step: (step[1]["at"], step[0]))
        yield from (step for _, step in reversed(in_order))

    def _step(self, task: TaskRecord, through: str | None) -> Mapping[str, Any]:
        is_yours = self._is_yours(task)
        said = (task.outcome or {}) if is_yours else {}
        return {
            "what": task_title(task.kind, None, self.policy),
            "by": self._by(task.owed_by),
            "at": civil_text(task.opened_at),
            "until": task.done_at and civil_text(task.done_at),
            "state": task.state,
            "is_late": task.is_late,
            "is_yours": is_yours,
            "answer": said.get("code"),
            "note": said.get("note"),
            "through": through if is_yours else None,
        }


def _moment(zh: str, en: str, at: datetime) -> Mapping[str, Any]:
    return {
        "what": {"zh": zh, "en": en},
        "by": None,
        "at": civil_text(at),
        "until": None,
        "state": "done",
        "is_late": False,
        "is_yours": False,
        "answer": None,
        "note": None,
        "through": None,
    }


def clock_words(clock: Mapping[str, Any]) -> Words:
    """Say how a clock stands, of which the API shows the figures."""
    if clock["limit"] is None:
        return Words("仅跟踪，无限额", "Tracked, no limit")
    if clock["state"] == "stopped":
        is_met = clock["net"] <= clock["limit"]
        return Words(
            f"已停表：用 {clock['net']} 个工作日，{'未超' if is_met else '超过'}{clock['limit']}",
            f"Stopped: {clock['net']} used, {'within' if is_met else 'over'} {clock['limit']}",
        )
    words = light_words(Light(clock["light"]), clock["left"])
    if clock["state"] == "suspended":
        return Words(f"{words.zh}（计时中止）", f"{words.en} (suspended)")
    return words
