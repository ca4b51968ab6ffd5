"""The sandbox as its neighbour sees it: a real process, real HTTP, a small OneWindow of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from socket import create_server
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.connection import Code, TaskKind, Voltage, outcomes_of
from domain.outcomes import Outcome, check_outcome
from sandbox import routes
from sandbox.__main__ import main
from sandbox.caller import CallFailed, Connection
from sandbox.chance import draw
from sandbox.decisions import CHANCES, DEPARTMENTS, MARKERS, Judgement, Story
from sandbox.faults import Faults
from sandbox.hours import CivilClock, WorkedDays, answered_at, answered_late, office
from sandbox.peer import Conduct, Peer
from sandbox.tasks import TaskUnreadable, read_task

ROOT = Path(__file__).parents[2]
AGENCIES = ("desk", "utility", "applicant", *DEPARTMENTS)
KEYS = {agency: f"key-of-{agency}" for agency in AGENCIES}
CIVIL_ORIGIN = datetime.fromisoformat("2026-09-14T09:00:00+08:00")
A_DAY_IS = 0.05  # real seconds
PATIENCE = 5.0  # real seconds until a test gives up
ITEM = "占用、挖掘城市道路审批"


@dataclass
class Call:
    """One outcome that the sandbox delivered."""

    task_id: str
    key: str
    body: Any
    civil: datetime


@dataclass
class OneWindow:
    """A stand-in for the API: civil clock and outcomes."""

    url: str = ""
    started: float = field(default_factory=time.monotonic)
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, list[Response]] = field(default_factory=dict)

    def civil_now(self) -> datetime:
        days = (time.monotonic() - self.started) / A_DAY_IS
        return CIVIL_ORIGIN + timedelta(days=days)

    def of(self, task_id: str) -> list[Call]:
        return [call for call in self.calls if call.task_id == task_id]

    def app(self) -> Starlette:
        async def clock(_: Request) -> Response:
            speed = 86400 / A_DAY_IS
            return JSONResponse({"civil_now": self.civil_now().isoformat(), "speed": speed})

        async def outcome(request: Request) -> Response:
            task_id = request.path_params["task_id"]
            body = json.loads(await request.body())
            key = request.headers["Authorization"]
            self.calls.append(Call(task_id, key, body, self.civil_now()))
            waiting = self.answers.get(task_id)
            return waiting.pop(0) if waiting else Response(status_code=200)

        return Starlette(
            routes=[
                Route("/api/v1/clock", clock),
                Route("/api/v1/tasks/{task_id}/outcome", outcome, methods=["PUT"]),
            ]
        )


@contextmanager
def serve(window: OneWindow, port: int = 0) -> Iterator[OneWindow]:
    listener = create_server(("127.0.0.1", port))
    window.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(window.app(), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield window
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()


@contextmanager
def play(api: str, keys_file: Path, *flags: str) -> Iterator[httpx2.Client]:
    keys_file.write_text(json.dumps(KEYS), encoding="utf-8")
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--api", api]
    command += ["--keys-file", str(keys_file), "--slow-seconds", "0.4", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" ")[2].strip()
        with httpx2.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def window() -> Iterator[OneWindow]:
    with serve(OneWindow()) as window:
        yield window


@pytest.fixture(scope="module")
def running(window: OneWindow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    keys_file = tmp_path_factory.mktemp("sandbox") / "keys.json"
    with play(window.url, keys_file, "--chance", "all=0") as client:
        eventually(lambda: client.get("/healthz").json()["has_clock"])
        yield client


@pytest.fixture
def sandbox(running: httpx2.Client) -> Iterator[httpx2.Client]:
    yield running
    set_faults(running, {})


def eventually(is_so: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.01)


_numbers = iter(range(1, 1_000_000))


def a_task(
    kind: str = "check_papers",
    owed_by: str = "desk",
    *,
    voltage: str = "high",
    address: str = "湛江市赤坎区示例路1号",
    round_: int = 1,
    case_no: str | None = None,
    items: tuple[str, ...] = (),
    **others: object,
) -> dict[str, Any]:
    case_no = case_no or f"ZJ2026{next(_numbers):07d}"
    what = f"permits-{owed_by}" if kind == "permits" else kind
    return {
        "id": f"{case_no}.{what}.{round_}",
        "case_no": case_no,
        "kind": kind,
        "owed_by": owed_by,
        "round": round_,
        "state": "open",
        "opened_at": "2026-09-14T09:00:00+08:00",
        "due_on": None,
        "outcomes": list(outcomes_of(TaskKind(kind), Voltage(voltage), round_)),
        "items": [{"item": item, "basis": "示例", "segments": [0]} for item in items],
        "facts": {"voltage": voltage, "capacity_kva": 630, "address": address, "route": None},
        "asks_area": False,
        **others,
    }


def push(client: httpx2.Client, task: dict[str, Any]) -> httpx2.Response:
    agency = task["owed_by"]
    authorization = {"Authorization": f"Bearer {KEYS[agency]}"}
    return client.put(f"/{agency}/tasks/{task['id']}", json=task, headers=authorization)


def set_faults(client: httpx2.Client, settings: object) -> None:
    assert client.put("/control/faults", json=settings).status_code == 200


def state_of(client: httpx2.Client, agency: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/control/state").json()["agencies"][agency]
    return found


def test_a_task_is_accepted_and_called_back_once(sandbox: httpx2.Client, window: OneWindow) -> None:
    task, later = a_task(), a_task("energise", "utility")
    accepted = push(sandbox, task)
    assert (accepted.status_code, accepted.content) == (202, b"")
    eventually(lambda: window.of(task["id"]))
    push(sandbox, later)
    eventually(lambda: window.of(later["id"]))
    (call,) = window.of(task["id"])
    assert call.key == "Bearer key-of-desk"
    assert call.body == {"code": "accepted"}


def test_a_task_pushed_again_is_not_decided_again(
    sandbox: httpx2.Client, window: OneWindow
) -> None:
    task = a_task("customer_works", "applicant")
    assert push(sandbox, task).status_code == 202
    decided_before = state_of(sandbox, "applicant").get("decided", 0)
    assert push(sandbox, task).status_code == 202
    eventually(lambda: window.of(task["id"]))
    told = push(sandbox, task)
    assert (told.status_code, told.json()) == (200, {"outcome": {"code": "finished"}})
    assert state_of(sandbox, "applicant")["decided"] == decided_before + 1
    assert len(window.of(task["id"])) == 1


def test_a_task_closed_meanwhile_is_dropped(sandbox: httpx2.Client) -> None:
    task = a_task("customer_works", "applicant")
    pending = state_of(sandbox, "applicant")["pending"]
    push(sandbox, task)
    assert state_of(sandbox, "applicant")["pending"] == pending + 1
    assert push(sandbox, task | {"state": "closed"}).status_code == 200
    assert state_of(sandbox, "applicant")["pending"] == pending


@pytest.mark.parametrize(
    "authorization",
    [{}, {"Authorization": "key-of-desk"}]
    + [{"Authorization": f"Bearer {key}".encode()} for key in ("wrong", "key-of-water", "密钥")],
)
def test_a_wrong_key_is_refused(
    sandbox: httpx2.Client, authorization: dict[str, str | bytes]
) -> None:
    task = a_task()
    refused = sandbox.put(
        f"/desk/tasks/{task['id']}",
        json=task,
        headers=[(name.encode(), _bytes(value)) for name, value in authorization.items()],
    )
    assert refused.status_code == 401


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def test_what_is_not_the_contract_is_refused(sandbox: httpx2.Client) -> None:
    task = a_task()
    del task["facts"]
    assert push(sandbox, task).status_code == 422
    assert "facts" in push(sandbox, task).json()["detail"]
    headers = {"Authorization": "Bearer key-of-desk"}
    assert sandbox.put("/desk/tasks/another", json=a_task(), headers=headers).status_code == 422
    assert sandbox.put("/desk/tasks/x", content=b"{", headers=headers).status_code == 422
    assert sandbox.put("/nobody/tasks/x", json={}).status_code == 404


def test_an_agency_that_answers_twice_says_the_same_twice(
    sandbox: httpx2.Client, window: OneWindow
) -> None:
    set_faults(sandbox, {"desk": {"double": 1}})
    task = a_task()
    push(sandbox, task)
    eventually(lambda: len(window.of(task["id"])) == 2)
    first, second = window.of(task["id"])
    assert first.body == second.body


def test_a_lost_callback_heals_by_the_next_push(sandbox: httpx2.Client, window: OneWindow) -> None:
    set_faults(sandbox, {"*": {"lost_callback": 1}})
    task = a_task("filing", "desk", voltage="low")
    push(sandbox, task)
    eventually(lambda: push(sandbox, task).status_code == 200)
    assert push(sandbox, task).json() == {"outcome": {"code": "filed"}}
    assert window.of(task["id"]) == []
    assert state_of(sandbox, "desk")["lost_callback"] >= 1


def test_a_contract_error_takes_nothing(sandbox: httpx2.Client, window: OneWindow) -> None:
    set_faults(sandbox, {"desk": {"4xx": 1}})
    task = a_task()
    assert push(sandbox, task).status_code == 422
    set_faults(sandbox, {})
    assert push(sandbox, task).status_code == 202
    eventually(lambda: window.of(task["id"]))


def test_an_agency_that_is_down_neither_takes_nor_calls(
    sandbox: httpx2.Client, window: OneWindow
) -> None:
    set_faults(sandbox, {"water": {"down": 1}})
    task = a_task("permits", "water", items=(ITEM,))
    refused = push(sandbox, task)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert push(sandbox, a_task()).status_code == 202
    set_faults(sandbox, {})
    assert push(sandbox, task).status_code == 202
    eventually(lambda: window.of(task["id"]))


def test_an_outage_ends_in_civil_time() -> None:
    asyncio.run(_an_outage_in_civil_time())


async def _an_outage_in_civil_time() -> None:
    faults = Faults(7, AGENCIES)
    faults.replace({"police": {"down": 1}})
    peer = Peer(KEYS, Conduct(7, 1, False, 0), judgement(), faults, "http://127.0.0.1:1")
    now = asyncio.get_running_loop().time()
    peer.clock = CivilClock(CIVIL_ORIGIN, now, 1)
    task = read_task(a_task("permits", "police", items=(ITEM,)))
    assert peer.receive("police", task).status == 503
    # The outage goes on by itself, although the fault would not strike again.
    faults.replace({})
    assert peer.receive("police", task).status == 503
    peer.clock = CivilClock(CIVIL_ORIGIN + timedelta(days=1.5), now, 1)
    assert peer.receive("police", task).status == 202


def test_any_well_formed_answer_is_understood() -> None:
    asyncio.run(_any_well_formed_answer())


async def _any_well_formed_answer() -> None:
    answers = {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}": (200, b"{}"),
        b"HTTP/1.1 204 No Content\r\n\r\n": (204, b""),
        b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n": (503, b""),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n": (200, b"abc0123456789"),
        b"HTTP/1.1 409 Conflict\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx": (409, b"x"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut off": None,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n": None,
        b"HTTP/1.1 200 OK\r\n\r\n": None,
        b"SSH-2.0-what\r\n\r\n": None,
        b"": None,
    }
    left = list(answers)
    connected = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        while await reader.read(65536):
            sent = left.pop(0)
            writer.write(sent)
            if answers[sent] is None or b"close" in sent:
                break
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = Connection(f"http://127.0.0.1:{port}", PATIENCE)
        for expected in answers.values():
            if expected is None:
                with pytest.raises(CallFailed):
                    await connection.call("GET", "/", {})
            else:
                response = await connection.call("PUT", "/", {"X": "y"}, b"{}")
                assert (response.status, response.body) == expected
        connection.close()
    # One for the first five, and one after each answer that closes or breaks the connection.
    assert connected == 6


def test_a_slow_agency_takes_the_task_before_it_answers(sandbox: httpx2.Client) -> None:
    set_faults(sandbox, {"desk": {"slow": 1}})
    task = a_task()
    with pytest.raises(httpx2.ReadTimeout):
        sandbox.put(
            f"/desk/tasks/{task['id']}",
            json=task,
            headers={"Authorization": "Bearer key-of-desk"},
            timeout=0.1,
        )
    set_faults(sandbox, {})
    repeated = state_of(sandbox, "desk").get("repeated", 0)
    push(sandbox, task)
    assert state_of(sandbox, "desk")["repeated"] == repeated + 1


def test_a_late_agency_answers_after_the_day_is_over(
    sandbox: httpx2.Client, window: OneWindow
) -> None:
    set_faults(sandbox, {"transport": {"late": 1}})
    due_on = window.civil_now().date() + timedelta(days=6)
    task = a_task("permits", "transport", items=(ITEM,), due_on=due_on.isoformat())
    push(sandbox, task)
    eventually(lambda: window.of(task["id"]))
    assert window.of(task["id"])[0].civil.date() > due_on


def test_a_refusing_department_refuses_one_item_with_its_grounds(
    sandbox: httpx2.Client, window: OneWindow
) -> None:
    set_faults(sandbox, {"urban-management": {"refuses": 1}})
    task = a_task("permits", "urban-management", items=("占用城市绿地审批", ITEM))
    push(sandbox, task)
    eventually(lambda: window.of(task["id"]))
    green, digging = window.of(task["id"])[0].body["items"]
    assert (green["outcome"], digging["outcome"]) == ("approved", "refused")
    assert digging["note"]


def test_a_callback_is_repeated_until_it_is_taken(
    sandbox: httpx2.Client, window: OneWindow
) -> None:
    task = a_task()
    window.answers[task["id"]] = [
        Response(status_code=503, headers={"Retry-After": "0"}),
        Response(status_code=500),
        Response(status_code=202),
    ]
    push(sandbox, task)
    eventually(lambda: len(window.of(task["id"])) == 3)
    assert {json.dumps(call.body) for call in window.of(task["id"])} == {'{"code": "accepted"}'}


def test_a_conflict_is_not_repeated(sandbox: httpx2.Client, window: OneWindow) -> None:
    task, later = a_task(), a_task("energise", "utility")
    window.answers[task["id"]] = [Response(status_code=409)]
    push(sandbox, task)
    eventually(lambda: state_of(sandbox, "desk").get("conflict") == 1)
    push(sandbox, later)
    eventually(lambda: window.of(later["id"]))
    assert len(window.of(task["id"])) == 1


@pytest.mark.parametrize(
    "settings",
    [
        [],
        {"nobody": {"down": 1}},
        {"*": {"asleep": 1}},
        {"*": {"down": 2}},
        {"*": {"down": True}},
        {"*": 1},
    ],
)
def test_faults_that_do_not_exist_are_refused(sandbox: httpx2.Client, settings: object) -> None:
    set_faults(sandbox, {"water": {"late": 0.5}})
    refused = sandbox.put("/control/faults", json=settings)
    assert refused.status_code == 422
    assert refused.json()["detail"]
    assert sandbox.get("/control/state").json()["faults"] == {"water": {"late": 0.5}}


def outcomes_in_the_pushes(client: httpx2.Client, tasks: list[dict[str, Any]]) -> dict[str, str]:
    return {task["id"]: push(client, task).text for task in tasks}


def test_the_same_seed_decides_alike_in_another_process_and_order(
    window: OneWindow, tmp_path: Path
) -> None:
    tasks = [
        a_task("permits", department, case_no=f"ZJ2026900000{number}", items=(ITEM, "另一事项"))
        for department in DEPARTMENTS
        for number in range(6)
    ]
    flags = ("--delay", "0", "--reply", "push", "--fault", "refuses=0.3")
    keys_file = tmp_path / "keys.json"
    with ExitStack() as processes:
        runs = [
            outcomes_in_the_pushes(
                processes.enter_context(play(window.url, keys_file, *flags, "--seed", "7")), order
            )
            for order in (tasks, tasks[::-1])
        ]
    assert runs[0] == runs[1]
    assert "refused" in "".join(runs[0].values())
    another = Judgement(8, CHANCES, None, lambda *_: False)
    assert any(
        {"outcome": decide(another, task)} != json.loads(runs[0][task["id"]]) for task in tasks
    )
    assert [call for task in tasks for call in window.of(task["id"])] == []


def test_it_waits_for_a_onewindow_that_is_not_up_yet(tmp_path: Path) -> None:
    with create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with play(f"http://127.0.0.1:{port}", tmp_path / "keys.json", "--chance", "all=0") as client:
        task = a_task()
        assert push(client, task).status_code == 202
        assert client.get("/control/state").json()["civil_now"] is None
        with serve(OneWindow(), port) as window:
            eventually(lambda: window.of(task["id"]))


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--fault", "asleep=1"), "asleep"),
        (("--fault", "nobody:down=1"), "nobody"),
        (("--chance", "luck=1"), "luck"),
        (("--route", "tunnel"), "tunnel"),
        (("--delay", "-1"), "-1"),
    ],
)
def test_a_wrong_flag_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    named: str,
) -> None:
    keys_file = tmp_path / "keys.json"
    keys_file.write_text(json.dumps(KEYS), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["--port", "0", "--keys-file", str(keys_file), *flags])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def judgement(
    chances: float | None = None, is_refusing: Callable[[str, str], bool] = lambda *_: False
) -> Judgement:
    every = CHANCES if chances is None else dict.fromkeys(CHANCES, chances)
    return Judgement(7, every, None, is_refusing)


def decide(judge: Judgement, task: dict[str, Any]) -> Any:
    return json.loads(json.dumps(judge.decide(read_task(task))))


OWNERS = {
    "check_papers": "desk",
    "filing": "desk",
    "correct_papers": "applicant",
    "confirm_plan": "applicant",
    "customer_works": "applicant",
    "rectification": "applicant",
    "sign_contract": "applicant",
    "permits": "urban-management",
}


@pytest.mark.parametrize(
    ("story", "kind", "codes"),
    [
        (Story.DECLINED, "check_papers", ["declined", "declined"]),
        (Story.NOT_FEASIBLE, "supply_plan", ["not_feasible", "not_feasible"]),
        (Story.PLAN_REFUSED, "confirm_plan", ["refused", "refused"]),
        (Story.PERMITS_REFUSED, "line_design", ["designed", "no_route"]),
        (Story.INSPECTION_FAILED, "inspection", ["failed", "failed"]),
        (Story.INSPECTION_FAILED, "rectification", ["abandoned", "abandoned"]),
        (Story.CORRECTED, "check_papers", ["correction_needed", "accepted"]),
        (Story.PLAN_REVISED, "confirm_plan", ["revise", "agreed"]),
        (Story.REROUTED, "line_design", ["designed", "designed"]),
        (Story.REINSPECTED, "inspection", ["failed", "passed"]),
        (Story.REINSPECTED, "rectification", ["rectified", "rectified"]),
        (Story.SMOOTH, "confirm_plan", ["agreed", "agreed"]),
    ],
)
def test_a_marker_forces_its_course(story: Story, kind: str, codes: list[str]) -> None:
    address = next(f"示例路1号{marker}" for marker, forced in MARKERS.items() if forced is story)
    for chances in (0.0, None, 1.0):
        decided = [
            decide(
                judgement(chances),
                a_task(kind, OWNERS.get(kind, "utility"), address=address, round_=round_),
            )["code"]
            for round_ in (1, 2)
        ]
        assert decided == codes


def test_a_revised_route_avoids_what_was_refused_and_nothing_else() -> None:
    marker = next(marker for marker, story in MARKERS.items() if story is Story.REROUTED)
    address, case_no = f"示例路1号{marker}", "ZJ20260000017"
    first, second = (
        decide(
            judgement(),
            a_task("line_design", "utility", address=address, case_no=case_no, round_=round_),
        )["route"]["segments"]
        for round_ in (1, 2)
    )
    refusal, approval = (
        decide(
            judgement(),
            a_task(
                "permits",
                "urban-management",
                address=address,
                case_no=case_no,
                round_=round_,
                items=(ITEM,),
            ),
        )["items"][0]["outcome"]
        for round_ in (1, 2)
    )
    assert (refusal, approval) == ("refused", "approved")
    assert {key for key in first[0] if first[0][key] != second[0][key]} == {"method"}
    assert (first[0]["method"], second[0]["method"]) == ("open_cut", "trenchless")


GIVING_UP = {"declined", "not_feasible", "refused", "no_route", "abandoned"}


@pytest.mark.parametrize("voltage", Voltage)
@pytest.mark.parametrize("chances", [0.0, None, 1.0])
def test_chance_alone_makes_detours_but_ends_no_case(
    voltage: Voltage, chances: float | None
) -> None:
    judge = judgement(chances)
    for kind in kinds_of(voltage):
        for number in range(40):
            for round_ in (1, 2, 3):
                task = a_task(
                    kind,
                    OWNERS.get(kind, "utility"),
                    voltage=voltage,
                    round_=round_,
                    case_no=f"ZJ2026{number:07d}",
                    items=(ITEM, "另一事项") if kind == "permits" else (),
                )
                outcome = decide(judge, task)
                assert outcome["code"] not in GIVING_UP
                if round_ > 1:
                    assert outcome["code"] not in {"correction_needed", "revise", "failed"}
                    assert "refused" not in {item["outcome"] for item in outcome.get("items", [])}


def kinds_of(voltage: Voltage) -> list[str]:
    high_only = {"supply_plan", "confirm_plan", "line_design", "permits"}
    high_only |= {"customer_works", "inspection", "rectification", "consent", "papers"}
    low_only = {"survey", "filing", "look_at_route"}
    left_out = high_only if voltage is Voltage.LOW else low_only
    return [kind for kind in TaskKind if kind not in left_out]


@pytest.mark.parametrize("marker", [*MARKERS, ""])
@pytest.mark.parametrize("voltage", Voltage)
@pytest.mark.parametrize("chances", [0.0, 1.0])
def test_every_outcome_is_complete_by_our_own_rules(
    marker: str, voltage: Voltage, chances: float
) -> None:
    judge = judgement(chances, is_refusing=lambda *_: chances == 1.0)
    for kind in kinds_of(voltage):
        for round_ in (1, 2, 3, 4):
            items = (ITEM, "另一事项") if kind == "permits" else ()
            task = a_task(
                kind,
                OWNERS.get(kind, "utility"),
                voltage=voltage,
                address=f"示例路1号{marker}",
                round_=round_,
                items=items,
                asks_area=True,
            )
            outcome = Outcome.model_validate_json(json.dumps(decide(judge, task)))
            assert outcome.code in Code
            check_outcome(
                outcome,
                kind=TaskKind(kind),
                voltage=voltage,
                round_no=round_,
                asked_items=items,
                asks_area=True,
                on=date(2026, 9, 14),
            )


def test_routes_are_spread_and_mostly_concern_several_departments() -> None:
    drawn = [
        decide(judgement(), a_task("line_design", "utility", case_no=f"ZJ2026{number:07d}"))
        for number in range(300)
    ]
    names = [
        name
        for outcome in drawn
        for name, route in routes.HIGH_VOLTAGE.items()
        if outcome["route"] == route
    ]
    assert len(names) == len(drawn)
    assert set(names) == set(routes.HIGH_VOLTAGE)
    assert sum(name not in ("no_permit", "town_duct") for name in names) > len(names) / 2


CALENDAR = WorkedDays.read(Path(__file__).parents[2] / "policy" / "calendar-cn.toml")


@pytest.mark.parametrize(
    ("received", "delay"),
    [
        ("2026-09-14T09:00:00+08:00", 1.0),
        ("2026-09-18T17:29:00+08:00", 1.0),
        ("2026-09-19T12:00:00+08:00", 0.01),
        ("2026-09-20T23:59:00+08:00", 0.01),
        ("2026-09-30T17:00:00+08:00", 1.0),
    ],
)
def test_officials_answer_on_weekdays_in_their_hours(received: str, delay: float) -> None:
    received_at = datetime.fromisoformat(received)
    for department in DEPARTMENTS:
        task = read_task(a_task("permits", department, items=(ITEM,)))
        at = answered_at(task, received_at, 7, delay, CALENDAR)
        assert at > received_at
        assert office(CALENDAR).is_open(at)
        assert at == answered_at(task, received_at, 7, delay, CALENDAR)
        late = answered_late(task, received_at.date(), at, 7, CALENDAR)
        assert office(CALENDAR).is_open(late)
        assert late.date() > received_at.date()


def test_offices_keep_holidays_and_make_up_days() -> None:
    days = [date(2026, 9, 20), date(2026, 9, 25), date(2026, 10, 7), date(2026, 10, 10)]
    assert [day in CALENDAR for day in days] == [True, False, False, True]
    assert [day in WorkedDays() for day in days] == [False, True, True, False]


def test_a_calendar_that_is_none_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[years.2026]\n")
    with pytest.raises(ValueError, match=r"wrong\.toml: no calendar"):
        WorkedDays.read(wrong)


def test_a_draw_follows_from_its_name_alone() -> None:
    assert draw(7, "a", 1) == draw(7, "a", "1")
    assert len({draw(seed, name) for seed in range(20) for name in "abc"}) == 60
    assert 0.4 < sum(draw(7, "mean", number) for number in range(2000)) / 2000 < 0.6


@pytest.mark.parametrize(
    ("field_name", "value"),
    [("kind", "coffee"), ("round", "1"), ("facts", None), ("items", [1]), ("due_on", "soon")],
)
def test_an_unreadable_push_names_its_field(field_name: str, value: object) -> None:
    with pytest.raises(TaskUnreadable, match=field_name):
        read_task(a_task() | {field_name: value})
