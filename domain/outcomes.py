"""Outcomes: what an agency answers to a task, and whether the answer is complete (RB-4.5, RB-6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.connection import Code, TaskKind, Voltage, outcomes_of
from domain.errors import FieldProblem, InputRefused
from domain.policy import ItemOutcome
from domain.route import IsoDate, Route

Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$")]


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

LONGEST_TO_FOLLOW = timedelta(days=366)
"""A date further off is a slip of the pen."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class ItemAnswer(_Body):
    """A department's decision on one permit item (RB-4.5).

    Attributes:
        document_no, document_on, document: number and civil date of the department's own document
            that states the decision, and the SHA-256 of the file of it, put with the task before.
        note: grounds and conditions, in words; required with a refusal.
        papers, papers_by: what is to follow (容缺) and until which civil date; only with
            `papers_to_follow`.
    """

    item: Line
    outcome: ItemOutcome
    document_no: Line | None = None
    document_on: IsoDate | None = None
    document: Digest | None = None
    note: Text | None = None
    papers: list[Line] | None = Field(default=None, min_length=1, max_length=20)
    papers_by: IsoDate | None = None


class Outcome(_Body):
    """The body of `PUT /tasks/{id}/outcome`.

    Attributes:
        code: one of the task's `outcomes`.
        note: grounds, in words; required where the outcome ends or sends back something.
        document_no, document: the agency's own number of the document that states the decision,
            and the SHA-256 of the file of it, put with the task before.
        missing: `correction_needed` only: everything that is missing, at once (RB-3.5).
        items: `permits` only: one answer per item asked.
        competent: `not_competent` only: the department that is, instead.
        route: `designed` (required) and `surveyed` (if there is an external line).
        is_central_urban: `accepted` and `surveyed`, where the task asks for it (RB-7.4).
    """

    code: Code = Field(strict=False)
    note: Text | None = None
    document_no: Line | None = None
    document: Digest | None = None
    missing: list[Line] | None = Field(default=None, min_length=1, max_length=20)
    items: list[ItemAnswer] | None = Field(default=None, min_length=1, max_length=50)
    competent: Line | None = None
    route: Route | None = None
    is_central_urban: bool | None = None

    @property
    def documents(self) -> frozenset[str]:
        """Digests of the documents it names."""
        named = (self.document, *(item.document for item in self.items or ()))
        return frozenset(each for each in named if each is not None)


_AREA_CODES = frozenset({Code.ACCEPTED, Code.SURVEYED})
_ROUTE_CODES = frozenset({Code.DESIGNED, Code.SURVEYED})
_ONLY_WITH: Mapping[str, frozenset[Code]] = {
    "missing": frozenset({Code.CORRECTION_NEEDED}),
    "items": frozenset({Code.ANSWERED}),
    "competent": frozenset({Code.NOT_COMPETENT}),
    "route": _ROUTE_CODES,
    "is_central_urban": _AREA_CODES,
}


