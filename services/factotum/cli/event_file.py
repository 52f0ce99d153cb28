"""A CloudEvent as a person writes it into a file, JSON or YAML."""

from __future__ import annotations

import json
from typing import Any

import yaml
from pydantic import ValidationError

from factotum.cli.errors import BadInput
from factotum.events.envelope import Event, MalformedEvent, describe


class _Loader(yaml.CSafeLoader):
    """YAML without dates: what looks like one is the text that CloudEvents wants."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read_value(text: str) -> Any:
    """The value of a JSON or YAML text. Raises `BadInput`."""
    try:
        # Its loader makes nothing but plain values, as SafeLoader does.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise BadInput(f"neither JSON nor YAML: {' '.join(str(error).split())}") from error


def read_event(text: str, tenant: str) -> Event:
    """The event; `specversion` and `tenant` may be left out, an id may not, since it is what makes a
    second publication of the file the same event. Raises `BadInput`.
    """
    found = read_value(text)
    if not isinstance(found, dict):
        raise BadInput("an event is a JSON or YAML object with id, source and type")
    found.setdefault("tenant", tenant)
    if found["tenant"] != tenant:
        raise BadInput(f"the event is of tenant {found['tenant']!r}: publish it with --tenant {found['tenant']}")
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"what YAML has and JSON has not is no part of an event: {error}") from error
    try:
        event = Event.model_validate(found)
        event.to_bytes()
    except ValidationError as error:
        raise BadInput(f"not a CloudEvent: {describe(error)}") from error
    except MalformedEvent as error:
        raise BadInput(str(error)) from error
    return event
