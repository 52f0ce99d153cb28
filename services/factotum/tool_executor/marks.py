"""Marks that stand for secrets: put back as values for the tool alone, and taken out of all it says. Pure.

Their form is that of `SecretMarks` in protos/factotum/api/tools/v1/tools.proto.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic_core import from_json

from factotum.sdk.errors import InvalidArgument
from factotum.tool_executor.calls import SecretMarks

MASK = "***"
# A shorter value stands in texts by chance.
SHORTEST_MASKED = 4


def revealed(value: Any, marks: SecretMarks, secret: Callable[[str], str]) -> Any:
    """A JSON value with the marks in its texts replaced, not in its keys. A mark of another nonce, or of a name
    that is not declared, stays the text it is; so does one inside of a secret's value.

    Raises `InvalidArgument` for a key that the secret has not, and whatever `secret` raises.
    """
    if not marks.nonce:
        return value
    mark = re.compile(f"\u27e6{re.escape(marks.nonce)}:([^\u27e6\u27e7]+)\u27e7")

    def put(found: re.Match[str]) -> str:
        name, *keys = found.group(1).split("/")
        return _inside(name, keys, secret(name)) if name in marks.names else found.group()

    return _texts(value, lambda text: mark.sub(put, text))


def _inside(name: str, keys: list[str], text: str) -> str:
    if not keys:
        return text
    try:
        value = from_json(text)
    except ValueError:
        value = None
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise InvalidArgument(f"the secret {name!r} has no {'.'.join(keys)}: it must be a JSON object that has it")
        value = value[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Mask:
    """The values of secrets that one call was given, and texts without them."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def add(self, text: str) -> None:
        """Of a secret that is a JSON object, what it holds is secret too."""
        try:
            values = [text, *_leaves(from_json(text))]
        except ValueError:
            values = [text]
        for value in values:
            if len(value) >= SHORTEST_MASKED:
                self._forms.update(_forms(value))

    def text(self, text: str) -> str:
        pattern = self._pattern()
        return text if pattern is None else pattern.sub(MASK, text)

    def json(self, text: str) -> str:
        """JSON text, also of numbers and keys; it stays JSON."""
        pattern = self._pattern()
        if pattern is None or pattern.search(text) is None:
            return text
        masked = _texts(from_json(text), self.text, keys=True, numbers=True)
        return json.dumps(masked, ensure_ascii=False, separators=(",", ":"))

    def _pattern(self) -> re.Pattern[str] | None:
        if not self._forms:
            return None
        return re.compile("|".join(map(re.escape, sorted(self._forms, key=len, reverse=True))))


def _forms(value: str) -> Iterator[str]:
    """How a value can stand in a text: as it is, in JSON, in an address or a form, in base64."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield from _base64(value.encode())


def _base64(data: bytes) -> Iterator[str]:
    """What every base64 of a text with these bytes in it has, wherever they begin: 6 bits are a character, so
    those that it shares with its neighbours are left out."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        sure = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(sure) >= SHORTEST_MASKED:
            yield sure
            yield sure.translate(str.maketrans("+/", "-_"))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)


def _texts(value: Any, change: Callable[[str], str], *, keys: bool = False, numbers: bool = False) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            (change(key) if keys else key): _texts(inner, change, keys=keys, numbers=numbers)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_texts(inner, change, keys=keys, numbers=numbers) for inner in value]
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        written = json.dumps(value)
        return value if change(written) == written else change(written)
    return value
