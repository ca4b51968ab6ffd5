"""The API's description (OpenAPI 3.1), made to say what the API does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.acts import ACT_EXAMPLES
from api.bulk import BULK_EXAMPLES
from api.calendar_preview import PREVIEW_EXAMPLES
from api.calendar_schemas import CALENDAR_EXAMPLES
from api.calendar_years import CALENDAR_YEAR_EXAMPLES
from api.documents import DOCUMENT_EXAMPLES
from api.escalations import ESCALATION_EXAMPLES
from api.following_schemas import FOLLOWING_EXAMPLES
from api.keys import KEY_EXAMPLES
from api.notices import NOTICE_EXAMPLES
from api.opinions import OPINION_EXAMPLES
from api.permit_schemas import PERMIT_EXAMPLES
from api.previews import APPLICATION_PREVIEW_EXAMPLES
from api.problems import MEDIA_TYPE
from api.public import PUBLIC_EXAMPLES
from api.repair_options import REPAIR_OPTION_EXAMPLES
from api.repair_schemas import REPAIR_EXAMPLES
from api.replays import REPLAY_EXAMPLES
from api.schemas import ANSWER_EXAMPLES
from api.standing import STANDING_EXAMPLES
from api.stuck import STUCK_EXAMPLES
from api.supervision_schemas import SUPERVISION_EXAMPLES
from api.undelivered import UNDELIVERED_EXAMPLES
from api.webhooks import EVENT_EXAMPLES

EXAMPLES = {
    **ANSWER_EXAMPLES,
    **CALENDAR_EXAMPLES,
    **CALENDAR_YEAR_EXAMPLES,
    **NOTICE_EXAMPLES,
    **BULK_EXAMPLES,
    **DOCUMENT_EXAMPLES,
    **OPINION_EXAMPLES,
    **FOLLOWING_EXAMPLES,
    **PUBLIC_EXAMPLES,
    **SUPERVISION_EXAMPLES,
    **ESCALATION_EXAMPLES,
    **PERMIT_EXAMPLES,
    **UNDELIVERED_EXAMPLES,
    **STUCK_EXAMPLES,
    **REPAIR_EXAMPLES,
    **REPAIR_OPTION_EXAMPLES,
    **PREVIEW_EXAMPLES,
    **APPLICATION_PREVIEW_EXAMPLES,
    **STANDING_EXAMPLES,
    **ACT_EXAMPLES,
    **REPLAY_EXAMPLES,
    **KEY_EXAMPLES,
    **EVENT_EXAMPLES,
}
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


class DescribedApi(FastAPI):
    """An application whose description shows refusals as the problems they are.

    The framework lists every refusal under the media type of a success, and adds to each call with
    a parameter a 422 of a shape of its own, which this API never answers with.
    """

    def openapi(self) -> dict[str, Any]:
        """Return the description, made once."""
        if self.openapi_schema is None:
            described = super().openapi()
            for calls in (*described["paths"].values(), *described["webhooks"].values()):
                for call in calls.values():
                    call["responses"] = _responses(call["responses"])
                    _show_examples(call["responses"].values())
            for calls in described["webhooks"].values():
                for call in calls.values():
                    _show_examples([call["requestBody"]])
            for name in _FASTAPIS_OWN:
                described["components"]["schemas"].pop(name, None)
        return super().openapi()


def operation_id(route: APIRoute) -> str:
    """Return the name of a call in the description: of its function, since routes share acts."""
    name = re.sub(r"\W", "_", route.endpoint.__name__ + route.path_format)
    return f"{name}_{min(route.methods or ('',)).lower()}"


def _responses(listed: dict[str, Any]) -> dict[str, Any]:
    return {
        status: _as_problem(response) if MEDIA_TYPE in response.get("content", {}) else response
        for status, response in listed.items()
        if not _is_fastapis_own(response)
    }


def _as_problem(response: dict[str, Any]) -> dict[str, Any]:
    content = response["content"]
    shape = content.get("application/json", {})
    return {**response, "content": {MEDIA_TYPE: {**content[MEDIA_TYPE], **shape}}}


def _show_examples(bodies: Iterable[dict[str, Any]]) -> None:
    """Give every body that is no problem an example of its shape.

    The framework would leave out of an example whatever is null.
    """
    for body in bodies:
        content = body.get("content", {})
        shown = content.get("application/json") or content.get("application/cloudevents+json", {})
        schema = shown.get("schema", {})
        is_list = schema.get("type") == "array"
        name = str((schema.get("items", {}) if is_list else schema).get("$ref", "")).split("/")[-1]
        if name in EXAMPLES:
            shown["example"] = [EXAMPLES[name]] if is_list else EXAMPLES[name]


def _is_fastapis_own(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith(_FASTAPIS_OWN)
