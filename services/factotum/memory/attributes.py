"""The attributes of a record: a JSON object in the one form in which it is kept. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from factotum.memory.errors import InvalidRequest

MAX_ATTRIBUTES_BYTES = 32 * 1024
MAX_ATTRIBUTES_DEPTH = 16


def canonical(attributes_json: str) -> str:
    """The JSON object without blanks. Raises `InvalidRequest` where it could not be given back as it came."""
    if not attributes_json:
        return "{}"
    try:
        value = json.loads(attributes_json)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"attributes_json: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequest("attributes_json: must be an object")
    _check_storable([value], MAX_ATTRIBUTES_DEPTH)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_ATTRIBUTES_BYTES:
        raise InvalidRequest(f"attributes_json: more than {MAX_ATTRIBUTES_BYTES} bytes: keep what a reader needs")
    return text


def _check_storable(values: Iterable[Any], depth: int) -> None:
    """Refuses what Milvus' JSON cannot hold: non-finite and huge numbers, lone surrogates, bottomless nesting."""
    if depth < 0:
        raise InvalidRequest(f"attributes_json: nested deeper than {MAX_ATTRIBUTES_DEPTH}")
    for value in values:
        if isinstance(value, dict):
            _check_storable([*value, *value.values()], depth - 1)
        elif isinstance(value, list):
            _check_storable(value, depth - 1)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest("attributes_json: a number is not finite")
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InvalidRequest("attributes_json: an integer does not fit into 64 bits")
        elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            raise InvalidRequest("attributes_json: a string holds half of a surrogate pair")
