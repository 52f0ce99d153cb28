"""What may be done with `$secrets`.

A run never has a secret's value: `$secrets.name` is a mark, for which the tool executor puts the value
when the tool is called. So a secret can only be passed on, whole or inside a text, to a tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factotum.procedures.checks import nearest
from factotum.procedures.syntax import (
    Binary,
    Binding,
    Choice,
    Collection,
    Comma,
    Identity,
    Index,
    Node,
    Object,
    Pipe,
    Text,
    Try,
    Variable,
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
    if (path := path_of(node)) is not None:
        if not path:
            yield "`$secrets` must name a secret", nearest.among("", declared, "Write `$secrets.name`")
        elif path[0] not in declared:
            yield undeclared(path[0], declared)
        return
    match node:
        case Object(entries=entries):
            for entry in entries:
                yield from _computed(entry.key) if entry.key is not entry.value else ()
                yield from _misuses(entry.value, declared)
        case Text(inserted=parts, format="text") | Comma(parts=parts):
            for part in parts:
                yield from _misuses(part, declared)
        case Collection(content=content):
            yield from () if content is None else _misuses(content, declared)
        case Binary(operator="+" | "//", left=left, right=right):
            yield from _misuses(left, declared)
            yield from _misuses(right, declared)
        case Pipe(stages=stages):
            passed = [stage for stage in stages if not isinstance(stage, Identity)]
            for stage in passed[:-1]:
                yield from _computed(stage)
            yield from _misuses(passed[-1], declared) if passed else ()
        case Choice(condition=condition, then=then, otherwise=otherwise):
            yield from _computed(condition)
            yield from _misuses(then, declared)
            yield from _misuses(otherwise, declared)
        case Try(body=body, handler=None):
            yield from _misuses(body, declared)
        case Binding(source=source, pattern=pattern, body=body):
            for each in (source, *pattern.keys):
                yield from _computed(each)
            yield from _misuses(body, declared)
        case _:
            yield from _computed(node)


def undeclared(name: str, declared: Iterable[str]) -> tuple[str, str]:
    """The fault of a secret that `use.secrets` does not have."""
    add = f"Add `{name}` to `use.secrets`"
    return f"the secret `{name}` is not declared", nearest.among(name, declared, add)


def _computed(node: Node) -> Iterator[tuple[str, str]]:
    if SECRETS in free_variables(node):
        yield "a secret's value is not known here, so nothing can be computed from it", _PASSED_ON


def path_of(node: Node) -> tuple[str, ...] | None:
    """The names behind `$secrets`; None for what is no such path."""
    match node:
        case Variable(name="secrets"):
            return ()
        case Index(target=target, key=Text(text=key, inserted=())) if (above := path_of(target)) is not None:
            return (*above, key)
        case _:
            return None
