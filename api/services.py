"""What every call may use: put together once in `api.app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from activities.agencies import Agencies
from api.case_secrets import CaseSecrets
from api.delivery import Delivery
from api.engine import Engine
from domain.policy import Policy
from operations.processes import Processes
from operations.repairing import Repairing
from operations.stuck_watch import StuckWatch
from settings import Settings
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.documents import Documents
from storage.opinions import Opinions
from storage.reading import Reading
from storage.repairs import Repairs
from storage.replays import Replays
from storage.system_keys import SystemKeys


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running API.

    Attributes:
        policy: the version that new cases are pinned to.
        agencies: their systems, as this process calls them.
        secrets: with which applicants follow their cases.
        now: the engine's time.
    """

    settings: Settings
    policy: Policy
    casefile: CaseFile
    reading: Reading
    engine: Engine
    delivery: Delivery
    calendars: Calendars
    agencies: Agencies
    documents: Documents
    opinions: Opinions
    repairs: Repairs
    replays: Replays
    system_keys: SystemKeys
    repairing: Repairing
    processes: Processes
    stuck: StuckWatch
    secrets: CaseSecrets
    now: Callable[[], datetime]


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Serving = Annotated[Services, Depends(_services)]
