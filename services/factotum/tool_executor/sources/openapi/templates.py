"""Texts of the configuration that take up the call: `{$key}`, `{$since}`, `{body.title}` of its arguments. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

from factotum.connectors.protocols.openapi_places import at, put
from factotum.sdk.context import ToolContext

_PLACE = re.compile(r"\{(\$?[A-Za-z_][\w.-]*)\}")
# How far the system's clock may be behind ours.
CLOCK_SKEW = timedelta(seconds=5)

Known = Mapping[str, str]


def known(context: ToolContext[Any]) -> Known:
    """What texts may hold beside the arguments: the effect's key, and when it was first begun, or a little before."""
    since = (context.started_at - CLOCK_SKEW).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"$key": effect_key(context), "$since": since}


def effect_key(context: ToolContext[Any]) -> str:
    """What a system is given to know the effect by: a UUID (version 8), the same on every retry and no other
    tenant's."""
    digest = hashlib.sha256(f"{context.tenant}\n{context.idempotency_key}".encode()).digest()
    return str(uuid.UUID(int=int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0x3 << 62) | (8 << 76) | (2 << 62)))


def filled(value: Any, arguments: Mapping[str, Any], known: Known) -> Any:
    """With all texts filled in. One that is nothing but a place is the value there; a place without value is empty."""
    if isinstance(value, dict):
        return {name: filled(one, arguments, known) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, arguments, known) for one in value]
    if not isinstance(value, str):
        return value

    def found(place: str) -> Any:
        return known.get(place) if place.startswith("$") else at(dict(arguments), place)

    if whole := _PLACE.fullmatch(value):
        return found(whole[1])
    return _PLACE.sub(lambda part: _text(found(part[1])), value)


def marked(arguments: dict[str, Any], marks: Mapping[str, str | list[str]], known: Known) -> dict[str, Any]:
    """The arguments with the marks put in; those that are lists are added to what is there."""
    made = arguments
    for place, template in marks.items():
        before, mark = at(made, place), filled(template, arguments, known)
        made = put(made, place, [*(before or ()), *mark] if isinstance(mark, list) else mark)
    return made


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
