"""Composition root of the API."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.agencies import Agencies
from activities.contract import civil_text
from api import (
    acts,
    applications,
    behind,
    bulk,
    calendar_preview,
    calendar_years,
    case_documents,
    documents,
    escalations,
    exchange,
    following,
    keys,
    notices,
    opinions,
    permits,
    previews,
    problems,
    public,
    repair_options,
    repairs,
    replays,
    reporting,
    searching,
    standing,
    stuck,
    supervision,
    tasks,
    undelivered,
    webhooks,
)
from api import calendar as why
from api.auth import Keys, check_routes
from api.case_secrets import CaseSecrets
from api.delivery import Delivery
from api.description import DescribedApi, operation_id
from api.engine import Engine
from api.outbox import Sender
from api.problems import NOT_FOUND, PROBLEMS, TOO_LARGE, Refused, respond
from api.recalculating import Recalculation
from api.repairing import RepairLoop
from api.schemas import CivilNow, Liveness, ProblemType, Readiness, refusals
from api.services import Services, Serving
from domain.access import Act
from domain.errors import FieldProblem, InputRefused
from operations.processes import Processes
from operations.repairing import Repairing, Tools
from operations.replay_jobs import ReplayJobs
from operations.stuck import Finder
from operations.stuck_watch import StuckWatch
from policy.calendar import calendar
from policy.loader import policy_for
from settings import Settings
from storage.calendars import Calendars
from storage.casefile import CaseFile
from storage.database import open_engine
from storage.documents import Documents
from storage.following import Following
from storage.opinions import Opinions
from storage.outbox import Outbox
from storage.reading import Reading
from storage.repairs import Repairs
from storage.replays import Replays
from storage.system_keys import SystemKeys

open_to_all = APIRouter(tags=["open to all"])
operators = APIRouter(tags=["operators"])


@open_to_all.get("/clock", name=Act.READ_CLOCK, response_model=CivilNow, summary="Civil time")
async def clock(services: Serving) -> dict[str, object]:
    """Say what time it is for people: in training mode it runs faster."""
    civil = services.settings.clock
    return {"civil_now": civil_text(civil.civil(services.now())), "speed": civil.speed}


@operators.get("/healthz", response_model=Liveness, summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Answer; nothing else is asked."""
    return {"status": "alive"}


@operators.get(
    "/readyz",
    response_model=Readiness,
    summary="Can it do its work?",
    responses={503: {"model": Readiness, "description": "The case file is away"}},
)
async def readyz(services: Serving) -> Response:
    """200 when applications can be taken in; the engine may be away, and is named then."""
    has_casefile = await services.reading.is_reachable()
    has_engine = await services.engine.is_reachable()
    body = {"case_file": has_casefile, "engine": has_engine}
    return JSONResponse(body, status_code=200 if has_casefile else 503)


@operators.get(
    "/problems/{slug}",
    response_model=ProblemType,
    summary="What a problem type means",
    responses=refusals(404),
)
async def problem_type(slug: str) -> dict[str, object]:
    """Describe a problem type, so that its URI leads somewhere."""
    for each in PROBLEMS:
        if each.slug == slug:
            return {"slug": slug, "status": each.status, "title": each.en, "title_zh": each.zh}
    raise Refused(NOT_FOUND, "no such problem type", "没有此问题类型")


PREFIX = "/api/v1"
ROUTERS: tuple[APIRouter, ...] = (
    applications.router,
    previews.router,
    case_documents.router,
    searching.router,
    tasks.router,
    reporting.router,
    bulk.router,
    documents.router,
    opinions.router,
    opinions.links,
    following.router,
    following.public,
    public.router,
    permits.router,
    notices.router,
    supervision.router,
    behind.router,
    escalations.router,
    undelivered.router,
    stuck.router,
    standing.router,
    repairs.router,
    repair_options.router,
    replays.router,
    keys.router,
    acts.router,
    exchange.router,
    calendar_years.router,
    calendar_preview.router,
    why.router,
    open_to_all,
)
"""What is served there; a route of theirs without an act keeps the API from starting."""


def routes() -> Iterator[APIRoute]:
    """Yield every route of the API; their paths lack the prefix."""
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield route


