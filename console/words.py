"""What the console calls things, in both languages: one table per kind of thing.

Words of the policy (agencies, tasks, links, clocks, districts) come from the policy. A sentence of
one page stands on that page. Here is what several pages name. A test compares each table with what
it names, so nothing is shown by its code.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain import application_words, light_words
from domain.access import Act
from domain.accounts import StaffRole
from domain.connection import Code, Ending
from domain.opinions import View
from domain.route_words import FACTS
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
    Act.LINK_IDENTITY: Words("关联统一身份", "Link an identity"),
    Act.SIGN_OUT: Words("退出", "Sign out"),
    Act.COME_HOME: Words("首页", "Home"),
    Act.SEE_CASES: Words("办件查询", "Cases"),
    Act.REVEAL_NUMBERS: Words("查看完整号码", "Show the numbers"),
    Act.SEE_TASKS: Words("待办任务", "Tasks"),
    Act.HOLD_TASK: Words("认领", "Claim"),
    Act.DECIDE_TASK: Words("办理", "Decide"),
    Act.SUSPEND_TASK: Words("中止计时", "Stop the clock"),
    Act.SEE_SUPERVISION: Words("督导总览", "Supervision"),
    Act.SEE_GUIDE: Words("办事指南", "Guide"),
    Act.CHOOSE_TEXT_SIZE: Words("选择字号", "Choose the size of the text"),
    Act.BEGIN_FOLLOWING: Words("进度查询", "Follow a case"),
    Act.FOLLOW_CASE: Words("查看本人办件", "Follow one's own case"),
    Act.ANSWER_AS_APPLICANT: Words("申请人办理", "Answer as the applicant"),
    Act.RENEW_FOLLOW_SECRET: Words("更换查询码", "Give a new follow code"),
    Act.WHY_THIS_DATE: Words("期限推算", "Why this date"),
    Act.SEE_CALENDAR: Words("工作日历", "Working-day calendar"),
    Act.PUBLISH_CALENDAR: Words("发布工作日历", "Publish the calendar"),
    Act.SEE_POLICIES: Words("政策版本", "Policy versions"),
    Act.SEE_ADMINISTRATION: Words("系统管理", "Administration"),
    Act.SEE_STUCK: Words("卡滞检查", "What is stuck"),
    Act.REPLAY_CASES: Words("重放校验", "Replays"),
    Act.SEE_REPAIRS: Words("修复记录", "Repairs"),
    Act.REPAIR_CASES: Words("修复办件", "Repair cases"),
    Act.MANAGE_ACCOUNTS: Words("账号管理", "Accounts"),
    Act.SEE_ACTS: Words("操作记录", "Record of actions"),
    Act.SUBMIT_APPLICATION: Words("提交申请", "Submit an application"),
    Act.WITHDRAW_CASE: Words("撤件", "Withdraw a case"),
    Act.REPORT_ON_TASK: Words("上报办理情况", "Report on a task"),
    Act.PUT_DOCUMENT: Words("上传文件", "Put a document with a task"),
    Act.ASK_OPINION: Words("征求意见", "Ask for an opinion"),
    Act.PREVIEW_PERMITS: Words("审批事项预览", "Preview permits"),
    Act.SEE_NOTICES: Words("通知", "Notices"),
    Act.ANSWER_NOTICE: Words("签收和回复通知", "Answer a notice"),
    Act.SEE_UNDELIVERED: Words("未送达", "Undelivered"),
    Act.FETCH_STATES: Words("办件状态交换", "Fetch states of items"),
    Act.MANAGE_KEYS: Words("系统密钥", "Keys of systems"),
    Act.READ_CLOCK: Words("业务时间", "Civil time"),
    Act.READ_CALENDAR: Words("查询工作日历", "Read the calendar"),
    Act.ASK_DEADLINE: Words("工作日推算", "Ask for a deadline"),
    Act.GIVE_OPINION: Words("答复征求意见", "Give an opinion"),
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

OPINIONS: Mapping[str, Words] = {
    View.AGREE: Words("同意", "Agrees"),
    View.REMARKS: Words("有意见或建议", "Has remarks"),
    View.DISAGREE: Words("不同意", "Disagrees"),
}

ITEM_OUTCOMES: Mapping[str, Words] = {
    "approved": Words("通过", "Approved"),
    "approved_with_conditions": Words("附条件通过", "Approved with conditions"),
    "papers_to_follow": Words("容缺通过", "Approved, papers to follow"),
    "refused": Words("不通过", "Refused"),
    "not_accepted": Words("不予受理", "Not accepted"),
}

CHANNELS: Mapping[str, Words] = application_words.CHANNELS
VOLTAGES: Mapping[str, Words] = application_words.VOLTAGES
SUPPLIES: Mapping[str, Words] = application_words.SUPPLIES
PURPOSES: Mapping[str, Words] = application_words.PURPOSES
APPLICANT_KINDS: Mapping[str, Words] = application_words.APPLICANT_KINDS
SIZES: Mapping[str, Words] = application_words.SIZES
ID_TYPES: Mapping[str, Words] = application_words.ID_TYPES
INVESTMENTS: Mapping[str, Words] = {
    "utility_pays": Words("供电企业投资", "The utility pays"),
    "utility_standard": Words("按供电企业标准", "By the utility's standard"),
    "needs_person": Words("待人工判定", "A person decides"),
}

LIGHTS: Mapping[str, Words] = light_words.NAMES

SHADES: Mapping[str, Words] = {
    "red": Words("红灯 已逾期", "Red, overdue"),
    "yellow": Words("黄灯 即将到期", "Yellow, due soon"),
    "green": Words("绿灯 期限充裕", "Green, in time"),
    "suspended": Words("计时中止", "Suspended"),
    "none": Words("无时限", "No limit"),
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
    "follow_secret_renewed": Words("更换查询码", "New follow code given"),
    "ended": Words("办结", "Ended"),
}

# What a form's field is called where a problem with it is told; `*` stands for a position.
FIELDS: Mapping[str, Words] = {
    "applicant.kind": Words("申请人类型", "Kind of applicant"),
    "applicant.name": Words("申请人名称", "Applicant"),
    "applicant.id_type": Words("证件类型", "Identity paper"),
    "applicant.id_number": Words("证件号码", "Identity number"),
    "applicant.phone": Words("联系电话", "Phone"),
    "applicant.size": Words("企业规模", "Size of the enterprise"),
    "site.address": Words("用电地址", "Address"),
    "site.district": Words("区县", "District"),
    "voltage": Words("电压", "Voltage"),
    "supply": Words("供电电源", "Supply"),
    "purpose": Words("用电性质", "Purpose"),
    "capacity_kva": Words("用电容量", "Capacity"),
    "channel": Words("渠道", "Channel"),
    "consent_to_certificates": Words("同意调取电子证照", "Consent to e-certificates"),
    "documents.identity": Words("身份证明材料", "Proof of identity"),
    "documents.ownership": Words("权属证明材料", "Proof of ownership"),
    "reason": Words("原因", "Reason"),
    "file": Words("文件", "File"),
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
    **{f"route.segments.*.{fact}": words for fact, words in FACTS.items()},
    "document": Words("办理文书", "Document"),
    "items.*.document": Words("决定文书", "The decision itself"),
    "items.*.file": Words("决定文书", "The decision itself"),
    "holder": Words("承办人员", "Holder"),
    "colleague": Words("承办人员", "Holder"),
    "case": Words("办件编号", "Case number"),
    "task": Words("任务", "Tasks"),
    "unit": Words("单位名称", "Unit"),
    "answer_by": Words("答复期限", "Answer by"),
    "question": Words("征求内容", "What is asked"),
    "opinion": Words("意见", "Opinion"),
    "text": Words("说明", "Remarks"),
    "by_unit": Words("答复单位", "Your unit"),
    "items": Words("审批事项", "Items"),
    "items.*.outcome": Words("结果", "Outcome"),
    "items.*.document_no": Words("文号", "Document number"),
    "items.*.document_on": Words("文件日期", "Date of the document"),
    "items.*.note": Words("说明", "Grounds"),
    "items.*.papers": Words("后补材料", "Papers to follow"),
    "items.*.papers_by": Words("补齐期限", "Papers until"),
    "ground": Words("书面理由", "Written ground"),
    "procedure": Words("特别程序种类", "Special procedure"),
    "agency": Words("单位", "Agency"),
    "label": Words("用于哪个系统", "For which system"),
    "days": Words("有效天数", "Days it lasts"),
    "overlap_days": Words("原密钥继续可用天数", "Days the old key goes on"),
    "confirm": Words("确认", "Confirmation"),
    "option": Words("修复方式", "Repair"),
    "kind": Words("修复方式", "Kind of repair"),
    "case_no": Words("办件编号", "Case number"),
    "cases": Words("办件编号", "Case numbers"),
    "per_second": Words("每秒件数", "Cases in a second"),
    "year": Words("年份", "Year"),
    "notice": Words("依据的通知", "Notice it rests on"),
    "notice_text": Words("通知全文", "Text of the notice"),
    "holidays": Words("放假日期", "Days off"),
    "make_up_days": Words("调休上班日期", "Make-up working days"),
    "working_days": Words("期限", "Limit"),
    "from": Words("起始日期", "From"),
    "to": Words("截止日期", "To"),
    "excluded": Words("扣除的时段", "Excluded"),
    "account_id": Words("账号", "Account"),
    "display_name": Words("显示名称", "Shown as"),
    "by": Words("账号", "Account"),
    "since": Words("开始日期", "From"),
    "until": Words("结束日期", "To"),
}
