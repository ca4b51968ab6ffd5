"""Which of the two languages a visitor reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeGuard

from starlette.requests import Request

from domain.words import Words

Language = Literal["zh", "en"]
LANGUAGE = "onewindow_language"


def is_language(text: str | None) -> TypeGuard[Language]:
    """Whether this is a language the pages speak."""
    return text in ("zh", "en")


def language_of(request: Request) -> Language:
    """Return what the visitor chose; Chinese first."""
    chosen = request.cookies.get(LANGUAGE)
    return chosen if is_language(chosen) else "zh"


def said(words: Words | Mapping[str, str], language: Language) -> str:
    """Return a text in one language; `words` may be the API's own pair."""
    pair = words._asdict() if isinstance(words, Words) else words
    return str(pair[language])
