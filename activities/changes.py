"""How a change of a task is told to an agency's system: CloudEvents 1.0, in structured mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from activities.contract import civil_text
from activities.signing import webhook_id
from domain.connection import Ending
from storage.outbox import MessageKind, MessageRecord

SOURCE = "/api/v1/tasks"
"""With the subject behind it, where the task stands in the API."""

_ENDINGS: Mapping[Ending, tuple[str, str]] = {
    Ending.CONNECTED: ("已接电", "connected"),
    Ending.DECLINED: ("不予受理", "declined"),
    Ending.NOT_FEASIBLE: ("无法供电", "no supply is feasible"),
    Ending.PLAN_REFUSED: ("客户拒绝方案", "the customer refused the plan"),
    Ending.PERMITS_REFUSED: ("许可不通过", "permits were refused"),
    Ending.INSPECTION_FAILED: ("检验不合格", "the inspection failed"),
    Ending.WITHDRAWN: ("申请人撤件", "the application was withdrawn"),
}


def event_of(message: MessageRecord) -> Mapping[str, Any]:
    """Return the JSON of the event (RB-13.3): identifiers, dates and grounds, and nobody's name.

    The same message is always the same event, under the same id.
    """
    return {
        "specversion": "1.0",
        "id": webhook_id(message.id),
        "source": SOURCE,
        "type": f"onewindow.task.{message.kind.value}",
        "subject": message.task_id,
        "time": civil_text(message.at),
        "datacontenttype": "application/json",
        "data": {
            "task_id": message.task_id,
            "case_no": message.case_no,
            "old_due_on": message.body["old_due_on"],
            "new_due_on": message.body["new_due_on"],
            "is_provisional": message.body.get("is_provisional", False),
            "items": message.body.get("items", []),
            "reason": _reason(message),
        },
    }


def _reason(message: MessageRecord) -> dict[str, str]:
    body = message.body
    match message.kind:
        case MessageKind.WITHDRAWN:
            zh, en = _ENDINGS[Ending(body["ending"])]
            return {
                "zh": f"办件已办结（{zh}），本任务撤回，无需办理",
                "en": f"The case has ended ({en}); the task is withdrawn",
            }
        case MessageKind.REVISED:
            return {
                "zh": f"线路方案已调整（第 {body['round']} 轮），所列事项不再需要或须重新办理",
                "en": f"The route was revised (round {body['round']}): "
                "the items listed are no longer needed, or are asked anew",
            }
        case MessageKind.DEADLINE_MOVED if body["is_resumed"]:
            return {
                "zh": f"恢复计时，办理期限按工作日历 {body['calendar']} 重新推算",
                "en": f"The clock goes on; the deadline follows from calendar {body['calendar']}",
            }
        case MessageKind.DEADLINE_MOVED:
            return {
                "zh": f"工作日历更新为 {body['calendar']}，办理期限重新推算",
                "en": f"Calendar {body['calendar']} was published; the deadline follows from it",
            }
        case _:
            assert_never(message.kind)
