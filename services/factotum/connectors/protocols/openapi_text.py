"""The bytes of an OpenAPI document, JSON or YAML. Pure."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic_core import from_json

from factotum.sdk.errors import InvalidArgument

# Of YAML: longer is read for minutes, and may be made for that.
LONGEST_YAML = 4 * 1024 * 1024
# What aliases write out in full can be far more than the text is long.
MOST_VALUES = 3_000_000


def parsed(content: bytes, address: str, *, longest_yaml: int = LONGEST_YAML) -> dict[str, Any]:
    """The document. `address` names it in the message. Raises `InvalidArgument` for what is none."""
    try:
        document = from_json(content)
    except ValueError:
        document = _yaml(content, address, longest_yaml)
    if not isinstance(document, dict):
        raise InvalidArgument(f"{address} is no OpenAPI document")
    return document


def _yaml(content: bytes, address: str, longest: int) -> Any:
    if len(content) > longest:
        raise InvalidArgument(f"{address} is more than {longest} bytes of YAML: give the document as JSON")
    try:
        found = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidArgument(f"{address} is neither JSON nor YAML") from error
    _check_size(found, address)
    return found


def _check_size(value: Any, address: str) -> None:
    waiting, seen = [value], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise InvalidArgument(f"{address} has more than {MOST_VALUES} values, aliases written out")
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
