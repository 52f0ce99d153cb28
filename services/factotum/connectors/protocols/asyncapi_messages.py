"""Messages of AsyncAPI operations, and the cursors that say what of them was read."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from factotum.connectors.protocols.exchange import body, deserialised
from factotum.sdk.errors import InvalidArgument


class Outbound(BaseModel):
    model_config = ConfigDict(extra="forbid")

    payload: Any = None
    headers: dict[str, Any] = {}


class Inbound(BaseModel):
    payload: Any
    headers: dict[str, Any]
    correlationId: str | None = Field(description="As the document says where it is; null where it does not.")


class Received(BaseModel):
    messages: list[Inbound]
    cursor: str = Field(description="Give it to the next call: it begins after these messages.")


class Receipt(BaseModel):
    """Of a publication: what HTTP answered, or where in the topic the message is."""

    statusCode: int | None = None
    content: Any = None
    partition: int | None = None
    offset: int | None = None


def written(payload: Any, content_type: str) -> bytes:
    """A payload as the document's content type says: JSON also where it is a text. Raises `InvalidArgument`."""
    if is_json(content_type):
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return body(payload, [("Content-Type", content_type)])[0]


def is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower().endswith(("/json", "+json"))


def inbound(content: bytes, content_type: str, headers: dict[str, Any], correlation: str) -> Inbound:
    payload = deserialised(content, content_type)
    return Inbound(payload=payload, headers=headers, correlationId=_located(correlation, payload, headers))


def read_cursor(text: str, kind: str) -> dict[str, Any]:
    """What an earlier call of the same kind wrote; empty at first. Raises `InvalidArgument`."""
    if not text:
        return {}
    try:
        cursor = json.loads(base64.urlsafe_b64decode(text.encode()))[kind]
        if isinstance(cursor, dict):
            return cursor
    except (binascii.Error, ValueError, TypeError, KeyError):
        pass
    raise InvalidArgument(f"the cursor is none that receiving by {kind} gave")


def written_cursor(kind: str, cursor: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps({kind: cursor}, separators=(",", ":")).encode()).decode()


def _located(location: str, payload: Any, headers: dict[str, Any]) -> str | None:
    """The value at `$message.header#/pointer` or `$message.payload#/pointer`."""
    where, _, pointer = location.partition("#")
    value: Any = {"$message.header": headers, "$message.payload": payload}.get(where)
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None if value is None else json.dumps(value)
