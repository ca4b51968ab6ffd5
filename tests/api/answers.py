"""What every answer must be, whatever it says."""

from __future__ import annotations

import re
from typing import Any

import httpx2

_CHINESE = re.compile("[\u4e00-\u9fff]")
_ENGLISH = re.compile("[a-z]{2}")


def problem(response: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    """Check that a refusal is a whole problem+json, in both languages; return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    for english in ("title", "detail"):
        assert body[english]
        assert _CHINESE.search(body[f"{english}_zh"]), body[f"{english}_zh"]
    for error in body.get("errors", ()):
        assert set(error) == {"field", "message", "message_zh"}
        assert _ENGLISH.search(error["message"]), error
        assert _CHINESE.search(error["message_zh"]), error
    return body


def fields(body: dict[str, Any]) -> list[str]:
    """Return the fields a problem names."""
    return [error["field"] for error in body["errors"]]
