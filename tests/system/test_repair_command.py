"""Administrators repair a case at a terminal, with the real programs (RB-12.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.system.test_cli import SAMPLES, _is_ready, _until, onewindow, running

pytestmark = pytest.mark.rule("RB-12.2")


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an installation that is up, without anybody who answers tasks."""
    folder = tmp_path_factory.mktemp("repaired")
    with running(folder / "up.log", "up", "--no-engine-ui", "--var", folder / "var"):
        _until(lambda: _is_ready(folder / "var"))
        yield folder / "var"


def _is_owed(var: Path, task_id: str) -> bool:
    base = json.loads((var / "run.json").read_text())["addresses"]["api"]
    key = json.loads((var / "keys.json").read_text())["desk"]
    answer = httpx2.get(
        f"{base}/api/v1/tasks/{task_id}",
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
    )
    return answer.is_success


def test_a_repair_from_plan_to_report(var: Path) -> None:
    empty = onewindow("repair", "list", "--var", var)
    assert empty.stdout.strip() == "尚无修复记录 nothing has been repaired yet", empty.stderr
    no = onewindow("submit", SAMPLES / "17-high-food-factory.json", "--var", var).stdout.strip()
    _until(lambda: _is_owed(var, f"{no}.check_papers.1"))

    planned = onewindow("repair", "plan", "restart", no, "--reason", "示例理由", "--var", var)
    assert planned.returncode == 0, planned.stderr
    assert f"{no}: 重新运行 begins anew" in planned.stdout
    assert "onewindow repair approve 1" in planned.stdout

    for refused, why in (
        (("execute", "1"), "second administrator"),
        (("approve", "1"), "planned by admin-1"),
        (("show", "9"), "no repair 9"),
        (("plan", "reset", no, "--event", "2", "--reason", "示例"), "not the end of a workflow"),
        (("plan", "restart", "--reason", "示例"), "exactly one of"),
        (("list", "--by", "nobody"), "no key for nobody"),
    ):
        answer = onewindow("repair", *refused, "--var", var)
        assert (answer.returncode, len(answer.stderr.splitlines())) == (1, 1), answer.stderr
        assert why in answer.stderr

    assert onewindow("repair", "approve", "1", "--by", "admin-2", "--var", var).returncode == 0
    executed = onewindow("repair", "execute", "1", "--var", var)
    assert executed.returncode == 0, executed.stdout + executed.stderr
    assert "与计划一致 as planned" in executed.stdout
    shown = json.loads(onewindow("repair", "show", "1", "--json", "--var", var).stdout)
    assert (shown["approved_by"], shown["items"][0]["is_as_planned"]) == ("admin-2", True)
    listed = onewindow("repair", "list", "--var", var).stdout
    assert "依案卷重启" in listed and "示例理由" in listed
    assert onewindow("verify", "--var", var).returncode == 0
