"""Live pages: a stream that says that something has changed, and no more (server-sent events).

One watcher per process asks for marks, and only while somebody listens; what has changed is then
fetched by the page as it always is, with the same rights. A stream is no use of a session: it does
not keep one alive, and ends with it.
"""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from api.problems import Problem, Refused
from api.services import Services, Serving
from console.guard import PATH, Guarded, Visitor
from console.language import said
from domain.access import Act, Whose, whose
from domain.errors import UnknownCase
from domain.naming import is_case_no
from domain.words import Words
from storage.accounts import Accounts
from storage.watching import EVERYTHING, Topic, Watching

router = APIRouter()

LOOK_EVERY_S = 1.0
HEARTBEAT_S = 15.0
"""A proxy takes a silent connection for a dead one; a session is looked at as often."""
RETRY_MS = 5_000
"""How soon a browser comes back after a stream has ended."""
QUIET_S = 5.0
"""Whoever looks at everything is told this often at most."""
PER_SESSION = 4
"""Browsers open six connections to a host: pages themselves need the others."""
ALTOGETHER = 2_000
CHANGED, SIGNED_OUT = "changed", "signed-out"

_TOO_MANY = Problem(
    "too-many-streams", 429, "Too many pages are open that follow changes", "实时页面打开过多"
)

log = structlog.get_logger()


class Live:
    """Wakes those who listen when what they look at has changed.

    Args:
        watching: where marks are asked for.
    """

    def __init__(self, watching: Watching, look_every_s: float = LOOK_EVERY_S) -> None:
        self._watching, self._look_every_s = watching, look_every_s
        self._listeners: dict[Topic, set[Listener]] = {}
        self._sessions: Counter[str] = Counter()
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def mark(self, topic: Topic) -> str:
        """Return how things stand; what is rendered afterwards is at least as new."""
        return await self._watching.mark(topic)

    async def close(self) -> None:
        """Stop, and let go of the case file."""
        self.stop()
        if self._watcher is not None:
            await self._watcher

    @property
    def is_stopping(self) -> bool:
        """Whether every stream is to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End every stream, and take no more: a server waits for its streams before it stops."""
        self._stopping.set()
        for listener in self._everybody():
            listener.woken.set()

    async def rest(self, seconds: float) -> None:
        """Wait, but no longer than the server runs."""
        # Not cancelled: a connection cut off while it is opened is never closed.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    @contextmanager
    def listening(self, topic: Topic, session: str) -> Iterator[Listener]:
        """Listen for changes for the length of the block.

        Raises:
            Refused: this session, or all together, listen to as much as they may.
        """
        is_full = sum(self._sessions.values()) >= ALTOGETHER
        if is_full or self._sessions[session] >= PER_SESSION:
            raise Refused(
                _TOO_MANY,
                f"at most {PER_SESSION} pages at a time are kept up to date; reload by hand",
                f"最多同时实时更新 {PER_SESSION} 个页面，请手动刷新",
            )
        listener = Listener()
        self._listeners.setdefault(topic, set()).add(listener)
        self._sessions[session] += 1
        if self.is_stopping:
            listener.woken.set()
        elif self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]
            self._sessions[session] -= 1
            self._sessions += Counter()  # Forgets those that listen to nothing.

    def _everybody(self) -> Iterator[Listener]:
        for listeners in self._listeners.values():
            yield from listeners

    async def _watch(self) -> None:
        """Look for changes as long as somebody listens."""
        everything = ""
        while self._listeners and not self.is_stopping:
            try:
                if (now := await self._watching.mark(EVERYTHING)) != everything:
                    await self._look()
                    everything = now
            except Exception as problem:  # noqa: BLE001  it may be back at the next look
                log.warning("live_not_looked", problem=type(problem).__name__)
            await self.rest(self._look_every_s)

    async def _look(self) -> None:
        for topic in list(self._listeners):
            mark = await self._watching.mark(topic)
            for listener in self._listeners.get(topic, ()):
                listener.tell(mark)


class Listener:
    """One stream's ear.

    Attributes:
        since: the mark of what its page shows, as far as is known.
        woken: set when there is something to say, or to end.
    """

    def __init__(self) -> None:
        self.since: str | None = None
        self.latest: str | None = None
        self.woken = asyncio.Event()

    def tell(self, mark: str) -> None:
        """Take note of how things stand."""
        self.since = self.since or mark
        self.latest = mark
        if mark != self.since:
            self.woken.set()

    def taken(self) -> str | None:
        """Return the mark if it is new to the page, which is told of it now."""
        is_new = self.latest != self.since
        self.since = self.latest
        self.woken.clear()
        return self.latest if is_new else None


