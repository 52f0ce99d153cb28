"""What may be done with `$secrets`.

A run never has a secret's value: `$secrets.name` is a mark, for which the tool executor puts the value
when the tool is called. So a secret can only be passed on, whole or inside a text, to a tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factotum.procedures.checks import nearest
from factotum.procedures.checks.jq_tree import (
    Array,
    Binary,
    Bind,
    Fold,
    Identity,
    If,
    Index,
    Literal,
    Node,
    Object,
    Text,
    Try,
    Variable,
    children,
    free_variables,
)

SECRETS = "secrets"
REFUSED = "`$secrets` is not available here: a secret is known only inside the tool"
WHERE = "Use it in what a call or a process is given: `with`, `authentication`, `environment`, `stdin`"
_PASSED_ON = "A secret can be passed on, alone or inside a text, and not be computed with"


def misuses(program: Node, declared: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What a program does to secrets that cannot work, as (message, advice)."""
    if SECRETS in free_variables(program):
        yield from _misuses(program, tuple(declared))


def _misuses(node: Node, declared: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The faults of a node whose value is passed on."""
    if (path := _path(node)) is not None:
        if not path:
            yield "`$secrets` must name a secret", nearest.among("", declared, "Write `$secrets.name`")
        elif path[0] not in declared:
            yield undeclared(path[0], declared)
        return
    match node:
        case Object(entries):
            for key, value in entries:
                yield from _computed(key)
                yield from _misuses(value, declared)
        case Text(parts, ""):
            for part in parts:
                yield from _misuses(part, declared)
        case Array(content):
            yield from () if content is None else _misuses(content, declared)
        case Binary("+" | "//" | ",", left, right):
            yield from _misuses(left, declared)
            yield from _misuses(right, declared)
        case Binary("|", left, right):
            if isinstance(right, Identity):
                yield from _misuses(left, declared)
            else:
                yield from _computed(left)
                yield from _misuses(right, declared)
        case If(branches, otherwise):
            for condition, result in branches:
                yield from _computed(condition)
                yield from _misuses(result, declared)
            if otherwise is not None:
                yield from _misuses(otherwise, declared)
        case Try(body, None):
            yield from _misuses(body, declared)
        case Bind(source, _, _, keys, body):
            for each in (source, *keys):
                yield from _computed(each)
            yield from _misuses(body, declared)
        case Fold():
            yield from _computed(node)
        case _:
            yield from _computed(node)


def undeclared(name: str, declared: Iterable[str]) -> tuple[str, str]:
    """The fault of a secret that `use.secrets` does not have."""
    add = f"Add `{name}` to `use.secrets`"
    return f"the secret `{name}` is not declared", nearest.among(name, declared, add)


def _computed(node: Node) -> Iterator[tuple[str, str]]:
    if SECRETS in free_variables(node):
        yield "a secret's value is not known here, so nothing can be computed from it", _PASSED_ON


def _path(node: Node) -> tuple[str, ...] | None:
    """The names behind `$secrets`; None for what is no such path."""
    match node:
        case Variable("secrets"):
            return ()
        case Index(base, Literal(str() as key), _) if (above := _path(base)) is not None:
            return (*above, key)
        case _:
            return None


def mentioned(node: Node) -> Iterator[str]:
    """The names of the secrets that a program mentions."""
    if path := _path(node):
        yield path[0]
        return
    for each in children(node):
        yield from mentioned(each)
