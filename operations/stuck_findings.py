"""What can be found stuck: what each kind is called, how bad it is, and what to do (RB-12.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from activities.contract import civil_text
from domain.civil_clock import CivilClock
from domain.naming import CASE_NO
from domain.repairs import REPAIRS, RepairKind
from domain.words import Words

ERROR_LENGTH = 200


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    CRITICAL = "critical"
    """Nothing goes on by itself, for one case or for all 停滞."""
    HIGH = "high"
    """A person must see to it, or something is late 须处理."""
    LOW = "low"
    """It goes on by itself once what it waits for is there 留意."""


SEVERITIES: Mapping[Severity, Words] = {
    Severity.CRITICAL: Words("紧急", "critical"),
    Severity.HIGH: Words("重要", "high"),
    Severity.LOW: Words("留意", "low"),
}


class StuckKind(StrEnum):
    """What can be stuck."""

    ENGINE_AWAY = "engine_away"
    WORKER_MISSING = "worker_missing"
    PROCESS_FAILING = "process_failing"
    PROCESS_CLOSED = "process_closed"
    PROCESS_MISSING = "process_missing"
    BUNDLE_CLOSED = "bundle_closed"
    NOT_OWED = "not_owed"
    UNMOVED = "unmoved"
    WORKER_LAGGING = "worker_lagging"
    NOT_STARTED = "not_started"
    STEP_FAILING = "step_failing"
    PUSH_REFUSED = "push_refused"
    OUTCOME_UNDELIVERED = "outcome_undelivered"
    CHANGE_REFUSED = "change_refused"
    PUSH_UNANSWERED = "push_unanswered"
    CHANGE_UNANSWERED = "change_unanswered"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class StuckRule:
    """What holds for every finding of a kind.

    Attributes:
        title: its name.
        cause: one sentence, with places for what differs.
        repair: what is suggested; None where no repair of a case helps.
        advice: why that, and what else to do.
    """

    severity: Severity
    title: Words
    cause: Words
    repair: RepairKind | None
    advice: Words


KINDS: Mapping[StuckKind, StuckRule] = {
    StuckKind.ENGINE_AWAY: StuckRule(
        Severity.CRITICAL,
        Words("引擎失联", "engine away"),
        Words(
            "流程引擎无应答；{starts} 个办件待启动，{outcomes} 个结果待送达",
            "The engine does not answer; {starts} cases wait to be started, {outcomes} outcomes "
            "to be delivered",
        ),
        None,
        Words(
            "恢复流程引擎；已存档的申请与结果会自动补送，其余情况待引擎恢复后才能看到",
            "Bring the engine back: what is on file takes effect by itself, and only then can the "
            "rest be looked at",
        ),
    ),
    StuckKind.WORKER_MISSING: StuckRule(
        Severity.CRITICAL,
        Words("无工作进程", "worker missing"),
        Words("没有工作进程在处理队列 {queue}", "No worker is at work on the queue {queue}"),
        None,
        Words(
            "启动工作进程或查看其日志；期间不丢失任何内容，各办件随后自动继续",
            "Start a worker, or see its log; nothing is lost meanwhile, and every case goes on "
            "by itself then",
        ),
    ),
    StuckKind.PROCESS_FAILING: StuckRule(
        Severity.CRITICAL,
        Words("流程代码出错", "process failing"),
        Words("{why}，流程每次推进都失败", "{why}, so its process fails whenever it would go on"),
        RepairKind.RESET,
        Words(
            "先用现行代码重放查明原因；代码修正并发布后会自动继续，否则回退到首次失败之前",
            "Replay it first, to see why; once mended code is deployed it goes on by itself, "
            "otherwise reset it to before the first failure",
        ),
    ),
    StuckKind.PROCESS_CLOSED: StuckRule(
        Severity.CRITICAL,
        Words("流程已关闭而办件未办结", "process closed, case open"),
        Words(
            "流程实例{status}，而办件尚未办结", "Its process {status} while the case is still open"
        ),
        RepairKind.RESTART,
        Words(
            "依案卷重启：已作出的决定从案卷读取，不会再次征询",
            "Restart it from the case file: what was decided is read there and not asked again",
        ),
    ),
    StuckKind.PROCESS_MISSING: StuckRule(
        Severity.CRITICAL,
        Words("流程缺失", "process missing"),
        Words("引擎中没有此办件的流程实例", "The engine has no process for this case"),
        RepairKind.RESTART,
        Words(
            "依案卷重启；若为数众多，请核查引擎数据是否丢失或接错引擎",
            "Restart it from the case file; if there are many, see whether the engine lost its "
            "database or another engine is in use",
        ),
    ),
    StuckKind.BUNDLE_CLOSED: StuckRule(
        Severity.CRITICAL,
        Words("并联审批已中断", "bundle closed"),
        Words(
            "并联审批流程{status}，而办件流程仍在等待其结果",
            "The bundle {status}, and the process of its case waits for its result in vain",
        ),
        RepairKind.RESTART,
        Words(
            "依案卷重启办件：并联审批随之重建，部门已作出的决定不会再次征询",
            "Restart the case from its file: the bundle begins anew, and what departments decided "
            "is not asked again",
        ),
    ),
    StuckKind.NOT_OWED: StuckRule(
        Severity.CRITICAL,
        Words("任务无流程等待", "task not owed"),
        Words(
            "任务未办结，但没有流程在等待其结果", "The task is open, but no process waits for it"
        ),
        RepairKind.RESTART,
        Words(
            "依案卷重启：流程会重新等待此任务，已收到的结果照常生效",
            "Restart the case from its file: its process then waits for the task again",
        ),
    ),
    StuckKind.UNMOVED: StuckRule(
        Severity.CRITICAL,
        Words("流程停滞", "unmoved"),
        Words("{why}，流程不再推进", "{why}, and its process does not go on"),
        RepairKind.RESTART,
        Words(
            "先查看工作进程日志；若流程在等待已有结果的任务，可立即重试，否则依案卷重启",
            "See the worker's log first; if a step waits for what is on file, retry it now, "
            "otherwise restart from the case file",
        ),
    ),
    StuckKind.WORKER_LAGGING: StuckRule(
        Severity.HIGH,
        Words("工作进程滞后", "worker lagging"),
        Words(
            "队列 {queue} 中约 {count} 项待处理，最早的已等待 {waited} 秒",
            "About {count} pieces of work wait in the queue {queue}, the oldest for {waited} s",
        ),
        None,
        Words(
            "查看工作进程负荷，必要时增加工作进程",
            "See what burdens the workers; run more of them if it lasts",
        ),
    ),
    StuckKind.NOT_STARTED: StuckRule(
        Severity.HIGH,
        Words("流程未启动", "not started"),
        Words("申请已存档，流程尚未启动", "The application is on file; its process was not begun"),
        RepairKind.RESTART,
        Words(
            "接口服务会自动补启，先查看其是否运行；也可依案卷启动",
            "The API starts it by itself, so see first whether it runs; it can also be started "
            "from the case file",
        ),
    ),
    StuckKind.STEP_FAILING: StuckRule(
        Severity.HIGH,
        Words("步骤反复失败", "step failing"),
        Words(
            "步骤 {step} 已失败 {times} 次，仍在重试",
            "The step {step} has failed {times} times and is tried again",
        ),
        RepairKind.RETRY,
        Words(
            "按所示错误排除原因（程序缺陷须修正并发布），之后立即重试",
            "Remove the cause that the error names (a bug: deploy mended code), then retry now",
        ),
    ),
    StuckKind.PUSH_REFUSED: StuckRule(
        Severity.HIGH,
        Words("任务被拒收", "push refused"),
        Words("{agency} 系统拒收任务推送", "The system of {agency} refuses the task"),
        RepairKind.PUSH,
        Words(
            "与该单位核对原因，排除后重新推送；该单位也可在收件箱办理，或凭文件代录结果",
            "Find out why with the agency, then push again; it may also answer from its inbox, or "
            "its decision be entered on its behalf",
        ),
    ),
    StuckKind.OUTCOME_UNDELIVERED: StuckRule(
        Severity.HIGH,
        Words("结果未送达流程", "outcome undelivered"),
        Words(
            "办理结果已存档，尚未送达流程", "The outcome is on file and has not reached the process"
        ),
        RepairKind.RETRY,
        Words(
            "接口服务会自动补送，先查看其是否运行；立即重试则由流程从案卷读取",
            "The API brings it by itself, so see first whether it runs; retried now, the process "
            "reads it from the file",
        ),
    ),
    StuckKind.CHANGE_REFUSED: StuckRule(
        Severity.HIGH,
        Words("变更被拒收", "change refused"),
        Words("{agency} 系统拒收变更事件", "The system of {agency} refuses to take a change"),
        None,
        Words(
            "与该单位核对原因；每日自动重发", "Find out why with the agency; it is sent again daily"
        ),
    ),
    StuckKind.PUSH_UNANSWERED: StuckRule(
        Severity.LOW,
        Words("推送无应答", "push unanswered"),
        Words("{agency} 系统未收下任务推送", "The system of {agency} has not taken the task"),
        RepairKind.PUSH,
        Words(
            "请该单位恢复系统；之后自动重推，急件可重新推送",
            "Have the agency bring its system back; the task is pushed again by itself, or at once "
            "if pushed again",
        ),
    ),
    StuckKind.CHANGE_UNANSWERED: StuckRule(
        Severity.LOW,
        Words("变更未送达", "change unanswered"),
        Words(
            "{agency} 系统未收下变更事件，其后另有 {behind} 件",
            "The system of {agency} has not taken a change; {behind} more wait behind it",
        ),
        None,
        Words(
            "请该单位恢复系统，并查看接口服务是否运行；之后按序自动重发",
            "Have the agency bring its system back, and see whether the API runs; they are sent "
            "again in order by themselves",
        ),
    ),
    StuckKind.ORPHAN: StuckRule(
        Severity.LOW,
        Words("无主流程", "orphan"),
        Words("流程仍在运行，但{why}", "The process runs although {why}"),
        None,
        Words(
            "已办结办件的流程会在下次对账时自行结束；案卷中没有的，请核查案卷是否由旧备份恢复",
            "Of an ended case it ends at its next reconciliation; of an unknown one, see whether "
            "the case file was restored from an older back-up",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is stuck.

    Attributes:
        about: id of what is stuck: a task, a process, a queue; with the kind it names the finding.
        since: engine's instant.
        clock: how civil time follows from it.
        cause: one sentence.
        error: the last error, shortened and without what may be personal.
        run_id: of the process concerned.
        repair: what is suggested.
    """

    kind: StuckKind
    about: str
    since: datetime
    clock: CivilClock
    cause: Words
    repair: RepairKind | None
    case_no: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    agency: str | None = None
    error: str | None = None

    @classmethod
    def of(
        cls,
        kind: StuckKind,
        about: str,
        since: datetime,
        clock: CivilClock,
        says: Mapping[str, Words | str | int] | None = None,
        **concerns: str | None,
    ) -> Self:
        """Make a finding; `says` fills the places in the sentence of its cause."""
        rule, says = KINDS[kind], says or {}
        cause = Words(
            rule.cause.zh.format(
                **{k: v.zh if isinstance(v, Words) else v for k, v in says.items()}
            ),
            rule.cause.en.format(
                **{k: v.en if isinstance(v, Words) else v for k, v in says.items()}
            ),
        )
        return cls(kind, about, since, clock, cause, rule.repair, **concerns)

    def because(self, why: Words, since: datetime, error: str | None) -> Self:
        """Copy it with another reason in the sentence of its cause."""
        other = self.of(self.kind, self.about, since, self.clock, {"why": why})
        return replace(self, since=since, cause=other.cause, error=error)

    @property
    def id(self) -> str:
        """Its name, the same as long as it lasts."""
        return f"{self.kind}:{self.about}"

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind].severity

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Where it stands in the list: the worst first, of these the oldest."""
        return list(Severity).index(self.severity), self.since, self.id


def _both(value: Words | str | int) -> Words:
    return value if isinstance(value, Words) else Words(str(value), str(value))


def shown(finding: Finding, at: datetime) -> dict[str, Any]:
    """Return a finding as it is shown, at an instant of the engine.

    `since` is civil; `age_s` are seconds of the engine, which somebody really waited.
    """
    rule = KINDS[finding.kind]
    repair = finding.repair and REPAIRS[finding.repair]
    return {
        "id": finding.id,
        "kind": finding.kind.value,
        "title": rule.title._asdict(),
        "severity": finding.severity.value,
        "case_no": finding.case_no,
        "workflow_id": finding.workflow_id,
        "task_id": finding.task_id,
        "agency": finding.agency,
        "since": civil_text(finding.clock.civil(finding.since)),
        "age_s": max(0, int((at - finding.since).total_seconds())),
        "cause": finding.cause._asdict(),
        "error": finding.error,
        "repair": repair and {"kind": finding.repair, "zh": repair.zh, "en": repair.en},
        "advice": rule.advice._asdict(),
    }


_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_PLAIN = re.compile(rf"[a-z][a-z0-9_]*([.-][a-z0-9_]+)*|{CASE_NO.pattern}(\.[a-z0-9_-]+)*")
"""Names in our code, and ids."""
_CHINESE_OR_MAIL = re.compile(
    "[\u3400-\u9fff\uf900-\ufaff][\u3400-\u9fff\uf900-\ufaff·（）〔〕0-9A-Za-z-]*|\\S+@\\S+"
)
_NUMBER = re.compile("[0-9A-Za-z]*[0-9]{5}[0-9A-Za-z]*")


def without_personal(kind: str, message: str) -> str:
    """Return the type and the first line of an error, without what may be personal (RB-13.3).

    What an error repeats of its input stands in quotes, as a rule; it is left out unless it is
    spelled like a name in our code, or an id. So are Chinese text, addresses of mail, and whatever
    has five digits in a row and is no case number.
    """
    line = message.strip().partition("\n")[0][: 10 * ERROR_LENGTH]
    line = _QUOTED.sub(lambda found: found[0] if _PLAIN.fullmatch(found[0][1:-1]) else "'…'", line)
    line = _CHINESE_OR_MAIL.sub("…", line)
    line = _NUMBER.sub(lambda found: found[0] if CASE_NO.fullmatch(found[0]) else "…", line)
    text = f"{kind}: {line}" if kind and kind not in line else line
    return text if len(text) <= ERROR_LENGTH else f"{text[: ERROR_LENGTH - 1]}…"
