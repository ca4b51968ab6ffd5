"""What may be asked of a unit without an account, and what it may say (征求意见)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import InputRefused
from domain.opinions import (
    LONGEST,
    Opinion,
    Question,
    View,
    check_opinion,
    check_question,
    is_over,
)

TODAY = date(2026, 9, 16)
QUESTION: dict[str, Any] = {
    "unit": "示例街道办",
    "question": "有何意见？",
    "answer_by": "2026-09-18",
}


@pytest.mark.parametrize("days", [0, 1, LONGEST.days])
def test_a_question_can_be_answered_today_or_later(days: int) -> None:
    asked = {**QUESTION, "answer_by": TODAY + timedelta(days=days)}
    check_question(Question.model_validate(asked), TODAY)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"answer_by": "2026-09-15"}, ["answer_by"]),
        ({"answer_by": "2027-09-18"}, ["answer_by"]),
        ({"answer_by": "9999-12-31"}, ["answer_by"]),
        ({"answer_by": "0001-01-01"}, ["answer_by"]),
        ({"question": "\n \u3000"}, ["question"]),
        ({"question": " ", "answer_by": "2020-01-01"}, ["question", "answer_by"]),
    ],
)
def test_a_question_that_nobody_could_answer_is_refused(
    changes: dict[str, str], fields: list[str]
) -> None:
    with pytest.raises(InputRefused) as refused:
        check_question(Question.model_validate({**QUESTION, **changes}), TODAY)
    assert [each.field for each in refused.value.problems] == fields


@pytest.mark.parametrize(
    "changes",
    [
        {"answer_by": "20260918"},
        {"answer_by": "2026-09-31"},
        {"answer_by": 1789000000},
        {"unit": ""},
        {"unit": " "},
        {"unit": "a\nb"},
        {"unit": "长" * 201},
        {"question": ""},
        {"question": "\x00"},
        {"question": "长" * 2001},
        {"phone": "13800000001"},
    ],
)
def test_a_question_of_another_shape_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Question.model_validate({**QUESTION, **changes})


@pytest.mark.parametrize(
    ("view", "text", "is_taken"),
    [
        (View.AGREE, None, True),
        (View.AGREE, "同意", True),
        (View.DISAGREE, "管线冲突", True),
        (View.REMARKS, "请先交底", True),
        (View.DISAGREE, None, False),
        (View.REMARKS, None, False),
        (View.DISAGREE, " \n", False),
    ],
)
def test_only_who_agrees_may_leave_out_the_words(
    view: View, text: str | None, is_taken: bool
) -> None:
    opinion = Opinion(opinion=view, text=text, by_unit="示例街道办")
    if is_taken:
        check_opinion(opinion)
        return
    with pytest.raises(InputRefused) as refused:
        check_opinion(opinion)
    assert [each.field for each in refused.value.problems] == ["text"]


@pytest.mark.parametrize(
    ("on", "over"),
    [(date(2026, 9, 17), False), (date(2026, 9, 18), False), (date(2026, 9, 19), True)],
)
def test_the_last_day_counts(on: date, over: bool) -> None:
    assert is_over(date(2026, 9, 18), on) is over
