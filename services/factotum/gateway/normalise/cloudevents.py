"""CloudEvents 1.0.2 over HTTP: structured (also in a batch) and binary content mode.

The `cloudevents` package's HTTP binding is not used on what strangers send: it invents an id and a
time where they are missing, reads JSON that is none as a string, and replaces what is not UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from factotum.events.envelope import CONTENT_TYPE, Event
from factotum.events.reserved import ACTS_FOR, why_reserved
from factotum.gateway import json_text
from factotum.gateway.errors import Malformed, Reserved, WrongTenant
from factotum.gateway.normalise.attributes import is_rfc3339

BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"
PREFIX = "ce-"

_JSON_TYPE = re.compile(r"(application|text)/([a-z0-9!#$&^_.+-]+\+)?json")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def events(headers: Mapping[str, str], body: bytes, *, tenant: str, user: str = "") -> Iterator[Event]:
    """The Events of one request, each read when it is asked for. Data is kept as JSON, or as a string
    where its content type is not JSON; bytes that are not UTF-8, and so `data_base64`, are refused.

    Args:
        user: for whom the runs act that they start; empty: nobody.

    Raises `Malformed`, `WrongTenant`, `Reserved`, or pydantic's `ValidationError`.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == CONTENT_TYPE:
        yield _event(json_text.parse(body), tenant, user)
    elif media_type == BATCH_CONTENT_TYPE:
        batch = json_text.parse(body)
        if not isinstance(batch, list):
            raise Malformed("a batch is a JSON array of events")
        yield from (_event(attributes, tenant, user) for attributes in batch)
    elif media_type.startswith("application/cloudevents"):
        raise Malformed(f"the only event formats are {CONTENT_TYPE} and {BATCH_CONTENT_TYPE}")
    else:
        yield _event(_from_binary(headers, media_type, body), tenant, user)


def _from_binary(headers: Mapping[str, str], media_type: str, body: bytes) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        name.removeprefix(PREFIX): _decoded(name, value) for name, value in headers.items() if name.startswith(PREFIX)
    }
    if not attributes:
        raise Malformed(f"neither {CONTENT_TYPE} nor any header that starts with {PREFIX}")
    for name in ("data", "datacontenttype"):
        if name in attributes:
            raise Malformed(f"{PREFIX}{name} is not a header of the binary mode")
    if content_type := headers.get("content-type"):
        attributes["datacontenttype"] = content_type
    if body:
        attributes["data"] = _data(media_type, body)
    return attributes


def _decoded(name: str, value: str) -> str:
    """HTTP binding, section 3.1.3.2: quoted strings are unescaped, then percent-decoded once to UTF-8."""
    if quoted := _QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise Malformed(f"the header {name} is not UTF-8") from None


def _data(media_type: str, body: bytes) -> Any:
    if not media_type or _JSON_TYPE.fullmatch(media_type):
        return json_text.parse(body)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Malformed("data is JSON or UTF-8 text; other bytes are not taken") from None


def _event(attributes: Any, tenant: str, user: str) -> Event:
    if not isinstance(attributes, dict):
        raise Malformed("an event is a JSON object")
    # In the JSON format null is the same as absence.
    given = {name: value for name, value in attributes.items() if value is not None or name == "data"}
    if "specversion" not in given:
        raise Malformed("specversion is missing")
    if "data_base64" in given:
        raise Malformed("data is JSON or UTF-8 text; data_base64 is not taken")
    if "time" in given and not is_rfc3339(given["time"]):
        raise Malformed("time: must be an RFC 3339 timestamp with an offset")
    if given.setdefault("tenant", tenant) != tenant:
        raise WrongTenant("the event's tenant is not the token's")
    if ACTS_FOR in given:
        raise Reserved(f"{ACTS_FOR} is not the sender's to set: a token says for whom its events are")
    if user:
        given[ACTS_FOR] = user
    event = Event.model_validate(given)
    if (reason := why_reserved(event)) is not None:
        raise Reserved(reason)
    return event
