"""Who may import whom. Every module is read, imports within functions and for types included."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_CORE = frozenset({"domain", "policy", "storage", "activities", "workflows", "settings"})

# `settings` stands beside the layers: it is read by those that put programs together.
ALLOWED: Mapping[str, frozenset[str]] = {
    "domain": frozenset(),
    "settings": frozenset({"domain"}),
    "policy": frozenset({"domain"}),
    "storage": frozenset({"domain"}),
    "activities": frozenset({"domain", "policy", "storage"}),
    "workflows": frozenset({"domain", "activities"}),
    # What administrators do: find, replay, repair. With the engine's own calls, not the API's.
    "operations": _CORE,
    "api": _CORE | {"operations"},
    # Pages made of the API's services, with the API's checks.
    "console": _CORE | {"operations", "api"},
    # `python -m api` puts API and console together: the one that may know both.
    "api/__main__": _CORE | {"operations", "api", "console"},
    "worker": _CORE,
    "commands": _CORE | {"operations", "api", "worker", "bench"},
    "cli": _CORE | {"operations", "api", "worker", "bench", "commands"},
    "bench": _CORE | {"operations", "api", "console", "worker", "commands", "sandbox"},
    # A peer of ours: what it knows of us is the contract over HTTP.
    "sandbox": frozenset(),
    # The generator of the sample applications.
    "samples": frozenset(),
}

# Packages from elsewhere, where a layer may not use what it likes. The standard library is allowed.
FROM_ELSEWHERE: Mapping[str, frozenset[str]] = {
    "domain": frozenset({"pydantic", "pydantic_core", "phonenumbers", "stdnum"}),
    "workflows": frozenset({"temporalio"}),
}

# The domain is told what time it is; a process has its own time, `workflow.now`.
WITHOUT_CLOCK = frozenset({"domain", "workflows"})
CLOCKS = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.gmtime",
        "time.localtime",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.time",
        "time.time_ns",
    }
)
NOT_OURS = frozenset({"tests", "build", "dist", "var"})


def breaches(root: Path) -> list[str]:
    """Return everything under `root` that is not where it may be, as `path:line: what`."""
    return [
        f"{path.relative_to(root)}:{line}: {what}"
        for path in sorted(root.rglob("*.py"))
        if (layer := _layer(path.relative_to(root))) is not None
        for line, what in _breaches_of(ast.parse(path.read_text(encoding="utf-8")), path, layer)
    ]


def _layer(path: Path) -> str | None:
    if path.parts[0] in NOT_OURS or any(part.startswith(".") for part in path.parts):
        return None
    name = path.with_suffix("").as_posix()
    return name if name in ALLOWED else path.parts[0].removesuffix(".py")


def _breaches_of(tree: ast.AST, path: Path, layer: str) -> Iterator[tuple[int, str]]:
    if layer not in ALLOWED:
        yield 1, f"{layer} is no layer of ours"
        return
    yield from (
        (line, f"{layer} may not import {module}")
        for line, module in _imports(tree, path)
        if not _may_import(layer, module.split(".")[0])
    )
    if layer in WITHOUT_CLOCK:
        for line, call in _calls(tree):
            if call in CLOCKS:
                yield line, f"{layer} may not ask {call} for the time"


def _may_import(layer: str, package: str) -> bool:
    if package in ALLOWED or package in NOT_OURS:
        return package == layer or package in ALLOWED[layer]
    if layer not in FROM_ELSEWHERE or package in sys.stdlib_module_names:
        return True
    return package in FROM_ELSEWHERE[layer]


def _imports(tree: ast.AST, path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module
            case ast.ImportFrom(module=module, level=level, names=names):
                package = path.parts[: len(path.parts) - level]
                modules = [module] if module else [name.name for name in names]
                for name in modules:
                    parent = package[-1] if package[-1] in ALLOWED else ""
                    yield node.lineno, f"{parent}.{name}".lstrip(".")
            case ast.Call(args=[ast.Constant(value=str(module)), *_]):
                if _called(node.func) in ("importlib.import_module", "import_module", "__import__"):
                    yield node.lineno, module


def _calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every call by the full name of what is called, whatever it was imported as."""
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                origins |= {name.asname: name.name for name in names if name.asname}
            case ast.ImportFrom(module=str(module), names=names):
                origins |= {name.asname or name.name: f"{module}.{name.name}" for name in names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = _called(node.func).partition(".")
            yield node.lineno, f"{origins.get(first, first)}{dot}{rest}"


def _called(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{_called(value)}.{attribute}"
    return ""


def test_every_module_imports_only_what_its_layer_may() -> None:
    assert breaches(ROOT) == []


def test_every_layer_is_there_to_be_read() -> None:
    found = {_layer(path.relative_to(ROOT)) for path in ROOT.rglob("*.py")} - {None}
    assert found == ALLOWED.keys()


@pytest.mark.parametrize(
    ("path", "source", "breach"),
    [
        ("domain/new.py", "import storage.casefile", "domain may not import storage.casefile"),
        ("domain/new.py", "from policy import loader", "domain may not import policy"),
        ("domain/new.py", "from .. import storage", "domain may not import storage"),
        (
            "domain/new.py",
            "import temporalio.workflow",
            "domain may not import temporalio.workflow",
        ),
        ("domain/new.py", "from sqlalchemy import text", "domain may not import sqlalchemy"),
        ("domain/new.py", "from fastapi import Depends", "domain may not import fastapi"),
        ("policy/new.py", "from storage import tables", "policy may not import storage"),
        ("storage/new.py", "import activities", "storage may not import activities"),
        ("activities/new.py", "import workflows", "activities may not import workflows"),
        (
            "workflows/new.py",
            "import storage.casefile",
            "workflows may not import storage.casefile",
        ),
        ("workflows/new.py", "import pydantic", "workflows may not import pydantic"),
        ("api/new.py", "import worker", "api may not import worker"),
        ("api/new.py", "from tests import harness", "api may not import tests"),
        ("sandbox/new.py", "from domain import errors", "sandbox may not import domain"),
        ("worker.py", "import sandbox", "worker may not import sandbox"),
        ("commands/new.py", "import sandbox.peer", "commands may not import sandbox.peer"),
        ("domain/new.py", "def f():\n    import api", "domain may not import api"),
        (
            "domain/new.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import storage",
            "domain may not import storage",
        ),
        (
            "domain/new.py",
            "import importlib\nimportlib.import_module('storage')",
            "domain may not import storage",
        ),
        (
            "domain/new.py",
            "from datetime import datetime\nnow = datetime.now()",
            "domain may not ask datetime.datetime.now for the time",
        ),
        (
            "domain/new.py",
            "import datetime as dt\ntoday = dt.date.today()",
            "domain may not ask datetime.date.today for the time",
        ),
        (
            "workflows/new.py",
            "from time import time as now\nnow()",
            "workflows may not ask time.time for the time",
        ),
        ("api/new.py", "from console import app", "api may not import console"),
        ("commands/new.py", "import console.app", "commands may not import console.app"),
        ("console/new.py", "import worker", "console may not import worker"),
        ("pages/new.py", "", "pages is no layer of ours"),
    ],
)
def test_a_planted_breach_is_found(path: str, source: str, breach: str, tmp_path: Path) -> None:
    planted = tmp_path / path
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(source, encoding="utf-8")
    assert [found.split(": ", 1)[1] for found in breaches(tmp_path)] == [breach]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("domain/new.py", "from domain.errors import InputRefused\nfrom . import clocks"),
        ("domain/new.py", "from datetime import datetime\ndatetime.fromisoformat('2026-01-01')"),
        ("workflows/new.py", "from temporalio import workflow\nworkflow.now()"),
        ("activities/new.py", "import time\ntime.time()"),
        ("tests/new.py", "import sandbox, worker, domain"),
    ],
)
def test_what_is_allowed_is_no_breach(path: str, source: str, tmp_path: Path) -> None:
    planted = tmp_path / path
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(source, encoding="utf-8")
    assert breaches(tmp_path) == []
