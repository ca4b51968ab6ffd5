"""The policy file: what it says, and what is refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from domain.connection import STORY, TaskKind, Voltage
from domain.policy import Policy
from domain.policy_file import PolicyError, load_policy, outcome_combinations, policy_of
from domain.working_time import ReceiptRule
from policy import loader

FILE = Path(loader.__file__).parent / "zhanjiang-2020-516.toml"
TEXT = FILE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return loader.policy_for("zhanjiang-2020-516.1")


def refusal(text: str) -> str:
    with pytest.raises(PolicyError) as refused:
        load_policy(text, "zhanjiang-2020-516.toml")
    return str(refused.value)


def without_table(header: str) -> str:
    """The file without one table, up to the next header or comment."""
    text, count = re.subn(
        rf"^{re.escape(header)}\n(?:(?![\[#]).*\n)*", "", TEXT, flags=re.MULTILINE
    )
    assert count >= 1, header
    return text


def edited(old: str, new: str, after: str = "") -> str:
    """The file with the first `old` that follows `after` replaced."""
    start = TEXT.index(after)
    at = TEXT.index(old, start)
    return TEXT[:at] + new + TEXT[at + len(old) :]


# ---------------------------------------------------------------- what it says


@pytest.mark.rule("RB-2.2")
@pytest.mark.parametrize(
    ("name", "limit", "counts", "leaves_out", "unless", "nature", "covers"),
    [
        ("LV8", 8, set(), set(), set(), "average", "case"),
        ("HV40", 40, set(), {"customer"}, {"utility", "external", "approval"}, "average", "case"),
        ("INT13", 13, {"utility"}, set(), set(), "average", "case"),
        ("GOV5", 5, set(), {"suspended"}, {"running"}, "every_case", "bundle"),
    ],
)
def test_the_clocks_are_those_of_the_rulebook(
    policy: Policy,
    name: str,
    limit: int,
    counts: set[str],
    leaves_out: set[str],
    unless: set[str],
    nature: str,
    covers: str,
) -> None:
    rule = policy.clock_rules[name]
    assert rule.limit == limit
    assert rule.counts == counts
    assert rule.leaves_out == leaves_out
    assert rule.unless == unless
    assert rule.nature.value == nature
    assert policy.clocks[name].covers == covers


@pytest.mark.rule("RB-2.6")
@pytest.mark.parametrize(
    ("voltage", "supply", "limits"),
    [
        (Voltage.LOW, "single", {"LV8": 8}),
        (Voltage.HIGH, "single", {"HV40": 40, "INT13": 13}),
        (Voltage.HIGH, "dual", {"HV-DUAL": None}),
    ],
)
def test_dual_source_cases_are_tracked_without_a_target(
    policy: Policy, voltage: Voltage, supply: str, limits: dict[str, int | None]
) -> None:
    assert {r.id: r.limit for r in policy.clocks_of("case", voltage, supply)} == limits


@pytest.mark.rule("RB-2.5")
@pytest.mark.parametrize("supply", ["single", "dual"])
def test_the_limit_of_the_bundle_binds_every_department(policy: Policy, supply: str) -> None:
    (bundle,) = policy.clocks_of("bundle", Voltage.HIGH, supply)
    assert bundle.limit == policy.tasks[TaskKind.PERMITS].limit_working_days == 5


@pytest.mark.rule("RB-6.1")
def test_low_voltage_has_two_links_and_high_voltage_three(policy: Policy) -> None:
    assert [link.zh for link in policy.links[Voltage.LOW]] == ["用电申请", "现场勘查和装表接电"]
    assert [link.zh for link in policy.links[Voltage.HIGH]] == [
        "用电申请",
        "供电方案答复",
        "竣工检验和装表接电",
    ]


@pytest.mark.rule("RB-6.1")
@pytest.mark.parametrize("voltage", list(Voltage))
def test_every_step_is_shown_inside_a_link(policy: Policy, voltage: Voltage) -> None:
    links = [link.id for link in policy.links[voltage]]
    assert {policy.tasks[kind].link[voltage] for kind in STORY[voltage]} == set(links)


@pytest.mark.rule("RB-3.1")
def test_two_documents_and_one_notice(policy: Policy) -> None:
    assert [document.kind for document in policy.intake.documents] == ["identity", "ownership"]
    correction = policy.intake.correction
    assert (correction.notices, correction.within_working_days, correction.clause) == (
        1,
        5,
        "XK 32",
    )
    assert policy.tasks[TaskKind.CHECK_PAPERS].limit_working_days == 1


@pytest.mark.rule("RB-5.2")
def test_the_ladder_has_four_steps(policy: Policy) -> None:
    assert [(rung.light, rung.after, rung.to) for rung in policy.ladder] == [
        ("yellow", 0, "handler"),
        ("red", 0, "head"),
        ("red", 1, "government-services-data"),
        ("red", 3, "special-group"),
    ]
    assert policy.lights.yellow_at == 2


@pytest.mark.rule("RB-1.5")
def test_receipt_counts_as_received(policy: Policy) -> None:
    assert policy.working_time.receipt is ReceiptRule.AS_RECEIVED
    assert policy.working_time.hours.closes.isoformat() == "17:30:00"


@pytest.mark.rule("RB-7.4")
def test_the_area_table_is_dated(policy: Policy) -> None:
    chikan = policy.districts["440802"]
    first = chikan.areas[0].since
    assert chikan.area_on(first) == "central"
    assert chikan.area_on(first.replace(year=first.year - 1)) is None
    assert {code for code, d in policy.districts.items() if d.area_on(first) == "mixed"} == {
        "440804",
        "440811",
        "440871",
    }


def test_internal_shares_stay_within_the_limits_they_share(policy: Policy) -> None:
    shares = {
        voltage: sum(
            rule.limit_working_days or 0
            for kind, rule in policy.tasks.items()
            if kind in STORY[voltage] and (voltage is Voltage.LOW or rule.segment == "utility")
        )
        for voltage in Voltage
    }
    assert shares[Voltage.HIGH] <= 13
    assert shares[Voltage.LOW] <= 8


def test_a_version_that_no_file_carries_is_named() -> None:
    with pytest.raises(loader.UnknownPolicy, match=r"zhanjiang-2020-516\.99"):
        loader.policy_for("zhanjiang-2020-516.99")


def test_the_same_version_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "two.toml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"two\.toml: version: "):
        loader.policies_in(tmp_path)


# ---------------------------------------------------------------- what is refused

BROKEN = {
    "not TOML": (TEXT + "\n[", "(syntax): "),
    "a key twice": (edited("limit = 8", "limit = 8\nlimit = 9"), "(syntax): "),
    "an unknown key": (edited("yellow_at", "yelow_at"), "lights.yelow_at: "),
    "a missing key": (edited("yellow_at = 2\n", ""), "lights.yellow_at: Field required"),
    "a missing clause": (
        edited('clause = "516 三(二)"', "", after="[clocks.LV8]"),
        "clocks.LV8.clause: Field required",
    ),
    "a clause of no source": (
        edited('clause = "516 三(二)"', 'clause = "517 三(二)"', after="[clocks.LV8]"),
        "clocks.LV8.clause: '517 三(二)' cites none",
    ),
    "text for a number": (edited("limit = 40", 'limit = "40"'), "clocks.HV40.limit: "),
    "a negative limit": (edited("limit = 40", "limit = -40"), "clocks.HV40.limit: "),
    "a limit of nothing": (edited("limit = 8", "limit = 0"), "clocks.LV8.limit: "),
    "an unknown task kind": (edited("[tasks.survey]", "[tasks.serve]"), "tasks.serve: "),
    "a task kind without rule": (without_table("[tasks.survey]"), "tasks.survey: missing"),
    "an owner nobody knows": (
        edited('owner = "utility"', 'owner = "utilty"', after="[tasks.survey]"),
        "tasks.survey.owner: utilty",
    ),
    "an owner that owes no tasks": (
        edited('owner = "utility"', 'owner = "special-group"', after="[tasks.survey]"),
        "tasks.survey.owner: special-group",
    ),
    "permits owed by one agency": (
        edited('owner = "department"', 'owner = "desk"', after="[tasks.permits]"),
        "tasks.permits.owner: ",
    ),
    "a link nobody declared": (
        edited('low = "survey_and_meter"', 'low = "survey"', after="[tasks.survey]"),
        "tasks.survey.link.low: survey is not declared in links.low",
    ),
    "a link missing": (
        edited('low = "survey_and_meter", ', "", after="[tasks.energise]"),
        "tasks.energise.link.low: missing",
    ),
    "a link of a story without the task": (
        edited('{ low = "survey_and_meter" }', '{ low = "application", high = "application" }'),
        "tasks.survey.link.high: the high-voltage story has no survey",
    ),
    "a task's segment nobody declared": (
        edited('segment = "utility"', 'segment = "inner"', after="[tasks.survey]"),
        "tasks.survey.segment: inner",
    ),
    "a clock's segment nobody declared": (
        edited('counts = ["utility"]', 'counts = ["inner"]'),
        "clocks.INT13.counts: inner",
    ),
    "a clock that counts and leaves out": (
        edited('counts = []\nleaves_out = ["c', 'counts = ["utility"]\nleaves_out = ["c'),
        "clocks.HV40.leaves_out: ",
    ),
    "a department slower than its bundle": (
        edited("limit_working_days = 5", "limit_working_days = 6", after="[tasks.permits]"),
        "tasks.permits.limit_working_days: 6, but clocks.GOV5.limit is 5",
    ),
    "no correction": (without_table("[procedures.correction]"), "procedures: 0 are corrections"),
    "nobody in charge of a limit": (
        edited('in_charge = "utility"', 'in_charge = "none"'),
        "clocks.LV8.in_charge: a limit of the case needs somebody",
    ),
    "an unknown agency in charge": (
        edited('in_charge = "utility"', 'in_charge = "mayor"'),
        "clocks.LV8.in_charge: mayor is not declared",
    ),
    "no clock for the bundle": (without_table("[clocks.GOV5]"), "clocks: 0 cover the bundles"),
    "a permit of no department": (
        edited('agency = "water"', 'agency = "waters"'),
        "permits.12.agency: waters",
    ),
    "a permit twice": (
        edited("砍伐、迁移城市树木审批", "占用城市绿地审批"),
        "permits: 占用城市绿地审批 stands 2 times",
    ),
    "a trigger on no fact": (edited('"river_zone"', '"rivers"'), "'rivers' is not a fact"),
    "a trigger that never holds": (
        edited('"planning_area", op = "is", value = "town"', '"road", op = "is", value = "town"'),
        "road can never be compared with 'town'",
    ),
    "a trigger of no operator": (edited('op = "above"', 'op = "below"'), "permits.5.when.0.0: "),
    "a control zone with a gap": (
        edited(", expressway = 30", ""),
        "no value for the highway class expressway",
    ),
    "an extent of no fact": (edited('extent = ["length_m"', 'extent = ["length"'), ".extent: "),
    "a choice of no fact": (edited('"method",', '"methods",'), "'methods' is not a fact"),
    "a choice twice": (edited('"method",', '"road",'), "route.choices: road stands 2 times"),
    "a choice of the past": (
        edited('"method",', '"road_opened_on",'),
        "route.choices: road_opened_on is a day that has passed",
    ),
    "a ladder to nobody": (
        edited('to = "special-group"', 'to = "mayor"'),
        "ladder.3.to: mayor",
    ),
    "a ladder that turns back": (
        edited("after = 3", "after = 1", after='light = "red"'),
        "ladder.3: ",
    ),
    "combinations without a row": (
        edited('some = ["refused", "not_accepted"]', 'some = ["refused"]'),
        "aggregation: no row covers the combination approved + not_accepted",
    ),
    "the empty set without a row": (
        edited('[[aggregation]]\nonly = []\nresult = "no_permit_needed"\nclause = "CON"\n', ""),
        "aggregation.0.result: no outcome at all cannot come to granted",
    ),
    "a refusal that passes": (
        edited('only = ["approved"]', 'only = ["approved", "refused"]'),
        "aggregation.1.result: approved + refused cannot come to granted",
    ),
    "a row that never decides": (
        edited(
            "[[aggregation]]\nsome",
            '[[aggregation]]\nonly = []\nresult = "partial"\nclause = "CON"\n\n'
            "[[aggregation]]\nsome",
        ),
        "aggregation.4: never decides",
    ),
    "a result without words": (edited("partial = {", "# partial = {"), "results.partial: missing"),
    "an area limit missing": (edited("{ central = 160, ", "{ "), "investment.low.max_kva"),
    "a negative capacity": (edited("central = 160", "central = -160"), "investment.low.max_kva"),
    "a document missing": (
        edited('kind = "ownership"', 'kind = "identity"'),
        "intake.documents: the document ownership is missing",
    ),
    "two notices": (edited("notices = 1", "notices = 2"), "intake.correction.notices: "),
    "a window that closes first": (
        edited("closes = 17:30:00", "closes = 07:30:00"),
        "working_time.closes: ",
    ),
    "a role nobody has": (
        edited('role = "desk"', 'role = "supervisor"'),
        "agencies: none has the role desk",
    ),
    "a district code of five digits": (
        edited("[districts.440802]", "[districts.44080]"),
        "districts.44080",
    ),
    "areas out of order": (
        edited(
            'areas = [{ area = "central", since = 2020-01-01, clause = "CON" }]',
            'areas = [{ area = "central", since = 2020-01-01, clause = "CON" }, '
            '{ area = "other", since = 2019-01-01, clause = "CON" }]',
        ),
        "districts.440802.areas: 2019-01-01 does not follow 2020-01-01",
    ),
    "an override that ends first": (
        edited(
            "overrides = []",
            'overrides = [{ id = "x", since = 2022-01-01, until = 2021-01-01, voltages = ["low"], '
            'purposes = ["permanent"], districts = ["999999"], decision = "utility_pays", '
            'zh = "甲", en = "x", clause = "CON" }]',
        ),
        "investment.overrides.0.until: lies before since",
    ),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_broken_file_is_refused_by_its_key(what: str) -> None:
    text, expected = BROKEN[what]
    message = refusal(text)
    assert expected in message
    assert message.startswith("zhanjiang-2020-516.toml: ")


def test_overrides_that_contradict_each_other_are_refused() -> None:
    row = (
        '{{ id = "{id}", since = {since}, voltages = ["low"], purposes = ["permanent"], '
        'districts = {districts}, decision = "{decision}", zh = "甲", en = "x", clause = "CON" }}'
    )
    everywhere = row.format(id="a", since="2021-01-01", districts="[]", decision="utility_standard")
    chikan = row.format(id="b", since="2022-01-01", districts='["440802"]', decision="utility_pays")
    message = refusal(edited("overrides = []", f"overrides = [{everywhere}, {chikan}]"))
    assert "investment.overrides.1: holds for some of the same cases and days as a" in message


def test_every_problem_is_named_at_once() -> None:
    text = TEXT.replace("yellow_at = 2", "yellow_at = -2").replace("limit = 40", "limit = 0")
    with pytest.raises(PolicyError) as refused:
        load_policy(text, "a.toml")
    assert {key for key, _ in refused.value.problems} == {"lights.yellow_at", "clocks.HV40.limit"}


def _tables_with_keys(
    node: object, path: tuple[str | int, ...] = ()
) -> list[tuple[str | int, ...]]:
    paths = []
    items = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
    for key, value in items:
        paths.append((*path, key))
        if isinstance(value, dict):
            paths += _tables_with_keys(value, (*path, key))
    return paths


def _leaf_keys() -> list[tuple[str | int, ...]]:
    tables = tomllib.loads(TEXT)
    named_by_the_file = ("agencies", "districts", "segments", "sources", "clocks", "procedures")
    return [
        path
        for path in _tables_with_keys(tables)
        if not (len(path) == 2 and path[0] in named_by_the_file)
    ]


@pytest.mark.parametrize("path", _leaf_keys(), ids=lambda path: ".".join(map(str, path)))
def test_no_key_can_be_left_out(path: tuple[str, ...]) -> None:
    tables = tomllib.loads(TEXT)
    node = tables
    for part in path[:-1]:
        node = node[part]
    del node[path[-1]]
    with pytest.raises(PolicyError) as refused:
        policy_of(tables, "a.toml")
    assert ".".join(path) in {key for key, _ in refused.value.problems}


@pytest.mark.rule("RB-4.7")
def test_the_table_covers_every_combination_of_outcomes(policy: Policy) -> None:
    combinations = list(outcome_combinations())
    assert len(combinations) == 2**5
    assert all(any(row.fits(each) for row in policy.aggregation) for each in combinations)
