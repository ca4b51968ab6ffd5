"""What the console calls things, in both languages: one table per kind of thing.

Words of the policy (agencies, tasks, links, clocks, districts) come from the policy. A sentence of
one page stands on that page. Here is what several pages name. A test compares each table with what
it names, so nothing is shown by its code.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain.access import Act
from domain.accounts import StaffRole
from domain.clocks import Light
from domain.connection import Code, Ending
from domain.task_events import TaskEventKind
from domain.words import Words

ROLES: Mapping[str, Words] = {
    StaffRole.DESK: Words("窗口人员", "Desk"),
    StaffRole.DEPARTMENT: Words("审批部门", "Department"),
    StaffRole.UTILITY: Words("供电企业", "Utility"),
    StaffRole.SUPERVISOR: Words("督导人员", "Supervisor"),
    StaffRole.ADMINISTRATOR: Words("系统管理员", "Administrator"),
}

ACTS: Mapping[str, Words] = {
    Act.SIGN_IN: Words("登录", "Sign in"),
    Act.CHOOSE_LANGUAGE: Words("选择语言", "Choose the language"),
    Act.CHANGE_PASSWORD: Words("修改密码", "Change password"),
    Act.SIGN_OUT: Words("退出", "Sign out"),
    Act.COME_HOME: Words("首页", "Home"),
    Act.SEE_CASES: Words("办件查询", "Cases"),
    Act.REVEAL_NUMBERS: Words("查看完整号码", "Show the numbers"),
    Act.SEE_TASKS: Words("待办任务", "Tasks"),
    Act.HOLD_TASK: Words("认领", "Claim"),
    Act.DECIDE_TASK: Words("办理", "Decide"),
    Act.SUSPEND_TASK: Words("中止计时", "Stop the clock"),
    Act.SEE_SUPERVISION: Words("督导总览", "Supervision"),
}

STATES: Mapping[str, Words] = {"open": Words("办理中", "Open"), "ended": Words("已办结", "Ended")}

ENDINGS: Mapping[str, Words] = {
    Ending.CONNECTED: Words("已接电", "Connected"),
    Ending.DECLINED: Words("不予受理", "Declined"),
    Ending.NOT_FEASIBLE: Words("无法供电", "Not feasible"),
    Ending.PLAN_REFUSED: Words("客户拒绝方案", "Plan refused"),
    Ending.PERMITS_REFUSED: Words("许可不通过", "Permits refused"),
    Ending.INSPECTION_FAILED: Words("检验不合格", "Inspection failed"),
    Ending.WITHDRAWN: Words("撤件", "Withdrawn"),
}

CODES: Mapping[str, Words] = {
    Code.ACCEPTED: Words("受理", "Accepted"),
    Code.CORRECTION_NEEDED: Words("一次性告知补正", "Correction needed"),
    Code.DECLINED: Words("不予受理", "Declined"),
    Code.CORRECTED: Words("已补正", "Corrected"),
    Code.SURVEYED: Words("勘查完成", "Surveyed"),
    Code.NOT_FEASIBLE: Words("不具备供电条件", "Not feasible"),
    Code.FILED: Words("已备案", "Filed"),
    Code.PLANNED: Words("方案已编制", "Plan drawn up"),
    Code.AGREED: Words("同意方案", "Agreed"),
    Code.REVISE: Words("要求修改", "To be revised"),
    Code.REFUSED: Words("不同意", "Refused"),
    Code.DESIGNED: Words("设计完成", "Designed"),
    Code.NO_ROUTE: Words("无可行线路", "No route"),
    Code.CONSENTED: Words("市政府同意", "Consent given"),
    Code.ANSWERED: Words("逐项答复", "Answered item by item"),
    Code.NOT_COMPETENT: Words("不属本部门职责", "Not competent"),
    Code.RECEIVED: Words("后补材料已收到", "Papers received"),
    Code.LAPSED: Words("逾期未补材料", "Papers did not come"),
    Code.SEEN: Words("已查看", "Looked at"),
    Code.BUILT: Words("施工完成", "Built"),
    Code.FINISHED: Words("受电工程完工", "Works finished"),
    Code.PASSED: Words("检验合格", "Passed"),
    Code.FAILED: Words("检验不合格", "Failed"),
    Code.RECTIFIED: Words("整改完成", "Rectified"),
    Code.ABANDONED: Words("放弃整改", "Abandoned"),
    Code.SIGNED: Words("合同已签订", "Signed"),
    Code.ENERGISED: Words("已送电", "Energised"),
}

ITEM_OUTCOMES: Mapping[str, Words] = {
    "approved": Words("通过", "Approved"),
    "approved_with_conditions": Words("附条件通过", "Approved with conditions"),
    "papers_to_follow": Words("容缺通过", "Approved, papers to follow"),
    "refused": Words("不通过", "Refused"),
    "not_accepted": Words("不予受理", "Not accepted"),
}

CHANNELS: Mapping[str, Words] = {
    "window": Words("综合服务窗口", "Window"),
    "online_hall": Words("政务服务网", "Online hall"),
    "yueshengshi": Words("粤省事", "Yueshengshi"),
    "utility_hall": Words("营业厅", "Utility hall"),
}
VOLTAGES: Mapping[str, Words] = {"low": Words("低压", "Low"), "high": Words("高压", "High")}
SUPPLIES: Mapping[str, Words] = {
    "single": Words("单电源", "Single source"),
    "dual": Words("双电源", "Dual source"),
}
PURPOSES: Mapping[str, Words] = {
    "permanent": Words("永久用电", "Permanent"),
    "temporary": Words("临时用电", "Temporary"),
}
APPLICANT_KINDS: Mapping[str, Words] = {
    "person": Words("个人", "Person"),
    "enterprise": Words("企业", "Enterprise"),
}
SIZES: Mapping[str, Words] = {
    "micro": Words("微型", "Micro"),
    "small": Words("小型", "Small"),
    "medium": Words("中型", "Medium"),
    "large": Words("大型", "Large"),
}
ID_TYPES: Mapping[str, Words] = {
    "resident_id": Words("居民身份证", "Resident identity card"),
    "hmt_residence_permit": Words("港澳台居民居住证", "Residence permit (HK, Macao, Taiwan)"),
    "foreign_permit": Words("外国人永久居留证", "Foreigner's residence permit"),
    "uscc": Words("统一社会信用代码", "Unified social credit code"),
}
INVESTMENTS: Mapping[str, Words] = {
    "utility_pays": Words("供电企业投资", "The utility pays"),
    "utility_standard": Words("按供电企业标准", "By the utility's standard"),
    "needs_person": Words("待人工判定", "A person decides"),
}

LIGHTS: Mapping[str, Words] = {
    Light.GREEN: Words("绿灯", "Green"),
    Light.YELLOW: Words("黄灯", "Yellow"),
    Light.RED: Words("红灯", "Red"),
}

REPORTS: Mapping[str, Words] = {
    TaskEventKind.ACCEPTED: Words("部门受理", "Accepted by the department"),
    TaskEventKind.CORRECTION_OPENED: Words("补正开始", "Correction asked for"),
    TaskEventKind.CORRECTION_CLOSED: Words("补正结束", "Correction ended"),
    TaskEventKind.SPECIAL_OPENED: Words("特别程序开始", "Special procedure begun"),
    TaskEventKind.SPECIAL_CLOSED: Words("特别程序结束", "Special procedure ended"),
    TaskEventKind.CLAIMED: Words("认领", "Claimed"),
    TaskEventKind.REASSIGNED: Words("转办", "Reassigned"),
    TaskEventKind.HANDED_BACK: Words("退回", "Handed back"),
}

CLOCK_STATES: Mapping[str, Words] = {
    "running": Words("计时中", "Running"),
    "suspended": Words("计时中止", "Suspended"),
    "stopped": Words("已停表", "Stopped"),
}

EVENTS: Mapping[str, Words] = {
    "submitted": Words("收到申请", "Application received"),
    "accepted": Words("受理", "Accepted"),
    "investment_decided": Words("投资界面判定", "Who invests was decided"),
    "task_opened": Words("任务发起", "Task opened"),
    "task_decided": Words("任务办结", "Task decided"),
    "task_closed": Words("任务关闭", "Task closed"),
    "task_reported": Words("任务上报", "Reported of a task"),
    "push_refused": Words("推送被拒", "Push refused"),
    "supervision": Words("督办", "Supervision"),
    "supervision_sent": Words("督办通知发出", "Supervision notice sent"),
    "notice_acknowledged": Words("通知签收", "Notice acknowledged"),
    "notice_replied": Words("通知回复", "Notice replied to"),
    "calendar_changed": Words("工作日历更新", "Calendar changed"),
    "deadline_moved": Words("期限变更", "Deadline moved"),
    "promise_moved": Words("承诺日期变更", "Promised date moved"),
    "route_flagged": Words("线路提示", "Route flagged"),
    "permits_listed": Words("列出审批事项", "Permits listed"),
    "bundle_concluded": Words("并联审批汇总", "Bundle concluded"),
    "filed": Words("备案送达", "Filing sent"),
    "document_put": Words("上传文件", "Document put"),
    "opinion_asked": Words("征求意见", "Opinion asked for"),
    "opinion_given": Words("意见答复", "Opinion given"),
    "repair_begun": Words("修复开始", "Repair begun"),
    "repair_ended": Words("修复结束", "Repair ended"),
    "numbers_shown": Words("查看完整号码", "Numbers shown"),
    "ended": Words("办结", "Ended"),
}

# What a form's field is called where a problem with it is told; `*` stands for a position.
FIELDS: Mapping[str, Words] = {
    "current": Words("当前密码", "Current password"),
    "new": Words("新密码", "New password"),
    "again": Words("再次输入新密码", "New password again"),
    "code": Words("办理结果", "Outcome"),
    "note": Words("说明", "Grounds"),
    "document_no": Words("文号", "Document number"),
    "missing": Words("需补正的材料", "What is missing"),
    "competent": Words("应征询的部门", "Competent department"),
    "is_central_urban": Words("是否中心城区", "Central urban area"),
    "route": Words("线路方案", "Route"),
    "items": Words("审批事项", "Items"),
    "items.*.outcome": Words("结果", "Outcome"),
    "items.*.document_no": Words("文号", "Document number"),
    "items.*.document_on": Words("文件日期", "Date of the document"),
    "items.*.note": Words("说明", "Grounds"),
    "items.*.papers": Words("后补材料", "Papers to follow"),
    "items.*.papers_by": Words("补齐期限", "Papers until"),
    "ground": Words("书面理由", "Written ground"),
    "procedure": Words("特别程序种类", "Special procedure"),
}
