"""JSON arguments as Cedar has them: by type, so that no value can be taken for anything but what it is.

Cedar's JSON has escapes (`__entity`, `__extn`) by which a record could become an entity or a call of a function.
Arguments are data of documents, people and models: here only texts, numbers, truth values and sets of texts are
made of them, under names that the policies themselves bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from factotum.tool_executor.policy.needs import Mention

Json = Any

# The entity types of the schema, by what a policy calls them.
VIEWS = {"texts": "Texts", "numbers": "Numbers", "decimals": "Decimals", "flags": "Flags", "lists": "Lists"}
ONLY = "arguments"

_LEAST, _MOST = -(2**63), 2**63 - 1
# Cedar's decimals have four places.
_PLACES = 4
# Beyond, a float need not be the number that was written.
_EXACT_FLOAT = 2**53
# Of the index of a list.
_DIGITS = 10


def references() -> dict[str, Json]:
    """`context.arguments`."""
    return {view: {"__entity": {"type": kind, "id": ONLY}} for view, kind in VIEWS.items()}


def entities(arguments: Json, mentions: Iterable[Mention]) -> list[dict[str, Json]]:
    """The entities that hold the mentioned arguments as tags."""
    tags: dict[str, dict[str, Json]] = {view: {} for view in VIEWS}
    for mention in mentions:
        value = valued(arguments, mention)
        if value is not None:
            tags[mention.view][mention.path] = value
    return [
        {"uid": {"type": kind, "id": ONLY}, "attrs": {}, "parents": [], "tags": tags[view]}
        for view, kind in VIEWS.items()
    ]


def valued(arguments: Json, mention: Mention) -> Json:
    """The argument in Cedar's JSON; None if there is none, or if the type cannot hold it exactly."""
    value = found(arguments, mention.path)
    match mention.view:
        case "texts":
            return value if isinstance(value, str) and _encodable(value) else None
        case "flags":
            return value if isinstance(value, bool) else None
        case "numbers":
            return _number(value)
        case "decimals":
            return _decimal(value)
        case "lists":
            texts = isinstance(value, list) and all(isinstance(one, str) and _encodable(one) for one in value)
            return value if texts else None
        case _:
            return None


def found(arguments: Json, path: str) -> Json:
    """What lies at a path of names and indices, `~1` for a slash and `~0` for a tilde in a name; None if nothing,
    or null, does."""
    value = arguments
    for token in path.split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list):
            index = int(name) if name.isascii() and name.isdecimal() and len(name) < _DIGITS else len(value)
            value = value[index] if index < len(value) else None
        else:
            return None
    return value


def _number(value: Json) -> int | None:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_FLOAT:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and _LEAST <= value <= _MOST else None


def _decimal(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _LEAST <= value <= _MOST:
        return None
    number = Decimal(str(value))
    scaled = number.scaleb(_PLACES)
    if not scaled.is_finite() or scaled != scaled.to_integral_value() or not _LEAST <= scaled <= _MOST:
        return None
    return {"__extn": {"fn": "decimal", "arg": f"{number:.{_PLACES}f}"}}


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
