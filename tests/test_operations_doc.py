"""`docs/operations.md` tells the truth about the settings."""

from __future__ import annotations

from pathlib import Path

from settings import Settings

PAGE = (Path(__file__).parents[1] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_setting_is_documented_with_its_meaning() -> None:
    described = [line for line in PAGE.splitlines() if line.startswith("| `ONEWINDOW_")]
    documented = {line.split("`")[1]: line for line in described}
    fields = {f"ONEWINDOW_{name.upper()}": each for name, each in Settings.model_fields.items()}
    assert set(documented) == set(fields)
    for variable, field in fields.items():
        assert field.description and field.description in documented[variable]
        if isinstance(field.default, str | int | float):
            assert f"`{field.default}`" in documented[variable]
