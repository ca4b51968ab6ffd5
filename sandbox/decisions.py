"""What each agency decides: a pure function of the task, the seed and the address's marker.

The same task therefore gets the same outcome however often it is pushed, also after a restart.
Chance alone only makes detours: no ending but `connected` happens unless a marker asks for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeAlias

from sandbox import routes
from sandbox.chance import draw, happens, pick
from sandbox.tasks import Task

Outcome: TypeAlias = dict[str, object]

DEPARTMENTS = ("natural-resources", "police", "urban-management", "transport", "water")
LAST_DESIGN_ROUND = 3


class Story(StrEnum):
    """A course that an address can force."""

    DECLINED = "declined"
    NOT_FEASIBLE = "not_feasible"
    PLAN_REFUSED = "plan_refused"
    PERMITS_REFUSED = "permits_refused"
    INSPECTION_FAILED = "inspection_failed"
    CORRECTED = "corrected"
    PLAN_REVISED = "plan_revised"
    REROUTED = "rerouted"
    REINSPECTED = "reinspected"
    NO_PERMIT = "no_permit"
    NEW_STREET = "new_street"
    FIVE_DEPARTMENTS = "five_departments"
    SMOOTH = "smooth"


# An address that ends with the text takes the course, whatever chance says.
MARKERS: Mapping[str, Story] = {
    "（示例：不予受理）": Story.DECLINED,
    "（示例：无法供电）": Story.NOT_FEASIBLE,
    "（示例：拒绝方案）": Story.PLAN_REFUSED,
    "（示例：许可不通过）": Story.PERMITS_REFUSED,
    "（示例：放弃整改）": Story.INSPECTION_FAILED,
    "（示例：补正材料）": Story.CORRECTED,
    "（示例：调整方案）": Story.PLAN_REVISED,
    "（示例：改线获批）": Story.REROUTED,
    "（示例：整改复验）": Story.REINSPECTED,
    "（示例：无需许可）": Story.NO_PERMIT,
    "（示例：新建道路）": Story.NEW_STREET,
    "（示例：五部门并联）": Story.FIVE_DEPARTMENTS,
    "（示例：顺利接电）": Story.SMOOTH,
}
_ROUTES: Mapping[Story, str] = {
    Story.PERMITS_REFUSED: "street",
    Story.REROUTED: "street",
    Story.NO_PERMIT: "no_permit",
    Story.NEW_STREET: "new_street",
    Story.FIVE_DEPARTMENTS: "five_departments",
}

# Probabilities, each drawn once per task or per permit item, in the first round only.
CHANCES: Mapping[str, float] = {
    "correction": 0.08,
    "revise": 0.08,
    "inspection_failed": 0.08,
    "permit_refused": 0.03,
    "conditions": 0.12,
    "papers_to_follow": 0.06,
    "central_urban": 0.5,
}

# The item a department refuses first: the one a revised route can do without.
_REFUSED_FIRST: Mapping[str, str] = {
    "urban-management": "挖掘",
    "transport": "挖掘",
    "water": "河道",
}

_COMPLETIONS: Mapping[str, str] = {
    "correct_papers": "corrected",
    "papers": "received",
    "filing": "filed",
    "build_line": "built",
    "customer_works": "finished",
    "sign_contract": "signed",
    "energise": "energised",
}


def story_of(address: str) -> Story | None:
    """Return the course that the end of `address` forces, None to leave it to chance."""
    if not address.endswith("）"):
        return None
    return next((story for marker, story in MARKERS.items() if address.endswith(marker)), None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Decides tasks.

    Attributes:
        seed: what every draw follows from.
        chances: probabilities by the names of `CHANCES`.
        fixed_route: name of the high-voltage template every case gets, None to draw one.
        is_refusing: whether the fault `refuses` makes this department answer this task id so.
    """

    seed: int
    chances: Mapping[str, float]
    fixed_route: str | None
    is_refusing: Callable[[str, str], bool]

    def leaves_open(self, task: Task) -> bool:
        """Tell whether `task` is not answered for as long as its case lasts."""
        # Who builds only once the line is permitted never does here. Whether it was finished before
        # the case ends would otherwise follow from how long the departments take.
        return task.kind == "customer_works" and story_of(task.address) is Story.PERMITS_REFUSED

    def decide(self, task: Task) -> Outcome:
        """Return the outcome body of `task`."""
        story = story_of(task.address)
        match task.kind:
            case "check_papers":
                return self._papers(task, story)
            case "survey" | "supply_plan" if story is Story.NOT_FEASIBLE:
                note = "示例：附近线路无可用容量 / Example: no capacity left on the lines nearby"
                return {"code": "not_feasible", "note": note}
            case "survey":
                surveyed: Outcome = {
                    "code": "surveyed",
                    "route": self._low_voltage_route(task),
                }
                return surveyed | self._area(task)
            case "supply_plan":
                return {"code": "planned", "document_no": f"示例供电方案〔{task.id}〕"}
            case "confirm_plan":
                return self._plan(task, story)
            case "line_design":
                return self._design(task, story)
            case "permits":
                return self._permits(task, story)
            case "consent":
                return {"code": "consented", "document_no": f"示例政府批复〔{task.id}〕"}
            case "look_at_route":
                note = "示例：已查看线路，无需调整 / Example: looked at, nothing to change"
                return {"code": "seen", "note": note}
            case "inspection":
                return self._inspection(task, story)
            case "rectification":
                abandons = story is Story.INSPECTION_FAILED
                return {"code": "abandoned" if abandons else "rectified"}
            case kind:
                return {"code": _COMPLETIONS[kind]}

    def _papers(self, task: Task, story: Story | None) -> Outcome:
        if story is Story.DECLINED:
            note = "示例：地址不在供电区域内 / Example: the address is outside the supply area"
            return {"code": "declined", "note": note}
        if self._detours(task, story, Story.CORRECTED, "correction", "correction_needed"):
            missing = ["示例：用电地址物业权属证明 / Example: ownership of the address"]
            return {"code": "correction_needed", "missing": missing}
        accepted: Outcome = {"code": "accepted"}
        return accepted | self._area(task)

    def _area(self, task: Task) -> Outcome:
        """Say whether the address is central urban, where that is asked."""
        if not task.asks_area:
            return {}
        return {"is_central_urban": self._chance("central_urban", task.case_no)}

    def _plan(self, task: Task, story: Story | None) -> Outcome:
        if story is Story.PLAN_REFUSED:
            note = "示例：项目暂缓 / Example: the project is put off"
            return {"code": "refused", "note": note}
        if self._detours(task, story, Story.PLAN_REVISED, "revise", "revise"):
            note = "示例：请改用另一接入点 / Example: please connect at another point"
            return {"code": "revise", "note": note}
        return {"code": "agreed"}

    def _inspection(self, task: Task, story: Story | None) -> Outcome:
        wanted = Story.REINSPECTED
        if story is Story.INSPECTION_FAILED or self._detours(
            task, story, wanted, "inspection_failed", "failed"
        ):
            note = "示例：接地电阻不合格 / Example: the earthing resistance is too high"
            return {"code": "failed", "note": note}
        return {"code": "passed"}

    def _detours(
        self, task: Task, story: Story | None, wanted: Story, chance: str, code: str
    ) -> bool:
        if task.round > 1 or not task.allows(code):
            return False
        return story is wanted or (story is None and self._chance(chance, task.id))

    def _design(self, task: Task, story: Story | None) -> Outcome:
        is_hopeless = story is Story.PERMITS_REFUSED and task.round > 1
        if is_hopeless or task.round > LAST_DESIGN_ROUND:
            note = "示例：无其他可行路径 / Example: there is no other route"
            return {"code": "no_route", "note": note}
        name = self.fixed_route
        if story is not None or name is None:
            weights = routes.HIGH_VOLTAGE_WEIGHTS
            name = _ROUTES.get(story) if story else None
            name = name or pick(weights, self.seed, "route", task.case_no)
        route = routes.HIGH_VOLTAGE[name]
        for earlier in range(1, task.round):
            route = routes.revised(route, self._refusing(task.case_no, earlier, story))
        return {"code": "designed", "route": route}

    def _low_voltage_route(self, task: Task) -> routes.Route:
        weights = routes.LOW_VOLTAGE_WEIGHTS
        return routes.LOW_VOLTAGE[pick(weights, self.seed, "route", task.case_no)]

    def _permits(self, task: Task, story: Story | None) -> Outcome:
        refused = None
        if task.items and self._refuses(task.case_no, task.owed_by, task.round, story):
            looked_for = _REFUSED_FIRST.get(task.owed_by, "")
            refused = next((name for name in task.items if looked_for in name), task.items[0])
        items = [
            self._refusal(name) if name == refused else self._approval(task, story, name)
            for name in task.items
        ]
        return {"code": "answered", "items": items}

    def _refusal(self, item: str) -> Outcome:
        note = "示例：请避让后重新申请 / Example: please avoid this and apply again"
        return {"item": item, "outcome": "refused", "note": note}

    def _approval(self, task: Task, story: Story | None, item: str) -> Outcome:
        serial = int(draw(self.seed, "document", task.id, item) * 100_000)
        approval: Outcome = {"item": item, "document_no": f"示例许可〔2026〕{serial:05d}号"}
        if story is None and self._chance("conditions", task.id, item):
            note = "示例：夜间施工，完工后恢复路面 / Example: work at night, restore the surface"
            return approval | {"outcome": "approved_with_conditions", "note": note}
        if story is None and self._chance("papers_to_follow", task.id, item):
            note = "示例：五个工作日内补交图纸 / Example: drawings to follow in five working days"
            papers_by = (task.due_on or date(2026, 9, 14)) + timedelta(days=300)
            follow = {"papers": ["示例图纸"], "papers_by": papers_by.isoformat()}
            return approval | {"outcome": "papers_to_follow", "note": note} | follow
        return approval | {"outcome": "approved"}

    def _refusing(self, case_no: str, round_: int, story: Story | None) -> frozenset[str]:
        return frozenset(
            department
            for department in DEPARTMENTS
            if self._refuses(case_no, department, round_, story)
        )

    def _refuses(self, case_no: str, department: str, round_: int, story: Story | None) -> bool:
        task_id = f"{case_no}.permits-{department}.{round_}"
        match story:
            case Story.PERMITS_REFUSED:
                return department == "urban-management"
            case Story.REROUTED:
                return department == "urban-management" and round_ == 1
            case None:
                by_chance = round_ == 1 and self._chance("permit_refused", task_id)
                return by_chance or self.is_refusing(department, task_id)
            case _:
                return False

    def _chance(self, name: str, *of: str) -> bool:
        return happens(self.chances[name], self.seed, name, *of)
