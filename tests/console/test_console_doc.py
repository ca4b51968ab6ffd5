"""`docs/console.md` tells the truth about who may do what."""

from __future__ import annotations

import re
from pathlib import Path

from console.words import ACTS
from domain.access import ROLES, TABLE, Whose

PAGE = (Path(__file__).parents[2] / "docs" / "console.md").read_text(encoding="utf-8")
_SPELLED = {"all": Whose.ALL, "own": Whose.OWN, "–": Whose.NOBODYS}


def test_the_table_of_roles_is_the_one_that_is_enforced() -> None:
    head, *lines = re.findall(r"^\| (.*) \|$", PAGE.partition("## Accounts")[0], re.MULTILINE)
    roles = [title.split()[-1] for title in head.split(" | ")[1:]]
    assert roles == list(ROLES)
    documented = {}
    for line in lines:
        act, *cells = line.split(" | ")
        documented[act] = {role: _SPELLED[c] for role, c in zip(roles, cells, strict=True)}
    assert documented == {f"{ACTS[act].zh} {ACTS[act].en}": row for act, row in TABLE.items()}
