"""Places in a JSON value, written as names with dots: `meta.next`, `data.-1.id`. Pure."""

from __future__ import annotations

from typing import Any


def at(value: Any, place: str) -> Any:
    """What stands there, None if nothing does. A whole number is an index of a list, from its end if negative; no
    place at all is the value itself."""
    for name in place.split(".") if place else ():
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.lstrip("-").isdecimal() and -len(value) <= int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def put(value: Any, place: str, new: Any) -> Any:
    """A copy with something else there; objects on the way are made where they are missing. The value itself, and
    what of it is not on the way, stays as it is."""
    name, _, rest = place.partition(".")
    if not name:
        return new
    made = dict(value) if isinstance(value, dict) else {}
    made[name] = put(made.get(name), rest, new)
    return made
