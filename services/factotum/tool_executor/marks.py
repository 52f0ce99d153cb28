"""Marks that stand for secrets: put back as values for the tool alone. Pure.

Their form is that of `SecretMarks` in protos/factotum/api/tools/v1/tools.proto.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic_core import from_json

from factotum.runtime.secrets.mask import texts
from factotum.sdk.errors import InvalidArgument
from factotum.tool_executor.calls import Call, SecretMarks


def revealed(value: Any, marks: SecretMarks, secret: Callable[[str], str]) -> Any:
    """A JSON value with the marks in its texts replaced, not in its keys. A mark of another nonce, or of a name
    that is not declared, stays the text it is; so does one inside of a secret's value.

    Raises `InvalidArgument` for a key that the secret has not, and whatever `secret` raises.
    """
    if not marks.nonce:
        return value
    mark = _mark(marks.nonce)

    def put(found: re.Match[str]) -> str:
        name, *keys = found.group(1).split("/")
        return _inside(name, keys, secret(name)) if name in marks.names else found.group()

    return texts(value, lambda text: mark.sub(put, text))


def named(call: Call) -> frozenset[str]:
    """The declared secrets that a call's arguments name, by a mark or as a whole text: it is given no others. None of
    arguments that are not JSON."""
    marks = call.secrets
    if marks is None or not any(name in call.arguments_json for name in marks.names):
        return frozenset()
    try:
        found = {text for _, text in _texts(from_json(call.arguments_json), ())}
    except ValueError:
        return frozenset()
    if marks.nonce:
        mark = _mark(marks.nonce)
        found |= {each[1].split("/")[0] for text in found for each in mark.finditer(text)}
    return marks.names & found


def hidden(value: Any, marks: SecretMarks | None) -> frozenset[str]:
    """The paths (`policy.arguments.found`) of the texts in a JSON value that hold the nonce: all that a mark can be
    in, and whatever was made of one."""
    if marks is None or not marks.nonce:
        return frozenset()
    return frozenset("/".join(path) for path, text in _texts(value, ()) if marks.nonce in text)


def _texts(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name.replace("~", "~0").replace("/", "~1")))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, str(index)))


def _mark(nonce: str) -> re.Pattern[str]:
    return re.compile(f"\u27e6{re.escape(nonce)}:([^\u27e6\u27e7]+)\u27e7")


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
