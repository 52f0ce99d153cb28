"""The bytes of an OpenAPI document, JSON or YAML. Pure."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from factotum.connectors.protocols import bounded_yaml
from factotum.sdk.errors import InvalidArgument

# Of YAML: longer is read for minutes, and may be made for that.
LONGEST_YAML = 4 * 1024 * 1024


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
        return bounded_yaml.loaded(content)
    except ValueError as error:
        raise InvalidArgument(f"{address} is neither JSON nor YAML that can be read: it {error}") from error
