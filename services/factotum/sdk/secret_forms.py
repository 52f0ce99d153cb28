"""The forms in which a secret's value can stand in a text. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic_core import from_json

# A shorter value stands in texts by chance.
SHORTEST_MASKED = 4
# So that one line of a key is known as a part of it, and `-----BEGIN …` is not.
_SHORTEST_LINE = 16
# JSON in a text in JSON, in the traceback of a log: so many times.
_QUOTED = 3
_MOST_KEPT = 1000

_ESCAPE = re.compile(r"%[0-9A-F]{2}")


@lru_cache(maxsize=_MOST_KEPT)
def forms(text: str) -> frozenset[str]:
    """The forms of a value, of what it holds if it is a JSON object, and of each long line of several: as it is, as
    JSON, Python or HTML quote it, also within each other, percent-encoded, in hexadecimal digits, and inside of base64
    wherever it begins. None of values of less than `SHORTEST_MASKED` characters."""
    try:
        held = list(_leaves(from_json(text)))
    except ValueError:
        held = []
    lines = [line for line in text.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
    values = {text, text.strip(), *held, *lines}
    return frozenset(form for value in values if len(value) >= SHORTEST_MASKED for form in _of(value))


def _of(value: str) -> Iterator[str]:
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
