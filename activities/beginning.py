"""What a case's process is started with: pinned then, and kept to its end."""

from __future__ import annotations

from activities.messages import EDITION, CaseRef
from domain.civil_clock import CivilClock
from domain.connection import STORY, Voltage
from domain.ladder import earliest
from domain.policy import Policy
from domain.working_time import WorkingDays
from policy.loader import policy_for
from storage.reading import CaseRecord


def case_ref(no: str, voltage: Voltage, supply: str, policy: Policy, clock: CivilClock) -> CaseRef:
    """Return what a case's process is started with."""
    return CaseRef(
        no=no,
        voltage=voltage,
        policy=policy.version_id,
        clock=clock,
        patience_s={
            kind.value: (
                policy.tasks[kind].answer_within_minutes * 60,
                policy.tasks[kind].reconcile_hours * 3600,
            )
            for kind in STORY[voltage]
        },
        alarm_after_s={
            kind.value: earliest(
                WorkingDays(limit), policy.working_time.hours, yellow_at=policy.lights.yellow_at
            )
            for kind in STORY[voltage]
            if (limit := policy.tasks[kind].limit_working_days) is not None
        },
        edition=EDITION,
        clocks_alarm_after_s=min(
            (
                earliest(rule.limit, policy.working_time.hours, yellow_at=policy.lights.yellow_at)
                for rule in policy.clocks_of("case", voltage, supply)
                if rule.limit is not None
            ),
            default=None,
        ),
    )


def ref_of(case: CaseRecord) -> CaseRef:
    """Return what the process of a case on file is started with, under today's edition.

    Raises:
        UnknownPolicy: the policy it is pinned to is not shipped.
    """
    policy = policy_for(case.policy)
    return case_ref(case.no, Voltage(case.voltage), case.supply, policy, case.clock)
