"""What `GET /calendar/deadline` answers, and the example its description shows."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.schemas import CountedDayBody, Shown, Texts, WordsBody


class DerivedDayBody(CountedDayBody):
    """A day on the way, with its name."""

    weekday: Texts


class DeadlineBody(Shown):
    """When a limit runs out, and why (RB-1.8).

    Attributes:
        from_: as asked; an instant in Shanghai time.
        received_on: the civil date after which counting begins (RB-1.5).
        notices: what each year on the way rests on; null where no notice is out yet (RB-1.6).
    """

    from_: str = Field(alias="from")
    received_on: str
    received_weekday: Texts
    working_days: int
    due_on: str
    due_weekday: Texts
    is_provisional: bool
    calendar_version: str
    notices: dict[str, str | None]
    days: list[DerivedDayBody]
    words: WordsBody


_NOTICE = "国务院办公厅关于2026年部分节假日安排的通知（国办发明电〔2025〕7号）"

CALENDAR_EXAMPLES: dict[str, dict[str, Any]] = {
    "DeadlineBody": {
        "from": "2026-10-09T10:00:00+08:00",
        "received_on": "2026-10-09",
        "received_weekday": {"zh": "周五", "en": "Friday"},
        "working_days": 2,
        "due_on": "2026-10-12",
        "due_weekday": {"zh": "周一", "en": "Monday"},
        "is_provisional": False,
        "calendar_version": "cn-2026.1",
        "notices": {"2026": _NOTICE},
        "days": [
            {
                "date": "2026-10-10",
                "weekday": {"zh": "周六", "en": "Saturday"},
                "kind": "make_up",
                "verdict": "counted",
                "count": 1,
                "is_published": True,
            },
            {
                "date": "2026-10-11",
                "weekday": {"zh": "周日", "en": "Sunday"},
                "kind": "weekend",
                "verdict": "weekend",
                "count": 1,
                "is_published": True,
            },
            {
                "date": "2026-10-12",
                "weekday": {"zh": "周一", "en": "Monday"},
                "kind": "workday",
                "verdict": "counted",
                "count": 2,
                "is_published": True,
            },
        ],
        "words": {
            "zh": [
                "2026年10月9日（周五）受理，当日不计，次日起算（民法典第201条）。期限为2个工作日。",
                (
                    "10月10日（周六）为调休上班日，计为第1个工作日；10月11日（周日）为周末，不计；"
                    "10月12日（周一）为第2个工作日。"
                ),
                "因此截止日为2026年10月12日（周一），当日办结即为按期。",
                f"工作日历版本：cn-2026.1。2026年的依据：{_NOTICE}。",
            ],
            "en": [
                (
                    "Received on Friday 9 October 2026; counting begins the day after "
                    "(Civil Code, article 201). The limit is 2 working days."
                ),
                (
                    "Saturday 10 October is a make-up working day and counts as working day 1; "
                    "Sunday 11 October falls on the weekend, not counted; "
                    "Monday 12 October is working day 2."
                ),
                "So the last day is Monday 12 October 2026; what is done on that day is on time.",
                f"Working-day calendar: version cn-2026.1. Notice for 2026: {_NOTICE}.",
            ],
        },
    },
}
"""An answer of each shape, by the name of its model; `api.schemas` says the rest."""
