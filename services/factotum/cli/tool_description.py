"""A tool's contract in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from factotum.sdk.errors import KINDS

Json = Any

_EFFECTS = {
    "none": "reads: it may be called again at will",
    "create": "creates something",
    "update": "changes something",
    "delete": "deletes something",
    "send": "sends something",
    "execute": "carries something out",
}
_ONCE = {
    "native": "the system knows the call by its key, or doing it again changes nothing",
    "reconcile": "after an interruption the system is asked whether it happened",
    "none": "nobody can be asked: an interrupted call waits for a person (factotum effects)",
}
_WIDTH = 13


def lines(tool: Json, permissions: Sequence[str]) -> Iterator[str]:
    """Of a `Tool` as JSON values, and what a policy must grant; without its schemas."""
    yield f"{tool['name']} {tool['version']}: {tool['description']}"
    yield _row("effect", _EFFECTS.get(tool["effect"], "?"))
    if tool["effect"] != "none":
        yield _row("once", _ONCE.get(tool["idempotency"], "?"))
        yield _row("taken back by", _undo(tool["compensation"]))
    yield _row("may take", f"{tool['timeout_seconds']:g} s")
    yield from _list("needs", [f"permission {name}" for name in permissions])
    yield from _list("secrets", [_secret(need) for need in tool["secrets"]])
    yield from _list("bounds", _bounds(tool))
    if tool["sandbox"]:
        yield _row("sandbox", "it runs commands, in a sandbox")
    yield from _list("may answer", [_error(kind) for kind in tool["errors"]])
    yield _row("from", tool["source"] or "?")
    for example in tool["examples"]:
        yield f'\nexample "{example["title"]}":'
        yield f"  factotum tools call {tool['name']} '{_text(example['arguments'])}'"
        if example["output"] is not None:
            yield f"  {_text(example['output'])}"


def _row(title: str, text: str) -> str:
    return f"{title:<{_WIDTH}} {text}"


def _list(title: str, texts: list[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield _row("" if number else title, text)


def _undo(compensation: Json) -> str:
    if compensation is None:
        return "nothing that its author names"
    return f"{compensation['call']} {_text(compensation['arguments'])}"


def _secret(need: Json) -> str:
    whose = "of the person that the run acts for" if need["delegated"] else "of the tenant"
    return f"{need['name']}, {whose}" + (f": {need['description']}" if need["description"] else "")


def _bounds(tool: Json) -> list[str]:
    limit, concurrency = tool["rate_limit"], tool["concurrency"]
    found = [f"{limit['calls']} calls in {limit['seconds']:g} s"] if limit else []
    return found + ([f"{concurrency} at a time"] if concurrency else [])


def _error(kind: str) -> str:
    known = KINDS.get(kind)
    if known is None:
        return kind
    return f"{kind}: {'a retry may help' if known.retryable else 'a retry does not help'}"


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
