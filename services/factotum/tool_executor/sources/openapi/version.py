"""The version of an operation's tool: another major one for whatever a plan may have relied on. Pure.

Nobody remembers what the document said before, so the major version is made of what it says now: of the arguments
all but their descriptions; of the output what is certain to be there, so that an answer may grow. Plans pin major
versions, and are made anew where an operation has changed below them.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from factotum.sdk.spec import Effect
from factotum.tool_executor.sources.openapi import reaching

# Read by people only; no plan depends on them.
_REMARKS = frozenset({"title", "description", "default", "deprecated", "readOnly", "writeOnly", "format"})
_REFERENCE = re.compile(r'"\$ref": "#/\$defs/([^"]+)"')
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
# Large enough that two operations' versions are not the same by chance, small enough to be read.
_RANGE = 10**8


_Key = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class _Definition:
    """What was read of a definition. The schema is kept with it: its identity is another's once it is gone."""

    said: str
    references: frozenset[str]
    schema: Any


class Fingerprints:
    """Of schemas whose `$defs` are shared: each definition is looked at once, known by its identity."""

    def __init__(self) -> None:
        self._definitions: dict[_Key, _Definition] = {}
        self._reached: dict[_Key, str] = {}

    def of(self, schema: dict[str, Any], *, certain_only: bool) -> str:
        definitions = schema.get("$defs", {})
        own, references = _read({name: value for name, value in schema.items() if name != "$defs"}, certain_only)

        def known(name: str) -> _Key:
            key = (id(definitions[name]), certain_only)
            if key not in self._definitions:
                digest, further = _read(definitions[name], certain_only)
                self._definitions[key] = _Definition(f"{name} {digest}", further, definitions[name])
            return key

        def further(key: _Key) -> list[_Key]:
            return [known(name) for name in sorted(self._definitions[key].references) if name in definitions]

        roots = [known(name) for name in sorted(references) if name in definitions]
        for root in roots:
            reaching.mark(root, self._reached, further=further, told=lambda key: self._definitions[key].said)
        lines = [own, *sorted({self._reached[root] for root in roots})]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def version(*, document: str, input_fingerprint: str, output_fingerprint: str, effect: Effect) -> str:
    """`<of the schemas>.<of the document>.<of the document>`, of a document's version such as 1.1.4."""
    whole = hashlib.sha256(f"{input_fingerprint}\n{output_fingerprint}\n{effect.value}".encode()).digest()
    found = _NUMBERS.search(document)
    numbers = [int(one) for one in found.group().split(".")] if found else []
    minor, patch = [*numbers, 0, 0][:2]
    return f"{int.from_bytes(whole[:8], 'big') % _RANGE + 1}.{minor}.{patch}"


def _essential(value: Any, certain_only: bool) -> Any:
    if isinstance(value, list):
        return [_essential(one, certain_only) for one in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for keyword, one in value.items():
        if keyword == "properties" and isinstance(one, dict):
            required = value.get("required", ())
            made[keyword] = {
                name: _essential(part, certain_only)
                for name, part in one.items()
                if not certain_only or name in required
            }
        elif keyword in ("enum", "const", "required"):
            made[keyword] = one
        elif keyword not in _REMARKS:
            made[keyword] = _essential(one, certain_only)
    return made


def _read(schema: Any, certain_only: bool) -> tuple[str, frozenset[str]]:
    """A hash of what counts, and the definitions that it refers to."""
    text = json.dumps(_essential(schema, certain_only), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest(), frozenset(_REFERENCE.findall(text))
