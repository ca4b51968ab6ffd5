"""Workflows as somebody might change them, and a process that replays with one of the changes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import timedelta

from temporalio import workflow

from activities.casefile import CaseFileActivities
from activities.messages import Bundle, BundleResult, CaseRef, Closing, RouteRemark
from domain.connection import Ending, TaskKind, Voltage
from operations.replayer import main
from workflows.application import Application, _StoryEnds
from workflows.approval_bundle import ApprovalBundle
from workflows.owing import on_file, owe
from workflows.registry import WORKFLOWS


class _Changed(Application):
    @workflow.init
    def __init__(self, case: CaseRef) -> None:
        super().__init__(case)


@workflow.defn(name="Application")
class BuildsTwice(_Changed):
    """The line is built under another id."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _line_built(self) -> None:
        await self._answered(TaskKind.BUILD_LINE, round_no=2)


@workflow.defn(name="Application")
class LooksFirst(_Changed):
    """A step on the case file before the contract."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _contract_signed(self) -> None:
        at = self._case.clock.civil(workflow.now())
        await on_file(CaseFileActivities.ring_ladder, self._case.policy, self._case.no, at)
        await super()._contract_signed()


@workflow.defn(name="Application")
class SleepsFirst(_Changed):
    """A night's rest instead of the line."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _line_built(self) -> None:
        await workflow.sleep(timedelta(hours=8))


@workflow.defn(name="Application")
class SignsNothing(_Changed):
    """No contract."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _contract_signed(self) -> None:
        return


@workflow.defn(name="Application")
class Stumbles(_Changed):
    """Raises where the contract is to be signed."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _contract_signed(self) -> None:
        raise KeyError("contract")


@workflow.defn(name="Application")
class EndsEarly(_Changed):
    """Ends before the line is built."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _line_built(self) -> None:
        raise _StoryEnds(Ending.CONNECTED)


@workflow.defn(name="Application")
class EndsAtOnce(_Changed):
    """Ends without a word to anyone."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return Closing(Ending.CONNECTED, case.clock.civil(workflow.now()))


@workflow.defn(name="Application")
class AlsoSurveys(_Changed):
    """Asks for another survey after the filing was asked for, and beside it."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _line_filed(self, remarks: list[RouteRemark]) -> None:
        filing = asyncio.create_task(super()._line_filed(remarks))
        await asyncio.sleep(0)
        self._aside.append(asyncio.create_task(owe(self._case, TaskKind.SURVEY, round_no=2)))
        await filing


@workflow.defn(name="Application")
class Spins(_Changed):
    """Does not come to an end where the line is to be built."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _line_built(self) -> None:
        while True:
            pass


@workflow.defn(name="Application")
class DozesOverHighVoltage(_Changed):
    """Holds up whoever replays a case of high voltage, within what a history may take."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        if case.voltage is Voltage.HIGH:
            time.sleep(15)  # noqa: ASYNC251  what holds up its process
        return await super().run(case)


@workflow.defn(name="Application")
class Exits(_Changed):
    """Ends the process that runs it."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _line_built(self) -> None:
        os._exit(3)


@workflow.defn(name="Application")
class Eats(_Changed):
    """Asks for more memory than there is, and says what it was given to whoever listens."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _line_built(self) -> None:
        print("eaten", len(bytes(1 << 40)), flush=True)


@workflow.defn(name="Application")
class TellsSecrets(_Changed):
    """Raises with all that it finds in its surroundings."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        raise RuntimeError(" ".join(sorted(os.environ)))


@workflow.defn(name="Tender")
class Tender:
    """Another way of having a line permitted."""

    @workflow.run
    async def run(self, bundle: Bundle) -> BundleResult:
        """Grant everything."""
        return BundleResult("granted", may_build=True)


@workflow.defn(name="Application")
class Tenders(_Changed):
    """Another child."""

    @workflow.run
    async def run(self, case: CaseRef) -> Closing:
        return await super().run(case)

    async def _approved_in_parallel(self, bundle: Bundle) -> BundleResult:
        return await workflow.execute_child_workflow(
            Tender.run, bundle, id=f"{self._case.no}.permits.{bundle.round}"
        )


@workflow.defn(name="ApprovalBundle")
class AsksNobody:
    """A bundle that asks no department."""

    @workflow.run
    async def run(self, bundle: Bundle) -> BundleResult:
        """Grant everything."""
        return BundleResult("granted", may_build=True)


CHANGES: dict[str, tuple[type, ...]] = {
    "nothing": WORKFLOWS,
    "no_bundles": (Application,),
    "bundles_ask_nobody": (Application, AsksNobody),
    **{
        each.__name__: (each, ApprovalBundle)
        for each in (
            BuildsTwice,
            LooksFirst,
            SleepsFirst,
            SignsNothing,
            Stumbles,
            EndsEarly,
            EndsAtOnce,
            AlsoSurveys,
            Spins,
            DozesOverHighVoltage,
            Exits,
            Eats,
            TellsSecrets,
        )
    },
    "Tenders": (Tenders, Tender, ApprovalBundle),
}


def program(change: str) -> tuple[str, ...]:
    """Return what replays with a change, in a process of its own."""
    return (sys.executable, "-m", __name__, change)


if __name__ == "__main__":
    main(CHANGES[sys.argv[1]])
