"""A jq program as a tree: all of the language but definitions, modules and labels.

`start` and `end` of a node say where its text stands in the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Node:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Identity(Node): ...


@dataclass(frozen=True, slots=True)
class Descent(Node):
    """`..`"""


@dataclass(frozen=True, slots=True)
class Number(Node):
    value: float


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """`null`, `true`, `false`."""


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A string: constant `text` as it is written, and what is inserted, formatted by `format`."""

    text: str
    inserted: tuple[Node, ...]
    format: str


@dataclass(frozen=True, slots=True)
class Format(Node):
    """`@json` and its like, applied to the input."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    target: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Slice(Node):
    target: Node
    first: Node | None
    last: Node | None


@dataclass(frozen=True, slots=True)
class Each(Node):
    target: Node


@dataclass(frozen=True, slots=True)
class Try(Node):
    body: Node
    handler: Node | None


@dataclass(frozen=True, slots=True)
class Negation(Node):
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    operator: str
    target: Node
    source: Node


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    stages: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comma(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Pattern(Node):
    """What a binding binds, and the programs that compute keys in it; `alternatives` if there is a `?//`."""

    names: tuple[str, ...]
    keys: tuple[Node, ...]
    alternatives: bool


@dataclass(frozen=True, slots=True)
class Binding(Node):
    source: Node
    pattern: Pattern
    body: Node


@dataclass(frozen=True, slots=True)
class Collection(Node):
    """`[ … ]`"""

    content: Node | None


@dataclass(frozen=True, slots=True)
class Entry(Node):
    key: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Object(Node):
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """`reduce`, and `foreach` if it has an `extract`."""

    source: Node
    pattern: Pattern
    initial: Node
    update: Node
    extract: Node | None


@dataclass(frozen=True, slots=True)
class Choice(Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    name: str
    arguments: tuple[Node, ...]


def children(node: Node) -> Iterator[Node]:
    for field in fields(node):
        held = getattr(node, field.name)
        if isinstance(held, Node):
            yield held
        elif isinstance(held, tuple):
            yield from (each for each in held if isinstance(each, Node))


def depth(node: Node) -> int:
    """How many levels the tree has."""
    deepest, left = 0, [(node, 1)]
    while left:
        current, level = left.pop()
        deepest = max(deepest, level)
        left += [(child, level + 1) for child in children(current)]
    return deepest


def walk(node: Node) -> Iterator[Node]:
    left = [node]
    while left:
        current = left.pop()
        yield current
        left += children(current)


def free_variables(node: Node) -> frozenset[str]:
    """The variables that a program reads and does not bind itself."""
    match node:
        case Variable(name=name):
            return frozenset((name,))
        case Binding(source=source, pattern=pattern, body=body):
            # A key inside a pattern may read what the pattern bound before it.
            inner = free_variables(body).union(*(free_variables(key) for key in pattern.keys))
            return free_variables(source) | (inner - set(pattern.names))
        case Fold(source=source, pattern=pattern, initial=initial, update=update, extract=extract):
            inner = free_variables(update).union(*(free_variables(key) for key in pattern.keys))
            if extract is not None:
                inner |= free_variables(extract)
            return free_variables(source) | free_variables(initial) | (inner - set(pattern.names))
        case _:
            return frozenset[str]().union(*(free_variables(child) for child in children(node)))
