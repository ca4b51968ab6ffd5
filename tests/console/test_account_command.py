"""`onewindow account`, and the accounts that `up` and `demo` make."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands import account_book
from domain.accounts import StaffRole
from policy.loader import policy_for
from storage.accounts import Accounts
from storage.database import open_engine
from storage.migrate import upgrade
from tests.support.cases import POLICY

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"one-time password 一次性密码: (\S+)")


def _run(var: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "cli.py", "account", *arguments, "--var", var],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _signs_in(url: str, account: str, password: str) -> bool:
    async def tried() -> bool:
        engine = open_engine(url)
        try:
            return (
                await Accounts(engine).sign_in(account, password, at=datetime.now(UTC)) is not None
            )
        finally:
            await engine.dispose()

    return asyncio.run(tried())


def test_accounts_are_made_listed_reset_and_disabled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'onewindow.db'}"
    made = _run(tmp_path, "add", "water-2", "--agency", "water", "--name", "示例 水务二号")
    assert made.returncode == 0, made.stderr
    first = SHOWN.findall(made.stdout)
    assert len(first) == 1
    assert _signs_in(url, "water-2", first[0])

    reset = _run(tmp_path, "reset", "water-2")
    second = SHOWN.findall(reset.stdout)
    assert not _signs_in(url, "water-2", first[0])
    assert _signs_in(url, "water-2", second[0])

    assert _run(tmp_path, "add", "admin-2", "--administrator").returncode == 0
    assert _run(tmp_path, "disable", "water-2").returncode == 0
    listed = _run(tmp_path, "list").stdout.splitlines()
    assert [line.split()[:4] for line in listed] == [
        ["admin-2", "administrator", "–", "new"],
        ["water-2", "department", "water", "disabled"],
    ]
    assert "示例 水务二号" in listed[1]
    assert not _signs_in(url, "water-2", second[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "Wang", "--agency", "water"), "Wang: is no id"),
        (("add", "water", "--agency", "water"), "water: is an agency"),
        (("add", "water-2"), "say either --agency or --administrator"),
        (("add", "x-1", "--agency", "water", "--administrator"), "say either"),
        (("add", "x-1", "--agency", "nowhere"), "choose one of desk, utility"),
        (("add", "x-1", "--agency", "applicant"), "choose one of desk, utility"),
        (("reset", "nobody-1"), "no account nobody-1"),
        (("disable", "nobody-1"), "no account nobody-1"),
        (("link", "nobody-1", "--subject", "x"), "which identity provider?"),
        (("link", "x-1", "--subject", "x", "--issuer", "http://id.example.org"), "no https"),
        (("link", "x-1", "--subject", "王", "--issuer", "https://id.example.org"), "ASCII"),
        (("link", "no-1", "--subject", "x", "--issuer", "https://id.example.org"), "no account"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = _run(tmp_path, *arguments)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert said in line


def test_an_account_is_linked_to_whom_the_provider_names(tmp_path: Path) -> None:
    at = ("--issuer", "https://id.example.org")
    assert _run(tmp_path, "add", "water-2", "--agency", "water").returncode == 0
    assert _run(tmp_path, "link", "water-2", "--subject", "staff-1", *at).returncode == 0
    again = _run(tmp_path, "link", "water-2", "--subject", "staff-2", *at)
    assert "account water-2 is linked already" in again.stderr
    made = ("add", "water-3", "--agency", "water", "--subject")
    assert "linked already" in _run(tmp_path, *made, "staff-1", *at).stderr
    passwordless = _run(tmp_path, *made, "staff-3", *at)
    assert passwordless.returncode == 0
    assert not SHOWN.search(passwordless.stdout)
    assert "已解除" in _run(tmp_path, "unlink", "water-2").stdout
    listed = _run(tmp_path, "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["water-2", "water-3"]
    assert ["through provider" in line for line in listed] == [False, True]


def test_a_new_installation_gets_one_administrator_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'onewindow.db'}"
    upgrade(url)
    made = account_book.first_administrator(url)
    assert made is not None
    assert _signs_in(url, *made)
    assert account_book.first_administrator(url) is None
    (account,) = account_book.every(url)
    assert account.must_change_password


def test_the_demonstration_has_an_account_for_each_role(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'onewindow.db'}"
    upgrade(url)
    password = account_book.demo_accounts(url)
    made = account_book.every(url)
    assert {each.role for each in made} == set(StaffRole)
    agencies = policy_for(POLICY).agencies
    for each in made:
        assert "示例" in each.display_name
        assert each.agency is None or str(each.role) == agencies[each.agency].role
        assert _signs_in(url, each.id, password)
