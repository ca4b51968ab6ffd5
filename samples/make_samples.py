"""Writes the sample applications of this directory; `--check` tells whether they are up to date.

Every person and enterprise is plainly fictitious. Their numbers carry valid check digits
(GB 11643, GB 32100 with the organisation code of GB 11714 inside), but the resident IDs have the
sequence 000, which is issued to nobody. Addresses that end with a marker in full-width brackets
tell the sandbox which course to take; `sandbox/README.md` lists the markers.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

DISTRICTS = {
    "chikan": ("440802", "赤坎区"),
    "xiashan": ("440803", "霞山区"),
    "potou": ("440804", "坡头区"),
    "mazhang": ("440811", "麻章区"),
    "suixi": ("440823", "遂溪县"),
    "xuwen": ("440825", "徐闻县"),
    "lianjiang": ("440881", "廉江市"),
    "leizhou": ("440882", "雷州市"),
    "wuchuan": ("440883", "吴川市"),
}

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def with_id_check_digit(seventeen: str) -> str:
    """Complete a resident ID or residence permit of 17 digits (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, _ID_WEIGHTS, strict=True))
    return seventeen + "10X98765432"[total % 11]


def organisation_code(eight: str) -> str:
    """Complete an organisation code of 8 characters (GB 11714)."""
    values = (int(character, 36) for character in eight)
    total = sum(v * weight for v, weight in zip(values, _ORGANISATION_WEIGHTS, strict=True))
    return eight + "0X987654321"[total % 11]


