"""The family of errors that the rules raise. One table in `api.problems` maps them to answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field, in both languages.

    Attributes:
        field: path of the field as the sender wrote it, e.g. `applicant.id_number`.
        en, zh: what is wrong and what to do.
    """

    field: str
    en: str
    zh: str


class OneWindowError(Exception):
    """Base of everything this system refuses on purpose."""


class InputRefused(OneWindowError):
    """What was sent breaks a rule; nothing was changed.

    Attributes:
        problems: every problem found, in the order of the fields; never empty.
    """

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__("; ".join(f"{p.field}: {p.en}" for p in problems))
        self.problems = problems


class UnknownCase(OneWindowError):
    """No case has this number."""

    def __init__(self, no: str) -> None:
        super().__init__(f"no case {no}")
        self.no = no


class CaseEnded(OneWindowError):
    """The case is closed; nothing can be owed to it or done with it any more."""

    def __init__(self, no: str, ending: str) -> None:
        super().__init__(f"case {no} has ended: {ending}")
        self.no, self.ending = no, ending


class UnknownTask(OneWindowError):
    """No task has this id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"no task {task_id}")
        self.task_id = task_id


class NotYourTask(OneWindowError):
    """The task is owed by somebody else (an agency completes only its own)."""

    def __init__(self, task_id: str, owed_by: str, asked_by: str) -> None:
        super().__init__(f"task {task_id} is owed by {owed_by}, not by {asked_by}")
        self.task_id, self.owed_by, self.asked_by = task_id, owed_by, asked_by


class TaskClosed(OneWindowError):
    """The task was closed without an outcome and takes none any more."""

    def __init__(self, task_id: str, closed_by: str, closed_at: str) -> None:
        super().__init__(f"task {task_id} was closed at {closed_at} by {closed_by}")
        self.task_id, self.closed_by, self.closed_at = task_id, closed_by, closed_at


class OutcomeConflict(OneWindowError):
    """The task already has another outcome; decisions are not overwritten."""

    def __init__(self, task_id: str, decided_at: str) -> None:
        super().__init__(f"task {task_id} already has another outcome, given at {decided_at}")
        self.task_id, self.decided_at = task_id, decided_at


class IllegalTaskEvent(OneWindowError):
    """This cannot be reported of this task as it stands; nothing was changed.

    Attributes:
        en, zh: why, and what to do.
    """

    def __init__(self, task_id: str, event: str, en: str, zh: str) -> None:
        super().__init__(f"{event} of task {task_id}: {en}")
        self.task_id, self.event, self.en, self.zh = task_id, event, en, zh


class IdempotencyConflict(OneWindowError):
    """The idempotency key was used before with another body."""

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} was used with another body")
        self.key = key


class IllegalAction(OneWindowError):
    """The transition table does not allow this action where the case stands."""

    def __init__(self, action: str, stage: str) -> None:
        super().__init__(f"{action} is not possible: {stage}")
        self.action, self.stage = action, stage


class UnknownNotice(OneWindowError):
    """The agency was told nothing under this id."""

    def __init__(self, notice_id: str) -> None:
        super().__init__(f"no notice {notice_id}")
        self.notice_id = notice_id


class ReplyConflict(OneWindowError):
    """What was asked already has another reply.

    Attributes:
        what: e.g. `notice ladder.ZJ….red.0`.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} already has another reply")
        self.what = what


class UnknownDocument(OneWindowError):
    """No document with this digest was put with this task."""

    def __init__(self, task_id: str, sha256: str) -> None:
        super().__init__(f"no document {sha256} with task {task_id}")
        self.task_id, self.sha256 = task_id, sha256


class UnknownOpinion(OneWindowError):
    """No opinion is asked under this link. The link is a secret, so it is not repeated."""

    def __init__(self) -> None:
        super().__init__("no opinion is asked under this link")


class OpinionClosed(OneWindowError):
    """No opinion is taken under this link any more.

    Attributes:
        closed_by: `answer_by`, or what closed the task.
        en, zh: why.
    """

    def __init__(self, closed_by: str, en: str, zh: str) -> None:
        super().__init__(en)
        self.closed_by, self.en, self.zh = closed_by, en, zh


class LimitReached(OneWindowError):
    """There are as many of something as there may be.

    Attributes:
        en, zh: of what, and what to do.
    """

    def __init__(self, limit: int, en: str, zh: str) -> None:
        super().__init__(en)
        self.limit, self.en, self.zh = limit, en, zh


class CalendarMoved(OneWindowError):
    """Another version of the calendar was published since one looked."""

    def __init__(self, based_on: int, current: int) -> None:
        super().__init__(f"calendar version {current} is in force, not {based_on}")
        self.based_on, self.current = based_on, current


class NothingToRetract(OneWindowError):
    """This version of the calendar cannot be taken back."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"calendar version {number} is unknown, the first, or its year was changed since"
        )
        self.number = number


class StaleCalendar(OneWindowError):
    """A date was computed with an older calendar than the case's other dates."""

    def __init__(self, no: str, used: int, current: int) -> None:
        super().__init__(f"case {no} is computed with calendar {current}, this date with {used}")
        self.no, self.used, self.current = no, used, current


class EngineAway(OneWindowError):
    """The process engine (or its worker) does not answer; ask again."""


class UnknownReplay(OneWindowError):
    """There is no such replay."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no replay {number}")
        self.number = number


class UnknownRepair(OneWindowError):
    """There is no such repair."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no repair {number}")
        self.number = number


class IllegalRepair(OneWindowError):
    """A repair that is not possible where the case, or the repair itself, stands.

    Attributes:
        en, zh: why, and what to do instead.
    """

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.en, self.zh = en, zh


class StalePlan(OneWindowError):
    """The case has moved on since the plan was made (RB-12.2)."""

    def __init__(self, no: str) -> None:
        super().__init__(f"case {no} has moved on since the plan was made")
        self.no = no


class OwnPlan(OneWindowError):
    """Somebody would approve what they planned themselves, or may have (RB-12.2).

    Args:
        planned_by: another account, whose password the same person may know.
    """

    def __init__(self, number: int, by: str, planned_by: str | None = None) -> None:
        if planned_by is None:
            en = f"repair {number} was planned by {by}: another administrator approves it"
            self.zh = f"修复 {number} 由 {by} 制定，须由另一名管理员批准"
        else:
            en = (
                f"one person may know the passwords of {planned_by}, who planned it, and {by}: one "
                f"gave the other's, or a third gave both; run 'onewindow account reset {by}' on "
                "the machine first"
            )
            self.zh = (
                f"计划人 {planned_by} 与 {by} 的密码可能为同一人掌握（由对方或同一管理员设置），"
                f"请先在服务器上执行 onewindow account reset {by}"
            )
        super().__init__(en)
        self.number, self.by = number, by


class UnknownVersion(OneWindowError):
    """No worker of this version polls for work; `zh` says so in Chinese."""

    zh = "没有运行该版本的工作进程"

    def __init__(self, version: str) -> None:
        super().__init__(f"no worker of version {version} is running")
        self.version = version


class VersionStarting(UnknownVersion):
    """Its workers do not take every kind of work yet that others take."""

    zh = "该版本的工作进程尚在启动，请稍后再试"

    def __str__(self) -> str:
        return (
            f"the workers of version {self.version} do not take every kind of work yet; "
            "try again when they have started"
        )
