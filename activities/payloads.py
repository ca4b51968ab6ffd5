"""How messages are written into histories: as JSON in UTF-8, read by their types.

The engine's own converter evaluates a message's type annotations anew for each one, and escapes
every Chinese character. What it wrote is read by this one, and the other way round.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)


class MessageConverter(JSONPlainPayloadConverter):
    """Messages of `activities.messages`, and the plain values that go with them."""

    def to_payload(self, value: Any) -> Payload:
        """Write a value.

        Raises:
            TypeError: it has no JSON form.
        """
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=data)

    def from_payload(self, payload: Payload, type_hint: Any = None) -> Any:
        """Read a value of a type.

        Raises:
            ValueError: it is of another type.
        """
        if type_hint is None:
            return orjson.loads(payload.data)
        return _reader(type_hint).validate_json(payload.data)


@cache
def _reader(type_hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(type_hint)


class _Converters(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(
            *(
                MessageConverter() if isinstance(each, JSONPlainPayloadConverter) else each
                for each in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


MESSAGES = replace(DataConverter.default, payload_converter_class=_Converters)
"""Used by every client of the engine."""
