"""What the fields of an application are called where there is a choice, in both languages."""

from __future__ import annotations

from collections.abc import Mapping

from domain.words import Words

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
