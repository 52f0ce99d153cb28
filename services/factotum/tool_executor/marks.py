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
from factotum.tool_executor.calls import SecretMarks


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

    return texts(value, lambda text: mark.sub(put, text))


def hidden(value: Any, marks: SecretMarks | None) -> frozenset[str]:
    """The paths (`policy.arguments.found`) of the texts in a JSON value that hold the nonce: all that a mark can be
    in, and whatever was made of one."""
    if marks is None or not marks.nonce:
        return frozenset()
    return frozenset(_holding(value, marks.nonce, ()))


def _holding(value: Any, nonce: str, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, str):
        if nonce in value:
            yield "/".join(path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _holding(inner, nonce, (*path, name.replace("~", "~0").replace("/", "~1")))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _holding(inner, nonce, (*path, str(index)))


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
