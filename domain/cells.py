"""Texts in the cells of a table that a spreadsheet will open (CWE-1236)."""

from __future__ import annotations

# Where a cell begins so, a spreadsheet takes it for a formula, in full width as well.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def harmless(text: str) -> str:
    """Return a text with an apostrophe before it where a spreadsheet would carry it out."""
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would take a text for a formula."""
    # What is invisible may be dropped on the way into a cell.
    invisible = "".join(each for each in set(text) if each.isspace() or not each.isprintable())
    return text.startswith(("\t", "\r")) or text.lstrip(invisible).startswith(_FORMULA)
