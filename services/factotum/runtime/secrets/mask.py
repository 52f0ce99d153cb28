"""Texts without the values of secrets, in every form in which a value can stand in one. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic_core import from_json

MASK = "***"
# A shorter value stands in texts by chance.
SHORTEST_MASKED = 4
# So that one line of a key is known as a part of it, and `-----BEGIN …` is not.
_SHORTEST_LINE = 16
# More than any process of one house has at hand; the rest of a process's life is not looked through for old ones.
_MOST_KNOWN = 1000
_FORGOTTEN = 100
# JSON in a text in JSON, in the traceback of a log: so many times.
_QUOTED = 3

_ESCAPE = re.compile(r"%[0-9A-F]{2}")


class Mask:
    """The values of some secrets, and texts without them.

    Masked are a value as it is, as JSON, Python or HTML quote it, also within each other, percent-encoded, in
    hexadecimal digits, and inside of base64 wherever it begins; of a secret that is a JSON object also what it holds,
    and of one of several lines each long one. Not masked are values of less than `SHORTEST_MASKED` characters.
    """

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._forms)

    def add(self, *values: str) -> None:
        forms = set(self._forms).union(*map(_all_forms, values))
        # The longest first: a value may hold another.
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def text(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def json(self, text: str) -> str:
        """JSON text, also of numbers and keys; it stays JSON."""
        if not any(form in text for form in self._forms):
            return text
        masked = texts(from_json(text), self.text, keys=True, numbers=True)
        return json.dumps(masked, ensure_ascii=False, separators=(",", ":"))


class Known:
    """What a whole process was given of late, whoever it was for: the net under its logs and traces."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, None] = OrderedDict()
        self._mask = Mask()

    def add(self, value: str) -> None:
        if value in self._values:
            self._values.move_to_end(value)
            return
        self._values[value] = None
        self._mask.add(value)
        if len(self._values) > _MOST_KNOWN:
            for _ in range(_FORGOTTEN):
                self._values.popitem(last=False)
            self._mask = Mask()
            self._mask.add(*self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, text: str) -> str:
        return self._mask.text(text)

    def value(self, value: Any) -> Any:
        """The same of whatever is written down as JSON; what is of no type of JSON becomes its `repr`."""
        return texts(value, self.text, keys=True, numbers=True, other=repr) if self._values else value


@lru_cache(maxsize=_MOST_KNOWN)
def _all_forms(text: str) -> frozenset[str]:
    try:
        held = list(_leaves(from_json(text)))
    except ValueError:
        held = []
    lines = [line for line in text.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
    values = {text, text.strip(), *held, *lines}
    return frozenset(form for value in values if len(value) >= SHORTEST_MASKED for form in _forms(value))


def _forms(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    quoted = [value]
    for _ in range(_QUOTED):
        yield from quoted
        quoted = sorted({again for one in quoted for again in _quotations(one)})
    yield from quoted
    for escaped in (data, json.dumps(value)[1:-1].encode()):
        for encoded in (quote(escaped, safe=""), quote(escaped), quote_plus(escaped)):
            yield encoded
            yield _ESCAPE.sub(lambda found: found.group().lower(), encoded)
    yield data.hex()
    yield data.hex().upper()
    yield from _base64(data)


def _quotations(text: str) -> Iterator[str]:
    """As JSON, Python and HTML write a text between quotation marks."""
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    # Beside both marks Python escapes the single one.
    yield repr("'\"" + text)[4:-1]
    yield repr(text.encode("utf-8", "surrogatepass"))[2:-1]
    yield html.escape(text)
    yield html.escape(text, quote=False)


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


def texts(
    value: Any,
    change: Callable[[str], str],
    *,
    keys: bool = False,
    numbers: bool = False,
    other: Callable[[Any], str] | None = None,
) -> Any:
    """A JSON value with its texts changed, and on demand its keys, and its numbers where that makes them another."""

    def of(inner: Any) -> Any:
        if isinstance(inner, str):
            return change(inner)
        if isinstance(inner, dict):
            return {(change(key) if keys and isinstance(key, str) else key): of(one) for key, one in inner.items()}
        if isinstance(inner, list | tuple):
            return [of(one) for one in inner]
        if inner is None or isinstance(inner, bool):
            return inner
        if isinstance(inner, int | float):
            written = json.dumps(inner) if numbers else ""
            return inner if change(written) == written else change(written)
        return inner if other is None else change(other(inner))

    return of(value)
