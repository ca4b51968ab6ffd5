"""Answers of the calls that every task takes, spelled without a detour through the framework.

Their shapes are held to the description by the tests with generated requests.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from fastapi import Response


def spelled(
    body: Mapping[str, object], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Spell a JSON answer."""
    return Response(
        orjson.dumps(body),
        status_code=status,
        media_type="application/json",
        headers=dict(headers or {}),
    )
