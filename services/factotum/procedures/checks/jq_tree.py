"""jq programs as trees, for what is asked of them without running them. `jq_syntax` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Node:
    """One part of a program; what it is made of stands in its fields, nodes and tuples of nodes among them."""


@dataclass(frozen=True, slots=True)
class Identity(Node):
    pass


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A text with `\\( )` in it; `format` is the `@name` before it, if any."""

    parts: tuple[Node, ...]
    format: str = ""


@dataclass(frozen=True, slots=True)
class Variable(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`base.name`, `base[key]`; `optional` has `?` behind it."""

    base: Node
    key: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Slice(Node):
    base: Node
    start: Node | None
    end: Node | None


@dataclass(frozen=True, slots=True)
class Iterate(Node):
    base: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Call(Node):
    name: str
    arguments: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Array(Node):
    content: Node | None


@dataclass(frozen=True, slots=True)
class Object(Node):
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Negative(Node):
    body: Node


@dataclass(frozen=True, slots=True)
class If(Node):
    """`branches` are pairs of condition and result."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class Try(Node):
    body: Node
    handler: Node | None = None


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """`source as $names | body`; `simple`: one name takes the whole value."""

    source: Node
    names: tuple[str, ...]
    simple: bool
    keys: tuple[Node, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """`reduce` or `foreach` over a source."""

    source: Node
    names: tuple[str, ...]
    keys: tuple[Node, ...]
    steps: tuple[Node, ...]


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside a node."""
    for each in fields(node):
        yield from _nodes(getattr(node, each.name))


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from _nodes(inner)


def free_variables(node: Node, bound: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names of the `$variables` that a program must be given."""
    match node:
        case Variable():
            return frozenset((node.name,)) - bound
        case Bind():
            inside = free_variables(node.body, bound | frozenset(node.names))
            return inside.union(*(free_variables(each, bound) for each in (node.source, *node.keys)))
        case Fold():
            below = bound | frozenset(node.names)
            steps = (free_variables(each, below) for each in node.steps)
            return frozenset().union(*steps, *(free_variables(each, bound) for each in (node.source, *node.keys)))
        case _:
            return frozenset[str]().union(*(free_variables(each, bound) for each in children(node)))


def text_of(node: Node) -> str:
    """A path as it is written; of anything else what it is."""
    match node:
        case Identity():
            return "."
        case Variable(name):
            return f"${name}"
        case Index(base, Literal(str() as key)):
            return f"{'' if isinstance(base, Identity) else text_of(base)}.{key}"
        case Index(base, Literal(key)):
            return f"{text_of(base)}[{key}]"
        case Iterate(base):
            return f"{text_of(base)}[]"
        case Literal(value):
            return repr(value) if not isinstance(value, str) else f'"{value[:_SHOWN]}"'
        case Call(name):
            return name
        case _:
            return "(…)"
