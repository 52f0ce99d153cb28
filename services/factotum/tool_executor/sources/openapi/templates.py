"""Texts of the configuration that take up the effect's key and the call's arguments: `{$key}`, `{body.title}`. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from factotum.connectors.protocols.openapi_places import at, put
from factotum.sdk.context import ToolContext

_PLACE = re.compile(r"\{(\$key|[A-Za-z_$][\w$.-]*)\}")


def effect_key(context: ToolContext[Any]) -> str:
    """What a system is given to know the effect by: a UUID (version 8), the same on every retry and no other
    tenant's."""
    digest = hashlib.sha256(f"{context.tenant}\n{context.idempotency_key}".encode()).digest()
    return str(uuid.UUID(int=int.from_bytes(digest[:16], "big") & ~(0xF << 76) & ~(0x3 << 62) | (8 << 76) | (2 << 62)))


def filled(value: Any, arguments: Mapping[str, Any], key: str) -> Any:
    """With all texts filled in. One that is nothing but a place is the value there; a place without value is empty."""
    if isinstance(value, dict):
        return {name: filled(one, arguments, key) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, arguments, key) for one in value]
    if not isinstance(value, str):
        return value
    if whole := _PLACE.fullmatch(value):
        return key if whole[1] == "$key" else at(dict(arguments), whole[1])
    return _PLACE.sub(lambda found: _text(key if found[1] == "$key" else at(dict(arguments), found[1])), value)


def marked(arguments: dict[str, Any], marks: Mapping[str, str | list[str]], key: str) -> dict[str, Any]:
    """The arguments with the marks put in; those that are lists are added to what is there."""
    made = arguments
    for place, template in marks.items():
        before, mark = at(made, place), filled(template, arguments, key)
        made = put(made, place, [*(before or ()), *mark] if isinstance(mark, list) else mark)
    return made


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
