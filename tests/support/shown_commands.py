"""Pages that show commands: what they show is run, and compared with what they say comes out.

Of a fence the first word says what to do with it: `sh` is run and must succeed; in `console` each
line after `$` (and those after `>` that go on with it) is run, and what follows is what it prints.
An answer that ends in a status of three digits is JSON before it, of which the page shows a part.
All of a page runs in one shell, in order.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"```(.*)")
_MARK = "\x1e"
LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        line: of its fence, from 1.
        info: what stands behind the fence.
    """

    line: int
    info: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """Something to run, and what it is to print; None: whatever it prints."""

    line: int
    text: str
    prints: str | None


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page.

    Raises:
        ValueError: one does not end.
    """
    found: list[Block] = []
    begun: tuple[int, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(page.splitlines(), start=1):
        fence = _FENCE.fullmatch(line)
        if fence is None:
            inside.append(line)
        elif begun is None:
            begun, inside = (number, fence[1]), []
        else:
            found.append(Block(*begun, "\n".join(inside)))
            begun = None
    if begun is not None:
        raise ValueError(f"line {begun[0]}: the block does not end")
    return found


def commands(shown: Sequence[Block]) -> Iterator[Command]:
    """Yield what is to be run, of the blocks `sh` and `console`."""
    for block in shown:
        if block.info == "sh":
            yield Command(block.line, block.text, None)
        elif block.info == "console":
            yield from _of_console(block)


def _of_console(block: Block) -> Iterator[Command]:
    typed: list[str] = []
    printed: list[str] = []
    line = block.line
    for number, text in enumerate([*block.text.splitlines(), "$ "], start=block.line + 1):
        if text.startswith("$ "):
            if typed:
                yield Command(line, "\n".join(typed), "\n".join(printed))
            typed, printed, line = [text[2:]], [], number
        elif text.startswith("> ") and not printed:
            typed.append(text[2:])
        else:
            printed.append(text)


def differences(
    page: str, environment: Mapping[str, str], folder: Path, within_s: float = LONGEST_S
) -> list[str]:
    """Run what a page shows; say what is not as it says, with the line."""
    to_run = list(commands(blocks(page)))
    script = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\nset -eu\n"
    for position, command in enumerate(to_run):
        script += f"printf '{_MARK}%d{_MARK}' {position}\n{command.text}\n"
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    _, *parts = ran.stdout.split(_MARK)
    printed = dict(zip(map(int, parts[::2]), parts[1::2], strict=True))
    found = []
    for position, command in enumerate(to_run):
        if position not in printed:
            found.append(f"line {command.line}: is not reached: {ran.stderr}")
        elif command.prints is not None:
            found += [
                f"line {command.line}: {problem}"
                for problem in _compared(command.prints, printed[position])
            ]
    if ran.returncode:
        found.append(f"the page ends with {ran.returncode}: {ran.stderr}")
    return found


def _compared(shown: str, printed: str) -> list[str]:
    *shown_body, shown_status = shown.strip().split("\n")
    *body, status = printed.strip().split("\n")
    if re.fullmatch("[1-5][0-9]{2}", shown_status) is None:
        return [] if shown.strip() == printed.strip() else [f"prints {printed!r}"]
    if status != shown_status:
        return [f"answers {status}: {printed}"]
    if not shown_body:
        return []
    return list(lacking(json.loads("\n".join(shown_body)), json.loads("\n".join(body))))


def lacking(shown: Any, found: Any, where: str = "") -> Iterator[str]:
    """Say what of some JSON that is shown is not in what was found.

    Objects may show a part of their fields, lists all of their elements.
    """
    if isinstance(shown, dict) and isinstance(found, dict):
        for name, value in shown.items():
            if name not in found:
                yield f"{where}.{name} is not there"
            else:
                yield from lacking(value, found[name], f"{where}.{name}")
    elif isinstance(shown, list) and isinstance(found, list) and len(shown) == len(found):
        for position, (value, other) in enumerate(zip(shown, found, strict=True)):
            yield from lacking(value, other, f"{where}.{position}")
    elif shown != found:
        yield f"{where} is {found!r}"
