"""What a record must be to be kept, and how it is named."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from factotum.api.memory.v1.memory_pb2 import Kind, Record
from factotum.events.envelope import TENANT_PATTERN
from factotum.memory.errors import InvalidRequest

MAX_TEXT_BYTES = 8192
MAX_ID_CHARACTERS = 128
MAX_ORIGIN_CHARACTERS = 1024
MAX_ATTRIBUTES_BYTES = 32 * 1024
MAX_ATTRIBUTES_DEPTH = 16

# Every kind but KIND_UNSPECIFIED, by the name it is stored under.
KINDS: dict[int, str] = {number: name.removeprefix("KIND_").lower() for name, number in Kind.items() if number}

# Wide enough for every run id that is made, too narrow to write a filter in.
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}")
_TENANT = re.compile(TENANT_PATTERN)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
# google.protobuf.Timestamp: the years 1 to 9999.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def checked_tenant(tenant: str) -> str:
    """Raises `InvalidRequest`."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidRequest(f"tenant: must match {TENANT_PATTERN}")
    return tenant


def checked_run_id(run_id: str) -> str:
    """A run id, or "" for none. Raises `InvalidRequest`."""
    if run_id and not _RUN_ID.fullmatch(run_id):
        raise InvalidRequest("run_id: at most 256 letters, digits and . _ : / -")
    return run_id


def kind_name(kind: int) -> str:
    """Raises `InvalidRequest` for KIND_UNSPECIFIED and for a number that no kind has."""
    if kind not in KINDS:
        raise InvalidRequest(
            f"kind: {kind} is not one of {', '.join(f'KIND_{name.upper()}' for name in KINDS.values())}"
        )
    return KINDS[kind]


def checked_text(text: str, name: str) -> str:
    """Raises `InvalidRequest` if there is nothing in it or too much."""
    if not text.strip():
        raise InvalidRequest(f"{name}: must not be blank")
    if (size := len(text.encode())) > MAX_TEXT_BYTES:
        raise InvalidRequest(f"{name}: {size} bytes are more than {MAX_TEXT_BYTES}")
    return text


def derived_id(*parts: str) -> str:
    """32 hexadecimal digits, the same for the same parts in the same order."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def completed(tenant: str, record: Record, now: datetime) -> Record:
    """The record as it will be kept: with an id, a time and its attributes in one form.

    A record that brings no id gets one derived from tenant, kind and text, so that the same text
    is kept once. Raises `InvalidRequest`.
    """
    result = Record()
    result.CopyFrom(record)
    checked_tenant(tenant)
    kind = kind_name(record.kind)
    checked_text(record.text, "text")
    checked_run_id(record.run_id)
    _check_label(record.id, "id", MAX_ID_CHARACTERS)
    _check_label(record.origin, "origin", MAX_ORIGIN_CHARACTERS)
    result.attributes_json = _canonical(record.attributes_json)
    if not record.id:
        result.id = derived_id(tenant, kind, record.text)
    if not record.HasField("created_at"):
        result.created_at.FromDatetime(now)
    moment = result.created_at
    if not (_FIRST_SECOND <= moment.seconds <= _LAST_SECOND and 0 <= moment.nanos < 1_000_000_000):
        raise InvalidRequest("created_at: not within the years 1 to 9999")
    return result


def _check_label(value: str, name: str, longest: int) -> None:
    if len(value) > longest:
        raise InvalidRequest(f"{name}: at most {longest} characters")
    if _CONTROL.search(value):
        raise InvalidRequest(f"{name}: must not hold control characters")


def _canonical(attributes_json: str) -> str:
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
        raise InvalidRequest(f"attributes_json: more than {MAX_ATTRIBUTES_BYTES} bytes")
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
