"""Single steps of both stories: correction, plan, inspection, filing, acceptance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from domain.connection import Code, Ending, TaskKind, Voltage, outcomes_of
from domain.errors import InputRefused
from tests.support.cases import HIGH, LOW, changed
from tests.workflows.conftest import OpenTown
from tests.workflows.harness import NOTICE_LAPSES, Town
from tests.workflows.stories import STORIES, Story

ENTERPRISE = {**HIGH, "voltage": "low", "capacity_kva": 100.0}


@pytest.mark.rule("RB-3.5")
@pytest.mark.parametrize("voltage", Voltage)
async def test_after_one_correction_the_desk_accepts_or_declines(
    voltage: Voltage, town: Town
) -> None:
    correction = {"code": "correction_needed", "missing": ["身份证明材料", "物业权属证明材料"]}
    story = Story(voltage, Ending.DECLINED, {"check_papers.1": correction})
    no = await town.submit(voltage)
    await town.answer_all(no, story, "check_papers.1")
    await town.answer_all(no, story, "correct_papers.1")
    (again,) = await town.owed(no, "check_papers.2")
    assert set(outcomes_of(again.kind, voltage, again.round)) == {Code.ACCEPTED, Code.DECLINED}
    with pytest.raises(InputRefused, match="check_papers task cannot come out"):
        await town.put_on_file(again, correction)
    assert (await town.tasks(no))["check_papers.2"].state == "open"
    await town.answer(again, {"code": "accepted"})
    await town.owed(no, "survey.1" if voltage is Voltage.LOW else "supply_plan.1")


@pytest.mark.rule("RB-3.5")
async def test_what_the_desk_decided_in_time_stands_though_it_is_delivered_late(
    town: Town,
) -> None:
    story = STORIES["low.declined"]
    no = await town.submit(Voltage.LOW)
    (check,) = await town.owed(no, "check_papers.1")
    await town.put_on_file(check, story.outcome(check))
    await town.let_come(NOTICE_LAPSES, owed=1)
    assert (await town.closing(no)).ending is Ending.DECLINED
    assert (await town.case(no)).accepted_at is None


@pytest.mark.rule("RB-3.5")
async def test_what_the_desk_says_too_late_changes_nothing(open_town: OpenTown) -> None:
    story = STORIES["low.declined"]
    async with open_town(is_working=False, max_cached_workflows=0) as town:
        no = await town.submit(Voltage.LOW, is_watched=False)
        async with town.working():
            (check,) = await town.owed(no, "check_papers.1")
        await town.let_come(NOTICE_LAPSES, owed=1)
        await town.comes(NOTICE_LAPSES)
        await town.answer(check, story.outcome(check))
        await town.recorded(no, EventType.EVENT_TYPE_TIMER_FIRED)
        async with town.working():
            await town.owed(no, "survey.1")
            case = await town.case(no)
            assert case.accepted_at == case.submitted_at


@pytest.mark.rule("RB-6.2")
async def test_a_failed_inspection_is_rectified_and_inspected_until_it_passes(town: Town) -> None:
    failed = {"code": "failed", "note": "接地电阻不合格"}
    story = Story(
        Voltage.HIGH,
        Ending.CONNECTED,
        {
            "line_design.1": STORIES["high.no_permit_needed"].answers["line_design.1"],
            "inspection.1": failed,
            "inspection.2": failed,
        },
    )
    no = await town.submit(Voltage.HIGH)
    case = await town.tell(no, story)
    assert case.ending == Ending.CONNECTED
    tasks = await town.tasks(no)
    names = [name for name in tasks if name.split(".")[0] in ("inspection", "rectification")]
    assert names == [
        "inspection.1",
        "rectification.1",
        "inspection.2",
        "rectification.2",
        "inspection.3",
    ]
    # Rectification is on the customer's time.
    assert {tasks[f"rectification.{n}"].segment for n in (1, 2)} == {"customer"}
    assert {tasks[f"rectification.{n}"].owed_by for n in (1, 2)} == {"applicant"}


@pytest.mark.rule("RB-6.3")
async def test_a_plan_is_revised_until_the_applicant_agrees(town: Town) -> None:
    no = await town.submit(Voltage.HIGH)
    await town.tell(no, STORIES["high.revised_plan"])
    tasks = await town.tasks(no)
    names = [name for name in tasks if name.split(".")[0] in ("supply_plan", "confirm_plan")]
    assert names == ["supply_plan.1", "confirm_plan.1", "supply_plan.2", "confirm_plan.2"]
    assert tasks["confirm_plan.2"].owed_by == tasks["sign_contract.1"].owed_by == "applicant"


@pytest.mark.rule("RB-4.3")
async def test_low_voltage_files_its_line_and_asks_no_department(town: Town) -> None:
    no = await town.submit(Voltage.LOW)
    await town.tell(no, STORIES["low.connected"])
    tasks = await town.tasks(no)
    assert list(tasks) == [
        "check_papers.1",
        "survey.1",
        "filing.1",
        "build_line.1",
        "sign_contract.1",
        "energise.1",
    ]
    assert tasks["filing.1"].outcome == {"code": "filed"}


@pytest.mark.rule("RB-4.3")
async def test_what_a_surveyed_line_touches_is_shown_to_who_files_it_and_stops_nothing(
    town: Town,
) -> None:
    no = await town.submit(Voltage.LOW)
    case = await town.tell(no, STORIES["low.guarded"])
    filing = (await town.tasks(no))["filing.1"]
    assert [(remark["id"], remark["segments"]) for remark in filing.asked["remarks"]] == [
        ("river", [1])
    ]
    (flagged,) = await town.events(no, "route_flagged")
    assert [guard["id"] for guard in flagged.body["guards"]] == ["river"]
    assert case.ending == Ending.CONNECTED


@pytest.mark.rule("RB-6.1")
@pytest.mark.parametrize(
    ("name", "links"),
    [
        ("low.connected", ["application", "survey_and_meter"]),
        ("high.connected", ["application", "supply_plan_reply", "inspection_and_meter"]),
    ],
)
async def test_all_tasks_stand_in_the_two_or_three_links(
    name: str, links: list[str], town: Town
) -> None:
    no = await town.submit(STORIES[name].voltage)
    await town.tell(no, STORIES[name])
    opened = sorted((await town.tasks(no)).values(), key=lambda task: task.opened_at)
    in_order = dict.fromkeys(task.link for task in opened)
    # Works in parallel may open a later link's task before an earlier link's last.
    assert set(in_order) == set(links)
    assert next(iter(in_order)) == links[0]
    assert (await town.case(no)).stage == links[-1]


@pytest.mark.rule("RB-7.1", "RB-7.2", "RB-7.3")
@pytest.mark.parametrize(
    ("content", "decision"),
    [
        pytest.param(HIGH, "utility_pays", id="high voltage"),
        pytest.param(ENTERPRISE, "utility_pays", id="small enterprise"),
        pytest.param(LOW, "utility_standard", id="person"),
        pytest.param(changed(HIGH, "purpose", "temporary"), "utility_standard", id="temporary"),
    ],
)
async def test_who_invests_is_decided_at_acceptance_with_reasons(
    content: Mapping[str, Any], decision: str, town: Town
) -> None:
    no = await town.submit(Voltage(content["voltage"]), content=content)
    (check,) = await town.owed(no, "check_papers.1")
    assert (await town.case(no)).investment is None
    await town.answer(check, {"code": "accepted"})
    await town.owed(no, "survey.1" if content["voltage"] == "low" else "supply_plan.1")
    case = await town.case(no)
    assert case.investment is not None
    assert case.investment["decision"] == decision
    assert all(reason["zh"] and reason["en"] for reason in case.investment["reasons"])
    assert case.accepted_at == (await town.tasks(no))["check_papers.1"].done_at


@pytest.mark.rule("RB-7.4")
@pytest.mark.parametrize(
    ("is_central", "decision"), [(True, "utility_pays"), (False, "utility_standard")]
)
async def test_an_address_of_unknown_area_goes_to_the_person_who_accepts(
    is_central: bool, decision: str, town: Town
) -> None:
    mixed = changed({**ENTERPRISE, "capacity_kva": 120.0}, "site.district", "440811")
    no = await town.submit(Voltage.LOW, content=mixed)
    (check,) = await town.owed(no, "check_papers.1")
    with pytest.raises(InputRefused, match="is_central_urban"):
        await town.put_on_file(check, {"code": "accepted"})
    await town.answer(check, {"code": "accepted", "is_central_urban": is_central})
    await town.owed(no, "survey.1")
    investment = (await town.case(no)).investment
    assert investment is not None
    assert investment["decision"] == decision


@pytest.mark.rule("RB-3.5")
async def test_a_case_declined_is_never_accepted(town: Town) -> None:
    no = await town.submit(Voltage.LOW)
    case = await town.tell(no, STORIES["low.declined"])
    assert (case.accepted_at, case.investment) == (None, None)
    assert [task.kind for task in (await town.tasks(no)).values()] == [TaskKind.CHECK_PAPERS]


@pytest.mark.rule("RB-1.3", "RB-1.7", "RB-2.5")
async def test_a_task_is_due_on_working_days_and_says_by_which_calendar(town: Town) -> None:
    story = STORIES["high.connected"]
    no = await town.submit(Voltage.HIGH)
    await town.tell(no, story)
    tasks = await town.tasks(no)
    # Opened on Monday 14 September 2026; the Sunday of that week is a make-up working day.
    due = {name: tasks[name].due_on for name in ("check_papers.1", "permits-water.1")}
    assert {name: str(day) for name, day in due.items()} == {
        "check_papers.1": "2026-09-15",
        "permits-water.1": "2026-09-20",
    }
    assert {task.calendar_version for task in tasks.values()} != {""}
    assert tasks["customer_works.1"].due_on is None
