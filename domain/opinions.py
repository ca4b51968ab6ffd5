"""Opinions: what units without an account are asked about a task, and answer by a link (征求意见).

An opinion never decides anything: the agency that asked weighs it and answers for its own outcome.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import FieldProblem, InputRefused, LimitReached
from domain.outcomes import Text
from domain.route import IsoDate

Unit = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"),
]

MOST_OPEN = 20
"""How many opinions of one task may be awaited at a time."""
LONGEST = timedelta(days=366)


class View(StrEnum):
    """What a unit can say."""

    AGREE = "agree"
    DISAGREE = "disagree"
    REMARKS = "remarks"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Question(_Body):
    """The body of `POST /tasks/{id}/opinions`.

    Attributes:
        unit: who is asked: a unit, not a person.
        question: shown to whoever has the link.
        answer_by: last civil date on which the link takes an answer.
    """

    unit: Unit
    question: Text
    answer_by: IsoDate


class Opinion(_Body):
    """The body of `PUT /opinions/{token}`.

    Attributes:
        text: grounds and remarks; only who agrees may leave it out.
        by_unit: who answers, as it calls itself.
    """

    opinion: Annotated[View, Field(strict=False)]
    text: Text | None = None
    by_unit: Unit


def check_question(question: Question, on: date) -> None:
    """Refuse a question that says nothing, or that nobody could answer in time.

    Args:
        on: civil date of receipt.

    Raises:
        InputRefused: it is blank; the last day has passed, or is a slip of the pen.
    """
    problems = []
    if not question.question.strip():
        problems.append(FieldProblem("question", "say what is asked", "请写明征求意见的内容"))
    latest = on + LONGEST
    if not on <= question.answer_by <= latest:
        problems.append(
            FieldProblem(
                "answer_by",
                f"choose a day from {on} to {latest}",
                f"答复期限须在 {on} 至 {latest} 之间",
            )
        )
    if problems:
        raise InputRefused(*problems)


def check_opinion(opinion: Opinion) -> None:
    """Refuse an opinion that does not say what it must.

    Raises:
        InputRefused: it disagrees or remarks without a word.
    """
    if opinion.opinion is not View.AGREE and not (opinion.text or "").strip():
        raise InputRefused(
            FieldProblem(
                "text", f"required with {opinion.opinion}", "不同意或提出意见时须写明理由或内容"
            )
        )


def too_many() -> LimitReached:
    """Return the refusal of one question more than may be open."""
    return LimitReached(
        MOST_OPEN,
        f"{MOST_OPEN} opinions of a task may be awaited at a time; wait for one, or decide",
        f"每项任务同时征求的意见最多 {MOST_OPEN} 份，请等待答复，或直接作出决定",
    )


def is_over(answer_by: date, on: date) -> bool:
    """Whether the last day for an answer has passed."""
    return on > answer_by
