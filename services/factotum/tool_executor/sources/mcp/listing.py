"""What an MCP server says of its tools: names and schemas as the catalog can have them, and what makes a tool this
one. Pure.

All of it is a stranger's text. It is read when an operator adds or refreshes the source, and held to from then on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from factotum.connectors.protocols import linear_regex
from factotum.tool_executor.schema_model import SchemaModel, schema_model
from factotum.tool_executor.sources.source import SourceInvalid

_MOST_DESCRIPTION = 2000
# What of a tool its caller relies on.
_ESSENTIAL = ("description", "inputSchema", "outputSchema")
# Keywords that hold schemas by name, and such that hold no schema.
_OF_NAMES = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_OF_VALUES = frozenset({"const", "default", "dependentRequired", "enum", "examples", "required"})
_TEXT = {"type": "string"}
_CONTENTS = {
    "type": "object",
    "required": ["uri"],
    "properties": {"uri": _TEXT, "mimeType": _TEXT, "text": _TEXT, "blob": {"type": "string", "description": "base64"}},
}
BLOCK: dict[str, Any] = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": ["text", "image", "audio", "resource", "resource_link"]}},
    "anyOf": [
        {"required": ["text"], "properties": {"type": {"const": "text"}, "text": _TEXT}},
        {
            "required": ["data", "mimeType"],
            "properties": {
                "type": {"enum": ["image", "audio"]},
                "data": {"type": "string", "description": "base64"},
                "mimeType": _TEXT,
            },
        },
        {"required": ["resource"], "properties": {"type": {"const": "resource"}, "resource": _CONTENTS}},
        {
            "required": ["uri", "name"],
            "properties": {"type": {"const": "resource_link"}, "uri": _TEXT, "name": _TEXT, "mimeType": _TEXT},
        },
    ],
}
CONTENT: dict[str, Any] = {
    "type": "object",
    "required": ["text", "content"],
    "properties": {
        "text": {"type": "string", "description": "All texts of the content, one a line."},
        "content": {"type": "array", "items": BLOCK},
        "structured": {"type": "object", "description": "What the server gave beside it, in no declared form."},
    },
}


class Listing(BaseModel):
    """What was read of a server, and is kept."""

    model_config = ConfigDict(extra="forbid")

    server: dict[str, Any]
    protocol_version: str
    tools: list[dict[str, Any]]


def fingerprint(tool: dict[str, Any]) -> str:
    """The same for as long as the tool's description and schemas are the same."""
    essential = {name: tool.get(name) for name in _ESSENTIAL}
    return hashlib.sha256(json.dumps(essential, sort_keys=True).encode()).hexdigest()


def fingerprints(tools: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {str(tool["name"]): fingerprint(tool) for tool in tools}


def snake(name: str) -> str:
    """A server's name of a tool as the part of a name after the dot: `getFoo-bar` is `get_foo_bar`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    made = re.sub(r"[^a-z0-9]+", "_", parts.lower()).strip("_")
    return made if re.match(r"[a-z]", made) else f"t_{made}"


def description(tool: dict[str, Any]) -> str:
    """On one line, and of no more than 2,000 characters."""
    text = tool.get("description") or tool.get("title") or tool["name"]
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:_MOST_DESCRIPTION]


def version(server: dict[str, Any]) -> str:
    """The server's own where it has the form of one: what it changes incompatibly, plans are made anew for."""
    found = re.match(r"\d+\.\d+\.\d+(?![\d.])", str(server.get("version", "")))
    return found.group() if found else "1.0.0"


def modern(schema: Any) -> Any:
    """A schema of draft 7, which many servers write, as one of 2020-12: what those say with the same words differs in
    tuples and in dependencies alone (JSON Schema, release notes of 2019-09 and 2020-12). Without the patterns that
    cannot be matched without backtracking: the server looks at them itself."""

    def change(one: dict[str, Any]) -> dict[str, Any]:
        made = dict(one)
        if isinstance(made.get("pattern"), str) and not linear_regex.is_usable(made["pattern"]):
            del made["pattern"]
        if isinstance(made.get("items"), list):
            made["prefixItems"] = made.pop("items")
            if "additionalItems" in made:
                made["items"] = made.pop("additionalItems")
        if isinstance(dependencies := made.pop("dependencies", None), dict):
            made["dependentRequired"] = {name: needs for name, needs in dependencies.items() if isinstance(needs, list)}
            made["dependentSchemas"] = {name: then for name, then in dependencies.items() if not isinstance(then, list)}
        return made

    return _changed(schema, change)


def model(what: str, schema: dict[str, Any]) -> type[SchemaModel]:
    """Raises `SourceInvalid` for what is no schema, and for one that refers to what is elsewhere."""
    if outside := next(_references(schema), None):
        raise SourceInvalid(f"{what} refers to {outside}: nothing is fetched for a schema")
    try:
        return schema_model(what, schema)
    except ValueError as error:
        raise SourceInvalid(f"{what} is {error}") from error


def without_patterns(schema: Any) -> Any:
    """The schema of what a server answers, without regular expressions: they are the server's too, and with the two
    of them it could keep this process busy for ever."""

    def change(one: dict[str, Any]) -> dict[str, Any]:
        dropped = {"pattern"}
        if "patternProperties" in one:
            # Without the names that it allows, no others can be said to be too many.
            dropped |= {"patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames"}
        return {name: inner for name, inner in one.items() if name not in dropped}

    return _changed(schema, change)


def without_argument(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of arguments less one. Raises `SourceInvalid` if it has none of that name."""
    properties = schema.get("properties", {})
    if name not in properties:
        raise SourceInvalid(f"key_argument: there is no argument {name!r}, only {', '.join(properties) or 'none'}")
    required = [other for other in schema.get("required", []) if other != name]
    return {
        **schema,
        "properties": {other: inner for other, inner in properties.items() if other != name},
        "required": required,
    }


def _changed(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Each schema inside as `change` makes it; not what stands where a schema holds names or values."""
    if isinstance(schema, list):
        return [_changed(inner, change) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, inner in change(schema).items():
        if name in _OF_NAMES and isinstance(inner, dict):
            made[name] = {key: _changed(one, change) for key, one in inner.items()}
        else:
            made[name] = inner if name in _OF_VALUES else _changed(inner, change)
    return made


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name in ("$ref", "$dynamicRef") and isinstance(inner, str) and not inner.startswith("#"):
                yield inner
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)
