"""The public guide, made from a policy: nothing in it was written for one city (RB-10.1).

Every figure and every name comes from the policy file that cases are decided by, with its clause;
so the guide cannot promise what the processes do not keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from domain.application_words import APPLICANT_KINDS, PURPOSES, SIZES
from domain.connection import CONDITIONAL, STORY, TaskKind, Voltage
from domain.policy import DEPARTMENT, HANDLER, HEAD, Clock, Policy, Rung, Titled
from domain.words import Words

EMPTY = Words("–", "–")
_AREAS: Mapping[str, Words] = {
    "central": Words("中心城区", "Central urban area"),
    "other": Words("其他区域", "Elsewhere"),
    "mixed": Words("部分属中心城区，由窗口认定", "In part central; the window says which"),
}
_DECISIONS: Mapping[str, Words] = {
    "utility_pays": Words("由供电企业投资", "the utility pays"),
    "utility_standard": Words("按供电企业标准", "by the utility's standard"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; the first cell of a row names it."""

    head: tuple[Words, ...]
    rows: tuple[tuple[Words, ...], ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of the guide.

    Attributes:
        id: stays the same, so that it can be linked to.
    """

    id: str
    title: Words
    paragraphs: tuple[Words, ...] = ()
    table: Table | None = None


def guide(policy: Policy, on: date) -> tuple[Chapter, ...]:
    """Return the guide to a policy.

    Args:
        on: civil date for which areas and exceptions are told.
    """
    return (
        Chapter(
            "questions",
            Words("常见问题", "Questions and answers"),
            table=Table(
                (Words("问", "Question"), Words("答", "Answer")), tuple(_questions(policy))
            ),
        ),
        Chapter(
            "documents",
            Words("申请材料", "Documents"),
            tuple(_about_documents(policy)),
            Table(
                (Words("材料", "Document"), _CLAUSE),
                tuple(_titled(each) for each in policy.intake.documents),
            ),
        ),
        _steps(policy, Voltage.LOW, Words("低压用电怎样办", "Low voltage, step by step")),
        _steps(policy, Voltage.HIGH, Words("高压用电怎样办", "High voltage, step by step")),
        Chapter(
            "limits",
            Words("承诺时限", "Promised limits"),
            tuple(_about_limits(policy)),
            Table(
                (
                    Words("时限", "Limit"),
                    Words("工作日", "Working days"),
                    Words("适用", "Applies to"),
                    Words("考核方式", "How it is kept"),
                    _CLAUSE,
                ),
                tuple(_limit(policy, each) for each in policy.clocks.values()),
            ),
        ),
        Chapter(
            "investment",
            Words("谁出钱（投资界面）", "Who pays"),
            tuple(_about_investment(policy, on)),
            Table(
                (Words("区县", "District"), Words("区域", "Area"), _CLAUSE),
                tuple(_areas(policy, on)),
            ),
        ),
        Chapter(
            "permits",
            Words("外线工程并联审批", "Permits for the external line"),
            tuple(_about_permits(policy)),
            Table(
                (Words("审批事项", "Permit"), Words("审批部门", "Department"), _BASIS),
                tuple(
                    (
                        Words(rule.item, rule.en),
                        _named(policy.agencies[rule.agency]),
                        Words(rule.basis, rule.basis),
                    )
                    for rule in policy.permits
                ),
            ),
        ),
        Chapter(
            "standstill",
            Words("哪些时间不计入部门时限", "What does not count towards a department's limit"),
            table=Table(
                (Words("情形", "What"), Words("性质", "Because of"), _CLAUSE),
                tuple(
                    (
                        _named(each),
                        Words("法定", "The law")
                        if each.basis == "statutory"
                        else Words("本地规定", "Local practice"),
                        _clause(each),
                    )
                    for each in policy.procedures.values()
                ),
            ),
        ),
        Chapter(
            "supervision",
            Words("逾期怎样督办", "What happens when something is late"),
            tuple(_about_lights(policy)),
            Table(
                (
                    Words("督办步骤", "Step"),
                    Words("报送", "Who is told"),
                    Words("答复时限", "Reply within"),
                    _CLAUSE,
                ),
                tuple(_rung(policy, each) for each in policy.ladder),
            ),
        ),
        Chapter(
            "sources",
            Words("依据", "What it rests on"),
            table=Table(
                (Words("简称", "Short"), Words("文件", "Document")),
                tuple(
                    (Words(short, short), Words(text.zh, text.en))
                    for short, text in policy.sources.items()
                ),
            ),
        ),
    )


_CLAUSE = Words("依据", "Clause")
_BASIS = Words("法律依据", "Legal basis")


def _named(titled: Titled) -> Words:
    return Words(titled.zh, titled.en)


def _clause(titled: Titled) -> Words:
    return Words(titled.clause, titled.clause)


def _titled(titled: Titled) -> tuple[Words, Words]:
    return _named(titled), _clause(titled)


def _listed(found: Iterable[Words]) -> Words:
    every = list(found)
    return Words("、".join(each.zh for each in every), ", ".join(each.en for each in every))


def _days(limit: int | None) -> Words:
    if limit is None:
        return EMPTY
    return Words(str(limit), str(limit))


# ---------------------------------------------------------------- questions


def _questions(policy: Policy) -> Iterator[tuple[Words, ...]]:
    documents = policy.intake.documents
    named = _listed(map(_named, documents))
    yield (
        Words("要交哪些材料？", "Which documents are needed?"),
        Words(
            f"{len(documents)} 份：{named.zh}。经您同意，可由电子证照库调取，不必提交纸质材料。",
            f"{len(documents)}: {named.en}. With your consent they are drawn from the "
            "e-certificate registry, without paper.",
        ),
    )
    for voltage, zh, en in ((Voltage.LOW, "低压", "Low"), (Voltage.HIGH, "高压", "High")):
        links = policy.links[voltage]
        names = _listed(map(_named, links))
        yield (
            Words(f"{zh}用电要办几个环节？", f"{en} voltage: how many stages are there?"),
            Words(f"{len(links)} 个：{names.zh}。", f"{len(links)}: {names.en}."),
        )
    promised = [
        clock
        for clock in policy.clocks.values()
        if clock.covers == "case" and clock.limit and not clock.counts
    ]
    yield (
        Words("多久能接电？", "How long until we are connected?"),
        Words(
            "；".join(f"{clock.zh}平均不超过 {clock.limit} 个工作日" for clock in promised) + "。",
            "; ".join(f"{clock.en}: {clock.limit} working days on average" for clock in promised)
            + ".",
        ),
    )
    low = policy.investment.low
    who = _who(policy)
    yield (
        Words("要我们自己出钱吗？", "Do we have to pay?"),
        Words(
            f"低压，{who.zh}，容量在中心城区 {low.max_kva.central:g} kVA 及以下、其他区域 "
            f"{low.max_kva.other:g} kVA 及以下的：{low.zh}。高压：{policy.investment.high.zh}。",
            f"Low voltage, {who.en}, up to {low.max_kva.central:g} kVA in the central urban area "
            f"and {low.max_kva.other:g} kVA elsewhere: {low.en}. "
            f"High voltage: {policy.investment.high.en}.",
        ),
    )
    yield (
        Words("审批要跑几个部门？", "How many departments do we have to go to?"),
        Words(
            "一个也不用跑：窗口统一受理，同时推送各部门并联审批，再汇总结果。",
            "None: the window accepts once, asks all of them at the same time, and collects.",
        ),
    )
    yield (
        Words("怎样知道办到哪一步？", "How do we know where it stands?"),
        Words(
            "凭受理回执上的办件编号和查询码，在“进度查询”查看，并可在线确认方案、签订合同。",
            "With the case number and the code on your receipt, under “Follow a case”; there you "
            "also agree to the plan and sign.",
        ),
    )


# ---------------------------------------------------------------- chapters


def _about_documents(policy: Policy) -> Iterator[Words]:
    correction = policy.intake.correction
    yield Words(
        f"材料不齐的，窗口在 {correction.within_working_days} 个工作日内一次性告知全部需要补正的"
        f"内容；逾期不告知的，自收到申请之日起即为受理（{correction.clause}）。",
        f"If something is missing, the window says all of it at once within "
        f"{correction.within_working_days} working days; if it says nothing, the application is "
        f"accepted as of the day of receipt ({correction.clause}).",
    )


def _steps(policy: Policy, voltage: Voltage, title: Words) -> Chapter:
    rows = []
    for position, link in enumerate(policy.links[voltage], start=1):
        for kind in STORY[voltage]:
            rule = policy.tasks[kind]
            if rule.link.get(voltage) != link.id:
                continue
            rows.append(
                (
                    _if_needed(kind, _named(rule)),
                    Words(f"{position}. {link.zh}", f"{position}. {link.en}"),
                    _owner(policy, rule.owner),
                    _days(rule.limit_working_days),
                    _clause(rule),
                )
            )
    head = (
        Words("事项", "What"),
        Words("环节", "Stage"),
        Words("由谁办理", "Done by"),
        Words("工作日", "Working days"),
        _CLAUSE,
    )
    capacity = policy.capacity
    most = capacity.low_max_kva if voltage is Voltage.LOW else capacity.high_max_kva
    about = Words(
        f"容量 {most:g} kVA 及以下（{capacity.clause}）。",
        f"Up to {most:g} kVA ({capacity.clause}).",
    )
    return Chapter(f"steps-{voltage}", title, (about,), Table(head, tuple(rows)))


_AS_NEEDED = CONDITIONAL | {TaskKind.CORRECT_PAPERS, TaskKind.RECTIFICATION}


def _if_needed(kind: TaskKind, name: Words) -> Words:
    if kind not in _AS_NEEDED:
        return name
    return Words(f"{name.zh}（需要时）", f"{name.en} (where needed)")


def _owner(policy: Policy, owner: str) -> Words:
    if owner == DEPARTMENT:
        return Words("各审批部门", "Each department")
    return _named(policy.agencies[owner])


def _about_limits(policy: Policy) -> Iterator[Words]:
    hours = policy.working_time
    yield Words(
        "时限按工作日计算：当日受理不计，自次日起算；法定节假日不计，调休上班日计入。",
        "Limits are working days: the day of receipt is not counted; holidays are left out, and "
        "make-up working days count.",
    )
    yield Words(
        f"窗口开放时间 {hours.opens:%H:%M} 至 {hours.closes:%H:%M}（{hours.clause}）。",
        f"The window is open from {hours.opens:%H:%M} to {hours.closes:%H:%M} ({hours.clause}).",
    )


def _limit(policy: Policy, clock: Clock) -> tuple[Words, ...]:
    applies = clock.applies_to
    to_zh = {"low": "低压", "high": "高压", None: "全部"}[applies.voltage]
    to_en = {"low": "Low voltage", "high": "High voltage", None: "All"}[applies.voltage]
    supply = {
        "single": Words("单电源", "single source"),
        "dual": Words("双电源", "dual source"),
        None: Words("", ""),
    }[applies.supply]
    kept = Words("平均", "On average") if clock.nature == "average" else Words("每件", "Every case")
    return (
        _left_out(policy, clock),
        _days(clock.limit) if clock.limit else Words("仅跟踪", "Tracked only"),
        Words(to_zh + supply.zh, ", ".join(filter(None, (to_en, supply.en)))),
        kept if clock.limit else EMPTY,
        _clause(clock),
    )


def _left_out(policy: Policy, clock: Clock) -> Words:
    """Name a clock, with what it leaves out or counts alone."""
    name = _named(clock)
    if clock.covers == "bundle":
        return name
    if clock.counts:
        of = _listed(_named(policy.segments[each]) for each in sorted(clock.counts))
        return Words(f"{name.zh}（只计{of.zh}）", f"{name.en} (counts: {of.en})")
    if clock.leaves_out:
        of = _listed(_named(policy.segments[each]) for each in sorted(clock.leaves_out))
        return Words(f"{name.zh}（不计{of.zh}）", f"{name.en} (without: {of.en})")
    return name


def _about_investment(policy: Policy, on: date) -> Iterator[Words]:
    low, high, standard = (
        policy.investment.low,
        policy.investment.high,
        policy.investment.standard,
    )
    who = _who(policy)
    yield Words(
        f"低压：{low.zh}。条件：{who.zh}，中心城区 "
        f"{low.max_kva.central:g} kVA 及以下、其他区域 {low.max_kva.other:g} kVA 及以下"
        f"（{low.clause}）。",
        f"Low voltage: {low.en}. For: {who.en}, up to {low.max_kva.central:g} kVA in the "
        f"central urban area and {low.max_kva.other:g} kVA "
        f"elsewhere ({low.clause}).",
    )
    purposes = _listed(PURPOSES[each] for each in PURPOSES if each in high.purposes)
    yield Words(
        f"高压：{high.zh}。条件：{purposes.zh}（{high.clause}）。",
        f"High voltage: {high.en}. For: {purposes.en.lower()} supply ({high.clause}).",
    )
    yield Words(
        f"其余情形：{standard.zh}（{standard.clause}），不等于一律由客户出资。",
        f"Otherwise: {standard.en} ({standard.clause}); that does not mean that the customer pays.",
    )
    for each in policy.investment.overrides:
        if each.until is None or each.until >= on:
            decision = _DECISIONS[each.decision]
            yield Words(
                f"另有规定，自 {each.since} 起：{each.zh}（{decision.zh}，{each.clause}）。",
                f"Exception from {each.since}: {each.en} ({decision.en}, {each.clause}).",
            )


def _who(policy: Policy) -> Words:
    """Say who is connected at low voltage without investment of their own."""
    low = policy.investment.low
    kinds = _listed(APPLICANT_KINDS[each] for each in APPLICANT_KINDS if each in low.applicants)
    sizes = _listed(SIZES[each] for each in SIZES if each in low.sizes)
    purposes = _listed(PURPOSES[each] for each in PURPOSES if each in low.purposes)
    return Words(
        f"{kinds.zh}（{sizes.zh}），{purposes.zh}",
        f"{kinds.en.lower()} ({sizes.en.lower()}), {purposes.en.lower()} supply",
    )


def _areas(policy: Policy, on: date) -> Iterator[tuple[Words, ...]]:
    for district in policy.districts.values():
        held = [dated for dated in district.areas if dated.since <= on]
        if held:
            clause = Words(held[-1].clause, held[-1].clause)
            yield _named(district), _AREAS[held[-1].area], clause


def _about_permits(policy: Policy) -> Iterator[Words]:
    rule = policy.tasks[TaskKind.PERMITS]
    departments = _listed(_named(policy.agencies[each]) for each in policy.departments)
    yield Words(
        "高压外线工程由窗口统一受理，同时推送有关部门，互不为前置；各部门 "
        f"{rule.limit_working_days} 个工作日内作出决定（{rule.clause}）。需要哪些审批，"
        "由线路实际情况决定，不涉及的不办。",
        f"For external lines at high voltage the window accepts once and asks every department at "
        f"the same time; none waits for another, and each decides within "
        f"{rule.limit_working_days} working days ({rule.clause}). Which permits are needed "
        "follows from the route; what it does not touch is not asked for.",
    )
    yield Words(f"部门：{departments.zh}。", f"Departments: {departments.en}.")
    filing = policy.tasks[TaskKind.FILING]
    yield Words(
        f"低压外线工程只备案、不审批（{filing.clause}）。",
        f"External lines at low voltage are filed, not permitted ({filing.clause}).",
    )
    for flag in policy.exceptions:
        yield Words(f"例外：{flag.zh}（{flag.basis}）。", f"Exception: {flag.en} ({flag.basis}).")


def _about_lights(policy: Policy) -> Iterator[Words]:
    left = policy.lights.yellow_at
    yield Words(
        f"绿灯：剩余多于 {left} 个工作日；黄灯：剩余 {left} 个工作日及以内；红灯：已过期限"
        f"（{policy.lights.clause}）。督办只提醒和记录，不代替部门作决定。",
        f"Green: more than {left} working days left; yellow: {left} or fewer; red: the deadline "
        f"has passed ({policy.lights.clause}). Supervision urges and records; it decides nothing.",
    )


def _rung(policy: Policy, rung: Rung) -> tuple[Words, ...]:
    inside = {
        HANDLER: Words("经办人", "Whoever handles it"),
        HEAD: Words("单位负责人", "The head of the agency"),
    }
    days = rung.reply_within
    return (
        _named(rung),
        inside.get(rung.to) or _named(policy.agencies[rung.to]),
        Words(f"{days} 个工作日", f"{days} working day{'' if days == 1 else 's'}"),
        _clause(rung),
    )


def in_force(known: Sequence[Policy], current: Policy, on: date) -> Policy | None:
    """Return the version that was in force on a day; None before the first (RB-10.1).

    Args:
        known: all versions at hand, of whatever city.
        current: the one that cases are pinned to now; nothing newer is in force yet.
    """

    def order(policy: Policy) -> tuple[date, int]:
        return policy.in_force_on, policy.version

    of_city = [
        each
        for each in known
        if each.city.code == current.city.code
        and order(each) <= order(current)
        and each.in_force_on <= on
    ]
    return max(of_city, key=order, default=None)
