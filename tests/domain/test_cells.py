"""Texts in the cells of a table that a spreadsheet will open."""

from __future__ import annotations

import pytest

from domain.cells import harmless, is_formula

SIGNS = ("=1+1", "+1", "-1", "@x", "＝1", "－1")
INVISIBLE = ("", " ", "\t", "\r\n", "\ufeff", "\u200b")


@pytest.mark.parametrize("text", [f"{each}{sign}" for each in INVISIBLE for sign in SIGNS])
def test_what_a_spreadsheet_would_carry_out_is_told_apart(text: str) -> None:
    assert is_formula(text)
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["\tx", "\rx"])
def test_what_may_move_to_another_cell_is_marked_as_well(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "湛江市赤坎区示例路2号", "440802199502020001", "'=1"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text