def check_outcome(
    outcome: Outcome,
    *,
    kind: TaskKind,
    voltage: Voltage,
    round_no: int,
    asked_items: Collection[str],
    asks_area: bool,
    on: date,
    others: Collection[str] = (),
    documents: Collection[str] = (),
) -> None:
    """Refuse an outcome that this task cannot have, or that is not complete.

    Args:
        asked_items: names of the permit items the task carries; empty for other kinds.
        asks_area: whether a person must say if the address is central urban (RB-7.4).
        on: civil date of receipt.
        others: departments that may be named as competent instead.
        documents: digests of the documents that were put with the task.

    Raises:
        InputRefused: names every field that is wrong.
    """
    turns = outcomes_of(kind, voltage, round_no)
    if outcome.code not in turns:
        possible = ", ".join(turns)
        raise InputRefused(
            FieldProblem(
                "code",
                f"a {kind} task cannot come out as {outcome.code}; possible: {possible}",
                f"{kind} 任务不能以 {outcome.code} 办结；可选：{possible}",
            )
        )
    problems = [
        FieldProblem(
            need, f"required when the code is {outcome.code}", f"结果为 {outcome.code} 时必填"
        )
        for need in turns[outcome.code].needs
        if getattr(outcome, need) is None
    ]
    problems += [
        FieldProblem(
            name,
            f"does not belong to an outcome {outcome.code}",
            f"结果为 {outcome.code} 时不应填写",
        )
        for name, codes in _ONLY_WITH.items()
        if getattr(outcome, name) is not None and outcome.code not in codes
    ]
    if asks_area and outcome.code in _AREA_CODES and outcome.is_central_urban is None:
        problems.append(
            FieldProblem(
                "is_central_urban",
                "say whether the address is in the central urban area: the area table does not",
                "区域表未能确定该地址是否属于中心城区，请填写",
            )
        )
    named = {"document": outcome.document}
    if outcome.items is not None and outcome.code is Code.ANSWERED:
        problems += _item_problems(outcome.items, asked_items, on)
        named |= {f"items.{i}.document": each.document for i, each in enumerate(outcome.items)}
    problems += [
        FieldProblem(
            field,
            "no such document was put with this task; put it first",
            "本任务没有此文件，请先上传",
        )
        for field, document in named.items()
        if document is not None and document not in documents
    ]
    if outcome.competent is not None and outcome.competent not in others:
        possible = ", ".join(sorted(others))
        problems.append(
            FieldProblem(
                "competent",
                f"name another department that was not asked for this yet: {possible or 'none'}; "
                "if none is left, answer the items",
                f"请填写尚未征询的其他主管部门：{possible or '无'}；如无，请逐项答复",
            )
        )
    if problems:
        raise InputRefused(*problems)


def _item_problems(
    answers: list[ItemAnswer], asked: Collection[str], on: date
) -> list[FieldProblem]:
    problems = []
    seen: set[str] = set()
    for position, answer in enumerate(answers):
        field = f"items.{position}.item"
        if answer.item not in asked:
            problems.append(
                FieldProblem(field, f"{answer.item} was not asked", f"未要求办理 {answer.item}")
            )
        elif answer.item in seen:
            problems.append(
                FieldProblem(field, f"{answer.item} is answered twice", f"{answer.item} 重复答复")
            )
        seen.add(answer.item)
        if answer.outcome in ("refused", "not_accepted") and answer.note is None:
            problems.append(
                FieldProblem(
                    f"items.{position}.note",
                    "a refusal needs its grounds",
                    "不予许可或不予受理须说明理由",
                )
            )
        problems += _papers_problems(answer, f"items.{position}", on)
        if answer.document_on is not None and answer.document_on > on:
            problems.append(
                FieldProblem(
                    f"items.{position}.document_on", f"lies after today, {on}", f"晚于今日 {on}"
                )
            )
    problems += [
        FieldProblem("items", f"{item} is not answered", f"未答复 {item}")
        for item in asked
        if item not in seen
    ]
    return problems


def _papers_problems(answer: ItemAnswer, where: str, on: date) -> list[FieldProblem]:
    """RB-4.5: papers may follow (容缺), but it is said which, and until when."""
    if answer.outcome != "papers_to_follow":
        return [
            FieldProblem(
                f"{where}.{name}",
                f"does not belong to {answer.outcome}",
                "只有容缺通过才填写此项",
            )
            for name in ("papers", "papers_by")
            if getattr(answer, name) is not None
        ]
    problems = []
    if answer.papers is None:
        problems.append(
            FieldProblem(f"{where}.papers", "say which papers follow", "请列明后补的材料")
        )
    latest = on + LONGEST_TO_FOLLOW
    if answer.papers_by is None or not on < answer.papers_by <= latest:
        problems.append(
            FieldProblem(
                f"{where}.papers_by",
                f"say until when they follow, after {on} and by {latest}",
                f"请填写补齐期限，须晚于 {on} 且不晚于 {latest}",
            )
        )
    return problems