def credit_code(registrar_and_kind: str, district: str, eight: str) -> str:
    """Spell a unified social credit code (GB 32100) around an organisation code of 8 characters."""
    body = registrar_and_kind + district + organisation_code(eight)
    values = (_USCC_ALPHABET.index(character) for character in body)
    total = sum(v * weight for v, weight in zip(values, _USCC_WEIGHTS, strict=True))
    return body + _USCC_ALPHABET[-total % 31]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the table below.

    Attributes:
        who: "person", "hmt" or "foreign" for people, "enterprise", or "trader" (个体工商户).
        papers: "e" e-certificates by consent, "up" both uploaded, "agent" the same by an
            agent, "own" consent and ownership uploaded.
        marker: what the address ends with, between the full-width brackets after 示例.
    """

    slug: str
    zh: str
    en: str
    place: str
    voltage: str
    kva: float
    who: str
    name: str
    size: str | None = None
    supply: str = "single"
    purpose: str = "permanent"
    channel: str = "window"
    papers: str = "e"
    marker: str = ""
    ending: str = "connected"
    withdraw_after: int | None = None


# fmt: off
_LOW = (
    Sample("flat", "居民新装", "a flat", "chikan", "low", 8, "person", "示例甲", papers="up"),
    Sample("noodle-shop", "小微企业，中心城区", "micro enterprise in the centre", "xiashan", "low",
           30, "trader", "示例面馆", "micro", channel="yueshengshi"),
    Sample("bakery-160", "小微企业，中心城区上限", "micro enterprise at the limit of the centre",
           "chikan", "low", 160, "enterprise", "示例烘焙", "micro", channel="online_hall"),
    Sample("oyster-farm-100", "小微企业，其他区域上限",
           "small enterprise at the limit elsewhere", "xuwen", "low", 100, "enterprise",
           "示例蚝业", "small", channel="utility_hall", papers="own"),
    Sample("ice-plant-120", "小微企业，超出其他区域上限",
           "small enterprise above the limit elsewhere", "wuchuan", "low", 120, "enterprise",
           "示例制冰", "small"),
    Sample("clinic-100", "小微企业，片区待人工确认", "micro enterprise, area to be confirmed",
           "mazhang", "low", 100.5, "enterprise", "示例诊所", "micro", channel="online_hall"),
    Sample("village-home", "村民自建房", "a village home", "suixi", "low", 12, "person", "示例乙",
           channel="yueshengshi", marker="顺利接电"),
    Sample("site-office", "施工临时用电", "temporary supply of a building site", "potou", "low",
           80, "enterprise", "示例建筑", "medium", purpose="temporary", papers="agent"),
    Sample("fishing-net-shop", "个体工商户", "a sole trader", "leizhou", "low", 15, "trader",
           "示例渔具", "micro", papers="up"),
    Sample("hmt-home", "港澳台居民", "a resident with an HMT permit", "xiashan", "low", 10, "hmt",
           "示例丙", channel="online_hall", papers="up"),
    Sample("foreign-resident", "外国人永久居留", "a foreign permanent resident", "chikan", "low",
           16, "foreign", "SHILI DING", papers="up"),
    Sample("tea-house", "补正材料后受理", "accepted after a correction", "lianjiang", "low", 45,
           "enterprise", "示例茶业", "micro", channel="utility_hall", marker="补正材料"),
    Sample("large-kiosk", "大型企业低压", "low voltage for a large enterprise", "mazhang", "low",
           50, "enterprise", "示例零售", "large", channel="online_hall"),
    Sample("fair-stall", "临时展销", "temporary supply of a fair", "wuchuan", "low", 20, "person",
           "示例戊", purpose="temporary", channel="yueshengshi"),
    Sample("outside-area", "不予受理", "declined at intake", "potou", "low", 25, "person",
           "示例己", marker="不予受理", ending="declined"),
    Sample("no-capacity", "勘查不具备供电条件", "the survey finds no capacity", "leizhou", "low",
           150, "enterprise", "示例粮油", "small", marker="无法供电", ending="not_feasible"),
)
_HIGH = (
    Sample("food-factory", "食品厂", "a food factory", "mazhang", "high", 630, "enterprise",
           "示例食品", "medium"),
    Sample("hotel-dual", "酒店，双电源", "a hotel with dual supply", "chikan", "high", 1600,
           "enterprise", "示例酒店", "large", supply="dual", channel="utility_hall",
           papers="agent"),
    Sample("port-cold-store", "五部门并联审批", "a cold store asking five departments", "xiashan",
           "high", 2000, "enterprise", "示例冷链", "large", channel="online_hall",
           marker="五部门并联"),
    Sample("shrimp-farm", "无需许可", "a shrimp farm that needs no permit", "xuwen", "high", 250,
           "enterprise", "示例对虾", "small", marker="无需许可"),
    Sample("mall", "新建道路例外", "a mall on a new street", "potou", "high", 3150, "enterprise",
           "示例商业", "large", channel="utility_hall", papers="up", marker="新建道路"),
    Sample("rice-cooker-works", "小家电厂", "a works for small appliances", "lianjiang", "high",
           800, "enterprise", "示例电器", "medium", channel="online_hall"),
    Sample("feather-works", "改线后获批", "approved after a new route", "wuchuan", "high", 500,
           "enterprise", "示例羽绒", "small", marker="改线获批"),
    Sample("sugar-mill", "整改后复验合格", "passes the second inspection", "suixi", "high", 1250,
           "enterprise", "示例制糖", "large", channel="utility_hall", marker="整改复验"),
    Sample("pineapple-cannery", "调整供电方案", "the plan is revised once", "xuwen", "high", 400,
           "enterprise", "示例罐头", "medium", channel="online_hall", marker="调整方案"),
    Sample("bridge-site", "施工临时用电", "temporary high voltage of a building site", "leizhou",
           "high", 315, "enterprise", "示例路桥", "large", purpose="temporary", papers="agent"),
    Sample("workshop-161", "略高于低压上限", "just above the limit of low voltage", "mazhang",
           "high", 161, "trader", "示例机修", "micro"),
    Sample("data-centre-dual", "数据中心，双电源", "a data centre with dual supply", "potou",
           "high", 5000, "enterprise", "示例数据", "large", supply="dual", channel="online_hall",
           marker="顺利接电"),
    Sample("paper-mill", "造纸厂", "a paper mill", "suixi", "high", 1000, "enterprise",
           "示例纸业", "medium", papers="own"),
    Sample("charging-station", "充电站", "a charging station", "xiashan", "high", 1260,
           "enterprise", "示例充电", "small", channel="yueshengshi"),
    Sample("plan-refused", "客户不同意供电方案", "the applicant refuses the plan", "chikan", "high",
           200, "enterprise", "示例印务", "small", channel="online_hall", marker="拒绝方案",
           ending="plan_refused"),
    Sample("permits-refused", "许可不通过且无其他路径", "a permit is refused and no route is left",
           "xiashan", "high", 700, "enterprise", "示例物流", "medium", marker="许可不通过",
           ending="permits_refused"),
    Sample("works-abandoned", "检验不合格，放弃整改", "fails inspection, rectification abandoned",
           "lianjiang", "high", 375.5, "enterprise", "示例铸造", "small", marker="放弃整改",
           ending="inspection_failed"),
    Sample("no-feeder", "线路无可用容量", "no capacity on the feeder", "wuchuan", "high", 6300,
           "enterprise", "示例化工", "large", channel="utility_hall", marker="无法供电",
           ending="not_feasible"),
    Sample("withdrawn", "申请人撤回", "withdrawn by the applicant", "potou", "high", 440,
           "enterprise", "示例家具", "small", channel="online_hall", marker="顺利接电",
           ending="withdrawn", withdraw_after=3),
    Sample("community-hall", "村集体活动中心", "a community hall", "leizhou", "high", 180,
           "enterprise", "示例文化", "small", channel="utility_hall"),
)
# fmt: on
SAMPLES = _LOW + _HIGH

_ID_TYPES = {"person": "resident_id", "hmt": "hmt_residence_permit", "foreign": "foreign_permit"}


def main(arguments: Sequence[str]) -> int:
    """Write the samples, or with `--check` compare; return the exit status."""
    wanted = {
        HERE / f"{number:02d}-{sample.voltage}-{sample.slug}.json": _text(number, sample)
        for number, sample in enumerate(SAMPLES, start=1)
    }
    stale = [path for path in HERE.glob("*.json") if path not in wanted]
    if "--check" in arguments:
        changed = [path for path, text in wanted.items() if not _holds(path, text)]
        for path in sorted(stale + changed):
            print(f"{path.name} is not what make_samples.py writes", file=sys.stderr)
        return 1 if stale or changed else 0
    for path in stale:
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(wanted)} samples written")
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _text(number: int, sample: Sample) -> str:
    entry = {
        "about": {"zh": sample.zh, "en": sample.en},
        "application": _application(number, sample),
        "withdraw_after_civil_days": sample.withdraw_after,
        "ending": sample.ending,
    }
    return json.dumps(entry, ensure_ascii=False, indent=2) + "\n"


def _application(number: int, sample: Sample) -> dict[str, object]:
    district, place = DISTRICTS[sample.place]
    marker = f"（示例：{sample.marker}）" if sample.marker else ""
    return {
        "channel": sample.channel,
        "voltage": sample.voltage,
        "supply": sample.supply,
        "purpose": sample.purpose,
        "capacity_kva": sample.kva,
        "applicant": _applicant(number, sample, district, place),
        "site": {"address": f"湛江市{place}示例路{number}号{marker}", "district": district},
        "consent_to_certificates": sample.papers in ("e", "own"),
        "documents": _documents(number, sample.papers),
    }


def _applicant(number: int, sample: Sample, district: str, place: str) -> dict[str, object]:
    birth = f"1995{number % 12 + 1:02d}{number % 28 + 1:02d}"
    match sample.who:
        case "enterprise":
            name = f"湛江市{place}{sample.name}有限公司"
            id_number = credit_code("91", district, f"MA9X0{number:03d}")
        case "trader":
            name = f"湛江市{place}{sample.name}（个体工商户）"
            id_number = credit_code("92", district, f"MA9X0{number:03d}")
        case "hmt":
            name, id_number = sample.name, with_id_check_digit(f"810000{birth}000")
        case "foreign":
            # 9, province 44, nationality 840: the layout in force since 2023.
            name, id_number = sample.name, with_id_check_digit(f"944840{birth}000")
        case _:
            name, id_number = sample.name, with_id_check_digit(f"{district}{birth}000")
    return {
        "kind": "enterprise" if sample.who in ("enterprise", "trader") else "person",
        "name": name,
        "id_type": _ID_TYPES.get(sample.who, "uscc"),
        "id_number": id_number,
        "phone": f"1380000{number:04d}",
        "size": sample.size,
    }


def _documents(number: int, papers: str) -> list[dict[str, object]]:
    identity: dict[str, object] = {"kind": "identity", "reference": f"SAMPLE-ID-{number:04d}"}
    ownership: dict[str, object] = {
        "kind": "ownership",
        "reference": f"粤（2025）湛江市不动产权第{number:07d}号",
    }
    match papers:
        case "up":
            return [identity, ownership]
        case "agent":
            return [identity | {"is_agent_authorised": True}, ownership]
        case "own":
            return [ownership]
        case _:
            return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