class Stream(Response):
    """The stream of one page, until its reader goes, its session ends or the server stops.

    Args:
        since: the mark of what the page shows; "" if it is not known.
        offer: HTML that offers to load the page again.
        is_let_in: asked with every piece that is sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        live: Live,
        topic: Topic,
        session: str,
        since: str,
        offer: str,
        is_let_in: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(headers=_UNCOLLECTED)
        del self.headers["content-length"]
        self._live, self._topic, self._session = live, topic, session
        self._since, self._offer, self._is_let_in = since, offer, is_let_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until there is nobody to send to."""
        with self._live.listening(self._topic, self._session) as listener:
            listener.since = self._since or None
            listener.tell(await self._live.mark(self._topic))
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await _send(send, f"retry: {RETRY_MS}\n\n")
            # Nothing else is cancelled: a question to the file that is cut off stays open.
            gone = asyncio.create_task(_gone(receive))
            try:
                await self._tell(listener, gone, send)
            finally:
                gone.cancel()
                with suppress(asyncio.CancelledError):
                    await gone
            await _send(send, "", is_last=True)

    async def _tell(self, listener: Listener, gone: asyncio.Task[None], send: Send) -> None:
        while not gone.done():
            woken = asyncio.create_task(listener.woken.wait())
            await asyncio.wait({gone, woken}, timeout=HEARTBEAT_S, return_when=FIRST_COMPLETED)
            woken.cancel()
            if gone.done() or self._live.is_stopping:
                return
            if not await self._is_let_in():
                await _send(send, f"event: {SIGNED_OUT}\ndata:\n\n")
                return
            if (mark := listener.taken()) is None:
                await _send(send, ":\n\n")
                continue
            # The id comes back when the browser does; the data is for pages that show it as it is.
            await _send(send, f"event: {CHANGED}\nid: {mark}\ndata: {self._offer}\n\n")
            if self._topic == EVERYTHING:
                await self._live.rest(QUIET_S)


_UNCOLLECTED = {
    # A proxy that collects an answer before it passes it on would pass nothing on.
    "X-Accel-Buffering": "no"
}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, text: str, *, is_last: bool = False) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": not is_last})


# ---------------------------------------------------------------- what can be listened to


@router.get("/tasks/events", name=Act.SEE_TASKS)
async def follow_tasks(
    request: Request, visitor: Guarded, services: Serving, owed_by: str = "", since: str = ""
) -> Response:
    """Tell of changes of what an agency owes: one's own, or for those who see all, of any."""
    account = visitor.signed_in
    sees_all = whose(account.role, Act.SEE_TASKS) is Whose.ALL
    agency = owed_by if sees_all else account.agency
    topic = Topic(owed_by=agency) if agency in services.policy.agencies else EVERYTHING
    return _stream(request, visitor, Act.SEE_TASKS, topic, since, f"{PATH}/tasks")


@router.get("/cases/{no}/events", name=Act.SEE_CASES)
async def follow_case(request: Request, no: str, visitor: Guarded, since: str = "") -> Response:
    """Tell of changes of a case."""
    if not is_case_no(no):
        raise UnknownCase(no)
    topic = Topic(case_no=no)
    return _stream(request, visitor, Act.SEE_CASES, topic, since, f"{PATH}/cases/{no}")


@router.get("/supervision/events", name=Act.SEE_SUPERVISION)
async def follow_everything(request: Request, visitor: Guarded, since: str = "") -> Response:
    """Tell that something has changed, now and then."""
    path = f"{PATH}/supervision"
    return _stream(request, visitor, Act.SEE_SUPERVISION, EVERYTHING, since, path)


def _stream(
    request: Request, visitor: Visitor, act: Act, topic: Topic, since: str, path: str
) -> Response:
    if "text/event-stream" not in request.headers.get("accept", ""):
        # Somebody opened the address itself, or a proxy tries it: that is the page.
        return RedirectResponse(path, status_code=303)
    state = request.app.state
    accounts: Accounts = state.accounts
    services: Services = state.services

    async def is_let_in() -> bool:
        account = await accounts.signed_in(visitor.secret, at=services.now(), is_use=False)
        if account is None or account.agency != visitor.signed_in.agency:
            return False
        return whose(account.role, act) is whose(visitor.signed_in.role, act)

    since = request.headers.get("last-event-id", since)
    offer = said(_OFFER, visitor.language)
    return Stream(state.live, topic, visitor.secret, since, offer, is_let_in)


_OFFER = Words(
    '有新的变动。 <a class="button" href="">刷新本页</a>',
    'Something has changed. <a class="button" href="">Load the page again</a>',
)