def build_app(
    settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> FastAPI:
    """Put the API together.

    Args:
        now: the engine's time.
    """
    casefile = CaseFile(open_engine(settings.database_url), settings.agency_bases)
    engine = Engine(settings)
    policy = policy_for(settings.policy)
    delivery = Delivery(casefile, engine)
    reading = Reading(casefile.engine)
    calendars = Calendars(casefile.engine, calendar, now)
    recalculation = Recalculation(casefile, calendars, engine, now)
    agencies = Agencies(
        settings.agency_bases,
        {agency: settings.key_of(agency) for agency in settings.agency_keys},
        {agency: settings.secrets_of(agency) for agency in settings.signing_secrets},
        at_once=settings.agency_calls_at_once,
    )
    documents_on_file, repairs_on_file = Documents(casefile.engine), Repairs(casefile.engine)
    processes = Processes(settings)
    repairing = Repairing(
        Tools(
            casefile=casefile,
            reading=reading,
            documents=documents_on_file,
            repairs=repairs_on_file,
            processes=processes,
            agencies=agencies,
            now=now,
        )
    )
    replays_on_file = Replays(casefile.engine)
    replay_jobs = ReplayJobs(replays_on_file, settings, now)
    repair_loop = RepairLoop(repairs_on_file, repairing, now)
    finder = Finder(casefile.engine, Processes(settings), now, settings.clock)
    stuck_watch = StuckWatch(finder)
    sender = Sender(Outbox(casefile.engine), agencies, now, settings.clock)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        bringing = asyncio.create_task(delivery.run())
        recalculating = asyncio.create_task(recalculation.run())
        sending = asyncio.create_task(sender.run())
        repairing_cases = asyncio.create_task(repair_loop.run())
        replaying = asyncio.create_task(replay_jobs.run())
        watching = asyncio.create_task(stuck_watch.run())
        try:
            yield
        finally:
            delivery.stop()
            watching.cancel()
            recalculation.stop()
            sender.stop()
            repair_loop.stop()
            replay_jobs.stop()
            await asyncio.gather(
                bringing,
                recalculating,
                sending,
                repairing_cases,
                replaying,
                watching,
                return_exceptions=True,
            )
            await agencies.close()
            await casefile.close()

    app = DescribedApi(
        title="OneWindow 一窗通电",
        version="1",
        summary="From the window to a live meter, within the promised limits",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    keys_on_file = SystemKeys(casefile.engine)
    app.state.keys = Keys(settings, policy, keys_on_file, now)
    app.state.services = Services(
        settings=settings,
        policy=policy,
        casefile=casefile,
        reading=reading,
        engine=engine,
        delivery=delivery,
        calendars=calendars,
        agencies=agencies,
        documents=documents_on_file,
        opinions=Opinions(casefile.engine),
        repairs=repairs_on_file,
        replays=replays_on_file,
        system_keys=keys_on_file,
        repairing=repairing,
        processes=processes,
        stuck=stuck_watch,
        secrets=CaseSecrets(Following(casefile.engine), settings.server_secret),
        now=now,
    )
    problems.install(app)
    check_routes(routes(), following.admitted)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX, dependencies=[Depends(_known_parameters)])
    app.include_router(operators)
    app.webhooks.include_router(webhooks.router)
    # Looked at with every request: the console adds those of its own forms.
    app.state.larger_bodies = {documents.PATH: settings.document_limit_bytes}
    app.add_middleware(
        BodyLimit,
        limit=settings.body_limit_bytes,
        larger=app.state.larger_bodies,
    )
    return app


async def _known_parameters(request: Request) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    dependant = getattr(request.scope.get("route"), "dependant", None)
    known = {each.alias for each in dependant.query_params} if dependant else set()
    problems = [
        FieldProblem(
            name,
            f"no such parameter; there are: {', '.join(sorted(known)) or 'none'}",
            f"没有此参数；可用参数：{'、'.join(sorted(known)) or '无'}",
        )
        for name in sorted(set(names) - known)
    ]
    # Of a repeated parameter the framework takes the last: the list would not be what was asked.
    problems += [
        FieldProblem(name, "is given more than once", "重复填写")
        for name in sorted({name for name in known if names.count(name) > 1})
    ]
    if problems:
        raise InputRefused(*problems)


class BodyLimit:
    """Refuses a body over the limit, by its stated length or as it arrives.

    Args:
        larger: limits of addresses that have their own.
    """

    def __init__(
        self, app: ASGIApp, limit: int, larger: Mapping[re.Pattern[str], int] | None = None
    ) -> None:
        self._app, self._limit = app, limit
        self._larger = {} if larger is None else larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        headers = dict(scope["headers"])
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > limit:
            await self._refuse(limit, scope, receive, send)
            return
        taken, has_answered = 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal has_answered
            # The framework takes what `counted` raises for a body that cannot be read; that answer
            # gives way to the one below.
            if taken <= limit or has_answered:
                has_answered = True
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, counted, noted)
        if taken > limit and not has_answered:
            await self._refuse(limit, scope, receive, send)

    def _limit_of(self, path: str) -> int:
        own = (limit for pattern, limit in self._larger.items() if pattern.fullmatch(path))
        return next(own, self._limit)

    async def _refuse(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        answer = respond(
            TOO_LARGE,
            en=f"the body may have {limit} bytes at most",
            zh=f"请求正文不得超过 {limit} 字节",
            limit_bytes=limit,
        )
        await answer(scope, receive, send)


class _TooLarge(Exception):
    """More came than the limit allows."""
